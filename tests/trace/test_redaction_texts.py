"""Identifiers in free text: what goes, and what only looks like one and stays."""

import re
import string
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardround.core.errors import UsageError
from wardround.trace.redaction import Edit, Identifier, PatternRedactor, StructuredRedactor, redact_text
from wardround.trace.redaction.edits import Moves, applied, settled
from wardround.trace.redaction.folding import folded

KEY = b"a key for the tests, 32 bytes...."


def patient(given: str, family: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": "pat-00017",
        "name": [{"family": family, "given": given.split()}],
        "identifier": [{"system": "urn:mrn", "value": "W4711042"}],
        "telecom": [
            {"system": "phone", "value": "+1 (212) 555-0147"},
            {"system": "email", "value": "x.y@mail.example"},
        ],
        "address": [{"line": ["12 Heron Street"], "city": "Port Ellery", "state": "Examplia", "postalCode": "00212"}],
        "birthDate": "1961-03-04",
        **more,
    }


DOCTOR = {"resourceType": "Practitioner", "id": "doc-9", "name": [{"family": "Okafor", "given": ["Ngozi"]}]}
VISIT = {"resourceType": "Encounter", "id": "enc-1", "period": {"start": "2023-11-13T10:15:00+00:00"}}


def redactor(given: str = "John", family: str = "Doe", **more: Any) -> StructuredRedactor:
    return StructuredRedactor([patient(given, family, **more), DOCTOR, VISIT], key=KEY)


def left(text: str, given: str = "John", family: str = "Doe", **more: Any) -> str:
    return redactor(given, family, **more).text(text).value


@pytest.mark.parametrize(
    "form",
    [
        "John Doe", "Doe, John", "DOE JOHN", "Doe John", "J. Doe", "J Doe", "Doe, J.", "john doe", "John Q. Doe",
        "JOHN\nDOE", "JOHN DOE", "Ｊｏｈｎ Doe", "John\u00a0Doe",
    ],
)  # fmt: skip
def test_a_name_goes_in_every_order_and_spelling(form: str) -> None:
    assert left(f"Seen today: {form} (ward 3).").removesuffix(" (ward 3).") in (
        "Seen today: [PATIENT]",
        "Seen today: [PATIENT].",
    )


@pytest.mark.parametrize(
    "form", ["Peñalver", "Penalver", "PEÑALVER", "Pen\u0303alver", "Peñalver-Müller", "Mueller", "muller"]
)
def test_accents_and_halves_of_double_names_are_the_same_name(form: str) -> None:
    assert left(f"Sra. {form} denies pain.", "José", "Peñalver-Müller") == "Sra. [PATIENT] denies pain."


@pytest.mark.parametrize("form", ["O'Brien", "O’Brien", "OBrien", "O'BRIEN", "van der Berg", "Van der Berg", "Berg"])
def test_apostrophes_and_particles_are_part_of_a_name(form: str) -> None:
    family = "O'Brien" if "rien" in form.lower() else "van der Berg"
    assert left(f"Mrs {form} was seen.", "Ana", family) == "Mrs [PATIENT] was seen."


@pytest.mark.parametrize(
    ("family", "disease"),
    [
        ("Graves", "Graves' disease"), ("Graves", "Graves disease"), ("Graves", "GRAVES OPHTHALMOPATHY"),
        ("Crohn", "Crohn's disease"), ("Crohn", "Crohn’s, on infliximab"), ("Parkinson", "Parkinson's disease"),
        ("Cushing", "Cushing syndrome"), ("Wegener", "Wegener granulomatosis"), ("Hodgkin", "Hodgkin lymphoma"),
        ("Stokes", "Cheyne-Stokes respiration"), ("Parkinson", "Wolff-Parkinson-White"),
        ("Parkinson", "Parkinson plus"),
        ("Murphy", "Murphy sign negative"), ("Bell", "Bell's palsy"), ("Addison", "Addisonian crisis"),
    ],
)  # fmt: skip
def test_a_disease_keeps_its_name_when_the_patient_has_it_too(family: str, disease: str) -> None:
    text = f"Robert {family} has {disease}. Mr {family} was told. {family} denies fever."
    assert left(text, "Robert", family) == f"[PATIENT] has {disease}. Mr [PATIENT] was told. [PATIENT] denies fever."


def test_the_wife_of_somebody_with_an_eponym_is_no_sign() -> None:
    assert (
        left("Mr. Parkinson's wife and Parkinson's son", "Robert", "Parkinson")
        == "Mr. [PATIENT]'s wife and [PATIENT]'s son"
    )


