"""Numbers with units in clinical text, converted and compared with what is normal."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from wardround.core.errors import UsageError
from wardround.knowledge.base import KnowledgeBase
from wardround.knowledge.schema import Analyte, FindingEntry, ReferenceRange

_NUMBER = r"(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:[.,]\d+)?)"
_AFTER_NAME = re.compile(
    r"^[\s\-]*(?:level|count|concentration|rate|\(serum\)|reading|value|sats?)?[\s\-]*"
    r"(?:(?:was|is|of|at|now|measured|came back|back|today|about|around|up to|to|elevated|raised|low|high|normal"
    r"|slightly|mildly|markedly|only|just|still|initial|peak|on admission|on arrival|reads?|are|were|recorded)\b[\s]*)*"
    r"[:=~≈(]*\s*(?P<bound>[<>≤≥])?=?\s*" + _NUMBER,
    re.IGNORECASE,
)
_UNIT = re.compile(
    r"^\s*(?P<unit>[%°][CFcf]?|[A-Za-zµμ×][\w*^./µμ²\[\]{}]*(?:\s?/\s?[A-Za-zµμ\d][\w*^./µμ²]*)?|/[A-Za-zµμ][\w^]*|x\s?10\^?\d\s?/\s?[A-Za-zµμ]+)"
)
_RANGE = re.compile(r"^(?:[-–]|\s+to\s+)" + _NUMBER + r"(?![-/]\d)", re.IGNORECASE)
_PAIR = re.compile(r"(?<![\d.,])(?P<systolic>\d{2,3})\s*/\s*(?P<diastolic>\d{2,3})(?!\s*/|\d)")


_FAR = 8.0
"""How many times beyond its reference range a value is still usual in the ill."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A measured value in its analyte's own unit."""

    analyte: str
    value: float
    unit: str
    start: int
    end: int
    bound: str | None = None
    """`<`, `>`, `≤` or `≥` where only a limit of the value is known."""


def number_after(text: str, start: int) -> re.Match[str] | None:
    """Match the number that belongs to a name which ends at `start`."""
    return _AFTER_NAME.match(text[start:])


def quantity_after(
    text: str,
    name_start: int,
    name_end: int,
    analyte: Analyte,
    kb: KnowledgeBase,
    *,
    age: float | None,
    sex: str | None,
) -> Quantity | None:
    """Return the value that follows an analyte's name, if its unit can be told.

    A unit that is not one of the analyte's gives nothing, and so do a bare number that would say
    different things in two units, a span of values whose ends do, and a span in brackets, which is what
    is normal.
    """
    match = number_after(text, name_end)
    if match is None:
        return None
    numbers = [parse_number(match["number"])]
    end = name_end + match.end()
    span = _RANGE.match(text[end:])
    if span is not None:
        if "(" in match.group():
            return None
        numbers.append(parse_number(span["number"]))
        end += span.end()
    unit_match = _UNIT.match(text[end:])
    known, length = (None, 0) if unit_match is None else _known_unit(text[end:], analyte)
    if known is None and unit_match is not None and _looks_like_a_unit(unit_match["unit"]):
        return None
    values = [
        without_unit(number, analyte, age=age, sex=sex, kb=kb) if known is None else convert(number, known, analyte)
        for number in numbers
    ]
    certain = [value for value in values if value is not None and is_plausible(value, analyte)]
    if len(certain) < len(values) or len({_decisions(v, analyte, kb, age, sex) for v in certain}) > 1:
        return None
    return Quantity(analyte.id, certain[0], analyte.unit, name_start, end + length, match["bound"])


def _decisions(
    value: float, analyte: Analyte, kb: KnowledgeBase, age: float | None, sex: str | None
) -> tuple[tuple[str, bool], ...]:
    return tuple((entry.id, said) for entry, said in interpret(value, analyte, kb, age=age, sex=sex))


def pressure_pair(text: str, start: int, window: int = 24) -> re.Match[str] | None:
    """Match a blood pressure such as 120/80 that begins shortly after its name; its end counts from there too."""
    match = _PAIR.search(text[start:])
    return match if match is not None and match.start() <= window and _falls(match) else None


def _falls(pair: re.Match[str]) -> bool:
    return parse_number(pair["systolic"]) > parse_number(pair["diastolic"])


def parse_number(text: str) -> float:
    """Read a number; a comma before one or two last digits is a decimal comma.

    >>> parse_number("15,200"), parse_number("7,2"), parse_number("38.5")
    (15200.0, 7.2, 38.5)
    """
    if re.fullmatch(r"\d+,\d{1,2}", text):
        return float(text.replace(",", "."))
    return float(text.replace(",", ""))


def convert(value: float, unit: str, analyte: Analyte) -> float:
    """Convert a value to the analyte's unit.

    Raises:
        UsageError: The unit is not known for this analyte; the message lists those that are.
    """
    rule = _rules(analyte).get(_fold_unit(unit))
    if rule is None:
        known = ", ".join([analyte.unit, *analyte.units])
        raise UsageError(f"{analyte.name} in {unit!r} cannot be converted; give it in one of: {known}")
    factor, offset = rule
    return value * factor + offset


