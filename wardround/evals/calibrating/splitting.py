"""Which cases serve for what: no case for two things, whatever the order of the file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Splits:
    """Places of the cases by their use."""

    calibrator: tuple[int, ...]
    conformal: tuple[int, ...]
    threshold: tuple[int, ...]


def shuffled(clusters: Sequence[str], *, seed: int = 0) -> list[str]:
    """Return the distinct clusters in an order that depends on their names and the seed alone."""
    return sorted(set(clusters), key=lambda c: hashlib.sha256(f"{seed}:{c}".encode()).hexdigest())


def split(clusters: Sequence[str], *, calibrator: float, conformal: float, seed: int = 0) -> Splits:
    """Divide cases; all of one cluster go together.

    Args:
        clusters: To which each belongs, such as the case of several runs.
        calibrator: Share of the clusters that serves for the calibrator.
        conformal: Share that serves for the sets; the rest serves for the threshold.
        seed: Of the division.
    """
    order = shuffled(clusters, seed=seed)
    first = round(calibrator * len(order))
    second = round((calibrator + conformal) * len(order))
    use = {c: 0 if i < first else 1 if i < second else 2 for i, c in enumerate(order)}
    places: tuple[list[int], list[int], list[int]] = ([], [], [])
    for i, cluster in enumerate(clusters):
        places[use[cluster]].append(i)
    return Splits(*(tuple(p) for p in places))


def folds(clusters: Sequence[str], count: int, *, seed: int = 0) -> list[list[int]]:
    """Return the places of each fold; all of one cluster are in one."""
    use = {c: i % count for i, c in enumerate(shuffled(clusters, seed=seed))}
    found: list[list[int]] = [[] for _ in range(count)]
    for i, cluster in enumerate(clusters):
        found[use[cluster]].append(i)
    return [fold for fold in found if fold]
