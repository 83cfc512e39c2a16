"""FHIR R4 resources as evidence: what they say, what they do not, and what is broken."""

import base64
import copy
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardround.core.errors import ToolRetry
from wardround.core.finding import Assertion
from wardround.core.source import SourceKind
from wardround.knowledge.clinician import reference_clinician
from wardround.tools.fhir.record import FOUND, Chart, RecordSearch, read_record
from wardround.tools.tool import Patient

Resource = dict[str, Any]
SUPPORTED = (
    "Condition",
    "Observation",
    "MedicationRequest",
    "MedicationStatement",
    "MedicationAdministration",
    "MedicationDispense",
    "AllergyIntolerance",
    "Procedure",
    "Immunization",
    "DiagnosticReport",
    "Encounter",
    "FamilyMemberHistory",
    "ClinicalImpression",
    "DocumentReference",
)


def concept(text: str, code: str = "x") -> Resource:
    return {"coding": [{"system": "urn:test", "code": code, "display": text}]}


def status(code: str) -> Resource:
    return {"coding": [{"code": code}]}


def note(text: str, **fields: Any) -> Resource:
    data = base64.b64encode(text.encode()).decode()
    attachment = {"contentType": "text/plain; charset=utf-8", "data": data}
    return {"resourceType": "DocumentReference", "id": "doc", "content": [{"attachment": attachment}], **fields}


def quantity(loinc: str, value: Any, unit: str | None, name: str = "Test", **fields: Any) -> Resource:
    measured = {"value": value, **({"unit": unit, "code": unit} if unit is not None else {})}
    return {
        "resourceType": "Observation",
        "id": "obs",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": loinc, "display": name}]},
        "valueQuantity": measured,
        **fields,
    }


def chart(*resources: Resource, age: float | None = 60, sex: str | None = "male") -> Chart:
    return read_record(resources, reference_clinician(), age=age, sex=sex)


def said(*resources: Resource) -> list[str]:
    return [source.text for source in chart(*resources).sources]


