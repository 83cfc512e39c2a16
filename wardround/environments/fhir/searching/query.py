"""Search requests: a query string becomes criteria that are understood in full, or a 400 that names the mend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

from wardround.environments.fhir.dates import parse_search_date
from wardround.environments.fhir.definitions import SearchParameter, definitions
from wardround.environments.fhir.outcome import FhirError, Issue, bad_request
from wardround.environments.fhir.searching.conditions import (
    RESULT_PARAMETERS,
    Chain,
    Condition,
    Criterion,
    Has,
    find_parameter,
    is_served,
    near,
    parse_condition,
    served_type,
)

DEFAULT_COUNT = 50
MAX_COUNT = 10_000
"""Greatest page; more asked for gives this many, and the `self` link says so."""

MAX_VALUES = 1_000
"""Most values that one search may compare with: SQLite needs a second to plan for so many quantities."""
_UNSERVED = ("_contained", "_containedType", "_content", "_filter", "_list", "_query", "_text", "_type")
_HARMLESS = ("_totalMethod", "_ts", "_pageSize")
"""Extras that clients send out of habit and that change nothing here: fhirpy counts with `_totalMethod`."""

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Include:
    """A reference to follow from what was found, or to it."""

    source: str
    parameter: SearchParameter | None
    """None follows every reference of the source type."""
    target: str | None


@dataclass(frozen=True)
class SearchRequest:
    """A search, understood."""

    type: str
    conditions: tuple[Condition, ...] = ()
    sort: tuple[tuple[str, bool], ...] = ()
    """(parameter, whether descending)"""
    count: int = DEFAULT_COUNT
    includes: tuple[Include, ...] = ()
    revincludes: tuple[Include, ...] = ()
    elements: tuple[str, ...] = ()
    is_count_only: bool = False
    with_total: bool = True
    cursor: str | None = None
    applied: tuple[tuple[str, str], ...] = ()
    """What was applied, for the `self` link."""
    warnings: tuple[Issue, ...] = ()
    """What was not applied, where the client asked for leniency."""


def parse_search(type_: str, pairs: Pairs, *, lenient: bool = False) -> SearchRequest:
    """Understand a query string.

    Args:
        type_: A served resource type.
        pairs: Names and values in order, decoded.
        lenient: Leave out unknown parameters with a warning; otherwise they are an error.

    Raises:
        FhirError: 400, for anything that cannot be applied exactly.
    """
    request = SearchRequest(type=type_)
    for name, value in pairs:
        try:
            request = _with(request, name, value)
        except FhirError as error:
            if not (lenient and all(issue.code == "not-supported" for issue in error.issues)):
                raise
            warnings = tuple(replace(issue, severity="warning") for issue in error.issues)
            request = replace(request, warnings=request.warnings + warnings)
    if sum(_values_of(condition) for condition in request.conditions) > MAX_VALUES:
        raise bad_request(f"the search has more than {MAX_VALUES} values; ask in parts")
    return request


def _values_of(condition: Condition) -> int:
    match condition:
        case Criterion():
            return len(condition.values)
        case Chain():
            return _values_of(condition.branches[0][1])
        case Has():
            return _values_of(condition.inner)
    return len(condition.criteria)


def _with(request: SearchRequest, name: str, value: str) -> SearchRequest:
    head = name.partition(":")[0]
    if head in RESULT_PARAMETERS and head != name:
        what = "follow one step at a time" if "include" in head else f"write {head} alone"
        raise bad_request(f"{name} is not implemented; {what}", name, code="code-invalid")
    if name in RESULT_PARAMETERS:
        if not value:
            raise bad_request(f"{name} has no value; leave it out or give it one", name)
        request = _with_result(request, name, value)
        return request if name in ("_cursor", "_format", "_pretty") else _applied(request, name, value)
    if name in _HARMLESS:
        return request
    if name in _UNSERVED:
        raise bad_request(f"{name} is not implemented here; leave it out", name, code="not-supported")
    if not value:
        raise bad_request(f"{name} has no value; leave it out or give it one", name)
    condition = parse_condition(request.type, name, value)
    request = replace(request, conditions=(*request.conditions, condition))
    return _applied(request, name, _as_applied(condition, value))


def _as_applied(condition: Condition, value: str) -> str:
    """Return a value as it was understood: a date with the zone that was taken."""
    if isinstance(condition, Chain):
        return _as_applied(condition.branches[0][1], value)
    if isinstance(condition, Has):
        return _as_applied(condition.inner, value)
    if not isinstance(condition, Criterion) or condition.parameter.type != "date" or condition.modifier:
        return value
    parsed = [(v, *parse_search_date(v, parameter=condition.parameter.name)) for v in condition.values]
    return ",".join(text if v[:2] != prefix else prefix + text for v, prefix, text, _ in parsed)


def _applied(request: SearchRequest, name: str, value: str) -> SearchRequest:
    return replace(request, applied=(*request.applied, (name, value)))


def _with_result(request: SearchRequest, name: str, value: str) -> SearchRequest:
    match name:
        case "_count":
            count = _integer(name, value)
            return replace(request, count=min(count, MAX_COUNT), is_count_only=request.is_count_only or count == 0)
        case "_cursor":
            return replace(request, cursor=value)
        case "_sort":
            return replace(request, sort=_sort(request, value))
        case "_include":
            return replace(request, includes=request.includes + _include(request.type, value))
        case "_revinclude":
            return replace(request, revincludes=request.revincludes + _revinclude(request.type, value))
        case "_elements":
            return replace(request, elements=request.elements + _elements(request.type, value))
        case "_summary":
            return _summary(request, value)
        case "_total":
            _one_of(name, value, ("accurate", "estimate", "none"))
            return replace(request, with_total=value != "none")
        case "_format":
            check_format(value)
    return request


def check_format(value: str) -> None:
    """Refuse any format but JSON: 406."""
    if value.replace(" ", "+") not in ("json", "application/json", "application/fhir+json", "text/json"):
        issue = Issue("error", "not-supported", f"only JSON is served, not '{value}'; ask for _format=json")
        raise FhirError(406, [issue])


def _summary(request: SearchRequest, value: str) -> SearchRequest:
    if value in ("true", "text", "data"):
        raise bad_request(
            f"_summary={value} is not implemented; use count or false, or name the members in _elements", "_summary"
        )
    _one_of("_summary", value, ("count", "false"))
    return replace(request, is_count_only=request.is_count_only or value == "count")


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise bad_request(f"{name}={value} is not known; use one of {', '.join(allowed)}", name)


def _integer(name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit()):
        raise bad_request(f"{name}={value} is not a number of entries; write for example {name}=20", name)
    return int(value) if len(value) < 20 else MAX_COUNT


def _sort(request: SearchRequest, value: str) -> tuple[tuple[str, bool], ...]:
    keys = dict(request.sort)
    for key in value.split(","):
        name, is_descending = _sort_key(request.type, key)
        keys.setdefault(name, is_descending)
    return tuple(keys.items())


def _sort_key(type_: str, key: str) -> tuple[str, bool]:
    name = key.removeprefix("-")
    if not is_served(find_parameter(type_, name, what="_sort")):
        raise bad_request(f"_sort={key}: {name} cannot be sorted by", "_sort", code="not-supported")
    return name, key.startswith("-")


def _elements(type_: str, value: str) -> tuple[str, ...]:
    known = {"resourceType"} | {m for e in definitions().elements[type_].values() for m in (e.name, e.choice or e.name)}
    names = tuple(name.strip() for name in value.split(","))
    for name in names:
        if name not in known:
            raise bad_request(f"_elements: {type_} has no element '{name}'{near(name, known)}", "_elements")
    return names


def _include(type_: str, value: str) -> tuple[Include, ...]:
    if value == "*":
        return (Include(type_, None, None),)
    include = _step("_include", value)
    if include.source != type_:
        raise bad_request(
            f"_include={value}: it starts at {include.source}, but {type_} is searched; write {type_}:parameter",
            "_include",
        )
    targets = include.parameter.targets if include.parameter else ()
    if include.target and targets and include.target not in targets:
        raise bad_request(f"_include={value}: it refers to {', '.join(targets)}, never to {include.target}", "_include")
    return (include,)


def _revinclude(type_: str, value: str) -> tuple[Include, ...]:
    if value == "*":
        return tuple(Include(source, None, None) for source in definitions().types)
    include = _step("_revinclude", value)
    targets = include.parameter.targets if include.parameter else ()
    if include.target not in (None, type_) or (targets and type_ not in targets):
        allowed = include.target or ", ".join(targets)
        raise bad_request(
            f"_revinclude={value}: it refers to {allowed}, never to {type_}, which is searched", "_revinclude"
        )
    return (include,)


def _step(name: str, value: str) -> Include:
    parts = value.split(":")
    if "iterate" in parts or "recurse" in parts:
        raise bad_request(f"{name}={value}: iteration is not implemented; follow one step at a time", name)
    if len(parts) not in (2, 3):
        raise bad_request(f"{name}={value}: write Type:parameter, such as Observation:subject", name)
    source = served_type(parts[0], where=name)
    target = parts[2] if len(parts) == 3 and parts[2] else None
    if target is not None and target not in definitions().resources:
        raise bad_request(f"{name}={value}: there is no resource type '{target}'", name)
    if parts[1] == "*":
        return Include(source, None, target)
    parameter = find_parameter(source, parts[1], what=name)
    if parameter.type != "reference":
        raise bad_request(f"{name}={value}: {parts[1]} is a {parameter.type}, not a reference", name)
    return Include(source, parameter, target)


def encode(pairs: Pairs) -> str:
    """Return a query string."""
    return "&".join(f"{quote(name, safe=':._-')}={quote(value, safe=':,._-/|')}" for name, value in pairs)
