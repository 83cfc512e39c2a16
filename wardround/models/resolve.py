"""From a model spec to a model that can be asked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wardround.core.errors import UsageError
from wardround.core.ports import Clinician
from wardround.models.handle import ModelHandle

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

SPECS = "reference, vllm:NAME, openai:NAME or scripted:FILE"


def resolve(
    model: str | BaseChatModel, *, clinician: Clinician, base_url: str | None = None, timeout: float = 120.0
) -> ModelHandle:
    """Return the model that a spec names, or wrap one that the caller brings.

    Args:
        model: A spec, or any LangChain chat model; the latter gets its schema in the prompt alone.
        clinician: What the reference model thinks with.
        base_url: Of an OpenAI-compatible server.
        timeout: Seconds for one call.

    Raises:
        UsageError: The spec names no kind of model.
    """
    if not isinstance(model, str):
        return ModelHandle(f"given:{type(model).__name__}", model, constrained=False, sampled=False)
    kind, _, name = model.partition(":")
    if model == "reference":
        from wardround.models.reference import ReferenceChatModel

        chat = ReferenceChatModel(clinician=clinician)
        return ModelHandle(model, chat, constrained=True, sampled=True)
    if kind in ("vllm", "openai") and name:
        from wardround.models.openai import openai_chat

        chat_model = openai_chat(name, base_url=base_url, timeout=timeout)
        return ModelHandle(model, chat_model, constrained=True, sampled=True)
    if kind == "scripted" and name:
        from wardround.models.scripted import ScriptedChatModel

        script = ScriptedChatModel.from_file(Path(name))
        return ModelHandle(model, script, constrained=True, sampled=False)
    raise UsageError(f"no model {model!r}; write {SPECS}")
