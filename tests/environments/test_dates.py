"""Dates as ranges: their precision, their zones, and the comparisons of R4 against a count of moments."""

import sqlite3
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wardround.environments.fhir.dates import (
    EARLIEST,
    LATEST,
    PREFIXES,
    Range,
    compare,
    date_range,
    instant,
    microseconds,
    parse_search_date,
    parse_since,
    period_range,
)
from wardround.environments.fhir.extract import index_rows
from wardround.environments.fhir.outcome import FhirError

DAY = 86_400_000_000


def at(*fields: int) -> int:
    year, month, day, hour, minute, second, micro = [*fields, *(1, 1, 1, 0, 0, 0, 0)[len(fields) :]]
    return microseconds(datetime(year, month, day, hour, minute, second, micro, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "first", "after"),
    [
        ("2022", at(2022), at(2023)),
        ("2022-03", at(2022, 3), at(2022, 4)),
        ("2022-12", at(2022, 12), at(2023)),
        ("2024-02", at(2024, 2), at(2024, 3)),
        ("2022-03-01", at(2022, 3, 1), at(2022, 3, 2)),
        ("2022-12-31", at(2022, 12, 31), at(2023)),
        ("2022-03-01T10:15Z", at(2022, 3, 1, 10, 15), at(2022, 3, 1, 10, 16)),
        ("2022-03-01T10:15:30Z", at(2022, 3, 1, 10, 15, 30), at(2022, 3, 1, 10, 15, 31)),
        ("2022-03-01T10:15:30.2Z", at(2022, 3, 1, 10, 15, 30, 200_000), at(2022, 3, 1, 10, 15, 30, 300_000)),
        ("2022-03-01T10:15:30.250Z", at(2022, 3, 1, 10, 15, 30, 250_000), at(2022, 3, 1, 10, 15, 30, 251_000)),
        ("2022-03-01T10:15:30.123456Z", at(2022, 3, 1, 10, 15, 30, 123_456), at(2022, 3, 1, 10, 15, 30, 123_457)),
        ("2022-03-01T10:15:30.123456789Z", at(2022, 3, 1, 10, 15, 30, 123_456), at(2022, 3, 1, 10, 15, 30, 123_457)),
        ("2022-03-01T00:15:30+02:00", at(2022, 2, 28, 22, 15, 30), at(2022, 2, 28, 22, 15, 31)),
        ("2022-03-01T20:15:30-05:30", at(2022, 3, 2, 1, 45, 30), at(2022, 3, 2, 1, 45, 31)),
        ("2022-03-01T10:15:30", at(2022, 3, 1, 10, 15, 30), at(2022, 3, 1, 10, 15, 31)),
        ("0001", at(1), at(2)),
        ("9999", at(9999), LATEST),
        ("9999-12", at(9999, 12), LATEST),
    ],
)
def test_a_date_begins_and_ends_where_its_precision_says(text: str, first: int, after: int) -> None:
    assert date_range(text) == (first, after - 1)


@pytest.mark.parametrize(
    "text", ["2022-13", "2022-02-30", "2022-00-01", "2022-03-01T24:01:00Z", "2022-03-01T10:15:60Z"]
)
def test_a_date_that_the_calendar_has_not_is_no_range(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        date_range(text)


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)), st.integers(-14 * 60, 14 * 60))
def test_a_moment_is_the_same_in_every_zone(moment: datetime, offset: int) -> None:
    local = (moment.replace(microsecond=0) + timedelta(minutes=offset)).isoformat()
    sign, size = ("-" if offset < 0 else "+"), abs(offset)
    zoned = f"{local}{sign}{size // 60:02}:{size % 60:02}"
    assert date_range(zoned) == date_range(moment.replace(microsecond=0).isoformat() + "Z")


@given(st.dates())
def test_a_year_is_its_months_and_a_month_its_days(day: date) -> None:
    text = day.isoformat()
    year, month, whole = date_range(text[:4]), date_range(text[:7]), date_range(text)
    assert year[0] <= month[0] <= whole[0] < whole[1] <= month[1] <= year[1]
    assert whole[1] - whole[0] == DAY - 1
    if day < date(9999, 11, 1):
        following = (day.replace(day=1) + timedelta(days=32)).isoformat()[:7]
        assert date_range(following)[0] == month[1] + 1


@given(st.integers(0, 10**15))
def test_an_instant_holds_the_moment_it_was_written_from(moment: int) -> None:
    first, last = date_range(instant(moment))
    assert first <= moment <= last


@pytest.mark.parametrize(
    ("period", "wanted"),
    [
        ({"start": "2022", "end": "2023"}, (at(2022), at(2024) - 1)),
        ({"start": "2022"}, (at(2022), LATEST)),
        ({"end": "2023-01-01"}, (EARLIEST, at(2023, 1, 2) - 1)),
        ({"start": "2022-05-01", "end": "2022-05-01"}, (at(2022, 5, 1), at(2022, 5, 2) - 1)),
        ({}, None),
        ({"extension": [{"url": "urn:x", "valueCode": "unknown"}]}, None),
    ],
)
def test_a_period_lasts_to_the_end_of_its_end_and_an_open_one_for_ever(
    period: dict[str, Any], wanted: Range | None
) -> None:
    assert period_range(period) == wanted


def dates_of(**members: Any) -> set[Range]:
    resource = {"resourceType": "Observation", "id": "x", "status": "final", "code": {"text": "x"}} | members
    return {(first, last) for _, first, last in index_rows(resource).date}


