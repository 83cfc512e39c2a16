"""A patient's years: what happens when, from the first visit to the last."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from wardround.environments.fhir.population import care, shares
from wardround.environments.fhir.population.acute import attend
from wardround.environments.fhir.population.chart import Chart
from wardround.environments.fhir.population.conditions import Problem
from wardround.environments.fhir.population.draws import from_age
from wardround.environments.fhir.population.illness import condition_weights
from wardround.environments.fhir.population.medications import Regimen
from wardround.environments.fhir.population.physiology import Array
from wardround.environments.fhir.population.plan import Plan, draw_plan
from wardround.environments.fhir.population.prevention import immunizations
from wardround.environments.fhir.population.problem_list import (
    begin_prescription,
    close_prescriptions,
    enter_problem,
)
from wardround.environments.fhir.population.resources import DAY, HOUR, YEAR
from wardround.environments.fhir.population.stays import stay
from wardround.environments.fhir.population.tables import Tables
from wardround.environments.fhir.population.visits import visit

CHECK_UPS = {0.0: 1.6, 2.0: 0.7, 18.0: 0.5, 45.0: 0.8, 65.0: 1.2}
"""Visits a year to the family doctor or paediatrician without any reason, by age; graded, own choice."""
LONGEST_OPEN = 8.8
"""Days that a stay which goes on at the end has lasted at most; most are shorter. Own choice."""
LONGEST_LAST = 11.8
"""Days that a stay which ends with death has lasted at most. Own choice."""


class _Event(NamedTuple):
    at: int
    rank: int
    """Order among events of the same moment."""
    what: Problem | Regimen | Plan | str | None
    """A condition that begins, a drug that is begun, a stay that is known beforehand, a specialty to visit, or an
    illness that is not yet drawn (nothing)."""


def live(chart: Chart, end: int) -> None:
    """File everything that happens to a patient, in the order of time.

    Args:
        chart: The patient's, with nothing in it but who it is and which allergies.
        end: The last moment of all records, in seconds since 1970; those who died do not reach it.
    """
    fate = _fate(chart)
    limit = chart.last - DAY if fate is None else fate.arrives - DAY
    for problem in chart.problems:
        if problem.onset < chart.first:
            enter_problem(chart, problem, at=problem.onset, encounter=None, recorder=chart.doctor)
    immunizations(chart)
    events = [event for event in _events(chart) if event.at < limit]
    if fate is not None:
        events.append(_Event(fate.arrives, 0, fate))
    for event in sorted(events, key=lambda e: (e.at, e.rank)):
        _happen(chart, event, limit)
    close_prescriptions(chart)
    if chart.last == end:
        _book(chart)


def _fate(chart: Chart) -> Plan | None:
    """Draw the last stay of those who die in hospital or lie there at the end."""
    roll, when = chart.rng.random(2).tolist()
    dies = chart.person.death is not None
    if roll >= (shares.DIED_IN_HOSPITAL if dies else shares.INPATIENT_NOW):
        return None
    days = _SHORTEST + ((LONGEST_LAST if dies else LONGEST_OPEN) - _SHORTEST) * when * when
    arrives = int(chart.last - days * DAY)
    if arrives < chart.first + 2 * DAY:
        return None
    weights = _weights(chart, arrives) * _admitted(chart.tables, emergent_only=dies)
    condition = _draw(chart, weights)
    intensive = chart.tables.episodes.urgency[chart.tables.kb.conditions[condition].urgency].intensive
    is_intensive = chart.is_done(intensive * (3 if dies else 1))
    leaves = chart.last if dies else None
    return Plan(condition, arrives, True, leaves, is_admitted=True, is_intensive=is_intensive, dies=dies)


_SHORTEST = 0.8


def _admitted(t: Tables, *, emergent_only: bool) -> Array:
    """Return the share of each condition that is admitted, shape (n_conditions,)."""
    rows = [(c.urgency, t.episodes.urgency[c.urgency]) for c in t.kb.conditions.values()]
    return np.array([row.seen * row.admitted * (urgency == "emergent" or not emergent_only) for urgency, row in rows])


def _weights(chart: Chart, at: float) -> Array:
    return condition_weights(chart.tables, chart.person, at, chart.own_findings(at), chart.held)


def _draw(chart: Chart, weights: Array) -> str:
    bounds = np.cumsum(weights)
    index = int(np.searchsorted(bounds, chart.rng.random() * bounds[-1], side="right"))
    return list(chart.tables.kb.conditions)[min(index, len(bounds) - 1)]


def _events(chart: Chart) -> Iterator[_Event]:
    for problem in chart.problems:
        if problem.onset >= chart.first:
            yield _Event(problem.onset, 1, problem)
    for regimen in chart.drugs.regimens:
        if regimen.stop is None or regimen.stop > chart.first:
            back = int(chart.rng.random() * 250 * DAY)
            yield _Event(max(regimen.start, chart.first - back), 2, regimen)
    for specialty, rate in _visit_rates(chart).items():
        for at in _spaced(chart, rate):
            yield _Event(at, 3, specialty)
    for at in _illnesses(chart):
        yield _Event(at, 0, None)


def _visit_rates(chart: Chart) -> dict[str, float]:
    """Visits a year by specialty, from what the patient has in the middle of the record's years."""
    middle = (chart.first + chart.last) / 2
    age = chart.age(middle)
    general = "pediatrics" if age < 14 else "family_medicine"
    rates = {general: from_age(CHECK_UPS, age)}
    for problem in chart.active(middle):
        specialty = general if problem.row.specialty == "family_medicine" else problem.row.specialty
        low, high = sorted((rates.get(specialty, 0.0), problem.row.visits))
        rates[specialty] = high + _SHARED * low
    return rates


