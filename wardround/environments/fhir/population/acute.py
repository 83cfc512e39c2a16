"""An acute attendance: a patient falls ill, is seen, and goes home or is admitted."""

from __future__ import annotations

from dataclasses import dataclass

from wardround.environments.fhir.population import care, shares
from wardround.environments.fhir.population.chart import Chart, open_encounter
from wardround.environments.fhir.population.conditions import diagnosis_condition
from wardround.environments.fhir.population.examination import Contact, examine, first_note
from wardround.environments.fhir.population.illness import Illness, draw_illness
from wardround.environments.fhir.population.medications import Regimen, drug_names, give_doses, prescribe
from wardround.environments.fhir.population.notes import file_note
from wardround.environments.fhir.population.onset import Onset, fall_ill
from wardround.environments.fhir.population.physiology import Array
from wardround.environments.fhir.population.plan import ED_HOURS, Plan, specialty_for
from wardround.environments.fhir.population.resources import DAY, HOUR, Json, refer
from wardround.environments.fhir.population.schema import Specialty
from wardround.environments.fhir.population.workup import work_up


@dataclass(frozen=True)
class Attendance:
    """A first contact that has been filed, for the stay that may follow."""

    plan: Plan
    onset: Onset
    encounter: Json
    """The Encounter."""
    condition: Json
    """The Condition."""
    specialty: Specialty
    """Who looks after the illness."""
    named: str
    """Name of the condition."""


def attend(chart: Chart, plan: Plan, weights: Array) -> Attendance:
    """File the first contact of an illness.

    Args:
        chart: The patient's.
        plan: Where and when.
        weights: How likely each condition was, for the differential, shape (n_conditions,).
    """
    at = plan.arrives
    own = chart.own_findings(at)
    illness = draw_illness(chart.tables, plan.condition, chart.person, at, own, chart.rng)
    onset = fall_ill(chart.body, at, illness.present, illness.chances, chart.rng)
    values: list[float] = chart.body.measure(onset.u[None, :], at, onset.exact)[0].tolist()
    complaints = [chart.tables.kb.findings[code].name for code in illness.complaints]
    specialty = specialty_for(chart, plan)
    encounter, clinician = _open(chart, plan, specialty, complaints)
    contact = Contact(plan, refer(encounter), clinician)
    work = work_up(chart, illness, at, in_clinic=not plan.in_hospital)
    results = examine(chart, contact, work, values)
    condition = _diagnose(chart, contact, encounter)
    drugs = [] if plan.is_admitted else _treat_at_once(chart, contact)
    _write(chart, contact, first_note(chart, plan, complaints, own, work, results, drugs))
    if plan.in_hospital:
        _judge(chart, contact, illness, condition, weights)
    return Attendance(plan, onset, encounter, condition, specialty, chart.tables.kb.conditions[plan.condition].name)


def _open(chart: Chart, plan: Plan, specialty: Specialty, complaints: list[str]) -> tuple[Json, str]:
    """File the Encounter, and return it with the id of who sees the patient."""
    seen_by = chart.tables.staff.by_id["emergency_medicine"] if plan.in_hospital else specialty
    clinician = chart.clinician(seen_by.id)
    encounter = open_encounter(
        chart,
        "EMER" if plan.in_hospital else "AMB",
        start=plan.arrives,
        end=plan.arrives + (ED_HOURS * HOUR if plan.in_hospital else 1800),
        specialty=seen_by,
        clinician=clinician,
        location=seen_by.site,
        reasons=complaints,
    )
    return encounter, clinician


def _write(chart: Chart, contact: Contact, text: str) -> None:
    plan = contact.plan
    at = plan.arrives + (4 * HOUR if plan.in_hospital else 1500)
    kind = "emergency" if plan.in_hospital else "clinic"
    filed = file_note(chart.record, kind, text, at=at, author=contact.clinician, encounter=contact.encounter)
    care.provenance(chart, filed, at=at, author=contact.clinician)


def _judge(chart: Chart, contact: Contact, illness: Illness, condition: Json, weights: Array) -> None:
    kb = chart.tables.kb
    complaints = ", ".join(kb.findings[code].name for code in illness.complaints)
    care.clinical_impression(
        chart,
        f"Seen with {complaints}. Working diagnosis: {kb.conditions[illness.condition].name}.",
        care.differential(chart, illness.condition, weights),
        at=contact.plan.arrives + 4 * HOUR,
        encounter=contact.encounter,
        assessor=contact.clinician,
        problem=condition,
    )
    care.audit_event(chart, contact.encounter, at=contact.plan.arrives + 1200, reader=contact.clinician)


def _diagnose(chart: Chart, contact: Contact, encounter: Json) -> Json:
    """File the diagnosis; one that lasts is entered as active for good."""
    t, plan = chart.tables, contact.plan
    low, high = t.episodes.resolves[t.kb.conditions[plan.condition].urgency]
    begun = plan.arrives if plan.leaves is None else plan.leaves
    over = int(begun + (low + chart.rng.random() * (high - low)) * DAY)
    lasts = plan.condition in t.episodes.lasting
    if lasts:
        chart.held.add(plan.condition)
    condition = diagnosis_condition(
        chart.record,
        t,
        plan.condition,
        encounter=encounter,
        at=plan.arrives,
        ended=None if lasts or plan.is_open or over >= chart.last else over,
        verification="provisional" if chart.is_done(shares.UNCONFIRMED_CONDITION) else "confirmed",
        recorder=contact.clinician,
    )
    encounter["diagnosis"] = [{"condition": refer(condition), "rank": 1}]
    return condition


def choose_drugs(chart: Chart, condition: str, at: int) -> list[str]:
    """Draw the drugs for an acute condition that go with this patient."""
    shared = chart.tables.treatments.conditions.get(condition, chart.tables.treatments.others)
    chosen: list[str] = []
    for drug, share in shared.items():
        if chart.is_done(share) and chart.drugs.may_take(drug, at, chart.age(at), chart.problems, chosen):
            chosen.append(drug)
    return chosen


def _treat_at_once(chart: Chart, contact: Contact) -> list[str]:
    """Give what is given on the spot and prescribe the rest, for those who go home; return the names."""
    rows = chart.tables.medications.drugs
    chosen = choose_drugs(chart, contact.plan.condition, contact.plan.arrives)
    drugs = [drug for drug in chosen if contact.plan.in_hospital or rows[drug].route != "intravenous"]
    for drug in drugs:
        _treat(chart, contact, drug)
    return drug_names(chart.tables, drugs)


def _treat(chart: Chart, contact: Contact, drug: str) -> None:
    plan, row = contact.plan, chart.tables.medications.drugs[drug]
    age = chart.age(plan.arrives)
    begun = plan.arrives + (3 * HOUR if plan.in_hospital else 1500)
    is_here = row.route == "intravenous"
    until = begun + (HOUR if is_here else (row.days or 30) * DAY)
    regimen = Regimen(drug, begun, until, chart.tables.kb.conditions[plan.condition].name, is_course=True)
    chart.drugs.regimens.append(regimen)
    request = prescribe(
        chart.record,
        chart.tables,
        regimen,
        at=begun,
        until=None if is_here else until,
        age=age,
        status="active" if until > chart.last else "completed",
        encounter=contact.encounter,
        requester=contact.clinician,
    )
    if is_here:
        give_doses(
            chart.record,
            chart.tables,
            request,
            drug,
            times=[begun + 900],
            age=age,
            encounter=contact.encounter,
            nurses=[chart.nurse()],
            rng=chart.rng,
        )
