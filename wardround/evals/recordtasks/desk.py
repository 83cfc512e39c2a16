"""The record of the suite in memory, and the desk at which tasks are made for it: who is free, what is filed.

The record is that of the synthetic population with additions: results, orders, visits, allergies and namesakes without
which a branch would have no patient. An addition bears an id like those of the population, refers to the same kinds of
codes, and is filed for one patient and one topic that no other task is about, so that tasks do not change one another.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

from wardround.core.errors import UsageError
from wardround.environments.fhir.population import NOW
from wardround.evals.medagentbench.gold import instant
from wardround.evals.medagentbench.matching import subject_of
from wardround.evals.recordtasks.outcome import Outcome
from wardround.evals.recordtasks.reading import MRN_SYSTEM, Resource, Search, Solving, ref
from wardround.evals.recordtasks.tasks import Who
from wardround.tools.fhir.access import mapping, objects, string

ADULT = 18
"""Years; drugs, doses and reference ranges of the tasks are those of adults."""
STAY = timedelta(days=9)
"""How far back the observation encounter goes to which added results belong."""
_NUMBERED = re.compile(r"(.*)-([0-9]+)")


class NobodyLeft(UsageError):
    """No patient fits a task any more."""


class RecordInMemory:
    """Resources by patient and type, searched by the few parameters that solvers use."""

    def __init__(self, resources: Iterable[dict[str, Any]]) -> None:
        self.resources: list[dict[str, Any]] = []
        self._of: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        self._observed: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        self._numbers: dict[str, int] = {}
        for resource in resources:
            self.add(resource)

    def add(self, resource: dict[str, Any]) -> None:
        """File a resource."""
        self.resources.append(resource)
        owner, kind = owner_of(resource), resource["resourceType"]
        self._of[owner, kind].append(resource)
        if kind == "Observation":
            for code in _all_codes(resource["code"]):
                self._observed[owner, code].append(resource)
        numbered = _NUMBERED.fullmatch(resource["id"])
        if numbered is not None:
            self._numbers[numbered[1]] = max(self._numbers.get(numbered[1], 0), int(numbered[2]))

    def of(self, patient: str, type_: str) -> Sequence[dict[str, Any]]:
        """Return a patient's resources of a type."""
        return self._of[patient, type_]

    def observed(self, patient: str, codes: Iterable[str]) -> list[dict[str, Any]]:
        """Return a patient's Observations with one of some codes."""
        return [o for code in codes for o in self._observed[patient, code]]

    @property
    def patients(self) -> Sequence[dict[str, Any]]:
        """All patients."""
        return self._of["", "Patient"]

    def next_id(self, prefix: str) -> str:
        """Return the id after the last one in use, such as `p000001-obs-0123`."""
        return f"{prefix}-{self._numbers.get(prefix, 0) + 1:04d}"

    def search(self, search: Search) -> list[dict[str, Any]]:
        """Return what a solver's search brings."""
        params = dict(search.params)
        patient = params.pop("patient", "")
        if search.type == "Observation":
            return self.observed(patient, params["code"].split(","))
        pool = self._of[patient, search.type]
        return [r for r in pool if all(_matches(r, name, value) for name, value in params.items())]

    def solved(self, solving: Solving) -> Outcome:
        """Drive a solver with this record."""
        try:
            search = next(solving)
            while True:
                search = solving.send(self.search(search))
        except StopIteration as done:
            outcome: Outcome = done.value
            return outcome


def owner_of(resource: Resource) -> str:
    """Return the id of the patient that a resource is about; empty for a Patient and for shared resources."""
    named = resource if "subject" in resource else {"subject": resource.get("patient")}
    return subject_of(named) or ""


