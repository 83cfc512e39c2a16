"""One written resource against one order: what differs in substance, whichever valid form it was written in."""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from wardround.evals.medagentbench.gold import instant
from wardround.evals.medagentbench.orders import (
    NDC,
    PUBLISHED_CATEGORY,
    R4_CATEGORY,
    DrugOrder,
    Order,
    ReadingEntry,
    ServiceOrder,
    type_of,
)
from wardround.tools.fhir.access import mapping, number, objects, string

SAME_MINUTE = timedelta(minutes=1)
"""Times of an order agree if they are less than this apart: the published graders of drugs look at the minute."""
DOSE_TOLERANCE = {"g": 1e-6, "mEq": 0.1}
"""How far a dose may be off; for mEq as published."""

_ROUTES = {
    "IV": frozenset({"iv", "i.v.", "intravenous", "intravenously", "intravenous route", "intravenous use", "47625008"}),
    "oral": frozenset({"oral", "orally", "po", "p.o.", "by mouth", "oral route", "oral use", "26643006"}),
}
"""How a route may be said, in lower case; the numbers are SNOMED CT's."""
_UNITS = {
    "g": ("g", 1.0), "gram": ("g", 1.0), "grams": ("g", 1.0), "gm": ("g", 1.0),
    "mg": ("g", 1e-3), "milligram": ("g", 1e-3), "milligrams": ("g", 1e-3),
    "meq": ("mEq", 1.0), "milliequivalent": ("mEq", 1.0), "milliequivalents": ("mEq", 1.0), "mmol": ("mEq", 1.0),
}  # fmt: skip
"""Units of dose in lower case; a millimole of potassium is a milliequivalent."""
_HOURS = {
    "h": 1.0, "hr": 1.0, "hrs": 1.0, "hour": 1.0, "hours": 1.0, "1/h": 1.0,
    "min": 1 / 60, "minute": 1 / 60, "minutes": 1 / 60,
}  # fmt: skip
_PER_HOUR = re.compile(r"(\w+)/(h|hr|hour|min|minute)")
_CATEGORIES = (PUBLISHED_CATEGORY, R4_CATEGORY)
_SYSTOLIC, _DIASTOLIC = "8480-6", "8462-4"
"""LOINC codes of the components of a blood pressure."""
_PRESSURE = re.compile(r"([0-9]{2,3}) ?/ ?([0-9]{2,3}) ?mm ?\[?hg\]?")


