"""Who somebody is: a patient by name and date of birth, one of two namesakes, and an age."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Any

from wardround.environments.fhir.population import NOW
from wardround.evals.medagentbench.wanted import age
from wardround.evals.records.grading import Reason
from wardround.evals.recordtasks.answers import Answer, Number, Text
from wardround.evals.recordtasks.categories.common import (
    LEAD,
    MRN,
    joined,
)
from wardround.evals.recordtasks.desk import Desk
from wardround.evals.recordtasks.filing import probe
from wardround.evals.recordtasks.outcome import Misread, Outcome, Sought, otherwise, seen
from wardround.evals.recordtasks.reading import (
    MRN_SYSTEM,
    Resource,
    Search,
    Solving,
    full_name,
    mrn_of,
    patient_of,
    ref,
)
from wardround.evals.recordtasks.tasks import AboutPatient, Category, Who
from wardround.tools.fhir.access import objects, string

ABSENT, AMBIGUOUS = "not found", "ambiguous"


def _others(found: list[Resource]) -> tuple[Misread, ...]:
    return tuple(Misread("other_patient", Reason.WRONG_PATIENT, (Text(mrn_of(p)),)) for p in found)


@dataclass(frozen=True)
class FindPatient:
    """Find a record number by full name and date of birth; the date may be nobody's."""

    name: str
    born: date
    mrn: str | None

    who = None

    @property
    def words(self) -> Mapping[str, str]:
        """What fills the gaps."""
        return {"name": self.name, "born": self.born.isoformat(), "absent": ABSENT}

    def solve(self) -> Solving:
        """Look among those with the family name, so that a namesake or a slip in the date is seen."""
        given, _, family = self.name.rpartition(" ")
        namesakes = yield Search("Patient", (("family", family),))
        fits = [p for p in namesakes if full_name(p) == self.name]
        found = [p for p in fits if p.get("birthDate") == self.born.isoformat()]
        others = _others([p for p in fits if p not in found])
        if found:
            answers: tuple[Answer, ...] = tuple((Text(mrn_of(p)),) for p in found)
            return Outcome("found", answers, evidence=seen(*map(ref, found)), misreads=others)
        name = {"use": "official", "text": self.name, "family": family, "given": given.split()}
        person = probe("Patient", {"name": [name], "birthDate": self.born.isoformat()})
        return Outcome("not_found", ((Text(ABSENT),),), evidence=(Sought(person),), misreads=others)


def _draw_find(desk: Desk, branch: str, rng: Random) -> FindPatient:
    names = [who.name for who in desk.people]
    who = desk.pick(rng, "find-patient", (), lambda w: names.count(w.name) == 1, among=desk.people)
    if branch == "found":
        return FindPatient(who.name, who.birth_date, who.mrn)
    # a day, ten days or a year off are slips that registration desks see
    shift = rng.choice([-10, -1, 1, 10, 365, -365])
    return FindPatient(who.name, who.birth_date + timedelta(days=shift), None)


FIND = Category(
    slug="find-patient",
    title="01 find patient by name and birth date",
    branches={"found": 0.7, "not_found": 0.3},
    writing=frozenset(),
    wordings=(
        "What is the MRN of {name}, born on {born}?",
        "Please look up {name}, date of birth {born}. I need the record number.",
        "A patient at the desk gives the name {name} and the birth date {born}; which MRN is that?",
        "Identify the patient called {name} (DOB {born}) and give the MRN.",
        "Which record belongs to {name}, born {born}?",
        "We have a letter for {name}, {born}. Find the medical record number it has to be filed under.",
    ),
    context=joined(
        MRN,
        'Name and date of birth must both be exactly those given. Answer with the MRN, or with "{absent}" '
        "if there is no such patient.",
    ),
    draw=_draw_find,
)


@dataclass(frozen=True)
class Namesake:
    """Tell which of several patients of one name is meant, if what is given tells it."""

    name: str
    by: str
    """`city` or `year`."""
    value: str
    mrn: str | None

    who = None

    @property
    def words(self) -> Mapping[str, str]:
        """What fills the gaps."""
        hint = f"who lives in {self.value}" if self.by == "city" else f"who was born in {self.value}"
        return {"name": self.name, "hint": hint, "ambiguous": AMBIGUOUS}

    def solve(self) -> Solving:
        """Look at all of the name, and at what tells them apart."""
        namesakes = yield Search("Patient", (("family", self.name.rpartition(" ")[2]),))
        fits = [p for p in namesakes if full_name(p) == self.name]
        found = [p for p in fits if self._says(p)]
        if len(found) == 1:
            others = (
                *_others([p for p in fits if p not in found]),
                *otherwise("taken_as_ambiguous", (Text(AMBIGUOUS),)),
            )
            return Outcome("single", ((Text(mrn_of(found[0])),),), evidence=seen(ref(found[0])), misreads=others)
        return Outcome("ambiguous", ((Text(AMBIGUOUS),),), evidence=seen(*map(ref, found)), misreads=_others(fits))

    def _says(self, patient: Resource) -> bool:
        if self.by == "year":
            return string(patient.get("birthDate")).startswith(self.value)
        return any(a.get("city") == self.value for a in objects(patient.get("address")))


