"""One call of a chat model: in time, and with its faults told apart."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from wardround.core.errors import ContextExceeded, ModelError, ModelUnavailable

if TYPE_CHECKING:
    from langchain_core.language_models import LanguageModelInput
    from langchain_core.messages import AIMessage, BaseMessage
    from langchain_core.runnables import Runnable

_UNREACHED = frozenset(("APIConnectionError", "APITimeoutError", "ConnectError", "TransportError"))
_CUT_SHORT = frozenset(("LengthFinishReasonError", "ContentFilterFinishReasonError"))
_TOO_LONG = re.compile(r"context[ _](length|window|size)|maximum model length|too long to fit|prompt is too long", re.I)
"""How vLLM, llama.cpp and OpenAI say that a prompt does not fit."""


async def call_model(
    spec: str,
    model: Runnable[LanguageModelInput, AIMessage],
    messages: Sequence[BaseMessage],
    *,
    seconds: float,
    options: Mapping[str, Any],
) -> AIMessage:
    """Return the model's next message.

    Args:
        spec: Names the model in errors.
        model: What is asked.
        messages: What is sent.
        seconds: How long to wait.
        options: Keyword arguments of the call, such as `temperature`.

    Raises:
        ModelUnavailable: No answer in time, or no connection.
        ContextExceeded: What was sent is longer than the model can read.
        ModelError: The model failed in another way.
    """
    try:
        async with asyncio.timeout(seconds):
            return await model.ainvoke(list(messages), **options)
    except TimeoutError as error:
        raise ModelUnavailable(spec, f"no answer within {seconds:g} s; raise the time-out or lower the load") from error
    except ModelError:
        raise
    except Exception as error:
        cut_short = _cut_short(error)
        if cut_short is not None:
            return cut_short
        raise _as_model_error(spec, error) from error


def token_counts(reply: AIMessage) -> tuple[int | None, int | None]:
    """Return the input and output tokens of a call, where the model counts them."""
    counted = reply.usage_metadata
    return (counted["input_tokens"], counted["output_tokens"]) if counted else (None, None)


def _as_model_error(spec: str, error: Exception) -> ModelError:
    """Tell apart what is too long, a server that is not there, and one that refuses; the cause stays attached."""
    from langchain_core.exceptions import ContextOverflowError

    names = {kind.__name__ for kind in type(error).__mro__}
    if isinstance(error, ContextOverflowError) or _TOO_LONG.search(str(error)):
        return ContextExceeded(spec, f"what was sent does not fit ({error})")
    if isinstance(error, OSError) or names & _UNREACHED:
        return ModelUnavailable(spec, f"cannot be reached ({error}); is the server running, and is --base-url right?")
    return ModelError(spec, f"{type(error).__name__}: {error}")


def _cut_short(error: Exception) -> AIMessage | None:
    """Return what there is of an answer that ran into a limit or a filter, which the client raises as an error.

    The model was there and said nothing usable: that is no opinion, not a failure of the call.
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    if not names & _CUT_SHORT:
        return None
    from langchain_core.messages import AIMessage

    completion: Any = getattr(error, "completion", None)
    if completion is None:
        return AIMessage(content="")
    message = AIMessage(content=completion.choices[0].message.content or "")
    message.response_metadata["model_name"] = completion.model
    if completion.usage is not None:
        message.usage_metadata = {
            "input_tokens": completion.usage.prompt_tokens,
            "output_tokens": completion.usage.completion_tokens,
            "total_tokens": completion.usage.total_tokens,
        }
    return message
