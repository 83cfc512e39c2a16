"""FHIR resources and Bundles without identifiers: what goes, what stays, and that links and intervals hold."""

import base64
import copy
import hashlib
import json
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from wardround.environments.fhir.population.generate import generate
from wardround.knowledge.clinician import reference_clinician
from wardround.tools.fhir.record import read_record
from wardround.trace.redaction import PARAGRAPH, Identifier, StructuredRedactor
from wardround.trace.redaction.rules import BY_NAME, BY_PATH

KEY = b"a key for the tests, 32 bytes...."
PHOTO = base64.b64encode(b"\x89PNG").decode()
NOTE = "Jane Doe-Smith, DOB 1950-02-03, seen 2021-05-04. Graves' disease. Haemoglobin 12.1 g/dL."

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "pat-1",
    "meta": {"lastUpdated": "2021-05-04T10:00:00Z", "source": "https://ehr.hospital.example/a", "versionId": "3"},
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Jane <b>Doe-Smith</b></div>'},
    "identifier": [
        {"system": "urn:mrn", "value": "H00417"},
        {"system": "http://hl7.org/fhir/sid/us-ssn", "value": "219-09-9999"},
    ],
    "name": [{"use": "official", "family": "Doe-Smith", "given": ["Jane"], "prefix": ["Ms"]}],
    "telecom": [
        {"system": "phone", "value": "212-555-0147", "use": "home"},
        {"system": "fax", "value": "212-555-0148"},
    ],
    "gender": "female",
    "birthDate": "1950-02-03",
    "address": [
        {"line": ["3 Quarry Hill"], "city": "Dunlow", "district": "Marrick", "state": "Examplia", "postalCode": "00371"}
    ],
    "photo": [{"contentType": "image/png", "data": PHOTO}],
    "contact": [
        {
            "relationship": [{"text": "wife"}],
            "name": {"family": "Bellweather", "given": ["Ruth"]},
            "telecom": [{"system": "phone", "value": "212-555-0149"}],
        }
    ],
    "extension": [
        {"url": "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName", "valueString": "Quillfeather"},
        {"url": "http://example.org/seen", "valueDateTime": "2021-05-04"},
    ],
}
RECORD: list[dict[str, Any]] = [
    PATIENT,
    {
        "resourceType": "Practitioner",
        "id": "doc-7",
        "name": [{"family": "Okonkwo", "given": ["Ada"]}],
        "qualification": [{"identifier": [{"value": "LIC-88213"}], "code": {"text": "MD"}}],
    },
    {"resourceType": "Organization", "id": "org-1", "name": "Dunlow County Hospital", "type": [{"text": "hospital"}]},
    {
        "resourceType": "Location",
        "id": "loc-1",
        "name": "Intensive Care Unit",
        "physicalType": {"coding": [{"code": "wa"}]},
        "position": {"latitude": 51.5, "longitude": 0.1},
    },
    {
        "resourceType": "Observation",
        "id": "obs-1",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "718-7", "display": "Hemoglobin"}]},
        "subject": {"reference": "Patient/pat-1", "display": "Doe-Smith, Jane"},
        "performer": [{"reference": "Practitioner/doc-7", "display": "Dr. Ada Okonkwo"}],
        "effectiveDateTime": "2021-05-04T09:30:00+02:00",
        "valueQuantity": {"value": 12.1, "unit": "g/dL"},
        "note": [{"text": "Phoned to Ruth Bellweather on 212 555 0149."}],
    },
    {
        "resourceType": "DocumentReference",
        "id": "note-1",
        "status": "current",
        "subject": {"reference": "https://ehr.hospital.example/fhir/Patient/pat-1"},
        "date": "2021-05-04T12:00:00Z",
        "content": [
            {
                "attachment": {
                    "contentType": "text/plain; charset=utf-8",
                    "data": base64.b64encode(NOTE.encode()).decode(),
                    "title": "Letter to Jane Doe-Smith",
                    "size": len(NOTE),
                    "hash": "b2xk",
                }
            },
            {"attachment": {"contentType": "application/pdf", "data": PHOTO, "url": "https://ehr.hospital.example/1.pdf"}},
        ],
    },
    {
        "resourceType": "Condition",
        "id": "con-1",
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": "E05.0"}], "text": "Graves' disease"},
        "subject": {"reference": "Patient/pat-1"},
        "onsetDateTime": "2019-03",
        "recordedDate": "2019",
        "onsetAge": {"value": 93, "code": "a"},
        "text": {"status": "generated", "div": "<div>Graves&#39; disease of Jane <i>Doe-Smith</i> &amp; more</div>"},
    },
    {
        "resourceType": "ImagingStudy",
        "id": "img-1",
        "status": "available",
        "subject": {"reference": "Patient/pat-1"},
        "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:1.2.3.4"}],
        "series": [{"uid": "1.2.3.4.5", "modality": {"code": "CT"}}],
    },
]  # fmt: skip


