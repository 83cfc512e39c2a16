"""What the framework costs over the same steps hand-written on bare LangGraph, with models that do nothing.

python benchmarks/overhead.py [--runs 40]
The hand-written graph calls the same reader, knowledge, detector, prompts and gate, and asks the same model the
same questions. It has no trace, no budget, no repair turn, no tool events, no spans, no ids. The two alternate,
case by case, in one process; the goal is a ratio of at most 1.3. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import operator
import statistics
import time
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from noop import CASE, noop_chat, noop_handle

from wardround.agents import prompts
from wardround.agents.roster import embedded_roster
from wardround.core.answers import AttendingAnswer, PlanAnswer, SpecialistAnswer, ToolChoice, TriageAnswer
from wardround.core.case import Case
from wardround.core.claim import Claim, ClaimKind
from wardround.core.decision import DecisionStatus
from wardround.core.graph import EvidenceGraph
from wardround.core.items import ClaimItem, Item, ReadingItem, SourceItem, VerdictItem
from wardround.graphs.gate import Proposal, decide
from wardround.graphs.intake import chart_of, take_in
from wardround.graphs.settings import ConsultSettings, GatePolicy
from wardround.graphs.uncertainty import Opinion, measure
from wardround.graphs.ward import Ward
from wardround.knowledge.clinician import reference_clinician
from wardround.knowledge.inference import suggest
from wardround.models.asking import response_format
from wardround.models.parsing import parse_answer
from wardround.tools.hallucination.detector import RuleDetector
from wardround.tools.retrieval.passages import GuidelinePassages
from wardround.tools.tool import Patient


class Bare(TypedDict, total=False):
    """State of the hand-written graph: the values themselves."""

    case: Case
    items: Annotated[list[Item], operator.add]
    opinions: Annotated[list[Opinion], operator.add]
    route: list[str]
    read: float
    diagnosis: str
    decision: Any


def bare_graph() -> Any:
    clinician, roster, model = reference_clinician(), embedded_roster(), noop_chat()
    kb = clinician.kb
    passages = GuidelinePassages(kb)

    async def ask(messages: list[Any], schema: type[Any]) -> Any:
        reply = await model.ainvoke(messages, response_format=response_format(schema))
        return parse_answer(reply.text, schema)

    def evidence(state: Bare) -> EvidenceGraph:
        stated = EvidenceGraph(state["items"])
        sex = state["case"].sex.value if state["case"].sex else None
        return stated.with_items([kb.candidates(state["case"].age, sex), *kb.bearings(stated.readings)])

    def sources(items: list[Item]) -> list[Any]:
        return list(EvidenceGraph(items).sources.values())

    async def intake(state: Bare) -> Bare:
        taken = take_in(state["case"], clinician, chart_of(state["case"], clinician))
        items: list[Item] = [SourceItem(source=s) for s in taken.sources]
        items += [ReadingItem(finding=f) for f in taken.findings]
        return {"case": taken.case, "items": items, "read": taken.read}

    async def triage(state: Bare) -> Bare:
        listed = "\n".join(f"- {s.id}: {s.name}" for s in roster.specialties)
        question = prompts.messages(
            "triage", "urgency?", TriageAnswer, case=state["case"], sources=sources(state["items"]), extra=listed
        )
        return {"route": (await ask(question, TriageAnswer)).specialties}

    async def plan(state: Bare) -> Bare:
        graph = evidence(state)
        leading = [h.id for h in graph.differential.hypotheses[:2]]
        patient = Patient(state["case"].age, None, ())
        found = [s for c in leading for s in passages.use(c, patient).sources]
        question = prompts.messages(
            "plan", "what next?", PlanAnswer, case=state["case"], sources=[*sources(state["items"]), *found]
        )
        await ask(question, PlanAnswer)
        return {}

    async def specialist(state: dict[str, Any]) -> Bare:
        specialty = roster.find(state["specialty"])
        shown = sources(state["items"])
        role = prompts.specialist_role(specialty)
        choice = prompts.messages(role, "which tool?", ToolChoice, case=state["case"], sources=shown)
        await ask(choice, ToolChoice)
        question = prompts.messages(role, "what is it?", SpecialistAnswer, case=state["case"], sources=shown)
        answer = await ask(question, SpecialistAnswer)
        claims = [
            Claim(agent=specialty.id, text=c.text, kind=ClaimKind.FINDING, cites=tuple(c.evidence))
            for c in answer.claims
        ]
        return {
            "opinions": [Opinion(specialty.id, 0, answer)],
            "items": [ClaimItem(claim=claim) for claim in claims],
        }

    async def verify(state: Bare) -> Bare:
        graph = EvidenceGraph(state["items"])
        detector = RuleDetector(clinician, age=state["case"].age, sex=None)
        return {
            "items": [
                VerdictItem(verdict=detector.check(claim, graph.sources))
                for claim in graph.claims.values()
                if claim.id not in graph.verdicts
            ]
        }

    async def weigh(state: Bare) -> Bare:
        measure(kb, evidence(state), state["opinions"])
        return {}

    async def gather(state: Bare) -> Bare:
        graph = evidence(state)
        suggest(kb, graph.weighed.posterior, list(graph.readings), limit=4)
        return {}

    async def attending(state: Bare) -> Bare:
        graph = evidence(state)
        extra = prompts.claims_section(list(graph.claims.values()), graph.verdicts)
        extra += prompts.posterior_section(graph.differential)
        question = prompts.messages(
            "attending",
            "what is it?",
            AttendingAnswer,
            case=state["case"],
            sources=sources(state["items"]),
            extra=extra,
        )
        return {"diagnosis": (await ask(question, AttendingAnswer)).diagnosis}

    async def gate(state: Bare) -> Bare:
        entry = kb.find_condition(state["diagnosis"])
        proposal = Proposal(entry.id if entry else None, state["diagnosis"], (), False, "", state["read"], 0, 3, False)
        decision = decide(kb, evidence(state), proposal, GatePolicy(), sex="male", closed=DecisionStatus.ABSTAINED)
        return {"decision": decision}

    flow: Any = StateGraph(Bare)
    for node in (intake, triage, plan, specialist, verify, weigh, gather, attending, gate):
        flow.add_node(node.__name__, node)
    flow.add_edge(START, "intake")
    flow.add_edge("intake", "triage")
    flow.add_edge("triage", "plan")
    flow.add_conditional_edges(
        "plan",
        lambda state: [
            Send("specialist", {"specialty": s, "case": state["case"], "items": state["items"]}) for s in state["route"]
        ],
        ["specialist"],
    )
    for before, after in (
        ("specialist", "verify"),
        ("verify", "weigh"),
        ("weigh", "gather"),
        ("gather", "attending"),
        ("attending", "gate"),
        ("gate", END),
    ):
        flow.add_edge(before, after)
    return flow.compile()


async def compare(runs: int) -> dict[str, Any]:
    ward = Ward(settings=ConsultSettings(rollouts=1, settled=0.0))
    ward.model = noop_handle()
    bare = bare_graph()
    ours: list[float] = []
    theirs: list[float] = []
    async with ward.session() as session:
        for n in range(runs + 3):
            case = Case(narrative=f"{CASE} Seen on day {n}.")
            started = time.perf_counter()
            consult = await session.consult(case)
            middle = time.perf_counter()
            result = await bare.ainvoke({"case": case, "items": [], "opinions": []})
            ended = time.perf_counter()
            assert consult.decision.diagnosis == result["decision"].diagnosis
            if n >= 3:
                ours.append(middle - started)
                theirs.append(ended - middle)
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return {
        "what": "a consult against the same steps hand-written on bare LangGraph, models that answer at once",
        "pairs": runs,
        "model_calls": consult.usage.calls,
        "wardround_ms_median": round(statistics.median(ours) * 1000, 2),
        "bare_ms_median": round(statistics.median(theirs) * 1000, 2),
        "ratio_median": round(statistics.median(ratios), 3),
        "ratio_quartiles": [round(q, 3) for q in statistics.quantiles(ratios, n=4)],
        "goal": 1.3,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=40)
    print(json.dumps(asyncio.run(compare(parser.parse_args().runs)), indent=2))


if __name__ == "__main__":
    main()
