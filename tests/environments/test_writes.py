"""Create, update, patch and delete over HTTP: what is written, what is refused, and what is said about it."""

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.environments.serving import Json, connect, observation, outcome, patient
from wardround.environments.fhir.codec import dump, fingerprint, parse
from wardround.environments.fhir.outcome import FhirError
from wardround.environments.fhir.patching import merge, patched
from wardround.environments.fhir.sandbox import Sandbox
from wardround.testing import FixedClock

MOMENT = datetime(2023, 11, 13, 10, 15, tzinfo=UTC)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(clock=FixedClock(MOMENT)) as made:
        made.load([patient("a"), patient("b", identifier=[{"system": "urn:mrn", "value": "7"}])])
        yield made


@pytest.fixture
async def http(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with connect(sandbox) as client:
        yield client


async def created(http: httpx.AsyncClient, **members: Any) -> Json:
    response = await http.post("/Observation", json=observation(**members))
    assert response.status_code == 201, response.text
    body: Json = response.json()
    return body


# -- create -------------------------------------------------------------------------------------------------


async def test_create_assigns_id_version_time_and_says_where_it_is(http: httpx.AsyncClient) -> None:
    response = await http.post("/Observation", json=observation(id="mine", meta={"source": "urn:ward"}))
    body = response.json()
    assert response.status_code == 201
    assert body["id"] != "mine"
    assert body["meta"]["source"] == "urn:ward"
    assert body["meta"]["versionId"] == "1"
    assert response.headers["etag"] == 'W/"1"'
    updated = datetime.fromisoformat(body["meta"]["lastUpdated"])
    assert (updated - MOMENT).total_seconds() < 1
    assert parsedate_to_datetime(response.headers["last-modified"]) == updated.replace(microsecond=0)
    location = response.headers["location"]
    assert location == f"http://sandbox/fhir/R4/Observation/{body['id']}/_history/1"
    assert (await http.get(location)).json() == body


async def test_what_was_written_is_read_and_found_at_once(http: httpx.AsyncClient) -> None:
    body = await created(http)
    assert (await http.get(f"/Observation/{body['id']}")).json() == body
    found = (await http.get("/Observation", params={"patient": "a", "code": "2823-3"})).json()
    assert [e["resource"] for e in found["entry"]] == [body]


async def test_members_stay_in_the_order_they_were_sent(http: httpx.AsyncClient) -> None:
    sent = '{"note":[{"text":"b"}],"status":"final","resourceType":"Observation","code":{"text":"x"}}'
    response = await http.post("/Observation", content=sent, headers={"content-type": "application/fhir+json"})
    assert list(response.json()) == ["resourceType", "id", "meta", "note", "status", "code"]


@pytest.mark.parametrize("digits", ["7.10", "7", "7.0", "0.000", "1.50E+3", "-12.3400", "123456789012345678.90"])
async def test_decimals_keep_their_digits(http: httpx.AsyncClient, digits: str) -> None:
    sent = dump(observation(valueQuantity={"value": 1})).replace('"value":1', f'"value":{digits}')
    response = await http.post("/Observation", content=sent, headers={"content-type": "application/fhir+json"})
    assert f'"value":{digits}' in response.text
    read = await http.get(f"/Observation/{response.json()['id']}")
    assert f'"value":{digits}' in read.text
    patch = [{"op": "replace", "path": "/status", "value": "amended"}]
    assert f'"value":{digits}' in (await http.patch(f"/Observation/{response.json()['id']}", json=patch)).text


async def test_equal_runs_give_equal_ids_and_equal_resources_different_ones() -> None:
    runs = []
    for _ in range(2):
        with Sandbox(clock=FixedClock(MOMENT)) as sandbox:
            sandbox.load([patient("a")])
            async with connect(sandbox) as http:
                runs.append([(await created(http))["id"] for _ in range(40)])
    assert runs[0] == runs[1]
    assert len(set(runs[0])) == 40


async def test_an_id_of_a_deleted_resource_is_not_given_again(http: httpx.AsyncClient) -> None:
    first = await created(http)
    await http.delete(f"/Observation/{first['id']}")
    assert (await created(http))["id"] != first["id"]


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"status": "finalish"}, "Observation.status"),
        ({"status": None}, "Observation.status"),
        ({"foo": 1}, "Observation.foo"),
        ({"code": []}, "Observation.code"),
        ({"valueQuantity": {"value": "7.1"}}, "Observation.valueQuantity.value"),
        ({"valueString": "a", "valueBoolean": True}, "Observation.value"),
        ({"subject": {"reference": "Medication/1"}}, "Observation.subject.reference"),
        ({"subject": {"reference": "not a ref!!"}}, "Observation.subject.reference"),
        ({"subject": {"reference": "#nobody"}}, "Observation.subject.reference"),
        ({"effectiveDateTime": "2023-05-01T10:00:00"}, "Observation.effectiveDateTime"),
        ({"meta": "x"}, "Observation.meta"),
        ({"meta": []}, "Observation.meta"),
        ({"code": {"text": ""}}, "Observation.code.text"),
    ],
)
async def test_an_invalid_resource_is_refused_with_its_place_and_nothing_is_written(
    sandbox: Sandbox, http: httpx.AsyncClient, changes: Json, path: str
) -> None:
    before, rows = sandbox.state.digest(), len(list(sandbox.state.resources()))
    for method, url in (("POST", "/Observation"), ("PUT", "/Observation/new1")):
        response = await http.request(method, url, json=observation(id="new1") | changes)
        assert response.status_code == 422
        assert any(e.startswith(path) for i in response.json()["issue"] for e in i["expression"]), response.text
    assert (sandbox.state.digest(), len(list(sandbox.state.resources()))) == (before, rows)


