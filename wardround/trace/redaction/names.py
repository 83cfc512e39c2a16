"""Names of known people and places in free text: all orders and spellings, and not the words that look like them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wardround.trace.redaction import words
from wardround.trace.redaction.classes import Identifier
from wardround.trace.redaction.context import Place, is_name
from wardround.trace.redaction.edits import Edit
from wardround.trace.redaction.folding import Folded, folded, spellings

_WORD = re.compile(r"[^\W\d_]+")
_INNER = re.compile(r"\s{0,2}[-']\s?|\s{1,3}|\.\s?")
"""Between the words of one name, such as `Smith-Jones` or `van der Berg`."""
_OUTER = re.compile(r",\s{0,2}|\s{1,3}|\.\s{0,2}|\s?[-/_]\s?|\+|%20|%2c(?:%20)?")
"""Between family and given names, in addresses of requests as well."""
_SHORT = 3
"""Names of so few letters are as often abbreviations or words: Ana and ANA, Li and lithium. Our own choice."""

Phrase = tuple[str, ...]


@dataclass(frozen=True)
class Entity:
    """Somebody or some place that a record knows."""

    replacement: str
    category: Identifier = Identifier.NAME
    given: tuple[str, ...] = ()
    family: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()
    """Phrases that are looked for as they are and not by their parts: towns, institutions."""
    is_clinician: bool = False


@dataclass(frozen=True)
class _Token:
    word: str
    start: int
    """In the folded text, as `end`."""
    end: int


@dataclass(frozen=True)
class _Run:
    """Names of one person that stand together, initials between them included."""

    last: int
    """Token."""
    start: int
    """In the folded text, as `end`."""
    end: int
    names: tuple[Phrase, ...]
    initials: int
    owners: frozenset[int]


class _Text:
    """A text with its words."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.folded: Folded = folded(text)
        self.tokens = [_Token(m.group(), m.start(), m.end()) for m in _WORD.finditer(self.folded.text)]

    def gap(self, index: int) -> str:
        """What stands between a token and the next one, folded."""
        return self.folded.text[self.tokens[index].end : self.tokens[index + 1].start]

    def is_initial(self, index: int) -> bool:
        """Whether a token is a single capital and no part of a unit such as U/L."""
        token = self.tokens[index]
        is_unit = re.search(r"(?:[/%°µ]|\d\s?)$", self.folded.text[max(token.start - 2, 0) : token.start])
        return token.end - token.start == 1 and not is_unit and self.text[self.folded.at[token.start]].isupper()

    def goes_on(self, index: int) -> bool:
        """Whether a name may go on behind a token; a full stop ends it unless it stands behind an initial."""
        gap, token = self.gap(index), self.tokens[index]
        return _OUTER.fullmatch(gap) is not None and ("." not in gap or token.end - token.start == 1)

    def follows(self, index: int) -> str:
        """The character behind a token."""
        end = self.tokens[index].end
        return self.folded.text[end : end + 1]


