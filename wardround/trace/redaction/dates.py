"""Dates and ages: all of a patient's dates are moved by the same number of days, so that intervals stay.

A date keeps the form in which it is written. Bare years are left, which Safe Harbor permits (45 CFR
164.514(b)(2)(i)(C)); they are then right to within one. Months with a year move as their 15th does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

from wardround.trace.redaction.classes import OLDEST, Identifier
from wardround.trace.redaction.edits import Edit

_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
           "December")  # fmt: skip
_NUMBER = {name[:3].lower(): n for n, name in enumerate(_MONTHS, start=1)}
_NAMED = r"(?P<month>(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?))"  # noqa: E501
_YEAR = r"(?P<year>(?:19|20)\d\d)"
_DAY = r"(?P<day>0?[1-9]|[12]\d|3[01])"
_NO_UNIT = r"(?!\s*(?:%|mg|mcg|µg|ml|g\b|units?|iu\b|mmhg|mmol|x\b|/|\.\d|st\b|nd\b))"
_SHIFTED = (
    re.compile(
        rf"(?<![\w.-])(?:eq|ne|gt|lt|ge|le|sa|eb|ap)?{_YEAR}(?P<sep>-)(?P<month>0[1-9]|1[0-2])-{_DAY}(?=T\d|[^\w-]|$)"
    ),
    re.compile(rf"(?<![\w./-]){_YEAR}(?P<sep>[/.])(?P<month>0?[1-9]|1[0-2])(?P=sep){_DAY}(?![\w/])"),
    re.compile(rf"(?<![\w.-])(?:eq|ne|gt|lt|ge|le|sa|eb|ap)?{_YEAR}(?P<sep>-)(?P<month>0[1-9]|1[0-2])(?![\w-])"),
    re.compile(
        rf"(?<![\w.]){_DAY}(?P<nth>st|nd|rd|th)?(?P<of>\s+of\s+|[\s-]*){_NAMED}\b\.?(?:(?P<sep>,?[\s-]*){_YEAR}\b)?(?!\w)",
        re.IGNORECASE,
    ),
    re.compile(
        rf"\b{_NAMED}\b\.?(?P<of>\s+){_DAY}(?P<nth>st|nd|rd|th)?\b(?!\s*(?:/|%|mg|ml|x\b|\.\d|days?|weeks?|tab\w*|puffs?|times))"
        rf"(?:(?P<sep>,?\s+){_YEAR}\b)?",
        re.IGNORECASE,
    ),
    re.compile(rf"\b{_NAMED}\b\.?(?P<sep>,?[\s-]+){_YEAR}\b", re.IGNORECASE),
)
"""Dates whose parts can be told apart, the fuller forms first."""
_NUMERIC = re.compile(
    r"(?<![\w./-])(?P<a>\d{1,2})(?P<sep>[/.-])(?P<b>\d{1,2})(?P=sep)(?P<year>(?:19|20)\d\d|\d\d)(?![\w/]|[.-]\d)"
    + _NO_UNIT,
    re.IGNORECASE,
)
_MONTH_YEAR = re.compile(rf"(?<![\w./-])(?P<month>0?[1-9]|1[0-2])(?P<sep>[/-]){_YEAR}(?![\w/-]|\.\d)")
_NO_YEAR = re.compile(
    r"(?:\b(?:on|since|from|until|till|dated|admitted|discharged|seen|due|date|dob|last seen|follow[- ]?up|appointment)"
    r"(?:\s+(?:on|at|until|the))?\s*:?\s+)(?P<a>\d{1,2})(?P<sep>/)(?P<b>\d{1,2})(?![\w/]|\.\d)"
    r"(?!\s*(?:strength|power|pain|score|severity|on\s|out|murmur|points?|vas|nrs|apgar|tab\w*|cups?|of\s|hours?|days?|weeks?|dose|%|mg|ml))",
    re.IGNORECASE,
)
"""Day and month alone, told from a fraction such as `pain 5/10` by the word before."""
_BORN = re.compile(rf"\b(?:born|dob|date of birth|d\.o\.b\.|b\.)\W{{1,3}}(?:in\s+)?{_YEAR}\b(?![-/.]\d)", re.IGNORECASE)
_AGES = (
    re.compile(r"(?<![\w./-])(?P<age>\d{2,3})(?=[\s-]*(?:years?|yrs?|yr)[\s-]*(?:old|of\sage)\b)", re.IGNORECASE),
    re.compile(r"(?<![\w./-])(?P<age>\d{2,3})(?=\s?(?:yo|y/o|y\.o\.?)(?![a-z]))", re.IGNORECASE),
    re.compile(
        r"\baged?\s*(?:is|of|:|,|=)?\s*(?P<age>\d{2,3})\b(?!\s*(?:%|mm|kg|/|\.\d|mg|cm|weeks?|days?|months?))", re.I
    ),
    re.compile(
        r"(?:^\W{0,3}|\n\W{0,3}|\b(?:an?|this|is|pt|patient)\s)(?P<age>\d{2,3})(?=\s?[MF]\b(?!/))", re.IGNORECASE
    ),
    re.compile(
        r"(?<![\w./-])(?P<age>\d{2,3})(?=(?:[\s-]+(?:years?|yrs?))?,?[\s-]+(?:fe)?(?:male|man|woman|lady|gentleman)\b)",
        re.I,
    ),
    re.compile(
        r"\b(?:he|she|mother|father|patient|who)\s+is\s+(?P<age>9\d|1[0-2]\d)\b(?!\s*(?:%|kg|/|\.\d|cm|bpm|mm))", re.I
    ),
)
_SPELT = re.compile(
    r"\b(?P<age>ninety[\s-](?:one|two|three|four|five|six|seven|eight|nine)|(?:a|one) hundred(?: and \w+)?)"
    r"(?=[\s-]*(?:years?|yrs?)[\s-]*(?:old|of\sage)\b)",
    re.IGNORECASE,
)
_ELDEST = 130


@dataclass(frozen=True)
class Shift:
    """How one patient's dates are moved."""

    days: int
    born: date | None = None
    is_old: bool = False
    """Whether the patient is over 89, so that the year of birth tells too much."""
    latest: date | None = None
    """The last date of the record, for dates in texts without a year."""
    known: frozenset[date] = field(default_factory=frozenset)
    """Dates of the record: they settle whether 3/4 is a day and a month or the other way round."""

    def moved(self, day: date) -> date:
        """Return a date moved.

        Dates next to the ends of the calendar stay at the end.
        """
        try:
            return day + timedelta(days=self.days)
        except OverflowError:
            return day

    @property
    def birth(self) -> str | None:
        """The date of birth as it may be shown: moved, or the year of a person of 90 where the patient is older."""
        if self.born is None:
            return None
        if self.is_old and self.latest is not None:
            return str(self.moved(self.latest).year - OLDEST)
        return self.moved(self.born).isoformat()

    def fhir(self, value: str) -> str:
        """Return a FHIR date, dateTime or instant moved; a year alone stays.

        >>> Shift(days=-30).fhir("2023-11-13T10:15:00+00:00")
        '2023-10-14T10:15:00+00:00'
        """
        if len(value) < len("2023-11"):
            return value
        whole = value[:10] if len(value) >= len("2023-11-13") else f"{value}-15"
        try:
            there = self.moved(date.fromisoformat(whole)).isoformat()
        except ValueError:  # 30 February and the like: nobody's date
            return value
        return there[: len(value)] if len(value) < len(whole) else there + value[10:]

    def edits(self, text: str) -> Iterator[Edit]:
        """Yield the dates of a text moved, and ages over 89 made 90; in no order, overlaps possible."""
        taken: list[tuple[int, int]] = []
        for edit in self._dates(text):
            if not any(a < edit.end and edit.start < b for a, b in taken):
                taken.append((edit.start, edit.end))
                yield edit
        yield from _ages(text)

    def _dates(self, text: str) -> Iterator[Edit]:
        for pattern in _SHIFTED:
            for match in pattern.finditer(text):
                yield from self._written(match)
        for match in _NUMERIC.finditer(text):
            yield from self._numeric(text, match)
        for match in _MONTH_YEAR.finditer(text):
            yield from self._written(match)
        for match in _NO_YEAR.finditer(text):
            yield from self._numeric(text, match)
        for match in _BORN.finditer(text) if self.is_old else ():
            yield Edit(match.start("year"), match.end("year"), Identifier.AGE, (self.birth or "")[:4])

    def _written(self, match: re.Match[str]) -> Iterator[Edit]:
        parts = match.groupdict()
        named = not parts["month"].isdigit()
        month = _NUMBER[parts["month"][:3].lower()] if named else int(parts["month"])
        day = int(parts.get("day") or 0)
        found = _dated(self._year(parts.get("year"), month), month, day or 15)
        if found is None:
            return
        names = [name for name in ("year", "month", "day", "nth") if parts.get(name)]
        start, end = min(match.start(n) for n in names), max(match.end(n) for n in names)
        if found == self.born and day and self.is_old:
            yield Edit(start, end, Identifier.AGE, self.birth)
            return
        moved = self.moved(found)
        yield Edit(start, end, Identifier.DATE, _rewritten(match, start, end, moved))

    def _numeric(self, text: str, match: re.Match[str]) -> Iterator[Edit]:
        parts = match.groupdict()
        a, b, year = int(parts["a"]), int(parts["b"]), self._year(parts.get("year"), 0)
        orders = [d for d in (_dated(year, b, a), _dated(year, a, b)) if d is not None]
        if not orders:
            return
        day_first = self._day_first(text, parts["sep"], a, b, year)
        found = orders[0] if len(orders) == 1 or day_first else orders[1]
        is_day_first = found == _dated(year, b, a) and (day_first or b <= 12 < a)
        start, end = match.start("a"), match.end("year") if parts.get("year") else match.end("b")
        if found == self.born and self.is_old:
            yield Edit(start, end, Identifier.AGE, self.birth)
            return
        moved = self.moved(found)
        first, second = (moved.day, moved.month) if is_day_first else (moved.month, moved.day)
        pieces = [_padded(first, parts["a"]), _padded(second, parts["b"])]
        if parts.get("year"):
            pieces.append(f"{moved.year:04d}"[-len(parts["year"]) :])
        yield Edit(start, end, Identifier.DATE, parts["sep"].join(pieces))

    def _day_first(self, text: str, separator: str, a: int, b: int, year: int) -> bool:
        """Whether the day comes first: by this date, the others of the text, those of the record, the full stops."""
        if a > 12 or b > 12:
            return a > 12
        others = [(int(m["a"]), int(m["b"])) for m in _NUMERIC.finditer(text)]
        told = [x > 12 for x, y in others if (x > 12) != (y > 12)]
        if told:
            return all(told)
        known = self.known | {self.born}
        as_day, as_month = _dated(year, b, a) in known, _dated(year, a, b) in known
        if as_day != as_month:
            return as_day
        return separator == "."

    def _year(self, written: str | None, month: int) -> int:
        latest = self.latest or date(2000, 12, 31)
        if written is None:
            return latest.year - (month > latest.month)
        if len(written) == 4:
            return int(written)
        century = latest.year // 100 * 100
        return century + int(written) - (100 if century + int(written) > latest.year + 1 else 0)


