"""How the databases are reached, and brought to the tables of this version."""

from __future__ import annotations

import importlib.util
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from wardround.core.errors import MissingExtra, StoreError, UsageError
from wardround.trace.schema import REVISION, create_tables
from wardround.trace.workspaces import is_url

_PATIENCE = 30.0
"""Seconds to wait for another writer."""
_LOCK = 0x776172_64726F75
"""Number of PostgreSQL's advisory lock under which tables are made; `wardrou` in ASCII."""
_VERSION = sa.Table("alembic_version", sa.MetaData(), sa.Column("version_num", sa.String(32), primary_key=True))


def engine_of(workspace: str | Path) -> sa.Engine:
    """Return an engine for a folder or a URL, the folder being made if there is none.

    Raises:
        MissingExtra: The driver of PostgreSQL is not installed.
        UsageError: The URL cannot be read.
        OSError: The folder cannot be made.
    """
    if not is_url(workspace):
        folder = Path(workspace)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        engine = sa.create_engine(sa.URL.create("sqlite", database=str(folder / "runs.db")))
        sa.event.listen(engine, "connect", _configure)
        sa.event.listen(engine, "begin", _begin)
        return engine
    if importlib.util.find_spec("psycopg") is None:
        raise MissingExtra("psycopg", "postgres")
    try:
        url = sa.make_url(str(workspace)).set(drivername="postgresql+psycopg")
    except (sa.exc.ArgumentError, ValueError) as error:
        raise UsageError(f"the address of the database cannot be read ({error}); write postgresql://...") from error
    return sa.create_engine(url, pool_pre_ping=True)


def make_ready(engine: sa.Engine) -> None:
    """Make the tables in an empty database, or bring older ones to this version.

    Raises:
        StoreError: The tables are those of a newer version.
        sqlalchemy.exc.SQLAlchemyError: The database cannot be used.
    """
    with engine.connect() as connection:
        if _revision(connection) == REVISION:
            return
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK})
        revision = _revision(connection)  # again, since another may have been faster
        if revision == REVISION:
            return
        if revision is None and not sa.inspect(connection).has_table("runs"):
            create_tables(connection)
            _VERSION.create(connection)
            connection.execute(sa.insert(_VERSION).values(version_num=REVISION))
            return
        from wardround.trace.migrations import migrate  # Alembic takes long to import

        migrate(connection, revision)


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Open a transaction that writes; in SQLite it waits its turn before it reads anything."""
    with engine.connect() as connection:
        connection = connection.execution_options(writes=True)
        with connection.begin():
            yield connection


def where(engine: sa.Engine) -> str:
    """Return where the database is, without its password."""
    return engine.url.render_as_string() if engine.dialect.name == "postgresql" else str(engine.url.database)


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(sa.select(_VERSION.c.version_num)).scalar_one_or_none()
    if found is not None and found > REVISION:
        what = f"it was written by a newer version (tables {found}, known here {REVISION})"
        raise StoreError(f"{where(connection.engine)} cannot be used: {what}; install that version")
    return found


def _configure(connection: Any, record: object) -> None:
    connection.isolation_level = None  # transactions begin where we say so, see below
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={int(_PATIENCE * 1000)}")
    _write_ahead(cursor)
    for pragma in ("synchronous=NORMAL", "foreign_keys=ON", "secure_delete=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _write_ahead(cursor: Any) -> None:
    """Have the log written ahead; of several that do so to a new file, SQLite sends all but one away at once."""
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(0.01)


def _begin(connection: sa.Connection) -> None:
    options = connection.get_execution_options()
    if options.get("transaction", True):
        # A transaction that read first could not write once another has written in the meantime.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("writes") else "BEGIN")