class Names:
    """Finds the names of entities; takes time proportional to the length of the text."""

    def __init__(self, entities: Sequence[Entity], *, vocabulary: Iterable[str] = ()) -> None:
        """Learn the names.

        Args:
            entities: In order of rank: a name that several have is taken for that of the first.
            vocabulary: Further words that are no names unless something says so, such as clinical terms.
        """
        self._entities = entities
        self._vocabulary = frozenset(folded(word).text for word in vocabulary)
        self._owners: dict[Phrase, set[int]] = defaultdict(set)
        self._initials: dict[str, set[int]] = defaultdict(set)
        self._longest: dict[str, int] = defaultdict(int)
        for index, entity in enumerate(entities):
            for phrase in _phrases(entity):
                self._owners[phrase].add(index)
                self._longest[phrase[0]] = max(self._longest[phrase[0]], len(phrase))
            for spelling in (s for name in (*entity.given, *entity.family) for s in spellings(name)):
                self._initials[spelling[:1]].add(index)

    def edits(self, text: str) -> list[Edit]:
        """Return the names in a text, and the words that are left though they are names elsewhere."""
        read = _Text(text)
        found, at = [], 0
        while at < len(read.tokens):
            run = self._run(read, at)
            if run is not None:
                found.append(self._judged(read, run))
            at = at + 1 if run is None else run.last + 1
        return found

    def _phrase(self, read: _Text, at: int) -> int:
        """How many tokens the longest known phrase has that begins here; 0 for none."""
        longest = min(self._longest.get(read.tokens[at].word, 0), len(read.tokens) - at)
        for length in range(longest, 0, -1):
            inside = range(at, at + length - 1)
            if tuple(t.word for t in read.tokens[at : at + length]) in self._owners and all(
                _INNER.fullmatch(read.gap(i)) for i in inside
            ):
                return length
        return 0

    def _run(self, read: _Text, at: int) -> _Run | None:
        names: list[Phrase] = []
        owners: frozenset[int] = frozenset()
        initials = waiting = 0
        last, j = -1, at
        while j < len(read.tokens) and (j == at or read.goes_on(j - 1)):
            length = self._phrase(read, j)
            phrase = tuple(t.word for t in read.tokens[j : j + length])
            who = frozenset(self._owners.get(phrase, ()))
            who &= owners if names else self._with_initials(read, at, j)
            if length and who:
                owners = who
                names.append(phrase)
                last, j = j + length - 1, j + length
                initials, waiting = initials + waiting, 0
            elif read.is_initial(j) and (names or self._initials.get(read.tokens[j].word)):
                waiting, j = waiting + 1, j + 1
                if names and self._is_trailing(read, j - 1, owners):
                    last, initials, waiting = j - 1, initials + 1, 0
            else:
                break
        if not names:
            return None
        return _Run(last, read.tokens[at].start, read.tokens[last].end, tuple(names), initials, owners)

    def _with_initials(self, read: _Text, at: int, end: int) -> frozenset[int]:
        found = frozenset(range(len(self._entities)))
        for token in read.tokens[at:end]:
            found &= self._initials.get(token.word, set())
        return found

    def _is_trailing(self, read: _Text, at: int, owners: frozenset[int]) -> bool:
        """Whether a capital behind a name is its initial, as in `Doe, J.`, and no word of its own."""
        is_set_off = read.follows(at) == "." or read.gap(at - 1).startswith(",")
        return is_set_off and bool(owners & self._initials.get(read.tokens[at].word, set()))

    def _judged(self, read: _Text, run: _Run) -> Edit:
        start, end = read.folded.span(run.start, run.end)
        place = Place(read.text, start, end)
        entity = self._entities[min(run.owners)]
        if place.is_clinician:
            entity = next((self._entities[i] for i in sorted(run.owners) if self._entities[i].is_clinician), entity)
        is_whole = any(not self._is_weak(name) for name in run.names) or run.initials > 0
        several = len(run.names) > 1 and (place.is_capitalised or any(map(self._is_no_word, run.names)))
        if is_whole or several or is_name(run.names[0][0], place, entity.category):
            return Edit(start, end, entity.category, entity.replacement)
        return Edit(start, end, entity.category, None)

    def _is_weak(self, phrase: Phrase) -> bool:
        """Whether a name is a word or an abbreviation as well."""
        return len(phrase) == 1 and (len(phrase[0]) <= _SHORT or self._is_word(phrase[0]))

    def _is_word(self, word: str) -> bool:
        return any(word in known for known in (words.PLAIN, words.EPONYMS, words.PRONOUNS, self._vocabulary))

    def _is_no_word(self, phrase: Phrase) -> bool:
        """Whether a name is no plain word, so that it counts beside another one even in small letters."""
        word = phrase[0]
        return len(word) >= _SHORT and not any(
            word in known for known in (words.PLAIN, words.PRONOUNS, self._vocabulary)
        )


def _phrases(entity: Entity) -> set[Phrase]:
    """All phrases that are a name of somebody by themselves."""
    found: set[Phrase] = set()
    for name in (*entity.given, *entity.family):
        for spelling in spellings(name):
            parts = tuple(_WORD.findall(spelling))
            found |= {parts, ("".join(parts),)}
            found |= {(part,) for part in parts if len(part) > 1 and part not in words.PARTICLES}
            if len(parts) > 2 and parts[0] in words.PARTICLES:
                found.add(parts[1:])
    for phrase in entity.whole:
        found |= {tuple(_WORD.findall(spelling)) for spelling in spellings(phrase)}
    return {phrase for phrase in found if phrase and len("".join(phrase)) > 1}
