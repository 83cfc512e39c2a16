"""What a calibration takes: probabilities that are numbers between 0 and 1."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wardround.core.errors import UsageError
from wardround.core.weighing import Array

CLIP = 1e-6
"""Probabilities are kept this far from 0 and 1 before a logarithm is taken."""


def probabilities(values: npt.ArrayLike, what: str = "scores") -> Array:
    """Return values as a float array of shape (n,).

    Raises:
        UsageError: One is not a number, or outside [0, 1].
    """
    array = np.atleast_1d(np.asarray(values, dtype=np.float64))
    if array.ndim != 1:
        raise UsageError(f"{what} have the shape {array.shape}; give one number for each case")
    wrong = ~((array >= 0.0) & (array <= 1.0))
    if wrong.any():
        place = int(np.argmax(wrong))
        raise UsageError(f"{what}: entry {place} is {array[place]}; give probabilities between 0 and 1")
    return array


def log_odds(values: Array) -> Array:
    """Return log(p / (1 - p)) of probabilities, clipped so that it is finite."""
    clipped = np.clip(values, CLIP, 1.0 - CLIP)
    return np.log(clipped) - np.log1p(-clipped)


def sigmoid(values: Array) -> Array:
    """Return 1 / (1 + exp(-x)) without overflow.

    >>> float(sigmoid(np.array([0.0]))[0])
    0.5
    """
    positive = 1.0 / (1.0 + np.exp(-np.abs(values)))
    return np.where(values >= 0.0, positive, 1.0 - positive)
