"""What comes over HTTP and is no good FHIR: bytes, types, sizes, methods, paths, tokens."""

import asyncio
import json
import logging
import socket
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.environments.serving import bundle, connect, entry, observation, outcome, patient, served
from wardround.environments.fhir.app import MAX_BODY, MAX_URL
from wardround.environments.fhir.codec import dump, parse
from wardround.environments.fhir.definitions import SUPPORTED
from wardround.environments.fhir.sandbox import Sandbox

FHIR = {"content-type": "application/fhir+json"}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as made:
        made.load([patient("a")])
        yield made


@pytest.fixture
async def http(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with connect(sandbox) as client:
        yield client


# -- bytes --------------------------------------------------------------------------------------------------

START = b'{"resourceType":"Patient","id":"a",'


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "empty"),
        (b" ", "not JSON"),
        (b"{", "not JSON"),
        (b'{"resourceType":"Patient"} {}', "not JSON"),
        (START + b'"active":true,"active":false}', "'active' is given twice"),
        (START + b'"name":[{"text":"a","text":"a"}]}', "'text' is given twice"),
        (START + b'"multipleBirthInteger":NaN}', "NaN"),
        (START + b'"multipleBirthInteger":-Infinity}', "Infinity"),
        (START + b'"multipleBirthInteger":01}', "not JSON"),
        (START + b'"active":True}', "not JSON"),
        (START + b"'active':true}", "not JSON"),
        (START + b'"active":true,}', "not JSON"),
        (START + b'"name":[{"text":"\\ud800"}]}', "UTF-8"),
        (START + b'"name":[{"text":"\\uDC00\\uD800"}]}', "UTF-8"),
        (START + b'"\\ud800":1}', "UTF-8"),
        (START + b'"name":[{"text":"\xe9"}]}', "UTF-8"),
        (START + b'"name":[{"text":"a\x00"}]}', "not JSON"),
        (json.dumps(patient("a")).encode("utf-16"), "UTF-8"),
        (b"[" * 100_000, "nested"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested"),
        (START + b'"extension":' + b"[" * 200 + b"]" * 200 + b"}", "nested"),
        (START + b'"multipleBirthInteger":' + b"9" * 5000 + b"}", "not JSON"),
    ],
)
async def test_a_body_that_is_no_json_is_refused_and_nothing_is_written(
    sandbox: Sandbox, http: httpx.AsyncClient, body: bytes, says: str
) -> None:
    digest = sandbox.state.digest()
    for method, url in (("PUT", "/Patient/a"), ("POST", "/Patient"), ("PATCH", "/Patient/a"), ("POST", "")):
        response = await http.request(method, url, content=body, headers=FHIR)
        assert response.status_code == 400, method
        assert says in outcome(response)
    assert sandbox.state.digest() == digest


@pytest.mark.parametrize(
    "value", ["1E400", "-1E400", "1E-400", "1E-999999", "1E999999", "0E999999", "9" * 400, "0." + "1" * 400]
)
async def test_a_number_beyond_all_bounds_is_refused_or_kept_and_never_breaks_the_server(
    http: httpx.AsyncClient, value: str
) -> None:
    body = dump(observation(valueQuantity={"value": 1})).replace('"value":1', f'"value":{value}')
    response = await http.post("/Observation", content=body, headers=FHIR)
    assert response.status_code in (201, 422)
    if response.status_code == 201:
        kept = parse((await http.get(f"/Observation/{response.json()['id']}")).content)["valueQuantity"]["value"]
        assert kept == parse(value)


async def test_a_byte_order_mark_and_escapes_are_read(http: httpx.AsyncClient) -> None:
    body = json.dumps(patient("x", name=[{"text": "😀 Ö"}])).encode()
    response = await http.post("/Patient", content=b"\xef\xbb\xbf" + body, headers=FHIR)
    assert response.status_code == 201
    assert response.json()["name"][0]["text"] == "😀 Ö"