_SHARED = 0.3
"""Of the visits that a further condition asks of the same clinic, those that come on top; own choice."""


def _spaced(chart: Chart, rate: float) -> Iterator[int]:
    """Yield times at a rate a year, in working hours, evenly but for a third of the gap."""
    if rate < 0.02:
        return
    gap = YEAR / rate
    at = chart.first + gap * chart.rng.random()
    while at < chart.last - DAY:
        yield int(at) // DAY * DAY + 8 * HOUR + int(chart.rng.integers(0, 16)) * 1800
        at += gap * (0.67 + 0.66 * chart.rng.random())


def _illnesses(chart: Chart) -> list[int]:
    episodes = chart.tables.episodes
    middle = (chart.first + chart.last) / 2
    rate = from_age(episodes.per_year, chart.age(middle)) * (1 + episodes.per_condition * len(chart.active(middle)))
    span = chart.last - chart.first
    n = int(chart.rng.poisson(min(rate, episodes.most_per_year) * span / YEAR))
    return [int(chart.first + share * span) for share in chart.rng.random(n).tolist()]


def _happen(chart: Chart, event: _Event, limit: int) -> None:
    what, is_free = event.what, event.at > chart.free_from + DAY
    match what:
        case Problem():
            _begin_problem(chart, what, event.at, is_free=is_free)
        case Regimen():
            begin_prescription(chart, what, at=event.at, encounter=None, requester=chart.doctor)
        case Plan():
            stay(chart, attend(chart, what, _weights(chart, what.arrives)))
        case str() if is_free:
            visit(chart, what, event.at)
        case None if is_free:
            _fall_ill(chart, event.at, limit)


def _fall_ill(chart: Chart, at: int, limit: int) -> None:
    """File an illness that is over before the limit."""
    weights = _weights(chart, at)
    plan = draw_plan(chart, _draw(chart, weights), at)
    if plan.leaves is not None and plan.leaves > limit:
        if limit < at + 16 * HOUR:
            return
        plan = replace(plan, leaves=limit)
    attendance = attend(chart, plan, weights)
    if plan.is_admitted:
        stay(chart, attendance)


def _begin_problem(chart: Chart, problem: Problem, at: int, *, is_free: bool) -> None:
    """Make out a long-lasting condition: at a visit with its findings, where the knowledge base has it."""
    encounter = None
    if problem.row.knowledge is not None and is_free:
        plan = Plan(problem.row.knowledge, at, in_hospital=False)
        encounter = attend(chart, plan, _weights(chart, at)).encounter
    enter_problem(chart, problem, at=at + 1700, encounter=encounter, recorder=chart.doctor)


def _book(chart: Chart) -> None:
    """Book what lies ahead of a living patient, and tell a share of them that results are in."""
    last, rng = chart.last, chart.rng
    for specialty in {p.row.specialty: None for p in chart.active(last) if p.row.visits >= 0.5}:
        row = chart.tables.staff.by_id[specialty]
        if chart.is_done(0.5):
            care.appointment(
                chart,
                f"{row.name} visit",
                start=int(last + (5 + 150 * rng.random()) * DAY) // DAY * DAY + 9 * HOUR,
                minutes=30,
                status="booked",
                clinician=chart.clinician(specialty),
                location=row.site,
                booked=max(int(last - (1 + 30 * rng.random()) * DAY), chart.person.birth),
            )
    if chart.conditions and chart.is_done(0.25):
        care.communicate(
            chart,
            "Your results are in; please see your family doctor at the next visit.",
            at=max(int(last - (1 + 20 * rng.random()) * DAY), chart.first),
            sender=chart.doctor,
            recipient=chart.record.subject,
            encounter=None,
        )
