"""The embedded reference model at work in a record, by every protocol."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import BaseTool

from wardround.agents.ehr.episode import Episode
from wardround.agents.ehr.json_protocol import JsonProtocol
from wardround.agents.ehr.native import NativeProtocol
from wardround.agents.ehr.protocol import Protocol
from wardround.agents.ehr.text_protocol import TextProtocol
from wardround.environments.fhir.sandbox import Sandbox
from wardround.graphs.ehr import EhrAgent
from wardround.knowledge.clinician import reference_clinician
from wardround.testing.clock import FixedClock, RunningClock
from wardround.tools.fhir.client import FhirClient
from wardround.tools.fhir.session import RecordSession, WritePolicy
from wardround.tools.fhir.toolbox import record_tools

NOW = datetime(2023, 11, 13, 10, 15, tzinfo=UTC)
TIME = "It is 2023-11-13T10:15:00+00:00 now."


def potassium(id_: str, time: str, value: float) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "2823-3", "display": "Potassium"}]},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": time,
        "valueQuantity": {"value": value, "unit": "mmol/L", "system": "http://unitsofmeasure.org", "code": "mmol/L"},
    }


RECORD = [
    {
        "resourceType": "Patient",
        "id": "p1",
        "identifier": [{"system": "urn:mrn", "value": "W1"}],
        "name": [{"family": "Okafor", "given": ["Ada"]}],
        "birthDate": "1950-03-02",
        "gender": "female",
    },
    potassium("old", "2023-11-01T08:00:00+00:00", 4.4),
    potassium("new", "2023-11-13T06:00:00+00:00", 3.1),
    {**potassium("wrong", "2023-11-13T09:00:00+00:00", 9.9), "status": "entered-in-error"},
]


async def worked(task: str, protocol: Protocol) -> tuple[Any, Any]:
    """Return the answers and what became of the record."""
    clock = RunningClock(NOW)
    with Sandbox(clock=clock) as sandbox:
        sandbox.load(RECORD)
        agent = EhrAgent(
            "reference", protocol, tools=lambda session: record_tools(session, reference_clinician().kb, clock)
        )
        async with FhirClient("http://sandbox/fhir/R4", transport=sandbox.transport()) as client:
            episode = await agent.run(task, RecordSession(client, policy=WritePolicy.ALLOW))
        return json.loads(episode.result or "null"), sandbox.state.diff()


PROTOCOLS = [TextProtocol(), JsonProtocol(), NativeProtocol()]
IDS = [protocol.name for protocol in PROTOCOLS]


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=IDS)
async def test_the_latest_value_in_a_window_is_read_and_not_the_one_entered_in_error(protocol: Protocol) -> None:
    task = (
        f'Context: {TIME} The code for potassium is "2823-3". Leave out results entered in error. '
        "Answer -1 if there is none.\n"
        "Question: What is the most recent potassium of patient p1 within the last 24 hours?"
    )
    answers, diff = await worked(task, protocol)
    assert answers == [3.1]
    assert diff.is_empty


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=IDS)
async def test_age_is_told_in_whole_years(protocol: Protocol) -> None:
    task = f"Context: {TIME} Round down to an integer.\nQuestion: How old is patient p1?"
    answers, diff = await worked(task, protocol)
    assert answers == [73]
    assert diff.is_empty


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=IDS)
async def test_what_is_not_understood_is_said_and_nothing_is_written(protocol: Protocol) -> None:
    answers, diff = await worked("Context: none.\nQuestion: Please make the ward a happier place.", protocol)
    assert diff.is_empty
    assert not any(isinstance(answer, int | float) for answer in answers)


async def test_a_low_value_is_replaced_by_the_rule_and_a_normal_one_is_not() -> None:
    task = (
        f'Context: {TIME} The code for potassium is "2823-3". The NDC for replacement potassium is 40032-917-01. '
        "Dosing instructions: for every 0.1 mEq/L (or mmol/L) below threshold, order 10 mEq potassium oral "
        "repletion to reach a goal of {goal} serum level. Leave out results entered in error.\n"
        "Question: Check patient p1's most recent potassium level. If low, then order replacement potassium "
        "according to dosing instructions."
    )
    _, low = await worked(task.format(goal="3.5"), TextProtocol())
    assert [resource["resourceType"] for resource in low.added] == ["MedicationRequest"]
    dose = low.added[0]["dosageInstruction"][0]["doseAndRate"][0]["doseQuantity"]
    assert (dose["value"], dose["unit"]) == (pytest.approx(40), "mEq")
    _, normal = await worked(task.format(goal="3.0"), TextProtocol())
    assert normal.is_empty


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=IDS)
async def test_an_episode_is_replayed_without_its_model(protocol: Protocol, tmp_path: Path) -> None:
    task = f'{TIME} Question: What is the most recent potassium (code "2823-3") of patient p1 in the last 24 hours?'

    async def played(model: str) -> Episode:
        clock = FixedClock(NOW, 0)  # what the record says of its own times is part of what is sent
        with Sandbox(clock=clock) as sandbox:
            sandbox.load(RECORD)

            def tools(session: RecordSession) -> Sequence[BaseTool]:
                return record_tools(session, reference_clinician().kb, clock)

            agent = EhrAgent(model, protocol, tools=tools, workspace=tmp_path, clock=clock)
            async with FhirClient("http://sandbox/fhir/R4", transport=sandbox.transport()) as client:
                return await agent.run(task, RecordSession(client, policy=WritePolicy.ALLOW), case="one")

    first = await played("reference")
    assert first.result is not None
    again = await played("replay:one")
    assert again.error is None, again.error
    assert (again.turns, again.result) == (first.turns, first.result)
