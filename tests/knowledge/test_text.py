"""Sentences and words of clinical text, with their places."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardround.knowledge.text import fold, sentences, tokens


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Seen by Dr. Lee. Temp 38.5 C. No cough.", ["Seen by Dr. Lee.", "Temp 38.5 C.", "No cough."]),
        ("No fever. No cough", ["No fever.", "No cough"]),
        ("Fever? No. Cough!", ["Fever?", "No.", "Cough!"]),
        ("BP 120/80.\nHR 90.", ["BP 120/80.", "HR 90."]),
        ("- fever\n- cough", ["- fever", "- cough"]),
        ("PMH: gout\nDH: none", ["PMH: gout", "DH: none"]),
        ("Pain vs. tenderness", ["Pain vs. tenderness"]),
        ("One paragraph\n\nanother one", ["One paragraph", "another one"]),
        ("", []),
        ("   \n \n ", []),
    ],
)
def test_clinical_prose_is_split_into_statements(text: str, expected: list[str]) -> None:
    assert [s.text for s in sentences(text)] == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Diarrhoea", "diarrhea"),
        ("oedema", "edema"),
        ("Haematuria", "hematuria"),
        ("vomiting", "vomited"),
        ("fevers", "fever"),
        ("patient's", "patient"),
        ("patient’s", "patient"),
    ],
)
def test_spellings_and_inflections_of_a_word_meet(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(("one", "other"), [("fever", "never"), ("hypotension", "hypertension"), ("AMS", "am")])
def test_different_words_stay_apart(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200))
def test_sentences_and_words_stand_where_they_say(text: str) -> None:
    for sentence in sentences(text):
        assert text[sentence.start : sentence.start + len(sentence.text)] == sentence.text
        assert sentence.text.strip() == sentence.text != ""
    for token in tokens(text):
        assert text[token.start : token.end] == token.raw


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="abc .!?\n:-ABC0", max_size=120))
def test_splitting_loses_no_word(text: str) -> None:
    kept = [token.raw for sentence in sentences(text) for token in tokens(sentence.text)]
    assert kept == [token.raw for token in tokens(text)]


@pytest.mark.parametrize("length", [999, 1000, 1001, 5000])
def test_a_long_text_is_read_as_a_short_one_is(length: int) -> None:
    text = ("No fever. Cough for 3 days. " * 200)[:length]
    assert [text[t.start : t.end] for t in tokens(text)] == [t.raw for t in tokens(text)]
    assert tokens(text)[:6] == tokens(text[:40])[:6]
    assert sentences(text)[:2] == sentences("No fever. Cough for 3 days. And")[:2]


def test_the_form_of_a_word_is_singular_and_no_stem() -> None:
    assert [token.form for token in tokens("Tumours, hepatitis, Crohn's")] == ["tumor", "hepatitis", "crohn"]