EXAMPLES: list[tuple[str, Resource, str | None]] = [
    ("a condition", {"resourceType": "Condition", "code": concept("Asthma")}, "Asthma."),
    (
        "a condition by its text",
        {"resourceType": "Condition", "code": {"text": "Asthma since childhood.", **concept("Asthma")}},
        "Asthma since childhood.",
    ),
    (
        "an active confirmed condition",
        {
            "resourceType": "Condition",
            "code": concept("Gout"),
            "clinicalStatus": status("active"),
            "verificationStatus": status("confirmed"),
        },
        "Gout.",
    ),
    (
        "a resolved condition",
        {"resourceType": "Condition", "code": concept("Pneumonia"), "clinicalStatus": status("resolved")},
        "History of Pneumonia.",
    ),
    (
        "a condition in remission",
        {"resourceType": "Condition", "code": concept("Lymphoma"), "clinicalStatus": status("remission")},
        "History of Lymphoma.",
    ),
    (
        "a refuted condition",
        {"resourceType": "Condition", "code": concept("Stroke"), "verificationStatus": status("refuted")},
        "No Stroke.",
    ),
    (
        "a provisional condition",
        {"resourceType": "Condition", "code": concept("Sepsis"), "verificationStatus": status("provisional")},
        "Possible Sepsis.",
    ),
    (
        "a condition entered in error",
        {"resourceType": "Condition", "code": concept("Stroke"), "verificationStatus": status("entered-in-error")},
        None,
    ),
    ("a condition without a code", {"resourceType": "Condition"}, None),
    ("a quantity", quantity("2823-3", 6.8, "mmol/L", "Potassium"), "Potassium: 6.8 mmol/L."),
    (
        "a quantity with a comparator and an interpretation",
        {
            **quantity("67151-1", 14, "ng/L", "Troponin T"),
            "valueQuantity": {"value": 14, "comparator": "<", "unit": "ng/L"},
            "interpretation": [concept("Normal")],
        },
        "Troponin T: <14 ng/L (Normal).",
    ),
    (
        "a coded value",
        {"resourceType": "Observation", "code": concept("Smoking status"), "valueCodeableConcept": concept("Smoker")},
        "Smoking status: Smoker.",
    ),
    (
        "a coded denial",
        {"resourceType": "Observation", "code": concept("Chest pain"), "valueCodeableConcept": concept("No")},
        "No Chest pain (No).",
    ),
    (
        "a string",
        {"resourceType": "Observation", "code": concept("Gait"), "valueString": "unsteady"},
        "Gait: unsteady.",
    ),
    (
        "a false",
        {"resourceType": "Observation", "code": concept("Smoker"), "valueBoolean": False},
        "No Smoker (no).",
    ),
    ("a true", {"resourceType": "Observation", "code": concept("Smoker"), "valueBoolean": True}, "Smoker: yes."),
    ("a zero", {"resourceType": "Observation", "code": concept("Falls"), "valueInteger": 0}, "Falls: 0."),
    (
        "an observation with only an interpretation",
        {"resourceType": "Observation", "code": concept("Blood culture"), "interpretation": [concept("Positive")]},
        "Blood culture:  (Positive).",
    ),
    (
        "an observation that is absent",
        {"resourceType": "Observation", "code": concept("Sodium"), "dataAbsentReason": concept("unknown")},
        None,
    ),
    (
        "an observation with a remark",
        {"resourceType": "Observation", "code": concept("Gait"), "note": [{"text": "Walks with a stick."}]},
        "Walks with a stick.",
    ),
    ("a cancelled observation", quantity("2823-3", 6.8, "mmol/L", status="cancelled"), None),
    ("an observation entered in error", quantity("2823-3", 6.8, "mmol/L", status="entered-in-error"), None),
    (
        "an active drug",
        {
            "resourceType": "MedicationRequest",
            "status": "active",
            "medicationCodeableConcept": concept("Warfarin 5 mg"),
        },
        "Takes Warfarin 5 mg.",
    ),
    (
        "a stopped drug",
        {"resourceType": "MedicationRequest", "status": "stopped", "medicationCodeableConcept": concept("Warfarin")},
        "No longer takes Warfarin.",
    ),
    (
        "a drug by reference",
        {
            "resourceType": "MedicationStatement",
            "status": "active",
            "medicationReference": {"reference": "Medication/1", "display": "Apixaban"},
        },
        "Takes Apixaban.",
    ),
    (
        "a contained drug",
        {
            "resourceType": "MedicationRequest",
            "status": "active",
            "contained": [{"resourceType": "Medication", "code": concept("Heparin")}],
            "medicationReference": {"reference": "#m"},
        },
        "Takes Heparin.",
    ),
    (
        "a drug that is not taken",
        {
            "resourceType": "MedicationStatement",
            "status": "not-taken",
            "medicationCodeableConcept": concept("Aspirin"),
        },
        "Does not take Aspirin.",
    ),
    (
        "a drug that must not be given",
        {
            "resourceType": "MedicationRequest",
            "status": "active",
            "doNotPerform": True,
            "medicationCodeableConcept": concept("Aspirin"),
        },
        None,
    ),
    (
        "a drug order that was cancelled",
        {"resourceType": "MedicationRequest", "status": "cancelled", "medicationCodeableConcept": concept("Aspirin")},
        None,
    ),
    (
        "a dose that was given",
        {
            "resourceType": "MedicationAdministration",
            "status": "completed",
            "medicationCodeableConcept": concept("Ceftriaxone"),
        },
        "Was given Ceftriaxone.",
    ),
    (
        "a dose that was not given",
        {
            "resourceType": "MedicationAdministration",
            "status": "not-done",
            "medicationCodeableConcept": concept("Ceftriaxone"),
        },
        None,
    ),
    (
        "a drug handed out",
        {
            "resourceType": "MedicationDispense",
            "status": "in-progress",
            "medicationCodeableConcept": concept("Metformin"),
        },
        "Takes Metformin.",
    ),
    ("an allergy", {"resourceType": "AllergyIntolerance", "code": concept("Penicillin")}, "Allergy to Penicillin."),
    (
        "a refuted allergy",
        {
            "resourceType": "AllergyIntolerance",
            "code": concept("Penicillin"),
            "verificationStatus": status("refuted"),
        },
        "No allergy to Penicillin.",
    ),
    (
        "a resolved allergy",
        {"resourceType": "AllergyIntolerance", "code": concept("Egg"), "clinicalStatus": status("resolved")},
        "History of allergy to Egg.",
    ),
    (
        "a procedure",
        {"resourceType": "Procedure", "status": "completed", "code": concept("Appendectomy")},
        "Had Appendectomy.",
    ),
    (
        "a procedure that was not done",
        {"resourceType": "Procedure", "status": "not-done", "code": concept("Appendectomy")},
        None,
    ),
    (
        "a vaccination",
        {"resourceType": "Immunization", "status": "completed", "vaccineCode": concept("Influenza")},
        "Vaccinated: Influenza.",
    ),
    (
        "a vaccination that was not given",
        {"resourceType": "Immunization", "status": "not-done", "vaccineCode": concept("Influenza")},
        None,
    ),
    (
        "a report",
        {
            "resourceType": "DiagnosticReport",
            "code": concept("Chest X-ray"),
            "conclusion": "Left pleural effusion.",
            "conclusionCode": [concept("Pleural effusion")],
        },
        "Chest X-ray. Left pleural effusion. Pleural effusion.",
    ),
    ("a report without a conclusion", {"resourceType": "DiagnosticReport", "code": concept("CT")}, None),
    (
        "an encounter",
        {"resourceType": "Encounter", "reasonCode": [concept("Chest pain"), concept("Cough")]},
        "Came with Chest pain. Came with Cough.",
    ),
    (
        "an encounter that is only planned",
        {"resourceType": "Encounter", "status": "planned", "reasonCode": [concept("Chest pain")]},
        None,
    ),
    (
        "a relative",
        {
            "resourceType": "FamilyMemberHistory",
            "relationship": concept("father"),
            "condition": [{"code": concept("Stroke")}, {"code": {}}, {"code": concept("Gout")}],
        },
        "Family history of Stroke (father). Family history of Gout (father).",
    ),
    (
        "an impression",
        {
            "resourceType": "ClinicalImpression",
            "summary": "Likely viral.",
            "finding": [{"itemCodeableConcept": concept("Pharyngitis")}],
        },
        "Likely viral. Pharyngitis.",
    ),
    ("a note", note("Chest pain since noon."), "Chest pain since noon."),
    ("a note entered in error", note("Chest pain.", docStatus="entered-in-error"), None),
    ("a note that was superseded", note("Chest pain.", status="superseded"), None),
    ("something else", {"resourceType": "Organization", "name": "Chest pain clinic"}, None),
    ("nothing", {}, None),
]


