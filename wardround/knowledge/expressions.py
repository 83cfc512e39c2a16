"""Regular expressions that are searched only in texts that have a word without which they cannot match.

A reader of clinical text asks some fifty expressions about each sentence, and nearly all of them have nothing to
find. Which words an expression needs is worked out from the expression itself, so the two cannot come apart; which
expressions a word lets in is worked out once per word.
"""

from __future__ import annotations

import importlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from wardround.core.errors import UsageError

# The standard library has no public way to take an expression apart; what is not known here counts as needing nothing.
_parser: Any = importlib.import_module("re._parser")

_SHORT = 1000
"""Characters up to which what a text has is remembered."""
_LETTERS = re.compile(r"\w+", re.ASCII)
_DIGITS = str.maketrans("123456789", "000000000")
"""Numbers are countless and no expression is told from another by them, so all digits count as 0."""


class Need(NamedTuple):
    """Letters of which a match has at least those of one need."""

    letters: str
    """Lower case, without spaces, digits as 0."""
    is_word: bool
    """Whether they stand there as a whole word."""


class Expression:
    """A regular expression with the methods of a compiled one, quick where it has nothing to find."""

    __slots__ = ("bit", "compiled")
    compiled: re.Pattern[str]
    """The expression itself, which searches every text."""
    bit: int
    """The bit that stands for it where the expressions that a word lets in are kept as one number."""

    def __init__(self, pattern: str, flags: re.RegexFlag = re.NOFLAG) -> None:
        """Compile an expression.

        Raises:
            UsageError: It can match without any certain word, so that nothing is gained.
        """
        self.compiled = re.compile(pattern, flags)
        needs = needs_of(pattern, flags)
        if not needs:
            raise UsageError(f"the expression {pattern!r} needs no certain word; use re.compile for it")
        self.bit = _register(needs)

    def may_be_in(self, text: str) -> bool:
        """Whether a text has a word that the expression needs; if not, it has no match."""
        return bool(_bits(text) & self.bit)

    def search(self, text: str) -> re.Match[str] | None:
        """Return the first match."""
        return self.compiled.search(text) if _bits(text) & self.bit else None

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """Iterate over all matches."""
        return self.compiled.finditer(text) if _bits(text) & self.bit else iter(())


def fitting(text: str, expressions: Iterable[Expression]) -> list[Expression]:
    """Return those expressions that may be in a text, in their order."""
    bits = _bits(text)
    return [expression for expression in expressions if expression.bit & bits]


_words: dict[str, int] = defaultdict(int)
_parts: dict[str, int] = defaultdict(int)
"""Bits of the expressions that whole words, and parts of words, let in."""
_expressions = 0


def _register(needs: frozenset[Need]) -> int:
    global _expressions
    bit = 1 << _expressions
    _expressions += 1
    for need in needs:
        (_words if need.is_word else _parts)[need.letters] |= bit
    _bits_of_piece.cache_clear()
    _bits_remembered.cache_clear()
    return bit


def _bits(text: str) -> int:
    return _bits_remembered(text) if len(text) <= _SHORT else _bits_of(text)


def _bits_of(text: str) -> int:
    """Return the expressions that may match; all of them where letters beyond ASCII may fold to others."""
    if not text.isascii():
        return -1
    bits = 0
    for piece in text.lower().translate(_DIGITS).split():
        bits |= _bits_of_piece(piece)
    return bits


_bits_remembered = lru_cache(maxsize=256)(_bits_of)


@lru_cache(maxsize=20_000)
def _bits_of_piece(piece: str) -> int:
    bits = 0
    for word in _LETTERS.findall(piece):
        bits |= _words.get(word, 0)
    for part, allowed in _parts.items():
        if part in piece:
            bits |= allowed
    return bits


def needs_of(pattern: str, flags: re.RegexFlag = re.NOFLAG) -> frozenset[Need]:
    r"""Return what an expression needs: each match has the letters of at least one; empty where nothing is certain.

    >>> sorted(need.letters for need in needs_of(r"\b(?:no|without) (?:any )?fever"))
    ['fever']
    """
    return _of_sequence(list(_parser.parse(pattern, flags)), left=False, right=False)


Item = tuple[Any, Any]
"""An operation and its argument, as the parser gives them."""


def _of_sequence(items: Sequence[Item], *, left: bool, right: bool) -> frozenset[Need]:
    """Return the most telling need among those of the items that stand one behind the other.

    Args:
        items: Of the parsed expression.
        left: Whether a word cannot go on to the left of the first item.
        right: Whether it cannot go on to the right of the last one.
    """
    found = [_run(items, i, left, right) for i in range(len(items))]
    for i, item in enumerate(items):
        if str(item[0]) == "BRANCH":
            found.append(_of_branches(items, i, left, right))
        else:
            found.append(_of_item(item, left=_ends(items[:i][::-1], left), right=_ends(items[i + 1 :], right)))
    return max((needs for needs in found if needs), key=_tells, default=frozenset())


