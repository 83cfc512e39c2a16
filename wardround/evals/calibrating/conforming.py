"""Quantiles of the conformal sets and of the risk-controlled ones, from labelled differentials."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from wardround.core.calibration.checking import probabilities
from wardround.core.calibration.sets import POOLED, ConformalSets, RiskControl
from wardround.core.errors import UsageError
from wardround.evals.statistics import Array

ALPHA = 0.10
RISK = 0.05
OWN = 100
"""Labelled cases from which on a stratum has a quantile of its own."""
POOL = 30
"""Labelled cases below which the pool takes in a stratum that could stand alone."""


def least_kept(right: Array, alpha: float) -> float:
    """Return the least probability that is kept, so that the right class is with probability 1 - alpha or more.

    Args:
        right: Probability that was stated of the right class, shape (n,).
        alpha: Share of the cases whose right class may be lost.

    The ceil((n + 1)(1 - alpha))-th smallest score 1 - p, hence that largest p; 0, which keeps everything, where n is
    too small for that. The probability itself is kept as the threshold, so that no rounding of 1 - p turns a tie.

    >>> least_kept(np.array([0.9, 0.8, 0.5]), 0.25), least_kept(np.array([0.9]), 0.25)
    (0.5, 0.0)
    """
    # 1e-9: (n + 1)(1 - alpha) is meant as the decimal number that is written, not as its nearest binary one.
    rank = math.ceil((len(right) + 1) * (1.0 - alpha) - 1e-9)
    return float(-np.sort(-right)[rank - 1]) if rank <= len(right) else 0.0


def conform(right: Array, strata: Sequence[str], *, alpha: float = ALPHA, own: int = OWN) -> ConformalSets:
    """Fit the quantiles.

    A stratum of fewer than `own` cases is pooled with the others like it; where these together are fewer than 30,
    the smallest strata with a quantile of their own join them. So every case is in exactly one stratum, chosen without
    sight of the outcomes, and the promise holds in each; taking the quantile of *all* cases for small strata would
    promise nothing to them.

    Args:
        right: Probability that was stated of the right class, shape (n,).
        strata: Leading specialty of each case.
        alpha: Share of the cases whose right class may be lost.
        own: Cases that a stratum needs.

    Raises:
        UsageError: A number is no probability, or the lengths differ.
    """
    p = _paired(right, strata)
    counts = Counter(strata)
    small = [name for name, count in counts.items() if count < own or name == POOLED]
    for name in sorted(counts, key=lambda name: (counts[name], name)):
        together = sum(counts[s] for s in small)
        if name not in small and 0 < together < min(own, POOL):
            small.append(name)
    place = np.array([POOLED if s in small else s for s in strata], dtype=str)
    names = sorted(set(place.tolist()))
    return ConformalSets(
        alpha=alpha,
        thresholds={name: least_kept(p[place == name], alpha) for name in names},
        counts={name: int(np.sum(place == name)) for name in names},
        pooled=tuple(sorted(set(small) - {POOLED})),
    )


def control_risk(right: Array, severity: Array, *, alpha: float = RISK, highest: float = 1.0) -> RiskControl:
    """Fit the least probability at which the expected severity of the omitted right class is at most alpha.

    The largest threshold t with n/(n+1) R(t) + B/(n+1) <= alpha, R being the mean severity of right classes of
    probability below t, and B the highest severity (arXiv 2208.02814, theorem 1).

    Args:
        right: Probability that was stated of the right class, shape (n,).
        severity: Cost of omitting it, shape (n,).
        alpha: Mean cost that is tolerated.
        highest: Greatest severity of any class, seen or not.

    Raises:
        UsageError: A number is out of its range, or the lengths differ.
    """
    p = _paired(right, severity.tolist())
    if len(p) and not (severity.min() >= 0.0 and severity.max() <= highest):
        raise UsageError(f"severities lie between 0 and the highest, {highest:g}")
    n = len(p)
    if highest / (n + 1) > alpha:
        return RiskControl(alpha=alpha, highest=highest, n=n, needed=math.ceil(highest / alpha - 1.0))
    order = np.argsort(p, kind="stable")
    rising = p[order]
    # At t = rising[i] those strictly below are lost: the first i, and of equal ones none.
    first = np.searchsorted(rising, rising, side="left")
    lost = np.concatenate([[0.0], np.cumsum(severity[order])])[first]
    held = rising[(lost + highest) / (n + 1) <= alpha]
    return RiskControl(alpha=alpha, highest=highest, n=n, threshold=float(held.max()) if len(held) else 0.0)


def _paired(right: Array, others: Sequence[object]) -> Array:
    p = probabilities(right, "probabilities of the right class")
    if len(p) != len(others):
        raise UsageError(f"{len(p)} probabilities, but {len(others)} cases; give one for each")
    return p
