"""The valid answer from which malformed ones are made, and what a strict reader makes of a text."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ValidationError

Path = tuple[str | int, ...]
"""Keys and places that lead from an object to a value in it."""


class Reading(StrEnum):
    """What a reader may make of a malformed answer."""

    STATED = "stated"
    """The answer is stated in full, and has to be read as it is stated."""
    TOLERABLE = "tolerable"
    """It can be made out. It may be read as it is stated, or not at all."""
    NO_OPINION = "no_opinion"
    """No answer is stated. Whatever is read was made up."""
    REFUSAL = "refusal"
    """The model declines to answer. No answer may be read, and the refusal should be told from other faults."""


@dataclass(frozen=True)
class Made:
    """A malformed answer."""

    text: str
    reading: Reading
    states: BaseModel | None = None
    """What is stated; nothing where no answer is."""


class Source:
    """A valid answer, taken apart."""

    def __init__(self, answer: BaseModel, seed: int) -> None:
        """Take an answer apart.

        Args:
            answer: It must survive JSON in strict mode, and hold something that can be changed.
            seed: For what is chosen by chance.

        Raises:
            ValueError: It is not such an answer.
        """
        self.answer = answer
        self.schema = type(answer)
        self.random = random.Random(seed)
        self.value: dict[str, Any] = answer.model_dump(mode="json", by_alias=True)
        self.text = written(self.value)
        if self.stated(self.value) != answer:
            raise ValueError(f"{self.schema.__name__}: the answer does not survive JSON; give one that does")
        self.other = self._other()
        """A valid answer that says something else."""

    @cached_property
    def leaves(self) -> list[tuple[Path, Any]]:
        """Every value that holds no others, with the way to it."""
        return [(path, value) for path, value in _walk(self.value, ()) if not isinstance(value, dict | list)]

    @cached_property
    def texts(self) -> list[tuple[Path, str]]:
        """Every text that may be another, with the way to it."""
        found = [(path, value) for path, value in self.leaves if isinstance(value, str)]
        return [(path, value) for path, value in found if self.stated(self.with_value(path, f"{value}x")) is not None]

    @cached_property
    def numbers(self) -> list[tuple[Path, float]]:
        """Every number, with the way to it."""
        return [
            (path, value)
            for path, value in self.leaves
            if isinstance(value, int | float) and not isinstance(value, bool)
        ]

    @cached_property
    def places(self) -> list[tuple[Path, Any]]:
        """Every value, with the way to it."""
        return [(path, value) for path, value in _walk(self.value, ()) if path]

    @cached_property
    def keys(self) -> list[Path]:
        """The way to each value that is a field of the schema or of one inside it."""
        return list(_fields(self.answer, ()))

    def _other(self) -> dict[str, Any]:
        for path, value in self.leaves:
            for instead in _instead_of(value):
                changed = self.with_value(path, instead)
                if self.stated(changed) not in (None, self.answer):
                    return changed
        raise ValueError(f"{self.schema.__name__}: nothing in the answer can be changed; give one that says more")

    def with_value(self, path: Path, value: Any) -> dict[str, Any]:
        """Return the answer with another value at a place."""
        return self.with_values([path], value)

    def with_values(self, paths: Iterable[Path], value: Any) -> dict[str, Any]:
        """Return the answer with another value at several places."""
        changed = copy.deepcopy(self.value)
        for path in paths:
            _holder(changed, path)[path[-1]] = value
        return changed

    def with_key(self, path: Path, key: str) -> dict[str, Any]:
        """Return the answer with another key for the value at a place."""
        changed = copy.deepcopy(self.value)
        holder = _holder(changed, path)
        entries = [(key if k == path[-1] else k, value) for k, value in holder.items()]
        holder.clear()
        holder.update(entries)
        return changed

    def without(self, path: Path) -> dict[str, Any]:
        """Return the answer without the value at a place."""
        changed = copy.deepcopy(self.value)
        del _holder(changed, path)[path[-1]]
        return changed

    def with_token(self, path: Path, token: str) -> str:
        """Return the answer as text with a token, quoted or not, in place of the value at a place."""
        mark = "\ue000"
        return written(self.with_value(path, mark)).replace(f'"{mark}"', token)

    def stated(self, value: Any) -> BaseModel | None:
        """Return what a strict reader takes an object for: nothing where it does not fit the schema as it is."""
        try:
            return self.schema.model_validate_json(json.dumps(value, allow_nan=False), strict=True)
        except (ValidationError, ValueError):
            return None

    def strictly(self, text: str) -> BaseModel | None:
        """Return what a strict reader takes a text for that is one object and nothing else.

        Brackets around it are passed over, closed or not. What an object has twice, it does not have.
        """
        core = text.lstrip(" \n\r\t[{")
        before = text[: len(text) - len(core)].rfind("{")
        if before < 0:
            return None
        decoder = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_constant)
        try:
            value, end = decoder.raw_decode(text, before)
        except (ValueError, RecursionError):
            return None
        return None if text[end:].strip(" \n\r\t]}") else self.stated(value)

    def as_given(self, value: Any) -> Made:
        """Return an object as an answer that states it, or none where it does not fit the schema."""
        return self.as_written(written(value), self.stated(value))

    def as_written(self, text: str, stated: BaseModel | None) -> Made:
        """Return a text as an answer that states something, or nothing."""
        return Made(text, Reading.NO_OPINION if stated is None else Reading.STATED, stated)


def written(value: Any) -> str:
    """Return a value as JSON in one line."""
    return json.dumps(value, ensure_ascii=False)


def _walk(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    yield path, value
    if isinstance(value, dict | list):
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in entries:
            yield from _walk(inner, (*path, key))


def _fields(value: Any, path: Path) -> Iterator[Path]:
    if isinstance(value, BaseModel):
        for name, info in type(value).model_fields.items():
            inner = (*path, info.alias or name)
            yield inner
            yield from _fields(getattr(value, name), inner)
    if isinstance(value, list | tuple):
        for i, entry in enumerate(value):
            yield from _fields(entry, (*path, i))


def _holder(value: Any, path: Path) -> Any:
    for key in path[:-1]:
        value = value[key]
    return value


def _instead_of(value: Any) -> tuple[Any, ...]:
    match value:
        case bool():
            return (not value,)
        case int() | float():
            return (value / 2, value + 1, 0.25)
        case str():
            return (f"another {value}", f"{value} 2")
        case _:
            return ("another", 1)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key is given twice")
    return dict(pairs)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
