"""A valid resource, changed at one place in a way that R4 does not allow, is refused, and the place is named."""

import copy
import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from wardround.environments.fhir.definitions import SUPPORTED, Element, definitions
from wardround.environments.fhir.validation.validator import validate

Resource = dict[str, Any]
Step = str | int

PACKAGE = Path(os.environ.get("WARDROUND_R4_EXAMPLES", "/nowhere"))
PER_KIND = 15
"""Mutants of each kind drawn from each example."""
BREAKING = ("MedicationRequest-medrx0301.json", "Observation-clinical-gender.json")
"""Official examples that are not valid as they are."""


@dataclass(frozen=True)
class Place:
    """A member of an object in a resource."""

    steps: tuple[Step, ...]
    """The way to the object."""
    path: str
    """The object's FHIRPath."""
    group: str
    name: str


@dataclass(frozen=True)
class Mutation:
    """A change of one member: its new value, or None to take it away; and the place that must be named."""

    kind: str
    place: Place
    value: Any
    expected: str
    also_gone: tuple[str, ...] = ()


def elements(group: str) -> dict[str, Element]:
    return dict(definitions().elements[group])


def objects(node: Resource, group: str, steps: tuple[Step, ...], path: str) -> Iterator[tuple[Resource, Place]]:
    """Every object of a resource, with its type."""
    yield node, Place(steps, path, group, "")
    for name, value in node.items():
        element = elements(group).get(name)
        if element is None:
            continue
        for place, item in enumerate(value) if isinstance(value, list) else ((None, value),):
            if isinstance(item, dict):
                inner = item["resourceType"] if element.type == "Resource" else element.type
                index = () if place is None else (place,)
                at = f"{path}.{name}" + ("" if place is None else f"[{place}]")
                yield from objects(item, inner, (*steps, name, *index), at)


def mutations(resource: Resource) -> Iterator[Mutation]:
    kind = resource["resourceType"]
    for node, where in objects(resource, kind, (), kind):
        yield from of_object(node, where)
        for name in node:
            element = elements(where.group).get(name)
            if element is not None:
                place = Place(where.steps, where.path, where.group, name)
                yield from of_member(node, place, element)


def of_object(node: Resource, where: Place) -> Iterator[Mutation]:
    unknown = Place(where.steps, where.path, where.group, "unheardOf")
    yield Mutation("an unknown member", unknown, "x", f"{where.path}.unheardOf")
    required: dict[str, list[str]] = {}
    for element in elements(where.group).values():
        if element.is_required:
            required.setdefault(element.choice or element.name, []).append(element.name)
    for label, names in required.items():
        gone = tuple(each for name in names for each in (name, f"_{name}") if each in node)
        place = Place(where.steps, where.path, where.group, gone[0])
        is_left_empty = node.keys() - gone <= {"id"}
        expected = where.path if is_left_empty else f"{where.path}.{label}"
        yield Mutation("a required member taken away", place, None, expected, gone)
    yield from of_choices(node, where)


def of_choices(node: Resource, where: Place) -> Iterator[Mutation]:
    for name in node:
        choice = elements(where.group)[name].choice if name in elements(where.group) else None
        others = [each.name for each in elements(where.group).values() if choice and each.choice == choice]
        for other in others:
            if other not in node and SAMPLES.get(elements(where.group)[other].type) is not None:
                place = Place(where.steps, where.path, where.group, other)
                sample = SAMPLES[elements(where.group)[other].type]
                yield Mutation("two of a choice", place, sample, f"{where.path}.{other}")


SAMPLES: dict[str, Any] = {
    "boolean": True,
    "string": "a",
    "dateTime": "2023",
    "integer": 1,
    "Period": {"start": "2023"},
    "CodeableConcept": {"text": "a"},
    "Quantity": {"value": 1},
    "Range": {"low": {"value": 1}},
}
DATES = ("2023-13-01", "2023-02-30", "01/05/2023", "2023-05-01T10:00:00", "2023-05-01T10:00Z", "yesterday")


