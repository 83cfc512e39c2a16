"""A model that is asked turn after turn."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wardround.agents.ehr.episode import Turn
from wardround.models.calling import Caller
from wardround.models.requests import Options, unicode

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage, BaseMessage

AGENT = "record agent"
"""Who asks and acts, for the log."""


@dataclass(frozen=True)
class Conversation:
    """A model that is asked turn after turn on behalf of one episode."""

    caller: Caller
    options: Options
    """How the protocol asks it."""
    protocol: str
    rollout: int
    """Which of several tries of the task; it varies the seed."""
    temperature: float
    seed: int

    async def ask(self, messages: Sequence[BaseMessage], turn: int) -> tuple[str, AIMessage]:
        """Return the id of the call and the model's next message.

        Args:
            messages: The whole conversation so far.
            turn: Which turn of the agent it is, from 1.

        Raises:
            BudgetExceeded: Nothing is left to spend.
            ContextExceeded: The conversation is longer than the model can read.
            ModelUnavailable: No answer in time, or no connection.
            ModelError: The model failed in another way.
        """
        options = dict(self.options)
        if self.caller.model.sampled:
            options |= {"temperature": self.temperature, "seed": self.seed + self.rollout}
        (called,) = await self.caller.call(
            AGENT, self.protocol, messages, options, rollouts=(self.rollout,), attempt=turn - 1
        )
        return called.call, called.reply.message()


def spoken(message: BaseMessage) -> str:
    """Return a message as text, with one line for each tool that it calls."""
    from langchain_core.messages import AIMessage

    lines = [str(message.text)] if message.text else []
    if isinstance(message, AIMessage):
        lines += [
            json.dumps({"tool": call["name"], "arguments": call["args"]}, ensure_ascii=False)
            for call in (*message.tool_calls, *message.invalid_tool_calls)
        ]
    return unicode("\n".join(lines))


def turns(messages: Iterable[BaseMessage]) -> tuple[Turn, ...]:
    """Return a conversation as turns; whatever the agent did not say itself, the user said."""
    return tuple(Turn("agent" if m.type == "ai" else "user", spoken(m)) for m in messages)
