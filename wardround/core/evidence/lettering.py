"""Text in a drawing: how wide it is, cut to fit, and harmless whatever it says."""

from __future__ import annotations

import re
import unicodedata
from html import escape

_NARROW = frozenset("iljtfrI.,:;'|!()[]{}/\\`\" ")
_WIDE = frozenset("mwMW@%&")
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML document may contain."""
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]")
"""Marks that turn the direction of writing, by which a text could dress as another."""


def legible(text: str) -> str:
    """Return text with U+FFFD for the characters that no XML document may contain."""
    return _FORBIDDEN.sub("\ufffd", text)


def harmless(text: str) -> str:
    """Return text on one line for an XML text node or quoted attribute: escaped, nothing unseen left in it.

    >>> harmless('<script>"a"&b</script>')
    '&lt;script&gt;&quot;a&quot;&amp;b&lt;/script&gt;'
    """
    visible = _TURNING.sub("\ufffd", legible(text))
    return escape(" ".join(visible.split()), quote=True)


def width_of(text: str, size: float) -> float:
    """Return about how wide a text is in a sans-serif face, on the large side, in the unit of `size`."""
    return size * sum(_advance(character) for character in text)


def _advance(character: str) -> float:
    if character in _NARROW:
        return 0.34
    if character in _WIDE:
        return 0.92
    if unicodedata.combining(character):
        return 0.0
    if unicodedata.east_asian_width(character) in "WF":
        return 1.05
    return 0.7 if character.isupper() else 0.58


def fitted(text: str, room: float, size: float) -> str:
    """Return a text cut to a width, with an ellipsis where something is missing.

    >>> fitted("pulmonary embolism", 200.0, 12.0)
    'pulmonary embolism'
    >>> fitted("pulmonary embolism", 60.0, 12.0)
    'pulmona…'
    """
    line = " ".join(text.split())
    if width_of(line, size) <= room:
        return line
    left = room - width_of("…", size)
    kept = 0
    for character in line:
        left -= size * _advance(character)
        if left < 0:
            break
        kept += 1
    return line[:kept].rstrip() + "…"