def of_member(node: Resource, place: Place, element: Element) -> Iterator[Mutation]:
    value = node[place.name]
    at = f"{place.path}.{place.name}"
    first = f"{at}[0]" if element.is_list else at

    def changed(kind: str, new: Any, expected: str = first) -> Mutation:
        return Mutation(kind, place, [new, *value[1:]] if element.is_list else new, expected)

    yield Mutation("one for a list, or a list for one", place, value[0] if element.is_list else [value], at)
    yield changed("null", None)
    if element.is_list:
        yield Mutation("an empty list", place, [], at)
    if element.type in definitions().elements or element.type == "Resource":
        yield changed("text for an object", "text")
        if element.type != "Resource":
            yield changed("an empty object", {})
    else:
        yield from (changed("another JSON type", new) for new in other_types(element.type))
        yield changed("empty text", "")
    if element.codes is not None:
        new = "no-such-code" if element.type == "code" else {"coding": [{"system": "urn:x", "code": "no-such-code"}]}
        yield changed("a code of no value set", new)
    if element.type in ("date", "dateTime", "instant"):
        yield from (changed("a bad date", each) for each in DATES if element.type != "date" or "T" not in each)
    if element.type == "id":
        yield changed("a bad id", "a_b")
        yield changed("a bad id", "a" * 65)
    if element.type == "Reference":
        yield changed("a contained resource that is not there", {"reference": "#nobody"}, f"{first}.reference")
        yield changed("a malformed reference", {"reference": "not a ref!!"}, f"{first}.reference")
        if element.targets:
            wrong = next(name for name in ("Medication", "Patient", "Slot") if name not in element.targets)
            yield changed("a reference to another type", {"reference": f"{wrong}/1"}, f"{first}.reference")
            yield changed("a reference that says another type", {"type": wrong}, f"{first}.type")


def other_types(type_: str) -> tuple[Any, ...]:
    if type_ == "boolean":
        return "true", 1
    if type_ in ("integer", "positiveInt", "unsignedInt"):
        return "1", 1.5, True
    return ("7.1", True) if type_ == "decimal" else (5, True, {"a": 1})


def mutant(resource: Resource, mutation: Mutation) -> Resource:
    changed = copy.deepcopy(resource)
    node: Any = changed
    for step in mutation.place.steps:
        node = node[step]
    for name in mutation.also_gone:
        del node[name]
    if not mutation.also_gone:
        node[mutation.place.name] = mutation.value
    return changed


def tried(name: str, resource: Resource, limit: int | None) -> Counter[str]:
    """Try mutants of each kind, all of them or as many as the limit says; count them by kind."""
    by_kind: dict[str, list[Mutation]] = {}
    for each in mutations(resource):
        by_kind.setdefault(each.kind, []).append(each)
    draw = random.Random(name)
    for found in by_kind.values():
        for each in found if limit is None else draw.sample(found, min(limit, len(found))):
            issues = validate(mutant(resource, each))
            named = {place for issue in issues if issue.severity == "error" for place in issue.expression}
            assert each.expected in named, (name, each, issues)
    return Counter({kind: len(found) for kind, found in by_kind.items()})


