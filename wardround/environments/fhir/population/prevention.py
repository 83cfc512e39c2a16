"""Vaccinations: when they are due, and what is recorded of them."""

from __future__ import annotations

from wardround.environments.fhir.population import shares
from wardround.environments.fhir.population.chart import Chart
from wardround.environments.fhir.population.resources import (
    CVX,
    DAY,
    HOUR,
    YEAR,
    Json,
    concept,
    date_seconds,
    instant,
    term,
)
from wardround.environments.fhir.population.schema import Vaccine


def immunizations(chart: Chart) -> None:
    """File the vaccinations that fall into the record's years."""
    for vaccine in chart.tables.vaccines:
        if not chart.is_done(vaccine.share):
            continue
        for at in [*_by_age(chart, vaccine), *_repeated(chart, vaccine), *_by_date(chart, vaccine)]:
            if chart.first <= at < chart.last:
                _immunization(chart, vaccine, at)


def _by_age(chart: Chart, vaccine: Vaccine) -> list[int]:
    birth = chart.person.birth
    return [int(birth + age * YEAR + chart.rng.random() * 20 * DAY) // 1800 * 1800 for age in vaccine.at]


def _by_date(chart: Chart, vaccine: Vaccine) -> list[int]:
    days = [date_seconds(date) + 11 * HOUR for date in vaccine.dates]
    return [at for at in days if chart.age(at) >= vaccine.from_age]


def _repeated(chart: Chart, vaccine: Vaccine) -> list[int]:
    """Return when doses are due that come again, in their season of the year if they have one."""
    if vaccine.every is None:
        return []
    begun = max(float(chart.first), chart.person.birth + vaccine.from_age * YEAR)
    if vaccine.month is not None:
        begun = begun // YEAR * YEAR + (vaccine.month - 1) * YEAR / 12
    n = int((chart.last - begun) // (vaccine.every * YEAR)) + 1
    late = chart.rng.random(max(n, 0)).tolist()
    return [int(begun + i * vaccine.every * YEAR + delay * 40 * DAY) // 1800 * 1800 for i, delay in enumerate(late)]


def _immunization(chart: Chart, vaccine: Vaccine, at: int) -> None:
    content: Json = {
        "status": "completed",
        "vaccineCode": concept(vaccine.name, CVX, vaccine.code),
        "patient": chart.record.subject,
        "occurrenceDateTime": instant(at),
        "primarySource": True,
    }
    if chart.is_done(shares.VACCINE_DECLINED):
        content["status"] = "not-done"
        content["statusReason"] = term("v3-ActReason", "PATOBJ")
    else:
        content["lotNumber"] = f"LOT{int(chart.rng.integers(1_000, 9_999))}"
        content["performer"] = [{"actor": chart.nurse()}]
    chart.record.add("Immunization", content)
