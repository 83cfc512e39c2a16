"""Units of measured values: which are the same, and which follow from one another by arithmetic alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

NUMBER = r"\d+(?:\.\d+)?"
"""A number in a task; no sign, since no value or dose has one."""
PLAIN_UNITS = (
    r"%|mm ?\[?Hg\]?|bpm|Cel\b|°\s?[CF]|degrees? (?:Celsius|Fahrenheit|[CF])|kg|kilograms?|lbs?|pounds?|cm|"
    r"centimet(?:er|re)s?|breaths?/min|beats?/min(?:ute)?"
)
UNIT = (
    rf"(?:[kmµun]?(?:g|mol|eq|\[?iu\]?|u|units?|cells?)|mcg|10\*?\^?\d)\s?/\s?(?:[dmµun]?l|kg|g|mol|mmol|hpf|min)\b|"
    rf"{PLAIN_UNITS}"
)
"""A unit in which something is measured."""

_PREFIXES = {"": 0, "k": 3, "d": -1, "c": -2, "m": -3, "u": -6, "n": -9, "p": -12}
_PART = re.compile(r"(?P<prefix>[kdcmunp]?)(?P<base>g|l|mol|eq|iu|u)")
_SAID = {
    "%": "%", "percent": "%", "mm[hg]": "mmhg", "/min": "bpm", "beats/minute": "bpm", "beats/min": "bpm",
    "breaths/min": "bpm", "breaths/minute": "bpm", "cel": "c", "celsius": "c", "degreesc": "c", "degreec": "c",
    "degreescelsius": "c", "[degf]": "f", "fahrenheit": "f", "degreesf": "f", "[lb_av]": "lb", "lbs": "lb",
    "units": "u", "unit": "u",
    "kilogram": "kg", "kilograms": "kg", "pound": "lb", "pounds": "lb", "centimeter": "cm", "centimeters": "cm",
    "centimetre": "cm", "centimetres": "cm", "in": "inch", "[in_i]": "inch", "inches": "inch",
}  # fmt: skip
MONOVALENT = frozenset({"potassium", "k", "sodium", "na", "chloride", "cl", "bicarbonate", "hco3", "co2", "lithium"})
"""Ions of which a millimole is a milliequivalent."""
_LINEAR = {
    ("f", "c"): (5 / 9, -160 / 9), ("c", "f"): (9 / 5, 32.0), ("lb", "kg"): (0.45359237, 0.0),
    ("kg", "lb"): (1 / 0.45359237, 0.0), ("inch", "cm"): (2.54, 0.0), ("cm", "inch"): (1 / 2.54, 0.0),
}  # fmt: skip


@dataclass(frozen=True)
class Factor:
    """How a task says that one unit becomes another: multiply by it."""

    source: str
    target: str
    by: float


def folded(unit: str) -> str:
    """Return a unit so that spellings of it meet.

    >>> folded("MG/dL"), folded("µmol / L"), folded("mm[Hg]")
    ('mg/dl', 'umol/l', 'mmhg')
    """
    plain = re.sub(r"[\s{}°^]", "", unit.lower()).replace("µ", "u").replace("μ", "u").replace("mcg", "ug")
    return _SAID.get(plain, plain)


def same(one: str, other: str, *, of: frozenset[str] = frozenset()) -> bool:
    """Whether two units are the same for what is measured.

    >>> same("mEq/L", "mmol/L", of=frozenset({"potassium"})), same("mEq/L", "mmol/L", of=frozenset({"calcium"}))
    (True, False)
    """
    return _of_ion(folded(one), of) == _of_ion(folded(other), of)


def _of_ion(unit: str, of: frozenset[str]) -> str:
    return unit.replace("eq", "mol") if of & MONOVALENT else unit


def converted(
    value: float, unit: str, wanted: str, *, of: frozenset[str] = frozenset(), factors: tuple[Factor, ...] = ()
) -> float | None:
    """Return a value in another unit; nothing where that takes more than arithmetic and what the task says.

    >>> converted(1.8, "g/L", "mg/dL"), converted(0.7, "mmol/L", "mg/dL")
    (180.0, None)
    >>> converted(0.7, "mmol/L", "mg/dL", factors=(Factor("mmol/L", "mg/dL", 2.43),))
    1.701
    """
    if same(unit, wanted, of=of):
        return value
    for factor in factors:
        if same(unit, factor.source, of=of) and same(wanted, factor.target, of=of):
            return _plain(value * factor.by)
        if same(unit, factor.target, of=of) and same(wanted, factor.source, of=of) and factor.by:
            return _plain(value / factor.by)
    linear = _LINEAR.get((folded(unit), folded(wanted)))
    if linear is not None:
        return _plain(value * linear[0] + linear[1])
    one, other = _scale(_of_ion(folded(unit), of)), _scale(_of_ion(folded(wanted), of))
    if one is None or other is None or one[1] != other[1]:
        return None
    return _plain(value * 10.0 ** (one[0] - other[0]))


def _plain(value: float) -> float:
    """Without the digits that binary fractions add."""
    return float(f"{value:.10g}")


def _scale(unit: str) -> tuple[int, tuple[str, ...]] | None:
    """The power of ten of a unit's metric prefixes, and what they stand before."""
    power, bases = 0, list[str]()
    for sign, part in zip((1, -1), unit.split("/"), strict=False):
        match = _PART.fullmatch(part)
        if match is None:
            return None
        power += sign * _PREFIXES[match["prefix"]]
        bases.append(match["base"])
    return (power, tuple(bases)) if unit.count("/") < 2 else None


