"""One model call of a conversation: counted, timed, recorded, and its faults told apart."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wardround.agents.ehr.episode import Turn
from wardround.agents.ehr.protocol import unsendable
from wardround.core.frozen import content_id
from wardround.models.budget import Meter
from wardround.models.calling import call_model, token_counts
from wardround.models.handle import ModelHandle
from wardround.trace.events import ModelAnswered, ModelAsked, SpanKind
from wardround.trace.recorder import Recorder

if TYPE_CHECKING:
    from langchain_core.language_models import LanguageModelInput
    from langchain_core.messages import AIMessage, BaseMessage
    from langchain_core.runnables import Runnable

AGENT = "record agent"
"""Who asks and acts, for the log."""


@dataclass(frozen=True)
class Conversation:
    """A model that is asked turn after turn on behalf of one episode."""

    model: ModelHandle
    bound: Runnable[LanguageModelInput, AIMessage]
    """The model as the protocol asks it."""
    protocol: str
    recorder: Recorder
    meter: Meter
    timeout: float
    """Seconds for one call."""
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
        self.meter.ask()
        sent = tuple({"role": m.type, "content": spoken(m)} for m in messages)
        call = content_id("call", AGENT, self.protocol, turn, sent)
        with self.recorder.span(f"{AGENT} turn {turn}", SpanKind.MODEL):
            self.recorder.record(
                ModelAsked,
                call=call,
                agent=AGENT,
                model=self.model.spec,
                answer=self.protocol,
                rollout=self.rollout,
                attempt=turn - 1,
                messages=sent,
            )
            started = self.recorder.clock.monotonic()
            reply = _cleaned(await self._invoke(messages))
            tokens_in, tokens_out = token_counts(reply)
            self.meter.answered((tokens_in or 0) + (tokens_out or 0))
            self.recorder.record(
                ModelAnswered,
                call=call,
                text=spoken(reply),
                served_by=reply.response_metadata.get("model_name"),
                input_tokens=tokens_in,
                output_tokens=tokens_out,
                seconds=round(self.recorder.clock.monotonic() - started, 6),
            )
        return call, reply

    async def _invoke(self, messages: Sequence[BaseMessage]) -> AIMessage:
        options: dict[str, Any] = {}
        if self.model.sampled:
            options = {"temperature": self.temperature, "seed": self.seed + self.rollout}
        return await call_model(self.model.spec, self.bound, messages, seconds=self.timeout, options=options)


def spoken(message: BaseMessage) -> str:
    """Return a message as text, with one line for each tool that it calls."""
    from langchain_core.messages import AIMessage

    lines = [str(message.text)] if message.text else []
    if isinstance(message, AIMessage):
        lines += [
            json.dumps({"tool": call["name"], "arguments": call["args"]}, ensure_ascii=False)
            for call in (*message.tool_calls, *message.invalid_tool_calls)
        ]
    return _unicode("\n".join(lines))


def turns(messages: Iterable[BaseMessage]) -> tuple[Turn, ...]:
    """Return a conversation as turns; whatever the agent did not say itself, the user said."""
    return tuple(Turn("agent" if m.type == "ai" else "user", spoken(m)) for m in messages)


def _cleaned(reply: AIMessage) -> AIMessage:
    """Return a message that logs, checkpoints and servers take, with the same words.

    Half surrogate pairs in the text are replaced; a call whose arguments cannot be sent on is kept as text.
    """
    from langchain_core.messages.tool import invalid_tool_call

    changed: dict[str, Any] = {}
    if isinstance(reply.content, str) and (text := _unicode(reply.content)) != reply.content:
        changed["content"] = text
    faults = {n: fault for n, call in enumerate(reply.tool_calls) if (fault := unsendable(call["args"])) is not None}
    if faults:
        changed["tool_calls"] = [call for n, call in enumerate(reply.tool_calls) if n not in faults]
        changed["invalid_tool_calls"] = reply.invalid_tool_calls + [
            invalid_tool_call(
                name=reply.tool_calls[n]["name"],
                args=json.dumps(reply.tool_calls[n]["args"]),
                id=reply.tool_calls[n]["id"],
                error=fault,
            )
            for n, fault in faults.items()
        ]
    return reply.model_copy(update=changed) if changed else reply


def _unicode(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
