"""Many at once: episodes on forks that see only themselves, and races that exactly one wins."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from tests.environments.serving import bundle, connect, entry, observation, patient, served
from wardround.environments.fhir.sandbox import Sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as made:
        made.load([patient("a"), *(observation(id=f"o{i}") for i in range(20))])
        yield made


EPISODES = 64


async def test_episodes_on_forks_leave_the_base_alone_and_do_not_see_one_another(sandbox: Sandbox) -> None:
    digest = sandbox.state.digest()

    async def episode(number: int) -> tuple[str, list[int]]:
        fork = sandbox.state.fork()
        async with connect(sandbox, fork) as http:
            mine = observation(valueInteger=number)
            made = (await http.post("/Observation", json=mine)).json()
            assert (await http.patch("/Patient/a", json={"multipleBirthInteger": number})).status_code == 200
            assert (await http.delete(f"/Observation/o{number % 20}")).status_code == 204
            body = bundle("transaction", entry("PUT", "Observation/o19", observation(id="o19", valueInteger=number)))
            if number % 20 != 19:
                assert (await http.post("", json=body)).status_code == 200
            await asyncio.sleep(0)
            found = (await http.get("/Observation?patient=a&_count=100")).json()
            assert (await http.get("/Patient/a")).json()["multipleBirthInteger"] == number
            assert found["total"] == 20
            assert made in [e["resource"] for e in found["entry"]]
            seen = [e["resource"]["valueInteger"] for e in found["entry"] if "valueInteger" in e["resource"]]
        diff = fork.diff()
        assert [r["id"] for r in diff.added] == [made["id"]]
        assert len(diff.removed) == 1
        fork.reset()
        assert fork.digest() == digest
        fork.close()
        return made["id"], seen

    results = await asyncio.gather(*(episode(number) for number in range(EPISODES)))
    assert all(set(seen) == {number} for number, (_, seen) in enumerate(results))
    assert sandbox.state.digest() == digest
    assert sandbox.state.diff().is_empty
    assert sandbox.states() == ["default"]


def test_equal_episodes_in_any_company_end_in_equal_states(sandbox: Sandbox) -> None:
    async def episode() -> str:
        fork = sandbox.state.fork()
        async with connect(sandbox, fork) as http:
            for i in range(4):
                await http.post("/Observation", json=observation(valueInteger=i))
                await asyncio.sleep(0)
        return fork.digest()

    async def together() -> list[str]:
        return await asyncio.gather(*(episode() for _ in range(16)))

    assert len(set(asyncio.run(together()))) == 1


RACERS = 24


async def test_one_of_many_updates_of_one_version_wins(sandbox: Sandbox) -> None:
    with served(sandbox) as address:
        async with httpx.AsyncClient(base_url=f"{address}/fhir/R4") as http:
            for version in range(1, 4):

                async def put(number: int, version: int = version) -> int:
                    tag = {"If-Match": f'W/"{version}"'}
                    body = patient("a", multipleBirthInteger=number)
                    return (await http.put("/Patient/a", json=body, headers=tag)).status_code

                statuses = Counter(await asyncio.gather(*(put(n) for n in range(RACERS))))
                assert statuses == {200: 1, 412: RACERS - 1}
            assert (await http.get("/Patient/a")).headers["etag"] == 'W/"4"'


async def test_one_of_many_conditional_creates_creates(sandbox: Sandbox) -> None:
    with served(sandbox) as address:
        async with httpx.AsyncClient(base_url=f"{address}/fhir/R4") as http:

            async def create(number: int) -> tuple[int, str]:
                body = patient("x", identifier=[{"system": "urn:mrn", "value": "1"}], multipleBirthInteger=number)
                condition = {"If-None-Exist": "identifier=urn:mrn|1"}
                response = await http.post("/Patient", json=body, headers=condition)
                return response.status_code, response.json()["id"]

            made = await asyncio.gather(*(create(n) for n in range(RACERS)))
            assert Counter(status for status, _ in made) == {201: 1, 200: RACERS - 1}
            assert len({id_ for _, id_ in made}) == 1
            assert (await http.get("/Patient?identifier=urn:mrn|1")).json()["total"] == 1


async def test_equal_creates_at_once_get_ids_of_their_own(sandbox: Sandbox) -> None:
    with served(sandbox) as address:
        async with httpx.AsyncClient(base_url=f"{address}/fhir/R4") as http:
            made = await asyncio.gather(*(http.post("/Observation", json=observation()) for _ in range(RACERS)))
    assert len({response.json()["id"] for response in made}) == RACERS


def test_threads_of_the_process_and_clients_of_the_server_share_one_truth(sandbox: Sandbox) -> None:
    """Forks are taken, read and closed by threads while a server answers from its own."""
    faults: list[BaseException] = []

    def work(address: str, number: int) -> None:
        try:
            for turn in range(5):
                fork = sandbox.state.fork(f"t{number}-{turn}")
                with httpx.Client(base_url=address + fork.base_path) as http:
                    assert http.post("/Observation", json=observation(valueInteger=number)).status_code == 201
                    assert http.get("/Observation?_summary=count").json()["total"] == 21
                assert [r["valueInteger"] for r in fork.diff().added] == [number]
                assert len(list(fork.resources())) == 22
                fork.close()
        except BaseException as error:
            faults.append(error)

    digest = sandbox.state.digest()
    with served(sandbox) as address:
        threads = [threading.Thread(target=work, args=(address, n)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert faults == []
    assert sandbox.state.digest() == digest
    assert sandbox.states() == ["default"]