async def test_a_duplicate_member_among_very_many_is_found_quickly() -> None:
    members = ",".join(f'"m{i}":1' for i in range(200_000))
    with Sandbox() as sandbox:
        async with connect(sandbox) as http:
            response = await http.put("/Patient/a", content=f'{{{members},"m199999":2}}', headers=FHIR)
    assert "'m199999' is given twice" in outcome(response)


@pytest.mark.parametrize(
    "kind",
    [
        "application/fhir+xml",
        "text/plain",
        "application/xml",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "",
        "json",
        "application/fhir+json; charset=iso-8859-1",
        'application/json;charset="UTF-16"',
    ],
)
async def test_a_body_of_another_type_or_charset_is_refused(http: httpx.AsyncClient, kind: str) -> None:
    body = json.dumps(patient("a"))
    response = await http.put("/Patient/a", content=body, headers={"content-type": kind})
    assert response.status_code == 415
    assert (await http.get("/Patient/a")).headers["etag"] == 'W/"1"'


@pytest.mark.parametrize(
    "kind",
    [
        "application/fhir+json",
        "Application/JSON; charset=UTF-8",
        'application/json;charset="utf-8"',
        "text/json",
        "application/fhir+json; fhirVersion=4.0; charset=utf8",
    ],
)
async def test_json_by_any_of_its_names_is_taken(http: httpx.AsyncClient, kind: str) -> None:
    response = await http.put("/Patient/a", content=json.dumps(patient("a")), headers={"content-type": kind})
    assert response.status_code == 200


async def test_a_body_without_a_type_is_taken_as_fhir_json(http: httpx.AsyncClient) -> None:
    request = http.build_request("PUT", "/Patient/a", content=json.dumps(patient("a")))
    assert "content-type" not in request.headers
    assert (await http.send(request)).status_code == 200


# -- formats ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/fhir+json", 200),
        ("application/json", 200),
        ("*/*", 200),
        ("application/*", 200),
        ("", 200),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", 200),
        ("application/fhir+xml", 406),
        ("text/html", 406),
        ("application/fhir+turtle", 406),
        ("text/*", 406),
    ],
)
async def test_accept_is_honoured(http: httpx.AsyncClient, accept: str, status: int) -> None:
    for url in ("/Patient/a", "/Patient", "/metadata", "/Patient/a/_history"):
        assert (await http.get(url, headers={"Accept": accept})).status_code == status
    written = await http.put("/Patient/a", json=patient("a"), headers={"Accept": accept})
    assert written.status_code == status
    assert (await http.get("/Patient/a")).headers["etag"] == ('W/"2"' if status == 200 else 'W/"1"')


@pytest.mark.parametrize(
    ("format_", "status"), [("json", 200), ("application/fhir+json", 200), ("xml", 406), ("nonsense", 406)]
)
async def test_the_format_in_the_query_overrides_accept(http: httpx.AsyncClient, format_: str, status: int) -> None:
    for url in ("/Patient/a", "/Patient", "/metadata", "/Patient/a/_history", "/Patient/a/$everything"):
        response = await http.get(url, params={"_format": format_}, headers={"Accept": "application/fhir+xml"})
        assert response.status_code == status, url


# -- sizes --------------------------------------------------------------------------------------------------


