"""What a question came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wardround.models.clerk.intents import Case, Task
from wardround.models.clerk.values import Value


@dataclass(frozen=True)
class Found:
    """What a question came to."""

    answers: tuple[Any, ...]
    remark: str = ""
    value: Value | None = None
    """The value that decides what is to be done."""
    is_absent: bool = False
    """Whether the record holds nothing of the kind."""
    is_sure: bool = True
    """Whether that is so, and not only nothing of the name was found."""


def absent(what: str, task: Task) -> Found:
    """Return what is answered where the record holds nothing: what the task states, else that it is so."""
    stated = task.stated.get(Case.ABSENT)
    remark = f"not recorded: {what}"
    return Found(stated if stated is not None else (remark,), remark, is_absent=True)
