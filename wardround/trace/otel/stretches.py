"""A log as stretches of work, each with what happened in it: the tree that the spans follow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import TypeVar

from wardround.core.claim import Claim
from wardround.core.errors import UsageError
from wardround.core.items import ClaimItem, SourceItem
from wardround.core.source import Source
from wardround.trace.events import (
    Event,
    EvidenceAdded,
    Outcome,
    Resumed,
    RunEnded,
    RunStarted,
    SpanEnded,
    SpanKind,
    SpanStarted,
    Suspended,
)

E = TypeVar("E")

ROOT = "run"
"""Key of the stretch that is the whole run."""


@dataclass(frozen=True)
class Stretch:
    """A stretch of work."""

    key: str
    """The id under which it was opened, and the how manieth time: after a resume some are opened again."""
    kind: SpanKind
    name: str
    parent: str | None
    start: datetime
    end: datetime
    outcome: Outcome | None
    """How it ended; nothing where the log stops before."""
    error: str | None
    run_pass: int
    """How often the run had been resumed when it began."""
    events: tuple[Event, ...]
    """What happened directly in it."""

    def of(self, *kinds: type[E]) -> list[E]:
        """Return its own events of some kinds."""
        return [event for event in self.events if isinstance(event, kinds)]


@dataclass
class _Open:
    """A stretch while the log is being read."""

    key: str
    kind: SpanKind
    name: str
    parent: str | None
    start: datetime
    run_pass: int
    end: datetime | None = None
    outcome: Outcome | None = None
    error: str | None = None
    events: list[Event] = field(default_factory=list)

    def close(self, last: datetime) -> Stretch:
        return Stretch(
            key=self.key,
            kind=self.kind,
            name=self.name,
            parent=self.parent,
            start=self.start,
            end=max(self.end or last, self.start),  # a clock can be set back
            outcome=self.outcome,
            error=self.error,
            run_pass=self.run_pass,
            events=tuple(self.events),
        )


@dataclass(frozen=True)
class Log:
    """A run's events, and the stretches that they make."""

    started: RunStarted
    events: tuple[Event, ...]
    stretches: tuple[Stretch, ...]
    """The whole run first, then by their beginning."""

    @property
    def root(self) -> Stretch:
        """The whole run."""
        return self.stretches[0]

    @cached_property
    def sources(self) -> dict[str, Source]:
        """Everything that was read, by id."""
        items = (event.item for event in self.events if isinstance(event, EvidenceAdded))
        return {item.source.id: item.source for item in items if isinstance(item, SourceItem)}

    @cached_property
    def claims(self) -> dict[str, Claim]:
        """Everything that was claimed, by id."""
        items = (event.item for event in self.events if isinstance(event, EvidenceAdded))
        return {item.claim.id: item.claim for item in items if isinstance(item, ClaimItem)}

    @cached_property
    def _by_parent(self) -> dict[str | None, list[Stretch]]:
        found: dict[str | None, list[Stretch]] = {}
        for stretch in self.stretches:
            found.setdefault(stretch.parent, []).append(stretch)
        return found

    @cached_property
    def _by_key(self) -> dict[str, Stretch]:
        return {stretch.key: stretch for stretch in self.stretches}

    def within(self, stretch: Stretch, kind: SpanKind | None = None) -> list[Stretch]:
        """Return what lies directly within a stretch."""
        inner = self._by_parent.get(stretch.key, [])
        return [s for s in inner if kind is None or s.kind is kind]

    def step(self, stretch: Stretch) -> Stretch | None:
        """Return the step of the state machine that a stretch is or lies in; the run itself is in none."""
        while stretch.parent is not None and stretch.parent != ROOT:
            stretch = self._by_key[stretch.parent]
        return stretch if stretch.parent == ROOT and stretch.kind in (SpanKind.NODE, SpanKind.AGENT) else None


def read_log(events: Iterable[Event]) -> Log:
    """Read a run's log; an event that is given twice counts once, and the order does not matter.

    Raises:
        UsageError: It is not the log of one run, from its beginning.
    """
    given = {(event.run, event.seq): event for event in events}
    runs = {run for run, _ in given}
    if len(runs) > 1:
        raise UsageError(f"a trace is made of one run, and these events are of {len(runs)}; give those of one")
    log = tuple(given[place] for place in sorted(given))
    if not log or not isinstance(log[0], RunStarted):
        raise UsageError("the log has no beginning; give all events of the run, as the store returns them")
    last = max(event.time for event in log)
    return Log(started=log[0], events=log, stretches=tuple(s.close(last) for s in _stretches(log[0], log)))


def _stretches(started: RunStarted, log: Sequence[Event]) -> Iterator[_Open]:
    root = _Open(ROOT, SpanKind.RUN, "run", None, started.time, 0)
    found = [root]
    now: dict[str, _Open] = {"": root}
    times: Counter[str] = Counter()
    resumed = 0
    for event in log:
        inside = now.get(event.span, root)
        match event:
            case SpanStarted(kind=SpanKind.RUN):  # each pass has its own, and they are one run
                root.name, now[event.opened] = event.name, root
            case SpanStarted():
                times[event.opened] += 1
                key = f"{event.opened}#{times[event.opened]}"
                now[event.opened] = _Open(key, event.kind, event.name, inside.key, event.time, resumed)
                found.append(now[event.opened])
            case SpanEnded() if now.get(event.closed, root) is not root:
                closed = now[event.closed]
                measured = closed.start + timedelta(seconds=event.seconds)
                # the wall clock may have been set back since; the length was measured by one that cannot be
                closed.end = event.time if event.time >= closed.start else measured
                closed.outcome, closed.error = event.outcome, event.error
            case SpanEnded():
                pass  # of a pass; how the run ended, it says itself
            case _:
                resumed += isinstance(event, Resumed)
                inside.events.append(event)
    _end(root)
    return iter(found)


def _end(root: _Open) -> None:
    """Tell how a run ended, which its last event says where it did."""
    match root.events[-1]:
        case RunEnded(time=time, outcome=outcome, error=error):
            root.end, root.outcome, root.error = time, outcome, error
        case Suspended(time=time):
            root.end, root.outcome = time, Outcome.SUSPENDED
        case _:
            pass
