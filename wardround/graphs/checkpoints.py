"""Where the state machines keep their state between steps."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wardround.core.errors import StoreError
from wardround.core.extras import require

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

    from wardround.trace.store import RunStore

_PATIENCE = 30.0
"""Seconds to wait for another writer."""


@asynccontextmanager
async def checkpoints(store: RunStore, serializer: JsonPlusSerializer) -> AsyncIterator[BaseCheckpointSaver[Any]]:
    """Open the checkpoints of a workspace: a file beside the runs, or tables in the same database.

    Raises:
        StoreError: They cannot be used.
        MissingExtra: The saver for PostgreSQL is not installed.
    """
    if store.folder is None:
        async with _in_database(store, serializer) as kept:
            yield kept
    else:
        async with _in_file(store.checkpoints, serializer) as kept:
            yield kept


@asynccontextmanager
async def _in_database(store: RunStore, serializer: JsonPlusSerializer) -> AsyncIterator[BaseCheckpointSaver[Any]]:
    saver = require("langgraph.checkpoint.postgres.aio", extra="postgres").AsyncPostgresSaver
    rows = require("psycopg.rows", extra="postgres")
    psycopg = require("psycopg", extra="postgres")
    try:
        connected = await psycopg.AsyncConnection.connect(
            store.address, autocommit=True, prepare_threshold=0, row_factory=rows.dict_row
        )
    except psycopg.Error as error:
        raise StoreError(
            f"{store.name} cannot be used for checkpoints ({error}); check its address and rights"
        ) from error
    async with connected:
        kept = saver(connected, serde=serializer)
        await kept.setup()
        yield kept


@asynccontextmanager
async def _in_file(path: Path, serializer: JsonPlusSerializer) -> AsyncIterator[BaseCheckpointSaver[Any]]:
    import aiosqlite
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
    from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_random

    # A new file is made a log-ahead one at the first set-up; SQLite answers another that comes at the same
    # moment with "locked" at once, whatever time it was told to wait.
    again = AsyncRetrying(
        retry=retry_if_exception(_is_locked),
        stop=stop_after_delay(_PATIENCE),
        wait=wait_random(0.01, 0.1),
        reraise=True,
    )
    async with aiosqlite.connect(path, timeout=_PATIENCE) as connection:
        saver = AsyncSqliteSaver(connection, serde=serializer)
        try:
            async for attempt in again:
                with attempt:
                    await saver.setup()
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{path} cannot be used ({error}); move it away, or give another workspace") from error
        yield saver


def _is_locked(error: BaseException) -> bool:
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)
