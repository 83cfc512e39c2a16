"""What a FHIR server answers: a status with a body, a page of a search, or an error in one line."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urljoin

from wardround.core.errors import ToolError
from wardround.tools.fhir.access import mapping, number, objects, string, unicode

MAX_PAGES = 1_000
"""How many pages of one search are followed at most."""

_SHOWN_ISSUES = 8
_SHOWN_TEXT = 300


class FhirRequestError(ToolError):
    """A FHIR server refused a request, or gave no answer that can be used."""

    def __init__(self, method: str, url: str, status: int | None, what: str, *, may_be_done: bool = False) -> None:
        """Say what failed.

        Args:
            method: HTTP method.
            url: Whole address asked.
            status: HTTP status, or nothing where no answer arrived.
            what: In a line, from the server's OperationOutcome where there is one.
            may_be_done: A write of which nobody knows whether the server has done it.
        """
        self.method, self.url, self.status, self.may_be_done = method, url, status, may_be_done
        self.reason = what
        told = f"answered {status}" if status is not None else "got no answer"
        mend = "; it may have been done all the same, so look before you repeat it" if may_be_done else ""
        super().__init__("fhir", f"{method} {url} {told}: {what}{mend}")


@dataclass(frozen=True)
class FhirResponse:
    """What a server answered, whatever its status."""

    status: int
    headers: Mapping[str, str]
    """Looked up without regard to case."""
    body: Any
    """Parsed JSON; nothing where there was no body; text where an error came without JSON."""

    @property
    def is_error(self) -> bool:
        """Whether the server did not do what was asked; an unfollowed redirect counts."""
        return not 200 <= self.status < 300

    @property
    def text(self) -> str:
        """What went wrong, in a line; empty where the body says nothing."""
        return outcome_text(self.body)


@dataclass(frozen=True)
class SearchPage:
    """One page of a search."""

    resources: tuple[dict[str, Any], ...]
    """Matches, in the server's order."""
    included: tuple[dict[str, Any], ...] = ()
    """Brought along by `_include` or `_revinclude`; no matches."""
    total: int | None = None
    """Matches over all pages, where the server says."""
    next: str | None = None
    """Address of the next page."""
    applied: str | None = None
    """The server's `self` link: what it says it searched for."""
    warnings: tuple[str, ...] = ()
    """From entries with search mode `outcome`."""


def page_of(bundle: Mapping[str, Any], url: str) -> SearchPage:
    """Return a search Bundle as a page.

    Args:
        bundle: A searchset.
        url: Where it came from; relative links are read from there.

    Raises:
        FhirRequestError: It is no Bundle.
    """
    if bundle.get("resourceType") != "Bundle":
        what = f"{string(bundle.get('resourceType')) or 'JSON without resourceType'} where a Bundle is due"
        raise FhirRequestError("GET", url, 200, what)
    by_mode: dict[str, list[dict[str, Any]]] = {"match": [], "include": [], "outcome": []}
    for entry in objects(bundle.get("entry")):
        resource = entry.get("resource")
        if not isinstance(resource, dict):
            continue
        mode = string(mapping(entry.get("search")).get("mode"))
        if mode not in by_mode:
            mode = "outcome" if resource.get("resourceType") == "OperationOutcome" else "match"
        by_mode[mode].append(resource)
    total = number(bundle.get("total"))
    following, applied = link_of(bundle, "next"), link_of(bundle, "self")
    return SearchPage(
        resources=tuple(by_mode["match"]),
        included=tuple(by_mode["include"]),
        total=None if total is None else int(total),
        next=None if following is None else urljoin(url, following),
        applied=applied,
        warnings=tuple(outcome_text(outcome) for outcome in by_mode["outcome"]),
    )


async def gather(
    page: SearchPage, following: Callable[[SearchPage], Awaitable[SearchPage | None]], *, limit: int
) -> tuple[list[dict[str, Any]], bool]:
    """Return the matches of a page and those behind it up to a limit, and whether there are more.

    Args:
        page: The first page.
        following: Gets the page behind a page.
        limit: How many matches at most.

    Raises:
        FhirRequestError: The pages go round in a circle, or are too many.
    """
    found = list(page.resources)
    seen: set[str] = set()
    while len(found) <= limit and page.next is not None:
        if len(found) == limit:
            return found, True
        if page.next in seen or len(seen) >= MAX_PAGES:
            raise FhirRequestError("GET", page.next, 200, f"its pages do not end: {len(seen) + 1} read")
        seen.add(page.next)
        behind = await following(page)
        if behind is None:
            break
        page = behind
        found += page.resources
    return found[:limit], len(found) > limit


def outcome_text(body: Any) -> str:
    """Return an OperationOutcome in one line; of anything else the first words where it is text."""
    if isinstance(body, str):
        return " ".join(unicode(body).split())[:_SHOWN_TEXT]
    issues = objects(mapping(body).get("issue"))
    said = list(dict.fromkeys(_issue_text(issue) for issue in issues))
    more = f" (+{len(said) - _SHOWN_ISSUES} more)" if len(said) > _SHOWN_ISSUES else ""
    return "; ".join(said[:_SHOWN_ISSUES]) + more


def _issue_text(issue: Mapping[str, Any]) -> str:
    details = mapping(issue.get("details"))
    words = string(issue.get("diagnostics")) or string(details.get("text")) or string(issue.get("code")) or "no reason"
    given = issue.get("expression") or issue.get("location")
    places = [unicode(place) for place in given if isinstance(place, str)] if isinstance(given, list) else []
    at = f" (at {', '.join(places[:3])}{', ...' if len(places) > 3 else ''})" if places else ""
    return " ".join(unicode(words).split())[:_SHOWN_TEXT] + at


def request_error(response: FhirResponse, method: str, url: str) -> FhirRequestError:
    """Return what a response with a bad status says as an error."""
    if 300 <= response.status < 400:
        what = f"it sends on to {response.headers.get('location', 'elsewhere')}, which is not followed"
        return FhirRequestError(method, url, response.status, what)
    may_be_done = method not in ("GET", "HEAD") and response.status in (500, 502, 504)
    what = response.text or _phrase(response.status)
    return FhirRequestError(method, url, response.status, what, may_be_done=may_be_done)


def body_of(response: FhirResponse, method: str, url: str) -> dict[str, Any]:
    """Return the resource of an answer.

    Raises:
        FhirRequestError: The status is bad, or there is no resource.
    """
    if response.is_error:
        raise request_error(response, method, url)
    if not isinstance(response.body, dict):
        raise FhirRequestError(method, url, response.status, "an answer without a resource")
    return response.body


def link_of(bundle: Mapping[str, Any], relation: str) -> str | None:
    """Return the address that a Bundle links to as its `next` or `self`."""
    links = (string(link.get("url")) for link in objects(bundle.get("link")) if link.get("relation") == relation)
    return next(filter(None, links), None)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:  # a number of the server's own
        return "no reason given"
