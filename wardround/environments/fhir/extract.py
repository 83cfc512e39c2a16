"""What the index holds of a resource: its search values, read from the paths of the definitions."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from wardround.environments.fhir.dates import Range, date_range, period_range
from wardround.environments.fhir.definitions import IndexPath, SearchParameter, definitions

Resource = Mapping[str, Any]
ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_UNBOUNDED = float("inf")
_RELATIVE = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]+)?")


@dataclass
class IndexRows:
    """Search values of one resource, each with the number of the path it was read from."""

    token: set[tuple[int, str, str]] = field(default_factory=set)
    """(path, system, code)"""
    reference: set[tuple[int, str, str]] = field(default_factory=set)
    """(path, type, id); a reference that is no Type/id has the type "" and its URI as id."""
    date: set[tuple[int, int, int]] = field(default_factory=set)
    """(path, first, last microsecond)"""
    string: set[tuple[int, str, str]] = field(default_factory=set)
    """(path, folded, exact)"""
    quantity: set[tuple[int, float, float, str, str, str]] = field(default_factory=set)
    """(path, lowest, highest value, system, code, unit)"""
    uri: set[tuple[int, str]] = field(default_factory=set)
    """(path, value)"""
    bare: set[int] = field(default_factory=set)
    """Paths at which there is something that cannot be searched by, such as a code in words alone: not missing."""
    base: str = ""
    """Base URL of the server that holds the resource."""

    def paths(self) -> set[int]:
        """Return the numbers of the paths that have a value."""
        tables = (self.token, self.reference, self.date, self.string, self.quantity, self.uri)
        return {row[0] for table in tables for row in table}


COMMON_PATHS: Mapping[str, tuple[str, IndexPath]] = {
    "_tag": ("token", IndexPath("meta.tag", "Coding", None)),
    "_security": ("token", IndexPath("meta.security", "Coding", None)),
    "_profile": ("uri", IndexPath("meta.profile", "canonical", None)),
    "_source": ("uri", IndexPath("meta.source", "uri", None)),
}
"""Search parameters of every type that read a place: their kind and the place."""

Emit = Callable[[IndexRows, int, Any], None]


@dataclass(frozen=True)
class IndexedPath:
    """A path that is indexed, as one kind of search value."""

    number: int
    kind: str
    """Type of the search parameters that read it."""
    path: IndexPath
    parts: tuple[str, ...]
    emit: Emit


@cache
def indexed_paths(type_: str) -> tuple[IndexedPath, ...]:
    """Return what is indexed of a resource type; parameters that read one place share its entry."""
    kinds: dict[tuple[str, IndexPath], None] = {}
    for parameter in definitions().types[type_].parameters.values():
        kinds |= dict.fromkeys((_kind(parameter.type), path) for path in parameter.paths)
    kinds |= dict.fromkeys((kind, path) for kind, path in COMMON_PATHS.values())
    return tuple(
        IndexedPath(path_number(type_, kind, path), kind, path, tuple(path.path.split(".")), _emitter(kind, path))
        for kind, path in kinds
    )


_NUMBERS: dict[str, int] = {}


def path_key(type_: str, kind: str, path: IndexPath) -> str:
    """Return the name under which a database knows a path."""
    where = f"[{path.where[0]}={path.where[1]}]" if path.where else ""
    return f"{type_}.{path.path}{where}:{kind}"


@cache
def path_number(type_: str, kind: str, path: IndexPath) -> int:
    """Return a number for a path that is the same on every machine: the position in the sorted definitions."""
    if not _NUMBERS:
        _NUMBERS.update((key, n) for n, key in enumerate(sorted(set(_all_keys())), start=1))
    return _NUMBERS[path_key(type_, kind, path)]


def _all_keys() -> Iterator[str]:
    for name, type_ in definitions().types.items():
        for parameter in type_.parameters.values():
            paths = (_computed_path(parameter.name),) if parameter.is_computed else parameter.paths
            for path in paths:
                yield path_key(name, _kind(parameter.type), path)
        for kind, path in COMMON_PATHS.values():
            yield path_key(name, kind, path)


def _kind(type_: str) -> str:
    return "quantity" if type_ == "number" else type_


def parameter_paths(type_: str, parameter: SearchParameter) -> tuple[int, ...]:
    """Return the numbers of the paths that a parameter reads; none if it is not implemented."""
    if parameter.is_computed:
        return (path_number(type_, parameter.type, _computed_path(parameter.name)),)
    return tuple(path_number(type_, _kind(parameter.type), path) for path in parameter.paths)


def _computed_path(name: str) -> IndexPath:
    return IndexPath(name, "boolean", None)


def index_rows(resource: Resource, *, base: str = "") -> IndexRows:
    """Return all search values of a resource.

    Args:
        resource: A valid resource.
        base: Base URL of the server; absolute references below it are its own resources.

    Raises:
        ValueError: A date of it is none; validated resources have only good ones.
    """
    rows = IndexRows(base=base)
    for name, emit in _COMPUTED.get(resource["resourceType"], {}).items():
        emit(rows, path_number(resource["resourceType"], "token", _computed_path(name)), resource)
    by_member = _paths_by_member(resource["resourceType"])
    for member in resource:
        for indexed in by_member.get(member, ()):
            where = indexed.path.where
            for value in _values(resource, indexed.parts):
                if where is None or value.get(where[0]) == where[1]:
                    indexed.emit(rows, indexed.number, value)
                    rows.bare.add(indexed.number)
    rows.bare -= rows.paths()
    return rows


@cache
def _paths_by_member(type_: str) -> Mapping[str, tuple[IndexedPath, ...]]:
    by_member: dict[str, tuple[IndexedPath, ...]] = {}
    for indexed in indexed_paths(type_):
        by_member[indexed.parts[0]] = (*by_member.get(indexed.parts[0], ()), indexed)
    return by_member


def _values(resource: Resource, parts: tuple[str, ...]) -> list[Any]:
    nodes: list[Any] = [resource]
    for part in parts:
        found: list[Any] = []
        for node in nodes:
            value = node.get(part)
            if value is None:
                continue
            if type(value) is list:
                found += [v for v in value if v is not None]
            else:
                found.append(value)
        if not found:
            return found
        nodes = found
    return nodes


def fold(text: str) -> str:
    """Return text without case and accents, white space made single.

    What is left is composed again: a Korean syllable taken apart would begin with another one. Upper case is looked
    for twice, since some of it comes to light only when a sign such as ™ is taken apart.
    """
    if text.isascii():
        return " ".join(text.lower().split())
    bare = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    letters = "".join(c for c in bare if not unicodedata.combining(c))
    return " ".join(unicodedata.normalize("NFC", letters).split())


def split_reference(reference: str, base: str = "") -> tuple[str, str]:
    """Return (type, id) of a reference to a resource of the server at `base`; another URI is ("", URI).

    The server shows its default state at `/fhir` as well as at `/fhir/R4`.
    """
    if base:
        short = base.removesuffix("/R4")
        own = next((b for b in (f"{short}/R4/", f"{short}/") if reference.startswith(b)), "")
        reference = reference.removeprefix(own)
    match = _RELATIVE.fullmatch(reference)
    if match is None or match[1] not in definitions().resources:
        return "", reference
    return match[1], match[2]


def _emitter(kind: str, path: IndexPath) -> Emit:
    table = {
        "token": _TOKENS,
        "date": _DATES,
        "string": _STRINGS,
        "reference": _REFERENCES,
        "uri": _URIS,
        "quantity": _QUANTITIES,
    }[kind]
    return table.get(path.type) or table["*"]


def _token_code(rows: IndexRows, number: int, value: Any) -> None:
    code = ("true" if value else "false") if isinstance(value, bool) else str(value)
    rows.token.add((number, "", code))


def _token_coding(rows: IndexRows, number: int, value: Resource) -> None:
    code = value.get("code")
    if code is not None:
        rows.token.add((number, value.get("system") or "", code))


def _token_concept(rows: IndexRows, number: int, value: Resource) -> None:
    for coding in value.get("coding") or ():
        _token_coding(rows, number, coding)


def _token_valued(rows: IndexRows, number: int, value: Resource) -> None:
    if value.get("value") is not None:
        rows.token.add((number, value.get("system") or "", value["value"]))


def _token_contact(rows: IndexRows, number: int, value: Resource) -> None:
    if value.get("value") is not None:
        rows.token.add((number, "", value["value"]))


def _deceased(rows: IndexRows, number: int, patient: Resource) -> None:
    is_dead = patient.get("deceasedDateTime") is not None or patient.get("deceasedBoolean") is True
    rows.token.add((number, "", "true" if is_dead else "false"))


_TOKENS: Mapping[str, Emit] = {
    "Coding": _token_coding,
    "CodeableConcept": _token_concept,
    "Identifier": _token_valued,
    "ContactPoint": _token_contact,
    "*": _token_code,
}

_COMPUTED: Mapping[str, Mapping[str, Emit]] = {"Patient": {"deceased": _deceased}}
"""Parameters whose expression is no path; each is given the whole resource."""


def _put_range(rows: IndexRows, number: int, span: Range | None) -> None:
    if span is not None:
        rows.date.add((number, *span))


def _date_plain(rows: IndexRows, number: int, value: str) -> None:
    _put_range(rows, number, date_range(value))


def _date_period(rows: IndexRows, number: int, value: Resource) -> None:
    _put_range(rows, number, period_range(value))


def _date_timing(rows: IndexRows, number: int, value: Resource) -> None:
    spans = [date_range(event) for event in value.get("event") or () if event]
    bounds = (value.get("repeat") or {}).get("boundsPeriod")
    whole = period_range(bounds) if bounds else None
    if whole is not None:
        spans.append(whole)
    if spans:
        _put_range(rows, number, (min(lo for lo, _ in spans), max(hi for _, hi in spans)))


def _date_nothing(rows: IndexRows, number: int, value: Any) -> None:
    """An age, a range or a text in place of a date: it has no point in time to search by."""


_DATES: Mapping[str, Emit] = {
    "date": _date_plain,
    "dateTime": _date_plain,
    "instant": _date_plain,
    "Period": _date_period,
    "Timing": _date_timing,
    "*": _date_nothing,
}


def _texts(rows: IndexRows, number: int, texts: Iterable[str | None]) -> None:
    rows.string |= {(number, fold(text), text) for text in texts if text}


def _string_plain(rows: IndexRows, number: int, value: Any) -> None:
    if isinstance(value, str):
        _texts(rows, number, (value,))


def _string_name(rows: IndexRows, number: int, value: Resource) -> None:
    lists = (*(value.get("given") or ()), *(value.get("prefix") or ()), *(value.get("suffix") or ()))
    whole = " ".join(part for part in (*(value.get("given") or ()), value.get("family")) if part)
    _texts(rows, number, (value.get("family"), value.get("text"), whole, *lists))


def _string_address(rows: IndexRows, number: int, value: Resource) -> None:
    parts = ("city", "district", "state", "postalCode", "country", "text")
    _texts(rows, number, (*(value.get("line") or ()), *(value.get(part) for part in parts)))


def _string_text(rows: IndexRows, number: int, value: Resource) -> None:
    _texts(rows, number, (value.get("text"),))


_STRINGS: Mapping[str, Emit] = {
    "HumanName": _string_name,
    "Address": _string_address,
    "CodeableConcept": _string_text,
    "Annotation": _string_text,
    "*": _string_plain,
}


def _reference(rows: IndexRows, number: int, value: Resource) -> None:
    reference = value.get("reference")
    if reference and not reference.startswith("#"):
        rows.reference.add((number, *split_reference(reference, rows.base)))


def _canonical(rows: IndexRows, number: int, value: str) -> None:
    rows.reference |= {(number, *split_reference(each, rows.base)) for each in _with_any_version(value)}


def _with_any_version(canonical: str) -> tuple[str, str]:
    """Return a canonical as written, and without its version, by which it is found whatever the version is."""
    return canonical, canonical.partition("|")[0]


_REFERENCES: Mapping[str, Emit] = {"Reference": _reference, "*": _canonical}


def _uri(rows: IndexRows, number: int, value: str) -> None:
    rows.uri.add((number, value))


def _uri_canonical(rows: IndexRows, number: int, value: str) -> None:
    rows.uri |= {(number, each) for each in _with_any_version(value)}


_URIS: Mapping[str, Emit] = {"canonical": _uri_canonical, "*": _uri}


def _number(rows: IndexRows, number: int, value: Any) -> None:
    rows.quantity.add((number, float(value), float(value), "", "", ""))


def _bounds(amount: float, comparator: str | None) -> tuple[float, float]:
    """Return the least and the greatest value that a result such as `<5` leaves open."""
    match comparator:
        case "<":
            return -_UNBOUNDED, math.nextafter(amount, -_UNBOUNDED)
        case "<=":
            return -_UNBOUNDED, amount
        case ">":
            return math.nextafter(amount, _UNBOUNDED), _UNBOUNDED
        case ">=":
            return amount, _UNBOUNDED
    return amount, amount


def _quantity(rows: IndexRows, number: int, value: Resource) -> None:
    if value.get("value") is None:
        return
    lo, hi = _bounds(float(value["value"]), value.get("comparator"))
    rows.quantity.add((number, lo, hi, value.get("system") or "", value.get("code") or "", value.get("unit") or ""))


def _money(rows: IndexRows, number: int, value: Resource) -> None:
    if value.get("value") is not None:
        amount = float(value["value"])
        currency = value.get("currency") or ""
        rows.quantity.add((number, amount, amount, "urn:iso:std:iso:4217", currency, currency))


def _range(rows: IndexRows, number: int, value: Resource) -> None:
    low, high = value.get("low") or {}, value.get("high") or {}
    if low.get("value") is None and high.get("value") is None:
        return
    lo = -_UNBOUNDED if low.get("value") is None else float(low["value"])
    hi = _UNBOUNDED if high.get("value") is None else float(high["value"])
    unit = low or high
    rows.quantity.add((number, lo, hi, unit.get("system") or "", unit.get("code") or "", unit.get("unit") or ""))


def _sampled(rows: IndexRows, number: int, value: Resource) -> None:
    """A series of values: what it holds is not one quantity."""


_QUANTITIES: Mapping[str, Emit] = {
    "decimal": _number,
    "integer": _number,
    "positiveInt": _number,
    "unsignedInt": _number,
    "Money": _money,
    "Range": _range,
    "SampledData": _sampled,
    "*": _quantity,
}
