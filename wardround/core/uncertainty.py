"""Combined uncertainty of one line of reasoning, from named parts.

Our own definition in the manner of MedMMV (arXiv 2509.24314), whose equations are not public. Every
part lies in [0, 1]; higher is worse.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
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
    TOKENS = "tokens"
    """1 - length-normalised probability of the answer's tokens, where the model gives them."""
    VOTES = "votes"
    """1 - P(answer right | the specialists' votes), where it was measured how far they err together."""
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
    Part.TOKENS: 0.10,
    Part.VOTES: 0.15,
    Part.EVIDENCE: 0.25,
    Part.IGNORANCE: 0.10,
    Part.CONFLICT: 0.10,
    Part.HALLUCINATION: 0.20,
    Part.DISAGREEMENT: 0.15,
}
"""Unfitted; they are rescaled to sum to 1 over the parts that are known."""


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
