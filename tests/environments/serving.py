"""What the tests of the sandbox's server share: requests without a network, and a real server on a socket."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from wardround.environments.fhir.codec import parse
from wardround.environments.fhir.sandbox import Sandbox
from wardround.environments.fhir.state import State
from wardround.environments.fhir.validation.validator import validate
from wardround.testing import serving

Json = dict[str, Any]


async def check_answer(response: httpx.Response) -> None:
    """Hold every answer to what the server promises: a FHIR resource that R4 allows, or nothing."""
    await response.aread()
    if "/sandbox" in response.request.url.path.removeprefix("/fhir") or response.url.path == "/openapi.json":
        return
    assert response.status_code < 500 or response.status_code == 503, response.text
    if response.status_code in (204, 304) or response.request.method == "HEAD":
        assert response.content == b""
        return
    if response.content:
        assert response.headers["content-type"] == "application/fhir+json; charset=utf-8"
        body = parse(response.content)
        assert [issue for issue in validate(body) if issue.severity != "warning"] == [], response.text[:500]
        assert (body["resourceType"] == "OperationOutcome") or response.status_code < 400


def connect(sandbox: Sandbox, state: State | None = None, **options: Any) -> httpx.AsyncClient:
    """Return a client of a state that needs no network; every answer it gets is checked."""
    return httpx.AsyncClient(
        transport=sandbox.transport(),
        base_url="http://sandbox" + (state or sandbox.state).base_path,
        event_hooks={"response": [check_answer]},
        **options,
    )


@contextmanager
def served(sandbox: Sandbox) -> Iterator[str]:
    """Serve a sandbox on a socket, in a thread; yields the address without the path of a state."""
    try:
        with serving.served(sandbox.app) as address:
            yield address
    finally:
        gc.collect()


def patient(id_: str = "a", **members: Any) -> Json:
    """Return a small Patient."""
    return {"resourceType": "Patient", "id": id_, "name": [{"family": "Öberg", "given": ["Ann"]}], **members}


def observation(subject: str = "Patient/a", **members: Any) -> Json:
    """Return a small Observation without an id."""
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "2823-3"}], "text": "Potassium"},
        "subject": {"reference": subject},
    } | members


def entry(method: str, url: str, resource: Any = None, *, full: str | None = None, **request: Any) -> Json:
    """Return an entry of a batch or transaction."""
    made: Json = {"request": {"method": method, "url": url, **request}}
    if full is not None:
        made["fullUrl"] = full
    return made if resource is None else made | {"resource": resource}


def bundle(kind: str, *entries: Any) -> Json:
    """Return a Bundle to send to the base URL."""
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def outcome(response: httpx.Response) -> str:
    """Return what an OperationOutcome says, its codes and places included."""
    issues = response.json()["issue"]
    return "\n".join(f"{i['code']}: {i['diagnostics']} @ {', '.join(i.get('expression', []))}" for i in issues)