# -- references ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reference",
    [
        "Patient/nobody",
        "http://sandbox/fhir/R4/Patient/nobody",
        "Patient/new",
        "Patient/nobody/_history/1",
        "urn:uuid:b0e8a3b4-6c1b-4f0e-9e39-0f8f6b6d3c11",
    ],
)
async def test_a_reference_to_what_is_not_there_is_refused(http: httpx.AsyncClient, reference: str) -> None:
    response = await http.post("/Observation", json=observation(reference))
    assert response.status_code == 422
    assert "Observation.subject.reference" in outcome(response)


async def test_a_new_patient_cannot_refer_to_the_place_that_new_resources_are_checked_under(
    http: httpx.AsyncClient,
) -> None:
    link = [{"other": {"reference": "Patient/new"}, "type": "seealso"}]
    assert (await http.post("/Patient", json=patient("x", link=link))).status_code == 422


@pytest.mark.parametrize(
    "reference",
    ["Patient/a", "http://sandbox/fhir/R4/Patient/a", "http://elsewhere.example/fhir/Patient/nobody", "Group/of-men"],
)
async def test_what_is_there_or_not_served_here_may_be_referred_to(http: httpx.AsyncClient, reference: str) -> None:
    response = await http.post("/Observation", json=observation(reference))
    assert response.status_code == 201, response.text
    assert response.json()["subject"] == {"reference": reference}


async def test_a_resource_may_refer_to_itself_once_it_has_a_place(http: httpx.AsyncClient) -> None:
    link = [{"other": {"reference": "Patient/self"}, "type": "seealso"}]
    assert (await http.put("/Patient/self", json=patient("self", link=link))).status_code == 201


async def test_a_reference_to_a_deleted_resource_is_refused(http: httpx.AsyncClient) -> None:
    await http.delete("/Patient/a")
    assert "which is not there" in outcome(await http.post("/Observation", json=observation("Patient/a")))


async def test_references_are_not_checked_where_this_was_asked_for() -> None:
    with Sandbox(checks_references=False) as sandbox:
        async with connect(sandbox) as http:
            assert (await http.post("/Observation", json=observation("Patient/nobody"))).status_code == 201
            assert (await http.post("/Observation", json=observation("not a ref!!"))).status_code == 422


# -- update -------------------------------------------------------------------------------------------------


