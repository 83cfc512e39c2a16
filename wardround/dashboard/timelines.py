"""What happened when: the waterfall of a run's spans, and the timeline of a patient's record."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from markupsafe import Markup

from wardround.core.evidence.lettering import fitted, harmless
from wardround.dashboard.svg import BOTTOM, RIGHT, SMALL, TOP, day, picture, soft, ticks, when_words


@dataclass(frozen=True)
class Stretch:
    """One row of a waterfall."""

    label: str
    depth: int
    start: float
    """Seconds from the beginning of the run."""
    seconds: float
    kind: str
    """Of the span; sets the colour."""
    figure: str = ""
    """Written behind the bar, such as tokens."""
    anchor: str = ""
    """Id of the element that the row leads to."""
    outcome: str = "done"


def waterfall(rows: Sequence[Stretch], *, total: float, width: int = 1160) -> Markup:
    """Draw when each span of a run began and how long it took, a row each, in the given order.

    Args:
        rows: From top to bottom.
        total: Seconds that the whole width stands for.
        width: Of the picture in pixels.
    """
    label, behind, row = 250.0, 205.0, 20.0
    room, height = width - label - behind, 24.0 + row * len(rows)
    scale = room / total if total > 0 else 0.0
    parts = []
    for tick in ticks(0.0, total, 6):
        x = label + tick * scale
        parts.append(f'<path class="pl-grid" d="M{x:.1f} 18V{height:g}"/>')
        parts.append(f'<text class="pl-soft" x="{x:.1f}" y="12" text-anchor="middle">{tick:g} s</text>')
    for n, stretch in enumerate(rows):
        y = 22.0 + n * row
        x, size = label + stretch.start * scale, max(1.5, stretch.seconds * scale)
        words = f"{stretch.label}: {1000 * stretch.seconds:.1f} ms from {stretch.start:.3f} s on, {stretch.outcome}"
        indent = 12.0 * min(stretch.depth, 8)
        name = harmless(fitted(stretch.label, label - indent - 8, SMALL + 1))
        body = (
            f"<title>{harmless(f'{words}; {stretch.figure}' if stretch.figure else words)}</title>"
            f'<rect class="pl-row" x="0" y="{y:.1f}" width="{width}" height="{row:g}"/>'
            f'<text x="{indent:.1f}" y="{y + 14:.1f}">{name}</text>'
            f'<rect class="pl-span pl-{harmless(stretch.kind)} pl-{harmless(stretch.outcome)}" x="{x:.1f}" '
            f'y="{y + 4:.1f}" width="{size:.1f}" height="12" rx="2"/>'
            f"{soft(min(x + size + 5, width - behind + 5), y + 14, stretch.figure)}"
        )
        parts.append(f'<a href="#{harmless(stretch.anchor)}">{body}</a>' if stretch.anchor else f"<g>{body}</g>")
    return picture(f"{len(rows)} spans in {total:.2f} seconds", width, height, parts, "pl-wide")


@dataclass(frozen=True)
class Moment:
    """Something on a timeline."""

    lane: str
    time: datetime
    end: datetime | None
    """Nothing for what has no length, or none that is known."""
    words: str
    anchor: str = ""


def timeline(moments: Sequence[Moment], lanes: Sequence[str], *, title: str, width: int = 1160) -> Markup:
    """Draw what happened when, one lane for each kind.

    Years in which nothing happened take no more room than a gap, since a record may begin decades before the
    encounter; where the axis is broken, a zigzag says so.

    Args:
        moments: At least one.
        lanes: From top to bottom; a moment of another lane is left out.
        title: For those who hear the picture.
        width: Of the picture in pixels.
    """
    label, row = 110.0, 30.0
    height = TOP + row * len(lanes) + BOTTOM + 6
    stretches = _stretches([time for m in moments for time in (m.time, m.end) if time is not None])
    place = _broken_axis(stretches, label, width - RIGHT)
    parts = []
    for n, lane in enumerate(lanes):
        y = TOP + row * (n + 0.5)
        parts.append(f'<path class="pl-grid" d="M{label:g} {y:.1f}H{width - RIGHT:g}"/>')
        parts.append(f'<text x="0" y="{y + 4:.1f}">{harmless(lane)}</text>')
    for start, end in stretches:
        x, until = place(start), place(end)
        if start != stretches[0][0]:
            parts.append(f'<path class="pl-break" d="M{x - 18:.1f} {TOP:g}l4 6l-8 6l4 6V{height - BOTTOM:.1f}"/>')
        last = min(until, width - RIGHT)
        if until - x > 150:
            parts.append(soft(last, height - 6, day(datetime.fromtimestamp(end, UTC)), "end"))
        parts.append(soft(min(x, width - RIGHT - 66), height - 6, day(datetime.fromtimestamp(start, UTC))))
    order = {lane: n for n, lane in enumerate(lanes)}
    parts += [_moment_mark(m, TOP + row * (order[m.lane] + 0.5), place) for m in moments if m.lane in order]
    return picture(f"{title}: {len(moments)} entries", width, height, parts, "pl-wide")


def _moment_mark(moment: Moment, y: float, place: Callable[[float], float]) -> str:
    x = place(moment.time.timestamp())
    words = harmless(
        f"{when_words(moment.time)}{f' to {when_words(moment.end)}' if moment.end else ''}: {moment.words}"
    )
    shape = f'<circle class="pl-moment" cx="{x:.1f}" cy="{y:.1f}" r="5"/>'
    if moment.end is not None and (size := place(moment.end.timestamp()) - x) > 8:
        shape = f'<rect class="pl-moment" x="{x:.1f}" y="{y - 5:.1f}" width="{size:.1f}" height="10" rx="4"/>'
    body = f"<g><title>{words}</title>{shape}</g>"
    return f'<a href="#{harmless(moment.anchor)}">{body}</a>' if moment.anchor else body


def _stretches(times: Sequence[datetime]) -> list[tuple[float, float]]:
    """The time in stretches between long gaps: longer than a twelfth of the whole, at most seven of them."""
    moments = sorted(time.timestamp() for time in times)
    whole = moments[-1] - moments[0]
    gaps = sorted((b - a for a, b in pairwise(moments)), reverse=True)
    least = max([whole / 12, 86400.0, *(gaps[7:8])])
    found = [(moments[0], moments[0])]
    for moment in moments[1:]:
        start, end = found[-1]
        found[-1:] = [(start, moment)] if moment - end <= least else [(start, end), (moment, moment)]
    return found


def _broken_axis(stretches: Sequence[tuple[float, float]], left: float, right: float) -> Callable[[float], float]:
    """From seconds to pixels, each stretch with room by the square root of its length."""
    gap, least = 30.0, 70.0
    room = right - left - 16 - gap * (len(stretches) - 1) - least * len(stretches)
    shares = [math.sqrt(end - start) for start, end in stretches]
    total = sum(shares) or 1.0
    starts, at = [], left + 8.0
    for share in shares:
        size = least + max(0.0, room) * share / total
        starts.append((at, size))
        at += size + gap

    def place(moment: float) -> float:
        for (start, end), (x, size) in zip(stretches, starts, strict=True):
            if moment <= end:
                return x + (size * (moment - start) / (end - start) if end > start else 6.0)
        return right

    return place