def test_plain_words_are_no_names_though_a_disease_is_called_so() -> None:
    text = "Young male with cough. Will follow up. Still in pain. Mr Young is well."
    assert left(text, "Will", "Young") == text.replace("Mr Young", "Mr [PATIENT]")


def test_a_bare_eponym_is_a_disease_in_a_clinical_place_and_a_name_elsewhere() -> None:
    text = "Known Graves, on carbimazole. PMH: asthma, Graves, gout. We wrote to Graves about it."
    done = redactor("Robert", "Graves").text(text)
    assert done.value == "Known Graves, on carbimazole. PMH: asthma, Graves, gout. We wrote to [PATIENT] about it."
    assert done.report.spared == {Identifier.NAME: 2}


@pytest.mark.parametrize(
    "text",
    [
        "May be discharged in May.", "The temperature rose to 38.9.", "Rose spots on the trunk.",
        "We may grant access.", "Seen early in May", "Grant access to the notes.", "rose bengal staining",
    ],
)  # fmt: skip
def test_words_that_are_names_stay_where_they_are_words(text: str) -> None:
    assert left(text, "May Rose", "Grant") == text


@pytest.mark.parametrize(
    ("text", "done"),
    [
        ("May Grant was seen.", "[PATIENT] was seen."),
        ("Mrs Grant came with Rose.", "Mrs [PATIENT] came with [PATIENT]."),
        ("Grant denies pain.", "[PATIENT] denies pain."),
        ("GRANT, MAY ROSE", "[PATIENT]"),
        ("May, 45, has a cough.", "[PATIENT], 45, has a cough."),
        ("We told May that it may help.", "We told [PATIENT] that it may help."),
        ("Patient: Rose", "Patient: [PATIENT]"),
        ("Grant's wife called.", "[PATIENT]'s wife called."),
    ],
)
def test_words_that_are_names_go_where_they_are_names(text: str, done: str) -> None:
    assert left(text, "May Rose", "Grant") == done


def test_short_names_are_told_from_abbreviations() -> None:
    text = "ANA positive, Li 0.8 mmol/L. He has pain. An X-ray. Ana denies fever. Li, Ana."
    assert (
        left(text, "Ana", "Li")
        == "ANA positive, Li 0.8 mmol/L. He has pain. An X-ray. [PATIENT] denies fever. [PATIENT]."
    )


def test_a_name_ends_at_the_end_of_its_sentence() -> None:
    assert left("ALP 410 U/L. Doe was seen by A. Doe rang.") == "ALP 410 U/L. [PATIENT] was seen by A. [PATIENT] rang."


def test_a_clinician_is_told_from_a_patient_of_the_same_name_by_the_title() -> None:
    done = left("Dr. Okafor saw Mr Okafor.", "John", "Okafor")
    assert re.fullmatch(r"Dr\. \[CLINICIAN-[A-Z]{4}\] saw Mr \[PATIENT\]\.", done)


def test_numbers_addresses_and_ids_of_the_record_go() -> None:
    text = (
        "MRN W4711042, w4711042; tel 212 555 0147, (212)555-0147 or 555-0147; x.y@MAIL.example; "
        "12 heron street, Port Ellery 00212; Patient/pat-00017; Observation?patient=pat-00017&code=4548-4"
    )
    done = left(text)
    for gone in ("4711042", "0147", "x.y@", "heron", "Ellery", "00212", "pat-00017"):
        assert gone.lower() not in done.lower()
    assert done.endswith("&code=4548-4")
    renamed = re.findall(r"x[a-p]{16}", done)
    assert len(renamed) == 4
    assert len(set(renamed)) == 2, "one name for the record number, one for the id"


def test_values_that_resemble_numbers_of_the_record_stay() -> None:
    text = "CK 5550147 U/L is not 212, platelets 212, 00212 aside; sodium 147 mmol/L; score 12; 12.0147"
    assert left(text).replace("[PLACE]", "00212").replace("[PHONE]", "5550147") == text
    assert left("K 4.1, BP 212/55, 0147 h, INR 2.1") == "K 4.1, BP 212/55, 0147 h, INR 2.1"


