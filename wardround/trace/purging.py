"""After runs were removed: no byte of them is left in the files, and a search shows it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from wardround.trace.forgetting import left_in_tables, tables_searched
from wardround.trace.remains import in_files
from wardround.trace.removing import CHECKPOINTS, parts, remove_checkpoints
from wardround.trace.schema import METADATA


@dataclass(frozen=True)
class Purged:
    """What was done."""

    checkpoints: int
    """Rows removed from the file of checkpoints."""
    searched: tuple[str, ...]
    left: tuple[str, ...]


def purge(
    engine: sa.Engine,
    folder: Path | None,
    removed: Sequence[str],
    runs: Sequence[str],
    others: Sequence[str],
    files: Sequence[Path],
) -> Purged:
    """Rewrite the database without what was removed, and search for names.

    Args:
        engine: The database.
        folder: The workspace, where it is one.
        removed: Ids of the runs that were removed.
        runs: Ids of runs that are searched for; they may stand in tombstones.
        others: Other names that are searched for.
        files: Searched beside those of the workspace.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: A database cannot be rewritten.
    """
    databases, removed_rows = [engine], 0
    if folder is not None and (folder / "checkpoints.db").is_file():
        databases.append(sa.create_engine(sa.URL.create("sqlite", database=str(folder / "checkpoints.db"))))
        with databases[-1].begin() as connection:
            removed_rows = sum(remove_checkpoints(connection, ids) for ids in parts(removed))
    for database in databases:
        _rewrite(database)
    names = (*runs, *others)
    searched, left = [], []
    for database in databases if names else ():
        with database.connect() as connection:
            searched += [f"table {table}" for table in tables_searched(connection)]
            left += left_in_tables(connection, names)
    if databases[1:]:
        databases[1].dispose()
    for paths, wanted in _files(folder, files, runs, others) if names else ():
        searched += [f"file {path.name}" for path in paths]
        left += in_files(paths, wanted)
    return Purged(removed_rows, tuple(dict.fromkeys(searched)), tuple(dict.fromkeys(left)))


def _files(
    folder: Path | None, files: Sequence[Path], runs: Sequence[str], others: Sequence[str]
) -> Iterator[tuple[list[Path], tuple[str, ...]]]:
    """Yield files with what is searched for in them: ids of runs stand in the tombstones of the database."""
    inside = sorted(path for path in folder.rglob("*") if path.is_file()) if folder is not None else []
    with_tombstones = [path for path in inside if folder is not None and path.name.startswith("runs.db")]
    yield with_tombstones, tuple(others)
    yield [*(path for path in inside if path not in with_tombstones), *files], (*runs, *others)


def _rewrite(engine: sa.Engine) -> None:
    """Rewrite the files of a database so that nothing that was deleted is left in them."""
    outside = {"transaction": False} if engine.dialect.name == "sqlite" else {"isolation_level": "AUTOCOMMIT"}
    with engine.connect().execution_options(**outside) as connection:
        there = set(sa.inspect(connection).get_table_names())
        for statement in _statements(engine.dialect.name, there):
            connection.execute(sa.text(statement))


def _statements(dialect: str, tables: Iterable[str]) -> Iterator[str]:
    there = set(tables)
    if dialect == "postgresql":
        yield from (f"VACUUM (FULL) {name}" for name in sorted(there & {*METADATA.tables, *CHECKPOINTS}))
        return
    if "words_index" in there:
        # Deleted words are only marked until parts of the index are merged; then it must agree with the table.
        yield "INSERT INTO words_index(words_index) VALUES ('optimize')"
        yield "INSERT INTO words_index(words_index, rank) VALUES ('integrity-check', 1)"
    yield "VACUUM"
    yield "PRAGMA wal_checkpoint(TRUNCATE)"
