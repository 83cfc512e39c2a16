"""The first contact of an illness: what is measured and tested, and what its note says."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from wardround.environments.fhir.population.chart import Chart
from wardround.environments.fhir.population.imaging import file_study
from wardround.environments.fhir.population.medications import drug_names
from wardround.environments.fhir.population.notes import Statements, measured, paragraphs, told, who
from wardround.environments.fhir.population.observations import vital_signs, yes_no_result
from wardround.environments.fhir.population.orders import order_panel
from wardround.environments.fhir.population.physiology import axes
from wardround.environments.fhir.population.plan import Plan
from wardround.environments.fhir.population.resources import Json
from wardround.environments.fhir.population.workup import Workup

VITALS = ("temperature", "heart_rate", "respiratory_rate", "systolic_bp", "oxygen_saturation")
"""What is taken every time; `systolic_bp` stands for both pressures."""
_PANELS_DONE = {"admitted": 0.95, "emergency": 0.75, "clinic": 0.2}
"""Share of the usual panels that are done, by where; own choice."""
_GCS_FROM_AGE = 2.0


@dataclass(frozen=True)
class Contact:
    """Where a patient is seen and by whom."""

    plan: Plan
    encounter: Json
    """Reference to the Encounter."""
    clinician: str
    """Id of the Practitioner."""


@dataclass(frozen=True)
class Results:
    """What measurements, tests and studies said, in words."""

    vitals: str
    bloods: str
    tests: str
    studies: Mapping[str, str]


def examine(chart: Chart, contact: Contact, work: Workup, values: Sequence[float]) -> Results:
    """File vital signs, laboratory results, tests and studies of a first contact, and say what they said.

    Args:
        chart: The patient's.
        contact: Where and by whom.
        work: What is done.
        values: As reported, by column; every measurement of the contact has them.
    """
    taken = _laboratory(chart, contact, work, values)
    column = axes().column
    return Results(
        vitals=_vitals(chart, contact, values),
        bloods=measured({name: values[column[name]] for name in taken}),
        tests=_tests(chart, contact, work),
        studies=_studies(chart, contact, work),
    )


def _vitals(chart: Chart, contact: Contact, values: Sequence[float]) -> str:
    at = contact.plan.arrives
    has_gcs = contact.plan.in_hospital and chart.age(at) > _GCS_FROM_AGE
    names = (*VITALS, "gcs") if has_gcs else VITALS
    vital_signs(
        chart.record,
        at + 300,
        values,
        chart.scale(at),
        encounter=contact.encounter,
        nurse=chart.nurse(),
        names=names,
    )
    return say_vitals(values, [name for name in names if name != "systolic_bp"])


def say_vitals(values: Sequence[float], names: Sequence[str]) -> str:
    """Say the blood pressure and other vital signs."""
    column = axes().column
    pressure = f"Blood pressure {values[column['systolic_bp']]:.0f}/{values[column['diastolic_bp']]:.0f} mmHg, "
    return pressure + measured({name: values[column[name]] for name in names})


def _laboratory(chart: Chart, contact: Contact, work: Workup, values: Sequence[float]) -> list[str]:
    """File the laboratory results, and return what was measured."""
    plan, panels = contact.plan, chart.tables.analytes.panels
    usual = chart.tables.analytes.admission if plan.is_admitted else ("bmp", "cbc")
    where = "admitted" if plan.is_admitted else "emergency" if plan.in_hospital else "clinic"
    chosen = [name for name in usual if chart.is_done(_PANELS_DONE[where])]
    within = {analyte for name in chosen for analyte in panels[name].analytes}
    chosen += _panels_for(chart, [analyte for analyte in work.analytes if analyte not in within])
    taken: dict[str, None] = {}
    for name in chosen:
        order = order_panel(
            chart,
            name,
            at=plan.arrives + 600,
            encounter=contact.encounter,
            requester=contact.clinician,
            status="completed",
        )
        chart.chemistry.panel(
            name,
            plan.arrives + 1500,
            values,
            chart.scale(plan.arrives),
            encounter=contact.encounter,
            order=order,
            is_clean=True,
        )
        taken |= dict.fromkeys(panels[name].analytes if name in panels else (name,))
    return list(taken)


def _panels_for(chart: Chart, analytes: Sequence[str]) -> list[str]:
    """Return the panels, or single analytes, that hold some analytes."""
    panels = chart.tables.analytes.panels
    holding = (next((name for name, p in panels.items() if a in p.analytes), a) for a in analytes)
    return list(dict.fromkeys(holding))


def _tests(chart: Chart, contact: Contact, work: Workup) -> str:
    for code, is_present in work.tests:
        yes_no_result(
            chart.record,
            contact.plan.arrives + 2400,
            code,
            chart.tables.kb.findings[code].name,
            is_present=is_present,
            encounter=contact.encounter,
        )
    results = Statements(
        tuple(code for code, is_present in work.tests if is_present),
        tuple(code for code, is_present in work.tests if not is_present),
    )
    return told(chart.tables, results, ("lab", "vital", "sign", "imaging"))


def _studies(chart: Chart, contact: Contact, work: Workup) -> dict[str, str]:
    said = {}
    for i, (study, found) in enumerate(work.studies):
        at = min(contact.plan.arrives + 4500 + 1200 * i, chart.last - 3000)
        result = file_study(chart, study, found, at=at, encounter=contact.encounter, requester=contact.clinician)
        if result is not None:
            said[study.name] = result
    return said


def first_note(
    chart: Chart,
    plan: Plan,
    complaints: Sequence[str],
    own: Collection[str],
    work: Workup,
    results: Results,
    drugs: Sequence[str],
) -> str:
    """Write the note of a first contact.

    Args:
        chart: The patient's.
        plan: Where and when.
        complaints: In words.
        own: Findings that hold of the patient anyhow; what the patient has is always known.
        work: What was asked, examined and tested.
        results: What came out.
        drugs: Names of what was given or prescribed.
    """
    t, told_of = chart.tables, work.told
    known = Statements(
        tuple(dict.fromkeys([*told_of.present, *sorted(code for code in own if code.endswith("_history"))])),
        told_of.absent,
    )
    taken = drug_names(t, [regimen.drug for regimen in chart.drugs.taken(plan.arrives)])
    return paragraphs(
        {
            "Patient": f"{who(chart.age(plan.arrives), chart.person.sex)}.",
            "Presents with": f"{', '.join(complaints)}.",
            "History": told(t, told_of, ("symptom",)),
            "Background": told(t, known, ("risk_factor",)),
            "Current medication": f"{', '.join(taken)}." if taken else "",
            "Examination": told(t, told_of, ("sign",)),
            "Vital signs": results.vitals,
            "Bloods": results.bloods,
            "Tests": results.tests,
            **results.studies,
            "Impression": f"{t.kb.conditions[plan.condition].name}.",
            "Plan": _plan_words(plan, drugs),
        }
    )


def _plan_words(plan: Plan, drugs: Sequence[str]) -> str:
    if plan.is_admitted:
        return "Admit."
    given = f"Given or prescribed: {', '.join(drugs)}. " if drugs else ""
    return f"{given}Home; come back if worse."
