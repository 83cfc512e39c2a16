"""The reference against the sandbox, through the agent that every model goes through."""

import json
import random
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from wardround.agents.ehr.text_protocol import TextProtocol
from wardround.environments.fhir.sandbox import Sandbox
from wardround.evals.medagentbench import compat, state
from wardround.evals.medagentbench.facts import facts_of
from wardround.evals.medagentbench.gold import fetch_gold
from wardround.evals.medagentbench.policies import oracle
from wardround.evals.medagentbench.populate import populate
from wardround.evals.medagentbench.suite import MedAgentBench
from wardround.evals.medagentbench.tasks import MedAgentTask
from wardround.evals.records.grading import Grade, Mode
from wardround.evals.records.ground import SandboxGround
from wardround.evals.records.play import Playing, play
from wardround.evals.records.policy_model import PolicyChatModel
from wardround.graphs.ehr import EhrAgent
from wardround.tools.fhir.client import FhirClient
from wardround.tools.fhir.session import RecordSession, WritePolicy
from wardround.trace.store import RunStore


async def done(sandbox: Sandbox, task: MedAgentTask, mode: Mode) -> Grade:
    """Let the reference do a task on a fork of the record, and grade it."""
    fork = sandbox.state.fork()
    base = f"http://sandbox{fork.base_path}"
    async with FhirClient(base, transport=sandbox.transport()) as client:
        gold = await fetch_gold(facts_of(task), client)
        session = RecordSession(client, policy=WritePolicy.ALLOW, pretend=mode == "compat")
        model = PolicyChatModel(acts=oracle(task, (), base, mode, random.Random(0)))
        agent = EhrAgent(model, TextProtocol(), tools=lambda _: ())
        episode = await agent.run(f"{task.instruction}\n{task.context}", session)
    if mode == "compat":
        return compat.grade(task, episode, gold, api_base=base)
    return state.grade(task, episode, fork.diff(), gold)


@pytest.mark.parametrize("mode", ["compat", "state"])
async def test_the_reference_does_everything_right_in_the_sandbox(bench: Any, mode: Mode) -> None:
    tasks = bench.tasks(5)
    sandbox = Sandbox(profile="medagentbench" if mode == "compat" else "r4")
    sandbox.load(populate(tasks, 1)[0])
    wrong = {task.id: grade for task in tasks if not (grade := await done(sandbox, task, mode)).correct}
    assert wrong == {}


async def test_runs_that_are_graded_in_different_ways_are_never_counted_together(bench: Any, tmp_path: Path) -> None:
    published = tmp_path / "tasks.json"
    published.write_text(json.dumps(bench.rows(bench.tasks(1))), "utf-8")
    suite = MedAgentBench(published)
    ground, playing = SandboxGround(suite), Playing("null", workspace=tmp_path)
    runs = {mode: (await play(suite, suite.samples[1], ground, mode, playing)).run for mode in suite.modes}
    with closing(RunStore.existing(tmp_path)) as store:
        assert {mode: store.find(run).suite for mode, run in runs.items()} == {
            "state": "medagentbench/state",
            "compat": "medagentbench/compat",
        }
        assert {annotation.run for annotation in store.labelled()} == set(runs.values())
