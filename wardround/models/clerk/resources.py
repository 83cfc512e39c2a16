"""What is to be written, as FHIR R4 resources; and fitted to the shapes that a task gives for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from wardround.models.clerk.doses import Dose
from wardround.models.clerk.glossary import LOCAL, Code
from wardround.models.clerk.units import ROUTES
from wardround.models.clerk.vitals import BLOOD_PRESSURE, DIASTOLIC, SYSTOLIC, VITALS, Vital, pressure, quantity
from wardround.models.clerk.wanted import Kind, Order, Recording, Schedule

UCUM = "http://unitsofmeasure.org"
_LOINC, _SNOMED = "http://loinc.org", "http://snomed.info/sct"
_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
_COMPONENTS = ((SYSTOLIC, "Systolic blood pressure"), (DIASTOLIC, "Diastolic blood pressure"))
_SERVICE_CATEGORIES: Mapping[Kind, tuple[str, str]] = {
    Kind.LAB: ("108252007", "Laboratory procedure"),
    Kind.IMAGING: ("363679005", "Imaging"),
}
"""SNOMED CT codes of FHIR R4's value set servicerequest-category."""


def type_of(order: Order) -> str:
    """Return the resource type that an order is written as."""
    return "MedicationRequest" if order.kind is Kind.DRUG else "ServiceRequest"


def observation(entry: Recording, patient: str, when: str | None) -> dict[str, Any]:
    """Return an entry as an Observation.

    Args:
        entry: What was measured.
        patient: Id of the patient.
        when: As FHIR writes it, where the entry has no time of its own.
    """
    vital = next((v for v in VITALS if v.name == entry.words), None)
    resource: dict[str, Any] = {"resourceType": "Observation", "status": "final"}
    if vital is not None:
        coding = {"system": _CATEGORY, "code": "vital-signs", "display": "Vital Signs"}
        resource["category"] = [{"coding": [coding]}]
    resource["code"] = _what(entry, vital)
    resource["subject"] = {"reference": f"Patient/{patient}"}
    if (entry.when or when) is not None:
        resource["effectiveDateTime"] = entry.when or when
    return {**resource, **_measured(entry, vital)}


def _what(entry: Recording, vital: Vital | None) -> dict[str, Any]:
    codings = []
    if entry.code is not None and entry.code.uri is not None:
        codings.append({"system": entry.code.uri, "code": entry.code.code})
    if vital is not None and not any(coding["system"] == _LOINC for coding in codings):
        codings.append({"system": _LOINC, "code": vital.loinc, "display": vital.name})
    text = entry.code.code if entry.code is not None and entry.code.uri is None else entry.words
    return {**({"coding": codings} if codings else {}), "text": text}


def _measured(entry: Recording, vital: Vital | None) -> dict[str, Any]:
    pair = pressure(entry.value) if vital is BLOOD_PRESSURE else None
    if pair is not None:
        return {
            "component": [
                {
                    "code": {"coding": [{"system": _LOINC, "code": code, "display": display}]},
                    "valueQuantity": _amount(value, "mmHg", "mm[Hg]"),
                }
                for (code, display), value in zip(_COMPONENTS, pair, strict=True)
            ]
        }
    read = quantity(entry.value, vital)
    if read is None or not read[1]:
        return {"valueString": entry.value}
    return {"valueQuantity": _amount(*read)}


def _amount(value: float, unit: str, ucum: str | None = None) -> dict[str, Any]:
    amount: dict[str, Any] = {"value": plain_number(value), "unit": unit}
    return {**amount, "system": UCUM, "code": ucum} if ucum else amount


def plain_number(value: float) -> float:
    """Return a number without the digits that binary fractions add, whole ones as int."""
    rounded = round(value, 6)
    return int(rounded) if rounded == int(rounded) else rounded


def order_resource(order: Order, patient: str, now: str | None, dose: Dose | None) -> dict[str, Any]:
    """Return an order as a MedicationRequest or ServiceRequest.

    Args:
        order: What is ordered.
        patient: Id of the patient.
        now: When, as FHIR writes it.
        dose: How much, of a drug.
    """
    is_drug = order.kind is Kind.DRUG
    concept = _concept(order.code, order.words)
    resource: dict[str, Any] = {"resourceType": type_of(order), "status": "active", "intent": "order"}
    if order.kind in _SERVICE_CATEGORIES:
        code, display = _SERVICE_CATEGORIES[order.kind]
        resource["category"] = [{"coding": [{"system": _SNOMED, "code": code, "display": display}]}]
    if order.priority is not None:
        resource["priority"] = order.priority
    resource["medicationCodeableConcept" if is_drug else "code"] = concept
    resource["subject"] = {"reference": f"Patient/{patient}"}
    if now is not None:
        resource["authoredOn"] = now
    if order.due is not None and not is_drug:
        resource["occurrenceDateTime"] = order.due
    if order.performer is not None:
        system, code = order.performer
        resource["performerType"] = {"coding": [{"system": system, "code": code}]}
    if order.note is not None:
        resource["note"] = [{"text": order.note}]
    if is_drug and (dose is not None or order.schedule is not None):
        resource["dosageInstruction"] = [_dosage(order, dose)]
    return resource


