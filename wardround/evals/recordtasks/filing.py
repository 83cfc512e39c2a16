"""What is filed for a task: FHIR R4 resources that look like those of the synthetic population."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

from wardround.environments.fhir.population import NOW
from wardround.environments.fhir.population.resources import (
    ATC,
    CVX,
    ICD10CM,
    LOINC,
    SNOMED,
    concept,
    quantity,
    term,
)
from wardround.evals.recordtasks.desk import Desk
from wardround.evals.recordtasks.reading import COUNTING, Result, results_in
from wardround.evals.recordtasks.tasks import Who
from wardround.evals.recordtasks.vocabulary import (
    DIASTOLIC,
    PRESSURE,
    ROUTES,
    SYSTOLIC,
    Analyte,
    Drug,
)

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
_VITALS = frozenset({"temperature", "weight"})
_LABORATORY = {"reference": "Organization/org-laboratory"}


def results_of(desk: Desk, who: Who, analyte: Analyte) -> tuple[Result, ...]:
    """Return a patient's results as they are by now, all statuses, the oldest first."""
    return results_in(desk.record.observed(who.id, analyte.codes), analyte)


def valid_of(desk: Desk, who: Who, analyte: Analyte, start: datetime | None = None) -> tuple[Result, ...]:
    """Return a patient's results that count, those from a point in time on where one is given."""
    found = results_of(desk, who, analyte)
    return tuple(r for r in found if r.status in COUNTING and (start is None or r.time >= start))


def is_empty(desk: Desk, who: Who, analyte: Analyte, start: datetime) -> bool:
    """Whether a patient has no result from a point in time on, whatever its status."""
    return all(r.time < start for r in results_of(desk, who, analyte))


def file_result(
    desk: Desk,
    who: Who,
    analyte: Analyte,
    time: datetime,
    value: float,
    *,
    status: str = "final",
    code: str | None = None,
    unit: str | None = None,
    encounter: str | None = None,
) -> dict[str, Any]:
    """File a result, with the laboratory's flag and range where it is one of the laboratory's.

    Args:
        desk: Where.
        who: The patient.
        analyte: What was measured.
        time: When.
        value: In `unit`.
        status: Of the Observation.
        code: LOINC; the first of the analyte unless given.
        unit: The analyte's unless given.
        encounter: Reference; the present stay for a recent result unless given.
    """
    is_vital = analyte.topic in _VITALS
    category = "vital-signs" if is_vital else "laboratory"
    content: dict[str, Any] = {
        "status": status,
        "category": [term("observation-category", category, category.replace("-", " ").title())],
        "code": concept(analyte.name, LOINC, code or analyte.codes[0]),
        "subject": {"reference": f"Patient/{who.id}"},
        "effectiveDateTime": time.isoformat(),
        "valueQuantity": quantity(plain(value), unit or analyte.unit),
    }
    if not is_vital:
        content |= _flagged(analyte, value, unit)
        content |= {"performer": [_LABORATORY], "issued": (time + HOUR).isoformat()}
    within = encounter or desk.stay(who, time)
    if within is not None:
        content["encounter"] = {"reference": within}
    return desk.file(who.id, "Observation", "obs", content)


def file_series(
    desk: Desk, who: Who, analyte: Analyte, points: Iterable[tuple[datetime, float]], status: str = "final"
) -> list[dict[str, Any]]:
    """File several results in the unit of their analyte."""
    return [file_result(desk, who, analyte, time, value, status=status) for time, value in points]


def file_pressure(desk: Desk, who: Who, time: datetime, systolic: int, diastolic: int, status: str = "final") -> None:
    """File a blood pressure with its components."""
    parts = ((SYSTOLIC, "Systolic blood pressure", systolic), (DIASTOLIC, "Diastolic blood pressure", diastolic))
    content: dict[str, Any] = {
        "status": status,
        "category": [term("observation-category", "vital-signs", "Vital Signs")],
        "code": concept("Blood pressure", LOINC, PRESSURE),
        "subject": {"reference": f"Patient/{who.id}"},
        "effectiveDateTime": time.isoformat(),
        "component": [
            {"code": concept(name, LOINC, code), "valueQuantity": quantity(value, "mmHg", "mm[Hg]")}
            for code, name, value in parts
        ],
    }
    within = desk.stay(who, time)
    if within is not None:
        content["encounter"] = {"reference": within}
    desk.file(who.id, "Observation", "obs", content)


def file_drug(desk: Desk, who: Who, drug: Drug, status: str, authored: datetime) -> dict[str, Any]:
    """File a prescription."""
    code, display = ROUTES[drug.route]
    often = "once a day" if drug.per_day == 1 else f"{drug.per_day} times a day"
    dosage = {
        "text": f"{drug.dose:g} {drug.unit} {drug.route} {often}",
        "timing": {"repeat": {"frequency": drug.per_day, "period": 1, "periodUnit": "d"}},
        "route": concept(display, SNOMED, code),
        "doseAndRate": [{"doseQuantity": quantity(plain(drug.dose), drug.unit)}],
    }
    content = {
        "status": status,
        "intent": "order",
        "category": [term("medicationrequest-category", "outpatient")],
        "medicationCodeableConcept": concept(drug.name, ATC, drug.atc),
        "subject": {"reference": f"Patient/{who.id}"},
        "authoredOn": authored.isoformat(),
        "dosageInstruction": [dosage],
    }
    return desk.file(who.id, "MedicationRequest", "med", content)