_EQUALS = re.compile(
    rf"\b1\s*(?P<source>{UNIT})\s*(?:=|equals?|is|corresponds to)\s*(?:about\s+)?(?P<by>{NUMBER})\s*(?P<target>{UNIT})",
    re.IGNORECASE,
)
_MULTIPLY = re.compile(
    rf"(?:from\s+)?(?P<source>{UNIT})\s+(?:to|into)\s+(?P<target>{UNIT})[,:]?\s*(?P<how>multiply|divide)\s+by\s+(?P<by>{NUMBER})"
    rf"|(?P<how2>multiply|divide)\s+(?:the\s+)?(?:value\s+in\s+)?(?P<source2>{UNIT})\s+by\s+(?P<by2>{NUMBER})\s+"
    rf"(?:to\s+(?:get|obtain)|for|into)\s+(?P<target2>{UNIT})",
    re.IGNORECASE,
)


def factors_of(text: str) -> tuple[Factor, ...]:
    """Return the conversions that a text states.

    >>> factors_of("1 mmol/L = 2.43 mg/dL. To convert from mmol/L to mg/dL multiply by 18.")[1]
    Factor(source='mmol/L', target='mg/dL', by=18.0)
    """
    found = [Factor(m["source"], m["target"], float(m["by"])) for m in _EQUALS.finditer(text)]
    for m in _MULTIPLY.finditer(text):
        side = "" if m["source"] else "2"
        by = float(m[f"by{side}"])
        if by:
            is_division = m[f"how{side}"].lower() == "divide"
            found.append(Factor(m[f"source{side}"], m[f"target{side}"], 1 / by if is_division else by))
    return tuple(found)


ROUTES: Mapping[str, tuple[str, str]] = {
    "IV": (r"IV|I\.V\.|intravenous(?:ly)?", "47625008"),
    "oral": (r"oral(?:ly)?|PO|P\.O\.|by mouth|per os", "26643006"),
    "IM": (r"IM|I\.M\.|intramuscular(?:ly)?", "78421000"),
    "subcutaneous": (r"SC|SQ|subcut(?:aneous(?:ly)?)?", "34206005"),
    "inhaled": (r"inhaled|inhalation|by inhalation|nebuli[sz]ed", "447694001"),
    "sublingual": (r"sublingual(?:ly)?", "37839007"),
    "rectal": (r"rectal(?:ly)?|PR", "37161004"),
    "topical": (r"topical(?:ly)?", "6064005"),
}
"""Routes: how they are said, and their codes in SNOMED CT (FHIR R4, value set route-codes)."""

_ROUTE = re.compile(
    "|".join(rf"(?P<{name}>\b(?:{said})(?![\w/]))" for name, (said, _) in ROUTES.items()), re.IGNORECASE
)


def routes_of(text: str) -> list[str]:
    """Return the routes that a text names, each once, in order.

    >>> routes_of("IV: 1 g over 1 hour"), routes_of("10 mEq potassium oral repletion"), routes_of("5 mg im now")
    (['IV'], ['oral'], ['IM'])
    """
    return list(dict.fromkeys(match.lastgroup or "" for match in _ROUTE.finditer(text)))