def _concept(code: Code | None, words: str) -> dict[str, Any]:
    if code is None:
        return {"text": words}
    if code.system == LOCAL or code.uri is None:
        return {"coding": [{"code": code.code}], "text": words}
    return {"coding": [{"system": code.uri, "code": code.code}], "text": words}


def _dosage(order: Order, dose: Dose | None) -> dict[str, Any]:
    dosage: dict[str, Any] = {"text": order.instructions} if order.instructions else {}
    if order.schedule is not None:
        dosage |= _timing(order.schedule)
    if dose is not None and dose.hours is not None:
        repeat = {"duration": plain_number(dose.hours), "durationUnit": "h"}
        dosage["timing"] = {"repeat": {**dosage.get("timing", {}).get("repeat", {}), **repeat}}
    if dose is None:
        return dosage
    if dose.route is not None:
        coding = {"system": _SNOMED, "code": ROUTES[dose.route][1]}
        dosage["route"] = {"coding": [coding], "text": dose.route}
    return {
        **dosage,
        "doseAndRate": [{"doseQuantity": _amount(dose.value, dose.unit, _DOSE_CODES.get(dose.unit.lower()))}],
    }


_DOSE_CODES: Mapping[str, str] = {
    "g": "g", "mg": "mg", "mcg": "ug", "ug": "ug", "µg": "ug", "ml": "mL", "mmol": "mmol", "meq": "meq", "units": "[iU]",
    "iu": "[iU]",
}  # fmt: skip
"""UCUM codes of units of dose."""


def _timing(schedule: Schedule) -> dict[str, Any]:
    repeat: dict[str, Any] = {}
    if schedule.days is not None:
        repeat["boundsDuration"] = _amount(schedule.days, "days", "d")
    if schedule.frequency is not None:
        repeat |= {
            "frequency": schedule.frequency,
            "period": plain_number(schedule.period),
            "periodUnit": schedule.unit,
        }
    timing = {"timing": {"repeat": repeat}} if repeat else {}
    return {**timing, "asNeededBoolean": True} if schedule.is_as_needed else timing


_FIXED = re.compile(r'^\s*(?:Always|Use)\s+"([^"]+)"')


def fitted(resource: Mapping[str, Any], schema: Mapping[str, Any], value: str | None = None) -> dict[str, Any]:
    """Return a resource in the shape of a JSON schema: its members alone, and what it says is always to be used.

    Args:
        resource: In R4.
        schema: Of type object; a description that begins with `Use "..."` fixes a text.
        value: The value as the task states it, for a schema that takes it as text alone.
    """
    properties = schema.get("properties", {})
    given = dict(resource)
    if value is not None and "valueString" in properties:
        given["valueString"] = value
    shaped: dict[str, Any] = _shaped(given, schema)
    for name, inner in properties.items():
        fixed = _FIXED.match(inner.get("description", ""))
        if fixed is not None and name not in shaped and name in schema.get("required", ()):
            shaped[name] = fixed[1]
    return {name: shaped[name] for name in properties if name in shaped}


def _shaped(value: Any, schema: Mapping[str, Any], name: str = "") -> Any:
    kind = schema.get("type")
    if kind == "array":
        items = value if isinstance(value, list) else [value]
        return [_shaped(item, schema.get("items", {}), name) for item in items]
    if isinstance(value, list) and value:
        value = value[0]
    if kind == "object" and isinstance(value, Mapping):
        return _members(value, schema.get("properties", {}))
    if kind == "string":
        fixed = _FIXED.match(schema.get("description", ""))
        if fixed is not None and name != "priority":
            return fixed[1]
        return value.get("text", "") if isinstance(value, Mapping) else value
    return value


def _rated(dosage: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Doses with the time over which they run in as their rate, for a schema that has no other place for it."""
    hours = dosage["timing"].get("repeat", {}).get("duration")
    rate = {"rateQuantity": {"value": hours, "unit": "h"}} if hours is not None else {}
    return [{**amount, **rate} for amount in dosage.get("doseAndRate", [])]


def _members(value: Mapping[str, Any], properties: Mapping[str, Any]) -> dict[str, Any]:
    given = dict(value)
    rates = properties.get("doseAndRate", {}).get("items", {}).get("properties", {})
    if "timing" in given and "timing" not in properties and "rateQuantity" in rates:
        given["doseAndRate"] = _rated(given)
    return {name: _shaped(given[name], inner, name) for name, inner in properties.items() if name in given}
