"""Pooling of adjacent violators, and the Venn-Abers pair that follows from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wardround.core.calibration.calibrators import VennAbers
from wardround.evals.calibrating.binning import summed
from wardround.evals.statistics import Array


@dataclass(frozen=True)
class _Block:
    """Neighbours pooled to their mean; `beyond` is how many elements lie behind it, seen from where one came."""

    beyond: int
    weight: float
    total: float

    @property
    def mean(self) -> float:
        return self.total / self.weight

    def joined(self, other: _Block) -> _Block:
        return _Block(other.beyond, self.weight + other.weight, self.total + other.total)


def pooled(values: Array, weights: Array) -> Array:
    """Return the rising sequence nearest to values in weighted least squares, shape (n,)."""
    last = _outer_blocks(values, weights, sign=1.0)
    fitted = np.empty(len(values))
    end = len(values)
    while end > 0:
        block = last[end]
        fitted[block.beyond : end] = block.mean
        end = block.beyond
    return fitted


def _outer_blocks(values: Array, weights: Array, *, sign: float) -> list[_Block]:
    """For each i the last block of the pooled first i elements; entry 0 is empty.

    All these states share their tails, so that they are found in one pass. With sign -1 the sequence falls.
    """
    last = [_Block(0, 1.0, 0.0)]
    for i, (value, weight) in enumerate(zip(values.tolist(), weights.tolist(), strict=True)):
        block = _Block(i, weight, weight * value)
        while block.beyond > 0 and sign * last[block.beyond].mean >= sign * block.mean:
            block = block.joined(last[block.beyond])
        last.append(block)
    return last


def venn_abers(scores: Array, labels: Array, weights: Array) -> VennAbers:
    """Fit a Venn-Abers predictor: at every position the isotonic value of a new case labelled 0, and 1.

    Args:
        scores: Probabilities, shape (n,).
        labels: 0 or 1.
        weights: Of the cases; the new one weighs 1.
    """
    at, place = np.unique(scores, return_inverse=True)
    weight = summed(place, weights)
    mean = summed(place, weights * labels) / weight
    below = _outer_blocks(mean, weight, sign=1.0)
    above = _outer_blocks(mean[::-1], weight[::-1], sign=-1.0)
    pairs = np.array(
        [[_joining(i, mean, weight, below, above, label) for i in range(2 * len(at) + 1)] for label in (0.0, 1.0)]
    )
    # Sums in another order may turn equal values by a rounding, so the pair is put in order again.
    low, high = np.maximum.accumulate(np.clip(pairs, 0.0, 1.0), axis=1)
    return VennAbers(at=tuple(at.tolist()), low=tuple(low.tolist()), high=tuple(np.maximum(low, high).tolist()))


def _joining(
    position: int, mean: Array, weight: Array, below: list[_Block], above: list[_Block], label: float
) -> float:
    """Return the pooled value of a new case at a known score (odd position) or between two (even)."""
    left, tied = divmod(position, 2)
    right = len(mean) - left - tied
    block = _Block(0, 1.0, label)
    if tied:
        block = block.joined(_Block(0, float(weight[left]), float(weight[left] * mean[left])))
    while True:
        if left > 0 and below[left].mean >= block.mean:
            left, block = below[left].beyond, block.joined(below[left])
        elif right > 0 and above[right].mean <= block.mean:
            right, block = above[right].beyond, block.joined(above[right])
        else:
            return block.mean
