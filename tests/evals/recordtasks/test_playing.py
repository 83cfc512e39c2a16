"""Agents that follow a rule, through the engine that plays every suite."""

import asyncio
from collections.abc import Sequence

from tests.evals.recordtasks.bench import Bench, one_of_each
from wardround.evals.records.grading import Reason
from wardround.evals.records.play import Played
from wardround.evals.recordtasks.catalogue import CATEGORIES
from wardround.evals.recordtasks.tasks import RecordTask


async def played(bench: Bench, agent: str, tasks: Sequence[RecordTask]) -> list[tuple[RecordTask, Played]]:
    room = asyncio.Semaphore(8)

    async def one(task: RecordTask) -> tuple[RecordTask, Played]:
        async with room:
            return task, await bench.run(task, agent)

    return await asyncio.gather(*(one(task) for task in tasks))


async def test_the_oracle_is_right_in_every_branch_of_every_category(bench: Bench) -> None:
    found = await played(bench, "oracle", one_of_each(bench.suite.tasks))
    assert {task.category.slug for task, _ in found} == {category.slug for category in CATEGORIES}
    assert {task.id: p.graded.grade for task, p in found if not p.graded.grade.correct} == {}
    assert {task.id: p.graded.branch for task, p in found} == {task.id: task.branch for task, _ in found}


async def test_whoever_does_nothing_is_never_right(bench: Bench) -> None:
    found = await played(bench, "null", bench.suite.tasks)
    assert [task.id for task, p in found if p.graded.grade.correct] == []
    reasons = {task.category.slug: p.graded.grade.reason for task, p in found}
    blind = {slug for slug, reason in reasons.items() if reason is not Reason.WRONG_QUERY}
    assert blind == {"record-vital", "order-test", "referral"}
    assert all(reasons[slug] is Reason.WRONG_WRITE for slug in blind)


async def test_whoever_guesses_is_hardly_ever_right(bench: Bench) -> None:
    found = await played(bench, "random", bench.suite.tasks)
    assert sum(p.graded.grade.correct for _, p in found) <= 0.02 * len(found)


async def test_the_oracle_stays_within_the_rounds_of_the_engine_and_leaves_nothing_behind(bench: Bench) -> None:
    found = await played(bench, "oracle", [bench.first("dose-linear", "low"), bench.first("stop-drug", "active")])
    assert all(sum(turn.role == "agent" for turn in p.episode.turns) <= 8 for _, p in found)
    again = await played(bench, "oracle", [bench.first("stop-drug", "active")])
    assert again[0][1].graded.grade.correct


async def test_a_must_write_branch_is_one_that_the_oracle_writes_in(bench: Bench) -> None:
    found = await played(bench, "oracle", one_of_each(bench.suite.tasks))
    wrote = {task.id: any(call.is_write for call in p.episode.calls) for task, p in found}
    assert wrote == {task.id: p.graded.must_write for task, p in found}