async def test_a_body_beyond_the_limit_is_refused(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    digest = sandbox.state.digest()

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY // 1_000_000 + 1):
            yield b" " * 1_000_000

    response = await http.put("/Patient/a", content=chunks(), headers=FHIR)
    assert response.status_code == 413
    assert sandbox.state.digest() == digest


async def test_a_url_beyond_the_limit_is_refused_and_the_same_search_by_post_is_served(http: httpx.AsyncClient) -> None:
    wanted = ",".join(f"{i:048d}" for i in range(MAX_URL // 48))
    assert (await http.get(f"/Patient?identifier={wanted}")).status_code == 414
    assert (await http.get(f"/Patient/{'x' * MAX_URL}")).status_code == 414
    response = await http.post("/Patient/_search", data={"identifier": wanted})
    assert response.status_code == 200
    assert response.json()["total"] == 0
    response = await http.post("/Patient/_search", data={"_id": wanted + ",a"})
    assert response.json()["total"] == 1


async def test_more_parameters_than_anyone_needs_are_refused(http: httpx.AsyncClient) -> None:
    assert (await http.get("/Patient?" + "&".join(["active=true"] * 1001))).status_code == 400
    assert (await http.get("/Patient?" + "&".join(["active=true"] * 40))).status_code == 200


# -- queries ------------------------------------------------------------------------------------------------


async def test_a_search_by_post_takes_a_form_and_nothing_else(http: httpx.AsyncClient) -> None:
    await http.put("/Patient/b", json=patient("b", name=[{"family": "Ek"}]))
    assert (await http.post("/Patient/_search", data={"family": "Öberg"})).json()["total"] == 1
    raw = {"content-type": "application/x-www-form-urlencoded"}
    response = await http.post("/Patient/_search", content="family=Öberg".encode(), headers=raw)
    assert response.json()["total"] == 1
    assert (await http.post("/Patient/_search?family=ek", data={"active:missing": "true"})).json()["total"] == 1
    assert (await http.post("/Patient/_search")).json()["total"] == 2
    as_json = await http.post("/Patient/_search", json={"family": "Ek"})
    assert as_json.status_code == 415
    latin = await http.post("/Patient/_search", content="family=Öberg".encode("latin-1"), headers=raw)
    assert latin.status_code == 400


async def test_a_query_that_is_not_utf8_is_refused(http: httpx.AsyncClient) -> None:
    assert (await http.get("/Patient?family=%D6berg")).status_code == 400
    assert (await http.get("/Patient?family=%ED%A0%80")).status_code == 400
    assert (await http.get("/Patient?family=%C3%96berg")).json()["total"] == 1


async def test_what_is_sent_is_said_again_only_as_far_as_fhir_has_it(http: httpx.AsyncClient) -> None:
    assert "expression" not in (await http.get("/Patient?=x")).json()["issue"][0]
    assert "\N{REPLACEMENT CHARACTER}" in outcome(await http.get("/Patient?a%01b=x"))
    long = await http.post("/Patient/$validate", json=patient("a", **{"x" * 100_000: 1}))
    assert len(long.text) < 5_000


async def test_a_path_is_decoded_once(http: httpx.AsyncClient) -> None:
    assert (await http.get("/Patient/%61")).status_code == 200
    assert (await http.get("/Patient/%2561")).status_code == 404
    assert (await http.get("http://sandbox/fhir/R4//Patient//a/")).status_code == 200
    body = await http.post("", json=bundle("batch", entry("GET", "Patient/%61"), entry("GET", "/Patient/a")))
    assert [e["response"]["status"] for e in body.json()["entry"]] == ["200 OK", "200 OK"]


# -- methods and paths --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["/Patient/a", "/Patient", "/metadata", "/Patient/a/_history", "/Patient/a/_history/1", "/Patient/a/$everything"],
)
async def test_head_is_get_without_the_body(http: httpx.AsyncClient, url: str) -> None:
    got, headed = await http.get(url), await http.head(url)
    assert headed.status_code == got.status_code == 200
    assert headed.content == b""
    same = ("etag", "last-modified", "content-type")
    assert [headed.headers.get(name) for name in same] == [got.headers.get(name) for name in same]
    assert (await http.head("/Patient/nobody")).status_code == 404


@pytest.mark.parametrize(
    ("method", "url", "allow"),
    [
        ("GET", "", "POST"),
        ("PUT", "", "POST"),
        ("DELETE", "", "POST"),
        ("POST", "/metadata", "GET, HEAD"),
        ("DELETE", "/_history", "GET, HEAD"),
        ("POST", "/Patient/a", "GET, HEAD, PUT, PATCH, DELETE"),
        ("GET", "/Patient/_search", "POST"),
        ("PUT", "/Patient/_search", "POST"),
        ("POST", "/Patient/_history", "GET, HEAD"),
        ("PUT", "/Patient/a/_history", "GET, HEAD"),
        ("DELETE", "/Patient/a/_history/1", "GET, HEAD"),
        ("POST", "/Patient/a/$everything", "GET, HEAD"),
        ("DELETE", "/Patient/$validate", "POST"),
        ("DELETE", "/Patient/a/$validate", "POST, GET, HEAD"),
        ("PUT", "/Patient/a/Observation", "GET, HEAD"),
    ],
)
async def test_a_method_that_is_not_served_is_refused_and_the_served_ones_are_named(
    sandbox: Sandbox, http: httpx.AsyncClient, method: str, url: str, allow: str
) -> None:
    digest = sandbox.state.digest()
    body = patient("a") if method in ("POST", "PUT") else None
    response = await http.request(method, url, json=body)
    assert (response.status_code, response.headers["allow"]) == (405, allow)
    assert sandbox.state.digest() == digest


@pytest.mark.parametrize("url", ["/Patient/a", "/openapi.json", "/sandbox/reset", "/nowhere"])
@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PROPFIND", "BREW"])
async def test_methods_of_no_use_here_get_an_outcome_too(sandbox: Sandbox, method: str, url: str) -> None:
    async with httpx.AsyncClient(transport=sandbox.transport(), base_url="http://sandbox") as http:
        for prefix in ("", "/fhir/R4"):
            response = await http.request(method, prefix + url)
            assert response.status_code in (404, 405)
            assert response.json()["resourceType"] == "OperationOutcome"
            assert ("allow" in response.headers) == (response.status_code == 405)


@pytest.mark.parametrize(
    "url",
    ["/", "/nothing", "/fhir2", "/forks/nobody/fhir/R4/Patient", "/forks/x", "/sandbox/nothing", "/docs"],
)
async def test_a_path_outside_of_fhir_is_answered_with_an_outcome(sandbox: Sandbox, url: str) -> None:
    async with httpx.AsyncClient(transport=sandbox.transport(), base_url="http://sandbox") as http:
        for method in ("GET", "POST"):
            response = await http.request(method, url)
            assert response.status_code == 404
            assert response.json()["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("/Patientt", "did you mean 'Patient'"),
        ("/patient", "did you mean 'Patient'"),
        ("/Group", "not served here"),
        ("/Nothing", "no resource type"),
        ("/Patient/nobody", "there is no Patient/nobody"),
        ("/Patient/a/Nothing", "no resource type"),
        ("/Patient/a/Organization", "no compartment search"),
        ("/Location/a/Observation", "no compartment search"),
        ("/Patient/a/b/c/d", "nothing at"),
        ("/Patient/a/_history/1/2", "nothing at"),
        ("/Patient/$everything", "Patient/id/$everything"),
        ("/Patient/a/$lastn", "not served on Patient"),
        ("/Patient/$nothing", "not served on Patient"),
        ("/Patient/nobody/_history", "there is no Patient/nobody"),
        ("/Patient/a%00", "there is no"),
        ("/R4/Patient", "no resource type"),
    ],
)
async def test_what_is_not_there_is_said_to_be_not_there(http: httpx.AsyncClient, url: str, says: str) -> None:
    response = await http.get(url)
    assert response.status_code == 404
    assert says in outcome(response)


async def test_both_bases_show_the_same_state_each_under_its_own_name(sandbox: Sandbox) -> None:
    async with httpx.AsyncClient(transport=sandbox.transport(), base_url="http://sandbox") as http:
        await http.put("/fhir/Patient/b", json=patient("b"))
        for base in ("/fhir/R4", "/fhir"):
            found = (await http.get(f"{base}/Patient?_id=b")).json()
            assert found["entry"][0]["fullUrl"] == f"http://sandbox{base}/Patient/b"
            made = await http.post(f"{base}/Observation", json=observation(f"http://sandbox{base}/Patient/b"))
            assert made.status_code == 201
            assert made.headers["location"].startswith(f"http://sandbox{base}/Observation/")


TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
SEGMENTS = (
    st.sampled_from([*SUPPORTED[:3], "Patient", "a", "_history", "_search", "$validate", "$everything", "1"]) | TEXT
)


@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]),
    path=st.lists(SEGMENTS, max_size=5),
    query=st.lists(st.tuples(st.sampled_from(["_count", "_sort", "name", "_id", "_elements", "_since"]) | TEXT, TEXT)),
    headers=st.dictionaries(
        st.sampled_from(["If-Match", "If-None-Match", "If-None-Exist", "Prefer", "Content-Type", "Accept"]),
        st.sampled_from(["*", 'W/"1"', "", "x", "name=a", "return=minimal", "application/json", "?", "%ff", "a=b;c"]),
        max_size=3,
    ),
    body=st.none() | st.binary(max_size=20) | st.sampled_from([dump(patient("a")).encode(), b"[]", b"{}", b"null"]),
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_request_of_any_form_breaks_the_server(
    method: str, path: list[str], query: list[tuple[str, str]], headers: dict[str, str], body: bytes | None
) -> None:
    async def run() -> None:
        async with connect(SHARED) as http:
            url = "http://sandbox/fhir/R4/" + "/".join(quote(part, safe="") for part in path)
            await http.request(method, url, params=query, headers=headers, content=body)

    asyncio.run(run())


