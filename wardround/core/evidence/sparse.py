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
    together, order = _gathered(key)
    starts = _starts(together)
    place = np.empty_like(key)
    place[order] = np.repeat(np.arange(starts.size), np.diff(starts, append=key.size))
    kept = together[starts]
    # What speaks for and what speaks against are discounted apart: two places for each cell.
    signed = _discounted(np.abs(ratios), 2 * place + (ratios < 0), 2 * kept.size)
    net = np.clip(signed[0::2] - signed[1::2], -MAX_GROUP_LLR, MAX_GROUP_LLR)
    bearing = np.where(np.abs(ratios) > 1e-9, reliability, 0.0)
    in_group = kept // hypotheses
    return Cells(
        group=in_group,
        hypothesis=kept - in_group * hypotheses,
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
    # Right for the places with one value, which are most; the others are sorted and set below.
    result: Array = np.bincount(place, weights=values, minlength=count).astype(np.float64, copy=False)
    rows = np.flatnonzero(values)
    rows = rows[np.flatnonzero(np.bincount(place[rows], minlength=count)[place[rows]] > 1)]
    if rows.size == 0:
        return result
    rows = rows[np.argsort(-values[rows])]
    where, rank = _gathered(place[rows])
    starts = _starts(where)
    sizes = np.diff(starts, append=where.size)
    weights = discount_weights(int(sizes.max()), rho)[np.arange(where.size) - np.repeat(starts, sizes)]
    result[where[starts]] = np.add.reduceat(values[rows[rank]] * weights, starts)
    return result


def _gathered(keys: Indices) -> tuple[Indices, Indices]:
    """Return keys in order and where each stood, equal ones as they stood; what a stable argsort does.

    Key and place make one integer, since sorting these is several times as fast as sorting places by their key.
    """
    both = np.sort(keys * keys.size + np.arange(keys.size))
    ordered = both // max(1, keys.size)
    return ordered, both - ordered * keys.size


def _starts(ordered: Indices) -> Indices:
    """Where each run of equal values starts."""
    return np.flatnonzero(np.diff(ordered, prepend=-1))