def test_dates_of_a_patient_move_together_and_keep_their_form() -> None:
    text = "2023-11-13T10:15, 13 November 2023, Nov 13, 2023, 13/11/2023, 13.11.23, 13th of November 2023"
    done = left(text)
    days = redactor().shift.days
    moved = date(2023, 11, 13) + timedelta(days=days)
    assert -364 <= days <= -1
    assert done.split(", ")[0] == f"{moved.isoformat()}T10:15"
    assert done.split(", ")[1] == f"{moved.day} {moved:%B} {moved.year}"
    assert f"{moved:%d/%m/%Y}" in done
    assert f"{moved:%d.%m.%y}" in done


@given(st.dates(date(1950, 1, 1), date(2023, 11, 1)), st.integers(0, 10_000))
def test_intervals_stay(day: date, after: int) -> None:
    later = day + timedelta(days=after)
    done = left(f"{day.isoformat()} to {later.day} {later:%B} {later.year}.") if later.year < 2100 else ""
    if done:
        first, second = done.rstrip(".").split(" to ")
        parsed = _named(second)
        assert parsed - date.fromisoformat(first) == later - day


def _named(text: str) -> date:
    from datetime import datetime

    return datetime.strptime(text, "%d %B %Y").date()


@pytest.mark.parametrize(
    "text",
    [
        "pain 5/10, power 4/5, GCS 15/15", "BP 120/80", "Take 1/2 tablet on 1/2 days", "Dec 10 mg", "may 2 tablets",
        "Version 10.2.1", "ratio 1:160", "in 2019 and since 1998", "SpO2 93 %", "T 98.6 F, then 99 F",
        "HR 96, weight 93 kg, for 95 days", "30/02/2020", "5/10/15 mg",
    ],
)  # fmt: skip
def test_fractions_doses_and_years_are_no_dates_and_values_no_ages(text: str) -> None:
    assert left(text) == text


def test_a_day_and_month_alone_move_where_a_word_says_that_it_is_a_date() -> None:
    done = left("Admitted on 11/13, pain 5/10.")
    assert "11/13" not in done
    assert done.endswith("pain 5/10.")


@pytest.mark.parametrize(
    ("text", "done"),
    [
        ("93-year-old woman", "90-year-old woman"), ("aged 101", "aged 90"), ("91 yo", "90 yo"),
        ("ninety-three-year-old man", "ninety-year-old man"), ("89-year-old man", "89-year-old man"),
        ("94F with cough", "90F with cough"), ("her mother is 96", "her mother is 90"),
        ("90 years old", "90 years old"),
    ],
)  # fmt: skip
def test_ages_over_89_become_one(text: str, done: str) -> None:
    assert left(text) == done


def test_the_birth_date_of_somebody_over_89_tells_no_age() -> None:
    old = redactor(birthDate="1925-03-04")
    days = old.shift.days
    year = str((date(2023, 11, 13) + timedelta(days=days)).year - 90)
    assert old.text("DOB 4 March 1925, born in 1925, 1925-03-04.").value == f"DOB {year}, born in {year}, {year}."


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("SSN 219-09-9999", Identifier.SOCIAL_SECURITY),
        ("social security number: 219099999", Identifier.SOCIAL_SECURITY),
        ("phone 0151 496 0123", Identifier.PHONE), ("(212) 555-0199", Identifier.PHONE),
        ("bleep 4412", Identifier.PHONE), ("+44 20 7946 0018", Identifier.PHONE),
        ("Fax: 212-555-0198", Identifier.FAX), ("a.b+c@clinic.example", Identifier.EMAIL),
        ("http://portal.hospital.example/p?id=3", Identifier.URL), ("10.20.30.40", Identifier.IP_ADDRESS),
        ("fe80::1:2:3:4", Identifier.IP_ADDRESS), ("MRN: 00482913", Identifier.RECORD_NUMBER),
        ("NHS number 943 476 5919", Identifier.RECORD_NUMBER), ("Member ID XJ-88213", Identifier.HEALTH_PLAN),
        ("account no 7782-1123", Identifier.ACCOUNT), ("License number: D4482-11", Identifier.LICENCE),
        ("VIN 1HGCM82633A004352", Identifier.VEHICLE), ("serial number PM-99812-A", Identifier.DEVICE),
        ("Dr. Mbeki-Olsson", Identifier.NAME), ("Mrs van den Heuvel", Identifier.NAME),
    ],
)  # fmt: skip
def test_a_form_or_the_word_before_gives_an_identifier_away(text: str, kind: Identifier) -> None:
    done = redact_text(f"Note: {text}, seen.", [PatternRedactor()])
    assert list(done.report.replaced) == [kind]
    assert not any(c.isdigit() for c in done.value)


