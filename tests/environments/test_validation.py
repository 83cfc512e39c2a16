"""Validation: what R4 allows passes, and every single change that breaks it is refused at its place."""

import copy
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from wardround.core.errors import UsageError
from wardround.environments.fhir.definitions import SUPPORTED
from wardround.environments.fhir.outcome import Issue, operation_outcome
from wardround.environments.fhir.validation.invariants import INVARIANTS
from wardround.environments.fhir.validation.validator import validate

Resource = dict[str, Any]

PACKAGE = Path(os.environ.get("WARDROUND_R4_EXAMPLES", "/nowhere"))
official = pytest.mark.skipif(
    not PACKAGE.is_dir(),
    reason="WARDROUND_R4_EXAMPLES names no folder with the unpacked npm package hl7.fhir.r4.examples",
)

OBSERVATION: Resource = {"resourceType": "Observation", "status": "final", "code": {"text": "glucose"}}
PATIENT: Resource = {"resourceType": "Patient"}
SUBJECT: Resource = {"reference": "Patient/1"}
CONDITION: Resource = {"resourceType": "Condition", "subject": SUBJECT}
ALLERGY: Resource = {"resourceType": "AllergyIntolerance", "patient": SUBJECT}
APPOINTMENT: Resource = {
    "resourceType": "Appointment",
    "status": "proposed",
    "participant": [{"actor": SUBJECT, "status": "accepted"}],
}
ORDER: Resource = {
    "resourceType": "MedicationRequest",
    "status": "active",
    "intent": "order",
    "medicationCodeableConcept": {"text": "magnesium"},
    "subject": SUBJECT,
}
REFERRAL: Resource = {"resourceType": "ServiceRequest", "status": "active", "intent": "order", "subject": SUBJECT}
MARKED: Resource = {"extension": [{"url": "http://example.org/why", "valueCode": "unknown"}]}
UCUM = "http://unitsofmeasure.org"


def coded(system: str, code: str) -> Resource:
    return {"coding": [{"system": f"http://terminology.hl7.org/CodeSystem/{system}", "code": code}]}


def errors(resource: Mapping[str, Any]) -> list[Issue]:
    return [issue for issue in validate(resource) if issue.severity == "error"]


