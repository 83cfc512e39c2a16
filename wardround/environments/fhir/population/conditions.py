"""Long-lasting conditions: who has them from when, and how conditions of any kind are entered in a record."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from wardround.environments.fhir.population.people import Person
from wardround.environments.fhir.population.resources import (
    DAY,
    ICD10CM,
    YEAR,
    Json,
    Record,
    concept,
    day,
    instant,
    refer,
    term,
    to,
)
from wardround.environments.fhir.population.schema import LongTerm
from wardround.environments.fhir.population.tables import Tables

CLINICAL = "condition-clinical"
VERIFICATION = "condition-ver-status"
_PROBLEM = [term("condition-category", "problem-list-item", "Problem List Item")]
_DIAGNOSIS = [term("condition-category", "encounter-diagnosis", "Encounter Diagnosis")]


@dataclass(frozen=True)
class Problem:
    """A long-lasting condition of one patient."""

    row: LongTerm
    onset: int
    """In seconds since 1970."""
    severity: float
    """Multiplies what the condition does to the usual values; 1 on average."""
    ended: int | None = None
    """When it was over, if it was."""

    def is_active(self, at: float) -> bool:
        """Whether the patient has it at a moment."""
        return self.onset <= at and (self.ended is None or at < self.ended)


def draw_problems(tables: Tables, person: Person, rng: np.random.Generator, last: int) -> list[Problem]:
    """Draw the long-lasting conditions that a person has had by a moment, each with its onset.

    A person has one fixed place in the population for each condition, and gets it at the age at which the
    share of those who have had it reaches that place; so the shares hold at every age.
    """
    problems: list[Problem] = []
    held = set(person.traits)
    for row in tables.long_term.values():
        place, severity, over = rng.random(3).tolist()
        if held.intersection(row.excludes):
            continue
        onset = _onset(row, person, place, held, last)
        if onset is None:
            continue
        held.add(row.id)
        ended = None
        if not row.lasts and over < 0.75:
            ended = int(onset + (0.4 + 1.2 * over) * YEAR)
        problems.append(Problem(row, onset, 0.6 + 0.8 * severity, ended))
    return problems


def _onset(row: LongTerm, person: Person, place: float, held: Collection[str], last: int) -> int | None:
    factor = row.sex.get("female" if person.sex == "female" else "male", 1.0)
    for other, multiplier in row.raised_by.items():
        factor *= multiplier if other in held else 1.0
    ages = list(row.ever)
    reached = np.minimum(np.maximum.accumulate(np.array(list(row.ever.values()))) * factor, 0.97)
    now = person.age(last)
    if now < ages[0] or place >= np.interp(now, ages, reached):
        return None
    earliest = ages[0] if place < reached[0] else float(np.interp(place, reached, ages))
    age = min(max(earliest, 0.05), now)
    return int((person.birth + age * YEAR) // DAY * DAY + 9 * 3600) if age < now else last


def problem_condition(
    record: Record,
    row: LongTerm,
    *,
    onset: int,
    recorded: int,
    ended: int | None,
    clinical: str,
    verification: str,
    encounter: Json | None,
    recorder: str,
) -> Json:
    """File a long-lasting condition on the problem list.

    Args:
        record: The patient's record.
        row: The condition.
        onset: When it began, in seconds since 1970.
        recorded: When it was entered.
        ended: When it was over; only with a clinical status that says so.
        clinical: Clinical status.
        verification: Verification status; with `entered-in-error` there is no clinical status (con-5).
        encounter: At which encounter it was entered.
        recorder: Id of the Practitioner.
    """
    content: Json = {
        "clinicalStatus": term(CLINICAL, clinical),
        "verificationStatus": term(VERIFICATION, verification),
        "category": _PROBLEM,
        "code": concept(row.name, ICD10CM, row.icd10),
        "subject": record.subject,
        "onsetDateTime": day(onset),
        "recordedDate": instant(recorded),
        "recorder": to("Practitioner", recorder),
    }
    if verification == "entered-in-error":
        del content["clinicalStatus"]
    if encounter is not None:
        content["encounter"] = refer(encounter)
    if ended is not None and clinical == "resolved":
        content["abatementDateTime"] = day(ended)
    return record.add("Condition", content)


def diagnosis_condition(
    record: Record,
    tables: Tables,
    condition: str,
    *,
    encounter: Json,
    at: int,
    ended: int | None,
    verification: str,
    recorder: str,
) -> Json:
    """File a condition of the knowledge base as the diagnosis of an encounter.

    Args:
        record: The patient's record.
        tables: The tables.
        condition: Id in the knowledge base.
        encounter: The encounter.
        at: When it was made out, in seconds since 1970.
        ended: When it was over; without it the condition is active.
        verification: Verification status.
        recorder: Id of the Practitioner.
    """
    entry = tables.kb.conditions[condition]
    content: Json = {
        "clinicalStatus": term(CLINICAL, "active" if ended is None else "resolved"),
        "verificationStatus": term(VERIFICATION, verification),
        "category": _DIAGNOSIS,
        "code": concept(entry.name, ICD10CM, entry.icd10),
        "subject": record.subject,
        "encounter": refer(encounter),
        "onsetDateTime": day(at),
        "recordedDate": instant(at),
        "recorder": to("Practitioner", recorder),
    }
    if ended is not None:
        content["abatementDateTime"] = day(ended)
    return record.add("Condition", content)


def histories(problems: Sequence[Problem], at: float) -> set[str]:
    """Return the findings of the knowledge base that say what a patient already has at a moment."""
    return {p.row.history for p in problems if p.row.history is not None and p.onset < at}