@pytest.mark.parametrize(("resource", "text"), [row[1:] for row in EXAMPLES], ids=[row[0] for row in EXAMPLES])
def test_a_resource_says_in_a_sentence_what_it_means(resource: Resource, text: str | None) -> None:
    read = chart(resource)
    assert [source.text for source in read.sources] == ([] if text is None else [text])
    kind = str(resource.get("resourceType"))
    assert (read.used, read.skipped) == ((Counter(), Counter([kind])) if text is None else (Counter([kind]), Counter()))


def test_every_supported_type_has_an_example() -> None:
    assert {r["resourceType"] for _, r, text in EXAMPLES if text is not None} == set(SUPPORTED)


@pytest.mark.parametrize(
    ("resource", "code", "assertion"),
    [
        (
            {"resourceType": "Condition", "code": concept("Chest pain"), "verificationStatus": status("refuted")},
            "chest_pain",
            Assertion.ABSENT,
        ),
        ({"resourceType": "Condition", "code": concept("Chest pain")}, "chest_pain", Assertion.PRESENT),
        (
            {"resourceType": "Condition", "code": concept("Chest pain"), "clinicalStatus": status("resolved")},
            "chest_pain",
            Assertion.HISTORICAL,
        ),
        (
            {
                "resourceType": "Condition",
                "code": concept("Chest pain"),
                "verificationStatus": status("provisional"),
            },
            "chest_pain",
            Assertion.POSSIBLE,
        ),
        (
            {"resourceType": "Observation", "code": concept("Chest pain"), "valueCodeableConcept": concept("No")},
            "chest_pain",
            Assertion.ABSENT,
        ),
        (
            {"resourceType": "Observation", "code": concept("Chest pain"), "valueString": "absent"},
            "chest_pain",
            Assertion.ABSENT,
        ),
        (
            {"resourceType": "Observation", "code": concept("Smoker"), "valueBoolean": False},
            "smoker",
            Assertion.ABSENT,
        ),
        (
            {"resourceType": "Observation", "code": concept("Smoker"), "valueBoolean": True},
            "smoker",
            Assertion.PRESENT,
        ),
    ],
)
def test_the_sentence_is_read_as_the_resource_means_it(resource: Resource, code: str, assertion: Assertion) -> None:
    (text,) = said(resource)
    read = {f.code: f.assertion for f in reference_clinician().read(text, age=60, sex="male")}
    assert read[code] is assertion


