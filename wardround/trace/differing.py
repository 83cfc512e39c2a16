"""How logs differ: what was decided, believed, read, claimed and done in each, side by side.

Everything is a pure fold of the logs, which may be of one case under other settings, of a run and its fork, or of
different cases. What one log does not have is nothing, which is not the same as 0 or absent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wardround.core.decision import Decision
from wardround.core.differential import Hypothesis
from wardround.core.graph import EvidenceGraph
from wardround.trace import views
from wardround.trace.events import (
    Event,
    OpinionGiven,
    RunEnded,
    RunStarted,
    Suspended,
    TriageGiven,
    UncertaintyMeasured,
)
from wardround.trace.stepping import Step, aligned, steps

Value = str | float | int | bool | None
"""What one log has in a row; nothing where it does not have it."""

INDENT = "\u2003"
"""Before the name of a step, once for each step it is within."""
LEADING = 8
"""Hypotheses of each log that are compared, from the most probable on."""


@dataclass(frozen=True)
class Row:
    """One thing in all logs."""

    name: str
    values: tuple[Value, ...]
    """One for each log, in their order."""
    detail: str = ""
    """Said beside the name, such as who made a claim."""

    @property
    def differs(self) -> bool:
        """Whether the logs do not agree on it."""
        return any(type(value) is not type(self.values[0]) or value != self.values[0] for value in self.values)


@dataclass(frozen=True)
class Comparison:
    """Logs side by side; rows stand in the order in which the first log that has them names them."""

    settings: tuple[Row, ...]
    """Model, case and every setting."""
    decision: tuple[Row, ...]
    gate: tuple[Row, ...]
    """Why the gate stayed closed, in words."""
    hypotheses: tuple[Row, ...]
    """Posterior of each hypothesis that leads somewhere, from all evidence of the log."""
    uncertainty: tuple[Row, ...]
    """Parts of the uncertainty as last measured, and what they combine to."""
    observations: tuple[Row, ...]
    """present, absent or unknown, after all readings were weighed."""
    sources: tuple[Row, ...]
    """Words of each source, by its id."""
    claims: tuple[Row, ...]
    """What the check says of each claim, `unchecked` where none did."""
    opinions: tuple[Row, ...]
    """Leading diagnoses of each agent, with how many rollouts gave them."""
    path: tuple[Row, ...]
    """What was done, in an order that fits all logs; the outcome of each step."""
    cost: tuple[Row, ...]

    @property
    def differences(self) -> int:
        """How many rows do not agree, costs left out since no two runs take the same time."""
        parts = (self.settings, self.decision, self.gate, self.hypotheses, self.uncertainty)
        more = (self.observations, self.sources, self.claims, self.opinions, self.path)
        return sum(row.differs for part in (*parts, *more) for row in part)


def compared(logs: Sequence[Sequence[Event]]) -> Comparison:
    """Compare logs.

    Args:
        logs: One or more, each of one run and in its order.
    """
    graphs = [views.evidence_graph(log) for log in logs]
    decisions = [views.decision(log) for log in logs]
    return Comparison(
        settings=_rows([_settings(log) for log in logs]),
        decision=_rows([_decision(log, made) for log, made in zip(logs, decisions, strict=True)]),
        gate=_rows([_gate(made) for made in decisions]),
        hypotheses=_hypotheses(graphs),
        uncertainty=_rows([_uncertainty(log) for log in logs]),
        observations=_rows([_observations(graph) for graph in graphs]),
        sources=_rows([{source.id: source.text for source in graph.sources.values()} for graph in graphs]),
        claims=_claims(graphs),
        opinions=_rows([_opinions(log) for log in logs]),
        path=_path([steps(log) for log in logs]),
        cost=_rows([_cost(log) for log in logs]),
    )


def _rows(columns: Sequence[Mapping[str, Value]]) -> tuple[Row, ...]:
    names = dict.fromkeys(name for column in columns for name in column)
    return tuple(Row(name, tuple(column.get(name) for column in columns)) for name in names)


def _settings(log: Sequence[Event]) -> dict[str, Value]:
    started = next((event for event in log if isinstance(event, RunStarted)), None)
    if started is None:
        return {}
    return {"case": started.case, "model": started.model, **_flat(started.settings)}


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, Value]:
    """Nested settings by their path, lists as their words."""
    flat: dict[str, Value] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{before}{name}.")
        else:
            plain = value is None or isinstance(value, str | float | int)
            flat[before + name] = value if plain else ", ".join(map(str, value))
    return flat


def _decision(log: Sequence[Event], made: Decision | None) -> dict[str, Value]:
    triaged = next((event for event in log if isinstance(event, TriageGiven)), None)
    first: dict[str, Value] = {"state": _state(log)}
    if triaged is not None:
        first |= {"urgency": triaged.triage.urgency.value, "specialties": ", ".join(triaged.routed)}
    if made is None:
        return first
    low, high = made.interval or (None, None)
    return first | {
        "status": made.status.value,
        "diagnosis": made.diagnosis.name if made.diagnosis else None,
        "leading hypothesis": made.differential.top.name if made.differential.top else None,
        "probability": made.probability,
        "posterior": made.posterior,
        "interval from": low,
        "interval to": high,
        "calibration": made.calibration,
    }


def _state(log: Sequence[Event]) -> str:
    """How the run stands: what its last event of these says."""
    for event in reversed(log):
        if isinstance(event, RunEnded):
            return event.outcome.value
        if isinstance(event, Suspended):
            return "suspended"
    return "running"


def _gate(made: Decision | None) -> dict[str, Value]:
    details: dict[str, list[str]] = {}
    for reason in made.reasons if made is not None else ():
        details.setdefault(reason.code.value, []).append(reason.detail)
    return {code: "; ".join(said) for code, said in details.items()}


def _ranked(graph: EvidenceGraph) -> Sequence[Hypothesis]:
    """The hypotheses of a graph; a log that broke off early, or of a record agent, has none."""
    return graph.differential.hypotheses if graph.candidates else ()


def _hypotheses(graphs: Sequence[EvidenceGraph]) -> tuple[Row, ...]:
    all_of = [{h.id: h for h in _ranked(graph)} for graph in graphs]
    leading = dict.fromkeys(h.id for graph in graphs for h in _ranked(graph)[:LEADING])
    rows = []
    for name in leading:
        found = [hypotheses.get(name) for hypotheses in all_of]
        shown = next(h for h in found if h is not None)
        rows.append(Row(shown.name, tuple(h.probability if h is not None else None for h in found)))
    return tuple(sorted(rows, key=lambda row: -max(float(p) for p in row.values if p is not None)))


def _uncertainty(log: Sequence[Event]) -> dict[str, Value]:
    last = next((event for event in reversed(log) if isinstance(event, UncertaintyMeasured)), None)
    if last is None:
        return {}
    parts: dict[str, Value] = {part.value: value for part, value in last.uncertainty.parts.items()}
    return {"combined": last.uncertainty.combined, **parts}


def _observations(graph: EvidenceGraph) -> dict[str, Value]:
    if not graph.bearings or not graph.candidates:
        return {}
    readings = [float(reading) for reading in graph.evidence.reading]
    return {
        bearing.name: "present" if reading > 0 else "absent" if reading < 0 else "unknown"
        for bearing, reading in zip(graph.bearings, readings, strict=True)
    }


def _claims(graphs: Sequence[EvidenceGraph]) -> tuple[Row, ...]:
    """A claim is the same where the same agent says the same words, whatever it cites for them."""
    columns = [{(c.agent, c.text): _verdict(graph, c.id) for c in graph.claims.values()} for graph in graphs]
    names = dict.fromkeys(name for column in columns for name in column)
    return tuple(Row(text, tuple(c.get((agent, text)) for c in columns), detail=agent) for agent, text in names)


def _verdict(graph: EvidenceGraph, claim: str) -> str:
    return graph.verdicts[claim].label.value if claim in graph.verdicts else "unchecked"


def _opinions(log: Sequence[Event]) -> dict[str, Value]:
    given: dict[str, dict[int, str]] = {}
    for event in log:
        if isinstance(event, OpinionGiven):  # a repeat after a resume overwrites its like
            given.setdefault(event.agent, {})[event.rollout] = (event.cluster or "no opinion").replace("_", " ")
    return {agent: _counted(clusters.values()) for agent, clusters in sorted(given.items())}


def _counted(words: Iterable[str]) -> str:
    counts = sorted(Counter(words).items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{word} ×{count}" if count > 1 else word for word, count in counts)


def _path(paths: Sequence[Sequence[Step]]) -> tuple[Row, ...]:
    """Steps in an order that fits all logs, indented by how deep they are."""
    return tuple(Row(INDENT * step.depth + step.name, step.outcomes, step.kind) for step in aligned(paths))


def _cost(log: Sequence[Event]) -> dict[str, Value]:
    spent = views.usage(log)
    by_agent = {
        f"tokens of {agent}": used.input_tokens + used.output_tokens for agent, used in sorted(spent.agents.items())
    }
    return {
        "seconds": spent.seconds,
        "model calls": spent.calls,
        "tool calls": spent.tools,
        "tokens": spent.tokens,
        **by_agent,
    }
