"""Without content the words are gone from every kind of event, and codes and figures are not."""

from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

import wardround as wr
from wardround.core.claim import Claim, Severity, Verdict, VerdictLabel
from wardround.core.decision import Decision, DecisionStatus, GateReason, Missing, Reason, RedFlag, Triage, Urgency
from wardround.core.differential import Differential, Hypothesis
from wardround.core.finding import Finding
from wardround.core.items import ClaimItem, ReadingItem, SourceItem, VerdictItem
from wardround.core.source import Source, SourceKind
from wardround.trace.capture import CONTENT, REDACTED, WithoutContent, without_content
from wardround.trace.chain import json_value
from wardround.trace.events import EVENT, Event, ToolReturned
from wardround.trace.views import evidence_graph

SAID = "Penelope Stork"
"""Stands wherever somebody's words may stand."""
CASE: dict[str, Any] = {"run": "r", "seq": 3, "time": "2026-01-01T00:00:00Z", "span": "s"}
LEADING = Hypothesis(id="flu", name=SAID, icd10="J11", probability=0.8)
DECISION = Decision(
    status=DecisionStatus.ABSTAINED,
    diagnosis=LEADING,
    probability=0.8,
    differential=Differential(hypotheses=(LEADING.model_copy(update={"name": "Influenza"}),), other=0.2),
    reasons=(Reason(code=GateReason.VACUITY, detail=SAID),),
    missing=(Missing(code="crp", name="CRP", how="laboratory", gain=0.5),),
    red_flags=(RedFlag(code="fever", name="fever", detail=SAID),),
    summary=SAID,
)
VERDICT = Verdict(claim="clm_1", label=VerdictLabel.SUPPORTED, severity=Severity.CORRECT, reason=SAID)
ITEMS: list[BaseModel] = [
    SourceItem(source=Source(kind=SourceKind.LAB, text=SAID, document=SAID, title=SAID, citation=SAID)),
    ReadingItem(finding=Finding(code="fever", name=SAID, value=38.5, unit="Cel", site=SAID)),
    ClaimItem(claim=Claim(agent="a", text=SAID)),
    VerdictItem(verdict=VERDICT),
]
CALL = {"call": "c", "agent": "a"}
SAYING: list[dict[str, Any]] = [
    {"event": "run_started", "case": "c", "model": "m", "settings": {"task": SAID, "patient": SAID, "seed": 5}},
    {"event": "card_named", "card": {"id": "card_1"}},
    {"event": "resumed", "answer": {"diagnosis": SAID, "approved": True}},
    {"event": "span_started", "opened": "o", "name": "triage", "kind": "node"},
    {"event": "span_ended", "closed": "o", "outcome": "failed", "seconds": 1.5, "error": SAID},
    {"event": "record_read", "used": {"Observation": 3}, "skipped": {}, "problems": [SAID]},
    *({"event": "evidence_added", "item": item.model_dump(mode="json")} for item in ITEMS),
    {"event": "model_reached", "model": "m", **dict.fromkeys(("constrained", "sampled", "several"), True)}
    | dict.fromkeys(("choosing", "bounded"), False),
    {"event": "image_read", "uri": SAID, "sha256": "a", "original": "b", "width": 1, "height": 2, "changes": []}
    | {"problems": [SAID]},
    {"event": "model_asked", **CALL, "model": "m", "answer": "A", "rollout": 1, "attempt": 0}
    | {"messages": [{"role": "user", "content": [{"text": SAID}]}, {"role": "ai", "tool_calls": [{"args": SAID}]}]},
    {"event": "model_answered", "call": "c", "text": SAID, "seconds": 2.5, "input_tokens": 7, "refusal": SAID}
    | {"tool_calls": [{"args": {"x": SAID}}], "invalid_tool_calls": [{"args": SAID}], "logprobs": [[SAID, -0.5]]},
    {"event": "answer_refused", **CALL, "fault": SAID, "final": True, "quote": SAID},
    {"event": "tool_called", **CALL, "tool": "search", "arguments": {"argument": SAID, "count": 3}},
    {"event": "tool_returned", "call": "c", "text": SAID, "sources": ["src_1"], "error": SAID},
    {"event": "fhir_exchanged", "method": "GET", "url": SAID, "body": SAID, "status": 200, "headers": {"etag": SAID}}
    | {"answer": SAID, "fault": SAID},
    {"event": "triage_given", "triage": Triage(urgency=Urgency.URGENT, reasons=(SAID,)).model_dump(mode="json")}
    | {"routed": ["cardiology"]},
    {"event": "plan_made", "indicators": [{"indicator": SAID}]},
    {"event": "opinion_given", "agent": "a", "rollout": 0, "opinion": {"leading": SAID, "p": 0.5}, "cluster": SAID},
    {"event": "rollouts_ended", "agent": "a", "asked": 3, "because": "settled", "holds": 0.9},
    {"event": "gathering_chosen", "round": 1, "because": "ignorance", "action": SAID, "found": 2},
    {"event": "uncertainty_measured", "answer": SAID, "uncertainty": {"parts": {}, "combined": 0.25}},
    {"event": "suspended", "question": {"text": SAID}},
    {"event": "decision_made", "decision": DECISION.model_dump(mode="json")},
    {"event": "run_ended", "outcome": "failed", "error": SAID},
]


