"""The suite: its tasks, its record, its graders and its policies, for `wardround eval` and from Python."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from wardround.agents.ehr.episode import Episode
from wardround.core.errors import UsageError
from wardround.environments.fhir.population import NOW
from wardround.evals.records.grading import Mode, StateDiff
from wardround.evals.records.policy_model import PolicyChatModel
from wardround.evals.records.suite import Graded, PolicyName, RecordSample
from wardround.evals.recordtasks.building import Built, build
from wardround.evals.recordtasks.evidence import ProbeRecord
from wardround.evals.recordtasks.functions import FUNCTIONS
from wardround.evals.recordtasks.grading import grade
from wardround.evals.recordtasks.policies import guess, null, oracle
from wardround.evals.recordtasks.reading import solved
from wardround.evals.recordtasks.tasks import RecordTask, Split

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from wardround.tools.fhir.client import FhirClient


class RecordTasks:
    """Tasks of our own over synthetic records.

    Args:
        seed: Of the population, the tasks and their words.
        patients: How many there are, before the namesakes that tasks add.
        per_category: Tasks of each category.
        split: Only the tasks whose words are for these eyes; all tasks unless given. The record is the same.

    Raises:
        UsageError: There is no such split, or there are too few patients for so many tasks.
    """

    name = "record-tasks"
    modes: tuple[Mode, ...] = ("state",)
    profile: Literal["r4", "medagentbench"] = "r4"
    now = NOW

    def __init__(
        self, seed: int = 0, patients: int = 80, per_category: int = 20, *, split: Split | None = None
    ) -> None:
        if split not in (None, "dev", "test"):
            raise UsageError(f"there is no split {split!r}; use 'dev' or 'test', or leave it out for all tasks")
        self._built: Built = build(seed, patients, per_category)
        self._tasks = {task.id: task for task in self._built.tasks if split in (None, task.split)}

    @property
    def tasks(self) -> Sequence[RecordTask]:
        """All tasks, with what they ask for in terms that a program reads."""
        return tuple(self._tasks.values())

    @cached_property
    def samples(self) -> Sequence[RecordSample]:
        """All tasks as agents meet them."""
        return tuple(_sample(task) for task in self.tasks)

    @property
    def functions(self) -> Sequence[Mapping[str, Any]]:
        """What an agent is told of the server."""
        return FUNCTIONS

    @property
    def added(self) -> Sequence[Mapping[str, Any]]:
        """The resources that were added to those of the population, so that every branch exists."""
        return self._built.added

    def resources(self) -> Iterable[dict[str, Any]]:
        """Return the record; its resources share parts, so treat them as read only, or copy."""
        return self._built.resources

    def policy(self, name: PolicyName, sample: RecordSample, api_base: str, mode: Mode, seed: int) -> BaseChatModel:
        """Return a model that follows a rule through one episode."""
        task = self._tasks[sample.id]
        match name:
            case "oracle":
                acts = oracle(task.ask.solve(), api_base)
            case "null":
                acts = null()
            case "random":
                ids = [sample.patient] if sample.patient is not None else self._ids
                acts = guess(task.ask.mrn, ids, api_base, random.Random(f"{seed}/{sample.id}"))
        return PolicyChatModel(acts=acts)

    async def grade(
        self, sample: RecordSample, episode: Episode, diff: StateDiff, client: FhirClient, mode: Mode, api_base: str
    ) -> Graded:
        """Grade an episode by what it answered, left behind and read, against what the record says."""
        task = self._tasks[sample.id]
        outcome = await solved(task.ask.solve(), client)
        grade_ = await grade(outcome, episode, diff, sample.patient, client, self._probes)
        return Graded(grade_, outcome.branch, outcome.branch in task.category.writing)

    def export(self, path: Path) -> None:
        """Write the tasks in the form of MedAgentBench's task file, so that they can be run elsewhere.

        Each row has `id`, `instruction`, `context` and `eval_MRN`; the last is left out where there is no such patient.
        """
        rows = [_row(task) for task in self.tasks]
        path.write_text(json.dumps(rows, ensure_ascii=False, indent=1) + "\n", "utf-8")

    @cached_property
    def _probes(self) -> ProbeRecord:
        return ProbeRecord(self.now)

    @cached_property
    def _ids(self) -> list[str]:
        return [r["id"] for r in self._built.resources if r["resourceType"] == "Patient"]


def _sample(task: RecordTask) -> RecordSample:
    who = task.ask.who
    prompt = f"Context: {task.context}\nQuestion: {task.instruction}"
    return RecordSample(task.id, task.category.title, who.id if who is not None else None, prompt)


def _row(task: RecordTask) -> dict[str, str]:
    row = {"id": task.id, "instruction": task.instruction, "context": task.context}
    return row if task.ask.mrn is None else {**row, "eval_MRN": task.ask.mrn}
