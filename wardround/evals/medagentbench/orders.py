"""What a task wants written, and its FHIR JSON: the one source of graders, reference policy and tests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from wardround.evals.records.grading import Mode

NDC = "http://hl7.org/fhir/sid/ndc"
LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
PUBLISHED_CATEGORY = "http://hl7.org/fhir/observation-category"
"""The system that the published functions and graders name."""
R4_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
"""The system of the same codes in FHIR R4."""


@dataclass(frozen=True)
class ReadingEntry:
    """A blood pressure in the flowsheet: an Observation."""

    mrn: str
    stamp: str
    code: str
    reading: str

    def payload(self, mode: Mode) -> dict[str, Any]:
        """Return the resource, as the published grader wants it or as R4 has it."""
        system = PUBLISHED_CATEGORY if mode == "compat" else R4_CATEGORY
        return {
            "resourceType": "Observation",
            "category": [{"coding": [{"system": system, "code": "vital-signs", "display": "Vital Signs"}]}],
            "code": {"text": self.code},
            "effectiveDateTime": self.stamp,
            "status": "final",
            "valueString": self.reading,
            "subject": {"reference": f"Patient/{self.mrn}"},
        }


@dataclass(frozen=True)
class DrugOrder:
    """A drug to be given: a MedicationRequest."""

    mrn: str
    stamp: str
    ndc: str
    route: str
    """`IV` or `oral`."""
    dose: float
    unit: str
    """`g` or `mEq`."""
    hours: float | None = None
    """Over how long it runs in; none by mouth."""

    def payload(self, mode: Mode) -> dict[str, Any]:
        """Return the resource, as the published grader wants it (route a string) or as R4 has it."""
        amount: dict[str, Any] = {"doseQuantity": {"value": _plain(self.dose), "unit": self.unit}}
        if self.hours is not None:
            amount["rateQuantity"] = {"value": _plain(self.hours), "unit": "h"}
        route = self.route if mode == "compat" else {"text": self.route}
        return {
            "resourceType": "MedicationRequest",
            "medicationCodeableConcept": {"coding": [{"system": NDC, "code": self.ndc}]},
            "authoredOn": self.stamp,
            "dosageInstruction": [{"route": route, "doseAndRate": [amount]}],
            "status": "active",
            "intent": "order",
            "subject": {"reference": f"Patient/{self.mrn}"},
        }


@dataclass(frozen=True)
class ServiceOrder:
    """A referral or a laboratory test to be done: a ServiceRequest."""

    mrn: str
    stamp: str
    system: str
    code: str
    note: str | None = None
    due: datetime | None = None
    """The hour in which it is to be done; none for any time."""

    def payload(self, mode: Mode) -> dict[str, Any]:
        """Return the resource, as the published grader wants it (note an object) or as R4 has it."""
        resource: dict[str, Any] = {
            "resourceType": "ServiceRequest",
            "code": {"coding": [{"system": self.system, "code": self.code}]},
            "authoredOn": self.stamp,
            "status": "active",
            "intent": "order",
            "priority": "stat",
            "subject": {"reference": f"Patient/{self.mrn}"},
        }
        if self.note is not None:
            resource["note"] = {"text": self.note} if mode == "compat" else [{"text": self.note}]
        if self.due is not None:
            resource["occurrenceDateTime"] = self.due.isoformat()
        return resource


Order = ReadingEntry | DrugOrder | ServiceOrder


def type_of(order: Order) -> str:
    """Return the resource type that an order is written as."""
    match order:
        case ReadingEntry():
            return "Observation"
        case DrugOrder():
            return "MedicationRequest"
        case ServiceOrder():
            return "ServiceRequest"


def _plain(value: float) -> float:
    """Without the digits that binary fractions add: doses are steps of tenths."""
    rounded = round(value, 6)
    return int(rounded) if rounded == int(rounded) else rounded
