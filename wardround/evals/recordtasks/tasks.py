"""A task of this suite: what it asks for in terms that a program reads, and the words in which it is put."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from random import Random
from typing import TYPE_CHECKING, Literal, Protocol

from wardround.evals.recordtasks.reading import Resource, Solving, full_name, mrn_of
from wardround.tools.fhir.access import string

if TYPE_CHECKING:
    from wardround.evals.recordtasks.desk import Desk

Split = Literal["dev", "test"]
"""Whose eyes a wording is for: whoever builds an agent looks at `dev` alone."""


@dataclass(frozen=True)
class Who:
    """A patient, as texts name one."""

    id: str
    mrn: str
    name: str
    """Given names and family name."""
    gender: str
    birth_date: date

    @classmethod
    def of(cls, patient: Resource) -> Who:
        """Read a Patient."""
        return cls(
            id=string(patient.get("id")),
            mrn=mrn_of(patient),
            name=full_name(patient),
            gender=string(patient.get("gender")),
            birth_date=date.fromisoformat(string(patient.get("birthDate"))),
        )


class Ask(Protocol):
    """What one task asks for."""

    @property
    def who(self) -> Who | None:
        """The patient; none where finding the patient is the task."""
        ...

    @property
    def mrn(self) -> str | None:
        """Record number that the answer or the writes are about; none where there is no such patient."""
        ...

    @property
    def words(self) -> Mapping[str, str]:
        """What fills the gaps of instruction and context."""
        ...

    def solve(self) -> Solving:
        """Work through the record and return what the task comes to."""
        ...


@dataclass(frozen=True)
class AboutPatient:
    """What tasks about one known patient have in common."""

    who: Who

    @property
    def mrn(self) -> str:
        """Of the patient."""
        return self.who.mrn

    @property
    def words(self) -> Mapping[str, str]:
        """What fills the gaps; the patient's name is added later."""
        return {}


@dataclass(frozen=True)
class Category:
    """A kind of task."""

    slug: str
    """Begins the ids of its tasks; holds no underscore, since what stands before one is the category."""
    title: str
    branches: Mapping[str, float]
    """Ways through a task, each with its share of the tasks; they sum to 1."""
    writing: frozenset[str]
    """Branches in which something must be written; in all others nothing may be."""
    wordings: tuple[str, ...]
    """Instructions with gaps; `{who}` is the patient, `{Who}` the same at the beginning of a sentence."""
    context: str
    """With gaps."""
    draw: Callable[[Desk, str, Random], Ask]
    """Makes a task that leads down a branch: picks a patient and files what is needed for it."""
    turn: int = 0
    """When its tasks are drawn, lower first: last what is about all that others file, first what finds few patients."""


@dataclass(frozen=True)
class RecordTask:
    """One task."""

    id: str
    category: Category
    branch: str
    """Which way through the task it was made for; the record is checked to lead there."""
    split: Split
    instruction: str
    context: str
    ask: Ask
