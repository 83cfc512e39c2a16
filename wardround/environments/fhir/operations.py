"""Operations: $everything, $lastn, $validate."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from wardround.environments.fhir.bundles import bundle, search_entry
from wardround.environments.fhir.codec import dump
from wardround.environments.fhir.dates import parse_since
from wardround.environments.fhir.definitions import definitions
from wardround.environments.fhir.exchange import Reply, Request
from wardround.environments.fhir.extract import index_rows, parameter_paths
from wardround.environments.fhir.outcome import Issue, bad_request, operation_outcome, refusal
from wardround.environments.fhir.reading import current, links, membership, searcher, start
from wardround.environments.fhir.searching.conditions import RESULT_PARAMETERS
from wardround.environments.fhir.searching.query import MAX_COUNT, check_format, parse_search
from wardround.environments.fhir.searching.search import Search
from wardround.environments.fhir.store import Version, View
from wardround.environments.fhir.validation.validator import validate

OPERATIONS: dict[str, tuple[str, ...]] = {
    "everything": ("Patient", "Encounter"),
    "lastn": ("Observation",),
    "validate": tuple(definitions().types),
}
"""The types on which each operation is served."""

_SHARED: Mapping[str, tuple[str, ...]] = {
    "Patient": ("Practitioner", "PractitionerRole", "Organization", "Location", "Medication"),
    "Encounter": ("Patient", "Practitioner", "PractitionerRole", "Organization", "Location", "Medication"),
}
"""By owner of the record, the types outside its compartment that the record refers to."""


@dataclass(frozen=True)
class _Record:
    """Which part of a record is asked for."""

    types: frozenset[str]
    since: int = 0
    count: int | None = None
    """All in one page by default."""
    cursor: str | None = None
    applied: tuple[tuple[str, str], ...] = ()


def everything(request: Request, owner: str, id_: str) -> Reply:
    """Answer with a patient or encounter, all that belongs to it, and who and what that refers to.

    Parameters: `_type` (types, with commas), `_since`, `_count` (all in one page without it).
    """
    record = _record(request, owner)
    if record.cursor is None:
        current(request, owner, id_)
    path = f"{owner}/{id_}/$everything"
    cursor = start(request, path, record.applied, record.cursor)
    own, shared = _everything(request, request.state.view.at(cursor.snapshot), owner, id_)
    kept = {v.pk: v for v in (*own, *shared) if v.type in record.types and v.updated >= record.since}
    matches = {v.pk for v in own}
    end = len(kept) if record.count is None else cursor.offset + record.count
    page = list(kept.values())[cursor.offset : end]
    following = replace(cursor, offset=end) if page and end < len(kept) else None
    entries = [search_entry(v, request.base, mode="match" if v.pk in matches else "include") for v in page]
    followed = links(request, path, record.applied, record.count, following)
    return Reply(200, bundle("searchset", entries, total=len(matches & kept.keys()), links=followed))


def _record(request: Request, owner: str) -> _Record:
    record = _Record(frozenset(definitions().types))
    for name, value in request.query:
        if name == "_type":
            record = replace(record, types=frozenset(value.split(",")))
            unknown = record.types - definitions().types.keys()
            if unknown:
                raise bad_request(f"_type: '{min(unknown)}' is not served", "_type")
        elif name == "_since":
            value, since = parse_since(value)
            record = replace(record, since=since)
        elif name == "_count":
            record = replace(record, count=parse_search(owner, [(name, value)]).count)
        elif name == "_cursor":
            record = replace(record, cursor=value)
        elif name == "_format":
            check_format(value)
        elif name != "_pretty":
            raise bad_request(f"{name} has no meaning for $everything; use _type, _since or _count", name)
        if name in ("_type", "_since"):
            record = replace(record, applied=(*record.applied, (name, value)))
    return record


def _everything(request: Request, view: View, owner: str, id_: str) -> tuple[list[Version], list[Version]]:
    """Return the owner with what is in its compartment, and what these refer to outside of it."""
    search = Search(request.state.store, view, base=request.base)
    keys = {request.state.store.key(owner, id_)}
    for type_ in definitions().compartments[owner]:
        keys.update(search.keys(type_, [membership(owner, id_, type_)]))
    own = _versions(request, view, keys)
    own.sort(key=lambda version: (version.type, version.id) != (owner, id_))
    rows = request.state.store.db.execute(
        "SELECT DISTINCT i.key FROM reference r JOIN identity i ON i.key = r.target"
        " WHERE r.pk IN (SELECT value FROM json_each(?)) AND i.type IN (SELECT value FROM json_each(?))",
        [json.dumps([version.pk for version in own]), json.dumps(_SHARED[owner])],
    )
    return own, _versions(request, view, {key for (key,) in rows} - keys)


def _versions(request: Request, view: View, keys: Collection[int]) -> list[Version]:
    seen, arguments = view.seen("v")
    rows = request.state.store.db.execute(
        "SELECT v.pk FROM version v WHERE v.key IN (SELECT value FROM json_each(?)) AND v.body IS NOT NULL"
        f" AND {seen} ORDER BY v.pk",
        [json.dumps(sorted(keys)), *arguments],
    ).fetchall()
    return request.state.store.versions([pk for (pk,) in rows])


def lastn(request: Request) -> Reply:
    """Answer with the latest observations of each code.

    Parameters: `patient` or `subject`, and `code` or `category`, are required; `max` (default 1) says how many.
    """
    most, rest = 1, []
    for name, value in request.query:
        if name == "max":
            if not (value.isascii() and value.isdigit() and 0 < int(value[:6]) <= MAX_COUNT):
                raise bad_request(f"max={value} is not a number from 1 to {MAX_COUNT}", "max")
            most = int(value)
        elif name.partition(":")[0] in RESULT_PARAMETERS and name not in ("_format", "_pretty"):
            raise bad_request(f"{name} has no meaning for $lastn; max says how many of each code", name)
        else:
            rest.append((name, value))
    asked = parse_search("Observation", rest)
    names = {name.partition(":")[0] for name, _ in rest}
    if not names & {"patient", "subject"} or not names & {"code", "category"}:
        raise bad_request("$lastn needs patient or subject, and code or category")
    paths = parameter_paths("Observation", definitions().types["Observation"].parameters["code"])
    taken: dict[object, int] = {}
    kept = []
    for version in sorted(searcher(request).all("Observation", asked.conditions), key=_latest_first):
        group = _group(version, paths)
        taken[group] = taken.get(group, 0) + 1
        if taken[group] <= most:
            kept.append(version)
    entries = [search_entry(v, request.base) for v in kept]
    followed = links(request, "Observation/$lastn", [*asked.applied, ("max", str(most))], None, None)
    return Reply(200, bundle("searchset", entries, total=len(kept), links=followed))


def _latest_first(version: Version) -> tuple[int, int]:
    assert version.body is not None
    rows = index_rows(json.loads(version.body))
    paths = parameter_paths("Observation", definitions().types["Observation"].parameters["date"])
    return -max((hi for path, _, hi in rows.date if path in paths), default=-(2**62)), version.pk


def _group(version: Version, paths: Sequence[int]) -> object:
    assert version.body is not None
    resource = json.loads(version.body)
    codes = frozenset(row for row in index_rows(resource).token if row[0] in paths)
    return codes or (resource.get("code") or {}).get("text")


def validation(request: Request, type_: str, id_: str | None) -> Reply:
    """Answer with all that is wrong with a resource, without writing it."""
    resource = _to_validate(request.body)
    if resource is None and id_ is not None:
        stored = current(request, type_, id_)
        assert stored.body is not None
        resource = json.loads(stored.body)
    if not isinstance(resource, dict):
        raise bad_request(f"send the {type_} to be validated, or Parameters with it as 'resource'")
    if resource.get("resourceType") != type_:
        raise bad_request(f"the body is a {resource.get('resourceType')}, but the URL says {type_}", type_)
    issues: list[Issue] = list(validate(resource, profile=request.profile.name))
    if not issues:
        issues = [Issue("information", "informational", f"no fault found in the {type_}")]
    return Reply(200, dump(operation_outcome(issues)))


def _to_validate(body: Any) -> Any:
    if isinstance(body, dict) and body.get("resourceType") == "Parameters":
        parts = [p for p in body.get("parameter") or () if isinstance(p, dict) and p.get("name") == "resource"]
        return parts[0].get("resource") if parts else None
    return body


def check_served(name: str, type_: str) -> None:
    """Refuse an operation that is not served on a type: 404."""
    served = OPERATIONS.get(name)
    if served is None or type_ not in served:
        known = ", ".join(f"${n}" for n, types in OPERATIONS.items() if type_ in types)
        raise refusal(404, "not-supported", f"${name} is not served on {type_}; served there: {known}")
