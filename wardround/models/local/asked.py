"""The options of a call, read and checked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationError

from wardround.core.errors import UsageError
from wardround.core.frozen import Frozen


@dataclass(frozen=True)
class Constraint:
    """What an answer is held to."""

    kind: Literal["schema", "regex"]
    source: str
    """A JSON schema as text, or a regular expression."""


class Options(Frozen):
    """What may be asked for besides the messages; anything else is an error, since to ignore it would be silent."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=False)

    response_format: dict[str, Any] | None = None
    """As OpenAI takes it, of type `json_schema`."""
    structured_outputs: dict[str, Any] | None = None
    """As vLLM takes it: `{"choice": [...]}` or `{"regex": "..."}`."""
    temperature: float = Field(default=0.0, ge=0.0)
    seed: int | None = None
    """Of the first generation; the others have the following ones. None is drawn anew for each call."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Of one generation; none is what the context leaves."""
    n: int = Field(default=1, ge=1)
    logprobs: bool = False
    stop: tuple[str, ...] = ()
    tools: tuple[dict[str, Any], ...] = ()
    """As OpenAI takes them."""
    tool_choice: str | dict[str, Any] | None = None
    """`auto`, `none`, `required` (or LangChain's `any`), a tool's name, or OpenAI's object that names one."""

    @property
    def offered(self) -> tuple[dict[str, Any], ...]:
        """The tools that the model is shown."""
        return () if self.tool_choice == "none" else self.tools

    @property
    def required(self) -> tuple[dict[str, Any], ...]:
        """The tools of which one must be called; none where a call is left to the model.

        Raises:
            UsageError: The tool named is not there.
        """
        choice = self.tool_choice
        if choice in (None, "auto", "none"):
            return ()
        if choice in ("required", "any"):
            return self.tools
        name = choice.get("function", {}).get("name") if isinstance(choice, dict) else choice
        found = tuple(tool for tool in self.tools if tool["function"]["name"] == name)
        if not found:
            names = ", ".join(tool["function"]["name"] for tool in self.tools) or "none"
            raise UsageError(f"tool_choice {choice!r} names no tool; there are: {names}")
        return found

    def constraint(self) -> Constraint | None:
        """Return what the answer is held to, if anything.

        Raises:
            UsageError: It is of a kind that is not known, or there are several.
        """
        asked = [
            _of_format(self.response_format) if self.response_format is not None else None,
            _of_outputs(self.structured_outputs) if self.structured_outputs is not None else None,
            _of_tools(self.required) if self.required else None,
        ]
        found = [constraint for constraint in asked if constraint is not None]
        if len(found) > 1:
            raise UsageError("give one of response_format, structured_outputs and a required tool, not several")
        return found[0] if found else None


def read_options(stop: Sequence[str] | None, given: Mapping[str, Any]) -> Options:
    """Read the keyword arguments of a call.

    Raises:
        UsageError: One is not known, or has a value that it cannot have.
    """
    values = {key: value for key, value in given.items() if value is not None}
    try:
        return Options(stop=tuple(text for text in stop or () if text), **values)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        what = "; ".join(f"{'.'.join(map(str, f['loc']))}: {f['msg']}" for f in faults[:5])
        known = ", ".join(sorted(Options.model_fields))
        raise UsageError(f"options that a local model cannot take ({what}); it takes {known}") from error


def _of_format(asked: dict[str, Any]) -> Constraint | None:
    if asked.get("type") == "text":
        return None
    described = asked.get("json_schema")
    if asked.get("type") != "json_schema" or not isinstance(described, dict) or "schema" not in described:
        raise UsageError(f"response_format of type {asked.get('type')!r}; give json_schema with a schema")
    schema = described["schema"]
    return Constraint("schema", json.dumps(closed(schema) if described.get("strict") else schema))


def _of_outputs(asked: dict[str, Any]) -> Constraint:
    match asked:
        case {"choice": [_, *_] as choices} if len(asked) == 1 and all(isinstance(c, str) and c for c in choices):
            return Constraint("regex", "|".join(map(_literal, choices)))
        case {"regex": str(pattern)} if len(asked) == 1 and pattern:
            return Constraint("regex", pattern)
    raise UsageError(
        f'structured_outputs with {", ".join(asked) or "nothing"}; give {{"choice": [texts]}} or {{"regex": text}}'
    )


def _literal(text: str) -> str:
    """Escape a text by code points, which leaves nothing to the difference between regex dialects."""
    return "".join(char if char.isalnum() and char.isascii() else f"\\x{{{ord(char):x}}}" for char in text)


def _of_tools(tools: Sequence[dict[str, Any]]) -> Constraint:
    calls = [
        {
            "type": "object",
            "properties": {
                "name": {"const": tool["function"]["name"]},
                "arguments": closed(tool["function"].get("parameters") or {"type": "object", "properties": {}}),
            },
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for tool in tools
    ]
    return Constraint("schema", json.dumps({"anyOf": calls}))


_MAPS_OF_SCHEMAS = ("properties", "$defs", "definitions", "patternProperties")
_SCHEMAS = ("items", "prefixItems", "anyOf", "oneOf", "additionalProperties")


def closed(schema: Any) -> Any:
    """Return a JSON schema that forbids keys it does not name, as `strict` asks; what says so already stays."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    within = dict(schema)
    within |= {
        key: {name: closed(inner) for name, inner in schema[key].items()} for key in _MAPS_OF_SCHEMAS if key in schema
    }
    within |= {key: closed(schema[key]) for key in _SCHEMAS if key in schema}
    return {"additionalProperties": False, **within} if "properties" in schema else within
