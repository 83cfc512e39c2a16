"""A model that answers from the log of a run, and from nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatResult
from langchain_core.runnables import Runnable

from wardround.core.errors import NotRecorded, UsageError
from wardround.models.handle import ModelHandle
from wardround.models.keeping import LoggedCalls
from wardround.trace.events import Event, ModelReached, Origin, RunStarted
from wardround.trace.store import RunStore


class SilentChatModel(BaseChatModel):
    """Stands where a model would be asked that must not be."""

    @property
    def _llm_type(self) -> str:
        return "wardround-silent"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[LanguageModelInput, AIMessage]:
        """Return the model as it is: whether it calls tools is in the recording."""
        return self.bind(tools=list(tools), **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        raise NotRecorded("replay", "a replayed model was asked past its recording")


def replayed(run: str, workspace: Path | str) -> ModelHandle:
    """Return a model that answers as another did in a run.

    Args:
        run: Id of the run, or how it begins.
        workspace: Folder where it is kept.

    Raises:
        UsageError: There is no such run.
    """
    store = RunStore.existing(workspace)
    try:
        row = store.find(run)
        events = store.events(row.id)
    finally:
        store.close()
    return replayed_log(events)


def replayed_log(events: Sequence[Event], model: str | None = None) -> ModelHandle:
    """Return a model that answers from a log.

    Args:
        events: The log.
        model: Spec of the one that is meant, where several were asked; the first unless given.

    Raises:
        UsageError: The log has no beginning, or does not say what its model was.
    """
    started = next((event for event in events if isinstance(event, RunStarted)), None)
    reached = next(
        (event for event in events if isinstance(event, ModelReached) and model in (None, event.model)), None
    )
    if started is None or reached is None:
        raise UsageError(
            "the log does not say which model was asked and what it can; it was written by an older version"
        )
    return ModelHandle(
        spec=f"replay:{started.run}",
        chat=SilentChatModel(),
        constrained=reached.constrained,
        sampled=reached.sampled,
        bounded=reached.bounded,
        several=reached.several,
        choosing=reached.choosing,
        tools=reached.tools,
        images=reached.images,
        recorded=LoggedCalls(events, run=started.run, origin=Origin.REPLAY),
        stands_for=reached.model,
        served=reached.served,
        context=reached.context,
    )
