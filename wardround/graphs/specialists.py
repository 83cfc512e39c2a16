"""The step in which specialists use tools and give their opinions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from langgraph.runtime import Runtime

from wardround.agents import prompts, roles
from wardround.core.answers import SpecialistAnswer, StatedClaim
from wardround.core.case import Case
from wardround.core.claim import Claim, ClaimKind
from wardround.core.errors import ToolError
from wardround.core.estimators.adaptive import AdaptiveRollouts
from wardround.core.estimators.plan import Diversification, RolloutPlan
from wardround.core.estimators.tokens import field_logprobs
from wardround.core.finding import Finding
from wardround.core.frozen import content_id
from wardround.core.graph import EvidenceGraph
from wardround.core.items import ClaimItem, Item
from wardround.core.source import LITERATURE, Source, SourceKind
from wardround.graphs.intake import record_findings, with_taint
from wardround.graphs.settings import ConsultSettings
from wardround.graphs.state import (
    Assignment,
    Context,
    Update,
    case_of,
    evidence_items,
    patient_of,
    unique,
)
from wardround.knowledge.base import KnowledgeBase
from wardround.knowledge.clinician import with_implied
from wardround.knowledge.similarity import diagnosis_cluster
from wardround.models.asking import Answered
from wardround.tools.fhir.record import RecordSearch
from wardround.tools.tool import Patient, ToolResult
from wardround.trace.events import OpinionGiven, RolloutsEnded, SpanKind, ToolCalled, ToolReturned

SHOWN = 0.8
"""Share of the evidence that a rollout sees where rollouts differ by it."""


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
        first = assignment["round"] * context.settings.rollouts
        for rollout, answered in enumerate(await _opinions(context, case, items, assignment, first), start=first):
            answer = answered.value.model_dump(mode="json") if answered.value is not None else None
            tokens = field_logprobs(answered.logprobs, "leading") if answered.logprobs is not None else None
            context.recorder.record(
                OpinionGiven,
                agent=specialty.id,
                rollout=rollout,
                opinion=answer,
                cluster=_cluster(context.clinician.kb, answered.value),
                tokens=tokens,
            )
            opinions.append({"agent": specialty.id, "rollout": rollout, "answer": answer, "tokens": tokens})
            if answered.value is not None:
                known = EvidenceGraph(items).sources
                claims += [ClaimItem(claim=claim_of(specialty.id, c, known)) for c in answered.value.claims]
        new = items[len(assignment["items"]) :]
        return {"opinions": opinions, "items": [*new, *context.add(unique(claims))]}


async def _opinions(
    context: Context, case: Case, items: list[Item], assignment: Assignment, first: int
) -> list[Answered[SpecialistAnswer]]:
    """Ask for opinions until the answer is settled: at once as many as are needed at the least, then on."""
    settings, kb = context.settings, context.clinician.kb
    briefing = context.briefing(case, items)
    specialty = context.roster.find(assignment["specialty"])
    plan = rollout_plan(settings, len(briefing.sources), first)
    enough = AdaptiveRollouts(min=settings.least_rollouts, max=settings.rollouts)
    answers: list[Answered[SpecialistAnswer]] = []
    progress = enough.progress([])
    while not progress.stop and not context.spent:
        asked = plan[len(answers) : len(answers) + progress.needed]
        answers += await roles.opinions(
            context.asker_of(specialty.id), briefing, specialty, assignment["indicators"], asked, first=first
        )
        progress = enough.progress([_cluster(kb, answer.value) for answer in answers])
    if answers:
        context.recorder.record(
            RolloutsEnded, agent=specialty.id, asked=len(answers), because=progress.halt.value, holds=progress.holds
        )
    return answers


def rollout_plan(settings: ConsultSettings, evidence: int, first: int) -> tuple[RolloutPlan, ...]:
    """Return how the rollouts of one round are asked.

    Args:
        settings: In what they differ.
        evidence: How many sources there are.
        first: Number of the round's first asking, which varies the seed.
    """
    differ = settings.rollouts_differ_by
    how = Diversification(
        roles=len(prompts.STANCES) if "role" in differ else 1,
        temperatures=(settings.temperature if "temperature" in differ else 0.0,),
        fraction=SHOWN if "evidence" in differ else 1.0,
        rotated="order" in differ,
    )
    plan = how.plan(settings.rollouts, evidence, seed=settings.seed + first)
    if differ == ("temperature",):
        return plan  # all from one prompt in one request
    return (replace(plan[0], temperature=0.0), *plan[1:])


def _cluster(kb: KnowledgeBase, answer: SpecialistAnswer | None) -> str | None:
    leading = answer.leading if answer is not None else None
    return diagnosis_cluster(kb, leading) if leading and leading.strip() else None


async def _use_tools(context: Context, case: Case, items: list[Item], specialty_id: str) -> list[Item]:
    specialty = context.roster.find(specialty_id)
    offered = {n: t.purpose for n, t in context.tools.items() if n in specialty.tools}
    used: list[tuple[str, str]] = []
    added: list[Item] = []
    for _ in range(context.settings.tool_steps if offered else 0):
        if context.spent:
            break
        briefing = context.briefing(case, [*items, *added])
        chosen = await roles.choose_tool(
            context.asker_of(specialty_id), briefing, specialty, offered, used, rollout=len(used)
        )
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
    used = sum(isinstance(e, ToolCalled) and e.agent == agent for e in context.recorder.events)
    call = content_id("tool", agent, name, argument, used)
    with context.recorder.span(name, SpanKind.TOOL):
        context.recorder.record(ToolCalled, call=call, agent=agent, tool=name, arguments={"argument": argument})
        if name not in offered:
            allowed = ", ".join(sorted(offered))
            context.recorder.record(ToolReturned, call=call, text="", error=f"{agent} may use {allowed}, not {name}")
            return []
        try:
            result = _used(context, call, name, argument, patient_of(case, graph))
        except ToolError as error:
            context.recorder.record(ToolReturned, call=call, text="", error=str(error))
            return []
        new = [with_taint(source) for source in result.sources if source.id not in graph.sources]
        context.recorder.record(ToolReturned, call=call, text=result.text, sources=tuple(s.id for s in result.sources))
        found = evidence_items(new, _readings(context, case, new, result))
        return context.add([*found, *context.copies(new)])


def _used(context: Context, call: str, name: str, argument: str, patient: Patient) -> ToolResult:
    """Use a tool, or return what a fork puts in place of its result."""
    if call not in context.edits.tools:
        return context.tools[name].use(argument, patient)
    text = context.edits.tools[call]
    about_patient = name == RecordSearch.name
    source = Source(
        kind=SourceKind.STRUCTURED_RECORD if about_patient else SourceKind.GUIDELINE,
        text=text,
        document=f"edit:{call}",
        title=f"edited {name}",
        citation=None if about_patient else "edited",
    )
    return ToolResult(text=text, sources=(source,) if text.strip() else ())


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
