"""A session with a record: what an agent is let do there, and a list of what it did."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from wardround.core.errors import ToolError, ToolRefused, UsageError
from wardround.tools.fhir.access import mapping, number, objects, string
from wardround.tools.fhir.addresses import Params
from wardround.tools.fhir.answers import FhirRequestError, FhirResponse, SearchPage, body_of, gather, link_of, page_of
from wardround.tools.fhir.proposals import Proposal, summary_of
from wardround.tools.fhir.scope import TOOL, PatientScope

if TYPE_CHECKING:
    from wardround.tools.fhir.client import FhirClient

ACKNOWLEDGED = "acknowledged, not sent"
"""Outcome of a write that was only pretended."""

_WRITES = ("POST", "PUT", "PATCH", "DELETE")


class WritePolicy(StrEnum):
    """Whether an agent may write."""

    DENY = "deny"
    CONFIRM = "confirm"
    """A person is asked each time."""
    ALLOW = "allow"


@dataclass(frozen=True)
class RecordCall:
    """One thing that an agent did, or tried to do, with the record."""

    method: str
    url: str
    """Below the base address, with its query; the whole address where it was elsewhere."""
    body: Any
    """What was to be written, as the agent gave it; nothing for reads."""
    status: int | None
    """HTTP status; nothing where no answer came or nothing was sent."""
    sent: bool
    """Whether it left for the server."""
    outcome: str
    """What came of it, in a line."""
    result: str | None
    """What was written, as `Type/id`; of a transaction all of it, with commas."""

    @property
    def is_write(self) -> bool:
        """Whether it was meant to change the record."""
        return self.method in _WRITES

    @property
    def is_accepted(self) -> bool:
        """Whether the agent was told that it worked."""
        return self.outcome == ACKNOWLEDGED or (self.status is not None and 200 <= self.status < 300)


class RecordSession:
    """What one agent does with one server."""

    def __init__(
        self,
        client: FhirClient,
        *,
        patient: str | None = None,
        policy: WritePolicy = WritePolicy.DENY,
        person: Callable[[Proposal], Awaitable[bool]] | None = None,
        pretend: bool = False,
    ) -> None:
        """Begin a session.

        Args:
            client: Talks to the server.
            patient: Such as `Patient/1`: nothing is asked, shown or written that concerns another patient.
            policy: Whether the agent may write.
            person: Asked before each write under `CONFIRM`.
            pretend: Writes are acknowledged and not sent, as the MedAgentBench harness does.

        Raises:
            UsageError: Nobody is there to confirm, or the patient is no reference.
        """
        if policy is WritePolicy.CONFIRM and person is None:
            raise UsageError("writes that a person confirms need the person; give person=...")
        self.client = client
        self.scope = PatientScope.of(patient, client.base) if patient is not None else None
        self.policy = policy
        self.pretend = pretend
        self.calls: list[RecordCall] = []
        self._person = person
        self._links: set[str] = set()

    @property
    def patient(self) -> str | None:
        """The patient that the session is held to, as `Patient/1`."""
        return self.scope.reference if self.scope is not None else None

    def whose(self, patient: str | None) -> str | None:
        """Return the patient that is meant as `Patient/1`: the one the session is held to, else the one given.

        Raises:
            ToolRefused: The session is held to another patient than the one given.
        """
        given = f"Patient/{patient.removeprefix('Patient/')}" if patient else None
        if self.patient is not None and given not in (None, self.patient):
            raise ToolRefused(TOOL, f"{given} is not allowed: this session is held to {self.patient}")
        return self.patient or given

    async def get(self, path: str, params: Params = (), *, headers: Mapping[str, str] | None = None) -> FhirResponse:
        """Read or search, and return the answer whatever its status, without what belongs to others.

        Args:
            path: Below the base address, with or without a query, or the address of a next page.
            params: Added to the query.
            headers: Sent with the request.

        Raises:
            ToolRefused: It is another patient's, or leads elsewhere.
            ToolRetry: It hides whose the resources are.
            FhirRequestError: No answer, or one that cannot be used.
        """
        if not params and path in self._links:
            return await self._received(path, self.client.follow(path))
        url = path
        try:
            url = self.client.base.join(path, params)
            if self.scope is not None and url not in self._links:
                self.scope.check_read(self._shown(url))
        except ToolError as refused:
            self._note("GET", self._shown(url), outcome=str(refused))
            raise
        return await self._received(url, self.client.request("GET", path, params=params, headers=headers))

    async def read(self, reference: str) -> dict[str, Any]:
        """Return a resource such as `Patient/1`.

        Raises:
            ToolRefused: It is another patient's.
            FhirRequestError: The server did not give it.
        """
        return body_of(await self.get(reference), "GET", self.client.base.join(reference))

    async def search(self, type_: str, params: Params = ()) -> SearchPage:
        """Return the first page of a search; the server is asked to refuse parameters that it does not know.

        Raises:
            ToolRefused: It is not held to the session's patient.
            FhirRequestError: The server refused it, or answered no Bundle.
        """
        response = await self.get(type_, params, headers={"Prefer": "handling=strict"})
        url = self.client.base.join(type_, params)
        return page_of(body_of(response, "GET", url), url)

    async def next_page(self, page: SearchPage) -> SearchPage | None:
        """Return the page behind a page, or nothing where it was the last.

        Raises:
            ToolRefused: The server's link leads elsewhere.
            FhirRequestError: The server refused it, or answered no Bundle.
        """
        if page.next is None:
            return None
        return page_of(body_of(await self.get(page.next), "GET", page.next), page.next)

    async def search_all(self, type_: str, params: Params = (), *, limit: int) -> tuple[list[dict[str, Any]], bool]:
        """Return the matches of all pages up to a limit, and whether there are more.

        Raises:
            ToolRefused: It is not held to the session's patient.
            FhirRequestError: The server refused it, or its pages go round in a circle.
        """
        return await gather(await self.search(type_, params), self.next_page, limit=limit)

    async def write(self, method: str, path: str, body: Any = None, *, version: str | None = None) -> FhirResponse:
        """Write, should the policy, the scope and the person allow it, and return the answer whatever its status.

        Args:
            method: POST, PUT, PATCH or DELETE.
            path: Below the base address, such as `Observation` or `Observation/1`.
            body: A resource, a Bundle, or JSON Patch operations.
            version: The version that the resource must still have.

        Raises:
            ToolRefused: It is not allowed, concerns another patient, or the person declined.
            FhirRequestError: No answer, or one that cannot be used; it says whether it may have been done.
        """
        method = method.upper()
        try:
            shown = await self._allowed(method, path, body)
        except ToolError as refused:
            self._note(method, path, body, outcome=str(refused))
            raise
        if self.pretend:
            self._note(method, shown, body, outcome=ACKNOWLEDGED)
            return FhirResponse(200, {}, None)
        # imported here, so that calls can be read without an HTTP client
        from wardround.tools.fhir.client import match_header

        headers = {"Prefer": "return=representation"} | match_header(version)
        if method == "PATCH" and isinstance(body, list):
            headers["Content-Type"] = "application/json-patch+json"
        return await self._sent(method, shown, body, headers)

    async def _allowed(self, method: str, path: str, body: Any) -> str:
        """Return the path below the base address once everybody has agreed."""
        if method not in _WRITES:
            raise ToolRefused(TOOL, f"{method} writes nothing; use one of {', '.join(_WRITES)}")
        if self.policy is WritePolicy.DENY:
            raise ToolRefused(TOOL, f"{method} {path}: this session may read and not write")
        if self.pretend and self.scope is None and self.client.base.relative(path) is None and "://" in path:
            shown = path
        else:
            shown = self._shown(self.client.base.join(path))
        if self.scope is not None:
            await self._check_scope(self.scope, method, shown, body)
        if self.policy is WritePolicy.CONFIRM:
            await self._ask_person(method, shown, body)
        return shown

    async def _check_scope(self, scope: PatientScope, method: str, path: str, body: Any) -> None:
        existing = scope.check_write(method, path, body)
        if existing is None:
            return
        response = await self.client.request("GET", existing)
        is_new = method == "PUT" and response.status in (404, 410)
        if not is_new:
            scope.screened(body_of(response, "GET", self.client.base.join(existing)))

    async def _ask_person(self, method: str, path: str, body: Any) -> None:
        warnings = await self._warnings(method, path, body)
        proposal = Proposal(method, path, body, summary_of(method, path, body), warnings)
        if self._person is None or not await self._person(proposal):
            raise ToolRefused(TOOL, f"the person asked declined: {proposal.summary}")

    async def _warnings(self, method: str, path: str, body: Any) -> tuple[str, ...]:
        if method == "DELETE":
            return ()
        patient = self.patient or _patient_of(body)
        kind = string(mapping(body).get("resourceType"))
        if method == "PATCH" or patient is None or kind in ("", "Bundle"):
            return ("duplicates and allergies were not looked up: it is not one whole resource of one patient",)
        from wardround.tools.fhir.cautions import cautions

        replaces = path.partition("/")[2] if method == "PUT" else None
        return await cautions(self.client, patient, body, replaces=replaces)

    async def _sent(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> FhirResponse:
        from wardround.tools.fhir.client import written_reference

        try:
            response = await self.client.request(method, path, body=body, headers=headers)
        except FhirRequestError as error:
            self._note(method, path, body, status=error.status, is_sent=True, outcome=str(error))
            raise
        written = None
        if not response.is_error:
            written = written_reference(response, self.client.base) or (path if method != "POST" else None)
            written = written or ", ".join(_locations(response.body)) or None
        self._note(method, path, body, status=response.status, is_sent=True, outcome=_told(response), result=written)
        return response

    async def _received(self, url: str, asking: Awaitable[FhirResponse]) -> FhirResponse:
        status: int | None = None
        try:
            response = await asking
            status = response.status
            if self.scope is not None:
                response = FhirResponse(status, response.headers, self.scope.screened(response.body))
        except ToolError as error:
            failed = error.status if isinstance(error, FhirRequestError) else status
            self._note("GET", self._shown(url), status=failed, is_sent=True, outcome=str(error))
            raise
        following = link_of(mapping(response.body), "next")
        if following is not None:
            self._links.add(urljoin(url, following))
        self._note("GET", self._shown(url), status=status, is_sent=True, outcome=_told(response))
        return response

    def _shown(self, url: str) -> str:
        below = self.client.base.relative(url)
        return url if below is None else below

    def _note(
        self,
        method: str,
        url: str,
        body: Any = None,
        *,
        status: int | None = None,
        is_sent: bool = False,
        outcome: str,
        result: str | None = None,
    ) -> None:
        self.calls.append(RecordCall(method, url, copy.deepcopy(body), status, is_sent, outcome, result))


def _patient_of(body: Any) -> str | None:
    for name in ("subject", "patient", "for", "beneficiary"):
        reference = string(mapping(mapping(body).get(name)).get("reference"))
        if reference.startswith("Patient/"):
            return reference
    return None


def _locations(bundle: Any) -> Iterator[str]:
    """What the entries of a transaction were written to."""
    for entry in objects(mapping(bundle).get("entry")):
        location = string(mapping(entry.get("response")).get("location")).partition("/_history")[0]
        if location:
            yield "/".join(location.split("/")[-2:])


def _told(response: FhirResponse) -> str:
    """What an answer was, in a line."""
    if response.is_error:
        return response.text or "no reason given"
    body = mapping(response.body)
    kind = string(body.get("resourceType"))
    if kind == "Bundle":
        total = number(body.get("total"))
        of = f" of {total:g}" if total is not None else ""
        return f"{len(objects(body.get('entry')))} entries{of}"
    return f"{kind}/{body['id']}" if kind and "id" in body else kind or "done"
