"""The port between a model and a record: what is asked for, what a reply means, what is told back."""

from __future__ import annotations

import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wardround.models.handle import ModelHandle

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage, BaseMessage
    from langchain_core.tools import BaseTool

FINISH = "finish"
"""Name by which a tool-calling model ends its task."""


@dataclass(frozen=True)
class ToolCall:
    """One tool that is asked for."""

    id: str
    name: str
    arguments: dict[str, Any]
    fault: str | None = None
    """Why it cannot be carried out as it was written, for the model to read."""


@dataclass(frozen=True)
class ToolCalls:
    """The tools of one message, to be carried out in their order."""

    calls: tuple[ToolCall, ...]


@dataclass(frozen=True)
class HttpGet:
    """A read."""

    url: str
    """As the model wrote it, with what the protocol adds."""


@dataclass(frozen=True)
class HttpPost:
    """A write."""

    url: str
    body: dict[str, Any] | None
    fault: str | None = None
    """Why it cannot be sent as it was written, for the model to read."""


@dataclass(frozen=True)
class Finish:
    """The end of the task."""

    result: str
    """The answers: a JSON list where the protocol reads it, otherwise what the model wrote."""


@dataclass(frozen=True)
class Invalid:
    """A reply that the protocol has no place for."""

    reason: str
    """What was wrong with it, for the model to read."""


Step = ToolCall | HttpGet | HttpPost
"""What can be carried out."""

Action = ToolCalls | HttpGet | HttpPost | Finish | Invalid
"""What a reply means."""


@dataclass(frozen=True)
class Outcome:
    """What came of one step."""

    text: str
    """What came back, or why nothing did."""
    is_error: bool = False
    is_misfit: bool = False
    """Whether the call did not fit what is on offer (no such tool, wrong arguments), so that nothing was tried."""
    written: str | None = None
    """`Type/id` of what a server stored."""


class Protocol(typing.Protocol):
    """A way for a model to work on a record."""

    @property
    def name(self) -> str:
        """Name of the protocol, for the log."""
        ...

    @property
    def repairs(self) -> int:
        """How many invalid replies in a row are told to the model; one more ends the episode."""
        ...

    @property
    def takes_tools(self) -> bool:
        """Whether the model works by the tools of a session; otherwise it is given none."""
        ...

    def options(self, model: ModelHandle, tools: Sequence[BaseTool]) -> dict[str, Any]:
        """Return the options with which the protocol asks a model: with tools, with a schema, or with none.

        Raises:
            UsageError: The model cannot be asked so.
        """
        ...

    def opening(self, task: str, tools: Sequence[BaseTool], api_base: str) -> list[BaseMessage]:
        """Return what a model is told first.

        Args:
            task: What is to be done, in words.
            tools: What it may use, where the protocol knows tools.
            api_base: URL of the record, where the protocol knows URLs.
        """
        ...

    def read(self, message: AIMessage) -> Action:
        """Return what a reply means; any message has a meaning."""
        ...

    def reply(self, action: Action, outcomes: Sequence[Outcome]) -> list[BaseMessage]:
        """Return what a model is told next.

        Args:
            action: What its last message meant.
            outcomes: One for each step of it, in order; none for an invalid reply.
        """
        ...


def steps(action: Action) -> tuple[Step, ...]:
    """Return what of an action can be carried out, in order."""
    match action:
        case ToolCalls(calls=calls):
            return calls
        case HttpGet() | HttpPost():
            return (action,)
        case _:
            return ()
