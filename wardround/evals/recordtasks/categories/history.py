"""What the record says of a patient: medicines, problems, allergies, immunisations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from random import Random

from wardround.environments.fhir.population import NOW
from wardround.environments.fhir.population.resources import CVX, ICD10CM
from wardround.evals.recordtasks.answers import Day, Text
from wardround.evals.recordtasks.categories.common import (
    LEAD,
    joined,
)
from wardround.evals.recordtasks.desk import Desk
from wardround.evals.recordtasks.filing import DAY, condition, immunization, probe
from wardround.evals.recordtasks.outcome import Outcome, Sought, elsewhen, otherwise, seen
from wardround.evals.recordtasks.reading import Resource, Solving, coded, id_of, of_patient, ref
from wardround.evals.recordtasks.tasks import AboutPatient, Category, Who
from wardround.tools.fhir.access import mapping, objects, string

PROBLEMS = (
    ("I10", "Essential (primary) hypertension"),
    ("E11.9", "Type 2 diabetes mellitus without complications"),
    ("J45.909", "Unspecified asthma, uncomplicated"),
    ("M10.9", "Gout, unspecified"),
    ("L40.0", "Psoriasis vulgaris"),
    ("K21.9", "Gastro-esophageal reflux disease without esophagitis"),
    ("G43.909", "Migraine, unspecified, not intractable, without status migrainosus"),
    ("I48.91", "Unspecified atrial fibrillation"),
    ("E03.9", "Hypothyroidism, unspecified"),
    ("N20.0", "Calculus of kidney"),
)
"""ICD-10-CM codes with their names."""


@dataclass(frozen=True)
class ActiveProblem(AboutPatient):
    """Tell whether a problem is on the list as active, and since when."""

    code: str
    name: str

    @property
    def words(self) -> Mapping[str, str]:
        """What fills the gaps."""
        return {"code": self.code, "problem": self.name[0].lower() + self.name[1:]}

    def solve(self) -> Solving:
        """Look at the status of what the problem list has under the code."""
        patient = yield from id_of(self.mrn)
        listed = [c for c in (yield of_patient("Condition", patient)) if self.code in coded(c.get("code"), ICD10CM)]
        active = [c for c in listed if _is_current(c)]
        onsets = [(Day(date.fromisoformat(string(c.get("onsetDateTime"))[:10])),) for c in listed]
        if active:
            day = Day(date.fromisoformat(string(active[0].get("onsetDateTime"))[:10]))
            return Outcome(
                "active", ((day,),), evidence=seen(ref(active[0])), misreads=otherwise("denied", (Text("no"),))
            )
        misreads = otherwise("not_active", *onsets)
        if listed:
            return Outcome("resolved", ((Text("no"),),), evidence=self._missing(patient), misreads=misreads)
        return Outcome("absent", ((Text("no"),),), evidence=self._missing(patient), misreads=misreads)

    def _missing(self, patient: str) -> tuple[Sought, ...]:
        who = replace(self.who, id=patient)
        content = condition(who, self.code, self.name, date(2019, 5, 6), "active")
        return (Sought(probe("Condition", content)),)


def _is_current(entry: Resource) -> bool:
    status = mapping(entry.get("clinicalStatus"))
    sure = {string(c.get("code")) for c in objects(mapping(entry.get("verificationStatus")).get("coding"))}
    is_on = any(c.get("code") in ("active", "recurrence", "relapse") for c in objects(status.get("coding")))
    return is_on and not sure & {"refuted", "entered-in-error"}


def _draw_problem(desk: Desk, branch: str, rng: Random) -> ActiveProblem:
    code, name = rng.choice(PROBLEMS)

    def fits(who: Who) -> bool:
        return not any(code in coded(c.get("code"), ICD10CM) for c in desk.record.of(who.id, "Condition"))

    who = desk.pick(rng, "active-problem", [f"problem {code}"], fits)
    if branch != "absent":
        onset = (NOW - rng.randint(400, 2500) * DAY).date()
        content = condition(who, code, name, onset, "active" if branch == "active" else "resolved")
        desk.file(who.id, "Condition", "con", content)
    return ActiveProblem(who, code, name)


PROBLEM = Category(
    slug="active-problem",
    title="14 active problem",
    branches={"active": 0.5, "resolved": 0.3, "absent": 0.2},
    writing=frozenset(),
    wordings=(
        "Does {who} have {problem} (ICD-10-CM {code}) as an active problem, and since when?",
        "Since when has {who} had {problem} ({code})? Only if it is still active.",
        "Check the problem list of {who} for {code}, {problem}; give the onset if it is current.",
        "{Who}: is {problem} ({code}) a current diagnosis? Report when it began.",
        "Is {code} ({problem}) still active in {who}? I need the date of onset.",
        "For the referral of {who}, state the onset of {problem} (ICD-10-CM {code}) if it is an active problem.",
    ),
    context=joined(
        LEAD,
        "A problem is a Condition with the ICD-10-CM code (system http://hl7.org/fhir/sid/icd-10-cm). It "
        "is active if its clinicalStatus is active, recurrence or relapse and it is neither refuted nor "
        'entered in error. Answer with the date of onset as YYYY-MM-DD, or with "no" if it is not an '
        "active problem.",
    ),
    draw=_draw_problem,
)


INFLUENZA = "150"
VACCINES = (
    (INFLUENZA, "influenza, injectable, quadrivalent, preservative free", "influenza"),
    ("115", "Tdap", "tetanus, diphtheria and pertussis"),
    ("43", "Hep B, adult", "hepatitis B"),
)
"""CVX code, name and how texts say it."""


@dataclass(frozen=True)
class LastImmunization(AboutPatient):
    """Give the date of the last immunisation of a kind."""

    code: str
    name: str
    said: str

    @property
    def words(self) -> Mapping[str, str]:
        """What fills the gaps."""
        return {"code": self.code, "vaccine": self.said}

    def solve(self) -> Solving:
        """Take the last that was given, not one that was refused."""
        patient = yield from id_of(self.mrn)
        found = [
            i for i in (yield of_patient("Immunization", patient)) if self.code in coded(i.get("vaccineCode"), CVX)
        ]
        given = sorted((i for i in found if i.get("status") == "completed"), key=_day_of)
        refused = otherwise("not_given", *((Day(_day_of(i)),) for i in found if i not in given))
        if given:
            misreads = (*refused, *elsewhen(*((Day(_day_of(i)),) for i in given[:-1])))
            return Outcome("given", ((Day(_day_of(given[-1])),),), evidence=seen(ref(given[-1])), misreads=misreads)
        content = immunization(replace(self.who, id=patient), self.name, self.code, date(2022, 3, 4), "completed")
        evidence = (Sought(probe("Immunization", content)),)
        return Outcome("refused" if found else "never", ((Text("never"),),), evidence=evidence, misreads=refused)


def _day_of(entry: Resource) -> date:
    return date.fromisoformat(string(entry.get("occurrenceDateTime"))[:10])


def _draw_immunization(desk: Desk, branch: str, rng: Random) -> LastImmunization:
    code, name, said = rng.choice(VACCINES)

    def fits(who: Who) -> bool:
        return not any(code in coded(i.get("vaccineCode"), CVX) for i in desk.record.of(who.id, "Immunization"))

    who = desk.pick(rng, "last-immunisation", [f"vaccine {code}"], fits)
    years = sorted(rng.sample(range(2017, 2023), 3))
    # those against influenza are given in autumn
    days = [date(year, 10 if code == INFLUENZA else rng.randint(1, 12), rng.randint(1, 28)) for year in years]
    statuses = {"given": ["completed", "completed", rng.choice(["completed", "not-done"])], "refused": ["not-done"]}
    for day, status in zip(days, statuses.get(branch, []), strict=False):
        desk.file(who.id, "Immunization", "imm", immunization(who, name, code, day, status))
    return LastImmunization(who, code, name, said)


IMMUNIZATION = Category(
    slug="last-immunisation",
    title="16 last immunisation",
    branches={"given": 0.5, "refused": 0.25, "never": 0.25},
    writing=frozenset(),
    wordings=(
        "When did {who} last get the {vaccine} vaccine?",
        "Date of the last {vaccine} immunisation of {who}?",
        "{Who} wants to know when the {vaccine} vaccination was last given.",
        "Look up the most recent {vaccine} vaccination that {who} received.",
        "Is there a {vaccine} immunisation on record for {who}, and of which day is the last?",
        "For the vaccination card of {who}: latest {vaccine} dose?",
    ),
    context=joined(
        LEAD,
        "The vaccine has the CVX code {code} (system http://hl7.org/fhir/sid/cvx). An Immunization counts "
        'if its status is completed. Answer with the date as YYYY-MM-DD, or with "never" if none is on '
        "record.",
    ),
    draw=_draw_immunization,
)
