"""FHIR dates as ranges of microseconds, and the comparisons that R4 search defines on them.

A value such as `2022-03` stands for all of that month. A time without a zone is read as UTC, always; the
`self` link of an answer shows the zone that was applied.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from wardround.environments.fhir.outcome import bad_request

EARLIEST = -(2**62)
LATEST = 2**62
"""Ends of a period that is open, in microseconds."""

PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb")
"""Comparisons that are served; `ap` is refused, since what is near depends on the question."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FORM = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)"
    r"(?:T(?P<clock>\d\d:\d\d)(?::\d\d(?P<fraction>\.\d+)?)?"
    r"(?P<zone>Z|[+ -](?:(?:0\d|1[0-3]):[0-5]\d|14:00))?)?)?)?",
    re.ASCII,
)
_HINT = "write a FHIR date such as 2023-11-13 or 2023-11-13T10:15:00Z, with a prefix such as ge in front if need be"

Range = tuple[int, int]
"""First and last microsecond since 1970 in UTC, both included."""


def microseconds(moment: datetime) -> int:
    """Return a moment in microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def instant(value: int) -> str:
    """Return microseconds since 1970 as a FHIR instant in UTC."""
    moment = _EPOCH + value * _MICROSECOND
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def date_range(text: str) -> Range:
    """Return the range that a FHIR date, dateTime or instant stands for.

    Raises:
        ValueError: It is none.
    """
    if len(text) == 10:
        lo = microseconds(datetime.fromisoformat(text).replace(tzinfo=UTC))
        return lo, lo + 86_400_000_000 - 1
    if len(text) > 10:
        return _time_range(text)
    year, month = int(text[:4]), int(text[5:7] or 1)
    first = datetime(year, month, 1, tzinfo=UTC)
    if len(text) == 4:
        end = LATEST if year == 9999 else microseconds(first.replace(year=year + 1))
    else:
        end = LATEST if (year, month) == (9999, 12) else microseconds((first + timedelta(days=32)).replace(day=1))
    return microseconds(first), end - 1


def _time_range(text: str) -> Range:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    lo = microseconds(moment)
    if "." in text:
        digits = len(re.split(r"[Z+-]", text.split(".", 1)[1], maxsplit=1)[0])
        return lo, lo + max(10 ** (6 - digits), 1) - 1 if digits < 6 else lo
    is_to_the_minute = text[16:17] != ":"
    return lo, lo + (60_000_000 if is_to_the_minute else 1_000_000) - 1


def period_range(period: Mapping[str, Any]) -> Range | None:
    """Return the range of a Period; an open end is as far as it goes, and one without either end is none."""
    start, end = period.get("start"), period.get("end")
    if start is None and end is None:
        return None
    lo = EARLIEST if start is None else date_range(start)[0]
    hi = LATEST if end is None else date_range(end)[1]
    return lo, hi


def parse_search_date(value: str, *, parameter: str) -> tuple[str, str, Range]:
    """Return the prefix, the date in words as applied, and the range of a search value.

    A `+` that arrived as a space, as it does when a client forgets to encode it, is put back: a space has no
    other meaning there.

    Raises:
        FhirError: 400, with the accepted form.
    """
    prefix, rest = split_prefix(value)
    if prefix not in PREFIXES:
        raise bad_request(
            f"{parameter}: the prefix '{prefix}' is not supported; use one of {', '.join(PREFIXES)}", parameter
        )
    match = _FORM.fullmatch(rest)
    if match is None:
        raise bad_request(f"{parameter}: '{value}' is not a date; {_HINT}", parameter)
    text = rest.replace(" ", "+")
    if match["clock"] and not match["zone"]:
        text += "Z"
    if match["fraction"] and len(match["fraction"]) > 7:
        text = text.replace(match["fraction"], match["fraction"][:7])
    try:
        return prefix, text, date_range(text)
    except ValueError as error:
        raise bad_request(f"{parameter}: '{value}' is not a date ({error}); {_HINT}", parameter) from None


def parse_since(value: str) -> tuple[str, int]:
    """Return a `_since` in words as applied, and its first microsecond.

    Raises:
        FhirError: 400, with the accepted form.
    """
    if value[:2].isalpha():
        raise bad_request(f"_since={value}: write a date without a prefix; what came at or after it is meant", "_since")
    _, text, (first, _) = parse_search_date(value, parameter="_since")
    return text, first


def split_prefix(value: str) -> tuple[str, str]:
    """Return the prefix of an ordered search value, `eq` where there is none, and the rest."""
    if value[:2].isalpha():
        return value[:2], value[2:]
    return "eq", value


def compare(prefix: str, column_lo: str, column_hi: str, wanted: Range) -> tuple[str, tuple[int, ...]]:
    """Return the SQL condition for a stored range against a wanted one, after R4 search 3.1.1.4.5.

    `gt` and `lt` ask whether part of the stored range lies beyond the wanted one; `sa` and `eb` whether all
    of it does; `eq` whether the wanted range contains all of it.
    """
    lo, hi = wanted
    inside = f"({column_lo} >= ? AND {column_hi} <= ?)"
    match prefix:
        case "eq":
            return inside, (lo, hi)
        case "ne":
            return f"NOT {inside}", (lo, hi)
        case "gt":
            return f"{column_hi} > ?", (hi,)
        case "lt":
            return f"{column_lo} < ?", (lo,)
        case "ge":
            return f"({column_hi} > ? OR {inside})", (hi, lo, hi)
        case "le":
            return f"({column_lo} < ? OR {inside})", (lo, lo, hi)
        case "sa":
            return f"{column_lo} > ?", (hi,)
        case "eb":
            return f"{column_hi} < ?", (lo,)
    raise AssertionError(f"prefix {prefix} was let through")
