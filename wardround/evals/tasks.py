"""Tasks for `inspect eval`, found by Inspect AI through its entry point: `inspect eval wardround/record_tasks`."""

from __future__ import annotations

from pathlib import Path

from inspect_ai import Task, task

from wardround.evals.medagentbench.suite import MedAgentBench
from wardround.evals.records.grading import Mode
from wardround.evals.records.ground import SandboxGround
from wardround.evals.records.inspect_model import InspectChatModel
from wardround.evals.records.inspecting import record_task
from wardround.evals.records.play import AgentName, Playing, ProtocolName
from wardround.evals.records.suite import RecordSuite
from wardround.evals.recordtasks.suite import RecordTasks


@task
def medagentbench(
    tasks: str,
    functions: str | None = None,
    mode: Mode = "state",
    agent: AgentName = "model",
    protocol: ProtocolName = "text",
    seed: int = 0,
) -> Task:
    """Return MedAgentBench as an Inspect task.

    Args:
        tasks: The published task file.
        functions: The published function file.
        mode: `state` for real writes and their effect, `compat` for the published grading.
        agent: `model` asks the model that Inspect was started with.
        protocol: How model and record talk.
        seed: Of the population.
    """
    suite = MedAgentBench(Path(tasks), Path(functions) if functions is not None else None, seed=seed)
    return _task(suite, mode, agent, protocol, seed)


@task
def record_tasks(agent: AgentName = "model", protocol: ProtocolName = "text", seed: int = 0) -> Task:
    """Return our own tasks in a synthetic record as an Inspect task.

    Args:
        agent: `model` asks the model that Inspect was started with.
        protocol: How model and record talk.
        seed: Of the population and the tasks.
    """
    return _task(RecordTasks(seed=seed), "state", agent, protocol, seed)


def _task(suite: RecordSuite, mode: Mode, agent: AgentName, protocol: ProtocolName, seed: int) -> Task:
    model = InspectChatModel() if agent == "model" else None
    playing = Playing(agent, model=model, protocol=protocol, seed=seed)
    return record_task(suite, suite.samples, SandboxGround(suite), mode, playing)
