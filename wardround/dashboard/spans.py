"""The tree of a run's spans, each with what happened in it in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from wardround.dashboard.exchanges import Call, Use
from wardround.dashboard.showing import line, percent
from wardround.trace.events import (
    AnswerRefused,
    CardNamed,
    DecisionMade,
    Event,
    EvidenceAdded,
    FhirExchanged,
    GatheringChosen,
    ImageRead,
    ModelReached,
    OpinionGiven,
    PlanMade,
    RecordRead,
    RolloutsEnded,
    SpanEnded,
    SpanStarted,
    TriageGiven,
    UncertaintyMeasured,
)


@dataclass(frozen=True)
class Note:
    """One thing that happened in a span, in words."""

    text: str
    kind: str
    """Of the event; `bad` where something was refused or failed."""
    seq: int
    anchor: str = ""


@dataclass
class Span:
    """A stretch of work with what happened in it."""

    id: str
    name: str
    kind: str
    start: float
    """Seconds from the beginning of the run."""
    depth: int
    parent: str
    seconds: float | None = None
    outcome: str = "running"
    error: str | None = None
    tokens: int = 0
    """Of its own calls and those below."""
    money: float | None = None
    calls: int = 0
    notes: list[Note] = field(default_factory=list)
    children: list[Span] = field(default_factory=list)
    anchor: str = ""
    """Id of the call or tool use that it is."""

    @property
    def is_bad(self) -> bool:
        """Whether it failed, or something in it was refused."""
        return self.outcome == "failed" or any(note.kind == "bad" for note in self.notes)


def spans_of(events: Sequence[Event], calls: Sequence[Call] = (), uses: Sequence[Use] = ()) -> list[Span]:
    """Return the spans in the order in which they began, each under the one that it belongs to.

    What happened outside of any span belongs to none and is not here.
    """
    begin = events[0].time if events else None
    found: dict[str, Span] = {}
    for event in events:
        if isinstance(event, SpanStarted) and begin is not None:
            parent = found.get(event.span)
            span = Span(
                id=event.opened,
                name=line(event.name, most=80),
                kind=event.kind.value,
                start=(event.time - begin).total_seconds(),
                depth=parent.depth + 1 if parent is not None else 0,
                parent=event.span if parent is not None else "",
            )
            if event.opened not in found:  # a span that was entered again after a resume keeps its place
                found[event.opened] = span
                if parent is not None:
                    parent.children.append(span)
        elif isinstance(event, SpanEnded) and event.closed in found:
            span = found[event.closed]
            span.seconds, span.outcome = event.seconds, event.outcome.value
            span.error = line(event.error, most=600) if event.error else None
    _add_notes(found, events)
    _add_exchanges(found, calls, uses)
    return list(found.values())


def _add_exchanges(found: Mapping[str, Span], calls: Sequence[Call], uses: Sequence[Use]) -> None:
    for call in calls:
        span = found.get(call.span)
        if span is None:
            continue
        span.anchor = span.anchor or call.anchor
        tokens = (call.input_tokens or 0) + (call.output_tokens or 0)
        while span is not None:
            span.calls, span.tokens = span.calls + 1, span.tokens + tokens
            if call.money is not None:
                span.money = (span.money or 0.0) + call.money
            span = found.get(span.parent)
    for use in uses:
        span = found.get(use.span)
        if span is not None:
            span.anchor = span.anchor or use.anchor


def _add_notes(found: Mapping[str, Span], events: Sequence[Event]) -> None:
    added: dict[str, Counter[str]] = {}
    for event in events:
        span = found.get(event.span)
        if span is None:
            continue
        if isinstance(event, EvidenceAdded):
            added.setdefault(span.id, Counter())[event.item.item] += 1
            continue
        span.notes += _notes(event)
    for name, counts in added.items():
        words = ", ".join(f"{n} {kind}{'s' if n != 1 else ''}" for kind, n in sorted(counts.items()))
        found[name].notes.append(Note(f"evidence: {words}", "evidence_added", -1))


def _notes(event: Event) -> Iterator[Note]:
    """What an event says in a line; spans, calls and tools are shown elsewhere."""
    text = _words(event)
    if text:
        yield Note(line(text, most=400), "bad" if isinstance(event, AnswerRefused) else event.event, event.seq)


def _words(event: Event) -> str:
    match event:
        case ModelReached():
            can = [name for name in ("constrained", "sampled", "several", "tools", "images") if getattr(event, name)]
            return f"model {event.model} reached; it can: {', '.join(can) or 'plain answers'}"
        case ImageRead():
            return (
                f"image {event.width} x {event.height} read{': ' if event.problems else ''}{'; '.join(event.problems)}"
            )
        case RecordRead():
            return f"record: {sum(event.used.values())} resources used, {sum(event.skipped.values())} skipped"
        case FhirExchanged():
            return f"{event.method} {event.url}: {event.status if event.fault is None else event.fault}"
        case TriageGiven(triage=triage, routed=routed):
            return f"{triage.urgency.value}; asked: {', '.join(routed) or 'nobody'}"
        case PlanMade():
            named = [str(i.get("indicator", "")) for i in event.indicators]
            return f"to establish: {', '.join(named) or 'nothing'}"
        case OpinionGiven():
            given = event.opinion or {}
            said = f"{given.get('leading')} ({percent(number(given.get('confidence')))})" if given else "no opinion"
            return f"rollout {event.rollout}: {said}"
        case RolloutsEnded():
            return f"{event.asked} opinions asked, then {event.because} (holds {percent(event.holds)})"
        case GatheringChosen():
            return f"round {event.round} because of {event.because}: {event.action}; {event.found} new sources"
        case UncertaintyMeasured():
            return f"uncertainty {event.uncertainty.combined:.3f} about {event.answer or 'no answer'}"
        case AnswerRefused():
            return f"answer not taken{' (final)' if event.final else ''}: {event.fault}"
        case DecisionMade(decision=decision):
            return str(decision).splitlines()[0]
        case CardNamed():
            return "calibration card named"
        case _:
            return ""


def number(value: object) -> float | None:
    """Return a value of a JSON document where it is a number."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
