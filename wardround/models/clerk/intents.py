"""A task as it was understood: whom it is about, what it asks, what it wants done, and what it states."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum, auto
from typing import Any

from wardround.models.clerk.asked import Question, Rounding
from wardround.models.clerk.doses import DosingRule
from wardround.models.clerk.times import Moment
from wardround.models.clerk.units import Factor
from wardround.models.clerk.wanted import Act


@dataclass(frozen=True)
class WhoIsMeant:
    """How a task names its patient; all empty where it names none."""

    number: str | None = None
    """A record number or id."""
    is_id: bool = False
    """Whether the number is the id of the patient's resource, as in `Patient/1`."""
    name: tuple[str, ...] = ()
    """Parts of the name."""
    born: str | None = None
    """YYYY-MM-DD, or a year alone."""
    city: str | None = None
    gender: str | None = None
    """`female` or `male`."""

    @property
    def words(self) -> str:
        """For telling."""
        if self.number is not None:
            return f"patient {self.number}"
        born = f"born {self.born}" if self.born else ""
        lives = f"in {self.city}" if self.city else ""
        return " ".join(filter(None, (self.gender, "patient", *self.name, born, lives)))


class Case(StrEnum):
    """When a task wants a stated answer."""

    ABSENT = auto()
    AMBIGUOUS = auto()
    ALLERGY = auto()
    DUPLICATE = auto()
    OTHERWISE = auto()
    """The condition of an act does not hold."""
    TOO_FEW = auto()
    """There is nothing to compare a value with."""
    DONE = auto()
    """What was to be done is done."""


@dataclass(frozen=True)
class Task:
    """A task as it was understood."""

    who: WhoIsMeant
    now: Moment | None
    questions: tuple[Question, ...]
    acts: tuple[Act, ...]
    rule: DosingRule | None = None
    stated: dict[Case, tuple[Any, ...]] = field(default_factory=dict)
    """The answers that the task states for certain cases."""
    rounding: Rounding | None = None
    factors: tuple[Factor, ...] = ()
    counted: frozenset[str] = frozenset()
    """The statuses of results that count; empty where the task does not say."""
    elements: int | None = None
    """How many answers are wanted, where the task says so."""
    finished_stays: bool = False
    """Whether only stays count that are over."""
    wants_days: bool = False
    """Whether times are wanted as dates alone."""

    @property
    def time(self) -> datetime | None:
        """The task's now."""
        return self.now.time if self.now is not None else None


@dataclass(frozen=True)
class Unclear:
    """A task that was not understood."""

    why: str


class Puzzled(Exception):
    """Something in a task that cannot be told apart; the message says what."""
