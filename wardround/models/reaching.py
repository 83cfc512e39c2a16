"""What a model is and can do, found out by asking: what its server serves, whether it sees, whether it calls tools."""

from __future__ import annotations

import asyncio
import base64
import difflib
import os
from dataclasses import dataclass, replace
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

from wardround.core.errors import ModelBusy, ModelError, ModelUnavailable, UsageError
from wardround.core.extras import require
from wardround.models.calling import ask_once
from wardround.models.handle import DEFAULT_BASE_URL, Endpoint, ModelHandle
from wardround.trace.events import ModelReached
from wardround.trace.recorder import Recorder

if TYPE_CHECKING:
    import httpx

_NAMED = 10
_QUOTED = 300

PROBE_TOOL = {
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


@dataclass(frozen=True)
class Served:
    """What a server says."""

    names: tuple[str, ...]
    """What it serves."""
    context: int | None
    """Tokens that the model in question reads and writes at most, where the server says so (vLLM does)."""


def record_reached(recorder: Recorder, model: ModelHandle, said: Served | None = None) -> None:
    """Record what is known of a model: what a replay of the run takes it for."""
    recorder.record(
        ModelReached,
        model=model.asked_as,
        constrained=model.constrained,
        sampled=model.sampled,
        several=model.several,
        choosing=model.choosing,
        bounded=model.bounded,
        served=said.names if said is not None else None,
        context=said.context if said is not None else None,
        tools=model.tools,
        images=model.images,
    )


class Reach:
    """Finds out once what a model can do, for all cases that share it.

    A probe is a call of one token. A server that refuses it with a fault of the request (400, 422 and their
    like) cannot do what was tried; any other failure is a failure.
    """

    def __init__(self, model: ModelHandle, *, seconds: float) -> None:
        self._model = model
        self._seconds = seconds
        self._lock = asyncio.Lock()
        self._served = Served(model.served, model.context) if model.served is not None else None
        self._is_reached = False

    async def model(self, *, images: bool, tools: bool) -> ModelHandle:
        """Return the model with what was asked about it found out.

        Args:
            images: Whether it has to be known if the model looks at images.
            tools: Whether it has to be known if the model calls tools natively.

        Raises:
            UsageError: The server serves another model; names it.
            ModelUnavailable: The server cannot be reached.
            ModelError: The server answers, but not as a model does.
        """
        async with self._lock:
            if not self._is_reached and self._model.endpoint is not None:
                self._served = await served(self._model.spec, self._model.endpoint, seconds=self._seconds)
            self._is_reached = True
            if images and self._model.images is None:
                self._model = replace(self._model, images=await self._takes(_picture(), {}))
            if tools and self._model.tools is None:
                self._model = replace(self._model, tools=await self._takes("Hello.", {"tools": [PROBE_TOOL]}))
            return self._model

    def record(self, recorder: Recorder, model: ModelHandle) -> None:
        """Record what is known of the model, and as what it is used."""
        record_reached(recorder, model, self._served)

    async def _takes(self, content: Any, options: dict[str, Any]) -> bool:
        from langchain_core.messages import HumanMessage

        short = {"max_tokens": 1} if self._model.bounded else {}
        try:
            await ask_once(self._model, [HumanMessage(content)], seconds=self._seconds, options={**options, **short})
        except (ModelBusy, ModelUnavailable):
            raise
        except UsageError:
            return False
        except ModelError as error:
            if _is_refusal(error.__cause__):
                return False
            raise
        return True


def _is_refusal(cause: BaseException | None) -> bool:
    """Whether a server said that the request itself is at fault; vLLM answers so to tools that are switched off."""
    status = getattr(cause, "status_code", None)
    if isinstance(status, int):
        return 400 <= status < 500 and status not in (401, 403, 404, 408, 429)
    return isinstance(cause, NotImplementedError | TypeError | ValueError)


@cache
def _picture_data() -> str:
    image = require("PIL.Image", extra="images").new("RGB", (64, 64), (128, 128, 128))
    written = BytesIO()
    image.save(written, "PNG")
    return base64.b64encode(written.getvalue()).decode("ascii")


def _picture() -> list[dict[str, Any]]:
    return [
        {"type": "image", "base64": _picture_data(), "mime_type": "image/png"},
        {"type": "text", "text": "Hello."},
    ]


async def served(spec: str, endpoint: Endpoint, *, seconds: float) -> Served | None:
    """Return what an OpenAI-compatible server lists, among which the model has to be.

    Nothing where the server has no list, as some have not (404, 405 or 501).

    Args:
        spec: Of the model, for messages.
        endpoint: Of the model.
        seconds: Time for it.

    Raises:
        ModelUnavailable: It cannot be reached.
        ModelError: It answers with something else than a list.
        UsageError: The address is none, or it lists other models; names them.
    """
    client_module = require("httpx", extra="openai")
    url = f"{endpoint.base_url.rstrip('/')}/models"
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
    if response.status_code in (404, 405, 501):
        return None
    names, context = _listed(spec, url, response, endpoint.name)
    if endpoint.name not in names:
        raise UsageError(f"{url} serves no {endpoint.name!r}; {_others(endpoint.name, names)}")
    return Served(names, context)


def _listed(spec: str, url: str, response: httpx.Response, name: str) -> tuple[tuple[str, ...], int | None]:
    if response.status_code != 200:
        raise ModelError(spec, f"{url} answers {response.status_code}: {short(response.text)}")
    try:
        entries = {str(entry["id"]): entry for entry in response.json()["data"]}
        context = entries.get(name, {}).get("max_model_len")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"{url} gives no list of models ({short(response.text)}); --base-url has to end where the API begins"
        raise ModelError(spec, what) from error
    return tuple(entries), context if isinstance(context, int) else None


def _others(name: str, names: tuple[str, ...]) -> str:
    if not names:
        return "it serves nothing; start it with a model"
    likeness = {other: difflib.SequenceMatcher(None, name, other).ratio() for other in names}
    near = sorted(names, key=lambda other: -likeness[other])[:_NAMED]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"it serves {', '.join(near)}{more}"


def short(text: str) -> str:
    """Return a text in one line that fits into a message."""
    line = " ".join(text.split())
    return line if len(line) <= _QUOTED else line[: _QUOTED - 3] + "..."
