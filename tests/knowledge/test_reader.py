"""From free text to findings."""

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardround.core.finding import Assertion, Laterality
from wardround.knowledge.clinician import reference_clinician
from wardround.knowledge.loading import embedded
from wardround.knowledge.reader import Reader

KB = embedded()
READER = Reader(KB)

NOT_ROUND: frozenset[tuple[str, str]] = frozenset()
"""Findings whose claim sentence is known not to read back, with the assertion that is lost."""


def said(text: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for finding in READER.read(text):
        found[finding.code].add(finding.assertion.value)
    return found


def lost(template: str, expected: str) -> set[tuple[str, str]]:
    return {
        (entry.id, expected)
        for entry in KB.findings.values()
        if said(template.format(name=entry.name)).get(entry.id) != {expected}
    }


def test_a_claim_that_a_finding_is_there_reads_back() -> None:
    assert lost("There is {name}.", "present") <= NOT_ROUND


def test_a_claim_that_a_finding_is_not_there_reads_back() -> None:
    assert lost("There is no {name}.", "absent") <= NOT_ROUND


@pytest.mark.parametrize(
    ("template", "expected"),
    [("There is possible {name}.", "possible"), ("The patient is to return if {name} occurs.", "hypothetical")],
)
def test_claims_of_doubt_and_supposition_read_back(template: str, expected: str) -> None:
    assert len(lost(template, expected)) <= 0.01 * len(KB.findings)


def test_claims_of_history_read_back_save_for_risks_that_stay() -> None:
    risks = {(entry.id, "historical") for entry in KB.findings.values() if entry.kind == "risk_factor"}
    assert len(lost("There is a history of {name}.", "historical") - risks) <= 0.01 * len(KB.findings)


def test_the_list_of_claims_that_do_not_read_back_stays_short() -> None:
    assert len(NOT_ROUND) <= 0.05 * 2 * len(KB.findings)


def test_a_claim_about_a_condition_reads_back() -> None:
    for condition in KB.conditions.values():
        for template, expected in (("There is {}.", Assertion.PRESENT), ("There is no {}.", Assertion.ABSENT)):
            read = {f.assertion for f in READER.conditions(template.format(condition.name)) if f.code == condition.id}
            assert read == {expected}, (condition.id, template)


def test_a_claim_with_a_value_reads_back() -> None:
    for entry in KB.findings.values():
        if entry.analyte is None:
            continue
        analyte = KB.analytes[entry.analyte]
        for value in analyte.plausible:
            for finding in READER.measured(analyte.id, value, None, age=None, sex=None):
                negation = "no " if finding.assertion is Assertion.ABSENT else ""
                sentence = f"There is {negation}{finding.name} ({finding.value:g} {finding.unit})."
                assert said(sentence).get(finding.code) == {finding.assertion.value}, sentence


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Chest pain and fever, no cough.", {"chest_pain": "present", "fever_reported": "present", "cough": "absent"}),
        ("Denies fever, chills, cough or headache.", {"fever_reported": "absent", "headache": "absent"}),
        ("Denies cough. Reports headache.", {"cough": "absent", "headache": "present"}),
        ("My daughter has a cough.", {"cough": "present"}),
        ("His brother has a cough.", {"cough": "family"}),
        (
            "Return if you develop chest pain, vomiting or fever.",
            {"chest_pain": "hypothetical", "vomiting": "hypothetical"},
        ),
        ("Do you have a cough?", {"cough": "hypothetical"}),
        ("?cough", {"cough": "possible"}),
        ("Cough: no. Headache: yes.", {"cough": "absent", "headache": "present"}),
        ("She has had no chest pain but is vomiting.", {"chest_pain": "absent", "vomiting": "present"}),
    ],
)
def test_a_note_is_read_with_how_it_says_things(text: str, expected: dict[str, str]) -> None:
    read = said(text)
    assert {code: read[code] for code in expected} == {code: {value} for code, value in expected.items()}


