"""The right answer of a case. Nothing that thinks may import this module; an import contract says so."""

from __future__ import annotations

from pydantic import Field

from wardround.core.case import Case
from wardround.core.frozen import Frozen


class GoldAnswer(Frozen):
    """What a case turned out to be."""

    name: str
    """The diagnosis in words."""
    conditions: tuple[str, ...] = ()
    """Condition ids that are right; none where the diagnosis lies outside the knowledge."""
    must_not_miss: bool = False
    """Whether missing it would be dangerous."""

    @property
    def outside(self) -> bool:
        """Whether the knowledge does not hold it, so that abstaining is right."""
        return not self.conditions


class Sample(Frozen):
    """A case with its right answer."""

    case: Case
    gold: GoldAnswer
    style: str = Field(default="", description="How it is written, for groups.")
