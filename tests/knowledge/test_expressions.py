"""Expressions that are searched only where they can match: what they need, and that they find what they always did."""

import re
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardround.core.errors import UsageError
from wardround.knowledge import context
from wardround.knowledge.expressions import Expression, fitting, needs_of
from wardround.tools.hallucination import amounts, courses, evidence, hygiene, overall, safety, statements

MODULES = (context, amounts, courses, evidence, hygiene, overall, safety, statements)


def known() -> Iterator[Expression]:
    for module in MODULES:
        yield from (value for value in vars(module).values() if isinstance(value, Expression))
    yield from context._RULES
    yield from (words for _, _, words in statements._LINKS)


EXPRESSIONS = sorted(set(known()), key=lambda e: e.bit)


@pytest.mark.parametrize(
    ("pattern", "letters"),
    [
        (r"\b(?:no|not|never)\b", {"no", "not", "never"}),
        (r"\bfrom \d+ to \d+", {"0"}),
        (r"\ballerg\w*", {"allerg"}),
        (r"\bhistory(?: of)?\b", {"history"}),
        (r"\b(?:is|was) (?:gone|absent)\b", {"gone", "absent"}),
        (r"\bin (?:19|20)\d\d\b", {"0000"}),
        (r"\b(?:is|are) (?:you|he)\b(?=[^.]*\?)", {"?"}),
        (r"(?:fever)+", {"fever"}),
        (r"(?:fever)*", set()),
        (r"\b(?:fever|\w+)\b", set()),
        (r"(?<!no )[a-z]", set()),
    ],
)
def test_an_expression_needs_the_rarest_words_that_each_match_has(pattern: str, letters: set[str]) -> None:
    assert {need.letters for need in needs_of(pattern)} == letters


@pytest.mark.parametrize(
    ("pattern", "is_word"),
    [
        (r"\bno\b", True),
        (r"no", False),
        (r"\bno", False),
        (r"\bno\w*", False),
        (r"(?<!\w)no(?!\w)", True),
        (r"(?:(?<![\w'])|(?=\W))no(?:(?<=\W)|(?!\w))", True),
        (r"\bno\s*:", True),
        (r"\bnos?\b", False),
    ],
)
def test_letters_count_as_a_word_only_where_no_letter_can_stand_beside_them(pattern: str, is_word: bool) -> None:
    (need,) = needs_of(pattern)
    assert need.is_word is is_word


def test_an_expression_that_can_match_without_any_certain_word_is_refused() -> None:
    with pytest.raises(UsageError, match="needs no certain word"):
        Expression(r"\w+")


def test_the_expressions_of_the_package_are_found() -> None:
    assert len(EXPRESSIONS) > 25


@settings(max_examples=10, deadline=None)
@given(st.data())
@pytest.mark.parametrize("expression", EXPRESSIONS, ids=lambda e: f"{e.bit.bit_length() - 1}")
def test_a_text_made_to_match_is_always_searched(expression: Expression, data: st.DataObject) -> None:
    text = data.draw(st.from_regex(expression.compiled))
    assert expression.compiled.search(text) is None or expression.may_be_in(text)


_WORDS = """
    no not never without fever pain cannot exclude rule out family history of mother had 2019 in 12 mg twice years ago
    if ? : ; , normal is was there denies n't isn't don’t from 90 to 180 rose allergic NKDA Patient ① ſ İ a-b 5/10
"""
WORDS = _WORDS.split()


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join))
def test_an_expression_finds_what_the_compiled_one_finds(text: str) -> None:
    for expression in EXPRESSIONS:
        assert [m.span() for m in expression.finditer(text)] == [m.span() for m in expression.compiled.finditer(text)]
        assert (expression.search(text) is None) is (expression.compiled.search(text) is None)


def test_of_several_those_that_fit_a_text_are_given_in_their_order() -> None:
    fever, cough, both = (Expression(p) for p in (r"\bfever\b", r"\bcough\b", r"\b(?:fever|cough)\b"))
    assert fitting("A COUGH, no more.", [both, fever, cough]) == [both, cough]
    assert fitting("feverish", [both, fever, cough]) == []


def test_letters_that_fold_to_others_let_every_expression_in() -> None:
    assert Expression(r"\bfever\b", re.IGNORECASE).may_be_in("İ")


def test_an_expression_made_later_is_searched_in_a_text_seen_before() -> None:
    text = "a word seen before: quokka"
    assert not Expression(r"\bwallaby\b").may_be_in(text)
    assert Expression(r"\bquokka\b").search(text) is not None
