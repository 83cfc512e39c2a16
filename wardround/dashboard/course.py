"""How a run went: the path through the state machine, the tree of spans, when what happened, and what was said."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from wardround.core.case import Case
from wardround.dashboard import machine
from wardround.dashboard.exchanges import Call, calls_of, uses_of
from wardround.dashboard.showing import duration, line
from wardround.dashboard.spans import Span, number, spans_of
from wardround.dashboard.timelines import Stretch, waterfall
from wardround.graphs.forking import forkable
from wardround.trace.events import (
    Event,
    EvidenceAdded,
    OpinionGiven,
    Resumed,
    RolloutsEnded,
    RunEnded,
    SpanKind,
    Suspended,
)
from wardround.trace.visits import visits_of

MOST_ROWS = 600
"""Spans in the tree and the waterfall; more are counted in words."""


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
    """A step from which on the run could go in another way."""

    name: str
    """By which a fork names it, such as `attending` or `weigh:2`."""
    seq: int
    """Place in the log; what came before it stays, what came after is done again."""
    time: datetime
    holds: str
    """What was known by then, in words."""
    calls: tuple[Call, ...] = ()
    """Questions to models that were put in the step: a fork can change the answer to one."""


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
    visits = visits_of(events)
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
        "checkpoints": checkpoints_of(events, calls),
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
        confidence=number(answer.get("confidence")),
        differential=tuple(
            (line(str(d.get("diagnosis")), most=80), number(d.get("probability")) or 0.0) for d in listed[:6]
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


def checkpoints_of(events: Sequence[Event], calls: Sequence[Call] = ()) -> list[Checkpoint]:
    """Return the beginnings of the steps from which on the run could go in another way."""
    times = {event.seq: event.time for event in events}
    added = [(event.seq, event.item.item) for event in events if isinstance(event, EvidenceAdded)]
    found = []
    for visit in forkable(events):
        known = Counter(kind for seq, kind in added if seq < visit.begun)
        holds = ", ".join(f"{known[kind]} {kind}s" for kind in ("source", "reading", "claim", "verdict") if known[kind])
        within = tuple(call for call in calls if visit.begun < call.seq <= visit.seq)
        found.append(Checkpoint(visit.name, visit.begun, times[visit.begun], holds or "the case as given", within))
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
