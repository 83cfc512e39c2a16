"""Reading by id, by version and by compartment, and the operations $everything, $lastn and $validate."""

from typing import Any

import pytest

from tests.environments.ward import BASE, Client, concept, entries, link, observation, ref
from wardround.environments.fhir.definitions import definitions
from wardround.environments.fhir.sandbox import Sandbox

# -- read -------------------------------------------------------------------------------------------------------


async def test_a_read_gives_the_resource_with_its_version(reader: Client) -> None:
    response = await reader.get("Observation/k")
    assert response.status_code == 200
    assert response.json()["id"] == "k"
    assert response.json()["meta"]["versionId"] == "1"
    assert response.headers["etag"] == 'W/"1"'
    assert response.headers["last-modified"] == "Mon, 13 Nov 2023 10:15:00 GMT"
    again = await reader.get("Observation/k", headers={"If-None-Match": 'W/"1"'})
    assert (again.status_code, again.content) == (304, b"")
    assert (await reader.get("Observation/k", headers={"If-None-Match": 'W/"2"'})).status_code == 200


async def test_a_head_is_a_get_without_the_body(reader: Client) -> None:
    for url in ("Observation/k", "Observation?code=GLU", "metadata"):
        head, get = await reader.send("HEAD", url), await reader.get(url)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers.get("etag") == get.headers.get("etag")


async def test_a_read_takes_no_search_parameters(reader: Client) -> None:
    assert "no meaning here" in await reader.refused("Observation/k?code=GLU")
    await reader.refused("Observation/k?_elements=nothing")
    assert (await reader.get("Observation/k?_format=json&_pretty=true")).status_code == 200
    await reader.refused("Observation/k?_format=xml", 406)


async def test_every_version_can_be_read_again(fhir: Client) -> None:
    first = (await fhir.get("Observation/k")).json()
    await fhir.send("PUT", "Observation/k", json=first | {"status": "amended"})
    assert (await fhir.get("Observation/k")).json()["status"] == "amended"
    assert (await fhir.get("Observation/k/_history/1")).json() == first
    assert (await fhir.get("Observation/k/_history/2")).json()["meta"]["versionId"] == "2"
    for number in ("3", "0", "x", "01"):
        assert "has no version" in await fhir.refused(f"Observation/k/_history/{number}", 404)
    assert await fhir.ids("Observation?status=final&code=2823-3") == ["foreign"]
    assert await fhir.ids("Observation?status=amended") == ["k"]


# -- compartments -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("Patient/ann/Observation", ["bp", "glu", "glu2", "k"]),
        ("Patient/ann/Observation?code=GLU", ["glu", "glu2"]),
        ("Patient/ann/Observation?code=TROP", []),
        ("Patient/ann/Observation?_sort=-date&code=GLU,2823-3", ["glu2", "glu", "k"]),
        ("Patient/sean/Observation", ["trop"]),
        ("Patient/kim/Observation", []),
        ("Patient/ann/Condition", ["dm"]),
        ("Patient/sean/Patient", ["ivan"]),
        ("Patient/ann/Encounter?status=finished", []),
        ("Practitioner/house/Observation", ["k"]),
        ("Practitioner/house/MedicationRequest", ["mgiv"]),
        ("Practitioner/house/Encounter", ["stay"]),
        ("Practitioner/grey/Procedure", ["appy"]),
        ("Encounter/stay/Observation", ["k"]),
        ("Encounter/visit/Observation", []),
    ],
)
async def test_a_compartment_holds_what_refers_to_its_owner(reader: Client, url: str, found: list[str]) -> None:
    assert sorted(await reader.ids(url)) == sorted(found)
    assert str(link(await reader.bundle(url), "self")).startswith(f"{BASE}/{url}")


async def test_every_compartment_that_is_defined_can_be_searched(reader: Client) -> None:
    owners = {"Patient": "ann", "Practitioner": "house", "Encounter": "stay"}
    for owner, types in definitions().compartments.items():
        for type_ in types:
            for relation in ("", "?_count=1&_sort=_id", "?_summary=count"):
                assert (await reader.get(f"{owner}/{owners[owner]}/{type_}{relation}")).status_code == 200


async def test_a_compartment_of_nobody_is_not_empty_but_absent(fhir: Client) -> None:
    await fhir.refused("Patient/nobody/Observation", 404)
    await fhir.refused("Organization/ward/Patient", 404)
    await fhir.refused("Patient/ann/Location", 404)
    await fhir.refused("Patient/ann/Observation?cod=GLU")
    await fhir.send("DELETE", "Patient/kim")
    await fhir.refused("Patient/kim/Observation", 410)


