"""The server over HTTP: Starlette takes requests apart and puts answers together; the rest is `rest.respond`."""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from wardround.environments.fhir.admin import admin_routes, bears_token
from wardround.environments.fhir.codec import parse
from wardround.environments.fhir.exchange import Reply, Request, failure, query_pairs
from wardround.environments.fhir.faults import Fault
from wardround.environments.fhir.openapi import openapi
from wardround.environments.fhir.outcome import FhirError, bad_request, refusal
from wardround.environments.fhir.rest import allowed, respond
from wardround.environments.fhir.searching.query import check_format
from wardround.environments.fhir.state import State

if TYPE_CHECKING:
    from wardround.environments.fhir.sandbox import Sandbox

MAX_BODY = 32_000_000
MAX_URL = 32_000
"""Greatest body in bytes and URL in characters that are taken."""
MEDIA_TYPE = "application/fhir+json; charset=utf-8"
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
_BODIES = ("POST", "PUT", "PATCH")
_JSON_TYPES = (
    "application/fhir+json",
    "application/json",
    "application/json-patch+json",
    "application/merge-patch+json",
    "text/json",
)
_log = logging.getLogger(__name__)


def build(sandbox: Sandbox) -> Starlette:
    """Return the ASGI application of a sandbox."""

    async def default(http: HttpRequest) -> Response:
        return await _serve(sandbox, http, sandbox.state)

    async def fork(http: HttpRequest) -> Response:
        state = sandbox.find(http.path_params["name"])
        if state is None:
            text = f"there is no fork '{http.path_params['name']}'; POST /sandbox/forks"
            return _refused(sandbox, http, refusal(404, "not-found", text))
        return await _serve(sandbox, http, state)

    async def description(http: HttpRequest) -> Response:
        if not bears_token(sandbox, http):
            return _refused(sandbox, http, _unknown_client())
        return JSONResponse(openapi(str(http.base_url).rstrip("/") + "/fhir/R4"))

    async def elsewhere(http: HttpRequest, error: Exception) -> Response:
        return _refused(sandbox, http, refusal(404, "not-found", "there is nothing here; the FHIR base is /fhir/R4"))

    async def otherwise(http: HttpRequest, error: Exception) -> Response:
        served = (error.headers or {}).get("Allow", "") if isinstance(error, HTTPException) else ""
        if http.scope.get("endpoint") in (default, fork):
            served = ", ".join(allowed(_segments(http.path_params.get("path", ""))))
        text = f"{http.method} is not served here; use {served}"
        response = _refused(sandbox, http, refusal(405, "not-supported", text))
        response.headers["Allow"] = served
        return response

    app = Starlette(
        routes=[
            *(
                Route(prefix + tail, endpoint, methods=_METHODS)
                for prefix, endpoint in (
                    ("/fhir/R4", default),
                    ("/forks/{name}/fhir/R4", fork),
                    ("/fhir", default),
                )
                for tail in ("/{path:path}", "")
            ),
            Route("/openapi.json", description),
            *admin_routes(sandbox),
        ],
        exception_handlers={404: elsewhere, 405: otherwise},
    )
    app.router.redirect_slashes = False
    return app


def _refused(sandbox: Sandbox, http: HttpRequest, error: FhirError) -> Response:
    """Return the answer outside of any state; without the token, all that can be learned is that one is needed."""
    return _response(failure(error if bears_token(sandbox, http) else _unknown_client()), http.method)


def _unknown_client() -> FhirError:
    return refusal(401, "login", "send the header 'Authorization: Bearer TOKEN' with the server's token")


async def _serve(sandbox: Sandbox, http: HttpRequest, state: State) -> Response:
    started = sandbox.clock.monotonic()
    time = sandbox.clock.now()
    fault = sandbox.faults.draw()
    if sandbox.faults.faults.latency:
        await asyncio.sleep(sandbox.faults.faults.latency)
    path, query = _target(sandbox, http)
    segments = _segments(path)
    reply = await _reply(sandbox, http, state, segments, query, fault)
    sandbox.audit.add(
        time=time,
        state=state.name,
        method=http.method,
        path=path,
        query=query,
        status=reply.status,
        written=reply.written,
        seconds=sandbox.clock.monotonic() - started,
    )
    if reply.status == 405:
        reply = replace(reply, headers={**reply.headers, "Allow": ", ".join(allowed(segments))})
    response = _response(reply, http.method)
    if fault == "truncated" and reply.body is not None:
        response = _broken(response)
    return response


def _target(sandbox: Sandbox, http: HttpRequest) -> tuple[str, str]:
    """Return path and query; the benchmark's harness glues `&_format=json` to a path without a question mark."""
    path: str = http.path_params.get("path", "")
    query = _decoded(http.scope["query_string"])
    if sandbox.profile.name == "medagentbench" and not query and path.endswith("&_format=json"):
        return path.removesuffix("&_format=json"), "_format=json"
    return path, query


def _segments(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part)