def file_order(desk: Desk, who: Who, name: str, code: str, status: str, authored: datetime) -> dict[str, Any]:
    """File a laboratory or imaging order."""
    content = {
        "status": status,
        "intent": "order",
        "priority": "routine",
        "code": concept(name, LOINC, code),
        "subject": {"reference": f"Patient/{who.id}"},
        "authoredOn": authored.isoformat(),
        "occurrenceDateTime": (authored + DAY).isoformat(),
    }
    return desk.file(who.id, "ServiceRequest", "ord", content)


def condition(who: Who, code: str, name: str, onset: date, status: str) -> dict[str, Any]:
    """Return an entry of the problem list without its id."""
    content: dict[str, Any] = {
        "clinicalStatus": term("condition-clinical", status),
        "verificationStatus": term("condition-ver-status", "confirmed"),
        "category": [term("condition-category", "problem-list-item", "Problem List Item")],
        "code": concept(name, ICD10CM, code),
        "subject": {"reference": f"Patient/{who.id}"},
        "onsetDateTime": onset.isoformat(),
        "recordedDate": onset.isoformat(),
    }
    if status == "resolved":
        content["abatementDateTime"] = (onset + timedelta(days=200)).isoformat()
    return content


def allergy(
    who: Who, name: str, code: str | None, criticality: str, *, verification: str = "confirmed"
) -> dict[str, Any]:
    """Return an AllergyIntolerance without its id; the code is one of ATC."""
    return {
        "clinicalStatus": term("allergyintolerance-clinical", "active"),
        "verificationStatus": term("allergyintolerance-verification", verification),
        "type": "allergy",
        "category": ["medication"],
        "criticality": criticality,
        "code": concept(name, ATC, code) if code is not None else concept(name),
        "patient": {"reference": f"Patient/{who.id}"},
        "recordedDate": (NOW - 900 * DAY).isoformat(),
    }


def immunization(who: Who, name: str, code: str, day: date, status: str) -> dict[str, Any]:
    """Return an Immunization without its id; the code is one of CVX."""
    content: dict[str, Any] = {
        "status": status,
        "vaccineCode": concept(name, CVX, code),
        "patient": {"reference": f"Patient/{who.id}"},
        "occurrenceDateTime": f"{day.isoformat()}T11:00:00+00:00",
        "primarySource": True,
    }
    if status == "not-done":
        content["statusReason"] = term("v3-ActReason", "PATOBJ")
    return content


def probe(kind: str, content: dict[str, Any]) -> dict[str, Any]:
    """Return a resource that is in no record, to see which searches would find one like it."""
    return {"resourceType": kind, "id": "probe", **content}


def probe_result(patient: str, analyte: Analyte, code: str, time: datetime) -> dict[str, Any]:
    """Return a probe of a result under one of the analyte's codes."""
    content = {
        "status": "final",
        "category": [term("observation-category", "vital-signs" if analyte.topic in _VITALS else "laboratory")],
        "code": concept(analyte.name, LOINC, code),
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": time.isoformat(),
        "valueQuantity": quantity(plain(analyte.high), analyte.unit),
    }
    return probe("Observation", content)


def times(rng: Random, start: datetime, end: datetime, count: int) -> list[datetime]:
    """Return points in time on whole minutes within a span, the oldest first, none at its very ends."""
    minutes = int((end - start) / timedelta(minutes=1))
    return [start + timedelta(minutes=m) for m in sorted(rng.sample(range(1, minutes), count))]


def drawn(rng: Random, analyte: Analyte, low: float, high: float, *, of: float = 1.0) -> float:
    """Return a value between two bounds, both included, as it is reported.

    Args:
        rng: Decides.
        analyte: What is measured.
        low: Lower bound, in units of `of`.
        high: Upper bound, in units of `of`.
        of: What the bounds are multiples of.
    """
    return plain(round(rng.uniform(low, high) * of, analyte.digits))


def plain(value: float) -> float:
    """Return a number as JSON has it: whole ones without a point."""
    rounded = round(value, 6)
    return int(rounded) if rounded == int(rounded) else rounded


def spread(rng: Random, analyte: Analyte, moments: Sequence[datetime]) -> list[tuple[datetime, float]]:
    """Return a value for each moment, all different and within what is seen in hospital."""
    low, high = _SEEN[analyte.topic]
    values = list[float]()
    while len(values) < len(moments):
        value = drawn(rng, analyte, low, high)
        values += [value] if value not in values else []
    return list(zip(moments, values, strict=True))


_SEEN = {
    "sodium": (126, 149), "potassium": (3.0, 5.7), "calcium": (1.85, 2.8), "phosphate": (0.55, 1.9),
    "platelets": (55, 480), "crp": (2, 190), "albumin": (20, 48), "haemoglobin": (7.2, 16.4), "creatinine": (52, 260),
    "ferritin": (8, 620), "nt-probnp": (60, 4200), "capillary glucose": (4.2, 18.5),
}  # fmt: skip
"""Bounds of made-up results by topic, in the analyte's unit: common in hospital, own choice."""


def _flagged(analyte: Analyte, value: float, unit: str | None) -> dict[str, Any]:
    factor = analyte.factor(unit or analyte.unit)
    if factor is None:
        raise ValueError(f"{analyte.name} is not measured in {unit}")
    flag = "L" if value * factor < analyte.low else "H" if value * factor > analyte.high else "N"
    names = {"L": "Low", "H": "High", "N": "Normal"}
    said = unit or analyte.unit
    limits = {n: quantity(plain(round(v / factor, 3)), said) for n, v in (("low", analyte.low), ("high", analyte.high))}
    return {"interpretation": [term("v3-ObservationInterpretation", flag, names[flag])], "referenceRange": [limits]}
