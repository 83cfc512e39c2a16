"""A rule that plays an episode, as a chat model, so that the same engine runs it."""

from __future__ import annotations

from collections.abc import Generator
from typing import Annotated, Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import SkipValidation

from wardround.core.errors import UnscriptedCall

Acts = Generator[str, str, None]
"""Gives what the agent says; is sent what the user replies."""


class PolicyChatModel(BaseChatModel):
    """A chat model that says what a policy does next; one for each episode, as it remembers where it is.

    >>> model = PolicyChatModel(acts=(turn for turn in ["GET http://record/Patient", "FINISH([])"]))
    >>> model.invoke("begin").text
    'GET http://record/Patient'
    >>> model.invoke("nobody is there").text
    'FINISH([])'
    """

    acts: Annotated[Acts, SkipValidation]
    has_begun: bool = False

    @property
    def _llm_type(self) -> str:
        return "wardround-policy"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        reply = next((m.text for m in reversed(messages) if isinstance(m, HumanMessage)), "")
        try:
            turn = self.acts.send(str(reply)) if self.has_begun else next(self.acts)
        except StopIteration as error:
            raise UnscriptedCall(
                "policy", "asked again after it had finished; give each episode its own model"
            ) from error
        self.has_begun = True
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content=turn))])

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return self._generate(messages, stop)
