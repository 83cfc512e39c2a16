"""Finding phrases in text: every word of a phrase, in any order, close together."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

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


class Mention(NamedTuple):
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

    @cached_property
    def solid(self) -> tuple[str, ...]:
        """Its words that carry meaning."""
        return tuple(word for word in self.words if word not in FUNCTION_WORDS)

    @cached_property
    def needed(self) -> frozenset[str]:
        """Words without which a sentence cannot have it; most phrases fall at this test."""
        return frozenset(self.solid if len(self.solid) > 1 else self.words)


class Lexicon:
    """Phrases by what they stand for."""

    def __init__(self, phrases: Iterable[tuple[str, str]]) -> None:
        """Index phrases given as (target, phrase), each by the two rarest of its words."""
        known = {
            _Phrase(target, words, "," in phrase)
            for target, phrase in phrases
            if (words := tuple(token.word for token in tokens(phrase)))
        }
        frequency = Counter(word for phrase in known for word in set(phrase.words))
        self._by_words: dict[str, dict[str, list[tuple[int, _Phrase]]]] = defaultdict(lambda: defaultdict(list))
        for order, phrase in enumerate(sorted(known, key=lambda p: (p.target, p.words))):
            key = min(phrase.solid or phrase.words, key=lambda w: (frequency[w], w))
            partner = min(phrase.needed - {key}, key=lambda w: (frequency[w], w), default=key)
            self._by_words[key][partner].append((order, phrase))

    def find(self, text: Sequence[Token], clause_of: Sequence[int]) -> list[Mention]:
        """Return the longest phrases found in one sentence.

        Args:
            text: Its tokens.
            clause_of: The clause of each token; a phrase does not cross clauses, save one written with a comma.
        """
        words = [token.word for token in text]
        found: dict[tuple[str, frozenset[int]], Mention] = {}
        for at, phrase in self._candidates(words):
            places = _match(phrase, words, at, clause_of)
            if places is not None:
                start, end = text[min(places)].start, text[max(places)].end
                found[phrase.target, places] = Mention(phrase.target, start, end, places)
        mentions = list(found.values())
        if len(mentions) > 1:
            mentions = [m for m in mentions if not any(m.words < n.words and _displaces(n, m, words) for n in mentions)]
            mentions.sort(key=lambda m: (m.start, m.target))
        return mentions

    def _candidates(self, words: Sequence[str]) -> list[tuple[int, _Phrase]]:
        """Return the phrases whose words are all there, each with a place of its rarest word."""
        there = set(words)
        found = [
            (at, order, phrase)
            for at, word in enumerate(words)
            if word in self._by_words
            for partner in self._by_words[word].keys() & there
            for order, phrase in self._by_words[word][partner]
            if phrase.needed <= there
        ]
        return [(at, phrase) for at, _, phrase in sorted(found)]


def _displaces(longer: Mention, shorter: Mention, text: Sequence[str]) -> bool:
    """Whether a phrase takes the place of a shorter one within it; a bare number more does not.

    So `temperature of 38` leaves `temperature` to be read with its number.
    """
    more = [text[i] for i in longer.words - shorter.words]
    return any(not (word.isdigit() or word in FUNCTION_WORDS) for word in more) or not any(w.isdigit() for w in more)


def _match(phrase: _Phrase, words: list[str], at: int, clause_of: Sequence[int]) -> frozenset[int] | None:
    """Return the places of a phrase's words if it has the word at a place, or nothing."""
    first = at - phrase.words.index(words[at])
    end = first + len(phrase.words)
    in_order = first >= 0 and tuple(words[first:end]) == phrase.words
    if in_order and (phrase.spans_clauses or len(set(clause_of[first:end])) == 1):
        return frozenset(range(first, end))
    return _match_any_order(phrase, words, at, clause_of)


def _match_any_order(phrase: _Phrase, words: list[str], at: int, clause_of: Sequence[int]) -> frozenset[int] | None:
    if len(phrase.solid) < 2:
        return None
    missing = list(phrase.solid)
    missing.remove(words[at])
    chosen = {at}
    for i in _outward(at, len(phrase.words) + _WINDOW, len(words)):
        if words[i] in missing and clause_of[i] == clause_of[at]:
            missing.remove(words[i])
            chosen.add(i)
            if not missing:
                break
    else:
        return None
    inside = range(min(chosen), max(chosen) + 1)
    if len(inside) > len(chosen) and not all(i in chosen or _is_passed_over(words[i]) for i in inside):
        return None
    return frozenset(chosen)


def _outward(at: int, reach: int, count: int) -> Iterator[int]:
    """Iterate over the places around one of so many, the nearest first, of two as near the left one."""
    for distance in range(1, reach + 1):
        if at >= distance:
            yield at - distance
        if at + distance < count:
            yield at + distance


def _is_passed_over(word: str) -> bool:
    return word in _PASSED_OVER or word.isdigit()
