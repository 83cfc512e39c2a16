"""What is contested in a run: findings that sources dispute, diagnoses, and claims that evidence contradicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from wardround.agents.roles import ATTENDING
from wardround.core.claim import VerdictLabel
from wardround.core.graph import EvidenceGraph
from wardround.core.source import Source
from wardround.dashboard.links import mark_of
from wardround.dashboard.showing import line
from wardround.trace import views
from wardround.trace.events import Event, OpinionGiven


@dataclass(frozen=True)
class Side:
    """One side of a disagreement."""

    words: str
    who: str
    anchor: str = ""


@dataclass(frozen=True)
class Contest:
    """Something that is said to be so by some and not by others."""

    what: str
    sides: tuple[tuple[str, tuple[Side, ...]], ...]
    """What is said, and by whom."""
    note: str = ""


def contested_of(events: Sequence[Event], graph: EvidenceGraph) -> list[Contest]:
    """Return what is contested: findings, the leading diagnosis, and claims that the evidence contradicts."""
    found = []
    for dispute in graph.disputes():
        sides = (
            ("is there", tuple(_said(s) for s in dispute.present)),
            ("is not there", tuple(_said(s) for s in dispute.absent)),
        )
        note = (
            f"weighed together {dispute.reading:+.2f}, so it counts as {'there' if dispute.reading > 0 else 'absent'}"
        )
        found.append(Contest(line(dispute.name), sides, note))
    return [*found, *_diagnoses(events, graph), *_contradicted(graph)]


def _said(source: Source) -> Side:
    return Side(line(source.text, most=200), line(source.title or source.document, most=80), mark_of(source.id))


def _diagnoses(events: Sequence[Event], graph: EvidenceGraph) -> Iterable[Contest]:
    """The leading diagnosis, where agents or rollouts name different ones or the decision is another."""
    named: dict[str, dict[str, int]] = {}
    for event in events:
        if isinstance(event, OpinionGiven):
            answer = event.cluster or "no opinion"
            counts = named.setdefault(answer, {})
            counts[event.agent] = counts.get(event.agent, 0) + 1
    decision = views.decision(events)
    if decision is not None and decision.diagnosis is not None:
        named.setdefault(decision.diagnosis.id, {})[ATTENDING] = 1
    if len(named) < 2:
        return
    names = {candidate.id: candidate.name for candidate in graph.candidates}
    ordered = sorted(named.items(), key=lambda entry: -sum(entry[1].values()))
    sides = tuple((line(names.get(answer, answer)), tuple(_answers(who))) for answer, who in ordered)
    note = next((line(r.detail) for r in decision.reasons if r.code.value == "overruled"), "") if decision else ""
    yield Contest("leading diagnosis", sides, f"the attending departs from the evidence: {note}" if note else "")


def _answers(who: Mapping[str, int]) -> Iterable[Side]:
    for agent, n in who.items():
        yield Side("", line(f"{agent.replace('_', ' ')}{f', {n} answers' if n > 1 else ''}"))


def _contradicted(graph: EvidenceGraph) -> Iterable[Contest]:
    """Claims that the evidence speaks against, with what speaks against them."""
    for claim in graph.claims.values():
        verdict = graph.verdicts.get(claim.id)
        if verdict is not None and verdict.label is VerdictLabel.CONTRADICTED:
            against = tuple(_said(graph.sources[s]) for s in verdict.evidence if s in graph.sources)
            said = Side(line(claim.text, most=200), line(claim.agent), mark_of(claim.id))
            yield Contest(
                "a claim against the evidence",
                (("claimed", (said,)), ("the evidence says", against)),
                line(verdict.reason),
            )