async def test_update_makes_a_new_version_and_keeps_the_old(http: httpx.AsyncClient) -> None:
    body = await created(http)
    url = f"/Observation/{body['id']}"
    response = await http.put(url, json=body | {"status": "amended"})
    assert response.status_code == 200
    assert response.headers["etag"] == 'W/"2"'
    assert response.headers["content-location"] == f"http://sandbox/fhir/R4{url}/_history/2"
    assert response.json()["meta"]["versionId"] == "2"
    assert (await http.get(f"{url}/_history/1")).json() == body
    assert (await http.get(f"{url}/_history/2")).json()["status"] == "amended"
    assert (await http.get(f"{url}/_history/3")).status_code == 404
    assert (await http.get(f"{url}/_history/x")).status_code == 404


async def test_update_of_an_unknown_id_creates_it(http: httpx.AsyncClient) -> None:
    response = await http.put("/Patient/new-1.x", json=patient("new-1.x"))
    assert response.status_code == 201
    assert response.headers["location"] == "http://sandbox/fhir/R4/Patient/new-1.x/_history/1"


@pytest.mark.parametrize("given", [{"id": "other"}, {"id": None}, {"id": 5}, {"id": {}}])
async def test_the_id_of_the_body_must_be_that_of_the_url(http: httpx.AsyncClient, given: Json) -> None:
    response = await http.put("/Patient/a", json=patient("a") | given)
    assert response.status_code == 400
    assert "Patient.id" in outcome(response)
    body = patient("a")
    del body["id"]
    assert (await http.put("/Patient/a", json=body)).status_code == 400


@pytest.mark.parametrize("id_", ["a_b", "ä", "x" * 65, "a%20b", "a%2Fb/c"])
async def test_an_id_that_is_none_is_refused(http: httpx.AsyncClient, id_: str) -> None:
    response = await http.put(f"/Patient/{id_}", json=patient(id_))
    assert response.status_code in (400, 405)
    assert (await http.get(f"/Patient/{id_}")).status_code == 404


@pytest.mark.parametrize(
    "body", [{"resourceType": "Observation"}, {}, [], "x", 1, None, True, {"resourceType": ["Patient"]}]
)
async def test_a_body_of_another_kind_is_refused(http: httpx.AsyncClient, body: Any) -> None:
    for method, url in (("POST", "/Patient"), ("PUT", "/Patient/a"), ("PUT", "/Patient?identifier=x")):
        response = await http.request(method, url, content=json.dumps(body), headers={"content-type": "text/json"})
        assert response.status_code == 400, url


# -- conditions on versions ---------------------------------------------------------------------------------


async def test_if_match_lets_only_the_version_through_that_it_names(http: httpx.AsyncClient) -> None:
    body = await created(http)
    url = f"/Observation/{body['id']}"
    patch = [{"op": "replace", "path": "/status", "value": "amended"}]
    for tag in ('W/"2"', '"2"', "2", 'W/"11"', "", 'W/""', "x"):
        for method, content in (("PUT", body), ("PATCH", patch), ("DELETE", None)):
            response = await http.request(method, url, json=content, headers={"If-Match": tag})
            assert response.status_code == 412, (tag, method)
    assert (await http.put(url, json=body, headers={"If-Match": 'W/"1"'})).headers["etag"] == 'W/"2"'
    assert (await http.put(url, json=body, headers={"If-Match": '"2"'})).headers["etag"] == 'W/"3"'
    assert (await http.put(url, json=body, headers={"If-Match": 'W/"9", W/"3"'})).headers["etag"] == 'W/"4"'
    assert (await http.put(url, json=body, headers={"If-Match": "*"})).headers["etag"] == 'W/"5"'
    assert (await http.patch(url, json=patch, headers={"If-Match": 'W/"5"'})).headers["etag"] == 'W/"6"'
    assert (await http.delete(url, headers={"If-Match": 'W/"6"'})).status_code == 204


async def test_if_match_on_what_is_not_there_writes_nothing(http: httpx.AsyncClient) -> None:
    for url in ("/Patient/zz", "/Patient?identifier=zz"):
        response = await http.put(url, json=patient("zz"), headers={"If-Match": 'W/"1"'})
        assert response.status_code == 412
    assert (await http.get("/Patient/zz")).status_code == 404


