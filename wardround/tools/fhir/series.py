"""Measured values of one kind over time: read in one unit, counted, and what was left out named with its reason."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from wardround.core.case_file import parse_fhir_time
from wardround.core.errors import UsageError
from wardround.knowledge.schema import Analyte
from wardround.tools.fhir.access import codes, concept, mapping, number, objects, string
from wardround.tools.fhir.phrases import quantity
from wardround.tools.fhir.units import LOINC, Analytes, folded, in_unit, normalised
from wardround.tools.fhir.wording import when

PRESSURES = ("systolic_bp", "diastolic_bp")
"""Analytes that a blood pressure written as `120/80` holds, in its order."""

_PRESSURE_PANELS = frozenset(("85354-9", "55284-4"))
"""LOINC panels of both blood pressures."""
_PRESSURE_NAMES = (folded("bp"), folded("blood pressure"))
_PAIR = re.compile(r"\s*(\d{2,3})\s*/\s*(\d{2,3})\s*(?:mm\s?\[?Hg\]?)?\s*", re.IGNORECASE)
_VOID = ("entered-in-error", "cancelled")


@dataclass(frozen=True)
class Wanted:
    """What is measured."""

    name: str
    analyte: Analyte | None
    """Nothing where the knowledge does not know it; values then stay in the unit they are recorded in."""
    codes: frozenset[str] = frozenset()
    """Only what bears one of these; empty means all that is the analyte, by whatever code."""
    text: str = ""
    """Only what has no code and is called this."""


@dataclass(frozen=True)
class Reading:
    """One usable value."""

    observation: str
    """Id of the Observation."""
    value: float
    """As recorded."""
    unit: str
    """As recorded; empty where it has none."""
    canonical: float | None
    """In the analyte's unit; nothing where there is no analyte."""
    comparator: str
    """`<`, `<=`, `>=` or `>` where only a limit is known."""
    moment: datetime | None
    when: str
    """As recorded."""
    status: str


@dataclass(frozen=True)
class LeftOut:
    """An Observation that could not be used."""

    observation: str
    reason: str


@dataclass(frozen=True)
class Series:
    """Readings, the earliest first, those without a time at the end."""

    wanted: Wanted
    readings: tuple[Reading, ...]
    left_out: tuple[LeftOut, ...]


def read_series(observations: Iterable[Mapping[str, Any]], wanted: Wanted, analytes: Analytes) -> Series:
    """Read what is wanted out of Observations and their components; those about something else are passed over."""
    readings: list[Reading] = []
    left_out: list[LeftOut] = []
    for observation in observations:
        for part in _parts(observation, wanted, analytes):
            found = _read(observation, part, wanted)
            if isinstance(found, Reading):
                readings.append(found)
            else:
                left_out.append(LeftOut(string(observation.get("id")), found))
    ordered = sorted(readings, key=lambda r: (r.moment is None, r.moment.timestamp() if r.moment is not None else 0.0))
    return Series(wanted, tuple(ordered), tuple(left_out))


def is_pressure(part: Mapping[str, Any]) -> bool:
    """Whether a part of a record is about the blood pressure as a whole."""
    code = mapping(part.get("code"))
    names = [
        string(code.get("text")),
        *(string(c.get(k)) for c in objects(code.get("coding")) for k in ("display", "code")),
    ]
    panels = {string(c.get("code")) for c in objects(code.get("coding")) if c.get("system") == LOINC}
    return bool(panels & _PRESSURE_PANELS) or any(folded(name) in _PRESSURE_NAMES for name in names)


def _parts(observation: Mapping[str, Any], wanted: Wanted, analytes: Analytes) -> Iterator[Mapping[str, Any]]:
    parts = (observation, *objects(observation.get("component")))
    if wanted.codes:
        yield from (part for part in parts if wanted.codes & set(codes(part.get("code"))))
    elif wanted.text:
        yield from (part for part in parts if _is_only_called(part, wanted.text))
    elif wanted.analyte is not None:
        yield from (part for part in parts if _is_of(part, wanted.analyte, analytes))


