"""Small plots as SVG text: measurements over time, bars, calibration and risk-coverage.

No colour and no style stands in the SVG, only classes, so that a page with a strict content security policy can show
it and its own stylesheet says how it looks. Every text is escaped here; what comes out is marked as safe for templates.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from wardround.core.evidence.lettering import fitted, harmless
from wardround.dashboard.svg import BOTTOM, LEFT, RIGHT, SMALL, TOP, day, picture, soft, ticks, when_words

LARGEST = 9.0
"""Radius of the largest mark, in pixels."""


@dataclass(frozen=True)
class Point:
    """One measurement."""

    time: datetime
    value: float
    words: str = ""
    """Said when the point is asked, such as the value with its unit."""
    anchor: str = ""
    """Id of an element of the page that tells more."""


@dataclass(frozen=True)
class Bin:
    """Answers of like confidence, for a reliability diagram."""

    confidence: float
    """Mean stated probability."""
    accuracy: float
    """Share that was right."""
    count: int
    low: float | None = None
    high: float | None = None
    """Interval of the share."""


@dataclass(frozen=True)
class Bar:
    """One row of a bar chart, from 0 to both sides."""

    label: str
    value: float
    figure: str = ""
    """Written at the end of the row; the value unless given."""
    kind: str = ""
    """Further class, such as `prior`."""


def line_plot(
    points: Sequence[Point],
    *,
    title: str,
    low: float | None = None,
    high: float | None = None,
    width: int = 380,
    height: int = 150,
) -> Markup:
    """Draw measurements over time with the range that is held to be normal.

    Args:
        points: In any order; at least one.
        title: What is measured and in which unit, for those who hear the picture.
        low: Lower end of the normal range; open where not given.
        high: Upper end.
        width: Of the picture in pixels.
        height: Of the picture in pixels.
    """
    ordered = sorted(points, key=lambda point: point.time)
    values = [p.value for p in ordered] + [limit for limit in (low, high) if limit is not None]
    bottom, top = _padded(min(values), max(values))
    first, last = ordered[0].time.timestamp(), ordered[-1].time.timestamp()
    area = _Area(first, last, bottom, top, width, height)
    parts = [*_range(area, low, high), *_y_axis(area)]
    path = " ".join(
        f"{'L' if i else 'M'}{area.x(p.time.timestamp()):.1f} {area.y(p.value):.1f}" for i, p in enumerate(ordered)
    )
    parts.append(f'<path class="pl-line" d="{path}"/>')
    for point in ordered:
        outside = (low is not None and point.value < low) or (high is not None and point.value > high)
        mark = "pl-point pl-outside" if outside else "pl-point"
        words = harmless(
            f"{when_words(point.time)}: {point.words or f'{point.value:g}'}{', outside the range' if outside else ''}"
        )
        circle = (
            f'<circle class="{mark}" cx="{area.x(point.time.timestamp()):.1f}" cy="{area.y(point.value):.1f}" r="4"/>'
        )
        body = f"<g><title>{words}</title>{circle}</g>"
        parts.append(f'<a href="#{harmless(point.anchor)}">{body}</a>' if point.anchor else body)
    same_day = day(ordered[0].time) == day(ordered[-1].time) and len(ordered) > 1
    parts.append(soft(LEFT, height - 8, when_words(ordered[0].time) if same_day else day(ordered[0].time)))
    if len(ordered) > 1:
        latest = when_words(ordered[-1].time)[11:] if same_day else day(ordered[-1].time)
        parts.append(soft(width - RIGHT, height - 8, latest, "end"))
    return picture(title, width, height, parts)


@dataclass(frozen=True)
class _Area:
    """From values to pixels."""

    x0: float
    x1: float
    y0: float
    y1: float
    width: float
    height: float
    left: float = LEFT
    right: float = RIGHT
    top: float = TOP
    bottom: float = BOTTOM
    gap: float = 6.0
    """Pixels between the area and the figures beside it."""

    def x(self, value: float) -> float:
        room = self.width - self.left - self.right
        return self.left + (room * (value - self.x0) / (self.x1 - self.x0) if self.x1 > self.x0 else room / 2)

    def y(self, value: float) -> float:
        room = self.height - self.top - self.bottom
        return self.top + (room * (self.y1 - value) / (self.y1 - self.y0) if self.y1 > self.y0 else room / 2)


@dataclass(frozen=True)
class _UnitArea(_Area):
    """Of two shares: marks may stand on its very edge, so that words keep the largest mark away from it."""

    right: float = LARGEST + 7.0
    top: float = LARGEST + 18.0
    bottom: float = LARGEST + 30.0
    gap: float = LARGEST + 3.0


def _padded(low: float, high: float) -> tuple[float, float]:
    pad = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
    return low - pad, high + pad


def _range(area: _Area, low: float | None, high: float | None) -> Iterator[str]:
    if low is None and high is None:
        return
    top = area.y(high if high is not None else area.y1)
    bottom = area.y(low if low is not None else area.y0)
    words = f"range {'' if low is None else f'{low:g}'} to {'' if high is None else f'{high:g}'}"
    size = f'width="{area.width - area.left - area.right:.1f}" height="{max(1.0, bottom - top):.1f}"'
    yield f'<g><title>{words}</title><rect class="pl-range" x="{area.left:g}" y="{top:.1f}" {size}/></g>'


def _y_axis(area: _Area) -> Iterator[str]:
    for tick in ticks(area.y0, area.y1):
        y = area.y(tick)
        yield f'<path class="pl-grid" d="M{area.left:g} {y:.1f}H{area.width - area.right:g}"/>'
        yield soft(area.left - area.gap, y + 4, f"{tick:g}", "end")


def probability_bar(
    value: float | None, *, interval: tuple[float, float] | None = None, limit: float | None = None, width: int = 160
) -> Markup:
    """Draw a probability as a filled bar, its interval as a line over it, a threshold as a mark.

    >>> "33.0" in probability_bar(0.5, width=66)
    True
    """
    parts = [f'<rect class="pl-track" x="0" y="3" width="{width}" height="10" rx="2"/>']
    if value is not None:
        parts.append(f'<rect class="pl-fill" x="0" y="3" width="{max(1.0, width * value):.1f}" height="10" rx="2"/>')
    if interval is not None:
        low, high = (width * min(1.0, max(0.0, end)) for end in interval)
        parts.append(
            f'<path class="pl-interval" d="M{low:.1f} 8H{max(high, low + 1):.1f}M{low:.1f} 4v8M{high:.1f} 4v8"/>'
        )
    if limit is not None:
        parts.append(f'<path class="pl-limit" d="M{width * limit:.1f} 0v16"/>')
    words = "unknown" if value is None else f"{value:.1%}"
    if interval is not None:
        words += f", interval {interval[0]:.1%} to {interval[1]:.1%}"
    return picture(words, width, 16, parts, "pl-small")


def signed_bars(bars: Sequence[Bar], *, title: str, width: int = 720, label: float = 260.0) -> Markup:
    """Draw values as bars to the right and left of one line, a row each.

    Args:
        bars: From top to bottom.
        title: For those who hear the picture.
        width: Of the picture in pixels.
        label: Pixels for the names at the left.
    """
    most = max((abs(bar.value) for bar in bars), default=1.0) or 1.0
    room, row = width - label - 110.0, 22.0
    low, high = min([0.0, *(b.value for b in bars)]), max([0.0, *(b.value for b in bars)])
    scale = room / ((high - low) or most)
    zero = label + 55.0 - low * scale
    parts = [f'<path class="pl-axis" d="M{zero:.1f} 0V{row * len(bars):g}"/>']
    for n, bar in enumerate(bars):
        y, size = n * row, abs(bar.value) * scale
        sign = "pl-for" if bar.value >= 0 else "pl-against"
        x = zero if bar.value >= 0 else zero - size
        figure = bar.figure or f"{bar.value:+.2f}"
        end, anchor = (x + size + 4, "start") if bar.value >= 0 else (x - 4, "end")
        parts.append(
            f"<g><title>{harmless(f'{bar.label}: {figure}')}</title>"
            f'<text x="0" y="{y + 15:.1f}">{harmless(fitted(bar.label, label, SMALL + 1))}</text>'
            f'<rect class="{sign} {harmless(bar.kind)}" x="{x:.1f}" y="{y + 4:.1f}" width="{max(0.5, size):.1f}" '
            f'height="14" rx="2"/>{soft(end, y + 15, figure, anchor)}</g>'
        )
    return picture(title, width, max(row, row * len(bars)), parts)


def reliability_diagram(bins: Sequence[Bin], *, width: int = 340) -> Markup:
    """Draw how often answers were right against how probable they were said to be.

    Args:
        bins: With their numbers; empty ones are left out.
        width: Of the picture in pixels, which is square.
    """
    area = _UnitArea(0.0, 1.0, 0.0, 1.0, width, width)
    parts = [*_unit_axes(area, "stated probability", "share that was right")]
    parts.append(f'<path class="pl-ideal" d="M{area.x(0):.1f} {area.y(0):.1f}L{area.x(1):.1f} {area.y(1):.1f}"/>')
    most = max((b.count for b in bins), default=1) or 1
    for b in (b for b in bins if b.count):
        x, y = area.x(b.confidence), area.y(b.accuracy)
        if b.low is not None and b.high is not None:
            parts.append(f'<path class="pl-interval" d="M{x:.1f} {area.y(b.low):.1f}V{area.y(b.high):.1f}"/>')
        words = f"said {b.confidence:.0%}, right {b.accuracy:.0%}, n = {b.count}"
        radius = 3.0 + (LARGEST - 3.0) * math.sqrt(b.count / most)
        parts.append(
            f'<g><title>{words}</title><circle class="pl-point" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"/></g>'
        )
    total = sum(b.count for b in bins)
    return picture(f"Reliability diagram, {total} answers in {len(bins)} bins", width, width, parts)


def risk_coverage(points: Sequence[tuple[float, float]], *, target: float | None = None, width: int = 340) -> Markup:
    """Draw the share of wrong answers against the share of cases that are answered.

    Args:
        points: Pairs of coverage and risk, in any order.
        target: Risk that is aimed at.
        width: Of the picture in pixels.
    """
    ordered = sorted(points)
    top = min(1.0, max([0.1, *(risk for _, risk in ordered), target or 0.0]) * 1.1)
    area = _UnitArea(0.0, 1.0, 0.0, top, width, width * 0.75)
    parts = [*_unit_axes(area, "share answered", "share wrong of those")]
    if target is not None:
        y = area.y(target)
        words = f"<title>target {target:.0%}</title>"
        parts.append(f'<g>{words}<path class="pl-limit" d="M{area.left:g} {y:.1f}H{width - area.right:g}"/></g>')
    path = " ".join(f"{'L' if i else 'M'}{area.x(c):.1f} {area.y(r):.1f}" for i, (c, r) in enumerate(ordered))
    parts.append(f'<path class="pl-line" d="{path}"/>' if path else "")
    return picture(f"Risk-coverage curve, {len(ordered)} points", width, width * 0.75, parts)


def _unit_axes(area: _Area, below: str, above: str) -> Iterator[str]:
    """Both axes; the name of the upright one stands above it, where no mark can lie."""
    yield from _y_axis(area)
    bottom = area.height - area.bottom
    for tick in ticks(0.0, 1.0):
        x = area.x(tick)
        yield f'<path class="pl-grid" d="M{x:.1f} {area.top:g}V{bottom:.1f}"/>'
        yield soft(x, bottom + area.gap + 9, f"{tick:g}", "middle")
    yield soft(area.width - area.right, area.height - 4, below, "end")
    yield soft(2, 11, above)
