"""The definitions of a type, made ready for a walk over JSON: what each member must be, what must be there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from wardround.environments.fhir.definitions import Element, definitions
from wardround.environments.fhir.validation.invariants import INVARIANTS
from wardround.environments.fhir.validation.narrative import narrative_fault
from wardround.environments.fhir.validation.primitives import CHECKS, Check
from wardround.environments.fhir.validation.rules import Invariant


@dataclass(frozen=True, slots=True)
class Member:
    """One JSON member as the walk needs it."""

    name: str
    type: str
    is_list: bool
    choice: str | None
    check: Check | None
    """For a primitive, its check; None for an object."""
    codes: frozenset[str] | None
    targets: tuple[str, ...]
    profile: str | None


@dataclass(frozen=True, slots=True)
class Shape:
    """What a type or group of elements is made of."""

    name: str
    is_resource: bool
    members: dict[str, Member]
    required: tuple[tuple[str, tuple[str, ...]], ...]
    """Each required element, and the members that fulfil it."""
    invariants: tuple[Invariant, ...]


@cache
def shape_of(name: str) -> Shape:
    """Return the shape of a datatype, resource type or dotted group."""
    elements = definitions().elements[name]
    required: dict[str, list[str]] = {}
    for element in elements.values():
        if element.is_required:
            required.setdefault(element.choice or element.name, []).append(element.name)
    return Shape(
        name=name,
        is_resource=name in definitions().resources,
        members={key: _member(element) for key, element in elements.items()},
        required=tuple((label, tuple(_with_twins(names))) for label, names in required.items()),
        invariants=INVARIANTS.get(name, ()),
    )


def _with_twins(names: list[str]) -> list[str]:
    # A primitive may be given by an extension alone, which stands beside it under the name with an underscore.
    return names + [f"_{name}" for name in names]


def _member(element: Element) -> Member:
    return Member(
        name=element.name,
        type=element.type,
        is_list=element.is_list,
        choice=element.choice,
        check=narrative_fault if element.type == "xhtml" else CHECKS.get(element.type),
        codes=element.codes,
        targets=element.targets,
        profile=element.profile,
    )