def test_a_risk_in_the_history_is_a_risk_now() -> None:
    assert said("PMH: diabetes, hypertension.")["diabetes_history"] == {"present"}
    assert said("History of diabetes.")["diabetes_history"] == {"present"}
    assert said("No history of diabetes.")["diabetes_history"] == {"absent"}


def test_a_relative_s_heart_disease_is_a_risk_of_the_patient() -> None:
    assert said("Family history: coronary artery disease.") == {"family_history_cad": {"present"}}
    assert said("Father had a heart attack at 50.") == {"family_history_cad": {"present"}}
    assert said("No family history of coronary artery disease.") == {"family_history_cad": {"absent"}}


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("Cough for 3 days.", 3),
        ("Cough for two weeks.", 14),
        ("Cough for the past six hours.", 0.25),
        ("3-day history of cough.", 3),
        ("Two-week history of cough.", 14),
        ("Cough since a month.", 30.4),
        ("Cough.", None),
        ("A 45-year-old man with cough.", None),
    ],
)
def test_how_long_it_has_been_so_is_read_in_days(text: str, days: float | None) -> None:
    (finding,) = (f for f in READER.read(text) if f.code == "cough")
    assert finding.days == (pytest.approx(days, abs=1e-3) if days is not None else None)


@pytest.mark.parametrize(
    ("text", "side"),
    [
        ("Pain in the left flank.", Laterality.LEFT),
        ("Right flank pain.", Laterality.RIGHT),
        ("Bilateral flank pain.", Laterality.BILATERAL),
        ("Pain in both flanks.", Laterality.BILATERAL),
        ("Flank pain.", None),
    ],
)
def test_the_side_is_read(text: str, side: Laterality | None) -> None:
    assert {f.laterality for f in READER.read(text) if f.code == "flank_pain"} == {side}


def test_every_span_shows_the_words_that_say_it() -> None:
    text = "Seen today. She has a cough.\n\nNo chest pain; temperature 38.6 C."
    spans = {f.code: text[slice(*f.span)] for f in READER.read(text) if f.span is not None}
    assert spans["cough"] == "cough"
    assert spans["chest_pain"] == "chest pain"
    assert spans["fever"] == "temperature 38.6 C"


def test_a_number_decides_over_the_word_beside_it() -> None:
    assert said("Tachycardia, HR 70.")["tachycardia"] == {"absent"}


def test_the_same_text_reads_the_same_again() -> None:
    text = "Chest pain for two hours, BP 85/50, no fever. Father had a stroke."
    assert READER.read(text) == READER.read(text) == Reader(KB).read(text)


def test_text_without_findings_says_nothing() -> None:
    assert READER.read("") == ()
    assert READER.read("The weather was fine and the bus was late.") == ()
    assert READER.conditions("") == ()


def test_a_narrow_finding_brings_the_broad_ones_unless_the_text_denies_them() -> None:
    clinician = reference_clinician()
    narrow = next(e for e in KB.findings.values() if "abdominal_pain" in e.implies)
    codes = {f.code: f.assertion for f in clinician.read(f"There is {narrow.name}.", age=None, sex=None)}
    assert codes["abdominal_pain"] is Assertion.PRESENT
    denied = {f.code: f.assertion for f in clinician.read(f"There is no {narrow.name}.", age=None, sex=None)}
    assert "abdominal_pain" not in denied


NAMES = [entry.name for entry in KB.findings.values()]


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=120))
def test_any_text_is_read_without_complaint(text: str) -> None:
    for finding in READER.read(text):
        assert finding.code in KB.findings
        assert finding.span is not None
        assert 0 <= finding.span[0] < finding.span[1] <= len(text)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(NAMES), st.sampled_from(NAMES))
def test_a_second_sentence_does_not_change_what_the_first_says(first: str, second: str) -> None:
    alone = READER.read(f"There is {first}.")
    together = READER.read(f"There is {first}. There is no {second}.")
    assert together[: len(alone)] == alone
