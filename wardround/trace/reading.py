"""The events of a run as they are stored, put together again."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any

import sqlalchemy as sa

from wardround.core.errors import StoreError
from wardround.trace.chain import BEGINNING, next_head
from wardround.trace.schema import EVENTS, RUNS
from wardround.trace.texts import texts_in, texts_of, unpack

COLUMNS = ("run", "seq", "event")
"""Fields of an event that are columns and stand in no body."""


def values_of(connection: sa.Connection, run: int, seqs: Collection[int] | None = None) -> list[dict[str, Any]]:
    """Return a run's log as JSON has it.

    Args:
        connection: To read from.
        run: Key of the run.
        seqs: Places of the events that are wanted; all unless given.

    Raises:
        StoreError: A text that the log refers to is gone, or what is kept is no JSON.
    """
    name = connection.execute(sa.select(RUNS.c.id).where(RUNS.c.key == run)).scalar_one()
    return [value for value, _ in _chained(connection, run, name, seqs)]


def verify(connection: sa.Connection, run: int, name: str) -> None:
    """Check that a run's log is what was written: every event, in its place, none too many or too few.

    Raises:
        StoreError: It is not; names the first event whose hash does not fit.
    """
    head, seq = BEGINNING, -1
    for seq, (value, stored) in enumerate(_chained(connection, run, name)):
        head = next_head(head, value)
        if value["seq"] != seq or head != stored:
            raise StoreError(f"the log of run {name} was changed: event {seq} is not what was written")
    kept = connection.execute(sa.select(RUNS.c.length, RUNS.c.head).where(RUNS.c.key == run)).one()
    if kept.length != seq + 1 or bytes(kept.head) != head:
        raise StoreError(f"the log of run {name} was changed: event {seq + 1} is not what was written or is missing")


def _chained(
    connection: sa.Connection, run: int, name: str, seqs: Collection[int] | None = None
) -> Iterator[tuple[dict[str, Any], bytes]]:
    columns = (EVENTS.c.seq, EVENTS.c.event, EVENTS.c.body, EVENTS.c.head)
    wanted = [EVENTS.c.run == run, *([EVENTS.c.seq.in_(seqs)] if seqs is not None else [])]
    rows = connection.execute(sa.select(*columns).where(*wanted).order_by(EVENTS.c.seq)).all()
    bodies = [row.body for row in rows]
    values = unpack(bodies, texts_of(connection, run) if seqs is None else texts_in(connection, bodies))
    for row in rows:
        try:
            body = next(values)
            yield {"event": row.event, "run": name, "seq": row.seq, **body}, bytes(row.head)
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            what = f"the log of run {name} was changed: event {row.seq} is not what was written"
            raise StoreError(f"{what} ({type(error).__name__}: {error})") from error
