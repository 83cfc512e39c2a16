"""Who can be asked, and how a triage becomes a route: both are data."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources

import yaml
from pydantic import Field

from wardround.core.decision import Triage, Urgency
from wardround.core.frozen import Frozen


class Specialty(Frozen):
    """A specialist as data."""

    id: str
    name: str
    focus: str
    """What it looks at first, in a sentence or two; part of its prompt."""
    tools: tuple[str, ...] = ()
    """Names of the tools it may use."""


class RoutingPolicy(Frozen):
    """Which of the specialties that triage names are really asked."""

    most: int = Field(default=3, ge=0)
    """How many at most."""
    emergent_adds: tuple[str, ...] = ()
    """Asked in every emergent case as well."""

    def route(self, triage: Triage, known: Sequence[str]) -> tuple[str, ...]:
        """Return who is asked; a triage that needs nobody is heeded, unless the case is emergent."""
        is_emergent = triage.urgency is Urgency.EMERGENT
        added = [a for a in dict.fromkeys(self.emergent_adds) if a in known and is_emergent][: self.most]
        named = [s for s in dict.fromkeys(triage.specialties) if s in known]
        route = named[: self.most]
        while len(route) + len([a for a in added if a not in route]) > self.most:
            route.remove(next(s for s in reversed(route) if s not in added))
        return (*route, *(a for a in added if a not in route))


class Roster(Frozen):
    """All specialties and the routing policy."""

    specialties: tuple[Specialty, ...]
    routing: RoutingPolicy = RoutingPolicy()

    def find(self, specialty: str) -> Specialty:
        """Return a specialty by id."""
        return next(s for s in self.specialties if s.id == specialty)

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of all specialties."""
        return tuple(s.id for s in self.specialties)


@cache
def embedded_roster() -> Roster:
    """Return the specialties that ship with Wardround."""
    text = (resources.files("wardround.agents") / "specialties.yaml").read_text("utf-8")
    return Roster.model_validate(yaml.safe_load(text))
