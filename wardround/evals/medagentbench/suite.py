"""MedAgentBench as a suite: published tasks, a population in which they can be answered, both ways of grading."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from wardround.agents.ehr.episode import Episode
from wardround.evals.medagentbench import compat, state
from wardround.evals.medagentbench.branches import WRITING, branch_of
from wardround.evals.medagentbench.facts import facts_of
from wardround.evals.medagentbench.gold import fetch_gold
from wardround.evals.medagentbench.policies import guess, null, oracle
from wardround.evals.medagentbench.populate import populate
from wardround.evals.medagentbench.tasks import FunctionSpec, MedAgentTask, read_functions, read_tasks
from wardround.evals.records.grading import Mode, StateDiff
from wardround.evals.records.policy_model import PolicyChatModel
from wardround.evals.records.suite import Graded, PolicyName, RecordSample

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from wardround.tools.fhir.client import FhirClient

_POLICIES = {"oracle": oracle, "null": null, "random": guess}
_TITLES = {
    1: "01 find patient",
    2: "02 age",
    3: "03 record vital sign",
    4: "04 latest in window",
    5: "05 replace if low in window",
    6: "06 mean in window",
    7: "07 latest",
    8: "08 referral",
    9: "09 replace if low and recheck",
    10: "10 recheck if old",
}


class MedAgentBench:
    """The published tasks.

    Args:
        tasks: The task file.
        functions: The function file; agents are told of no functions without it.
        populate: Task file whose patients are in the population, if another than `tasks`.
        seed: Of the population.

    Raises:
        UsageError: A file is not as published.
    """

    name = "medagentbench"
    modes: tuple[Mode, ...] = ("state", "compat")
    profile: Literal["r4", "medagentbench"] = "medagentbench"
    now = datetime(2023, 11, 13, 10, 15, tzinfo=UTC)

    def __init__(
        self, tasks: Path, functions: Path | None = None, *, populate: Path | None = None, seed: int = 0
    ) -> None:
        self._tasks = {task.id: task for task in read_tasks(tasks)}
        self._functions = read_functions(functions) if functions is not None else ()
        self._people = read_tasks(populate) if populate is not None else tuple(self._tasks.values())
        self._seed = seed

    @cached_property
    def samples(self) -> Sequence[RecordSample]:
        """All tasks."""
        return tuple(_sample(task) for task in self._tasks.values())

    @cached_property
    def functions(self) -> Sequence[Mapping[str, Any]]:
        """The published functions."""
        return tuple(asdict(function) for function in self._functions)

    def resources(self) -> Iterable[dict[str, Any]]:
        """Return a population in which the tasks can be answered, with every branch hit."""
        return populate(self._people, self._seed)[0]

    def policy(self, name: PolicyName, sample: RecordSample, api_base: str, mode: Mode, seed: int) -> BaseChatModel:
        """Return a model that follows a rule through one episode."""
        functions: Sequence[FunctionSpec] = self._functions
        rng = random.Random(f"{seed}/{sample.id}")
        return PolicyChatModel(acts=_POLICIES[name](self._tasks[sample.id], functions, api_base, mode, rng))

    async def grade(
        self, sample: RecordSample, episode: Episode, diff: StateDiff, client: FhirClient, mode: Mode, api_base: str
    ) -> Graded:
        """Grade an episode as published (`compat`), or by what it left behind (`state`)."""
        task = self._tasks[sample.id]
        gold = await fetch_gold(facts_of(task), client)
        if mode == "compat":
            grade = compat.grade(task, episode, gold, api_base=api_base)
        else:
            grade = state.grade(task, episode, diff, gold)
        branch = branch_of(task, gold)
        return Graded(grade, branch, (task.category, branch) in WRITING)


def _sample(task: MedAgentTask) -> RecordSample:
    context = f"Context: {task.context}\n" if task.context else ""
    prompt = f"{context}Question: {task.instruction}"
    return RecordSample(task.id, _TITLES[task.category], task.mrn, prompt)
