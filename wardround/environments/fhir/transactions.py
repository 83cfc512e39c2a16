"""Batches and transactions: several interactions in one Bundle."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from wardround.environments.fhir.bundles import bundle
from wardround.environments.fhir.codec import dump, parse
from wardround.environments.fhir.definitions import definitions
from wardround.environments.fhir.exchange import Reply, Request, failure, query_pairs
from wardround.environments.fhir.links import Links, root_of
from wardround.environments.fhir.outcome import FhirError, Issue, bad_request
from wardround.environments.fhir.writing import new_id, references, sought

MAX_ENTRIES = 5_000
_ORDER = ("DELETE", "POST", "PUT", "PATCH", "GET", "HEAD")
"""R4: a transaction deletes first, then creates, then updates, and reads at the end."""

Handler = Callable[[Request], Reply]


def process(request: Request, handle: Handler) -> Reply:
    """Carry out a batch or transaction.

    Args:
        request: A POST to the base URL.
        handle: Carries out one interaction.

    Raises:
        FhirError: The Bundle is none of both, or an entry of a transaction failed; then nothing is written.
    """
    body = request.body
    if not isinstance(body, dict) or body.get("resourceType") != "Bundle":
        raise bad_request(
            "POST to the base URL takes a Bundle of type batch or transaction; POST a resource to its type"
        )
    kind = body.get("type")
    if kind not in ("batch", "transaction"):
        raise bad_request(
            f"a Bundle of type '{kind}' cannot be processed; make it a batch or a transaction", "Bundle.type"
        )
    request.only_format()
    _check_members({name: value for name, value in body.items() if name != "resourceType"}, "Bundle")
    entries = body.get("entry", [])
    if not isinstance(entries, list) or len(entries) > MAX_ENTRIES:
        raise bad_request(f"Bundle.entry is not a list of up to {MAX_ENTRIES} entries", "Bundle.entry")
    parts = [_understood(request, entry) for entry in entries]
    return _transaction(request, entries, parts, handle) if kind == "transaction" else _batch(request, parts, handle)


def _check_members(node: Mapping[str, Any], group: str) -> None:
    """Refuse a member that R4 does not know: a precondition with a slip in its name would not be applied."""
    known = definitions().elements[group]
    for name in node:
        if name.removeprefix("_") not in known:
            raise bad_request(f"{group} has no element '{name}'", f"{group}.{name}", code="structure")


# -- entries ------------------------------------------------------------------------------------------------


def _understood(request: Request, entry: Any) -> Request | FhirError:
    """Return an entry as a request of its own, or what is wrong with it."""
    try:
        return _part(request, entry)
    except FhirError as error:
        return error


def _part(request: Request, entry: Any) -> Request:
    asked = entry.get("request") if isinstance(entry, dict) else None
    if not isinstance(asked, dict):
        raise bad_request("the entry has no request with method and url")
    _check_members(entry, "Bundle.entry")
    _check_members(asked, "Bundle.entry.request")
    method, url = asked.get("method"), asked.get("url")
    if method not in _ORDER or not isinstance(url, str):
        raise bad_request(f"the request of the entry needs a method ({', '.join(_ORDER)}) and a url")
    if not isinstance(entry.get("fullUrl", ""), str):
        raise bad_request("the fullUrl of the entry is not a string")
    path, _, query = url.removeprefix(request.base).partition("?")
    segments = tuple(unquote(part) for part in path.split("/") if part)
    if "://" in path:
        raise bad_request(f"the url '{url}' is not one of this server; write Type/id, or begin with {request.base}")
    if not segments:
        raise bad_request(f"the url '{url}' is that of the whole server; an entry is about a type or a resource")
    headers = {header: _text(asked[name], name) for name, header in _HEADERS.items() if name in asked}
    headers |= {"content-type": "application/fhir+json", "prefer": request.headers.get("prefer", "")}
    body = entry.get("resource")
    if method == "PATCH" and isinstance(body, dict) and body.get("resourceType") == "Binary":
        headers["content-type"], body = str(body.get("contentType")), _unpacked(body)
    pairs = query_pairs(query)
    return replace(request, method=method, path=segments, query=pairs, headers=headers, body=body)


_HEADERS = {
    "ifNoneMatch": "if-none-match",
    "ifMatch": "if-match",
    "ifNoneExist": "if-none-exist",
    "ifModifiedSince": "if-modified-since",
}


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise bad_request(f"{name} of the request of the entry is not a string")
    return value


def _unpacked(binary: Mapping[str, Any]) -> Any:
    """Return the JSON Patch that a Binary holds, as R4 has it sent in a Bundle."""
    try:
        return parse(base64.b64decode(str(binary.get("data")), validate=True))
    except ValueError:
        raise bad_request("the data of the Binary is not base64 text") from None


def _carried_out(part: Request, handle: Handler) -> Reply:
    reply = handle(part)
    return replace(reply, body=None) if part.method == "HEAD" else reply


# -- batch --------------------------------------------------------------------------------------------------


def _batch(request: Request, parts: Sequence[Request | FhirError], handle: Handler) -> Reply:
    replies = []
    for part in parts:
        try:
            if isinstance(part, FhirError):
                raise part
            with request.state.store.transaction():
                replies.append(_carried_out(part, handle))
        except FhirError as error:
            replies.append(failure(error))
    return _answer("batch-response", replies)


# -- transaction --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Step:
    """An entry of a transaction, and what is known of it before anything is written."""

    index: int
    part: Request
    full: str | None
    place: str | None
    """`Type/id` that its fullUrl stands for, so that others can refer to it."""

    @property
    def turn(self) -> tuple[int, bool]:
        """By what the steps are sorted; those with conditional references after those that these may find."""
        is_conditional = any("?" in reference for _, reference in references(self.part.body, ""))
        return _ORDER.index(self.part.method), is_conditional


def _transaction(
    request: Request, entries: Sequence[Any], parts: Sequence[Request | FhirError], handle: Handler
) -> Reply:
    wrong = [(i, part) for i, part in enumerate(parts) if isinstance(part, FhirError)]
    if wrong:
        issues = [replace(issue, expression=(f"Bundle.entry[{i}]",)) for i, error in wrong for issue in error.issues]
        raise FhirError(400, issues)
    sound = [part for part in parts if isinstance(part, Request)]
    with request.state.store.transaction():
        steps = _addressed(entries, sound)
        names = _names(request, steps)
        arriving = frozenset(step.place for step in steps if step.place is not None)
        claimed = _claimed(steps)
        replies: dict[int, Reply] = {}
        for step in sorted(steps, key=lambda step: step.turn):
            with _placing(step.index, step.part):
                links = Links(step.part, names, root_of(step.full))
                part = replace(step.part, body=links.replaced(step.part.body), arriving=arriving)
                reply = _carried_out(part, handle)
                _check_identity(step, reply, claimed)
            replies[step.index] = reply
    return _answer("transaction-response", [replies[i] for i in range(len(steps))])


@contextmanager
def _placing(index: int, part: Request) -> Iterator[None]:
    """Let an error say which entry it is about."""
    try:
        yield
    except FhirError as error:
        raise FhirError(error.status, [_placed(issue, index, part) for issue in error.issues]) from None


def _placed(issue: Issue, index: int, part: Request) -> Issue:
    where, type_ = f"Bundle.entry[{index}]", part.path[0]
    inside = [
        f"{where}.resource{path.removeprefix(type_)}"
        if path == type_ or path.startswith(f"{type_}.")
        else f"{where}.request"
        for path in issue.expression
    ]
    expression = tuple(dict.fromkeys(inside)) or (where,)
    return replace(issue, diagnostics=f"{where}: {issue.diagnostics}", expression=expression)


def _addressed(entries: Sequence[Any], parts: Sequence[Request]) -> list[_Step]:
    """Give every new resource its id now, so that others can refer to it."""
    taken: set[str] = set()
    steps = []
    for i, (entry, part) in enumerate(zip(entries, parts, strict=True)):
        with _placing(i, part):
            part, place = _address(part, taken)
        if part.assigned_id is not None:
            taken.add(part.assigned_id)
        steps.append(_Step(i, part, entry.get("fullUrl"), place))
    return steps


def _address(part: Request, taken: set[str]) -> tuple[Request, str | None]:
    type_, body = part.path[0], part.body
    if part.method == "PUT" and len(part.path) == 2:
        return part, "/".join(part.path)
    if part.method not in ("POST", "PUT") or len(part.path) != 1 or type_ not in definitions().types:
        return part, None
    if not isinstance(body, dict) or body.get("resourceType") != type_:
        return part, None
    found = sought(part, type_)
    if found is not None:
        return part, f"{type_}/{found.id}"
    own = body.get("id") if part.method == "PUT" else None
    if own is not None:
        return part, f"{type_}/{own}"
    assigned = new_id(part, body, taken)
    return replace(part, assigned_id=assigned), f"{type_}/{assigned}"


def _names(request: Request, steps: Sequence[_Step]) -> dict[str, str]:
    """Return what each fullUrl stands for."""
    names: dict[str, str] = {}
    first: dict[str, int] = {}
    for step in steps:
        if step.full is None:
            continue
        if step.full in first:
            text = f"Bundle.entry[{step.index}] has the fullUrl of entry[{first[step.full]}]; give each its own"
            raise FhirError(400, [Issue("error", "duplicate", text, (f"Bundle.entry[{step.index}].fullUrl",))])
        first[step.full] = step.index
        if step.place is not None and step.full != f"{request.base}/{step.place}":
            names[step.full] = step.place
    return names


def _claimed(steps: Sequence[_Step]) -> dict[str, int]:
    """Return which resource is written by which entry, as far as the entries themselves say."""
    claimed: dict[str, int] = {}
    for step in steps:
        if step.part.method in ("PUT", "PATCH", "DELETE") and len(step.part.path) == 2:
            with _placing(step.index, step.part):
                _claim(claimed, "/".join(step.part.path), step.index)
    return claimed


def _claim(claimed: dict[str, int], place: str, index: int) -> None:
    other = claimed.setdefault(place, index)
    if other != index:
        text = f"it writes {place}, as entry[{other}] does; a transaction writes a resource once"
        raise bad_request(text, code="duplicate")


def _check_identity(step: _Step, reply: Reply, claimed: dict[str, int]) -> None:
    """Refuse a transaction that writes a resource twice, or whose entries turn out to be about the same one."""
    if step.place is not None:
        location = reply.headers.get("Location") or reply.headers.get("Content-Location") or ""
        if f"/{step.place}/_history/" not in location:
            text = "its condition finds what another entry writes; a transaction writes a resource once"
            raise bad_request(text, code="duplicate")
    for place in reply.written:
        _claim(claimed, place, step.index)


# -- answer -------------------------------------------------------------------------------------------------


def _answer(kind: str, replies: Sequence[Reply]) -> Reply:
    entries = [_entry(reply) for reply in replies]
    written = tuple(place for reply in replies for place in reply.written)
    return Reply(200, bundle(kind, entries), written=written)


def _entry(reply: Reply) -> str:
    response: dict[str, Any] = {"status": f"{reply.status} {HTTPStatus(reply.status).phrase}"}
    location = reply.headers.get("Location") or reply.headers.get("Content-Location")
    if location:
        response["location"] = location
    if "ETag" in reply.headers:
        response["etag"] = reply.headers["ETag"]
    head = dump({"response": response})[:-1]
    if reply.body is None:
        return head + "}"
    if reply.status >= 400:
        return f'{head[:-1]},"outcome":{reply.body}}}}}'
    return f'{{"resource":{reply.body},{head[1:]}}}'