@pytest.fixture(scope="module")
def done() -> dict[str, dict[str, Any]]:
    redactor = StructuredRedactor(RECORD, key=KEY)
    return {f"{r['resourceType']}": redactor.resource(r).value for r in RECORD}


def strings(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    elif isinstance(value, str):
        yield value


def decoded(document: dict[str, Any]) -> str:
    return base64.b64decode(document["content"][0]["attachment"]["data"]).decode()


@pytest.mark.parametrize(
    "gone",
    [
        "Jane", "Doe", "Smith", "H00417", "219-09-9999", "0147", "0148", "0149", "1950-02-03", "2021-05-04", "Quarry",
        "Dunlow", "Marrick", "00371", "Bellweather", "Ruth", "Quillfeather", "Okonkwo", "LIC-88213", "pat-1", "doc-7",
        "ehr.hospital", PHOTO, "1.2.3.4", "51.5", "obs-1",
    ],
)  # fmt: skip
def test_no_identifier_of_the_record_is_left_anywhere(done: dict[str, dict[str, Any]], gone: str) -> None:
    assert gone in json.dumps(RECORD) + NOTE
    assert gone not in json.dumps(done) + decoded(done["DocumentReference"])


def test_what_is_clinical_stays(done: dict[str, dict[str, Any]]) -> None:
    assert done["Observation"]["valueQuantity"] == {"value": 12.1, "unit": "g/dL"}
    assert done["Observation"]["code"] == RECORD[4]["code"]
    assert done["Condition"]["code"] == RECORD[6]["code"]
    assert done["Condition"]["text"]["div"] == "<div>Graves' disease of [PATIENT] <i>[PATIENT]</i> &amp; more</div>"
    assert done["Location"]["name"] == "Intensive Care Unit"
    assert "Graves' disease. Haemoglobin 12.1 g/dL." in decoded(done["DocumentReference"])
    assert done["Patient"]["gender"] == "female"
    assert done["Patient"]["address"] == [{"state": "Examplia"}]
    assert done["Patient"]["contact"][0]["relationship"] == [{"text": "wife"}]


def test_links_hold_and_ids_are_legal(done: dict[str, dict[str, Any]]) -> None:
    patient = done["Patient"]["id"]
    assert done["Observation"]["subject"] == {"reference": f"Patient/{patient}", "display": "[PATIENT]"}
    assert done["DocumentReference"]["subject"]["reference"].endswith(f"/Patient/{patient}")
    assert done["Observation"]["performer"][0]["reference"] == f"Practitioner/{done['Practitioner']['id']}"
    for resource in done.values():
        assert resource["id"].isalnum()
        assert len(resource["id"]) <= 64


def test_dates_move_by_the_same_days_and_years_stay(done: dict[str, dict[str, Any]]) -> None:
    moved = datetime.fromisoformat(done["Observation"]["effectiveDateTime"])
    days = (moved.date() - date(2021, 5, 4)).days
    assert days < 0
    assert moved.isoformat().endswith("09:30:00+02:00")
    assert (date.fromisoformat(done["Patient"]["birthDate"]) - date(1950, 2, 3)).days == days
    assert done["Patient"]["extension"][1]["valueDateTime"] == moved.date().isoformat()
    assert done["Condition"]["recordedDate"] == "2019"
    assert done["Condition"]["onsetDateTime"] < "2019-03"
    assert done["Condition"]["onsetAge"]["value"] == 90
    assert done["Patient"]["meta"]["versionId"] == "3"


def test_attachments_that_nobody_can_read_go_and_the_others_are_consistent(done: dict[str, dict[str, Any]]) -> None:
    text, pdf = (content["attachment"] for content in done["DocumentReference"]["content"])
    raw = base64.b64decode(text["data"])
    assert text["size"] == len(raw)
    assert text["hash"] == base64.b64encode(hashlib.sha1(raw).digest()).decode()
    assert text["title"] == "Letter to [PATIENT]"
    assert pdf == {"contentType": "application/pdf"}


def test_what_was_taken_out_is_counted_by_path_and_class() -> None:
    redactor = StructuredRedactor(RECORD, key=KEY)
    patient, document = redactor.resource(PATIENT).report, redactor.resource(RECORD[5]).report
    assert patient.removed["Patient.photo"] == 1
    assert patient.removed["Patient.extension:patient-mothersMaidenName"] == 1
    assert patient.removed["Patient.meta.source"] == 1
    assert patient.replaced[Identifier.SOCIAL_SECURITY] == 1
    assert document.removed["DocumentReference.content.attachment.data (application/pdf)"] == 1
    told = json.dumps((patient + document).to_json())
    assert not any(value in told for value in ("Jane", "Doe", "H00417", "0147", "Dunlow", "hospital.example"))


def test_the_original_is_not_changed() -> None:
    before = copy.deepcopy(RECORD)
    redactor = StructuredRedactor(RECORD, key=KEY)
    for resource in RECORD:
        redactor.resource(resource)
    assert before == RECORD


def test_a_resource_says_that_it_is_pseudonymised(done: dict[str, dict[str, Any]]) -> None:
    for resource in done.values():
        assert "PSEUDED" in [label["code"] for label in resource["meta"]["security"]]


def test_contained_resources_and_unknown_elements_are_not_let_through() -> None:
    resource = {
        "resourceType": "Observation",
        "id": "o",
        "contained": [{"resourceType": "RelatedPerson", "id": "rel", "name": [{"family": "Thistlewood"}]}],
        "performer": [{"reference": "#rel"}],
        "newElement": {
            "deep": [{"word": "for Jane Doe-Smith", "day": "2021-05-04", "owner": {"value": "Thistlewood"}}]
        },
    }
    done = StructuredRedactor([*RECORD, resource], key=KEY).resource(resource).value
    assert done["performer"][0]["reference"] == f"#{done['contained'][0]['id']}"
    found = json.dumps(done)
    assert not any(value in found for value in ("Thistlewood", "Jane", "2021-05-04"))


def test_a_bundle_of_several_patients_moves_each_by_their_own_days_and_tells_them_apart() -> None:
    def about(name: str) -> list[dict[str, Any]]:
        return [
            {"resourceType": "Patient", "id": name, "name": [{"family": f"{name}son"}], "birthDate": "1980-01-01"},
            {
                "resourceType": "Condition", "id": f"{name}-c", "subject": {"reference": f"urn:uuid:{name}"},
                "recordedDate": "2020-06-01",
            },
        ]  # fmt: skip

    resources = [r for name in ("abel", "berta") for r in about(name)]
    for resource in resources[1::2]:
        resource["subject"] = {"reference": f"Patient/{resource['id'][:-2]}"}
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "link": [{"relation": "self", "url": "https://ehr.example/fhir?name=abelson"}],
        "entry": [
            {"fullUrl": f"https://ehr.example/fhir/{r['resourceType']}/{r['id']}", "resource": r} for r in resources
        ],
    }
    done = StructuredRedactor(resources, key=KEY).bundle(bundle)
    found = [entry["resource"] for entry in done.value["entry"]]
    shifts = [date.fromisoformat(r["birthDate"]) - date(1980, 1, 1) for r in found[::2]]
    assert shifts == [date.fromisoformat(r["recordedDate"]) - date(2020, 6, 1) for r in found[1::2]]
    assert shifts[0] != shifts[1]
    assert found[0]["name"] != found[2]["name"]
    assert [r["subject"]["reference"] for r in found[1::2]] == [f"Patient/{r['id']}" for r in found[::2]]
    assert [e["fullUrl"].rsplit("/", 1)[-1] for e in done.value["entry"]] == [r["id"] for r in found]
    assert "ehr.example" not in json.dumps(done.value)
    assert done.report.removed["Bundle.link"] == 1


