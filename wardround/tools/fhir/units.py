"""What a record measured, in the unit of its analyte: by code or by exact name, and never by a guess."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from wardround.core.errors import UsageError
from wardround.knowledge.base import KnowledgeBase
from wardround.knowledge.quantities import convert, is_plausible
from wardround.knowledge.schema import Analyte
from wardround.knowledge.text import tokens
from wardround.tools.fhir.access import mapping, number, objects, string

LOINC = "http://loinc.org"

ABBREVIATIONS: Mapping[str, str] = {
    "alb": "albumin",
    "bicarb": "bicarbonate",
    "bun": "urea",
    "ca": "calcium",
    "co2": "bicarbonate",
    "crea": "creatinine",
    "glu": "glucose",
    "gluc": "glucose",
    "hgb": "hemoglobin",
    "k": "potassium",
    "lac": "lactate",
    "mg": "magnesium",
    "na": "sodium",
    "phos": "phosphate",
    "plt": "platelets",
    "trop": "troponin",
}
"""Codes of one's own that laboratories commonly give to an analyte, beside its names in the knowledge base."""


@dataclass(frozen=True)
class Measured:
    """A value in the unit of its analyte."""

    value: float
    unit: str


class Analytes:
    """Tells which analyte a part of a record is about."""

    def __init__(self, kb: KnowledgeBase) -> None:
        self.kb = kb
        self._by_loinc = {code: a.id for a in kb.analytes.values() for code in a.loinc}
        self._by_name: dict[tuple[str, ...], dict[str, Analyte]] = {}
        for analyte in kb.analytes.values():
            short = (code for code, meant in ABBREVIATIONS.items() if meant == analyte.id)
            for phrase in (analyte.name, *analyte.synonyms, *short):
                self._by_name.setdefault(folded(phrase), {})[analyte.id] = analyte

    def named(self, words: str) -> tuple[Analyte, ...]:
        """Return the analytes of exactly this name, synonym or abbreviation; `Ca` is two of them."""
        return tuple(self._by_name.get(folded(words), {}).values())

    def of(self, part: Mapping[str, Any]) -> Analyte | None:
        """Return the analyte that an Observation or one of its components measures.

        A LOINC code decides. Only where there is none, a local code, display or text that is exactly a name
        of an analyte does: a longer one may speak of another specimen.
        """
        code = mapping(part.get("code"))
        codings = objects(code.get("coding"))
        loinc = [string(c.get("code")) for c in codings if c.get("system") == LOINC]
        known = next((self._by_loinc[c] for c in loinc if c in self._by_loinc), None)
        if known is not None or loinc:
            return self.kb.analytes[known] if known is not None else None
        names = [string(code.get("text")), *(string(c.get(k)) for c in codings for k in ("display", "code"))]
        said = [{a.id: a for a in self.named(name)} for name in names if folded(name)]
        common = set.intersection(*(set(found) for found in said if found)) if any(said) else set()
        return self.kb.analytes[common.pop()] if len(common) == 1 else None


@lru_cache(maxsize=20_000)
def folded(phrase: str) -> tuple[str, ...]:
    """Return the words of a phrase so that spellings of it meet."""
    return tuple(token.word for token in tokens(phrase))


def normalised(quantity: Mapping[str, Any], analyte: Analyte) -> Measured:
    """Return a Quantity in the unit of its analyte.

    Raises:
        UsageError: It has no value, or no unit where one is needed, or one that is not known for this
            analyte, or no living patient has such a value.
    """
    value = number(quantity.get("value"))
    if value is None:
        raise UsageError("it has no value")
    return Measured(_plausible(_converted(value, quantity, analyte), analyte), analyte.unit)


def _converted(value: float, quantity: Mapping[str, Any], analyte: Analyte) -> float:
    units = [unit for name in ("code", "unit") if (unit := string(quantity.get(name)))]
    if not units:
        if analyte.unit in ("1", "[pH]") or analyte.unit.startswith("{"):
            return value
        raise UsageError(f"{analyte.name} of {value:g} has no unit")
    for unit in units[:-1]:
        try:
            return convert(value, unit, analyte)
        except UsageError:  # the human-readable unit may be known where the code is not
            continue
    return convert(value, units[-1], analyte)


def _plausible(value: float, analyte: Analyte) -> float:
    if not is_plausible(value, analyte):
        low, high = analyte.plausible
        limits = f"{low:g} to {high:g} {analyte.unit}"
        raise UsageError(f"{analyte.name} of {value:g} {analyte.unit} is not possible ({limits})")
    return value


def in_unit(value: float, analyte: Analyte, unit: str) -> float:
    """Return a value that is in the analyte's unit in another one.

    Raises:
        UsageError: The unit is not known for this analyte; the message lists those that are.
    """
    zero, one = convert(0.0, unit, analyte), convert(1.0, unit, analyte)
    return (value - zero) / (one - zero)
