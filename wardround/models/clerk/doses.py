"""Doses and dosing rules as tasks state them: tables of ranges, and so much for every step from a goal."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from wardround.models.clerk.spans import Span, spans_of
from wardround.models.clerk.times import COUNT, period
from wardround.models.clerk.units import NUMBER, UNIT, routes_of
from wardround.models.clerk.wording import Sentence, Wording

_DOSE_UNIT = r"mg|mcg|µg|ug|g|grams?|mEq|mmol|milliequivalents?|units?|IU|mL|tablets?|capsules?|puffs?|drops?"
_DOSE = re.compile(
    rf"(?<![\w.-])(?P<value>{NUMBER})\s*-?\s*(?P<unit>{_DOSE_UNIT})\b(?!\s*/)"
    rf"(?!\s*(?:\([^)]*\)\s*)?(?:below|under|above|less|lower|short)\b)",
    re.IGNORECASE,
)
_OVER = re.compile(
    rf"\s*[^.;\n]{{0,40}}?\b(?:over|during|infused (?:over|in))\s+(?P<count>{COUNT})\s*-?\s*(?P<unit>h|hrs?|"
    rf"hours?|min(?:ute)?s?)\b"
    rf"|\s*[^.;\n]{{0,40}}?\bat\s+(?P<rate>{NUMBER})\s*(?:{_DOSE_UNIT})\s*(?:/|per)\s*(?:h|hr|hour)\b",
    re.IGNORECASE,
)
_UNITS = {"gram": "g", "grams": "g", "milliequivalent": "mEq", "milliequivalents": "mEq", "meq": "mEq", "ml": "mL"}
_LINK = re.compile(r"[^.;\n]{0,30}?\b(?:for|if|when|at)\b[^.;\n]{0,40}", re.IGNORECASE)
_FARTHEST = 90
"""How many characters may stand between a range and its dose."""


@dataclass(frozen=True)
class Dose:
    """How much of a drug."""

    value: float
    unit: str
    route: str | None = None
    hours: float | None = None
    """Over how long it runs in."""
    said: str = ""
    """What else a rule says of how it is given."""


def doses_of(text: str) -> Iterator[tuple[Dose, int, int]]:
    """Give the doses of a text, each with where it stands.

    >>> [dose for dose, _, _ in doses_of("IV: 2 g over 2 hours; keep above 1.5 mg/dL")]
    [Dose(value=2.0, unit='g', route=None, hours=2.0, said='')]
    """
    for match in _DOSE.finditer(text):
        unit = match["unit"]
        value = float(match["value"])
        over = _OVER.match(text, match.end())
        hours = None
        if over is not None and over["count"]:
            length = period(over["count"], over["unit"])
            hours = length.count / (60 if length.unit == "minute" else 1) if length is not None else None
        elif over is not None and float(over["rate"]):
            hours = value / float(over["rate"])
        end = over.end() if hours is not None and over is not None else match.end()
        yield Dose(value, _UNITS.get(unit.lower(), unit), None, hours), match.start(), end


@dataclass(frozen=True)
class Table:
    """A dose for each of several ranges of a value."""

    rows: tuple[tuple[Span, Dose], ...]

    @property
    def units(self) -> tuple[str, ...]:
        """Units that the ranges are in, each once; empty where none is written."""
        return tuple(dict.fromkeys(span.unit for span, _ in self.rows if span.unit))

    def dose(self, value: float) -> Dose | None:
        """Return the dose for a value; nothing where no range, or ranges with different doses, hold it."""
        held = {dose for span, dose in self.rows if span.holds(value)}
        return held.pop() if len(held) == 1 else None

    def is_beyond(self, value: float) -> bool:
        """Whether a value lies on the side of all ranges where nothing has to be given."""
        highs, lows = [span.high for span, _ in self.rows], [span.low for span, _ in self.rows]
        known_highs, known_lows = [h for h in highs if h is not None], [w for w in lows if w is not None]
        is_above = len(known_highs) == len(highs) and value >= max(known_highs)
        is_below = len(known_lows) == len(lows) and value <= min(known_lows)
        return (is_above or is_below) and self.dose(value) is None


@dataclass(frozen=True)
class Steps:
    """So much for every step that a value is away from a goal."""

    step: float
    each: Dose
    goal: float | None
    """Nothing where the task names none."""
    is_below: bool
    """Whether values below the goal are treated; otherwise those above."""
    units: tuple[str, ...]
    """In which the value is meant; several where the task says they are the same."""
    most: float | None = None
    """What a dose must not exceed."""

    def dose(self, value: float) -> Dose | None:
        """Return the dose for a value; nothing on the good side of the goal, or without one.

        >>> rule = Steps(0.1, Dose(10, "mEq"), 3.5, True, ())
        >>> rule.dose(3.2), rule.dose(3.5)
        (Dose(value=30.0, unit='mEq', route=None, hours=None, said=''), None)
        """
        if self.goal is None or self.is_beyond(value):
            return None
        away = abs(Decimal(str(self.goal)) - Decimal(str(value)))
        amount = float(away / Decimal(str(self.step)) * Decimal(str(self.each.value)))
        amount = amount if self.most is None else min(amount, self.most)
        return Dose(round(amount, 6), self.each.unit, self.each.route, self.each.hours)

    def is_beyond(self, value: float) -> bool:
        """Whether a value is on the side of the goal where nothing has to be given."""
        return self.goal is not None and (value >= self.goal if self.is_below else value <= self.goal)


DosingRule = Table | Steps

_EVERY = re.compile(
    rf"\b(?:every|each|per)\s+(?P<step>{NUMBER})\s*(?P<units>(?:{UNIT})?(?:\s*\([^)]{{0,30}}\))?)"
    rf"[\w\s]{{0,40}}?\b(?P<side>(?:below|above)(?= it\b)|below|under|less than|lower than|short of|above|over|"
    rf"greater than|higher than)\b",
    re.IGNORECASE,
)
_GOAL = re.compile(
    rf"\b(?:goal|target|threshold|cut-?off)\b(?:\s+\w+){{0,2}}?\s*(?:\bof\b|\bis\b|\bat\b|[:=(])\s*(?P<goal>{NUMBER})"
    rf"(?![\w.]*\d)(?!\s*(?:{_DOSE_UNIT})\b(?!\s*/))",
    re.IGNORECASE,
)
_NAMED = re.compile(
    rf"\s*(?:the |an? )?(?:goal|target|threshold)?\s*(?:of |is |= ?)?(?P<goal>{NUMBER})(?![\w.]*\d)"
    rf"(?!\s*(?:{_DOSE_UNIT})\b(?!\s*/))",
    re.IGNORECASE,
)


def rule_of(wording: Wording) -> tuple[DosingRule | None, frozenset[int]]:
    """Return the dosing rule of a task, and which of its sentences (by number) state it.

    >>> rule, _ = rule_of(Wording.of("Give 10 mEq for every 0.1 mmol/L below the goal of 3.5."))
    >>> rule.dose(3.3).value
    20.0
    """
    for number, sentence in enumerate(wording.sentences):
        steps = _steps(sentence.text, wording.text)
        if steps is not None:
            return steps, frozenset({number})
    table, places = _table(wording.text)
    if table is None:
        return None, frozenset()
    return table, frozenset(n for n, s in enumerate(wording.sentences) if _touches(s, wording, n, places))


def _touches(sentence: Sentence, wording: Wording, number: int, places: Sequence[int]) -> bool:
    following = wording.sentences[number + 1].start if number + 1 < len(wording.sentences) else len(wording.text)
    return any(sentence.start <= place < following for place in places)


def _steps(sentence: str, text: str) -> Steps | None:
    every = _EVERY.search(sentence)
    if every is None or float(every["step"]) == 0:
        return None
    limits = [(m.start(), m.end()) for m in _MOST.finditer(sentence)]
    around = [
        (dose, at)
        for dose, at, _ in doses_of(sentence)
        if not any(start <= at < end for start, end in [*limits, (every.start(), every.end())])
    ]
    behind = [dose for dose, at in around if at >= every.end()]
    if not around:
        return None
    dose = behind[0] if behind else around[-1][0]
    routes = routes_of(sentence)
    named = _NAMED.match(sentence, every.end())
    goal = named or _GOAL.search(sentence) or _GOAL.search(text)
    return Steps(
        step=float(every["step"]),
        each=Dose(dose.value, dose.unit, routes[0] if len(routes) == 1 else None, dose.hours),
        goal=float(goal["goal"]) if goal is not None else None,
        is_below=every["side"].lower() not in ("above", "over", "greater than", "higher than"),
        units=tuple(re.findall(UNIT, every["units"], re.IGNORECASE)),
        most=_most(sentence, text, dose.unit),
    )


_MOST = re.compile(
    rf"\b(?:at most|not more than|no more than|maximum(?: dose)?(?: is| of|:)?|max\.?|up to(?: a maximum of)?|"
    rf"capped at|never exceed)\s*"
    rf"(?P<value>{NUMBER})\s*(?P<unit>{_DOSE_UNIT})\b(?!\s*/)",
    re.IGNORECASE,
)


def _most(sentence: str, text: str, unit: str) -> float | None:
    found = _MOST.search(sentence) or _MOST.search(text)
    return float(found["value"]) if found is not None and found["unit"].lower() == unit.lower() else None


_Row = tuple[Span, Dose]


def _table(text: str) -> tuple[Table | None, list[int]]:
    """The rows of a table and where they stand, whichever of range and dose is written first.

    Read the wrong way round, a table has a row less; where that does not tell, there is no telling.
    """
    spans = list(spans_of(text))
    doses = list(doses_of(text))
    one, other = list(_range_first(text, spans, doses)), list(_dose_first(text, spans, doses))
    if len(one) == len(other):
        return None, []
    rows = max(one, other, key=len)
    first = min((row[0].start for row, _ in rows), default=0)
    lead = routes_of(re.split(r"[.\n]\s", text[:first])[-1])
    if len(lead) == 1:
        rows = [((span, replace(dose, route=dose.route or lead[0])), at) for (span, dose), at in rows]
    return Table(tuple(row for row, _ in rows)), [place for row, at in rows for place in (row[0].start, at)]


_Placed = Sequence[tuple[Dose, int, int]]


def _range_first(text: str, spans: Sequence[Span], doses: _Placed) -> Iterator[tuple[_Row, int]]:
    for number, span in enumerate(spans):
        stop = spans[number + 1].start if number + 1 < len(spans) else len(text)
        for dose, at, after in doses:
            if span.end <= at < min(stop, span.end + _FARTHEST):
                rest = re.split(r"[;\n]|\.\s", text[after:stop])[0].strip(" ,.")
                yield (span, replace(_routed(dose, text[span.end : min(stop, after + 30)]), said=rest)), at
                break


def _dose_first(text: str, spans: Sequence[Span], doses: _Placed) -> Iterator[tuple[_Row, int]]:
    for dose, at, after in doses:
        link = _LINK.match(text, after)
        near = [span for span in spans if link is not None and after <= span.start <= link.end()]
        if near:
            yield (near[0], _routed(dose, text[at : near[0].start])), at


def _routed(dose: Dose, around: str) -> Dose:
    routes = routes_of(around)
    return replace(dose, route=routes[0] if routes else None)
