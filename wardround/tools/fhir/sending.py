"""One request, sent until there is an answer; a write that may have worked is never sent again."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from wardround.core.errors import ToolRefused
from wardround.tools.fhir.answers import FhirRequestError, FhirResponse

MAX_BYTES = 50_000_000
"""An answer above this is not one page; the search has to be narrowed."""
LONGEST_WAIT = 60.0
"""Seconds; a server that wants to be left alone for longer is not asked again."""
FHIR_JSON = "application/fhir+json"

_BACK_OFF = wait_random_exponential(multiplier=0.25, max=10.0)
_SHOWN_BYTES = 300
_AGAIN_ALWAYS = frozenset((429, 503))
"""The server says that it has not done it."""
_AGAIN_IF_HARMLESS = frozenset((502, 504))
"""A gateway does not know whether it was done."""
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True)
class Request:
    """What is sent."""

    method: str
    url: str
    headers: Mapping[str, str]
    content: bytes | None
    is_harmless: bool
    """Whether doing it twice is the same as doing it once."""

    @classmethod
    def of(cls, method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Request:
        """Make a request with a JSON body, or without one.

        Reads and searches can be repeated; so can PUT and DELETE, but not under a condition, which the
        first of two would make false for the second.
        """
        sent = dict(headers or {})
        content = None
        if body is not None:
            sent.setdefault("Content-Type", FHIR_JSON)
            content = json.dumps(body, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
        is_conditional = any(name.lower() in ("if-match", "if-none-exist") for name in sent)
        is_search = method == "POST" and urlsplit(url).path.endswith("/_search")
        is_harmless = method in ("GET", "HEAD") or is_search or (method in ("PUT", "DELETE") and not is_conditional)
        return cls(method, url, sent, content, is_harmless)


class _Again(Exception):
    """The request may be repeated; holds what came of this attempt."""

    def __init__(self, outcome: FhirResponse | FhirRequestError, after: float | None = None) -> None:
        self.outcome, self.after = outcome, after


async def send(
    http: httpx.AsyncClient,
    request: Request,
    *,
    attempts: int,
    sleep: Callable[[float], Awaitable[None]],
) -> FhirResponse:
    """Send a request, again where that can do no harm, and return the answer whatever its status.

    Args:
        http: Where it goes through.
        request: What is sent.
        attempts: How often in all.
        sleep: How to wait in between, in seconds: growing random pauses, or as long as the server says.

    Raises:
        FhirRequestError: No answer, or one that is no JSON or too large.
        ToolRefused: The address is none.
    """
    retrying = AsyncRetrying(
        stop=stop_after_attempt(attempts),
        wait=_wait,
        retry=retry_if_exception_type(_Again),
        sleep=sleep,
        retry_error_callback=_given_up,
    )
    response: FhirResponse = await retrying(_once, http, request)
    return response


async def _once(http: httpx.AsyncClient, request: Request) -> FhirResponse:
    try:
        response = await _answer(http, request)
    except httpx.RequestError as error:
        never_sent = isinstance(error, _NEVER_SENT)
        can_repeat = never_sent or request.is_harmless
        what = _transport_fault(error, http.timeout.read)
        failed = FhirRequestError(request.method, request.url, None, what, may_be_done=not can_repeat)
        raise (_Again(failed) if can_repeat else failed) from error
    if response.status in _AGAIN_ALWAYS or (request.is_harmless and response.status in _AGAIN_IF_HARMLESS):
        after = _retry_after(response.headers)
        if after is None or after <= LONGEST_WAIT:
            raise _Again(response, after)
    return response


async def _answer(http: httpx.AsyncClient, request: Request) -> FhirResponse:
    try:
        stream = http.stream(request.method, request.url, content=request.content, headers=dict(request.headers))
        async with stream as answer:
            content = bytearray()
            async for chunk in answer.aiter_bytes():
                content += chunk
                if len(content) > MAX_BYTES:
                    what = f"more than {MAX_BYTES / 1e6:g} MB; narrow the search, or ask for smaller pages with _count"
                    raise FhirRequestError(request.method, request.url, answer.status_code, what)
    except httpx.InvalidURL as error:
        raise ToolRefused("fhir", f"{request.url[:200]} is no address ({error}); mend the path") from error
    return _parsed(request, answer, bytes(content))


def _parsed(request: Request, answer: httpx.Response, content: bytes) -> FhirResponse:
    status = answer.status_code
    if not content.strip():
        return FhirResponse(status, answer.headers, None)
    try:
        return FhirResponse(status, answer.headers, json.loads(content, parse_constant=_refuse_constant))
    except (ValueError, RecursionError) as error:
        if status >= 300:
            return FhirResponse(status, answer.headers, content[:_SHOWN_BYTES].decode("utf-8", "replace"))
        kind = answer.headers.get("content-type", "no content type")
        what = f"the answer is broken or no JSON ({kind}; {len(content)} bytes; {error or 'nested too deeply'})"
        failed = FhirRequestError(request.method, request.url, status, what, may_be_done=not request.is_harmless)
        raise (_Again(failed) if request.is_harmless else failed) from error


def _transport_fault(error: httpx.RequestError, timeout: float | None) -> str:
    if isinstance(error, httpx.TimeoutException):
        return f"no answer within {timeout:g} s; raise the time-out or lower the load"
    what = str(error) or type(error).__name__
    if isinstance(error, httpx.ConnectError):
        return f"cannot be reached ({what}); is the server running, and is the address right?"
    return f"the answer was cut off ({what})"


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server wants to be left alone; the header holds seconds or a date (RFC 9110, 10.2.3)."""
    given = headers.get("retry-after")
    if given is None:
        return None
    if given.strip().isdigit():
        return float(given)
    try:
        until = parsedate_to_datetime(given)
        now = parsedate_to_datetime(headers["date"]) if "date" in headers else datetime.now(UTC)
        return max(0.0, (until - now).total_seconds())
    except (TypeError, ValueError):  # no date, or one without a zone
        return None


def _wait(state: RetryCallState) -> float:
    fault = state.outcome.exception() if state.outcome is not None else None
    after = fault.after if isinstance(fault, _Again) else None
    return after if after is not None else _BACK_OFF(state)


def _given_up(state: RetryCallState) -> FhirResponse:
    fault = state.outcome.exception() if state.outcome is not None else None
    if not isinstance(fault, _Again):
        raise RuntimeError("only an attempt that may be repeated ends here") from fault
    if isinstance(fault.outcome, FhirResponse):
        return fault.outcome
    raise fault.outcome from fault.__cause__


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")
