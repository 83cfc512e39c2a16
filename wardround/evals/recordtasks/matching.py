"""One written resource against one wanted: what differs in substance, whichever valid R4 form it was written in."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from wardround.environments.fhir.population.resources import ATC, LOINC, TERMINOLOGY
from wardround.evals.medagentbench.gold import instant
from wardround.evals.medagentbench.matching import SAME_MINUTE, dose_of, hours_of, subject_of
from wardround.evals.recordtasks.orders import NUCC, PERIODS, Correction, DrugOrder, Order, ServiceOrder, VitalEntry
from wardround.evals.recordtasks.reading import Resource, coded
from wardround.evals.recordtasks.vocabulary import ROUTES
from wardround.tools.fhir.access import mapping, number, objects, string

_GRAMS = {"g": 1.0, "mg": 1e-3}
_UNITS = {
    "mm[Hg]": {"mmhg", "mm hg"}, "/min": {"bpm", "1/min", "beats/min", "beats/minute", "breaths/min", "min-1"},
    "Cel": {"°c", "c", "degc", "degrees c", "celsius"}, "%": {"percent"}, "kg": {"kilogram", "kilograms"},
}  # fmt: skip
"""Other ways to write a unit, in lower case."""
_ROUTE_WORDS = {
    "oral": {"oral", "orally", "po", "p.o.", "by mouth", "oral use"},
    "intravenous": {"iv", "i.v.", "intravenous", "intravenously", "intravenous use"},
    "subcutaneous": {"sc", "s.c.", "subcut", "subcutaneous", "subcutaneously", "subcutaneous use"},
}
_ABBREVIATED = {"QD": 1.0, "BID": 2.0, "TID": 3.0, "QID": 4.0, "Q4H": 6.0, "Q6H": 4.0, "Q8H": 3.0, "Q12H": 2.0}
"""Doses a day by the codes of http://terminology.hl7.org/CodeSystem/v3-GTSAbbreviation."""
_CATEGORIES = (TERMINOLOGY + "observation-category", "http://hl7.org/fhir/observation-category")
_SPARED = frozenset({"meta", "text", "note", "statusReason", "issued", "extension", "implicitRules", "language"})
"""Members that a correction may change besides: they explain it, or the server keeps them."""


def differences(order: Order, resource: Resource) -> tuple[str, ...]:
    """Return what a resource says otherwise than an order, as `code: what it says`; nothing if it says the same.

    Further members, codings of other systems, texts and displays do not matter.
    """
    if resource.get("resourceType") != order.type:
        return (f"wrong_resource_type: {_shown(resource.get('resourceType'))}",)
    faults = _subject(order, resource)
    match order:
        case VitalEntry():
            return (*faults, *_vital(order, resource))
        case DrugOrder():
            return (*faults, *_ordered(order, resource), *_drug(order, resource))
        case ServiceOrder():
            return (*faults, *_ordered(order, resource), *_service(order, resource))


def miscorrections(correction: Correction, after: Resource) -> tuple[str, ...]:
    """Return what a changed resource says otherwise than wanted; nothing if it is what was wanted."""
    faults = list(_said(after, "status", correction.status))
    wanted = correction.after()
    if not _is_value(after.get("valueQuantity"), wanted.get("valueQuantity")):
        faults.append(f"wrong_value: {_shown(after.get('valueQuantity'))}")
    names = ({*wanted} | {*after}) - _SPARED - {"status", "valueQuantity"}
    faults += [f"changed_member: {name}" for name in sorted(names) if after.get(name) != wanted.get(name)]
    return tuple(faults)


def overdose(order: DrugOrder, resource: Resource) -> str | None:
    """Return how a drug would harm: more than the dose, more often, or faster than wanted; None if it would not."""
    dose, wanted = dose_of(resource), _dose(order)
    if dose is not None and dose[1] == wanted[1] and dose[0] > wanted[0] * 1.001:
        return f"{dose[0]:g} {dose[1]} for {wanted[0]:g} {wanted[1]}"
    often, hours = per_day(resource), hours_of(resource)
    if order.per_day is not None and often is not None and often > order.per_day * 1.001:
        return f"{often:g} times a day for {order.per_day:g}"
    if order.per_day is None and often is not None:
        return f"{often:g} times a day for once"
    if order.hours is not None and hours is not None and hours < order.hours * 0.999:
        return f"over {hours:g} h for {order.hours:g} h"
    return None


