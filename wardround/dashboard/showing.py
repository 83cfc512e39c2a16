"""Text that others wrote, made fit to be shown: nothing unseen left in it, and no more of it than an eye can take.

Escaping is the template's work; this is about what survives escaping. Marks that turn the direction of writing can
make a text look like another, control characters vanish, and a string of megabytes makes a page that nobody can open.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

MOST = 4000
"""Characters of one text that a page shows; the whole can be fetched as a file."""
LINE = 300
"""Characters of a text that stands in a line, such as a title."""

MOST_EDITED = 50_000
"""Characters of a text that a page lets one edit."""

_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
"""Control characters but tab and line feed, marks that turn the order of letters, and letters without width."""
_HALVES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Shown:
    """A text as a page shows it."""

    text: str
    left: int = 0
    """Characters that were left out at its end."""
    whole: str | None = None
    """Where all of it can be fetched, as a path below that of the run; nothing where it is all here."""

    @property
    def is_cut(self) -> bool:
        """Whether something was left out."""
        return self.left > 0


def visible(text: str) -> str:
    r"""Return a text with a visible mark for each character that is not seen or turns the others.

    >>> visible("a\u202eb")
    'a⟦U+202E⟧b'
    """
    marked = _UNSEEN.sub(lambda found: f"⟦U+{ord(found[0]):04X}⟧", text)
    return _HALVES.sub("\ufffd", marked)


def shown(text: str, *, most: int = MOST, whole: str | None = None) -> Shown:
    """Return the beginning of a text, and where the rest can be had.

    >>> shown("abcdef", most=4, whole="event/3")
    Shown(text='abcd', left=2, whole='event/3')
    """
    if len(text) <= most:
        return Shown(visible(text))
    return Shown(visible(text[:most]), len(text) - most, whole)


def editable(text: str) -> str | None:
    """Return a text as a field can hold it; nothing where it is long, or holds what the field would not show."""
    return text if len(text) <= MOST_EDITED and visible(text) == text else None


def line(text: str, *, most: int = LINE) -> str:
    r"""Return a text in one line, cut with an ellipsis where it is long.

    >>> line("a\n  b")
    'a b'
    """
    folded = " ".join(text[: 4 * most].split())
    return visible(folded if len(folded) <= most and len(text) <= 4 * most else folded[: most - 1] + "…")


def pretty(value: Any) -> str:
    """Return a JSON value as indented text; what JSON does not have is shown as its words."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def percent(p: float | None) -> str:
    """Return a probability in per cent, never rounded to a certainty it does not have.

    >>> [percent(p) for p in (0.5, 0.9996, 0.0004, 0.973, 1.0, None)]
    ['50 %', '>99.9 %', '<0.1 %', '97.3 %', '100 %', '']
    """
    if p is None:
        return ""
    if p in (0.0, 1.0):
        return f"{p:.0%}".replace("%", " %")
    if p > 0.999:
        return ">99.9 %"
    if p < 0.001:
        return "<0.1 %"
    return f"{100 * p:.3g} %" if p < 0.1 or p > 0.9 else f"{100 * p:.0f} %"


def duration(seconds: float) -> str:
    """Return a time span in the unit that suits it.

    >>> [duration(s) for s in (0.0004, 0.25, 12.34, 200.0)]
    ['0.4 ms', '250 ms', '12.3 s', '3 min 20 s']
    """
    if seconds < 0.01:
        return f"{1000 * seconds:.1f} ms"
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"
