"""What all Observations of an analyte have in common: code, unit, limits; made once for an age and sex."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from wardround.environments.fhir.population.physiology import Scale, axes
from wardround.environments.fhir.population.resources import LOCAL, LOINC, Json, concept, plain, quantity, term
from wardround.environments.fhir.population.schema import Behaviour
from wardround.knowledge.schema import Analyte

LABORATORY = [term("observation-category", "laboratory", "Laboratory")]
VITAL_SIGNS = [term("observation-category", "vital-signs", "Vital Signs")]
FLAG = {
    code: [term("v3-ObservationInterpretation", code, display)]
    for code, display in (("H", "High"), ("L", "Low"), ("N", "Normal"), ("POS", "Positive"), ("NEG", "Negative"))
}
"""Interpretations by code."""


@dataclass(frozen=True)
class Part:
    """What all Observations of one analyte have in common at one age and sex."""

    analyte: Analyte
    behaviour: Behaviour
    code: Json
    unit: str
    low: float
    high: float
    reference: list[Json] | None

    def flag(self, value: float) -> list[Json]:
        """Return the interpretation of a value against the reference range."""
        return FLAG["L" if value < self.low else "H" if value > self.high else "N"]

    def reported(self, value: float) -> float:
        """Return a value as JSON has it: whole where there are no decimals."""
        return value if self.behaviour.digits else int(value)


def parts_of(scale: Scale) -> tuple[Part, ...]:
    """Return the parts of all analytes, by column."""
    return _parts(scale.age, scale.sex, scale.ranges)


@lru_cache(maxsize=512)
def _parts(age: float, sex: str, ranges: tuple[tuple[float | None, float | None], ...]) -> tuple[Part, ...]:
    ax = axes()
    return tuple(
        Part(
            analyte,
            behaviour,
            analyte_code(analyte, behaviour.loinc, behaviour.display),
            analyte.unit,
            -np.inf if low is None else low,
            np.inf if high is None else high,
            _reference(low, high, analyte.unit),
        )
        for analyte, behaviour, (low, high) in zip(ax.analytes, ax.behaviours, ranges, strict=True)
    )


def analyte_code(analyte: Analyte, loinc: str | None, display: str | None) -> Json:
    """Return the code of an analyte: LOINC, or our own where we know none."""
    if loinc is None:
        return concept(analyte.name, LOCAL + "analyte", analyte.id, analyte.name)
    code = concept(analyte.name, LOINC, loinc, display)
    if loinc == "2708-6":  # the vital signs profile asks for both
        code["coding"].append({"system": LOINC, "code": "59408-5"})
    return code


def _reference(low: float | None, high: float | None, unit: str) -> list[Json] | None:
    limits: Json = {}
    if low is not None:
        limits["low"] = quantity(plain(low), unit)
    if high is not None:
        limits["high"] = quantity(plain(high), unit)
    return [limits] if limits else None
