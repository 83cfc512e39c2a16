"""Episodes of a record agent done over from their logs: neither model nor server is asked."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from wardround.agents.ehr.acting import ask_later
from wardround.agents.ehr.json_protocol import JsonProtocol
from wardround.agents.ehr.native import NativeProtocol
from wardround.agents.ehr.protocol import Protocol
from wardround.agents.ehr.text_protocol import TextProtocol
from wardround.core.errors import NotRecorded
from wardround.environments.fhir.sandbox import Sandbox
from wardround.graphs.ehr import EhrAgent, WriteAwaitsPerson
from wardround.graphs.replaying import replay
from wardround.testing.clock import RunningClock
from wardround.tools.fhir.answers import FhirRequestError
from wardround.tools.fhir.client import FhirClient
from wardround.tools.fhir.exchanges import Exchange, RecordedServer, hearing
from wardround.tools.fhir.session import RecordSession, WritePolicy
from wardround.trace.events import FhirExchanged
from wardround.trace.store import RunStore

NOW = datetime(2023, 11, 13, 10, 15, tzinfo=UTC)
TIME = "It is 2023-11-13T10:15:00+00:00 now."
RECORD: list[dict[str, Any]] = [
    {
        "resourceType": "Patient",
        "id": "p1",
        "identifier": [{"system": "urn:mrn", "value": "W1"}],
        "name": [{"family": "Okafor", "given": ["Ada"]}],
        "birthDate": "1950-03-02",
        "gender": "female",
    },
    {
        "resourceType": "Observation",
        "id": "new",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "2823-3", "display": "Potassium"}]},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2023-11-13T06:00:00+00:00",
        "valueQuantity": {"value": 3.1, "unit": "mmol/L", "system": "http://unitsofmeasure.org", "code": "mmol/L"},
    },
]
READ = f"{TIME} What is the latest potassium of patient W1, in mmol/L?"
WRITE = f"{TIME} Record a potassium of 4.1 mmol/L for patient W1, taken now."


async def episode(task: str, protocol: Protocol, folder: Path, policy: WritePolicy) -> str:
    """Work on a task in a workspace, approving every write, and return the id of the run."""
    clock = RunningClock(NOW)
    with Sandbox(clock=clock) as sandbox:
        sandbox.load(RECORD)
        agent = EhrAgent("reference", protocol, workspace=folder, clock=clock)
        async with FhirClient("http://sandbox/fhir/R4", transport=sandbox.transport()) as client:
            session = RecordSession(client, policy=policy, person=ask_later)
            try:
                await agent.run(task, session)
            except WriteAwaitsPerson as waiting:
                await agent.resume(waiting.run, approve=True)
    return RunStore.existing(folder).runs()[0].id


@pytest.mark.parametrize("protocol", [TextProtocol, JsonProtocol, NativeProtocol], ids=lambda p: str(p.name))
@pytest.mark.parametrize(
    ("task", "policy"), [(READ, WritePolicy.DENY), (WRITE, WritePolicy.ALLOW), (WRITE, WritePolicy.CONFIRM)]
)
async def test_an_episode_is_replayed_event_for_event_without_its_server(
    task: str, policy: WritePolicy, protocol: Callable[[], Protocol], tmp_path: Path
) -> None:
    run = await episode(task, protocol(), tmp_path, policy)
    store = RunStore.existing(tmp_path)
    assert any(isinstance(event, FhirExchanged) for event in store.events(run))
    done = replay(store, run)
    assert done.is_equal, [str(d) for d in done.differences]


async def test_what_was_exchanged_is_heard_and_can_be_answered_from() -> None:
    heard: list[Exchange] = []
    with Sandbox() as sandbox:
        sandbox.load(RECORD)
        async with FhirClient("http://sandbox/fhir/R4", transport=sandbox.transport()) as client:
            with hearing(heard.append):
                live = [await client.request("GET", "Patient/p1"), await client.request("GET", "Patient/nobody")]
                created = await client.create({**RECORD[1], "id": None} | {"note": [{"text": "x"}]})
            await client.request("GET", "Patient/p1")
    assert [(e.method, e.status) for e in heard] == [("GET", 200), ("GET", 404), ("POST", 201)]
    async with FhirClient("http://sandbox/fhir/R4", recorded=RecordedServer(heard, run="r")) as client:
        again = [await client.request("GET", "Patient/p1"), await client.request("GET", "Patient/nobody")]
        assert [r.body for r in again] == [r.body for r in live]
        assert [r.headers.get("ETag".lower()) for r in again] == [r.headers.get("ETag") for r in live]
        assert await client.create({**RECORD[1], "id": None} | {"note": [{"text": "x"}]}) == created
        with pytest.raises(NotRecorded, match="no further answer to GET http://sandbox/fhir/R4/Patient/p1"):
            await client.request("GET", "Patient/p1")


async def test_a_failure_is_repeated_as_it_was() -> None:
    heard: list[Exchange] = []
    async with FhirClient("http://127.0.0.1:9/fhir", attempts=1) as client:
        with hearing(heard.append), pytest.raises(FhirRequestError) as first:
            await client.request("POST", "Patient", body={"resourceType": "Patient"})
    async with FhirClient("http://127.0.0.1:9/fhir", recorded=RecordedServer(heard, run="r")) as client:
        with pytest.raises(FhirRequestError) as second:
            await client.request("POST", "Patient", body={"resourceType": "Patient"})
    assert str(second.value) == str(first.value)
    assert second.value.may_be_done == first.value.may_be_done
