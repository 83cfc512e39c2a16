"""How a model in this process is run."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from wardround.core.frozen import Frozen

DEFAULT_CONTEXT = 8192
"""Tokens of one request where none are given. The memory for them is set aside in the sum before loading, and the
limits that models declare (131,072 and more) would fill a card with room that no case needs."""


class LocalSettings(Frozen):
    """Where and how a model is loaded, and how many requests run together."""

    device: str = "auto"
    """As torch names it, such as `cpu` or `cuda:1`; `auto` takes CUDA before MPS before the CPU."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Of the weights; `auto` is the one they are stored in."""
    quantisation: Literal["8bit", "4bit"] | None = None
    """By bitsandbytes while loading; needs CUDA and the extra `quantised`."""
    batch: int = Field(default=16, ge=1)
    """Answers decoded together at most."""
    gather: float = Field(default=0.01, ge=0)
    """Seconds that a request waits for company."""
    context: int | None = Field(default=None, ge=2)
    """Tokens of one request at most, prompt and answer together; none is what the model can read, but no more
    than 8192."""
    trust_remote_code: bool = False
    """Whether Python files of the model's folder may run, with the rights of this process."""