def _is_only_called(part: Mapping[str, Any], text: str) -> bool:
    code = mapping(part.get("code"))
    return not codes(code) and folded(string(code.get("text"))) == folded(text)


def _is_of(part: Mapping[str, Any], analyte: Analyte, analytes: Analytes) -> bool:
    found = analytes.of(part)
    is_pair = analyte.id in PRESSURES and is_pressure(part) and _pair(part) is not None
    return is_pair or (found is not None and found.id == analyte.id)


def _pair(part: Mapping[str, Any]) -> re.Match[str] | None:
    return _PAIR.fullmatch(string(part.get("valueString")))


def _read(observation: Mapping[str, Any], part: Mapping[str, Any], wanted: Wanted) -> Reading | str:
    """The reading of a part, or why there is none."""
    status = string(observation.get("status"))
    if status in _VOID:
        return status
    measured = _quantity(part, wanted)
    if isinstance(measured, str):
        return measured
    value = number(measured.get("value"))
    if value is None:
        return "no value"
    canonical = None
    if wanted.analyte is not None:
        try:
            canonical = normalised(measured, wanted.analyte).value
        except UsageError as error:
            return f"{quantity(measured)}: {error}"
    written = when(observation)
    return Reading(
        observation=string(observation.get("id")),
        value=value,
        unit=string(measured.get("unit")) or string(measured.get("code")),
        canonical=canonical,
        comparator=string(measured.get("comparator")),
        moment=parse_fhir_time(written),
        when=string(written),
        status=status,
    )


def _quantity(part: Mapping[str, Any], wanted: Wanted) -> Mapping[str, Any] | str:
    if "valueQuantity" in part:
        return mapping(part["valueQuantity"])
    pair = _pair(part)
    if pair is not None and wanted.analyte is not None and wanted.analyte.id in PRESSURES:
        return {"value": float(pair[1 + PRESSURES.index(wanted.analyte.id)]), "unit": "mmHg", "code": "mm[Hg]"}
    if "valueInteger" in part:
        return {"value": part["valueInteger"]}
    absent = concept(part.get("dataAbsentReason")) or ",".join(codes(part.get("dataAbsentReason")))
    words = next(
        (string(part[n]) or concept(part[n]) for n in ("valueString", "valueCodeableConcept") if n in part), ""
    )
    if words:
        return f"no number: {words[:40]!r}"
    return f"no value ({absent})" if absent else "no value"


def common_unit(series: Series, asked: str | None) -> str:
    """Return the unit in which a series is told: the one asked for, the one all are recorded in, or the analyte's.

    Raises:
        UsageError: The unit asked for is not known, or units differ and nothing tells how to convert them.
    """
    recorded = Counter(reading.unit for reading in series.readings)
    analyte = series.wanted.analyte
    if asked is not None:
        if analyte is not None:
            in_unit(1.0, analyte, asked)
        elif set(recorded) - {asked}:
            known = ", ".join(map(repr, recorded))
            raise UsageError(
                f"{series.wanted.name} is recorded in {known}; how to convert that to {asked!r} is not known"
            )
        return asked
    if len(recorded) <= 1:
        return next(iter(recorded), analyte.unit if analyte is not None else "")
    if analyte is None:
        told = ", ".join(f"{unit or 'no unit'} ({n})" for unit, n in recorded.most_common())
        raise UsageError(
            f"{series.wanted.name} is recorded in several units that cannot be converted: {told}; ask for statistic all"
        )
    return analyte.unit


def value_in(reading: Reading, unit: str, analyte: Analyte | None) -> float:
    """Return a reading in a unit; as it is recorded where that is its unit.

    Raises:
        UsageError: The unit is not known for the analyte.
    """
    if reading.unit == unit or analyte is None or reading.canonical is None:
        return reading.value
    return in_unit(reading.canonical, analyte, unit)