def test_a_timing_reaches_from_its_first_event_or_bound_to_its_last() -> None:
    events = {"event": ["2022-03-05T08:00:00Z", "2022-03-01", None]}
    assert dates_of(effectiveTiming=events) == {(at(2022, 3, 1), at(2022, 3, 5, 8, 0, 1) - 1)}
    bounded = {"repeat": {"boundsPeriod": {"start": "2022-03-01", "end": "2022-03-02"}}}
    assert dates_of(effectiveTiming=bounded) == {(at(2022, 3, 1), at(2022, 3, 3) - 1)}
    open_ended = {"repeat": {"boundsPeriod": {"start": "2022-03-01"}}, "event": ["2022-02-01"]}
    assert dates_of(effectiveTiming=open_ended) == {(at(2022, 2, 1), LATEST)}
    assert dates_of(effectiveTiming={"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}) == set()
    assert dates_of(effectivePeriod={"end": "2022"}) == {(EARLIEST, at(2023) - 1)}


# -- comparison -------------------------------------------------------------------------------------------------


def fits(prefix: str, wanted: Range, stored: Range) -> bool:
    """Compare as R4 says it in words (search, 3.1.1.4.5), for ranges that hold their ends."""
    (first, last), (lo, hi) = wanted, stored
    contains = first <= lo and hi <= last
    beyond, before = hi > last, lo < first
    return {
        "eq": contains,
        "ne": not contains,
        "gt": beyond,
        "lt": before,
        "ge": beyond or contains,
        "le": before or contains,
        "sa": lo > last,
        "eb": hi < first,
    }[prefix]


def engine(prefix: str, wanted: Range, stored: Range) -> bool:
    where, arguments = compare(prefix, "lo", "hi", wanted)
    query = f"SELECT {where} FROM (SELECT ? AS lo, ? AS hi)"
    database = sqlite3.connect(":memory:")
    try:
        return bool(database.execute(query, [*arguments, *stored]).fetchone()[0])
    finally:
        database.close()


def test_every_position_of_two_ranges_compares_as_r4_says() -> None:
    ranges = [(a, b) for a in range(5) for b in range(a, 5)]
    for wanted in ranges:
        for stored in ranges:
            for prefix in PREFIXES:
                assert engine(prefix, wanted, stored) is fits(prefix, wanted, stored), (prefix, wanted, stored)


MOMENTS = st.integers(at(1900), at(2100))


@given(MOMENTS, MOMENTS, MOMENTS, MOMENTS, st.sampled_from(PREFIXES))
@settings(max_examples=60)
def test_laws_between_the_prefixes(a: int, b: int, c: int, d: int, prefix: str) -> None:
    wanted, stored = (min(a, b), max(a, b)), (min(c, d), max(c, d))
    holds = {p: engine(p, wanted, stored) for p in PREFIXES}
    assert holds[prefix] is fits(prefix, wanted, stored)
    assert holds["ne"] is not holds["eq"]
    assert not (holds["sa"] and holds["eb"])
    assert holds["gt"] or not holds["sa"]
    assert holds["lt"] or not holds["eb"]
    assert holds["eq"] or holds["gt"] or holds["lt"]


# -- what a client may write ------------------------------------------------------------------------------------

ZONED = st.datetimes().map(lambda m: m.replace(microsecond=0).isoformat() + "+01:00")
TEXTS = st.one_of(
    st.dates().map(lambda d: d.isoformat()),
    st.dates().map(lambda d: d.isoformat()[:7]),
    st.dates().map(lambda d: d.isoformat()[:4]),
    st.datetimes().map(lambda m: m.replace(microsecond=0).isoformat() + "Z"),
    ZONED,
    st.datetimes().map(lambda m: m.replace(microsecond=0).isoformat()),
    st.datetimes().map(lambda m: m.isoformat(timespec="minutes")),
)


@given(st.sampled_from(("", *PREFIXES)), TEXTS)
def test_what_was_applied_is_understood_the_same_again(prefix: str, text: str) -> None:
    first = parse_search_date(prefix + text, parameter="date")
    assert parse_search_date(first[0] + first[1], parameter="date") == first
    assert first[0] == (prefix or "eq")
    assert first[2] == date_range(text)
    if "T" in text:
        assert first[1].endswith(("Z", "+01:00"))


@given(ZONED, st.sampled_from(PREFIXES))
def test_a_plus_that_arrived_as_a_space_is_put_back(text: str, prefix: str) -> None:
    sent = (prefix + text).replace("+", " ")
    assert parse_search_date(sent, parameter="date") == parse_search_date(prefix + text, parameter="date")


@given(st.text(max_size=30))
@example("2023-11-13T10:15:00\n")
@example("2023-11-13\x00")
@example("20231113")
@example("2023-W46-1")
@example("+2023")
@example("-2023")
def test_any_other_text_is_refused_with_the_accepted_form(text: str) -> None:
    try:
        prefix, applied, (first, last) = parse_search_date(text, parameter="date")
    except FhirError as error:
        is_explained = error.status == 400 and "date" in error.issues[0].diagnostics
        assert is_explained
    else:
        assert applied.isascii()
        assert first <= last
        assert prefix in PREFIXES


def test_since_is_a_moment_without_a_prefix() -> None:
    assert parse_since("2023-11-13T10:15:00") == ("2023-11-13T10:15:00Z", at(2023, 11, 13, 10, 15))
    assert parse_since("2023-11-13T10:15:00 01:00") == ("2023-11-13T10:15:00+01:00", at(2023, 11, 13, 9, 15))
    with pytest.raises(FhirError, match="without a prefix"):
        parse_since("gt2023")