SHARED = Sandbox()
SHARED.load([patient("a")])


@pytest.fixture(scope="module", autouse=True)
def closed() -> Iterator[None]:
    yield
    SHARED.close()


# -- who may ask --------------------------------------------------------------------------------------------

EVERYWHERE = [
    ("GET", "/fhir/R4/metadata"),
    ("GET", "/fhir/R4/Patient/a"),
    ("GET", "/fhir/Patient"),
    ("POST", "/fhir/R4"),
    ("PUT", "/fhir/R4/Patient/a"),
    ("DELETE", "/fhir/R4/Patient/a"),
    ("OPTIONS", "/fhir/R4/Patient/a"),
    ("GET", "/forks/one/fhir/R4/Patient"),
    ("GET", "/forks/none/fhir/R4/Patient"),
    ("GET", "/openapi.json"),
    ("GET", "/nowhere"),
    ("GET", "/sandbox"),
    ("POST", "/sandbox/reset"),
    ("POST", "/sandbox/savepoint"),
    ("POST", "/sandbox/forks"),
    ("DELETE", "/sandbox/forks/one"),
    ("GET", "/sandbox/digest"),
    ("GET", "/sandbox/diff"),
    ("GET", "/sandbox/audit"),
    ("PUT", "/sandbox/faults"),
    ("DELETE", "/sandbox/faults"),
]


