"""Answers compared in substance: tolerant of how a value is written, strict about which value it is."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from wardround.evals.medagentbench.facts import Age, Facts, Infusion, Level, Recheck, Repletion
from wardround.evals.medagentbench.wanted import MEAN_TOLERANCE, Answer, Item, Name, Number, Stamp, Wanted
from wardround.evals.records.grading import Reason
from wardround.tools.fhir.access import number

TOLERANCE = 1e-6
"""How far a number may be off that is copied from the record, absolute below 1 and relative above."""

_NUMBER = re.compile(r"([+-]?[0-9]+(?:\.[0-9]+)?)\s*(\S.*)?")


def parsed(result: str | None) -> list[Any] | None:
    """Return the list that an agent finished with; None for what is no JSON list."""
    try:
        value = json.loads(result) if result is not None else None
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list) else None


def units_of(facts: Facts) -> frozenset[str]:
    """Return the units, in lower case, that may stand behind a number of the answer."""
    match facts:
        case Level() | Infusion():
            return frozenset({"mg/dl"})
        case Repletion():
            return frozenset({"meq/l", "mmol/l"})
        case Recheck():
            return frozenset({"%"})
        case Age():
            return frozenset({"years", "year"})
    return frozenset()


def same(answer: Answer, given: Sequence[object], units: frozenset[str]) -> bool:
    """Whether a given answer is a right one in substance.

    A number may be written as text and with its unit, so `["2.0"]` and `["2 mg/dL"]` say what `[2]` says. A point in
    time may be written in another zone; without one it is read in the zone of the record. Texts may differ in case,
    in white space, in a full stop, and `Patient/` may stand before a record number.
    """
    return len(answer) == len(given) and all(_equal(i, g, units) for i, g in zip(answer, given, strict=True))


def fault(right: Wanted, misread: Iterable[Answer], given: Sequence[object], units: frozenset[str]) -> Reason | None:
    """Return the class of a wrong answer; None where it is right or not graded."""
    if right.answer is None or same(right.answer, given, units) or (right.may_be_empty and not given):
        return None
    if any(isinstance(item, Name) for item in right.answer):
        is_other = any(isinstance(g, str) and re.search(r"\bS[0-9]{7}\b", g) for g in given)
        return Reason.WRONG_PATIENT if is_other else Reason.WRONG_VALUE
    if len(given) > len(right.answer) and all(any(_equal(i, g, units) for g in given) for i in right.answer):
        return Reason.FORMAT
    if any(same(answer, given, units) for answer in misread):
        return Reason.WRONG_TIME_WINDOW
    return Reason.WRONG_VALUE


def _equal(item: Item, given: object, units: frozenset[str]) -> bool:
    match item:
        case Number():
            value = _number(given, units)
            return value is not None and _is_near(item, value)
        case Stamp():
            return isinstance(given, str) and _is_same_time(item.raw, given.strip())
        case Name():
            return isinstance(given, str) and _plain(item.raw) == _plain(given)


def _is_near(item: Number, value: float) -> bool:
    if item.is_mean:
        return abs(item.raw - value) < MEAN_TOLERANCE
    return math.isclose(item.raw, value, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def _number(given: object, units: frozenset[str]) -> float | None:
    if not isinstance(given, str):
        return number(given)
    found = _NUMBER.fullmatch(given.strip())
    if found is None or (found[2] or "").casefold() not in {"", *units}:
        return None
    value = float(found[1])
    return value if math.isfinite(value) else None


def _is_same_time(stored: str, given: str) -> bool:
    wanted = datetime.fromisoformat(stored)
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        return False
    if "T" not in given and " " not in given:
        return False
    return wanted == (moment if moment.tzinfo is not None else moment.replace(tzinfo=wanted.tzinfo))


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold().removeprefix("patient/").rstrip(".")