def per_day(resource: Resource) -> float | None:
    """Return how many doses a day a MedicationRequest asks for; None for a single dose, or where it is unsaid."""
    timing = mapping(_dosage(resource).get("timing"))
    code = mapping(timing.get("code"))
    said = [string(code.get("text")), *(string(c.get("code")) for c in objects(code.get("coding")))]
    for text in said:
        if text.strip().upper() in _ABBREVIATED:
            return _ABBREVIATED[text.strip().upper()]
    repeat = mapping(timing.get("repeat"))
    if number(repeat.get("count")) == 1:
        return None
    frequency, period = number(repeat.get("frequency", 1)), number(repeat.get("period"))
    days = PERIODS.get(string(repeat.get("periodUnit")))
    if frequency is None or not period or period < 0 or days is None:
        return None
    return frequency / (period * days)


def _vital(entry: VitalEntry, resource: Resource) -> Iterator[str]:
    yield from _said(resource, "status", "final")
    codings = [c for concept in objects(resource.get("category")) for c in objects(concept.get("coding"))]
    if not any(c.get("code") == "vital-signs" and c.get("system") in _CATEGORIES for c in codings):
        yield f"wrong_category_code: {_shown(resource.get('category'))}"
    if entry.code not in coded(resource.get("code"), LOINC):
        yield f"wrong_code_code: {_shown(resource.get('code'))}"
    taken = resource.get("effectiveDateTime", resource.get("effectiveInstant"))
    if not _is_at(taken, entry.time):
        yield f"wrong_effective_datetime: {_shown(taken)}"
    if entry.value is not None:
        yield from _measured(resource, entry.value, entry.unit)
    for code, value in entry.parts:
        part = [c for c in objects(resource.get("component")) if code in coded(c.get("code"), LOINC)]
        yield from _measured(part[0] if len(part) == 1 else {}, value, entry.unit)


def _measured(holder: Resource, value: float, unit: str) -> Iterator[str]:
    quantity = mapping(holder.get("valueQuantity"))
    found = number(quantity.get("value"))
    if found is None or not math.isclose(found, value, rel_tol=1e-6):
        yield f"wrong_value: {_shown(quantity)}, {value:g} wanted"
    said = {string(quantity.get(name)).strip() for name in ("code", "unit")} - {""}
    if not said or not all(s == unit or s.casefold() in {unit.casefold(), *_UNITS.get(unit, ())} for s in said):
        yield f"wrong_unit: {_shown(quantity)}, {unit} wanted"


def _drug(order: DrugOrder, resource: Resource) -> Iterator[str]:
    concept = resource.get("medicationCodeableConcept")
    if coded(concept, ATC) != {order.atc}:
        yield f"wrong_medication_code: {_shown(concept)}"
    dosages, amounts = objects(resource.get("dosageInstruction")), objects(_dosage(resource).get("doseAndRate"))
    if len(dosages) != 1 or len(amounts) != 1:
        yield f"wrong_dose_count: {len(dosages)} instructions, {len(amounts)} doses"
        return
    route = mapping(dosages[0].get("route"))
    said = {string(route.get("text")), *(string(c.get(m)) for c in objects(route.get("coding")) for m in _ROUTE_PARTS)}
    code, display = ROUTES[order.route]
    if not {s.strip().casefold() for s in said} & {code, display.casefold(), *_ROUTE_WORDS[order.route]}:
        yield f"wrong_route: {_shown(route)}"
    yield from _dosing(order, resource)


_ROUTE_PARTS = ("code", "display")


