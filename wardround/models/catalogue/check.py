"""Whether a model answers, and what it can do: asked, one thing at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from wardround.core.answers import TriageAnswer
from wardround.core.errors import ModelError, UsageError
from wardround.models.asking import REPAIRS, Asker
from wardround.models.budget import Budget, Meter
from wardround.models.calling import Caller, ask_once
from wardround.models.handle import ModelHandle
from wardround.models.keeping import Replies
from wardround.models.reaching import PROBE_TOOL, Reach, short
from wardround.models.requests import Options
from wardround.models.resolve import resolve
from wardround.models.slots import Slots
from wardround.trace.events import AnswerRefused, ModelAnswered, ModelReached
from wardround.trace.recorder import Recorder

if TYPE_CHECKING:
    from wardround.core.ports import Clinician
    from wardround.models.local.settings import LocalSettings

AGENT = "check"
QUESTION = (
    "A 30-year-old man has no complaints and comes for a routine check-up. How urgent is it? No specialty is needed."
)
"""Says nothing of JSON, so that a first answer of the right shape is the doing of constrained decoding."""
TOOL_QUESTION = "Look up the patient's potassium with the tool."
CHOICE_QUESTION = "Is 41 degrees Celsius a fever? Answer yes or no."
CHOICES = ("yes", "no")
_TOKENS = 16
"""Of answers that are looked at for something else than their words."""

Structured = Literal["held", "repaired", "failed"]
"""Shape right at once, right after it was told what was wrong, or never."""
Tools = Literal["called", "not called", "refused", "not taken"]
"""`refused`: the server answered with an error; `not taken`: the model has no way to be given tools."""
Ability = Literal["yes", "no", "not taken"]
"""`not taken`: such a thing is not asked of this kind of model."""


@dataclass(frozen=True)
class Checked:
    """What a check found."""

    spec: str
    base_url: str | None
    """Of the server; nothing for a model in this process."""
    served: tuple[str, ...] | None
    """What the server says it serves; nothing where it does not say."""
    context: int | None
    """Tokens that it reads and writes at most, where the server says so."""
    served_by: str | None
    """The name the model gave in its answer."""
    structured: Structured
    constrained: bool
    """Whether a JSON schema was sent along to hold the decoding to."""
    fault: str | None
    """Why there was no answer of the right shape."""
    tools: Tools
    tools_said: str | None
    """Arguments of the call, or what was said instead."""
    images: bool | None
    choice: Ability
    """Whether it can be held to a choice among texts."""
    logprobs: Ability
    several: Ability
    """Whether several answers can be had in one request."""
    repeats: bool
    """Whether the same question at temperature 0 with the same seed had the same answer again."""
    seconds: float
    """Of the question; with its repair, where there was one."""
    input_tokens: int | None
    output_tokens: int | None

    @property
    def usable(self) -> bool:
        """Whether a consult can get answers from it."""
        return self.structured != "failed"

    def to_json(self) -> dict[str, Any]:
        """Return all of it, and whether it is usable."""
        return {**asdict(self), "usable": self.usable}


async def check(
    spec: str,
    *,
    clinician: Clinician,
    base_url: str | None,
    seconds: float,
    local: LocalSettings | None = None,
    max_tokens: int | None = None,
) -> Checked:
    """Ask a model one question, and try what it can do.

    Args:
        spec: As `resolve` takes it.
        clinician: What the reference model thinks with.
        base_url: Of its server, which is asked first what it serves; the default is vLLM's.
        seconds: Time for each call.
        local: How `hf:` loads and runs a model.
        max_tokens: Of the answer to the question.

    Raises:
        UsageError: The spec or the address is wrong, or the server serves another model; says which.
        ModelUnavailable: The server cannot be reached or stays silent.
        ModelError: The server answers, but not as a model does.
    """
    model = resolve(spec, clinician=clinician, base_url=base_url, timeout=seconds, local=local)
    async with closing(model):
        reach = Reach(model, seconds=seconds)
        model = await reach.model(images=True, tools=False)
        asker = _asker(model, seconds, max_tokens)
        reach.record(asker.caller.recorder, model)
        answered = await asker.ask(AGENT, _messages(QUESTION), TriageAnswer)
        tools, tools_said = await _offer_tool(model, seconds)
        abilities = _Abilities(model, seconds)
        choice = await abilities.choice()
        logprobs = await abilities.logprobs()
        several = await abilities.several()
        repeats = await abilities.repeats()
    events = asker.caller.recorder.events
    answers = [event for event in events if isinstance(event, ModelAnswered)]
    refusals = [event for event in events if isinstance(event, AnswerRefused)]
    reached = next(event for event in events if isinstance(event, ModelReached))
    return Checked(
        spec=spec,
        base_url=model.endpoint.base_url if model.endpoint is not None else None,
        served=reached.served,
        context=reached.context,
        served_by=answers[-1].served_by,
        structured="failed" if answered.value is None else "repaired" if refusals else "held",
        constrained=model.constrained,
        fault=answered.fault,
        tools=tools,
        tools_said=tools_said,
        images=model.images,
        choice=choice,
        logprobs=logprobs,
        several=several,
        repeats=repeats,
        seconds=round(sum(event.seconds for event in answers), 3),
        input_tokens=answers[-1].input_tokens,
        output_tokens=answers[-1].output_tokens,
    )


@dataclass(frozen=True)
class _Abilities:
    """Tries one thing after the other; what a server refuses, or does not do, it cannot."""

    model: ModelHandle
    seconds: float

    async def choice(self) -> Ability:
        if not self.model.choosing:
            return "not taken"
        replies = await self._tried(CHOICE_QUESTION, {"structured_outputs": {"choice": list(CHOICES)}})
        return "yes" if replies is not None and replies[0].text in CHOICES else "no"

    async def logprobs(self) -> Ability:
        if not self.model.bounded:
            return "not taken"
        replies = await self._tried(QUESTION, {"logprobs": True, "max_tokens": _TOKENS})
        return "yes" if replies is not None and replies[0].logprobs else "no"

    async def several(self) -> Ability:
        if not self.model.several:
            return "not taken"
        replies = await self._tried(QUESTION, {"n": 2, "temperature": 1.0, "seed": 0, "max_tokens": _TOKENS})
        return "yes" if replies is not None else "no"

    async def repeats(self) -> bool:
        sampling = {"temperature": 0.0, "seed": 0} if self.model.sampled else {}
        options = sampling | ({"max_tokens": _TOKENS} if self.model.bounded else {})
        both = [await self._tried(QUESTION, options) for _ in range(2)]
        return both[0] is not None and both[1] is not None and both[0][0].text == both[1][0].text

    async def _tried(self, question: str, options: Options) -> Replies | None:
        try:
            return await ask_once(self.model, _messages(question), seconds=self.seconds, options=options)
        except (ModelError, UsageError):
            return None


def _asker(model: ModelHandle, seconds: float, max_tokens: int | None) -> Asker:
    recorder = Recorder("run_check")
    meter = Meter(Budget(calls=1 + REPAIRS), recorder.clock)
    caller = Caller(model, recorder, meter, Slots(1), timeout=seconds, attempts=1)
    return Asker(caller, seed=0, max_tokens=max_tokens)


def _messages(text: str) -> list[Any]:
    from langchain_core.messages import HumanMessage

    return [HumanMessage(content=text)]


async def _offer_tool(model: ModelHandle, seconds: float) -> tuple[Tools, str | None]:
    """Offer the tool; a server that refuses is a finding here, since tools have to be switched on in many."""
    options = {"tools": [PROBE_TOOL]} | ({"max_tokens": 10 * _TOKENS} if model.bounded else {})
    try:
        (reply,) = await ask_once(model, _messages(TOOL_QUESTION), seconds=seconds, options=options)
    except UsageError:
        return "not taken", None
    except ModelError as error:
        return "refused", short(error.what)
    if reply.tool_calls:
        call = reply.tool_calls[0]
        return "called", short(f"{call['name']}({call['args']})")
    return "not called", short(reply.text)


@asynccontextmanager
async def closing(model: ModelHandle) -> AsyncIterator[None]:
    """Close the connections of a model behind a server, which belong to this event loop."""
    try:
        yield
    finally:
        client = getattr(model.chat, "root_async_client", None)
        if client is not None:
            await client.close()
