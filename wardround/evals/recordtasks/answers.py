"""What a task wants answered, and whether an agent's list says it: tolerant of form, strict about substance."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from wardround.tools.fhir.access import number

EXACT = 1e-6
"""How far a number may be off that is copied from the record; relative above 1."""

_NUMBER = re.compile(r"([+-]?[0-9]+(?:\.[0-9]+)?)\s*(\S.*)?")


@dataclass(frozen=True)
class Number:
    """A number; as text it may bear one of the units."""

    raw: float
    tolerance: float = EXACT
    units: frozenset[str] = frozenset()
    """In lower case."""

    def fits(self, given: object) -> bool:
        """Whether a given element says this number."""
        value = _number(given, self.units)
        return value is not None and math.isclose(self.raw, value, rel_tol=EXACT, abs_tol=self.tolerance)

    @property
    def json(self) -> object:
        """The plainest way to answer it."""
        rounded = round(self.raw, 6)
        return int(rounded) if rounded == int(rounded) else rounded


@dataclass(frozen=True)
class Text:
    """A word or a record number; case, white space, a full stop and `Patient/` before it do not matter."""

    raw: str

    def fits(self, given: object) -> bool:
        """Whether a given element says this text."""
        return isinstance(given, str) and _plain(given) == _plain(self.raw)

    @property
    def json(self) -> object:
        """The plainest way to answer it."""
        return self.raw


@dataclass(frozen=True)
class Day:
    """A date; a point in time on that day in UTC says it as well."""

    raw: date

    def fits(self, given: object) -> bool:
        """Whether a given element says this day."""
        if not isinstance(given, str):
            return False
        try:
            moment = datetime.fromisoformat(given.strip())
        except ValueError:
            return False
        return (moment.astimezone(UTC) if moment.tzinfo is not None else moment).date() == self.raw

    @property
    def json(self) -> object:
        """The plainest way to answer it."""
        return self.raw.isoformat()


Item = Number | Text | Day
Answer = tuple[Item, ...]


def same(answer: Answer, given: Sequence[object], *, is_set: bool = False) -> bool:
    """Whether a given list says an answer, element by element, or in any order where it is a set."""
    if len(answer) != len(given):
        return False
    if not is_set:
        return all(item.fits(g) for item, g in zip(answer, given, strict=True))
    return all(any(item.fits(g) for g in given) for item in answer)


def holds(answer: Answer, given: Sequence[object]) -> bool:
    """Whether a given list says an answer among other things."""
    return len(given) > len(answer) and all(any(item.fits(g) for g in given) for item in answer)


def plain(answer: Answer) -> list[object]:
    """Return an answer as JSON."""
    return [item.json for item in answer]


def _number(given: object, units: frozenset[str]) -> float | None:
    if not isinstance(given, str):
        return number(given)
    found = _NUMBER.fullmatch(given.strip())
    if found is None or (found[2] or "").strip().casefold() not in {"", *units}:
        return None
    return number(float(found[1]))


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold().removeprefix("patient/").rstrip(".")
