"""What goes wrong on purpose, drawn from a seed; and what the audit says of who asked what."""

import dataclasses
import json
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.environments.serving import bundle, check_answer, connect, entry, observation, outcome, patient
from wardround.environments.fhir.faults import Faults, FaultSource
from wardround.environments.fhir.sandbox import Sandbox
from wardround.testing import FixedClock

MIXED = Faults(too_many=0.2, server_error=0.2, truncated=0.2, seed=7)
MOMENT = datetime(2023, 11, 13, 10, 15, tzinfo=UTC)


def base(sandbox: Sandbox) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=sandbox.transport(), base_url="http://sandbox/fhir/R4")


async def fates(faults: Faults, count: int = 60) -> list[str]:
    with Sandbox(faults=faults) as sandbox:
        sandbox.load([patient("a")])
        found = []
        async with base(sandbox) as http:
            for _ in range(count):
                response = await http.get("/Patient/a")
                try:
                    response.json()
                    found.append(str(response.status_code))
                except json.JSONDecodeError:
                    found.append("truncated")
        return found


async def test_faults_are_drawn_from_the_seed() -> None:
    first, again = await fates(MIXED), await fates(MIXED)
    assert first == again
    assert first != await fates(dataclasses.replace(MIXED, seed=8))
    counts = Counter(first)
    assert set(counts) == {"200", "429", "503", "truncated"}
    drawn = FaultSource(MIXED)
    names = {"too_many": "429", "server_error": "503", "truncated": "truncated", None: "200"}
    assert [names[drawn.draw()] for _ in first] == first


def test_shares_are_kept() -> None:
    source = FaultSource(Faults(too_many=0.1, server_error=0.05, truncated=0.3, seed=1))
    counts = Counter(source.draw() for _ in range(20_000))
    assert counts["too_many"] / 20_000 == pytest.approx(0.1, abs=0.01)
    assert counts["server_error"] / 20_000 == pytest.approx(0.05, abs=0.01)
    assert counts["truncated"] / 20_000 == pytest.approx(0.3, abs=0.015)


@pytest.mark.parametrize(("field", "status"), [("too_many", 429), ("server_error", 503)])
async def test_a_refused_request_was_not_carried_out_and_says_when_to_repeat(field: str, status: int) -> None:
    with Sandbox(faults=Faults(**{field: 1.0})) as sandbox:
        digest = sandbox.state.digest()
        async with connect(sandbox) as http:
            for method, url, body in (
                ("PUT", "/Patient/a", patient("a")),
                ("POST", "", bundle("transaction", entry("PUT", "Patient/a", patient("a")))),
                ("GET", "/metadata", None),
            ):
                response = await http.request(method, url, json=body)
                assert (response.status_code, response.headers["retry-after"]) == (status, "1")
                assert "repeat" in outcome(response)
        assert sandbox.state.digest() == digest
        assert [(e.status, e.written) for e in sandbox.audit] == [(status, ())] * 3


async def test_a_truncated_answer_was_carried_out() -> None:
    with Sandbox(faults=Faults(truncated=1.0)) as sandbox:
        async with base(sandbox) as http:
            response = await http.put("/Patient/a", json=patient("a"))
            assert response.status_code == 201
            assert response.text.startswith('{"resourceType":"Patient"')
            with pytest.raises(json.JSONDecodeError):
                response.json()
            assert int(response.headers["content-length"]) == len(response.content)
            minimal = await http.put("/Patient/a", json=patient("a"), headers={"Prefer": "return=minimal"})
            assert (minimal.status_code, minimal.content) == (200, b"")
        assert [r["id"] for r in sandbox.state.resources()] == ["a"]
        assert next(iter(sandbox.audit)).written == ("Patient/a",)


async def test_latency_delays_every_answer_and_nothing_else() -> None:
    with Sandbox(faults=Faults(latency=0.05)) as sandbox:
        async with connect(sandbox) as http:
            start = time.perf_counter()
            assert (await http.put("/Patient/a", json=patient("a"))).status_code == 201
            assert (await http.get("/Patient/a")).status_code == 200
            assert time.perf_counter() - start >= 0.1
        sandbox.faults = FaultSource(Faults())
        async with connect(sandbox) as http:
            assert (await http.get("/Patient/a")).status_code == 200