def told(resource: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is wrong, as pairs of place and code."""
    return [(" ".join(issue.expression), issue.code) for issue in validate(resource)]


# What R4 allows


BREAKING = {
    "MedicationRequest-medrx0301.json": "a practitioner as dispenseRequest.performer, where only organizations may be",
    "Observation-clinical-gender.json": "an encounter as performer, where only people and organizations may be",
}
"""Official examples that break the definitions they are examples of, and how."""


def example_files() -> Iterator[Path]:
    for name in SUPPORTED:
        yield from sorted(PACKAGE.glob(f"{name}-*.json"))


def examples() -> Iterator[tuple[str, Resource]]:
    for path in example_files():
        resource = json.loads(path.read_text("utf-8"), parse_float=Decimal)
        if path.name not in BREAKING and resource["resourceType"] in SUPPORTED:
            yield path.name, resource


@official
def test_every_official_example_of_a_served_type_is_valid() -> None:
    count = Counter(resource["resourceType"] for name, resource in examples() if errors(resource) == [])
    assert count == Counter(resource["resourceType"] for _, resource in examples())
    assert count.keys() == set(SUPPORTED)
    assert count.total() > 320


@official
def test_the_official_examples_that_break_the_definitions_are_known_to() -> None:
    for name in BREAKING:
        (issue,) = errors(json.loads((PACKAGE / name).read_text("utf-8")))
        assert issue.diagnostics.startswith("must point to")


@official
@pytest.mark.slow
def test_official_bundles_are_valid() -> None:
    paths = [path for path in sorted(PACKAGE.glob("Bundle-*.json")) if path.stat().st_size < 1_000_000]
    assert len(paths) > 30
    assert {path.name: errors(json.loads(path.read_text("utf-8"))) for path in paths} == {
        path.name: [] for path in paths
    }


VALID: dict[str, Resource] = {
    "a code told by an extension alone": {**{k: OBSERVATION[k] for k in ("resourceType", "code")}, "_status": MARKED},
    "a value with an extension": {**OBSERVATION, "_status": MARKED},
    "a name in parts of which one is unknown": {
        **PATIENT,
        "name": [{"given": [None, "Ana"], "_given": [MARKED, None]}],
    },
    "names that are all unknown": {**PATIENT, "name": [{"_given": [MARKED]}]},
    "the id of a value": {**PATIENT, "birthDate": "1970", "_birthDate": {"id": "b"}},
    "a choice told by an extension alone": {**OBSERVATION, "_valueString": MARKED},
    "false, which is a value": {**PATIENT, "deceasedBoolean": False},
    "zero, which is a value": {**OBSERVATION, "valueInteger": 0},
    "digits as they were sent": {**OBSERVATION, "valueQuantity": {"value": Decimal("7.10")}},
    "a decimal without a fraction": {**OBSERVATION, "valueQuantity": {"value": 7}},
    "a very small decimal": {**OBSERVATION, "valueQuantity": {"value": Decimal("1E-30")}},
    "nanoseconds": {**OBSERVATION, "effectiveDateTime": "2023-05-01T10:00:00.123456789+14:00"},
    "a contained resource": {
        **PATIENT,
        "contained": [{"resourceType": "Organization", "id": "o", "name": "Ward"}],
        "managingOrganization": {"reference": "#o"},
    },
    "a contained resource that points back": {
        **PATIENT,
        "contained": [{"resourceType": "Device", "id": "d", "patient": {"reference": "#"}}],
    },
    "a contained resource that another points to": {
        **PATIENT,
        "contained": [
            {"resourceType": "Organization", "id": "a", "name": "A", "partOf": {"reference": "#b"}},
            {"resourceType": "Organization", "id": "b", "name": "B"},
        ],
        "managingOrganization": {"reference": "#a"},
    },
    "a version of a resource": {**PATIENT, "managingOrganization": {"reference": "Organization/1/_history/2"}},
    "an address on another server": {
        **PATIENT,
        "managingOrganization": {"reference": "https://a.org/r4/Organization/1"},
    },
    "an address that is no R4 one": {**PATIENT, "managingOrganization": {"reference": "https://a.org/wards/7"}},
    "a UUID": {
        **PATIENT,
        "managingOrganization": {"reference": "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"},
    },
    "a UUID of any version": {
        **PATIENT,
        "extension": [{"url": "http://a.org", "valueUuid": "urn:uuid:b97f92ac-df90-ac5a-3d95-af20b277a9b4"}],
    },
    "an OID": {**PATIENT, "managingOrganization": {"reference": "urn:oid:1.2.3"}},
    "a reference in words": {**PATIENT, "managingOrganization": {"display": "the ward"}},
    "a bound concept told by an extension": {**CONDITION, "clinicalStatus": MARKED},
    "a bound concept with a local coding too": {
        **CONDITION,
        "clinicalStatus": {
            "coding": [{"system": "urn:x", "code": "y"}, *coded("condition-clinical", "active")["coding"]]
        },
    },
    "a type that has no typed model": {
        **PATIENT,
        "contained": [{"resourceType": "SubstanceProtein", "id": "s"}],
        "extension": [{"url": "http://example.org/s", "valueReference": {"reference": "#s"}}],
    },
    "a conditional reference in a transaction": {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "resource": {**OBSERVATION, "subject": {"reference": "Patient?identifier=urn:x|1"}},
                "request": {"method": "POST", "url": "Observation"},
            }
        ],
    },
}


@pytest.mark.parametrize("resource", VALID.values(), ids=VALID.keys())
def test_what_r4_allows_passes(resource: Resource) -> None:
    assert validate(resource) == []


# What R4 does not allow


def patient(**fields: Any) -> Resource:
    return {**PATIENT, **fields}


def observation(**fields: Any) -> Resource:
    return {**OBSERVATION, **fields}


WARD: Resource = {"resourceType": "Organization", "id": "o", "name": "Ward"}
INVALID: list[tuple[Resource, str, str]] = [
    (patient(gender="Male"), "Patient.gender", "code-invalid"),
    (patient(name=[{"use": "offical"}]), "Patient.name[0].use", "code-invalid"),
    (
        observation(valueQuantity={"value": 1, "comparator": "=>"}),
        "Observation.valueQuantity.comparator",
        "code-invalid",
    ),
    (patient(active="true"), "Patient.active", "structure"),
    (observation(valueQuantity={"value": "7.1"}), "Observation.valueQuantity.value", "structure"),
    (observation(valueInteger=1.5), "Observation.valueInteger", "structure"),
    (observation(valueInteger=True), "Observation.valueInteger", "structure"),
    (observation(valueBoolean=1), "Observation.valueBoolean", "structure"),
    (observation(valueString=5), "Observation.valueString", "structure"),
    (observation(valueQuantity='{"value": 1}'), "Observation.valueQuantity", "structure"),
    (observation(valueInteger=2**31), "Observation.valueInteger", "value"),
    (observation(valueQuantity={"value": float("nan")}), "Observation.valueQuantity.value", "value"),
    (observation(valueQuantity={"value": 10**400}), "Observation.valueQuantity.value", "value"),
    (patient(multipleBirthInteger=Decimal("2.0")), "Patient.multipleBirthInteger", "structure"),
    (patient(contact=[]), "Patient.contact", "structure"),
    (patient(contact=[{}]), "Patient.contact[0]", "structure"),
    (patient(maritalStatus={}), "Patient.maritalStatus", "structure"),
    (patient(birthDate=""), "Patient.birthDate", "value"),
    (patient(birthDate=None), "Patient.birthDate", "structure"),
    (patient(birthDate="1970-02-30"), "Patient.birthDate", "value"),
    (patient(birthDate="01/05/1970"), "Patient.birthDate", "value"),
    (patient(birthDate="0000"), "Patient.birthDate", "value"),
    (observation(effectiveDateTime="2023-05-01T10:00:00"), "Observation.effectiveDateTime", "value"),
    (observation(effectiveDateTime="2023-05-01T10:00Z"), "Observation.effectiveDateTime", "value"),
    (observation(effectiveDateTime="2016-12-31T23:59:60Z"), "Observation.effectiveDateTime", "value"),
    (observation(effectiveInstant="2023-05-01"), "Observation.effectiveInstant", "value"),
    (observation(valueTime="10:00"), "Observation.valueTime", "value"),
    (patient(id="a_b"), "Patient.id", "value"),
    (patient(id="a" * 65), "Patient.id", "value"),
    (patient(language="en  US"), "Patient.language", "value"),
    (patient(implicitRules="two words"), "Patient.implicitRules", "value"),
    (patient(photo=[{"contentType": "image/png", "data": "YWJ"}]), "Patient.photo[0].data", "value"),
    (patient(identifier=[{"value": "a\x00"}]), "Patient.identifier[0].value", "value"),
    (patient(name={"family": "A"}), "Patient.name", "structure"),
    (patient(maritalStatus=[{"text": "m"}]), "Patient.maritalStatus", "structure"),
    (patient(name=["Ana"]), "Patient.name[0]", "structure"),
    (patient(name=[{"given": [None, "B"]}]), "Patient.name[0].given[0]", "structure"),
    (patient(name=[{"given": ["A"], "_given": [None, MARKED]}]), "Patient.name[0].given", "structure"),
    (patient(name=[{"_given": []}]), "Patient.name[0].given", "structure"),
    (patient(name=[{"_given": [None]}]), "Patient.name[0].given[0]", "structure"),
    (patient(name=[{"_given": MARKED}]), "Patient.name[0].given", "structure"),
    (patient(_birthDate="x"), "Patient.birthDate", "structure"),
    (patient(_birthDate={}), "Patient.birthDate", "structure"),
    (patient(_birthDate={"id": "b"}), "Patient.birthDate", "invariant"),
    (patient(birthDate="1970", _birthDate={"foo": 1}), "Patient.birthDate.foo", "structure"),
    (patient(_name=[MARKED]), "Patient._name", "structure"),
    (patient(maritalStatus={"id": "m"}), "Patient.maritalStatus", "invariant"),
    (patient(fhir_comments=["x"]), "Patient.fhir_comments", "structure"),
    (observation(valueString="a", valueInteger=1), "Observation.valueInteger", "structure"),
    (observation(valueString="a", _valueInteger=MARKED), "Observation.valueInteger", "structure"),
    (observation(subject={"reference": "Medication/1"}), "Observation.subject.reference", "value"),
    (observation(subject={"reference": "https://a.org/r4/Medication/1"}), "Observation.subject.reference", "value"),
    (observation(subject={"reference": "not a ref!!"}), "Observation.subject.reference", "value"),
    (observation(subject={"reference": "S1234567"}), "Observation.subject.reference", "value"),
    (observation(subject={"reference": "patient/1"}), "Observation.subject.reference", "value"),
    (observation(subject={"reference": "Patient?name=a"}), "Observation.subject.reference", "value"),
    (observation(subject={"reference": "Patient/a_b"}), "Observation.subject.reference", "value"),
    (observation(subject={"reference": "urn:uuid:1"}), "Observation.subject.reference", "value"),
    (observation(subject={"type": "Medication"}), "Observation.subject.type", "value"),
    (observation(subject={"type": "Group", "reference": "Patient/1"}), "Observation.subject.reference", "value"),
    (observation(subject={"reference": "#p"}), "Observation.subject.reference", "invariant"),
    (observation(subject={"reference": "#"}), "Observation.subject.reference", "invariant"),
    (patient(contained=[WARD]), "Patient.contained[0]", "invariant"),
    (
        patient(contained=[WARD], generalPractitioner=[{"reference": "#x"}, {"reference": "#o"}]),
        "Patient.generalPractitioner[0].reference",
        "invariant",
    ),
    (observation(contained=[WARD], subject={"reference": "#o"}), "Observation.subject.reference", "value"),
    (patient(contained=[{**WARD, "partOf": {"reference": "#"}}]), "Patient.contained[0].partOf.reference", "value"),
    (patient(contained=[WARD, WARD], managingOrganization={"reference": "#o"}), "Patient.contained[1].id", "value"),
    (
        patient(contained=[{**WARD, "meta": {"versionId": "1"}}], managingOrganization={"reference": "#o"}),
        "Patient.contained[0].meta.versionId",
        "invariant",
    ),
    (
        patient(contained=[{**WARD, "meta": {"security": [{"code": "R"}]}}], managingOrganization={"reference": "#o"}),
        "Patient.contained[0].meta.security",
        "invariant",
    ),
    (
        patient(contained=[{**WARD, "contained": [PATIENT]}], managingOrganization={"reference": "#o"}),
        "Patient.contained[0].contained[0]",
        "invariant",
    ),
    ({**CONDITION, "clinicalStatus": {"text": "active"}}, "Condition.clinicalStatus", "code-invalid"),
    ({**CONDITION, "clinicalStatus": coded("condition-clinical", "over")}, "Condition.clinicalStatus", "code-invalid"),
    (
        observation(referenceRange=[{"low": {"value": 1, "comparator": "<"}}]),
        "Observation.referenceRange[0].low.comparator",
        "invariant",
    ),
    ({}, "resourceType", "required"),
    ({"resourceType": 5}, "resourceType", "required"),
    ({"resourceType": "Pateint"}, "resourceType", "structure"),
]


@pytest.mark.parametrize(("resource", "place", "code"), INVALID)
def test_what_r4_does_not_allow_is_refused_at_its_place(resource: Resource, place: str, code: str) -> None:
    assert told(resource) == [(place, code)]


def test_a_contained_resource_without_an_id_cannot_be_pointed_to() -> None:
    assert ("Patient.contained[0].id", "required") in told(patient(contained=[{**WARD, "id": 5}]))


def test_a_missing_choice_names_its_members() -> None:
    resource = {name: value for name, value in ORDER.items() if name != "medicationCodeableConcept"}
    (issue,) = validate(resource)
    assert issue.expression == ("MedicationRequest.medication",)
    assert issue.diagnostics.endswith("give one of medicationCodeableConcept, medicationReference")


@pytest.mark.parametrize(
    ("resource", "hint"),
    [
        (patient(birthdate="1970"), "did you mean birthDate?"),
        ({"resourceType": "Observaton"}, "did you mean Observation?"),
        (observation(subject={"reference": "Patients/1"}), "did you mean Patient?"),
        (observation(value=5), "did you mean valueQuantity or valueCodeableConcept or"),
        (observation(effectiveDateTime="1 May 2023"), "such as 2023-05-01T10:00:00Z"),
        (
            {"resourceType": "Encounter", "status": "done", "class": {"code": "IMP"}},
            "must be one of arrived, cancelled",
        ),
    ],
)
def test_a_refusal_says_how_to_mend_it(resource: Resource, hint: str) -> None:
    (issue,) = validate(resource)
    assert hint in issue.diagnostics


def test_what_only_the_typed_model_refuses_is_told_in_its_words() -> None:
    (issue,) = validate(patient(maritalStatus={"text": "\xa0"}))
    assert issue.expression == ("Patient.maritalStatus.text",)
    assert issue.diagnostics.startswith("refused by the typed model: ")


def test_all_faults_are_told_at_once() -> None:
    wrong = observation(status="finalish", foo=1, subject={"reference": "Medication/1"}, issued="today", category={})
    assert {place for place, _ in told(wrong)} == {
        "Observation.status",
        "Observation.foo",
        "Observation.subject.reference",
        "Observation.issued",
        "Observation.category",
    }


def test_what_is_said_often_is_said_once_with_its_places() -> None:
    outcome = operation_outcome(validate(patient(name=[{"foo1": 1}, {"foo1": 1}])))
    (issue,) = outcome["issue"]
    assert issue["expression"] == ["Patient.name[0].foo1", "Patient.name[1].foo1"]


def test_the_resource_is_left_as_it_was() -> None:
    resource = observation(valueQuantity={"value": Decimal("7.10")})
    before = copy.deepcopy(resource)
    validate(resource)
    assert resource == before
    assert str(resource["valueQuantity"]["value"]) == "7.10"


DIV = '<div xmlns="http://www.w3.org/1999/xhtml">{}</div>'


@pytest.mark.parametrize("div", [DIV.format("<p>a &amp; b</p>"), DIV.format('<img src="a.png"/>')])
def test_a_narrative_of_plain_xhtml_passes(div: str) -> None:
    assert validate(patient(text={"status": "generated", "div": div})) == []


@pytest.mark.parametrize(
    "div",
    [
        "plain words",
        "<div>no namespace</div>",
        DIV.format("<p>open"),
        DIV.format("<script>alert(1)</script>"),
        DIV.format('<p onclick="alert(1)">a</p>'),
        DIV.format('<a href=" JavaScript:alert(1)">a</a>'),
        DIV.format(" "),
        '<!DOCTYPE d [<!ENTITY a "aaaa">]>' + DIV.format("&a;"),
        DIV.format("&nbsp;"),
    ],
)
def test_a_narrative_that_is_not_is_refused(div: str) -> None:
    assert told(patient(text={"status": "generated", "div": div})) == [("Patient.text.div", "value")]


# Rules that span members


def extended(name: str, value: Resource) -> Resource:
    return patient(extension=[{"url": "http://example.org/x", name: value}])


def repeated(**fields: Any) -> Resource:
    return extended("valueTiming", {"repeat": fields})


def risk(**fields: Any) -> Resource:
    return {"resourceType": "RiskAssessment", "status": "final", "subject": SUBJECT, "prediction": [fields]}


def bundled(kind: str, *entries: Resource, **fields: Any) -> Resource:
    return {"resourceType": "Bundle", "type": kind, **fields} | ({"entry": list(entries)} if entries else {})


def percent(value: float, code: str = "%") -> Resource:
    return {"value": value, "code": code, "system": UCUM}


MINUTES: Resource = {"value": 5, "code": "min", "system": UCUM}
GIVEN: Resource = {
    "resourceType": "MedicationAdministration",
    "status": "completed",
    "medicationCodeableConcept": {"text": "magnesium"},
    "subject": SUBJECT,
    "effectiveDateTime": "2023-05-01",
}
VACCINATED: Resource = {
    "resourceType": "Immunization",
    "status": "completed",
    "vaccineCode": {"text": "BCG"},
    "patient": SUBJECT,
    "occurrenceString": "as a child",
}
PLAN: Resource = {"resourceType": "CarePlan", "status": "active", "intent": "plan", "subject": SUBJECT}
TASK: Resource = {"resourceType": "Task", "status": "ready", "intent": "order"}
AUDIT: Resource = {
    "resourceType": "AuditEvent",
    "type": {"code": "rest"},
    "recorded": "2023-05-01T10:00:00Z",
    "agent": [{"requestor": True}],
    "source": {"observer": {"reference": "Device/1"}},
}
CREATE: Resource = {"request": {"method": "POST", "url": "Patient"}, "resource": PATIENT}
TWO_CODES: Resource = {"code": {"coding": [{"system": "urn:x", "code": "GLU"}]}}
DOCUMENT: Resource = {"identifier": {"system": "urn:x", "value": "1"}, "timestamp": "2023-05-01T10:00:00Z"}
COMPOSITION: Resource = {
    "resource": {
        "resourceType": "Composition",
        "status": "final",
        "type": {"text": "note"},
        "date": "2023-05-01",
        "author": [{"reference": "Practitioner/1"}],
        "title": "Note",
    }
}

BREACHES: list[tuple[str, Resource, str]] = [
    (
        "per-1",
        extended("valuePeriod", {"start": "2023-05-02", "end": "2023-05-01T23:59:59Z"}),
        "Patient.extension[0].valuePeriod.start",
    ),
    (
        "rng-2",
        extended("valueRange", {"low": {"value": 10}, "high": {"value": Decimal("9.5")}}),
        "Patient.extension[0].valueRange.low",
    ),
    ("qty-3", observation(valueQuantity={"value": 1, "code": "mg"}), "Observation.valueQuantity.system"),
    ("age-1", extended("valueAge", {"value": 0, "code": "a", "system": UCUM}), "Patient.extension[0].valueAge"),
    ("dis-1", extended("valueDistance", {"value": 2}), "Patient.extension[0].valueDistance"),
    (
        "cnt-3",
        extended("valueCount", {"value": Decimal("1.5"), "code": "1", "system": UCUM}),
        "Patient.extension[0].valueCount",
    ),
    (
        "drt-1",
        extended("valueDuration", {"value": 1, "code": "h", "system": "urn:x"}),
        "Patient.extension[0].valueDuration.code",
    ),
    ("rat-1", observation(valueRatio={"numerator": {"value": 1}}), "Observation.valueRatio"),
    ("att-1", patient(photo=[{"data": "YWJj"}]), "Patient.photo[0].contentType"),
    ("cpt-2", patient(telecom=[{"value": "555"}]), "Patient.telecom[0].system"),
    ("ext-1", patient(extension=[{"url": "http://example.org/x"}]), "Patient.extension[0]"),
    ("exp-1", extended("valueExpression", {"language": "text/fhirpath"}), "Patient.extension[0].valueExpression"),
    (
        "drq-1",
        extended("valueDataRequirement", {"type": "Patient", "codeFilter": [{"code": [{"code": "x"}]}]}),
        "Patient.extension[0].valueDataRequirement.codeFilter[0]",
    ),
    (
        "drq-2",
        extended("valueDataRequirement", {"type": "Patient", "dateFilter": [{"valueDateTime": "2023"}]}),
        "Patient.extension[0].valueDataRequirement.dateFilter[0]",
    ),
    (
        "trd-1",
        extended("valueTriggerDefinition", {"type": "data-added", "timingDate": "2023", "data": [{"type": "Patient"}]}),
        "Patient.extension[0].valueTriggerDefinition.data",
    ),
    (
        "trd-2",
        extended(
            "valueTriggerDefinition",
            {
                "type": "periodic",
                "timingDate": "2023",
                "condition": {"language": "text/fhirpath", "expression": "true"},
            },
        ),
        "Patient.extension[0].valueTriggerDefinition.condition",
    ),
    (
        "trd-3",
        extended("valueTriggerDefinition", {"type": "named-event"}),
        "Patient.extension[0].valueTriggerDefinition",
    ),
    ("trd-3", extended("valueTriggerDefinition", {"type": "periodic"}), "Patient.extension[0].valueTriggerDefinition"),
    (
        "trd-3",
        extended("valueTriggerDefinition", {"type": "data-added"}),
        "Patient.extension[0].valueTriggerDefinition",
    ),
    ("tim-1", repeated(duration=1), "Patient.extension[0].valueTiming.repeat.durationUnit"),
    ("tim-2", repeated(period=1), "Patient.extension[0].valueTiming.repeat.periodUnit"),
    ("tim-4", repeated(duration=-1, durationUnit="h"), "Patient.extension[0].valueTiming.repeat.duration"),
    ("tim-5", repeated(period=Decimal("-0.5"), periodUnit="h"), "Patient.extension[0].valueTiming.repeat.period"),
    ("tim-6", repeated(periodMax=2), "Patient.extension[0].valueTiming.repeat.period"),
    ("tim-7", repeated(durationMax=2), "Patient.extension[0].valueTiming.repeat.duration"),
    ("tim-8", repeated(countMax=2), "Patient.extension[0].valueTiming.repeat.count"),
    ("tim-9", repeated(offset=10), "Patient.extension[0].valueTiming.repeat.offset"),
    ("tim-9", repeated(offset=10, when=["C"]), "Patient.extension[0].valueTiming.repeat.offset"),
    ("tim-10", repeated(timeOfDay=["10:00:00"], when=["AC"]), "Patient.extension[0].valueTiming.repeat.when"),
    ("obs-3", observation(referenceRange=[{"age": {"low": {"value": 1}}}]), "Observation.referenceRange[0]"),
    ("obs-6", observation(valueString="a", dataAbsentReason={"text": "b"}), "Observation.dataAbsentReason"),
    (
        "obs-7",
        {**OBSERVATION, **TWO_CODES, "valueInteger": 1, "component": [{**TWO_CODES, "valueInteger": 1}]},
        "Observation.component",
    ),
    ("con-1", {**CONDITION, "stage": [{"type": {"text": "TNM"}}]}, "Condition.stage[0]"),
    ("con-2", {**CONDITION, "evidence": [MARKED]}, "Condition.evidence[0]"),
    (
        "con-3",
        {**CONDITION, "category": [coded("condition-category", "problem-list-item")]},
        "Condition.clinicalStatus",
    ),
    (
        "con-4",
        {**CONDITION, "abatementString": "over", "clinicalStatus": coded("condition-clinical", "active")},
        "Condition.clinicalStatus",
    ),
    ("con-4", {**CONDITION, "abatementString": "over"}, "Condition.clinicalStatus"),
    (
        "con-5",
        {
            **CONDITION,
            "verificationStatus": coded("condition-ver-status", "entered-in-error"),
            "clinicalStatus": coded("condition-clinical", "active"),
        },
        "Condition.clinicalStatus",
    ),
    ("ait-1", ALLERGY, "AllergyIntolerance.clinicalStatus"),
    (
        "ait-2",
        {
            **ALLERGY,
            "verificationStatus": coded("allergyintolerance-verification", "entered-in-error"),
            "clinicalStatus": coded("allergyintolerance-clinical", "active"),
        },
        "AllergyIntolerance.clinicalStatus",
    ),
    ("mad-1", {**GIVEN, "dosage": {"text": "one"}}, "MedicationAdministration.dosage"),
    ("imm-1", {**VACCINATED, "education": [{"publicationDate": "2023"}]}, "Immunization.education[0]"),
    (
        "ras-1",
        risk(probabilityRange={"low": percent(1), "high": percent(2, code="1")}),
        "RiskAssessment.prediction[0].probabilityRange",
    ),
    ("ras-2", risk(probabilityDecimal=Decimal("100.1")), "RiskAssessment.prediction[0].probabilityDecimal"),
    ("prr-1", {**REFERRAL, "orderDetail": [{"text": "now"}]}, "ServiceRequest.code"),
    (
        "cpl-3",
        {**PLAN, "activity": [{"reference": {"reference": "Task/1"}, "detail": {"status": "scheduled"}}]},
        "CarePlan.activity[0].detail",
    ),
    ("pat-1", patient(contact=[{"gender": "male"}]), "Patient.contact[0]"),
    ("org-1", {"resourceType": "Organization", "active": True}, "Organization"),
    ("org-2", {**WARD, "address": [{"use": "home"}]}, "Organization.address"),
    ("org-3", {**WARD, "telecom": [{"use": "home"}]}, "Organization.telecom"),
    ("app-1", {**APPOINTMENT, "participant": [{"status": "accepted"}]}, "Appointment.participant[0]"),
    ("app-2", {**APPOINTMENT, "start": "2023-05-01T10:00:00Z"}, "Appointment.end"),
    ("app-3", {**APPOINTMENT, "status": "booked"}, "Appointment.start"),
    ("app-4", {**APPOINTMENT, "cancelationReason": {"text": "ill"}}, "Appointment.cancelationReason"),
    ("inv-1", {**TASK, "authoredOn": "2023-05-02", "lastModified": "2023-05-01"}, "Task.lastModified"),
    ("inv-1", {"resourceType": "Parameters", "parameter": [{"name": "a"}]}, "Parameters.parameter[0]"),
    (
        "inv-1",
        {"resourceType": "Parameters", "parameter": [{"name": "a", "valueInteger": 1, "resource": PATIENT}]},
        "Parameters.parameter[0]",
    ),
    ("sev-1", {**AUDIT, "entity": [{"name": "a", "query": "YWJj"}]}, "AuditEvent.entity[0].query"),
    ("bdl-1", bundled("collection", total=0), "Bundle.total"),
    ("bdl-2", bundled("collection", {"resource": PATIENT, "search": {"mode": "match"}}), "Bundle.entry"),
    ("bdl-3", bundled("batch", {"resource": PATIENT}), "Bundle.entry"),
    ("bdl-3", bundled("collection", CREATE), "Bundle.entry"),
    ("bdl-4", bundled("batch-response", {"resource": PATIENT}), "Bundle.entry"),
    ("bdl-4", bundled("collection", {"resource": PATIENT, "response": {"status": "200"}}), "Bundle.entry"),
    ("bdl-5", bundled("collection", {"fullUrl": "http://example.org/Patient/1"}), "Bundle.entry[0]"),
    ("bdl-7", bundled("collection", *[{"fullUrl": "urn:x:1", "resource": PATIENT}] * 2), "Bundle.entry"),
    (
        "bdl-8",
        bundled("collection", {"fullUrl": "http://a.org/Patient/1/_history/1", "resource": PATIENT}),
        "Bundle.entry[0].fullUrl",
    ),
    ("bdl-9", bundled("document", COMPOSITION, timestamp=DOCUMENT["timestamp"]), "Bundle.identifier"),
    ("bdl-10", bundled("document", COMPOSITION, identifier=DOCUMENT["identifier"]), "Bundle.timestamp"),
    ("bdl-11", bundled("document", {"resource": PATIENT}, **DOCUMENT), "Bundle.entry"),
    ("bdl-12", bundled("message", {"resource": PATIENT}), "Bundle.entry"),
]


@pytest.mark.parametrize(("key", "resource", "place"), BREACHES, ids=[key for key, *_ in BREACHES])
def test_a_breach_of_a_rule_names_the_rule_and_the_place(key: str, resource: Resource, place: str) -> None:
    found = [issue for issue in validate(resource) if issue.diagnostics.startswith(f"{key}:")]
    assert [(issue.code, issue.expression) for issue in found] == [("invariant", (place,))]
    assert found[0].severity == ("warning" if key == "con-3" else "error")


def test_every_rule_has_a_breach() -> None:
    keys = {rule.key for rules in INVARIANTS.values() for rule in rules}
    assert keys == {key for key, *_ in BREACHES}


ELSEWHERE = {"ele-1", "ref-1", "sqty-1", "txt-1", "txt-2", "dom-2", "dom-3", "dom-4", "dom-5"}


@official
def test_no_error_rule_of_the_served_types_is_left_out() -> None:
    asked: set[str] = set()
    for path in sorted(PACKAGE.glob("StructureDefinition-*.json")):
        definition = json.loads(path.read_text("utf-8"))
        is_datatype = definition["kind"] == "complex-type" and definition["type"] != "ElementDefinition"
        is_base = definition.get("derivation") != "constraint"
        if is_base and (is_datatype or definition["id"] in (*SUPPORTED, "Bundle", "Parameters")):
            for row in definition["snapshot"]["element"]:
                asked |= {rule["key"] for rule in row.get("constraint", []) if rule["severity"] == "error"}
    known = {rule.key for rules in INVARIANTS.values() for rule in rules}
    assert asked - known - ELSEWHERE == set()
    assert known - asked == {"con-3"}


HOLDING: list[Resource] = [
    extended("valuePeriod", {"start": "2023-05-10", "end": "2023-05"}),
    extended("valuePeriod", {"start": "2023-05-01T10:00:00+02:00", "end": "2023-05-01T08:00:00Z"}),
    extended("valueRange", {"low": {"value": 10, "unit": "mg"}, "high": {"value": 9, "unit": "g"}}),
    extended("valueRange", {"low": {"value": 1}, "high": {"value": 1}}),
    extended("valueAge", {"value": 1, "code": "a", "system": UCUM}),
    extended("valueCount", {"value": Decimal("2.0"), "code": "1", "system": UCUM}),
    extended("valueDuration", MINUTES),
    repeated(offset=10, when=["AC"]),
    observation(_valueString=MARKED),
    risk(probabilityRange={"low": percent(1), "high": percent(2)}),
    risk(probabilityDecimal=100),
    {**CONDITION, "abatementString": "over", "clinicalStatus": coded("condition-clinical", "resolved")},
    {**ALLERGY, "verificationStatus": coded("allergyintolerance-verification", "entered-in-error")},
    {
        **APPOINTMENT,
        "status": "noshow",
        "cancelationReason": {"text": "ill"},
        "start": "2023-05-01T10:00:00Z",
        "end": "2023-05-01T11:00:00Z",
    },
    bundled("searchset", {"resource": PATIENT, "search": {"mode": "match"}}, total=1),
    bundled("transaction", CREATE),
    bundled("document", COMPOSITION, **DOCUMENT),
    bundled("collection", *[{"fullUrl": "urn:x:1", "resource": {**PATIENT, "meta": {"versionId": v}}} for v in "12"]),
]


@pytest.mark.parametrize("resource", HOLDING)
def test_a_rule_is_silent_where_it_holds(resource: Resource) -> None:
    assert validate(resource) == []


# The benchmark's two shapes


BARE_NOTE: Resource = {**REFERRAL, "note": {"text": "refer"}}
BARE_ROUTE: Resource = {**ORDER, "dosageInstruction": [{"route": "IV"}]}


@pytest.mark.parametrize(
    ("resource", "place"),
    [(BARE_NOTE, "ServiceRequest.note"), (BARE_ROUTE, "MedicationRequest.dosageInstruction[0].route")],
)
def test_the_benchmark_s_shapes_are_errors_in_r4_and_warnings_in_its_profile(resource: Resource, place: str) -> None:
    assert told(resource) == [(place, "structure")]
    (issue,) = validate(resource, profile="medagentbench")
    assert (issue.severity, issue.expression) == ("warning", (place,))


def test_the_benchmark_s_profile_lets_nothing_else_pass() -> None:
    wrong = {**BARE_NOTE, "note": {"words": "refer"}}
    severities = [issue.severity for issue in validate(wrong, profile="medagentbench")]
    assert severities == ["warning", "error", "error"]
    assert validate(OBSERVATION, profile="medagentbench") == []
    assert validate(ORDER, profile="medagentbench") == []


def test_an_unknown_profile_is_an_error_of_the_caller() -> None:
    with pytest.raises(UsageError, match="r4, medagentbench"):
        validate(PATIENT, profile="us-core")
