"""How runs come into the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from wardround.core.errors import StoreError
from wardround.trace import searching
from wardround.trace.capture import WithoutContent
from wardround.trace.chain import BEGINNING, json_value, next_head
from wardround.trace.events import Event, RunEnded, RunStarted, SpanEnded, Suspended
from wardround.trace.reading import COLUMNS
from wardround.trace.removing import remove
from wardround.trace.rows import begun, updated
from wardround.trace.schema import COUNTER, EVENTS, RUNS
from wardround.trace.texts import dumped, kept, pack

if TYPE_CHECKING:
    from wardround.trace.store import RunStore

_FLUSH_AT = 200
"""Events that are written at once at most."""
_INDEXED_AT = frozenset(("run_ended", "suspended"))
"""With these a run rests, and its words are made ready to be searched; else they are when they are looked for."""


def begin(connection: sa.Connection, started: dict[str, Any]) -> None:
    """Enter a run in place of an earlier one of the same id."""
    same = sa.select(RUNS.c.key).where(RUNS.c.id == started["run"]).with_for_update()
    remove(connection, connection.execute(same).scalars().all())
    connection.execute(sa.insert(RUNS).values(**begun(started), changed=_next_position(connection)))


def append(connection: sa.Connection, run: str, values: Sequence[dict[str, Any]]) -> None:
    """Add events to the end of a run's log; those that are there already are passed over.

    Raises:
        StoreError: The run never began, an event is not the one that is there, or there is a gap.
    """
    row = locked(connection, run)
    if row is None:
        raise StoreError(f"events of run {run} cannot be written, since it never began")
    fresh = [value for value in values if value["seq"] >= row["length"]]
    _require_same(connection, row, [value for value in values if value["seq"] < row["length"]])
    if not fresh:
        return
    if [value["seq"] for value in fresh] != list(range(row["length"], row["length"] + len(fresh))):
        what = f"event {fresh[0]['seq']} cannot be written after {row['length']} events"
        raise StoreError(f"the log of run {run} has a gap: {what}; write all of them in order")
    _insert(connection, row, fresh)


def locked(connection: sa.Connection, run: str) -> Mapping[str, Any] | None:
    """Return the row of a run, held against other writers until the transaction ends."""
    found = connection.execute(sa.select(RUNS).where(RUNS.c.id == run).with_for_update()).one_or_none()
    return found._asdict() if found is not None else None


def keep_case(connection: sa.Connection, run: int, case: str) -> None:
    """Keep a case, as it is, for a run."""
    ids = kept(connection, run, {case: ("text", dumped(case))})
    connection.execute(sa.update(RUNS).where(RUNS.c.key == run).values(case_text=ids[case], indexed=0))


def _insert(connection: sa.Connection, row: Mapping[str, Any], fresh: Sequence[dict[str, Any]]) -> None:
    run = row["key"]
    stripped = [{name: field for name, field in value.items() if name not in COLUMNS} for value in fresh]
    head, rows = bytes(row["head"]), []
    for value, body in zip(fresh, pack(connection, run, stripped), strict=True):
        head = next_head(head, value)
        rows.append({"run": run, "seq": value["seq"], "event": value["event"], "body": body, "head": head})
    connection.execute(sa.insert(EVENTS), rows)
    new = updated(row, fresh) | {"length": row["length"] + len(fresh), "head": head}
    new |= {"changed": _next_position(connection)}  # last, since all other writers wait for it
    changed = {name: value for name, value in new.items() if value != row[name]}
    connection.execute(sa.update(RUNS).where(RUNS.c.key == run).values(**changed))
    if any(value["event"] in _INDEXED_AT for value in fresh):
        searching.index(connection, run)


def _require_same(connection: sa.Connection, row: Mapping[str, Any], values: Sequence[dict[str, Any]]) -> None:
    """Make sure that events which are there already are the same."""
    places = {seq for value in values for seq in (value["seq"], value["seq"] - 1)}
    query = sa.select(EVENTS.c.seq, EVENTS.c.head).where(EVENTS.c.run == row["key"], EVENTS.c.seq.in_(places))
    heads = {seq: bytes(head) for seq, head in connection.execute(query)} | {-1: BEGINNING}
    for value in values:
        if next_head(heads[value["seq"] - 1], value) != heads[value["seq"]]:
            what = f"event {value['seq']} of run {row['id']} cannot be written: another is there"
            raise StoreError(f"{what}; somebody else goes on with the run, or it was not begun anew")


def _next_position(connection: sa.Connection) -> int:
    counted = sa.update(COUNTER).values(changes=COUNTER.c.changes + 1).returning(COUNTER.c.changes)
    return int(connection.execute(counted).scalar_one())


class RunWriter:
    """Collects a run's events and writes them at the end of each span."""

    def __init__(self, store: RunStore, run: str) -> None:
        self._store, self._run = store, run
        self._waiting: list[Event] = []
        self._bare = WithoutContent()

    def __call__(self, event: Event) -> None:
        """Take an event; the first of a run enters the run."""
        if not self._store.content:
            event = self._bare(event)
        if isinstance(event, RunStarted):
            self._store.begin(event)
            self._waiting = []
        self._waiting.append(event)
        important = isinstance(event, RunStarted | SpanEnded | RunEnded | Suspended)
        if important or len(self._waiting) >= _FLUSH_AT:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting; when this returns, it is in the log.

        Raises:
            StoreError: It could not be written; it waits on, and is written with what comes next.
        """
        if self._waiting:
            self._store.append(self._run, self._waiting)
            self._waiting = []


def values(events: Sequence[Event]) -> list[dict[str, Any]]:
    """Return events as JSON has them."""
    return [json_value(event) for event in events]
