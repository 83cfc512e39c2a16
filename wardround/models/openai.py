"""Models behind an OpenAI-compatible server: vLLM and its like.

Imported where a server is asked for, since langchain-openai takes seconds to import.
"""

from __future__ import annotations

import os
from typing import Any

import httpx
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatResult
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from wardround.core.errors import UsageError
from wardround.models.handle import DEFAULT_BASE_URL

_BODY = ("response_format", "structured_outputs")
"""Options that go into the body as they are.

The client would answer a `response_format` by parsing, and raise where the answer was cut off; and it does not
know vLLM's `structured_outputs`.
"""


class OpenAIChat(ChatOpenAI):
    """langchain-openai's chat model, with `n` answers told apart and constraints of decoding sent as they are."""

    def _get_request_payload(self, input_: Any, *, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        body = {name: kwargs.pop(name) for name in _BODY if name in kwargs}
        payload: dict[str, Any] = super()._get_request_payload(input_, stop=stop, **kwargs)
        if body:
            payload["extra_body"] = {**(payload.get("extra_body") or {}), **body}
        return payload

    def _create_chat_result(self, response: Any, generation_info: dict[str, Any] | None = None) -> ChatResult:
        """Return the answers, each with its own ending and log probabilities.

        The base class shares one set of both among all; and it counts the tokens of all of them on each, where
        here the first has them and the others none.
        """
        choices = getattr(response, "choices", None)
        if not choices or len(choices) == 1:
            return _named(super()._create_chat_result(response, generation_info))
        generations = []
        for n, choice in enumerate(choices):
            single = response.model_copy(update={"choices": [choice]})
            result = _named(super()._create_chat_result(single, dict(generation_info or {})))
            (generation,) = result.generations
            if n and response.usage is not None and isinstance(generation.message, AIMessage):
                generation.message.usage_metadata = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
            generations.append(generation)
        return ChatResult(generations=generations, llm_output=result.llm_output)


def _named(result: ChatResult) -> ChatResult:
    """Put what the server says it served on each answer."""
    name = (result.llm_output or {}).get("model_name")
    for generation in result.generations:
        generation.message.response_metadata = {**generation.message.response_metadata, "model_name": name}
    return result


def openai_chat(name: str, *, base_url: str, timeout: float, kind: type[OpenAIChat] = OpenAIChat) -> BaseChatModel:
    """Return a chat model for a name that a server serves.

    Args:
        name: As the server calls it.
        base_url: Of the server's `/v1`.
        timeout: Seconds for one call.
        kind: Of the server.

    Raises:
        UsageError: The base URL is no address.
    """
    try:
        httpx.URL(base_url)
    except httpx.InvalidURL as error:
        what = f"{base_url} is no address ({error}); give --base-url such as {DEFAULT_BASE_URL}"
        raise UsageError(what) from error
    # A kept connection belongs to the event loop that opened it, and every synchronous consult has its own.
    limits = httpx.Limits(max_keepalive_connections=0)
    chat: BaseChatModel = kind(
        model=name,
        base_url=base_url,
        api_key=SecretStr(os.environ.get("OPENAI_API_KEY", "none")),
        timeout=timeout,
        max_retries=0,  # tried again by the caller, which also lowers the load
        stream_usage=True,
        http_async_client=httpx.AsyncClient(timeout=timeout, limits=limits),
    )
    return chat
