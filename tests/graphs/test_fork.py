"""Forks and replays: what lies upstream of a change is never done again, and a replay does what was recorded."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import wardround as wr
from wardround.core.decision import DecisionStatus
from wardround.core.errors import UsageError
from wardround.evals.vignettes import vignettes
from wardround.graphs.edits import Edits
from wardround.graphs.forking import forkable
from wardround.graphs.replaying import replay
from wardround.models.keeping import CallCache
from wardround.trace.events import ModelAnswered, ModelAsked, Origin, RunStarted, ToolCalled, ToolReturned
from wardround.trace.fidelity import act, differences
from wardround.trace.store import RunStore
from wardround.trace.views import decision
from wardround.trace.visits import visits_of

APPENDICITIS = (
    "24-year-old man with right lower quadrant pain for one day that began around the umbilicus. Anorexia, nausea. "
    "Temperature 38.1 C. Tender in the right iliac fossa with guarding and rebound tenderness. WBC 15.2 x10^9/L. "
    "CT abdomen shows appendicitis."
)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workspace")


@pytest.fixture(scope="module")
def ward(workspace: Path) -> wr.Ward:
    return wr.Ward(workspace=workspace)


@pytest.fixture(scope="module")
def first(ward: wr.Ward) -> wr.Consult:
    return ward.consult(wr.Case(narrative=APPENDICITIS))


def origins(consult: wr.Consult) -> dict[str, Counter[Origin]]:
    """Who answered, by agent."""
    agents = {e.call: e.agent for e in consult.events if isinstance(e, ModelAsked)}
    found: dict[str, Counter[Origin]] = {}
    for event in consult.events:
        if isinstance(event, ModelAnswered):
            found.setdefault(agents[event.call], Counter())[event.origin] += 1
    return found


def calls(consult: wr.Consult, agent: str, answer: str) -> list[ModelAsked]:
    return [e for e in consult.events if isinstance(e, ModelAsked) and e.agent == agent and e.answer == answer]


# Forks


def test_leaving_a_finding_out_does_again_only_what_saw_it(ward: wr.Ward, first: wr.Consult) -> None:
    (scan,) = [s for s in first.sources if "CT abdomen" in s.text]
    forked = ward.fork(first.run, Edits(without=(scan.id,)))
    assert scan.id not in {s.id for s in forked.sources}
    assert "appendicitis_on_imaging" not in forked.evidence.readings
    assert forked.decision.posterior is not None
    assert first.decision.posterior is not None
    assert forked.decision.posterior < first.decision.posterior
    assert forked.run != first.run
    started = forked.events[0]
    assert isinstance(started, RunStarted)
    assert started.settings["fork"] == {"of": first.run, "edits": {"without": [scan.id]}}


def test_another_answer_of_the_attending_asks_nothing_anew(ward: wr.Ward, first: wr.Consult) -> None:
    (asked,) = calls(first, "attending", "AttendingAnswer")
    edits = Edits(answers={asked.call: json.dumps({"diagnosis": "acute cystitis", "argument": []})})
    forked = ward.fork(first.run, edits)
    assert sum((Counter(c) for c in origins(forked).values()), Counter())[Origin.LIVE] == 0
    assert origins(forked)["attending"] == {Origin.EDIT: 1}
    assert forked.decision.status is not DecisionStatus.FINAL
    assert forked.decision.diagnosis is not None
    assert forked.decision.diagnosis.id == "acute_cystitis"


def test_another_answer_of_triage_does_again_what_lies_downstream_and_nothing_else(
    ward: wr.Ward, first: wr.Consult
) -> None:
    (asked,) = calls(first, "triage", "TriageAnswer")
    only = {"urgency": "urgent", "specialties": ["neurology"], "reasons": []}
    forked = ward.fork(first.run, Edits(answers={asked.call: json.dumps(only)}))
    found = origins(forked)
    assert found["triage"] == {Origin.EDIT: 1}
    assert found["planner"] == {Origin.REPLAY: 1}  # asked the same, whoever will look
    assert set(found["neurology"]) == {Origin.LIVE}
    assert "surgery" not in found
    assert set(found["attending"]) == {Origin.LIVE}


def test_another_result_of_a_tool_changes_what_comes_after_it(ward: wr.Ward, first: wr.Consult) -> None:
    used = next(e for e in first.events if isinstance(e, ToolCalled))
    forked = ward.fork(first.run, Edits(tools={used.call: "Nothing was found."}))
    returned = {e.call: e.text for e in forked.events if isinstance(e, ToolReturned)}
    assert returned[used.call] == "Nothing was found."
    found = origins(forked)
    assert found["triage"] == {Origin.REPLAY: 1}
    assert found[used.agent][Origin.LIVE] > 0
    untouched = set(found) - {used.agent, "attending", "triage", "planner"}
    assert all(set(found[agent]) == {Origin.REPLAY} for agent in untouched)


def test_another_model_is_asked_for_those_agents_alone(ward: wr.Ward, first: wr.Consult, tmp_path: Path) -> None:
    script = [{"answer": "AttendingAnswer", "says": {"diagnosis": None, "argument": []}}]
    (tmp_path / "script.json").write_text(json.dumps(script), "utf-8")
    spec = f"scripted:{tmp_path / 'script.json'}"
    forked = ward.fork(first.run, Edits(model=spec, agents=("attending",)))
    found = origins(forked)
    assert found.pop("attending") == {Origin.LIVE: 1}
    assert all(set(counts) == {Origin.REPLAY} for counts in found.values())
    assert {e.model for e in forked.events if isinstance(e, ModelAsked) and e.agent == "attending"} == {spec}
    assert forked.decision.diagnosis is None


def test_from_a_step_on_everything_is_asked_anew_and_nothing_before_it(
    ward: wr.Ward, first: wr.Consult, workspace: Path
) -> None:
    steps = forkable(first.events)
    assert [step.name for step in steps][:4] == ["intake", "triage", "plan", "specialist"]
    for step in steps:
        upstream = {e.call for e in first.events if isinstance(e, ModelAsked) and e.seq < step.begun}
        forked = ward.fork(first.run, Edits(anew_from=step.name))
        counts = sum((Counter(c) for c in origins(forked).values()), Counter())
        assert counts[Origin.REPLAY] == len(upstream), step.name
        assert counts[Origin.LIVE] == len([e for e in first.events if isinstance(e, ModelAsked)]) - len(upstream)
        assert forked.decision.differential == first.decision.differential
        assert replay(RunStore.existing(workspace), forked.run).is_equal


def test_a_cache_does_not_answer_what_is_to_be_asked_anew(first: wr.Consult, tmp_path: Path) -> None:
    cache = CallCache(tmp_path / "calls.db")
    caching = wr.Ward(workspace=tmp_path, kept=[cache])
    caching.consult(first.case)
    again = caching.consult(first.case)
    assert origins(again)["attending"] == {Origin.CACHE: 1}
    forked = caching.fork(again.run, Edits(anew_from="attending"))
    assert origins(forked)["attending"] == {Origin.LIVE: 1}
    cache.close()


def test_another_model_from_a_step_on_is_asked_by_nobody_before_it(
    ward: wr.Ward, first: wr.Consult, workspace: Path
) -> None:
    script = [{"answer": "AttendingAnswer", "says": {"diagnosis": None, "argument": []}}]
    (workspace / "calm.json").write_text(json.dumps(script), "utf-8")
    spec = f"scripted:{workspace / 'calm.json'}"
    forked = ward.fork(first.run, Edits(model=spec, model_from="attending"))
    again = ward.fork(forked.run, Edits(without=("fever",)))
    for consult in (forked, again):
        models = {e.agent: e.model for e in consult.events if isinstance(e, ModelAsked)}
        assert models.pop("attending") == spec
        assert set(models.values()) == {"reference"}
        assert replay(RunStore.existing(workspace), consult.run).is_equal
    assert set(origins(forked)["surgery"]) == set(origins(forked)["triage"]) == {Origin.REPLAY}


def test_a_step_after_a_person_was_asked_is_no_place_to_fork(tmp_path: Path) -> None:
    asking = wr.Ward(workspace=tmp_path, settings=wr.ConsultSettings(escalate=True))
    weary = asking.consult(wr.Case(narrative="Weary for weeks."))
    done = asking.resume(weary.run, information="Hemoglobin 6.9 g/dL.")
    steps = [visit.name for visit in visits_of(done.events)]
    assert "heed_person" in steps
    with pytest.raises(UsageError, match="cannot be forked from 'heed_person'; its steps are intake, triage"):
        asking.fork(done.run, Edits(anew_from="heed_person"))


def test_a_fork_can_be_forked_and_replayed(ward: wr.Ward, first: wr.Consult, workspace: Path) -> None:
    one = ward.fork(first.run, Edits(without=("fever",)))
    (asked,) = calls(one, "attending", "AttendingAnswer")
    two = ward.fork(one.run, Edits(answers={asked.call: json.dumps({"diagnosis": None, "argument": []})}))
    store = RunStore.existing(workspace)
    for consult in (one, two):
        assert replay(store, consult.run).is_equal


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        (Edits(), "changes nothing"),
        (Edits(without=("src_nowhere",)), "has no evidence src_nowhere"),
        (Edits(answers={"call_nowhere": "{}"}), "has no answered call 'call_nowhere'"),
        (Edits(tools={"tool_nowhere": ""}), "has no tool call tool_nowhere"),
        (Edits(without=("fever",), agents=("attending",)), "would ask no other model"),
        (Edits(without=("fever",), model_from="attending"), "attending would ask no other model"),
        (Edits(anew_from="nap"), "cannot be forked from 'nap'; its steps are intake, triage, plan, specialist"),
    ],
)
def test_a_fork_that_cannot_be_is_refused(ward: wr.Ward, first: wr.Consult, edits: Edits, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ward.fork(first.run, edits)


def test_a_change_that_another_change_keeps_from_coming_up_is_named(ward: wr.Ward, first: wr.Consult) -> None:
    (asked,) = calls(first, "attending", "AttendingAnswer")
    edits = Edits(without=("fever",), answers={asked.call: json.dumps({"diagnosis": None, "argument": []})})
    with pytest.raises(UsageError, match="never came to"):
        ward.fork(first.run, edits)


# Replays


def test_a_hundred_runs_are_replayed_event_for_event(tmp_path: Path) -> None:
    ward = wr.Ward(workspace=tmp_path, settings=wr.ConsultSettings(rollouts=2))
    runs = [ward.consult(sample.case).run for sample in (vignettes("dev") * 2)[:50]]
    strict = wr.Ward(workspace=tmp_path, settings=wr.ConsultSettings(rollouts=1, rounds=0))
    runs += [strict.consult(sample.case).run for sample in (vignettes("dev") * 2)[:50]]
    assert len(runs) == 100
    store = RunStore.existing(tmp_path)
    for run in dict.fromkeys(runs):
        done = replay(store, run)
        assert done.is_equal, [str(d) for d in done.differences]
        assert {e.origin for e in done.replayed if isinstance(e, ModelAnswered)} == {Origin.REPLAY}


def test_a_run_that_asked_a_person_is_replayed_with_the_answers(tmp_path: Path) -> None:
    ward = wr.Ward(workspace=tmp_path, settings=wr.ConsultSettings(escalate=True))
    asked = ward.consult(wr.Case(narrative="Man of 60 with fatigue."))
    store = RunStore.existing(tmp_path)
    assert replay(store, asked.run).is_equal
    ward.resume(asked.run, information="Hemoglobin 6.9 g/dL. Melena for a week.")
    done = ward.resume(asked.run, diagnosis="peptic ulcer disease")
    assert done.decision.status is DecisionStatus.FINAL
    again = replay(store, asked.run)
    assert again.is_equal, [str(d) for d in again.differences]
    assert decision(again.replayed) == done.decision


def test_what_a_replay_does_otherwise_is_named(first: wr.Consult) -> None:
    events = list(first.events)
    assert differences(events, events) == ()
    answered = next(k for k, e in enumerate(events) if isinstance(e, ModelAnswered))
    changed: Any = events[answered].model_copy(update={"text": "something else"})
    (other,) = differences(events, [*events[:answered], changed, *events[answered + 1 :]])
    assert str(other) == f"event {answered}: model_answered differs in text"
    (lost,) = differences(events, events[:answered] + events[answered + 1 :])
    assert str(lost).startswith("model_answered only in the record")


def test_when_and_by_whom_an_answer_came_is_no_act(first: wr.Consult) -> None:
    event: Any = next(e for e in first.events if isinstance(e, ModelAnswered))
    later = event.model_copy(update={"origin": Origin.CACHE, "seconds": 9.0, "seq": 10_000})
    assert act(later) == act(event)
