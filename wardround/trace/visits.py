"""The steps of the state machine that a run took, read off its log alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from wardround.trace.events import Event, Outcome, RunEnded, RunStarted, SpanEnded, SpanKind, SpanStarted, Suspended

END = "__end__"


@dataclass(frozen=True)
class Visit:
    """One step that was taken; specialists that worked at the same time are one."""

    step: str
    spans: tuple[str, ...]
    """Ids of its spans; none where a person was asked, and where it is known only by what came after."""
    names: tuple[str, ...]
    begun: int
    """Place in the log at which it began, or was first heard of."""
    seq: int
    """Place in the log at which it was over, or last heard of."""
    outcome: str = Outcome.DONE.value
    is_told: bool = True
    """Whether the log names it; the record agent's `tell` leaves no span."""
    time: int = 1
    """How often the step had been taken, with this one."""

    @property
    def name(self) -> str:
        """What it is called among all visits, such as `weigh`, and `weigh:2` where the step was taken again."""
        return self.step if self.time == 1 else f"{self.step}:{self.time}"


def is_record_agent(events: Sequence[Event]) -> bool:
    """Return whether a run is a record agent's; others are consults."""
    started = next((event for event in events if isinstance(event, RunStarted)), None)
    return started is not None and started.settings.get("agent") == "ehr"


def visits_of(events: Sequence[Event]) -> list[Visit]:
    """Return the steps that were taken, in order."""
    is_records = is_record_agent(events)
    ended = {event.closed: event for event in events if isinstance(event, SpanEnded)}
    steps = {event.seq for event in _step_spans(events)}  # a resumed run opens a span again under its id
    found: list[Visit] = []
    for event in events:
        if isinstance(event, SpanStarted) and event.seq in steps:
            over = ended.get(event.opened)
            outcome = over.outcome.value if over is not None else "running"
            step = _record_step(event) if is_records else _consult_step(event)
            until = over.seq if over is not None else event.seq
            visit = Visit(step, (event.opened,), (event.name,), event.seq, until, outcome)
            _take(found, visit, is_records=is_records)
        elif isinstance(event, Suspended):
            step = "confirm" if is_records else "ask_person"
            found.append(Visit(step, (), (), event.seq, event.seq, Outcome.SUSPENDED.value))
        elif isinstance(event, RunEnded) and event.outcome is Outcome.DONE:
            found.append(Visit(END, (), (), event.seq, event.seq))
    return _numbered(found)


def steps_begun(events: Iterable[Event]) -> int:
    """Return how many spans of steps a log has, those of specialists each."""
    return sum(1 for _ in _step_spans(events))


def _step_spans(events: Iterable[Event]) -> Iterator[SpanStarted]:
    runs: set[str] = set()
    for event in events:
        if isinstance(event, SpanStarted):
            if event.kind is SpanKind.RUN:
                runs.add(event.opened)
            elif event.span in runs:
                yield event


def _numbered(visits: Iterable[Visit]) -> list[Visit]:
    counts: Counter[str] = Counter()
    found = []
    for visit in visits:
        counts[visit.step] += 1
        found.append(replace(visit, time=counts[visit.step]))
    return found


def _consult_step(event: SpanStarted) -> str:
    return "specialist" if event.kind is SpanKind.AGENT else event.name.replace(" ", "_")


def _record_step(event: SpanStarted) -> str:
    return "think" if event.kind is SpanKind.MODEL else "act"


def _take(found: list[Visit], visit: Visit, *, is_records: bool) -> None:
    last = found[-1] if found else None
    if not is_records and last is not None and last.step == visit.step == "specialist":
        found[-1] = replace(
            last,
            spans=(*last.spans, *visit.spans),
            names=(*last.names, *visit.names),
            seq=max(last.seq, visit.seq),
            outcome=last.outcome if visit.outcome == Outcome.DONE.value else visit.outcome,
        )
        return
    if is_records and visit.step == "think" and last is not None and last.step in ("act", "think"):
        found.append(Visit("tell", (), (), last.seq, last.seq, is_told=False))
    found.append(visit)
