"""Calling a model: counted, limited, tried again where that can help, recorded, kept."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wardround.core.errors import ContextExceeded, ModelBusy, ModelError, ModelUnavailable, UsageError
from wardround.core.frozen import content_id
from wardround.models.budget import Meter
from wardround.models.handle import ModelHandle
from wardround.models.images import Pictures
from wardround.models.keeping import Calls, Replies
from wardround.models.requests import Options, Reply, Request, reply_of, request_of
from wardround.models.slots import Slots
from wardround.trace.events import ModelAnswered, ModelAsked, Origin, SpanKind
from wardround.trace.recorder import Recorder

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage, BaseMessage
    from tenacity import RetryCallState

ATTEMPTS = 3
"""How often a call is made at most where the server is busy or not there."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 20.0
"""Seconds before the second attempt, doubled for each further one; each wait is drawn between zero and that."""

_UNREACHED = frozenset(("APIConnectionError", "APITimeoutError", "ConnectError", "TransportError"))
_CUT_SHORT = {"LengthFinishReasonError": "length", "ContentFilterFinishReasonError": "content_filter"}
_BUSY = frozenset((429, 502, 503, 504))
_TOO_LONG = re.compile(r"context[ _](length|window|size)|maximum model length|too long to fit|prompt is too long", re.I)
"""How vLLM, llama.cpp and OpenAI say that a prompt does not fit."""

Heard = Callable[[str, str], None]
"""Told of the agent and of each piece of an answer as it is written."""


@dataclass(frozen=True)
class Called:
    """One answer and the name of its call in the log."""

    call: str
    reply: Reply


@dataclass(frozen=True)
class Caller:
    """Calls one model on behalf of the agents of one run."""

    model: ModelHandle
    recorder: Recorder
    meter: Meter
    slots: Slots
    """Limits calls under way, shared by all cases that use the model."""
    timeout: float
    """Seconds for one call, waiting for a slot not counted."""
    kept: tuple[Calls, ...] = ()
    """Asked for an answer before the model is, and told of what the model answered."""
    pictures: Pictures = field(default_factory=Pictures)
    """Images that messages refer to."""
    heard: Heard | None = None
    attempts: int = ATTEMPTS

    async def call(
        self,
        agent: str,
        answer: str,
        messages: Sequence[BaseMessage],
        options: Options,
        *,
        rollouts: Sequence[int] = (0,),
        attempt: int = 0,
    ) -> tuple[Called, ...]:
        """Send messages and return one answer for each rollout, fewer where the budget allows no more.

        Args:
            agent: Who asks, for the log.
            answer: What is asked for, for the log.
            messages: With images by reference.
            options: See `models.requests.Options`.
            rollouts: Several are one request with `n`, which the model must take.
            attempt: Which try of the same question this is, from 0.

        Raises:
            BudgetExceeded: Nothing is left to spend.
            ModelUnavailable: No answer in time, or no connection.
            ContextExceeded: What was sent is longer than the model can read.
            NotRecorded: A recording is asked what it does not hold.
            ModelError: The model failed in another way.
        """
        options, request = self._request(messages, options, rollouts)
        logged = self._found(request, (Origin.LOG,))
        granted = len(rollouts) if logged is not None else self.meter.take(len(rollouts))
        if granted < len(rollouts):
            rollouts = tuple(rollouts)[:granted]
            options, request = self._request(messages, options, rollouts)
            logged = self._found(request, (Origin.LOG,))
        with self.recorder.span(f"{agent} {answer}", SpanKind.MODEL):
            calls = [self._asked(agent, answer, request, rollout, attempt) for rollout in rollouts]
            started = self.recorder.clock.monotonic()
            replies, origin = logged or await self._answered(agent, request, messages, options)
            seconds = round(self.recorder.clock.monotonic() - started, 6)
            for call, reply in zip(calls, replies, strict=True):
                if origin is not Origin.LOG:
                    self.meter.answered(reply.input_tokens or 0, reply.output_tokens or 0)
                self._record(call, reply, origin, seconds)
        return tuple(Called(call, reply) for call, reply in zip(calls, replies, strict=True))

    def _asked(self, agent: str, answer: str, request: Request, rollout: int, attempt: int) -> str:
        call = content_id("call", agent, answer, rollout, attempt, request.messages)
        self.recorder.record(
            ModelAsked,
            call=call,
            agent=agent,
            model=self.model.spec,
            answer=answer,
            rollout=rollout,
            attempt=attempt,
            messages=request.messages,
            request=request.key,
            options=request.options,
        )
        return call

    def _record(self, call: str, reply: Reply, origin: Origin, seconds: float) -> None:
        self.recorder.record(
            ModelAnswered,
            call=call,
            text=reply.text,
            served_by=reply.served_by,
            input_tokens=reply.input_tokens,
            output_tokens=reply.output_tokens,
            seconds=seconds,
            origin=origin,
            finish=reply.finish,
            refusal=reply.refusal,
            tool_calls=reply.tool_calls,
            invalid_tool_calls=reply.invalid_tool_calls,
            logprobs=reply.logprobs,
        )

    def _request(
        self, messages: Sequence[BaseMessage], options: Options, rollouts: Sequence[int]
    ) -> tuple[Options, Request]:
        rest = {name: value for name, value in options.items() if name != "n"}
        whole = {**rest, "n": len(rollouts)} if len(rollouts) > 1 else rest
        return whole, request_of(self.model.asked_as, messages, whole, rollouts)

    @property
    def _stores(self) -> tuple[Calls, ...]:
        return (self.model.recorded, *self.kept) if self.model.recorded is not None else self.kept

    def _found(self, request: Request, origins: Container[Origin]) -> tuple[Replies, Origin] | None:
        for store in self._stores:
            found = store.find(request) if store.origin in origins else None
            if found is not None:
                return found, store.origin
        return None

    async def _answered(
        self, agent: str, request: Request, messages: Sequence[BaseMessage], options: Options
    ) -> tuple[Replies, Origin]:
        found = self._found(request, (Origin.EDIT, Origin.CASSETTE, Origin.CACHE, Origin.REPLAY))
        if found is not None:
            return found
        replies = await self._live(agent, messages, options)
        for store in self._stores:
            store.keep(request, replies)
        return replies, Origin.LIVE

    async def _live(self, agent: str, messages: Sequence[BaseMessage], options: Options) -> Replies:
        from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt

        sent = self.pictures.inflate(messages)
        heard = self.heard
        told = None if heard is None or options.get("n", 1) > 1 else lambda piece: heard(agent, piece)
        again = AsyncRetrying(
            retry=retry_if_exception_type(ModelUnavailable),
            stop=stop_after_attempt(self.attempts),
            wait=_wait,
            reraise=True,
        )
        async for attempt in again:
            with attempt:
                return await self._once(sent, options, told)
        raise AssertionError("the last attempt returns or raises")

    async def _once(
        self, messages: Sequence[BaseMessage], options: Options, told: Callable[[str], None] | None
    ) -> Replies:
        async with self.slots.taken() as slot:
            try:
                replies = await ask_once(self.model, messages, seconds=self.timeout, options=options, told=told)
            except ModelUnavailable:
                self.slots.overloaded(slot)
                raise
            self.slots.went_well()
            return replies


