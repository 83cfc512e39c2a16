"""From words to codes and from quantities to units: several candidates rather than one guess."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardround.core.errors import UsageError
from wardround.knowledge.clinician import reference_clinician
from wardround.tools.fhir.terms import CANDIDATES, CodeCandidate, Inventory, RecordCode, lookup
from wardround.tools.fhir.units import LOINC, Analytes, in_unit, normalised

KB = reference_clinician().kb
ANALYTES = Analytes(KB)
LAB = "urn:oid:1.2.3"
SNOMED = "http://snomed.info/sct"

RECORD = Inventory(
    "Patient/p1",
    (
        RecordCode("Observation", LAB, "GLU", "CBG", 40),
        RecordCode("Observation", LOINC, "6298-4", "Potassium [Moles/volume] in Blood", 12),
        RecordCode("Observation", LOINC, "0000-0", "Potassium [Moles/volume] in Urine", 2),
        RecordCode("Condition", SNOMED, "233604007", "Pneumonia (disorder)", 1),
        RecordCode("MedicationRequest", "urn:ndc", "0000-1234-50", "magnesium sulfate 2 g", 3),
        RecordCode("Observation", "", "", "Wound smell", 1),
    ),
)


def found(words: str, known: Inventory | None = RECORD) -> list[tuple[str, str, int | None]]:
    return [(c.source, c.code, c.count) for c in lookup(words, ANALYTES, known)]


def part(code: str, *, system: str = LOINC, display: str = "", text: str = "") -> dict[str, Any]:
    return {"code": {"coding": [{"system": system, "code": code, "display": display}], "text": text}}


def quantity(value: Any, unit: str | None = None, code: str | None = None) -> dict[str, Any]:
    given_ = {"value": value, "unit": unit, "code": code}
    return {name: member for name, member in given_.items() if member is not None}


@pytest.mark.parametrize("words", ["potassium", "serum K", "K", "latest potassium level", "6298-4"])
def test_the_code_that_the_record_uses_comes_first(words: str) -> None:
    assert found(words)[0] == ("record", "6298-4", 12)


def test_the_modern_code_that_the_record_lacks_is_named_with_a_count_of_none_there() -> None:
    assert ("knowledge", "2823-3", 0) in found("potassium")
    assert [c for c in found("potassium") if c[1] == "6298-4"] == [("record", "6298-4", 12)]


def test_a_longer_name_is_offered_behind_the_exact_one() -> None:
    codes = [code for _, code, _ in found("potassium")]
    assert codes.index("0000-0") > codes.index("2823-3")


@pytest.mark.parametrize("words", ["blood sugar", "CBG", "glucose", "GLU", "glu"])
def test_a_local_code_is_found_by_what_it_means(words: str) -> None:
    assert found(words)[0] == ("record", "GLU", 40)


def test_without_a_record_nothing_is_said_about_how_often() -> None:
    candidates = lookup("serum potassium", ANALYTES)
    assert {(c.system, c.code) for c in candidates if c.fit == "name"} == {(LOINC, "2823-3"), (LOINC, "6298-4")}
    assert {c.count for c in candidates} == {None}


def test_a_diagnosis_has_its_icd_code_and_the_records_own() -> None:
    candidates = lookup("pneumonia", ANALYTES, RECORD)
    assert {("J18.9", "knowledge"), ("233604007", "record")} <= {(c.code, c.source) for c in candidates}
    assert {c.type for c in candidates} == {"Condition"}


def test_a_drug_is_found_in_the_record() -> None:
    assert ("record", "0000-1234-50", 3) in found("magnesium")


def test_what_two_things_are_called_gives_both() -> None:
    names = {c.display for c in lookup("Ca", ANALYTES) if c.fit == "name"}
    assert names == {"Calcium (mmol/L)", "Ionised calcium (mmol/L)"}
    assert len(ANALYTES.named("ca")) == 2


def test_a_thing_named_in_words_alone_is_found_without_a_code() -> None:
    assert found("wound smell") == [("record", "", 1)]


def test_words_that_share_only_a_part_are_offered_only_where_nothing_fits() -> None:
    loose = lookup("potassium sparing diuretic", ANALYTES, RECORD)
    assert loose
    assert {c.fit for c in loose} == {"some words"}
    assert "some words" not in {c.fit for c in lookup("potassium", ANALYTES, RECORD)}


@pytest.mark.parametrize("words", ["", "   ", "?!", "qqqq"])
def test_words_that_mean_nothing_find_nothing(words: str) -> None:
    assert found(words) == []


@given(st.text(max_size=30))
def test_any_words_give_a_bounded_list_in_order_of_fit(words: str) -> None:
    candidates = lookup(words, ANALYTES, RECORD)
    fits = [("name", "all words", "some words").index(c.fit) for c in candidates]
    assert len(candidates) <= CANDIDATES
    assert fits == sorted(fits)


@pytest.mark.parametrize("analyte", sorted(KB.analytes))
def test_every_analyte_is_found_by_its_own_name_with_all_its_codes(analyte: str) -> None:
    entry = KB.analytes[analyte]
    candidates: tuple[CodeCandidate, ...] = lookup(entry.name, ANALYTES)
    assert set(entry.loinc) <= {c.code for c in candidates if c.fit == "name"}


def test_a_loinc_code_decides_what_is_measured() -> None:
    assert [ANALYTES.of(part(code)) for code in KB.analytes["potassium"].loinc] == [KB.analytes["potassium"]] * 2


def test_a_loinc_code_that_is_not_known_is_not_overruled_by_a_name() -> None:
    assert ANALYTES.of(part("0000-0", display="Potassium", text="Potassium")) is None


@pytest.mark.parametrize(
    ("code", "analyte"), [("K", "potassium"), ("MG", "magnesium"), ("GLU", "glucose"), ("A1C", "hba1c")]
)
def test_a_local_code_decides_where_it_is_exactly_a_name(code: str, analyte: str) -> None:
    assert ANALYTES.of(part(code, system=LAB, display=code)) == KB.analytes[analyte]


@pytest.mark.parametrize("text", ["Glucose in urine", "Potassium, urine", "CA", "", "K sparing"])
def test_a_longer_or_ambiguous_name_decides_nothing(text: str) -> None:
    assert ANALYTES.of(part("", system=LAB, text=text)) is None


def test_names_that_disagree_decide_nothing() -> None:
    assert ANALYTES.of(part("K", system=LAB, text="Sodium")) is None


def test_a_name_beside_an_ambiguous_code_decides() -> None:
    assert ANALYTES.of(part("CA", system=LAB, text="Ionised calcium")) == KB.analytes["ionized_calcium"]


@pytest.mark.parametrize(
    ("analyte", "given_", "value", "unit"),
    [
        ("potassium", quantity(4.1, "mEq/L"), 4.1, "mmol/L"),
        ("glucose", quantity(180, "mg/dL"), 9.99, "mmol/L"),
        ("glucose", quantity(180, "milligrams per decilitre", "mg/dL"), 9.99, "mmol/L"),
        ("glucose", quantity(180, "mg/dL", "some-local-code"), 9.99, "mmol/L"),
        ("temperature", quantity(98.6, "degF", "[degF]"), 37.0, "Cel"),
        ("inr", quantity(2.5), 2.5, "1"),
        ("ph_arterial", quantity(7.4), 7.4, "[pH]"),
    ],
)
def test_a_value_is_brought_to_its_analytes_unit(analyte: str, given_: dict[str, Any], value: float, unit: str) -> None:
    result = normalised(given_, KB.analytes[analyte])
    assert result.value == pytest.approx(value, rel=1e-3)
    assert result.unit == unit


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        (quantity(4.1, "furlong"), "cannot be converted"),
        (quantity(4.1), "has no unit"),
        (quantity("4.1", "mmol/L"), "no value"),
        (quantity(None, "mmol/L"), "no value"),
        (quantity(float("nan"), "mmol/L"), "no value"),
        (quantity(400, "mmol/L"), "is not possible"),
    ],
)
def test_what_cannot_be_brought_to_a_unit_says_why(given_: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        normalised(given_, KB.analytes["potassium"])


@given(st.sampled_from([(a.id, unit) for a in KB.analytes.values() for unit in a.units]), st.floats(1, 99))
def test_a_value_survives_the_way_to_another_unit_and_back(pair: tuple[str, str], value: float) -> None:
    analyte = KB.analytes[pair[0]]
    low, high = analyte.plausible
    canonical = low + (high - low) * value / 100
    there = in_unit(canonical, analyte, pair[1])
    assert normalised({"value": there, "unit": pair[1]}, analyte).value == pytest.approx(canonical, rel=1e-6, abs=1e-6)
