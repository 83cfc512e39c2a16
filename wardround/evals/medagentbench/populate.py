"""A record in which given tasks can be answered, with every branch of every category in known numbers.

The published server holds real people's data and cannot be part of a package. This one is invented: it has the tasks'
patients by their record numbers, other patients that are easy to mistake for them, and values at and just outside the
bounds that the tasks draw.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeGuard, TypeVar

from wardround.core.errors import UsageError
from wardround.evals.medagentbench.branches import Branches, branch_of
from wardround.evals.medagentbench.chart import (
    GLUCOSE,
    HBA1C,
    MAGNESIUM,
    POTASSIUM,
    Analyte,
    Person,
    background,
    laboratory,
)
from wardround.evals.medagentbench.courses import Values, course, usual
from wardround.evals.medagentbench.facts import Age, Facts, Infusion, Level, LookUp, Recheck, Repletion, facts_of
from wardround.evals.medagentbench.gold import Gold, measurements_of
from wardround.evals.medagentbench.tasks import MedAgentTask

Shares = Mapping[int, Mapping[str, int]]
"""How many parts of a category's tasks go to each branch."""

BALANCED: Shares = {
    2: {"birthday_ahead": 2, "birthday_today": 1, "birthday_past": 2},
    4: {"none": 1, "older": 1, "one": 1, "several": 1},
    5: {"none": 3, "normal": 3, "mild": 2, "moderate": 2, "severe": 2},
    6: {"none": 2, "one": 1, "several": 3},
    7: {"plain": 1, "tied": 1},
    9: {"none": 1, "normal": 1, "low": 2},
    10: {"none": 1, "fresh": 2, "stale": 1},
}
"""As many tasks in categories 5, 9 and 10 that need a write as that do not."""
PUBLISHED: Shares = {
    **BALANCED,
    4: {"older": 19, "several": 11},
    5: {"none": 16, "normal": 12, "mild": 2},
    9: {"normal": 29, "low": 1},
    10: {"none": 13, "fresh": 13, "stale": 4},
}
"""The counts of the published server as far as a public audit of it gives them; the rest is balanced."""

_ANALYTES: Mapping[str, Analyte] = {"MG": MAGNESIUM, "K": POTASSIUM, "GLU": GLUCOSE, "A1C": HBA1C}
"""What tasks look at, by the published local codes."""
_STRICTEST_FIRST = (5, 4, 6, 7, 9, 10)
"""Where two tasks look at the same values, the branch of the earlier category is kept."""
K = TypeVar("K")
_TIME = datetime(2023, 11, 13, 10, 15, tzinfo=UTC)
"""The published time, for patients of whom no task says when it is."""
_GIVEN = {
    "female": ("Aino", "Chiara", "Dorothea", "Eszter", "Freya", "Gudrun", "Ilse", "Mirjam", "Noor", "Saskia", "Yuki"),
    "male": (
        "Anselm",
        "Bartosz",
        "Casimir",
        "Dmitri",
        "Einar",
        "Florin",
        "Henrik",
        "Janek",
        "Matteo",
        "Rurik",
        "Tomas",
    ),
}
_FAMILY = (
    "Aaltonen", "Bergstrom", "Castellano", "Dvorak", "Eriksen", "Fontaine", "Grabowski", "Halloran", "Ivanova",
    "Jankowski", "Kowalczyk", "Lindqvist", "Moreau", "Nakashima", "Okonkwo", "Petrescu", "Quintero", "Rasmussen",
    "Sorensen", "Takahashi", "Uzun", "Vandenberg", "Wisniewska", "Yilmaz", "Zielinski",
)  # fmt: skip


def populate(
    tasks: Sequence[MedAgentTask], seed: int, *, shares: Shares = BALANCED
) -> tuple[list[dict[str, Any]], Branches]:
    """Build the record of all patients that the tasks are about.

    The same tasks, seed and shares give the same resources. Tasks of one category are dealt to its branches in the
    given shares, each branch getting one as soon as there are enough tasks; tasks that look at the same values of the
    same patient share their fate, so the branches that are returned are those that came about.

    Args:
        tasks: Rows of the task file.
        seed: Of all chance.
        shares: See `BALANCED` and `PUBLISHED`.

    Returns:
        R4 resources, the patients first, and the branch of each task.

    Raises:
        UsageError: A task's wording is not the published one, or it asks for a local code that is not known here.
    """
    facts = {task.id: facts_of(task) for task in tasks}
    now = next((f.now for f in facts.values() if not isinstance(f, LookUp)), _TIME)
    people = _people(tasks, facts, seed, shares)
    courses = _courses(tasks, facts, seed, shares)
    resources = [person.resource for person in people.values()]
    for mrn in people:
        asked = {code: values for (owner, code), values in courses.items() if owner == mrn}
        resources += _chart(mrn, asked, now, seed)
    return resources, _branches(tasks, facts, resources)


def _people(tasks: Sequence[MedAgentTask], facts: Mapping[str, Facts], seed: int, shares: Shares) -> dict[str, Person]:
    """Return everybody by record number: those looked for, those whom tasks name, and those easily mistaken."""
    people: dict[str, Person] = {}
    lookups = [(task, f) for task in tasks if isinstance(f := facts[task.id], LookUp)]
    for task, look_up in lookups:
        rng = random.Random(f"{seed}:{task.id}")
        *given, family = look_up.name.split()
        if task.mrn is not None and task.solution != (look_up.absent,):
            people[task.mrn] = Person(task.mrn, given, family, look_up.birth_date, rng.choice(["female", "male"]))
    birthdays = _birthdays([f for f in facts.values() if isinstance(f, Age) and f.mrn not in people], seed, shares)
    for mrn in dict.fromkeys(f.mrn for f in facts.values() if not isinstance(f, LookUp)):
        if mrn not in people:
            people[mrn] = _invented(mrn, birthdays.get(mrn), random.Random(f"{seed}:{mrn}:person"))
    wanted = {(f.name, f.birth_date) for _, f in lookups}
    for task, look_up in lookups:
        for person in _mistakable(look_up, {*people}, random.Random(f"{seed}:{task.id}:others")):
            if (" ".join((*person.given, person.family)), person.birth_date) not in wanted:
                people[person.mrn] = person
    return people