# -- $everything ------------------------------------------------------------------------------------------------

ANNS = {
    "Patient/ann", "Encounter/stay", "Observation/k", "Observation/glu", "Observation/glu2", "Observation/bp",
    "Condition/dm", "MedicationRequest/mgiv", "ServiceRequest/ct", "Procedure/appy", "RiskAssessment/risk",
    "DiagnosticReport/panel",
}  # fmt: skip
AROUND = {"Practitioner/house", "Practitioner/grey", "Organization/ward", "Location/bed", "Medication/mg"}


def places(found: dict[str, Any], mode: str) -> list[str]:
    return [
        f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
        for entry in found.get("entry", [])
        if entry["search"]["mode"] == mode
    ]


async def test_everything_is_the_record_and_what_it_refers_to(reader: Client) -> None:
    found = await reader.bundle("Patient/ann/$everything")
    assert places(found, "match")[0] == "Patient/ann"
    assert set(places(found, "match")) == ANNS
    assert set(places(found, "include")) == AROUND
    assert len(found["entry"]) == len(ANNS | AROUND)
    assert found["total"] == len(ANNS)
    assert link(found, "next") is None
    assert link(found, "self") == f"{BASE}/Patient/ann/$everything"


async def test_everything_of_an_encounter_names_its_patient(reader: Client) -> None:
    found = await reader.bundle("Encounter/stay/$everything")
    assert places(found, "match") == ["Encounter/stay", "Observation/k"]
    assert {"Patient/ann", "Practitioner/house", "Organization/ward", "Location/bed"} == set(places(found, "include"))


@pytest.mark.parametrize("count", [1, 3, 17, 100])
async def test_everything_is_walked_once_while_others_write(sandbox: Sandbox, fhir: Client, count: int) -> None:
    whole = await fhir.bundle("Patient/ann/$everything")

    def disturb(n: int) -> None:
        sandbox.load([observation(f"late{n}", concept("GLU"))])
        sandbox.load([{"resourceType": "Practitioner", "id": "grey", "name": [{"family": f"Grey {n}"}]}])

    pages = await fhir.walk(f"Patient/ann/$everything?_count={count}", between=disturb)
    assert [e for page in pages for e in page["entry"]] == whole["entry"]
    assert {page["total"] for page in pages} == {len(ANNS)}
    assert [len(page["entry"]) for page in pages[:-1]] == [count] * (len(pages) - 1)


async def test_everything_goes_on_after_the_patient_was_deleted(fhir: Client) -> None:
    page = await fhir.bundle("Patient/ann/$everything?_count=5")
    await fhir.send("DELETE", "Patient/ann")
    assert len((await fhir.bundle(str(link(page, "next"))))["entry"]) == 5
    await fhir.refused("Patient/ann/$everything", 410)


async def test_everything_can_be_narrowed(fhir: Client) -> None:
    found = await fhir.bundle("Patient/ann/$everything?_type=Observation,Practitioner")
    assert set(places(found, "match")) == {p for p in ANNS if p.startswith("Observation/")}
    assert set(places(found, "include")) == {"Practitioner/house", "Practitioner/grey"}
    changed = (await fhir.get("Condition/dm")).json() | {"recordedDate": "2011"}
    await fhir.send("PUT", "Condition/dm", json=changed)
    moment = (await fhir.get("Condition/dm")).json()["meta"]["lastUpdated"]
    found = await fhir.bundle(f"Patient/ann/$everything?_since={moment}")
    assert places(found, "match") == ["Condition/dm"]
    none = await fhir.bundle("Patient/ann/$everything?_count=0")
    assert (none["total"], "entry" in none, link(none, "next")) == (len(ANNS), False, None)


@pytest.mark.parametrize(
    "query", ["_type=Foo", "_type=", "start=2020", "code=GLU", "_count=x", "_since=x", "_cursor=7"]
)
async def test_everything_refuses_what_it_does_not_apply(reader: Client, query: str) -> None:
    await reader.refused(f"Patient/ann/$everything?{query}")


async def test_operations_are_where_they_are_said_to_be(reader: Client) -> None:
    await reader.refused("Patient/nobody/$everything", 404)
    await reader.refused("Observation/k/$everything", 404)
    await reader.refused("Patient/$everything", 404)
    await reader.refused("Patient/$lastn", 404)
    assert "served there: $lastn, $validate" in await reader.refused("Observation/$stats", 404)
    assert (await reader.send("DELETE", "Patient/ann/$everything")).status_code in (403, 405)


