"""Runs that broke off and go on."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult
from pydantic import PrivateAttr

import wardround as wr
from wardround.core.errors import ModelUnavailable, UsageError
from wardround.knowledge.clinician import reference_clinician
from wardround.models import calling
from wardround.models.handle import ModelHandle
from wardround.models.reference import ReferenceChatModel
from wardround.trace.events import ModelAnswered, ModelAsked, Origin, Resumed, RunEnded, RunStarted
from wardround.trace.store import RunStore

CASE = wr.Case(
    narrative="A 24-year-old man with right lower quadrant pain for one day that began around the umbilicus. "
    "Anorexia, nausea and one vomit. Temperature 38.1 C. Tender in the right iliac fossa with guarding. "
    "WBC 15.2 x10^9/L, CRP 68 mg/L."
)
SETTINGS = wr.ConsultSettings(rollouts=2)


class Breaking(BaseChatModel):
    """Answers as the reference clinician until it is gone."""

    inner: ReferenceChatModel
    good_for: int | None = None
    """Calls that are answered; all unless given."""
    _answered: list[str] = PrivateAttr(default_factory=list)
    _failed: int = PrivateAttr(default=0)

    @property
    def _llm_type(self) -> str:
        return "breaking"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        if self.good_for is not None and len(self._answered) >= self.good_for:
            self._failed += 1
            raise ModelUnavailable("breaking", "the power went out")
        self._answered.append(f"{[m.content for m in messages]} {kwargs.get('seed')}")
        return self.inner._generate(messages, stop, None, **kwargs)


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is there to be spared by long waits."""
    monkeypatch.setattr(calling, "FIRST_WAIT", 0.001)


def ward_of(folder: Path, chat: Breaking) -> wr.Ward:
    handle = ModelHandle("test:breaking", chat, constrained=True, sampled=True)
    return wr.Ward(handle, settings=SETTINGS, workspace=folder)


def breaking(good_for: int | None = None) -> Breaking:
    return Breaking(inner=ReferenceChatModel(clinician=reference_clinician()), good_for=good_for)


def state(folder: Path, run: str) -> str:
    store = RunStore.existing(folder)
    try:
        return store.find(run).state
    finally:
        store.close()


def logged(folder: Path, run: str) -> list[Any]:
    store = RunStore.existing(folder)
    try:
        return list(store.events(run))
    finally:
        store.close()


def only_run(folder: Path) -> str:
    store = RunStore.existing(folder)
    try:
        (row,) = store.runs()
        return row.id
    finally:
        store.close()


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: Any) -> wr.Consult:
    return ward_of(tmp_path_factory.mktemp("unbroken"), breaking()).consult(CASE)


def assert_the_same(resumed: wr.Consult, unbroken: wr.Consult) -> None:
    assert resumed.decision == unbroken.decision
    assert resumed.claims == unbroken.claims
    assert resumed.uncertainty == unbroken.uncertainty
    assert resumed.run == unbroken.run


@pytest.mark.parametrize("k", [0, 1, 4, 7])
def test_a_run_whose_model_went_away_goes_on_where_it_broke_off(tmp_path: Path, unbroken: wr.Consult, k: int) -> None:
    assert unbroken.usage.calls > k
    chat = breaking(good_for=k)
    ward = ward_of(tmp_path, chat)
    with pytest.raises(ModelUnavailable, match="the power went out"):
        ward.consult(CASE)
    run = only_run(tmp_path)
    broken = logged(tmp_path, run)
    assert state(tmp_path, run) == "failed"
    (ended,) = [e for e in broken if isinstance(e, RunEnded)]
    assert ended == broken[-1]
    assert "the power went out" in (ended.error or "")

    chat.good_for = None
    resumed = ward.resume(run)
    assert state(tmp_path, run) == "done"
    assert_the_same(resumed, unbroken)
    # an answer that came while another call was already failing is cut off before it is written down
    kept = [e for e in broken if isinstance(e, ModelAnswered)]
    assert len(set(chat._answered)) == unbroken.usage.calls
    assert len(chat._answered) == unbroken.usage.calls + k - len(kept)
    events = logged(tmp_path, run)
    assert [e.seq for e in events] == list(range(len(events)))
    assert len([e for e in events if isinstance(e, Resumed)]) == 1
    live = [e for e in events if isinstance(e, ModelAnswered) and e.origin is Origin.LIVE]
    assert len(live) == unbroken.usage.calls
    unanswered = len([e for e in broken if isinstance(e, ModelAsked)]) - len(kept)
    assert resumed.usage.calls == unbroken.usage.calls + unanswered


def test_a_run_that_breaks_twice_goes_on_twice(tmp_path: Path, unbroken: wr.Consult) -> None:
    chat = breaking(good_for=2)
    ward = ward_of(tmp_path, chat)
    with pytest.raises(ModelUnavailable):
        ward.consult(CASE)
    run = only_run(tmp_path)
    chat.good_for = 5
    with pytest.raises(ModelUnavailable):
        ward.resume(run)
    assert state(tmp_path, run) == "failed"
    chat.good_for = None
    assert_the_same(ward.resume(run), unbroken)
    assert len(chat._answered) == len(set(chat._answered)) == unbroken.usage.calls


def test_a_run_that_is_done_cannot_go_on(tmp_path: Path) -> None:
    ward = ward_of(tmp_path, breaking())
    run = ward.consult(CASE).run
    before = len(logged(tmp_path, run))
    answers: list[dict[str, str]] = [{}, {"diagnosis": "migraine"}, {"information": "no fever"}]
    for answer in answers:
        with pytest.raises(UsageError, match="waits for nobody; it is done"):
            ward.resume(run, **answer)
    assert len(logged(tmp_path, run)) == before


def test_a_run_that_broke_off_takes_no_answer_of_a_person(tmp_path: Path) -> None:
    ward = ward_of(tmp_path, breaking(good_for=1))
    with pytest.raises(ModelUnavailable):
        ward.consult(CASE)
    with pytest.raises(UsageError, match="waits for nobody; it is failed"):
        ward.resume(only_run(tmp_path), diagnosis="migraine")


@pytest.mark.parametrize("share", [0.2, 0.7])
def test_a_run_whose_process_died_goes_on(tmp_path: Path, unbroken: wr.Consult, share: float) -> None:
    run = ward_of(tmp_path, breaking()).consult(CASE).run
    written = logged(tmp_path, run)
    left = written[: int(len(written) * share)]
    begun = left[0]
    assert isinstance(begun, RunStarted)
    with closing(RunStore(tmp_path)) as store:
        case = store.case(run)
        store.begin(begun)
        store.append(run, left)
        store.keep_case(run, case)
    for file in tmp_path.glob("checkpoints.db*"):
        file.unlink()

    chat = breaking()
    resumed = ward_of(tmp_path, chat).resume(run)
    assert_the_same(resumed, unbroken)
    known = len({e.call for e in left if isinstance(e, ModelAnswered)})
    assert known > 0
    assert len(chat._answered) == unbroken.usage.calls - known
    assert state(tmp_path, run) == "done"


def test_nothing_goes_on_without_the_workspace_or_the_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs the workspace of the run"):
        wr.Ward().resume("run_1")
    with pytest.raises(UsageError, match="no run begins with"):
        ward_of(tmp_path, breaking()).resume("run_1")
