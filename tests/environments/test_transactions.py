"""Batches and transactions: all or nothing, links among entries, order, and what a crash leaves behind."""

import asyncio
import base64
import itertools
import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.environments.serving import Json, bundle, connect, entry, observation, outcome, patient
from wardround.environments.fhir.codec import fingerprint
from wardround.environments.fhir.sandbox import Sandbox
from wardround.environments.fhir.searching.query import parse_search
from wardround.environments.fhir.searching.search import Search


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as made:
        made.load([patient("a"), patient("b", identifier=[{"system": "urn:mrn", "value": "7"}])])
        yield made


@pytest.fixture
async def http(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with connect(sandbox) as client:
        yield client


async def transact(http: httpx.AsyncClient, *entries: Any, status: int = 200, kind: str = "transaction") -> Json:
    response = await http.post("", json=bundle(kind, *entries))
    assert response.status_code == status, response.text
    body: Json = response.json()
    return body


async def refused(http: httpx.AsyncClient, *entries: Any, status: int) -> str:
    response = await http.post("", json=bundle("transaction", *entries))
    assert response.status_code == status, response.text
    return outcome(response)


def uuid(n: int) -> str:
    return f"urn:uuid:00000000-0000-4000-8000-{n:012d}"


def described(body: Json) -> list[str]:
    """Return `STATUS location` of each entry."""
    return [f"{e['response']['status'].split()[0]} {e['response'].get('location', '')}".strip() for e in body["entry"]]


# -- all or nothing -----------------------------------------------------------------------------------------

GOOD = [
    lambda: entry("POST", "Observation", observation()),
    lambda: entry("PUT", "Patient/c", patient("c")),
    lambda: entry("PATCH", "Patient/a", {"active": True}),
    lambda: entry("DELETE", "Patient/b"),
    lambda: entry("GET", "Patient/a"),
]
BAD = {
    "invalid": (entry("POST", "Observation", observation(status="finalish")), 422),
    "dangling": (entry("POST", "Observation", observation("Patient/nobody")), 422),
    "stale": (entry("PUT", "Patient/d", patient("d"), ifMatch='W/"9"'), 412),
    "missing": (entry("GET", "Patient/nobody"), 404),
    "patch": (entry("PATCH", "Patient/nobody", {"active": True}), 404),
    "delete": (entry("DELETE", "Patient/nobody"), 404),
    "condition": (entry("PUT", "Patient?family=nobody&birthdate=x", patient("d")), 400),
    "type": (entry("POST", "Patientt", patient("d")), 404),
    "type with condition": (entry("PUT", "Patientt?x=1", patient("d")), 404),
    "several": (entry("POST", "Patient", patient("d"), ifNoneExist="family=oberg"), 412),
    "method": (entry("POST", "Patient/d", patient("d")), 405),
    "conditional reference": (entry("POST", "Observation", observation("Patient?identifier=nobody")), 412),
    "reference to type": (entry("POST", "Observation", observation("Patientt?identifier=x")), 422),
    "no url": ({"request": {"method": "GET"}}, 400),
    "no request": ({"resource": patient("d")}, 400),
    "no entry": (None, 400),
    "word": ("x", 400),
}


@pytest.mark.parametrize("place", range(len(GOOD) + 1))
@pytest.mark.parametrize("name", BAD)
async def test_one_bad_entry_anywhere_leaves_nothing_of_a_transaction(
    sandbox: Sandbox, http: httpx.AsyncClient, name: str, place: int
) -> None:
    bad, status = BAD[name]
    entries = [make() for make in GOOD]
    entries.insert(place, bad)
    digest, newest = sandbox.state.digest(), sandbox.state.store.newest()
    says = await refused(http, *entries, status=status)
    assert f"Bundle.entry[{place}]" in says
    assert sandbox.state.digest() == digest
    assert sandbox.state.diff().is_empty
    assert sandbox.state.store.newest() == newest
    assert list(sandbox.audit)[-1].written == ()


async def test_the_same_entries_without_a_bad_one_are_all_carried_out(http: httpx.AsyncClient) -> None:
    body = await transact(http, *(make() for make in GOOD))
    assert body["type"] == "transaction-response"
    assert [line.split()[0] for line in described(body)] == ["201", "201", "200", "204", "200"]
    assert body["entry"][4]["resource"]["active"] is True  # read at the end


async def test_a_batch_carries_out_what_it_can_and_says_of_each_what_became_of_it(
    sandbox: Sandbox, http: httpx.AsyncClient
) -> None:
    bad = [entry_ for entry_, _ in BAD.values()]
    entries = [*bad[:9], *(make() for make in GOOD), *bad[9:]]
    body = await transact(http, *entries, kind="batch")
    assert body["type"] == "batch-response"
    statuses = [line.split()[0] for line in described(body)]
    assert statuses[9:14] == ["201", "201", "200", "204", "200"]
    rest = statuses[:9] + statuses[14:]
    wanted = [422, 422, 412, 404, 404, 404, 400, 404, 404, 412, 405, 422, 422, 400, 400, 400, 400]
    assert [int(s) for s in rest] == wanted
    for answered, status in zip(body["entry"], statuses, strict=True):
        assert ("outcome" in answered["response"]) == (int(status) >= 400)
    assert len(list(sandbox.audit)[-1].written) == 4


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (patient("a"), "Bundle of type batch or transaction"),
        ([], "Bundle of type batch or transaction"),
        ({"resourceType": "Bundle"}, "type 'None'"),
        ({"resourceType": "Bundle", "type": "collection"}, "type 'collection'"),
        ({"resourceType": "Bundle", "type": ["transaction"]}, "cannot be processed"),
        ({"resourceType": "Bundle", "type": "transaction", "entry": {}}, "not a list"),
        ({"resourceType": "Bundle", "type": "transaction", "entry": None}, "not a list"),
        ({"resourceType": "Bundle", "type": "transaction", "entries": []}, "no element 'entries'"),
        (bundle("transaction", *[entry("GET", "Patient/a")] * 5001), "up to 5000"),
    ],
)
async def test_a_body_that_is_no_batch_or_transaction_is_refused(http: httpx.AsyncClient, body: Any, says: str) -> None:
    response = await http.post("", json=body)
    assert response.status_code == 400
    assert says in outcome(response)


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_nothing_in_is_nothing_out(http: httpx.AsyncClient, kind: str) -> None:
    response = await http.post("", json={"resourceType": "Bundle", "type": kind})
    assert response.json() == {"resourceType": "Bundle", "type": f"{kind}-response"}


