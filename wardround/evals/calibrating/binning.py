"""Bins of scores."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wardround.evals.statistics import Array

Numbers = npt.NDArray[np.intp]


def equal_mass(values: Array, bins: int) -> Numbers:
    """Return the bin of each value, shape (n,): bins of like size, numbered upward, that never part equal values."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - counts / 2.0
    raw = np.minimum((middle / len(values) * bins).astype(np.intp), bins - 1)
    return np.asarray(np.unique(raw, return_inverse=True)[1][place], dtype=np.intp)


def equal_width(values: Array, bins: int) -> Numbers:
    """Return the bin of each probability, shape (n,): bins of like width, numbered upward, empty ones left out."""
    raw = np.clip(np.ceil(values * bins).astype(np.intp) - 1, 0, bins - 1)
    return np.asarray(np.unique(raw, return_inverse=True)[1], dtype=np.intp)


def summed(groups: Numbers, values: Array) -> Array:
    """Return the sum of the values of each group, shape (n_groups,)."""
    return np.bincount(groups, weights=values).astype(np.float64)