async def test_if_none_match_star_creates_but_never_replaces(http: httpx.AsyncClient) -> None:
    anything = {"If-None-Match": "*"}
    assert (await http.put("/Patient/zz", json=patient("zz"), headers=anything)).status_code == 201
    assert (await http.put("/Patient/zz", json=patient("zz", active=True), headers=anything)).status_code == 412
    assert "active" not in (await http.get("/Patient/zz")).json()


async def test_a_reader_who_has_the_version_gets_304(http: httpx.AsyncClient) -> None:
    for tag in ('W/"1"', '"1"', "1", "*", 'W/"3", W/"1"'):
        response = await http.get("/Patient/a", headers={"If-None-Match": tag})
        assert (response.status_code, response.headers["etag"]) == (304, 'W/"1"')
    assert (await http.get("/Patient/a", headers={"If-None-Match": 'W/"2"'})).status_code == 200


# -- conditions on content ----------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["header", "header with a question mark", "query"])
async def test_a_conditional_create_writes_once_finds_then_and_refuses_several(
    sandbox: Sandbox, http: httpx.AsyncClient, way: str
) -> None:
    async def ask(condition: str) -> httpx.Response:
        if way == "query":
            return await http.post(f"/Patient?{condition}", json=resource)
        mark = "Patient?" if "mark" in way else ""
        return await http.post("/Patient", json=resource, headers={"If-None-Exist": mark + condition})

    resource = patient("x", identifier=[{"system": "urn:mrn", "value": "8|9"}])
    first = await ask("identifier=urn:mrn%7C8%5C%7C9")
    assert first.status_code == 201
    digest = sandbox.state.digest()
    second = await ask("identifier=urn:mrn%7C8%5C%7C9")
    assert second.status_code == 200
    assert second.json() == first.json()
    assert second.headers["etag"] == 'W/"1"'
    assert sandbox.audit is not None
    assert [e.written for e in sandbox.audit] == [(f"Patient/{first.json()['id']}",), ()]
    third = await ask("family=oberg")
    assert third.status_code == 412
    assert "multiple-matches" in outcome(third)
    assert sandbox.state.digest() == digest


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ("", "no search"),
        ("identifer=x", "did you mean 'identifier'"),
        ("_count=1", "no search"),
        ("birthdate=x", "date"),
    ],
)
async def test_a_condition_that_is_no_search_is_refused(
    sandbox: Sandbox, http: httpx.AsyncClient, condition: str, says: str
) -> None:
    digest = sandbox.state.digest()
    response = await http.post("/Patient", json=patient("x"), headers={"If-None-Exist": condition})
    assert response.status_code == 400
    assert says in outcome(response)
    for method, body in (("PUT", patient("x")), ("PATCH", []), ("DELETE", None)):
        response = await http.request(method, f"/Patient?{condition}", json=body)
        assert response.status_code == 400, method
    assert sandbox.state.digest() == digest


async def test_both_a_header_and_a_query_are_no_condition(http: httpx.AsyncClient) -> None:
    response = await http.post("/Patient?gender=male", json=patient("x"), headers={"If-None-Exist": "gender=male"})
    assert response.status_code == 400


async def test_a_conditional_update_changes_the_one_that_fits(http: httpx.AsyncClient) -> None:
    mrn = [{"system": "urn:mrn", "value": "7"}]
    body = patient("b", identifier=mrn, gender="female")
    del body["id"]
    response = await http.put("/Patient?identifier=urn:mrn|7", json=body)
    assert (response.status_code, response.json()["id"]) == (200, "b")
    assert response.json()["meta"]["versionId"] == "2"
    assert (await http.put("/Patient?identifier=urn:mrn|7", json=body | {"id": "a"})).status_code == 400
    assert (await http.put("/Patient?family=oberg", json=body)).status_code == 412
    stale = {"If-Match": 'W/"1"'}
    assert (await http.put("/Patient?identifier=urn:mrn|7", json=body, headers=stale)).status_code == 412


