"""Where the state machines keep their state between steps."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wardround.core.errors import StoreError

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

_PATIENCE = 30.0
"""Seconds to wait for another writer."""


@asynccontextmanager
async def checkpoints(path: Path, serializer: JsonPlusSerializer) -> AsyncIterator[BaseCheckpointSaver[Any]]:
    """Open the checkpoints of a workspace.

    Raises:
        StoreError: The file cannot be used.
    """
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