def _of_item(item: Item, *, left: bool, right: bool) -> frozenset[Need]:
    name, argument = str(item[0]), item[1]
    if name == "SUBPATTERN":
        return _of_sequence(list(argument[3]), left=left, right=right)
    if name == "ASSERT":
        return _of_sequence(list(argument[1]), left=False, right=False)
    if name in ("MAX_REPEAT", "MIN_REPEAT") and argument[0] > 0:
        return _of_sequence(list(argument[2]), left=False, right=False)
    return frozenset()


def _of_branches(items: Sequence[Item], at: int, left: bool, right: bool) -> frozenset[Need]:
    """Return the needs of all branches together, each with the letters that stand next to them in the same word."""
    start, end = at, at + 1
    while start > 0 and _letter(items[start - 1]) is not None:
        start -= 1
    while end < len(items) and _letter(items[end]) is not None:
        end += 1
    left, right = _ends(items[:start][::-1], left), _ends(items[end:], right)
    needs = [
        _of_sequence([*items[start:at], *branch, *items[at + 1 : end]], left=left, right=right)
        for branch in items[at][1][1]
    ]
    return frozenset().union(*needs) if all(needs) else frozenset()


def _run(items: Sequence[Item], start: int, left: bool, right: bool) -> frozenset[Need]:
    """Return the letters that begin at an item and stand in one word, if no letter stands before them."""
    if _letter(items[start]) is None or (start and _letter(items[start - 1]) is not None):
        return frozenset()
    end = start
    while end < len(items) and _letter(items[end]) is not None:
        end += 1
    letters = "".join(_letter(item) or "" for item in items[start:end])
    is_word = _LETTERS.fullmatch(letters) is not None
    is_word = is_word and _ends(items[:start][::-1], left) and _ends(items[end:], right)
    return frozenset([Need(letters, is_word)])


def _letter(item: Item) -> str | None:
    """Return the ASCII sign other than a space that an item stands for; any digit is a 0."""
    if str(item[0]) == "IN" and [str(kind) for _, kind in item[1]] == ["CATEGORY_DIGIT"]:
        return "0"
    letter = chr(item[1]) if str(item[0]) == "LITERAL" else " "
    return None if letter.isspace() or not letter.isascii() else letter.lower().translate(_DIGITS)


def _ends(following: Sequence[Item], edge: bool) -> bool:
    """Whether a word cannot go on into what follows it, or stands before it if that is given in reverse."""
    for item in following:
        if _is_edge(item):
            return True
        if not (str(item[0]).startswith("ASSERT") or _is_optional_edge(item)):
            return False
    return edge


def _is_optional_edge(item: Item) -> bool:
    return str(item[0]) == "MAX_REPEAT" and len(item[1][2]) == 1 and _is_edge(item[1][2][0])


def _is_edge(item: Item) -> bool:
    """Whether an item matches only at the edge of a word, or what belongs to no word."""
    name, argument = str(item[0]), item[1]
    match name:
        case "LITERAL":
            return not chr(argument).isalnum() and argument != ord("_")
        case "AT":
            return str(argument) != "AT_NON_BOUNDARY"
        case "ASSERT_NOT":
            return [str(i) for i, _ in argument[1]] == ["IN"] and _has(argument[1][0], "CATEGORY_WORD")
        case "ASSERT":
            return [str(i) for i, _ in argument[1]] == ["IN"] and _is_edge(argument[1][0])
        case "IN":
            return all(
                _is_edge((what, kind)) if str(what) == "LITERAL" else str(kind) in _OUTSIDE for what, kind in argument
            )
        case "MAX_REPEAT":
            return argument[0] > 0 and len(argument[2]) == 1 and _is_edge(argument[2][0])
        case "SUBPATTERN" | "BRANCH":
            branches = [argument[3]] if name == "SUBPATTERN" else argument[1]
            return all(len(branch) == 1 and _is_edge(branch[0]) for branch in branches)
    return False


_OUTSIDE = ("CATEGORY_SPACE", "CATEGORY_NOT_WORD")


def _has(item: Item, category: str) -> bool:
    return any(str(what) == "CATEGORY" and str(kind) == category for what, kind in item[1])


def _tells(needs: frozenset[Need]) -> int:
    """How rarely needs let an expression in for nothing: long ones and whole words do so least."""
    return min(_rarity(need) for need in needs)


def _rarity(need: Need) -> int:
    if need.letters in _COMMON:
        return 0
    return sum(letter not in _COMMON_SIGNS for letter in need.letters) + _WHOLE * need.is_word


_WHOLE = 3
"""How many letters a whole word counts for."""
_COMMON_WORDS = """
    a an the of in on at to for with by from as is are was were has have had be been there it he she they we i and or
    that this patient
"""
_COMMON = frozenset(_COMMON_WORDS.split())
"""Words that stand in most sentences, so that they tell nothing."""
_COMMON_SIGNS = frozenset(".,-/")
