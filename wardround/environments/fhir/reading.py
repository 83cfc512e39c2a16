"""Reading: read, vread, history, search, compartments."""

from __future__ import annotations

from dataclasses import replace

from wardround.environments.fhir.bundles import bundle, history_entry, outcome_entry, search_entry, subset
from wardround.environments.fhir.dates import parse_since
from wardround.environments.fhir.definitions import definitions
from wardround.environments.fhir.exchange import (
    Reply,
    Request,
    deleted,
    matches,
    not_found,
    version_headers,
)
from wardround.environments.fhir.outcome import bad_request, refusal
from wardround.environments.fhir.searching.conditions import AnyOf, Criterion, find_parameter
from wardround.environments.fhir.searching.paging import Cursor
from wardround.environments.fhir.searching.query import (
    DEFAULT_COUNT,
    Pairs,
    SearchRequest,
    check_format,
    encode,
    parse_search,
)
from wardround.environments.fhir.searching.search import Search
from wardround.environments.fhir.store import Version


def current(request: Request, type_: str, id_: str) -> Version:
    """Return the current version of a resource.

    Raises:
        FhirError: 404 if it was never there, 410 if it was deleted.
    """
    version = request.state.store.current(request.state.view, type_, id_)
    if version is None:
        raise not_found(type_, id_)
    if version.body is None:
        raise deleted(type_, id_)
    return version


def read(request: Request, type_: str, id_: str) -> Reply:
    """Answer with a resource, or 304 where the client has it already."""
    elements: tuple[str, ...] = ()
    rest = tuple(pair for pair in request.query if pair[0] != "_elements")
    if rest != request.query:
        elements = parse_search(type_, [p for p in request.query if p[0] == "_elements"]).elements
    replace(request, query=rest).only_format()
    version = current(request, type_, id_)
    known = request.headers.get("if-none-match")
    if known and matches(known, version):
        return Reply(304, None, version_headers(version))
    assert version.body is not None
    return Reply(200, subset(version.body, elements) if elements else version.body, version_headers(version))


def vread(request: Request, type_: str, id_: str, number: str) -> Reply:
    """Answer with one version of a resource."""
    request.only_format()
    state = request.state
    for version in state.store.history(state.view, type_, id_):
        if str(version.number) == number:
            if version.body is None:
                raise deleted(type_, id_)
            return Reply(200, version.body, version_headers(version))
    raise refusal(404, "not-found", f"{type_}/{id_} has no version {number}; see {type_}/{id_}/_history")


def history(request: Request, type_: str | None, id_: str | None) -> Reply:
    """Answer with the versions of a resource, a type or all, the newest first."""
    count, since, text, applied = DEFAULT_COUNT, 0, None, []
    for name, value in request.query:
        if name == "_count":
            count = parse_search("Patient", [(name, value)]).count
        elif name == "_since":
            moment, since = parse_since(value)
            applied.append((name, moment))
        elif name == "_cursor":
            text = value
        elif name == "_format":
            check_format(value)
        elif name != "_pretty":
            raise bad_request(f"{name} has no meaning in a history; use _count or _since", name, code="not-supported")
    path = "/".join(part for part in (type_, id_, "_history") if part)
    cursor = start(request, path, applied, text)
    store, view = request.state.store, request.state.view.at(cursor.snapshot)
    total = store.history_size(view, type_, id_, since=since)
    if not total and type_ is not None and id_ is not None and not since:
        raise not_found(type_, id_)
    page = store.history(view, type_, id_, since=since, limit=count, offset=cursor.offset)
    is_last = not page or cursor.offset + count >= total
    following = None if is_last else replace(cursor, offset=cursor.offset + count)
    entries = [history_entry(version, request.base) for version in page]
    return Reply(200, bundle("history", entries, total=total, links=links(request, path, applied, count, following)))


def start(request: Request, path: str, applied: Pairs, cursor: str | None) -> Cursor:
    """Return where a page begins: at the cursor that the client brings back, or at the beginning as it is now.

    Raises:
        FhirError: 400, for a cursor that belongs to another search.
    """
    if cursor is None:
        return Cursor(request.state.store.newest())
    return Cursor.decode(cursor, _name(request, path, applied))


def links(
    request: Request, path: str, applied: Pairs, count: int | None, following: Cursor | None
) -> list[tuple[str, str]]:
    """Return the links of a page: what was applied to get it, and where the next one is.

    Args:
        request: What the client asked.
        path: Below the base URL.
        applied: The parameters that were applied, but for the size of a page.
        count: The size of a page; None where it has no meaning.
        following: Where the next page begins; None after the last.
    """
    given = [*applied, ("_count", str(count))] if count is not None else [*applied]
    found = [("self", f"{request.base}/{path}" + (f"?{encode(given)}" if given else ""))]
    if following is not None:
        given.append(("_cursor", following.encode(_name(request, path, applied))))
        found.append(("next", f"{request.base}/{path}?{encode(given)}"))
    return found


def _name(request: Request, path: str, applied: Pairs) -> str:
    return f"{request.state.layer}/{request.state.resets()}/{path}?{encode(applied)}"


def search(request: Request, type_: str) -> Reply:
    """Answer with what is found."""
    if request.body is not None:
        raise bad_request(
            f"send the parameters of POST {type_}/_search as application/x-www-form-urlencoded, not as JSON"
        )
    lenient = request.preference("handling") == "lenient"
    return _answer(request, parse_search(type_, request.query, lenient=lenient), type_)


def compartment(request: Request, owner: str, id_: str, type_: str) -> Reply:
    """Answer with what is found among the resources of one patient, practitioner or encounter."""
    entry = definitions().compartments.get(owner, {})
    if type_ not in entry:
        allowed = ", ".join(sorted(entry)) or "none"
        raise refusal(404, "not-found", f"{owner}/{id_}/{type_} is no compartment search; types there: {allowed}")
    lenient = request.preference("handling") == "lenient"
    asked = parse_search(type_, request.query, lenient=lenient)
    if asked.cursor is None:
        current(request, owner, id_)
    conditions = (membership(owner, id_, type_), *asked.conditions)
    return _answer(request, replace(asked, conditions=conditions), f"{owner}/{id_}/{type_}")


def membership(owner: str, id_: str, type_: str) -> AnyOf:
    """Return the condition that a resource of one type is in a compartment."""
    parameters = [find_parameter(type_, name, what=name) for name in definitions().compartments[owner][type_]]
    return AnyOf(tuple(Criterion(type_, parameter, None, (f"{owner}/{id_}",)) for parameter in parameters))


def searcher(request: Request) -> Search:
    """Return the search of the request's state."""
    return Search(request.state.store, request.state.view, base=request.base)


def _answer(request: Request, asked: SearchRequest, path: str) -> Reply:
    applied = [pair for pair in asked.applied if pair[0] != "_count"]
    page = searcher(request).page(asked, start(request, path, applied, asked.cursor))
    entries = [search_entry(v, request.base, elements=asked.elements) for v in page.matches]
    entries += [search_entry(v, request.base, mode="include") for v in page.included]
    if asked.warnings:
        entries.append(outcome_entry(asked.warnings))
    count = None if asked.is_count_only and asked.count else asked.count
    followed = links(request, path, applied, count, page.following)
    return Reply(200, bundle("searchset", entries, total=page.total, links=followed))
