"""Sentences and tokens of clinical text, with their places."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

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


_SHORT = 1000
"""Characters up to which a text is remembered: a sentence is split and read by several modules, a document by one."""


class Sentence(NamedTuple):
    """A stretch of text that is read as one statement."""

    text: str
    start: int
    """First character within the whole."""


class Token(NamedTuple):
    """One word."""

    word: str
    """Folded: lower case, British and American spelling alike, reduced to its stem."""
    start: int
    end: int
    raw: str
    form: str
    """Lower case, spelling alike and singular, but not reduced to the stem: hepatic is not hepatitis."""


def sentences(text: str) -> tuple[Sentence, ...]:
    """Split clinical prose; abbreviations, decimals and list lines do not mislead it.

    >>> [s.text for s in sentences("Seen by Dr. Lee. Temp 38.5 C. No cough.")]
    ['Seen by Dr. Lee.', 'Temp 38.5 C.', 'No cough.']
    """
    return _sentences_remembered(text) if len(text) <= _SHORT else _sentences(text)


def _sentences(text: str) -> tuple[Sentence, ...]:
    found: list[Sentence] = []
    start = 0
    for boundary in _BOUNDARY.finditer(text):
        piece = text[start : boundary.start()]
        if "\n" not in boundary.group() and _ABBREVIATION.search(piece):
            continue
        _append(found, piece, start)
        start = boundary.end()
    _append(found, text[start:], start)
    return tuple(found)


_sentences_remembered = lru_cache(maxsize=256)(_sentences)


def _append(found: list[Sentence], piece: str, start: int) -> None:
    stripped = piece.strip()
    if stripped:
        found.append(Sentence(text=stripped, start=start + piece.index(stripped)))


def tokens(text: str) -> tuple[Token, ...]:
    """Return the words of a text, folded."""
    return _tokens_remembered(text) if len(text) <= _SHORT else _tokens(text)


def _tokens(text: str) -> tuple[Token, ...]:
    return tuple([Token(fold(raw := m[0]), m.start(), m.end(), raw, form_of(raw)) for m in _WORD.finditer(text)])


_tokens_remembered = lru_cache(maxsize=256)(_tokens)


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


@lru_cache(maxsize=20_000)
def form_of(word: str) -> str:
    """Fold case, spelling and the plural of a word, but not to its stem.

    >>> form_of("Tumours"), form_of("hepatitis"), form_of("Crohn's")
    ('tumor', 'hepatitis', 'crohn')
    """
    folded = (
        word.lower().replace("’", "'").removesuffix("'s").replace("ae", "e").replace("oe", "e").replace("our", "or")
    )
    is_plural = len(folded) > _SHORTEST_PLURAL and folded.endswith("s") and not folded.endswith(("ss", "us", "is"))
    return folded[:-1] if is_plural else folded


_SHORTEST_PLURAL = 4
