"""A stay in hospital: laboratory tests, vital signs, doses, notes, and how it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from wardround.environments.fhir.population import care
from wardround.environments.fhir.population.acute import Attendance
from wardround.environments.fhir.population.chart import Chart, open_encounter
from wardround.environments.fhir.population.draws import pick
from wardround.environments.fhir.population.examination import VITALS
from wardround.environments.fhir.population.laboratory import panel_concept
from wardround.environments.fhir.population.notes import file_note, measured, paragraphs, who
from wardround.environments.fhir.population.observations import glucose_reading, vital_signs
from wardround.environments.fhir.population.onset import course
from wardround.environments.fhir.population.orders import order_panel, service_request
from wardround.environments.fhir.population.physiology import axes
from wardround.environments.fhir.population.resources import DAY, HOUR, Json, refer, term
from wardround.environments.fhir.population.rounds import Rounds, draw_rounds
from wardround.environments.fhir.population.ward_drugs import medicate, replace_low_values

_GOES = ("home", "home", "home", "home", "home", "home", "rehab", "snf")
_PLANS = ("Go on.", "Bloods tomorrow.", "Mobilise.", "Plan for going home.", "Review with results.")
_ENDS = ("Recovered well.", "Improved.", "Slow recovery.", "Improved; some symptoms left.")


@dataclass(frozen=True)
class Stay:
    """A stay as it is filed."""

    chart: Chart
    attendance: Attendance
    rounds: Rounds
    rows: Mapping[int, Sequence[float]]
    """Values by moment, then by column."""
    encounter: Json
    """Reference to the Encounter."""
    doctor: str
    """Id of the Practitioner."""
    nurses: Sequence[Json]

    @property
    def is_open(self) -> bool:
        """Whether it goes on at the end of the record."""
        return self.attendance.plan.is_open

    @property
    def age(self) -> float:
        """Years at the beginning."""
        return self.chart.age(self.rounds.begins)


def stay(chart: Chart, attendance: Attendance) -> None:
    """File the stay that follows a first contact, to its end or to that of the record."""
    plan = attendance.plan
    rounds = draw_rounds(chart, plan, attendance.onset)
    moments = rounds.moments(plan.arrives)
    values = course(chart.body, attendance.onset, moments, chart.rng, worsens=plan.dies)
    this = Stay(
        chart,
        attendance,
        rounds,
        dict(zip(moments, values.tolist(), strict=True)),
        refer(_open(chart, attendance, rounds)),
        chart.clinician(attendance.specialty.id),
        chart.nurses(),
    )
    _laboratory(this)
    _bedside(this)
    drugs = medicate(
        chart, plan, attendance.named, rounds, encounter=this.encounter, doctor=this.doctor, nurses=this.nurses
    )
    replace_low_values(chart, plan, rounds, this.rows, encounter=this.encounter, doctor=this.doctor, nurses=this.nurses)
    _procedures(this)
    care.risk_assessments(chart, at=rounds.begins + 1800, encounter=this.encounter, assessor=this.doctor)
    care.audit_event(chart, this.encounter, at=rounds.begins + 2400, reader=this.doctor)
    _notes(this, drugs)
    chart.free_from = rounds.until


def _open(chart: Chart, attendance: Attendance, rounds: Rounds) -> Json:
    """File the Encounter of a stay."""
    plan, row = attendance.plan, attendance.specialty
    encounter = open_encounter(
        chart,
        "IMP",
        start=rounds.begins,
        end=None if plan.is_open else rounds.until,
        specialty=row,
        clinician=chart.clinician(row.id),
        location="loc-icu" if plan.is_intensive else row.ward or "loc-ward-medicine-1",
        reasons=[attendance.named],
    )
    encounter["priority"] = term("v3-ActPriority", "EM")
    encounter["diagnosis"] = [
        {"condition": refer(attendance.condition), "use": term("diagnosis-role", "AD"), "rank": 1}
    ]
    encounter["hospitalization"] = {"admitSource": term("admit-source", "emd")}
    if not plan.is_open:
        where = "exp" if plan.dies else pick(chart.rng, _GOES)
        encounter["hospitalization"]["dischargeDisposition"] = term("discharge-disposition", where)
    return encounter


def _laboratory(this: Stay) -> None:
    """File one order for each panel of the stay, and what was measured under it."""
    chart, scale = this.chart, this.chart.scale(this.rounds.begins)
    orders: dict[str, Json] = {}
    for at, panels in this.rounds.blood:
        for name in panels:
            if name not in orders:
                orders[name] = order_panel(
                    chart,
                    name,
                    at=max(at - HOUR, this.rounds.begins),
                    encounter=this.encounter,
                    requester=this.doctor,
                    status="active" if this.is_open else "completed",
                )
            chart.chemistry.panel(name, at, this.rows[at], scale, encounter=this.encounter, order=orders[name])
    if this.is_open:
        _plan_bloods(this)


def _plan_bloods(this: Stay) -> None:
    """Order the bloods of the next morning."""
    written = this.rounds.until - 3 * HOUR
    planned = service_request(
        this.chart,
        panel_concept(this.chart.tables, "bmp"),
        status="active",
        at=written,
        due=this.rounds.until // DAY * DAY + DAY + 6 * HOUR,
        encounter=this.encounter,
        requester=this.doctor,
        category="laboratory",
        priority="routine",
    )
    nurse: str = this.chart.nurse()["reference"]
    care.task(
        this.chart,
        "Take morning bloods.",
        at=written,
        focus=planned,
        owner=nurse.removeprefix("Practitioner/"),
        requester=this.doctor,
        status="requested",
    )


def _bedside(this: Stay) -> None:
    """File vital signs, and capillary glucose: the course's, scattered by meals and the meter."""
    chart, nurses, column = this.chart, this.nurses, axes().column
    scale = chart.scale(this.rounds.begins)
    is_drowsy = this.rows[this.attendance.plan.arrives][column["gcs"]] < 15
    names = (*VITALS, "gcs") if is_drowsy else VITALS
    for i, at in enumerate(this.rounds.vitals):
        nurse = nurses[i // 3 % len(nurses)]
        vital_signs(chart.record, at, this.rows[at], scale, encounter=this.encounter, nurse=nurse, names=names)
    scatter = np.exp(_METER * chart.rng.standard_normal(len(this.rounds.glucose))).tolist()
    for at, factor in zip(this.rounds.glucose, scatter, strict=True):
        value = round(min(max(this.rows[at][column["glucose"]] * factor, _LOWEST), _HIGHEST), 1)
        glucose_reading(chart.record, at, value, scale, this.encounter, nurses[at % len(nurses)])


_METER = 0.13
"""Standard deviation of the logarithm of a capillary reading around the laboratory's value; own choice."""
_LOWEST, _HIGHEST = 2.0, 33.0
"""What the meter shows, in mmol/L."""


def _procedures(this: Stay) -> None:
    episodes, plan, rounds = this.chart.tables.episodes, this.attendance.plan, this.rounds
    rows = episodes.procedures.get(plan.condition, ()) + (episodes.intensive if plan.is_intensive else ())
    for row in rows:
        if this.chart.is_done(row.share):
            care.procedure(
                this.chart,
                row.name,
                row.code,
                at=int(rounds.begins + this.chart.rng.random() * min(DAY, 0.8 * (rounds.until - rounds.begins))),
                encounter=this.encounter,
                performer=this.doctor,
                reason=this.attendance.condition,
            )


def _notes(this: Stay, drugs: Sequence[str]) -> None:
    """File a note for every day and one for the end."""
    given = f"On {', '.join(drugs)}." if drugs else ""
    first_day = this.rounds.begins // DAY * DAY
    for n in range(1, (this.rounds.until - first_day) // DAY + 1):
        at = first_day + n * DAY + 9 * HOUR + int(this.chart.rng.random() * 2 * HOUR)
        if at < this.rounds.until - HOUR:
            _note(this, "progress", _progress(this, n + 1, at, given), at)
    if not this.is_open:
        _note(this, "discharge", _summary(this, drugs), this.rounds.until - 1800)


def _note(this: Stay, kind: str, text: str, at: int) -> None:
    filed = file_note(this.chart.record, kind, text, at=at, author=this.doctor, encounter=this.encounter)
    care.provenance(this.chart, filed, at=at, author=this.doctor)


def _progress(this: Stay, day: int, at: int, given: str) -> str:
    """Write a day's note from the last vital signs and the last bloods whose results are in."""
    column, arrived = axes().column, this.attendance.plan.arrives
    seen = max((t for t in this.rounds.vitals if t < at), default=arrived)
    bloods = max((t for t, panels in this.rounds.blood if "bmp" in panels and t + 2 * HOUR < at), default=None)

    def say(moment: int, names: Sequence[str]) -> str:
        return measured({name: this.rows[moment][column[name]] for name in names})

    return paragraphs(
        {
            "Day": f"{day} with {this.attendance.named}.",
            "Vital signs": say(seen, ("temperature", "heart_rate", "oxygen_saturation")),
            "Bloods": "" if bloods is None else say(bloods, ("sodium", "potassium", "creatinine")),
            "Plan": f"{given} {pick(this.chart.rng, _PLANS)}".strip(),
        }
    )


def _summary(this: Stay, drugs: Sequence[str]) -> str:
    days = max(round((this.rounds.until - this.rounds.begins) / DAY), 1)
    dies = this.attendance.plan.dies
    return paragraphs(
        {
            "Patient": f"{who(this.age, this.chart.person.sex)}.",
            "Admitted with": f"{this.attendance.named}.",
            "Course": f"{days} day{'s' * (days > 1)} in hospital. "
            + ("Died in hospital." if dies else pick(this.chart.rng, _ENDS)),
            "Given": f"{', '.join(drugs)}." if drugs else "",
            "Follow-up": "" if dies else "Family doctor within two weeks.",
        }
    )
