"""A chat model with what has to be known to ask it well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from wardround.models.keeping import Calls


DEFAULT_BASE_URL = "http://127.0.0.1:8000/v1"
"""Where `vllm serve` listens."""


@dataclass(frozen=True)
class Endpoint:
    """An OpenAI-compatible server and the name by which it is asked for a model."""

    base_url: str
    name: str
    strict: bool
    """Whether its answers must bear that very name, as vLLM's do; some servers answer with a longer one."""


@dataclass(frozen=True)
class ModelHandle:
    """A model that can be asked."""

    spec: str
    """What the user asked for, such as `reference` or `vllm:NAME`."""
    chat: BaseChatModel
    constrained: bool
    """Whether it takes `response_format` with a JSON schema and decodes under it."""
    sampled: bool
    """Whether it takes `temperature` and `seed`."""
    bounded: bool = False
    """Whether it takes `max_tokens` and `logprobs`."""
    several: bool = False
    """Whether it takes `n`, so that several rollouts of one question are one request."""
    choosing: bool = False
    """Whether it takes vLLM's `structured_outputs`: a choice among texts, or a regular expression."""
    tools: bool | None = False
    """Whether it calls tools natively; nothing where that has to be found out."""
    images: bool | None = False
    """Whether it looks at images; nothing where that has to be found out."""
    endpoint: Endpoint | None = None
    """Its server, where there is one."""
    recorded: Calls | None = None
    """Answers are taken from here and nowhere else."""
    stands_for: str | None = None
    """Spec of the model whose recorded answers these are."""
    served: tuple[str, ...] | None = None
    context: int | None = None
    """What the server of that model was recorded to serve, and to read and write at most."""

    @property
    def asked_as(self) -> str:
        """Spec that requests are named by: a replayed model goes by the name of the model it replays."""
        return self.stands_for or self.spec
