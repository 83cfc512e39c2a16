"""Writing: create, update, patch and delete, each also by a condition; checked before anything is written."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container, Iterator, Mapping
from typing import Any

from wardround.environments.fhir.codec import dump, fingerprint
from wardround.environments.fhir.definitions import definitions
from wardround.environments.fhir.exchange import Pairs, Reply, Request, matches, query_pairs, version_headers
from wardround.environments.fhir.extract import split_reference
from wardround.environments.fhir.outcome import FhirError, Issue, bad_request, operation_outcome, refusal
from wardround.environments.fhir.patching import patched
from wardround.environments.fhir.reading import current, searcher
from wardround.environments.fhir.searching.query import check_format, parse_search
from wardround.environments.fhir.store import Version
from wardround.environments.fhir.validation.validator import validate

ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")


def create(request: Request, type_: str) -> Reply:
    """Write a new resource under an id of the server's, unless the condition finds one."""
    found = sought(request, type_)
    if found is not None:
        return _reply(request, 200, found, written=False)
    resource = {name: value for name, value in _resource(request, type_).items() if name != "id"}
    _check(request, resource)
    resource["id"] = request.assigned_id or new_id(request, resource)
    return _reply(request, 201, _write(request, resource, None, "POST"))


def update(request: Request, type_: str, id_: str) -> Reply:
    """Write a resource under a known id."""
    request.only_format()
    if not ID.fullmatch(id_):
        raise bad_request(f"'{id_}' is no id; ids have up to 64 letters, digits, '-' and '.'", f"{type_}.id")
    resource = _resource(request, type_)
    _check_id(resource, id_)
    before = request.state.store.current(request.state.view, type_, id_)
    place = f"{type_}/{id_}"
    _check_version(request, before, place)
    _check_absence(request, before, place)
    return _replace(request, dict(resource), before)


def update_where(request: Request, type_: str) -> Reply:
    """Write the one resource that a condition finds, or a new one where it finds none."""
    if not _condition(request):
        raise bad_request(f"PUT {type_} needs an id or a condition; write PUT {type_}/id", type_)
    resource = dict(_resource(request, type_))
    found = sought(request, type_)
    if found is None:
        return _write_unfound(request, resource)
    _check_id({"id": found.id} | resource, found.id)
    _check_version(request, found, f"{type_}/{found.id}")
    return _replace(request, {**resource, "id": found.id}, found)


def _write_unfound(request: Request, resource: dict[str, Any]) -> Reply:
    """Write what a conditional update did not find, under the id that it has or a new one."""
    type_ = resource["resourceType"]
    _check_version(request, None, f"what the condition is about, a {type_},")
    _check(request, resource)
    resource.setdefault("id", request.assigned_id or new_id(request, resource))
    before = request.state.store.current(request.state.view, type_, resource["id"])
    if before is not None and before.body is not None:
        place = f"{type_}/{before.id}"
        raise refusal(409, "conflict", f"nothing fits the condition, but {place} is there; PUT it by id")
    return _reply(request, 201, _write(request, resource, before, "PUT"))


def _check_id(resource: Mapping[str, Any], id_: str) -> None:
    given = resource.get("id")
    if given == id_:
        return
    what = f"has no id; R4 wants '{id_}'" if given is None else f"has the id '{given}', not the '{id_}'"
    raise bad_request(f"the body {what}, as in the URL", f"{resource['resourceType']}.id")


def patch(request: Request, type_: str, id_: str) -> Reply:
    """Change parts of a resource by JSON Patch or JSON Merge Patch."""
    request.only_format()
    return _patch(request, current(request, type_, id_))


def patch_where(request: Request, type_: str) -> Reply:
    """Change parts of the one resource that a condition finds."""
    if not _condition(request):
        raise bad_request(f"PATCH {type_} needs an id or a condition; write PATCH {type_}/id", type_)
    found = sought(request, type_)
    if found is None:
        raise refusal(404, "not-found", f"no {type_} fits the condition; nothing was changed")
    return _patch(request, found)


