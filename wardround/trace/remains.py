"""A search for names in all that a workspace holds, table by table and byte by byte."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa

_CHUNK = 1 << 20
_EXEMPT = frozenset((("tombstones", "run"), ("alembic_version", "version_num")))
"""Columns that may name a run that was removed."""
_EXACT = frozenset((("runs", "id"), ("runs", "case_id"), ("annotations", "run")))


def whole(names: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern that finds any of these names where it is no part of a longer one.

    >>> bool(whole(["p-1"]).search("Patient/p-1.")), bool(whole(["p-1"]).search("p-12"))
    (True, False)
    """
    return re.compile(r"(?<![^\W_])(?:" + "|".join(re.escape(name) for name in names) + r")(?![^\W_])")


def spellings(name: str) -> tuple[str, ...]:
    """Return how a name may stand in JSON: as it is, and with escapes."""
    return tuple(dict.fromkeys((name, json.dumps(name, ensure_ascii=False)[1:-1], json.dumps(name)[1:-1])))


def in_tables(connection: sa.Connection, names: Sequence[str]) -> list[str]:
    """Return where names stand in any table of the database, as `table.column: name`."""
    if not names:
        return []
    pattern = whole(s for name in names for s in spellings(name))
    found: dict[str, None] = {}
    inspector = sa.inspect(connection)
    for table in inspector.get_table_names():
        for column in inspector.get_columns(table):
            name, kind = column["name"], column["type"]
            texts = _holding(connection, table, name, kind, names) if (table, name) not in _EXEMPT else ()
            found |= {f"{table}.{name}: {match}": None for text in texts for match in pattern.findall(text)}
    return list(found)


def in_files(paths: Iterable[Path], names: Sequence[str]) -> list[str]:
    """Return where names stand in the bytes of files, as `file: name`; archives are looked into.

    Args:
        paths: Files; what is gone in the meantime holds nothing.
        names: What to look for, in UTF-8.
    """
    if not names:
        return []
    wanted = sorted({s.encode() for name in names for s in spellings(name)}, key=len, reverse=True)
    pattern = re.compile(rb"(?<![0-9A-Za-z])(?:" + b"|".join(map(re.escape, wanted)) + rb")(?![0-9A-Za-z])")
    found: dict[str, None] = {}
    for path in paths:
        for part, file in _opened(path):
            found |= {f"{part}: {match.decode()}": None for match in _matches(file, pattern, len(wanted[0]))}
    return list(found)


def _opened(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    try:
        with path.open("rb") as file:
            yield path.name, file
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    with archive.open(name) as member:
                        yield f"{path.name}/{name}", member
    except FileNotFoundError:  # SQLite's side files come and go
        return


def _matches(file: IO[bytes], pattern: re.Pattern[bytes], longest: int) -> Iterator[bytes]:
    rest = b""
    while chunk := file.read(_CHUNK):
        yield from pattern.findall(rest + chunk)
        rest = (rest + chunk)[-longest - 2 :]  # a name may lie across two chunks


def _holding(
    connection: sa.Connection, table: str, column: str, kind: sa.types.TypeEngine[Any], names: Sequence[str]
) -> Iterator[str]:
    """Yield the texts of a column that hold one of the names, bytes read as UTF-8."""
    named: sa.ColumnElement[Any] = sa.column(column)
    query = sa.select(named).select_from(sa.table(table))
    if (table, column) in _EXACT:
        query = query.where(named.in_(names))
    else:
        needles = [s for name in names for s in spellings(name)]
        query = query.where(sa.or_(*(_contains(connection, named, kind, needle) for needle in needles)))
    for value in connection.execute(query).scalars():
        yield bytes(value).decode(errors="replace") if isinstance(value, bytes | memoryview) else str(value)


def _contains(
    connection: sa.Connection, column: sa.ColumnElement[Any], kind: sa.types.TypeEngine[Any], text: str
) -> sa.ColumnElement[bool]:
    if connection.dialect.name == "sqlite":  # as bytes, since a text comparison ends at a zero
        return sa.func.instr(sa.cast(column, sa.LargeBinary), text.encode()) > 0
    if isinstance(kind, sa.LargeBinary):
        return sa.func.position(sa.literal(text.encode()).op("IN")(column)) > 0
    return sa.cast(column, sa.Text).contains(text, autoescape=True)