def _rewritten(match: re.Match[str], start: int, end: int, moved: date) -> str:
    """The date moved, in the form in which it was written."""
    text, parts = match.group()[start - match.start() : end - match.start()], match.groupdict()
    month = parts["month"]
    written = {
        "month": _padded(moved.month, month) if month.isdigit() else _named(moved.month, month),
        "day": _padded(moved.day, parts.get("day") or ""),
        "year": f"{moved.year:04d}",
        "nth": _ordinal(moved.day),
    }
    names = sorted((n for n in written if parts.get(n)), key=match.start, reverse=True)
    for name in names:
        a, b = match.start(name) - start, match.end(name) - start
        text = text[:a] + written[name] + text[b:]
    return text


def _named(month: int, like: str) -> str:
    name = _MONTHS[month - 1]
    if len(like) <= 4 and like.lower() not in (m.lower() for m in _MONTHS):
        name = name[:3]
    return name.upper() if like.isupper() else name.lower() if like.islower() else name


def _padded(number: int, like: str) -> str:
    return f"{number:02d}" if like.startswith("0") or (len(like) == 2 and number < 10) else str(number)


def _ordinal(day: int) -> str:
    return "th" if 10 < day < 20 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")


def _dated(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _ages(text: str) -> Iterator[Edit]:
    for pattern in _AGES:
        for match in pattern.finditer(text):
            if OLDEST < int(match["age"]) <= _ELDEST:
                yield Edit(match.start("age"), match.end("age"), Identifier.AGE, str(OLDEST))
    for match in _SPELT.finditer(text):
        yield Edit(match.start("age"), match.end("age"), Identifier.AGE, "ninety")
