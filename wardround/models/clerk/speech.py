"""Reading a conversation of any of the protocols, and saying a step in it.

The forms of the text protocol (GET, POST and FINISH) are those of MedAgentBench
(https://github.com/stanfordmlgroup/MedAgentBench); the others are calls of tools, as messages or as JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from wardround.models.clerk.steps import (
    FinishStep,
    Kit,
    LookUpStep,
    MeasureStep,
    PageStep,
    ReadStep,
    Reply,
    Step,
    WriteStep,
)

FINISH = "finish"
ROWS = 100
"""How many rows are asked for at a time where a tool shows them."""
_REFUSED = re.compile(r"^\s*(?:The GET request failed|Invalid|Error)", re.IGNORECASE)
_FAILED = re.compile(r"^\s*\w+ failed:", re.IGNORECASE)


@dataclass(frozen=True)
class Turn:
    """Something that was said for the clerk, and what came of it."""

    said: AIMessage
    reply: Reply


@dataclass(frozen=True)
class Native:
    """Tools are called as the model's server knows them."""

    finish_argument: str = "answer"

    def say(self, step: Step, turn: int) -> AIMessage:
        """Return a step as a message with one call."""
        name, arguments = (
            called(step) if not isinstance(step, FinishStep) else (FINISH, {self.finish_argument: [*step.answers]})
        )
        content = "\n".join(step.remarks) if isinstance(step, FinishStep) else ""
        call = {"name": name, "args": arguments, "id": f"call_{turn}", "type": "tool_call"}
        return AIMessage(content=content, tool_calls=[call])

    def is_same(self, said: AIMessage, own: AIMessage) -> bool:
        """Whether two messages ask for the same."""
        return [(c["name"], c["args"]) for c in said.tool_calls] == [(c["name"], c["args"]) for c in own.tool_calls]

    def reply(self, messages: Sequence[BaseMessage]) -> Reply:
        """Return what the messages behind a turn say."""
        failed = any(isinstance(m, ToolMessage) and m.status == "error" for m in messages)
        return Reply(
            "\n".join(str(m.text) for m in messages), failed or not any(isinstance(m, ToolMessage) for m in messages)
        )


@dataclass(frozen=True)
class Json:
    """One JSON object a turn."""

    def say(self, step: Step, turn: int) -> AIMessage:
        """Return a step as one JSON object."""
        if isinstance(step, FinishStep):
            return AIMessage(content=json.dumps({FINISH: [*step.answers]}, ensure_ascii=False))
        name, arguments = called(step)
        return AIMessage(content=json.dumps({"tool": name, "arguments": arguments}, ensure_ascii=False))

    def is_same(self, said: AIMessage, own: AIMessage) -> bool:
        """Whether two messages ask for the same."""
        return str(said.text) == str(own.text)

    def reply(self, messages: Sequence[BaseMessage]) -> Reply:
        """Return what the messages behind a turn say."""
        text = "\n".join(str(m.text) for m in messages)
        head, _, rest = text.partition("\n")
        return Reply(rest if re.match(r"\w+ (?:answered|failed):$", head.strip()) else text, bool(_FAILED.match(text)))


@dataclass(frozen=True)
class Text:
    """One HTTP request a turn, written out."""

    api_base: str

    def say(self, step: Step, turn: int) -> AIMessage:
        """Return a step as GET, POST or FINISH."""
        match step:
            case FinishStep():
                return AIMessage(content=f"FINISH({json.dumps([*step.answers], ensure_ascii=False)})")
            case WriteStep(version=str()):
                return AIMessage(
                    content=f"POST {self.api_base}\n{json.dumps(transaction(step.resource), ensure_ascii=False)}"
                )
            case WriteStep():
                kind = step.resource["resourceType"]
                return AIMessage(
                    content=f"POST {self.api_base}/{kind}\n{json.dumps(dict(step.resource), ensure_ascii=False)}"
                )
            case PageStep():
                return AIMessage(content=f"GET {step.link}")
            case ReadStep():
                query = "&".join(f"{quote(name)}={quote(value, safe=':,/')}" for name, value in step.params)
                return AIMessage(content=f"GET {self.api_base}/{step.type}?{query}")
            case _:
                raise ValueError(f"{type(step).__name__} cannot be written as a request")

    def is_same(self, said: AIMessage, own: AIMessage) -> bool:
        """Whether two messages ask for the same."""
        return str(said.text) == str(own.text)

    def reply(self, messages: Sequence[BaseMessage]) -> Reply:
        """Return what the messages behind a turn say."""
        text = "\n".join(str(m.text) for m in messages)
        return Reply(text, bool(_REFUSED.match(text)))


def transaction(resource: Mapping[str, Any]) -> dict[str, Any]:
    """Return a Bundle that replaces a resource."""
    request = {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"}
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"resource": dict(resource), "request": request}],
    }


Speech = Native | Json | Text


