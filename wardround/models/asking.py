"""Asking a model for an answer of a given shape: schema sent, parsed, validated, repaired once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel

from wardround.core.errors import BudgetExceeded
from wardround.core.frozen import content_id
from wardround.models.budget import Meter
from wardround.models.calling import call_model, token_counts
from wardround.models.handle import ModelHandle
from wardround.models.parsing import Refused, Unreadable, parse_answer
from wardround.models.refusals import declared_refusal, quoted
from wardround.trace.events import AnswerFault, AnswerRefused, ModelAnswered, ModelAsked, SpanKind
from wardround.trace.recorder import Recorder

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

T = TypeVar("T", bound=BaseModel)

REPAIRS = 1
"""How often a model is told what was wrong with its answer before it counts as no opinion."""


@dataclass(frozen=True)
class Answered(Generic[T]):
    """What came of asking."""

    value: T | None
    """The answer, or nothing: no opinion, never a guess."""
    fault: str | None = None
    """Why there is no opinion."""
    kind: AnswerFault | None = None
    """The fault in one word; nothing where there is an answer, or where none was asked for any more."""
    quote: str | None = None
    """How the refusal begins, where the model declined to answer."""

    @property
    def is_refusal(self) -> bool:
        """Whether the model declined to answer."""
        return self.kind is AnswerFault.REFUSAL


@dataclass(frozen=True)
class _Reply:
    call: str
    text: str
    is_declared_refusal: bool
    """Whether the server says itself that the model declined."""


@dataclass(frozen=True)
class Asker:
    """Asks one model on behalf of the agents of one case."""

    model: ModelHandle
    recorder: Recorder
    meter: Meter
    slots: asyncio.Semaphore
    """Limits calls under way, shared by all cases that use the model."""
    timeout: float
    """Seconds for one call."""
    seed: int

    async def ask(
        self,
        agent: str,
        messages: Sequence[BaseMessage],
        schema: type[T],
        *,
        rollout: int = 0,
        temperature: float = 0.0,
    ) -> Answered[T]:
        """Ask for an answer of the schema's shape; a budget that has run out is no opinion.

        An answer that cannot be read is asked for once more, and so is one that was declined, since the form
        leaves room for having no opinion.

        Args:
            agent: Who asks, for the trace.
            messages: What is sent.
            schema: Shape of the answer.
            rollout: Which of several askings of the same question; it varies the seed.
            temperature: For models that sample.

        Raises:
            ModelUnavailable: The model could not be reached or did not answer in time.
        """
        from langchain_core.messages import AIMessage, HumanMessage

        conversation = list(messages)
        unread: Answered[T] = Answered(None)
        for attempt in range(REPAIRS + 1):
            try:
                self.meter.ask()
            except BudgetExceeded as error:
                return Answered(None, str(error))
            reply = await self._call(agent, conversation, schema, rollout, attempt, temperature)
            try:
                return Answered(_read(reply, schema))
            except Unreadable as error:
                unread = Answered(None, str(error), error.kind, error.quote)
            self.recorder.record(
                AnswerRefused,
                call=reply.call,
                agent=agent,
                fault=unread.fault,
                final=attempt == REPAIRS,
                kind=unread.kind,
                quote=unread.quote,
            )
            repair = f"That could not be used: {unread.fault}. Answer again with one JSON object and nothing else."
            conversation += [AIMessage(content=reply.text[:4000]), HumanMessage(content=repair)]
        return unread

    async def _call(
        self,
        agent: str,
        messages: list[BaseMessage],
        schema: type[BaseModel],
        rollout: int,
        attempt: int,
        temperature: float,
    ) -> _Reply:
        sent = tuple({"role": m.type, "content": m.content} for m in messages)
        call = content_id("call", agent, schema.__name__, rollout, attempt, sent)
        with self.recorder.span(f"{agent} {schema.__name__}", SpanKind.MODEL):
            self.recorder.record(
                ModelAsked,
                call=call,
                agent=agent,
                model=self.model.spec,
                answer=schema.__name__,
                rollout=rollout,
                attempt=attempt,
                messages=sent,
            )
            started = self.recorder.clock.monotonic()
            async with self.slots:
                options = self._options(schema, rollout, temperature)
                reply = await call_model(
                    self.model.spec, self.model.chat, messages, seconds=self.timeout, options=options
                )
            tokens_in, tokens_out = token_counts(reply)
            self.meter.answered((tokens_in or 0) + (tokens_out or 0))
            declared = declared_refusal(reply) if not reply.text.strip() else None
            text = str(reply.text if declared is None else declared).encode("utf-8", "replace").decode("utf-8")
            self.recorder.record(
                ModelAnswered,
                call=call,
                text=text,
                served_by=reply.response_metadata.get("model_name"),
                input_tokens=tokens_in,
                output_tokens=tokens_out,
                seconds=round(self.recorder.clock.monotonic() - started, 6),
            )
        return _Reply(call, text, is_declared_refusal=declared is not None)

    def _options(self, schema: type[BaseModel], rollout: int, temperature: float) -> dict[str, Any]:
        options: dict[str, Any] = {}
        if self.model.constrained:
            options["response_format"] = response_format(schema)
        if self.model.sampled:
            options |= {"temperature": temperature, "seed": self.seed + rollout}
        return options


def _read(reply: _Reply, schema: type[T]) -> T:
    if reply.is_declared_refusal:
        raise Refused(quoted(reply.text))
    return parse_answer(reply.text, schema)


@cache
def response_format(schema: type[BaseModel]) -> dict[str, Any]:
    """Return the OpenAI `response_format` that holds decoding to a schema."""
    return {
        "type": "json_schema",
        "json_schema": {"name": schema.__name__, "schema": schema.model_json_schema(), "strict": True},
    }
