"""The state machine: which step follows which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Send

from wardround.core.decision import DecisionStatus
from wardround.graphs import nodes, person, specialists
from wardround.graphs.state import Assignment, Context, State

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver

RECURSION_LIMIT = 100
"""Steps after which a consult is broken off; the longest lawful one takes under 60."""


def compile_flow(checkpointer: BaseCheckpointSaver[Any] | None = None) -> Any:
    """Return the compiled state machine."""
    flow: StateGraph[State, Context, State, State] = StateGraph(State, context_schema=Context)
    steps: tuple[tuple[str, Any], ...] = (
        ("intake", nodes.intake),
        ("triage", nodes.triage),
        ("plan", nodes.plan),
        ("specialist", specialists.specialist),
        ("verify", nodes.verify),
        ("weigh", nodes.weigh),
        ("gather", nodes.gather),
        ("attending", nodes.attending),
        ("gate", nodes.gate),
        ("ask_person", person.ask_person),
        ("heed_person", person.heed_person),
    )
    for name, step in steps:
        flow.add_node(name, step)
    flow.add_edge(START, "intake")
    flow.add_edge("intake", "triage")
    flow.add_edge("triage", "plan")
    flow.add_conditional_edges("plan", assign, ["specialist", "verify"])
    flow.add_edge("specialist", "verify")
    flow.add_edge("verify", "weigh")
    flow.add_conditional_edges("weigh", after_weighing, ["gather", "attending"])
    flow.add_conditional_edges("gather", after_gathering, ["specialist", "attending"])
    flow.add_edge("attending", "gate")
    flow.add_conditional_edges("gate", after_gate, ["ask_person", END])
    flow.add_edge("ask_person", "heed_person")
    flow.add_conditional_edges("heed_person", after_person, ["weigh", END])
    return flow.compile(checkpointer=checkpointer)


def assign(state: State) -> list[Send] | str:
    """Send the case to every specialist of the route, or on where none is needed."""
    if not state["route"]:
        return "verify"
    return [
        Send(
            "specialist",
            Assignment(
                specialty=specialty,
                case=state["case"],
                items=state["items"],
                indicators=state["indicators"],
                round=state["round"],
            ),
        )
        for specialty in state["route"]
    ]


def after_weighing(state: State, runtime: Runtime[Context]) -> str:
    """Gather more while the case is not settled and there is something left to spend."""
    settings = runtime.context.settings
    open_ = state["combined"] > settings.settled and state["round"] < settings.rounds
    return "gather" if open_ and not state["spent"] else "attending"


def after_gathering(state: State) -> list[Send] | str:
    """Ask the specialists again if something new was found; else nothing can have changed."""
    return assign(state) if state["gathered"] and state["route"] else "attending"


def after_gate(state: State) -> str:
    """Ask a person where the gate is closed and that is wanted."""
    return "ask_person" if state["decision"]["status"] == DecisionStatus.ESCALATED.value else END


def after_person(state: State) -> str:
    """Weigh new information; a diagnosis ends the consult."""
    answer = state.get("person") or {}
    return "weigh" if str(answer.get("information") or "").strip() else END
