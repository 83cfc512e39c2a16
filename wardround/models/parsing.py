"""Finding the one JSON object in what a model wrote."""

from __future__ import annotations

import json
import re
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

T = TypeVar("T", bound=BaseModel)

MAX_CHARACTERS = 200_000
"""An answer longer than this is a runaway and not parsed."""

MAX_BRACES = 1000
"""At how many braces of an answer an object is looked for; one with more is a runaway."""

_THINKING = re.compile(r"<(think|thinking|reasoning)>.*?</\1>", re.DOTALL | re.IGNORECASE)
_OBJECT = re.compile(r'\{\s*"')
_THOUGHT_BEFORE = re.compile(r"\A.*</(?:think|thinking|reasoning)>", re.DOTALL | re.IGNORECASE)
"""Thinking whose opening tag stood in the prompt."""
_THOUGHT_BEHIND = re.compile(r"<(?:think|thinking|reasoning)>.*\Z", re.DOTALL | re.IGNORECASE)
"""Thinking that was cut off before it came to an answer."""


class Unreadable(ValueError):
    """An answer that holds no object of the shape asked for; the message can be shown to the model."""


def parse_answer(text: str, schema: type[T]) -> T:
    """Return the answer that a text holds.

    Thinking, code fences and prose around the object are passed over. Several objects of the right
    shape that differ are ambiguous and therefore unreadable. So is an answer with a broken object: what
    stands in it may be a draft, and what stands before it may not be the last word.

    Raises:
        Unreadable: Says what is wrong in a sentence.
    """
    if len(text) > MAX_CHARACTERS:
        raise Unreadable(f"the answer has {len(text)} characters; at most {MAX_CHARACTERS} are read")
    spoken = _THOUGHT_BEHIND.sub(" ", _THOUGHT_BEFORE.sub(" ", _THINKING.sub(" ", text)))
    objects = _objects(spoken)
    if not objects:
        raise Unreadable("the answer holds no complete JSON object")
    valid: list[T] = []
    faults: list[str] = []
    for candidate in objects:
        try:
            answer = schema.model_validate(candidate)
        except ValidationError as error:
            faults.append(_faults(error))
            continue
        fault = _unfit(candidate, answer.model_dump(mode="python"))
        if fault is None:
            valid.append(answer)
        else:
            faults.append(fault)
    distinct = [v for i, v in enumerate(valid) if v not in valid[:i]]
    if len(distinct) > 1:
        raise Unreadable(f"the answer holds {len(distinct)} different objects; give one")
    if not distinct:
        raise Unreadable(faults[0])
    return distinct[0]


def _objects(text: str) -> list[dict[str, Any]]:
    """All objects of a text; a brace that no key follows is prose, one that a key follows must hold an object."""
    decoder = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_one_value_a_key)
    found: list[dict[str, Any]] = []
    at = text.find("{")
    for _ in range(MAX_BRACES):
        if at < 0:
            return found
        try:
            value, end = decoder.raw_decode(text, at)
            found.append(value)
        except RecursionError as error:
            raise Unreadable("the object is nested too deep") from error
        except ValueError as error:
            if _OBJECT.match(text, at):
                raise Unreadable(f"the object is not JSON: {_syntax(error, text)}") from error
            end = at + 1
        at = text.find("{", end)
    raise Unreadable(f"the answer has more than {MAX_BRACES} opening braces; give one object")


def _syntax(error: ValueError, text: str) -> str:
    if not isinstance(error, json.JSONDecodeError):
        return str(error)
    if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
        return "it was cut off"
    return f"{error.msg} at {text[error.pos : error.pos + 20]!r}"


def _one_value_a_key(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, given in pairs:
        if key in value and value[key] != given:
            raise ValueError(f"{key[:40]!r} is given twice")
        value[key] = given
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _unfit(given: Any, read: Any) -> str | None:
    """What is wrong with an object although it validates: a truth value read as a number, broken text."""
    if isinstance(given, bool) and isinstance(read, float):
        return f"the object does not fit: {json.dumps(given)} is not a number"
    if isinstance(given, str) and any("\ud800" <= c <= "\udfff" for c in given):
        return "the object holds half a surrogate pair, which is no character"
    pairs: list[tuple[Any, Any]] = []
    if isinstance(given, dict) and isinstance(read, dict):
        pairs = [(given[key], read[key]) for key in read if key in given]
    elif isinstance(given, list) and isinstance(read, list):
        pairs = list(zip(given, read, strict=True))
    return next((fault for pair in pairs if (fault := _unfit(*pair)) is not None), None)


def _faults(error: ValidationError) -> str:
    parts = [
        f"{'.'.join(str(p) for p in fault['loc']) or 'object'}: {fault['msg']}"
        for fault in error.errors(include_url=False, include_input=False)[:5]
    ]
    return "the object does not fit: " + "; ".join(parts)
