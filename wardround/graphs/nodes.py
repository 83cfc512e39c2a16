"""The steps of a consult, each a plain function of the state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from langgraph.runtime import Runtime
from langgraph.types import interrupt

from wardround.agents import roles
from wardround.core.answers import StatedClaim
from wardround.core.case import Case
from wardround.core.claim import Claim, ClaimKind
from wardround.core.decision import Decision, DecisionStatus, GateReason, Reason, Triage, Urgency
from wardround.core.errors import ToolError
from wardround.core.finding import Finding
from wardround.core.frozen import content_id
from wardround.core.graph import ClaimItem, EvidenceGraph, Item, SourceItem, VerdictItem
from wardround.core.source import Source, SourceKind
from wardround.graphs.gate import Proposal, decide
from wardround.graphs.intake import record_findings, take_in
from wardround.graphs.state import (
    Assignment,
    Context,
    State,
    case_of,
    evidence_items,
    opinions_of,
    patient_of,
)
from wardround.graphs.uncertainty import measure
from wardround.knowledge.clinician import with_implied
from wardround.knowledge.inference import suggest
from wardround.tools.fhir.record import RecordSearch
from wardround.tools.tool import ToolResult
from wardround.trace.events import (
    DecisionMade,
    GatheringChosen,
    OpinionGiven,
    PlanMade,
    RecordRead,
    SpanKind,
    ToolCalled,
    ToolReturned,
    TriageGiven,
    UncertaintyMeasured,
)

Update = dict[str, Any]

_PLANNED_FOR = 2
"""Leading hypotheses whose passages the planner sees."""
_SEARCHED_AT_ONCE = 4


async def intake(state: State, runtime: Runtime[Context]) -> Update:
    """Read the case: text, coded findings, record."""
    context = runtime.context
    with context.recorder.span("intake", SpanKind.NODE):
        taken = take_in(context.case, context.clinician, context.chart)
        chart = context.chart
        if chart.used or chart.skipped or taken.problems:
            context.recorder.record(
                RecordRead, used=dict(chart.used), skipped=dict(chart.skipped), problems=taken.problems
            )
        items = context.add(evidence_items(taken.sources, taken.findings))
        slim = taken.case.model_copy(update={"record": None})
        return {"case": slim.model_dump(mode="json"), "read": taken.read, "items": items, "round": 0}


async def triage(state: State, runtime: Runtime[Context]) -> Update:
    """Ask how urgent it is and who has to look."""
    context = runtime.context
    with context.recorder.span("triage", SpanKind.NODE):
        briefing = _briefing(context, state)
        given = None
        if not _spent(context):
            given = await roles.triage(context.asker, briefing, context.roster)
        if given is None:
            reasons = ("no triage answer could be read, so the case is treated as urgent",)
            given = Triage(urgency=Urgency.URGENT, specialties=("general_medicine",), reasons=reasons)
        route = context.roster.routing.route(given, context.roster.ids)
        context.recorder.record(TriageGiven, triage=given, routed=route)
        return {"urgency": given.urgency.value, "route": list(route)}


async def plan(state: State, runtime: Runtime[Context]) -> Update:
    """Turn what guidelines say of the leading hypotheses into indicators to establish."""
    context = runtime.context
    with context.recorder.span("plan", SpanKind.NODE):
        if not state["route"] or _spent(context):
            context.recorder.record(PlanMade, indicators=())
            return {"indicators": []}
        graph = _graph(context, state)
        leading = [h.id for h in graph.differential.hypotheses[:_PLANNED_FOR]]
        guideline = context.tools["guideline"]
        patient = patient_of(case_of(state), graph)
        passages = [
            source
            for condition in leading
            for source in guideline.use(condition, patient).sources
        ]
        answered = await roles.plan(context.asker, _briefing(context, state), passages)
        indicators = answered.value.indicators if answered.value is not None else []
        context.recorder.record(PlanMade, indicators=tuple(i.model_dump() for i in indicators))
        return {"indicators": [i.indicator for i in indicators]}


async def specialist(assignment: Assignment, runtime: Runtime[Context]) -> Update:
    """Let one specialist use tools and give its opinions."""
    context = runtime.context
    specialty = context.roster.find(assignment["specialty"])
    with context.recorder.span(specialty.id, SpanKind.AGENT):
        case = case_of(assignment)
        items = list(assignment["items"])
        items += await _use_tools(context, case, items, assignment["specialty"])
        opinions: list[dict[str, Any]] = []
        claims: list[Item] = []
        for rollout in range(context.settings.rollouts):
            if _spent(context):
                break
            answered = await roles.opinion(
                context.asker,
                roles.Briefing(case, _sources(items)),
                specialty,
                assignment["indicators"],
                rollout=rollout + assignment["round"] * context.settings.rollouts,
                temperature=context.settings.temperature if rollout else 0.0,
            )
            answer = answered.value.model_dump(mode="json") if answered.value is not None else None
            row = {"agent": specialty.id, "rollout": rollout, "answer": answer}
            context.recorder.record(
                OpinionGiven, agent=specialty.id, rollout=rollout, opinion=answer
            )
            opinions.append({**row, "round": assignment["round"]})
            if answered.value is not None:
                claims += [ClaimItem(claim=_claim(specialty.id, c)) for c in answered.value.claims]
        new = items[len(assignment["items"]) :]
        return {"opinions": opinions, "items": [*new, *context.add(_unique(claims))]}


async def _use_tools(
    context: Context, case: Case, items: list[Item], specialty_id: str
) -> list[Item]:
    specialty = context.roster.find(specialty_id)
    offered = {n: t.purpose for n, t in context.tools.items() if n in specialty.tools}
    used: list[tuple[str, str]] = []
    added: list[Item] = []
    for _ in range(context.settings.tool_steps if offered else 0):
        if _spent(context):
            break
        briefing = roles.Briefing(case, _sources([*items, *added]))
        chosen = await roles.choose_tool(
            context.asker, briefing, specialty, offered, used, rollout=len(used)
        )
        if chosen.value is None or chosen.value.tool is None:
            break
        name, argument = chosen.value.tool, chosen.value.argument
        graph = EvidenceGraph([*items, *added])
        added += _call(context, case, graph, specialty_id, name, argument, offered)
        used.append((name, argument))
    return added


def _call(
    context: Context,
    case: Case,
    graph: EvidenceGraph,
    agent: str,
    name: str,
    argument: str,
    offered: Iterable[str],
) -> list[Item]:
    """Use a tool; what it brings becomes evidence, and a fault is told to the agent."""
    call = content_id("tool", agent, name, argument, len(graph.items))
    with context.recorder.span(name, SpanKind.TOOL):
        context.recorder.record(
            ToolCalled, call=call, agent=agent, tool=name, arguments={"argument": argument}
        )
        if name not in offered:
            allowed = ", ".join(sorted(offered))
            context.recorder.record(
                ToolReturned, call=call, text="", error=f"{agent} may use {allowed}, not {name}"
            )
            return []
        try:
            result = context.tools[name].use(argument, patient_of(case, graph))
        except ToolError as error:
            context.recorder.record(ToolReturned, call=call, text="", error=str(error))
            return []
        new = [source for source in result.sources if source.id not in graph.sources]
        context.recorder.record(
            ToolReturned, call=call, text=result.text, sources=tuple(s.id for s in result.sources)
        )
        return context.add(evidence_items(new, _readings(context, case, new, result)))


def _readings(context: Context, case: Case, new: list[Source], result: ToolResult) -> list[Finding]:
    about_patient = [s for s in new if s.citation is None]
    if not about_patient:
        return []
    found = record_findings(case, context.clinician, about_patient, context.chart)
    return with_implied(context.clinician.kb, found)


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
        VerdictItem(verdict=detector.check(claim, graph.sources))
        for claim in claims
        if claim.id not in graph.verdicts
    ]


async def weigh(state: State, runtime: Runtime[Context]) -> Update:
    """Weigh the evidence and measure what is uncertain."""
    context = runtime.context
    with context.recorder.span("weigh", SpanKind.NODE):
        graph = _graph(context, state)
        measured = measure(context.clinician.kb, graph, opinions_of(state))
        context.recorder.record(
            UncertaintyMeasured, answer=measured.answer, uncertainty=measured.uncertainty
        )
        largest = measured.uncertainty.largest
        return {
            "answer": measured.answer,
            "combined": measured.uncertainty.combined,
            "largest": largest.value if largest is not None else None,
            "spent": _spent(context),
        }


async def gather(state: State, runtime: Runtime[Context]) -> Update:
    """Look for what would tell most: search the record for it."""
    context = runtime.context
    with context.recorder.span("gather", SpanKind.NODE):
        case = case_of(state)
        graph = _graph(context, state)
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
                added += _call(context, case, held, "gather", RecordSearch.name, s.name, context.tools)
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
        graph = _graph(context, state)
        answer = None
        if not _spent(context):
            supported = list(graph.claims.values())
            answered = await roles.attend(
                context.asker, _briefing(context, state), supported, graph.verdicts, graph.differential
            )
            answer = answered.value
        argument = [_claim(roles.ATTENDING, c) for c in answer.argument] if answer is not None else []
        items: list[Item] = [ClaimItem(claim=claim) for claim in argument]
        if context.settings.detector:
            items += _judged(context, case, graph.with_items(items), argument)
        stated = answer.diagnosis if answer is not None else None
        entry = context.clinician.condition(stated) if stated else None
        given = sum(o.answer is not None for o in opinions_of(state)) + (answer is not None)
        return {
            "items": context.add(_unique(items)),
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
                spent=state.get("spent", False) or _spent(context),
            ),
            context.settings.gate,
            sex=case.sex.value if case.sex else None,
            closed=closed,
        )
        context.recorder.record(DecisionMade, decision=decision)
        return {"decision": decision.model_dump(mode="json"), "person": None}


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
            source = Source(
                kind=SourceKind.CLINICIAN_NOTE,
                text=information,
                document=f"answer:{content_id('answer', information)}",
                title="answer of a clinician",
                time=case.time,
            )
            read = context.clinician.read(
                information, age=case.age, sex=case.sex.value if case.sex else None
            )
            findings = [f.model_copy(update={"source": source.id}) for f in read]
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
    graph = _graph(context, state)
    return decision.model_copy(
        update={
            "status": DecisionStatus.FINAL,
            "diagnosis": graph.find(entry.id),
            "probability": graph.find(entry.id).probability,
            "interval": graph.interval(entry.id),
            "reasons": reasons,
        }
    )


def _claim(agent: str, stated: StatedClaim) -> Claim:
    return Claim(agent=agent, text=stated.text, kind=ClaimKind.FINDING, cites=tuple(stated.evidence))


def _unique(items: Iterable[Item]) -> list[Item]:
    return list(EvidenceGraph(items).items)


def _graph(context: Context, state: State) -> EvidenceGraph:
    return context.graph(case_of(state), state["items"])


def _sources(items: Iterable[Item]) -> list[Source]:
    return list(EvidenceGraph(items).sources.values())


def _briefing(context: Context, state: State) -> roles.Briefing:
    return roles.Briefing(case_of(state), _sources(state["items"]))


def _spent(context: Context) -> bool:
    return context.asker.meter.exhausted


def _patients(case: Case) -> int:
    resources = case.record.resources if case.record is not None else ()
    return sum(resource.get("resourceType") == "Patient" for resource in resources)


