"""The calibrated combined uncertainty: a fitted sum of the parts' log-odds in place of fixed weights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import Field

from wardround.core.calibration.checking import log_odds, sigmoid
from wardround.core.errors import UsageError
from wardround.core.frozen import Frozen
from wardround.core.uncertainty import Part
from wardround.core.weighing import Array

VETO = 1.0
"""A part at 1 decides alone: the answer is not to be believed."""


class PartWeight(Frozen):
    """What one part weighs."""

    coefficient: float = Field(ge=0.0)
    """Of z = logit(1 - U); never negative, so that more doubt never means more belief."""
    missing: float
    """Mean z of the fitted cases, which stands in where the part is not known."""


class CombinedModel(Frozen):
    """P(answer right) = sigma(intercept + sum w_i z_i), z_i = logit(1 - U_i), and 0 where a part is at 1.

    Our own definition. The fixed product of `wardround.core.uncertainty.combine` is its counterpart without labels.
    """

    intercept: float
    weights: dict[Part, PartWeight]
    n: int = Field(ge=0)
    """Cases it was fitted on."""

    def certainty(self, parts: Mapping[Part, float]) -> float:
        """Return the probability that the answer is right.

        Parts that were never seen while fitting weigh nothing, but still veto.

        Raises:
            UsageError: No part is known, or one is not in [0, 1].
        """
        if not parts:
            raise UsageError("no part of the uncertainty is known, so that nothing can be said of the answer")
        wrong = {part.value: u for part, u in parts.items() if not 0.0 <= u <= 1.0}
        if wrong:
            raise UsageError(f"parts of the uncertainty lie in [0, 1], not {wrong}")
        if any(u >= VETO for u in parts.values()):
            return 0.0
        z = {part: float(certainty_log_odds(np.array([u]))[0]) for part, u in parts.items()}
        total = sum(w.coefficient * z.get(part, w.missing) for part, w in self.weights.items())
        return float(sigmoid(np.array([self.intercept + total]))[0])

    def combined(self, parts: Mapping[Part, float]) -> float:
        """Return the uncertainty, 1 - certainty."""
        return 1.0 - self.certainty(parts)


def certainty_log_odds(uncertainty: Array) -> Array:
    """Return z = logit(1 - U), finite."""
    return -log_odds(uncertainty)
