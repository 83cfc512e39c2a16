"""Resources as small tables: what is in them, how small they are, and what cannot break them."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardround.knowledge.clinician import reference_clinician
from wardround.tools.fhir.columns import COLUMNS
from wardround.tools.fhir.tables import WIDEST_CELL, clean, tables
from wardround.tools.fhir.units import Analytes

ANALYTES = Analytes(reference_clinician().kb)
Resource = dict[str, Any]

TESTS = (
    ("2823-3", "Potassium [Moles/volume] in Serum or Plasma", "Potassium", "mmol/L", 4.1, 3.5, 5.0),
    ("2951-2", "Sodium [Moles/volume] in Serum or Plasma", "Sodium", "mmol/L", 139.0, 135.0, 145.0),
    ("2160-0", "Creatinine [Mass/volume] in Serum or Plasma", "Creatinine", "mg/dL", 1.3, 0.6, 1.2),
    ("2345-7", "Glucose [Mass/volume] in Serum or Plasma", "Glucose", "mg/dL", 142.0, 70.0, 100.0),
    ("718-7", "Hemoglobin [Mass/volume] in Blood", "Hemoglobin", "g/dL", 13.2, 12.0, 16.0),
)


def observation(n: int, **fields: Any) -> Resource:
    code, display, text, unit, value, low, high = TESTS[n % len(TESTS)]
    limits = {"low": {"value": low, "unit": unit}, "high": {"value": high, "unit": unit}}
    flag = "H" if value > high else "N"
    system = "http://terminology.hl7.org/CodeSystem/"
    return {
        "resourceType": "Observation",
        "id": f"obs-{n:04d}",
        "status": "final",
        "category": [{"coding": [{"system": f"{system}observation-category", "code": "laboratory"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": code, "display": display}], "text": text},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": f"2023-{1 + n // 28:02d}-{1 + n % 28:02d}T08:00:00+00:00",
        "valueQuantity": {
            "value": round(value + n / 1000, 3),
            "unit": unit,
            "system": "http://unitsofmeasure.org",
            "code": unit,
        },
        "referenceRange": [limits],
        "interpretation": [{"coding": [{"system": f"{system}v3-ObservationInterpretation", "code": flag}]}],
        **fields,
    }


def cells(resource: Resource, analytes: Analytes | None = None) -> dict[str, str]:
    """The one row of a table of one resource, by column."""
    table = tables([resource], analytes)[0]
    return dict(zip(table.columns, table.rows[0], strict=True))


def test_a_hundred_observations_take_a_seventeenth_of_their_json() -> None:
    observations = [observation(n) for n in range(100)]
    entries = [
        {"fullUrl": f"http://sandbox/fhir/R4/Observation/{o['id']}", "resource": o, "search": {"mode": "match"}}
        for o in observations
    ]
    bundle = {"resourceType": "Bundle", "type": "searchset", "total": 100, "entry": entries}
    pretty = len(json.dumps(bundle, indent=2))
    assert len(tables(observations)[0].rows) == 100
    assert pretty / len(tables(observations, ANALYTES)[0].text) > 17


def test_an_observation_has_its_value_range_flag_and_normalised_value() -> None:
    assert cells(observation(2), ANALYTES) == {
        "id": "obs-0002",
        "date": "2023-01-03T08:00:00+00:00",
        "code": "2160-0",
        "text": "Creatinine",
        "value": "1.302",
        "unit": "mg/dL",
        "normalised": "115.1 umol/L",
        "range": "0.6-1.2",
        "flag": "H",
        "status": "final",
    }


def test_a_value_in_the_analytes_own_unit_is_not_told_twice() -> None:
    table = tables([observation(0)], ANALYTES)[0]
    assert "normalised" not in table.columns
    assert "normalised" not in table.empty


def test_a_unit_that_is_not_known_is_named_and_gives_no_number() -> None:
    odd = observation(2, valueQuantity={"value": 1.3, "unit": "furlong"})
    assert cells(odd, ANALYTES)["normalised"].startswith("(Creatinine in 'furlong' cannot be converted")
    assert "normalised" not in cells(odd)


def test_a_code_that_the_knowledge_does_not_know_is_not_converted() -> None:
    urine = observation(2, code={"coding": [{"system": "http://loinc.org", "code": "0-0"}], "text": "Creatinine"})
    assert "normalised" not in cells(urine, ANALYTES)


def test_the_parts_of_a_panel_stand_in_one_cell() -> None:
    parts = [
        {"code": {"text": "Systolic"}, "valueQuantity": {"value": 120, "unit": "mmHg"}},
        {"code": {"text": "Diastolic"}, "dataAbsentReason": {"coding": [{"code": "not-performed"}]}},
    ]
    panel = {"resourceType": "Observation", "id": "bp", "component": parts}
    assert cells(panel)["value"] == "Systolic 120 mmHg; Diastolic (none: not-performed)"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"valueString": "118/77 mmHg"}, "118/77 mmHg"),
        ({"valueCodeableConcept": {"coding": [{"code": "pos", "display": "Positive"}]}}, "Positive"),
        ({"valueBoolean": False}, "no"),
        ({"valueInteger": 3}, "3"),
        ({"valueQuantity": {"value": 5, "comparator": "<", "unit": "ng/L"}}, "<5"),
        ({"valueRange": {"low": {"value": 1}, "high": {"value": 2}}}, "1-2"),
        ({"valuePeriod": {"start": "2023-01-01"}}, "2023-01-01..?"),
        ({"dataAbsentReason": {"text": "haemolysed"}}, "(none: haemolysed)"),
    ],
)
def test_every_kind_of_value_is_told(value: Resource, told: str) -> None:
    assert cells({"resourceType": "Observation", "id": "o", **value})["value"] == told


def test_what_is_the_same_in_every_row_is_told_once() -> None:
    table = tables([observation(5 * n) for n in range(3)])[0]
    assert ("unit", "mmol/L") in table.alike
    assert "unit" not in table.columns
    assert "same in every row: code=2823-3; text=Potassium; unit=mmol/L;" in table.text
    assert "unit" in tables([observation(0), observation(5)])[0].columns


def test_ids_are_never_folded_away() -> None:
    twins = [observation(0)] * 4
    assert tables(twins)[0].columns == ("id",)
    assert len(tables(twins)[0].rows) == 4


def test_a_column_that_no_row_fills_is_named_as_not_recorded() -> None:
    table = tables([{"resourceType": "Observation", "id": "o", "valueInteger": 1}])[0]
    assert "range" in table.empty
    assert "recorded in no row: date, code, text, unit, range, flag, status" in table.text


def test_types_have_tables_of_their_own_and_rows_keep_their_order() -> None:
    found = tables([observation(3), {"resourceType": "Patient", "id": "p"}, observation(1)])
    assert [table.type for table in found] == ["Observation", "Patient"]
    assert [row[0] for row in found[0].rows] == ["obs-0003", "obs-0001"]


def test_an_order_tells_drug_dose_route_and_intent() -> None:
    dose = {
        "doseAndRate": [{"doseQuantity": {"value": 2, "unit": "g"}, "rateQuantity": {"value": 2, "unit": "h"}}],
        "route": {"text": "IV"},
        "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
    }
    order = {
        "resourceType": "MedicationRequest",
        "id": "m",
        "status": "active",
        "intent": "order",
        "authoredOn": "2023-11-13",
        "medicationCodeableConcept": {"coding": [{"code": "0000-1234-50"}], "text": "magnesium sulfate"},
        "dosageInstruction": [dose],
    }
    row = cells(order)
    assert row["dose"] == "2 g rate 2 h IV 1x per 1 d"
    assert (row["code"], row["text"], row["status"], row["intent"]) == (
        "0000-1234-50",
        "magnesium sulfate",
        "active",
        "order",
    )


def test_a_dose_in_words_stands_for_its_parts() -> None:
    dose = {"text": "2 g over 2 hours", "doseAndRate": [{"doseQuantity": {"value": 2, "unit": "g"}}]}
    order = {"resourceType": "MedicationRequest", "id": "m", "dosageInstruction": [dose]}
    assert cells(order)["dose"] == "2 g over 2 hours"


def test_a_patient_is_a_name_a_birth_date_and_identifiers() -> None:
    patient = {
        "resourceType": "Patient",
        "id": "p",
        "name": [{"given": ["Ada", "King"], "family": "Lovelace"}],
        "birthDate": "1815-12-10",
        "identifier": [{"system": "urn:mrn", "value": "S1"}, {"value": "S2"}],
        "deceasedBoolean": True,
    }
    row = cells(patient)
    assert (row["name"], row["born"], row["identifier"], row["deceased"]) == (
        "Ada King Lovelace",
        "1815-12-10",
        "S1; S2",
        "yes",
    )


def test_a_type_without_columns_of_its_own_still_has_a_row() -> None:
    flag = {"resourceType": "Flag", "id": "f", "code": {"text": "fall risk"}, "status": "active"}
    assert cells(flag) == {"id": "f", "text": "fall risk", "status": "active"}


def test_a_tab_or_a_line_break_in_a_text_breaks_no_row() -> None:
    nasty = observation(0, code={"text": "Potassium\tH\nid\tdate\u2028x\x00"})
    text = tables([nasty])[0].text
    assert len(text.splitlines()) == 3
    assert "Potassium H id date x" in text


@given(st.text())
def test_a_cell_is_one_line_of_bounded_length(text: str) -> None:
    cell = clean(text)
    assert len(cell) <= WIDEST_CELL
    assert len(cell.splitlines()) <= 1
    assert "\t" not in cell
    assert cell.isprintable()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
elements = st.sampled_from(
    ("code", "valueQuantity", "component", "name", "period", "dosageInstruction", "content", "status", "id", "given")
)


@given(st.sampled_from((*COLUMNS, "Flag")), st.dictionaries(elements, json_values, max_size=5))
def test_json_of_any_shape_makes_a_table(kind: str, fields: Resource) -> None:
    table = tables([{**fields, "resourceType": kind}], ANALYTES)[0]
    assert len(table.rows) == 1
    assert len(table.rows[0]) == len(table.columns)


@pytest.mark.skipif(not os.environ.get("WARDROUND_R4_EXAMPLES"), reason="WARDROUND_R4_EXAMPLES names no folder")
def test_every_official_example_has_a_row_that_says_something() -> None:
    folder = Path(os.environ["WARDROUND_R4_EXAMPLES"])
    for kind in COLUMNS:
        for path in folder.glob(f"{kind}-*.json"):
            table = tables([json.loads(path.read_text("utf-8"))], ANALYTES)[0]
            assert len(table.columns) > 1, path.name
