"""All metrics of a set of stated probabilities, with bootstrap intervals and the trivial baseline beside each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from wardround.core.calibration.checking import probabilities
from wardround.core.errors import UsageError
from wardround.evals.calibrating import metrics, selective
from wardround.evals.statistics import Array, Estimate, bootstrapped, brier

Statistic = Callable[[Array, Array], float]


@dataclass(frozen=True)
class Judged:
    """A metric, its interval, and what no skill gives."""

    estimate: Estimate
    baseline: float | None

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**self.estimate.as_json(), "baseline": None if self.baseline is None else round(self.baseline, 4)}


STATISTICS: Mapping[str, Statistic] = {
    "brier": brier,
    "nll": metrics.nll,
    "slope": metrics.slope,
    "intercept": metrics.intercept,
    "reliability": lambda p, y: metrics.murphy(p, y).reliability,
    "resolution": lambda p, y: metrics.murphy(p, y).resolution,
    "ece": metrics.ece,
    "adaptive_ece": metrics.adaptive_ece,
    "mce": metrics.mce,
    "auroc": metrics.auroc,
    "aurc": selective.aurc,
    "e_aurc": selective.e_aurc,
    "augrc": selective.augrc,
    "risk_at_coverage_0.5": lambda p, y: selective.risk_at_coverage(p, y, 0.5),
    "risk_at_coverage_0.8": lambda p, y: selective.risk_at_coverage(p, y, 0.8),
    "risk_at_coverage_0.9": lambda p, y: selective.risk_at_coverage(p, y, 0.9),
    "coverage_at_risk_0.05": lambda p, y: selective.coverage_at_risk(p, y, 0.05),
    "coverage_at_risk_0.10": lambda p, y: selective.coverage_at_risk(p, y, 0.10),
    "net_benefit_0.5": lambda p, y: metrics.net_benefit(p, y, 0.5),
    "net_benefit_0.9": lambda p, y: metrics.net_benefit(p, y, 0.9),
}
"""Every metric by name. The net benefit at t is worth what it gains over acting on every answer or on none."""


def baseline(name: str, outcome: Array) -> float | None:
    """Return what stating the share of right answers every time gives; for orders, what a random one does.

    Its calibration error is 0: calibration without discrimination is worth nothing.
    """
    constant = np.full(len(outcome), outcome.mean())
    value = STATISTICS[name](constant, outcome)
    if name.startswith("net_benefit"):
        value = max(0.0, STATISTICS[name](np.ones(len(outcome)), outcome))
    return float(value) if np.isfinite(value) else None


def resampled(
    statistic: Statistic, probability: Array, outcome: Array, clusters: Sequence[str] | None = None, *, seed: int = 0
) -> Estimate:
    """Return a statistic with a bootstrap interval that resamples cases, or whole clusters where cases repeat.

    Args:
        statistic: Of probabilities and outcomes.
        probability: Shape (n,).
        outcome: Shape (n,).
        clusters: To which each belongs, such as the case of several runs.
        seed: Of the resampling.
    """
    if clusters is None or len(set(clusters)) == len(clusters):
        return bootstrapped(statistic, probability, outcome, seed=seed)
    place = np.unique(np.array(clusters), return_inverse=True)[1]
    rows = np.split(np.argsort(place, kind="stable"), np.cumsum(np.bincount(place))[:-1])

    def of_clusters(drawn: Array, _: Array) -> float:
        index = np.concatenate([rows[int(c)] for c in drawn])
        return statistic(probability[index], outcome[index])

    numbers = np.arange(len(rows), dtype=np.float64)
    return replace(bootstrapped(of_clusters, numbers, numbers, seed=seed), n=len(outcome))


def evaluate(
    probability: Array,
    outcome: Array,
    clusters: Sequence[str] | None = None,
    *,
    names: Sequence[str] | None = None,
    seed: int = 0,
) -> dict[str, Judged]:
    """Return metrics by name, all unless names are given.

    Raises:
        UsageError: There is no case, or a number is no probability.
    """
    p, y = probabilities(probability), probabilities(outcome, "outcomes")
    if len(p) == 0 or len(p) != len(y):
        raise UsageError(f"{len(p)} probabilities and {len(y)} outcomes; give one of each for every case, at least one")
    return {
        name: Judged(resampled(STATISTICS[name], p, y, clusters, seed=seed), baseline(name, y))
        for name in names or STATISTICS
    }
