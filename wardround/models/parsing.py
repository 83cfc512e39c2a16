"""Finding the one JSON object in what a model wrote."""

from __future__ import annotations

import json
import re
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

T = TypeVar("T", bound=BaseModel)

MAX_CHARACTERS = 200_000
"""An answer longer than this is a runaway and not parsed."""

_THINKING = re.compile(r"<(think|thinking|reasoning)>.*?</\1>", re.DOTALL | re.IGNORECASE)


class Unreadable(ValueError):
    """An answer that holds no object of the shape asked for; the message can be shown to the model."""


def parse_answer(text: str, schema: type[T]) -> T:
    """Return the answer that a text holds.

    Thinking tags, code fences and prose around the object are passed over. Several objects of the
    right shape that differ are ambiguous and therefore unreadable.

    Raises:
        Unreadable: Says what is wrong in a sentence.
    """
    if len(text) > MAX_CHARACTERS:
        raise Unreadable(f"the answer has {len(text)} characters; at most {MAX_CHARACTERS} are read")
    objects = _objects(_THINKING.sub(" ", text))
    if not objects:
        raise Unreadable("the answer holds no complete JSON object")
    valid: list[T] = []
    faults: list[str] = []
    for candidate in objects:
        try:
            valid.append(schema.model_validate(candidate))
        except ValidationError as error:
            faults.append(_faults(error))
    distinct = [v for i, v in enumerate(valid) if v not in valid[:i]]
    if len(distinct) > 1:
        raise Unreadable(f"the answer holds {len(distinct)} different objects; give one")
    if not distinct:
        raise Unreadable(faults[0])
    return distinct[0]


def _objects(text: str) -> list[dict[str, Any]]:
    decoder = json.JSONDecoder(parse_constant=_refuse_constant)
    found: list[dict[str, Any]] = []
    at = text.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at = text.find("{", at + 1)
            continue
        if isinstance(value, dict):
            found.append(value)
        at = text.find("{", end)
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _faults(error: ValidationError) -> str:
    parts = [
        f"{'.'.join(str(p) for p in fault['loc']) or 'object'}: {fault['msg']}"
        for fault in error.errors(include_url=False, include_input=False)[:5]
    ]
    return "the object does not fit: " + "; ".join(parts)
