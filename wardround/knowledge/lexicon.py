"""Finding phrases in text: every word of a phrase, in any order, close together."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wardround.knowledge.text import Token, fold, tokens

_FUNCTION = """
    a an the of in on at to with his her my their your its our is was are were be been being has have had having
    some any this that there it i he she they from by for which then so as am me w c x
"""
_MODIFYING = """
    very quite rather also all over area region side left right both bilateral bilaterally mild moderate severe marked
    significant acute slight worsening progressive persistent constant intermittent ongoing new recent increasing
    intense terrible bad awful occasional episode bout feeling felt feel noted obvious upper lower mildly severely
    markedly when really just still now again more
"""

FUNCTION_WORDS = frozenset(fold(word) for word in _FUNCTION.split())
"""Words that carry no meaning of their own; a phrase matches without them."""

MODIFIERS = frozenset(fold(word) for word in _MODIFYING.split())
"""Words that may stand inside a phrase; where the phrase itself has one, it must be there."""

_PASSED_OVER = FUNCTION_WORDS | MODIFIERS
_WINDOW = 5
"""How many such words may stand between two words of a phrase."""


@dataclass(frozen=True)
class Mention:
    """A phrase that was found."""

    target: str
    """What the phrase stands for."""
    start: int
    end: int
    words: frozenset[int]
    """Which tokens of the sentence it is made of."""


@dataclass(frozen=True)
class _Phrase:
    target: str
    words: tuple[str, ...]
    spans_clauses: bool
    """Whether it has a comma of its own, so that word for word it may cross one."""


class Lexicon:
    """Phrases by what they stand for."""

    def __init__(self, phrases: Iterable[tuple[str, str]]) -> None:
        """Index phrases given as (target, phrase)."""
        known = {
            _Phrase(target, words, "," in phrase)
            for target, phrase in phrases
            if (words := tuple(token.word for token in tokens(phrase)))
        }
        frequency = Counter(word for phrase in known for word in set(phrase.words))
        self._by_key: dict[str, list[_Phrase]] = defaultdict(list)
        for phrase in sorted(known, key=lambda p: (p.target, p.words)):
            solid = [w for w in phrase.words if w not in FUNCTION_WORDS] or list(phrase.words)
            self._by_key[min(solid, key=lambda w: (frequency[w], w))].append(phrase)

    def find(self, text: Sequence[Token], clause_of: Sequence[int]) -> list[Mention]:
        """Return the longest phrases found in one sentence.

        Args:
            text: Its tokens.
            clause_of: The clause of each token; a phrase does not cross clauses, save one written with a comma.
        """
        found = [
            mention
            for i, token in enumerate(text)
            for phrase in self._by_key.get(token.word, ())
            if (mention := _match(phrase, text, i, clause_of)) is not None
        ]
        unique = {(m.target, m.words): m for m in found}
        kept = [m for m in unique.values() if not any(_displaces(other, m, text) for other in unique.values())]
        return sorted(kept, key=lambda m: (m.start, m.target))


def _displaces(longer: Mention, shorter: Mention, text: Sequence[Token]) -> bool:
    """Whether a longer phrase takes the place of one within it; a bare number more does not.

    So `temperature of 38` leaves `temperature` to be read with its number.
    """
    if not shorter.words < longer.words:
        return False
    more = [text[i].word for i in longer.words - shorter.words]
    return any(not (word.isdigit() or word in FUNCTION_WORDS) for word in more) or not any(w.isdigit() for w in more)


def _match(phrase: _Phrase, text: Sequence[Token], at: int, clause_of: Sequence[int]) -> Mention | None:
    ordered = _match_in_order(phrase, text, at, clause_of)
    chosen = ordered or _match_any_order(phrase.words, text, at, clause_of)
    if chosen is None:
        return None
    first, last = min(chosen), max(chosen)
    return Mention(phrase.target, text[first].start, text[last].end, frozenset(chosen))


def _is_passed_over(word: str) -> bool:
    return word in _PASSED_OVER or word.isdigit()


def _match_in_order(phrase: _Phrase, text: Sequence[Token], at: int, clause_of: Sequence[int]) -> list[int] | None:
    words = phrase.words
    key = words.index(text[at].word)
    first = at - key
    if first < 0 or first + len(words) > len(text):
        return None
    places = list(range(first, first + len(words)))
    same = all(text[i].word == word for i, word in zip(places, words, strict=True))
    return places if same and (phrase.spans_clauses or len({clause_of[i] for i in places}) == 1) else None


def _match_any_order(
    words: Sequence[str], text: Sequence[Token], at: int, clause_of: Sequence[int]
) -> list[int] | None:
    solid = [w for w in words if w not in FUNCTION_WORDS]
    if len(solid) < 2:
        return None
    needed = Counter(solid)
    needed[text[at].word] -= 1
    chosen = [at]
    low = max(0, at - len(words) - _WINDOW)
    high = min(len(text), at + len(words) + _WINDOW + 1)
    for i in sorted(range(low, high), key=lambda i: (abs(i - at), i)):
        if i != at and clause_of[i] == clause_of[at] and needed[text[i].word] > 0:
            needed[text[i].word] -= 1
            chosen.append(i)
    if any(count > 0 for count in needed.values()):
        return None
    inside = range(min(chosen), max(chosen) + 1)
    if any(not _is_passed_over(text[i].word) for i in inside if i not in chosen):
        return None
    return chosen
