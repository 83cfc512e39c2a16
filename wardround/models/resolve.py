"""From a model spec to a model that can be asked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wardround.core.errors import UsageError
from wardround.core.extras import require
from wardround.core.ports import Clinician
from wardround.models.handle import DEFAULT_BASE_URL, Endpoint, ModelHandle
from wardround.models.local.settings import LocalSettings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

SPECS = "reference, vllm:NAME, openai:NAME, hf:PATH-or-ID, scripted:FILE or replay:RUN"


def resolve(
    model: str | BaseChatModel | ModelHandle,
    *,
    clinician: Clinician,
    base_url: str | None = None,
    timeout: float = 120.0,
    workspace: Path | str | None = None,
    local: LocalSettings | None = None,
) -> ModelHandle:
    """Return the model that a spec names, or wrap one that the caller brings.

    Args:
        model: A spec, or any LangChain chat model; the latter gets its schema in the prompt alone. A handle,
            which says what a model can do, is returned as it is.
        clinician: What the reference model thinks with.
        base_url: Of an OpenAI-compatible server.
        timeout: Seconds for one call.
        workspace: Where the run of `replay:RUN` is kept.
        local: How `hf:` loads and runs a model.

    Raises:
        UsageError: The spec names no kind of model, or no run.
        ModelUnavailable: A local model cannot be loaded.
    """
    if isinstance(model, ModelHandle):
        return model
    if not isinstance(model, str):
        spec = f"given:{type(model).__name__}"
        return ModelHandle(spec, model, constrained=False, sampled=False, images=None)
    kind, _, name = model.partition(":")
    if model == "reference":
        from wardround.models.reference import ReferenceChatModel

        chat = ReferenceChatModel(clinician=clinician)
        return ModelHandle(model, chat, constrained=True, sampled=True)
    if kind in ("vllm", "openai") and name:
        return _served(model, name, base_url or DEFAULT_BASE_URL, timeout, is_vllm=kind == "vllm")
    if kind == "hf" and name:
        return _local(model, name, local or LocalSettings())
    if kind == "scripted" and name:
        from wardround.models.scripted import ScriptedChatModel

        script = ScriptedChatModel.from_file(Path(name))
        return ModelHandle(model, script, constrained=True, sampled=False)
    if kind == "replay" and name:
        from wardround.models.replay import replayed

        if workspace is None:
            raise UsageError(f"{model} needs the workspace that holds the run; give workspace=DIR")
        return replayed(name, workspace)
    raise UsageError(f"no model {model!r}; write {SPECS}")


def _served(spec: str, name: str, base_url: str, timeout: float, *, is_vllm: bool) -> ModelHandle:
    require("langchain_openai", extra="openai")
    from wardround.models.openai import OpenAIChat, openai_chat
    from wardround.models.vllm import VllmChat

    return ModelHandle(
        spec,
        openai_chat(name, base_url=base_url, timeout=timeout, kind=VllmChat if is_vllm else OpenAIChat),
        constrained=True,
        sampled=True,
        bounded=True,
        several=is_vllm,
        choosing=is_vllm,
        tools=None,
        images=None,
        endpoint=Endpoint(base_url, name, strict=is_vllm),
    )


def _local(spec: str, name: str, settings: LocalSettings) -> ModelHandle:
    from wardround.models.local.chat import local_chat

    return ModelHandle(
        spec,
        local_chat(name, settings=settings),
        constrained=True,
        sampled=True,
        bounded=True,
        several=True,
        choosing=True,
        tools=None,
        images=None,
    )