def test_uuids_of_a_transaction_stay_uuids_and_lead_to_each_other() -> None:
    name = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"fullUrl": name, "resource": {"resourceType": "Patient"}, "request": {"method": "POST", "url": "Patient"}},
            {"resource": {"resourceType": "Condition", "subject": {"reference": name}}},
        ],
    }
    done = StructuredRedactor([], key=KEY).bundle(bundle).value["entry"]
    assert done[0]["fullUrl"] == done[1]["resource"]["subject"]["reference"] != name
    assert done[0]["fullUrl"].startswith("urn:uuid:")
    assert done[0]["request"] == {"method": "POST", "url": "Patient"}


def test_every_class_of_the_rule_has_its_paragraph_and_every_rule_a_class() -> None:
    assert set(PARAGRAPH) == set(Identifier)
    assert sorted(set(PARAGRAPH.values())) == list("ABCDEFGHIJKLMNOPQR")
    assert all(kind in PARAGRAPH for _, kind in (*BY_PATH.values(), *BY_NAME.values()))


@pytest.fixture(scope="module")
def population() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    resources = list(generate(2, 7, years=1))
    own = [r for r in resources if r["id"].startswith("p000001")]
    redactor = StructuredRedactor([r for r in resources if not r["id"].startswith("p000000")], key=KEY)
    return own, [redactor.resource(r).value for r in own]


