"""Tool calls as the model's server knows them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wardround.agents.ehr.briefing import ANSWERS, RULES
from wardround.agents.ehr.protocol import (
    FINISH,
    Action,
    Finish,
    Invalid,
    Outcome,
    ToolCall,
    ToolCalls,
)
from wardround.models.calling import tools_bound
from wardround.models.handle import ModelHandle

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage, BaseMessage
    from langchain_core.tools import BaseTool

MOST_CALLS = 32
"""How many calls of one message are carried out; a message with more is a runaway."""

_FINISH_TOOL = {
    "type": "function",
    "function": {
        "name": FINISH,
        "description": f"End the task. Call it alone, last, with {ANSWERS}.",
        "parameters": {
            "type": "object",
            "properties": {"answer": {"type": "array", "items": {}, "description": "The answers."}},
            "required": ["answer"],
        },
    },
}
_REMINDER = f"You called no tool. Call the next tool, or {FINISH} with the answers if everything asked for is done."
_ALONE = f"{FINISH} is not taken beside other calls; call it alone, once you have seen what came of them"


@dataclass(frozen=True)
class NativeProtocol:
    """The tools are bound to the model, and so is `finish`; a message without a call is reminded of them once."""

    name = "native"
    repairs = 1
    takes_tools = True

    def options(self, model: ModelHandle, tools: Sequence[BaseTool]) -> dict[str, Any]:
        """Offer the tools and `finish`.

        Raises:
            UsageError: The model takes no tools.
        """
        from langchain_core.utils.function_calling import convert_to_openai_tool

        offered = [*(convert_to_openai_tool(tool) for tool in tools), _FINISH_TOOL]
        tools_bound(model, offered)  # a model that takes none is found out before it is asked
        return {"tools": offered}

    def opening(self, task: str, tools: Sequence[BaseTool], api_base: str) -> list[BaseMessage]:
        """Return the rules and the task; the tools travel beside the messages."""
        from langchain_core.messages import HumanMessage, SystemMessage

        return [SystemMessage(content=f"{RULES}\nCall the tool {FINISH} to finish."), HumanMessage(content=task)]

    def read(self, message: AIMessage) -> Action:
        """Return the calls of a message in their order, those whose arguments are no JSON behind the others."""
        calls = [_call(n, call) for n, call in enumerate((*message.tool_calls, *message.invalid_tool_calls))]
        if not calls:
            return Invalid(_REMINDER)
        if len(calls) == 1 and calls[0].name == FINISH and calls[0].fault is None:
            return Finish(json.dumps(calls[0].arguments["answer"], ensure_ascii=False))
        return ToolCalls(tuple(_told_apart(n, call, len(calls)) for n, call in enumerate(calls)))

    def reply(self, action: Action, outcomes: Sequence[Outcome]) -> list[BaseMessage]:
        """Return one tool message for each call, or the reminder."""
        from langchain_core.messages import HumanMessage, ToolMessage

        if isinstance(action, Invalid):
            return [HumanMessage(content=action.reason)]
        calls = action.calls if isinstance(action, ToolCalls) else ()
        return [
            ToolMessage(
                content=outcome.text,
                tool_call_id=call.id,
                name=call.name,
                status="error" if outcome.is_error else "success",
            )
            for call, outcome in zip(calls, outcomes, strict=True)
        ]


def _call(n: int, given: Any) -> ToolCall:
    """Read a call as LangChain gives it: arguments that could not be parsed are still text."""
    name, arguments = str(given.get("name") or ""), given.get("args")
    fault = None
    if not isinstance(arguments, dict):
        why = given.get("error") or "no JSON object"
        fault = f"the arguments of {name or 'the call'} cannot be read ({why}); give one JSON object"
    elif name == FINISH and (set(arguments) != {"answer"} or not isinstance(arguments["answer"], list)):
        fault = f'{FINISH} takes one argument, the list of answers: {{"answer": [...]}}'
    usable = arguments if isinstance(arguments, dict) and fault is None else {}
    return ToolCall(id=given.get("id") or f"call_{n}", name=name, arguments=usable, fault=fault)


def _told_apart(n: int, call: ToolCall, of: int) -> ToolCall:
    """Mark a call that must not be carried out because of what stands beside it."""
    fault = call.fault
    if call.name == FINISH and of > 1:
        fault = _ALONE
    elif n >= MOST_CALLS:
        fault = f"a message may hold {MOST_CALLS} calls, not {of}; this one was not made"
    return call if fault == call.fault else ToolCall(call.id, call.name, {}, fault)
