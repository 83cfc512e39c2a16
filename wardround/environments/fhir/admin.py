"""The states over HTTP, beside FHIR: reset, savepoint, fork, close, digest, diff, audit and faults.

| request | does |
| --- | --- |
| `GET /sandbox` | says which states there are |
| `POST /sandbox/savepoint`, `/sandbox/reset` | as the methods of `State`; `{"state": NAME}`, else the default one |
| `POST /sandbox/forks` | `{"state"?, "name"?}` -> `{"name", "base"}` |
| `DELETE /sandbox/forks/NAME` | forgets a fork |
| `GET /sandbox/digest` | `?state=NAME` |
| `GET /sandbox/diff` | `?state=NAME&with=NAME`; against the savepoint without `with` |
| `GET /sandbox/audit` | `?state=NAME&after=N` |
| `PUT /sandbox/faults` | the fields of `Faults`; `{}` ends them |
"""

from __future__ import annotations

import dataclasses
import hmac
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from wardround.core.errors import StoreError, UsageError
from wardround.environments.fhir.faults import Faults, FaultSource
from wardround.environments.fhir.state import State

if TYPE_CHECKING:
    from wardround.environments.fhir.sandbox import Sandbox

Act = Callable[["Sandbox", dict[str, Any]], dict[str, Any]]
MAX_BODY = 100_000


class NoSuchState(UsageError):
    """A state was named that is not there."""


def admin_routes(sandbox: Sandbox) -> list[Route]:
    """Return the routes of a sandbox."""

    def route(path: str, method: str, act: Act, *fields: str) -> Route:
        async def endpoint(http: HttpRequest) -> Response:
            return await _answer(sandbox, http, act, fields)

        return Route(path, endpoint, methods=[method])

    return [
        route("/sandbox", "GET", _about),
        route("/sandbox/", "GET", _about),
        route("/sandbox/savepoint", "POST", _savepoint, "state"),
        route("/sandbox/reset", "POST", _reset, "state"),
        route("/sandbox/forks", "POST", _fork, "state", "name"),
        route("/sandbox/forks/{name}", "DELETE", _close, "name"),
        route("/sandbox/digest", "GET", _digest, "state"),
        route("/sandbox/diff", "GET", _diff, "state", "with"),
        route("/sandbox/audit", "GET", _audit, "state", "after"),
        route("/sandbox/faults", "PUT", _faults, *(field.name for field in dataclasses.fields(Faults))),
    ]


def bears_token(sandbox: Sandbox, http: HttpRequest) -> bool:
    """Return whether a request may be answered: it bears the server's token, or there is none."""
    if sandbox.token is None:
        return True
    scheme, _, given = http.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode("latin-1"), sandbox.token.encode())


async def _answer(sandbox: Sandbox, http: HttpRequest, act: Act, fields: tuple[str, ...]) -> Response:
    if not bears_token(sandbox, http):
        text = "send the header 'Authorization: Bearer TOKEN' with the server's token"
        return JSONResponse({"error": text}, 401, {"WWW-Authenticate": "Bearer"})
    try:
        asked = {**http.query_params, **await _fields(http), **http.path_params}
        for name in asked:
            if name not in fields:
                raise ValueError(f"there is no field '{name}' here{': ' if fields else ''}{', '.join(fields)}")
        return JSONResponse(act(sandbox, asked))
    except NoSuchState as error:
        return JSONResponse({"error": str(error)}, 404)
    except (UsageError, StoreError) as error:
        return JSONResponse({"error": str(error)}, 409)
    except (ValueError, TypeError, RecursionError) as error:
        return JSONResponse({"error": f"{error}; see the table of the sandbox's own paths"}, 400)


async def _fields(http: HttpRequest) -> dict[str, Any]:
    body = await http.body() if http.method in ("POST", "PUT") else b""
    if len(body) > MAX_BODY:
        raise ValueError(f"the body has more than {MAX_BODY} bytes")
    fields = json.loads(body) if body else {}
    if not isinstance(fields, dict):
        raise ValueError("the body is not a JSON object")
    return fields


def _state(sandbox: Sandbox, asked: dict[str, Any], name: str = "state") -> State:
    wanted = asked.get(name, "default")
    state = sandbox.find(wanted) if isinstance(wanted, str) else None
    if state is None:
        raise NoSuchState(f"there is no state '{wanted}'; there are: {', '.join(sandbox.states())}")
    return state


def _about(sandbox: Sandbox, asked: dict[str, Any]) -> dict[str, Any]:
    states = [{"name": name, "base": _state(sandbox, {"state": name}).base_path} for name in sandbox.states()]
    return {"profile": sandbox.profile.name, "readOnly": sandbox.profile.is_read_only, "states": states}


def _savepoint(sandbox: Sandbox, asked: dict[str, Any]) -> dict[str, Any]:
    state = _state(sandbox, asked)
    state.savepoint()
    return {"state": state.name, "digest": state.digest()}


def _reset(sandbox: Sandbox, asked: dict[str, Any]) -> dict[str, Any]:
    state = _state(sandbox, asked)
    state.reset()
    return {"state": state.name, "digest": state.digest()}


def _fork(sandbox: Sandbox, asked: dict[str, Any]) -> dict[str, Any]:
    name = asked.get("name")
    if name is not None and not isinstance(name, str):
        raise TypeError(f"the name of a fork is a string, not {name!r}")
    fork = _state(sandbox, asked).fork(name)
    return {"name": fork.name, "base": fork.base_path}


def _close(sandbox: Sandbox, asked: dict[str, Any]) -> dict[str, Any]:
    state = _state(sandbox, {"state": asked["name"]})
    state.close()
    return {"closed": state.name}


def _digest(sandbox: Sandbox, asked: dict[str, Any]) -> dict[str, Any]:
    state = _state(sandbox, asked)
    return {"state": state.name, "digest": state.digest()}


def _diff(sandbox: Sandbox, asked: dict[str, Any]) -> dict[str, Any]:
    state = _state(sandbox, asked)
    diff = state.diff(_state(sandbox, asked, "with") if "with" in asked else None)
    changed = [{"before": before, "after": after} for before, after in diff.changed]
    return {"added": list(diff.added), "changed": changed, "removed": list(diff.removed)}


def _audit(sandbox: Sandbox, asked: dict[str, Any]) -> dict[str, Any]:
    entries = sandbox.audit.of(_state(sandbox, asked).name, after=int(asked.get("after", 0)))
    return {"entries": [{**dataclasses.asdict(e), "time": e.time.isoformat()} for e in entries]}


def _faults(sandbox: Sandbox, asked: dict[str, Any]) -> dict[str, Any]:
    faults = Faults(**asked)
    sandbox.faults = FaultSource(faults)
    return dataclasses.asdict(faults)