@pytest.mark.parametrize(
    ("resource", "code", "assertion"),
    [
        (
            {
                "resourceType": "Condition",
                "code": concept("Deep vein thrombosis"),
                "clinicalStatus": status("resolved"),
            },
            "prior_vte",
            Assertion.PRESENT,
        ),
        (
            {
                "resourceType": "MedicationRequest",
                "status": "stopped",
                "medicationCodeableConcept": concept("Warfarin"),
            },
            "anticoagulant_use",
            Assertion.ABSENT,
        ),
        (
            {
                "resourceType": "MedicationRequest",
                "status": "active",
                "medicationCodeableConcept": concept("Warfarin"),
            },
            "anticoagulant_use",
            Assertion.PRESENT,
        ),
    ],
)
def test_what_is_over_is_a_risk_if_it_was_an_illness_and_none_if_it_was_a_drug(
    resource: Resource, code: str, assertion: Assertion
) -> None:
    (text,) = said(resource)
    read = {f.code: f.assertion for f in reference_clinician().read(text, age=60, sex="male")}
    assert read[code] is assertion


@pytest.mark.parametrize("illness", ["Stroke", "Asthma", "Hypertension", "Epilepsy"])
def test_what_a_relative_has_is_not_said_of_the_patient(illness: str) -> None:
    relative = {
        "resourceType": "FamilyMemberHistory",
        "relationship": concept("father"),
        "condition": [{"code": concept(illness)}],
    }
    read = reference_clinician().read(said(relative)[0], age=60, sex="male")
    own = [f.code for f in read if f.assertion is Assertion.PRESENT and not f.code.startswith("family_history")]
    assert own == []


def test_the_patient_is_no_evidence() -> None:
    read = chart({"resourceType": "Patient", "id": "1", "gender": "male"})
    assert read.sources == []
    assert read.used == Counter(["Patient"])


def test_a_source_names_its_resource_and_its_time() -> None:
    (source,) = chart(quantity("2823-3", 6.8, "mmol/L", effectiveDateTime="2024-05-03T10:00:00+02:00")).sources
    assert (source.document, source.title) == ("Observation/obs", "Observation/obs")
    assert source.time is not None
    assert source.time.isoformat() == "2024-05-03T10:00:00+02:00"


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({}, SourceKind.LAB),
        ({"category": [status("laboratory")]}, SourceKind.LAB),
        ({"category": [status("vital-signs")]}, SourceKind.STRUCTURED_RECORD),
    ],
)
def test_vital_signs_are_no_laboratory_results(fields: Resource, kind: SourceKind) -> None:
    assert chart(quantity("2823-3", 6.8, "mmol/L", **fields)).sources[0].kind is kind