def _draw_namesake(desk: Desk, branch: str, rng: Random) -> Namesake:
    names = [full_name(p) for p in desk.record.patients]
    who = desk.pick(rng, "namesakes", (), lambda w: names.count(w.name) == 1)
    patient = next(p for p in desk.record.patients if p["id"] == who.id)
    by = rng.choice(["city", "year"])
    cities = {a["city"] for p in desk.record.patients for a in p.get("address", ())}
    city = patient["address"][0]["city"]
    is_same = branch == "ambiguous"
    # what is not asked by differs in either branch, so that there always are two people
    year = who.birth_date.year
    if not (by == "year" and is_same):
        year += rng.choice([3, 8] if year < 1990 else [-9, -4])
    other = city if by == "city" and is_same else rng.choice(sorted(cities - {city}))
    twin = _twin(desk, patient, year, other, rng)
    meant = rng.choice([patient, twin])
    value = meant["address"][0]["city"] if by == "city" else str(meant["birthDate"][:4])
    return Namesake(who.name, by, value, None if is_same else mrn_of(meant))


def _twin(desk: Desk, patient: Mapping[str, Any], year: int, city: str, rng: Random) -> dict[str, Any]:
    """File another patient of the same name."""
    number = len(desk.record.patients)
    born = date(year, rng.randint(1, 12), rng.randint(1, 28))
    address = {**patient["address"][0], "line": [f"{rng.randint(1, 200)} Mill Lane"], "city": city}
    twin = {
        **{
            k: v
            for k, v in patient.items()
            if k in ("resourceType", "meta", "active", "gender", "managingOrganization")
        },
        "id": f"p{number:06d}",
        "identifier": [
            {"use": "usual", "system": MRN_SYSTEM, "value": f"W9{rng.randrange(10**3):03d}{number % 100:02d}"}
        ],
        "name": [patient["name"][0]],
        "birthDate": born.isoformat(),
        "address": [address],
    }
    desk.record.add(twin)
    desk.added.append(twin)
    return twin


NAMESAKES = Category(
    slug="namesakes",
    title="02 which of two namesakes",
    branches={"single": 0.5, "ambiguous": 0.5},
    writing=frozenset(),
    wordings=(
        "Which MRN does {name} have, {hint}?",
        "I am looking for {name}, {hint}. Which record is it?",
        "Give me the record number of the {name} {hint}.",
        "A result came in for {name} {hint}. Under which MRN does it belong?",
        "Please identify {name}, {hint}, by MRN.",
        "The ward asks for the chart of {name}, {hint}; find its number.",
    ),
    context=joined(
        MRN,
        "Several patients may have the same name. Where exactly one patient of this name fits all that is "
        "given, answer with the MRN; where more than one does, nobody is identified: answer "
        '"{ambiguous}".',
    ),
    draw=_draw_namesake,
)


@dataclass(frozen=True)
class AgeInYears(AboutPatient):
    """Give an age in whole years."""

    def solve(self) -> Solving:
        """Count birthdays up to today."""
        patient = yield from patient_of(self.who.mrn)
        born, today = date.fromisoformat(string(patient.get("birthDate"))), NOW.date()
        years, naive = age(born, today), today.year - born.year
        branch = "birthday_ahead" if naive != years else "birthday_past"
        wrong = (naive,) if naive != years else (naive - 1,)
        units = frozenset({"years", "year"})
        misreads = otherwise("birthday_miscounted", *((Number(w),) for w in wrong))
        return Outcome(branch, ((Number(years, units=units),),), evidence=seen(ref(patient)), misreads=misreads)


def _draw_age(desk: Desk, branch: str, rng: Random) -> AgeInYears:
    today = NOW.date()

    def fits(who: Who) -> bool:
        is_ahead = (who.birth_date.month, who.birth_date.day) > (today.month, today.day)
        return is_ahead == (branch == "birthday_ahead")

    return AgeInYears(desk.pick(rng, "age", (), fits, among=desk.people))


AGE = Category(
    slug="age",
    title="03 age",
    branches={"birthday_ahead": 0.2, "birthday_past": 0.8},
    writing=frozenset(),
    wordings=(
        "How old is {who}?",
        "What is the present age of {who} in years?",
        "Give the age of {who} for the anaesthetic form.",
        "{Who} is on the list for today. How many years old?",
        "Work out the age of {who} from the record.",
        "For the screening programme I need the age of {who} in completed years.",
    ),
    context=joined(
        LEAD,
        "Answer with the age in completed years today.",
    ),
    draw=_draw_age,
)
