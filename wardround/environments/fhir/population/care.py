"""What goes with care: judgements, messages, tasks, plans, and who did or saw what."""

from __future__ import annotations

from collections.abc import Sequence

from wardround.environments.fhir.population import shares
from wardround.environments.fhir.population.chart import Chart
from wardround.environments.fhir.population.conditions import Problem
from wardround.environments.fhir.population.physiology import Array
from wardround.environments.fhir.population.resources import (
    ICD10CM,
    Json,
    concept,
    day,
    instant,
    refer,
    term,
    to,
)


def clinical_impression(
    chart: Chart, summary: str, diagnoses: Sequence[str], *, at: int, encounter: Json, assessor: str, problem: Json
) -> None:
    """File what a clinician made of an illness: a summary and the diagnoses considered, ids of the knowledge base."""
    kb = chart.tables.kb
    chart.record.add(
        "ClinicalImpression",
        {
            "status": "completed",
            "subject": chart.record.subject,
            "encounter": encounter,
            "effectiveDateTime": instant(at),
            "date": instant(at),
            "assessor": to("Practitioner", assessor),
            "problem": [refer(problem)],
            "summary": summary,
            "finding": [
                {
                    "itemCodeableConcept": concept(kb.conditions[code].name, ICD10CM, kb.conditions[code].icd10),
                    "basis": "leading diagnosis" if i == 0 else "considered",
                }
                for i, code in enumerate(diagnoses)
            ],
        },
    )


def differential(chart: Chart, condition: str, weights: Array) -> list[str]:
    """Return a condition and two more that share its presentation, drawn by weight (over all conditions)."""
    kb = chart.tables.kb
    peers = next(c for c in kb.presentation_conditions.values() if condition in c)
    ranked = sorted(
        (code for code in peers if code != condition),
        key=lambda code: -weights[kb.condition_index[code]] * (0.2 + chart.rng.random()),
    )
    return [condition, *ranked[:2]]


def risk_assessments(chart: Chart, *, at: int, encounter: Json, assessor: str) -> None:
    """File what is assessed at an admission: falls from 65 years on, and the stroke risk in atrial fibrillation."""
    if chart.age(at) >= 65:
        _risk(chart, "Fall risk", "Fall in hospital", at, encounter, assessor, level=_level(chart))
    if any(p.row.id == "atrial_fibrillation" for p in chart.active(at)):
        score, basis = cha2ds2_vasc(chart, at)
        level = "high" if score >= 2 else "moderate" if score == 1 else "low"
        _risk(chart, f"CHA2DS2-VASc score {score}", "Stroke", at, encounter, assessor, level=level, basis=basis)


def _level(chart: Chart) -> str:
    return "high" if chart.age(chart.last) >= 80 else "moderate"


def _risk(
    chart: Chart,
    name: str,
    outcome: str,
    at: int,
    encounter: Json,
    assessor: str,
    *,
    level: str,
    basis: Sequence[Json] = (),
) -> None:
    content: Json = {
        "status": "final",
        "code": {"text": name},
        "subject": chart.record.subject,
        "encounter": encounter,
        "occurrenceDateTime": instant(at),
        "performer": to("Practitioner", assessor),
        "prediction": [{"outcome": {"text": outcome}, "qualitativeRisk": term("risk-probability", level)}],
    }
    if basis:
        content["basis"] = list(basis)
    chart.record.add("RiskAssessment", content)


_POINTS = {
    "heart_failure": 1,
    "hypertension": 1,
    "type_2_diabetes": 1,
    "type_1_diabetes": 1,
    "stroke_history": 2,
    "coronary_artery_disease": 1,
    "peripheral_arterial_disease": 1,
}


def cha2ds2_vasc(chart: Chart, at: float) -> tuple[int, list[Json]]:
    """Return the CHA2DS2-VASc score and the conditions that it rests on.

    Lip GYH et al. Refining clinical risk stratification for predicting stroke and thromboembolism in atrial
    fibrillation. Chest 2010;137:263-272. Vascular disease counts once.
    """
    counted = [p for p in chart.active(at) if p.row.id in _POINTS]
    ids = {p.row.id for p in counted}
    points = sum(_POINTS[code] for code in ids)
    points -= ids >= {"coronary_artery_disease", "peripheral_arterial_disease"}
    age = chart.age(at)
    points += 2 if age >= 75 else 1 if age >= 65 else 0
    points += chart.person.sex == "female"
    return points, [refer(chart.conditions[p.row.id]) for p in counted if p.row.id in chart.conditions]


