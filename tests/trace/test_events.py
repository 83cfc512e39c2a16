"""Events of every kind survive JSON and are named by what happened."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from wardround.core.claim import Claim
from wardround.core.decision import Decision, DecisionStatus, Triage, Urgency
from wardround.core.differential import Differential, Hypothesis
from wardround.core.finding import Finding
from wardround.core.graph import BearingItem, Candidate, CandidatesItem, ClaimItem, ReadingItem, SourceItem
from wardround.core.source import Source, SourceKind
from wardround.core.uncertainty import Part, Uncertainty
from wardround.trace.events import (
    EVENT,
    SCHEMA_VERSION,
    AnswerFault,
    AnswerRefused,
    CardNamed,
    DecisionMade,
    Event,
    EvidenceAdded,
    FhirExchanged,
    GatheringChosen,
    ImageRead,
    ModelAnswered,
    ModelAsked,
    ModelReached,
    OpinionGiven,
    Origin,
    Outcome,
    PlanMade,
    RecordRead,
    Resumed,
    RolloutsEnded,
    RunEnded,
    RunStarted,
    SpanEnded,
    SpanKind,
    SpanStarted,
    Suspended,
    ToolCalled,
    ToolReturned,
    TriageGiven,
    UncertaintyMeasured,
)
from wardround.trace.store import export_lines

TEXT = st.text(max_size=15)
COUNT = st.integers(0, 10**9)
SECONDS = st.floats(0.0, 1e9)
UNIT = st.floats(0.0, 1.0)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
OBJECT = st.dictionaries(TEXT, JSON, max_size=3)
TALLY = st.dictionaries(TEXT, COUNT, max_size=3)
NOTHING = st.none()


def several(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(strategy, max_size=3).map(tuple)


DECIDED = Decision(
    status=DecisionStatus.FINAL,
    diagnosis=Hypothesis(id="flu", name="Influenza", icd10="J11", probability=0.8),
    probability=0.8,
    interval=(0.6, 0.9),
    differential=Differential(
        hypotheses=(Hypothesis(id="flu", name="Influenza", icd10="J11", probability=0.8),), other=0.2
    ),
)
ITEMS = [
    SourceItem(source=Source(kind=SourceKind.LAB, text="CRP 68 mg/L", document="lab")),
    ReadingItem(finding=Finding(code="crp_high", value=68.0, unit="mg/L")),
    CandidatesItem(candidates=(Candidate(id="flu", name="Influenza", prior=0.95),)),
    BearingItem(code="crp_high", name="CRP", group="g", background=0.1, present={"flu": 0.4}),
    ClaimItem(claim=Claim(agent="a", text="It is influenza.")),
]
FIELDS: dict[type[Any], dict[str, st.SearchStrategy[Any]]] = {
    RunStarted: {"case": TEXT, "model": TEXT, "settings": OBJECT},
    CardNamed: {"card": OBJECT},
    Resumed: {"answer": NOTHING | OBJECT},
    SpanStarted: {"opened": TEXT, "name": TEXT, "kind": st.sampled_from(SpanKind)},
    SpanEnded: {
        "closed": TEXT,
        "outcome": st.sampled_from(Outcome),
        "seconds": SECONDS,
        "error": NOTHING | TEXT,
    },
    RecordRead: {"used": TALLY, "skipped": TALLY, "problems": several(TEXT)},
    EvidenceAdded: {"item": st.sampled_from(ITEMS)},
    ModelReached: {
        "model": TEXT,
        **{name: st.booleans() for name in ("constrained", "sampled", "several", "choosing", "bounded")},
        "served": NOTHING | several(TEXT),
        "context": NOTHING | COUNT,
        "tools": NOTHING | st.booleans(),
        "images": NOTHING | st.booleans(),
    },
    ImageRead: {
        **dict.fromkeys(("uri", "sha256", "original"), TEXT),
        **dict.fromkeys(("width", "height"), COUNT),
        **{name: several(TEXT) for name in ("changes", "problems")},
    },
    ModelAsked: {
        "call": TEXT,
        "agent": TEXT,
        "model": TEXT,
        "answer": TEXT,
        "rollout": COUNT,
        "attempt": COUNT,
        "messages": several(OBJECT),
        "request": NOTHING | TEXT,
        "options": NOTHING | OBJECT,
    },
    ModelAnswered: {
        "call": TEXT,
        "text": TEXT,
        "served_by": NOTHING | TEXT,
        "input_tokens": NOTHING | COUNT,
        "output_tokens": NOTHING | COUNT,
        "seconds": SECONDS,
        "origin": st.sampled_from(Origin),
        **dict.fromkeys(("finish", "refusal"), NOTHING | TEXT),
        **{name: several(OBJECT) for name in ("tool_calls", "invalid_tool_calls")},
        "logprobs": NOTHING | several(st.tuples(TEXT, st.floats(-50, 0))),
    },
    AnswerRefused: {
        "call": TEXT,
        "agent": TEXT,
        "fault": TEXT,
        "final": st.booleans(),
        "kind": NOTHING | st.sampled_from(AnswerFault),
        "quote": NOTHING | TEXT,
    },
    ToolCalled: {"call": TEXT, "agent": TEXT, "tool": TEXT, "arguments": OBJECT},
    ToolReturned: {"call": TEXT, "text": TEXT, "sources": several(TEXT), "error": NOTHING | TEXT},
    FhirExchanged: {
        "method": TEXT,
        "url": TEXT,
        "body": NOTHING | TEXT,
        "status": NOTHING | COUNT,
        "headers": st.dictionaries(TEXT, TEXT, max_size=2),
        "answer": NOTHING | TEXT,
        "fault": NOTHING | TEXT,
        "may_be_done": st.booleans(),
    },
    TriageGiven: {
        "triage": st.builds(Triage, urgency=st.sampled_from(Urgency), specialties=several(TEXT)),
        "routed": several(TEXT),
    },
    PlanMade: {"indicators": several(OBJECT)},
    OpinionGiven: {
        "agent": TEXT,
        "rollout": COUNT,
        "opinion": NOTHING | OBJECT,
        "cluster": NOTHING | TEXT,
        "tokens": NOTHING | several(st.floats(-50.0, 0.0)),
    },
    RolloutsEnded: {"agent": TEXT, "asked": COUNT, "because": TEXT, "holds": st.floats(0.0, 1.0)},
    GatheringChosen: {"round": COUNT, "because": TEXT, "action": TEXT, "found": COUNT},
    UncertaintyMeasured: {
        "answer": NOTHING | TEXT,
        "uncertainty": st.builds(Uncertainty, parts=st.dictionaries(st.sampled_from(Part), UNIT), combined=UNIT),
    },
    Suspended: {"question": OBJECT},
    DecisionMade: {"decision": st.just(DECIDED)},
    RunEnded: {"outcome": st.sampled_from(Outcome), "error": NOTHING | TEXT},
}
KINDS = get_args(get_args(Event)[0])
TIME = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


def events_of(kind: type[Any]) -> st.SearchStrategy[Any]:
    return st.builds(kind, run=TEXT, seq=COUNT, time=TIME, span=TEXT, **FIELDS[kind])


def test_every_kind_of_event_is_tested_here() -> None:
    assert set(FIELDS) == set(KINDS)
    assert len({kind.model_fields["event"].default for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_survives_json(kind: type[Any]) -> None:
    @settings(max_examples=40, deadline=None)
    @given(events_of(kind))
    def survives(event: Event) -> None:
        again = EVENT.validate_json(EVENT.dump_json(event))
        assert type(again) is kind
        assert again == event
        assert again.id == event.id
        (line,) = export_lines([event]).removesuffix("\n").split("\n")
        assert EVENT.validate_python(json.loads(line)) == event

    survives()


@pytest.mark.parametrize("kind", KINDS)
def test_a_repeat_at_another_time_has_the_same_name(kind: type[Any]) -> None:
    @settings(max_examples=10, deadline=None)
    @given(events_of(kind))
    def named(event: Event) -> None:
        later = {"seq": event.seq + 7, "time": event.time + timedelta(hours=1)}
        if isinstance(event, SpanEnded | ModelAnswered):
            later["seconds"] = event.seconds + 1.0
        assert event.model_copy(update=later).id == event.id
        assert event.model_copy(update={"run": event.run + "x"}).id != event.id
        assert event.model_copy(update={"span": event.span + "x"}).id != event.id

    named()


def start(**fields: Any) -> dict[str, Any]:
    common = {"event": "run_started", "run": "r", "seq": 0, "time": "2026-01-01T00:00:00Z", "span": ""}
    return {**common, "case": "c", "model": "reference", "settings": {}, **fields}


def test_a_started_run_says_in_which_schema_it_is_written() -> None:
    event = EVENT.validate_python(start())
    assert isinstance(event, RunStarted)
    assert event.schema_version == SCHEMA_VERSION


@pytest.mark.parametrize(
    "wrong", [{"event": "run_imagined"}, {"event": None}, {"nonsense": 1}, {"seq": "first"}, {"time": "noon"}]
)
def test_what_is_no_event_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EVENT.validate_python(start(**wrong))


def test_an_event_cannot_be_changed() -> None:
    event = EVENT.validate_python(start())
    with pytest.raises(ValidationError, match="frozen"):
        event.seq = 5  # type: ignore[misc]