class Desk:
    """Where tasks are made: picks patients and files additions."""

    def __init__(self, resources: Iterable[dict[str, Any]]) -> None:
        self.record = RecordInMemory(resources)
        living = [p for p in self.record.patients if "deceasedDateTime" not in p and "deceasedBoolean" not in p]
        self.people = [Who.of(p) for p in living]
        self.adults = [who for who in self.people if (NOW.date() - who.birth_date).days >= ADULT * 365.25]
        self.added: list[dict[str, Any]] = []
        """What was filed here, in order."""
        self._taken: dict[str, set[str]] = defaultdict(set)
        self._load: Counter[str] = Counter()
        self._stays: dict[str, str] = {}

    def pick(
        self,
        rng: Random,
        user: str,
        topics: Sequence[str],
        fits: Callable[[Who], bool] = lambda who: True,
        *,
        among: Sequence[Who] | None = None,
    ) -> Who:
        """Return a patient of whom the topics are free, and take them; whoever has the fewest tasks comes first.

        Args:
            rng: Decides among equals.
            user: Category that takes them; a patient comes up in it for one task only.
            topics: What the task is about, such as `potassium`.
            fits: What must hold of the patient besides.
            among: Whom to pick from; the adults unless given.

        Raises:
            NobodyLeft: Nobody is left; nothing was taken.
        """
        wanted = {user, *topics}
        for who in sorted(self.adults if among is None else among, key=lambda w: (self._load[w.id], rng.random())):
            if not wanted & self._taken[who.id] and fits(who):
                self._taken[who.id] |= wanted
                self._load[who.id] += 1
                return who
        raise NobodyLeft(
            f"no patient is left for a task of {user} ({', '.join(topics)}); give more patients or fewer tasks"
        )

    def file(self, patient: str, kind: str, short: str, content: dict[str, Any]) -> dict[str, Any]:
        """File an addition under the next free id and return it.

        Args:
            patient: Id of the patient.
            kind: Resource type.
            short: What ids of the type hold, such as `obs`.
            content: The rest.
        """
        resource = {"resourceType": kind, "id": self.record.next_id(f"{patient}-{short}"), **content}
        self.record.add(resource)
        self.added.append(resource)
        return resource

    def stay(self, who: Who, time: datetime) -> str | None:
        """Return the Encounter that an added result of a time belongs to; None for one from before it."""
        if time < NOW - STAY:
            return None
        if who.id not in self._stays:
            self._stays[who.id] = self._present_stay(who) or ref(self._observation_stay(who))
        return self._stays[who.id]

    def _present_stay(self, who: Who) -> str | None:
        """Return the inpatient stay that goes on, if it began early enough for all added results."""
        for encounter in self.record.of(who.id, "Encounter"):
            period = mapping(encounter.get("period"))
            begun = instant(string(period.get("start")))
            is_stay = encounter.get("status") == "in-progress" and mapping(encounter.get("class")).get("code") == "IMP"
            if is_stay and begun is not None and begun <= NOW - STAY:
                return ref(encounter)
        return None

    def _observation_stay(self, who: Who) -> dict[str, Any]:
        act = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode"}
        content = {
            "status": "in-progress",
            "class": {**act, "code": "OBSENC", "display": "observation encounter"},
            "type": [{"text": "Day hospital, repeated attendance"}],
            "subject": {"reference": f"Patient/{who.id}"},
            "period": {"start": (NOW - STAY).isoformat()},
            "serviceProvider": {"reference": "Organization/org-hospital"},
        }
        return self.file(who.id, "Encounter", "enc", content)


def _matches(resource: Resource, name: str, value: str) -> bool:
    match name:
        case "identifier":
            return any(f"{MRN_SYSTEM}|{i.get('value')}" == value for i in objects(resource.get("identifier")))
        case "birthdate":
            return resource.get("birthDate") == value
        case "family":
            return any(string(n.get("family")).casefold() == value.casefold() for n in objects(resource.get("name")))
        case "_id":
            return resource.get("id") == value
    raise NotImplementedError(f"solvers do not search by {name}")


def _all_codes(concept: object) -> frozenset[str]:
    return frozenset(string(c.get("code")) for c in objects(mapping(concept).get("coding")))
