"""Whether a model answers: what its server serves, one question of a given shape, one tool to call."""

from __future__ import annotations

import asyncio
import difflib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from wardround.core.answers import TriageAnswer
from wardround.core.errors import ModelError, ModelUnavailable, UsageError
from wardround.core.extras import require
from wardround.models.asking import REPAIRS, Asker
from wardround.models.budget import Budget, Meter
from wardround.models.handle import ModelHandle
from wardround.models.openai import DEFAULT_BASE_URL
from wardround.models.resolve import resolve
from wardround.trace.events import AnswerRefused, ModelAnswered
from wardround.trace.recorder import Recorder

if TYPE_CHECKING:
    import httpx

    from wardround.core.ports import Clinician

AGENT = "check"
QUESTION = (
    "A 30-year-old man has no complaints and comes for a routine check-up. How urgent is it? No specialty is needed."
)
"""Says nothing of JSON, so that a first answer of the right shape is the doing of constrained decoding."""
TOOL_QUESTION = "Look up the patient's potassium with the tool."
TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Returns the latest value of a laboratory test of the patient.",
        "parameters": {
            "type": "object",
            "properties": {"test": {"type": "string", "description": "Name of the test."}},
            "required": ["test"],
        },
    },
}
_NAMED = 10
_QUOTED = 300

Structured = Literal["held", "repaired", "failed"]
"""Shape right at once, right after it was told what was wrong, or never."""
Tools = Literal["called", "not called", "refused", "not taken"]
"""`refused`: the server answered with an error; `not taken`: the model has no way to be given tools."""


@dataclass(frozen=True)
class Checked:
    """What a check found."""

    spec: str
    base_url: str | None
    """Of the server; nothing for a model in this process."""
    served: tuple[str, ...] | None
    """What the server says it serves."""
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


async def check(spec: str, *, clinician: Clinician, base_url: str | None, seconds: float) -> Checked:
    """Ask a model one question and offer it one tool.

    Args:
        spec: As `resolve` takes it.
        clinician: What the reference model thinks with.
        base_url: Of its server, which is asked first what it serves; the default is vLLM's.
        seconds: Time for each call.

    Raises:
        UsageError: The spec or the address is wrong, or the server serves another model; says which.
        ModelUnavailable: The server cannot be reached or stays silent.
        ModelError: The server answers, but not as a model does.
    """
    url, served = None, None
    kind, _, name = spec.partition(":")
    if kind in ("vllm", "openai") and name:
        url = base_url or DEFAULT_BASE_URL
        served = await served_models(spec, name, base_url=url, seconds=seconds)
    model = resolve(spec, clinician=clinician, base_url=base_url, timeout=seconds)
    async with _closing(model):
        asker = _asker(model, seconds)
        answered = await asker.ask(AGENT, _messages(QUESTION), TriageAnswer)
        tools, tools_said = await _offer_tool(model, seconds)
    answers = [event for event in asker.recorder.events if isinstance(event, ModelAnswered)]
    refusals = [event for event in asker.recorder.events if isinstance(event, AnswerRefused)]
    return Checked(
        spec=spec,
        base_url=url,
        served=served,
        served_by=answers[-1].served_by,
        structured="failed" if answered.value is None else "repaired" if refusals else "held",
        constrained=model.constrained,
        fault=answered.fault,
        tools=tools,
        tools_said=tools_said,
        seconds=round(sum(event.seconds for event in answers), 3),
        input_tokens=answers[-1].input_tokens,
        output_tokens=answers[-1].output_tokens,
    )


async def served_models(spec: str, name: str, *, base_url: str, seconds: float) -> tuple[str, ...]:
    """Return the ids that an OpenAI-compatible server lists, among which a name has to be.

    Args:
        spec: Of the model, for messages.
        name: As the server must know it.
        base_url: Of the server's `/v1`.
        seconds: Time for it.

    Raises:
        ModelUnavailable: It cannot be reached.
        ModelError: It gives no list.
        UsageError: The address is none, or it lists other models; names them.
    """
    client_module = require("httpx", extra="openai")
    url = f"{base_url.rstrip('/')}/models"
    headers = {"Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY', 'none')}"}
    try:
        async with client_module.AsyncClient(timeout=seconds) as client:
            response = await client.get(url, headers=headers)
    except (client_module.InvalidURL, client_module.UnsupportedProtocol) as error:
        what = f"{url} is no address ({error}); give --base-url such as {DEFAULT_BASE_URL}"
        raise UsageError(what) from error
    except client_module.HTTPError as error:
        why = str(error) or type(error).__name__
        what = f"{url} cannot be reached ({why}); is the server running, and is --base-url right?"
        raise ModelUnavailable(spec, what) from error
    served = _ids(spec, url, response)
    if name not in served:
        raise UsageError(f"{url} serves no {name!r}; {_others(name, served)}")
    return served


def _ids(spec: str, url: str, response: httpx.Response) -> tuple[str, ...]:
    if response.status_code != 200:
        raise ModelError(spec, f"{url} answers {response.status_code}: {_short(response.text)}")
    try:
        return tuple(str(entry["id"]) for entry in response.json()["data"])
    except (ValueError, KeyError, TypeError) as error:
        what = f"{url} gives no list of models ({_short(response.text)}); --base-url has to end where the API begins"
        raise ModelError(spec, what) from error


def _others(name: str, served: tuple[str, ...]) -> str:
    if not served:
        return "it serves nothing; start it with a model"
    likeness = {other: difflib.SequenceMatcher(None, name, other).ratio() for other in served}
    near = sorted(served, key=lambda other: -likeness[other])[:_NAMED]
    more = f" and {len(served) - _NAMED} more" if len(served) > _NAMED else ""
    return f"it serves {', '.join(near)}{more}"


def _asker(model: ModelHandle, seconds: float) -> Asker:
    recorder = Recorder("run_check")
    meter = Meter(Budget(calls=1 + REPAIRS), recorder.clock)
    return Asker(model, recorder, meter, asyncio.Semaphore(1), timeout=seconds, seed=0)


def _messages(text: str) -> list[Any]:
    from langchain_core.messages import HumanMessage

    return [HumanMessage(content=text)]


async def _offer_tool(model: ModelHandle, seconds: float) -> tuple[Tools, str | None]:
    """Offer the tool; a server that refuses is a finding here, since tools have to be switched on in many."""
    try:
        bound = model.chat.bind_tools([TOOL])
    except NotImplementedError:
        return "not taken", None
    try:
        async with asyncio.timeout(seconds):
            reply = await bound.ainvoke(_messages(TOOL_QUESTION))
    except TimeoutError:
        return "refused", f"no answer within {seconds:g} s"
    except Exception as error:
        return "refused", _short(f"{type(error).__name__}: {error}")
    if reply.tool_calls:
        call = reply.tool_calls[0]
        return "called", _short(f"{call['name']}({call['args']})")
    return "not called", _short(reply.text)


@asynccontextmanager
async def _closing(model: ModelHandle) -> AsyncIterator[None]:
    """Close the connections of a model behind a server, which belong to this event loop."""
    try:
        yield
    finally:
        client = getattr(model.chat, "root_async_client", None)
        if client is not None:
            await client.close()


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _QUOTED else line[: _QUOTED - 3] + "..."
