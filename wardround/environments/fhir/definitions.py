"""What FHIR R4 (4.0.1) says of its types: elements, search parameters and compartments.

The facts are in `r4.json`, which `scripts/generate_r4.py` makes from the official definitions (CC0-1.0). Its sections:

- `resources`: the names of all resource types;
- `codes`: the codes of each required binding, by the last part of the value set's address; a name that ends in `|`
  lists `system|code`;
- `elements`: by type or dotted group, each member as `TYPE[,TYPE...] MIN..MAX [=CODES]`, a type as
  `Reference(Patient|Group)` where what it may point to is limited, as `Quantity(SimpleQuantity)` where a profile is;
- `parameters`: by served type and name, `type`, `paths` (path, type, and the field and value of a filter), `targets`
  and `computed`;
- `compartments`: by compartment and served type, the parameters that put a resource into it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

SUPPORTED: tuple[str, ...] = (
    "AllergyIntolerance",
    "Appointment",
    "AuditEvent",
    "CarePlan",
    "ClinicalImpression",
    "Communication",
    "Condition",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "ImagingStudy",
    "Immunization",
    "Location",
    "Medication",
    "MedicationAdministration",
    "MedicationRequest",
    "MedicationStatement",
    "Observation",
    "Organization",
    "Patient",
    "Practitioner",
    "PractitionerRole",
    "Procedure",
    "Provenance",
    "RiskAssessment",
    "ServiceRequest",
    "Task",
)
"""The resource types that the sandbox serves."""

COMMON: Mapping[str, str] = {
    "_id": "token",
    "_lastUpdated": "date",
    "_profile": "uri",
    "_security": "token",
    "_source": "uri",
    "_tag": "token",
}
"""The search parameters of every resource type, with their types; they read `id` and `meta`."""

T = TypeVar("T")
_POINTING = ("Reference", "canonical")


@dataclass(frozen=True)
class Element:
    """One JSON member of a type; a choice such as `value[x]` is there once for each of its types."""

    name: str
    """The JSON member: `valueQuantity`."""
    type: str
    """A FHIR type (`CodeableConcept`, `code`, `Reference`), or the dotted name of a group (`Observation.component`)."""
    is_list: bool
    is_required: bool
    """At least one must be given; for a choice, at least one of its members."""
    choice: str | None
    """The base name of the choice it belongs to (`value`)."""
    codes: frozenset[str] | None
    """The codes of a required binding; of a CodeableConcept as `system|code`. None: no such binding, or no list."""
    targets: tuple[str, ...]
    """The resource types that a Reference or canonical may point to; empty for any."""
    profile: str | None = None
    """A profile of the datatype that the definition asks for: `SimpleQuantity`."""


@dataclass(frozen=True)
class IndexPath:
    """One place in a resource that a search parameter reads."""

    path: str
    """Dotted JSON path from the resource, choices made concrete: `component.valueQuantity`."""
    type: str
    """The FHIR type at its end."""
    where: tuple[str, str] | None
    """A member and the value it must have: `("system", "phone")`."""


@dataclass(frozen=True)
class SearchParameter:
    """A search parameter as it applies to one resource type."""

    name: str
    type: str
    """token, reference, date, string, quantity, number, uri, composite or special."""
    paths: tuple[IndexPath, ...]
    """Empty for a computed parameter, and for a composite or special one."""
    targets: tuple[str, ...]
    """For a reference, the resource types it may point to; empty for any."""
    is_computed: bool
    """Its expression is no path: the server needs a function for it."""
    description: str = ""


@dataclass(frozen=True)
class ResourceType:
    """A served resource type and its own search parameters, without the common ones."""

    name: str
    parameters: Mapping[str, SearchParameter]


@dataclass(frozen=True)
class Definitions:
    """All that the sandbox knows of R4."""

    elements: Mapping[str, Mapping[str, Element]]
    """By datatype, resource type or dotted group, then by JSON member."""
    types: Mapping[str, ResourceType]
    """The served types."""
    compartments: Mapping[str, Mapping[str, tuple[str, ...]]]
    """By compartment (Patient, Practitioner, Encounter) and served type, the parameters that put it there."""
    resources: frozenset[str]
    """The names of all R4 resource types, served or not."""


class _Lazy(Mapping[str, T]):
    """A mapping whose values are made when first asked for: few of the 700 groups are needed at a time."""

    def __init__(self, raw: Mapping[str, Any], make: Callable[[str, Any], T]) -> None:
        self._raw = raw
        self._make = make
        self._made: dict[str, T] = {}

    def __getitem__(self, key: str) -> T:
        try:
            return self._made[key]
        except KeyError:
            made = self._made[key] = self._make(key, self._raw[key])
            return made

    def __contains__(self, key: object) -> bool:
        return key in self._raw

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)


@cache
def definitions() -> Definitions:
    """Return the definitions, read once."""
    raw = json.loads(Path(__file__).with_name("r4.json").read_bytes())
    codes = _Lazy(raw["codes"], lambda _, listed: frozenset(listed))
    return Definitions(
        elements=_Lazy(raw["elements"], lambda _, members: _elements(members, codes)),
        types=_Lazy(raw["parameters"], _resource_type),
        compartments={
            name: {base: tuple(names) for base, names in entries.items()}
            for name, entries in raw["compartments"].items()
        },
        resources=frozenset(raw["resources"]),
    )


def _elements(members: Mapping[str, str], codes: Mapping[str, frozenset[str]]) -> dict[str, Element]:
    return {each.name: each for name, described in members.items() for each in _element(name, described, codes)}


def _element(name: str, described: str, codes: Mapping[str, frozenset[str]]) -> Iterator[Element]:
    types, cardinality, *bound = described.split(" ")
    choice = name.removesuffix("[x]") if name.endswith("[x]") else None
    for written in types.split(","):
        type_, _, inside = written.partition("(")
        limits = tuple(inside.rstrip(")").split("|")) if inside else ()
        yield Element(
            name=name if choice is None else choice + type_[0].upper() + type_[1:],
            type=type_,
            is_list=cardinality.endswith("*"),
            is_required=not cardinality.startswith("0"),
            choice=choice,
            codes=codes[bound[0][1:]] if bound else None,
            targets=limits if type_ in _POINTING else (),
            profile=limits[0] if limits and type_ not in _POINTING else None,
        )


def _resource_type(name: str, parameters: Mapping[str, Any]) -> ResourceType:
    return ResourceType(name, {each: _parameter(each, raw) for each, raw in parameters.items()})


def _parameter(name: str, raw: Mapping[str, Any]) -> SearchParameter:
    return SearchParameter(
        name=name,
        type=raw["type"],
        paths=tuple(
            IndexPath(path, type_, (where[0], where[1]) if where else None)
            for path, type_, *where in raw.get("paths", ())
        ),
        targets=tuple(raw.get("targets", ())),
        is_computed=raw.get("computed", False),
    )