async def test_a_conditional_update_that_finds_nothing_creates(http: httpx.AsyncClient) -> None:
    body = patient("c", identifier=[{"system": "urn:mrn", "value": "9"}])
    response = await http.put("/Patient?identifier=urn:mrn|9", json=body)
    assert (response.status_code, response.json()["id"]) == (201, "c")
    del body["id"]
    response = await http.put("/Patient?identifier=urn:mrn|10", json=body)
    assert response.status_code == 201
    assert response.json()["id"] not in ("a", "b", "c")
    taken = await http.put("/Patient?identifier=urn:mrn|11", json=patient("a"))
    assert taken.status_code == 409
    for wrong in ({}, [], 5, "x y"):
        assert (await http.put("/Patient?identifier=urn:mrn|12", json=body | {"id": wrong})).status_code == 422


async def test_a_conditional_update_may_bring_a_deleted_resource_back(http: httpx.AsyncClient) -> None:
    await http.delete("/Patient/a")
    response = await http.put("/Patient?identifier=urn:mrn|9", json=patient("a"))
    assert (response.status_code, response.headers["etag"]) == (201, 'W/"3"')


async def test_a_conditional_patch_and_delete_are_about_one_resource(http: httpx.AsyncClient) -> None:
    response = await http.patch("/Patient?identifier=urn:mrn|7", json={"gender": "male"})
    assert (response.status_code, response.json()["gender"]) == (200, "male")
    assert (await http.patch("/Patient?identifier=nobody", json={"gender": "male"})).status_code == 404
    assert (await http.patch("/Patient?family=oberg", json={"gender": "male"})).status_code == 412
    assert (await http.delete("/Patient?family=oberg")).status_code == 412
    assert (await http.delete("/Patient?identifier=urn:mrn|7")).status_code == 204
    assert (await http.get("/Patient/b")).status_code == 410
    assert (await http.delete("/Patient?identifier=urn:mrn|7")).status_code == 204
    assert (await http.delete("/Patient")).status_code == 400
    assert (await http.patch("/Patient", json={})).status_code == 400
    assert (await http.put("/Patient", json=patient("a"))).status_code == 400


# -- what is answered ---------------------------------------------------------------------------------------


async def test_prefer_says_how_much_is_answered(http: httpx.AsyncClient) -> None:
    minimal = await http.post("/Observation", json=observation(), headers={"Prefer": "return=minimal"})
    assert (minimal.status_code, minimal.content) == (201, b"")
    assert (await http.get(minimal.headers["location"])).status_code == 200
    told = await http.put("/Patient/a", json=patient("a"), headers={"Prefer": "return=OperationOutcome"})
    assert told.json()["resourceType"] == "OperationOutcome"
    assert told.headers["etag"] == 'W/"2"'
    whole = await http.put(
        "/Patient/a", json=patient("a"), headers={"Prefer": 'respond-async; return="representation"'}
    )
    assert whole.json()["id"] == "a"


