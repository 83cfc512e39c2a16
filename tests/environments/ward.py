"""A small record that holds every kind of search value, and a client of a sandbox without a network."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx

from wardround.environments.fhir.codec import parse
from wardround.environments.fhir.exchange import Request, query_pairs
from wardround.environments.fhir.rest import respond
from wardround.environments.fhir.state import State

MOMENT = datetime(2023, 11, 13, 10, 15, tzinfo=UTC)
BASE = "http://sandbox/fhir/R4"
LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"


def concept(code: str | None = None, system: str | None = None, text: str | None = None) -> dict[str, Any]:
    coding = {"system": system, "code": code}
    given = {"coding": [{k: v for k, v in coding.items() if v is not None}]} if code else {}
    return given | ({"text": text} if text else {})


def ref(target: str) -> dict[str, str]:
    return {"reference": target}


def amount(value: float, unit: str, *, comparator: str | None = None, ucum: bool = True) -> dict[str, Any]:
    made: dict[str, Any] = {"value": value, "unit": unit}
    if ucum:
        made |= {"system": UCUM, "code": unit}
    return made | ({"comparator": comparator} if comparator else {})


def observation(id_: str, code: dict[str, Any], **members: Any) -> dict[str, Any]:
    made = {"resourceType": "Observation", "id": id_, "status": "final", "code": code, "subject": ref("Patient/ann")}
    return made | members


PEOPLE: list[dict[str, Any]] = [
    {
        "resourceType": "Patient",
        "id": "ann",
        "meta": {"tag": [{"system": "urn:tags", "code": "study"}], "profile": ["http://example.org/inpatient|2.0"]},
        "active": True,
        "identifier": [
            {"system": "urn:mrn", "value": "A-1,2"},
            {"value": "777"},
            {"system": "urn:b|r", "value": "x|y"},
        ],
        "name": [{"family": "Öberg", "given": ["Ann", "Lou"], "prefix": ["Dr."]}],
        "telecom": [{"system": "phone", "value": "555-0100"}, {"system": "email", "value": "ann@example.org"}],
        "gender": "female",
        "birthDate": "1960-05-17",
        "address": [{"line": ["5 Mill Lane"], "city": "Łódź", "postalCode": "90-001", "country": "PL"}],
        "generalPractitioner": [ref("Practitioner/house")],
        "managingOrganization": ref("Organization/ward"),
    },
    {
        "resourceType": "Patient",
        "id": "sean",
        "name": [{"family": "O'Brien", "given": ["Sean"]}],
        "gender": "male",
        "birthDate": "1960",
        "deceasedDateTime": "2020-02-29",
        "managingOrganization": ref("Organization/hospital"),
    },
    {
        "resourceType": "Patient",
        "id": "ivan",
        "name": [{"family": "Иванов", "given": ["Пётр"]}, {"text": "Ivanov Petr"}],
        "gender": "male",
        "birthDate": "1999-12",
        "link": [{"other": ref("Patient/sean"), "type": "seealso"}],
    },
    {"resourceType": "Patient", "id": "kim", "name": [{"family": "김", "given": ["민수"]}], "deceasedBoolean": False},
    {
        "resourceType": "Practitioner",
        "id": "house",
        "name": [{"family": "House", "given": ["Gregory"]}],
        "identifier": [{"system": "urn:npi", "value": "42"}],
    },
    {"resourceType": "Practitioner", "id": "grey", "name": [{"family": "Grey", "given": ["Meredith"]}]},
    {"resourceType": "Organization", "id": "hospital", "name": "General Hospital", "identifier": [{"value": "h"}]},
    {"resourceType": "Organization", "id": "ward", "name": "Ward 7", "partOf": ref("Organization/hospital")},
    {"resourceType": "Location", "id": "bed", "name": "Bed 3"},
    {"resourceType": "Medication", "id": "mg", "code": concept("0338-1715-40", "http://hl7.org/fhir/sid/ndc")},
]

STAYS: list[dict[str, Any]] = [
    {
        "resourceType": "Encounter",
        "id": "stay",
        "status": "in-progress",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
        "subject": ref("Patient/ann"),
        "period": {"start": "2023-11-10T08:00:00Z"},
        "length": amount(3, "d"),
        "participant": [{"individual": ref("Practitioner/house")}],
        "serviceProvider": ref("Organization/ward"),
        "location": [{"location": ref("Location/bed")}],
    },
    {
        "resourceType": "Encounter",
        "id": "visit",
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": ref("Patient/sean"),
        "period": {"start": "2019-01-01T08:00:00Z", "end": "2019-01-01T09:00:00Z"},
    },
]

RESULTS: list[dict[str, Any]] = [
    observation(
        "k",
        concept("2823-3", LOINC, "Potassium"),
        category=[concept("laboratory", "http://terminology.hl7.org/CodeSystem/observation-category")],
        effectiveDateTime="2023-11-12T10:15:00+00:00",
        encounter=ref("Encounter/stay"),
        valueQuantity=amount(3.9, "mmol/L"),
        performer=[ref("Practitioner/house"), ref("Organization/ward")],
        note=[{"text": "haemolysed"}],
    ),
    observation("glu", concept("GLU"), effectiveDateTime="2023-11-13", valueQuantity=amount(100, "mg/dL", ucum=False)),
    observation(
        "glu2",
        {"coding": [{"system": "urn:local", "code": "glu"}, {"system": "urn:local", "code": "GLUCOSE"}]},
        effectivePeriod={"start": "2023-11-01", "end": "2023-11-14"},
        valueQuantity=amount(95, "mg/dL"),
    ),
    observation(
        "trop",
        concept("TROP", "urn:local"),
        subject=ref("Patient/sean"),
        effectiveInstant="2019-01-01T08:30:00.250Z",
        valueQuantity=amount(5, "ng/L", comparator="<"),
        performer=[ref("Practitioner/grey")],
    ),
    observation("words", concept(text="Seen by the bed"), valueString="Müde und blass", subject=ref("Location/bed")),
    observation(
        "bp",
        concept("85354-9", LOINC),
        effectiveTiming={"event": ["2023-11-01T08:00:00Z", "2023-11-03T08:00:00Z"]},
        component=[
            {"code": concept("8480-6", LOINC), "valueQuantity": amount(120, "mm[Hg]")},
            {"code": concept("8462-4", LOINC), "valueQuantity": amount(80, "mm[Hg]")},
        ],
        hasMember=[ref("Observation/k")],
    ),
    observation(
        "foreign",
        concept("2823-3", LOINC),
        subject=ref("http://other.example.org/fhir/Patient/ann"),
        effectivePeriod={"end": "2001-12-31"},
        valueQuantity=amount(10, "mmol/L"),
    ),
]

ORDERS: list[dict[str, Any]] = [
    {
        "resourceType": "Condition",
        "id": "dm",
        "clinicalStatus": concept("active", CLINICAL),
        "code": concept("E11", "http://hl7.org/fhir/sid/icd-10"),
        "subject": ref("Patient/ann"),
        "onsetDateTime": "2010",
        "recordedDate": "2010-06-01",
        "asserter": ref("Practitioner/house"),
    },
    {
        "resourceType": "Condition",
        "id": "gout",
        "code": concept(text="Gout"),
        "subject": ref("Patient/sean"),
        "onsetAge": {"value": 44, "system": UCUM, "code": "a"},
    },
    {
        "resourceType": "MedicationRequest",
        "id": "mgiv",
        "status": "active",
        "intent": "order",
        "doNotPerform": True,
        "medicationReference": ref("Medication/mg"),
        "subject": ref("Patient/ann"),
        "authoredOn": "2023-11-13T09:00:00Z",
        "requester": ref("Practitioner/house"),
        "dosageInstruction": [{"text": "2 g over 2 h", "timing": {"event": ["2023-11-13T10:00:00Z"]}}],
    },
    {
        "resourceType": "ServiceRequest",
        "id": "ct",
        "status": "active",
        "intent": "order",
        "code": concept("306181000000106", "http://snomed.info/sct"),
        "subject": ref("Patient/ann"),
        "authoredOn": "2023-11-13",
        "occurrenceTiming": {"repeat": {"boundsPeriod": {"start": "2023-11-14", "end": "2023-11-20"}}},
        "instantiatesCanonical": ["http://example.org/PlanDefinition/ct|1.2"],
    },
    {
        "resourceType": "Procedure",
        "id": "appy",
        "status": "completed",
        "subject": ref("Patient/ann"),
        "performedPeriod": {"start": "2001-03-04T10:00:00+02:00", "end": "2001-03-04T12:00:00+02:00"},
        "performer": [{"actor": ref("Practitioner/grey")}],
    },
    {
        "resourceType": "RiskAssessment",
        "id": "risk",
        "status": "final",
        "subject": ref("Patient/ann"),
        "prediction": [{"probabilityDecimal": 0.25}],
    },
    {
        "resourceType": "DiagnosticReport",
        "id": "panel",
        "status": "final",
        "code": concept("24323-8", LOINC),
        "subject": ref("Patient/ann"),
        "result": [ref("Observation/k/_history/1"), ref("Observation/glu")],
    },
    {
        "resourceType": "Provenance",
        "id": "prov",
        "target": [ref("Observation/k"), ref("Condition/dm")],
        "recorded": "2023-11-12T11:00:00Z",
        "agent": [{"who": ref("Practitioner/house")}],
    },
]

RECORD: list[dict[str, Any]] = PEOPLE + STAYS + RESULTS + ORDERS

Query = str | list[tuple[str, str]]


class Client:
    """Asks a state over HTTP; every answer must be JSON that names its type, and an error an OperationOutcome."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def get(self, url: str, **options: Any) -> httpx.Response:
        return self._checked(await self.http.get(self._absolute(url), **options))

    async def send(self, method: str, url: str, **options: Any) -> httpx.Response:
        return self._checked(await self.http.request(method, self._absolute(url), **options))

    def _absolute(self, url: str) -> str:
        return url if url.startswith("http") else str(self.http.base_url).rstrip("/") + "/" + url

    def _checked(self, response: httpx.Response) -> httpx.Response:
        assert response.status_code < 500, response.text
        if response.content:
            body = parse(response.content)
            assert response.status_code < 400 or body["resourceType"] == "OperationOutcome", response.text
        return response

    async def bundle(self, url: str, **options: Any) -> dict[str, Any]:
        response = await self.get(url, **options)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        assert found["resourceType"] == "Bundle"
        return found

    async def ids(self, url: str, **options: Any) -> list[str]:
        """Return the ids of the matches of one page, which must be all there are."""
        found = await self.bundle(url, **options)
        matches = entries(found)
        assert found["total"] == len(matches)
        return matches

    async def refused(self, url: str, status: int = 400, **options: Any) -> str:
        """Return what the server says; it must be an error."""
        response = await self.get(url, **options)
        assert response.status_code == status, response.text
        return " ".join(issue["diagnostics"] for issue in response.json()["issue"])

    async def walk(self, url: str, *, between: Callable[[int], Any] | None = None) -> list[dict[str, Any]]:
        """Return all pages by following `next`; `between` is called with the number of pages so far."""
        pages = [await self.bundle(url)]
        while following := link(pages[-1], "next"):
            if between is not None:
                between(len(pages))
            pages.append(await self.bundle(following))
            assert len(pages) < 1000
        return pages


def entries(found: dict[str, Any], mode: str = "match") -> list[str]:
    kept = [entry["resource"] for entry in found.get("entry", []) if entry["search"]["mode"] == mode]
    if mode == "match":
        return [resource["id"] for resource in kept]
    return [f"{resource['resourceType']}/{resource['id']}" for resource in kept]


def link(found: dict[str, Any], relation: str) -> str | None:
    return next((each["url"] for each in found.get("link", []) if each["relation"] == relation), None)


def ask(
    state: State, url: str, pairs: Sequence[tuple[str, str]] = (), *, method: str = "GET", body: Any = None
) -> tuple[int, dict[str, Any]]:
    """Carry out a request without HTTP, and return status and body; `pairs` are added to the query of the URL."""
    path, _, query = url.removeprefix(BASE).partition("?")
    parts = tuple(part for part in path.split("/") if part)
    reply = respond(Request(state, BASE, method, parts, query=(*query_pairs(query), *pairs), body=body))
    return reply.status, parse(reply.body) if reply.body else {}
