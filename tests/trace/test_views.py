"""Folds of the log: what is shown and counted later."""

from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardround.core.claim import Claim
from wardround.core.decision import Decision, DecisionStatus
from wardround.core.differential import Differential, Hypothesis
from wardround.core.finding import Finding
from wardround.core.graph import BearingItem, Candidate, CandidatesItem, ClaimItem, ReadingItem, SourceItem
from wardround.core.source import Source, SourceKind
from wardround.testing import FixedClock
from wardround.trace import views
from wardround.trace.events import (
    DecisionMade,
    Event,
    EvidenceAdded,
    ModelAnswered,
    ModelAsked,
    Outcome,
    Resumed,
    RunEnded,
    RunStarted,
    SpanKind,
    Suspended,
    ToolCalled,
    ToolReturned,
)
from wardround.trace.recorder import Recorder

FLU = Hypothesis(id="flu", name="Influenza", icd10="J11", probability=0.8)
FINAL = Decision(
    status=DecisionStatus.FINAL,
    diagnosis=FLU,
    probability=0.8,
    differential=Differential(hypotheses=(FLU,), other=0.2),
)
ESCALATED = FINAL.model_copy(update={"status": DecisionStatus.ESCALATED, "diagnosis": None})
FEVER = Source(kind=SourceKind.CLINICIAN_NOTE, text="Fever 39.2.", document="note", start=0)
GROUNDED = Claim(agent="infectious disease", text="There is fever.", cites=(FEVER.id,))
MADE_UP = Claim(agent="infectious disease", text="There is a rash.", cites=("src_nowhere",))
ITEMS = [
    SourceItem(source=FEVER),
    ReadingItem(finding=Finding(code="fever", source=FEVER.id)),
    CandidatesItem(candidates=(Candidate(id="flu", name="Influenza", prior=0.95),)),
    BearingItem(code="fever", name="fever", group="systemic", background=0.1, present={"flu": 0.9}),
    ClaimItem(claim=GROUNDED),
    ClaimItem(claim=MADE_UP),
]


class PersonAsked(Exception):
    pass


def ask(recorder: Recorder, agent: str, answer: str, *, tokens: int | None) -> None:
    with recorder.span("model", SpanKind.MODEL):
        recorder.record(ModelAsked, call="c", agent=agent, model="m", answer=answer, rollout=0, attempt=0, messages=())
        recorder.record(ModelAnswered, call="c", text="{}", seconds=0.1, input_tokens=tokens, output_tokens=tokens)


def ask_a_person(recorder: Recorder) -> None:
    recorder.record(Suspended, question={})
    raise PersonAsked


def story() -> list[Event]:
    recorder = Recorder("run_1", clock=FixedClock(step=1.0), suspension=PersonAsked)
    recorder.record(RunStarted, case="case_a", model="reference", settings={})
    with recorder.span("consult", SpanKind.RUN):
        with recorder.span("intake", SpanKind.NODE):
            for item in ITEMS:
                recorder.record(EvidenceAdded, item=item)
        with recorder.span("triage", SpanKind.NODE):
            ask(recorder, "triage", "TriageAnswer", tokens=100)
        with recorder.span("specialists", SpanKind.NODE), recorder.span("infectious disease", SpanKind.AGENT):
            recorder.record(ToolCalled, call="t", agent="infectious disease", tool="search", arguments={"q": "rash"})
            recorder.record(ToolReturned, call="t", text="nothing")
            ask(recorder, "infectious disease", "SpecialistAnswer", tokens=None)
        with pytest.raises(ValueError, match="broken"), recorder.span("verify", SpanKind.NODE):
            raise ValueError("broken")
        recorder.record(DecisionMade, decision=ESCALATED)
        with pytest.raises(PersonAsked), recorder.span("gate", SpanKind.NODE):
            ask_a_person(recorder)
        recorder.record(Resumed, answer={"agree": True})
        recorder.record(DecisionMade, decision=FINAL)
    recorder.record(RunEnded, outcome=Outcome.DONE)
    return recorder.events


STORY = story()


def test_the_timeline_reads_like_a_story() -> None:
    assert views.timeline(STORY) == dedent(
        """\
        run of case case_a with reference
        run consult
          node intake
          node triage
            model model
              triage asked for TriageAnswer (rollout 0)
          node specialists
            agent infectious disease
              infectious disease used search {'q': 'rash'}
              model model
                infectious disease asked for SpecialistAnswer (rollout 0)
          node verify
          verify failed
          decided: escalated, no diagnosis
          node gate
          gate suspended
          decided: final, Influenza
        run done"""
    )


def test_the_timeline_of_nothing_is_empty() -> None:
    assert views.timeline([]) == ""


def test_usage_counts_calls_tokens_tools_and_time() -> None:
    usage = views.usage(STORY)
    assert (usage.calls, usage.tokens, usage.tools) == (2, 200, 1)
    assert usage.seconds == (STORY[-1].time - STORY[0].time).total_seconds()
    assert views.usage([]) == views.Usage(calls=0, tokens=0, seconds=0.0, tools=0, agents={})


def test_a_call_made_again_counts_again() -> None:
    recorder = Recorder("run_1", clock=FixedClock())
    ask(recorder, "triage", "TriageAnswer", tokens=10)
    resumed = Recorder("run_1", clock=FixedClock(), earlier=recorder.events)
    ask(resumed, "triage", "TriageAnswer", tokens=10)
    asked = [e for e in resumed.events if isinstance(e, ModelAsked)]
    assert asked[0].id == asked[1].id
    assert (views.usage(resumed.events).calls, views.usage(resumed.events).tokens) == (2, 40)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, len(STORY) - 1), max_size=12))
def test_an_event_delivered_twice_changes_nothing(again: list[int]) -> None:
    doubled: list[Event] = []
    for n, event in enumerate(STORY):
        doubled.append(event)
        doubled += [STORY[k] for k in again if k <= n and (k + n) % 3 == 0]
    doubled.append(STORY[-1])
    assert views.timeline(doubled) == views.timeline(STORY)
    assert views.usage(doubled) == views.usage(STORY)
    assert views.decision(doubled) == views.decision(STORY)
    assert views.unsupported_claims(doubled) == views.unsupported_claims(STORY)
    assert views.evidence_graph(doubled).items == views.evidence_graph(STORY).items


def test_the_whole_log_delivered_twice_changes_nothing() -> None:
    assert views.timeline([*STORY, *STORY]) == views.timeline(STORY)
    assert views.usage([*STORY, *STORY]) == views.usage(STORY)
    assert views.evidence_graph([*STORY, *STORY]) == views.evidence_graph(STORY)


def test_a_fold_takes_a_stream() -> None:
    assert views.usage(iter(STORY)) == views.usage(STORY)
    assert views.timeline(iter(STORY)) == views.timeline(STORY)
    assert views.evidence_graph(iter(STORY)) == views.evidence_graph(STORY)


def test_the_evidence_graph_is_rebuilt_from_the_log() -> None:
    graph = views.evidence_graph(STORY)
    assert list(graph.items) == ITEMS
    assert graph.find("flu").probability > 0.95
    assert views.evidence_graph([]).items == ()


def test_the_last_decision_stands() -> None:
    assert views.decision(STORY) == FINAL
    assert views.decision(STORY[:5]) is None


def test_an_earlier_decision_delivered_late_does_not_stand() -> None:
    early = next(e for e in STORY if isinstance(e, DecisionMade))
    assert views.decision([*STORY, early]) == FINAL


def test_a_claim_that_cites_what_was_never_read_is_named() -> None:
    assert views.unsupported_claims(STORY) == [MADE_UP.id]
