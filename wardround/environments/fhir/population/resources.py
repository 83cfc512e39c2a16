"""FHIR R4 elements as plain dicts, and the list of resources that make up one patient's record."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

Json = dict[str, Any]

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
ATC = "http://www.whocc.no/atc"
ICD10CM = "http://hl7.org/fhir/sid/icd-10-cm"
CVX = "http://hl7.org/fhir/sid/cvx"
UCUM = "http://unitsofmeasure.org"
DICOM = "http://dicom.nema.org/resources/ontology/DCM"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
LOCAL = "https://wardround.example/"
"""Base of the identifiers and code systems that the synthetic hospital made up."""

HOUR = 3600
DAY = 24 * HOUR
YEAR = 365.25 * DAY
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_SHORT = {
    "Encounter": "enc",
    "Condition": "con",
    "Observation": "obs",
    "DiagnosticReport": "rep",
    "MedicationRequest": "med",
    "MedicationAdministration": "adm",
    "MedicationStatement": "tak",
    "Procedure": "pro",
    "ServiceRequest": "ord",
    "AllergyIntolerance": "all",
    "Immunization": "imm",
    "ImagingStudy": "img",
    "DocumentReference": "doc",
    "CarePlan": "pln",
    "ClinicalImpression": "imp",
    "RiskAssessment": "rsk",
    "Provenance": "prv",
    "AuditEvent": "aud",
    "Task": "tsk",
    "Communication": "com",
    "Appointment": "app",
}


def seconds(moment: datetime) -> int:
    """Return a moment as whole seconds since 1970 in UTC."""
    return int((moment - _EPOCH).total_seconds())


def date_seconds(moment: date) -> int:
    """Return the first moment of a day as seconds since 1970 in UTC."""
    return (moment - _EPOCH.date()).days * DAY


def instant(at: float) -> str:
    """Write seconds since 1970 as a FHIR instant in UTC.

    >>> instant(1699870500)
    '2023-11-13T10:15:00+00:00'
    """
    return (_EPOCH + timedelta(seconds=int(at))).isoformat()


def day(at: float) -> str:
    """Write seconds since 1970 as a FHIR date.

    >>> day(-86400.0)
    '1969-12-31'
    """
    return (_EPOCH + timedelta(seconds=int(at))).date().isoformat()


def concept(text: str, system: str | None = None, code: str | None = None, display: str | None = None) -> Json:
    """A CodeableConcept; one without a code is in words alone."""
    if code is None:
        return {"text": text}
    return {"coding": [{"system": system, "code": code, "display": display or text}], "text": text}


def term(system: str, code: str, display: str | None = None) -> Json:
    """A CodeableConcept of an HL7 terminology, by the last part of the system's address."""
    coding = {"system": TERMINOLOGY + system, "code": code}
    if display is not None:
        coding["display"] = display
    return {"coding": [coding]}


def refer(resource: Mapping[str, Any]) -> Json:
    """A reference to a resource."""
    return {"reference": f"{resource['resourceType']}/{resource['id']}"}


def to(kind: str, name: str) -> Json:
    """A reference to a shared resource by its id."""
    return {"reference": f"{kind}/{name}"}


def quantity(value: float, unit: str, ucum: str | None = None) -> Json:
    """A Quantity with a UCUM code."""
    return {"value": value, "unit": unit, "system": UCUM, "code": ucum or unit}


def plain(value: float) -> float:
    """Return a number as it is written by hand: whole ones without decimals.

    >>> plain(75.0), plain(12.5)
    (75, 12.5)
    """
    return int(value) if value == int(value) else value


class Record:
    """The resources of one patient, in the order in which they came to be.

    Resources share parts such as the subject's reference, so that a record is small and quick to make.
    """

    def __init__(self, patient: str) -> None:
        self.patient = patient
        """Id of the Patient."""
        self.subject: Json = {"reference": f"Patient/{patient}"}
        self.resources: list[Json] = []
        self._counts = dict.fromkeys(_SHORT, 0)

    def next_id(self, kind: str) -> str:
        """Return the next unused id for a type of resource, such as `p000123-obs-0042`."""
        self._counts[kind] += 1
        return f"{self.patient}-{_SHORT[kind]}-{self._counts[kind]:04d}"

    def add(self, kind: str, content: Json) -> Json:
        """File a resource under a new id and return it."""
        resource = {"resourceType": kind, "id": self.next_id(kind), **content}
        self.resources.append(resource)
        return resource
