"""The weighing of `wardround.core.weighing` on weight edges alone, where most observations bear on few hypotheses.

An edge joins an observation to a hypothesis. All arrays have one entry per edge; sums over edges are kept as
fixed-point integers, so that they do not depend on order and what is taken away again is taken away exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wardround.core.weighing import MAX_GROUP_LLR, RHO, Array, discount_weights, log_ratio

Indices = npt.NDArray[np.int64]

UNIT = 2.0**42
"""Steps per nat: an error below 3e-13 a term, and room for more than 300,000 groups in 64 bits."""


@dataclass(frozen=True)
class Cells:
    """Sums per group and hypothesis, one cell for each pair that has an edge; cells of a group lie together."""

    group: Indices
    hypothesis: Indices
    rising: Indices
    """What speaks for the hypothesis in the group, after discount and limit, in `UNIT`."""
    falling: Indices
    """What speaks against it, likewise; one of both is 0 since a group has one net sign."""
    effective: Indices
    """Effective number of reliable observations, in `UNIT`."""


def fixed(values: Array) -> Indices:
    """Return values in fixed point, rounded towards zero, which keeps limits and order."""
    return np.trunc(values * UNIT).astype(np.int64)


def cells(group: Indices, hypothesis: Indices, ratios: Array, reliability: Array, hypotheses: int) -> Cells:
    """Discount the edges of every group and hypothesis.

    Args:
        group: Group of each edge, from 0.
        hypothesis: Hypothesis of each edge, below `hypotheses`.
        ratios: Log likelihood ratio of each edge.
        reliability: Of the observation of each edge, in [0, 1].
        hypotheses: Number of hypotheses.
    """
    key = group * hypotheses + hypothesis
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    place = np.empty_like(key)
    place[order] = np.repeat(np.arange(starts.size), np.diff(starts, append=key.size))
    kept = key[order][starts]
    up = _discounted(np.maximum(ratios, 0.0), place, kept.size)
    down = _discounted(np.maximum(-ratios, 0.0), place, kept.size)
    bearing = np.where(np.abs(ratios) > 1e-9, reliability, 0.0)
    net = np.clip(up - down, -MAX_GROUP_LLR, MAX_GROUP_LLR)
    return Cells(
        group=kept // hypotheses,
        hypothesis=kept % hypotheses,
        rising=fixed(np.maximum(net, 0.0)),
        falling=fixed(np.minimum(net, 0.0)),
        effective=fixed(_discounted(bearing, place, kept.size)),
    )


def net_evidence(
    reading: Array, present: Array, background: Array, group: Indices, hypothesis: Indices, hypotheses: int
) -> Array:
    """Return what all edges together add to the log-odds of each hypothesis, shape (n_hypotheses,).

    Args:
        reading: Summed log evidence of the observation of each edge, shape (n_edges,) like all but the last.
        present: P(finding | hypothesis).
        background: P(finding | none of them).
        group: Group of the observation, from 0.
        hypothesis: Below `hypotheses`.
        hypotheses: Number of hypotheses.
    """
    ratios = log_ratio(reading, present, background)
    summed = cells(group, hypothesis, ratios, np.tanh(np.abs(reading) / 2.0), hypotheses)
    total = np.zeros(hypotheses, dtype=np.int64)
    np.add.at(total, summed.hypothesis, summed.rising + summed.falling)
    result: Array = total / UNIT
    return result


def shares(ratios: Array, rho: float = RHO) -> Array:
    """Return what each of correlated log likelihood ratios counts after the discount; their sum is the group's.

    Args:
        ratios: Shape (n_items,).
        rho: Correlation within the group.
    """
    result = np.zeros_like(ratios)
    for sign in (1.0, -1.0):
        rows = np.flatnonzero(sign * ratios > 0)
        rows = rows[np.argsort(-np.abs(ratios[rows]), kind="stable")]
        result[rows] = ratios[rows] * discount_weights(rows.size, rho)
    return result


def _discounted(values: Array, place: Indices, count: int, rho: float = RHO) -> Array:
    """Sum the sorted discount of non-negative values per place, shape (count,)."""
    rows = np.flatnonzero(values)
    if rows.size == 0:
        return np.zeros(count)
    order = rows[np.lexsort((-values[rows], place[rows]))]
    starts = np.flatnonzero(np.diff(place[order], prepend=-1))
    sizes = np.diff(starts, append=order.size)
    rank = np.arange(order.size) - np.repeat(starts, sizes)
    weights = discount_weights(int(sizes.max()), rho)
    result = np.zeros(count)
    result[place[order][starts]] = np.add.reduceat(values[order] * weights[rank], starts)
    return result
