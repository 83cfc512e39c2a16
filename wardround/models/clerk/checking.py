"""Why an order must not be made, or is needless: a documented allergy, an equal order in force."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wardround.models.clerk.charts import Resource, at, codes_in, named, names_of, reference
from wardround.models.clerk.drugs import clash
from wardround.models.clerk.intents import Case
from wardround.models.clerk.reading import Reader, in_force
from wardround.models.clerk.resources import type_of
from wardround.models.clerk.steps import Work
from wardround.models.clerk.wanted import Kind, Order
from wardround.models.clerk.wording import telling


@dataclass(frozen=True)
class Objection:
    """Why an order is not made."""

    reason: str
    answers: tuple[Any, ...]
    """What is to be answered for it."""


def objection_to(order: Order, patient: str, reader: Reader) -> Work[Objection | None]:
    """Return why an order is not made, or nothing.

    Allergies are looked at before every drug, where the protocol offers that; equal orders where the task says so.

    Args:
        order: What is to be ordered.
        patient: Id of the patient.
        reader: Reads the record.

    Raises:
        Stuck: Allergies or orders cannot be read.
    """
    if order.kind is Kind.DRUG and (order.spares_allergic or reader.kit.can_read_allergies):
        reason = yield from _allergy(order, patient, reader)
        if reason is not None:
            return Objection(reason, reader.task.stated.get(Case.ALLERGY, (f"not ordered: {reason}",)))
    if order.spares_duplicates:
        active = yield from reader.every(type_of(order), ("patient", patient), ("status", "active"))
        same = [resource for resource in in_force(active) if _is_same(resource, order)]
        if same:
            reason = f"an equal order is in force ({reference(same[0])})"
            return Objection(reason, reader.task.stated.get(Case.DUPLICATE, ()))
    return None


def _allergy(order: Order, patient: str, reader: Reader) -> Work[str | None]:
    found = yield from reader.every("AllergyIntolerance", ("patient", patient))
    drug = " ".join((order.words, order.code.name if order.code is not None else ""))
    for allergy in in_force(found):
        concepts = [*at(allergy, "code"), *at(allergy, "reaction", "substance")]
        allergen = ", ".join(name for concept in concepts for name in names_of(concept))
        why = clash(drug, allergen)
        if why is not None:
            return f"documented allergy to {allergen} ({reference(allergy)}): {why}"
    return None


def _is_same(resource: Resource, order: Order) -> bool:
    concepts = [*at(resource, "medicationCodeableConcept"), *at(resource, "code")]
    if order.code is not None and any(order.code.code in codes_in(concept) for concept in concepts):
        return True
    return is_named(resource, order.words)


def is_named(resource: Resource, said: str) -> bool:
    """Whether an order is what words name, by its name or code."""
    asked = telling(said)
    concepts = [*at(resource, "medicationCodeableConcept"), *at(resource, "code")]
    names = [*(name for concept in concepts for name in names_of(concept)), named(resource)]
    codes = {code.lower() for concept in concepts for code in codes_in(concept)}
    return bool(asked) and (
        any(asked <= telling(name) or telling(name) <= asked for name in names) or said.lower() in codes
    )
