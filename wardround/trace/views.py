"""What can be read off a log: pure folds; an event delivered twice counts once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from wardround.core.decision import Decision
from wardround.core.graph import EvidenceGraph
from wardround.trace.events import (
    DecisionMade,
    Event,
    EvidenceAdded,
    ModelAnswered,
    ModelAsked,
    RunEnded,
    RunStarted,
    SpanEnded,
    SpanStarted,
    ToolCalled,
)


@dataclass(frozen=True)
class Usage:
    """What a run cost."""

    calls: int
    tokens: int
    """Input and output; 0 where the model does not count."""
    seconds: float
    """From the first event to the last."""
    tools: int


def evidence_graph(events: Iterable[Event]) -> EvidenceGraph:
    """Rebuild the evidence graph from the log."""
    return EvidenceGraph(event.item for event in events if isinstance(event, EvidenceAdded))


def usage(events: Iterable[Event]) -> Usage:
    """Count calls, tokens and time; a call repeated after a resume counts each time it was made."""
    log = list(_once(events))
    answered = [event for event in log if isinstance(event, ModelAnswered)]
    return Usage(
        calls=sum(isinstance(event, ModelAsked) for event in log),
        tokens=sum((a.input_tokens or 0) + (a.output_tokens or 0) for a in answered),
        seconds=round((log[-1].time - log[0].time).total_seconds(), 3) if log else 0.0,
        tools=sum(isinstance(event, ToolCalled) for event in log),
    )


def decision(events: Iterable[Event]) -> Decision | None:
    """Return the last decision of the log."""
    last = None
    for event in _once(events):
        if isinstance(event, DecisionMade):
            last = event.decision
    return last


def unsupported_claims(events: Iterable[Event]) -> list[str]:
    """Return ids of claims that cite a source which the log never recorded."""
    graph = evidence_graph(events)
    return [c.id for c in graph.claims.values() if not set(c.cites) <= set(graph.sources)]


def _once(events: Iterable[Event]) -> Iterator[Event]:
    """Each place of the log once, however often it was delivered."""
    seen: set[tuple[str, int]] = set()
    for event in events:
        if (event.run, event.seq) not in seen:
            seen.add((event.run, event.seq))
            yield event


def timeline(events: Iterable[Event]) -> str:
    """Return the log as indented text, one line per act, without times."""
    return "\n".join(_timeline(events))


def _timeline(events: Iterable[Event]) -> Iterator[str]:
    depth: dict[str, int] = {"": 0}
    names: dict[str, str] = {}
    for event in _once(events):
        indent = "  " * depth.get(event.span, 0)
        match event:
            case SpanStarted():
                depth[event.opened] = depth.get(event.span, 0) + 1
                names[event.opened] = event.name
                yield f"{indent}{event.kind.value} {event.name}"
            case SpanEnded():
                if event.outcome.value != "done":
                    yield f"{indent}{names.get(event.closed, event.closed)} {event.outcome.value}"
            case RunStarted():
                yield f"{indent}run of case {event.case} with {event.model}"
            case ModelAsked():
                yield f"{indent}{event.agent} asked for {event.answer} (rollout {event.rollout})"
            case ToolCalled():
                yield f"{indent}{event.agent} used {event.tool} {event.arguments}"
            case DecisionMade():
                name = event.decision.diagnosis.name if event.decision.diagnosis else "no diagnosis"
                yield f"{indent}decided: {event.decision.status.value}, {name}"
            case RunEnded():
                yield f"{indent}run {event.outcome.value}"
            case _:
                pass
