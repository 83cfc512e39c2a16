"""Phrases found in tokens: any order, small words passed over, the longest one, never across a clause."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardround.knowledge.lexicon import FUNCTION_WORDS, MODIFIERS, Lexicon, Mention
from wardround.knowledge.text import fold, tokens

PHRASES = [
    ("chest_pain", "chest pain"),
    ("chest_pain_exertional", "chest pain on exertion"),
    ("leg_swelling", "swollen leg"),
    ("upper_pain", "upper abdominal pain"),
    ("abdominal_pain", "abdominal pain"),
    ("fever", "fever"),
    ("fever_reported", "temperature of 38"),
    ("analyte:temperature", "temperature"),
    ("list", "attacks of headache, sweating and palpitations"),
    ("headache", "headache"),
    ("who", "it"),
]


def find(text: str, phrases: list[tuple[str, str]] = PHRASES, clauses: list[int] | None = None) -> list[Mention]:
    words = tokens(text)
    return Lexicon(phrases).find(words, clauses if clauses is not None else [0] * len(words))


def targets(text: str, clauses: list[int] | None = None) -> list[str]:
    return [mention.target for mention in find(text, clauses=clauses)]


@pytest.mark.parametrize(
    "text",
    [
        "chest pain",
        "Chest Pain",
        "CHEST PAINS",
        "pain in the chest",
        "pain in his chest",
        "pain on the left side of the chest",
        "severe pain over the right chest",
        "the chest was very painful",
        "chest is painful",
    ],
)
def test_the_words_of_a_phrase_may_stand_in_any_order_with_small_words_between(text: str) -> None:
    assert targets(text) == ["chest_pain"]


@pytest.mark.parametrize(
    "text", ["chest x-ray showed pain", "pain, well, felt in the chest", "chest", "pain", "chest infection, leg pain"]
)
def test_half_a_phrase_and_scattered_words_are_none(text: str) -> None:
    assert targets(text) == []


def test_a_word_of_meaning_between_breaks_a_phrase() -> None:
    assert targets("chest infection pain") == []
    assert targets("pain elsewhere chest") == []


def test_the_longest_phrase_takes_the_place_of_those_within_it() -> None:
    assert targets("chest pain on exertion") == ["chest_pain_exertional"]
    assert targets("exertion brings on chest pain") == ["chest_pain"]
    assert targets("upper abdominal pain") == ["upper_pain"]
    assert targets("abdominal pain") == ["abdominal_pain"]


def test_a_modifier_that_is_part_of_a_phrase_must_be_there() -> None:
    assert targets("lower abdominal pain") == ["abdominal_pain"]


def test_two_phrases_that_only_overlap_are_both_found() -> None:
    phrases = [("neck", "neck pain"), ("radiating", "pain radiating")]
    found = find("neck pain radiating", phrases)
    assert {m.target for m in found} == {"neck", "radiating"}


def test_a_phrase_does_not_cross_a_clause() -> None:
    assert targets("chest clear pain", [0, 1, 2]) == []
    assert targets("no chest pain", [0, 0, 1]) == []
    assert targets("no chest pain", [0, 1, 1]) == ["chest_pain"]


def test_a_phrase_written_with_a_comma_may_cross_one_word_for_word() -> None:
    text = "attacks of headache, sweating and palpitations"
    assert targets(text, [0, 0, 0, 1, 1, 1]) == ["list"]
    assert targets("attacks of headache, palpitations and sweating", [0, 0, 0, 1, 1, 1]) == ["headache"]


def test_a_number_in_a_longer_phrase_leaves_the_shorter_one_to_be_read() -> None:
    assert set(targets("temperature of 38")) == {"fever_reported", "analyte:temperature"}


def test_a_repeated_phrase_is_found_each_time() -> None:
    found = find("chest pain then more chest pain")
    assert [(m.start, m.end) for m in found] == [(0, 10), (21, 31)]


def test_a_mention_says_where_it_stands() -> None:
    text = "He has a swollen right leg now"
    (mention,) = find(text)
    assert text[mention.start : mention.end] == "swollen right leg"
    assert mention.words == {3, 5}


def test_a_phrase_of_one_word_needs_just_that_word() -> None:
    assert targets("fevers") == ["fever"]
    assert targets("feverfew") == []


def test_british_and_american_spelling_meet() -> None:
    phrases = [("diarrhea", "diarrhea"), ("anemia", "anaemia"), ("edema", "leg oedema")]
    assert [m.target for m in find("diarrhoea", phrases)] == ["diarrhea"]
    assert [m.target for m in find("anemia", phrases)] == ["anemia"]
    assert [m.target for m in find("edema of the leg", phrases)] == ["edema"]


def test_a_lexicon_without_phrases_finds_nothing() -> None:
    assert find("chest pain", []) == []
    assert find("chest pain", [("empty", ""), ("dots", "...")]) == []


def test_small_words_and_modifiers_are_kept_apart() -> None:
    assert not FUNCTION_WORDS & MODIFIERS


CONTENT = ["chest", "pain", "fever", "leg", "swollen", "headache", "rash", "knee", "with", "the", "severe", "left"]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(CONTENT), max_size=12))
def test_every_mention_holds_the_words_of_its_phrase_within_its_span(words: list[str]) -> None:
    text = " ".join(words)
    for mention in find(text):
        inside = {token.word for token in tokens(text[mention.start : mention.end])}
        phrase = next(p for t, p in PHRASES if t == mention.target)
        assert {fold(word) for word in phrase.split()} - FUNCTION_WORDS <= inside


@settings(max_examples=300, deadline=None)
@given(st.permutations(["severe", "pain", "in", "the", "left", "chest"]))
def test_no_order_of_a_phrase_with_its_small_words_hides_it(words: list[str]) -> None:
    assert targets(" ".join(words)) == ["chest_pain"]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(CONTENT), max_size=12), st.data())
def test_no_mention_crosses_a_clause(words: list[str], data: st.DataObject) -> None:
    clauses = sorted(data.draw(st.lists(st.integers(0, 3), min_size=len(words), max_size=len(words))))
    for mention in find(" ".join(words), clauses=clauses):
        assert len({clauses[i] for i in mention.words}) == 1