def name_of(kind: type[BaseModel]) -> str:
    return str(kind.model_fields["event"].default)


def test_of_every_kind_of_event_it_is_said_what_is_content() -> None:
    kinds = {name_of(kind) for kind in get_args(get_args(Event)[0])}
    assert set(CONTENT) == kinds
    assert {saying["event"] for saying in SAYING} == kinds


@pytest.mark.parametrize("saying", SAYING, ids=lambda saying: str(saying["event"]))
def test_what_was_said_is_left_out_and_the_rest_is_not(saying: dict[str, Any]) -> None:
    event = EVENT.validate_python({**CASE, **saying})
    hidden = without_content(event)
    assert SAID not in EVENT.dump_json(hidden).decode()
    assert json_value(hidden) == replaced(json_value(event))
    assert without_content(hidden) == hidden


def replaced(value: Any) -> Any:
    """Put the mark in the place of the words and leave everything else."""
    if isinstance(value, dict):
        return {name: replaced(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [replaced(inner) for inner in value]
    return REDACTED if value == SAID else value


@pytest.mark.parametrize("kind", sorted(CONTENT))
def test_every_path_leads_somewhere(kind: str) -> None:
    model = next(k for k in get_args(get_args(Event)[0]) if name_of(k) == kind)
    for path in CONTENT[kind]:
        assert path.split(".")[0] in model.model_fields


CASES = Path(__file__).parents[2] / "examples" / "cases"


@pytest.mark.parametrize("name", ["central_chest_pressure_bundle.json", "tired_with_conflicting_results.json"])
def test_evidence_without_content_weighs_the_same_and_refers_to_what_is_there(name: str) -> None:
    consult = wr.Ward().consult(wr.Case.from_file(CASES / name))
    bare = WithoutContent()
    events = [bare(event) for event in consult.events]
    there, was = evidence_graph(events), consult.evidence
    assert there.differential == was.differential
    for kind in ("sources", "claims", "verdicts"):
        assert len(getattr(there, kind)) == len(getattr(was, kind)), kind
    documents = {source.document for source in was.sources.values()}
    assert len({source.document for source in there.sources.values()}) == len(documents)
    for claim in there.claims.values():
        assert set(claim.cites) <= set(there.sources)
    assert set(there.verdicts) <= set(there.claims)
    used = {source for e in events if isinstance(e, ToolReturned) for source in e.sources}
    assert used <= {*there.sources, REDACTED}


def test_no_name_that_is_made_of_the_words_is_left() -> None:
    """A hash of few words tells whoever guesses them that they were said."""
    consult = wr.Ward().consult(wr.Case(narrative="Man of 60 with fatigue."))
    bare = WithoutContent()
    left = "\n".join(EVENT.dump_json(bare(event)).decode() for event in consult.events)
    for name in (*consult.evidence.sources, *consult.evidence.claims):
        assert name not in left


def test_the_same_thing_said_twice_stays_one() -> None:
    bare, source = WithoutContent(), Source(kind=SourceKind.LAB, text=SAID, document=SAID)
    event = EVENT.validate_python({**CASE, "event": "evidence_added", "item": SourceItem(source=source)})
    assert bare(event) == bare(event)
