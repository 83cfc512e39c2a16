"""Draws that numpy has no short or quick form for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

_T = TypeVar("_T")


def stream(seed: int, *path: int) -> np.random.Generator:
    """Return the generator of random numbers that a seed and a path of numbers name, whatever else is drawn.

    The path of a patient's own stream is its number alone; further streams add a number that is not zero.
    """
    return np.random.default_rng(np.random.SeedSequence([seed, *path]))


def pick(rng: np.random.Generator, items: Sequence[_T]) -> _T:
    """Return one of some items, each as likely as the others."""
    return items[int(rng.random() * len(items))]


def weighted(rng: np.random.Generator, weights: Mapping[_T, float]) -> _T:
    """Return one key, in proportion to the weights."""
    left = rng.random() * sum(weights.values())
    for key, weight in weights.items():
        left -= weight
        if left < 0:
            return key
    return next(reversed(list(weights)))


def at_most_one(rng: np.random.Generator, shares: Mapping[_T, float]) -> _T | None:
    """Return one key with the probability of its share, or nothing with what is left to 1."""
    left = rng.random()
    for key, share in shares.items():
        left -= share
        if left < 0:
            return key
    return None


def from_age(figures: Mapping[float, _T], age: float) -> _T:
    """Return the figure of the greatest age not above this one; below the first, the first's."""
    known = [start for start in figures if start <= age]
    return figures[max(known) if known else min(figures)]
