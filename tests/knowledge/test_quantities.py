"""Numbers with units: converted, compared with what is normal, and left alone where they cannot be told."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardround.core.errors import UsageError
from wardround.core.finding import Assertion, Finding
from wardround.knowledge.loading import embedded
from wardround.knowledge.quantities import (
    convert,
    interpret,
    is_plausible,
    parse_number,
    pressure_pair,
    reference_range,
    without_unit,
)
from wardround.knowledge.reader import Reader


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(embedded())


def measured(reader: Reader, text: str, *, age: float | None = None, sex: str | None = None) -> dict[str, Finding]:
    return {f.code: f for f in reader.read(text, age=age, sex=sex) if f.value is not None}


def said(reader: Reader, text: str, *, age: float | None = None, sex: str | None = None) -> dict[str, str]:
    return {code: f.assertion.value for code, f in measured(reader, text, age=age, sex=sex).items()}


@pytest.mark.parametrize(
    ("text", "code", "expected", "value"),
    [
        ("Glucose 5.5 mmol/L", "glucose_high", "absent", 5.5),
        ("Glucose 99 mg/dL", "glucose_high", "absent", 5.4945),
        ("Glucose 300 mg/dL", "glucose_high", "present", 16.65),
        ("Glucose 16.65 mmol/L", "glucose_high", "present", 16.65),
        ("Glucose 45 mg/dL", "glucose_low", "present", 2.4975),
        ("Glucose 1,200 mg/dL", "glucose_very_high", "present", 66.6),
        ("Creatinine 250 umol/L", "creatinine_high", "present", 250),
        ("Creatinine 250 µmol/L", "creatinine_high", "present", 250),
        ("Creatinine 250 μmol/L", "creatinine_high", "present", 250),
        ("Creatinine 2.8 mg/dL", "creatinine_high", "present", 2.8 * 88.42),
        ("Creatinine 1 mg/dL", "creatinine_high", "absent", 88.42),
        ("D-dimer 0.6 mg/L FEU", "d_dimer_high", "present", 600),
        ("D-dimer 300 ng/mL FEU", "d_dimer_high", "absent", 300),
        ("D-dimer 300 ng/mL DDU", "d_dimer_high", "present", 600),
        ("D-dimer 200 ng/mL DDU", "d_dimer_high", "absent", 400),
        ("Hb 75 g/L", "hemoglobin_low", "present", 7.5),
        ("Hb 7.5 g/dL", "hemoglobin_low", "present", 7.5),
        ("Haemoglobin of 140 g/L", "hemoglobin_low", "absent", 14),
        ("Hb 7,5 g/dL", "hemoglobin_low", "present", 7.5),
        ("WBC 15.2 x10^9/L", "wbc_high", "present", 15.2),
        ("WBC 15.2 10*9/L", "wbc_high", "present", 15.2),
        ("WBC 15,200/uL", "wbc_high", "present", 15.2),
        ("WBC 15200 /µL", "wbc_high", "present", 15.2),
        ("WBC 15200 cells/mm3", "wbc_high", "present", 15.2),
        ("WCC 2.1 x 10^9/L", "wbc_low", "present", 2.1),
        ("Temperature 38.5 C", "fever", "present", 38.5),
        ("Temperature 38,5 °C", "fever", "present", 38.5),
        ("Temperature of 38.5", "fever", "present", 38.5),
        ("Temp 101.3 F", "fever", "present", 38.5),
        ("Temp 101.3 °F", "fever", "present", 38.5),
        ("Temp 98.6 F", "fever", "absent", 37.0),
        ("Temp 93 F", "hypothermia", "present", 33.89),
        ("Temperature 37.0 C", "fever", "absent", 37.0),
        ("Ferritin 10 mcg/L", "ferritin_low", "present", 10),
        ("Ferritin 10 mg/L", "ferritin_high", "present", 10000),
        ("Paracetamol level 150 mcg/mL", "paracetamol_level_high", "present", 150),
        ("Paracetamol level 150 mg/L", "paracetamol_level_high", "present", 150),
        ("Troponin 0.05 ng/mL", "troponin_high", "present", 50),
        ("Troponin 50 ng/L", "troponin_high", "present", 50),
        ("Troponin 0.05 mcg/L", "troponin_high", "present", 50),
        ("Calcium 12.5 mg/dL", "calcium_high", "present", 3.11875),
        ("Bilirubin 5 mg/dL", "bilirubin_high", "present", 85.5),
        ("Potassium 6.8 mEq/L", "potassium_high", "present", 6.8),
        ("CRP 12 mg/dL", "crp_high", "present", 120),
        ("SpO2 85%", "hypoxia", "present", 85),
        ("SpO2 98 % on room air", "hypoxia", "absent", 98),
        ("HbA1c 75 mmol/mol", "hba1c_high", "present", 9.013),
        ("pCO2 60 mmHg", "pco2_high", "present", 7.998),
        ("pH 7.10", "ph_low", "present", 7.1),
    ],
)
def test_a_value_means_the_same_in_every_unit(
    reader: Reader, text: str, code: str, expected: str, value: float
) -> None:
    finding = measured(reader, text)[code]
    assert finding.assertion.value == expected
    assert finding.value == pytest.approx(value, rel=1e-3)


@pytest.mark.parametrize(
    "text",
    [
        "Glucose 5.5 mg/dL",
        "Creatinine 2.8 umol/L",
        "Hb 7.5 g/L",
        "Hb 140 g/dL",
        "Temperature 101.3 C",
        "Temperature 385 C",
        "HR 1400",
        "SpO2 185%",
        "Potassium 68 mmol/L",
        "Sodium 14 mmol/L",
        "pH 71",
        "WBC 15200 x10^9/L",
        "Respiratory rate 400",
        "BP 1200/80",
        "BP 20/10",
    ],
)
def test_what_no_living_patient_has_says_nothing(reader: Reader, text: str) -> None:
    assert measured(reader, text) == {}


@pytest.mark.parametrize(
    "text",
    [
        "Glucose 300 IU/L",
        "Glucose 9 mg",
        "Hb 7.5 mg",
        "Hb 7.5 %",
        "Creatinine 2.8 g/kg",
        "Potassium 6.8 mg/dL",
        "WBC 15 kg",
        "Sodium 118 ng/mL",
        "Lactate 5 kPa",
        "Troponin 50 mm/h",
        "HR 140 mmHg",
        "CRP 150 U/L",
    ],
)
def test_a_unit_that_the_analyte_does_not_have_says_nothing(reader: Reader, text: str) -> None:
    assert measured(reader, text) == {}


@pytest.mark.parametrize("text", ["Urea 20", "Glucose 25", "Urea was 18 on arrival"])
def test_a_bare_number_that_two_units_read_differently_says_nothing(reader: Reader, text: str) -> None:
    assert measured(reader, text) == {}


@pytest.mark.parametrize(
    ("text", "code", "expected"),
    [
        ("Hb 140", "hemoglobin_low", "absent"),
        ("Hb 14", "hemoglobin_low", "absent"),
        ("Hb 7", "hemoglobin_low", "present"),
        ("Hb 70", "hemoglobin_low", "present"),
        ("Glucose 180", "glucose_high", "absent"),
        ("Glucose 400", "glucose_high", "present"),
        ("WBC 15,200", "wbc_high", "present"),
        ("WBC 15.2", "wbc_high", "present"),
        ("Temperature 101.3", "fever", "present"),
        ("Creatinine 90", "creatinine_high", "absent"),
        ("Creatinine 2.8", "creatinine_high", "present"),
        ("Platelets 20,000", "platelets_low", "present"),
        ("Sats 98", "hypoxia", "absent"),
    ],
)
def test_a_bare_number_is_read_where_all_its_units_agree(reader: Reader, text: str, code: str, expected: str) -> None:
    assert said(reader, text)[code] == expected


@pytest.mark.parametrize(
    ("text", "age", "sex", "code", "expected"),
    [
        ("HR 140", 0.5, None, "tachycardia", "absent"),
        ("HR 140", 30, None, "tachycardia", "present"),
        ("HR 140", None, None, "tachycardia", "present"),
        ("HR 190", 0.5, None, "tachycardia", "present"),
        ("HR 70", 0.5, None, "bradycardia", "present"),
        ("HR 70", 30, None, "bradycardia", "absent"),
        ("HR 125", 4, None, "tachycardia", "absent"),
        ("HR 125", 13, None, "tachycardia", "present"),
        ("Respiratory rate 40", 0.5, None, "tachypnea", "absent"),
        ("Respiratory rate 40", 30, None, "tachypnea", "present"),
        ("BP 75/45", 0.5, None, "hypotension", "absent"),
        ("BP 75/45", 50, None, "hypotension", "present"),
        ("BP 120/60", 2, None, "hypertension", "present"),
        ("BP 120/60", 40, None, "hypertension", "absent"),
        ("Hb 12.5 g/dL", 40, "male", "hemoglobin_low", "present"),
        ("Hb 12.5 g/dL", 40, "female", "hemoglobin_low", "absent"),
        ("Hb 12.5 g/dL", 40, None, "hemoglobin_low", "absent"),
        ("Creatinine 100 umol/L", 40, "female", "creatinine_high", "present"),
        ("Creatinine 100 umol/L", 40, "male", "creatinine_high", "absent"),
        ("Creatinine 80 umol/L", 4, None, "creatinine_high", "present"),
        ("Platelets 480 x10^9/L", 5, None, "platelets_high", "absent"),
        ("Platelets 480 x10^9/L", 50, None, "platelets_high", "present"),
    ],
)
def test_what_is_normal_depends_on_age_and_sex(
    reader: Reader, text: str, age: float | None, sex: str | None, code: str, expected: str
) -> None:
    assert said(reader, text, age=age, sex=sex)[code] == expected


@pytest.mark.parametrize(
    ("text", "code", "expected"),
    [
        ("BP 85/50", "hypotension", "present"),
        ("BP 120/80", "hypotension", "absent"),
        ("BP 120/80", "hypertension", "absent"),
        ("BP: 220/130 mmHg", "hypertension_severe", "present"),
        ("Blood pressure was 150/95", "hypertension", "present"),
        ("Blood pressure in the right arm 150/100", "hypertension", "present"),
        ("BP 85 / 50, HR 120", "hypotension", "present"),
    ],
)
def test_a_pressure_pair_is_read_as_one(reader: Reader, text: str, code: str, expected: str) -> None:
    assert said(reader, text)[code] == expected


def test_the_first_of_a_pressure_pair_is_the_higher(reader: Reader) -> None:
    assert measured(reader, "BP 80/120") == {}
    assert pressure_pair(" 80/120", 0) is None
    assert pressure_pair(" 120/120", 0) is None


def test_a_pair_that_begins_within_reach_is_read_to_its_end() -> None:
    pair = pressure_pair("x" * 22 + " 150/100", 0)
    assert pair is not None
    assert (pair["systolic"], pair["diastolic"]) == ("150", "100")
    assert pressure_pair("x" * 40 + " 150/100", 0) is None


def test_a_date_is_no_pressure(reader: Reader) -> None:
    assert measured(reader, "BP taken on 12/05/2020") == {}


@pytest.mark.parametrize(
    "text",
    [
        "Previous Hb was 7.5 g/dL",
        "Prior Hb 7.5 g/dL",
        "Baseline Hb 7.5 g/dL",
        "Last recorded Hb 7.5 g/dL",
        "Hb 7.5 g/dL last year",
        "Hb 7.5 g/dL in 2019",
        "Hb was 7.5 g/dL three months ago",
        "Hb 7.5 g/dL (previously)",
    ],
)
def test_an_earlier_value_is_history(reader: Reader, text: str) -> None:
    assert said(reader, text)["hemoglobin_low"] == "historical"


@pytest.mark.parametrize(
    "text",
    [
        "Hb 7.5 g/dL, previously 13 g/dL",
        "Prior to arrival Hb 7.5 g/dL",
        "History of asthma, Hb 7.5 g/dL",
        "A 2-year-old, Hb 7.5 g/dL",
        "Over the past 3 days Hb 7.5 g/dL",
        "No fever, Hb 7.5 g/dL",
        "Denies bleeding, Hb 7.5 g/dL",
        "Possible anaemia, Hb 7.5 g/dL",
    ],
)
def test_a_value_of_today_stands_whatever_is_said_around_it(reader: Reader, text: str) -> None:
    assert said(reader, text)["hemoglobin_low"] == "present"


def test_a_value_that_would_matter_is_supposed_and_not_measured(reader: Reader) -> None:
    assert said(reader, "Call if HR 130 or more")["tachycardia"] == "hypothetical"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("D-dimer >500 ng/mL", "present"),
        ("D-dimer > 4000 ng/mL", "present"),
        ("D-dimer <220 ng/mL", "absent"),
        ("D-dimer < 500 ng/mL", "absent"),
        ("D-dimer <2000 ng/mL", None),
        ("D-dimer >200 ng/mL", None),
        ("D-dimer ≥500 ng/mL", None),
        ("D-dimer ≤500 ng/mL", "absent"),
    ],
)
def test_a_limit_decides_only_what_lies_beyond_it(reader: Reader, text: str, expected: str | None) -> None:
    assert said(reader, text).get("d_dimer_high") == expected


def test_a_limit_decides_low_values_likewise(reader: Reader) -> None:
    assert said(reader, "Glucose <3 mmol/L")["glucose_low"] == "present"
    assert said(reader, "SpO2 >94%")["hypoxia"] == "absent"
    assert "hypoxia" not in said(reader, "SpO2 >90%")
    assert said(reader, "Hb <7 g/dL")["hemoglobin_low"] == "present"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("HR 110-130", {"tachycardia": "present"}),
        ("WBC 4.2-10.0 x10^9/L", {"wbc_high": "absent", "wbc_low": "absent"}),
        ("Hb 7 to 8 g/dL", {"hemoglobin_low": "present"}),
        ("Respiratory rate 14-28", {}),
        ("Hb (12-16) 7.5 g/dL", {}),
    ],
)
def test_a_span_says_what_both_its_ends_say(reader: Reader, text: str, expected: dict[str, str]) -> None:
    assert {c: a for c, a in said(reader, text).items() if c in expected} == expected
    assert bool(said(reader, text)) == bool(expected)


def test_a_reference_range_behind_a_value_leaves_it_alone(reader: Reader) -> None:
    assert measured(reader, "K 6.1 (3.5-5.0)")["potassium_high"].value == 6.1


def test_a_value_carries_its_span_and_the_unit_of_its_analyte(reader: Reader) -> None:
    text = "Looks pale. Hb 75 g/L, afebrile."
    finding = measured(reader, text)["hemoglobin_low"]
    assert finding.unit == "g/dL"
    assert finding.span is not None
    assert text[slice(*finding.span)] == "Hb 75 g/L"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("15,200", 15200.0),
        ("1,234,567", 1234567.0),
        ("1,234.5", 1234.5),
        ("7,2", 7.2),
        ("38,55", 38.55),
        ("38.5", 38.5),
        ("0,9", 0.9),
        ("120", 120.0),
    ],
)
def test_commas_are_told_apart(text: str, expected: float) -> None:
    assert parse_number(text) == expected


def test_a_unit_that_cannot_be_converted_is_named_with_those_that_can() -> None:
    with pytest.raises(UsageError, match=r"Glucose.*'furlong'.*mmol/L, mg/dL"):
        convert(5.0, "furlong", embedded().analytes["glucose"])


def test_an_impossible_measured_value_is_refused_with_its_limits(reader: Reader) -> None:
    with pytest.raises(UsageError, match=r"not possible \(15 to 350 /min\)"):
        reader.measured("heart_rate", 2000, None, age=None, sex=None)


def test_a_measured_value_decides_the_findings_of_its_analyte(reader: Reader) -> None:
    found = {f.code: f for f in reader.measured("hemoglobin", 75, "g/L", age=40, sex="male")}
    assert found["hemoglobin_low"].assertion is Assertion.PRESENT
    assert found["hemoglobin_high"].assertion is Assertion.ABSENT
    assert found["hemoglobin_low"].value == 7.5


def test_units_are_folded_without_mixing_up_milli_and_micro() -> None:
    ferritin = embedded().analytes["ferritin"]
    assert convert(10, "mcg/L", ferritin) == convert(10, "µg/L", ferritin) == convert(10, "UG/L", ferritin) == 10
    assert convert(10, "mg/L", ferritin) == 10_000


def test_an_unknown_sex_gets_the_widest_range() -> None:
    hemoglobin = embedded().analytes["hemoglobin"]
    ranges = {sex: reference_range(hemoglobin, 40, sex) for sex in ("female", "male", None)}
    assert all(limits is not None for limits in ranges.values())
    lows = {sex: limits.low for sex, limits in ranges.items() if limits is not None and limits.low is not None}
    assert lows[None] == min(lows["female"], lows["male"])


def test_an_unknown_age_is_read_as_an_adult() -> None:
    heart_rate = embedded().analytes["heart_rate"]
    assert reference_range(heart_rate, None, None) == reference_range(heart_rate, 40, None)


ANALYTES = sorted(embedded().analytes)


@settings(max_examples=300, deadline=None)
@given(st.data(), st.sampled_from(ANALYTES))
def test_every_unit_converts_there_and_back(data: st.DataObject, name: str) -> None:
    analyte = embedded().analytes[name]
    unit = data.draw(st.sampled_from([analyte.unit, *analyte.units]))
    low, high = convert(0.0, unit, analyte), convert(1.0, unit, analyte)
    value = data.draw(st.floats(0, 1000))
    assert high > low
    assert convert(value, unit, analyte) == pytest.approx(low + value * (high - low))


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(ANALYTES),
    st.floats(0, 1e6, allow_nan=False),
    st.one_of(st.none(), st.floats(0, 100)),
    st.sampled_from(["female", "male", None]),
)
def test_no_value_is_both_high_and_low(name: str, value: float, age: float | None, sex: str | None) -> None:
    kb = embedded()
    decided = interpret(value, kb.analytes[name], kb, age=age, sex=sex)
    directions = {entry.direction for entry, is_present in decided if is_present}
    assert len(directions) <= 1


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(ANALYTES), st.floats(0.001, 1e6, allow_nan=False))
def test_a_bare_number_is_never_read_as_an_impossible_value(name: str, number: float) -> None:
    kb = embedded()
    read = without_unit(number, kb.analytes[name], age=None, sex=None, kb=kb)
    assert read is None or is_plausible(read, kb.analytes[name])


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=30), st.sampled_from(["Hb", "BP", "HR", "WBC", "Temp", "Glucose"]), st.text(max_size=30))
def test_any_text_around_an_analyte_is_read_without_complaint(before: str, name: str, after: str) -> None:
    text = f"{before} {name} {after}"
    for finding in _reader().read(text):
        assert finding.span is not None
        assert 0 <= finding.span[0] < finding.span[1] <= len(text)


_READERS: list[Reader] = []


def _reader() -> Reader:
    if not _READERS:
        _READERS.append(Reader(embedded()))
    return _READERS[0]
