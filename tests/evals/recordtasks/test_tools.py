"""Agents that work by tools instead of HTTP are graded by the same reads and effects."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from langchain_core.tools import BaseTool

from tests.evals.recordtasks.bench import Bench
from wardround.agents.ehr.episode import Episode, EpisodeStatus
from wardround.evals.records.grading import Grade, Reason
from wardround.evals.recordtasks.tasks import RecordTask
from wardround.knowledge.clinician import reference_clinician
from wardround.testing.clock import RunningClock
from wardround.tools.fhir.session import RecordSession, WritePolicy
from wardround.tools.fhir.toolbox import record_tools

Work = Callable[[dict[str, BaseTool]], Awaitable[list[Any]]]


async def graded(bench: Bench, task: RecordTask, work: Work) -> Grade:
    """Let some calls of tools work on a task, and grade what comes of them and the answer they give."""
    suite = bench.suite
    async with bench.ground.place("state") as place:
        session = RecordSession(place.client, policy=WritePolicy.ALLOW)
        tools = record_tools(session, reference_clinician().kb, RunningClock(suite.now))
        answer = await work({tool.name: tool for tool in tools})
        episode = Episode((), EpisodeStatus.COMPLETED, json.dumps(answer), tuple(session.calls))
        changes = await place.changes()
        return (await suite.grade(bench.samples[task.id], episode, changes, place.before, "state", "")).grade


async def test_a_correction_by_tool_is_as_good_as_a_transaction(bench: Bench) -> None:
    task = bench.first("correct-entry", "void")
    name = str(getattr(bench.outcome(task).writes[0], "ref", ""))

    async def work(tools: dict[str, BaseTool]) -> list[Any]:
        resource = json.loads(await tools["read_resource"].ainvoke({"reference": name}))
        changed = {**resource, "status": "entered-in-error"}
        version = resource["meta"]["versionId"]
        await tools["update_resource"].ainvoke({"resource": changed, "version": version})
        return ["corrected"]

    assert (await graded(bench, task, work)).codes == ()


async def test_an_order_by_tool_after_a_look_by_tool_is_right(bench: Bench) -> None:
    task = bench.first("dose-linear", "low")
    outcome = bench.outcome(task)
    patient = task.ask.who.id if task.ask.who is not None else ""

    async def work(tools: dict[str, BaseTool]) -> list[Any]:
        asked = {"analyte": "potassium", "statistic": "latest", "patient": patient, "since": "24h"}
        await tools["measurements"].ainvoke(asked)
        for wanted in outcome.writes:
            await tools["create_resource"].ainvoke({"resource": wanted.payload()})
        return [outcome.answers[0][0].json]

    assert (await graded(bench, task, work)).codes == ()


async def test_a_look_by_tool_into_too_short_a_time_is_no_look(bench: Bench) -> None:
    task = bench.first("repeat-in-window", "none")
    patient = task.ask.who.id if task.ask.who is not None else ""

    def within(span: str) -> Work:
        async def work(tools: dict[str, BaseTool]) -> list[Any]:
            params = {"patient": patient, "code": "2524-7", "date": span}
            await tools["search_record"].ainvoke({"type": "Observation", "parameters": params})
            return [-1]

        return work

    assert (await graded(bench, task, within("ge2023-11-13T04:15:00+00:00"))).correct
    assert (await graded(bench, task, within("ge2023-11-13T09:15:00+00:00"))).reason is Reason.WRONG_QUERY
