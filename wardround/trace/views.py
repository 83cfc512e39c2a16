"""What can be read off a log: pure folds; an event delivered twice counts once."""

from __future__ import annotations

from collections import Counter
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
    Origin,
    RunEnded,
    RunStarted,
    SpanEnded,
    SpanStarted,
    ToolCalled,
)


@dataclass(frozen=True)
class AgentUsage:
    """What one agent's calls cost; what was answered from a log is not counted."""

    calls: int
    input_tokens: int
    output_tokens: int
    seconds: float
    """Summed over its calls, which may have been under way at the same time."""


@dataclass(frozen=True)
class Usage:
    """What a run cost."""

    calls: int
    tokens: int
    """Input and output; 0 where the model does not count."""
    seconds: float
    """From the first event to the last."""
    tools: int
    agents: dict[str, AgentUsage]
    """By agent."""


def evidence_graph(events: Iterable[Event]) -> EvidenceGraph:
    """Rebuild the evidence graph from the log."""
    return EvidenceGraph(event.item for event in events if isinstance(event, EvidenceAdded))


def usage(events: Iterable[Event]) -> Usage:
    """Count calls, tokens and time, in all and by agent.

    A call repeated after a resume counts each time it was made; what was answered from the log of the same run
    was not made again and does not count. What a replay, a cache or a cassette answered counts as it did when
    it was made.
    """
    log = list(_once(events))
    asked = {event.call: event.agent for event in log if isinstance(event, ModelAsked)}
    calls = Counter(event.agent for event in log if isinstance(event, ModelAsked))
    counted: dict[str, list[ModelAnswered]] = {agent: [] for agent in calls}
    for event in log:
        if isinstance(event, ModelAnswered) and event.origin is not Origin.LOG:
            counted.setdefault(asked.get(event.call, ""), []).append(event)
    reused = Counter(
        asked.get(event.call, "") for event in log if isinstance(event, ModelAnswered) and event.origin is Origin.LOG
    )
    agents = {
        agent: AgentUsage(
            calls=calls[agent] - reused[agent],
            input_tokens=sum(answer.input_tokens or 0 for answer in answers),
            output_tokens=sum(answer.output_tokens or 0 for answer in answers),
            seconds=round(sum(answer.seconds for answer in answers), 3),
        )
        for agent, answers in counted.items()
    }
    return Usage(
        calls=sum(agent.calls for agent in agents.values()),
        tokens=sum(agent.input_tokens + agent.output_tokens for agent in agents.values()),
        seconds=round((log[-1].time - log[0].time).total_seconds(), 3) if log else 0.0,
        tools=sum(isinstance(event, ToolCalled) for event in log),
        agents=agents,
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
