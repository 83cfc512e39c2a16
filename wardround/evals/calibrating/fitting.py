"""Calibrators fitted on labelled scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt

from wardround.core.calibration.calibrators import (
    Beta,
    Calibrator,
    Histogram,
    Isotonic,
    Platt,
    Temperature,
    Uncalibrated,
)
from wardround.core.calibration.checking import CLIP, log_odds, probabilities
from wardround.core.errors import UsageError
from wardround.core.extras import require
from wardround.evals.calibrating.binning import equal_mass, summed
from wardround.evals.calibrating.pooling import pooled, venn_abers
from wardround.evals.statistics import Array

Method = Literal["none", "temperature", "platt", "beta", "isotonic", "histogram", "venn-abers"]

BINS = 15
"""Bins of like size of the histogram."""
FEW = 100
"""Labels below which nothing is fitted."""
MANY = 1000
"""Labels above which no form is assumed."""
_TEMPERATURES = (0.05, 20.0)


def default_method(n: int) -> Method:
    """Return the method for this many labels: none below 100, Platt up to 1000, then Venn-Abers.

    Measured on five synthetic worlds (benchmarks/calibration.py; mean and worst excess Brier score times 10,000): at
    100 labels Platt 45 and 85, Venn-Abers 72 and 72, none 217 and 347; at 1000 Platt 14 and 54, Venn-Abers 18 and 18;
    at 2000 Platt 12 and 53, Venn-Abers 11 and 11. Venn-Abers was nowhere worse than isotonic or histogram. Only where
    the scores were calibrated to begin with did leaving them alone win, by 35 at 100 labels.
    """
    if n < FEW:
        return "none"
    return "platt" if n <= MANY else "venn-abers"


def fit(
    method: Method, scores: npt.ArrayLike, labels: npt.ArrayLike, weights: npt.ArrayLike | None = None
) -> Calibrator:
    """Fit a calibrator.

    The parametric ones (temperature, Platt, beta) maximise the likelihood of labels shrunk as by Platt (1999), as
    under a uniform Beta(1, 1) prior of each class; so they stay finite where scores tell right from wrong perfectly.

    Args:
        method: Which.
        scores: Stated probabilities, shape (n,).
        labels: 1 where the answer was right, else 0.
        weights: Of the cases, above 0; 1 unless given.

    Raises:
        UsageError: There is no case; a score, label or weight is not one; all labels agree, so that nothing can be
            learnt (Venn-Abers takes that too); or Platt or beta is asked of scores that are all the same.
    """
    p, y, w = _checked(scores, labels, weights)
    if method == "none":
        return Uncalibrated()
    if method == "venn-abers":
        return venn_abers(p, y, w)
    if y.min() == y.max():
        raise UsageError(f"all {len(y)} answers are {'right' if y[0] else 'wrong'}; calibration needs both")
    if method in ("platt", "beta") and p.min() == p.max():
        raise UsageError(f"all scores are {p[0]:g}; {method} needs different ones, temperature and histogram do not")
    return _FITS[method](p, y, w)


def _checked(scores: npt.ArrayLike, labels: npt.ArrayLike, weights: npt.ArrayLike | None) -> tuple[Array, Array, Array]:
    p = probabilities(scores)
    y = probabilities(labels, "labels")
    w = np.ones(len(p)) if weights is None else np.atleast_1d(np.asarray(weights, dtype=np.float64))
    if not len(p) == len(y) == len(w):
        raise UsageError(f"{len(p)} scores, {len(y)} labels, {len(w)} weights; give one of each for every case")
    if len(p) == 0:
        raise UsageError("there is no labelled case to fit on")
    if not np.isin(y, (0.0, 1.0)).all():
        raise UsageError("labels are 1 where the answer was right and 0 where it was wrong")
    if not (np.isfinite(w).all() and (w > 0.0).all()):
        raise UsageError("weights are numbers above 0; leave out a case that is not to count")
    return p, y, w


def _targets(y: Array, w: Array) -> Array:
    """Labels shrunk to (N+ + 1) / (N+ + 2) and 1 / (N- + 2) (Platt 1999)."""
    positive, negative = float(w @ y), float(w @ (1.0 - y))
    return np.where(y > 0.5, (positive + 1.0) / (positive + 2.0), 1.0 / (negative + 2.0))


def _temperature(p: Array, y: Array, w: Array) -> Calibrator:
    optimize = require("scipy.optimize", extra="evals")
    z, target = log_odds(p), _targets(y, w)

    def loss(log_temperature: float) -> float:
        return _log_loss(z / np.exp(log_temperature), target, w)

    # The loss is convex in 1/T alone; over log T it still has one minimum.
    best = optimize.minimize_scalar(loss, bounds=tuple(np.log(_TEMPERATURES)), method="bounded")
    return Temperature(temperature=float(np.exp(best.x)))


def _platt(p: Array, y: Array, w: Array) -> Calibrator:
    slope, intercept = bounded_logistic(log_odds(p)[:, None], _targets(y, w), w)
    return Platt(slope=float(slope), intercept=float(intercept))


def _beta(p: Array, y: Array, w: Array) -> Calibrator:
    clipped = np.clip(p, CLIP, 1.0 - CLIP)
    features = np.stack([np.log(clipped), -np.log1p(-clipped)], axis=1)
    a, b, c = bounded_logistic(features, _targets(y, w), w)
    return Beta(a=float(a), b=float(b), c=float(c))


def _isotonic(p: Array, y: Array, w: Array) -> Calibrator:
    model = require("sklearn.isotonic", extra="evals").IsotonicRegression(y_min=0.0, y_max=1.0).fit(p, y, w)
    at, place = np.unique(model.X_thresholds_, return_index=True)
    return Isotonic(at=tuple(at.tolist()), values=tuple(model.y_thresholds_[place].tolist()))


def _histogram(p: Array, y: Array, w: Array) -> Calibrator:
    groups = equal_mass(p, BINS)
    weight = summed(groups, w)
    share = np.clip(pooled(summed(groups, w * y) / weight, weight), 0.0, 1.0)
    edges = [float(p[groups == g].max()) for g in range(len(weight) - 1)]
    return Histogram(at=(*edges, 1.0), values=tuple(share.tolist()))


_FITS: dict[str, Callable[[Array, Array, Array], Calibrator]] = {
    "temperature": _temperature,
    "platt": _platt,
    "beta": _beta,
    "isotonic": _isotonic,
    "histogram": _histogram,
}


def bounded_logistic(
    features: Array, targets: Array, weights: Array, *, ridge: float = 0.0, start: float = 1.0
) -> Array:
    """Return coefficients, none below 0, and the intercept of a logistic regression, shape (n_features + 1,).

    Args:
        features: Shape (n, n_features).
        targets: In [0, 1], shape (n,).
        weights: Shape (n,).
        ridge: Half of it times the squared coefficients is added to the summed loss.
        start: Where the coefficients start.
    """
    optimize = require("scipy.optimize", extra="evals")
    design = np.column_stack([features, np.ones(len(features))])
    penalty = np.append(np.full(features.shape[1], ridge), 0.0)

    def loss(theta: Array) -> tuple[float, Array]:
        z = design @ theta
        slope = design.T @ (weights * (1.0 / (1.0 + np.exp(-np.clip(z, -700, 700))) - targets))
        scale = weights.sum()
        value = _log_loss(z, targets, weights) + 0.5 * float(penalty @ theta**2) / scale
        return value, (slope + penalty * theta) / scale

    bounds = [(0.0, None)] * features.shape[1] + [(None, None)]
    begin = np.append(np.full(features.shape[1], start), 0.0)
    found = optimize.minimize(
        loss, begin, jac=True, bounds=bounds, method="L-BFGS-B", options={"ftol": 1e-14, "gtol": 1e-9, "maxiter": 2000}
    )
    return np.asarray(found.x, dtype=np.float64)


def _log_loss(z: Array, targets: Array, weights: Array) -> float:
    return float(weights @ (np.logaddexp(0.0, z) - targets * z) / weights.sum())
