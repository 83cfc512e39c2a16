"""Texts without case and accents, with the way back to where each character came from."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

_SPELT = {
    "ø": "o", "ł": "l", "æ": "ae", "œ": "oe", "ß": "ss", "đ": "d", "ð": "d", "þ": "th", "ı": "i",
    "’": "'", "‘": "'", "ʼ": "'", "´": "'", "`": "'",
    "‐": "-", "‑": "-", "‒": "-", "–": "-", "—": "-", "−": "-",
}  # fmt: skip
"""Characters that Unicode does not take apart."""
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa"})


@dataclass(frozen=True)
class Folded:
    """A folded text; character i came from character `at[i]`, and `at` ends with the length of the original."""

    text: str
    at: range | tuple[int, ...]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return where a stretch of the folded text is in the original, accents that follow it included."""
        return self.at[start], self.at[end]


def folded(text: str) -> Folded:
    """Fold a text.

    >>> folded("Peñalver").text
    'penalver'
    """
    if text.isascii():
        return Folded(text.lower(), range(len(text) + 1))
    characters: list[str] = []
    at: list[int] = []
    for index, character in enumerate(text):
        for piece in _folded(character):
            characters.append(piece)
            at.append(index)
    return Folded("".join(characters), (*at, len(text)))


def _folded(character: str) -> str:
    lower = character.lower()
    if lower in _SPELT:
        return _SPELT[lower]
    if character.isspace():
        return " " if character not in "\n\r" else character
    apart = unicodedata.normalize("NFKD", lower)
    return "".join(_SPELT.get(c, c) for c in apart if unicodedata.category(c) not in ("Mn", "Cf"))


def spellings(name: str) -> set[str]:
    """Return the folded forms of a name: accents left out, and umlauts written with an e.

    >>> sorted(spellings("Müller"))
    ['mueller', 'muller']
    """
    whole = unicodedata.normalize("NFC", name).lower()
    return {folded(whole).text, folded(whole.translate(_UMLAUTS)).text}