async def test_validation_judges_and_writes_nothing(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    digest = sandbox.state.digest()
    bad = await http.post("/Observation/$validate", json=observation(status="finalish"))
    assert (bad.status_code, bad.json()["issue"][0]["severity"]) == (200, "error")
    good = await http.post("/Observation/$validate", json=observation())
    assert good.json()["issue"][0]["severity"] == "information"
    stored = await http.get("/Patient/a/$validate")
    assert stored.json()["issue"][0]["severity"] == "information"
    assert (await http.post("/Patient/$validate", json=observation())).status_code == 400
    assert sandbox.state.digest() == digest


# -- delete -------------------------------------------------------------------------------------------------


async def test_what_was_deleted_is_gone_but_has_a_history(http: httpx.AsyncClient) -> None:
    gone = await http.delete("/Patient/a")
    assert (gone.status_code, gone.headers["etag"]) == (204, 'W/"2"')
    assert (await http.get("/Patient/a")).status_code == 410
    assert (await http.head("/Patient/a")).status_code == 410
    assert (await http.patch("/Patient/a", json={"active": True})).status_code == 410
    assert (await http.get("/Patient/a/_history/1")).json()["id"] == "a"
    assert (await http.get("/Patient/a/_history/2")).status_code == 410
    history = (await http.get("/Patient/a/_history")).json()["entry"]
    assert [e["request"]["method"] for e in history] == ["DELETE", "PUT"]
    assert (await http.get("/Patient?_id=a")).json()["total"] == 0


async def test_deleting_twice_changes_nothing_and_deleting_what_never_was_is_an_error(
    sandbox: Sandbox, http: httpx.AsyncClient
) -> None:
    await http.delete("/Patient/a")
    assert (await http.delete("/Patient/a")).status_code == 204
    assert (await http.get("/Patient/a/_history")).json()["total"] == 2
    assert (await http.delete("/Patient/nobody")).status_code == 404
    assert [e.written for e in sandbox.audit if e.method == "DELETE"] == [("Patient/a",), (), ()]


async def test_a_put_brings_a_deleted_resource_back_as_a_later_version(http: httpx.AsyncClient) -> None:
    await http.delete("/Patient/a")
    back = await http.put("/Patient/a", json=patient("a", active=True))
    assert (back.status_code, back.headers["etag"]) == (201, 'W/"3"')
    assert (await http.get("/Patient/a")).json()["active"] is True
    assert (await http.get("/Patient?active=true")).json()["total"] == 1


# -- patch --------------------------------------------------------------------------------------------------


async def test_json_patch_changes_what_it_names(http: httpx.AsyncClient) -> None:
    body = await created(http, note=[{"text": "one"}])
    url = f"/Observation/{body['id']}"
    operations = [
        {"op": "test", "path": "/status", "value": "final"},
        {"op": "replace", "path": "/status", "value": "corrected"},
        {"op": "add", "path": "/note/-", "value": {"text": "two"}},
        {"op": "copy", "from": "/note/0", "path": "/note/2"},
        {"op": "move", "from": "/code/text", "path": "/code/coding/0/display"},
        {"op": "remove", "path": "/note/0"},
    ]
    response = await http.patch(url, json=operations, headers={"content-type": "application/json-patch+json"})
    assert response.status_code == 200, response.text
    changed = response.json()
    assert changed["status"] == "corrected"
    assert [n["text"] for n in changed["note"]] == ["two", "one"]
    assert changed["code"]["coding"][0]["display"] == "Potassium"
    assert changed["meta"]["versionId"] == "2"


@pytest.mark.parametrize(
    ("operations", "status"),
    [
        ([{"op": "test", "path": "/status", "value": "amended"}], 422),
        ([{"op": "replace", "path": "/nothing", "value": 1}], 422),
        ([{"op": "remove", "path": "/name/7"}], 422),
        ([{"op": "add", "path": "/name/7", "value": {}}], 422),
        ([{"op": "replace", "path": "/status", "value": "finalish"}], 422),
        ([{"op": "remove", "path": "/code"}], 422),
        ([{"op": "add", "path": "/subject", "value": {"reference": "Patient/nobody"}}], 422),
        ([{"op": "replace", "path": "/id", "value": "x"}], 400),
        ([{"op": "replace", "path": "/resourceType", "value": "Patient"}], 400),
        ([{"op": "replace", "path": "", "value": {}}], 400),
        ([{"op": "replace", "path": "", "value": []}], 422),
        ([{"op": "remove", "path": ""}], 422),
        ([{"op": "replace", "path": "status", "value": "amended"}], 422),
        ([{"op": "replace", "path": "/status"}], 400),
        ([{"op": "mend", "path": "/status"}], 400),
        ([{"op": "copy", "from": "/nothing", "path": "/note"}], 422),
        ([{"path": "/status", "value": "amended"}], 400),
        ([{"op": "replace", "path": 7, "value": "amended"}], 400),
        (["x"], 400),
        ([[]], 400),
        ([None], 400),
        ("x", 400),
        ([{"op": "replace", "path": "/status", "value": "amended"}] * 1001, 413),
    ],
)
async def test_a_patch_that_cannot_be_applied_changes_nothing(
    sandbox: Sandbox, http: httpx.AsyncClient, operations: Any, status: int
) -> None:
    body = await created(http)
    digest = sandbox.state.digest()
    response = await http.patch(f"/Observation/{body['id']}", json=operations)
    assert response.status_code == status, response.text
    assert sandbox.state.digest() == digest


async def test_a_patch_of_copies_of_copies_is_stopped(http: httpx.AsyncClient) -> None:
    doubling = [{"op": "copy", "from": "/name", "path": "/name/-"}] * 60
    response = await http.patch("/Patient/a", json=doubling)
    assert response.status_code == 422
    assert "more than" in outcome(response)


async def test_a_patch_that_nests_too_deeply_is_stopped(http: httpx.AsyncClient) -> None:
    deep: Any = "x"
    for _ in range(70):
        deep = {"extension": [deep]}
    operations = [{"op": "add", "path": "/extension", "value": [deep]}]
    assert (await http.patch("/Patient/a", json=operations)).status_code == 400  # the request itself is too deep
    half: Any = "x"
    for _ in range(40):
        half = {"extension": [half]}
    step = "/extension/0" * 40
    operations = [
        {"op": "add", "path": "/extension", "value": half["extension"]},
        {"op": "replace", "path": step, "value": half},
    ]
    response = await http.patch("/Patient/a", json=operations)
    assert response.status_code == 422
    assert "nested" in outcome(response)


async def test_a_merge_patch_replaces_adds_and_with_null_removes(http: httpx.AsyncClient) -> None:
    body = await created(http, note=[{"text": "one"}], valueQuantity={"value": 1, "unit": "g"})
    url = f"/Observation/{body['id']}"
    change = {"status": "amended", "note": None, "valueQuantity": {"unit": "mg"}, "issued": "2023-11-13T10:15:00Z"}
    response = await http.patch(url, json=change, headers={"content-type": "application/merge-patch+json"})
    changed = response.json()
    assert "note" not in changed
    assert changed["valueQuantity"] == {"value": 1, "unit": "mg"}
    assert (changed["status"], changed["issued"]) == ("amended", "2023-11-13T10:15:00Z")
    as_json_patch = {"content-type": "application/json-patch+json"}
    assert (await http.patch(url, json=change, headers=as_json_patch)).status_code == 400
    assert (await http.patch(url, json={"id": "x"})).status_code == 400
    assert (await http.patch(url, json={"status": None})).status_code == 422
    fhirpath = {"resourceType": "Parameters", "parameter": []}
    assert (await http.patch(url, json=fhirpath)).status_code == 415
    assert (await http.patch("/Patient/nobody", json={})).status_code == 404


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "final", "a", "Patient/a"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "text", "id"]), inner, max_size=3)
    ),
    max_leaves=6,
)
POINTERS = st.one_of(
    st.sampled_from(
        ["", "/", "/status", "/note", "/note/0", "/note/-", "/note/00", "/note/1/text", "/code/coding/0", "~"]
    ),
    st.text("/~01ab-", max_size=8),
    JSON,
)
OPERATIONS = st.lists(
    st.fixed_dictionaries(
        {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "x", None, 1])},
        optional={"path": POINTERS, "from": POINTERS, "value": JSON},
    )
    | JSON,
    max_size=4,
)
STORED = dump(observation(id="o", note=[{"text": "one"}, {"text": "two"}]))


