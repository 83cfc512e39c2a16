"""Options of every command that asks a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from wardround.core.errors import UsageError

if TYPE_CHECKING:
    from wardround.models.local.settings import LocalSettings

LOCAL = "Models in this process (hf:)"
MODEL_HELP = "reference, vllm:NAME, openai:NAME, hf:PATH-or-ID, scripted:FILE or replay:RUN."

BaseUrl = Annotated[str | None, typer.Option(help="Of an OpenAI-compatible server.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps ...", rich_help_panel=LOCAL)]
Dtype = Annotated[
    Literal["auto", "float32", "bfloat16", "float16"],
    typer.Option(help="Number format of the weights.", rich_help_panel=LOCAL),
]
Quantisation = Annotated[
    Literal["8bit", "4bit"] | None, typer.Option(help="Of the weights, by bitsandbytes.", rich_help_panel=LOCAL)
]


def local_settings(
    model: str,
    *,
    device: str,
    dtype: Literal["auto", "float32", "bfloat16", "float16"],
    quantisation: Literal["8bit", "4bit"] | None,
) -> LocalSettings | None:
    """Return how an `hf:` model is loaded; nothing for others.

    Raises:
        UsageError: Something was said of it for a model that is not loaded here.
    """
    from wardround.models.local.settings import LocalSettings

    settings = LocalSettings(device=device, dtype=dtype, quantisation=quantisation)
    if model.startswith("hf:"):
        return settings
    if settings != LocalSettings():
        raise UsageError(f"--device, --dtype and --quantisation are for hf: models, not for {model}; take them out")
    return None
