"""The steps of a consult, each a plain function of the state."""

from __future__ import annotations

from collections.abc import Iterable

from langgraph.runtime import Runtime

from wardround.agents import roles
from wardround.core.calibration.sets import UNSORTED
from wardround.core.case import Case
from wardround.core.claim import Claim
from wardround.core.decision import DecisionStatus, Triage, Urgency
from wardround.core.graph import EvidenceGraph
from wardround.core.items import ClaimItem, Item, SourceItem, VerdictItem
from wardround.graphs.gate import Proposal, decide
from wardround.graphs.intake import take_in
from wardround.graphs.specialists import claim_of, use_tool
from wardround.graphs.state import (
    Context,
    State,
    Update,
    calibration_of,
    case_of,
    evidence_items,
    opinions_of,
    patient_of,
    unique,
)
from wardround.graphs.uncertainty import measure
from wardround.knowledge.inference import suggest
from wardround.tools.fhir.record import RecordSearch
from wardround.trace.events import (
    AnswerFault,
    AnswerRefused,
    DecisionMade,
    GatheringChosen,
    PlanMade,
    RecordRead,
    SpanKind,
    TriageGiven,
    UncertaintyMeasured,
)

_PLANNED_FOR = 2
"""Leading hypotheses whose passages the planner sees."""
_SEARCHED_AT_ONCE = 4


async def intake(state: State, runtime: Runtime[Context]) -> Update:
    """Read the case: text, coded findings, record."""
    context = runtime.context
    with context.recorder.span("intake", SpanKind.NODE):
        taken = take_in(context.case, context.clinician, context.chart, context.pictures)
        chart = context.chart
        if chart.used or chart.skipped or taken.problems:
            context.recorder.record(
                RecordRead, used=dict(chart.used), skipped=dict(chart.skipped), problems=taken.problems
            )
        items = context.add([*evidence_items(taken.sources, taken.findings), *context.copies(taken.sources)])
        slim = taken.case.model_copy(update={"record": None, "complaint": _complaint(context, taken.case, items)})
        return {"case": slim.model_dump(mode="json"), "read": taken.read, "items": items, "round": 0}


async def triage(state: State, runtime: Runtime[Context]) -> Update:
    """Ask how urgent it is and who has to look."""
    context = runtime.context
    with context.recorder.span("triage", SpanKind.NODE):
        briefing = context.briefing(case_of(state), state["items"])
        given = None
        if not context.spent:
            given = await roles.triage(context.asker_of(roles.TRIAGE), briefing, context.roster)
        if given is None:
            reasons = ("no triage answer could be read, so the case is treated as urgent",)
            given = Triage(urgency=Urgency.URGENT, specialties=("general_medicine",), reasons=reasons)
        route = context.roster.routing.route(given, context.roster.ids)
        context.recorder.record(TriageGiven, triage=given, routed=route)
        stratum = given.specialties[0] if given.specialties else UNSORTED
        return {"urgency": given.urgency.value, "stratum": stratum, "route": list(route)}


async def plan(state: State, runtime: Runtime[Context]) -> Update:
    """Turn what guidelines say of the leading hypotheses into indicators to establish."""
    context = runtime.context
    with context.recorder.span("plan", SpanKind.NODE):
        if not state["route"] or context.spent:
            context.recorder.record(PlanMade, indicators=())
            return {"indicators": []}
        graph = context.graph(case_of(state), state["items"])
        leading = [h.id for h in graph.differential.hypotheses[:_PLANNED_FOR]]
        guideline = context.tools["guideline"]
        patient = patient_of(case_of(state), graph)
        passages = [source for condition in leading for source in guideline.use(condition, patient).sources]
        briefing = context.briefing(case_of(state), state["items"])
        answered = await roles.plan(context.asker_of(roles.PLANNER), briefing, passages)
        indicators = answered.value.indicators if answered.value is not None else []
        context.recorder.record(PlanMade, indicators=tuple(i.model_dump() for i in indicators))
        return {"indicators": [i.indicator for i in indicators]}


async def verify(state: State, runtime: Runtime[Context]) -> Update:
    """Judge every claim that has not been judged."""
    context = runtime.context
    with context.recorder.span("verify", SpanKind.NODE):
        if not context.settings.detector:
            return {}
        graph = EvidenceGraph(state["items"])
        return {"items": context.add(_judged(context, case_of(state), graph, graph.claims.values()))}


def _judged(context: Context, case: Case, graph: EvidenceGraph, claims: Iterable[Claim]) -> list[Item]:
    detector = context.detector(case)
    return [
        VerdictItem(verdict=detector.check(claim, graph.sources)) for claim in claims if claim.id not in graph.verdicts
    ]