@given(OPERATIONS)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_list_is_applied_as_a_patch_or_refused_as_the_clients_fault(operations: list[Any]) -> None:
    status, result = 200, {}
    try:
        result = patched(STORED, operations, "")
    except FhirError as error:
        status = error.status
    assert status in (200, 400, 413, 422)
    assert isinstance(result, dict)


@given(JSON, JSON)
def test_a_merge_patch_leaves_no_null_where_it_merged_and_is_idempotent(target: Any, change: Any) -> None:
    once = merge(target, change)
    assert merge(once, change) == once
    if isinstance(change, dict):
        assert {name for name, value in change.items() if value is None}.isdisjoint(once)


@given(JSON)
def test_json_is_written_as_it_was_read(value: Any) -> None:
    text = dump(value)
    assert dump(parse(text)) == text


def test_versions_and_times_do_not_change_what_a_resource_says() -> None:
    plain = patient("a", meta={"tag": [{"code": "x"}]})
    stamped = patient("a", meta={"versionId": "9", "tag": [{"code": "x"}], "lastUpdated": "2023-01-01T00:00:00Z"})
    assert fingerprint(plain) == fingerprint(stamped)
    assert fingerprint(patient("a")) == fingerprint(patient("a", meta={"versionId": "1"}))
    assert fingerprint(plain) != fingerprint(patient("a"))