def test_a_note_is_cut_into_sentences_that_can_be_cited() -> None:
    read = chart(note("Chest pain since noon. No cough.\nSmoker."))
    assert [(s.text, s.title, s.kind) for s in read.sources] == [
        ("Chest pain since noon.", "DocumentReference/doc, sentence 1", SourceKind.CLINICIAN_NOTE),
        ("No cough.", "DocumentReference/doc, sentence 2", SourceKind.CLINICIAN_NOTE),
        ("Smoker.", "DocumentReference/doc, sentence 3", SourceKind.CLINICIAN_NOTE),
    ]
    assert len({s.id for s in read.sources}) == 3


def test_the_base64_of_a_note_may_be_broken_into_lines() -> None:
    resource = note("Chest pain since noon, and it is getting worse all the time.")
    attachment = resource["content"][0]["attachment"]
    attachment["data"] = "\r\n".join(attachment["data"][i : i + 20] for i in range(0, len(attachment["data"]), 20))
    assert said(resource) == ["Chest pain since noon, and it is getting worse all the time."]


@pytest.mark.parametrize("data", ["not base64!", "é", "\ud800", "/w==", "====", 5, None, {}, [], True])
def test_a_note_that_cannot_be_decoded_is_skipped(data: Any) -> None:
    resource = note("x")
    resource["content"][0]["attachment"]["data"] = data
    assert chart(resource).skipped == Counter(["DocumentReference"])


@pytest.mark.parametrize("content_type", ["application/pdf", "", None, 5])
def test_an_attachment_that_is_not_plain_text_is_skipped(content_type: Any) -> None:
    resource = note("Chest pain.")
    resource["content"][0]["attachment"]["contentType"] = content_type
    assert said(resource) == []


def values(*resources: Resource) -> dict[str, tuple[Assertion, float | None]]:
    return {f.code: (f.assertion, f.value) for f in chart(*resources).findings}


@pytest.mark.parametrize(
    ("loinc", "value", "unit", "code", "assertion", "canonical"),
    [
        ("2823-3", 6.8, "mmol/L", "potassium_high", Assertion.PRESENT, 6.8),
        ("2823-3", 4.1, "mEq/L", "potassium_high", Assertion.ABSENT, 4.1),
        ("2160-0", 3.5, "mg/dL", "creatinine_high", Assertion.PRESENT, 309.47),
        ("718-7", 72, "g/L", "hemoglobin_low", Assertion.PRESENT, 7.2),
        ("3094-0", 40, "mg/dL", "urea_high", Assertion.PRESENT, 14.28),
        ("22664-7", 6, "mmol/L", "urea_high", Assertion.ABSENT, 6.0),
        ("8310-5", 101.3, "[degF]", "fever", Assertion.PRESENT, 38.5),
        ("8310-5", 36.8, "Cel", "fever", Assertion.ABSENT, 36.8),
        ("8867-4", 128, "/min", "tachycardia", Assertion.PRESENT, 128),
        ("59408-5", 84, "%", "hypoxia", Assertion.PRESENT, 84),
    ],
)
def test_a_coded_quantity_becomes_a_reading_in_the_analytes_unit(
    loinc: str, value: float, unit: str, code: str, assertion: Assertion, canonical: float
) -> None:
    resource = quantity(loinc, value, unit, effectiveDateTime="2024-05-03")
    read = chart(resource)
    found = {f.code: f for f in read.findings}[code]
    assert found.assertion is assertion
    assert found.value == pytest.approx(canonical, rel=1e-3)
    assert found.source == read.sources[0].id
    assert found.time == read.sources[0].time
    assert found.span is None
    assert read.problems == []


