"""Clients that others wrote, unchanged, against the server on a socket: fhirpy and fhirclient."""

from collections.abc import Iterator
from typing import Any

import fhirpy
import pytest
from fhirclient.client import FHIRClient
from fhirclient.models.bundle import Bundle
from fhirclient.models.observation import Observation
from fhirclient.models.patient import Patient
from fhirclient.server import FHIRNotFoundException, FHIRUnauthorizedException
from fhirpy.base.exceptions import (
    AuthorizationError,
    ForbiddenError,
    MultipleResourcesFound,
    OperationOutcome,
    ResourceNotFound,
)
from requests.exceptions import HTTPError

from tests.environments.serving import Json, bundle, entry, observation, patient, served
from wardround.environments.fhir.sandbox import Sandbox

COUNT = 23


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as made:
        made.load([patient("a", gender="female", birthDate="1960-05-01"), patient("b", gender="male")])
        made.load(observation(id=f"o{i:02d}", valueQuantity={"value": i, "unit": "mmol/L"}) for i in range(COUNT))
        yield made


@pytest.fixture
def base(sandbox: Sandbox) -> Iterator[str]:
    with served(sandbox) as address:
        yield f"{address}/fhir/R4"


def told(error: OperationOutcome) -> str:
    return " ".join(issue["diagnostics"] for issue in error.resource["issue"])


# -- fhirpy -------------------------------------------------------------------------------------------------


async def test_fhirpy_searches_pages_and_counts(base: str) -> None:
    client = fhirpy.AsyncFHIRClient(base)
    labs = client.resources("Observation").search(patient="a", code="2823-3")
    assert await labs.count() == COUNT
    pages = labs.limit(5).sort("-_id")
    assert [o.id for o in await pages.fetch()] == [f"o{i:02d}" for i in range(22, 17, -1)]
    assert [o.id for o in await pages.fetch_all()] == [f"o{i:02d}" for i in range(22, -1, -1)]
    assert [o.id async for o in labs.limit(7)] == [f"o{i:02d}" for i in range(COUNT)]
    assert (await labs.sort("_id").first()).id == "o00"
    assert (await client.resources("Patient").search(gender="female").get()).id == "a"
    assert await client.resources("Patient").search(birthdate__ge="1960", birthdate__lt="1961").count() == 1
    assert await client.resources("Patient").search(name__contains="ber").count() == 2
    assert await client.resources("Patient").search(gender__not=["male"]).count() == 1
    assert await client.resources("Observation").search(patient__Patient__gender="female").count() == COUNT
    assert await client.resources("Patient").has("Observation", "patient", code="2823-3").count() == 1
    some = await client.resources("Observation").include("Observation", "subject").limit(2).fetch_raw()
    assert [e.resource.resource_type for e in some.entry] == ["Observation", "Observation", "Patient"]
    short = await client.resources("Patient").search(_id="a").elements("gender").fetch()
    assert "birthDate" not in short[0]


async def test_fhirpy_creates_updates_patches_and_deletes(base: str) -> None:
    client = fhirpy.AsyncFHIRClient(base)
    made = client.resource("Observation", **observation() | {"note": [{"text": "x"}]})
    await made.save()
    assert made.meta.versionId == "1"
    made["status"] = "amended"
    await made.update()
    assert made.meta.versionId == "2"
    await made.patch(status="corrected", note=None)
    assert (made.meta.versionId, made.status, "note" in made) == ("3", "corrected", False)
    again = await client.get("Observation", made.id)
    assert again["status"] == "corrected"
    assert await made.is_valid()
    subject = await made.subject.to_resource()
    assert subject.gender == "female"
    await made.refresh()
    changed = await client.patch("Observation", made.id, status="final")
    assert changed["meta"]["versionId"] == "4"
    await made.refresh()
    assert made.status == "final"
    history = await client.execute(f"Observation/{made.id}/_history", method="get")
    assert [e["response"]["etag"] for e in history["entry"]] == [f'W/"{n}"' for n in (4, 3, 2, 1)]
    await made.delete()
    with pytest.raises(ResourceNotFound):
        await client.get("Observation", made.id)


async def test_fhirpy_updates_with_an_etag(base: str) -> None:
    body = {**patient("a"), "active": True}
    fresh = fhirpy.AsyncFHIRClient(base, extra_headers={"If-Match": 'W/"1"'})
    await fresh.resource("Patient", **{k: v for k, v in body.items() if k != "resourceType"}).update()
    with pytest.raises(MultipleResourcesFound, match="is at version"):  # what fhirpy makes of every 412
        await fresh.resource("Patient", **{k: v for k, v in body.items() if k != "resourceType"}).update()


