"""One write against the published grader's demands on it, to the letter."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator
from typing import Any

from wardround.evals.medagentbench.orders import (
    NDC,
    PUBLISHED_CATEGORY,
    DrugOrder,
    Order,
    ReadingEntry,
    ServiceOrder,
    type_of,
)
from wardround.evals.medagentbench.transcript import Post

MEQ_TOLERANCE = 0.1
_ABSENT = object()


def problems(order: Order, post: Post, api_base: str) -> tuple[str, ...]:
    """Return everything the published grader would stumble over, each as `code: what stands there`.

    The grader itself stops at the first. Where it would raise, since something is not there or has another type, that
    is a problem like any other, as a raised exception is scored as wrong.
    """
    return tuple(_problems(order, post, api_base))


def _problems(order: Order, post: Post, api_base: str) -> Iterator[str]:
    payload = post.payload
    if post.url != f"{api_base.rstrip('/')}/{type_of(order)}":
        yield f"wrong_endpoint: {_shown(post.url)}"
    yield from _must_be(payload, "wrong_resource_type", type_of(order), "resourceType")
    yield from _must_be(payload, "wrong_subject", {"reference": f"Patient/{order.mrn}"}, "subject")
    match order:
        case ReadingEntry():
            yield from _reading(order, payload)
        case DrugOrder():
            yield from _ordered(payload)
            yield from _drug(order, payload)
        case ServiceOrder():
            yield from _ordered(payload)
            yield from _service(order, payload)


def _reading(order: ReadingEntry, payload: Any) -> Iterator[str]:
    if not _has_one(_at(payload, "category")):
        yield f"wrong_category_count: {_shown(_at(payload, 'category'))}"
    if not _has_one(_at(payload, "category", 0, "coding")):
        yield f"wrong_coding_count: {_shown(_at(payload, 'category', 0, 'coding'))}"
    triple = {"system": PUBLISHED_CATEGORY, "code": "vital-signs", "display": "Vital Signs"}
    coding = _at(payload, "category", 0, "coding", 0)
    if coding != triple:
        wrong = [member for member, value in triple.items() if _at(coding, member) != value]
        yield from (f"wrong_category_{member}: {_shown(_at(coding, member))}" for member in wrong or ["extra"])
    yield from _must_be(payload, "wrong_code_text", {"text": order.code}, "code")
    yield from _must_be(payload, "wrong_effective_datetime", order.stamp, "effectiveDateTime")
    yield from _must_be(payload, "wrong_status", "final", "status")
    yield from _must_be(payload, "wrong_value_string", order.reading, "valueString")


def _ordered(payload: Any) -> Iterator[str]:
    yield from _must_be(payload, "wrong_status", "active", "status")
    yield from _must_be(payload, "wrong_intent", "order", "intent")


def _drug(order: DrugOrder, payload: Any) -> Iterator[str]:
    coding = ("medicationCodeableConcept", "coding", 0)
    yield from _must_be(payload, "wrong_medication_system", NDC, *coding, "system")
    yield from _must_be(payload, "wrong_medication_code", order.ndc, *coding, "code")
    minute = order.stamp[: len("2023-11-13T10:15")]
    yield from _must_hold(payload, "wrong_authored_on", minute, "authoredOn")
    route = _at(payload, "dosageInstruction", 0, "route")
    said = route.lower().strip() if order.route == "oral" and isinstance(route, str) else route
    if said != order.route:
        yield f"wrong_route: {_shown(route)}"
    dose = ("dosageInstruction", 0, "doseAndRate", 0, "doseQuantity")
    if order.hours is None:
        if not _is_near(_at(payload, *dose, "value"), order.dose):
            yield f"wrong_dose_value: {_shown(_at(payload, *dose, 'value'))}, {order.dose:g} wanted"
        yield from _must_be(payload, "wrong_dose_unit", order.unit, *dose, "unit")
    else:
        rate = (*dose[:-1], "rateQuantity")
        yield from _quantity(payload, "dose", order.dose, order.unit, *dose)
        yield from _quantity(payload, "rate", order.hours, "h", *rate)


def _service(order: ServiceOrder, payload: Any) -> Iterator[str]:
    yield from _must_be(payload, "wrong_code_system", order.system, "code", "coding", 0, "system")
    yield from _must_be(payload, "wrong_code_code", order.code, "code", "coding", 0, "code")
    yield from _must_be(payload, "wrong_authored_on", order.stamp, "authoredOn")
    yield from _must_be(payload, "wrong_priority", "stat", "priority")
    if order.note is not None:
        is_there = _at(payload, "note") is not _ABSENT
        yield from _must_hold(payload, "wrong_note_content" if is_there else "missing_note", order.note, "note", "text")
    if order.due is not None:
        hour = order.due.isoformat()[: len("2023-11-14T08:")]
        yield from _must_hold(payload, "wrong_occurrence_datetime", hour, "occurrenceDateTime")


def _quantity(payload: Any, name: str, value: float, unit: str, *path: str | int) -> Iterator[str]:
    quantity = _at(payload, *path)
    if quantity == {"value": value, "unit": unit}:
        return
    members = {f"wrong_{name}_value": ("value", value), f"wrong_{name}_unit": ("unit", unit)}
    wrong = [code for code, (member, wanted) in members.items() if _at(quantity, member) != wanted]
    yield from (f"{code}: {_shown(quantity)}, {value:g} {unit} wanted" for code in wrong or [f"extra_in_{name}"])


def _must_be(payload: Any, code: str, wanted: object, *path: str | int) -> Iterator[str]:
    found = _at(payload, *path)
    if found != wanted:
        yield f"{code}: {_shown(found)}"


def _must_hold(payload: Any, code: str, wanted: str, *path: str | int) -> Iterator[str]:
    found = _at(payload, *path)
    try:
        is_in = wanted in found
    except TypeError:
        is_in = False
    if not is_in:
        yield f"{code}: {_shown(found)}"


def _at(value: Any, *path: str | int) -> Any:
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return _ABSENT
    return value


def _has_one(value: Any) -> bool:
    try:
        return len(value) == 1
    except TypeError:
        return False


def _is_near(value: Any, wanted: float) -> bool:
    try:
        return bool(abs(value - wanted) <= MEQ_TOLERANCE)
    except (TypeError, OverflowError):
        return False


def _shown(value: object) -> str:
    return "nothing" if value is _ABSENT else reprlib.repr(value)