def _invented(mrn: str, born: date | None, rng: random.Random) -> Person:
    gender = rng.choice(["female", "male"])
    drawn = date(rng.randint(1932, 2001), rng.randint(1, 12), rng.randint(1, 28))
    return Person(mrn, [rng.choice(_GIVEN[gender])], rng.choice(_FAMILY), born or drawn, gender)


def _birthdays(ages: Sequence[Age], seed: int, shares: Shares) -> dict[str, date]:
    rng = random.Random(f"{seed}:birthdays")
    today = {facts.mrn: facts.now.date() for facts in ages}
    return {mrn: _born(today[mrn], branch, rng) for mrn, branch in _dealt(list(today), shares[2], rng).items()}


def _born(today: date, branch: str, rng: random.Random) -> date:
    days = {"birthday_ahead": range(1, 40), "birthday_today": range(1), "birthday_past": range(-40, 0)}
    near = today + timedelta(days=rng.choice(days[branch]))
    # The 29th of February is in few years.
    return near.replace(year=rng.randint(1932, 2003), day=min(near.day, 28 if near.month == 2 else near.day))


def _mistakable(look_up: LookUp, taken: set[str], rng: random.Random) -> Iterator[Person]:
    """Give a namesake with another date of birth, and a relative born on the same day."""
    *given, family = look_up.name.split()
    shift = timedelta(days=rng.choice([1, -1, 30, 365]))
    for names, born in ((given, look_up.birth_date + shift), ([rng.choice(_GIVEN["female"])], look_up.birth_date)):
        mrn = next(m for m in iter(lambda: f"S{rng.randrange(10**7):07d}", None) if m not in taken)
        taken.add(mrn)
        yield Person(mrn, names, family, born, "female")


def _courses(
    tasks: Sequence[MedAgentTask], facts: Mapping[str, Facts], seed: int, shares: Shares
) -> dict[tuple[str, str], Values]:
    """Return the values that tasks look at, by record number and local code."""
    courses: dict[tuple[str, str], Values] = {}
    for category in _STRICTEST_FIRST:
        asked = [f for task in tasks if task.category == category and _decides(f := facts[task.id])]
        if unknown := {f.code for f in asked} - set(_ANALYTES):
            raise UsageError(f"no values are known for the local codes {sorted(unknown)}; use {', '.join(_ANALYTES)}")
        free = {(f.mrn, f.code): f for f in asked if (f.mrn, f.code) not in courses}
        dealt = _dealt(list(free), shares[category], random.Random(f"{seed}:{category}"))
        for (mrn, code), branch in dealt.items():
            courses[mrn, code] = course(free[mrn, code], branch, random.Random(f"{seed}:{mrn}:{code}"))
    return courses


def _decides(facts: Facts) -> TypeGuard[Level | Infusion | Repletion | Recheck]:
    return isinstance(facts, Level | Infusion | Repletion | Recheck)


def _chart(mrn: str, asked: Mapping[str, Values], now: datetime, seed: int) -> Iterator[dict[str, Any]]:
    rng = random.Random(f"{seed}:{mrn}:chart")
    for code, analyte in _ANALYTES.items():
        yield from laboratory(mrn, code, analyte, asked[code] if code in asked else usual(analyte, now, rng))
    yield from background(mrn, now, rng)


def _branches(
    tasks: Sequence[MedAgentTask], facts: Mapping[str, Facts], resources: Iterable[Mapping[str, Any]]
) -> Branches:
    """Read the branches back from what was built."""
    born: dict[str, date] = {}
    values: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for resource in resources:
        if resource["resourceType"] == "Patient":
            born[resource["id"]] = date.fromisoformat(resource["birthDate"])
        elif resource["resourceType"] == "Observation":
            mrn = resource["subject"]["reference"].removeprefix("Patient/")
            values.setdefault((mrn, resource["code"]["text"]), []).append(resource)
    found = {}
    for task in tasks:
        f = facts[task.id]
        seen = values.get((f.mrn, f.code), []) if _decides(f) else []
        gold = Gold(measurements_of(seen), None if isinstance(f, LookUp) else born[f.mrn])
        found[task.id] = (task.category, branch_of(task, gold))
    return Branches(found)


def _dealt(keys: Sequence[K], shares: Mapping[str, int], rng: random.Random) -> dict[K, str]:
    """Deal keys to branches in the given shares, by largest remainder, no branch empty if there are enough keys."""
    parts = sum(shares.values())
    counts = {branch: len(keys) * share // parts for branch, share in shares.items()}
    by_rest = sorted(shares, key=lambda branch: -(len(keys) * shares[branch] % parts))
    for branch in by_rest[: len(keys) - sum(counts.values())]:
        counts[branch] += 1
    for branch in [b for b in shares if counts[b] == 0 < shares[b] and len(keys) >= len(shares)]:
        counts[max(counts, key=lambda b: counts[b])] -= 1
        counts[branch] += 1
    order = list(keys)
    rng.shuffle(order)
    return dict(zip(order, (branch for branch, count in counts.items() for _ in range(count)), strict=True))