OWN: list[Resource] = [
    {
        "resourceType": "Observation",
        "id": "bp",
        "meta": {"profile": ["http://hl7.org/fhir/StructureDefinition/vitalsigns"]},
        "contained": [{"resourceType": "Device", "id": "cuff", "status": "active"}],
        "status": "final",
        "category": [{"coding": [{"system": "urn:category", "code": "vital-signs"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "85354-9"}], "text": "blood pressure"},
        "subject": {"reference": "Patient/1", "display": "a patient"},
        "effectiveDateTime": "2023-05-01T10:00:00+02:00",
        "issued": "2023-05-01T10:05:00.000Z",
        "device": {"reference": "#cuff"},
        "referenceRange": [{"low": {"value": 90}, "high": {"value": 140}, "appliesTo": [{"text": "adults"}]}],
        "component": [
            {
                "code": {"text": "systolic"},
                "valueQuantity": {
                    "value": 120,
                    "unit": "mm[Hg]",
                    "system": "http://unitsofmeasure.org",
                    "code": "mm[Hg]",
                },
            },
            {"code": {"text": "diastolic"}, "dataAbsentReason": {"text": "not heard"}},
        ],
    },
    {
        "resourceType": "Patient",
        "id": "p-1",
        "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">A patient</div>'},
        "extension": [{"url": "http://example.org/tribe", "valueCodeableConcept": {"text": "none"}}],
        "identifier": [{"use": "usual", "system": "urn:mrn", "value": "1", "assigner": {"display": "Ward"}}],
        "active": True,
        "name": [{"use": "official", "family": "Doe", "given": ["Jane", "Q"]}],
        "telecom": [{"system": "phone", "value": "555", "use": "home", "rank": 1}],
        "gender": "female",
        "birthDate": "1970-01-01",
        "_birthDate": {"extension": [{"url": "http://example.org/time", "valueDateTime": "1970-01-01T03:00:00Z"}]},
        "deceasedBoolean": False,
        "address": [{"use": "home", "type": "physical", "line": ["1 Main St"], "period": {"start": "2001"}}],
        "contact": [{"relationship": [{"text": "mother"}], "name": {"text": "M"}, "gender": "female"}],
        "communication": [{"language": {"text": "English"}, "preferred": True}],
        "generalPractitioner": [{"reference": "Practitioner/1", "type": "Practitioner"}],
        "link": [{"other": {"reference": "Patient/2"}, "type": "seealso"}],
    },
    {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "priority": "stat",
        "medicationCodeableConcept": {"text": "magnesium sulfate"},
        "subject": {"reference": "Patient/1"},
        "authoredOn": "2023-05-01",
        "dosageInstruction": [
            {
                "sequence": 1,
                "asNeededBoolean": False,
                "route": {"text": "IV"},
                "timing": {"repeat": {"frequency": 1, "period": 8, "periodUnit": "h", "timeOfDay": ["10:00:00"]}},
                "doseAndRate": [{"doseQuantity": {"value": 2, "unit": "g"}}],
            }
        ],
        "dispenseRequest": {"numberOfRepeatsAllowed": 0, "quantity": {"value": 2}},
        "substitution": {"allowedBoolean": True},
    },
    {
        "resourceType": "Condition",
        "clinicalStatus": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]
        },
        "code": {"text": "asthma"},
        "subject": {"reference": "Patient/1"},
        "onsetAge": {"value": 6, "system": "http://unitsofmeasure.org", "code": "a"},
        "evidence": [{"detail": [{"reference": "Observation/1"}]}],
        "note": [{"authorReference": {"reference": "Practitioner/1"}, "time": "2023", "text": "since childhood"}],
    },
]


@pytest.mark.parametrize("resource", OWN, ids=[each["resourceType"] for each in OWN])
def test_each_single_change_of_a_resource_is_refused_at_its_place(resource: Resource) -> None:
    assert validate(resource) == []
    assert tried(resource["resourceType"], resource, None).total() > 100


@pytest.mark.slow
@pytest.mark.skipif(
    not PACKAGE.is_dir(),
    reason="WARDROUND_R4_EXAMPLES names no folder with the unpacked npm package hl7.fhir.r4.examples",
)
@pytest.mark.parametrize("type_", SUPPORTED)
def test_each_single_change_of_an_official_example_is_refused_at_its_place(type_: str) -> None:
    count: Counter[str] = Counter()
    for path in sorted(PACKAGE.glob(f"{type_}-*.json")):
        resource = json.loads(path.read_text("utf-8"), parse_float=Decimal)
        if resource["resourceType"] == type_ and path.name not in BREAKING:
            count += tried(path.name, resource, PER_KIND)
    assert len(count) >= 10, count
