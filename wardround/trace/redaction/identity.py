"""What a FHIR R4 record says of who the patient is and who else is named: the identifiers to look for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from wardround.trace.redaction.classes import OLDEST, Identifier
from wardround.trace.redaction.dates import Shift
from wardround.trace.redaction.folding import folded
from wardround.trace.redaction.literals import Known
from wardround.trace.redaction.names import Entity
from wardround.trace.redaction.pseudonyms import Pseudonyms

Json = Mapping[str, Any]

PEOPLE = frozenset(("Patient", "RelatedPerson", "Practitioner", "Person"))
"""R4 resources whose `name` is a HumanName."""
_TELECOM = {"phone": Identifier.PHONE, "sms": Identifier.PHONE, "pager": Identifier.PHONE, "fax": Identifier.FAX,
            "email": Identifier.EMAIL, "url": Identifier.URL}  # fmt: skip
_TYPES = {
    "MR": Identifier.RECORD_NUMBER, "PI": Identifier.RECORD_NUMBER, "PT": Identifier.RECORD_NUMBER,
    "SS": Identifier.SOCIAL_SECURITY, "SB": Identifier.SOCIAL_SECURITY, "NH": Identifier.HEALTH_PLAN,
    "MB": Identifier.HEALTH_PLAN, "SN": Identifier.HEALTH_PLAN, "HC": Identifier.HEALTH_PLAN,
    "AN": Identifier.ACCOUNT, "BRN": Identifier.ACCOUNT, "DL": Identifier.LICENCE, "MD": Identifier.LICENCE,
    "LN": Identifier.LICENCE, "NPI": Identifier.LICENCE, "PPN": Identifier.LICENCE, "UDI": Identifier.DEVICE,
    "SNO": Identifier.DEVICE,
}  # fmt: skip
"""Class of an identifier by its type in HL7 v2 table 0203."""
_SUFFIXES = re.compile(
    r"\b(?:md|m\.d\.|phd|do|rn|np|pa|jr|sr|ii|iii|iv|esq|frcp|mrcp|mbbs|dr|prof|mr|mrs|ms|miss)\b\.?", re.I
)
_SHORTEST_DATE = 10
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:T.*)?")
_BORN_KEYS = frozenset(("birthDate",))
_WITHIN = frozenset(("wa", "ro", "bd", "lvl", "wi", "area"))
"""Location physical types inside a building: they name no place on the map."""


def objects(value: object) -> list[Any]:
    """Return the JSON objects of a list, or the one object."""
    found = value if isinstance(value, list) else [value]
    return [v for v in found if isinstance(v, dict)]


def strings(value: object) -> list[str]:
    """Return the texts of a list, or the one text; empty ones left out."""
    found = value if isinstance(value, list) else [value]
    return [v for v in found if isinstance(v, str) and v.strip()]


@dataclass
class Identity:
    """What a record gives away."""

    entities: list[Entity] = field(default_factory=list)
    known: Known = field(default_factory=Known)
    shifts: dict[str, Shift] = field(default_factory=dict)
    """By id of the patient."""


def learn(resources: Sequence[Json], names: Pseudonyms) -> Identity:
    """Go through a record, contained resources included.

    Patients come first among those who are named, then relatives, then clinicians, then places: where two have one
    name it is taken for that of the first.
    """
    every = [inner for resource in resources for inner in _with_contained(resource)]
    identity = Identity()
    patients = [r for r in every if r.get("resourceType") == "Patient"]
    several = len({str(r.get("id", "")) for r in patients}) > 1
    for resource in every:
        _learn_numbers(resource, identity.known)
    for patient in patients:
        identity.entities += _patient(patient, names, several=several)
        identity.shifts[str(patient.get("id", ""))] = _shift(patient, every, names, several=several)
    for kind, label in (("RelatedPerson", "RELATIVE"), ("Person", "PERSON"), ("Practitioner", "CLINICIAN")):
        people = [r for r in every if r.get("resourceType") == kind]
        identity.entities += [entity for r in people for entity in _person(r, names, label)]
    identity.entities += [e for r in every for e in _displayed(r, names)]
    identity.entities += [e for r in every for e in _places(r, names)]
    return identity


def _with_contained(resource: Json) -> Iterator[Json]:
    yield resource
    for inner in objects(resource.get("contained")):
        yield from _with_contained(inner)


def person_label(kind: str, name: str, names: Pseudonyms) -> str:
    """Return what stands for a person in texts."""
    return f"[{kind}-{names.mark(name)}]"


def _patient(patient: Json, names: Pseudonyms, *, several: bool) -> Iterator[Entity]:
    name = str(patient.get("id", ""))
    yield _entity(objects(patient.get("name")), person_label("PATIENT", name, names) if several else "[PATIENT]")
    for n, contact in enumerate(objects(patient.get("contact"))):
        yield _entity(objects(contact.get("name")), person_label("RELATIVE", f"{name}/{n}", names))
    for extension in objects(patient.get("extension")):
        if str(extension.get("url", "")).endswith("mothersMaidenName"):
            yield Entity("[RELATIVE]", family=tuple(strings(extension.get("valueString"))))


def _person(resource: Json, names: Pseudonyms, label: str) -> Iterator[Entity]:
    name = person_label(label, str(resource.get("id", "")), names)
    yield _entity(objects(resource.get("name")), name, is_clinician=label == "CLINICIAN")


def _entity(human: Sequence[Json], replacement: str, *, is_clinician: bool = False) -> Entity:
    given = [g for name in human for g in strings(name.get("given"))]
    family = [f for name in human for f in strings(name.get("family"))]
    for name in human:
        if not name.get("family") and not name.get("given"):
            there = _of_text(str(name.get("text") or ""))
            given, family = [*given, *there[0]], [*family, *there[1]]
    return Entity(replacement, given=tuple(given), family=tuple(family), is_clinician=is_clinician)


def _of_text(text: str) -> tuple[list[str], list[str]]:
    """Given and family names of a name in one piece: `Doe, John` or `Dr John Doe MD`."""
    plain = _SUFFIXES.sub(" ", text)
    if "," in plain:
        family, _, given = plain.partition(",")
        return given.split(), [family.strip()] if family.strip() else []
    parts = [part for part in plain.split() if part.strip(".")]
    return parts[:-1], parts[-1:]


_PERSON_REFERENCE = re.compile(
    r"(?:^|/)(?P<type>Patient|RelatedPerson|Practitioner|Person)/(?P<id>[A-Za-z0-9.-]{1,64})$"
)
_LABELS = {"Patient": "PATIENT", "RelatedPerson": "RELATIVE", "Practitioner": "CLINICIAN", "Person": "PERSON"}


def _displayed(value: object, names: Pseudonyms) -> Iterator[Entity]:
    """People who are only named as the display of a reference."""
    if isinstance(value, Mapping):
        reference, display = value.get("reference"), value.get("display")
        match = _PERSON_REFERENCE.search(reference) if isinstance(reference, str) else None
        if match is not None and isinstance(display, str) and display.strip():
            given, family = _of_text(display)
            label = person_label(_LABELS[match["type"]], match["id"], names)
            is_clinician = match["type"] == "Practitioner"
            yield Entity(label, given=tuple(given), family=tuple(family), is_clinician=is_clinician)
        for inner in value.values():
            if isinstance(inner, dict | list):
                yield from _displayed(inner, names)
    elif isinstance(value, list):
        for inner in value:
            if isinstance(inner, dict | list):
                yield from _displayed(inner, names)


def _places(resource: Json, names: Pseudonyms) -> Iterator[Entity]:
    for address in addresses(resource):
        towns = [t for t in (*strings(address.get("city")), *strings(address.get("district"))) if len(t) > 2]
        if towns:
            yield Entity("[PLACE]", Identifier.PLACE, whole=tuple(towns))
    if resource.get("resourceType") in ("Organization", "Location") and names_a_place(resource):
        told = [*strings(resource.get("name")), *strings(resource.get("alias"))]
        label = person_label("PLACE", str(resource.get("id", "")), names)
        proper = tuple(name for name in told if len(name.split()) > 1)
        if proper:
            yield Entity(label, Identifier.PLACE, whole=proper)


def names_a_place(resource: Json) -> bool:
    """Whether the name of an Organization or Location is one on the map, and not that of a ward or department."""
    if resource.get("resourceType") == "Location":
        codes = _codes(resource.get("physicalType"))
        return not codes & _WITHIN
    return "dept" not in {code for t in objects(resource.get("type")) for code in _codes(t)}


def _codes(concept: object) -> set[str]:
    return {str(c.get("code")) for k in objects(concept) for c in objects(k.get("coding"))}


def addresses(resource: Json) -> Iterator[Json]:
    """Yield the addresses of a resource and of its contacts."""
    yield from objects(resource.get("address"))
    for contact in objects(resource.get("contact")):
        yield from objects(contact.get("address"))


def _learn_numbers(resource: Json, known: Known) -> None:
    if isinstance(resource.get("id"), str):
        known.ids.add(resource["id"])
    for identifier in identifiers(resource):
        for value in strings(identifier.get("value")):
            known.codes.setdefault(folded(value).text, category(identifier))
    for point in (
        *objects(resource.get("telecom")),
        *(t for c in objects(resource.get("contact")) for t in objects(c.get("telecom"))),
    ):
        _learn_telecom(point, known)
    for address in addresses(resource):
        known.postal |= set(strings(address.get("postalCode")))
        for line in strings(address.get("line")):
            known.phrases.setdefault(line, Identifier.PLACE)
            street = re.sub(r"^\W*\d+\w?\W+", "", line)
            if len(street.split()) > 1:
                known.phrases.setdefault(street, Identifier.PLACE)


def _learn_telecom(point: Json, known: Known) -> None:
    kind = telecom_category(point)
    for value in strings(point.get("value")):
        digits = re.sub(r"\D", "", value)
        if kind in (Identifier.PHONE, Identifier.FAX) and len(digits) >= 7:
            known.phones.setdefault(digits, kind)
        else:
            known.phrases.setdefault(value, kind)


def telecom_category(point: Json) -> Identifier:
    """Return the class of a ContactPoint by its system."""
    return _TELECOM.get(str(point.get("system")), Identifier.PHONE)


def identifiers(value: object) -> Iterator[Json]:
    """Yield all Identifiers of a resource: objects under an element whose name ends so."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key.lower().endswith("identifier") or key in ("requisition", "valueIdentifier"):
                yield from objects(inner)
            if isinstance(inner, dict | list):
                yield from identifiers(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from identifiers(inner)


def category(identifier: Json) -> Identifier:
    """Return the class of an Identifier by its type or system."""
    for code in _codes(identifier.get("type")):
        if code in _TYPES:
            return _TYPES[code]
    system = str(identifier.get("system", "")).lower()
    if "ssn" in system or system.endswith("2.16.840.1.113883.4.1"):
        return Identifier.SOCIAL_SECURITY
    return Identifier.RECORD_NUMBER if "mrn" in system else Identifier.OTHER


def _shift(patient: Json, resources: Iterable[Json], names: Pseudonyms, *, several: bool) -> Shift:
    name = str(patient.get("id", ""))
    own = [r for r in resources if not several or r is patient or owner(r) in (name, None)]
    days = sorted({day for resource in own for day in _days(resource)})
    born = _day(patient.get("birthDate"))
    died = _day(patient.get("deceasedDateTime"))
    latest = died or max(days, default=None)
    is_old = born is not None and latest is not None and _years(born, latest) >= OLDEST
    return Shift(names.days(name), born, is_old=is_old, latest=latest, known=frozenset(days))


def _years(born: date, at: date) -> int:
    return at.year - born.year - ((at.month, at.day) < (born.month, born.day))


def _days(value: object) -> Iterator[date]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key not in _BORN_KEYS:
                yield from _days(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _days(inner)
    elif isinstance(value, str) and _DATE.fullmatch(value):
        day = _day(value)
        if day is not None:
            yield day


def _day(value: object) -> date | None:
    if not isinstance(value, str):
        return None
    whole = value[:_SHORTEST_DATE] if len(value) >= _SHORTEST_DATE else f"{value}-01-01"[:_SHORTEST_DATE]
    try:
        return date.fromisoformat(whole)
    except ValueError:
        return None


_PATIENT = re.compile(r"(?:^|/)Patient/(?P<id>[A-Za-z0-9.-]{1,64})(?:$|/)")


def owner(resource: Json) -> str | None:
    """Return the id of the patient whom a resource is about; nothing for shared ones."""
    if resource.get("resourceType") == "Patient":
        return str(resource.get("id", ""))
    for key in ("subject", "patient", "beneficiary", "individual", "for", "policyHolder"):
        for reference in objects(resource.get(key)):
            match = _PATIENT.search(str(reference.get("reference", "")))
            if match is not None:
                return match["id"]
    for key in ("participant", "target", "entity"):
        for part in objects(resource.get(key)):
            match = _PATIENT.search(str(part.get("reference") or _reference(part)))
            if match is not None:
                return match["id"]
    return None


def _reference(part: Json) -> str:
    for key in ("actor", "what", "member"):
        for inner in objects(part.get(key)):
            return str(inner.get("reference", ""))
    return ""
