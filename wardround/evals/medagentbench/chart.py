"""FHIR R4 resources of an invented patient's chart, as the published server writes them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from wardround.evals.medagentbench.orders import R4_CATEGORY

LOCAL_CODES = "https://wardround.example/fhir/local-codes"
"""System of the local codes of tests and flowsheet rows."""
MRN_SYSTEM = "https://wardround.example/fhir/mrn"
_UCUM = "http://unitsofmeasure.org"
_ICD10 = "http://hl7.org/fhir/sid/icd-10-cm"
_RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"


@dataclass(frozen=True)
class Analyte:
    """A laboratory value, and what is usual for people in a hospital."""

    name: str
    unit: str
    ucum: str
    low: float
    high: float
    digits: int
    """Decimal places that it is reported with."""

    def draw(self, rng: random.Random) -> float:
        """Return a usual value."""
        value = round(rng.uniform(self.low, self.high), self.digits)
        return value if self.digits else int(value)


MAGNESIUM = Analyte("Magnesium", "mg/dL", "mg/dL", 1.3, 2.6, 1)
POTASSIUM = Analyte("Potassium", "mmol/L", "mmol/L", 3.1, 5.2, 1)
GLUCOSE = Analyte("Glucose, capillary", "mg/dL", "mg/dL", 68, 260, 0)
HBA1C = Analyte("Hemoglobin A1c", "%", "%", 5.0, 10.5, 1)
BACKGROUND = {
    "NA": Analyte("Sodium", "mmol/L", "mmol/L", 129, 147, 0),
    "CREA": Analyte("Creatinine", "mg/dL", "mg/dL", 0.5, 2.8, 2),
    "HGB": Analyte("Hemoglobin", "g/dL", "g/dL", 7.5, 16.0, 1),
    "WBC": Analyte("Leukocytes", "10*3/uL", "10*3/uL", 2.5, 18.0, 1),
    "PHOS": Analyte("Phosphate", "mg/dL", "mg/dL", 1.8, 5.5, 1),
}
"""Values that no task asks for, by their local code."""

_PROBLEMS = (
    ("I10", "Essential (primary) hypertension"),
    ("E11.9", "Type 2 diabetes mellitus without complications"),
    ("N18.30", "Chronic kidney disease, stage 3 unspecified"),
    ("J44.9", "Chronic obstructive pulmonary disease, unspecified"),
    ("I48.91", "Unspecified atrial fibrillation"),
)
_DRUGS = (("29046", "lisinopril"), ("6809", "metformin"), ("83367", "atorvastatin"), ("6918", "metoprolol"))
_PROCEDURES = (("71046", "chest X-ray"), ("93000", "ECG"))


@dataclass(frozen=True)
class Person:
    """Who a chart is of."""

    mrn: str
    given: Sequence[str]
    family: str
    birth_date: date
    gender: str

    @property
    def resource(self) -> dict[str, Any]:
        """The Patient; its id is the record number."""
        return {
            "resourceType": "Patient",
            "id": self.mrn,
            "identifier": [{"use": "usual", "system": MRN_SYSTEM, "value": self.mrn}],
            "active": True,
            "name": [{"use": "official", "family": self.family, "given": list(self.given)}],
            "gender": self.gender,
            "birthDate": self.birth_date.isoformat(),
        }


def laboratory(mrn: str, code: str, analyte: Analyte, values: Sequence[tuple[datetime, float]]) -> list[dict[str, Any]]:
    """Return Observations of one analyte, one for each time and value, in the order given."""
    return [
        {
            **_observation(mrn, code, number, time, "laboratory", "Laboratory"),
            "code": {"coding": [{"system": LOCAL_CODES, "code": code, "display": analyte.name}], "text": code},
            "valueQuantity": {"value": value, "unit": analyte.unit, "system": _UCUM, "code": analyte.ucum},
        }
        for number, (time, value) in enumerate(values, start=1)
    ]


def flowsheet(mrn: str, code: str, readings: Sequence[tuple[datetime, str]]) -> list[dict[str, Any]]:
    """Return Observations of one row of the flowsheet, with texts for values."""
    return [
        {
            **_observation(mrn, code, number, time, "vital-signs", "Vital Signs"),
            "code": {"coding": [{"system": LOCAL_CODES, "code": code}], "text": code},
            "valueString": reading,
        }
        for number, (time, reading) in enumerate(readings, start=1)
    ]


def background(mrn: str, now: datetime, rng: random.Random) -> Iterator[dict[str, Any]]:
    """Return what no task asks for: other laboratory values, blood pressures, problems, drugs, procedures."""
    for code, analyte in BACKGROUND.items():
        times = past(now, timedelta(days=20), rng.randint(6, 14), rng)
        yield from laboratory(mrn, code, analyte, [(time, analyte.draw(rng)) for time in times])
    times = past(now, timedelta(days=4), rng.randint(8, 16), rng)
    yield from flowsheet(mrn, "BP", [(t, f"{rng.randint(95, 175)}/{rng.randint(52, 98)} mmHg") for t in times])
    subject = {"reference": f"Patient/{mrn}"}
    for number, (code, name) in enumerate(rng.sample(_PROBLEMS, 2), start=1):
        yield _condition(f"{mrn}-problem-{number}", subject, code, name)
    yield _drug(f"{mrn}-drug-1", subject, *rng.choice(_DRUGS), past(now, timedelta(days=90), 1, rng)[0])
    yield _procedure(f"{mrn}-procedure-1", subject, *rng.choice(_PROCEDURES), past(now, timedelta(days=60), 1, rng)[0])


def past(until: datetime, span: timedelta, count: int, rng: random.Random) -> list[datetime]:
    """Return points in time on whole minutes within a span that ends before a time, the oldest first."""
    minutes = int(span / timedelta(minutes=1))
    return [until - timedelta(minutes=m) for m in sorted(rng.sample(range(1, minutes), count), reverse=True)]


def _observation(mrn: str, code: str, number: int, time: datetime, category: str, display: str) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": f"{mrn}-{code}-{number}",
        "status": "final",
        "category": [{"coding": [{"system": R4_CATEGORY, "code": category, "display": display}]}],
        "subject": {"reference": f"Patient/{mrn}"},
        "effectiveDateTime": time.isoformat(),
    }


def _condition(id_: str, subject: dict[str, str], code: str, name: str) -> dict[str, Any]:
    terminology = "http://terminology.hl7.org/CodeSystem"
    return {
        "resourceType": "Condition",
        "id": id_,
        "clinicalStatus": {"coding": [{"system": f"{terminology}/condition-clinical", "code": "active"}]},
        "category": [{"coding": [{"system": f"{terminology}/condition-category", "code": "problem-list-item"}]}],
        "code": {"coding": [{"system": _ICD10, "code": code, "display": name}], "text": name},
        "subject": subject,
    }


def _drug(id_: str, subject: dict[str, str], code: str, name: str, time: datetime) -> dict[str, Any]:
    return {
        "resourceType": "MedicationRequest",
        "id": id_,
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"coding": [{"system": _RXNORM, "code": code, "display": name}], "text": name},
        "subject": subject,
        "authoredOn": time.isoformat(),
    }


def _procedure(id_: str, subject: dict[str, str], code: str, name: str, time: datetime) -> dict[str, Any]:
    cpt = "http://www.ama-assn.org/go/cpt"
    return {
        "resourceType": "Procedure",
        "id": id_,
        "status": "completed",
        "code": {"coding": [{"system": cpt, "code": code}], "text": name},
        "subject": subject,
        "performedDateTime": time.isoformat(),
    }
