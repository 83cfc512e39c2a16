"""Planned visits: long-lasting conditions looked after over the years."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wardround.environments.fhir.population import care, shares
from wardround.environments.fhir.population.chart import Chart, open_encounter
from wardround.environments.fhir.population.conditions import Problem
from wardround.environments.fhir.population.draws import pick
from wardround.environments.fhir.population.examination import say_vitals
from wardround.environments.fhir.population.medications import drug_names
from wardround.environments.fhir.population.notes import file_note, measured, paragraphs, who
from wardround.environments.fhir.population.observations import body_size, vital_signs
from wardround.environments.fhir.population.orders import order_panel, service_request
from wardround.environments.fhir.population.people import height
from wardround.environments.fhir.population.physiology import axes
from wardround.environments.fhir.population.problem_list import begin_prescription
from wardround.environments.fhir.population.resources import DAY, HOUR, SNOMED, Json, concept, refer
from wardround.environments.fhir.population.schema import ProcedureRow, Specialty

RENEWED_AFTER = 300 * DAY
"""Age of a prescription from which a visit renews it."""
PANEL_DONE = 0.75
"""Share of the panels due that are measured at a visit."""
SCREENED = 0.4
"""Share of check-ups from 40 years on at which lipids and HbA1c are measured."""
ALL_VITALS = 0.3
"""Share of visits at which more than pressure, pulse and weight are taken. All four are own choices."""
_GENERAL = "family_medicine"
_PLANS = ("No change.", "Go on as before.", "Review in a few months.", "Advice on diet and exercise.", "Repeat bloods.")


@dataclass(frozen=True)
class _Visit:
    chart: Chart
    at: int
    specialty: Specialty
    clinician: str
    problems: Sequence[Problem]
    """What the patient is seen for."""
    encounter: Json
    """Reference to the Encounter."""
    values: Sequence[float]
    """As reported, by column."""


def visit(chart: Chart, specialty: str, at: int) -> None:
    """File a planned visit: what was measured, written, ordered and prescribed again.

    Args:
        chart: The patient's.
        specialty: Id of the specialty.
        at: In seconds since 1970.
    """
    row = chart.tables.staff.by_id[specialty]
    clinician = chart.clinician(specialty)
    if _is_missed(chart, row, clinician, at):
        return
    problems = [p for p in chart.active(at) if specialty in (_GENERAL, p.row.specialty)]
    encounter = refer(_open(chart, row, clinician, problems, at))
    this = _Visit(chart, at, row, clinician, problems, encounter, chart.values_now(at))
    _measure(this)
    measured_names = _laboratory(this)
    renewed = _renew(this)
    for elective in chart.tables.episodes.elective if specialty == _GENERAL else ():
        if chart.age(at) >= elective.from_age and chart.is_done(elective.share * _OF_A_YEAR):
            _refer_on(this, elective)
    _write(this, measured_names, renewed)


_OF_A_YEAR = 1 / 2
"""One visit to the family doctor of about two a year; turns a yearly share into one for a visit."""


def _is_missed(chart: Chart, row: Specialty, clinician: str, at: int) -> bool:
    """File the appointment, and return whether the patient did not come."""
    is_missed = chart.is_done(shares.MISSED_VISIT)
    care.appointment(
        chart,
        f"{row.name} visit",
        start=at,
        minutes=30,
        status=pick(chart.rng, ("noshow", "cancelled")) if is_missed else "fulfilled",
        clinician=clinician,
        location=row.site,
        booked=max(at - int((5 + 60 * chart.rng.random()) * DAY), chart.person.birth),
    )
    return is_missed


def _open(chart: Chart, row: Specialty, clinician: str, problems: Sequence[Problem], at: int) -> Json:
    encounter = open_encounter(
        chart,
        "AMB",
        start=at,
        end=at + 1500,
        specialty=row,
        clinician=clinician,
        location=row.site,
        reasons=[p.row.name for p in problems[:3]] or ["Check-up"],
    )
    known = [refer(chart.conditions[p.row.id]) for p in problems if p.row.id in chart.conditions]
    if known:
        encounter["diagnosis"] = [{"condition": condition} for condition in known[:3]]
    return encounter


def _measure(this: _Visit) -> None:
    chart, at, nurse = this.chart, this.at + 120, this.chart.nurse()
    names = ["heart_rate", "systolic_bp", "bmi"]
    if chart.is_done(ALL_VITALS):
        names += ["temperature", "oxygen_saturation", "respiratory_rate"]
    vital_signs(chart.record, at, this.values, chart.scale(at), encounter=this.encounter, nurse=nurse, names=names)
    tall = height(chart.tables.people, chart.person, at)
    sizes = {"weight": round(this.values[axes().column["bmi"]] * (tall / 100) ** 2, 1)}
    if chart.age(at) < 18 or chart.is_done(ALL_VITALS):
        sizes["height"] = tall
    body_size(chart.record, at, sizes, encounter=this.encounter, nurse=nurse)


def _laboratory(this: _Visit) -> list[str]:
    """File the laboratory results of a visit, and return what was measured."""
    chart, at = this.chart, this.at
    taken: dict[str, None] = {}
    for name in _panels_due(this):
        if not chart.is_done(PANEL_DONE):
            continue
        order = order_panel(
            chart, name, at=at + 900, encounter=this.encounter, requester=this.clinician, status="completed"
        )
        chart.chemistry.panel(name, at + 1200, this.values, chart.scale(at), encounter=this.encounter, order=order)
        taken |= dict.fromkeys(chart.tables.analytes.panels[name].analytes)
    return list(taken)


def _panels_due(this: _Visit) -> list[str]:
    chart, age = this.chart, this.chart.age(this.at)
    due = dict.fromkeys(panel for p in this.problems for panel in p.row.panels)
    if this.specialty.id == _GENERAL and age >= 18:
        due |= dict.fromkeys(("bmp", "cbc"))
        if age >= 40 and chart.is_done(SCREENED):
            due |= dict.fromkeys(("lipids", "hba1c"))
    if any(regimen.drug == "warfarin" for regimen in chart.drugs.taken(this.at)):
        due["coagulation"] = None
    return list(due)


def _renew(this: _Visit) -> list[str]:
    """Prescribe again what runs out, and return the names."""
    chart = this.chart
    due = [r for r in chart.drugs.taken(this.at) if r.prescribed < this.at - RENEWED_AFTER]
    for regimen in due:
        begin_prescription(chart, regimen, at=this.at + 1200, encounter=this.encounter, requester=this.clinician)
    return drug_names(chart.tables, [regimen.drug for regimen in due])


def _refer_on(this: _Visit, row: ProcedureRow) -> None:
    """Refer for a procedure; it is done if its day comes before the end of the record."""
    chart, at = this.chart, this.at + 1200
    due = at + int((10 + 60 * chart.rng.random()) * DAY) // HOUR * HOUR
    is_done = due < chart.last - DAY
    order = service_request(
        chart,
        concept(row.name, SNOMED if row.code else None, row.code),
        status="completed" if is_done else "active",
        at=at,
        due=due,
        encounter=this.encounter,
        requester=this.clinician,
        category="referral",
        priority="routine",
        words=row.name,
    )
    if is_done:
        surgeon = chart.clinician("surgery")
        care.procedure(chart, row.name, row.code, at=due, encounter=this.encounter, performer=surgeon, reason=None)
    care.task(
        chart,
        f"Arrange: {row.name}.",
        at=at + 100,
        focus=order,
        owner=this.clinician,
        requester=this.clinician,
        status="completed" if is_done else "requested",
    )


def _write(this: _Visit, names: Sequence[str], renewed: Sequence[str]) -> None:
    chart, column, at = this.chart, axes().column, this.at + 1400
    seen_for = ", ".join(p.row.name for p in this.problems[:4])
    text = paragraphs(
        {
            "Patient": f"{who(chart.age(at), chart.person.sex)}.",
            "Seen for": f"{seen_for or 'Check-up'}.",
            "Vital signs": say_vitals(this.values, ("heart_rate", "bmi")),
            "Bloods": measured({name: this.values[column[name]] for name in names[:8]}),
            "Renewed": f"{', '.join(renewed)}." if renewed else "",
            "Plan": pick(chart.rng, _PLANS),
        }
    )
    filed = file_note(chart.record, "clinic", text, at=at, author=this.clinician, encounter=this.encounter)
    care.provenance(chart, filed, at=at, author=this.clinician)