async def ask_once(
    model: ModelHandle,
    messages: Sequence[BaseMessage],
    *,
    seconds: float,
    options: Options,
    told: Callable[[str], None] | None = None,
) -> Replies:
    """Send messages to a model once and return its answers, one unless `n` says more.

    Args:
        model: What is asked.
        messages: What is sent.
        seconds: How long to wait.
        options: Keyword arguments of the call.
        told: Told of each piece of the answer as it is written; the model is then asked to stream.

    Raises:
        ModelUnavailable: No answer in time, or no connection.
        ContextExceeded: What was sent is longer than the model can read.
        UsageError: The model takes no tools.
        ModelError: The model failed in another way, or another one answered.
    """
    spec = model.spec
    try:
        async with asyncio.timeout(seconds):
            answers = await _messages(model, messages, options, told)
    except TimeoutError as error:
        raise ModelUnavailable(spec, f"no answer within {seconds:g} s; raise the time-out or lower the load") from error
    except (ModelError, UsageError):
        raise
    except Exception as error:
        cut_short = _cut_short(error)
        if cut_short is None:
            raise _as_model_error(spec, error) from error
        answers = [cut_short]
    wanted = options.get("n", 1)
    if len(answers) != wanted:
        raise ModelError(spec, f"{wanted} answers were asked for and {len(answers)} came")
    replies = tuple(reply_of(answer) for answer in answers)
    _same_model(model, replies)
    return replies


async def _messages(
    model: ModelHandle, messages: Sequence[BaseMessage], options: Options, told: Callable[[str], None] | None
) -> list[AIMessage]:
    bound = _bound(model, options)
    if told is not None:
        return [await _streamed(model, messages, bound, told)]
    result = await model.chat.agenerate([list(messages)], **bound)
    return [generation.message for generation in result.generations[0]]  # type: ignore[union-attr,misc]


