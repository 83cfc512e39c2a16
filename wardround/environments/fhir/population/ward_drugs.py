"""Drugs in a hospital stay: what goes on, what is begun, what follows a low value, and every dose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wardround.environments.fhir.population import care
from wardround.environments.fhir.population.acute import choose_drugs
from wardround.environments.fhir.population.chart import Chart
from wardround.environments.fhir.population.medications import (
    Regimen,
    dose_times,
    drug_names,
    give_doses,
    prescribe,
    state_taken,
)
from wardround.environments.fhir.population.notes import measured
from wardround.environments.fhir.population.physiology import axes
from wardround.environments.fhir.population.plan import Plan
from wardround.environments.fhir.population.resources import DAY, HOUR, Json, to
from wardround.environments.fhir.population.rounds import Rounds
from wardround.environments.fhir.population.schema import Replacement

UNTREATED_HOURS = 24.0
"""Low values of the last hours of a stay that goes on have not been acted on yet."""
ADULT = 18.0
"""Age in years from which what every adult may get is given."""


@dataclass(frozen=True)
class _Ward:
    """Who gives drugs in which stay."""

    chart: Chart
    plan: Plan
    rounds: Rounds
    encounter: Json
    doctor: str
    nurses: Sequence[Json]

    @property
    def age(self) -> float:
        return self.chart.age(self.rounds.begins)


def medicate(
    chart: Chart, plan: Plan, named: str, rounds: Rounds, *, encounter: Json, doctor: str, nurses: Sequence[Json]
) -> list[str]:
    """File what is taken on from home and what is begun, with every dose; return the names of what was begun.

    Args:
        chart: The patient's.
        plan: Of the illness.
        named: The illness in words.
        rounds: Times of the stay.
        encounter: Reference to the Encounter.
        doctor: Id of the Practitioner.
        nurses: References to those who give doses.
    """
    ward = _Ward(chart, plan, rounds, encounter, doctor, nurses)
    home = chart.drugs.taken(rounds.begins)
    state_taken(chart.record, chart.tables, home, at=rounds.begins, age=ward.age, encounter=encounter)
    begun = _begin(ward)
    for drug, reason in [*((r.drug, r.reason) for r in home), *((drug, named) for drug in begun)]:
        _give(ward, drug, reason)
    _take_home(ward, begun, named)
    return drug_names(chart.tables, begun)


def _begin(ward: _Ward) -> list[str]:
    chart, at = ward.chart, ward.rounds.begins
    begun = choose_drugs(chart, ward.plan.condition, at)
    if ward.age >= ADULT:
        for drug, share in chart.tables.treatments.admitted.items():
            is_wanted = drug not in begun and chart.is_done(share)
            if is_wanted and chart.drugs.may_take(drug, at, ward.age, chart.problems, begun):
                begun.append(drug)
    return begun


def _give(ward: _Ward, drug: str, reason: str) -> None:
    """File the order of a stay and its doses."""
    row, rounds = ward.chart.tables.medications.drugs[drug], ward.rounds
    stop = rounds.until if row.days is None else min(rounds.until, rounds.begins + row.days * DAY)
    goes_on = ward.plan.is_open and stop == rounds.until and not row.once
    regimen = Regimen(drug, rounds.begins, stop, reason, is_course=True)
    times = list(dose_times(row, rounds.begins + 1200, stop, ward.chart.rng))
    _order(ward, regimen, at=rounds.begins + 900, times=times, status="active" if goes_on else "completed")


def _order(ward: _Ward, regimen: Regimen, *, at: int, times: Sequence[int], status: str) -> None:
    chart = ward.chart
    request = prescribe(
        chart.record,
        chart.tables,
        regimen,
        at=at,
        until=None,
        age=ward.age,
        status=status,
        encounter=ward.encounter,
        requester=ward.doctor,
        is_inpatient=True,
    )
    give_doses(
        chart.record,
        chart.tables,
        request,
        regimen.drug,
        times=times,
        age=ward.age,
        encounter=ward.encounter,
        nurses=ward.nurses,
        rng=chart.rng,
    )


def _take_home(ward: _Ward, begun: Sequence[str], named: str) -> None:
    """Go on with what is meant for good, and remember the courses."""
    chart, rounds = ward.chart, ward.rounds
    listed = chart.tables.treatments.conditions.get(ward.plan.condition, {})
    for drug in begun:
        row = chart.tables.medications.drugs[drug]
        is_long = drug in listed and row.route in ("oral", "inhaled") and not (row.prn or row.once or row.days)
        regimen = Regimen(drug, rounds.begins, None if is_long else rounds.until, named, is_course=not is_long)
        chart.drugs.regimens.append(regimen)
        if is_long and not ward.plan.is_open:
            prescribe(
                chart.record,
                chart.tables,
                regimen,
                at=rounds.until - HOUR,
                until=None,
                age=ward.age,
                status="active",
                encounter=ward.encounter,
                requester=ward.doctor,
            )


def replace_low_values(
    chart: Chart,
    plan: Plan,
    rounds: Rounds,
    rows: Mapping[int, Sequence[float]],
    *,
    encounter: Json,
    doctor: str,
    nurses: Sequence[Json],
) -> None:
    """Give what replaces low values, each phoned through; those of an open stay's last hours are not acted on yet.

    Args:
        chart: The patient's.
        plan: Of the illness.
        rounds: Times of the stay.
        rows: Values by moment, then by column.
        encounter: Reference to the Encounter.
        doctor: Id of the Practitioner.
        nurses: References to those who give doses.
    """
    ward = _Ward(chart, plan, rounds, encounter, doctor, nurses)
    until = rounds.until - UNTREATED_HOURS * HOUR * plan.is_open
    panels = chart.tables.analytes.panels
    for rule in chart.tables.treatments.replacements:
        column = axes().column[rule.analyte]
        for at, names in rounds.blood:
            is_known = any(rule.analyte in panels[name].analytes for name in names)
            if is_known and rows[at][column] < rule.below and at + 4 * HOUR < until and chart.is_done(rule.share):
                _replace(ward, rule, at, rows[at][column])


def _replace(ward: _Ward, rule: Replacement, at: int, value: float) -> None:
    chart, given = ward.chart, at + 3 * HOUR
    if not chart.drugs.may_take(rule.drug, given, ward.age, chart.problems):
        return
    said = measured({rule.analyte: value})
    regimen = Regimen(rule.drug, given, given + HOUR, said, is_course=True)
    _order(ward, regimen, at=given, times=[given + 1200], status="completed")
    nurse: str = chart.nurse()["reference"]
    care.communicate(
        chart,
        f"Laboratory by phone: {said}",
        at=at + 2 * HOUR,
        sender=nurse.removeprefix("Practitioner/"),
        recipient=to("Practitioner", ward.doctor),
        encounter=ward.encounter,
    )
