"""Measurements over time: one unit, counted, and what was left out named with its reason."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardround.core.errors import ToolRetry, UsageError
from wardround.knowledge.clinician import reference_clinician
from wardround.tools.fhir.measurements import moment, resolve
from wardround.tools.fhir.series import Series, Wanted, read_series
from wardround.tools.fhir.statistics import SHOWN, Statistic, told
from wardround.tools.fhir.terms import Inventory, RecordCode
from wardround.tools.fhir.units import LOINC, Analytes

KB = reference_clinician().kb
ANALYTES = Analytes(KB)
POTASSIUM = Wanted("Potassium", KB.analytes["potassium"])
GLUCOSE = Wanted("Glucose", KB.analytes["glucose"])
NOW = datetime(2023, 11, 13, 10, 15, tzinfo=UTC)
Resource = dict[str, Any]


def observation(
    id_: str, value: Any = 4.0, unit: str | None = "mmol/L", *, day: int | None = 1, code: str = "2823-3", **fields: Any
) -> Resource:
    measured = {"value": value, **({"unit": unit} if unit is not None else {})}
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": code}]},
        "valueQuantity": measured,
        **({"effectiveDateTime": f"2023-11-{day:02d}T08:00:00+00:00"} if day is not None else {}),
        **fields,
    }


def series(*observations: Resource, wanted: Wanted = POTASSIUM) -> Series:
    return read_series(observations, wanted, ANALYTES)


def answer(found: Series, statistic: Statistic, **options: Any) -> str:
    """The first line, without the name."""
    return told(found, statistic, **options).splitlines()[0].partition(": ")[2]


THREE = series(observation("b", 3.5, day=2), observation("a", 3.1, day=1), observation("c", 4.2, day=4))


@pytest.mark.parametrize(
    ("statistic", "said"),
    [
        (Statistic.LATEST, "4.2 mmol/L at 2023-11-04T08:00:00+00:00 (Observation/c, final)"),
        (Statistic.FIRST, "3.1 mmol/L at 2023-11-01T08:00:00+00:00 (Observation/a, final)"),
        (Statistic.MIN, "3.1 mmol/L at 2023-11-01T08:00:00+00:00 (Observation/a, final)"),
        (Statistic.MAX, "4.2 mmol/L at 2023-11-04T08:00:00+00:00 (Observation/c, final)"),
        (Statistic.MEAN, "3.6 mmol/L"),
        (Statistic.COUNT, "3"),
    ],
)
def test_a_statistic_is_told_with_its_unit_and_place(statistic: Statistic, said: str) -> None:
    assert answer(THREE, statistic) == said
    assert "n=3, from 2023-11-01T08:00:00+00:00 to 2023-11-04T08:00:00+00:00" in told(THREE, statistic)


def test_a_trend_is_first_last_and_the_slope_of_least_squares() -> None:
    line = series(*(observation(str(d), 3.0 + 0.25 * d, day=d) for d in (1, 2, 5)))
    assert answer(line, Statistic.TREND) == (
        "from 3.25 mmol/L at 2023-11-01T08:00:00+00:00 to 4.25 mmol/L at 2023-11-05T08:00:00+00:00: "
        "+1 mmol/L in 4 days, slope +0.25 mmol/L/day (least squares)"
    )


def test_values_of_one_time_have_no_trend() -> None:
    same = series(observation("a", 3.0), observation("b", 4.0))
    assert answer(same, Statistic.TREND) == "no trend: all 2 values are of one time"


def test_all_values_are_listed_up_to_a_bound_that_is_told() -> None:
    assert answer(THREE, Statistic.ALL) == "3 values"
    many = series(*(observation(str(n)) for n in range(SHOWN + 5)))
    lines = told(many, Statistic.ALL).splitlines()
    assert lines[0].endswith(f"{SHOWN} values (the latest {SHOWN} of {SHOWN + 5})")
    assert sum("Observation/" in line for line in lines) == SHOWN


def test_nothing_measured_is_none_and_not_normal() -> None:
    text = told(series(), Statistic.LATEST)
    assert text == "Potassium, latest: none\nn=0"
    assert answer(series(), Statistic.COUNT) == "0"


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (observation("x", status="entered-in-error"), "entered-in-error"),
        (observation("x", status="cancelled"), "cancelled"),
        (observation("x", 7, "furlong"), "7 furlong: Potassium in 'furlong' cannot be converted"),
        (observation("x", 4.0, None), "4.0: Potassium of 4 has no unit"),
        (observation("x", 400), "is not possible"),
        (observation("x", None), "no value"),
        ({k: v for k, v in observation("x").items() if k != "valueQuantity"}, "no value"),
        (
            observation("x", valueQuantity={"value": 3.5, "unit": "mmol/L", "comparator": "<"}),
            "only a limit is known (<3.5 mmol/L)",
        ),
    ],
)
def test_what_cannot_be_used_is_left_out_and_named(odd: Resource, reason: str) -> None:
    text = told(series(observation("a", 3.0), odd), Statistic.MEAN)
    assert text.startswith("Potassium, mean: 3 mmol/L\nn=1")
    (line,) = [line for line in text.splitlines() if line.startswith("left out 1: ")]
    assert reason in line
    assert "Observation/x" in line


def test_a_reason_given_in_the_record_is_told() -> None:
    absent = {**observation("x"), "dataAbsentReason": {"text": "haemolysed"}}
    del absent["valueQuantity"]
    assert "left out 1: no value (haemolysed) (Observation/x)" in told(series(absent), Statistic.LATEST)
    text_only = {**absent, "valueString": "see note"}
    assert "left out 1: no number: 'see note' (Observation/x)" in told(series(text_only), Statistic.LATEST)


def test_a_value_without_a_time_is_no_latest_but_counts() -> None:
    timeless = series(observation("a", 3.0), observation("x", 5.0, day=None))
    assert answer(timeless, Statistic.LATEST).startswith("3 mmol/L")
    assert "left out 1: no time recorded (Observation/x)" in told(timeless, Statistic.LATEST)
    assert answer(timeless, Statistic.MEAN) == "4 mmol/L"


def test_a_limit_is_a_latest_value_with_its_comparator() -> None:
    limit = series(observation("x", valueQuantity={"value": 3.5, "unit": "mmol/L", "comparator": "<"}))
    assert answer(limit, Statistic.LATEST).startswith("<3.5 mmol/L at")


def test_different_values_of_the_latest_time_are_all_told() -> None:
    twins = series(observation("a", 3.0), observation("b", 4.0))
    assert answer(twins, Statistic.LATEST).startswith("2 different values at the same time: 3 mmol/L")
    assert answer(series(observation("a"), observation("b")), Statistic.LATEST).startswith("4 mmol/L")


def test_one_recorded_unit_is_kept_and_several_are_brought_together() -> None:
    mg = observation("a", 180, "mg/dL", code="2345-7")
    mmol = observation("b", 12.0, "mmol/L", day=2, code="14749-6")
    assert answer(series(mg, wanted=GLUCOSE), Statistic.MEAN) == "180 mg/dL"
    both = series(mg, mmol, wanted=GLUCOSE)
    assert answer(both, Statistic.MEAN) == "10.995 mmol/L"
    assert answer(both, Statistic.MIN).endswith("(Observation/a, final, recorded as 180 mg/dL)")
    assert answer(both, Statistic.LATEST, unit="mg/dL").startswith("216.2")


def test_a_unit_that_is_not_known_is_refused() -> None:
    with pytest.raises(UsageError, match="give it in one of"):
        told(THREE, Statistic.MEAN, unit="furlong")


def test_without_knowledge_of_the_analyte_units_are_not_mixed() -> None:
    wanted = Wanted("Urine output", None, frozenset(("UO",)))
    one, other = observation("a", 200, "mL", code="UO"), observation("b", 2, "dL", code="UO")
    assert answer(series(one, wanted=wanted), Statistic.MEAN) == "200 mL"
    mixed = series(one, other, wanted=wanted)
    with pytest.raises(UsageError, match=r"several units that cannot be converted: mL \(1\), dL \(1\)"):
        told(mixed, Statistic.MEAN)
    assert answer(mixed, Statistic.ALL) == "2 values"
    with pytest.raises(UsageError, match="how to convert that to 'L'"):
        told(series(one, wanted=wanted), Statistic.MEAN, unit="L")


def test_values_dated_after_now_are_named() -> None:
    late = series(observation("a", day=13), observation("b", day=14))
    assert "1 of these are dated after now (2023-11-13T10:15:00+00:00)" in told(late, Statistic.COUNT, now=NOW)
    assert "after now" not in told(THREE, Statistic.COUNT, now=NOW)


def test_what_is_not_final_is_counted() -> None:
    assert "n=2, from" in told(series(observation("a"), observation("b", status="preliminary")), Statistic.MEAN)
    assert (
        told(series(observation("b", status="preliminary")), Statistic.MEAN).splitlines()[1].endswith("; 1 not final")
    )


def test_another_analyte_is_passed_over() -> None:
    assert series(observation("a", code="2951-2")).readings == ()
    assert series(observation("a", code="2951-2")).left_out == ()


def test_a_panel_gives_the_component_asked_for() -> None:
    parts = [
        {"code": {"coding": [{"system": LOINC, "code": code}]}, "valueQuantity": {"value": value, "unit": "mmHg"}}
        for code, value in (("8480-6", 121), ("8462-4", 78))
    ]
    panel = observation("bp", code="85354-9", component=parts)
    del panel["valueQuantity"]
    found = series(panel, wanted=Wanted("Diastolic", KB.analytes["diastolic_bp"]))
    assert answer(found, Statistic.LATEST).startswith("78 mmHg")


@pytest.mark.parametrize(
    "code", [{"text": "BP"}, {"coding": [{"code": "BP"}]}, {"coding": [{"system": LOINC, "code": "85354-9"}]}]
)
def test_a_blood_pressure_written_in_words_is_read(code: Resource) -> None:
    written = {**observation("bp"), "code": code, "valueString": "118/77 mmHg"}
    del written["valueQuantity"]
    for analyte, value in (("systolic_bp", "118 mmHg"), ("diastolic_bp", "77 mmHg")):
        found = series(written, wanted=Wanted(analyte, KB.analytes[analyte]))
        assert answer(found, Statistic.LATEST).startswith(value)
    assert (
        series({**written, "valueString": "see chart"}, wanted=Wanted("s", KB.analytes["systolic_bp"])).readings == ()
    )


@given(st.lists(st.tuples(st.floats(1, 9, allow_nan=False), st.integers(1, 28)), min_size=1, max_size=12))
def test_the_mean_lies_between_the_extremes_and_order_does_not_matter(values: list[tuple[float, int]]) -> None:
    observations = [observation(f"o{n}", value, day=day) for n, (value, day) in enumerate(values)]
    found, turned = series(*observations), series(*reversed(observations))
    mean = float(answer(found, Statistic.MEAN).split()[0])
    assert min(v for v, _ in values) - 1e-4 <= mean <= max(v for v, _ in values) + 1e-4
    assert answer(turned, Statistic.MEAN) == answer(found, Statistic.MEAN)
    assert len(found.readings) == len(values)


# Words, and moments.


RECORD = Inventory(
    "Patient/p1",
    (
        RecordCode("Observation", "urn:lab", "GLU", "CBG", 9),
        RecordCode("Observation", LOINC, "2345-7", "Glucose [Mass/volume] in Serum or Plasma", 4),
        RecordCode("Observation", "urn:lab", "UO", "Urine output", 3),
        RecordCode("Observation", "", "", "Wound smell", 1),
    ),
)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("potassium", Wanted("Potassium", KB.analytes["potassium"])),
        ("serum K", Wanted("Potassium", KB.analytes["potassium"])),
        ("2823-3", Wanted("Potassium", KB.analytes["potassium"])),
        ("blood glucose", Wanted("Glucose", KB.analytes["glucose"])),
        ("glu", Wanted("CBG", KB.analytes["glucose"], frozenset(("GLU",)))),
        ("urine output", Wanted("Urine output", None, frozenset(("UO",)))),
        ("UO", Wanted("Urine output", None, frozenset(("UO",)))),
        ("wound smell", Wanted("Wound smell", None, frozenset(), "Wound smell")),
    ],
)
def test_words_are_resolved_to_an_analyte_or_a_code_of_the_record(words: str, wanted: Wanted) -> None:
    assert resolve(words, ANALYTES, RECORD) == wanted


def test_ambiguous_words_are_answered_with_the_codes_they_may_mean() -> None:
    with pytest.raises(ToolRetry, match=r"may mean several things; .*17861-6 Calcium .*1995-0 Ionised"):
        resolve("Ca", ANALYTES, RECORD)


def test_words_that_mean_nothing_are_answered_with_what_there_is() -> None:
    with pytest.raises(ToolRetry, match=r"names a measurement 'qqq'; the record has: GLU CBG \(9\); 2345-7"):
        resolve("qqq", ANALYTES, RECORD)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (None, None),
        ("", None),
        ("2023", "2023"),
        ("2023-11-12", "2023-11-12"),
        ("2023-11-12T10:15:00+00:00", "2023-11-12T10:15:00+00:00"),
        ("2023-11-12T10:15:00 00:00", "2023-11-12T10:15:00+00:00"),
        ("2023-11-12T10:15:00.5Z", "2023-11-12T10:15:00.5Z"),
        ("now", "2023-11-13T10:15:00+00:00"),
        ("24h", "2023-11-12T10:15:00+00:00"),
        ("24 hours ago", "2023-11-12T10:15:00+00:00"),
        ("7d", "2023-11-06T10:15:00+00:00"),
        ("2 weeks", "2023-10-30T10:15:00+00:00"),
        ("90 min", "2023-11-13T08:45:00+00:00"),
    ],
)
def test_a_moment_is_a_date_a_time_or_how_long_ago(text: str | None, read: str | None) -> None:
    assert moment(text, NOW) == read


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("yesterday", "is no time"),
        ("12/11/2023", "is no time"),
        ("2023-11-12T10:15:00", "add it, as in"),
        ("3 moons", "is no time"),
    ],
)
def test_what_is_no_moment_says_what_to_give(text: str, said: str) -> None:
    with pytest.raises(ToolRetry, match=said):
        moment(text, NOW)