def differences(order: Order, resource: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a resource says otherwise than an order, as `code: what it says`; nothing if it says the same.

    Accepted are every R4 form of the same statement and the published forms that are not R4: a route as text, a note
    as an object, an infusion time as `rateQuantity` in hours. Further members, codings of other systems and displays
    do not matter.
    """
    if resource.get("resourceType") != type_of(order):
        return (f"wrong_resource_type: {_shown(resource.get('resourceType'))}",)
    match order:
        case ReadingEntry():
            faults = _reading(order, resource)
        case DrugOrder():
            faults = _drug(order, resource)
        case ServiceOrder():
            faults = _service(order, resource)
    return tuple(faults)


def subject_of(resource: Mapping[str, Any]) -> str | None:
    """Return the id of the patient that a resource is about, whichever form the reference has."""
    found = re.search(r"(?:^|/)Patient/([A-Za-z0-9.-]{1,64})(?:/_history/[^/]+)?$", _reference(resource))
    return found[1] if found else None


def dose_of(resource: Mapping[str, Any]) -> tuple[float, str] | None:
    """Return the dose of a MedicationRequest with its unit, g or mEq; None where there is not exactly one."""
    quantity = mapping(_amount(resource).get("doseQuantity"))
    value, unit = number(quantity.get("value")), _UNITS.get(_unit(quantity))
    return None if value is None or unit is None else (value * unit[1], unit[0])


def hours_of(resource: Mapping[str, Any]) -> float | None:
    """Return over how many hours a dose runs in: from a time, from a rate, or from the timing; None if unsaid."""
    amount = _amount(resource)
    rate = mapping(amount.get("rateQuantity"))
    value, unit = number(rate.get("value")), _unit(rate)
    if value is not None and unit in _HOURS:
        return value * _HOURS[unit]
    if value is not None:
        return _hours_at(resource, value, unit)
    ratio = mapping(amount.get("rateRatio"))
    above, below = mapping(ratio.get("numerator")), mapping(ratio.get("denominator"))
    over = number(below.get("value"))
    if over and (top := number(above.get("value"))) is not None:
        return _hours_at(resource, top / over, f"{_unit(above)}/{_unit(below)}")
    repeat = mapping(mapping(_dosage(resource).get("timing")).get("repeat"))
    lasts, unit = number(repeat.get("duration")), string(repeat.get("durationUnit"))
    return None if lasts is None or unit not in _HOURS else lasts * _HOURS[unit]


def _hours_at(resource: Mapping[str, Any], rate: float, unit: str) -> float | None:
    found, dose = _PER_HOUR.fullmatch(unit), dose_of(resource)
    amount = _UNITS.get(found[1]) if found else None
    if found is None or dose is None or amount is None or amount[0] != dose[1]:
        return None
    per_unit = rate * amount[1]
    return dose[0] / per_unit * _HOURS[found[2]] if per_unit > 0 else None


def _reading(order: ReadingEntry, resource: Mapping[str, Any]) -> Iterator[str]:
    yield from _said(resource, "status", "final")
    yield from _subject(order, resource)
    codings = [c for concept in objects(resource.get("category")) for c in objects(concept.get("coding"))]
    if not any(c.get("code") == "vital-signs" and c.get("system") in _CATEGORIES for c in codings):
        yield f"wrong_category_code: {_shown(resource.get('category'))}"
    code = mapping(resource.get("code"))
    names = [string(code.get("text")), *(string(c.get("code")) for c in objects(code.get("coding")))]
    if order.code.casefold() not in (name.strip().casefold() for name in names):
        yield f"wrong_code_text: {_shown(resource.get('code'))}"
    taken = resource.get("effectiveDateTime", resource.get("effectiveInstant"))
    if not _is_at(taken, order.stamp):
        yield f"wrong_effective_datetime: {_shown(taken)}"
    if _pressure(resource) != _pressure({"valueString": order.reading}):
        yield f"wrong_value_string: {_shown(resource.get('valueString', resource.get('component')))}"


def _drug(order: DrugOrder, resource: Mapping[str, Any]) -> Iterator[str]:
    yield from _ordered(order, resource)
    concept = mapping(resource.get("medicationCodeableConcept"))
    if _codes(concept, NDC) != {order.ndc}:
        yield f"wrong_medication_code: {_shown(concept)}"
    dosages, amounts = objects(resource.get("dosageInstruction")), objects(_dosage(resource).get("doseAndRate"))
    if len(dosages) > 1 or len(amounts) > 1:
        yield f"wrong_dose_count: {len(dosages)} instructions, {len(amounts)} doses"
        return
    if not _names(_dosage(resource).get("route")) & _ROUTES[order.route]:
        yield f"wrong_route: {_shown(_dosage(resource).get('route'))}"
    yield from _amount_faults(order, resource)


def _amount_faults(order: DrugOrder, resource: Mapping[str, Any]) -> Iterator[str]:
    dose, hours = dose_of(resource), hours_of(resource)
    written = _shown(_amount(resource).get("doseQuantity"))
    if dose is None or dose[1] != order.unit:
        yield f"wrong_dose_unit: {written}, {order.dose:g} {order.unit} wanted"
    elif abs(dose[0] - order.dose) > DOSE_TOLERANCE[order.unit]:
        yield f"wrong_dose_value: {written}, {order.dose:g} {order.unit} wanted"
    if order.hours is not None and (hours is None or not math.isclose(hours, order.hours, rel_tol=1e-3)):
        yield f"wrong_rate_value: {'no time' if hours is None else f'{hours:g} h'}, {order.hours:g} h wanted"


def _service(order: ServiceOrder, resource: Mapping[str, Any]) -> Iterator[str]:
    yield from _ordered(order, resource)
    yield from _said(resource, "priority", "stat")
    if _codes(resource.get("code"), order.system) != {order.code}:
        yield f"wrong_code_code: {_shown(resource.get('code'))}"
    if order.note is not None:
        note = resource.get("note")
        texts = [string(n.get("text")) for n in (objects(note) or [mapping(note)])]
        if not any(_folded(order.note) in _folded(text) for text in texts):
            yield "wrong_note_content" if note else "missing_note"
    if order.due is not None and not _is_in_hour(_starts(resource), order.due):
        yield f"wrong_occurrence_datetime: {_shown(_starts(resource))}"


def _ordered(order: DrugOrder | ServiceOrder, resource: Mapping[str, Any]) -> Iterator[str]:
    yield from _said(resource, "status", "active")
    yield from _said(resource, "intent", "order")
    yield from _subject(order, resource)
    if resource.get("doNotPerform") is True:
        yield "do_not_perform"
    if not _is_at(resource.get("authoredOn"), order.stamp):
        yield f"wrong_authored_on: {_shown(resource.get('authoredOn'))}"


def _said(resource: Mapping[str, Any], member: str, wanted: str) -> Iterator[str]:
    if resource.get(member) != wanted:
        yield f"wrong_{member}: {_shown(resource.get(member))}"


def _subject(order: Order, resource: Mapping[str, Any]) -> Iterator[str]:
    if subject_of(resource) != order.mrn:
        yield f"wrong_subject: {_shown(resource.get('subject'))}"


def _reference(resource: Mapping[str, Any]) -> str:
    return string(mapping(resource.get("subject")).get("reference"))


def _codes(concept: object, system: str) -> set[str]:
    return {string(c.get("code")) for c in objects(mapping(concept).get("coding")) if c.get("system") == system}


def _names(route: object) -> frozenset[str]:
    concept = {"text": route} if isinstance(route, str) else mapping(route)
    said = [concept.get("text")]
    said += [c.get(member) for c in objects(concept.get("coding")) for member in ("code", "display")]
    return frozenset(string(s).strip().casefold() for s in said)


def _dosage(resource: Mapping[str, Any]) -> Mapping[str, Any]:
    return next(iter(objects(resource.get("dosageInstruction"))), {})


def _amount(resource: Mapping[str, Any]) -> Mapping[str, Any]:
    return next(iter(objects(_dosage(resource).get("doseAndRate"))), {})


def _unit(quantity: Mapping[str, Any]) -> str:
    return (string(quantity.get("unit")) or string(quantity.get("code"))).strip().casefold()


def _pressure(resource: Mapping[str, Any]) -> tuple[float, float] | None:
    found = _PRESSURE.fullmatch(_folded(string(resource.get("valueString"))))
    if found:
        return float(found[1]), float(found[2])
    parts = {
        code: number(mapping(c.get("valueQuantity")).get("value"))
        for c in objects(resource.get("component"))
        for code in _codes(c.get("code"), "http://loinc.org")
    }
    above, below = parts.get(_SYSTOLIC), parts.get(_DIASTOLIC)
    return None if above is None or below is None else (above, below)


def _starts(resource: Mapping[str, Any]) -> object:
    return resource.get("occurrenceDateTime", mapping(resource.get("occurrencePeriod")).get("start"))


def _is_at(written: object, stamp: str) -> bool:
    moment = instant(string(written))
    return moment is not None and abs(moment - datetime.fromisoformat(stamp)) < SAME_MINUTE


def _is_in_hour(written: object, due: datetime) -> bool:
    moment = instant(string(written))
    return moment is not None and timedelta() <= moment - due < timedelta(hours=1)


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()


def _shown(value: object) -> str:
    """Short, and without going deep into what may be nested without end."""
    return reprlib.repr(value)
