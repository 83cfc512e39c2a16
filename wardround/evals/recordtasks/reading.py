"""Working through a record by searches: what a search brings, and results in the unit that is wanted.

A solver is a generator that asks for searches and is sent what they bring. The grader drives it with an HTTP client,
the oracle with turns of the text protocol, the builder of the suite with the record in memory; all by the same steps.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from wardround.core.errors import UsageError
from wardround.environments.fhir.population.resources import LOCAL, LOINC
from wardround.evals.medagentbench.gold import instant
from wardround.evals.recordtasks.answers import EXACT, Number
from wardround.evals.recordtasks.vocabulary import Analyte
from wardround.tools.fhir.access import mapping, number, objects, string

if TYPE_CHECKING:
    from wardround.evals.recordtasks.outcome import Outcome
    from wardround.tools.fhir.client import FhirClient

Resource = Mapping[str, Any]
MRN_SYSTEM = LOCAL + "mrn"
COUNTING = frozenset({"final", "amended", "corrected"})
"""Statuses of results that count; a preliminary one may still change, and all others were taken back."""
PAGE = 1000
"""Resources a page that solvers ask for."""
MOST = 20_000
"""Resources that one search of a solver may bring; far above what one patient has."""


@dataclass(frozen=True)
class Search:
    """A search by parameters."""

    type: str
    params: tuple[tuple[str, str], ...]


Solving = Generator[Search, Sequence[Resource], "Outcome"]
"""Asks for searches, is sent all that each brings, and returns what the task comes to."""


@dataclass(frozen=True)
class Result:
    """One Observation with a number."""

    ref: str
    value: float
    """In the unit that the analyte is wanted in."""
    raw: float
    """As the record has it."""
    is_converted: bool
    stamp: str
    time: datetime
    status: str
    encounter: str
    """Reference; empty where there is none."""
    flags: frozenset[str]
    """Codes of the interpretation."""

    @property
    def is_valid(self) -> bool:
        """Whether it counts."""
        return self.status in COUNTING


async def solved(solving: Solving, client: FhirClient) -> Outcome:
    """Drive a solver with a client.

    Raises:
        UsageError: The record does not hold what the task is about.
    """
    try:
        search = next(solving)
        while True:
            found, is_cut = await client.search_all(search.type, [*search.params, ("_count", str(PAGE))], limit=MOST)
            if is_cut:
                raise UsageError(f"{search.type} {dict(search.params)} brings more than {MOST} resources")
            search = solving.send(found)
    except StopIteration as done:
        outcome: Outcome = done.value
        return outcome


def patient_of(mrn: str) -> Generator[Search, Sequence[Resource], Resource]:
    """Find the Patient with a record number.

    Raises:
        UsageError: There is none, or more than one.
    """
    found = yield Search("Patient", (("identifier", f"{MRN_SYSTEM}|{mrn}"),))
    if len(found) != 1:
        raise UsageError(f"the record has {len(found)} patients with MRN {mrn}; load the record of the suite")
    return found[0]


def id_of(mrn: str) -> Generator[Search, Sequence[Resource], str]:
    """Find the id of the Patient with a record number.

    Raises:
        UsageError: There is none, or more than one.
    """
    return string((yield from patient_of(mrn)).get("id"))


def of_patient(type_: str, patient: str, **params: str) -> Search:
    """Return a search of one patient's resources."""
    return Search(type_, (("patient", patient), *params.items()))


def results(patient: str, analyte: Analyte) -> Generator[Search, Sequence[Resource], tuple[Result, ...]]:
    """Find a patient's results of an analyte, all statuses, the oldest first.

    Raises:
        UsageError: One has a unit that is not known here, or no point in time.
    """
    found = yield of_patient("Observation", patient, code=",".join(analyte.codes))
    return results_in(found, analyte)


def results_in(observations: Iterable[Resource], analyte: Analyte) -> tuple[Result, ...]:
    """Return those of some Observations that have a number, the oldest first.

    Raises:
        UsageError: One has a unit that is not known here, or no point in time.
    """
    found = [r for o in observations if (r := _result(o, analyte)) is not None]
    return tuple(sorted(found, key=lambda r: (r.time, r.ref)))


def valid(found: Iterable[Result]) -> tuple[Result, ...]:
    """Return the results that count."""
    return tuple(r for r in found if r.is_valid)


def since(found: Iterable[Result], start: datetime) -> tuple[Result, ...]:
    """Return the results from a point in time on."""
    return tuple(r for r in found if r.time >= start)


def newest(found: Sequence[Result]) -> Result | None:
    """Return the last of some results; None if there are none.

    Raises:
        UsageError: Two different values share the last point in time.
    """
    if not found:
        return None
    last = max(found, key=lambda r: r.time)
    if any(r.time == last.time and r.value != last.value for r in found):
        raise UsageError(f"{last.ref} shares its time with another value; a task cannot ask for the latest")
    return last


def told(result: Result, analyte: Analyte) -> Number:
    """Return a result as part of an answer; a converted one may be rounded as results of its kind are."""
    tolerance = 10.0**-analyte.digits if result.is_converted else EXACT
    return Number(result.value, tolerance, analyte.units)


def ref(resource: Resource) -> str:
    """Return `Type/id`."""
    return f"{resource.get('resourceType')}/{resource.get('id')}"


def coded(concept: object, system: str) -> frozenset[str]:
    """Return the codes that a CodeableConcept has in a system."""
    found = (c.get("code") for c in objects(mapping(concept).get("coding")) if c.get("system") == system)
    return frozenset(code for code in found if isinstance(code, str))


def full_name(patient: Resource) -> str:
    """Return the official name: all given names, then the family name."""
    none: Resource = {}
    name = next((n for n in objects(patient.get("name")) if n.get("use") == "official"), none)
    return " ".join([*map(string, name.get("given") or ()), string(name.get("family"))])


def mrn_of(patient: Resource) -> str:
    """Return the medical record number of a Patient."""
    numbers = (i.get("value") for i in objects(patient.get("identifier")) if i.get("system") == MRN_SYSTEM)
    return string(next(numbers, None))


def moment(text: object, what: str) -> datetime:
    """Read a point in time.

    Raises:
        UsageError: It is none.
    """
    found = instant(string(text))
    if found is None:
        raise UsageError(f"{what} has the time {text!r}; give one with its zone, since tasks put things in order by it")
    return found


def _result(observation: Resource, analyte: Analyte) -> Result | None:
    quantity = mapping(observation.get("valueQuantity"))
    raw, name = number(quantity.get("value")), ref(observation)
    if raw is None or not coded(observation.get("code"), LOINC) & {*analyte.codes}:
        return None
    units = [string(quantity.get(member)) for member in ("code", "unit")]
    factor = next((f for unit in units if (f := analyte.factor(unit)) is not None), None)
    if factor is None:
        raise UsageError(f"{name} has {analyte.name} in {units}; a task can be about {analyte.said}")
    stamp = string(observation.get("effectiveDateTime"))
    return Result(
        ref=name,
        value=raw * factor,
        raw=raw,
        is_converted=factor != 1.0,
        stamp=stamp,
        time=moment(stamp, name),
        status=string(observation.get("status")),
        encounter=string(mapping(observation.get("encounter")).get("reference")),
        flags=frozenset(c for i in objects(observation.get("interpretation")) for c in _codes(i)),
    )


def _codes(concept: Resource) -> list[str]:
    return [string(c.get("code")) for c in objects(concept.get("coding"))]