def test_a_synthetic_record_stays_valid_r4(population: tuple[list[dict[str, Any]], list[dict[str, Any]]]) -> None:
    seen: dict[str, int] = {}
    for resource in population[1]:
        kind = resource["resourceType"]
        seen[kind] = seen.get(kind, 0) + 1
        if seen[kind] <= 20:
            get_fhir_model_class(kind).model_validate(resource)
    assert len(seen) > 10


def test_a_synthetic_record_says_the_same_to_the_reader(
    population: tuple[list[dict[str, Any]], list[dict[str, Any]]],
) -> None:
    own, done = population
    clinician = reference_clinician()
    before, after = (read_record(r, clinician, age=None, sex=None) for r in (own, done))
    said = [[(f.code, f.assertion, f.value, f.unit) for f in chart.findings] for chart in (before, after)]
    assert said[0] == said[1]
    assert len(said[0]) > 100
    assert len(before.sources) == len(after.sources)


def test_every_link_of_a_synthetic_record_leads_where_it_did(
    population: tuple[list[dict[str, Any]], list[dict[str, Any]]],
) -> None:
    own, done = population
    new = {f"{a['resourceType']}/{a['id']}": f"{b['resourceType']}/{b['id']}" for a, b in zip(own, done, strict=True)}
    assert len(set(new.values())) == len(new)
    before = [s for r in own for s in strings(r) if s in new]
    after = [s for r in done for s in strings(r) if s in set(new.values())]
    assert [new[s] for s in before] == after
    assert len(before) > len(own)