def test_the_components_of_a_blood_pressure_are_read_one_by_one() -> None:
    panel = {
        "resourceType": "Observation",
        "id": "bp",
        "code": {"coding": [{"code": "85354-9", "display": "Blood pressure"}]},
        "component": [
            {
                "code": {"coding": [{"code": "8480-6", "display": "Systolic blood pressure"}]},
                "valueQuantity": {"value": 85, "unit": "mmHg", "code": "mm[Hg]"},
            },
            {
                "code": {"coding": [{"code": "8462-4", "display": "Diastolic blood pressure"}]},
                "valueQuantity": {"value": 55, "unit": "mmHg", "code": "mm[Hg]"},
            },
        ],
    }
    read = chart(panel)
    assert [s.text for s in read.sources] == ["Systolic blood pressure: 85 mmHg. Diastolic blood pressure: 55 mmHg."]
    assert values(panel)["hypotension"] == (Assertion.PRESENT, 85)
    assert values(panel)["hypertension"] == (Assertion.ABSENT, 85)
    assert {f.source for f in read.findings} == {read.sources[0].id}


@pytest.mark.parametrize(
    ("resource", "problem"),
    [
        (quantity("2823-3", 6.8, "furlongs"), "Observation/obs: Potassium in 'furlongs' cannot be converted"),
        (quantity("2823-3", 6.8, "258813002"), "Observation/obs: Potassium in '258813002' cannot be converted"),
        (quantity("2823-3", 680, "mmol/L"), "Observation/obs: Potassium of 680 mmol/L is not possible"),
        (quantity("2823-3", -4, "mmol/L"), "Observation/obs: Potassium of -4 mmol/L is not possible"),
        (quantity("2160-0", 1.2, None), "Observation/obs: Creatinine of 1.2 has no unit"),
        (quantity("2160-0", 90, None), "Observation/obs: Creatinine of 90 has no unit"),
    ],
)
def test_a_quantity_that_cannot_be_so_is_named_and_gives_no_reading(resource: Resource, problem: str) -> None:
    read = chart(resource)
    assert read.findings == []
    assert len(read.problems) == 1
    assert read.problems[0].startswith(problem)
    assert len(read.sources) == 1


def test_a_ratio_needs_no_unit() -> None:
    assert values(quantity("6301-6", 3.2, None))["inr_high"] == (Assertion.PRESENT, 3.2)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400, "6.8", True, None, {}, [6.8]])
def test_a_value_that_is_no_finite_number_gives_no_reading(value: Any) -> None:
    assert chart(quantity("2823-3", value, "mmol/L")).findings == []


@pytest.mark.parametrize(
    ("comparator", "value", "expected"),
    [
        ("<", 5, {"troponin_high": Assertion.ABSENT}),
        ("<", 400, {}),
        (">", 400, {"troponin_high": Assertion.PRESENT}),
        (">=", 400, {"troponin_high": Assertion.PRESENT}),
        (">", 5, {}),
        (None, 400, {"troponin_high": Assertion.PRESENT}),
    ],
)
def test_a_value_known_only_as_below_or_above_a_limit_decides_only_what_follows(
    comparator: str | None, value: float, expected: dict[str, Assertion]
) -> None:
    resource = quantity("67151-1", value, "ng/L")
    if comparator is not None:
        resource["valueQuantity"]["comparator"] = comparator
    assert {f.code: f.assertion for f in chart(resource).findings} == expected


def test_the_latest_comes_first_and_what_has_no_time_last() -> None:
    resources = [
        {"resourceType": "Condition", "id": "none", "code": concept("None")},
        {"resourceType": "Condition", "id": "old", "code": concept("Old"), "recordedDate": "2001"},
        {"resourceType": "Condition", "id": "new", "code": concept("New"), "recordedDate": "2024-05-03T23:00:00Z"},
        {"resourceType": "Condition", "id": "mid", "code": concept("Mid"), "onsetDateTime": "2020-02"},
        {
            "resourceType": "Encounter",
            "id": "per",
            "reasonCode": [concept("Per")],
            "period": {"start": "2022-01-01"},
        },
        {
            "resourceType": "Condition",
            "id": "zone",
            "code": concept("Zone"),
            "recordedDate": "2024-05-04T00:30:00+02:00",
        },
    ]
    order = [s.document.split("/")[1] for s in chart(*resources).sources]
    assert order == ["new", "zone", "per", "mid", "old", "none"]


