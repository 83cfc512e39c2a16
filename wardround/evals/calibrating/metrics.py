"""How well stated probabilities come true. Headline: Brier score with slope and intercept; ECE is shown, not trusted.

All take probabilities and outcomes of shape (n,), outcomes being 1 where the answer was right, else 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wardround.core.calibration.checking import log_odds, sigmoid
from wardround.evals.calibrating.binning import equal_mass, equal_width, summed
from wardround.evals.statistics import Array

BINS = 15
_FLOOR = 1e-10
"""Probability below which the log loss does not go on rising, so that one case cannot decide it."""
_STEPS = 100
_CLOSE = 1e-10


@dataclass(frozen=True)
class Decomposition:
    """Brier = reliability - resolution + uncertainty + within (Murphy 1973; within: Stephenson et al. 2008)."""

    reliability: float
    """Mean squared distance of stated and observed, by bin; 0 is best."""
    resolution: float
    """How far the bins' outcomes differ; more is better."""
    uncertainty: float
    """r (1 - r): Brier score of stating the share of right answers r every time."""
    within: float
    """Variance less twice the covariance within bins, so that the four sum to the Brier score exactly."""


def murphy(probability: Array, outcome: Array, bins: int = BINS) -> Decomposition:
    """Decompose the Brier score over bins of like size that never part equal probabilities."""
    groups = equal_mass(probability, bins)
    size = summed(groups, np.ones(len(outcome)))
    stated, seen = summed(groups, probability) / size, summed(groups, outcome) / size
    share = size / len(outcome)
    mean = float(outcome.mean())
    apart, off = probability - stated[groups], outcome - seen[groups]
    return Decomposition(
        reliability=float(share @ (stated - seen) ** 2),
        resolution=float(share @ (seen - mean) ** 2),
        uncertainty=mean * (1.0 - mean),
        within=float(np.mean(apart**2) - 2.0 * np.mean(apart * off)),
    )


def _gaps(probability: Array, outcome: Array, groups: npt.NDArray[np.intp]) -> tuple[Array, Array]:
    """Share of the cases and |observed - stated| of each bin."""
    size = summed(groups, np.ones(len(outcome)))
    return size / len(outcome), np.abs(summed(groups, outcome - probability)) / size


def ece(probability: Array, outcome: Array) -> float:
    """Return the expected calibration error over 15 bins of like width; biased upward in small samples."""
    share, gap = _gaps(probability, outcome, equal_width(probability, BINS))
    return float(share @ gap)


def adaptive_ece(probability: Array, outcome: Array) -> float:
    """Return the expected calibration error over 15 bins of like size."""
    share, gap = _gaps(probability, outcome, equal_mass(probability, BINS))
    return float(share @ gap)


def mce(probability: Array, outcome: Array) -> float:
    """Return the largest calibration error of 15 bins of like size."""
    return float(_gaps(probability, outcome, equal_mass(probability, BINS))[1].max())


def nll(probability: Array, outcome: Array) -> float:
    """Return the mean negative log likelihood, in nats; probabilities are kept 1e-10 from 0 and 1."""
    p = np.clip(probability, _FLOOR, 1.0 - _FLOOR)
    return float(-np.mean(np.where(outcome > 0.5, np.log(p), np.log1p(-p))))


def slope(probability: Array, outcome: Array) -> float:
    """Return the slope of the logistic regression of the outcome on the stated log-odds.

    1 is right, below 1 too bold, above too timid. NaN where none is defined: equal outcomes, equal or perfectly
    parting scores. Newton's method, since an interval takes a thousand fits; the tests compare it
    with scikit-learn.
    """
    right, wrong = probability[outcome > 0.5], probability[outcome <= 0.5]
    if len(right) == 0 or len(wrong) == 0 or probability.min() == probability.max():
        return float("nan")
    if right.min() >= wrong.max() or right.max() <= wrong.min():
        return float("nan")
    z = log_odds(probability)
    design = np.column_stack([z, np.ones(len(z))])
    theta = np.zeros(2)
    value = _deviance(design @ theta, outcome)
    for _ in range(_STEPS):
        p = sigmoid(design @ theta)
        gradient = design.T @ (p - outcome)
        hessian = (design * (p * (1.0 - p))[:, None]).T @ design
        step = np.asarray(np.linalg.solve(hessian, gradient), dtype=np.float64)
        theta, value, moved = _descended(design, outcome, theta, step, value)
        if moved < _CLOSE:
            break
    return float(theta[0])


def _descended(design: Array, outcome: Array, theta: Array, step: Array, value: float) -> tuple[Array, float, float]:
    """Go the step, or the longest half, quarter ... of it that does not raise the deviance."""
    while float(np.abs(step).max()) >= _CLOSE:
        tried = _deviance(design @ (theta - step), outcome)
        if tried <= value:
            return theta - step, tried, float(np.abs(step).max())
        step = step / 2.0
    return theta, value, 0.0


def _deviance(z: Array, outcome: Array) -> float:
    return float(np.sum(np.logaddexp(0.0, z) - outcome * z))


def intercept(probability: Array, outcome: Array) -> float:
    """Return calibration in the large: what to add to every log-odds so that as many come true as stated.

    0 is right, below 0 too bold. NaN where all outcomes agree. The intercept at slope 1, Van Calster et al., BMC
    Medicine 2019;17:230.
    """
    wanted = float(outcome.mean())
    if wanted in (0.0, 1.0):
        return float("nan")
    z = log_odds(probability)
    middle = float(np.log(wanted / (1.0 - wanted)))
    low, high, found = middle - float(z.max()), middle - float(z.min()), 0.0
    for _ in range(_STEPS):
        if not low <= found <= high:  # Newton's step left the bracket, as it may where all are near 0 or 1
            found = (low + high) / 2.0
        p = sigmoid(z + found)
        gap = float(p.mean()) - wanted
        low, high = (found, high) if gap < 0.0 else (low, found)
        if abs(gap) < _CLOSE or high - low < _CLOSE:
            break
        curve = float(np.mean(p * (1.0 - p)))
        found = found - gap / curve if curve > 0.0 else (low + high) / 2.0
    return found


def auroc(probability: Array, outcome: Array) -> float:
    """Return P(a right answer has more confidence than a wrong one), ties counting half; NaN without both."""
    right = float(outcome.sum())
    wrong = len(outcome) - right
    if right == 0.0 or wrong == 0.0:
        return float("nan")
    _, place, counts = np.unique(probability, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2.0)[place]
    return float((rank @ outcome - right * (right + 1.0) / 2.0) / (right * wrong))


def net_benefit(probability: Array, outcome: Array, at: float) -> float:
    """Return TP/n - FP/n t/(1-t) of acting on answers of probability t or more (Vickers & Elkin 2006).

    Beside it stand acting on all, `net_benefit(np.ones(n), outcome, t)`, and on none, 0.
    """
    acted = probability >= at
    odds = at / (1.0 - at)
    return float(np.mean(acted * outcome) - np.mean(acted * (1.0 - outcome)) * odds)


@dataclass(frozen=True)
class CurvePoint:
    """The net benefit of acting at one threshold, beside the two ways that need no probability."""

    at: float
    model: float
    act_on_all: float
    act_on_none: float = 0.0


def decision_curve(probability: Array, outcome: Array, thresholds: Sequence[float]) -> list[CurvePoint]:
    """Return the net benefit at each threshold, these being above 0 and below 1."""
    everything = np.ones(len(outcome))
    return [
        CurvePoint(t, net_benefit(probability, outcome, t), net_benefit(everything, outcome, t)) for t in thresholds
    ]
