"""One JSON object a turn, for models that call no tools."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, model_validator

from wardround.agents.ehr.briefing import ANSWERS, RULES, described
from wardround.agents.ehr.protocol import (
    FINISH,
    Action,
    Finish,
    Invalid,
    Outcome,
    ToolCall,
    ToolCalls,
)
from wardround.models.handle import ModelHandle
from wardround.models.parsing import Unreadable, parse_answer
from wardround.models.sendable import unsendable

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage, BaseMessage
    from langchain_core.tools import BaseTool

_FORM = """\
Each turn of yours is one JSON object and nothing else. To use a tool:
{{"tool": "<name>", "arguments": {{...}}}}
To finish, with {answers}:
{{"finish": [...]}}

The tools, each with the JSON schema of its arguments:
{tools}"""


class Move(BaseModel):
    """One turn: a tool with its arguments, or the answers."""

    model_config = ConfigDict(extra="forbid")

    tool: str | None = None
    arguments: dict[str, Any] | None = None
    finish: list[Any] | None = None

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Self:
        if (self.tool is None) == (self.finish is None):
            raise ValueError('give either "tool" with "arguments" or "finish"')
        if (self.tool is None) != (self.arguments is None):
            raise ValueError('"tool" and "arguments" go together')
        return self


@dataclass(frozen=True)
class JsonProtocol:
    """The tools stand in the prompt; an unreadable turn is told its fault once."""

    name = "json"
    repairs = 1
    takes_tools = True

    def options(self, model: ModelHandle, tools: Sequence[BaseTool]) -> dict[str, Any]:
        """Hold the model to the form of a turn where it decodes under a schema."""
        return {"response_format": response_format(tools)} if model.constrained else {}

    def opening(self, task: str, tools: Sequence[BaseTool], api_base: str) -> list[BaseMessage]:
        """Return the rules, the form of a turn and the tools; then the task."""
        from langchain_core.messages import HumanMessage, SystemMessage

        listed = "\n".join(json.dumps(tool, ensure_ascii=False) for tool in described(tools))
        form = _FORM.format(answers=ANSWERS, tools=listed)
        return [SystemMessage(content=f"{RULES}\n\n{form}"), HumanMessage(content=task)]

    def read(self, message: AIMessage) -> Action:
        """Return what the one object of a turn says; thinking, fences and prose around it are passed over."""
        try:
            move = parse_answer(str(message.text), Move)
        except Unreadable as error:
            return Invalid(str(error))
        except RecursionError:
            return Invalid("the object is nested too deep")
        fault = unsendable(move.model_dump())
        if fault is not None:
            return Invalid(fault)
        if move.finish is not None:
            return Finish(json.dumps(move.finish, ensure_ascii=False))
        if move.tool == FINISH:
            return Invalid('finish is no tool; to finish, write {"finish": [...]} with the answers')
        return ToolCalls((ToolCall(id="call", name=move.tool or "", arguments=move.arguments or {}),))

    def reply(self, action: Action, outcomes: Sequence[Outcome]) -> list[BaseMessage]:
        """Return what a tool brought, or what was wrong with the turn."""
        from langchain_core.messages import HumanMessage

        if isinstance(action, Invalid):
            told = f"That could not be used: {action.reason}. Answer again with one JSON object and nothing else."
            return [HumanMessage(content=told)]
        calls = action.calls if isinstance(action, ToolCalls) else ()
        return [
            HumanMessage(content=f"{call.name} {'failed' if outcome.is_error else 'answered'}:\n{outcome.text}")
            for call, outcome in zip(calls, outcomes, strict=True)
        ]


def response_format(tools: Sequence[BaseTool]) -> dict[str, Any]:
    """Return the OpenAI `response_format` that holds a turn to the tools on offer, or to the answers."""
    moves: list[dict[str, Any]] = [
        _object({"tool": {"const": tool["name"]}, "arguments": tool["parameters"]}) for tool in described(tools)
    ]
    moves.append(_object({"finish": {"type": "array", "items": {}}}))
    return {
        "type": "json_schema",
        "json_schema": {"name": Move.__name__, "schema": {"anyOf": moves}, "strict": True},
    }


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
