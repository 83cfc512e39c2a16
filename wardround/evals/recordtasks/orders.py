"""What a task wants written, and its R4 JSON as the reference policy writes it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from wardround.environments.fhir.population.resources import ATC, LOINC, SNOMED, concept, quantity, term
from wardround.evals.recordtasks.vocabulary import DIASTOLIC, PRESSURE, ROUTES, SYSTOLIC

NUCC = "http://nucc.org/provider-taxonomy"
PERIODS = {"h": 1 / 24, "d": 1.0, "wk": 7.0, "min": 1 / 1440}
"""Days in the units of time that a dosage may use."""


@dataclass(frozen=True)
class VitalEntry:
    """A vital sign as an Observation; a blood pressure has two parts and no value of its own."""

    patient: str
    code: str
    """LOINC."""
    name: str
    time: datetime
    value: float | None
    unit: str
    """UCUM, of the value or of the parts."""
    parts: tuple[tuple[str, float], ...] = ()
    """LOINC and value."""

    type = "Observation"

    def payload(self) -> dict[str, Any]:
        """Return the resource."""
        resource: dict[str, Any] = {
            "resourceType": "Observation",
            "status": "final",
            "category": [term("observation-category", "vital-signs", "Vital Signs")],
            "code": concept(self.name, LOINC, self.code),
            "subject": {"reference": f"Patient/{self.patient}"},
            "effectiveDateTime": self.time.isoformat(),
        }
        if self.value is not None:
            resource["valueQuantity"] = quantity(self.value, self.unit)
        if self.parts:
            names = {SYSTOLIC: "Systolic blood pressure", DIASTOLIC: "Diastolic blood pressure"}
            resource["component"] = [
                {"code": concept(names[code], LOINC, code), "valueQuantity": quantity(value, self.unit)}
                for code, value in self.parts
            ]
        return resource


@dataclass(frozen=True)
class ServiceOrder:
    """A test or a referral: a ServiceRequest."""

    patient: str
    authored: datetime
    system: str
    code: str
    name: str
    priority: str = "routine"
    due: datetime | None = None
    """When it is to be done; none where the task does not say."""
    note: str | None = None
    """Text that a note has to hold."""
    performer: str | None = None
    """NUCC code of the specialty that it is for."""

    type = "ServiceRequest"

    def payload(self) -> dict[str, Any]:
        """Return the resource."""
        resource: dict[str, Any] = {
            "resourceType": "ServiceRequest",
            "status": "active",
            "intent": "order",
            "priority": self.priority,
            "code": concept(self.name, self.system, self.code),
            "subject": {"reference": f"Patient/{self.patient}"},
            "authoredOn": self.authored.isoformat(),
        }
        if self.due is not None:
            resource["occurrenceDateTime"] = self.due.isoformat()
        if self.note is not None:
            resource["note"] = [{"text": self.note}]
        if self.performer is not None:
            resource["performerType"] = {"coding": [{"system": NUCC, "code": self.performer}]}
        return resource


@dataclass(frozen=True)
class DrugOrder:
    """A medicine: a MedicationRequest with one dosage."""

    patient: str
    authored: datetime
    atc: str
    name: str
    route: str
    """A key of `vocabulary.ROUTES`."""
    dose: float
    unit: str
    """`mg`, `g` or `mmol`."""
    per_day: float | None = None
    """Doses a day; none for a single dose."""
    hours: float | None = None
    """Over how long it runs in; none where it does not."""

    type = "MedicationRequest"

    def payload(self) -> dict[str, Any]:
        """Return the resource."""
        code, display = ROUTES[self.route]
        dosage: dict[str, Any] = {
            "route": {"coding": [{"system": SNOMED, "code": code, "display": display}]},
            "doseAndRate": [{"doseQuantity": quantity(self.dose, self.unit)}],
        }
        if self.per_day is not None:
            dosage["timing"] = {"repeat": {"frequency": int(self.per_day), "period": 1, "periodUnit": "d"}}
        if self.hours is not None:
            dosage["timing"] = {"repeat": {"count": 1, "duration": self.hours, "durationUnit": "h"}}
        return {
            "resourceType": "MedicationRequest",
            "status": "active",
            "intent": "order",
            "medicationCodeableConcept": concept(self.name, ATC, self.atc),
            "subject": {"reference": f"Patient/{self.patient}"},
            "authoredOn": self.authored.isoformat(),
            "dosageInstruction": [dosage],
        }


@dataclass(frozen=True)
class Correction:
    """A change of a resource that is there: another status and, where given, another value; all else stays."""

    before: Mapping[str, Any]
    """The resource as it is."""
    status: str
    value: float | None = None
    """For `valueQuantity.value`, in the unit that is there."""

    @property
    def type(self) -> str:
        """Type of the resource."""
        return str(self.before["resourceType"])

    @property
    def ref(self) -> str:
        """`Type/id`."""
        return f"{self.before['resourceType']}/{self.before['id']}"

    def after(self) -> dict[str, Any]:
        """Return the resource as it shall be."""
        resource = copy.deepcopy({k: v for k, v in self.before.items() if k != "meta"})
        resource["status"] = self.status
        if self.value is not None:
            resource["valueQuantity"]["value"] = self.value
        return resource

    def payload(self) -> dict[str, Any]:
        """Return a transaction with the whole changed resource."""
        entry = {"resource": self.after(), "request": {"method": "PUT", "url": self.ref}}
        return {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}


Order = VitalEntry | ServiceOrder | DrugOrder
"""A new resource."""
Wanted = Order | Correction


def pressure(patient: str, time: datetime, systolic: float, diastolic: float) -> VitalEntry:
    """Return the entry of a blood pressure."""
    parts = ((SYSTOLIC, systolic), (DIASTOLIC, diastolic))
    return VitalEntry(patient, PRESSURE, "Blood pressure", time, None, "mm[Hg]", parts)


def url_of(wanted: Wanted) -> str:
    """Return where a wanted write is sent, below the base; empty for a transaction."""
    return "" if isinstance(wanted, Correction) else wanted.type
