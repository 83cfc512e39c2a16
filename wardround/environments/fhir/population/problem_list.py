"""The problem list, and the prescriptions for what is on it."""

from __future__ import annotations

from functools import partial

from wardround.environments.fhir.population import care, shares
from wardround.environments.fhir.population.chart import Chart
from wardround.environments.fhir.population.conditions import Problem, problem_condition
from wardround.environments.fhir.population.draws import pick
from wardround.environments.fhir.population.medications import Regimen, prescribe
from wardround.environments.fhir.population.resources import Json

_STOPPED = ("Side effects", "No longer needed", "Patient's wish", "Replaced by another drug")


def enter_problem(chart: Chart, problem: Problem, *, at: int, encounter: Json | None, recorder: str) -> None:
    """Enter a long-lasting condition on the problem list, with what is untidy about it, and plan its care.

    Args:
        chart: The patient's.
        problem: The condition.
        at: When it was entered, in seconds since 1970.
        encounter: At which Encounter.
        recorder: Id of the Practitioner.
    """
    row = problem.row
    is_over = problem.ended is not None and problem.ended < chart.last
    clinical = "resolved" if is_over else "inactive" if chart.is_done(shares.INACTIVE_CONDITION) else "active"
    enter = partial(
        problem_condition,
        chart.record,
        onset=problem.onset,
        ended=problem.ended,
        encounter=encounter,
        recorder=recorder,
    )
    condition = enter(row, recorded=at, clinical=clinical, verification="confirmed")
    chart.conditions[row.id] = condition
    if chart.is_done(shares.DUPLICATE_CONDITION):
        later = at + int(chart.rng.random() * max(chart.last - at, 1))
        enter(row, recorded=later, clinical=clinical, verification="confirmed")
    if chart.is_done(shares.CONDITION_IN_ERROR):
        other = pick(chart.rng, list(chart.tables.long_term.values()))
        enter(other, recorded=at, clinical="active", verification="entered-in-error")
    if row.plan and not is_over:
        care.care_plan(chart, problem, condition, start=max(at, chart.first), author=recorder)


def begin_prescription(chart: Chart, regimen: Regimen, *, at: int, encounter: Json | None, requester: str) -> None:
    """File the request that holds from now on; the one before it is completed.

    Args:
        chart: The patient's.
        regimen: What is prescribed.
        at: In seconds since 1970.
        encounter: Reference to the Encounter, if there is one.
        requester: Id of the Practitioner.
    """
    if regimen.latest is not None:
        regimen.latest["status"] = "completed"
    prescribe(
        chart.record,
        chart.tables,
        regimen,
        at=at,
        until=None,
        age=chart.age(at),
        status="active",
        encounter=encounter,
        requester=requester,
    )


def close_prescriptions(chart: Chart) -> None:
    """Let the last request of each long-term drug say how it stands at the end, and double a share of them."""
    for regimen in chart.drugs.regimens:
        request = regimen.latest
        if regimen.is_course or request is None:
            continue
        if regimen.stop is not None and regimen.stop < chart.last:
            request["status"] = "stopped"
            request["statusReason"] = {"text": pick(chart.rng, _STOPPED)}
        elif chart.is_done(shares.DUPLICATE_MEDICATION):
            at = regimen.prescribed + int(chart.rng.random() * max(chart.last - regimen.prescribed, 1))
            prescribe(
                chart.record,
                chart.tables,
                regimen,
                at=at,
                until=None,
                age=chart.age(at),
                status="active",
                encounter=None,
                requester=chart.doctor,
            )
