"""A chat model with what has to be known to ask it well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel


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
