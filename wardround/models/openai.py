"""Models behind an OpenAI-compatible server: vLLM and its like."""

from __future__ import annotations

import os

from langchain_core.language_models import BaseChatModel

from wardround.core.extras import require

DEFAULT_BASE_URL = "http://127.0.0.1:8000/v1"
"""Where `vllm serve` listens."""
RETRIES = 2
"""Of a call that failed on the way, with the client's exponential back-off and jitter."""


def openai_chat(name: str, *, base_url: str | None, timeout: float) -> BaseChatModel:
    """Return a chat model for a name that a server serves.

    Args:
        name: As the server calls it.
        base_url: Of the server's `/v1`; the default is vLLM's.
        timeout: Seconds for one call.

    Raises:
        MissingExtra: langchain-openai is not installed.
    """
    module = require("langchain_openai", extra="openai")
    httpx = require("httpx", extra="openai")
    # A kept connection belongs to the event loop that opened it, and every synchronous consult has its own.
    limits = httpx.Limits(max_keepalive_connections=0)
    chat: BaseChatModel = module.ChatOpenAI(
        model=name,
        base_url=base_url or DEFAULT_BASE_URL,
        api_key=os.environ.get("OPENAI_API_KEY", "none"),
        timeout=timeout,
        max_retries=RETRIES,
        http_async_client=httpx.AsyncClient(timeout=timeout, limits=limits),
    )
    return chat
