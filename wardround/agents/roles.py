"""The questions that triage, planner, specialists and attending are asked."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wardround.agents import prompts
from wardround.agents.roster import Roster, Specialty
from wardround.core.answers import (
    AttendingAnswer,
    PlanAnswer,
    SpecialistAnswer,
    ToolChoice,
    TriageAnswer,
)
from wardround.core.case import Case
from wardround.core.claim import Claim, Verdict
from wardround.core.decision import Triage, Urgency
from wardround.core.differential import Differential
from wardround.core.estimators.plan import RolloutPlan
from wardround.core.source import Source
from wardround.models.asking import Answered, Asker

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

TRIAGE, PLANNER, ATTENDING = "triage", "planner", "attending"


@dataclass(frozen=True)
class Briefing:
    """What every agent is shown of a case."""

    case: Case
    sources: Sequence[Source]
    images: Sequence[Mapping[str, Any]] = ()
    """By reference; shown to models that look at images."""


async def triage(asker: Asker, briefing: Briefing, roster: Roster) -> Triage | None:
    """Sort the case: urgency and who has to look. Nothing where no answer could be read."""
    listed = "\n".join(f"- {s.id}: {s.name}" for s in roster.specialties)
    question = prompts.messages(
        "You are the triage doctor.",
        "How urgent is this, and which specialties must look at it? Name none if none is needed.",
        TriageAnswer,
        case=briefing.case,
        sources=briefing.sources,
        images=briefing.images,
        extra=f"Specialties:\n{listed}",
    )
    answered = await asker.ask(TRIAGE, question, TriageAnswer)
    if answered.value is None:
        return None
    answer = answered.value
    known = tuple(s for s in dict.fromkeys(answer.specialties) if s in roster.ids)
    return Triage(urgency=Urgency(answer.urgency), specialties=known, reasons=tuple(answer.reasons))


async def plan(asker: Asker, briefing: Briefing, passages: Sequence[Source]) -> Answered[PlanAnswer]:
    """Ask what to establish, given passages on the leading hypotheses."""
    section = "Guideline passages:\n" + "\n".join(f"[{p.id}] {p.title}: {p.text}" for p in passages)
    question = prompts.messages(
        "You plan the work-up.",
        "Which findings should be established next, cheapest and most informative first?",
        PlanAnswer,
        case=briefing.case,
        sources=briefing.sources,
        images=briefing.images,
        extra=section if passages else "",
    )
    return await asker.ask(PLANNER, question, PlanAnswer)


async def choose_tool(
    asker: Asker,
    briefing: Briefing,
    specialty: Specialty,
    tools: Mapping[str, str],
    used: Sequence[tuple[str, str]],
    *,
    rollout: int,
) -> Answered[ToolChoice]:
    """Ask a specialist which tool to use next, if any."""
    is_native = asker.caller.model.tools is True
    question = prompts.messages(
        prompts.specialist_role(specialty),
        "Which tool would tell you most now? Choose none if you have what you need.",
        None if is_native else ToolChoice,
        case=briefing.case,
        sources=briefing.sources,
        images=briefing.images,
        extra=prompts.used_section(used) if is_native else prompts.tools_section(tools, used),
    )
    if is_native:
        return await asker.choose_tool(specialty.id, question, prompts.native_tools(tools), rollout=rollout)
    return await asker.ask(specialty.id, question, ToolChoice, rollout=rollout)


async def opinions(
    asker: Asker,
    briefing: Briefing,
    specialty: Specialty,
    indicators: Sequence[str],
    plan: Sequence[RolloutPlan],
    *,
    first: int,
) -> list[Answered[SpecialistAnswer]]:
    """Ask a specialist for several opinions, all at once.

    Rollouts that are shown the same are asked for in one request where the model takes that, so that the prompt is
    read once.

    Args:
        asker: Asks.
        briefing: What is shown.
        specialty: Who is asked.
        indicators: What the plan wants to have established.
        plan: How each is asked.
        first: Number of the asking that a plan's index 0 has.
    """
    alike: dict[tuple[int, float, tuple[int, ...]], list[int]] = {}
    for one in plan:
        alike.setdefault((one.role, one.temperature, one.evidence), []).append(first + one.index)
    each = []
    for (role, temperature, evidence), rollouts in alike.items():
        shown = [briefing.sources[place] for place in evidence]
        question = _opinion_question(briefing, specialty, indicators, shown, role)
        each.append(
            asker.ask_several(specialty.id, question, SpecialistAnswer, rollouts=rollouts, temperature=temperature)
        )
    numbers = [number for rollouts in alike.values() for number in rollouts]
    answers = [answer for several in await asyncio.gather(*each) for answer in several]
    return [answer for _, answer in sorted(zip(numbers, answers, strict=True), key=lambda pair: pair[0])]


def _opinion_question(
    briefing: Briefing, specialty: Specialty, indicators: Sequence[str], sources: Sequence[Source], role: int
) -> list[BaseMessage]:
    return prompts.messages(
        prompts.specialist_role(specialty, role),
        "What does this patient have? Give a differential with probabilities, the findings that carry it as "
        "claims with their evidence ids, and what is missing.",
        SpecialistAnswer,
        case=briefing.case,
        sources=sources,
        images=briefing.images,
        extra=prompts.as_data("To establish: " + "; ".join(indicators)) if indicators else "",
    )


async def attend(
    asker: Asker,
    briefing: Briefing,
    claims: Sequence[Claim],
    verdicts: Mapping[str, Verdict],
    differential: Differential,
) -> Answered[AttendingAnswer]:
    """Ask the attending, who sees claims, verdicts and the graph, but nobody's confidence in himself."""
    sections = (prompts.claims_section(claims, verdicts), prompts.posterior_section(differential))
    question = prompts.messages(
        "You are the attending physician. You answer for the decision and may overrule everyone, with a reason.",
        "What is the diagnosis? Argue in sentences, each with its evidence ids. If the evidence does not "
        "carry a diagnosis, give null.",
        AttendingAnswer,
        case=briefing.case,
        sources=briefing.sources,
        images=briefing.images,
        extra="\n\n".join(section for section in sections if section),
    )
    return await asker.ask(ATTENDING, question, AttendingAnswer)
