"""The record agent's loop: the model speaks, its steps are carried out one by one, the model is told."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from langchain_core.messages import BaseMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import interrupt

from wardround.agents.ehr.acting import Acting, Answered, WriteProposed, shown
from wardround.agents.ehr.conversation import AGENT, Conversation
from wardround.agents.ehr.episode import EpisodeStatus
from wardround.agents.ehr.protocol import Action, Finish, Invalid, Outcome, Protocol, Step, steps
from wardround.core.errors import BudgetExceeded, ContextExceeded, ModelError
from wardround.tools.fhir.session import RecordCall
from wardround.trace.events import AnswerRefused
from wardround.trace.recorder import Recorder

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver

RECURSION_LIMIT = 100_000
"""Rounds and calls in a message bound an episode; LangGraph's own limit must not end it before."""

MISFITS = 3
"""Turns in a row with a call that fits no tool; so many end the episode."""

_STATE_TYPES: tuple[type, ...] = (Outcome, RecordCall)


class EhrState(TypedDict, total=False):
    """State of an episode: plain JSON, messages and frozen values."""

    messages: Annotated[list[BaseMessage], operator.add]
    turn: int
    """Turns that the model has had."""
    invalid: int
    """Invalid replies in a row."""
    misfits: int
    """Turns in a row with a call that fits no tool."""
    outcomes: list[Outcome]
    """Of the steps of the present turn that are done."""
    proposal: dict[str, Any] | None
    """The write that waits for a person."""
    is_approved: bool
    """What the person said to it."""
    calls: Annotated[list[RecordCall], operator.add]
    """What was asked of the record."""
    status: str
    """How it ended, once it has."""
    result: str | None
    error: str | None


Update = dict[str, Any]
"""What a step of the loop changes."""


@dataclass(frozen=True)
class EhrContext:
    """What the nodes of one episode work with; never part of the state."""

    protocol: Protocol
    conversation: Conversation
    acting: Acting
    recorder: Recorder
    max_rounds: int


async def think(state: EhrState, runtime: Runtime[EhrContext]) -> Update:
    """Ask the model for its next turn."""
    context = runtime.context
    turn = state["turn"] + 1
    try:
        call, message = await context.conversation.ask(state["messages"], turn)
    except BudgetExceeded as error:
        return _ended(EpisodeStatus.LIMIT, error=str(error))
    except ContextExceeded as error:
        return _ended(EpisodeStatus.CONTEXT, error=str(error))
    except ModelError as error:
        return _ended(EpisodeStatus.ERROR, error=str(error))
    update: Update = {"messages": [message], "turn": turn, "outcomes": [], "invalid": 0}
    match context.protocol.read(message):
        case Finish(result=result):
            return update | _ended(EpisodeStatus.COMPLETED, result=result)
        case Invalid(reason=reason):
            is_final = state["invalid"] >= context.protocol.repairs
            context.recorder.record(AnswerRefused, call=call, agent=AGENT, fault=reason, final=is_final)
            ended = _ended(EpisodeStatus.INVALID, error=reason) if is_final else {}
            return update | {"invalid": state["invalid"] + 1} | ended
        case _:
            return update


async def act(state: EhrState, runtime: Runtime[EhrContext]) -> Update:
    """Carry out the next step of the turn, unless a person has to be asked first.

    A step is a node of its own, and the asking is another: what was sent is not sent again on a resume.
    """
    context = runtime.context
    place = len(state["outcomes"])
    proposal = state.get("proposal")
    answered = Answered(proposal, state["is_approved"]) if proposal is not None else None
    made = context.acting.session.calls
    before = len(made)
    try:
        outcome = await context.acting.carry_out(
            _left(state, context)[0], turn=state["turn"], place=place, answered=answered
        )
    except WriteProposed as waiting:
        return {"proposal": shown(waiting.proposal), "calls": made[before:]}
    return {"outcomes": [*state["outcomes"], outcome], "proposal": None, "calls": made[before:]}


async def confirm(state: EhrState) -> Update:
    """Suspend until a person answers. Nothing else happens here, because it runs again on resume."""
    return {"is_approved": interrupt(state["proposal"])["approved"]}


async def tell(state: EhrState, runtime: Runtime[EhrContext]) -> Update:
    """Tell the model what came of its turn, and end the episode where it may have no other."""
    context = runtime.context
    outcomes = state["outcomes"]
    misfits = state["misfits"] + 1 if any(outcome.is_misfit for outcome in outcomes) else 0
    update: Update = {"messages": context.protocol.reply(_action(state, context), outcomes), "misfits": misfits}
    if misfits >= MISFITS:
        fault = next(outcome.text for outcome in outcomes if outcome.is_misfit)
        return update | _ended(EpisodeStatus.INVALID, error=f"{misfits} turns in a row fit no tool: {fault}")
    if state["turn"] >= context.max_rounds:
        return update | _ended(EpisodeStatus.LIMIT, error=f"{context.max_rounds} turns are used up")
    return update


async def after_thinking(state: EhrState, runtime: Runtime[EhrContext]) -> str:
    """Act where there is something to be done; otherwise say what was wrong, or end."""
    if "status" in state:
        return END
    return "act" if _left(state, runtime.context) else "tell"


async def after_acting(state: EhrState, runtime: Runtime[EhrContext]) -> str:
    """Ask a person about a write that waits; otherwise go on with the turn."""
    if state["proposal"] is not None:
        return "confirm"
    return "act" if _left(state, runtime.context) else "tell"


async def after_telling(state: EhrState) -> str:
    """Give the model its next turn."""
    return END if "status" in state else "think"


@cache
def unkept_flow() -> Any:
    """Return the loop without checkpoints, compiled once."""
    return compile_ehr_flow(None)


def compile_ehr_flow(checkpointer: BaseCheckpointSaver[Any] | None) -> Any:
    """Return the compiled loop.

    Its edges are coroutines, since LangGraph gives every plain function a thread.
    """
    flow: StateGraph[EhrState, EhrContext, EhrState, EhrState] = StateGraph(EhrState, context_schema=EhrContext)
    for name, node in (("think", think), ("act", act), ("confirm", confirm), ("tell", tell)):
        flow.add_node(name, node)
    flow.add_edge(START, "think")
    flow.add_conditional_edges("think", after_thinking, ["act", "tell", END])
    flow.add_conditional_edges("act", after_acting, ["confirm", "act", "tell"])
    flow.add_edge("confirm", "act")
    flow.add_conditional_edges("tell", after_telling, ["think", END])
    return flow.compile(checkpointer=checkpointer)


def beginning(messages: list[BaseMessage]) -> EhrState:
    """Return the state in which an episode begins."""
    return EhrState(messages=messages, turn=0, invalid=0, misfits=0, outcomes=[], calls=[])


def serializer() -> JsonPlusSerializer:
    """Return the checkpoints' serializer; it makes no types but those that the state holds."""
    return JsonPlusSerializer(allowed_msgpack_modules=_STATE_TYPES)


def _action(state: EhrState, context: EhrContext) -> Action:
    """Return what the model's last message means: in `act` and `tell` it is the last of all."""
    message: Any = state["messages"][-1]
    return context.protocol.read(message)


def _left(state: EhrState, context: EhrContext) -> tuple[Step, ...]:
    """Return the steps of the turn that are not done yet."""
    return steps(_action(state, context))[len(state["outcomes"]) :]


def _ended(status: EpisodeStatus, *, result: str | None = None, error: str | None = None) -> Update:
    return {"status": status.value, "result": result, "error": error}
