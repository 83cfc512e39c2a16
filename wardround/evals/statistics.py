"""Figures with their sample size and an interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

RESAMPLES = 1000
_Z = 1.959963984540054
"""Upper 2.5 % point of the normal distribution."""


@dataclass(frozen=True)
class Estimate:
    """A figure, its 95 % interval and how many cases it rests on."""

    value: float | None
    """Nothing where there is no case."""
    low: float | None
    high: float | None
    n: int

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON values, rounded to four places."""
        return {k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(self).items()}

    @classmethod
    def finite(cls, value: float, low: float, high: float, n: int) -> Estimate:
        """Return an estimate in which a figure that cannot be computed is nothing, and not NaN."""
        known = [float(x) if np.isfinite(x) else None for x in (value, low, high)]
        return cls(known[0], known[1], known[2], n)

    def __str__(self) -> str:
        """Return the figure as a person reads it."""
        if self.value is None:
            return "no case"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}], n = {self.n}"


def proportion(hits: Sequence[bool]) -> Estimate:
    """Return a share with its Wilson score interval.

    Wilson, J Am Stat Assoc 1927;22:209. Written out, since `scipy.stats` takes longer to import than most suites to
    run; the tests compare the two.

    >>> str(proportion([True] * 9 + [False]))
    '0.900 [0.596, 0.982], n = 10'
    """
    n = len(hits)
    if n == 0:
        return Estimate(None, None, None, 0)
    share = sum(hits) / n
    middle = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    # rounding may put an end just inside of a share of 0 or 1
    return Estimate(share, min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half)), n)


def clustered(hits: Sequence[bool], clusters: Sequence[str], *, seed: int = 0) -> Estimate:
    """Return a share with a percentile bootstrap interval that resamples whole clusters, such as patients.

    Without variation among the cases there is nothing to resample, and so no interval.

    Args:
        hits: One per case.
        clusters: To which cluster each belongs; cases of one are not independent.
        seed: Of the resampling.
    """
    share = sum(hits) / len(hits) if hits else None
    if share in (None, 0.0, 1.0):
        return Estimate(share, None, None, len(hits))
    names, places = np.unique(np.array(clusters), return_inverse=True)
    right = np.bincount(places, weights=np.array(hits, dtype=float), minlength=len(names))
    size = np.bincount(places, minlength=len(names))
    rng = np.random.default_rng(seed)
    draws = rng.integers(len(names), size=(RESAMPLES, len(names)))
    shares = right[draws].sum(axis=1) / size[draws].sum(axis=1)
    low, high = np.quantile(shares, [0.025, 0.975])
    return Estimate.finite(sum(hits) / len(hits), float(low), float(high), len(hits))


def bootstrapped(
    statistic: Callable[[Array, Array], float], probability: Array, outcome: Array, *, seed: int = 0
) -> Estimate:
    """Return a statistic of paired arrays with its percentile bootstrap interval.

    Args:
        statistic: Of probabilities and outcomes, both of shape (n,).
        probability: What was stated.
        outcome: 1 where it was so.
        seed: Of the resampling.
    """
    n = len(outcome)
    if n == 0:
        return Estimate(None, None, None, 0)
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(RESAMPLES):
        index = rng.integers(n, size=n)
        value = statistic(probability[index], outcome[index])
        if np.isfinite(value):
            draws.append(value)
    low, high = np.quantile(draws, [0.025, 0.975]) if draws else (np.nan, np.nan)
    return Estimate.finite(statistic(probability, outcome), low, high, n)


def brier(probability: Array, outcome: Array) -> float:
    """Return the mean squared difference of stated probability and outcome."""
    return float(np.mean((probability - outcome) ** 2))