@pytest.mark.parametrize(
    "fields",
    [
        {"too_many": -0.1},
        {"too_many": 1.1},
        {"server_error": float("nan")},
        {"too_many": 0.5, "truncated": 0.6},
        {"latency": -1},
        {"latency": float("inf")},
        {"latency": 601},
        {"seed": None},
        {"seed": 1.5},
        {"seed": "1"},
        {"seed": True},
    ],
)
def test_faults_that_cannot_be_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"share|seconds|whole number"):
        Faults(**fields)


# -- audit --------------------------------------------------------------------------------------------------


async def test_the_audit_has_one_exact_entry_per_request() -> None:
    with Sandbox(clock=FixedClock(MOMENT)) as sandbox:
        sandbox.load([patient("a"), patient("b")])
        fork = sandbox.state.fork("other")
        async with connect(sandbox) as http, connect(sandbox, fork) as there:
            await http.get("/Patient/a")
            await http.get("/Patient", params={"family": "Öberg", "_count": "1"})
            made = (await http.post("/Observation", json=observation())).json()["id"]
            await http.post("/Observation", json=observation(status="finalish"))
            await http.put("/Patient/a", json=patient("a", active=True))
            await http.patch("/Patient/a", json={"active": False})
            await http.delete(f"/Observation/{made}")
            await http.delete(f"/Observation/{made}")
            await http.post("/Patient/_search", data={"family": "Öberg"})
            await http.post(
                "", json=bundle("transaction", entry("PUT", "Patient/c", patient("c")), entry("DELETE", "Patient/b"))
            )
            await http.post("", json=bundle("transaction", entry("PUT", "Patient/d", patient("d")), entry("GET", "x")))
            await there.put("/Patient/a", json=patient("a"))
            await http.get("/Nothing/1", headers={"Accept": "text/html"})
            await http.get("http://sandbox/sandbox")
        wanted = [
            ("GET", "Patient/a", "", 200, ()),
            ("GET", "Patient", "family=%C3%96berg&_count=1", 200, ()),
            ("POST", "Observation", "", 201, (f"Observation/{made}",)),
            ("POST", "Observation", "", 422, ()),
            ("PUT", "Patient/a", "", 200, ("Patient/a",)),
            ("PATCH", "Patient/a", "", 200, ("Patient/a",)),
            ("DELETE", f"Observation/{made}", "", 204, (f"Observation/{made}",)),
            ("DELETE", f"Observation/{made}", "", 204, ()),
            ("POST", "Patient/_search", "", 200, ()),
            ("POST", "", "", 200, ("Patient/c", "Patient/b")),
            ("POST", "", "", 404, ()),
            ("PUT", "Patient/a", "", 200, ("Patient/a",)),
            ("GET", "Nothing/1", "", 406, ()),
        ]
        entries = list(sandbox.audit)
        assert [(e.method, e.path, e.query, e.status, e.written) for e in entries] == wanted
        assert [e.number for e in entries] == list(range(1, len(wanted) + 1))
        assert [e.state for e in entries] == ["default"] * 11 + ["other", "default"]
        assert all(e.time >= MOMENT and e.seconds > 0 for e in entries)
        assert sorted(e.time for e in entries) == [e.time for e in entries]
        assert [e.number for e in sandbox.audit.of("other")] == [12]
        assert [e.number for e in sandbox.audit.of("default", after=11)] == [13]
        said = " ".join(str(dataclasses.asdict(e)) for e in entries)
        assert "Potassium" not in said
        assert "Ann" not in said


async def test_the_audit_over_http_is_the_same_trail() -> None:
    with Sandbox(clock=FixedClock(MOMENT)) as sandbox:
        async with connect(sandbox) as http:
            await http.put("/Patient/a", json=patient("a"))
            await http.get("/Patient/a")
            asked = await http.get("http://sandbox/sandbox/audit", params={"after": "1"})
        (only,) = asked.json()["entries"]
        last = list(sandbox.audit)[-1]
        assert only == dataclasses.asdict(last) | {"time": last.time.isoformat(), "written": []}


async def test_answers_are_checked_by_these_tests_themselves() -> None:
    """The check on every answer must be able to fail."""
    request = httpx.Request("GET", "http://sandbox/fhir/R4/Patient/a")
    headers = {"content-type": "application/fhir+json; charset=utf-8"}
    bad = json.dumps(patient("a", gender="M")).encode()
    with pytest.raises(AssertionError):
        await check_answer(httpx.Response(200, headers=headers, content=bad, request=request))
    with pytest.raises(AssertionError):
        await check_answer(httpx.Response(500, headers=headers, content=b"{}", request=request))
