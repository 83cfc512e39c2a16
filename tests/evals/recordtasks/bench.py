"""A suite with its sandbox, and agents that do something wrong on purpose."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

from wardround.evals.records.ground import SandboxGround
from wardround.evals.records.play import Played, Playing, play
from wardround.evals.records.policy_model import PolicyChatModel
from wardround.evals.recordtasks.answers import plain
from wardround.evals.recordtasks.desk import RecordInMemory
from wardround.evals.recordtasks.orders import Wanted
from wardround.evals.recordtasks.outcome import Outcome
from wardround.evals.recordtasks.policies import finished, posted, worked
from wardround.evals.recordtasks.reading import Solving
from wardround.evals.recordtasks.suite import RecordTasks
from wardround.evals.recordtasks.tasks import RecordTask

Turns = Generator[str, str, None]


@dataclass(frozen=True)
class Deed:
    """What an agent does once it has read: what it writes, one POST each, and what it answers."""

    writes: tuple[Wanted, ...]
    answer: list[Any]

    @classmethod
    def right(cls, outcome: Outcome) -> Deed:
        return cls(outcome.writes, plain(outcome.answers[0]) if outcome.answers else [])


class Bench:
    """A suite, its record in memory, and a sandbox in which agents play it."""

    def __init__(self, suite: RecordTasks) -> None:
        self.suite = suite
        self.record = self.record_of(suite)
        self.ground = SandboxGround(suite)
        self.samples = {sample.id: sample for sample in suite.samples}

    @staticmethod
    def record_of(suite: RecordTasks) -> RecordInMemory:
        return RecordInMemory(suite.resources())

    def first(self, slug: str, *branches: str) -> RecordTask:
        """The first task of a category, down one of some branches if any are given."""
        found = (t for t in self.suite.tasks if t.category.slug == slug and (not branches or t.branch in branches))
        return next(found)

    def outcome(self, task: RecordTask) -> Outcome:
        return self.record.solved(task.ask.solve())

    async def run(self, task: RecordTask, agent: str) -> Played:
        return await play(self.suite, self.samples[task.id], self.ground, "state", Playing(agent))

    async def turns(self, task: RecordTask, acts: Callable[[str], Turns]) -> Played:
        """Let an agent play that says what a function of the base address gives."""
        agent = _Elsewhere(self.suite, acts)
        return await play(agent, self.samples[task.id], self.ground, "state", Playing("oracle"))

    async def doing(
        self,
        task: RecordTask,
        deed: Callable[[Outcome], Deed],
        *,
        reading: Solving | None = None,
        is_blind: bool = False,
    ) -> Played:
        """Let an agent play that reads as the oracle does and then does something else.

        Args:
            task: The task.
            deed: What it does instead of what the outcome asks for.
            reading: What it works through instead, such as the task of another patient.
            is_blind: It reads nothing.
        """

        def acts(base: str) -> Turns:
            solving = reading if reading is not None else task.ask.solve()
            outcome = self.outcome(task) if is_blind else (yield from worked(solving, base))
            done = deed(outcome)
            for wanted in done.writes:
                yield posted(base, wanted)
            yield finished(done.answer)

        return await self.turns(task, acts)


class _Elsewhere:
    """A suite whose oracle is another agent."""

    def __init__(self, suite: RecordTasks, acts: Callable[[str], Turns]) -> None:
        self._suite, self._acts = suite, acts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._suite, name)

    def policy(self, name: str, sample: Any, api_base: str, mode: str, seed: int) -> PolicyChatModel:
        return PolicyChatModel(acts=self._acts(api_base))


def one_of_each(tasks: Sequence[RecordTask]) -> list[RecordTask]:
    """One task of each branch of each category."""
    return list({(task.category.slug, task.branch): task for task in tasks}.values())
