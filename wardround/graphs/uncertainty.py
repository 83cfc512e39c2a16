"""The parts of the uncertainty of a consult, from the evidence graph and the specialists' opinions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wardround.core.answers import SpecialistAnswer
from wardround.core.calibration.card import Card
from wardround.core.claim import MEDIHALL_SCORE, Claim, Severity, Verdict
from wardround.core.estimators.ensemble import EnsembleDisagreement
from wardround.core.estimators.posterior import VotePosterior
from wardround.core.estimators.samples import Estimator, SampledAnswer, Samples
from wardround.core.estimators.stated import StatedConfidence
from wardround.core.estimators.tokens import TokenUncertainty
from wardround.core.estimators.votes import SelfConsistency, VoteEntropy
from wardround.core.graph import EvidenceGraph
from wardround.core.uncertainty import Part, Uncertainty, combine
from wardround.knowledge.base import KnowledgeBase
from wardround.knowledge.similarity import diagnosis_cluster

ESTIMATORS: dict[Part, Estimator] = {
    Part.SELF: SelfConsistency(),
    Part.SEMANTIC: VoteEntropy(),
    Part.CONFIDENCE: StatedConfidence(),
    Part.TOKENS: TokenUncertainty(),
    Part.DISAGREEMENT: EnsembleDisagreement(),
}
"""What is read off the opinions; a part that one cannot estimate drops out."""


@dataclass(frozen=True)
class Opinion:
    """One rollout of one specialist."""

    agent: str
    rollout: int
    answer: SpecialistAnswer | None
    tokens: tuple[float, ...] | None = None
    """Natural log probabilities of the tokens that name the leading diagnosis."""


@dataclass(frozen=True)
class Measured:
    """The answer that the specialists favour and how uncertain it is."""

    answer: str | None
    """Condition id, or nothing where no opinion names a condition of the knowledge."""
    uncertainty: Uncertainty
    unsettled: float
    """The parts combined without a card: what decides whether more is gathered. A card must not change that, or it
    would promise something of other consults than those that it was made from."""


def measure(kb: KnowledgeBase, graph: EvidenceGraph, opinions: Sequence[Opinion], card: Card | None = None) -> Measured:
    """Compute every part that can be known; the others drop out.

    The answer is the one most rollouts gave, ties broken by its posterior; without any, the leading
    hypothesis of the graph. With a calibration card the parts are combined as it was fitted, and the votes
    are judged by how far it found the specialists to err together.
    """
    given = [sampled(kb, opinion) for opinion in opinions]
    known = [a.cluster for a in given if a.cluster in kb.conditions]
    counts = Counter(cluster for cluster in known if cluster is not None)
    differential = graph.differential
    answer = max(
        counts,
        key=lambda c: (counts[c], differential.probability(c), c),
        default=differential.top.id if differential.top else None,
    )
    parts: dict[Part, float] = {}
    if counts:
        parts |= _estimated(ESTIMATORS, Samples(answers=tuple(given), answer=answer))
    if answer is not None:
        parts[Part.EVIDENCE] = 1.0 - differential.probability(answer)
        parts[Part.IGNORANCE] = graph.vacuity(answer)
        parts[Part.CONFLICT] = graph.conflict(answer)
    hallucination = hallucination_part(list(graph.claims.values()), graph.verdicts)
    if hallucination is not None:
        parts[Part.HALLUCINATION] = hallucination
    plain = combine(parts)
    uncertainty = plain
    if card is not None and parts:
        samples = Samples(answers=tuple(given), answer=answer, options=len(kb.conditions) + 1)
        uncertainty = calibrated(plain, samples if counts else None, card)
    return Measured(answer=answer, uncertainty=uncertainty, unsettled=plain.combined)


def calibrated(plain: Uncertainty, samples: Samples | None, card: Card) -> Uncertainty:
    """Return the uncertainty as a card combines it, the votes judged by how far specialists err together.

    Args:
        plain: The parts without a card, at least one.
        samples: The opinions, if any names a condition.
        card: The calibration.
    """
    parts = dict(plain.parts)
    if samples is not None and card.voters is not None:
        parts |= _estimated({Part.VOTES: VotePosterior(card.voters)}, samples)
    return Uncertainty(parts=parts, combined=card.combined.combined(parts)) if card.combined else combine(parts)


def sampled(kb: KnowledgeBase, opinion: Opinion) -> SampledAnswer:
    """Return an opinion as the estimators take it; diagnoses of one condition are one answer."""
    answer = opinion.answer
    leading = answer.leading if answer is not None and (answer.leading or "").strip() else None
    if answer is None or leading is None:
        return SampledAnswer(agent=opinion.agent, rollout=opinion.rollout)
    stated: dict[str, float] = {}
    for item in answer.differential:
        cluster = diagnosis_cluster(kb, item.diagnosis)
        stated[cluster] = stated.get(cluster, 0.0) + item.probability
    scale = max(1.0, math.fsum(stated.values()))
    return SampledAnswer(
        agent=opinion.agent,
        rollout=opinion.rollout,
        text=leading,
        cluster=diagnosis_cluster(kb, leading),
        confidence=answer.confidence,
        distribution={cluster: p / scale for cluster, p in stated.items()} or None,
        logprobs=opinion.tokens,
    )


def _estimated(estimators: Mapping[Part, Estimator], samples: Samples) -> dict[Part, float]:
    found = {part: estimator.estimate(samples) for part, estimator in estimators.items()}
    return {part: estimate.value for part, estimate in found.items() if estimate is not None}


def hallucination_part(claims: Sequence[Claim], verdicts: Mapping[str, Verdict]) -> float | None:
    """Return 1 - mean MediHall score of the scored claims, 1 if one is catastrophic, nothing if none is."""
    severities = [verdicts[c.id].severity for c in claims if c.id in verdicts]
    scored = [s for s in severities if s is not Severity.UNSCORED]
    if not scored:
        return None
    if Severity.CATASTROPHIC in scored:
        return 1.0
    return 1.0 - sum(MEDIHALL_SCORE[s] for s in scored) / len(scored)