@pytest.mark.parametrize(
    "text",
    [
        "Platelets 250000, CK 5550147 U/L, phone consultation for 2 weeks",
        "http://loinc.org and http://hl7.org/fhir/sid/icd-10",
        "BP 120/80, ratio 1.2.3, INR 2.5", "120-80-70 and 100-200 mg", "Dr to review; Dr. on call", "Mr Crohn disease",
        "call if worse in 24-48 hours", "phone 10-14 days later", "white cell 12000", "cell count 12000",
        "sodium 135-145, 3 x 2.5-5.0 mg",
        "LOINC 2345-7, SNOMED 386661006",
        "member of the family, policy: no change", "group B streptococcus 10 000",
    ],
)  # fmt: skip
def test_laboratory_values_doses_and_codes_have_no_form_of_an_identifier(text: str) -> None:
    assert redact_text(text, [PatternRedactor()]).value == text


def test_a_report_counts_and_never_tells() -> None:
    report = redactor().text("John Doe, MRN W4711042, 13 November 2023, has Graves' disease.").report
    assert report.to_json() == {"replaced": {"date": 1, "name": 1, "record_number": 1}, "spared": {}, "removed": {}}


def test_a_key_that_can_be_guessed_is_refused() -> None:
    with pytest.raises(UsageError, match="16 or more"):
        StructuredRedactor([], key=b"short")


def test_other_keys_give_other_names() -> None:
    first, second = (
        StructuredRedactor([patient("John", "Doe")], key=key * 16).text("W4711042").value for key in (b"a", b"b")
    )
    assert first != second


def test_texts_of_several_patients_need_to_be_told_whose_they_are() -> None:
    both = [patient("John", "Doe"), {**patient("Jane", "Roe"), "id": "pat-00018"}]
    with pytest.raises(UsageError, match="2 patients"):
        StructuredRedactor(both, key=KEY).text("2023-11-13")
    done = StructuredRedactor(both, key=KEY, patient="pat-00017").text("Jane Roe and John Doe").value
    assert re.fullmatch(r"\[PATIENT-[A-Z]{4}\] and \[PATIENT-[A-Z]{4}\]", done)
    assert len(set(done.split(" and "))) == 2
    with pytest.raises(UsageError, match="no Patient/nobody"):
        StructuredRedactor(both, key=KEY, patient="nobody")


@given(st.text(string.printable + "éñßŁ\u0301\u200b’", max_size=200))
def test_any_text_can_be_redacted_and_text_without_identifiers_stays(text: str) -> None:
    done = redactor("Quetzalcoatl", "Zzyzxowitz").text(text)
    if not done.report.replaced:
        assert done.value == text


@given(st.text(string.ascii_letters + " .,\n'", max_size=60), st.text(string.ascii_letters + " .,\n'", max_size=60))
def test_a_name_that_is_no_word_never_survives(before: str, after: str) -> None:
    done = left(f"{before} Zzyzxowitz {after}", "Quetzal", "Zzyzxowitz")
    assert "zzyzxowitz" not in done.lower()


@given(st.text(string.printable + "ßŒé\u0301ﬁ", max_size=80))
def test_folding_leads_back_to_where_each_character_came_from(text: str) -> None:
    plain = folded(text)
    assert len(plain.at) == len(plain.text) + 1
    assert list(plain.at) == sorted(plain.at)
    assert plain.at[-1] == len(text)


def test_overlapping_edits_leave_no_end_standing() -> None:
    text = "call 212-555-0147 x 99"
    edits = settled(
        [Edit(0, 12, Identifier.OTHER, "[A]"), Edit(5, 17, Identifier.PHONE, "[B]"), Edit(5, 8, Identifier.DATE, None)]
    )
    assert applied(text, edits) == "[A] x 99"


@given(st.integers(0, 30), st.integers(0, 30))
def test_places_outside_an_edit_keep_their_words(a: int, b: int) -> None:
    text = "abcdefghij KLMNO pqrstuvwxyz 12"
    start, end = min(a, b), max(a, b)
    edits = [Edit(11, 16, Identifier.NAME, "[PATIENT]")]
    moves, done = Moves(edits), applied(text, edits)
    if start < end and (end <= 11 or start >= 16):
        assert done[moves.start(start) : moves.end(end)] == text[start:end]
    elif start < end:
        assert "[PATIENT]" in done[moves.start(start) : moves.end(end)]
