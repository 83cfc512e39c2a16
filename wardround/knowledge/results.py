"""Results given in a word instead of a number: `troponin negative`, `normal TSH`, `rapid strep test: positive`."""

from __future__ import annotations

import re
from enum import StrEnum


class Result(StrEnum):
    """What a word says of a test."""

    NORMAL = "normal"
    NEGATIVE = "negative"
    POSITIVE = "positive"
    HIGH = "high"
    LOW = "low"


_WORDS: dict[Result, str] = {
    Result.NORMAL: r"normal|unremarkable|within normal limits|wnl|in range|not (?:raised|elevated|high|low)",
    Result.NEGATIVE: r"negative|neg|not detected|undetectable",
    Result.POSITIVE: r"positive|\+ve|\+{1,3}|detected|reactive",
    Result.HIGH: r"raised|elevated|high|increased",
    Result.LOW: r"low|reduced|decreased|depressed",
}
_FILLERS = (
    r"levels?|tests?|screen|result|serology|swab|cultures?|assay|was|is|were|are|came back|back|all|both|also|now"
)
_LINK = rf"[\s,]*(?:(?:{_FILLERS})\b[\s,]*)*:?\s*"
_AFTER = [(result, re.compile(rf"^{_LINK}(?:{words})(?![\w+])", re.IGNORECASE)) for result, words in _WORDS.items()]
_BEFORE = [
    (result, re.compile(rf"(?<![\w+-])(?:{words})\s+(?:serum |plasma |blood |rapid |repeat )?$", re.IGNORECASE))
    for result, words in _WORDS.items()
]


def result_of(text: str, start: int, end: int) -> Result | None:
    """Return what is said of the test named at start to end, right behind it or right before it."""
    after = next((result for result, rule in _AFTER if rule.match(text[end:])), None)
    return after or next((result for result, rule in _BEFORE if rule.search(text[:start])), None)
