"""A run as spans: against a table of what a real consult gives, and the laws that every log keeps."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wardround as wr
from wardround.agents.ehr.text_protocol import TextProtocol
from wardround.core.claim import Claim, Severity, Verdict, VerdictLabel
from wardround.core.errors import UsageError
from wardround.core.items import ClaimItem, SourceItem, VerdictItem
from wardround.core.source import Source, SourceKind
from wardround.environments.fhir.sandbox import Sandbox
from wardround.graphs.ehr import EhrAgent
from wardround.testing import FixedClock, RunningClock
from wardround.tools.fhir.client import FhirClient
from wardround.tools.fhir.session import RecordSession
from wardround.trace import views
from wardround.trace.events import (
    AnswerFault,
    AnswerRefused,
    Event,
    EvidenceAdded,
    ModelAnswered,
    ModelAsked,
    Origin,
    Outcome,
    RunEnded,
    RunStarted,
    SpanKind,
    ToolCalled,
    ToolReturned,
)
from wardround.trace.otel.privacy import Privacy
from wardround.trace.otel.spans import trace_of
from wardround.trace.otel.values import Side, SpanValue, Status, Trace
from wardround.trace.recorder import Recorder

CASES = Path(__file__).parents[2] / "examples" / "cases"
SPECIALISTS = ("cardiology", "emergency_medicine", "pulmonology")


@pytest.fixture(scope="module")
def consult() -> wr.Consult:
    return wr.Ward("reference").consult(wr.Case.from_file(CASES / "chest_pain.json"))


@pytest.fixture(scope="module")
def trace(consult: wr.Consult) -> Trace:
    return trace_of(consult.events, Privacy(content=True))


# Step, name of its span, kind for OpenTelemetry and for OpenInference, operation, and the steps that led there.
STEPS = [
    ("intake", "intake", Side.INTERNAL, "CHAIN", None, ()),
    ("triage", "invoke_agent triage", Side.INTERNAL, "AGENT", "invoke_agent", ("intake",)),
    ("plan", "invoke_agent planner", Side.INTERNAL, "AGENT", "invoke_agent", ("triage",)),
    *[(s, f"invoke_agent {s}", Side.INTERNAL, "AGENT", "invoke_agent", ("plan",)) for s in SPECIALISTS],
    ("verify", "verify", Side.INTERNAL, "EVALUATOR", None, SPECIALISTS),
    ("weigh", "weigh", Side.INTERNAL, "CHAIN", None, ("verify",)),
    ("attending", "invoke_agent attending", Side.INTERNAL, "AGENT", "invoke_agent", ("weigh",)),
    ("gate", "gate", Side.INTERNAL, "GUARDRAIL", None, ("attending",)),
]
# What happens within a step, and how often in this consult.
CALLS = {
    "triage": {"chat reference": 1},
    "plan": {"chat reference": 1},
    **{s: {"chat reference": 5, "retrieval guideline": 1, "execute_tool clinical_score": 1} for s in SPECIALISTS},
    "attending": {"chat reference": 1},
}
# Attributes that a span of each kind has with content, by the operation or, where it has none, by what it is.
COMMON = {"openinference.span.kind", "gen_ai.conversation.id", "session.id", "wardround.outcome"}
NODE = {"graph.node.id", "graph.node.name"}
REQUIRED = {
    "invoke_workflow": {
        "gen_ai.operation.name",
        "gen_ai.workflow.name",
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "input.value",
        "input.mime_type",
        "output.value",
        "output.mime_type",
        "metadata",
        "tag.tags",
        "wardround.case.hash",
        "wardround.redaction.policy",
        "wardround.log.schema_version",
        "wardround.decision.status",
        "wardround.uncertainty.combined",
    },
    "invoke_agent": NODE
    | {
        "gen_ai.operation.name",
        "gen_ai.provider.name",
        "gen_ai.agent.name",
        "gen_ai.agent.id",
        "gen_ai.agent.version",
        "gen_ai.request.model",
        "gen_ai.output.type",
        "gen_ai.system_instructions",
        "agent.name",
        "input.value",
        "input.mime_type",
        "output.value",
        "output.mime_type",
    },
    "chat": NODE
    | {
        "gen_ai.operation.name",
        "gen_ai.provider.name",
        "gen_ai.request.model",
        "gen_ai.response.model",
        "gen_ai.request.temperature",
        "gen_ai.request.seed",
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "llm.provider",
        "llm.system",
        "llm.model_name",
        "llm.request.model_name",
        "llm.response.model_name",
        "llm.invocation_parameters",
        "llm.token_count.prompt",
        "llm.token_count.completion",
        "llm.token_count.total",
        "llm.input_messages.0.message.role",
        "llm.input_messages.0.message.content",
        "llm.output_messages.0.message.role",
        "llm.output_messages.0.message.content",
        "wardround.rollouts",
    },
    "execute_tool": NODE
    | {
        "gen_ai.operation.name",
        "gen_ai.tool.name",
        "gen_ai.tool.call.id",
        "gen_ai.tool.type",
        "gen_ai.tool.call.arguments",
        "gen_ai.tool.call.result",
        "tool.name",
        "tool.id",
        "input.value",
        "input.mime_type",
        "output.value",
        "output.mime_type",
        "wardround.tool.effect",
    },
    "retrieval": NODE
    | {
        "gen_ai.operation.name",
        "gen_ai.data_source.id",
        "gen_ai.retrieval.query.text",
        "input.value",
        "retrieval.documents.0.document.id",
        "retrieval.documents.0.document.content",
        "retrieval.documents.0.document.metadata",
    },
    "EVALUATOR": NODE | {"wardround.verdicts.supported", "output.value"},
    "GUARDRAIL": NODE | {"wardround.decision.status", "evaluations.0.evaluation.name"},
    "CHAIN": NODE,
}


def test_a_consult_gives_the_spans_of_the_table(trace: Trace) -> None:
    root = trace.root
    assert (root.name, root.side, root.parent) == ("invoke_workflow consult", Side.INTERNAL, None)
    assert root.attributes["openinference.span.kind"] == "CHAIN"
    steps = {str(span.attributes["graph.node.name"]): span for span in trace.spans if span.parent == root.id}
    found = sorted(_row(name, span) for name, span in steps.items())
    assert found == sorted((s, name, side, kind, op, led) for s, name, side, kind, op, led in STEPS)
    within = {
        name: dict(Counter(inner.name for inner in trace.spans if inner.parent == step.id))
        for name, step in steps.items()
    }
    assert {name: calls for name, calls in within.items() if calls} == CALLS
    assert len(trace.spans) == 1 + len(STEPS) + sum(sum(calls.values()) for calls in CALLS.values())


def _row(name: str, span: SpanValue) -> tuple[object, ...]:
    parents = span.attributes.get("wardround.graph.node.parents", [])
    assert isinstance(parents, list)
    assert span.attributes.get("graph.node.parent_id") == (parents[0] if parents else None)
    led = tuple(str(parent).removeprefix("consult/") for parent in parents)
    operation = span.attributes.get("gen_ai.operation.name")
    return name, span.name, span.side, span.attributes["openinference.span.kind"], operation, led


def test_every_span_has_what_the_conventions_require_of_its_kind(trace: Trace) -> None:
    for span in trace.spans:
        kind = str(span.attributes.get("gen_ai.operation.name", span.attributes["openinference.span.kind"]))
        missing = (COMMON | REQUIRED[kind]) - span.attributes.keys()
        assert not missing, (span.name, missing)


def test_every_span_within_a_step_names_the_steps_node(trace: Trace) -> None:
    by_id = {span.id: span for span in trace.spans}
    for span in trace.spans:
        parent = by_id.get(span.parent or "")
        if parent is not None and parent is not trace.root:
            assert span.attributes["graph.node.id"] == parent.attributes["graph.node.id"]
    assert "graph.node.id" not in trace.root.attributes


def test_operation_provider_and_model_come_before_what_is_known_at_the_end(trace: Trace) -> None:
    (chat, *_) = (span for span in trace.spans if span.name == "chat reference")
    names = list(chat.attributes)
    assert names.index("gen_ai.operation.name") == 0
    assert names.index("gen_ai.request.model") < names.index("gen_ai.usage.input_tokens")


def test_tokens_add_up_to_what_the_run_used(consult: wr.Consult, trace: Trace) -> None:
    told = [span.attributes.get("llm.token_count.total", 0) for span in trace.spans]
    assert sum(int(str(n)) for n in told) == consult.usage.tokens > 0


def test_retrievals_are_calls_to_a_store_and_a_model_in_process_is_none(trace: Trace) -> None:
    sides = {span.name: span.side for span in trace.spans}
    assert sides["retrieval guideline"] is Side.CLIENT
    assert sides["chat reference"] is Side.INTERNAL


def test_each_verdict_stands_on_the_span_that_made_the_claim_in_both_forms(consult: wr.Consult, trace: Trace) -> None:
    told: dict[str, tuple[str, object, str]] = {}
    for span in trace.spans[1:]:
        events = [event for event in span.events if event.attributes.get("wardround.claim.id")]
        for event in events:
            assert event.name == "gen_ai.evaluation.result"
            claim = str(event.attributes["wardround.claim.id"])
            at = next(k for k, v in span.attributes.items() if k.endswith(".evaluation.identifier") and v == claim)
            stem = at.removesuffix("identifier")
            assert span.attributes[stem + "label"] == event.attributes["gen_ai.evaluation.score.label"]
            assert span.attributes[stem + "score"] == event.attributes["gen_ai.evaluation.score.value"]
            assert span.attributes[stem + "explanation"] == event.attributes["gen_ai.evaluation.explanation"]
            assert span.attributes[stem + "annotator_kind"] == "CODE"
            agent = str(span.attributes["gen_ai.agent.name"])
            told[claim] = (agent, span.attributes[stem + "label"], str(event.attributes["wardround.verdict.severity"]))
    expected = {
        claim.id: (claim.agent, verdict.label.value, verdict.severity.value)
        for claim, verdict in consult.claims
        if verdict is not None
    }
    assert told == expected
    assert len(expected) > 20


def test_the_check_points_at_those_whose_claims_it_judged(trace: Trace) -> None:
    agents = {span.id: span.attributes.get("gen_ai.agent.name") for span in trace.spans}
    (verify,) = (span for span in trace.spans if span.name == "verify")
    assert sorted(str(agents[linked]) for linked in verify.links) == sorted(SPECIALISTS)


def test_whole_run_results_stand_on_the_root_alone(consult: wr.Consult, trace: Trace) -> None:
    root = trace.root.attributes
    names = {root[f"trace.evaluations.{i}.evaluation.name"] for i in range(3)}
    assert names == {"decision", "uncertainty", "claims_supported"}
    assert root["trace.evaluations.0.evaluation.label"] == consult.decision.status.value
    assert root["trace.evaluations.0.evaluation.score"] == consult.decision.probability
    assert not any(name.startswith("evaluations.") for name in root)
    others = [name for span in trace.spans[1:] for name in span.attributes if name.startswith("trace.")]
    assert not others


def test_structured_attributes_are_json(trace: Trace) -> None:
    (chat, *_) = (span for span in trace.spans if span.name == "chat reference")
    said = json.loads(str(chat.attributes["gen_ai.input.messages"]))
    assert [message["role"] for message in said] == ["system", "user"]
    assert said[1]["parts"][0]["content"] == chat.attributes["llm.input_messages.1.message.content"]
    (answer,) = json.loads(str(chat.attributes["gen_ai.output.messages"]))
    assert answer["parts"][0]["content"] == chat.attributes["llm.output_messages.0.message.content"]
    assert json.loads(str(chat.attributes["llm.invocation_parameters"]))["seed"] == 0
    assert json.loads(str(trace.root.attributes["metadata"]))["rollouts"] == 3


def test_a_second_export_is_the_same_trace_in_whatever_order_events_come(consult: wr.Consult, trace: Trace) -> None:
    again = trace_of([*reversed(consult.events), *consult.events[:50]], Privacy(content=True))
    assert again == trace
    assert len({span.id for span in trace.spans}) == len(trace.spans)


def test_another_consult_of_the_same_case_is_another_trace_of_the_same_session(consult: wr.Consult) -> None:
    later = [event.model_copy(update={"time": event.time + timedelta(days=1)}) for event in consult.events]
    one, other = trace_of(consult.events), trace_of(later)
    assert one.run == other.run
    assert not {span.id for span in one.spans} & {span.id for span in other.spans}


def test_spans_lie_within_the_run_and_begin_after_their_parents(trace: Trace) -> None:
    by_id = {span.id: span for span in trace.spans}
    for span in trace.spans[1:]:
        parent = by_id[span.parent or ""]
        assert parent.start <= span.start <= span.end <= trace.root.end


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_beginning_of_a_log_gives_one_tree(consult: wr.Consult, data: st.DataObject) -> None:
    length = data.draw(st.integers(1, len(consult.events)))
    begun = trace_of(consult.events[:length], Privacy(content=True))
    ids = {span.id for span in begun.spans}
    assert len(ids) == len(begun.spans)
    assert [span.parent for span in begun.spans].count(None) == 1
    assert all(span.parent in ids for span in begun.spans[1:])
    assert all(linked in ids for span in begun.spans for linked in span.links)
    assert all(span.start <= span.end for span in begun.spans)
    is_whole = length == len(consult.events)
    assert (begun.root.attributes["wardround.outcome"] == "done") == is_whole
    assert (begun.id == trace_of(consult.events).id) == is_whole


def test_a_person_who_was_asked_makes_one_run_of_two_passes(tmp_path: Path) -> None:
    ward = wr.Ward(settings=wr.ConsultSettings(escalate=True), workspace=tmp_path)
    waiting = ward.consult(wr.Case(narrative="A 34-year-old woman is tired."))
    ended = ward.resume(waiting.run, diagnosis="hypothyroidism")
    before, after = trace_of(waiting.events), trace_of(ended.events)
    assert before.root.attributes["wardround.outcome"] == "suspended"
    assert before.root.status is Status.UNSET
    assert after.root.status is Status.OK
    assert [event.name for event in after.root.events if event.name.startswith("wardround.")] == [
        "wardround.suspended",
        "wardround.resumed",
    ]
    (heeded,) = (span for span in after.spans if span.name == "heed person")
    assert heeded.attributes["graph.node.parent_id"] == "consult/gate"
    assert after.root.attributes["wardround.decision.reasons"] == [
        reason.code.value for reason in ended.decision.reasons
    ]
    assert before.id != after.id
    assert before.root.attributes["session.id"] == after.root.attributes["session.id"]


def recorder() -> Recorder:
    log = Recorder("run_1", clock=FixedClock())
    log.record(RunStarted, case="c", model="vllm:org/model", settings={"prices": {"input": 2.0, "output": 10.0}})
    return log


def ask(log: Recorder, *, rollouts: int = 1, origin: Origin = Origin.LIVE, finish: str | None = "stop") -> None:
    with log.span("doctor Answer", SpanKind.MODEL):
        for n in range(rollouts):
            log.record(
                ModelAsked,
                call=f"call_{n}",
                agent="doctor",
                model="vllm:org/model",
                answer="Answer",
                rollout=n,
                attempt=0,
                messages=({"role": "human", "content": "What is it?"},),
                options={"temperature": 0.7, "n": rollouts, "stop": "END", "max_tokens": 5},
            )
        for n in range(rollouts):
            log.record(
                ModelAnswered,
                call=f"call_{n}",
                text=f"answer {n}",
                input_tokens=1000 if n == 0 else 0,
                output_tokens=100 if n == 0 else 0,
                seconds=1.0,
                origin=origin,
                finish=finish,
            )


def the(events: list[Event], name: str) -> SpanValue:
    (span,) = (span for span in trace_of(events, Privacy(content=True)).spans if span.name == name)
    return span


def test_rollouts_in_one_request_are_the_choices_of_one_call() -> None:
    log = recorder()
    ask(log, rollouts=3)
    chat = the(log.events, "chat org/model")
    assert chat.side is Side.CLIENT
    assert chat.attributes["gen_ai.provider.name"] == "vllm"
    assert chat.attributes["gen_ai.request.choice.count"] == 3
    assert chat.attributes["gen_ai.request.stop_sequences"] == ["END"]
    assert chat.attributes["gen_ai.request.max_tokens"] == 5
    assert chat.attributes["gen_ai.response.finish_reasons"] == ["stop"] * 3
    assert chat.attributes["llm.token_count.prompt"] == 1000
    assert chat.attributes["llm.token_count.total"] == 1100
    assert chat.attributes["wardround.cost"] == pytest.approx(0.003)
    assert chat.attributes["wardround.rollouts"] == [0, 1, 2]
    assert [chat.attributes[f"llm.output_messages.{i}.message.content"] for i in range(3)] == [
        "answer 0",
        "answer 1",
        "answer 2",
    ]


def test_what_the_runs_own_log_answered_used_nothing_and_went_nowhere() -> None:
    log = recorder()
    ask(log, origin=Origin.LOG)
    chat = the(log.events, "chat org/model")
    assert chat.side is Side.INTERNAL
    assert chat.attributes["wardround.answer.origin"] == "log"
    assert not [name for name in chat.attributes if "usage" in name or "token_count" in name or "cost" in name]
    assert views.usage(log.events).tokens == 0


def test_why_an_answer_ended_is_left_open_where_the_model_does_not_say() -> None:
    log = recorder()
    ask(log, finish=None)
    chat = the(log.events, "chat org/model")
    assert "llm.finish_reason" not in chat.attributes
    assert json.loads(str(chat.attributes["gen_ai.output.messages"]))[0]["finish_reason"] == "unknown"


def test_an_answer_that_was_not_taken_is_a_result_of_its_call() -> None:
    log = recorder()
    ask(log)
    log.record(
        AnswerRefused, call="call_0", agent="doctor", fault="not one object", final=True, kind=AnswerFault.NO_OBJECT
    )
    chat = the(log.events, "chat org/model")
    assert chat.attributes["evaluations.0.evaluation.label"] == "no_object"
    assert chat.events[0].attributes["gen_ai.evaluation.explanation"] == "not one object"
    assert chat.events[0].attributes["wardround.answer.final"] is True


def test_a_failure_names_its_kind_and_a_tool_that_could_not_answer_failed() -> None:
    log = recorder()
    with contextlib.suppress(ValueError), log.span("cardiology", SpanKind.AGENT):
        with log.span("clinical_score", SpanKind.TOOL):
            log.record(ToolCalled, call="t", agent="cardiology", tool="clinical_score", arguments={"argument": "x"})
            log.record(ToolReturned, call="t", text="", error="there is no score x")
        raise ValueError("no such dose")
    log.record(RunEnded, outcome=Outcome.FAILED, error="wardround.Error")
    agent, tool = the(log.events, "invoke_agent cardiology"), the(log.events, "execute_tool clinical_score")
    assert (agent.status, agent.attributes["error.type"]) == (Status.ERROR, "ValueError")
    assert agent.message == "ValueError: no such dose"
    assert (tool.status, tool.attributes["error.type"]) == (Status.ERROR, "tool_error")
    root = trace_of(log.events).root
    assert (root.status, root.attributes["error.type"]) == (Status.ERROR, "wardround.Error")
    assert root.attributes["wardround.outcome"] == "failed"


def test_claims_are_judged_where_they_were_made_though_the_verdict_comes_later_and_elsewhere() -> None:
    log = recorder()
    source = Source(kind=SourceKind.CLINICIAN_NOTE, text="No fever.", document="note")
    claim = Claim(agent="doctor", text="There is fever.", cites=(source.id,))
    verdict = Verdict(
        claim=claim.id, label=VerdictLabel.NOT_ADDRESSED, severity=Severity.UNSCORED, reason="nothing says so"
    )
    with log.span("consult", SpanKind.RUN):
        with log.span("doctor", SpanKind.AGENT):
            log.record(EvidenceAdded, item=SourceItem(source=source))
            log.record(EvidenceAdded, item=ClaimItem(claim=claim))
        with log.span("verify", SpanKind.NODE):
            log.record(EvidenceAdded, item=VerdictItem(verdict=verdict))
    agent, check = the(log.events, "invoke_agent doctor"), the(log.events, "verify")
    (event,) = agent.events
    assert event.time > agent.end
    assert "gen_ai.evaluation.score.value" not in event.attributes  # it has no score, which is not a score of 0
    assert check.links == (agent.id,)
    assert check.attributes["wardround.verdicts.not_addressed"] == 1


def test_a_clock_that_was_set_back_makes_no_span_end_before_it_begins() -> None:
    log = recorder()
    with log.span("intake", SpanKind.NODE):
        pass
    started, opened, closed = log.events
    before = closed.model_copy(update={"time": datetime(2001, 1, 1, tzinfo=UTC), "seconds": 2.0})
    intake = the([started, opened, before], "intake")
    assert intake.end - intake.start == 2_000_000_000


async def test_a_record_agents_run_is_calls_and_tools_under_its_root() -> None:
    patient = {
        "resourceType": "Patient",
        "id": "p1",
        "identifier": [{"system": "urn:mrn", "value": "p1"}],
        "birthDate": "1950-03-02",
        "name": [{"family": "Okafor"}],
    }
    clock = RunningClock(datetime(2023, 11, 13, 10, 15, tzinfo=UTC))
    events: list[Event] = []
    with Sandbox(clock=clock) as sandbox:
        sandbox.load([patient])
        agent = EhrAgent("reference", TextProtocol(), tools=lambda session: ())
        async with FhirClient("http://sandbox/fhir/R4", transport=sandbox.transport()) as client:
            task = "Context: It is 2023-11-13T10:15:00+00:00 now.\nQuestion: How old is patient p1?"
            await agent.run(task, RecordSession(client), sinks=[events.append])
    shown = trace_of(events, Privacy(content=True))
    assert shown.root.name == "invoke_workflow episode"
    assert shown.root.attributes["input.value"] == task
    assert {span.name for span in shown.spans[1:]} == {"chat reference", "execute_tool GET"}
    (got, *_) = (span for span in shown.spans if span.name == "execute_tool GET")
    assert (got.attributes["gen_ai.tool.type"], got.attributes["wardround.tool.effect"]) == ("datastore", "read")
    assert got.attributes["wardround.fhir.exchanges"] == ["GET 200"]
    assert "Okafor" in str(got.attributes["gen_ai.tool.call.result"])
    assert "Okafor" not in repr(trace_of(events))
    assert "p1" not in repr(trace_of(events))


def test_events_of_two_runs_or_without_a_beginning_are_no_log(consult: wr.Consult) -> None:
    with pytest.raises(UsageError, match="of 2"):
        trace_of([*recorder().events, *consult.events])
    with pytest.raises(UsageError, match="no beginning"):
        trace_of(consult.events[1:])
    with pytest.raises(UsageError, match="no beginning"):
        trace_of([])
