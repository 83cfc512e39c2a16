"""How a run went: the path through the state machine, the tree of spans, when what happened, and what was said."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from wardround.core.case import Case
from wardround.dashboard import machine
from wardround.dashboard.exchanges import Call, Use, calls_of, uses_of
from wardround.dashboard.showing import duration, line, percent
from wardround.dashboard.timelines import Stretch, waterfall
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
    Resumed,
    RolloutsEnded,
    RunEnded,
    SpanEnded,
    SpanKind,
    SpanStarted,
    Suspended,
    TriageGiven,
    UncertaintyMeasured,
)

MOST_ROWS = 600
"""Spans in the tree and the waterfall; more are counted in words."""


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


@dataclass(frozen=True)
class Rollout:
    """One opinion of one specialist."""

    agent: str
    rollout: int
    leading: str
    confidence: float | None
    differential: tuple[tuple[str, float], ...]
    claims: int
    missing: tuple[str, ...]
    agrees: bool
    """Whether it names what most name."""
    seq: int


@dataclass(frozen=True)
class Checkpoint:
    """A step behind which the run could be taken up anew."""

    seq: int
    """Place in the log; what came before it stays, what came after is done again."""
    step: str
    time: datetime
    holds: str
    """What was known by then, in words."""
    calls: tuple[Call, ...] = ()
    """Questions to models that were put in the step: a fork changes the answer to one."""


def course_page(events: Sequence[Event], case: Case) -> dict[str, Any]:
    """Return all that the page of a run's course shows.

    Args:
        events: The run's log, whole or up to now.
        case: The patient or the task.

    Returns:
        `picture` of the state machine, `visits`, `tree` (spans without a parent), `spans` in order, `waterfall`,
        `calls`, `uses`, `rollouts` with `halts`, `checkpoints`, `totals` by agent, and `left`, the spans that are
        not shown.
    """
    calls, uses = calls_of(events), uses_of(events)
    spans = spans_of(events, calls, uses)
    shown = spans[:MOST_ROWS]
    visits = machine.visits_of(events)
    return {
        "picture": machine.picture(machine.machine_of(events), visits),
        "visits": visits,
        "tree": [span for span in shown if not span.parent],
        "spans": shown,
        "left": len(spans) - len(shown),
        "waterfall": waterfall([_stretch(span) for span in _depth_first(spans)[:MOST_ROWS]], total=_total(events)),
        "calls": calls,
        "uses": uses,
        "rollouts": rollouts_of(events),
        "halts": [event for event in events if isinstance(event, RolloutsEnded)],
        "checkpoints": checkpoints_of(events, visits, calls),
        "totals": totals_of(calls),
        "has_money": any(call.money is not None for call in calls),
    }


def _depth_first(spans: Sequence[Span]) -> list[Span]:
    """Spans with what belongs to each right below it; the log has them by time, and agents work at once."""
    found: list[Span] = []
    waiting = [span for span in reversed(spans) if not span.parent]
    while waiting:
        span = waiting.pop()
        found.append(span)
        waiting += reversed(span.children)
    return found


def _total(events: Sequence[Event]) -> float:
    return max(0.001, (events[-1].time - events[0].time).total_seconds()) if events else 0.001


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
            said = f"{given.get('leading')} ({percent(_number(given.get('confidence')))})" if given else "no opinion"
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


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _stretch(span: Span) -> Stretch:
    figure = f"{duration(span.seconds)}" if span.seconds is not None else "under way"
    if span.tokens:
        figure += f" · {span.tokens:,} tokens".replace(",", " ")
    if span.money is not None:
        figure += f" · {span.money:.4g}"
    anchor = f"span-{span.id}"
    return Stretch(span.name, span.depth, span.start, span.seconds or 0.0, span.kind, figure, anchor, span.outcome)


def rollouts_of(events: Sequence[Event]) -> dict[str, list[Rollout]]:
    """Return the opinions by specialist, in order of their rollouts."""
    given = [event for event in events if isinstance(event, OpinionGiven)]
    counts = Counter(event.cluster for event in given if event.cluster is not None)
    most = counts.most_common(1)[0][0] if counts else None
    found: dict[str, list[Rollout]] = {}
    for event in sorted(given, key=lambda e: (e.agent, e.rollout, e.seq)):
        found.setdefault(line(event.agent, most=60), []).append(_rollout(event, most))
    return found


def _rollout(event: OpinionGiven, most: str | None) -> Rollout:
    answer = event.opinion or {}
    listed = [row for row in answer.get("differential", ()) if isinstance(row, dict)]
    return Rollout(
        agent=line(event.agent, most=60),
        rollout=event.rollout,
        leading=line(str(answer.get("leading") or "no opinion"), most=120),
        confidence=_number(answer.get("confidence")),
        differential=tuple(
            (line(str(d.get("diagnosis")), most=80), _number(d.get("probability")) or 0.0) for d in listed[:6]
        ),
        claims=len(answer.get("claims", ())),
        missing=tuple(line(str(m), most=120) for m in answer.get("missing", ())[:4]),
        agrees=event.cluster is not None and event.cluster == most,
        seq=event.seq,
    )


def totals_of(calls: Sequence[Call]) -> list[tuple[str, int, int, int, float, float | None]]:
    """Return calls, input and output tokens, seconds and money by agent, the dearest first."""
    agents: dict[str, list[Call]] = {}
    for call in calls:
        agents.setdefault(call.agent, []).append(call)
    rows = []
    for agent, own in agents.items():
        money = [call.money for call in own if call.money is not None]
        rows.append(
            (
                agent,
                len(own),
                sum(call.input_tokens or 0 for call in own),
                sum(call.output_tokens or 0 for call in own),
                sum(call.seconds or 0.0 for call in own),
                sum(money) if money else None,
            )
        )
    return sorted(rows, key=lambda row: -(row[2] + row[3]))


def checkpoints_of(
    events: Sequence[Event], visits: Sequence[machine.Visit], calls: Sequence[Call] = ()
) -> list[Checkpoint]:
    """Return the ends of the steps, behind each of which the run could go on in another way."""
    times = {event.seq: event.time for event in events}
    added = [(event.seq, event.item.item) for event in events if isinstance(event, EvidenceAdded)]
    found, since = [], -1
    for visit in visits:
        if visit.seq not in times or visit.step == machine.END or visit.outcome != "done":
            continue
        known = Counter(kind for seq, kind in added if seq <= visit.seq)
        holds = ", ".join(f"{known[kind]} {kind}s" for kind in ("source", "reading", "claim", "verdict") if known[kind])
        within = tuple(call for call in calls if since < call.seq <= visit.seq)
        step = visit.step.replace("_", " ")
        found.append(Checkpoint(visit.seq, step, times[visit.seq], holds or "the case as given", within))
        since = visit.seq
    return found


def passes_of(events: Sequence[Event]) -> list[tuple[datetime, str]]:
    """Return when the run waited for a person, went on, and ended, with what was asked and answered."""
    found = []
    for event in events:
        match event:
            case Suspended():
                found.append((event.time, "a person was asked"))
            case Resumed(answer=answer):
                said = line(json.dumps(answer, ensure_ascii=False), most=400) if answer else "without an answer"
                found.append((event.time, f"went on: {said}"))
            case RunEnded(outcome=outcome):
                found.append((event.time, f"ended: {outcome.value}"))
            case _:
                pass
    return found


def span_kinds() -> tuple[str, ...]:
    """Return the kinds of spans, by which the tree can be filtered."""
    return tuple(kind.value for kind in SpanKind)
