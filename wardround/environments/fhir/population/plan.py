"""Where an acute illness is seen, for how long, and by whom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wardround.environments.fhir.population.chart import Chart
from wardround.environments.fhir.population.resources import DAY, HOUR
from wardround.environments.fhir.population.schema import Specialty

CHILD = 16.0
"""Age in years below which a patient is looked after by paediatrics; own choice."""
ED_HOURS = 5
"""How long an attendance at the emergency department lasts; own choice."""
_SHORTEST, _LONGEST = 0.7, 60.0
_INTENSIVE = 1.5


@dataclass(frozen=True)
class Plan:
    """Where an illness is seen, and for how long."""

    condition: str
    """Id in the knowledge base."""
    arrives: int
    """In seconds since 1970."""
    in_hospital: bool
    """Seen in the emergency department, and not in a clinic or practice."""
    leaves: int | None = None
    """When a stay ends, also by death; nothing if there is none, or if it goes on at the end of the record."""
    is_admitted: bool = False
    is_intensive: bool = False
    dies: bool = False

    @property
    def is_open(self) -> bool:
        """Whether the patient still lies in hospital at the end of the record."""
        return self.is_admitted and self.leaves is None


def draw_plan(chart: Chart, condition: str, at: int) -> Plan:
    """Draw where an illness is seen and for how long, by its urgency."""
    t, rng = chart.tables, chart.rng
    row = t.episodes.urgency[t.kb.conditions[condition].urgency]
    seen, admitted, intensive = rng.random(3).tolist()
    days = t.episodes.days.get(condition, row.days) * float(np.exp(row.spread * rng.standard_normal()))
    if seen >= row.seen:
        return Plan(condition, at, in_hospital=False)
    if admitted >= row.admitted:
        return Plan(condition, at, in_hospital=True)
    is_intensive = intensive < row.intensive
    days = min(max(days * (_INTENSIVE if is_intensive else 1.0), _SHORTEST), _LONGEST)
    afternoon = int(at + days * DAY) // DAY * DAY + 14 * HOUR
    leaves = max(afternoon, at + 16 * HOUR)
    return Plan(condition, at, in_hospital=True, leaves=leaves, is_admitted=True, is_intensive=is_intensive)


def specialty_for(chart: Chart, plan: Plan) -> Specialty:
    """Return who looks after an illness: paediatrics after children, the practice after routine matters."""
    t = chart.tables
    if chart.age(plan.arrives) < CHILD:
        return t.staff.by_id["pediatrics"]
    entry = t.kb.conditions[plan.condition]
    if not plan.in_hospital and entry.urgency == "routine":
        return t.staff.by_id["family_medicine"]
    specialty = t.staff.of_knowledge[entry.specialties[0]]
    return t.staff.by_id["internal_medicine" if specialty == "emergency_medicine" else specialty]
