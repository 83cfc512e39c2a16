"""The pieces that all plots are made of: axes with round figures, small words, and the frame of a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from markupsafe import Markup

from wardround.core.evidence.lettering import harmless
from wardround.dashboard.showing import visible

LEFT, RIGHT, TOP, BOTTOM = 52.0, 12.0, 12.0, 26.0
"""Room around the area of a plot, in pixels: for figures on the left, for words below."""
SMALL = 11.0
"""Size of the letters, in pixels; the stylesheet sets the same."""


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Return round values that lie within a range.

    >>> ticks(0.0, 10.0)
    [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    """
    span = high - low
    if not span > 0 or not math.isfinite(span):
        return [low]
    raw = span / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.75)
    first = math.ceil(low / step - 1e-9)
    return [round(n * step, 12) for n in range(first, math.floor(high / step + 1e-9) + 1)]


def soft(x: float, y: float, words: str, anchor: str = "start") -> str:
    """Return small words at a place; `anchor` is start, middle or end."""
    return f'<text class="pl-soft" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{harmless(words)}</text>'


def when_words(time: datetime) -> str:
    """Return a moment to the minute, in UTC."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def day(time: datetime) -> str:
    """Return the day of a moment, in UTC."""
    return time.astimezone(UTC).strftime("%Y-%m-%d")


def picture(title: str, width: float, height: float, parts: Sequence[str], kind: str = "") -> Markup:
    """Return a picture that says in words what it shows.

    Args:
        title: Those words.
        width: In pixels.
        height: In pixels.
        parts: Of the picture, as SVG; what others wrote in them is escaped already.
        kind: A further class.
    """
    words = harmless(visible(title))
    head = (
        f'<svg class="pl {kind}" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" role="img" '
    )
    return Markup(f'{head}aria-label="{words}"><title>{words}</title>{visible("".join(parts))}</svg>')
