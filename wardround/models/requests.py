"""What is sent to a model and what comes back, as values that can be named, kept and answered from a store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from wardround.core.frozen import Frozen, content_id
from wardround.models.refusals import declared_refusal
from wardround.models.sendable import unsendable

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage, BaseMessage

Options = Mapping[str, Any]
"""Keyword arguments of a call: `temperature`, `seed`, `max_tokens`, `n`, `logprobs`, `response_format` (OpenAI's
JSON schema), `structured_outputs` (vLLM's `choice` or `regex`), `tools`, `tool_choice`."""

_IMPOSSIBLE = -9999.0
"""Log probability of a token that has none, as vLLM writes it: JSON has no infinity."""
_LONG = ("response_format", "structured_outputs", "tools")
"""Options that are named by their content in logs, since every call of a kind repeats them."""


class Request(Frozen):
    """What is sent: its key names it, whoever sends it and whenever.

    Time-outs, addresses and credentials are not part of it; the model, the rollouts and the seed are, so that
    several rollouts of one question stay apart.
    """

    model: str
    """Spec of the model."""
    messages: tuple[dict[str, Any], ...]
    """With images by reference."""
    options: dict[str, Any]
    """What shapes the answer; schemas and tools by the name of their content."""
    rollouts: tuple[int, ...]
    """Which of several askings of the same question; one answer comes back for each."""

    @property
    def key(self) -> str:
        """Name made from all of it."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return f"req_{hashlib.sha256(canonical.encode()).hexdigest()[:32]}"


class Reply(Frozen):
    """One answer of a model."""

    text: str
    tool_calls: tuple[dict[str, Any], ...] = ()
    """`name`, `args`, `id` of each tool that is called."""
    invalid_tool_calls: tuple[dict[str, Any], ...] = ()
    """Calls whose arguments are no JSON: `name`, `args`, `id`, `error`."""
    finish: str | None = None
    """Why it ended, as the server says it: `stop`, `length`, `tool_calls` ..."""
    refusal: str | None = None
    """What the server declares to be a refusal, apart from the text."""
    served_by: str | None = None
    """What the server says it served."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    """Of one request with several rollouts the first has both counts, of all of them, and the others zero."""
    logprobs: tuple[tuple[str, float], ...] | None = None
    """Each token of the answer with its natural log probability, where asked for."""

    def message(self) -> AIMessage:
        """Return it as a message that can stand in a conversation."""
        from langchain_core.messages import AIMessage
        from langchain_core.messages.tool import invalid_tool_call, tool_call

        return AIMessage(
            content=self.text,
            tool_calls=[tool_call(**call) for call in self.tool_calls],
            invalid_tool_calls=[invalid_tool_call(**call) for call in self.invalid_tool_calls],
        )


def request_of(model: str, messages: Sequence[BaseMessage], options: Options, rollouts: Sequence[int]) -> Request:
    """Return what is sent as a value."""
    slim = {
        name: content_id("opt", value) if name in _LONG else value
        for name, value in options.items()
        if value is not None
    }
    return Request(model=model, messages=sent(messages), options=slim, rollouts=tuple(rollouts))


def sent(messages: Sequence[BaseMessage]) -> tuple[dict[str, Any], ...]:
    """Return messages as plain JSON: role and content, and what tools are called or answered in them."""
    return tuple(_plain(message) for message in messages)


def _plain(message: BaseMessage) -> dict[str, Any]:
    plain: dict[str, Any] = {"role": message.type, "content": message.content}
    calls = [*getattr(message, "tool_calls", ()), *getattr(message, "invalid_tool_calls", ())]
    if calls:
        plain["tool_calls"] = [{"id": c["id"], "name": c["name"], "args": c["args"]} for c in calls]
    answers = getattr(message, "tool_call_id", None)
    if answers is not None:
        plain["tool_call_id"] = answers
    as_json: dict[str, Any] = json.loads(unicode(json.dumps(plain, ensure_ascii=False)))
    return as_json


def reply_of(message: AIMessage) -> Reply:
    """Return a model's message as a value; half surrogate pairs in it, which no log takes, are replaced."""
    counted = message.usage_metadata
    metadata = message.response_metadata
    refusal = declared_refusal(message)
    calls, invalid = _calls(message)
    return Reply(
        text=unicode(str(message.text)),
        tool_calls=calls,
        invalid_tool_calls=invalid,
        finish=_text(metadata.get("finish_reason")),
        refusal=unicode(refusal) if refusal is not None else None,
        served_by=_text(metadata.get("model_name")),
        input_tokens=counted["input_tokens"] if counted else None,
        output_tokens=counted["output_tokens"] if counted else None,
        logprobs=_logprobs(metadata.get("logprobs")),
    )


def _calls(message: AIMessage) -> tuple[tuple[dict[str, Any], ...], tuple[dict[str, Any], ...]]:
    """The calls of a message; one whose arguments cannot be sent on is kept as text, among the invalid ones."""
    valid, invalid = [], [_invalid(c["name"], c["args"], c["id"], c["error"]) for c in message.invalid_tool_calls]
    for call in message.tool_calls:
        fault = unsendable(call["args"])
        if fault is None:
            call_id = unicode(call["id"]) if call["id"] is not None else None
            valid.append({"name": unicode(call["name"]), "args": call["args"], "id": call_id})
        else:
            invalid.append(_invalid(call["name"], json.dumps(call["args"]), call["id"], fault))
    return tuple(valid), tuple(invalid)


def _invalid(name: str | None, args: str | None, call_id: str | None, error: str | None) -> dict[str, Any]:
    texts = {"name": name, "args": args, "id": call_id, "error": error}
    return {key: unicode(text) if text is not None else None for key, text in texts.items()}


def _logprobs(given: Any) -> tuple[tuple[str, float], ...] | None:
    if not isinstance(given, Mapping) or given.get("content") is None:
        return None
    return tuple(
        (unicode(str(token["token"])), max(float(token["logprob"]), _IMPOSSIBLE)) for token in given["content"]
    )


def _text(given: object) -> str | None:
    return unicode(str(given)) if given is not None else None


def unicode(text: str) -> str:
    """Return a text with half surrogate pairs replaced, which JSON writers and stores refuse."""
    return text.encode("utf-8", "replace").decode("utf-8")
