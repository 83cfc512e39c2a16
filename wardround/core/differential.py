"""Ranked hypotheses with their probabilities, and room for what is not on the list."""

from __future__ import annotations

import math

from pydantic import Field, model_validator

from wardround.core.frozen import Frozen


class Hypothesis(Frozen):
    """One diagnosis with its probability."""

    id: str
    """Condition id in the knowledge base."""
    name: str
    icd10: str | None = None
    probability: float = Field(ge=0.0, le=1.0)


class Differential(Frozen):
    """Hypotheses, the most probable first; `other` is the probability that it is none of them."""

    hypotheses: tuple[Hypothesis, ...] = ()
    other: float = Field(default=1.0, ge=0.0, le=1.0)

    @model_validator(mode="after")
    def _is_a_distribution(self) -> Differential:
        total = self.other + math.fsum(h.probability for h in self.hypotheses)
        if not math.isclose(total, 1.0, abs_tol=1e-6):
            raise ValueError(f"probabilities sum to {total:.6f}, not 1")
        if any(a.probability < b.probability for a, b in zip(self.hypotheses, self.hypotheses[1:], strict=False)):
            raise ValueError("hypotheses are not in falling order of probability")
        return self

    @property
    def top(self) -> Hypothesis | None:
        """The most probable hypothesis."""
        return self.hypotheses[0] if self.hypotheses else None

    def probability(self, condition: str) -> float:
        """Return the probability of a condition id; 0 where it is not listed."""
        return next((h.probability for h in self.hypotheses if h.id == condition), 0.0)

    def shortened(self, count: int) -> Differential:
        """Return the first hypotheses, the probability of the others moved to `other`."""
        kept = self.hypotheses[:count]
        other = 1.0 - math.fsum(h.probability for h in kept)
        return Differential(hypotheses=kept, other=min(1.0, max(0.0, other)))
