"""What was written, as LangChain's messages."""

from __future__ import annotations

import json
import re
from typing import Any

from langchain_core.messages import AIMessage, InvalidToolCall, ToolCall
from langchain_core.outputs import ChatGeneration, ChatResult

from wardround.core.frozen import content_id
from wardround.models.local.asked import Options
from wardround.models.local.engine import Result, Written

_TAGGED = re.compile(r"<tool_call>\s*(.*?)\s*(?:</tool_call>|\Z)", re.DOTALL)
"""How the Hermes format, which Qwen and many others were taught, writes a call."""


def chat_result(result: Result, options: Options, *, name: str, tokenizer: Any) -> ChatResult:
    """Return the generations of a request.

    `output_tokens` counts the token that ended the answer, and `logprobs` holds one entry for each token counted:
    its log-probability as the model gave it, before the grammar that the answer was held to and before the
    temperature. A token that a grammar forced can therefore be an unlikely one.

    Args:
        result: What was written.
        options: What was asked for.
        name: Of the model, as it was asked for.
        tokenizer: Of the model.
    """
    messages = [_message(written, result.prompt_tokens, options, name, tokenizer) for written in result.generations]
    return ChatResult(
        generations=[
            ChatGeneration(
                message=message, generation_info={"finish_reason": message.response_metadata["finish_reason"]}
            )
            for message in messages
        ]
    )


def _message(written: Written, prompt_tokens: int, options: Options, name: str, tokenizer: Any) -> AIMessage:
    text = _text(written, options, tokenizer)
    metadata: dict[str, Any] = {"model_name": name, "finish_reason": written.finish}
    if options.logprobs:
        pairs = zip(written.tokens, written.logprobs, strict=True)
        content = [{"token": tokenizer.decode([token]), "logprob": logprob} for token, logprob in pairs]
        metadata["logprobs"] = {"content": content}
    calls, invalid = _tool_calls(text, options)
    if calls or invalid:
        text = _TAGGED.sub("", text) if _TAGGED.search(text) else ""
    if calls and written.finish == "stop":
        metadata["finish_reason"] = "tool_calls"
    usage = len(written.tokens)
    return AIMessage(
        content=text,
        tool_calls=calls,
        invalid_tool_calls=invalid,
        response_metadata=metadata,
        usage_metadata={
            "input_tokens": prompt_tokens,
            "output_tokens": usage,
            "total_tokens": prompt_tokens + usage,
        },
    )


def _text(written: Written, options: Options, tokenizer: Any) -> str:
    tokens = written.tokens[:-1] if written.has_end else written.tokens
    # some tokenizers count the tags around a tool call among their special tokens
    text = tokenizer.decode(tokens, skip_special_tokens=not options.offered, clean_up_tokenization_spaces=False)
    begins = [at for at in (text.find(stop) for stop in options.stop) if at >= 0]
    return str(text[: min(begins)] if begins else text)


def _tool_calls(text: str, options: Options) -> tuple[list[ToolCall], list[InvalidToolCall]]:
    """Return the calls in a text: in Hermes tags, or the whole text as one object that names an offered tool."""
    if not options.offered:
        return [], []
    tagged = [str(body) for body in _TAGGED.findall(text)]
    names = {tool["function"]["name"] for tool in options.offered}
    calls: list[ToolCall] = []
    invalid: list[InvalidToolCall] = []
    for i, body in enumerate(tagged or [text.strip()]):
        fault, call = _call(body, names, i)
        if call is not None:
            calls.append(call)
        elif tagged:
            id_ = content_id("call", body, i)
            invalid.append(InvalidToolCall(type="invalid_tool_call", name=None, args=body, id=id_, error=fault))
    return calls, invalid


def _call(body: str, names: set[str], index: int) -> tuple[str, ToolCall | None]:
    try:
        said = json.loads(body)
    except ValueError as error:
        return f"is not JSON ({error})", None
    if not isinstance(said, dict) or said.get("name") not in names:
        return "names no tool that was offered", None
    # Llama writes parameters where Hermes writes arguments
    arguments = said.get("arguments", said.get("parameters"))
    if not isinstance(arguments, dict):
        return "has no object of arguments", None
    name = str(said["name"])
    return "", ToolCall(type="tool_call", name=name, args=arguments, id=content_id("call", name, arguments, index))
