"""The steps in which a person is asked and heeded."""

from __future__ import annotations

from typing import Any

from langgraph.runtime import Runtime
from langgraph.types import interrupt

from wardround.core.decision import Decision, DecisionStatus, GateReason, Reason
from wardround.core.frozen import content_id
from wardround.core.source import Source, SourceKind
from wardround.graphs.gate import stated as stated_of
from wardround.graphs.intake import said_in, with_taint
from wardround.graphs.state import Context, State, Update, calibration_of, case_of, evidence_items
from wardround.trace.events import DecisionMade, RecordRead, SpanKind


async def ask_person(state: State, runtime: Runtime[Context]) -> Update:
    """Suspend until a person answers. Nothing else happens here, because it runs again on resume."""
    decision = state["decision"]
    question = {
        "differential": decision["differential"]["hypotheses"][:5],
        "reasons": decision["reasons"],
        "missing": decision["missing"],
    }
    return {"person": interrupt(question)}


async def heed_person(state: State, runtime: Runtime[Context]) -> Update:
    """Take a person's answer: a diagnosis, or further information that is weighed like any other."""
    context = runtime.context
    with context.recorder.span("heed person", SpanKind.NODE):
        answer = state["person"] or {}
        case = case_of(state)
        information = str(answer.get("information") or "").strip()
        if information:
            source = with_taint(
                Source(
                    kind=SourceKind.CLINICIAN_NOTE,
                    text=information,
                    document=f"answer:{content_id('answer', information)}",
                    title="answer of a clinician",
                    time=case.time,
                )
            )
            sex = case.sex.value if case.sex else None
            findings = said_in(source, context.clinician, age=case.age, sex=sex)
            if source.tainted:
                told = ("answer of a clinician: addresses its reader; that part carries no weight",)
                context.recorder.record(RecordRead, used={}, skipped={}, problems=told)
            return {"items": context.add(evidence_items([source], findings))}
        decision = _by_person(context, Decision.model_validate(state["decision"]), answer, state)
        context.recorder.record(DecisionMade, decision=decision)
        return {"decision": decision.model_dump(mode="json")}


def _by_person(context: Context, decision: Decision, answer: dict[str, Any], state: State) -> Decision:
    stated = str(answer.get("diagnosis") or "").strip()
    note = str(answer.get("note") or "").strip() or "no note given"
    entry = context.clinician.condition(stated) if stated else None
    reason = Reason(code=GateReason.CLINICIAN, detail=f"{stated or 'no diagnosis'}: {note}")
    reasons = (*decision.reasons, reason)
    if entry is None:
        return decision.model_copy(update={"status": DecisionStatus.ABSTAINED, "reasons": reasons})
    graph = context.graph(case_of(state), state["items"])
    diagnosis = graph.find(entry.id)
    said = stated_of(graph, diagnosis, calibration_of(context, state), promises=False)
    return decision.model_copy(
        update={"status": DecisionStatus.FINAL, "diagnosis": diagnosis, **said, "reasons": reasons}
    )
