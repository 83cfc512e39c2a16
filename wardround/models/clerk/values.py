"""Measured values: read out of Observations, whichever way they are recorded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from wardround.models.clerk.charts import VOID, Resource, as_dict, as_text, at, codes_in, names_of, texts
from wardround.models.clerk.glossary import Code
from wardround.models.clerk.vitals import DIASTOLIC, SYSTOLIC, pressure
from wardround.models.clerk.wording import telling


@dataclass(frozen=True)
class Value:
    """One measured value."""

    number: float
    """As recorded, whole numbers as int."""
    unit: str
    """Empty where none is recorded."""
    when: str
    """As recorded."""
    time: datetime | None
    id: str
    status: str
    name: str = ""
    """What the record calls it."""
    comparator: str = ""
    """`<` or `>` where only a limit is known."""
    low: float | None = None
    high: float | None = None
    flag: str = ""
    """`L`, `H` or `N` where the record says so."""
    encounter: str = ""
    """Id of the encounter that it names."""

    @property
    def until(self) -> datetime | None:
        """The last moment that it may be of: of a mere date the end of the day."""
        if self.time is None or len(self.when) > 10:
            return self.time
        return self.time + timedelta(days=1) - timedelta(seconds=1)


def instant(text: str) -> datetime | None:
    """Return the moment that a FHIR date or time begins; without a zone it is in UTC.

    >>> instant("2023-11-13") == instant("2023-11-13T01:00:00+01:00")
    True
    """
    try:
        moment = datetime.fromisoformat(text + "-01-01"[len(text) - 4 :] if 4 <= len(text) < 10 else text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def values_in(observations: Iterable[Resource], words: str, code: Code | None) -> list[Value]:
    """Return the values of what is measured, in the order in which they stand; what does not count is left out.

    Args:
        observations: Any Observations.
        words: What is measured.
        code: Its code; without one it is found by its words.
    """
    found: list[Value] = []
    for observation in observations:
        if observation.get("resourceType") != "Observation" or observation.get("status") in VOID:
            continue
        for part in (observation, *at(observation, "component")):
            if _is_of(part, words, code):
                found += _value(observation, part, words)
    return found


def _is_of(part: Resource, words: str, code: Code | None) -> bool:
    concept = part.get("code")
    if code is not None:
        called = {*codes_in(concept), *texts(concept, "text")}
        return bool({name.casefold() for name in called} & {c.casefold() for c in (code.code, *code.others)})
    asked = telling(words)
    if any(asked <= telling(name) for name in names_of(concept)):
        return True
    side = _side(words)
    return (
        side is not None
        and part.get("resourceType") == "Observation"
        and pressure(as_text(part.get("valueString"))) is not None
    )


def _side(words: str) -> int | None:
    lower = words.lower()
    return 0 if "systolic" in lower else 1 if "diastolic" in lower else None


def _value(observation: Resource, part: Resource, words: str) -> Iterator[Value]:
    quantity = as_dict(part.get("valueQuantity"))
    number, unit = quantity.get("value"), as_text(quantity.get("unit")) or as_text(quantity.get("code"))
    if "valueInteger" in part:
        number = part["valueInteger"]
    pair, side = pressure(as_text(part.get("valueString"))), _side(words)
    if pair is not None and side is not None:
        number, unit = pair[side], "mmHg"
    if isinstance(number, bool) or not isinstance(number, int | float):
        return
    when = _when(observation)
    ranges = as_dict(next(iter(at(part, "referenceRange")), None))
    flags = [*codes_in(next(iter(at(part, "interpretation")), None))]
    yield Value(
        number,
        unit,
        when,
        instant(when),
        as_text(observation.get("id")),
        as_text(observation.get("status")),
        name=next(iter(names_of(part.get("code"))), ""),
        comparator=as_text(quantity.get("comparator")),
        low=_number(as_dict(ranges.get("low")).get("value")),
        high=_number(as_dict(ranges.get("high")).get("value")),
        flag=next((flag[0] for flag in flags if flag in ("L", "LL", "H", "HH", "N")), ""),
        encounter=next(iter(texts(observation, "encounter", "reference")), "").rpartition("/")[2],
    )


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _when(observation: Resource) -> str:
    period = as_dict(observation.get("effectivePeriod"))
    choices = (
        observation.get("effectiveDateTime"),
        observation.get("effectiveInstant"),
        period.get("end"),
        period.get("start"),
    )
    return next((text for choice in choices if (text := as_text(choice))), "")


def text_values(observations: Iterable[Resource], words: str, code: Code | None) -> list[tuple[str, str]]:
    """Return values that are no numbers, such as `118/77 mmHg`, each with when it is of."""
    found: list[tuple[str, str]] = []
    for observation in observations:
        if observation.get("status") in VOID or not _is_of(observation, words, code):
            continue
        written = as_text(observation.get("valueString")) or _pair(observation)
        found += [(written, _when(observation))] if written else []
    return found


def _pair(observation: Resource) -> str:
    """A blood pressure that is recorded in two components."""
    parts = {code: part for part in at(observation, "component") for code in codes_in(part.get("code"))}
    numbers = [next(iter(at(parts.get(code), "valueQuantity", "value")), None) for code in (SYSTOLIC, DIASTOLIC)]
    return f"{numbers[0]:g}/{numbers[1]:g} mmHg" if all(isinstance(n, int | float) for n in numbers) else ""


def several_names(values: Sequence[Value]) -> list[str]:
    """Return what the record calls the values, each name once."""
    return list(dict.fromkeys(value.name for value in values if value.name))