def called(step: Step) -> tuple[str, dict[str, Any]]:
    """Return the tool of a step, and its arguments."""
    match step:
        case ReadStep():
            parameters: dict[str, Any] = {}
            for name, value in step.params:
                held = parameters.get(name)
                parameters[name] = value if held is None else [*(held if isinstance(held, list) else [held]), value]
            return "search_record", {"type": step.type, "parameters": parameters, "rows": ROWS, "raw": True}
        case PageStep():
            return "search_record", {"cursor": step.link, "rows": ROWS, "raw": True}
        case MeasureStep():
            asked = {"since": step.since, "until": step.until, "unit": step.unit}
            given = {name: value for name, value in asked.items() if value is not None}
            return "measurements", {
                "analyte": step.words,
                "statistic": step.statistic,
                "patient": f"Patient/{step.patient}",
                **given,
            }
        case LookUpStep():
            return "lookup_code", {"words": step.words, "patient": f"Patient/{step.patient}"}
        case WriteStep(version=None):
            return "create_resource", {"resource": dict(step.resource)}
        case WriteStep():
            return "update_resource", {"resource": dict(step.resource), "version": step.version}
        case FinishStep():
            raise ValueError("the end is no tool")


@dataclass(frozen=True)
class Situation:
    """A conversation as the clerk sees it."""

    task: str
    speech: Speech
    kit: Kit
    turns: tuple[Turn, ...]


def situation_of(messages: Sequence[BaseMessage], options: Mapping[str, Any]) -> Situation | None:
    """Return the record task that a conversation is about, or nothing where it is about something else.

    Args:
        messages: The whole conversation.
        options: What the model was bound with; its tools stand there.
    """
    begun = next((n for n, message in enumerate(messages) if isinstance(message, AIMessage)), len(messages))
    opening, rest = messages[:begun], messages[begun:]
    told = [str(m.text) for m in opening if isinstance(m, HumanMessage)]
    system = "\n".join(str(m.text) for m in opening if isinstance(m, SystemMessage))
    if not told:
        return None
    functions = [_dict(_dict(tool).get("function")) for tool in options.get("tools") or ()]
    finish = next((f for f in functions if f.get("name") == FINISH), None)
    speech: Speech
    if finish is not None:
        argument = next(iter(_dict(_dict(finish.get("parameters")).get("properties"))), "answer")
        speech, kit, task = Native(argument), Kit(_tool_names(functions)), "\n".join(told)
    elif (offered := _listed_tools(system)) and f'{{"{FINISH}":' in system:
        speech, kit, task = Json(), Kit(offered), "\n".join(told)
    elif (base := _api_base(told[0])) is not None:
        kit, written = _functions(told[0], base)
        speech, task = Text(base), "\n".join([written, *told[1:]])
    else:
        return None
    return Situation(task, speech, kit, tuple(_turns(rest, speech)))


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _tool_names(functions: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    return frozenset(str(f.get("name")) for f in functions) - {FINISH}


def _listed_tools(text: str) -> frozenset[str]:
    """Names of the tools that are written out in a prompt, one JSON object a line."""
    found = []
    for line in text.splitlines():
        if line.startswith("{") and '"parameters"' in line:
            try:
                found.append(_dict(json.loads(line)))
            except ValueError:
                continue
    return _tool_names(found)


_BASE = re.compile(r"\b(?:base|api_base)\b[^\n]{0,80}?(https?://[^\s\"'<>{}`]+)", re.IGNORECASE)


def _api_base(text: str) -> str | None:
    """The base URL of an opening that speaks of GET, POST and FINISH."""
    if not all(form in text for form in ("GET", "POST", "FINISH(")):
        return None
    found = _BASE.search(text)
    return found[1].rstrip(".,;:)/") if found is not None else None


def _functions(text: str, base: str) -> tuple[Kit, str]:
    """What can be read and created according to a list of functions, and the text behind the list."""
    for start in (m.start() for m in re.finditer(r"\[\s*\{\s*\"", text)):
        try:
            listed, end = json.JSONDecoder().raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        named = [(str(_dict(f).get("name", "")), _dict(_dict(f).get("parameters"))) for f in listed]
        if any("{api_base}" in name for name, _ in named):
            reads = frozenset(name.rsplit("/", 1)[-1] for name, _ in named if name.startswith("GET"))
            shapes = {name.rsplit("/", 1)[-1]: shape for name, shape in named if name.startswith("POST")}
            has_transactions = any(re.fullmatch(r"POST \{api_base\}/?", name) for name, _ in named)
            return Kit(reads=reads, has_transactions=has_transactions, shapes=shapes), text[end:]
    return Kit(), text[text.find("\n", text.index(base)) + 1 :]


def _turns(messages: Sequence[BaseMessage], speech: Speech) -> list[Turn]:
    turns: list[Turn] = []
    replies: list[BaseMessage] = []
    said: AIMessage | None = None
    for message in [*messages, None]:
        if message is None or isinstance(message, AIMessage):
            if said is not None:
                turns.append(Turn(said, speech.reply(replies)))
            said, replies = message, []
        else:
            replies.append(message)
    return turns
