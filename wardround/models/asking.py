"""Asking a model for an answer of a given shape: schema sent, parsed, validated, repaired once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel

from wardround.core.answers import ToolChoice
from wardround.core.errors import BudgetExceeded, UsageError
from wardround.models.calling import Called, Caller
from wardround.models.parsing import Refused, Unreadable, parse_answer
from wardround.models.refusals import quoted
from wardround.models.requests import Reply
from wardround.trace.events import AnswerFault, AnswerRefused

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

T = TypeVar("T", bound=BaseModel)

REPAIRS = 1
"""How often a model is told what was wrong with its answer before it counts as no opinion."""
_SENT_BACK = 4000
"""Characters of an answer that are sent back with what was wrong with it."""
_LONGEST_ARGUMENT = 400
"""As in `ToolChoice`; a model that calls tools natively is not always held to it."""


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
    logprobs: tuple[tuple[str, float], ...] | None = None
    """Each token of the answer with its natural log probability, where asked for."""

    @property
    def is_refusal(self) -> bool:
        """Whether the model declined to answer."""
        return self.kind is AnswerFault.REFUSAL


@dataclass(frozen=True)
class Asker:
    """Asks one model on behalf of the agents of one case."""

    caller: Caller
    seed: int
    max_tokens: int | None = None
    """Of one answer; the model's own limit unless given."""
    logprobs: bool = False
    """Whether log probabilities are asked for, of models that give them."""

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
        (answered,) = await self.ask_several(agent, messages, schema, rollouts=(rollout,), temperature=temperature)
        return answered

    async def ask_several(
        self,
        agent: str,
        messages: Sequence[BaseMessage],
        schema: type[T],
        *,
        rollouts: Sequence[int],
        temperature: float,
    ) -> list[Answered[T]]:
        """Ask one question several times over: in one request where the model takes that, else side by side.

        Args:
            agent: Who asks, for the trace.
            messages: What is sent, the same for all.
            schema: Shape of the answer.
            rollouts: Numbers of the askings; the first varies the seed.
            temperature: For models that sample.

        Raises:
            ModelUnavailable: The model could not be reached or did not answer in time.
        """
        # vLLM refuses `n` for an answer that is not drawn
        if len(rollouts) > 1 and (temperature == 0 or not self.caller.model.several):
            each = [self.ask_several(agent, messages, schema, rollouts=(r,), temperature=temperature) for r in rollouts]
            return [answered for several in await asyncio.gather(*each) for answered in several]
        options = self.options(schema, rollouts[0], temperature)
        try:
            called = await self.caller.call(agent, schema.__name__, messages, options, rollouts=rollouts)
        except BudgetExceeded as error:
            return [Answered(None, str(error)) for _ in rollouts]
        unasked = [Answered[T](None, "the budget of calls is used up") for _ in rollouts[len(called) :]]
        read = [
            self._read(agent, messages, schema, each, rollout, temperature)
            for each, rollout in zip(called, rollouts, strict=False)
        ]
        return [*await asyncio.gather(*read), *unasked]

    async def choose(
        self, agent: str, messages: Sequence[BaseMessage], choices: Sequence[str], *, rollout: int = 0
    ) -> Answered[Chosen]:
        """Ask for one of several texts; a model that can be held to a choice is.

        Args:
            agent: Who asks, for the trace.
            messages: What is sent; the choices should stand in it, for models that cannot be held to them.
            choices: What may be answered, to the letter.
            rollout: Which of several askings of the same question.

        Raises:
            UsageError: There is nothing to choose from.
            ModelUnavailable: The model could not be reached or did not answer in time.
        """
        if len(set(choices)) < 2 or len(set(choices)) < len(choices):
            raise UsageError(f"no choice between {list(choices)}; give at least two different texts")
        options = self._sampling(rollout, 0.0)
        if self.caller.model.choosing:
            options["structured_outputs"] = {"choice": list(choices)}
        try:
            (called,) = await self.caller.call(agent, Chosen.__name__, messages, options, rollouts=(rollout,))
        except BudgetExceeded as error:
            return Answered(None, str(error))
        said = called.reply.text.strip()
        if said in choices:
            return Answered(Chosen(text=said), logprobs=called.reply.logprobs)
        fault = f"the answer is none of {', '.join(map(repr, choices))}"
        self._refuse(agent, called.call, fault, AnswerFault.UNFIT, None, is_final=True)
        return Answered(None, fault, AnswerFault.UNFIT)

    async def choose_tool(
        self, agent: str, messages: Sequence[BaseMessage], tools: Sequence[Mapping[str, Any]], *, rollout: int = 0
    ) -> Answered[ToolChoice]:
        """Let a model that calls tools natively call one, or none; of several calls the first counts.

        Args:
            agent: Who asks, for the trace.
            messages: What is sent.
            tools: On offer, as OpenAI's protocol has them, each with one text `argument`.
            rollout: Which of several askings of the same question.

        Raises:
            ModelUnavailable: The model could not be reached or did not answer in time.
        """
        options = {**self._sampling(rollout, 0.0), "tools": list(tools)}
        try:
            (called,) = await self.caller.call(agent, ToolChoice.__name__, messages, options, rollouts=(rollout,))
        except BudgetExceeded as error:
            return Answered(None, str(error))
        reply = called.reply
        if reply.tool_calls:
            call = reply.tool_calls[0]
            argument = call["args"].get("argument")
            if isinstance(argument, str):
                return Answered(ToolChoice(tool=call["name"], argument=argument[:_LONGEST_ARGUMENT]))
        elif not reply.invalid_tool_calls:
            return Answered(ToolChoice(tool=None, why=reply.text[:400]))
        fault = "a tool is called without one text as its argument"
        self._refuse(agent, called.call, fault, AnswerFault.TOOL_CALL, None, is_final=True)
        return Answered(None, fault, AnswerFault.TOOL_CALL)

    def options(self, schema: type[BaseModel], rollout: int, temperature: float) -> dict[str, Any]:
        """Return the options of a call for an answer of the schema's shape."""
        options = self._sampling(rollout, temperature)
        if self.caller.model.constrained:
            options["response_format"] = response_format(schema)
        return options

    def _sampling(self, rollout: int, temperature: float) -> dict[str, Any]:
        model = self.caller.model
        options: dict[str, Any] = {}
        if model.sampled:
            options |= {"temperature": temperature, "seed": self.seed + rollout}
        if model.bounded and self.max_tokens is not None:
            options["max_tokens"] = self.max_tokens
        if model.bounded and self.logprobs:
            options["logprobs"] = True
        return options

    async def _read(
        self,
        agent: str,
        messages: Sequence[BaseMessage],
        schema: type[T],
        called: Called,
        rollout: int,
        temperature: float,
    ) -> Answered[T]:
        """Read an answer, and ask for it again where it cannot be read."""
        from langchain_core.messages import AIMessage, HumanMessage

        conversation = list(messages)
        for attempt in range(REPAIRS + 1):
            try:
                return Answered(_parsed(called.reply, schema), logprobs=called.reply.logprobs)
            except Unreadable as error:
                unread: Answered[T] = Answered(None, str(error), error.kind, error.quote)
            is_final = attempt == REPAIRS
            self._refuse(agent, called.call, unread.fault or "", unread.kind, unread.quote, is_final=is_final)
            if is_final:
                break
            repair = f"That could not be used: {unread.fault}. Answer again with one JSON object and nothing else."
            conversation += [AIMessage(content=_said(called.reply)[:_SENT_BACK]), HumanMessage(content=repair)]
            options = self.options(schema, rollout, temperature)
            try:
                (called,) = await self.caller.call(
                    agent, schema.__name__, conversation, options, rollouts=(rollout,), attempt=attempt + 1
                )
            except BudgetExceeded as error:
                return Answered(None, str(error))
        return unread

    def _refuse(
        self, agent: str, call: str, fault: str, kind: AnswerFault | None, quote: str | None, *, is_final: bool
    ) -> None:
        self.caller.recorder.record(
            AnswerRefused, call=call, agent=agent, fault=fault, final=is_final, kind=kind, quote=quote
        )


class Chosen(BaseModel):
    """One of several texts."""

    text: str


def _said(reply: Reply) -> str:
    return reply.text if reply.text.strip() or reply.refusal is None else reply.refusal


def _parsed(reply: Reply, schema: type[T]) -> T:
    if reply.refusal is not None and not reply.text.strip():
        raise Refused(quoted(reply.refusal))
    return parse_answer(reply.text, schema)


@cache
def response_format(schema: type[BaseModel]) -> dict[str, Any]:
    """Return the OpenAI `response_format` that holds decoding to a schema."""
    return {
        "type": "json_schema",
        "json_schema": {"name": schema.__name__, "schema": schema.model_json_schema(), "strict": True},
    }
