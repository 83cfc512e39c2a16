"""The combined uncertainty fitted: how much each part tells of whether the answer is right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from wardround.core.calibration.combined import VETO, CombinedModel, PartWeight, certainty_log_odds
from wardround.core.errors import UsageError
from wardround.core.uncertainty import Part, combine
from wardround.evals.calibrating.fitting import bounded_logistic
from wardround.evals.statistics import Array

LEAST = 100
"""Labelled cases from which on it is fitted; with so many it beat the fixed product (benchmarks/calibration.py)."""
_SAME = 1e-9
"""Spread of values that are all the same, through rounding."""
RIDGE = 1.0
"""Half of it times the squared coefficient of a part of unit variance is added to the summed log loss."""


def fit_combined(parts: Sequence[Mapping[Part, float]], outcome: Array, *, ridge: float = RIDGE) -> CombinedModel:
    """Fit a non-negative logistic regression on z_i = logit(1 - U_i).

    A case with a part at 1 is vetoed whatever the fit says, and so left out. A part that is not known takes the mean
    z of the cases where it is. Parts are scaled to unit variance before the penalty, so that it weighs on all alike.

    Args:
        parts: Of each case.
        outcome: 1 where the answer was right, else 0, shape (n,).
        ridge: Strength of the penalty.

    Raises:
        UsageError: No case is left, or all their outcomes agree.
    """
    left = [i for i, p in enumerate(parts) if p and max(p.values()) < VETO]
    y = outcome[left]
    if len(left) == 0 or y.min() == y.max():
        raise UsageError(f"{len(left)} cases without a veto, all with one outcome: the parts' weights need both")
    kinds = [part for part in Part if any(part in parts[i] for i in left)]
    z = np.array([[_log_odds(parts[i].get(part)) for part in kinds] for i in left])
    mean, spread = np.nanmean(z, axis=0), np.nanstd(z, axis=0)
    spread = np.where(spread > _SAME * np.maximum(1.0, np.abs(mean)), spread, 0.0)
    scale = np.where(spread > 0.0, spread, 1.0)
    filled = (np.where(np.isnan(z), mean, z) - mean) / scale
    theta = bounded_logistic(filled, y, np.ones(len(y)), ridge=ridge, start=0.1)
    coefficients = np.where(spread > 0.0, theta[:-1] / scale, 0.0)
    return CombinedModel(
        intercept=float(theta[-1] - coefficients @ mean),
        weights={
            part: PartWeight(coefficient=float(c), missing=float(m))
            for part, c, m in zip(kinds, coefficients, mean, strict=True)
        },
        n=len(left),
    )


def fitted_certainty(model: CombinedModel, parts: Sequence[Mapping[Part, float]]) -> Array:
    """Return P(answer right) of each case, shape (n,)."""
    return np.array([model.certainty(p) for p in parts])


def product_certainty(parts: Sequence[Mapping[Part, float]]) -> Array:
    """Return 1 - the fixed product of each case, shape (n,)."""
    return np.array([1.0 - combine(p).combined for p in parts])


def _log_odds(uncertainty: float | None) -> float:
    return float("nan") if uncertainty is None else float(certainty_log_odds(np.array([uncertainty]))[0])