def communicate(chart: Chart, text: str, *, at: int, sender: str, recipient: Json, encounter: Json | None) -> None:
    """File a message."""
    content: Json = {
        "status": "completed",
        "subject": chart.record.subject,
        "recipient": [recipient],
        "sender": to("Practitioner", sender),
        "sent": instant(at),
        "payload": [{"contentString": text}],
    }
    if encounter is not None:
        content["encounter"] = encounter
    chart.record.add("Communication", content)


def task(chart: Chart, text: str, *, at: int, focus: Json, owner: str, requester: str, status: str) -> None:
    """File a task that concerns a resource."""
    chart.record.add(
        "Task",
        {
            "status": status,
            "intent": "order",
            "priority": "routine",
            "code": {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]},
            "description": text,
            "focus": refer(focus),
            "for": chart.record.subject,
            "authoredOn": instant(at),
            "lastModified": instant(at),
            "requester": to("Practitioner", requester),
            "owner": to("Practitioner", owner),
        },
    )


def appointment(
    chart: Chart, text: str, *, start: int, minutes: int, status: str, clinician: str, location: str, booked: int
) -> None:
    """File an appointment; the only thing of a record that may lie ahead, besides planned orders."""
    content: Json = {
        "status": status,
        "description": text,
        "start": instant(start),
        "end": instant(start + minutes * 60),
        "minutesDuration": minutes,
        "created": instant(booked),
        "participant": [
            {"actor": chart.record.subject, "status": "accepted"},
            {"actor": to("Practitioner", clinician), "status": "accepted"},
            {"actor": to("Location", location), "status": "accepted"},
        ],
    }
    if status == "cancelled":
        content["cancelationReason"] = term("appointment-cancellation-reason", "pat")
    chart.record.add("Appointment", content)


def care_plan(chart: Chart, problem: Problem, condition: Json, *, start: int, author: str) -> None:
    """File the plan that goes with a long-lasting condition."""
    activities = [
        {"detail": {"status": "in-progress" if i == 0 else "scheduled", "description": text}}
        for i, text in enumerate(problem.row.plan)
    ]
    chart.record.add(
        "CarePlan",
        {
            "status": "active",
            "intent": "plan",
            "title": f"Care plan: {problem.row.name}",
            "subject": chart.record.subject,
            "period": {"start": day(start)},
            "created": instant(start),
            "author": to("Practitioner", author),
            "addresses": [refer(condition)],
            "activity": activities,
        },
    )


def provenance(chart: Chart, target: Json, *, at: int, author: str) -> None:
    """File who wrote a resource, for a share of them."""
    if chart.is_done(shares.PROVENANCE):
        chart.record.add(
            "Provenance",
            {
                "target": [refer(target)],
                "recorded": instant(at),
                "activity": term("v3-DataOperation", "CREATE"),
                "agent": [
                    {
                        "type": term("provenance-participant-type", "author"),
                        "who": to("Practitioner", author),
                        "onBehalfOf": to("Organization", "org-hospital"),
                    }
                ],
            },
        )


def audit_event(chart: Chart, encounter: Json, *, at: int, reader: str) -> None:
    """File that someone opened the chart, for a share of encounters."""
    if chart.is_done(shares.AUDITED):
        chart.record.add(
            "AuditEvent",
            {
                "type": {
                    "system": "http://terminology.hl7.org/CodeSystem/audit-event-type",
                    "code": "rest",
                    "display": "RESTful Operation",
                },
                "action": "R",
                "recorded": instant(at),
                "outcome": "0",
                "agent": [{"who": to("Practitioner", reader), "requestor": True}],
                "source": {
                    "observer": to("Organization", "org-hospital"),
                    "type": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/security-source-type",
                            "code": "4",
                            "display": "Application Server",
                        }
                    ],
                },
                "entity": [{"what": chart.record.subject}, {"what": encounter}],
            },
        )


def procedure(
    chart: Chart, name: str, code: str | None, *, at: int, encounter: Json, performer: str, reason: Json | None
) -> None:
    """File a procedure that was done; `code` is SNOMED CT."""
    content: Json = {
        "status": "completed",
        "code": concept(name, "http://snomed.info/sct" if code else None, code),
        "subject": chart.record.subject,
        "encounter": encounter,
        "performedDateTime": instant(at),
        "performer": [{"actor": to("Practitioner", performer)}],
    }
    if reason is not None:
        content["reasonReference"] = [refer(reason)]
    chart.record.add("Procedure", content)