def _bound(model: ModelHandle, options: Options) -> dict[str, Any]:
    """Return options as the model takes them: each provider has its own way to be given tools."""
    rest = {name: value for name, value in options.items() if name not in ("tools", "tool_choice")}
    if not options.get("tools"):
        return rest
    return {**tools_bound(model, options["tools"], options.get("tool_choice")), **rest}


def tools_bound(model: ModelHandle, tools: Sequence[Mapping[str, Any]], choice: str | None = None) -> dict[str, Any]:
    """Return the keyword arguments by which a model is given tools.

    Raises:
        UsageError: It takes none.
    """
    chosen: dict[str, Any] = {"tool_choice": choice} if choice is not None else {}
    try:
        bound: Any = model.chat.bind_tools([dict(tool) for tool in tools], **chosen)
    except NotImplementedError as error:
        raise UsageError(f"model {model.spec} takes no tool calls; use the json protocol") from error
    return dict(bound.kwargs)


async def _streamed(
    model: ModelHandle, messages: Sequence[BaseMessage], bound: Mapping[str, Any], told: Callable[[str], None]
) -> AIMessage:
    from langchain_core.messages import AIMessage, message_chunk_to_message

    whole: Any = None
    async for chunk in model.chat.astream(list(messages), **bound):
        whole = chunk if whole is None else whole + chunk
        if chunk.text:
            told(str(chunk.text))
    if whole is None:
        raise ModelError(model.spec, "the stream ended before it began")
    message = message_chunk_to_message(whole)
    if not isinstance(message, AIMessage):
        raise ModelError(model.spec, f"a {message.type} message came in place of an answer")
    return message


def _same_model(model: ModelHandle, replies: Replies) -> None:
    endpoint = model.endpoint
    if endpoint is None or not endpoint.strict:
        return
    others = {reply.served_by for reply in replies} - {endpoint.name, None}
    if others:
        raise ModelError(model.spec, f"the server answered as {', '.join(map(str, others))}, which was not asked for")


def _as_model_error(spec: str, error: Exception) -> ModelError:
    """Tell apart what is too long, a server that is not there or busy, and one that refuses; the cause stays."""
    from langchain_core.exceptions import ContextOverflowError

    names = {kind.__name__ for kind in type(error).__mro__}
    status = getattr(error, "status_code", None)
    if isinstance(error, ContextOverflowError) or _TOO_LONG.search(str(error)):
        return ContextExceeded(spec, f"what was sent does not fit ({error})")
    if status in _BUSY:
        return ModelBusy(spec, f"the server has too much to do ({error}); lower --concurrency", _asked_to_wait(error))
    if isinstance(error, OSError) or names & _UNREACHED:
        return ModelUnavailable(spec, f"cannot be reached ({error}); is the server running, and is --base-url right?")
    return ModelError(spec, f"{type(error).__name__}: {error}")


def _cut_short(error: Exception) -> AIMessage | None:
    """Return what there is of an answer that ran into a limit or a filter, which OpenAI's client raises as an error.

    The model was there and said nothing usable: that is no opinion, not a failure of the call.
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    finish = next((finish for name, finish in _CUT_SHORT.items() if name in names), None)
    if finish is None:
        return None
    from langchain_core.messages import AIMessage

    completion: Any = getattr(error, "completion", None)
    if completion is None:
        return AIMessage(content="", response_metadata={"finish_reason": finish})
    message = AIMessage(
        content=completion.choices[0].message.content or "",
        response_metadata={"finish_reason": finish, "model_name": completion.model},
    )
    if completion.usage is not None:
        message.usage_metadata = {
            "input_tokens": completion.usage.prompt_tokens,
            "output_tokens": completion.usage.completion_tokens,
            "total_tokens": completion.usage.total_tokens,
        }
    return message


def _asked_to_wait(error: Exception) -> float | None:
    """Seconds of a `Retry-After` header, where there is one that names seconds."""
    headers: Any = getattr(getattr(error, "response", None), "headers", {})
    try:
        seconds = float(headers.get("retry-after"))
    except (TypeError, ValueError):
        return None
    return seconds if math.isfinite(seconds) else None


def _wait(state: RetryCallState) -> float:
    """Seconds until the next attempt: what the server asks for, or a draw from a doubling range."""
    from tenacity import wait_random_exponential

    error = state.outcome.exception() if state.outcome is not None else None
    if isinstance(error, ModelBusy) and error.wait is not None:
        return min(max(error.wait, 0.0), LONGEST_WAIT)
    return wait_random_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT)(state)
