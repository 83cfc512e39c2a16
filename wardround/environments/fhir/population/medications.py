"""Drugs: who takes what from when, and the requests, statements and doses that say so."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from wardround.environments.fhir.population import shares
from wardround.environments.fhir.population.conditions import Problem
from wardround.environments.fhir.population.draws import at_most_one
from wardround.environments.fhir.population.resources import (
    DAY,
    HOUR,
    YEAR,
    Json,
    Record,
    concept,
    instant,
    plain,
    quantity,
    refer,
    term,
    to,
)
from wardround.environments.fhir.population.schema import Drug
from wardround.environments.fhir.population.staff import drug_concept, medication_id
from wardround.environments.fhir.population.tables import Tables

RECENT = 42 * DAY
"""How long after its end a short course still counts as recent use."""
ADULT = 12.0
"""Age in years from which doses are those of adults; own choice."""
_CLOCK = {1: (8,), 2: (8, 20), 3: (8, 14, 22), 4: (6, 12, 18, 22), 5: (6, 10, 14, 18, 22)}
_OUTPATIENT = [term("medicationrequest-category", "outpatient")]
_INPATIENT = [term("medicationrequest-category", "inpatient")]
_NOT_GIVEN = ["Patient refused", "Patient off the ward", "Nil by mouth", "Drug not available"]


@dataclass
class Regimen:
    """A drug that a patient takes over time."""

    drug: str
    start: int
    """In seconds since 1970."""
    stop: int | None
    """When it ends, if it does."""
    reason: str
    """What it is taken for, in words."""
    is_course: bool = False
    """Whether it was meant to be short."""
    latest: Json | None = None
    """The MedicationRequest that holds now."""
    prescribed: int = 0
    """When that was written, in seconds since 1970."""

    def is_taken(self, at: float) -> bool:
        """Whether the patient takes it at a moment."""
        return self.start <= at and (self.stop is None or at < self.stop)


@dataclass
class DrugChart:
    """What a patient may not take, takes and took."""

    tables: Tables
    allergic_to: frozenset[str] = frozenset()
    """Classes."""
    regimens: list[Regimen] = field(default_factory=list)

    def taken(self, at: float) -> list[Regimen]:
        """Return the long-term drugs taken at a moment."""
        return [r for r in self.regimens if not r.is_course and r.is_taken(at)]

    def effects(self, at: float) -> list[Mapping[str, float]]:
        """Return what the long-term drugs of a moment do to usual values, by analyte."""
        drugs = self.tables.medications.drugs
        return [drugs[r.drug].moves for r in self.taken(at)]

    def uses(self, at: float) -> set[str]:
        """Return the findings of the knowledge base that say which drugs a patient uses or used in the last weeks."""
        drugs = self.tables.medications.drugs
        recent = (r for r in self.regimens if r.start < at and (r.stop is None or at < r.stop + RECENT * r.is_course))
        return {use for r in recent if (use := drugs[r.drug].use) is not None}

    def may_take(self, drug: str, at: float, age: float, problems: Sequence[Problem], also: Iterable[str] = ()) -> bool:
        """Whether a drug goes with a patient's allergies, age, conditions and other drugs.

        Args:
            drug: Its key.
            at: The moment.
            age: Years at that moment.
            problems: The patient's long-lasting conditions.
            also: Keys of drugs that are given besides those taken.
        """
        rows, rules = self.tables.medications.drugs, self.tables.treatments
        row, group = rows[drug], rows[drug].group
        if group in self.allergic_to or (age < ADULT and drug in rules.adult_only):
            return False
        if any(group in rules.avoid.get(p.row.id, ()) for p in problems if p.is_active(at)):
            return False
        others = [rows[key] for key in (*(r.drug for r in self.regimens if r.is_taken(at)), *also)]
        if any((other.atc, other.route) == (row.atc, row.route) for other in others):
            return False
        return not any(group in groups and other.group in groups for groups in rules.exclusive for other in others)


def long_term_regimens(
    chart: DrugChart, problems: Sequence[Problem], birth: int, rng: np.random.Generator, *, last: int
) -> None:
    """Draw what a patient takes for long-lasting conditions, some of it stopped, and add it to the chart."""
    for problem in problems:
        for row in problem.row.drugs:
            drug = at_most_one(rng, row)
            delay, stops, when = rng.random(3).tolist()
            if drug is None:
                continue
            start = int(problem.onset + delay * delay * 200 * DAY)
            if start >= last or not chart.may_take(drug, start, (start - birth) / YEAR, problems):
                continue
            stop = problem.ended
            if stops < shares.STOPPED_MEDICATION:
                stop = int(start + (0.05 + 0.95 * when) * (last - start))
            chart.regimens.append(Regimen(drug, start, stop, problem.row.name))


def dosage(tables: Tables, drug: str, age: float) -> Json:
    """Return a Dosage; children get a share of the adult dose that grows with age, rounded to two figures."""
    row = tables.medications.drugs[drug]
    dose = _dose(row, age)
    route = tables.medications.routes[row.route]
    timing, words = _timing(row)
    content: Json = {
        "text": f"{dose:g} {row.unit.strip('[]{}')} {row.route} {words}{' as needed' if row.prn else ''}",
        "timing": timing,
        "route": concept(route.display, "http://snomed.info/sct", route.code, route.display),
        "doseAndRate": [{"doseQuantity": quantity(dose, row.unit)}],
    }
    if row.prn:
        content["asNeededBoolean"] = True
    return content


def _dose(row: Drug, age: float) -> float:
    if age >= ADULT:
        return plain(row.dose)
    return plain(float(f"{row.dose * max(0.1, min(1.0, (age + 1) / (ADULT + 4))):.2g}"))


def _timing(row: Drug) -> tuple[Json, str]:
    if row.once:
        return {"repeat": {"count": 1}}, "once"
    if row.per_day >= 1:
        n = round(row.per_day)
        return {"repeat": {"frequency": n, "period": 1, "periodUnit": "d"}}, f"{n} time{'s' * (n > 1)} a day"
    days = round(1 / row.per_day)
    return {"repeat": {"frequency": 1, "period": days, "periodUnit": "d"}}, f"every {days} days"


def prescribe(
    record: Record,
    tables: Tables,
    regimen: Regimen,
    *,
    at: int,
    until: int | None,
    age: float,
    status: str,
    encounter: Json | None,
    requester: str,
    is_inpatient: bool = False,
) -> Json:
    """File a MedicationRequest and make it the regimen's latest one.

    Args:
        record: The patient's record.
        tables: The tables.
        regimen: What is prescribed.
        at: When it was written, in seconds since 1970.
        until: When its supply or the course ends, if it is limited.
        age: Years at that moment.
        status: Of the request.
        encounter: Reference to the Encounter.
        requester: Id of the Practitioner.
        is_inpatient: Whether it holds for a stay alone.
    """
    content: Json = {
        "status": status,
        "intent": "order",
        "category": _INPATIENT if is_inpatient else _OUTPATIENT,
        "medicationCodeableConcept": drug_concept(tables, regimen.drug),
        "subject": record.subject,
        "authoredOn": instant(at),
        "requester": to("Practitioner", requester),
        "reasonCode": [{"text": regimen.reason}],
        "dosageInstruction": [dosage(tables, regimen.drug, age)],
    }
    if until is not None:
        days = max(round((until - at) / DAY), 1)
        content["dispenseRequest"] = {"expectedSupplyDuration": quantity(days, "d")}
    if encounter is not None:
        content["encounter"] = encounter
    regimen.latest = record.add("MedicationRequest", content)
    regimen.prescribed = at
    return regimen.latest


def state_taken(
    record: Record, tables: Tables, regimens: Iterable[Regimen], *, at: int, age: float, encounter: Json
) -> list[str]:
    """File a MedicationStatement for each drug that a patient says is taken, and return their names."""
    names = []
    for regimen in regimens:
        content: Json = {
            "status": "active",
            "medicationCodeableConcept": drug_concept(tables, regimen.drug),
            "subject": record.subject,
            "context": encounter,
            "effectivePeriod": {"start": instant(regimen.start)},
            "dateAsserted": instant(at),
            "informationSource": record.subject,
            "dosage": [dosage(tables, regimen.drug, age)],
        }
        if regimen.latest is not None:
            content["basedOn"] = [refer(regimen.latest)]
        record.add("MedicationStatement", content)
        names.append(tables.medications.drugs[regimen.drug].name)
    return names


def dose_times(row: Drug, start: int, stop: int, rng: np.random.Generator) -> Iterator[int]:
    """Yield when doses are given between two moments: at fixed hours, some minutes late; on demand now and then."""
    if row.once:
        yield start + 600
        return
    stop = stop if row.days is None else min(stop, start + row.days * DAY)
    midnight = start // DAY * DAY
    hours = _CLOCK[min(max(round(row.per_day), 1), 5)]
    every = 1 if row.per_day >= 1 else round(1 / row.per_day)
    due = [
        midnight + day * DAY + hour * HOUR for day in range(0, (stop - midnight) // DAY + 1, every) for hour in hours
    ]
    late, asked = rng.random((2, len(due))).tolist()
    for at, delay, want in zip(due, late, asked, strict=True):
        given = at + int(delay * 2400)
        if start <= given < stop and (not row.prn or want < _ON_DEMAND):
            yield given


_ON_DEMAND = 0.35
"""Of the doses that a patient may ask for, those asked for; own choice."""


def give_doses(
    record: Record,
    tables: Tables,
    request: Json,
    drug: str,
    *,
    times: Sequence[int],
    age: float,
    encounter: Json,
    nurses: Sequence[Json],
    rng: np.random.Generator,
) -> None:
    """File a MedicationAdministration for each dose that was due.

    Args:
        record: The patient's record.
        tables: The tables.
        request: The MedicationRequest.
        drug: Its key.
        times: When, in seconds since 1970.
        age: Years.
        encounter: Reference to the Encounter.
        nurses: References to those who give it.
        rng: The patient's stream.
    """
    row = tables.medications.drugs[drug]
    route = tables.medications.routes[row.route]
    medication: Json = {"medicationCodeableConcept": drug_concept(tables, drug)}
    named: Json = {"medicationReference": {**to("Medication", medication_id(drug)), "display": row.name}}
    given = {
        "dose": quantity(_dose(row, age), row.unit),
        "route": concept(route.display, "http://snomed.info/sct", route.code, route.display),
    }
    based = refer(request)
    rolls = rng.random((3, len(times))).tolist()
    for at, missed, by_name, who in zip(times, *rolls, strict=True):
        content: Json = {
            "status": "completed",
            **(named if row.route == "intravenous" and by_name < shares.DOSE_BY_REFERENCE else medication),
            "subject": record.subject,
            "context": encounter,
            "effectiveDateTime": instant(at),
            "performer": [{"actor": nurses[int(who * len(nurses))]}],
            "request": based,
        }
        if missed < shares.DOSE_NOT_GIVEN:
            content["status"] = "not-done"
            content["statusReason"] = [{"text": _NOT_GIVEN[int(who * len(_NOT_GIVEN))]}]
        else:
            content["dosage"] = given
        record.add("MedicationAdministration", content)


def drug_names(tables: Tables, drugs: Collection[str]) -> list[str]:
    """Return the names of drugs, each once, in order."""
    return list(dict.fromkeys(tables.medications.drugs[drug].name for drug in drugs))
