"""How a run went: the path through the state machine, the spans, the messages and the tools."""

import itertools
import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from wardround.core.case import Case
from wardround.dashboard import machine
from wardround.dashboard.course import course_page
from wardround.dashboard.exchanges import calls_of, table_of, uses_of
from wardround.dashboard.spans import spans_of
from wardround.graphs.ehr_flow import compile_ehr_flow
from wardround.graphs.flow import compile_flow
from wardround.trace import views
from wardround.trace.events import (
    DecisionMade,
    ModelAsked,
    OpinionGiven,
    Outcome,
    Resumed,
    RunEnded,
    RunStarted,
    SpanEnded,
    SpanKind,
    SpanStarted,
    Suspended,
    ToolCalled,
)
from wardround.trace.visits import END, visits_of

ALL = ["coded", "bundle", "contested", "image", "waiting", "written", "proposed"]


def page(run: Any) -> dict[str, Any]:
    return course_page(run.events, run.case)


def edges_of(flow: Any) -> set[tuple[str, str]]:
    return {(edge.source, edge.target) for edge in flow.get_graph().edges}


def test_the_machines_that_are_drawn_are_those_that_run() -> None:
    assert set(machine.CONSULT.edges) == edges_of(compile_flow())
    assert set(machine.RECORDS.edges) == edges_of(compile_ehr_flow(None))
    for drawn in (machine.CONSULT, machine.RECORDS):
        assert {end for edge in drawn.edges for end in edge} == set(drawn.places)


@pytest.mark.parametrize("name", ALL)
def test_every_step_that_was_taken_is_one_the_machine_allows(runs: dict[str, Any], name: str) -> None:
    run = runs[name]
    visits = visits_of(run.events)
    assert set(machine.taken(visits)) <= set(machine.machine_of(run.events).edges)


@pytest.mark.parametrize("name", ALL)
def test_the_steps_name_the_spans_of_the_log(runs: dict[str, Any], name: str) -> None:
    run = runs[name]
    top = {e.opened for e in run.events if isinstance(e, SpanStarted) and e.kind is SpanKind.RUN}
    steps = [e.opened for e in run.events if isinstance(e, SpanStarted) and e.span in top]
    assert sorted(s for visit in visits_of(run.events) for s in visit.spans) == sorted(steps)


def test_a_run_that_ends_reaches_the_end_and_one_that_waits_stands_with_the_person(runs: dict[str, Any]) -> None:
    assert visits_of(runs["bundle"].events)[-1].step == END
    assert visits_of(runs["waiting"].events)[-1].step == "ask_person"
    assert visits_of(runs["proposed"].events)[-1].step == "confirm"


def test_a_person_who_gives_information_leads_back_to_weighing() -> None:
    events = list(_of_steps(["intake", "triage", "plan", "verify", "weigh", "attending", "gate"]))
    events += list(_waited(len(events), ["heed person", "weigh", "attending", "gate"]))
    visits = visits_of(events)
    assert [v.step for v in visits][-6:] == ["ask_person", "heed_person", "weigh", "attending", "gate", END]
    assert set(machine.taken(visits)) <= set(machine.CONSULT.edges)
    drawn = machine.picture(machine.CONSULT, visits)
    assert "weigh: taken 2 times" in drawn


_T = datetime(2024, 1, 1, tzinfo=UTC)


def _made(made: Any, /, seq: int, span: str = "", **fields: Any) -> Any:
    return made(run="run_1", seq=seq, time=_T + timedelta(seconds=seq), span=span, **fields)


def _of_steps(steps: list[str], at: int = 0, run: str = "r1") -> Any:
    count = itertools.count(at)
    if at == 0:
        yield _made(RunStarted, next(count), case="c", model="m", settings={})
    yield _made(SpanStarted, next(count), opened=run, name="consult", kind=SpanKind.RUN)
    for step in steps:
        name = f"{run}-{step}"
        yield _made(SpanStarted, next(count), run, opened=name, name=step, kind=SpanKind.NODE)
        yield _made(SpanEnded, next(count), run, closed=name, outcome=Outcome.DONE, seconds=1.0)
    yield _made(SpanEnded, next(count), closed=run, outcome=Outcome.DONE, seconds=9.0)


def _waited(at: int, steps: list[str]) -> Any:
    yield _made(Suspended, at, question={})
    yield _made(Resumed, at + 1, answer={"information": "x"})
    after = list(_of_steps(steps, at + 2, "r2"))
    yield from after
    yield _made(RunEnded, after[-1].seq + 1, outcome=Outcome.DONE)


@pytest.mark.parametrize("name", ALL)
def test_the_tree_holds_every_span_once_under_its_own_parent(runs: dict[str, Any], name: str) -> None:
    run = runs[name]
    started = {e.opened: e.span for e in run.events if isinstance(e, SpanStarted)}
    spans = spans_of(run.events)
    assert {span.id: span.parent for span in spans} == started
    walked: list[str] = []
    waiting = [span for span in spans if not span.parent]
    while waiting:
        span = waiting.pop()
        walked.append(span.id)
        waiting += span.children
    assert sorted(walked) == sorted(started)