async def test_fhirpy_gets_or_creates_and_writes_by_condition(sandbox: Sandbox, base: str) -> None:
    client = fhirpy.AsyncFHIRClient(base)
    mrn = [{"system": "urn:mrn", "value": "1|2"}]
    sought = client.resources("Patient").search(identifier=r"urn:mrn|1\|2")
    new = client.resource("Patient", name=[{"family": "New"}], identifier=mrn)
    made, is_new = await sought.get_or_create(new)
    assert is_new
    found, is_new = await sought.get_or_create(new)
    assert (found.id, is_new) == (made.id, False)
    assert await client.resources("Patient").search(family="New").count() == 1
    with pytest.raises(MultipleResourcesFound):
        await client.resources("Patient").search(family="oberg").get_or_create(new)
    changed, is_new = await sought.update(client.resource("Patient", identifier=mrn, active=True))
    assert (changed.id, is_new, changed.meta.versionId) == (made.id, False, "2")
    other, is_new = (
        await client.resources("Patient")
        .search(identifier="other")
        .update(client.resource("Patient", identifier=[{"value": "other"}]))
    )
    assert is_new
    with pytest.warns(DeprecationWarning, match="first arg"):
        patched = await sought.patch(gender="other")
    assert (patched.id, patched.gender, patched.active) == (made.id, "other", True)
    _, status = await sought.delete()
    assert status == 204
    assert await sought.count() == 0
    created = client.resource("Patient", identifier=[{"value": "other"}])
    await created.create(identifier="other")
    assert created.id == other.id


async def test_fhirpy_carries_out_a_transaction(base: str) -> None:
    client = fhirpy.AsyncFHIRClient(base)
    one = "urn:uuid:6f0ce7b1-27a0-45a7-a3ad-7d0cbb4ec4b5"
    who = entry("POST", "Patient", {"resourceType": "Patient", "gender": "other"}, full=one)
    made = await client.execute("", data=bundle("transaction", entry("POST", "Observation", observation(one)), who))
    assert made["entry"][0]["resource"]["subject"]["reference"] == f"Patient/{made['entry'][1]['resource']['id']}"
    with pytest.raises(OperationOutcome) as caught:
        await client.execute("", data=bundle("transaction", entry("POST", "Observation", observation(one))))
    assert "Bundle.entry[0]" in told(caught.value)


async def test_fhirpy_is_told_what_is_wrong(base: str) -> None:
    client = fhirpy.AsyncFHIRClient(base)
    with pytest.raises(OperationOutcome) as caught:
        await client.resource("Observation", **observation() | {"status": "finalish"}).save()
    assert "final" in told(caught.value)
    with pytest.raises(OperationOutcome) as caught:
        await client.resources("Patient").search(birthdat="1960").fetch()
    assert "did you mean 'birthdate'" in told(caught.value)
    bad = client.resource("Observation", status="final")
    assert not await bad.is_valid()
    with pytest.raises(OperationOutcome):
        await bad.is_valid(raise_exception=True)
    with pytest.raises(ResourceNotFound):
        await client.resources("Patientt").fetch()


async def test_fhirpy_meets_a_token_and_a_read_only_server() -> None:
    with Sandbox(token="secret", read_only=True) as sandbox, served(sandbox) as address:
        with pytest.raises(AuthorizationError):
            await fhirpy.AsyncFHIRClient(f"{address}/fhir/R4").resources("Patient").fetch()
        client = fhirpy.AsyncFHIRClient(f"{address}/fhir/R4", authorization="Bearer secret")
        assert await client.resources("Patient").count() == 0
        with pytest.raises(ForbiddenError):
            await client.resource("Patient", gender="male").save()


def test_fhirpy_without_async_does_the_same(sandbox: Sandbox, base: str) -> None:
    fork = sandbox.state.fork("sync")
    client = fhirpy.SyncFHIRClient(base.removesuffix("/fhir/R4") + fork.base_path)
    digest = sandbox.state.digest()
    labs = client.resources("Observation").search(patient="a")
    assert labs.count() == COUNT
    assert len(labs.limit(4).fetch_all()) == COUNT
    made = client.resource("Observation", **observation())
    made.save()
    made.patch(status="amended")
    new = client.resource("Patient", identifier=[{"value": "x"}])
    found, is_new = client.resources("Patient").search(identifier="x").get_or_create(new)
    assert is_new
    assert client.resources("Patient").search(identifier="x").get_or_create(new)[0].id == found.id
    made.delete()
    with pytest.raises(ResourceNotFound):
        client.reference("Observation", made.id).to_resource()
    with pytest.raises(OperationOutcome):
        client.resource("Observation", status="final").save()
    assert sandbox.state.digest() == digest
    assert [r["id"] for r in fork.diff().added] == [found.id]