async def weigh(state: State, runtime: Runtime[Context]) -> Update:
    """Weigh the evidence and measure what is uncertain."""
    context = runtime.context
    with context.recorder.span("weigh", SpanKind.NODE):
        graph = context.graph(case_of(state), state["items"])
        measured = measure(context.clinician.kb, graph, opinions_of(state), context.card)
        context.recorder.record(UncertaintyMeasured, answer=measured.answer, uncertainty=measured.uncertainty)
        largest = measured.uncertainty.largest
        return {
            "answer": measured.answer,
            "combined": measured.unsettled,
            "largest": largest.value if largest is not None else None,
            "spent": context.spent,
        }


async def gather(state: State, runtime: Runtime[Context]) -> Update:
    """Look for what would tell most: search the record for it."""
    context = runtime.context
    with context.recorder.span("gather", SpanKind.NODE):
        case = case_of(state)
        graph = context.graph(case_of(state), state["items"])
        sex = case.sex.value if case.sex else None
        searched = list(state.get("searched", []))
        best = suggest(
            context.clinician.kb,
            graph.weighed.posterior,
            [*graph.readings, *searched],
            sex=sex,
            limit=_SEARCHED_AT_ONCE,
        )
        added: list[Item] = []
        if RecordSearch.name in context.tools:
            for s in best:
                held = graph.with_items(added)
                added += use_tool(context, case, held, "gather", RecordSearch.name, s.name, context.tools)
        found = sum(isinstance(item, SourceItem) for item in added)
        context.recorder.record(
            GatheringChosen,
            round=state["round"] + 1,
            because=state.get("largest") or "nothing known",
            action="record searched for " + ", ".join(s.name for s in best),
            found=found,
        )
        return {
            "items": added,
            "gathered": found,
            "round": state["round"] + 1,
            "searched": [*searched, *(s.code for s in best)],
        }


async def attending(state: State, runtime: Runtime[Context]) -> Update:
    """Ask the attending, and judge its argument."""
    context = runtime.context
    with context.recorder.span("attending", SpanKind.NODE):
        case = case_of(state)
        graph = context.graph(case_of(state), state["items"])
        answer = None
        if not context.spent:
            supported = list(graph.claims.values())
            answered = await roles.attend(
                context.asker_of(roles.ATTENDING),
                context.briefing(case_of(state), state["items"]),
                supported,
                graph.verdicts,
                graph.differential,
            )
            answer = answered.value
        argument = [claim_of(roles.ATTENDING, c, graph.sources) for c in answer.argument] if answer is not None else []
        items: list[Item] = [ClaimItem(claim=claim) for claim in argument]
        if context.settings.detector:
            items += _judged(context, case, graph.with_items(items), argument)
        stated = answer.diagnosis if answer is not None else None
        entry = context.clinician.condition(stated) if stated else None
        given = sum(o.answer is not None for o in opinions_of(state)) + (answer is not None)
        return {
            "items": context.add(unique(items)),
            "proposal": {
                "diagnosis": entry.id if entry is not None else None,
                "stated": stated,
                "argument": [claim.model_dump(mode="json") for claim in argument],
                "overrules": answer.overrules if answer is not None else False,
                "overrule_reason": answer.overrule_reason if answer is not None else "",
                "opinions": given,
            },
        }


async def gate(state: State, runtime: Runtime[Context]) -> Update:
    """Check every predicate; the knowledge that was used enters the log."""
    context = runtime.context
    with context.recorder.span("gate", SpanKind.NODE):
        case = case_of(state)
        stated = EvidenceGraph(state["items"])
        known = context.knowledge_items(case, stated)
        context.add(known)
        graph = stated.with_items(known)
        proposal = state["proposal"]
        closed = DecisionStatus.ESCALATED if context.settings.escalate else DecisionStatus.ABSTAINED
        decision = decide(
            context.clinician.kb,
            graph,
            Proposal(
                diagnosis=proposal["diagnosis"],
                stated=proposal["stated"],
                argument=tuple(Claim.model_validate(c) for c in proposal["argument"]),
                overrules=proposal["overrules"],
                overrule_reason=proposal["overrule_reason"],
                read=state["read"],
                patients=_patients(context.case),
                opinions=proposal["opinions"],
                refusals=sum(
                    event.final and event.kind is AnswerFault.REFUSAL
                    for event in context.recorder.events
                    if isinstance(event, AnswerRefused)
                ),
                spent=state.get("spent", False) or context.spent,
            ),
            context.settings.gate,
            sex=case.sex.value if case.sex else None,
            closed=closed,
            calibration=calibration_of(context, state),
        )
        context.recorder.record(DecisionMade, decision=decision)
        return {"decision": decision.model_dump(mode="json")}


def _complaint(context: Context, case: Case, items: Iterable[Item]) -> str | None:
    """What stands at the head of every prompt, without what a fork leaves out."""
    if not context.edits.without:
        return case.complaint
    document = f"complaint:{case.id}"
    kept = [i.source for i in items if isinstance(i, SourceItem) and i.source.document == document]
    return " ".join(source.text for source in kept) or None


def _patients(case: Case) -> int:
    resources = case.record.resources if case.record is not None else ()
    return sum(resource.get("resourceType") == "Patient" for resource in resources)
