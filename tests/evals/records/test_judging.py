"""What a suite makes of its runs is written beside them, once, and only where runs are kept."""

import asyncio
import datetime as dt
from collections.abc import Callable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from wardround.core.errors import UsageError
from wardround.evals.records.grading import IN_WORDS, Grade, Reason
from wardround.evals.records.ground import SandboxGround
from wardround.evals.records.judging import WHO, judge
from wardround.evals.records.play import AgentName, Played, Playing, play
from wardround.evals.recordtasks.suite import RecordTasks
from wardround.trace.annotating import Annotation
from wardround.trace.events import RunStarted
from wardround.trace.rows import RunQuery
from wardround.trace.store import RunStore

NOON = dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC)
LATER = NOON + dt.timedelta(days=1)
RIGHT, WRONG = Grade(True, None, ("remark",)), Grade(False, Reason.WRONG_VALUE, ("incorrect_answer: 3",))


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    with closing(RunStore(tmp_path)) as store:
        store.begin(RunStarted(run="run_1", seq=0, time=NOON, span="", case="c", model="m", settings={}))
    return tmp_path


def standing(workspace: Path) -> list[Annotation]:
    with closing(RunStore.existing(workspace)) as store:
        return list(store.labelled())


def test_a_grade_becomes_a_judgement_with_its_reason_in_words(workspace: Path) -> None:
    judge(workspace, "run_1", WRONG, now=NOON)
    why = "another answer; incorrect_answer: 3"
    assert standing(workspace) == [
        Annotation("run_1", "run", "run_1", "wrong", why, WHO, NOON, reason="wrong_value", truth=None)
    ]
    judge(workspace, "run_1", RIGHT, now=LATER)  # of one judge the last word stands
    assert standing(workspace) == [
        Annotation("run_1", "run", "run_1", "right", "done as asked; remark", WHO, LATER, reason=None, truth=None)
    ]


def test_the_same_grade_is_said_once(workspace: Path) -> None:
    for moment in (NOON, LATER):
        judge(workspace, "run_1", WRONG, now=moment)
    assert [annotation.time for annotation in standing(workspace)] == [NOON]


def test_what_failed_around_an_agent_is_neither_right_nor_wrong(workspace: Path) -> None:
    judge(workspace, "run_1", Grade(False, Reason.ERROR, ("system_error: no model",)), now=NOON)
    (said,) = standing(workspace)
    assert (said.label, said.reason) == ("unsure", "error")
    assert "no model" in said.why


def test_every_class_of_failure_has_words() -> None:
    assert set(IN_WORDS) == set(Reason)


def test_a_run_that_is_not_there_is_not_judged(workspace: Path) -> None:
    with pytest.raises(UsageError, match="no run"):
        judge(workspace, "run_2", RIGHT, now=NOON)


# Played

Play = Callable[[AgentName, Path | None], Coroutine[Any, Any, Played]]


@pytest.fixture(scope="module")
def playing() -> Play:
    suite = RecordTasks(seed=0, patients=40, per_category=1)

    async def played(agent: AgentName, workspace: Path | None) -> Played:
        sample = next(s for s in suite.samples if s.id.startswith("age"))
        return await play(suite, sample, SandboxGround(suite), "state", Playing(agent, workspace=workspace))

    return played


async def test_every_agent_leaves_a_judged_run_of_the_suite(tmp_path: Path, playing: Play) -> None:
    agents: tuple[AgentName, ...] = ("oracle", "null", "random", "reference")
    found = {agent: await playing(agent, tmp_path) for agent in agents}
    with closing(RunStore.existing(tmp_path)) as store:
        rows = {row.id: row for row in store.page(RunQuery(suites=("record-tasks",))).rows}
        labels = {annotation.run: annotation for annotation in store.labelled()}
        for agent, played in found.items():
            assert rows[played.run].model == ("reference" if agent == "reference" else f"policy:{agent}")
            assert labels[played.run].label == ("right" if played.graded.grade.correct else "wrong")
            started = store.events(played.run)[0]
            assert isinstance(started, RunStarted)
            assert started.settings["suite"] == "record-tasks"
    assert len(rows) == len(labels) == len(agents)
    assert {labels[found[agent].run].label for agent in ("oracle", "null")} == {"right", "wrong"}


async def test_a_task_that_is_played_again_is_one_run_with_one_judgement(tmp_path: Path, playing: Play) -> None:
    first, second = [await playing("oracle", tmp_path) for _ in range(2)]
    assert first.run == second.run
    assert len(standing(tmp_path)) == 1


def test_without_a_workspace_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, playing: Play) -> None:
    monkeypatch.chdir(tmp_path)
    played = asyncio.run(playing("oracle", None))
    assert played.graded.grade.correct
    assert list(tmp_path.iterdir()) == []
