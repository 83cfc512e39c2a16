"""The step in which specialists use tools and give their opinions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from langgraph.runtime import Runtime

from wardround.agents import roles
from wardround.core.answers import SpecialistAnswer, StatedClaim
from wardround.core.case import Case
from wardround.core.claim import Claim, ClaimKind
from wardround.core.errors import ToolError
from wardround.core.finding import Finding
from wardround.core.frozen import content_id
from wardround.core.graph import EvidenceGraph
from wardround.core.items import ClaimItem, Item
from wardround.core.source import LITERATURE, Source, SourceKind
from wardround.graphs.intake import record_findings
from wardround.graphs.state import (
    Assignment,
    Context,
    Update,
    case_of,
    evidence_items,
    patient_of,
    unique,
)
from wardround.knowledge.clinician import with_implied
from wardround.models.asking import Answered
from wardround.tools.tool import ToolResult
from wardround.trace.events import OpinionGiven, SpanKind, ToolCalled, ToolReturned


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
        for rollout, answered in enumerate(await _opinions(context, case, items, assignment)):
            answer = answered.value.model_dump(mode="json") if answered.value is not None else None
            row = {"agent": specialty.id, "rollout": rollout, "answer": answer}
            context.recorder.record(OpinionGiven, agent=specialty.id, rollout=rollout, opinion=answer)
            opinions.append({**row, "round": assignment["round"]})
            if answered.value is not None:
                known = EvidenceGraph(items).sources
                claims += [ClaimItem(claim=claim_of(specialty.id, c, known)) for c in answered.value.claims]
        new = items[len(assignment["items"]) :]
        return {"opinions": opinions, "items": [*new, *context.add(unique(claims))]}


async def _opinions(
    context: Context, case: Case, items: list[Item], assignment: Assignment
) -> list[Answered[SpecialistAnswer]]:
    """Ask for the opinions of one round, all at once."""
    if context.spent:
        return []
    first = assignment["round"] * context.settings.rollouts
    return await roles.opinions(
        context.asker,
        context.briefing(case, items),
        context.roster.find(assignment["specialty"]),
        assignment["indicators"],
        rollouts=range(first, first + context.settings.rollouts),
        temperature=context.settings.temperature,
        reorder=context.settings.rollouts_differ_by == "order",
    )


async def _use_tools(context: Context, case: Case, items: list[Item], specialty_id: str) -> list[Item]:
    specialty = context.roster.find(specialty_id)
    offered = {n: t.purpose for n, t in context.tools.items() if n in specialty.tools}
    used: list[tuple[str, str]] = []
    added: list[Item] = []
    for _ in range(context.settings.tool_steps if offered else 0):
        if context.spent:
            break
        briefing = context.briefing(case, [*items, *added])
        chosen = await roles.choose_tool(context.asker, briefing, specialty, offered, used, rollout=len(used))
        if chosen.value is None or chosen.value.tool is None:
            break
        name, argument = chosen.value.tool, chosen.value.argument
        graph = EvidenceGraph([*items, *added])
        added += use_tool(context, case, graph, specialty_id, name, argument, offered)
        used.append((name, argument))
    return added


def use_tool(
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
        context.recorder.record(ToolCalled, call=call, agent=agent, tool=name, arguments={"argument": argument})
        if name not in offered:
            allowed = ", ".join(sorted(offered))
            context.recorder.record(ToolReturned, call=call, text="", error=f"{agent} may use {allowed}, not {name}")
            return []
        try:
            result = context.tools[name].use(argument, patient_of(case, graph))
        except ToolError as error:
            context.recorder.record(ToolReturned, call=call, text="", error=str(error))
            return []
        new = [source for source in result.sources if source.id not in graph.sources]
        context.recorder.record(ToolReturned, call=call, text=result.text, sources=tuple(s.id for s in result.sources))
        return context.add(evidence_items(new, _readings(context, case, new, result)))


def _readings(context: Context, case: Case, new: list[Source], result: ToolResult) -> list[Finding]:
    about_patient = [s for s in new if s.citation is None]
    if not about_patient:
        return []
    found = record_findings(case, context.clinician, about_patient, context.chart)
    return with_implied(context.clinician.kb, found)


def claim_of(agent: str, stated: StatedClaim, sources: Mapping[str, Source]) -> Claim:
    """Return a stated claim as one of the vocabulary; what it cites says what kind of claim it is."""
    cited = {sources[c].kind for c in stated.evidence if c in sources}
    kind = ClaimKind.FINDING
    if cited and cited <= {SourceKind.SCORE}:
        kind = ClaimKind.SCORE
    elif cited and cited <= LITERATURE:
        kind = ClaimKind.GUIDELINE
    return Claim(agent=agent, text=stated.text, kind=kind, cites=tuple(stated.evidence))
