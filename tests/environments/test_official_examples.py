"""The official R4 examples are stored and come back as they were."""

import os
from collections import Counter
from pathlib import Path

import pytest
import simplejson

from tests.environments.serving import Json, connect, outcome, patient
from wardround.environments.fhir.codec import dump, parse
from wardround.environments.fhir.definitions import SUPPORTED
from wardround.environments.fhir.sandbox import Sandbox

FOLDER = Path(os.environ.get("WARDROUND_R4_EXAMPLES", "/nowhere"))
pytestmark = pytest.mark.skipif(
    not (FOLDER / "Bundle-father.json").is_file(),
    reason="WARDROUND_R4_EXAMPLES names no folder with the unpacked npm package hl7.fhir.r4.examples",
)

FAULTY = {
    "MedicationRequest/medrx0301": "MedicationRequest.dispenseRequest.performer.reference",
    "Observation/clinical-gender": "Observation.performer[0].reference",
}
"""Official examples that break R4 themselves, by pointing to types that the element may not point to; and where."""


def examples(type_: str) -> list[Json]:
    paths = sorted(FOLDER.glob(f"{type_}-*.json"))
    resources = [parse(path.read_bytes()) for path in paths]
    return [r for r in resources if r["resourceType"] == type_]


def content(resource: Json) -> str:
    """Return what a resource says, numbers with their digits, in a fixed order."""
    meta = {k: v for k, v in resource.get("meta", {}).items() if k not in ("versionId", "lastUpdated")}
    said = {k: v for k, v in resource.items() if k != "meta"} | ({"meta": meta} if meta else {})
    return simplejson.dumps(said, use_decimal=True, sort_keys=True)


def test_there_are_examples_of_every_served_type() -> None:
    assert sum(len(examples(type_)) for type_ in SUPPORTED) >= 330
    assert all(examples(type_) for type_ in SUPPORTED)


@pytest.mark.parametrize("type_", SUPPORTED)
async def test_every_example_of_a_type_is_stored_read_found_and_deleted(type_: str) -> None:
    sent = [r for r in examples(type_) if f"{type_}/{r['id']}" not in FAULTY]
    with Sandbox(checks_references=False) as sandbox:
        empty = sandbox.state.digest()
        async with connect(sandbox) as http:
            for resource in sent:
                url = f"/{type_}/{resource['id']}"
                headers = {"content-type": "application/fhir+json"}
                response = await http.put(url, content=dump(resource).encode(), headers=headers)
                assert response.status_code == 201, (url, response.text[:500])
                stored = parse((await http.get(url)).content)
                assert content(stored) == content(resource), url
                order = [name for name in resource if name not in ("resourceType", "id", "meta")]
                assert [name for name in stored if name not in ("resourceType", "id", "meta")] == order
                assert (stored["meta"]["versionId"], response.headers["etag"]) == ("1", 'W/"1"')
            found = parse((await http.get(f"/{type_}?_count=1000")).content)
            assert found["total"] == len(sent)
            assert Counter(content(e["resource"]) for e in found["entry"]) == Counter(map(content, sent))
            for resource in sent:
                assert (await http.delete(f"/{type_}/{resource['id']}")).status_code == 204
        assert sandbox.state.digest() == empty


@pytest.mark.parametrize("place", FAULTY)
async def test_an_example_that_breaks_r4_is_refused_at_the_place_where_it_does(place: str) -> None:
    body = (FOLDER / f"{place.replace('/', '-')}.json").read_bytes()
    with Sandbox(checks_references=False) as sandbox:
        async with connect(sandbox) as http:
            response = await http.put(f"/{place}", content=body, headers=JSON)
    assert response.status_code == 422
    assert [e for i in response.json()["issue"] for e in i["expression"]] == [FAULTY[place]]


@pytest.mark.parametrize(
    ("name", "place", "what"),
    [
        ("bundle-transaction", 5, "no Patient/234"),
        ("hla-1", 1, "MolecularSequence"),
        ("xds", 4, "Binary"),
        ("ussg-fht", 0, "not one of this server"),
    ],
)
async def test_an_example_transaction_with_types_that_are_not_served_leaves_nothing(
    name: str, place: int, what: str
) -> None:
    with Sandbox(checks_references=False) as sandbox:
        digest = sandbox.state.digest()
        async with connect(sandbox) as http:
            response = await http.post("", content=(FOLDER / f"Bundle-{name}.json").read_bytes(), headers=JSON)
        assert 400 <= response.status_code < 500
        assert f"Bundle.entry[{place}]" in outcome(response)
        assert what in outcome(response)
        assert sandbox.state.digest() == digest


JSON = {"content-type": "application/fhir+json"}


def served_part(name: str) -> tuple[Json, list[Json]]:
    """Return an example Bundle with the entries of served types alone, and these entries."""
    whole: Json = parse((FOLDER / f"Bundle-{name}.json").read_bytes())
    kept = [e for e in whole["entry"] if e["request"]["url"].lstrip("/").split("/")[0].split("?")[0] in SUPPORTED]
    return whole | {"entry": kept}, kept


@pytest.mark.parametrize("name", ["hla-1", "xds"])
async def test_the_served_part_of_an_example_transaction_is_linked_as_it_was(name: str) -> None:
    sent, entries = served_part(name)
    with Sandbox(checks_references=False) as sandbox:
        async with connect(sandbox) as http:
            response = await http.post("", content=dump(sent).encode(), headers=JSON)
        assert response.status_code == 200, response.text[:500]
        made = [parse(dump(e["resource"])) for e in response.json()["entry"]]
    names = {e["fullUrl"]: f"{m['resourceType']}/{m['id']}" for e, m in zip(entries, made, strict=True)}
    text = dump(made)
    pointed = {full for full in names if f'"reference":"{full}"' in dump(sent)}
    for full in pointed:
        assert f'"reference":"{names[full]}"' in text
        assert f'"reference":"{full}"' not in text
    assert len(pointed) == {"hla-1": 9, "xds": 0}[name]


async def test_the_example_of_every_kind_of_entry_is_carried_out() -> None:
    sent, _ = served_part("bundle-transaction")
    with Sandbox() as sandbox:
        sandbox.load([patient("123a"), patient("234"), patient("12334")])
        async with connect(sandbox) as http:
            early = await http.post("", content=dump(sent).encode(), headers=JSON)
            assert early.status_code == 412
            assert "Bundle.entry[4]" in outcome(early)
            await http.put("/Patient/123a", json=patient("123a"))
            for _ in range(3):
                await http.put("/Patient/12334", json=patient("12334"))
            response = await http.post("", content=dump(sent).encode(), headers=JSON)
            assert response.status_code == 200, response.text[:500]
            answers = response.json()["entry"]
            statuses = [a["response"]["status"].split()[0] for a in answers]
            assert statuses == ["201", "201", "201", "201", "200", "204", "204", "200", "304"]
            assert answers[7]["resource"]["total"] == 5
            again = await http.post("", content=dump(sent).encode(), headers=JSON)
            assert again.status_code == 412


@pytest.mark.parametrize(
    ("name", "statuses"),
    [("bundle-request-medsallergies", "200 400 400 400 400"), ("bundle-request-simplesummary", "200 200 200 200")],
)
async def test_the_example_batches_are_answered_entry_by_entry(name: str, statuses: str) -> None:
    with Sandbox() as sandbox:
        sandbox.load([patient("example")])
        async with connect(sandbox) as http:
            response = await http.post("", content=(FOLDER / f"Bundle-{name}.json").read_bytes(), headers=JSON)
            assert [e["response"]["status"].split()[0] for e in response.json()["entry"]] == statuses.split()
