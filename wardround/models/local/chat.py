"""A model of transformers in this process, as a chat model of LangChain."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatResult
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import PrivateAttr

from wardround.core.errors import UsageError
from wardround.core.extras import require
from wardround.models.local.asked import Options, read_options
from wardround.models.local.settings import LocalSettings

if TYPE_CHECKING:
    from langchain_core.language_models import LanguageModelInput
    from langchain_core.runnables import Runnable
    from langchain_core.tools import BaseTool

    from wardround.models.local.engine import Engine, Result

_NEEDED = ("torch", "transformers", "accelerate", "llguidance", "PIL")


class LocalChatModel(BaseChatModel):
    """Answers from a model that runs in this process.

    It takes the options of `wardround.models.local.asked.Options` and refuses any other. Calls under way at the same
    time are decoded together; what each is answered does not depend on the others, nor on their order. Generation i of
    a request with seed s is what a request with seed s + i is answered.
    """

    model_name: str
    settings: LocalSettings
    _engine: Engine = PrivateAttr()
    _release: Any = PrivateAttr()

    @classmethod
    def of_engine(cls, engine: Engine, settings: LocalSettings) -> Self:
        """Return a chat model for an engine, which it closes when it is itself let go."""
        chat = cls(model_name=engine.name, settings=settings, custom_get_token_ids=engine.token_ids)
        chat._engine = engine
        chat._release = weakref.finalize(chat, engine.close)
        return chat

    def close(self) -> None:
        """End the worker thread and free the model's memory; calls under way fail with `ModelUnavailable`."""
        self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @property
    def _llm_type(self) -> str:
        return "wardround-hf"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.model_name, "settings": self.settings.model_dump()}

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        options = read_options(stop, kwargs)
        return self._chat_result(self._engine.submit(messages, options).result(), options)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        options = read_options(stop, kwargs)
        return self._chat_result(await asyncio.wrap_future(self._engine.submit(messages, options)), options)

    def _chat_result(self, result: Result, options: Options) -> ChatResult:
        from wardround.models.local.answers import chat_result

        return chat_result(result, options, name=self.model_name, tokenizer=self._engine.tokenizer)

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Return this model with tools that it is shown; its template must be one that takes tools.

        Args:
            tools: Anything that LangChain makes an OpenAI tool of.
            tool_choice: `required` (or `any`) or a tool's name holds the answer to a call; `auto` and nothing leave
                it to the model, `none` shows it no tools.
            kwargs: Further options of each call.
        """
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], tool_choice=tool_choice, **kwargs)


def local_chat(path_or_id: str, *, settings: LocalSettings) -> LocalChatModel:
    """Load a model of transformers and return it as a chat model.

    Args:
        path_or_id: A folder with config.json, safetensors weights and tokenizer, or a hub id. With
            `HF_HUB_OFFLINE=1` an id is looked for in the cache alone.
        settings: Where and how.

    Raises:
        MissingExtra: torch, transformers or another library of the extra `local` is not installed.
        UsageError: The model cannot be used as it is, or does not fit the device; the message says why.
        ModelUnavailable: It is neither in the cache nor to be had.
    """
    for module in _NEEDED:
        require(module, extra="local")
    _check_torchvision()
    from wardround.models.local.engine import Engine
    from wardround.models.local.loading import load

    engine = Engine(load(path_or_id, settings), batch=settings.batch, gather=settings.gather)
    return LocalChatModel.of_engine(engine, settings)


def _check_torchvision() -> None:
    """Say so where torchvision is there and broken: transformers, which uses it if it is there, says something else."""
    if importlib.util.find_spec("torchvision") is None:
        return
    try:
        importlib.import_module("torchvision")
    except (ImportError, OSError, RuntimeError) as error:
        what = f"torchvision is installed, but does not go with this torch ({error})"
        raise UsageError(f"{what}; install the build that belongs to it, or take torchvision out") from error
