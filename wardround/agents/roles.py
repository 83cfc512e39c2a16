"""The questions that triage, planner, specialists and attending are asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
from wardround.core.source import Source
from wardround.models.asking import Answered, Asker

TRIAGE, PLANNER, ATTENDING = "triage", "planner", "attending"


@dataclass(frozen=True)
class Briefing:
    """What every agent is shown of a case."""

    case: Case
    sources: Sequence[Source]


async def triage(asker: Asker, briefing: Briefing, roster: Roster) -> Triage | None:
    """Sort the case: urgency and who has to look. Nothing where no answer could be read."""
    listed = "\n".join(f"- {s.id}: {s.name}" for s in roster.specialties)
    question = prompts.messages(
        "You are the triage doctor.",
        "How urgent is this, and which specialties must look at it? Name none if none is needed.",
        TriageAnswer,
        case=briefing.case,
        sources=briefing.sources,
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
    question = prompts.messages(
        prompts.specialist_role(specialty),
        "Which tool would tell you most now? Choose none if you have what you need.",
        ToolChoice,
        case=briefing.case,
        sources=briefing.sources,
        extra=prompts.tools_section(tools, used),
    )
    return await asker.ask(specialty.id, question, ToolChoice, rollout=rollout)


async def opinion(
    asker: Asker,
    briefing: Briefing,
    specialty: Specialty,
    indicators: Sequence[str],
    *,
    rollout: int,
    temperature: float,
) -> Answered[SpecialistAnswer]:
    """Ask a specialist for an opinion; every rollout sees the evidence in another order."""
    shift = rollout * max(1, len(briefing.sources) // 3) % max(1, len(briefing.sources))
    rotated = [*briefing.sources[shift:], *briefing.sources[:shift]]
    question = prompts.messages(
        prompts.specialist_role(specialty),
        "What does this patient have? Give a differential with probabilities, the findings that carry it as "
        "claims with their evidence ids, and what is missing.",
        SpecialistAnswer,
        case=briefing.case,
        sources=rotated,
        extra=prompts.as_data("To establish: " + "; ".join(indicators)) if indicators else "",
    )
    return await asker.ask(specialty.id, question, SpecialistAnswer, rollout=rollout, temperature=temperature)


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
        extra="\n\n".join(section for section in sections if section),
    )
    return await asker.ask(ATTENDING, question, AttendingAnswer)
