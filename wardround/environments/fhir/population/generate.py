"""The generator: shared resources, then one coherent record after another."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from wardround.core.errors import UsageError
from wardround.environments.fhir.population.allergies import file_allergies
from wardround.environments.fhir.population.chart import Chart
from wardround.environments.fhir.population.conditions import draw_problems
from wardround.environments.fhir.population.draws import stream
from wardround.environments.fhir.population.laboratory import Chemistry
from wardround.environments.fhir.population.life import live
from wardround.environments.fhir.population.medications import DrugChart, long_term_regimens
from wardround.environments.fhir.population.people import draw_person, patient
from wardround.environments.fhir.population.physiology import Body
from wardround.environments.fhir.population.resources import DAY, YEAR, Json, Record, seconds
from wardround.environments.fhir.population.staff import shared, staff_of
from wardround.environments.fhir.population.tables import Tables, tables

NOW = datetime(2023, 11, 13, 10, 15, tzinfo=UTC)
"""The last moment of a record unless another is given."""
_LARGEST = 10_000_000
"""Numbers of patients are below this, so that record numbers of seven digits are enough."""


def generate(
    patients: int, seed: int, *, end: datetime = NOW, years: float = 5, start: int = 0
) -> Iterator[dict[str, Any]]:
    """Yield synthetic patients as plain FHIR R4 (4.0.1) resources, each with an id.

    First come the shared resources (Organizations, Locations, Practitioners, PractitionerRoles, the formulary's
    Medications), then the records, patient by patient. A resource may refer to one that comes later, but only within
    the same patient. Patient i is the same however many are generated, so workers can split them: give each its
    `start`, and the shared resources come from the one that starts at 0. Memory does not grow with the number.

    Resources share parts with one another (a subject's reference, a code): treat them as read only, or copy.
    Nothing is dated after `end` but Appointments and planned orders. All figures are graded or drawn from the knowledge
    base; agreement of a record with its diagnosis says nothing of clinical truth.

    Args:
        patients: How many.
        seed: Not negative; the same seed yields the same resources.
        end: The last moment of the records, with a time zone.
        years: How far back visits and stays go.
        start: Number of the first patient.

    Raises:
        UsageError: A number is negative or too large, or `end` has no time zone.
    """
    if min(patients, seed, start) < 0 or years <= 0 or start + patients > _LARGEST:
        raise UsageError(
            f"patients={patients}, seed={seed}, start={start}, years={years}: give numbers that are not negative, "
            f"years above 0, and start + patients of {_LARGEST:,} at most"
        )
    if end.tzinfo is None:
        raise UsageError(f"end={end.isoformat()} has no time zone; give one, such as tzinfo=UTC")
    return _generate(patients, seed, seconds(end), years, start)


def _generate(patients: int, seed: int, end: int, years: float, start: int) -> Iterator[Json]:
    t = tables()
    if start == 0:
        yield from shared(t, seed)
    for number in range(start, start + patients):
        yield from _record(t, seed, number, int(end - years * YEAR), end)


def _record(t: Tables, seed: int, number: int, first: int, end: int) -> list[Json]:
    rng = stream(seed, number)
    person = draw_person(t, seed, number, rng, first=first, end=end)
    last = end if person.death is None else person.death
    record = Record(person.id)
    doctor = staff_of(rng, t.staff.by_id["family_medicine"])
    record.resources.append(patient(t, person, rng, end=end, practitioner=doctor))
    begun = max(first, person.birth)
    problems = draw_problems(t, person, rng, last)
    ruled_out = file_allergies(
        t, record, rng, earliest=person.birth, latest=min(begun + 30 * DAY, last - DAY), recorder=doctor
    )
    drugs = DrugChart(t, ruled_out)
    long_term_regimens(drugs, problems, person.birth, rng, last=last)
    chart = Chart(
        tables=t,
        person=person,
        rng=rng,
        record=record,
        problems=problems,
        body=Body(person, problems, drugs.effects, rng),
        drugs=drugs,
        chemistry=Chemistry(t, record, rng, last),
        first=begun,
        last=last,
        doctor=doctor,
    )
    live(chart, end)
    return record.resources