@pytest.mark.parametrize(
    "given", [None, "", "Bearer", "Bearer ", "Bearer wrong", "Bearer s3crét2", "Basic s3crét", "s3crét", "Bearer s3cr"]
)
async def test_without_the_token_nothing_is_learned_and_nothing_done(given: str | None) -> None:
    with Sandbox(token="s3crét") as sandbox:
        sandbox.load([patient("a")])
        sandbox.state.fork("one")
        digest = sandbox.state.digest()
        headers = {} if given is None else {"Authorization": given.encode()}
        async with httpx.AsyncClient(transport=sandbox.transport(), base_url="http://sandbox") as http:
            for method, url in EVERYWHERE:
                response = await http.request(method, url, headers=headers, json={} if method != "GET" else None)
                assert response.status_code == 401, (method, url)
                assert response.headers["www-authenticate"] == "Bearer"
                assert "Öberg" not in response.text
                assert "none" not in response.text
        assert sandbox.states() == ["default", "one"]
        assert sandbox.state.digest() == digest


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_with_the_token_all_is_served(scheme: str) -> None:
    with Sandbox(token="s3crét") as sandbox:
        async with connect(sandbox, headers={"Authorization": f"{scheme} s3crét".encode()}) as http:
            assert (await http.put("/Patient/a", json=patient("a"))).status_code == 201
            assert (await http.get("http://sandbox/sandbox")).status_code == 200
            assert (await http.get("http://sandbox/openapi.json")).status_code == 200


