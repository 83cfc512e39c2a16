"""A FHIR R4 client: reads, searches page by page, writes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Self
from urllib.parse import urljoin

import httpx

from wardround.core.errors import UsageError
from wardround.tools.fhir.access import mapping, objects, string
from wardround.tools.fhir.addresses import BaseAddress, Params
from wardround.tools.fhir.answers import (
    MAX_PAGES,
    FhirRequestError,
    FhirResponse,
    SearchPage,
    body_of,
    gather,
    link_of,
    page_of,
    request_error,
)
from wardround.tools.fhir.exchanges import Exchange, RecordedServer, tell
from wardround.tools.fhir.sending import FHIR_JSON, Request, send

__all__ = ["FhirClient", "FhirRequestError", "FhirResponse", "SearchPage"]

_WHOLE = {"Prefer": "return=representation"}


class FhirClient:
    """Talks to one FHIR R4 server, in this process or anywhere; use it in one event loop and close it.

    Only addresses below the base address are asked, and redirects are not followed: the token goes
    nowhere else.
    """

    def __init__(
        self,
        base_url: str,
        *,
        token: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        timeout: float = 30.0,
        attempts: int = 4,
        headers: Mapping[str, str] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        recorded: RecordedServer | None = None,
    ) -> None:
        """Set up a client; nothing is sent yet.

        Args:
            base_url: Such as `http://127.0.0.1:8080/fhir/R4`.
            token: Sent as a bearer token.
            transport: `httpx.ASGITransport(app=...)` for a server in this process.
            timeout: Seconds for connecting, and for each silence of the server.
            attempts: How often a request is tried in all.
            headers: Sent with every request.
            sleep: How to wait between attempts.
            recorded: Answers in the server's place; nothing is sent.

        Raises:
            UsageError: The base address is none.
        """
        self.base = BaseAddress.of(base_url)
        self.attempts = attempts
        self._sleep = sleep
        self._recorded = recorded
        sent = {"Accept": FHIR_JSON, **(headers or {})}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        self._http = httpx.AsyncClient(transport=transport, timeout=timeout, headers=sent, follow_redirects=False)

    @property
    def base_url(self) -> str:
        """Where the server's FHIR interface begins, without a slash at its end."""
        return self.base.url

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Params = (),
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> FhirResponse:
        """Send one request and return the answer, whatever its status.

        Refused connections, 429 and 503 are tried again for every method, with growing random pauses or
        after the time that the server names. Lost or broken answers, 502 and 504 are tried again only
        where doing it twice is the same as doing it once: reads, and PUT and DELETE without a condition.

        Args:
            method: HTTP method.
            path: Below the base, with or without a query.
            params: Added to the query.
            body: Sent as JSON.
            headers: Sent with this request.

        Raises:
            FhirRequestError: No answer, or one that is no JSON or is too large.
            ToolRefused: The path leads out of the base.
        """
        return await self._send(Request.of(method, self.base.join(path, params), body, headers))

    async def _send(self, request: Request) -> FhirResponse:
        method, url = request.method, request.url
        body = request.content.decode("utf-8") if request.content is not None else None
        try:
            if self._recorded is not None:
                response = self._recorded.answer(method, url, body)
            else:
                response = await send(self._http, request, attempts=self.attempts, sleep=self._sleep)
        except FhirRequestError as error:
            failed = error
            tell(lambda: Exchange.failed(method, url, body, failed))
            raise
        tell(lambda: Exchange.answered(method, url, body, response))
        return response

    async def read(self, reference: str) -> dict[str, Any]:
        """Return a resource such as `Patient/1`.

        Raises:
            FhirRequestError: The server did not give it.
        """
        return await self._resource("GET", reference)

    async def search(self, type_: str, params: Params = ()) -> SearchPage:
        """Return the first page of a search.

        The server is asked to refuse parameters that it does not know instead of passing over them.

        Raises:
            FhirRequestError: The server refused the search or answered no Bundle.
        """
        bundle = await self._resource("GET", type_, params=params, headers={"Prefer": "handling=strict"})
        return page_of(bundle, self.base.join(type_, params))

    async def next_page(self, page: SearchPage) -> SearchPage | None:
        """Return the page behind a page, or nothing where it was the last.

        Raises:
            ToolRefused: The link leads to another server.
            FhirRequestError: The server refused, or answered no Bundle.
        """
        if page.next is None:
            return None
        return page_of(body_of(await self.follow(page.next), "GET", page.next), page.next)

    async def follow(self, link: str) -> FhirResponse:
        """Return what lies behind a link that the server itself gave, whatever its status.

        Raises:
            ToolRefused: The link leads to another server.
            FhirRequestError: No answer, or one that is no JSON or is too large.
        """
        self.base.check_origin(link)
        return await self._send(Request.of("GET", link))

    async def search_all(self, type_: str, params: Params = (), *, limit: int) -> tuple[list[dict[str, Any]], bool]:
        """Return the matches of all pages up to a limit, and whether there are more.

        Raises:
            FhirRequestError: The server refused, or its pages go round in a circle.
        """
        return await gather(await self.search(type_, params), self.next_page, limit=limit)

    async def create(self, resource: Mapping[str, Any], *, if_none_exist: str | None = None) -> dict[str, Any]:
        """Create a resource and return it as the server keeps it.

        Args:
            resource: With its resourceType; the server chooses the id.
            if_none_exist: A search; where it finds one resource, that one is returned and none is created.

        Raises:
            FhirRequestError: The server refused it, or may have created it without saying so.
        """
        headers = _WHOLE | ({"If-None-Exist": if_none_exist} if if_none_exist else {})
        return await self._written("POST", type_of(resource), resource, headers)

    async def update(self, resource: Mapping[str, Any], *, if_match: str | None = None) -> dict[str, Any]:
        """Replace a resource and return it as the server keeps it.

        Args:
            resource: With its resourceType and id.
            if_match: Version that it must still have.

        Raises:
            FhirRequestError: The server refused it; 412 where it has another version by now.
        """
        path = f"{type_of(resource)}/{_id_of(resource)}"
        headers = _WHOLE | match_header(if_match)
        return await self._written("PUT", path, resource, headers)

    async def patch(
        self, reference: str, operations: Sequence[Mapping[str, Any]], *, if_match: str | None = None
    ) -> dict[str, Any]:
        """Change parts of a resource by JSON Patch and return it as the server keeps it.

        Raises:
            FhirRequestError: The server refused it.
        """
        headers = _WHOLE | match_header(if_match) | {"Content-Type": "application/json-patch+json"}
        return await self._written("PATCH", reference, list(operations), headers)

    async def delete(self, reference: str) -> None:
        """Delete a resource.

        Raises:
            FhirRequestError: The server refused.
        """
        response = await self.request("DELETE", reference)
        if response.is_error:
            raise request_error(response, "DELETE", self.base.join(reference))

    async def transaction(self, bundle: Mapping[str, Any]) -> dict[str, Any]:
        """Send a transaction or batch Bundle and return the Bundle of answers.

        Raises:
            FhirRequestError: The server refused it, or may have done it without saying so.
        """
        return await self._resource("POST", "", body=bundle)

    async def capabilities(self) -> dict[str, Any]:
        """Return the server's CapabilityStatement.

        Raises:
            FhirRequestError: It gives none.
        """
        return await self._resource("GET", "metadata")

    async def everything(self, patient: str) -> dict[str, Any]:
        """Return one Bundle of all that belongs to a patient such as `Patient/1`.

        Raises:
            FhirRequestError: The server refused, or its pages do not end.
        """
        path = f"Patient/{patient.removeprefix('Patient/')}/$everything"
        page = await self._resource("GET", path)
        entries: list[dict[str, Any]] = []
        for _ in range(MAX_PAGES):
            entries += objects(page.get("entry"))
            link = link_of(page, "next")
            if link is None:
                return {"resourceType": "Bundle", "type": "searchset", "entry": entries}
            following = urljoin(self.base.join(path), link)
            page = body_of(await self.follow(following), "GET", following)
        raise FhirRequestError("GET", self.base.join(path), 200, f"its pages do not end: {MAX_PAGES} read")

    async def _written(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> dict[str, Any]:
        response = await self.request(method, path, body=body, headers=headers)
        if response.is_error:
            raise request_error(response, method, self.base.join(path))
        if isinstance(response.body, dict) and response.body.get("resourceType") != "OperationOutcome":
            return response.body
        written = written_reference(response, self.base)
        if written is None:
            what = "it does not say what it has written: neither a body nor a Location"
            raise FhirRequestError(method, self.base.join(path), response.status, what, may_be_done=True)
        return await self.read(written)

    async def _resource(
        self, method: str, path: str, *, params: Params = (), body: Any = None, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        response = await self.request(method, path, params=params, body=body, headers=headers)
        return body_of(response, method, self.base.join(path, params))


def written_reference(response: FhirResponse, base: BaseAddress) -> str | None:
    """Return what a write wrote as `Type/id`, from the body or the Location header."""
    body = mapping(response.body)
    if body.get("resourceType") not in (None, "OperationOutcome", "Bundle") and string(body.get("id")):
        return f"{body['resourceType']}/{body['id']}"
    location = response.headers.get("location") or response.headers.get("content-location") or ""
    below = base.relative(urljoin(base.url + "/", location)) if location else None
    parts = (below or "").split("/")
    return "/".join(parts[:2]) if len(parts) >= 2 and parts[1] else None


def match_header(version: str | None) -> dict[str, str]:
    """Return the If-Match header for a version such as `3` or `W/"3"`."""
    if version is None:
        return {}
    bare = version.strip().removeprefix("W/").strip('"')
    return {"If-Match": f'W/"{bare}"'}


def type_of(resource: Mapping[str, Any]) -> str:
    """Return the type that a resource says it has.

    Raises:
        UsageError: It says none.
    """
    kind = string(resource.get("resourceType"))
    if not kind:
        raise UsageError("the resource has no resourceType; name its type")
    return kind


def _id_of(resource: Mapping[str, Any]) -> str:
    given = string(resource.get("id"))
    if not given:
        raise UsageError(f"the {type_of(resource)} has no id; give the id of the one to replace")
    return given