def _patch(request: Request, before: Version) -> Reply:
    place = f"{before.type}/{before.id}"
    _check_version(request, before, place)
    assert before.body is not None
    resource = patched(before.body, request.body, request.headers.get("content-type", ""))
    if resource.get("resourceType") != before.type or resource.get("id") != before.id:
        raise bad_request("a patch cannot change resourceType or id", before.type)
    return _replace(request, resource, before, method="PATCH")


def delete(request: Request, type_: str, id_: str) -> Reply:
    """Delete a resource; deleting it again changes nothing."""
    request.only_format()
    before = request.state.store.current(request.state.view, type_, id_)
    if before is None:
        current(request, type_, id_)
    assert before is not None
    if before.body is None:
        return Reply(204)
    return _delete(request, before)


def delete_where(request: Request, type_: str) -> Reply:
    """Delete the one resource that a condition finds."""
    if not _condition(request):
        raise bad_request(f"DELETE {type_} needs an id or a condition; write DELETE {type_}/id", type_)
    found = sought(request, type_)
    return Reply(204) if found is None else _delete(request, found)


def _delete(request: Request, before: Version) -> Reply:
    place = f"{before.type}/{before.id}"
    _check_version(request, before, place)
    gone = request.state.store.delete(request.state.view, before, now=request.state.now())
    return Reply(204, None, {"ETag": f'W/"{gone.number}"'}, (place,))


def sought(request: Request, type_: str) -> Version | None:
    """Return the one resource that the condition of a write finds; None if there is no condition or it finds none.

    Raises:
        FhirError: 412 if it finds several, 400 if it is no search.
    """
    condition = _condition(request)
    return find_one(request, type_, condition) if condition else None


def _condition(request: Request) -> Pairs:
    """Return the search that a conditional write is about, from If-None-Exist or from the query string."""
    header = request.headers.get("if-none-exist") if request.method == "POST" else None
    if header is not None:
        request.only_format()
    given = request.query if header is None else query_pairs(header.rpartition("?")[2])
    for name, value in given:
        if name == "_format":
            check_format(value)
    kept = tuple(pair for pair in given if pair[0] not in ("_format", "_pretty"))
    if header is not None and not kept:
        raise bad_request("If-None-Exist holds no search; write for example identifier=system|value", "If-None-Exist")
    return kept


def find_one(request: Request, type_: str, condition: Pairs) -> Version | None:
    """Return the one resource that a search finds.

    Raises:
        FhirError: 412 if it finds several, 400 if it is no search.
    """
    asked = parse_search(type_, condition)
    if not asked.conditions:
        raise bad_request("the condition holds no search parameter; write for example identifier=system|value")
    search = searcher(request)
    count = len(search.keys(type_, asked.conditions))
    if count > 1:
        raise refusal(412, "multiple-matches", f"{count} {type_} fit the condition; narrow it to one")
    return search.all(type_, asked.conditions)[0] if count else None


def _check_version(request: Request, before: Version | None, place: str) -> None:
    wanted = request.headers.get("if-match")
    if wanted is None:
        return
    if before is None or before.body is None:
        raise refusal(412, "conflict", f"{place} is not there, so it has no version {wanted}")
    if not matches(wanted, before):
        raise refusal(
            412, "conflict", f'{place} is at version W/"{before.number}", not {wanted}; read it again and repeat'
        )


def _check_absence(request: Request, before: Version | None, place: str) -> None:
    """Refuse to write over a version that If-None-Match names: with `*`, over anything."""
    unwanted = request.headers.get("if-none-match")
    if unwanted is not None and before is not None and before.body is not None and matches(unwanted, before):
        raise refusal(412, "conflict", f'{place} is there already, at version W/"{before.number}"; nothing was written')


