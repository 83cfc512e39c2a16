"""Age and sex of the patient, as a text gives them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardround.knowledge.demographics import demographics


@pytest.mark.parametrize(
    ("text", "age", "sex"),
    [
        ("A 54-year-old woman with chest pain", 54, "female"),
        ("54F with chest pain", 54, "female"),
        ("72M, SOB", 72, "male"),
        ("31/F with fever", 31, "female"),
        ("F/31 with fever", 31, "female"),
        ("M 45, chest pain", 45, "male"),
        ("Female, 45, with abdominal pain", 45, "female"),
        ("62 years, female. PMH: stroke 3 years ago", 62, "female"),
        ("67 yo male", 67, "male"),
        ("67yo M with cough", 67, "male"),
        ("67 y/o F with cough", 67, "female"),
        ("45 y.o. man", 45, "male"),
        ("24 yr old female", 24, "female"),
        ("Age: 33, sex: female", 33, "female"),
        ("aged 81, a retired teacher; she fell", 81, "female"),
        ("Mr Jones, 58 years old, has chest pain", 58, "male"),
        ("Mrs Smith, aged 77, fell", 77, "female"),
        ("The 19-year-old student says he feels weak", 19, "male"),
        ("Chest pain for 20 years in a 60-year-old lady", 60, "female"),
        ("Patient is a 63-year-old transgender man", 63, "male"),
        ("A 102-year-old gentleman", 102, "male"),
        ("A sixty-year-old man", 60, "male"),
        ("A twenty-one-year-old woman", 21, "female"),
        ("Two-year-old boy with croup", 2, "male"),
        ("A 7-month-old boy", 0.58, "male"),
        ("18 month old girl", 1.5, "female"),
        ("Male aged 3 months", 0.25, "male"),
        ("3-week-old girl with fever", 0.06, "female"),
        ("38-week gestation baby boy aged 2 days", 0.01, "male"),
        ("A 10-day-old infant", 0.03, None),
        ("A 5 year old child", 5, None),
        ("I am 29 and have a headache", 29, None),
        ("I'm 29 years old and my head hurts", 29, None),
        ("I'm a 29 year old woman", 29, "female"),
        ("My daughter is 4 and has a cough. She is hot", 4, "female"),
        ("My son, 6 years old, has a rash", 6, "male"),
        ("My 3 year old has a rash, he is hot", 3, "male"),
        ("My 80-year-old father has chest pain", 80, None),
        ("A woman at 34 weeks' gestation, 28 years old", 28, "female"),
        ("A 6-year-old girl, brought by her mother, aged 30", 6, "female"),
        ("The patient's 80-year-old father had a stroke; she is 45 years old", 45, "female"),
        ("Her 80-year-old mother died. She is 45.", 45, "female"),
        ("Temp 38 F, 34 man", 34, "male"),
    ],
)
def test_age_and_sex_are_read_as_they_are_written(text: str, age: float, sex: str | None) -> None:
    read = demographics(text)
    assert read.age == pytest.approx(age, abs=0.01)
    assert read.sex == sex


@pytest.mark.parametrize(
    ("text", "sex"),
    [
        ("She is 34 weeks pregnant with a headache", "female"),
        ("A previously well man has chest pain for 3 years", "male"),
        ("A 70 kg man with fever", "male"),
        ("A 150-year-old man", "male"),
        ("A man in his 60s", "male"),
        ("A woman, 45 mg of codeine a day", "female"),
        ("woman, 3 days of cough", "female"),
        ("She is 50% better", "female"),
        ("BP 120/80, pulse 54", None),
        ("Seen on 12/05 at 14:30", None),
        ("", None),
    ],
)
def test_numbers_that_are_no_age_leave_it_unknown(text: str, sex: str | None) -> None:
    read = demographics(text)
    assert read.age is None
    assert read.sex == sex


def test_a_duration_before_the_sex_is_no_age() -> None:
    assert demographics("Fever for 3 days, male 45 years old").age == 45
    assert demographics("Fever for 3 days, male 45 years old").sex == "male"


def test_equal_pronouns_leave_the_sex_open() -> None:
    assert demographics("He said that she said so.").sex is None


def test_one_who_writes_of_herself_and_another_leaves_the_sex_open() -> None:
    assert demographics("I have a cough. My boss says he has it too.").sex is None


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 120), st.sampled_from(["woman", "man", "girl", "boy", "female", "male"]))
def test_every_age_to_120_is_read(age: int, word: str) -> None:
    read = demographics(f"A {age}-year-old {word} with a cough.")
    assert read.age == age
    assert read.sex == ("female" if word in ("woman", "girl", "female") else "male")


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200))
def test_any_text_gives_a_possible_age_or_none(text: str) -> None:
    read = demographics(text)
    assert read.age is None or 0 <= read.age <= 120
    assert read.sex in ("female", "male", None)
