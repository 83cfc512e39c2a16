"""What the record holds that a right answer depends on, fetched once and then only computed with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Protocol

from wardround.core.errors import UsageError
from wardround.evals.medagentbench.facts import Age, Facts, Infusion, Level, LookUp, Recording, Referral
from wardround.evals.records.grading import Mode
from wardround.tools.fhir.access import mapping, string

COUNT = 5000
"""Page size that the published graders ask for; they read one page only."""
_VOID = frozenset({"entered-in-error", "cancelled"})


class Page(Protocol):
    """One page of what a search found."""

    @property
    def resources(self) -> Sequence[Mapping[str, Any]]:
        """The matches, in the server's order."""
        ...

    @property
    def next(self) -> str | None:
        """Where the next page is."""
        ...


class Searchable(Protocol):
    """A FHIR server, as far as the graders read it."""

    async def search(self, type_: str, params: Mapping[str, str], /) -> Page:
        """Return the first page of the resources of a type that match."""
        ...


@dataclass(frozen=True)
class Measurement:
    """One Observation with a number."""

    value: float
    """As the record has it, whole numbers as int; units are not converted."""
    stamp: str
    """`effectiveDateTime` as the record has it."""
    time: datetime
    status: str


@dataclass(frozen=True)
class Gold:
    """What the record says on a task, whatever the grader makes of it."""

    measurements: tuple[Measurement, ...] = ()
    """All of the patient with the task's code, in the server's order."""
    birth_date: date | None = None
    """In category 2 alone."""


async def fetch_gold(facts: Facts, client: Searchable) -> Gold:
    """Read what a task depends on, as the published graders read it.

    Raises:
        UsageError: The record cannot tell: no such patient, more than one page, an Observation with a value but no
            point in time. That is a fault of the data, not of the agent.
    """
    match facts:
        case LookUp() | Recording() | Referral():
            return Gold()
        case Age():
            return Gold(birth_date=await _birth_date(facts.mrn, client))
    params = {"patient": facts.mrn, "code": facts.code, "_count": str(COUNT)}
    page = await client.search("Observation", params)
    if page.next is not None:
        raise UsageError(
            f"patient {facts.mrn} has more Observations of {facts.code} than one page of {COUNT} holds; "
            "serve a data set or a page size with which the published graders see all of them"
        )
    return Gold(measurements=measurements_of(page.resources))


def measurements_of(observations: Iterable[Mapping[str, Any]]) -> tuple[Measurement, ...]:
    """Return the Observations that have a number, in their order.

    Raises:
        UsageError: One has a number but no `effectiveDateTime` that is a point in time.
    """
    return tuple(m for o in observations if (m := _measurement(o)) is not None)


def considered(facts: Facts, gold: Gold, mode: Mode) -> tuple[Measurement, ...]:
    """Return the measurements that count for a task.

    As published, the window has no upper bound and a status means nothing. By state, a value that lies after the
    time of the task, or that was entered in error, does not count.
    """
    kept = gold.measurements
    if isinstance(facts, LookUp):
        return ()
    if mode == "state":
        kept = tuple(m for m in kept if m.time <= facts.now and m.status not in _VOID)
    window = window_of(facts)
    return kept if window is None else tuple(m for m in kept if m.time >= facts.now - window)


def window_of(facts: Facts) -> timedelta | None:
    """Return how far back values count; none where the task looks at any time, or at no values."""
    return facts.window if isinstance(facts, Level | Infusion) else None


def latest(measurements: Sequence[Measurement]) -> tuple[Measurement, ...]:
    """Return all measurements at the latest point in time, in their order; the published graders keep the first."""
    newest = max((m.time for m in measurements), default=None)
    return tuple(m for m in measurements if m.time == newest)


def mean(measurements: Sequence[Measurement]) -> float:
    """Return the arithmetic mean of at least one value."""
    return sum(m.value for m in measurements) / len(measurements)


async def _birth_date(mrn: str, client: Searchable) -> date:
    page = await client.search("Patient", {"identifier": mrn})
    if len(page.resources) != 1:
        raise UsageError(f"the record has {len(page.resources)} patients with identifier {mrn}; load the one it is of")
    written = string(page.resources[0].get("birthDate"))
    try:
        return date.fromisoformat(written)
    except ValueError as error:
        raise UsageError(f"patient {mrn} has birthDate {written!r}; give the full date of birth") from error


def _measurement(observation: Mapping[str, Any]) -> Measurement | None:
    value = mapping(observation.get("valueQuantity")).get("value")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    stamp = string(observation.get("effectiveDateTime"))
    time = instant(stamp)
    if time is None:
        raise UsageError(
            f"Observation/{observation.get('id')} has effectiveDateTime {stamp!r}; "
            "give a time with its zone, since values are put in order by it"
        )
    return Measurement(value, stamp, time, string(observation.get("status")))


def instant(text: str) -> datetime | None:
    """Read a time that has a zone; anything else is no point in time.

    >>> instant("2023-11-13T10:15:00Z") == instant("2023-11-13T11:15:00+01:00")
    True
    >>> instant("2023-11-13") is None
    True
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