@pytest.mark.parametrize("time", ["yesterday", "2024-13-45", "", 5, {}, [], True, "99999"])
def test_a_time_that_is_none_leaves_the_time_open(time: Any) -> None:
    (source,) = chart({"resourceType": "Condition", "code": concept("Asthma"), "recordedDate": time}).sources
    assert source.time is None


@pytest.mark.parametrize("id_", [None, "", 5, {}, []])
def test_a_resource_without_a_proper_id_is_still_read(id_: Any) -> None:
    (source,) = chart({"resourceType": "Condition", "id": id_, "code": concept("Asthma")}).sources
    assert source.document == "Condition/entry-0"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["\ud800", "2823-3", "mmol/L", "2024-05-03", "entered-in-error", 10**400]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["coding", "code", "text", "value", "start", "display", "unit"]), inner)
    ),
    max_leaves=8,
)
FIELDS = sorted(
    {key for _, resource, _ in EXAMPLES for key in resource}
    | {"issued", "authoredOn", "performedPeriod", "effectivePeriod", "effectiveDateTime", "component"}
)


@settings(max_examples=400, deadline=None)
@given(kind=st.sampled_from(SUPPORTED) | JSON, fields=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6))
def test_a_resource_of_wrong_json_types_is_read_or_skipped_but_never_fatal(kind: Any, fields: Resource) -> None:
    resource = {**fields, "resourceType": kind}
    read = chart(resource)
    assert read.used.total() + read.skipped.total() == 1
    assert bool(read.sources) == bool(read.used) or kind == "Patient"
    assert all(s.text.strip() for s in read.sources)


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if at:
        yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in inner:
        yield from places(below, (*at, key))


def replaced(resource: Resource, at: tuple[Any, ...], junk: Any) -> Resource:
    changed: Any = copy.deepcopy(resource)
    inner = changed
    for key in at[:-1]:
        inner = inner[key]
    inner[at[-1]] = junk
    return dict(changed)


@settings(max_examples=500, deadline=None)
@given(data=st.data(), junk=JSON)
def test_a_good_resource_with_one_broken_place_is_never_fatal(data: st.DataObject, junk: Any) -> None:
    resource = data.draw(st.sampled_from([r for _, r, _ in EXAMPLES if r]))
    at = data.draw(st.sampled_from(list(places(resource))))
    read = chart(replaced(resource, at, junk), EXAMPLES[0][1])
    assert "Asthma." in [s.text for s in read.sources]


PANEL = quantity("85354-9", 85, "mm[Hg]", component=[quantity("8480-6", 85, "mm[Hg]")])


@settings(max_examples=200, deadline=None)
@given(at=st.sampled_from(list(places(PANEL))), junk=JSON)
def test_a_broken_component_is_never_fatal(at: tuple[Any, ...], junk: Any) -> None:
    read = chart(replaced(PANEL, at, junk))
    assert len(read.sources) <= 1


def search(argument: str, *resources: Resource) -> list[str]:
    tool = RecordSearch(chart(*resources), reference_clinician())
    return [s.document for s in tool.use(argument, Patient(age=60, sex="male", findings=())).sources]


def test_a_search_finds_a_finding_in_whatever_words_and_a_drug_by_name() -> None:
    resources = [
        {"resourceType": "Condition", "id": "a", "code": concept("Dyspnea")},
        {
            "resourceType": "MedicationRequest",
            "id": "b",
            "status": "active",
            "medicationCodeableConcept": concept("Metformin 500 mg"),
        },
        quantity("2823-3", 6.8, "mmol/L", "Potassium"),
        {"resourceType": "Condition", "id": "c", "code": concept("Gout")},
    ]
    assert search("shortness of breath", *resources) == ["Condition/a"]
    assert search("metformin", *resources) == ["MedicationRequest/b"]
    assert search("high potassium", *resources) == ["Observation/obs"]
    assert search("Potassium", *resources) == ["Observation/obs"]
    assert search("unicorns", *resources) == []