def _resource(request: Request, type_: str) -> Mapping[str, Any]:
    resource = request.body
    if not isinstance(resource, dict):
        raise bad_request(f"the body is not a JSON object; send a {type_}", type_, code="structure")
    found = resource.get("resourceType")
    if found != type_:
        what = "has no resourceType" if found is None else f"is a {found}"
        raise bad_request(f"the body {what}, but the URL says {type_}", f"{type_}.resourceType", code="structure")
    return resource


def _check(request: Request, resource: Mapping[str, Any]) -> None:
    """Refuse a resource that is not valid or refers to what is not there: 422."""
    issues = [i for i in validate(resource, profile=request.profile.name) if i.severity in ("error", "fatal")]
    if not issues and request.profile.checks_references:
        issues = list(_dangling(request, resource))
    if issues:
        raise FhirError(422, issues)


def _dangling(request: Request, resource: Mapping[str, Any]) -> Iterator[Issue]:
    store, view = request.state.store, request.state.view
    own = (resource["resourceType"], resource.get("id"))
    for path, reference in references(resource, resource["resourceType"]):
        if reference.startswith("urn:uuid:"):
            text = f"no entry of a transaction around it has the fullUrl {reference}"
            yield Issue("error", "not-found", text, (f"{path}.reference",))
        type_, id_ = split_reference(reference, request.base)
        if type_ not in definitions().types or (type_, id_) == own or f"{type_}/{id_}" in request.arriving:
            continue
        found = store.current(view, type_, id_)
        if found is None or found.body is None:
            yield Issue("error", "not-found", f"it refers to {type_}/{id_}, which is not there", (f"{path}.reference",))


def references(node: Any, path: str) -> Iterator[tuple[str, str]]:
    """Return every literal reference below a node, with the FHIRPath of the element that holds it."""
    if isinstance(node, dict):
        reference = node.get("reference")
        if isinstance(reference, str):
            yield path, reference
        for name, value in node.items():
            yield from references(value, f"{path}.{name}")
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from references(value, f"{path}[{i}]")


def new_id(request: Request, resource: Mapping[str, Any], taken: Container[str] = ()) -> str:
    """Return an id made from what the resource says and how many equal ones there are, so that equal runs agree.

    Equal resources have the ids of 0, 1, 2 and so on; the first free number is found by doubling and halving.

    Args:
        request: Whose state the resource is written to.
        resource: What is to be written; its own id does not count.
        taken: Ids that will be written besides.
    """
    store, view = request.state.store, request.state.view
    content = fingerprint({name: value for name, value in resource.items() if name != "id"})

    def numbered(n: int) -> str:
        return hashlib.blake2b(f"{content:x}/{n}".encode(), digest_size=8).hexdigest()

    def is_free(n: int) -> bool:
        return numbered(n) not in taken and store.current(view, resource["resourceType"], numbered(n)) is None

    used, free = -1, 0
    while not is_free(free):
        used, free = free, 2 * free + 1
    while free - used > 1:
        middle = (used + free) // 2
        used, free = (used, middle) if is_free(middle) else (middle, free)
    return numbered(free)


def _replace(request: Request, resource: dict[str, Any], before: Version | None, method: str = "PUT") -> Reply:
    _check(request, resource)
    status = 200 if before is not None and before.body is not None else 201
    return _reply(request, status, _write(request, resource, before, method))


def _write(request: Request, resource: dict[str, Any], before: Version | None, method: str) -> Version:
    state = request.state
    return state.store.write(state.view, resource, replaces=before, method=method, now=state.now(), base=request.base)


def _reply(request: Request, status: int, version: Version, *, written: bool = True) -> Reply:
    place = f"{version.type}/{version.id}"
    headers = version_headers(version)
    location = f"{request.base}/{place}/_history/{version.number}"
    headers |= {"Location": location} if status == 201 else {"Content-Location": location}
    body = version.body
    wish = request.preference("return")
    if wish == "minimal":
        body = None
    elif wish == "operationoutcome":
        text = f"{place} is at version {version.number}"
        body = dump(operation_outcome([Issue("information", "informational", text)]))
    return Reply(status, body, headers, (place,) if written else ())
