"""One patient's record in the making: what the parts of the generator share about a patient."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from wardround.environments.fhir.population.conditions import Problem, histories
from wardround.environments.fhir.population.illness import own_findings
from wardround.environments.fhir.population.laboratory import Chemistry
from wardround.environments.fhir.population.medications import DrugChart
from wardround.environments.fhir.population.people import Person
from wardround.environments.fhir.population.physiology import WANDER_YEARS_HOURS, Array, Body, Scale, axes, scale_of
from wardround.environments.fhir.population.resources import HOUR, Json, Record, concept, instant, term, to
from wardround.environments.fhir.population.schema import Specialty
from wardround.environments.fhir.population.staff import practitioner_id, staff_of
from wardround.environments.fhir.population.tables import Tables

PARTICIPANT = [term("v3-ParticipationType", "ATND", "attender")]
_CLASSES = {"AMB": "ambulatory", "EMER": "emergency", "IMP": "inpatient encounter"}


@dataclass
class Chart:
    """A patient, with the record as far as it has got."""

    tables: Tables
    person: Person
    rng: np.random.Generator
    record: Record
    problems: list[Problem]
    body: Body
    drugs: DrugChart
    chemistry: Chemistry
    first: int
    """Where the record's years begin, in seconds since 1970."""
    last: int
    """Last moment of the record: its end, or the patient's death."""
    doctor: str
    """Id of the family doctor."""
    held: set[str] = field(default_factory=set)
    """Conditions of the knowledge base that the patient has for good, besides the problems."""
    conditions: dict[str, Json] = field(default_factory=dict)
    """Condition resources of the problem list, by id of the problem."""
    free_from: int = 0
    """When the last stay ended; visits before it do not take place."""
    _drift: Array = field(default_factory=lambda: np.zeros(axes().n))
    _drifted: float = 0.0

    def age(self, at: float) -> float:
        """Years at a moment."""
        return self.person.age(at)

    def scale(self, at: float) -> Scale:
        """Return the scale of the patient's values at a moment."""
        return scale_of(self.person, at)

    def values_now(self, at: float) -> list[float]:
        """Return the patient's values at a visit, by column; visits must come in the order of time.

        Between visits the values wander, with a time constant of WANDER_YEARS_HOURS.
        """
        keep = np.exp(-(at - self._drifted) / HOUR / WANDER_YEARS_HOURS)
        shock = self.rng.standard_normal(axes().n) * axes().within
        self._drift = keep * self._drift + np.sqrt(1.0 - keep**2) * shock
        self._drifted = at
        values: list[float] = self.body.measure((self.body.usual(at) + self._drift)[None, :], at)[0].tolist()
        return values

    def own_findings(self, at: float) -> set[str]:
        """Return the findings that hold of the patient at a moment without any illness."""
        usual = self.scale(at).values(self.body.usual(at))
        return own_findings(
            self.tables,
            self.person,
            at,
            histories=histories(self.problems, at),
            uses=self.drugs.uses(at),
            bmi=float(usual[axes().column["bmi"]]),
        )

    def active(self, at: float) -> list[Problem]:
        """Return the long-lasting conditions of a moment."""
        return [p for p in self.problems if p.is_active(at)]

    def nurse(self) -> Json:
        """Return a reference to one of the nurses."""
        return to("Practitioner", staff_of(self.rng, self.tables.staff.by_id["nursing"]))

    def nurses(self) -> list[Json]:
        """Return references to all nurses."""
        row = self.tables.staff.by_id["nursing"]
        return [to("Practitioner", practitioner_id(row, n)) for n in range(1, row.staff + 1)]

    def clinician(self, specialty: str) -> str:
        """Return the id of someone of a specialty; the patient's own family doctor in family medicine."""
        if specialty == "family_medicine":
            return self.doctor
        return staff_of(self.rng, self.tables.staff.by_id[specialty])

    def is_done(self, share: float) -> bool:
        """Draw whether something with a share happens."""
        return bool(self.rng.random() < share)


def open_encounter(
    chart: Chart,
    kind: str,
    *,
    start: int,
    end: int | None,
    specialty: Specialty,
    clinician: str,
    location: str,
    reasons: list[str],
    status: str | None = None,
) -> Json:
    """File an Encounter and return it.

    Args:
        chart: The patient's.
        kind: `AMB`, `EMER` or `IMP`.
        start: In seconds since 1970.
        end: Nothing while it goes on.
        specialty: Who sees the patient.
        clinician: Id of the Practitioner.
        location: Id of the Location.
        reasons: In words.
        status: `finished` or `in-progress` by whether it has an end, unless given.
    """
    period: Json = {"start": instant(start)}
    if end is not None:
        period["end"] = instant(end)
    content: Json = {
        "status": status or ("in-progress" if end is None else "finished"),
        "class": {
            "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
            "code": kind,
            "display": _CLASSES[kind],
        },
        "type": [{"text": f"{specialty.name} {_KINDS[kind]}"}],
        "serviceType": concept(specialty.name, "http://nucc.org/provider-taxonomy", specialty.code),
        "subject": chart.record.subject,
        "participant": [{"type": PARTICIPANT, "individual": to("Practitioner", clinician)}],
        "period": period,
        "reasonCode": [{"text": reason} for reason in reasons],
        "location": [{"location": to("Location", location), "period": period}],
        "serviceProvider": to(
            "Organization", "org-practices" if location.startswith("loc-practice") else "org-hospital"
        ),
    }
    if not reasons:
        del content["reasonCode"]
    return chart.record.add("Encounter", content)


_KINDS = {"AMB": "visit", "EMER": "emergency attendance", "IMP": "inpatient stay"}
