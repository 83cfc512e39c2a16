"""Points and stretches of time in English text, counted from a stated now."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

_MONTHS = {name.lower(): n for n, name in enumerate(calendar.month_name) if name} | {
    name.lower(): n for n, name in enumerate(calendar.month_abbr) if name
}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_CLOCK = r"\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?"
_ZONE = r"Z|[+-]\d\d:?\d\d"
_MOMENT = re.compile(
    rf"(?<![\w-])(?:(?P<year>\d{{4}})-(?P<month>\d\d)-(?P<day>\d\d)"
    rf"|(?P<day2>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<name2>{_MONTH})\.?,?\s+(?P<year2>\d{{4}})"
    rf"|(?P<name3>{_MONTH})\.?\s+(?P<day3>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<year3>\d{{4}})"
    rf"|(?P<one>\d{{1,2}})/(?P<two>\d{{1,2}})/(?P<year4>\d{{4}}))"
    rf"(?:(?:T|\s*,?\s+(?:at\s+)?)(?P<clock>{_CLOCK})\s*(?P<zone>{_ZONE}|UTC)?)?",
    re.IGNORECASE,
)
_NUMBERS = {
    "a": 1.0, "an": 1.0, "one": 1.0, "two": 2.0, "three": 3.0, "four": 4.0, "five": 5.0, "six": 6.0, "seven": 7.0,
    "eight": 8.0, "nine": 9.0, "ten": 10.0, "twelve": 12.0, "eighteen": 18.0, "twenty-four": 24.0, "thirty": 30.0,
    "thirty-six": 36.0, "forty-eight": 48.0, "seventy-two": 72.0, "ninety": 90.0, "half a": 0.5,
}  # fmt: skip
COUNT = r"\d+(?:\.\d+)?|" + "|".join(sorted(_NUMBERS, key=len, reverse=True))
"""A number in figures or words."""
UNIT = r"minutes?|mins?|hours?|hrs?|h|days?|d|weeks?|wks?|months?|years?|yrs?|y"
"""A unit of time."""
_SECONDS = {"minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
_AT = re.compile(
    r"\b(?:at|by|around|@)?\s*(?:(?P<hour>\d{1,2})(?::(?P<minute>\d\d))?\s*(?P<half>[ap])\.?m\b\.?"
    r"|(?<![\d:T+-])(?P<hour2>\d{1,2}):(?P<minute2>\d\d)(?![\d:])|\bat\s+(?P<hour3>\d\d)(?P<minute3>\d\d)\b(?:\s*h\w*)?"
    r"|(?P<noon>noon|midday)|(?P<midnight>midnight))",
    re.IGNORECASE,
)
_DAY = re.compile(
    rf"\b(?:(?P<day_after>day after tomorrow)|(?P<next>tomorrow|(?:the\s+)?(?:next|following)\s+(?:day|morning))"
    rf"|in\s+(?P<count>{COUNT})[\s-]+(?P<unit>{UNIT})\b|(?P<today>today|tonight|this\s+(?:morning|afternoon|evening)))",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Moment:
    """A point in time as a text has it."""

    time: datetime
    written: str
    has_clock: bool
    """Whether the hour is given; otherwise it is a day."""
    start: int
    end: int

    @property
    def last(self) -> datetime:
        """The end of it: of a day its last second."""
        return self.time if self.has_clock else self.time + timedelta(days=1) - timedelta(seconds=1)

    @property
    def stamp(self) -> str:
        """It as FHIR writes it, the text's own writing where that is FHIR's."""
        try:
            is_fhir = self.has_clock and datetime.fromisoformat(self.written).tzinfo is not None and "T" in self.written
        except ValueError:
            is_fhir = False
        if is_fhir:
            return self.written
        return self.time.isoformat() if self.has_clock else self.time.date().isoformat()


def moments(text: str) -> Iterator[Moment]:
    """Give the dates and times of a text; one that cannot exist, or could be two days, is passed over.

    A time without a zone is taken to be in UTC.

    >>> [m.stamp for m in moments("on 2023-11-13T10:15:00+00:00 and 3 March 1960, not 99 May 2020 or 3/4/2020")]
    ['2023-11-13T10:15:00+00:00', '1960-03-03']
    """
    for match in _MOMENT.finditer(text):
        date = _date(match)
        if date is None or not 1800 <= date[0] < 3000:
            continue
        clock = match["clock"]
        try:
            at = time.fromisoformat(clock.zfill(len(clock) + (clock[1] == ":"))) if clock else time()
            zone = match["zone"]
            offset = datetime.fromisoformat(f"2000-01-01T00:00:00{zone}").tzinfo if zone not in (None, "UTC") else UTC
            yield Moment(
                datetime.combine(datetime(*date), at, offset),
                match.group(),
                clock is not None,
                match.start(),
                match.end(),
            )
        except ValueError:
            continue


def _date(match: re.Match[str]) -> tuple[int, int, int] | None:
    if match["year"]:
        return int(match["year"]), int(match["month"]), int(match["day"])
    if match["year2"]:
        return int(match["year2"]), _MONTHS[match["name2"].lower()], int(match["day2"])
    if match["year3"]:
        return int(match["year3"]), _MONTHS[match["name3"].lower()], int(match["day3"])
    one, two, year = int(match["one"]), int(match["two"]), int(match["year4"])
    if one == two or two > 12:
        return year, one, two
    return (year, two, one) if one > 12 else None


@dataclass(frozen=True)
class Period:
    """A length of time."""

    count: float
    unit: str
    """`minute`, `hour`, `day`, `week`, `month` or `year`."""

    def before(self, moment: datetime) -> datetime:
        """Return the moment that lies this long before another; months and years go by the calendar.

        >>> Period(1, "year").before(datetime(2024, 2, 29))
        datetime.datetime(2023, 2, 28, 0, 0)
        """
        return self._moved(moment, -1)

    def after(self, moment: datetime) -> datetime:
        """Return the moment that lies this long after another."""
        return self._moved(moment, 1)

    def _moved(self, moment: datetime, sign: int) -> datetime:
        if self.unit in _SECONDS:
            return moment + sign * timedelta(seconds=self.count * _SECONDS[self.unit])
        months = moment.year * 12 + moment.month - 1 + sign * round(self.count * (12 if self.unit == "year" else 1))
        year, month = divmod(months, 12)
        day = min(moment.day, calendar.monthrange(year, month + 1)[1])
        return moment.replace(year=year, month=month + 1, day=day)

    @property
    def words(self) -> str:
        """Such as `24 hours`."""
        return f"{self.count:g} {self.unit}{'' if self.count == 1 else 's'}"


def period(count: str, unit: str) -> Period | None:
    """Read a length of time out of its two parts; one beyond a thousand years is none.

    >>> period("24", "h"), period("a", "week")
    (Period(count=24.0, unit='hour'), Period(count=1.0, unit='week'))
    """
    number = _NUMBERS.get(" ".join(count.lower().split())) or (float(count) if count[:1].isdigit() else None)
    name = unit.lower().rstrip("s")
    whole = {"m": "minute", "h": "hour", "d": "day", "w": "week", "y": "year"}.get(name[:1], "")
    whole = "month" if name.startswith("mo") else whole
    days = {"month": 31, "year": 366}.get(whole) or _SECONDS.get(whole, 60) / 86_400
    return None if number is None or number * days > 366_000 else Period(number, whole)


def now_of(text: str) -> Moment | None:
    """Return the moment that a text calls now: one said to be it, or the only one that has an hour.

    >>> now_of("It's 2023-11-13T10:15:00+00:00 now.").written
    '2023-11-13T10:15:00+00:00'
    """
    found = list(moments(text))
    for moment in found:
        around = text[max(0, moment.start - 40) : moment.start].rpartition("\n")[2]
        behind = text[moment.end : moment.end + 16]
        said = (
            r"\b(?:it's|it is|now|today|current (?:date|time|date and time|moment)|the (?:date|"
            r"time))\b[\w\s,]*[:=]?\s*$"
        )
        if re.search(said, around, re.IGNORECASE) or re.match(r"\s*(?:is\s+)?(?:right )?now\b", behind):
            return moment
    return None


def clock_of(text: str) -> time | None:
    """Return the time of day that a text names, such as `8am`, `08:00` or `noon`.

    >>> clock_of("the next day at 8am"), clock_of("tomorrow 14:30"), clock_of("in the morning")
    (datetime.time(8, 0), datetime.time(14, 30), None)
    """
    match = _AT.search(text)
    if match is None:
        return None
    if match["noon"] or match["midnight"]:
        return time(12 if match["noon"] else 0)
    hour = int(match["hour"] or match["hour2"] or match["hour3"])
    minute = int(match["minute"] or match["minute2"] or match["minute3"] or 0)
    if match["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if match["half"].lower() == "p" else 0)
    return time(hour, minute) if hour < 24 and minute < 60 else None


def due_of(text: str, now: datetime | None) -> str | None:
    """Return when a text wants something done, as FHIR writes it: with its hour, or as a day where none is named.

    >>> due_of("to be done the next day at 8am", datetime(2023, 11, 13, 10, 15, tzinfo=UTC))
    '2023-11-14T08:00:00+00:00'
    """
    for moment in moments(text):
        if moment.has_clock:
            return moment.stamp
        clock = clock_of(text[: moment.start] + " " + text[moment.end :])
        return moment.stamp if clock is None else datetime.combine(moment.time.date(), clock, UTC).isoformat()
    match = _DAY.search(text)
    if match is None or now is None:
        return None
    if match["unit"]:
        length = period(match["count"], match["unit"])
        if length is None:
            return None
        then, is_hourly = length.after(now), length.unit in ("minute", "hour")
        if is_hourly:
            return then.isoformat()
    else:
        days = 2 if match["day_after"] else 1 if match["next"] else 0
        then = now + timedelta(days=days)
    clock = clock_of(text)
    return then.date().isoformat() if clock is None else datetime.combine(then.date(), clock, then.tzinfo).isoformat()
