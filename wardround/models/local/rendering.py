"""Messages made into a model's input by its own chat template.

- A template that refuses a system message, or passes it over, gets it in front of the first user message.
- Control tokens in what people wrote, such as `<end_of_turn>` in a note, are encoded as plain text: only the template
  writes control tokens.
- A model without a template is refused, since it completes texts and does not answer; an encoder-decoder of the T5
  family takes the texts of the messages, a blank line between them.
"""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Iterator, Sequence
from typing import Any

import jinja2
from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, ToolMessage

from wardround.core.errors import UsageError
from wardround.models.local.loading import Loaded

_ROLES = {"system": "system", "human": "user", "ai": "assistant", "tool": "tool"}
_PROBE = "probe 4711"
Turn = dict[str, Any]
Inputs = dict[str, Any]
"""Tensors by name, of one request: the first dimension of `input_ids` is 1."""


class Renderer:
    """Encodes conversations for one model."""

    def __init__(self, loaded: Loaded) -> None:
        """Find out what the model's template takes.

        Raises:
            UsageError: It has none and needs one, or it renders no plain question.
        """
        self._loaded = loaded
        self._reader = loaded.processor or loaded.tokenizer
        self._templates = getattr(self._reader, "chat_template", None) or loaded.tokenizer.chat_template
        if not self._templates:
            if not loaded.is_encoder_decoder:
                raise UsageError(
                    f"{loaded.name}: has no chat template, so it completes texts and does not answer; "
                    "give an instruction-tuned model, or put the template it was trained with in chat_template.jinja"
                )
            return
        self._takes_blocks = self._shows([{"role": "user", "content": [_text(_PROBE)]}])
        if not self._takes_blocks and not self._shows([{"role": "user", "content": _PROBE}]):
            raise UsageError(f"{loaded.name}: its chat template renders no user message; is it damaged?")
        question = self._shaped({"role": "user", "content": [_text("question")]})
        self._takes_system = self._shows([self._shaped({"role": "system", "content": [_text(_PROBE)]}), question])

    def encode(self, messages: Sequence[BaseMessage], tools: Sequence[dict[str, Any]] = ()) -> Inputs:
        """Return the tensors of one request.

        Raises:
            UsageError: A message holds what the model or its template does not take, or an image cannot be read.
        """
        turns = [_turn(message) for message in messages]
        self._check_images(turns)
        if not self._templates:
            return self._plain(turns, tools)
        if not self._takes_system:
            turns = _folded(turns)
        template = self._template(tools)
        if tools and "tools" not in template:
            raise UsageError(f"{self._loaded.name}: its chat template takes no tools; describe them in the prompt")
        control = self._control_token(turns, tools)
        try:
            encoded = self._reader.apply_chat_template(
                [self._shaped(turn) for turn in turns],
                chat_template=template,
                tools=list(tools) or None,
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                sanitize_control_tokens=control is not None,
            )
        except jinja2.TemplateError as error:
            raise UsageError(f"{self._loaded.name}: its chat template refuses the messages ({error})") from error
        except ValueError as error:
            if control is None:
                raise
            what = f"what was sent holds the control token {control!r}, which its processor cannot encode as plain text"
            raise UsageError(f"{self._loaded.name}: {what} ({error}); take it out") from error
        return dict(encoded)

    def _control_token(self, turns: list[Turn], tools: Sequence[dict[str, Any]]) -> str | None:
        """Return a control token that people wrote: some processors fail where they have to guard against one."""
        written = list(_strings([*turns, *tools]))
        added = (token.content for token in self._loaded.tokenizer.added_tokens_decoder.values())
        return next((token for token in added if token.strip() and any(token in text for text in written)), None)

    def _plain(self, turns: list[Turn], tools: Sequence[dict[str, Any]]) -> Inputs:
        if tools:
            raise UsageError(f"{self._loaded.name}: has no chat template, so it takes no tools")
        text = "\n\n".join(_joined(turn["content"]) for turn in turns)
        return dict(self._loaded.tokenizer(text, return_tensors="pt", split_special_tokens=True))

    def _template(self, tools: Sequence[dict[str, Any]]) -> str:
        if isinstance(self._templates, str):
            return self._templates
        named = "tool_use" if tools and "tool_use" in self._templates else "default"
        return str(self._templates[named])

    def _shows(self, turns: list[Turn]) -> bool:
        """Whether a text comes through the template, and as the text alone."""
        try:
            rendered = self._reader.apply_chat_template(turns, chat_template=self._template(()), tokenize=False)
        except (jinja2.TemplateError, TypeError, ValueError):
            return False
        return _PROBE in rendered and f"'{_PROBE}'" not in rendered

    def _shaped(self, turn: Turn) -> Turn:
        # templates for text alone print a list as Python does; those for images may need one
        if self._takes_blocks and self._loaded.processor is not None:
            return turn
        return turn | {"content": _joined(turn["content"])}

    def _check_images(self, turns: list[Turn]) -> None:
        has_images = any(block["type"] == "image" for turn in turns for block in turn["content"])
        if has_images and self._loaded.processor is None:
            raise UsageError(f"{self._loaded.name}: sees no images; give a vision-language model, or text alone")
        if has_images and not self._takes_blocks:
            raise UsageError(f"{self._loaded.name}: its chat template takes no images; put one that does in its folder")


def _strings(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for key, inner in value.items():
                yield from _strings(key)
                yield from _strings(inner)
        case list() | tuple():
            for inner in value:
                yield from _strings(inner)


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _joined(blocks: list[dict[str, Any]]) -> str:
    return "\n".join(block["text"] for block in blocks)


def _folded(turns: list[Turn]) -> list[Turn]:
    """Put the system messages in front of the first user message."""
    system = [_text(_joined(turn["content"]) + "\n\n") for turn in turns if turn["role"] == "system"]
    others = [turn for turn in turns if turn["role"] != "system"]
    first = next((i for i, turn in enumerate(others) if turn["role"] == "user"), None)
    if not system:
        return turns
    if first is None:
        return [{"role": "user", "content": system}, *others]
    others[first] = others[first] | {"content": system + others[first]["content"]}
    return others


def _turn(message: BaseMessage) -> Turn:
    role = message.role if isinstance(message, ChatMessage) else _ROLES.get(message.type)
    if role is None:
        raise UsageError(f"a message of type {message.type!r}; give system, human, ai and tool messages")
    turn: Turn = {"role": role, "content": list(_blocks(message))}
    if isinstance(message, AIMessage) and message.tool_calls:
        called = [{"name": call["name"], "arguments": call["args"]} for call in message.tool_calls]
        turn["tool_calls"] = [{"type": "function", "function": function} for function in called]
    if isinstance(message, ToolMessage):
        turn |= {"tool_call_id": message.tool_call_id, "name": message.name or ""}
    return turn


def _blocks(message: BaseMessage) -> Iterator[dict[str, Any]]:
    if isinstance(message.content, str):
        yield _text(message.content)
        return
    for block in message.content:
        match block:
            case str():
                yield _text(block)
            case {"type": "text", "text": str(text)}:
                yield _text(text)
            case {"type": "image", "base64": str(encoded)}:
                yield {"type": "image", "image": _image(encoded)}
            case _:
                kind = block.get("type")
                raise UsageError(
                    f"content of type {kind!r} in a {message.type} message; give text, or images in base64"
                )


def _image(encoded: str) -> Any:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(base64.b64decode(encoded, validate=True))) as image:
            return image.convert("RGB")
    except (binascii.Error, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UsageError(f"an image cannot be read ({error}); give PNG or JPEG in base64") from error