async def test_a_read_only_server_reads_searches_and_validates_but_writes_nothing() -> None:
    with Sandbox(read_only=True) as sandbox:
        sandbox.load([patient("a")])
        digest, newest = sandbox.state.digest(), sandbox.state.store.newest()
        async with connect(sandbox) as http:
            writes: list[tuple[str, str, Any]] = [
                ("POST", "/Patient", patient("b")),
                ("POST", "/Patient?family=nobody", patient("b")),
                ("PUT", "/Patient/a", patient("a")),
                ("PUT", "/Patient?family=oberg", patient("a")),
                ("PATCH", "/Patient/a", {"active": True}),
                ("DELETE", "/Patient/a", None),
                ("DELETE", "/Patient?family=oberg", None),
                ("POST", "", bundle("transaction", entry("GET", "Patient/a"))),
            ]
            for method, url, body in writes:
                response = await http.request(method, url, json=body)
                assert response.status_code == 403, (method, url)
                assert "read-only" in outcome(response)
            answer = (
                await http.post(
                    "",
                    json=bundle("batch", entry("GET", "Patient/a"), *(entry(m, u[1:], b) for m, u, b in writes[:-1])),
                )
            ).json()
            assert [e["response"]["status"][:3] for e in answer["entry"]] == ["200"] + ["403"] * 7
            assert (await http.post("/Patient/_search", data={"family": "oberg"})).json()["total"] == 1
            assert (await http.post("/Patient/$validate", json=patient("b"))).status_code == 200
            statement = (await http.get("/metadata")).json()["rest"][0]
        offered = {i["code"] for r in statement["resource"] for i in r["interaction"]}
        assert offered.isdisjoint({"create", "update", "patch", "delete"})
        assert "transaction" not in {i["code"] for i in statement["interaction"]}
        assert (sandbox.state.digest(), sandbox.state.store.newest()) == (digest, newest)


# -- the server's own fault ---------------------------------------------------------------------------------