# -- $lastn -----------------------------------------------------------------------------------------------------


async def test_lastn_gives_the_latest_of_each_code(sandbox: Sandbox, fhir: Client) -> None:
    made = [("g1", "2023-11-01"), ("g3", "2023-11-03"), ("g2", "2023-11-02"), ("g0", None)]
    vital = [concept("vital-signs")]
    for code in ("HR", "RR"):
        sandbox.load(
            observation(code + id_, concept(code), category=vital, **({"effectiveDateTime": day} if day else {}))
            for id_, day in made
        )
    sandbox.load([observation("words1", concept(text="Mood"), category=vital, effectiveDateTime="2023-01-01")])
    assert await fhir.ids("Observation/$lastn?patient=ann&code=HR") == ["HRg3"]
    assert await fhir.ids("Observation/$lastn?patient=ann&code=HR&max=2") == ["HRg3", "HRg2"]
    assert await fhir.ids("Observation/$lastn?subject=Patient/ann&code=HR&max=9") == ["HRg3", "HRg2", "HRg1", "HRg0"]
    assert await fhir.ids("Observation/$lastn?patient=ann&category=vital-signs") == ["HRg3", "RRg3", "words1"]
    early = await fhir.bundle("Observation/$lastn?patient=ann&code=HR&date=lt2023-11-02T10:00:00+00:00&max=1")
    assert entries(early) == ["HRg2"]
    assert link(early, "self") == (
        f"{BASE}/Observation/$lastn?patient=ann&code=HR&date=lt2023-11-02T10:00:00%2B00:00&max=1"
    )
    assert entries(await fhir.bundle(str(link(early, "self")))) == ["HRg2"]
    assert await fhir.ids("Observation/$lastn?patient=kim&code=HR") == []


@pytest.mark.parametrize(
    "query",
    [
        "code=GLU",
        "patient=ann",
        "patient=ann&code=GLU&max=0",
        "patient=ann&code=GLU&max=many",
        "patient=ann&code=GLU&_count=1",
        "patient=ann&code=GLU&_sort=date",
        "patient=ann&code=GLU&_include=Observation:patient",
        "patient=ann&cod=GLU",
        "patient=ann&code=GLU&date=soon",
    ],
)
async def test_lastn_refuses_what_it_does_not_apply(reader: Client, query: str) -> None:
    await reader.refused(f"Observation/$lastn?{query}")


# -- $validate --------------------------------------------------------------------------------------------------


async def test_validate_says_what_is_wrong_and_writes_nothing(sandbox: Sandbox, fhir: Client) -> None:
    before = sandbox.state.digest()
    good = observation("x", concept("GLU"))
    for body in (good, {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": good}]}):
        response = await fhir.send("POST", "Observation/$validate", json=body)
        assert response.status_code == 200
        assert [issue["severity"] for issue in response.json()["issue"]] == ["information"]
    response = await fhir.send("POST", "Observation/$validate", json=good | {"status": "finalish"})
    assert response.status_code == 200
    [issue] = response.json()["issue"]
    assert (issue["severity"], issue["expression"]) == ("error", ["Observation.status"])
    assert sandbox.state.digest() == before
    await fhir.refused("Observation/x", 404)


async def test_validate_can_be_asked_of_what_is_stored(fhir: Client) -> None:
    response = await fhir.get("Observation/k/$validate")
    assert [issue["severity"] for issue in response.json()["issue"]] == ["information"]
    await fhir.refused("Observation/none/$validate", 404)
    wrong = await fhir.send("POST", "Observation/$validate", json={"resourceType": "Patient"})
    assert wrong.status_code == 400
    assert (await fhir.send("POST", "Observation/$validate", json=[1])).status_code == 400


async def test_a_read_only_server_searches_and_validates(reader: Client) -> None:
    assert (await reader.send("POST", "Observation/_search", data={"code": "GLU"})).json()["total"] == 2
    assert (await reader.send("POST", "Patient/$validate", json={"resourceType": "Patient"})).status_code == 200
    for method, url in (
        ("POST", "Patient"),
        ("PUT", "Patient/ann"),
        ("DELETE", "Patient/ann"),
        ("PATCH", "Patient/ann"),
    ):
        response = await reader.send(method, url, json={"resourceType": "Patient"})
        assert response.status_code == 403
    assert ref("Practitioner/house") in (await reader.get("Patient/ann")).json()["generalPractitioner"]