def _decoded(raw: bytes) -> str:
    """Return a query or form as text; bytes that are no UTF-8 are escaped, so that decoding it refuses them."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return quote(raw, safe="&=+%")


async def _reply(
    sandbox: Sandbox, http: HttpRequest, state: State, path: tuple[str, ...], query: str, fault: Fault | None
) -> Reply:
    try:
        _check(sandbox, http, fault)
        request = Request(
            state=state,
            base=_base(http, state),
            method=http.method,
            path=path,
            query=query_pairs(query),
            headers={name.lower(): value for name, value in http.headers.items()},
            profile=sandbox.profile,
        )
        _check_accepted(request)
        if http.method in _BODIES and http.method in allowed(path):
            request = _with_body(request, await _body(http))
            _check_open(sandbox, state)
        return respond(request)
    except FhirError as error:
        return failure(error)
    except ClientDisconnect:
        return failure(bad_request("the connection ended within the body", code="incomplete"))
    except Exception:
        _log.exception("a request could not be carried out")
        return failure(refusal(500, "exception", "the server made a mistake; its log has the details"))


def _check(sandbox: Sandbox, http: HttpRequest, fault: Fault | None) -> None:
    if fault == "too_many":
        raise refusal(429, "throttled", "too many requests; wait a moment and repeat")
    if fault == "server_error":
        raise refusal(503, "transient", "the server is not available; repeat later")
    if not bears_token(sandbox, http):
        raise _unknown_client()
    if len(http.scope["query_string"]) + len(http.scope["path"]) > MAX_URL:
        raise refusal(414, "too-long", f"the URL has more than {MAX_URL} characters; use POST Type/_search")


def _check_accepted(request: Request) -> None:
    """Refuse to answer in what the client does not want; `_format`, where it is given, overrides the header."""
    accepted = request.headers.get("accept", "").lower()
    if not accepted or any(name == "_format" for name, _ in request.query):
        return
    if not any(mark in accepted for mark in ("json", "*/*", "application/*")):
        check_format(accepted)


def _check_open(sandbox: Sandbox, state: State) -> None:
    """Refuse to write to a fork that was closed while the body arrived."""
    found = sandbox.find(state.name)
    if found is None or found.layer != state.layer:
        raise refusal(404, "not-found", f"fork '{state.name}' was closed meanwhile; nothing was written")


def _base(http: HttpRequest, state: State) -> str:
    prefix = "/fhir" if state.layer == 1 and not http.scope["path"].startswith("/fhir/R4") else state.base_path
    return str(http.base_url).rstrip("/") + prefix


async def _body(http: HttpRequest) -> bytes:
    chunks, size = [], 0
    async for chunk in http.stream():
        size += len(chunk)
        if size > MAX_BODY:
            raise refusal(413, "too-long", f"the body has more than {MAX_BODY} bytes; send it in parts")
        chunks.append(chunk)
    return b"".join(chunks)


def _with_body(request: Request, body: bytes) -> Request:
    given = request.headers.get("content-type", "application/fhir+json")
    kind, _, parameters = given.partition(";")
    kind = kind.strip().lower()
    if request.path[1:] == ("_search",):
        return _with_form(request, kind, body)
    if kind == "application/x-www-form-urlencoded":
        raise refusal(415, "not-supported", "a form goes to Type/_search; send resources as application/fhir+json")
    if kind not in _JSON_TYPES:
        raise refusal(415, "not-supported", f"'{kind}' is not served; send application/fhir+json")
    charset = re.search(r"charset\s*=\s*\"?([^\s;\"]+)", parameters, re.IGNORECASE)
    if charset is not None and charset[1].lower() not in ("utf-8", "utf8", "us-ascii"):
        raise refusal(415, "not-supported", f"the charset '{charset[1]}' is not served; JSON is UTF-8")
    if not body:
        if request.path[-1:] == ("$validate",) and len(request.path) == 3:
            return request
        raise bad_request("the body is empty; send JSON", code="required")
    return replace(request, body=parse(body))


def _with_form(request: Request, kind: str, body: bytes) -> Request:
    if not body:
        return request
    if kind != "application/x-www-form-urlencoded":
        raise refusal(
            415, "not-supported", "a search by POST takes its parameters as application/x-www-form-urlencoded"
        )
    return replace(request, query=request.query + query_pairs(_decoded(body)))


def _response(reply: Reply, method: str) -> Response:
    headers = dict(reply.headers)
    if reply.status in (429, 503):
        headers["Retry-After"] = "1"
    if reply.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    body = reply.body.encode() if reply.body is not None else b""
    if not body:
        return Response(status_code=reply.status, headers=headers)
    response = Response(body, reply.status, headers, media_type=MEDIA_TYPE)
    if method == "HEAD":
        response.body = b""
    return response


def _broken(response: Response) -> Response:
    half = response.body[: len(response.body) // 2]
    headers = {k: v for k, v in response.headers.items() if k != "content-length"}
    return Response(half, response.status_code, headers)