async def test_a_fault_of_the_server_is_logged_and_said_without_what_it_was(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.state.store.db.execute("ALTER TABLE gone RENAME TO lost")
    async with httpx.AsyncClient(transport=sandbox.transport(), base_url="http://sandbox/fhir/R4") as http:
        with caplog.at_level(logging.ERROR):
            response = await http.get("/Patient/a")
        assert response.status_code == 500
        assert response.json()["resourceType"] == "OperationOutcome"
        assert "gone" not in response.text
    assert "no such table" in caplog.text
    assert list(sandbox.audit)[-1].status == 500
    assert not sandbox.state.store.db.in_transaction


async def test_a_write_that_breaks_half_way_leaves_nothing(sandbox: Sandbox) -> None:
    store = sandbox.state.store
    newest, digest = store.newest(), sandbox.state.digest()
    store.db.execute("ALTER TABLE string RENAME TO lost")  # its rows are written after the version
    async with httpx.AsyncClient(transport=sandbox.transport(), base_url="http://sandbox/fhir/R4") as http:
        assert (await http.put("/Patient/b", json=patient("b"))).status_code == 500
        assert (await http.post("", json=bundle("batch", entry("PUT", "Patient/b", patient("b"))))).status_code == 500
        store.db.execute("ALTER TABLE lost RENAME TO string")
        assert (store.newest(), sandbox.state.digest()) == (newest, digest)
        assert (await http.put("/Patient/b", json=patient("b"))).status_code == 201


async def test_a_write_to_a_fork_that_closed_while_the_body_came_is_refused(sandbox: Sandbox) -> None:
    fork = sandbox.state.fork("short")

    async def slow() -> AsyncIterator[bytes]:
        yield b" "
        fork.close()
        yield json.dumps(patient("a")).encode()

    async with connect(sandbox, fork) as http:
        response = await http.put("/Patient/a", content=slow(), headers=FHIR)
    assert response.status_code == 404
    assert sandbox.state.store.db.execute("SELECT count(*) FROM version").fetchone() == (1,)


def test_a_client_that_leaves_within_the_body_writes_nothing_and_breaks_nothing(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    digest = sandbox.state.digest()
    body = json.dumps(patient("a", active=True)).encode()
    with served(sandbox) as address, caplog.at_level(logging.WARNING):
        host, port = address.removeprefix("http://").split(":")
        for sent in (body, body[:20], b""):
            with socket.create_connection((host, int(port))) as connection:
                head = f"PUT /fhir/R4/Patient/a HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body) + 1}\r\n\r\n"
                connection.sendall(head.encode() + sent)
        while len(sandbox.audit) < 3:
            time.sleep(0.01)
        response = httpx.get(f"{address}/fhir/R4/Patient/a")
    assert (response.status_code, response.headers["etag"]) == (200, 'W/"1"')
    assert sandbox.state.digest() == digest
    assert [(e.status, e.written) for e in sandbox.audit][:3] == [(400, ())] * 3
    assert caplog.records == []


ORDER = {
    "resourceType": "ServiceRequest",
    "status": "active",
    "intent": "order",
    "subject": {"reference": "Patient/a"},
    "note": {"text": "one object, where R4 has a list"},
}


async def test_the_shapes_of_the_benchmark_are_taken_under_its_profile_alone() -> None:
    with Sandbox(profile="medagentbench") as sandbox, Sandbox() as strict:
        for each in (sandbox, strict):
            each.load([patient("a")])
        async with httpx.AsyncClient(transport=sandbox.transport(), base_url="http://sandbox/fhir/R4") as http:
            made = await http.post("/ServiceRequest", json=ORDER)
            assert made.status_code == 201
            assert made.json()["note"] == ORDER["note"]
            assert (await http.get("/Patient/a&_format=json")).json()["id"] == "a"
            assert (await http.get("/Patient&_format=json")).json()["total"] == 1
            assert (await http.get("/Patient?_id=a&_format=json")).json()["total"] == 1
            judged = await http.post("/ServiceRequest/$validate", json=ORDER)
            assert judged.json()["issue"][0]["severity"] == "warning"
            refused = await http.post("/ServiceRequest", json=ORDER | {"status": "x"})
            assert refused.status_code == 422
            assert [i["severity"] for i in refused.json()["issue"]] == ["error"]
        assert [(e.path, e.query) for e in list(sandbox.audit)[1:3]] == [
            ("Patient/a", "_format=json"),
            ("Patient", "_format=json"),
        ]
        async with connect(strict) as http:
            assert (await http.post("/ServiceRequest", json=ORDER)).status_code == 422
            assert (await http.get("/Patient/a&_format=json")).status_code == 404


async def test_the_capability_statement_is_valid_and_names_all_that_is_served(http: httpx.AsyncClient) -> None:
    statement = (await http.get("/metadata?mode=full")).json()
    assert statement["fhirVersion"] == "4.0.1"
    assert [r["type"] for r in statement["rest"][0]["resource"]] == list(SUPPORTED)
    assert (await http.get("/metadata?mode=terminology")).status_code == 400
