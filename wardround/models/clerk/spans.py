"""Ranges of values in English text: `below 3.5`, `1 to <1.5 mg/dL`, `at least 200`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from wardround.models.clerk.units import NUMBER, UNIT

_TIME = r"\s*-?\s*(?:h|hrs?|hours?|mins?|minutes?|days?|weeks?|months?|years?|times?)\b"
_WHOLE = rf"(?![\w.]*\d|-\d|/\d|:\d|{_TIME})"
"""Behind a number: it is whole, and no date, code, clock or length of time."""
_BELOW = (
    r"<=?|≤|(?:less|lower|smaller) than(?: or equal to)?|below|under|at most|up to|no more than|(?:drops?|falls?) to"
)
_ABOVE = r">=?|≥|(?:greater|more|higher|larger) than(?: or equal to)?|above|over|at least|exceed(?:s|ing)?|no less than"
_RANGE = re.compile(
    rf"(?<![\w.:/-])(?P<low>{NUMBER})\s*(?:{UNIT})?\s*(?:to|-|–|through|and)\s*(?P<open><|less than|below|under)?\s*"
    rf"(?P<high>{NUMBER}){_WHOLE}"
    rf"|(?P<below>{_BELOW})\s*(?:an? |of )?(?P<limit>{NUMBER}){_WHOLE}"
    rf"|(?P<above>{_ABOVE})\s*(?:an? |of )?(?P<floor>{NUMBER}){_WHOLE}"
    rf"|(?<![\w.:/-])(?P<limit2>{NUMBER})\s*(?:{UNIT})?\s+or\s+(?P<way>less|lower|below|more|higher|above|greater)\b",
    re.IGNORECASE,
)
_CLOSED = re.compile(r"[=≤≥]|equal|at most|up to|no more|at least|no less|to$", re.IGNORECASE)
_UNIT_BEHIND = re.compile(rf"\s*({UNIT})", re.IGNORECASE)


@dataclass(frozen=True)
class Span:
    """A range of values; an end that is missing is open to infinity."""

    low: float | None
    high: float | None
    holds_low: bool
    """Whether the lower end itself is in it."""
    holds_high: bool
    unit: str | None
    """As written; nothing where none is."""
    start: int
    """Where it stands in the text."""
    end: int

    def holds(self, value: float) -> bool:
        """Whether a value is in the range."""
        above = self.low is None or value > self.low or (self.holds_low and value == self.low)
        below = self.high is None or value < self.high or (self.holds_high and value == self.high)
        return above and below

    @property
    def words(self) -> str:
        """Such as `<1.5 mg/dL`."""
        unit = f" {self.unit}" if self.unit else ""
        if self.low is not None and self.high is not None:
            return f"{self.low:g} to {'' if self.holds_high else '<'}{self.high:g}{unit}"
        if self.high is not None:
            return f"{'≤' if self.holds_high else '<'}{self.high:g}{unit}"
        return f"{'≥' if self.holds_low else '>'}{self.low:g}{unit}"


def spans_of(text: str) -> Iterator[Span]:
    """Give the ranges of a text in order.

    >>> [s.words for s in spans_of("1.5 to 1.9 mg/dL, 1 to <1.5 mg/dL, <1 mg/dL, 200 or more")]
    ['1.5 to 1.9 mg/dL', '1 to <1.5 mg/dL', '<1 mg/dL', '≥200']
    >>> list(spans_of("over 2 hours, on 2023-11-13, older than 1 year"))
    []
    """
    for match in _RANGE.finditer(text):
        behind = _UNIT_BEHIND.match(text, match.end())
        inside = re.search(UNIT, match.group(), re.IGNORECASE)
        unit = behind[1] if behind else inside.group() if inside else None
        low, high, holds_low, holds_high = _ends(match)
        if low is None or high is None or low < high:
            yield Span(low, high, holds_low, holds_high, unit, match.start(), behind.end() if behind else match.end())


def _ends(match: re.Match[str]) -> tuple[float | None, float | None, bool, bool]:
    if match["low"]:
        return float(match["low"]), float(match["high"]), True, match["open"] is None
    if match["limit"]:
        return None, float(match["limit"]), False, bool(_CLOSED.search(match["below"]))
    if match["floor"]:
        return float(match["floor"]), None, bool(_CLOSED.search(match["above"])), False
    limit = float(match["limit2"])
    if match["way"].lower() in ("less", "lower", "below"):
        return None, limit, False, True
    return limit, None, True, False
