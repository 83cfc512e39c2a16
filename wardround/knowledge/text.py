"""Sentences and tokens of clinical text, with their places."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import snowballstemmer

_UNSTEMMED = 3
"""Words this short are mostly abbreviations: AMS is no form of `am`."""
_STEMMER = snowballstemmer.stemmer("english")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?", re.UNICODE)
_ABBREVIATION = re.compile(
    r"(?:\b(?:dr|mr|mrs|ms|prof|vs|e\.g|i\.e|approx|ca|hx|pt|pts|dx|tx|rx)|(?<![\d%] )(?<!\d)\b[a-z])\.$",
    re.IGNORECASE,
)
_BOUNDARY = re.compile(
    r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]*[A-Z0-9])|\n\s*\n|\n(?=\s*(?:[-*•]|[A-Z][A-Za-z /]{1,30}:))|(?<=[.!?;:])\n+|\n"
)


@dataclass(frozen=True)
class Sentence:
    """A stretch of text that is read as one statement."""

    text: str
    start: int
    """First character within the whole."""


@dataclass(frozen=True)
class Token:
    """One word."""

    word: str
    """Folded: lower case, British and American spelling alike, reduced to its stem."""
    start: int
    end: int
    raw: str


def sentences(text: str) -> list[Sentence]:
    """Split clinical prose; abbreviations, decimals and list lines do not mislead it.

    >>> [s.text for s in sentences("Seen by Dr. Lee. Temp 38.5 C. No cough.")]
    ['Seen by Dr. Lee.', 'Temp 38.5 C.', 'No cough.']
    """
    found: list[Sentence] = []
    start = 0
    for boundary in _BOUNDARY.finditer(text):
        piece = text[start : boundary.start()]
        if "\n" not in boundary.group() and _ABBREVIATION.search(piece):
            continue
        _append(found, piece, start)
        start = boundary.end()
    _append(found, text[start:], start)
    return found


def _append(found: list[Sentence], piece: str, start: int) -> None:
    stripped = piece.strip()
    if stripped:
        found.append(Sentence(text=stripped, start=start + piece.index(stripped)))


def tokens(text: str) -> list[Token]:
    """Return the words of a text, folded."""
    return [Token(fold(m.group()), m.start(), m.end(), m.group()) for m in _WORD.finditer(text)]


@lru_cache(maxsize=20_000)
def fold(word: str) -> str:
    """Fold a word so that spellings of it meet.

    >>> fold("Diarrhoea") == fold("diarrhea"), fold("vomited") == fold("vomiting"), fold("fevers")
    (True, True, 'fever')
    """
    folded = word.lower().replace("’", "'").removesuffix("'s").replace("ae", "e").replace("oe", "e")
    if len(folded) <= _UNSTEMMED:
        return folded
    stem: str = _STEMMER.stemWord(folded)
    return stem
