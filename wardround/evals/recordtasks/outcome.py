"""What a task comes to in a record: the branch, the right answers, the wanted writes, and what had to be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wardround.evals.records.grading import Reason
from wardround.evals.recordtasks.answers import Answer
from wardround.evals.recordtasks.orders import Wanted


@dataclass(frozen=True)
class Seen:
    """Resources that decide: each must have come back from a read."""

    refs: frozenset[str]


@dataclass(frozen=True)
class Sought:
    """Something that decides by not being there: a read must have been such that it would have brought it."""

    probe: Mapping[str, Any]
    """A resource like what is missing; it is in no record, and its id begins with `probe`."""


Evidence = Seen | Sought


@dataclass(frozen=True)
class Misread:
    """An answer that one way of reading the record wrongly gives."""

    code: str
    """Which way: `void_value`, `other_unit`, `other_window`, `other_patient` ..."""
    reason: Reason
    answer: Answer


@dataclass(frozen=True)
class Outcome:
    """The right end of a task."""

    branch: str
    answers: tuple[Answer, ...]
    """Any of them is right; none where the answer is not graded."""
    writes: tuple[Wanted, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    """All of it must have been read."""
    misreads: tuple[Misread, ...] = field(default=())
    is_set: bool = False
    """Whether the elements of the answer may come in any order."""


def seen(*refs: str) -> tuple[Seen, ...]:
    """Return the evidence that some resources are; none for no resource."""
    return (Seen(frozenset(refs)),) if refs else ()


def otherwise(code: str, *answers: Answer) -> tuple[Misread, ...]:
    """Return misreadings that give another value."""
    return tuple(Misread(code, Reason.WRONG_VALUE, answer) for answer in answers)


def elsewhen(*answers: Answer) -> tuple[Misread, ...]:
    """Return misreadings that give what another span of time holds."""
    return tuple(Misread("other_window", Reason.WRONG_TIME_WINDOW, answer) for answer in answers)
