"""What is measured at the bedside, and tests read as yes or no, as Observations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from wardround.environments.fhir.population.laboratory import PERFORMER
from wardround.environments.fhir.population.parts import FLAG, LABORATORY, VITAL_SIGNS, Part, parts_of
from wardround.environments.fhir.population.physiology import Scale, axes
from wardround.environments.fhir.population.resources import LOCAL, LOINC, Json, Record, concept, instant, quantity

CAPILLARY_GLUCOSE: Json = {
    "coding": [
        {"system": LOINC, "code": "14743-9", "display": "Glucose [Moles/volume] in Capillary blood by Glucometer"},
        {"system": LOINC, "code": "14749-6", "display": "Glucose [Moles/volume] in Serum or Plasma"},
    ],
    "text": "Capillary glucose",
}
"""Bedside glucose; the second coding is the broader one that the laboratory uses too."""
BLOOD_PRESSURE = concept("Blood pressure", LOINC, "85354-9", "Blood pressure panel with all children optional")
_SHOWN_UNIT = {"Cel": "°C", "mm[Hg]": "mmHg", "{score}": "{score}"}


def glucose_reading(record: Record, at: int, value: float, scale: Scale, encounter: Json, nurse: Json) -> None:
    """File a capillary glucose of the ward, in mmol/L."""
    part = parts_of(scale)[axes().column["glucose"]]
    record.resources.append(
        {
            "resourceType": "Observation",
            "id": record.next_id("Observation"),
            "status": "final",
            "category": LABORATORY,
            "code": CAPILLARY_GLUCOSE,
            "subject": record.subject,
            "encounter": encounter,
            "effectiveDateTime": instant(at),
            "performer": [nurse],
            "valueQuantity": quantity(value, part.unit),
            "interpretation": part.flag(value),
            "referenceRange": part.reference,
        }
    )


def yes_no_result(record: Record, at: int, code: str, name: str, *, is_present: bool, encounter: Json) -> Json:
    """File a test that is read as yes or no; its code is the finding's in the knowledge base."""
    return record.add(
        "Observation",
        {
            "status": "final",
            "category": LABORATORY,
            "code": _finding_code(code, name),
            "subject": record.subject,
            "encounter": encounter,
            "effectiveDateTime": instant(at),
            "performer": PERFORMER,
            "valueCodeableConcept": _PRESENT if is_present else _NOT_PRESENT,
            "interpretation": FLAG["POS" if is_present else "NEG"],
        },
    )


@lru_cache(maxsize=512)
def _finding_code(code: str, name: str) -> Json:
    return concept(name, LOCAL + "finding", code, name)


_PRESENT = concept("Present", "http://snomed.info/sct", "52101004", "Present")
_NOT_PRESENT = concept("Absent", "http://snomed.info/sct", "2667000", "Absent")


def vital_signs(
    record: Record,
    at: int,
    values: Sequence[float],
    scale: Scale,
    *,
    encounter: Json,
    nurse: Json,
    names: Sequence[str],
) -> None:
    """File vital signs, each its own Observation, systolic and diastolic pressure as one panel.

    Args:
        record: The patient's record.
        at: When they were taken, in seconds since 1970.
        values: As reported, by column.
        scale: Of the patient at that time.
        encounter: Reference to the Encounter.
        nurse: Reference to who took them.
        names: Analytes; `systolic_bp` stands for the panel.
    """
    parts = parts_of(scale)
    column, taken, performer = axes().column, instant(at), [nurse]
    for name in names:
        observation: Json = {
            "resourceType": "Observation",
            "id": record.next_id("Observation"),
            "status": "final",
            "category": VITAL_SIGNS,
            "code": BLOOD_PRESSURE if name == "systolic_bp" else parts[column[name]].code,
            "subject": record.subject,
            "encounter": encounter,
            "effectiveDateTime": taken,
            "performer": performer,
        }
        if name == "systolic_bp":
            observation["component"] = [
                {"code": parts[column[n]].code, "valueQuantity": _vital(parts[column[n]], values[column[n]])}
                for n in ("systolic_bp", "diastolic_bp")
            ]
        else:
            observation["valueQuantity"] = _vital(parts[column[name]], values[column[name]])
        record.resources.append(observation)


def _vital(part: Part, value: float) -> Json:
    unit = part.unit
    return quantity(part.reported(value), _SHOWN_UNIT.get(unit, unit), unit)


_WEIGHT = concept("Body weight", LOINC, "29463-7", "Body weight")
_HEIGHT = concept("Body height", LOINC, "8302-2", "Body height")


def body_size(record: Record, at: int, sizes: Mapping[str, float], *, encounter: Json, nurse: Json) -> None:
    """File `weight` (kg) and `height` (cm), as far as they are given."""
    for name, code, unit in (("weight", _WEIGHT, "kg"), ("height", _HEIGHT, "cm")):
        if name in sizes:
            record.resources.append(
                {
                    "resourceType": "Observation",
                    "id": record.next_id("Observation"),
                    "status": "final",
                    "category": VITAL_SIGNS,
                    "code": code,
                    "subject": record.subject,
                    "encounter": encounter,
                    "effectiveDateTime": instant(at),
                    "performer": [nurse],
                    "valueQuantity": quantity(sizes[name], unit),
                }
            )