def test_a_search_brings_the_coded_readings_of_what_it_found_and_no_others() -> None:
    read = chart(
        quantity("2823-3", 6.8, "mmol/L", "Potassium"), quantity("2160-0", 300, "umol/L", "Creatinine", id="c")
    )
    result = RecordSearch(read, reference_clinician()).use("potassium", Patient(age=60, sex="male", findings=()))
    codes = {f.code for f in result.findings}
    assert {"potassium_high", "potassium_low"} <= codes
    assert "creatinine_high" not in codes
    assert result.text == "Potassium: 6.8 mmol/L."


def test_a_search_gives_the_latest_few_and_says_how_many_more() -> None:
    resources = [
        quantity("2823-3", 5 + day / 100, "mmol/L", "Potassium", id=f"k{day}", effectiveDateTime=f"2024-05-{day:02}")
        for day in range(1, FOUND + 4)
    ]
    tool = RecordSearch(chart(*resources), reference_clinician())
    result = tool.use("potassium", Patient(age=60, sex="male", findings=()))
    assert [s.document for s in result.sources] == [f"Observation/k{day}" for day in range(FOUND + 3, 3, -1)]
    assert result.text.endswith("(+3 more)")


def test_a_search_that_finds_nothing_says_so() -> None:
    tool = RecordSearch(chart(), reference_clinician())
    result = tool.use("melena", Patient(age=60, sex="male", findings=()))
    assert (result.text, result.sources, result.findings) == ("the record says nothing of melena", (), ())


@pytest.mark.parametrize("argument", ["", "   ", "?!", "..."])
def test_a_search_for_no_words_is_refused(argument: str) -> None:
    tool = RecordSearch(chart(EXAMPLES[0][1]), reference_clinician())
    with pytest.raises(ToolRetry, match="in a few words"):
        tool.use(argument, Patient(age=60, sex="male", findings=()))


@settings(max_examples=100, deadline=None)
@given(argument=st.text(min_size=1, max_size=40))
def test_any_search_answers_or_asks_for_words(argument: str) -> None:
    tool = RecordSearch(chart(*(r for _, r, _ in EXAMPLES)), reference_clinician())
    try:
        result = tool.use(argument, Patient(age=60, sex="male", findings=()))
    except ToolRetry:
        return
    assert len(result.sources) <= FOUND


OFFICIAL = os.environ.get("WARDROUND_R4_EXAMPLES")


@pytest.mark.slow
@pytest.mark.skipif(
    not OFFICIAL,
    reason="WARDROUND_R4_EXAMPLES names no folder with the unpacked npm package hl7.fhir.r4.examples",
)
def test_the_official_r4_examples_are_read_without_a_fault() -> None:
    files = sorted(Path(str(OFFICIAL)).rglob("*.json"))
    resources = [resource for file in files for resource in contained(json.loads(file.read_text("utf-8")))]
    read = chart(*resources)
    kinds = Counter(str(r.get("resourceType")) for r in resources)
    assert read.used + read.skipped == kinds
    # MedicationStatement, ClinicalImpression and the others each have official examples with something to say
    assert set(SUPPORTED) - {"DocumentReference"} <= set(read.used)
    assert read.used["Observation"] >= 150
    assert len(read.sources) >= 200
    assert read.findings


def contained(document: Any) -> list[Resource]:
    """The resources of a Bundle, or the resource itself where it is no Bundle."""
    if not isinstance(document, dict) or "resourceType" not in document:
        return []
    if document["resourceType"] != "Bundle":
        return [document]
    inner = (entry.get("resource") for entry in document.get("entry", []))
    return [found for resource in inner for found in contained(resource)]
