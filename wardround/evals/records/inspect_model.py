"""The model that Inspect AI was started with, as a LangChain chat model, so that `inspect eval --model` works."""

from __future__ import annotations

from typing import Any

from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    GenerateConfig,
    get_model,
)
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, SystemMessage, UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult

from wardround.core.errors import ModelError


class InspectChatModel(BaseChatModel):
    """Asks the active model of the Inspect run; text alone, so for the text and the JSON protocol."""

    @property
    def _llm_type(self) -> str:
        return "inspect"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        raise ModelError("inspect", "it is asked inside an Inspect run only, which is asynchronous; use ainvoke")

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        config = GenerateConfig(stop_seqs=stop, temperature=kwargs.get("temperature"), seed=kwargs.get("seed"))
        output = await get_model().generate([_message(m) for m in messages], config=config)
        if output.error is not None:
            raise ModelError("inspect", output.error)
        message = AIMessage(content=output.completion, response_metadata={"model_name": output.model})
        if output.usage is not None:
            message.usage_metadata = UsageMetadata(
                input_tokens=output.usage.input_tokens,
                output_tokens=output.usage.output_tokens,
                total_tokens=output.usage.total_tokens,
            )
        return ChatResult(generations=[ChatGeneration(message=message)])


def _message(message: BaseMessage) -> ChatMessage:
    text = str(message.text)
    if isinstance(message, SystemMessage):
        return ChatMessageSystem(content=text)
    return ChatMessageAssistant(content=text) if isinstance(message, AIMessage) else ChatMessageUser(content=text)