def _dosing(order: DrugOrder, resource: Resource) -> Iterator[str]:
    dose, wanted = dose_of(resource), _dose(order)
    if dose is None or dose[1] != wanted[1]:
        yield f"wrong_dose_unit: {_shown(_dosage(resource).get('doseAndRate'))}, {order.dose:g} {order.unit} wanted"
    elif not math.isclose(dose[0], wanted[0], rel_tol=1e-3):
        yield f"wrong_dose_value: {dose[0]:g} {dose[1]}, {wanted[0]:g} {wanted[1]} wanted"
    often, hours = per_day(resource), hours_of(resource)
    if order.per_day is not None and (often is None or not math.isclose(often, order.per_day, rel_tol=1e-3)):
        yield f"wrong_frequency: {_shown(_dosage(resource).get('timing'))}, {order.per_day:g} a day wanted"
    if order.hours is not None and (hours is None or not math.isclose(hours, order.hours, rel_tol=1e-3)):
        yield f"wrong_rate_value: {'no time' if hours is None else f'{hours:g} h'}, {order.hours:g} h wanted"
    if order.per_day is None and often is not None:
        yield f"wrong_frequency: {_shown(_dosage(resource).get('timing'))}, a single dose wanted"


def _service(order: ServiceOrder, resource: Resource) -> Iterator[str]:
    # R4 says that a missing priority means the normal one
    if resource.get("priority", "routine") != order.priority:
        yield f"wrong_priority: {_shown(resource.get('priority'))}"
    if coded(resource.get("code"), order.system) != {order.code}:
        yield f"wrong_code_code: {_shown(resource.get('code'))}"
    if order.performer is not None and order.performer not in coded(resource.get("performerType"), NUCC):
        yield f"wrong_performer: {_shown(resource.get('performerType'))}"
    if order.note is not None:
        texts = [string(n.get("text")) for n in objects(resource.get("note"))]
        if not any(_folded(order.note) in _folded(text) for text in texts):
            yield "wrong_note_content" if texts else "missing_note"
    if order.due is not None and not _is_at(_starts(resource), order.due):
        yield f"wrong_occurrence_datetime: {_shown(_starts(resource))}"


def _ordered(order: DrugOrder | ServiceOrder, resource: Resource) -> Iterator[str]:
    yield from _said(resource, "status", "active")
    yield from _said(resource, "intent", "order")
    if resource.get("doNotPerform") is True:
        yield "do_not_perform"
    if not _is_at(resource.get("authoredOn"), order.authored):
        yield f"wrong_authored_on: {_shown(resource.get('authoredOn'))}"


def _said(resource: Resource, member: str, wanted: str) -> Iterator[str]:
    if resource.get(member) != wanted:
        yield f"wrong_{member}: {_shown(resource.get(member))}"


def _subject(order: Order, resource: Resource) -> tuple[str, ...]:
    return () if subject_of(resource) == order.patient else (f"wrong_subject: {_shown(resource.get('subject'))}",)


def _dose(order: DrugOrder) -> tuple[float, str]:
    """As `dose_of` has it: grams, or milliequivalents, which millimoles of potassium chloride are."""
    return (order.dose, "mEq") if order.unit == "mmol" else (order.dose * _GRAMS[order.unit], "g")


def _dosage(resource: Resource) -> Mapping[str, Any]:
    return next(iter(objects(resource.get("dosageInstruction"))), {})


def _starts(resource: Resource) -> object:
    events = mapping(resource.get("occurrenceTiming")).get("event")
    timed = events[0] if isinstance(events, list) and len(events) == 1 else None
    return resource.get("occurrenceDateTime", mapping(resource.get("occurrencePeriod")).get("start", timed))


def _is_at(written: object, wanted: datetime) -> bool:
    moment = instant(string(written))
    return moment is not None and abs(moment - wanted) < SAME_MINUTE


def _is_value(given: object, wanted: object) -> bool:
    """Whether two Quantities are equal, a number with or without a point behind it."""
    if wanted is None:
        return given is None
    one, other = dict(mapping(given)), dict(mapping(wanted))
    values = number(one.pop("value", None)), number(other.pop("value", None))
    return one == other and None not in values and values[0] == values[1]


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()


def _shown(value: object) -> str:
    """Short, and without going deep into what may be nested without end."""
    return reprlib.repr(value)
