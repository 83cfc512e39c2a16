"""The states over HTTP, beside FHIR."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from tests.environments.serving import Json, connect, observation, patient
from wardround.environments.fhir.faults import Faults
from wardround.environments.fhir.sandbox import Sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as made:
        made.load([patient("a"), patient("b")])
        yield made


@pytest.fixture
async def admin(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=sandbox.transport(), base_url="http://sandbox/sandbox") as client:
        yield client


async def answered(response: httpx.Response, status: int = 200) -> Json:
    assert response.status_code == status, response.text
    body: Json = response.json()
    return body


async def test_the_sandbox_says_which_states_there_are(sandbox: Sandbox, admin: httpx.AsyncClient) -> None:
    sandbox.state.fork("one")
    assert await answered(await admin.get("")) == {
        "profile": "r4",
        "readOnly": False,
        "states": [{"name": "default", "base": "/fhir/R4"}, {"name": "one", "base": "/forks/one/fhir/R4"}],
    }


async def test_an_episode_by_http_alone(sandbox: Sandbox, admin: httpx.AsyncClient) -> None:
    start = (await answered(await admin.get("/digest")))["digest"]
    fork = await answered(await admin.post("/forks", json={"name": "episode"}))
    assert fork == {"name": "episode", "base": "/forks/episode/fhir/R4"}
    async with httpx.AsyncClient(transport=sandbox.transport(), base_url=f"http://sandbox{fork['base']}") as http:
        made = (await http.post("/Observation", json=observation())).json()
        await http.patch("/Patient/a", json={"active": True})
        await http.delete("/Patient/b")
    diff = await answered(await admin.get("/diff", params={"state": "episode"}))
    assert diff["added"] == [made]
    assert [(c["before"].get("active"), c["after"]["active"]) for c in diff["changed"]] == [(None, True)]
    assert [r["id"] for r in diff["removed"]] == ["b"]
    against = await answered(await admin.get("/diff", params={"state": "episode", "with": "default"}))
    assert against == diff
    back = await answered(await admin.get("/diff", params={"state": "default", "with": "episode"}))
    assert (len(back["added"]), len(back["removed"])) == (1, 1)
    assert (await answered(await admin.get("/digest")))["digest"] == start
    digest = (await answered(await admin.get("/digest", params={"state": "episode"})))["digest"]
    assert digest == sandbox.find("episode").digest() != start  # type: ignore[union-attr]
    assert (await answered(await admin.post("/reset", json={"state": "episode"})))["digest"] == start
    assert await answered(await admin.delete("/forks/episode")) == {"closed": "episode"}
    assert sandbox.states() == ["default"]


async def test_reset_returns_to_the_last_savepoint(sandbox: Sandbox, admin: httpx.AsyncClient) -> None:
    async with connect(sandbox) as http:
        await http.put("/Patient/c", json=patient("c"))
        saved = await answered(await admin.post("/savepoint"))
        await http.put("/Patient/d", json=patient("d"))
        assert (await answered(await admin.post("/reset"))) == saved
        assert (await http.get("/Patient/c")).status_code == 200
        assert (await http.get("/Patient/d")).status_code == 404


async def test_a_fork_of_a_fork_and_what_stands_on_it(admin: httpx.AsyncClient) -> None:
    await answered(await admin.post("/forks", json={"name": "one"}))
    await answered(await admin.post("/forks", json={"state": "one", "name": "two"}))
    assert "two" in (await answered(await admin.delete("/forks/one"), 409))["error"]
    await answered(await admin.delete("/forks/two"))
    await answered(await admin.delete("/forks/one"))
    unnamed = await answered(await admin.post("/forks"))
    assert unnamed["base"] == f"/forks/{unnamed['name']}/fhir/R4"


@pytest.mark.parametrize(
    ("method", "url", "body", "status", "says"),
    [
        ("POST", "/reset", {"sate": "one"}, 400, "no field 'sate' here: state"),
        ("POST", "/reset?sate=one", None, 400, "no field 'sate'"),
        ("POST", "/reset", {"state": "nobody"}, 404, "no state 'nobody'; there are: default"),
        ("POST", "/reset", {"state": 5}, 404, "no state '5'"),
        ("POST", "/reset", {"state": None}, 404, "no state 'None'"),
        ("POST", "/reset", [], 400, "not a JSON object"),
        ("POST", "/reset", "state", 400, "not a JSON object"),
        ("POST", "/savepoint", {"state": ["default"]}, 404, "no state"),
        ("POST", "/forks", {"name": "default"}, 409, "already"),
        ("POST", "/forks", {"name": "a/b"}, 409, "no name for a fork"),
        ("POST", "/forks", {"name": ".."}, 409, "no name for a fork"),
        ("POST", "/forks", {"name": "ä"}, 409, "no name for a fork"),
        ("POST", "/forks", {"name": 5}, 400, "is a string"),
        ("POST", "/forks", {"name": ["x"]}, 400, "is a string"),
        ("POST", "/forks", {"name": {}}, 400, "is a string"),
        ("POST", "/forks", {"state": "nobody"}, 404, "no state"),
        ("DELETE", "/forks/nobody", None, 404, "no state"),
        ("DELETE", "/forks/default", None, 409, "cannot be closed"),
        ("GET", "/digest?state=nobody", None, 404, "no state"),
        ("GET", "/digest?stat=one", None, 400, "no field"),
        ("GET", "/diff?with=nobody", None, 404, "no state"),
        ("GET", "/audit?after=x", None, 400, "invalid literal"),
        ("GET", "/audit?after=" + "9" * 5000, None, 400, "limit"),
        ("GET", "/audit?state=nobody", None, 404, "no state"),
        ("PUT", "/faults", {"too_much": 1}, 400, "no field 'too_much'"),
        ("PUT", "/faults", {"too_many": "1"}, 400, "not supported"),
        ("PUT", "/faults", {"too_many": 2}, 400, "shares"),
        ("PUT", "/faults", {"latency": None}, 400, "not supported"),
        ("PUT", "/faults", {"seed": None}, 400, "whole number"),
        ("PUT", "/faults", {"seed": [1]}, 400, "whole number"),
    ],
)
async def test_bad_input_is_refused_and_changes_nothing(
    sandbox: Sandbox, admin: httpx.AsyncClient, method: str, url: str, body: Any, status: int, says: str
) -> None:
    async with connect(sandbox) as http:
        await http.put("/Patient/c", json=patient("c"))
    digest, saved = sandbox.state.digest(), sandbox.state.diff()
    response = await admin.request(method, url, json=body)
    assert says in (await answered(response, status))["error"]
    assert sandbox.states() == ["default"]
    assert (sandbox.state.digest(), sandbox.state.diff()) == (digest, saved)
    assert sandbox.faults.faults == Faults()


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 90_000, b'{"state": "' + b"x" * 100_001 + b'"}', b"NaN"])
async def test_a_body_that_is_no_json_is_refused(admin: httpx.AsyncClient, body: bytes) -> None:
    for method, url in (("POST", "/reset"), ("PUT", "/faults"), ("POST", "/forks")):
        assert "table" in (await answered(await admin.request(method, url, content=body), 400))["error"]


async def test_a_reset_that_a_fork_stands_in_the_way_of_is_refused(sandbox: Sandbox, admin: httpx.AsyncClient) -> None:
    async with connect(sandbox) as http:
        await http.put("/Patient/c", json=patient("c"))
        await answered(await admin.post("/forks", json={"name": "one"}))
        assert "one" in (await answered(await admin.post("/reset"), 409))["error"]
        assert (await http.get("/Patient/c")).status_code == 200


@pytest.mark.parametrize("url", ["/reset", "/savepoint", "/digest", "/diff", "/audit", "/faults", "/forks", "/forks/x"])
async def test_each_path_has_its_method_and_says_so(admin: httpx.AsyncClient, url: str) -> None:
    response = await admin.request("PATCH", url)
    assert response.status_code == 405
    assert response.headers["allow"].split(", ")[0] in ("GET", "POST", "PUT", "DELETE", "HEAD")


async def test_faults_begin_and_end_over_http(sandbox: Sandbox, admin: httpx.AsyncClient) -> None:
    wanted = {"latency": 0.0, "too_many": 1.0, "server_error": 0.0, "truncated": 0.0, "seed": 3}
    assert await answered(await admin.put("/faults", json={"too_many": 1.0, "seed": 3})) == wanted
    async with connect(sandbox) as http:
        assert (await http.get("/Patient/a")).status_code == 429
        assert await answered(await admin.get("/digest"))  # the sandbox's own paths are never faulty
        await answered(await admin.put("/faults", json={}))
        assert (await http.get("/Patient/a")).status_code == 200


async def test_openapi_describes_the_server_under_the_address_it_was_asked_at(admin: httpx.AsyncClient) -> None:
    described = await answered(await admin.get("http://ward.example:81/openapi.json"))
    assert described["servers"] == [{"url": "http://ward.example:81/fhir/R4"}]
    assert "/Patient/{id}" in described["paths"]