@pytest.mark.parametrize(
    "bad",
    [
        entry("PUT", "Patient/a", patient("a"), ifMatch=1),
        entry("PUT", "Patient/a", patient("a"), ifmatch='W/"9"'),
        entry("POST", "Patient", patient("x"), ifNoneExist=None),
        entry("POST", "Patient", patient("x"), full="urn:x") | {"resources": []},
        entry("POST", "Patient", patient("x")) | {"fullUrl": 5},
        entry("POST", "", bundle("transaction", entry("DELETE", "Patient/a"))),
        entry("POST", "http://sandbox/fhir/R4/", bundle("transaction", entry("DELETE", "Patient/a"))),
        entry("TRACE", "Patient/a"),
        entry("post", "Patient", patient("x")),
        entry("PATCH", "Patient/a", {"resourceType": "Binary", "contentType": "application/json-patch+json"}),
        entry("PATCH", "Patient/a", {"resourceType": "Binary", "data": "ä"}),
        entry("PATCH", "Patient/a", {"resourceType": "Binary", "data": "bm8ganNvbg=="}),
        entry("GET", "Patient?name=%ff"),
    ],
)
async def test_an_entry_that_is_not_understood_in_full_is_refused(
    sandbox: Sandbox, http: httpx.AsyncClient, bad: Json
) -> None:
    digest = sandbox.state.digest()
    assert "Bundle.entry[0]" in await refused(http, bad, status=400)
    answer = await transact(http, bad, kind="batch")
    assert described(answer) == ["400"]
    assert sandbox.state.digest() == digest


