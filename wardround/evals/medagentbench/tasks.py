"""Tasks and functions as the published files hold them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wardround.core.errors import UsageError

CATEGORIES = range(1, 11)
QUERIES = frozenset({1, 2, 4, 6, 7})
"""Categories that only read; the others may have to write."""

_ID = re.compile(r"task([1-9]|10)_[0-9]+")
_FUNCTION = re.compile(r"(GET|POST) \{api_base\}/([A-Z][A-Za-z]+)")


@dataclass(frozen=True)
class MedAgentTask:
    """One row of the task file."""

    id: str
    category: int
    """1 to 10."""
    instruction: str
    context: str
    """What the agent is told besides: the time, the codes, the dosing rule; empty in category 1."""
    mrn: str | None
    """The patient's medical record number; none where the patient that is looked for does not exist."""
    solution: tuple[str, ...] | None
    """The stored answer of category 1; the others' is computed from the record."""


@dataclass(frozen=True)
class FunctionSpec:
    """One row of the function file."""

    name: str
    """Method and address, with the base of the server left open: `GET {api_base}/Patient`."""
    description: str
    parameters: Mapping[str, Any]
    """A JSON Schema of type object."""

    @property
    def method(self) -> str:
        """`GET` or `POST`."""
        return self.name.split(" ", 1)[0]

    @property
    def resource_type(self) -> str:
        """The resource type that the address ends in."""
        return self.name.rsplit("/", 1)[1]


def read_tasks(path: Path) -> tuple[MedAgentTask, ...]:
    """Read a task file.

    Raises:
        UsageError: The file is not there, or a row is not as published; names the file, the row and the field.
    """
    tasks = tuple(_task(row, where) for row, where in _rows(path, "tasks"))
    seen: set[str] = set()
    for task in tasks:
        if task.id in seen:
            raise UsageError(f"{path}: two rows have the id {task.id!r}; keep one of them")
        seen.add(task.id)
    return tasks


def read_functions(path: Path) -> tuple[FunctionSpec, ...]:
    """Read a function file.

    Raises:
        UsageError: The file is not there, or a row is not as published; names the file, the row and the field.
    """
    return tuple(_function(row, where) for row, where in _rows(path, "functions"))


def _rows(path: Path, what: str) -> Iterator[tuple[dict[str, Any], str]]:
    try:
        rows = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); give the published file of {what}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not JSON ({error}); give the published file of {what}") from error
    if not isinstance(rows, list) or not rows:
        raise UsageError(f"{path}: not a list of {what}; give the published file of {what}")
    for number, row in enumerate(rows, start=1):
        where = f"{path}: row {number}"
        if not isinstance(row, dict):
            raise UsageError(f"{where}: not an object; write one object for each of the {what}")
        yield row, where


def _task(row: Mapping[str, Any], where: str) -> MedAgentTask:
    name = _text(row, "id", where)
    matched = _ID.fullmatch(name)
    if matched is None:
        raise UsageError(f"{where}: field 'id' is {name!r}; write task<1 to 10>_<number>")
    where, category = f"{where} ({name})", int(matched[1])
    return MedAgentTask(
        id=name,
        category=category,
        instruction=_text(row, "instruction", where),
        context=_text(row, "context", where, may_be_empty=True),
        mrn=_mrn(row, category, where),
        solution=_solution(row, category, where),
    )


def _function(row: Mapping[str, Any], where: str) -> FunctionSpec:
    name = _text(row, "name", where)
    if _FUNCTION.fullmatch(name) is None:
        raise UsageError(f"{where}: field 'name' is {name!r}; write 'GET' or 'POST', then {{api_base}}/ResourceType")
    parameters = row.get("parameters")
    if not isinstance(parameters, dict) or not isinstance(parameters.get("properties"), dict):
        raise UsageError(f"{where} ({name}): field 'parameters' has no properties; write a JSON Schema of an object")
    return FunctionSpec(name, _text(row, "description", where, may_be_empty=True), parameters)


def _text(row: Mapping[str, Any], field: str, where: str, *, may_be_empty: bool = False) -> str:
    value = row.get(field)
    if not isinstance(value, str) or not (value.strip() or may_be_empty):
        raise UsageError(f"{where}: field {field!r} is {value!r}; write a text")
    return value


def _mrn(row: Mapping[str, Any], category: int, where: str) -> str | None:
    if category == 1 and "eval_MRN" not in row:
        return None
    return _text(row, "eval_MRN", where)


def _solution(row: Mapping[str, Any], category: int, where: str) -> tuple[str, ...] | None:
    if category != 1:
        return None
    value = row.get("sol")
    if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
        raise UsageError(f"{where}: field 'sol' is {value!r}; write the list of the answer's texts")
    return tuple(value)