# -- fhirclient ---------------------------------------------------------------------------------------------


@pytest.fixture
def smart(base: str) -> Iterator[FHIRClient]:
    client = FHIRClient(settings={"app_id": "tests", "api_base": base})
    yield client
    client.server.session.close()


def test_fhirclient_reads_the_capabilities(smart: FHIRClient) -> None:
    assert smart.prepare()
    assert smart.ready
    statement = smart.server.capabilityStatement
    assert statement.fhirVersion == "4.0.1"
    kinds = {r.type: r for r in statement.rest[0].resource}
    assert {i.code for i in kinds["Patient"].interaction} >= {"read", "create", "update", "patch", "delete"}
    assert "gender" in {p.name for p in kinds["Patient"].searchParam}
    assert "Observation:subject" in kinds["Observation"].searchInclude


def test_fhirclient_searches_and_follows_every_page(smart: FHIRClient) -> None:
    search = Observation.where({"patient": "a", "code": "http://loinc.org|2823-3", "_count": "10"})
    pages = list(search.perform_iter(smart.server))
    assert [len(page.entry) for page in pages] == [10, 10, 3]
    assert {page.total for page in pages} == {COUNT}
    found = list(search.perform_resources_iter(smart.server))
    assert [o.id for o in found] == [f"o{i:02d}" for i in range(COUNT)]
    assert found[7].valueQuantity.value == 7
    assert found[0].subject.resolved(Patient).birthDate.isostring == "1960-05-01"
    both = Observation.where({"_id": "o01"}).include("subject").perform_iter(smart.server)
    assert [e.resource.resource_type for page in both for e in page.entry] == ["Observation", "Patient"]
    assert [
        p.id for p in Patient.where({"gender": {"$or": ["male", "other"]}}).perform_resources_iter(smart.server)
    ] == ["b"]


def test_fhirclient_creates_updates_and_deletes(smart: FHIRClient) -> None:
    made = Observation(observation())
    answer: Any = made.create(smart.server)
    assert answer["meta"]["versionId"] == "1"
    read = Observation.read(answer["id"], smart.server)
    assert read.meta.versionId == "1"
    read.status = "amended"
    assert read.update(smart.server)["meta"]["versionId"] == "2"
    assert read.update(smart.server)["id"] == answer["id"]
    read.delete(smart.server)
    with pytest.raises(HTTPError, match="410"):
        Observation.read(answer["id"], smart.server)
    with pytest.raises(FHIRNotFoundException):
        Observation.read("nobody", smart.server)


def test_fhirclient_sends_a_transaction_and_reads_the_answer(smart: FHIRClient) -> None:
    one = "urn:uuid:6f0ce7b1-27a0-45a7-a3ad-7d0cbb4ec4b5"
    sent = Bundle(
        bundle(
            "transaction",
            entry("POST", "Observation", observation(one)),
            entry("POST", "Patient", {"resourceType": "Patient", "gender": "other"}, full=one),
        )
    )
    answer = Bundle(smart.server.post_json("", sent.as_json()).json())
    subject = answer.entry[0].resource.subject.reference
    assert subject == f"Patient/{answer.entry[1].resource.id}"
    assert answer.entry[1].response.status == "201 Created"


def test_fhirclient_is_told_what_is_wrong(smart: FHIRClient, base: str) -> None:
    wrong: Json = observation(status="finalish")
    with pytest.raises(HTTPError) as caught:
        Observation(wrong).create(smart.server)
    assert caught.value.response.json()["issue"][0]["expression"] == ["Observation.status"]
    with Sandbox(token="secret") as sandbox, served(sandbox) as address:
        closed = FHIRClient(settings={"app_id": "tests", "api_base": f"{address}/fhir/R4"})
        with pytest.raises(FHIRUnauthorizedException):
            closed.prepare()
        closed.server.session.headers["Authorization"] = "Bearer secret"
        assert closed.prepare()
        closed.server.session.close()