async def test_a_binary_is_unpacked_as_a_patch_only(http: httpx.AsyncClient) -> None:
    data = base64.b64encode(json.dumps([{"op": "add", "path": "/active", "value": True}]).encode()).decode()
    binary = {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": data}
    body = await transact(http, entry("PATCH", "Patient/a", binary))
    assert body["entry"][0]["resource"]["active"] is True
    whole = base64.b64encode(json.dumps(patient("x")).encode()).decode()
    await refused(http, entry("POST", "Patient", {"resourceType": "Binary", "data": whole}), status=400)


# -- links among entries ------------------------------------------------------------------------------------


@given(order=st.permutations(range(5)), seed=st.integers(0, 3))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_links_in_any_order_and_in_circles_become_real(order: list[int], seed: int) -> None:
    made = [
        entry(
            "POST", "Patient", patient("x", link=[{"other": {"reference": uuid(1)}, "type": "seealso"}]), full=uuid(0)
        ),
        entry(
            "POST", "Patient", patient("x", link=[{"other": {"reference": uuid(0)}, "type": "seealso"}]), full=uuid(1)
        ),
        entry(
            "POST",
            "Observation",
            observation(
                uuid(0),
                derivedFrom=[{"reference": uuid(3)}],
                extension=[{"url": "urn:x", "valueReference": {"reference": uuid(1)}}],
                contained=[{"resourceType": "Practitioner", "id": "p"}],
                performer=[{"reference": "#p"}],
            ),
            full=uuid(2),
        ),
        entry("PUT", "Observation/o3", observation(uuid(1), id="o3", hasMember=[{"reference": uuid(2)}]), full=uuid(3)),
        entry("POST", "Observation", observation("Patient/a", derivedFrom=[{"reference": uuid(2)}]), full="urn:x:4"),
    ]

    async def run() -> tuple[list[Json], list[Json]]:
        with Sandbox() as sandbox:
            sandbox.load([patient("a")])
            async with connect(sandbox) as http:
                body = await transact(http, *(made[i] for i in order))
                everything = [json.loads(json.dumps(r)) for r in sandbox.state.resources()]
                return [body["entry"][order.index(i)]["resource"] for i in range(5)], everything

    resources, everything = asyncio.run(run())
    places = [f"{r['resourceType']}/{r['id']}" for r in resources]
    assert resources[0]["link"][0]["other"]["reference"] == places[1]
    assert resources[1]["link"][0]["other"]["reference"] == places[0]
    assert resources[2]["subject"]["reference"] == places[0]
    assert resources[2]["derivedFrom"][0]["reference"] == places[3] == "Observation/o3"
    assert resources[2]["extension"][0]["valueReference"]["reference"] == places[1]
    assert resources[3]["hasMember"][0]["reference"] == places[2]
    assert resources[4]["derivedFrom"][0]["reference"] == places[2]
    assert "urn:uuid" not in json.dumps(everything)


async def test_links_are_replaced_in_addresses_and_markup_but_never_in_text(http: httpx.AsyncClient) -> None:
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{uuid(1)}">{uuid(1)}</a></div>'
    document = {
        "resourceType": "DocumentReference",
        "status": "current",
        "text": {"status": "generated", "div": div},
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": uuid(1)}],
        "masterIdentifier": {"system": uuid(1), "value": "x"},
        "description": uuid(1),
        "content": [{"attachment": {"url": uuid(1), "title": uuid(1)}}],
    }
    body = await transact(
        http, entry("POST", "DocumentReference", document), entry("POST", "Patient", patient("x"), full=uuid(1))
    )
    made = body["entry"][0]["resource"]
    place = f"Patient/{body['entry'][1]['resource']['id']}"
    assert made["content"][0]["attachment"] == {"url": place, "title": uuid(1)}
    assert made["description"] == uuid(1)
    assert made["identifier"][0]["value"] == uuid(1)
    assert made["masterIdentifier"] == {"system": place, "value": "x"}
    assert made["text"]["div"] == div.replace(f'"{uuid(1)}"', f'"{place}"')


async def test_a_relative_link_is_read_from_the_address_of_its_entry(http: httpx.AsyncClient) -> None:
    there = "https://elsewhere.example/fhir"
    body = await transact(
        http,
        entry("POST", "Observation", observation("Patient/a"), full=f"{there}/Observation/1"),
        entry("POST", "Observation", observation(f"{there}/Patient/a"), full=uuid(2)),
        entry("POST", "Observation", observation("Patient/a"), full=uuid(3)),
        entry("POST", "Patient", patient("a"), full=f"{there}/Patient/a"),
    )
    made = [e["resource"] for e in body["entry"]]
    new = f"Patient/{made[3]['id']}"
    assert new != "Patient/a"
    assert [r["subject"]["reference"] for r in made[:3]] == [new, new, "Patient/a"]


async def test_a_link_that_no_entry_answers_is_refused(http: httpx.AsyncClient) -> None:
    says = await refused(http, entry("POST", "Observation", observation(uuid(5))), status=422)
    assert "Bundle.entry[0].resource.subject.reference" in says
    body = await transact(
        http,
        entry("POST", "Observation", observation(uuid(5))),
        entry("POST", "Patient", patient("x"), full=uuid(5)),
        kind="batch",
    )
    assert [line.split()[0] for line in described(body)] == ["422", "201"]


async def test_two_entries_of_one_address_are_refused(http: httpx.AsyncClient) -> None:
    entries = [entry("POST", "Patient", patient("x"), full=uuid(1)) for _ in range(2)]
    assert "Bundle.entry[1].fullUrl" in await refused(http, *entries, status=400)


async def test_a_conditional_reference_becomes_the_one_that_it_finds(http: httpx.AsyncClient) -> None:
    mrn = [{"system": "urn:mrn", "value": "new"}]
    body = await transact(
        http,
        entry("POST", "Observation", observation("Patient?identifier=urn:mrn|new")),
        entry("POST", "Observation", observation("Patient?identifier=urn:mrn%7C7")),
        entry("POST", "Patient", patient("x", identifier=mrn)),
    )
    made = [e["resource"] for e in body["entry"]]
    assert made[0]["subject"]["reference"] == f"Patient/{made[2]['id']}"
    assert made[1]["subject"]["reference"] == "Patient/b"
    says = await refused(http, entry("POST", "Observation", observation("Patient?family=oberg")), status=412)
    assert "multiple-matches" in says


# -- conditions ---------------------------------------------------------------------------------------------


async def test_links_to_a_conditional_create_lead_to_what_it_found_or_made(http: httpx.AsyncClient) -> None:
    for condition, number in (("identifier=urn:mrn|7", "7"), ("identifier=urn:mrn|8", "8")):
        who = patient("x", identifier=[{"system": "urn:mrn", "value": number}])
        for conditional in (
            entry("POST", "Patient", who, full=uuid(1), ifNoneExist=condition),
            entry("POST", f"Patient?{condition}", who, full=uuid(1)),
        ):
            body = await transact(http, entry("POST", "Observation", observation(uuid(1))), conditional)
            found = body["entry"][1]["resource"]["id"]
            assert body["entry"][0]["resource"]["subject"]["reference"] == f"Patient/{found}"
            assert (found == "b") == (number == "7")
            assert (await http.get(f"/Patient/{found}")).status_code == 200


async def test_links_to_a_conditional_update_lead_to_what_it_found_or_made(http: httpx.AsyncClient) -> None:
    for number, own in (("7", None), ("8", None), ("9", "nine")):
        who = patient("x", identifier=[{"system": "urn:mrn", "value": number}])
        who = {k: v for k, v in who.items() if k != "id"} | ({"id": own} if own else {})
        conditional = entry("PUT", f"Patient?identifier=urn:mrn|{number}", who, full=uuid(1))
        body = await transact(http, entry("POST", "Observation", observation(uuid(1))), conditional)
        found = body["entry"][1]["resource"]["id"]
        assert body["entry"][0]["resource"]["subject"]["reference"] == f"Patient/{found}"
        assert {"7": found == "b", "8": found not in ("a", "b"), "9": found == "nine"}[number]


async def test_two_entries_whose_conditions_are_about_one_resource_are_refused(
    sandbox: Sandbox, http: httpx.AsyncClient
) -> None:
    digest = sandbox.state.digest()
    who = patient("x", identifier=[{"system": "urn:mrn", "value": "8"}])
    twice = [entry("POST", "Patient", who, full=uuid(i), ifNoneExist="identifier=urn:mrn|8") for i in range(2)]
    assert "duplicate" in await refused(http, *twice, entry("POST", "Observation", observation(uuid(1))), status=400)
    known = {k: v for k, v in patient("x", identifier=[{"system": "urn:mrn", "value": "7"}]).items() if k != "id"}
    conditional = entry("PUT", "Patient?identifier=urn:mrn|7", known)
    for other in (
        entry("PUT", "Patient/b", patient("b")),
        entry("PATCH", "Patient/b", {"active": True}),
        entry("DELETE", "Patient/b"),
        entry("DELETE", "Patient?identifier=urn:mrn|7"),
        conditional,
    ):
        for pair in ([conditional, other], [other, conditional]):
            await refused(http, *pair, status=400)
    assert sandbox.state.digest() == digest


@pytest.mark.parametrize("methods", list(itertools.combinations_with_replacement(["PUT", "PATCH", "DELETE"], 2)))
async def test_a_resource_is_written_once_at_most(http: httpx.AsyncClient, methods: tuple[str, str]) -> None:
    bodies = {"PUT": patient("a"), "PATCH": {"active": True}, "DELETE": None}
    says = await refused(http, *(entry(m, "Patient/a", bodies[m]) for m in methods), status=400)
    assert "duplicate" in says
    assert "Bundle.entry[" in says


async def test_if_match_holds_for_an_entry(http: httpx.AsyncClient) -> None:
    await refused(http, entry("PUT", "Patient/a", patient("a"), ifMatch='W/"2"'), status=412)
    body = await transact(http, entry("PUT", "Patient/a", patient("a"), ifMatch='W/"1"'))
    assert body["entry"][0]["response"]["etag"] == 'W/"2"'
    read = await transact(http, entry("GET", "Patient/a", ifNoneMatch='W/"2"'))
    assert described(read)[0].startswith("304")


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_what_is_preferred_holds_for_every_entry(http: httpx.AsyncClient, kind: str) -> None:
    entries = [entry("POST", "Patient", patient("x")), entry("HEAD", "Patient/a"), entry("GET", "Patient?bad=1")]
    sent = bundle(kind, *entries[: 2 if kind == "transaction" else 3])
    response = await http.post("", json=sent, headers={"Prefer": "return=minimal, handling=lenient"})
    made, headed, *found = response.json()["entry"]
    assert "resource" not in made
    assert (await http.get(made["response"]["location"])).status_code == 200
    assert headed == {"response": {"status": "200 OK", "etag": 'W/"1"'}}
    assert all(f["resource"]["entry"][-1]["search"]["mode"] == "outcome" for f in found)
    told = await http.post("", json=sent, headers={"Prefer": "return=OperationOutcome, handling=lenient"})
    assert told.json()["entry"][0]["resource"]["resourceType"] == "OperationOutcome"


# -- order --------------------------------------------------------------------------------------------------


@given(order=st.permutations(range(5)))
@settings(max_examples=20, deadline=None)
def test_entries_are_carried_out_by_method_and_answered_in_their_own_order(order: list[int]) -> None:
    made = [
        entry("DELETE", "Patient?identifier=urn:mrn|7"),
        entry("POST", "Patient", patient("x", identifier=[{"system": "urn:mrn", "value": "7"}], gender="other"),
              ifNoneExist="identifier=urn:mrn|nobody"),
        entry("PUT", "Observation/o", observation("Patient?gender=other", id="o")),
        entry("PATCH", "Patient/a", {"gender": "female"}),
        entry("GET", "Patient?gender=other,female&_sort=gender"),
    ]  # fmt: skip

    async def run() -> Json:
        with Sandbox() as sandbox:
            sandbox.load([patient("a"), patient("b", identifier=[{"system": "urn:mrn", "value": "7"}])])
            async with connect(sandbox) as http:
                return await transact(http, *(made[i] for i in order))

    body = asyncio.run(run())
    answers = [body["entry"][order.index(i)] for i in range(5)]
    assert [a["response"]["status"].split()[0] for a in answers] == ["204", "201", "201", "200", "200"]
    new = f"Patient/{answers[1]['resource']['id']}"
    assert answers[2]["resource"]["subject"]["reference"] == new
    assert [e["resource"]["gender"] for e in answers[4]["resource"]["entry"]] == ["female", "other"]


async def test_many_equal_entries_get_ids_of_their_own_in_good_time(http: httpx.AsyncClient) -> None:
    start = time.perf_counter()
    body = await transact(http, *(entry("POST", "Patient", patient("x")) for _ in range(1500)))
    assert len({e["resource"]["id"] for e in body["entry"]}) == 1500
    assert time.perf_counter() - start < 20


# -- crash --------------------------------------------------------------------------------------------------

SIZE = 60
SERVER = """
import sys
from pathlib import Path
from wardround.environments.fhir.sandbox import Sandbox
from wardround.environments.serving import serve
app = Sandbox(Path(sys.argv[1])).app
serve(app, host="127.0.0.1", port=0, path="/fhir/R4", started=lambda base: print(base, flush=True))
"""


def stream(base: str, numbers: Iterator[int], acknowledged: set[int]) -> None:
    """Send transactions, each of `SIZE` patients and a counter, until the server is gone."""
    with httpx.Client(base_url=base) as http:
        for n in numbers:
            counter = observation(f"{uuid(0)}", id="counter", valueInteger=n)
            who = [patient("x", identifier=[{"system": f"urn:tx:{n}", "value": str(i)}]) for i in range(SIZE)]
            entries = [entry("POST", "Patient", each, full=uuid(i)) for i, each in enumerate(who)]
            try:
                response = http.post(
                    "", json=bundle("transaction", *entries, entry("PUT", "Observation/counter", counter))
                )
            except httpx.TransportError:
                return
            assert response.status_code == 200, response.text
            acknowledged.add(n)


def test_after_a_kill_each_transaction_is_whole_or_absent(tmp_path: Path) -> None:
    path = tmp_path / "record.sqlite"
    acknowledged: set[int] = set()
    numbers = itertools.count(1)
    cut_short = 0
    for delay in (0.03, 0.11, 0.29, 0.07):
        with subprocess.Popen([sys.executable, "-c", SERVER, str(path)], stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            base = server.stdout.readline().strip()
            sender = threading.Thread(target=stream, args=(base, numbers, acknowledged))
            before = len(acknowledged)
            sender.start()
            while len(acknowledged) == before and sender.is_alive():
                time.sleep(0.01)
            time.sleep(delay)
            server.send_signal(signal.SIGKILL)
            sender.join(20)
            assert not sender.is_alive()
        with Sandbox(path) as sandbox:
            resources = list(sandbox.state.resources())
            whole = Counter(r["identifier"][0]["system"] for r in resources if r["resourceType"] == "Patient")
            present = {int(system.rpartition(":")[2]) for system in whole}
            assert set(whole.values()) == {SIZE}
            assert acknowledged <= present
            newest = max(present)
            assert [r["valueInteger"] for r in resources if r["id"] == "counter"] == [newest]
            assert sandbox.state.digest() == f"{sum(map(fingerprint, resources)) % 2**128:032x}"
            asked = parse_search("Patient", [("identifier", f"urn:tx:{newest}|")])
            assert len(Search(sandbox.state.store, sandbox.state.view).keys("Patient", asked.conditions)) == SIZE
            cut_short += newest < next(numbers) - 1
    assert len(acknowledged) >= 4
    assert cut_short >= 1  # at least one kill came in the middle
