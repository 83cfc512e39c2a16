"""Combined uncertainty of one line of reasoning, from named parts.

Our own definition in the manner of MedMMV (arXiv 2509.24314), whose equations are not public. Every
part lies in [0, 1]; higher is worse.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum

from pydantic import Field

from wardround.core.frozen import Frozen


class Part(StrEnum):
    """What can make an answer uncertain."""

    SELF = "self"
    """1 - share of the rollouts that gave this answer."""
    SEMANTIC = "semantic"
    """Entropy of the rollouts' answers, normalised."""
    CONFIDENCE = "confidence"
    """1 - confidence the model stated."""
    EVIDENCE = "evidence"
    """1 - posterior of the answer in the evidence graph."""
    IGNORANCE = "ignorance"
    """Vacuity of the evidence behind the answer."""
    CONFLICT = "conflict"
    """Balance of evidence for and against the answer."""
    HALLUCINATION = "hallucination"
    """1 - mean MediHall score of the claims; 1 if one is catastrophic."""
    DISAGREEMENT = "disagreement"
    """Jensen-Shannon divergence of the specialists' distributions, normalised."""


WEIGHTS: dict[Part, float] = {
    Part.SELF: 0.15,
    Part.SEMANTIC: 0.10,
    Part.CONFIDENCE: 0.10,
    Part.EVIDENCE: 0.25,
    Part.IGNORANCE: 0.10,
    Part.CONFLICT: 0.10,
    Part.HALLUCINATION: 0.20,
    Part.DISAGREEMENT: 0.15,
}
"""Unfitted; they are rescaled to sum to 1 over the parts that are known."""
_ROUNDING = 1e-9
"""What sums of probabilities may miss 1 by without leaving anything open."""


class Uncertainty(Frozen):
    """The parts and what they combine to."""

    parts: dict[Part, float]
    combined: float = Field(ge=0.0, le=1.0)

    @property
    def largest(self) -> Part | None:
        """The part that contributes most, which is the one to work on; one at 1 outweighs all below."""
        return max(self.parts, key=self._contribution, default=None)

    def _contribution(self, part: Part) -> tuple[float, float, str]:
        value = self.parts[part]
        loss = -math.log1p(-value) if value < 1.0 else math.inf
        return WEIGHTS[part] * loss, WEIGHTS[part], part.value


def combine(parts: Mapping[Part, float]) -> Uncertainty:
    """Combine parts by the weighted geometric product of their complements.

    One part at 1 makes the whole 1: a catastrophic claim cannot be bought back by agreement.

    >>> combine({Part.SELF: 0.0, Part.EVIDENCE: 1.0}).combined
    1.0
    >>> combine({}).combined
    1.0
    """
    if not parts:
        return Uncertainty(parts={}, combined=1.0)
    total = math.fsum(WEIGHTS[part] for part in parts)
    if any(value >= 1.0 for value in parts.values()):
        return Uncertainty(parts=dict(parts), combined=1.0)
    log_certainty = math.fsum(WEIGHTS[part] / total * math.log1p(-value) for part, value in parts.items())
    return Uncertainty(parts=dict(parts), combined=min(1.0, max(0.0, -math.expm1(log_certainty))))


def answer_entropy(counts: Sequence[int]) -> float:
    """Return the entropy of answers to the same question, normalised by the number of answers.

    >>> answer_entropy([5])
    0.0
    >>> answer_entropy([1, 1])
    1.0
    """
    total = sum(counts)
    if total <= 1:
        return 0.0
    shares = [count / total for count in counts if count]
    return min(1.0, max(0.0, -math.fsum(p * math.log(p) for p in shares) / math.log(total)))


def disagreement(distributions: Sequence[Mapping[str, float]]) -> float:
    """Return the generalised Jensen-Shannon divergence of distributions over diagnoses, in [0, 1].

    What a distribution leaves open is one further outcome. Divided by log(min(M, V)), with M
    distributions and V outcomes.

    >>> disagreement([{"a": 1.0}, {"b": 1.0}])
    1.0
    >>> disagreement([{"a": 0.5, "b": 0.5}, {"a": 0.5, "b": 0.5}])
    0.0
    """
    if len(distributions) < 2:
        return 0.0
    full = [_completed(distribution) for distribution in distributions]
    outcomes = sorted({outcome for distribution in full for outcome in distribution})
    mean = {o: math.fsum(d.get(o, 0.0) for d in full) / len(full) for o in outcomes}
    divergence = _entropy(mean) - math.fsum(_entropy(d) for d in full) / len(full)
    ceiling = math.log(min(len(full), len([o for o in outcomes if mean[o] > 0])))
    return min(1.0, max(0.0, divergence / ceiling)) if ceiling > 0 else 0.0


def _completed(distribution: Mapping[str, float]) -> dict[str, float]:
    total = math.fsum(distribution.values())
    scale = 1.0 / total if total > 1.0 else 1.0
    known = {outcome: p * scale for outcome, p in distribution.items()}
    left = 1.0 - math.fsum(known.values())
    return {**known, "": left if left > _ROUNDING else 0.0}


def _entropy(distribution: Mapping[str, float]) -> float:
    return -math.fsum(p * math.log(p) for p in distribution.values() if p > 0.0)
