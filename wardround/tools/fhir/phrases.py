"""Parts of resources in words: names, quantities, doses, timings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wardround.tools.fhir.access import codes, concept, mapping, objects, scalar, string


def named(resource: Mapping[str, Any]) -> str:
    """Return what a resource is about in words, or its code where it has no words."""
    for name in ("medicationCodeableConcept", "code", "vaccineCode", "type"):
        value = resource.get(name)
        if value:
            return concept(value) or ", ".join(codes(value))
    return string(mapping(resource.get("medicationReference")).get("display"))


def dosage(instruction: Mapping[str, Any]) -> str:
    """Return one dosage instruction in words: its text where it has one, else what it is made of."""
    return string(instruction.get("text")) or coded_dosage(instruction)


def coded_dosage(instruction: Mapping[str, Any]) -> str:
    """Return what a dosage instruction is made of: dose, rate, route, timing."""
    parts: list[str] = []
    for rate in objects(instruction.get("doseAndRate")):
        pace = quantity(rate.get("rateQuantity"))
        parts += [quantity(rate.get("doseQuantity")), f"rate {pace}" if pace else ""]
    route = instruction.get("route")
    parts += [concept(route) or string(route), timing(instruction.get("timing"))]
    return " ".join(part for part in parts if part)


def timing(value: object) -> str:
    """Return a Timing in words: its code, or how often in which period."""
    given = mapping(value)
    repeat = mapping(given.get("repeat"))
    if given.get("code"):
        return concept(given["code"]) or ", ".join(codes(given["code"]))
    if "frequency" in repeat:
        period = f"{scalar(repeat.get('period'))} {string(repeat.get('periodUnit'))}".strip()
        return f"{scalar(repeat['frequency'])}x per {period}"
    return ""


def quantity(value: object) -> str:
    """Return a Quantity as written: comparator, value and unit."""
    given = mapping(value)
    if "value" not in given:
        return ""
    unit = string(given.get("unit")) or string(given.get("code"))
    return f"{string(given.get('comparator'))}{scalar(given['value'])} {unit}".strip()
