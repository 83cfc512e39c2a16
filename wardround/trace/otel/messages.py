"""What is said to a model and by it, in the two forms in which trace tools read it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from wardround.trace.events import ModelAnswered
from wardround.trace.otel.names import OpenInference
from wardround.trace.otel.privacy import IN_IMAGES, IN_TEXT, OUT_TEXT, REDACTED, Privacy
from wardround.trace.otel.values import Value

_ROLES = {"human": "user", "ai": "assistant"}
"""LangChain's names of roles where the conventions have others."""
_UNSAID = "unknown"
"""Why an answer ended where the model does not say; the conventions want a reason."""
_ENDINGS = {"image/png": ".png", "image/jpeg": ".jpg"}


@dataclass(frozen=True)
class Text:
    """Words."""

    text: str


@dataclass(frozen=True)
class Picture:
    """An image by reference; its bytes are never sent."""

    sha256: str
    mime_type: str

    @property
    def uri(self) -> str:
        """Address made from the bytes, the same wherever they are kept."""
        return f"wardround://sha256/{self.sha256}{_ENDINGS.get(self.mime_type, '')}"


@dataclass(frozen=True)
class Hidden:
    """An image that may not be told of."""


@dataclass(frozen=True)
class Call:
    """A tool that is called."""

    id: str
    name: str
    arguments: str
    """JSON."""


@dataclass(frozen=True)
class Returned:
    """What a tool answered."""

    id: str
    text: str


Part = Text | Picture | Hidden | Call | Returned


@dataclass(frozen=True)
class Message:
    """One turn."""

    role: str
    parts: tuple[Part, ...]
    finish: str | None = None
    """Why an answer ended."""


def asked(messages: Iterable[Mapping[str, Any]]) -> tuple[Message, ...]:
    """Read messages as the log keeps them."""
    return tuple(Message(_ROLES.get(m["role"], str(m["role"])), tuple(_parts(m))) for m in messages)


def answered(events: Iterable[ModelAnswered]) -> tuple[Message, ...]:
    """Read answers as messages, one for each choice."""
    return tuple(Message("assistant", tuple(_answer(event)), event.finish or _UNSAID) for event in events)


def _parts(message: Mapping[str, Any]) -> Iterator[Part]:
    content = message["content"]
    blocks: Sequence[Any] = [content] if isinstance(content, str) else content
    texts = [_block(block) for block in blocks]
    if "tool_call_id" in message:
        said = "\n".join(part.text for part in texts if isinstance(part, Text))
        yield Returned(str(message["tool_call_id"]), said)
    else:
        yield from (part for part in texts if part != Text(""))
    yield from (_call(call) for call in message.get("tool_calls", ()))


def _block(block: Any) -> Part:
    if isinstance(block, str):
        return Text(block)
    kind = block.get("type")
    if kind == "image" and "sha256" in block:
        return Picture(str(block["sha256"]), str(block.get("mime_type", "")))
    return Text(str(block["text"]) if kind == "text" else f"[{kind}]")


def _answer(event: ModelAnswered) -> Iterator[Part]:
    if event.text or event.refusal:
        yield Text(event.text or event.refusal or "")
    yield from (_call(call) for call in (*event.tool_calls, *event.invalid_tool_calls))


def _call(call: Mapping[str, Any]) -> Call:
    given = call.get("args")
    arguments = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    return Call(str(call.get("id") or ""), str(call.get("name") or ""), arguments)


def hidden_input(messages: Iterable[Message], privacy: Privacy) -> tuple[Message, ...]:
    """Return what was said to a model as it may be sent."""
    text, images = privacy.hides(IN_TEXT), privacy.hides(IN_IMAGES)
    return tuple(replace(m, parts=tuple(_hidden(p, text=text, images=images) for p in m.parts)) for m in messages)


def hidden_output(messages: Iterable[Message], privacy: Privacy) -> tuple[Message, ...]:
    """Return what a model said as it may be sent."""
    text = privacy.hides(OUT_TEXT)
    return tuple(replace(m, parts=tuple(_hidden(p, text=text, images=text) for p in m.parts)) for m in messages)


def _hidden(part: Part, *, text: bool, images: bool) -> Part:
    match part:
        case Text() if text:
            return Text(REDACTED)
        case Picture() if images:
            return Hidden()
        case Call() if text:
            return replace(part, name=REDACTED, arguments=REDACTED)
        case Returned() if text:
            return replace(part, text=REDACTED)
        case _:
            return part


def as_gen_ai(messages: Iterable[Message]) -> str:
    """Return messages as the JSON of `gen_ai.input.messages` and `gen_ai.output.messages`."""
    return _json([_gen_ai(message) for message in messages])


def instructions(messages: Iterable[Message]) -> str | None:
    """Return what the system messages say as the JSON of `gen_ai.system_instructions`."""
    parts = [_gen_ai_part(part) for message in messages if message.role == "system" for part in message.parts]
    return _json(parts) if parts else None


def _gen_ai(message: Message) -> dict[str, Any]:
    told: dict[str, Any] = {"role": message.role, "parts": [_gen_ai_part(part) for part in message.parts]}
    return told if message.finish is None else {**told, "finish_reason": message.finish}


def _gen_ai_part(part: Part) -> dict[str, Any]:
    match part:
        case Text(text):
            return {"type": "text", "content": text}
        case Picture():
            return {"type": "uri", "modality": "image", "mime_type": part.mime_type, "uri": part.uri}
        case Hidden():
            return {"type": "uri", "modality": "image", "uri": REDACTED}
        case Call(call, name, arguments):
            return {"type": "tool_call", "id": call, "name": name, "arguments": _read(arguments)}
        case Returned(call, text):
            return {"type": "tool_call_response", "id": call, "response": text}


def _read(arguments: str) -> Any:
    try:
        return json.loads(arguments)
    except ValueError:  # what a model wrote need not be JSON
        return arguments


def as_openinference(name: OpenInference, messages: Iterable[Message]) -> dict[str, Value]:
    """Return messages as flat attributes, counted from 0."""
    flat: dict[str, Value] = {}
    for i, message in enumerate(messages):
        at = f"{name}.{i}.message"
        flat[f"{at}.role"] = message.role
        flat |= _spoken(at, [part for part in message.parts if isinstance(part, Text | Picture | Hidden)])
        for part in message.parts:
            if isinstance(part, Returned):
                flat |= {f"{at}.tool_call_id": part.id, f"{at}.content": part.text}
        for k, call in enumerate(part for part in message.parts if isinstance(part, Call)):
            flat |= {
                f"{at}.tool_calls.{k}.tool_call.id": call.id,
                f"{at}.tool_calls.{k}.tool_call.function.name": call.name,
                f"{at}.tool_calls.{k}.tool_call.function.arguments": call.arguments,
            }
    return flat


def _spoken(at: str, parts: Sequence[Text | Picture | Hidden]) -> dict[str, Value]:
    if len(parts) == 1 and isinstance(parts[0], Text):
        return {f"{at}.content": parts[0].text}
    flat: dict[str, Value] = {}
    for j, part in enumerate(parts):
        within = f"{at}.contents.{j}.message_content"
        if isinstance(part, Text):
            flat |= {f"{within}.type": "text", f"{within}.text": part.text}
        else:
            url = part.uri if isinstance(part, Picture) else REDACTED
            flat |= {f"{within}.type": "image", f"{within}.image.image.url": url}
    return flat


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
