"""A model that answers from the log of a run, and from nothing else."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import HumanMessage

import wardround as wr
from wardround.core.errors import NotRecorded, UsageError
from wardround.models.replay import SilentChatModel, replayed
from wardround.trace.events import ModelAnswered, ModelAsked, ModelReached, Origin

CASE = wr.Case(
    narrative="A 24-year-old man with right lower quadrant pain for one day that began around the umbilicus. "
    "Anorexia, nausea and one vomit. Temperature 38.1 C. Tender in the right iliac fossa with guarding. "
    "WBC 15.2 x10^9/L, CRP 68 mg/L."
)
SETTINGS = wr.ConsultSettings(rollouts=2)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: Any) -> Path:
    folder: Path = tmp_path_factory.mktemp("workspace")
    return folder


@pytest.fixture(scope="module")
def first(workspace: Path) -> wr.Consult:
    return wr.Ward("reference", settings=SETTINGS, workspace=workspace).consult(CASE)


def again(run: str, workspace: Path, **settings: Any) -> wr.Ward:
    return wr.Ward(f"replay:{run}", settings=SETTINGS.model_copy(update=settings), workspace=workspace)


def assert_the_same(one: wr.Consult, other: wr.Consult) -> None:
    assert one.decision == other.decision
    assert one.claims == other.claims
    assert one.uncertainty == other.uncertainty
    assert one.evidence == other.evidence


def origins(consult: wr.Consult) -> set[Origin]:
    return {event.origin for event in consult.events if isinstance(event, ModelAnswered)}


def test_a_replay_comes_to_the_same_end_without_the_model(first: wr.Consult, workspace: Path) -> None:
    ward = again(first.run, workspace)
    assert isinstance(ward.model.chat, SilentChatModel)
    second = ward.consult(CASE)
    assert_the_same(first, second)
    assert (origins(first), origins(second)) == ({Origin.LIVE}, {Origin.REPLAY})
    assert second.usage.calls == first.usage.calls > 0


def test_a_replay_is_a_run_of_its_own_that_says_what_it_replays(first: wr.Consult, workspace: Path) -> None:
    second = again(first.run, workspace).consult(CASE)
    assert second.run != first.run
    assert second.model == f"replay:{first.run}"
    assert {e.model for e in second.events if isinstance(e, ModelReached)} == {"reference"}
    asked = [{e.request for e in c.events if isinstance(e, ModelAsked)} for c in (first, second)]
    assert asked[0] == asked[1]


def test_a_replay_can_be_replayed(first: wr.Consult, workspace: Path) -> None:
    second = again(first.run, workspace).consult(CASE)
    third = again(second.run, workspace).consult(CASE)
    assert third.model == f"replay:{second.run}"
    assert_the_same(first, third)


def test_the_beginning_of_a_runs_name_is_enough(first: wr.Consult, workspace: Path) -> None:
    handle = replayed(first.run[:-2], workspace)
    assert (handle.spec, handle.asked_as) == (f"replay:{first.run}", "reference")


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"seed": 5}, "the same was asked with other seed; use the settings of the run"),
        ({"rollouts": 4}, "the run holds no answer to request req_"),
        ({"temperature": 0.1}, "the same was asked with other temperature"),
    ],
)
def test_other_settings_are_not_answered_from_the_log(
    first: wr.Consult, workspace: Path, changed: dict[str, Any], why: str
) -> None:
    with pytest.raises(NotRecorded, match=why) as missing:
        again(first.run, workspace, **changed).consult(CASE)
    assert f"replay:{first.run}" in str(missing.value)


def test_another_case_is_not_answered_from_the_log(first: wr.Consult, workspace: Path) -> None:
    other = wr.Case(narrative="A 30-year-old woman with dysuria for 2 days. No fever.")
    with pytest.raises(NotRecorded, match="nothing with these words was asked in it; use its case"):
        again(first.run, workspace).consult(other)


def test_a_run_that_is_not_there_cannot_be_replayed(first: wr.Consult, workspace: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run begins with"):
        again("run_nothing", workspace)
    with pytest.raises(UsageError, match="consult first"):
        again(first.run, tmp_path / "none")
    with pytest.raises(UsageError, match="needs the workspace that holds the run"):
        wr.Ward(f"replay:{first.run}")


def test_the_log_of_a_version_that_did_not_say_what_its_model_was_cannot_be_replayed(tmp_path: Path) -> None:
    run = wr.Ward(settings=SETTINGS, workspace=tmp_path).consult(CASE).run
    with closing(sqlite3.connect(tmp_path / "runs.db")) as store, store:
        assert store.execute("DELETE FROM events WHERE event = 'model_reached'").rowcount == 1
    with pytest.raises(UsageError, match="written by an older version"):
        again(run, tmp_path)


async def test_a_silent_model_says_nothing() -> None:
    with pytest.raises(NotRecorded, match="asked past its recording"):
        await SilentChatModel().ainvoke([HumanMessage("a")])
