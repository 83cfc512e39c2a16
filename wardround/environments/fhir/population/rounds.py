"""When things happen in a hospital stay: blood, vital signs and bedside glucose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wardround.environments.fhir.population.chart import Chart
from wardround.environments.fhir.population.onset import Onset
from wardround.environments.fhir.population.physiology import axes
from wardround.environments.fhir.population.plan import ED_HOURS, Plan
from wardround.environments.fhir.population.resources import DAY, HOUR

VITALS_EVERY = 4 * HOUR
GLUCOSE_AT = (7.0, 11.5, 17.0, 21.0)
"""Hours of the day at which capillary glucose is taken in those with diabetes or a raised glucose."""
RAISED_GLUCOSE = 11.1
"""In mmol/L; the threshold of the knowledge base's glucose_high."""
INTENSIVE_DAYS = 3.0
"""How long those who need it stay in intensive care; own choice."""
_DUE = 0.85
"""Share of a panel's interval after which the next round takes it along."""
_DIABETES = {"type_1_diabetes", "type_2_diabetes"}


@dataclass(frozen=True)
class Rounds:
    """Times of a stay, in seconds since 1970."""

    begins: int
    until: int
    """When the stay ends, or the last moment of the record."""
    blood: tuple[tuple[int, tuple[str, ...]], ...]
    """When blood is taken, and for which panels."""
    vitals: tuple[int, ...]
    glucose: tuple[int, ...]

    def moments(self, arrives: int) -> list[int]:
        """Return every time at which a value is needed, the arrival first."""
        later = {at for at, _ in self.blood}.union(self.vitals, self.glucose)
        return [arrives, *sorted(at for at in later if at > arrives)]


def draw_rounds(chart: Chart, plan: Plan, onset: Onset) -> Rounds:
    """Draw the times of a stay; the last blood of one that goes on was taken within the last hours."""
    begins = plan.arrives + ED_HOURS * HOUR
    until = chart.last if plan.leaves is None else min(plan.leaves, chart.last)
    blood = _blood(chart, plan, begins, until)
    vitals = np.arange(begins + 1800, until - 600, VITALS_EVERY)
    vitals += chart.rng.integers(-600, 600, len(vitals))
    return Rounds(begins, until, blood, tuple(vitals.tolist()), _glucose(chart, onset, begins, until))


def _blood(chart: Chart, plan: Plan, begins: int, until: int) -> tuple[tuple[int, tuple[str, ...]], ...]:
    table, rng = chart.tables.analytes, chart.rng
    ward = {name: float(rng.uniform(low, high)) for name, (low, high) in table.inpatient.items()}
    intensive = {name: float(rng.uniform(low, high)) for name, (low, high) in table.intensive.items()}
    intensive_until = begins + INTENSIVE_DAYS * DAY * plan.is_intensive
    taken = dict.fromkeys({*ward, *intensive}, begins)
    rounds: list[tuple[int, tuple[str, ...]]] = []
    at = begins
    while True:
        hours = intensive if at < intensive_until else ward
        at += int((hours["bmp"] + rng.normal(0, 0.4)) * HOUR)
        if at >= until - HOUR:
            break
        due = tuple(name for name, gap in hours.items() if at - taken[name] >= _DUE * gap * HOUR)
        taken.update(dict.fromkeys(due, at))
        if due:
            rounds.append((at, due))
    if plan.is_open:
        rounds.append((int(until - (0.5 + 7 * rng.random()) * HOUR), ("bmp", "cbc", "magnesium")))
    return tuple(sorted(rounds))


def _glucose(chart: Chart, onset: Onset, begins: int, until: int) -> tuple[int, ...]:
    is_high = chart.scale(begins).values(onset.u)[axes().column["glucose"]] > RAISED_GLUCOSE
    if not is_high and not any(p.row.id in _DIABETES for p in chart.active(begins)):
        return ()
    midnight = begins // DAY * DAY
    days = range((until - midnight) // DAY + 1)
    due = [int(midnight + n * DAY + hour * HOUR + chart.rng.integers(-900, 900)) for n in days for hour in GLUCOSE_AT]
    return tuple(at for at in due if begins <= at < until - 300)
