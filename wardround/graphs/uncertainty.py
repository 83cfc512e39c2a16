"""The parts of the uncertainty of a consult, from the evidence graph and the specialists' opinions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wardround.core.answers import SpecialistAnswer
from wardround.core.claim import MEDIHALL_SCORE, Claim, Severity, Verdict
from wardround.core.graph import EvidenceGraph
from wardround.core.uncertainty import Part, Uncertainty, answer_entropy, combine, disagreement
from wardround.knowledge.base import KnowledgeBase


@dataclass(frozen=True)
class Opinion:
    """One rollout of one specialist."""

    agent: str
    rollout: int
    answer: SpecialistAnswer | None


@dataclass(frozen=True)
class Measured:
    """The answer that the specialists favour and how uncertain it is."""

    answer: str | None
    """Condition id, or nothing where no opinion names a condition of the knowledge."""
    uncertainty: Uncertainty


def measure(kb: KnowledgeBase, graph: EvidenceGraph, opinions: Sequence[Opinion]) -> Measured:
    """Compute every part that can be known; the others drop out.

    The answer is the one most rollouts gave, ties broken by its posterior; without any, the leading
    hypothesis of the graph.
    """
    named = [(o, _condition(kb, o.answer.leading)) for o in opinions if o.answer is not None]
    given = [(o, c) for o, c in named if c is not None]
    counts = Counter(condition for _, condition in given)
    differential = graph.differential
    answer = max(
        counts,
        key=lambda c: (counts[c], differential.probability(c), c),
        default=differential.top.id if differential.top else None,
    )
    parts: dict[Part, float] = {}
    if given and answer is not None:
        parts[Part.SELF] = 1.0 - counts[answer] / len(given)
        parts[Part.SEMANTIC] = answer_entropy(list(counts.values()))
        stated = [o.answer.confidence for o, c in given if c == answer and o.answer is not None]
        parts[Part.CONFIDENCE] = 1.0 - sum(stated) / len(stated)
    if answer is not None:
        parts[Part.EVIDENCE] = 1.0 - differential.probability(answer)
        parts[Part.IGNORANCE] = graph.vacuity(answer)
        parts[Part.CONFLICT] = graph.conflict(answer)
    hallucination = hallucination_part(list(graph.claims.values()), graph.verdicts)
    if hallucination is not None:
        parts[Part.HALLUCINATION] = hallucination
    distributions = _by_specialist(kb, opinions)
    if len(distributions) > 1:
        parts[Part.DISAGREEMENT] = disagreement(distributions)
    return Measured(answer=answer, uncertainty=combine(parts))


def hallucination_part(claims: Sequence[Claim], verdicts: Mapping[str, Verdict]) -> float | None:
    """Return 1 - mean MediHall score of the scored claims, 1 if one is catastrophic, nothing if none is."""
    severities = [verdicts[c.id].severity for c in claims if c.id in verdicts]
    scored = [s for s in severities if s is not Severity.UNSCORED]
    if not scored:
        return None
    if Severity.CATASTROPHIC in scored:
        return 1.0
    return 1.0 - sum(MEDIHALL_SCORE[s] for s in scored) / len(scored)


def _by_specialist(kb: KnowledgeBase, opinions: Sequence[Opinion]) -> list[dict[str, float]]:
    """Each specialist's mean distribution over conditions."""
    rows: dict[str, list[dict[str, float]]] = {}
    for opinion in opinions:
        if opinion.answer is None:
            continue
        distribution: dict[str, float] = {}
        for item in opinion.answer.differential:
            key = _condition(kb, item.diagnosis) or item.diagnosis.lower()
            distribution[key] = distribution.get(key, 0.0) + item.probability
        if distribution:
            rows.setdefault(opinion.agent, []).append(distribution)
    return [_mean(distributions) for distributions in rows.values()]


def _mean(distributions: Sequence[dict[str, float]]) -> dict[str, float]:
    keys = {key for distribution in distributions for key in distribution}
    return {key: sum(d.get(key, 0.0) for d in distributions) / len(distributions) for key in sorted(keys)}


def _condition(kb: KnowledgeBase, name: str | None) -> str | None:
    entry = kb.find_condition(name) if name else None
    return entry.id if entry is not None else None
