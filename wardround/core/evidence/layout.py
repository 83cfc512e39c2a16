"""Where the boxes of a drawing stand: columns ordered so that few links cross, in the manner of Sugiyama (1981).

Hypotheses keep their order of probability. The other columns are sorted by the mean place of what they are linked
to (barycentres), bands kept together, back and forth until the number of crossings no longer falls.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wardround.core.evidence.scene import Box, Column, Link, Scene

ROUNDS = 12
"""Sweeps; the best order seen is kept."""
LINE = 15
"""Height of a line of text."""
PADDING = 5
GAP = 7
"""Between boxes of a band."""
BAND_HEAD = 17
"""Height of a band's name."""
BAND_GAP = 12
TOP = 42
"""Room for the columns' names."""
BOTTOM = 46
"""Room for the legend."""
MARGIN = 12
SHARES: Mapping[Column, float] = {
    Column.CLAIMS: 0.19,
    Column.SOURCES: 0.21,
    Column.OBSERVATIONS: 0.18,
    Column.HYPOTHESES: 0.21,
}
"""Part of the width that a column takes; the rest is for the links between them."""
GUTTERS: Mapping[Column, float] = {Column.CLAIMS: 0.05, Column.SOURCES: 0.06, Column.OBSERVATIONS: 0.10}
"""Part of the width to the right of a column: the more links there are, the more room they need."""

Order = dict[Column, list[Box]]


@dataclass(frozen=True)
class Placed:
    """A box with its place, in pixels from the top left."""

    box: Box
    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        """Height of its middle."""
        return self.y + self.height / 2.0


@dataclass(frozen=True)
class Band:
    """The frame around boxes that stand together, with their name."""

    column: Column
    name: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Layout:
    """All places."""

    boxes: Mapping[str, Placed]
    bands: tuple[Band, ...]
    columns: Mapping[Column, tuple[float, float]]
    """Left edge and width of the columns that have boxes."""
    width: float
    height: float


def ordered(scene: Scene) -> Order:
    """Return the boxes of each column from top to bottom."""
    start: Order = {column: [b for b in scene.boxes if b.column is column] for column in Column}
    best = {column: _banded(boxes, {}) for column, boxes in start.items()}
    fewest = crossings(best, scene.links)
    current = best
    neighbours = _neighbours(scene.links)
    for turn in range(ROUNDS):
        leftward = (Column.OBSERVATIONS, Column.SOURCES, Column.CLAIMS)
        for column in leftward if turn % 2 == 0 else (Column.SOURCES, Column.OBSERVATIONS):
            current = {**current, column: _sorted(current, column, neighbours)}
        found = crossings(current, scene.links)
        if found < fewest:
            best, fewest = current, found
    return best


def _neighbours(links: Sequence[Link]) -> dict[str, list[tuple[str, float]]]:
    found: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for link in links:
        weight = 1.0 + abs(link.llr)
        found[link.tail].append((link.head, weight))
        found[link.head].append((link.tail, weight))
    return found


def _sorted(order: Order, column: Column, neighbours: Mapping[str, Sequence[tuple[str, float]]]) -> list[Box]:
    place = {
        box.id: i / max(1, len(boxes) - 1)
        for other, boxes in order.items()
        if other is not column
        for i, box in enumerate(boxes)
    }
    held = {box.id: i / max(1, len(order[column]) - 1) for i, box in enumerate(order[column])}
    centre = {}
    for box in order[column]:
        near = [(place[other], weight) for other, weight in neighbours.get(box.id, ()) if other in place]
        total = sum(weight for _, weight in near)
        centre[box.id] = sum(p * w for p, w in near) / total if near else held[box.id]
    return _banded(order[column], centre)


def _banded(boxes: Sequence[Box], centre: Mapping[str, float]) -> list[Box]:
    """Sort by centre, then as given, each band in one piece at the mean of its boxes."""
    bands: dict[str, list[Box]] = defaultdict(list)
    for box in boxes:
        bands[box.band or f"\0{box.id}"].append(box)

    def mean(band: str) -> float:
        return sum(centre.get(box.id, 0.0) for box in bands[band]) / len(bands[band])

    names = sorted(bands, key=mean)
    return [box for name in names for box in sorted(bands[name], key=lambda b: centre.get(b.id, 0.0))]


