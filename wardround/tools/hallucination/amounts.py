"""Numbers with units that belong to no analyte: sizes, doses, shares, counts, ages, scores."""

from __future__ import annotations

import re
from dataclasses import dataclass

from wardround.knowledge.expressions import Expression
from wardround.knowledge.quantities import parse_number

_COUNTS = {
    word: float(n)
    for n, word in enumerate(
        ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"), start=1
    )
}
_UNITS: dict[str, tuple[str, float]] = {
    "mm": ("length", 0.1), "cm": ("length", 1.0), "millimetre": ("length", 0.1), "millimeter": ("length", 0.1),
    "centimetre": ("length", 1.0), "centimeter": ("length", 1.0), "m": ("length", 100.0),
    "ng": ("dose", 1e-6), "mcg": ("dose", 1e-3), "ug": ("dose", 1e-3), "µg": ("dose", 1e-3), "μg": ("dose", 1e-3),
    "microgram": ("dose", 1e-3), "mg": ("dose", 1.0), "milligram": ("dose", 1.0), "g": ("dose", 1e3),
    "gram": ("dose", 1e3),
    "kg": ("weight", 1.0), "lb": ("weight", 0.4536), "pound": ("weight", 0.4536),
    "unit": ("units", 1.0), "iu": ("units", 1.0), "u": ("units", 1.0),
    "ml": ("volume", 1.0), "l": ("volume", 1e3), "litre": ("volume", 1e3), "liter": ("volume", 1e3),
    "mmol": ("substance", 1.0), "meq": ("substance", 1.0), "%": ("share", 1.0), "percent": ("share", 1.0),
    "per cent": ("share", 1.0),
    "minute": ("time", 1 / 1440), "min": ("time", 1 / 1440), "hour": ("time", 1 / 24), "hr": ("time", 1 / 24),
    "day": ("time", 1.0), "week": ("time", 7.0), "month": ("time", 30.4), "year": ("time", 365.25),
    "tablet": ("tablets", 1.0), "puff": ("puffs", 1.0), "pack-year": ("pack-years", 1.0),
    "pack year": ("pack-years", 1.0),
    "mg/kg": ("dose per weight", 1.0), "mcg/kg": ("dose per weight", 1e-3), "g/kg": ("dose per weight", 1e3),
    "mg/day": ("dose", 1.0), "l/min": ("flow", 1.0), "/10": ("score of 10", 1.0), "/15": ("score of 15", 1.0),
}  # fmt: skip
_NAMES = "|".join(re.escape(name) for name in sorted(_UNITS, key=len, reverse=True))
_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:[.,]\d+)?|\.\d+"
_AMOUNT = Expression(
    rf"(?<![\w.,/])(?P<number>{_NUMBER}|{'|'.join(_COUNTS)})(?:\s?(?:x|by|×)\s?(?:{_NUMBER})(?=\s?(?:mm|cm)))?"
    rf"(?P<gap>[\s-]?)(?P<unit>{_NAMES})s?(?![\w/])(?!\s*(?:old|of age)|-old)",
    re.IGNORECASE,
)
_AGE = Expression(
    r"(?<![\w.])(?P<number>\d{1,3})[\s-]?(?:year|yr)s?[\s-](?:old|of age)|\baged? (?P<other>\d{1,3})\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Amount:
    """A number in the unit that its dimension is compared in: cm, mg, mL, %, days, kg."""

    dimension: str
    value: float
    step: float
    """Worth of one in its last stated digit, in the same unit."""
    span: tuple[int, int]
    text: str

    def fits(self, other: Amount) -> bool:
        """Whether another amount is the same within the stated digits of this one, or 1 %; doses only within 1 %."""
        slack = 0.01 * abs(other.value)
        if self.dimension not in ("dose", "units", "dose per weight"):
            slack = max(slack, 0.5 * self.step)
        if self.dimension == "time":
            slack = (
                max(slack, 0.1 * max(self.value, other.value)) if max(self.value, other.value) > 6 else 0.51 * self.step
            )
        return abs(self.value - other.value) <= slack * (1 + 1e-9)


def amounts(text: str) -> list[Amount]:
    """Return the amounts in a text, in its order.

    >>> [(a.dimension, round(a.value, 3)) for a in amounts("a 12 mm nodule and 0,5 mg of digoxin in a 60-year-old")]
    [('length', 1.2), ('dose', 0.5), ('age', 60.0)]
    """
    found = [_read(m) for m in _AMOUNT.finditer(text)]
    for m in _AGE.finditer(text):
        found.append(Amount("age", float(m["number"] or m["other"]), 1.0, m.span(), m.group()))
    return sorted(found, key=lambda a: a.span)


def _read(match: re.Match[str]) -> Amount:
    said = match["number"].lower()
    dimension, factor = _UNITS[match["unit"].lower()]
    value = _COUNTS[said] if said in _COUNTS else parse_number(said if not said.startswith(".") else f"0{said}")
    return Amount(dimension, value * factor, _step(said) * factor, match.span(), match.group())


def _step(number: str) -> float:
    """Return the worth of the last stated digit: 0.1 for 7.2, 1 for 7."""
    tail = re.search(r"[.,](\d{1,2}|\d{4,})$|\.(\d+)$", number)
    return 10.0 ** -len(tail[1] or tail[2]) if tail else 1.0
