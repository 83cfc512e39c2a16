"""What a FHIR primitive may look like in JSON: its JSON type and its form.

The forms are those of R4, "Data types", section 2.24.0.1. Each check returns what is wrong in words, or None.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Final

Check = Callable[[object], "Fault | None"]


class Fault(str):
    """What is wrong with a value, in words."""

    __slots__ = ()
    is_shape = False
    """The value is not of the JSON type that is due, so nothing that reads it can be asked of it."""


class ShapeFault(Fault):
    """The JSON type is wrong."""

    __slots__ = ()
    is_shape = True


LARGEST_STRING: Final = 1024 * 1024
"""Characters in a string at most."""
_LARGEST_INTEGER: Final = 2**31 - 1

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_DATE = re.compile(r"\d{4}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12]\d|3[01]))?)?", re.ASCII)
_CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?"
_ZONE = r"(?:Z|[+-](?:(?:0\d|1[0-3]):[0-5]\d|14:00))"
_MOMENT = re.compile(rf"\d{{4}}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T{_CLOCK}{_ZONE}", re.ASCII)
_TIME = re.compile(_CLOCK, re.ASCII)
_BASE64 = re.compile(r"[0-9A-Za-z+/\s]*(?:=\s*){0,2}", re.ASCII)

NOT_TEXT: Final = ShapeFault("must be a JSON string")
EMPTY: Final = Fault("must not be empty; leave the element out")


def _text(value: object) -> Fault | None:
    if type(value) is not str:
        return NOT_TEXT
    if not value:
        return EMPTY
    if _CONTROL.search(value):
        return Fault("must not hold control characters")
    return Fault("must not be longer than 1 MB") if len(value) > LARGEST_STRING else None


def _form(pattern: str, wanted: str) -> Check:
    match = re.compile(pattern).fullmatch
    fault = Fault(f"must be {wanted}")

    def check(value: object) -> Fault | None:
        if type(value) is not str:
            return NOT_TEXT
        if match(value):
            return None
        return fault if value else EMPTY

    return check


def _boolean(value: object) -> Fault | None:
    return None if value is True or value is False else ShapeFault("must be true or false, without quotes")


def _integer(lowest: int) -> Check:
    wanted = f"must be a whole number from {lowest} to {_LARGEST_INTEGER}"
    shape, fault = ShapeFault(f"{wanted}, without quotes"), Fault(wanted)

    def check(value: object) -> Fault | None:
        if type(value) is not int:
            return shape
        return None if lowest <= value <= _LARGEST_INTEGER else fault

    return check


def _decimal(value: object) -> Fault | None:
    kind = type(value)
    if kind is not int and kind is not float and kind is not Decimal:
        return ShapeFault("must be a JSON number, without quotes")
    try:
        is_finite = math.isfinite(value)  # type: ignore[arg-type]
    except OverflowError:
        is_finite = False
    return None if is_finite else Fault("must be a number within 1.8e308")


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat((text + "-01-01")[:10])
    except ValueError:
        return False
    return True


def _calendar(patterns: tuple[re.Pattern[str], ...], wanted: str) -> Check:
    fault = Fault(f"must be {wanted}")

    def check(value: object) -> Fault | None:
        if type(value) is not str:
            return NOT_TEXT
        if any(pattern.fullmatch(value) for pattern in patterns):
            return None if _is_day(value) else Fault("must be a day that the calendar has")
        if ":60" in value:
            return Fault("must not be a leap second")
        return fault if value else EMPTY

    return check


def _time(value: object) -> Fault | None:
    if type(value) is not str:
        return NOT_TEXT
    return None if _TIME.fullmatch(value) else Fault("must be a time of day with seconds such as 10:00:00")


def _base64(value: object) -> Fault | None:
    if type(value) is not str:
        return NOT_TEXT
    if not value:
        return EMPTY
    is_whole = _BASE64.fullmatch(value) is not None and len("".join(value.split())) % 4 == 0
    return None if is_whole else Fault("must be base64 text")


_URI = _form(r"\S+", "a URI, without spaces")

CHECKS: Final[Mapping[str, Check]] = {
    "base64Binary": _base64,
    "boolean": _boolean,
    "canonical": _URI,
    "code": _form(r"\S+(?:\s\S+)*", "a code, without spaces at its ends or two in a row"),
    "date": _calendar((_DATE,), "a date such as 2023-05-01, 2023-05 or 2023"),
    "dateTime": _calendar((_DATE, _MOMENT), "a date, or a date-time with a zone such as 2023-05-01T10:00:00Z"),
    "decimal": _decimal,
    "id": _form(r"[A-Za-z0-9\-.]{1,64}", "an id: 1 to 64 letters, digits, '-' and '.'"),
    "instant": _calendar((_MOMENT,), "a date-time with seconds and a zone such as 2023-05-01T10:00:00Z"),
    "integer": _integer(-(2**31)),
    "markdown": _text,
    "oid": _form(r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+", "an OID such as urn:oid:1.2.3"),
    "positiveInt": _integer(1),
    "string": _text,
    "time": _time,
    "unsignedInt": _integer(0),
    "uri": _URI,
    "url": _URI,
    "uuid": _form(r"urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", "a UUID such as urn:uuid:c757873d-ec9a-..."),
}
"""By FHIR type; `xhtml` is judged in `narrative`."""