def crossings(order: Order, links: Sequence[Link]) -> int:
    """Count the pairs of links between two neighbouring columns that cross."""
    place = {box.id: (column, i) for column, boxes in order.items() for i, box in enumerate(boxes)}
    between: dict[tuple[Column, Column], list[tuple[int, int]]] = defaultdict(list)
    for link in links:
        (left, a), (right, b) = sorted((place[link.tail], place[link.head]))
        if left is not right:
            between[left, right].append((a, b))
    return sum(_inversions([b for _, b in sorted(pairs)]) for pairs in between.values())


def _inversions(values: list[int]) -> int:
    """Count pairs out of order by merging, in n log n."""
    if len(values) < 2:
        return 0
    half = len(values) // 2
    left, right = values[:half], values[half:]
    count = _inversions(left) + _inversions(right)
    left.sort()
    right.sort()
    i = 0
    for value in right:
        while i < len(left) and left[i] <= value:
            i += 1
        count += len(left) - i
    return count


def layout(scene: Scene, width: float) -> Layout:
    """Give every box its place.

    Args:
        scene: What is drawn.
        width: Of the drawing, in pixels; the height follows from the boxes.
    """
    order = ordered(scene)
    used = [column for column in Column if order[column]]
    columns = _columns(used, width)
    height = max((_height(order[column]) for column in used), default=0.0)
    boxes: dict[str, Placed] = {}
    bands: list[Band] = []
    for column in used:
        placed, framed = _stack(order[column], column, *columns[column], slack=height - _height(order[column]))
        boxes.update({p.box.id: p for p in placed})
        bands += framed
    return Layout(boxes=boxes, bands=tuple(bands), columns=columns, width=width, height=TOP + height + BOTTOM)


def _columns(used: Sequence[Column], width: float) -> dict[Column, tuple[float, float]]:
    """Place the columns that have boxes; those that have none leave their room to the others."""
    between = {column: GUTTERS[column] for column in used[:-1]}
    total = sum(SHARES[column] for column in used) + sum(between.values())
    scale = (width - 2 * MARGIN) / total if used else 0.0
    found, x = {}, float(MARGIN)
    for column in used:
        found[column] = (x, scale * SHARES[column])
        x += scale * (SHARES[column] + between.get(column, 0.0))
    return found


def box_height(box: Box) -> float:
    """Return the height of a box, by its lines."""
    return LINE * (2 if box.detail else 1) + 2 * PADDING


def _runs(boxes: Sequence[Box]) -> list[list[Box]]:
    runs: list[list[Box]] = []
    for box in boxes:
        if runs and runs[-1][0].band == box.band and box.band:
            runs[-1].append(box)
        else:
            runs.append([box])
    return runs


def _head(run: Sequence[Box]) -> float:
    return BAND_HEAD if run[0].band else 0.0


def _height(boxes: Sequence[Box]) -> float:
    runs = _runs(boxes)
    return sum(_head(run) + sum(box_height(b) + GAP for b in run) - GAP for run in runs) + BAND_GAP * (len(runs) - 1)


def _stack(
    boxes: Sequence[Box], column: Column, x: float, width: float, slack: float
) -> tuple[list[Placed], list[Band]]:
    """Stack boxes downwards, what room is left over shared out above, between and below the bands."""
    runs = _runs(boxes)
    extra = slack / (len(runs) + 1)
    placed: list[Placed] = []
    bands: list[Band] = []
    y = TOP + extra
    for run in runs:
        top = y
        y += _head(run)
        for box in run:
            placed.append(Placed(box, x, y, width, box_height(box)))
            y += box_height(box) + GAP
        y -= GAP
        if run[0].band:
            bands.append(Band(column, run[0].band, x, top, width, y - top))
        y += BAND_GAP + extra
    return placed, bands
