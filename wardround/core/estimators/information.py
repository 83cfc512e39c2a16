"""Entropies and divergences of distributions over answers, in natural units."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wardround.core.estimators.samples import bounded

OTHER = ""
"""The outcome that takes what a distribution leaves open."""
_ROUNDING = 1e-9
"""What sums of probabilities may miss 1 by without leaving anything open."""


def entropy(distribution: Mapping[str, float]) -> float:
    """Return -sum p log p.

    >>> entropy({"a": 1.0})
    0.0
    """
    return max(0.0, -math.fsum(p * math.log(p) for p in distribution.values() if p > 0.0))


def shares(weights: Mapping[str, float]) -> dict[str, float]:
    """Return weights scaled to sum to 1; nothing where they sum to 0."""
    total = math.fsum(weights.values())
    return {key: weight / total for key, weight in weights.items()} if total > 0.0 else {}


def normalised_entropy(distribution: Mapping[str, float], *, outcomes: int) -> float:
    """Return the entropy divided by its greatest value, log(outcomes); 0 where there is one outcome only.

    Args:
        distribution: Summing to 1.
        outcomes: How many it could be spread over: the number of answers, or of options if fewer.

    >>> normalised_entropy({"a": 0.5, "b": 0.5}, outcomes=2)
    1.0
    >>> normalised_entropy({"a": 1.0}, outcomes=1)
    0.0
    """
    return bounded(entropy(distribution) / math.log(outcomes)) if outcomes > 1 else 0.0


def completed(distribution: Mapping[str, float]) -> dict[str, float]:
    """Return a distribution in which what is missing to 1 is `OTHER`."""
    left = 1.0 - math.fsum(distribution.values())
    return {**distribution, OTHER: left + distribution.get(OTHER, 0.0)} if left > _ROUNDING else dict(distribution)


def mixture(distributions: Sequence[Mapping[str, float]], weights: Sequence[float]) -> dict[str, float]:
    """Return the weighted mean of distributions.

    Args:
        distributions: Each summing to 1.
        weights: One for each, summing to 1.
    """
    outcomes = sorted({outcome for distribution in distributions for outcome in distribution})
    pairs = list(zip(distributions, weights, strict=True))
    return {o: math.fsum(w * d.get(o, 0.0) for d, w in pairs) for o in outcomes}


@dataclass(frozen=True)
class Decomposition:
    """The uncertainty of an ensemble in nats: total = aleatoric + epistemic."""

    total: float
    """Entropy of the mean distribution."""
    aleatoric: float
    """Mean entropy of the members: what each of them leaves open."""
    epistemic: float
    """Generalised Jensen-Shannon divergence: where the members contradict one another."""
    ceiling: float
    """The greatest value that the epistemic part can take: log of the number of members, or of outcomes if fewer."""


def decompose(distributions: Sequence[Mapping[str, float]], weights: Sequence[float] | None = None) -> Decomposition:
    """Split the uncertainty of an ensemble.

    Args:
        distributions: One per member, over clusters; what is missing to 1 is one further outcome.
        weights: How much each member counts; equal unless given, scaled to sum to 1.

    Raises:
        ValueError: There is no member.

    >>> decompose([{"a": 1.0}, {"b": 1.0}]).aleatoric
    0.0
    """
    if not distributions:
        raise ValueError("an ensemble without members has no uncertainty; give at least one distribution")
    raw = list(weights) if weights is not None else [1.0] * len(distributions)
    scaled = [w / math.fsum(raw) for w in raw]
    full = [completed(d) for d in distributions]
    mean = mixture(full, scaled)
    total = entropy(mean)
    aleatoric = min(total, math.fsum(w * entropy(d) for d, w in zip(full, scaled, strict=True)))
    members, outcomes = sum(w > 0.0 for w in scaled), sum(p > 0.0 for p in mean.values())
    return Decomposition(total, aleatoric, total - aleatoric, math.log(max(1, min(members, outcomes))))
