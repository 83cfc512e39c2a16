"""What follows from the catalogue for serving a model: memory of its weights and the command lines."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any

from wardround.models.catalogue.facts import CatalogueModel

BYTES = {"bf16": 2.0, "int8": 1.0, "int4": 0.5}
"""Per parameter. What a quantisation adds for scales and what it leaves in bf16 is not in it."""
GIB = 2.0**30


@dataclass(frozen=True)
class Memory:
    """Memory of the weights alone, computed; key-value cache, activations and the server come on top."""

    dtype: str
    gib: float
    formula: str
    """Parameters x bytes for each / 2^30."""

    def to_json(self) -> dict[str, Any]:
        """Return it with its formula, marked as computed."""
        return {"dtype": self.dtype, "gib": self.gib, "formula": self.formula, "computed": True}


def memory(model: CatalogueModel) -> tuple[Memory, ...]:
    """Return the memory of the weights by number format; nothing where the number of parameters is unknown.

    The formula is parameters x bytes for each / 2^30, with one decimal.
    """
    billions = model.facts["parameters"].value
    if billions is None:
        return ()
    return tuple(
        Memory(
            dtype,
            round(billions * 1e9 * size / GIB, 1),
            f"{billions:g}e9 x {size:g} / 2^30",
        )
        for dtype, size in BYTES.items()
    )


def serve_command(model: CatalogueModel) -> str | None:
    """Return the `vllm serve` line; nothing where vLLM is not known to serve it or there is no id to give it.

    Flags for tool calls are in it where the name of a parser is known.
    """
    served = model.facts["vllm"].value
    if served not in ("yes", "needs flags") or not model.is_hub_id:
        return None
    words = ["vllm", "serve", model.id]
    if model.folders:
        words = ["vllm", "serve", "FOLDER_OF_ONE_CHECKPOINT", "--served-model-name", model.id]
    words += model.facts["serve_flags"].value or ()
    parser = model.facts["tool_calls"].value
    if parser not in (None, "none"):
        words += ["--enable-auto-tool-choice", "--tool-call-parser", parser]
    return shlex.join(words)


def consult_command(model: CatalogueModel) -> str:
    """Return the line that consults a case with it: behind vLLM, or behind a server that somebody wrote for it."""
    words = ["wardround", "consult", "CASE", "--model"]
    if serve_command(model) is not None:
        return shlex.join([*words, f"vllm:{model.id}"])
    return shlex.join([*words, f"openai:{model.id}", "--base-url", "URL"])