@pytest.mark.parametrize("name", ALL)
def test_tokens_calls_and_money_of_the_root_are_those_of_the_run(runs: dict[str, Any], name: str) -> None:
    run = runs[name]
    calls = calls_of(run.events)
    roots = [span for span in spans_of(run.events, calls, uses_of(run.events)) if not span.parent]
    assert sum(span.calls for span in roots) == len([e for e in run.events if isinstance(e, ModelAsked)])
    assert sum(span.tokens for span in roots) == views.usage(run.events).tokens


@pytest.mark.parametrize("name", ALL)
def test_the_waterfall_has_a_row_for_every_span_below_its_parent(runs: dict[str, Any], name: str) -> None:
    run = runs[name]
    spans = spans_of(run.events)
    rows = re.findall(r'href="#span-(spn_\w+)"', page(run)["waterfall"])
    assert sorted(rows) == sorted(span.id for span in spans)
    by_id = {span.id: span for span in spans}
    for one, after in itertools.pairwise(rows):
        assert by_id[after].depth <= by_id[one].depth + 1
        assert by_id[after].depth <= by_id[one].depth or by_id[after].parent == one


def test_money_is_what_the_consult_says_it_cost(runs: dict[str, Any]) -> None:
    from wardround.graphs.consult import Consult

    run = runs["coded"]
    money = Consult.from_events(run.case, run.events).money
    assert money is not None
    assert sum(call.money or 0.0 for call in calls_of(run.events)) == pytest.approx(money)
    assert page(run)["has_money"]


@pytest.mark.parametrize("name", ALL)
def test_every_question_and_every_use_of_a_tool_is_there_with_its_answer(runs: dict[str, Any], name: str) -> None:
    run = runs[name]
    shown = page(run)
    assert [c.seq for c in shown["calls"]] == [e.seq for e in run.events if isinstance(e, ModelAsked)]
    assert [u.seq for u in shown["uses"]] == [e.seq for e in run.events if isinstance(e, ToolCalled)]
    assert all(call.text is not None for call in shown["calls"])


def test_messages_are_shown_as_they_were_sent(runs: dict[str, Any]) -> None:
    run = runs["bundle"]
    asked = next(e for e in run.events if isinstance(e, ModelAsked))
    call = calls_of(run.events)[0]
    assert [m.text.text for m in call.messages] == [m["content"] for m in asked.messages]
    seen = next(c for c in calls_of(runs["image"].events) if any(m.images for m in c.messages))
    assert all(len(image) == 64 for m in seen.messages for image in m.images)


def test_opinions_stand_side_by_side_and_those_that_differ_are_marked(runs: dict[str, Any]) -> None:
    run = runs["contested"]
    shown = page(run)["rollouts"]
    given = [e for e in run.events if isinstance(e, OpinionGiven)]
    assert sum(len(own) for own in shown.values()) == len(given)
    counts = Counter(e.cluster for e in given if e.cluster)
    assert sum(r.agrees for own in shown.values() for r in own) == counts.most_common(1)[0][1]


def test_checkpoints_are_the_beginnings_of_the_steps_in_order(runs: dict[str, Any]) -> None:
    found = page(runs["bundle"])["checkpoints"]
    assert [c.name for c in found] == [
        "intake", "triage", "plan", "specialist", "verify", "weigh", "attending", "gate",
    ]  # fmt: skip
    assert [c.seq for c in found] == sorted(c.seq for c in found)
    decided = next(e.seq for e in runs["bundle"].events if isinstance(e, DecisionMade))
    assert found[-1].seq < decided
    assert found[0].holds == "the case as given"
    assert [call.agent for call in found[-2].calls] == ["attending"]


def test_behind_a_question_to_a_person_is_no_checkpoint(runs: dict[str, Any]) -> None:
    assert page(runs["waiting"])["checkpoints"][-1].name == "gate"
    assert page(runs["written"])["checkpoints"] == []


@pytest.mark.parametrize("kept", [0, 1, 2, 7, 100, 170, 250])
def test_a_run_under_way_is_shown(runs: dict[str, Any], kept: int) -> None:
    shown = course_page(runs["bundle"].events[:kept], runs["bundle"].case)
    assert len(shown["spans"]) == sum(isinstance(e, SpanStarted) for e in runs["bundle"].events[:kept])


def test_a_bundle_becomes_a_table_of_its_resources() -> None:
    weight = {"resourceType": "Observation", "id": "w", "code": {"text": "weight"}, "valueQuantity": {"value": 71}}
    table = table_of(json.dumps({"resourceType": "Bundle", "entry": [{"resource": weight}, {"resource": {}}, 3]}))
    assert table is not None
    assert table.rows[0] == ("Observation/w", "", "weight: 71.")


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "null", "[" * 5000, '{"a": NaN}', "a\nb: c", "| a |"])
def test_text_that_is_no_table_is_none_and_breaks_nothing(text: str) -> None:
    assert table_of(text) is None or table_of(text).rows


def test_a_table_in_bars_is_read_as_one() -> None:
    table = table_of("id | when\n---|---\na | 2020\nb | 2021")
    assert table is not None
    assert (table.heads, table.rows) == (("id", "when"), (("a", "2020"), ("b", "2021")))


def test_a_task_without_events_is_shown() -> None:
    assert course_page([], Case(id="x"))["visits"] == []