def without_unit(
    number: float, analyte: Analyte, *, age: float | None, sex: str | None, kb: KnowledgeBase
) -> float | None:
    """Return what a bare number must mean, in the analyte's unit.

    Its own unit and those it is written bare in give a reading each. Impossible ones are out; of the
    others those near the reference range go first. What is left must decide the same findings, or there
    is no telling.
    """
    readings = {round(convert(number, unit, analyte), 9) for unit in (analyte.unit, *analyte.bare)}
    possible = [value for value in readings if is_plausible(value, analyte)]
    usual = [value for value in possible if _is_usual(value, analyte, age, sex)]
    left = usual or possible
    if len({_decisions(value, analyte, kb, age, sex) for value in left}) != 1:
        return None
    return number if number in left else min(left)


def _is_usual(value: float, analyte: Analyte, age: float | None, sex: str | None) -> bool:
    limits = reference_range(analyte, age, sex)
    if limits is None:
        return True
    high = limits.high * _FAR if limits.high is not None else float("inf")
    low = limits.low / _FAR if limits.low is not None else high / _FAR**3
    return low <= value <= high


def is_plausible(value: float, analyte: Analyte) -> bool:
    """Whether a living patient can have this value."""
    low, high = analyte.plausible
    return low <= value <= high


def reference_range(analyte: Analyte, age: float | None, sex: str | None) -> ReferenceRange | None:
    """Return the range for an age and sex; unknown age means an adult of 40, unknown sex the widest.

    Of a known sex the range that names it goes before one for everybody.
    """
    years = 40.0 if age is None else age
    fitting = [r for r in analyte.ranges if r.from_age <= years and (r.sex is None or sex in (None, r.sex))]
    if not fitting:
        return None
    latest = max(r.from_age for r in fitting)
    of_age = [r for r in fitting if r.from_age == latest]
    chosen = [r for r in of_age if r.sex is not None and r.sex == sex] or of_age
    lows = [r.low for r in chosen if r.low is not None]
    highs = [r.high for r in chosen if r.high is not None]
    return ReferenceRange(low=min(lows, default=None), high=max(highs, default=None))


def interpret(
    value: float,
    analyte: Analyte,
    kb: KnowledgeBase,
    *,
    age: float | None,
    sex: str | None,
    bound: str | None = None,
) -> list[tuple[FindingEntry, bool]]:
    """Return the findings that a value decides, with whether each is present.

    Args:
        value: In the analyte's unit.
        analyte: What was measured.
        kb: The knowledge.
        age: Years, or unknown.
        sex: `female`, `male` or unknown.
        bound: `<`, `>`, `≤` or `≥` where the value is only a limit; it decides less.
    """
    limits = reference_range(analyte, age, sex)
    decided = []
    for entry in kb.decided_by.get(analyte.id, ()):
        limit = entry.threshold
        if limit is None and limits is not None:
            limit = limits.high if entry.direction == "above" else limits.low
        if limit is None:
            continue
        above = _above(value, limit, bound)
        below = _above(-value, -limit, _MIRRORED.get(bound or ""))
        said = above if entry.direction == "above" else below
        if said is not None:
            decided.append((entry, said))
    return decided


_MIRRORED = {"<": ">", ">": "<", "≤": "≥", "≥": "≤"}


def _above(value: float, limit: float, bound: str | None) -> bool | None:
    """Whether a value is above a limit; nothing where its bound leaves that open."""
    match bound:
        case ">":
            return True if value >= limit else None
        case "≥":
            return True if value > limit else None
        case "<" | "≤":
            return False if value <= limit else None
        case _:
            return value > limit


def _rules(analyte: Analyte) -> dict[str, tuple[float, float]]:
    rules = {_fold_unit(analyte.unit): (1.0, 0.0)}
    for unit, rule in analyte.units.items():
        rules.setdefault(_fold_unit(unit), rule if isinstance(rule, tuple) else (rule, 0.0))
    return rules


def _known_unit(rest: str, analyte: Analyte) -> tuple[str | None, int]:
    rules = _rules(analyte)
    words = rest.lstrip()
    lead = len(rest) - len(words)
    for length in range(min(len(words), 24), 0, -1):
        piece = words[:length]
        follows = words[length : length + 1]
        is_whole = piece[-1] not in " .,;)" and not (follows.isalnum() or follows == "/")
        if is_whole and _fold_unit(piece) in rules:
            return piece, lead + length
    return None, 0


def _looks_like_a_unit(text: str) -> bool:
    return "/" in text or text.startswith("%") or text.lower() in _COMMON_UNITS


_UNITS_ELSEWHERE = "mg g kg ug µg μg mcg ng pg ml dl mol mmol umol µmol μmol nmol pmol meq mm cm mmhg iu u kpa bpm"
_COMMON_UNITS = frozenset(_UNITS_ELSEWHERE.split())


@lru_cache(maxsize=4096)
def _fold_unit(unit: str) -> str:
    folded = unit.strip().lower().replace("µ", "u").replace("μ", "u").replace("×", "x").replace("°", "deg")
    folded = folded.replace("mcg", "ug").replace("²", "2").replace("[", "").replace("]", "")
    folded = re.sub(r"[\s{}^]", "", folded).rstrip(".,;)")
    folded = re.sub(r"^x?10\*?9/l$", "10*9/l", folded)
    return {"degc": "cel", "c": "cel", "f": "degf", "percent": "%"}.get(folded, folded)
