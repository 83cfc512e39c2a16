"""Which reads brought the data that decide a task."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from wardround.evals.medagentbench.facts import Age, Facts, Level, LookUp, Recording, Referral
from wardround.evals.medagentbench.gold import Gold, considered, latest, window_of
from wardround.evals.records.grading import Reason

SLACK = timedelta(minutes=1)
"""How much narrower a date filter may be than the span that decides, so that `gt` is as good as `ge`."""

_KEEPS_ALL = frozenset({("category", "laboratory"), ("status", "final")})
_SHAPES_ONLY = re.compile(r"_(count|sort|format|elements|pretty|total|summary|include|revinclude)(:.*)?")
_NAMES_PATIENT = re.compile(r"(patient|subject)(:Patient|[.:](Patient\.)?identifier)?")
_DATE = re.compile(r"(eq|ge|gt|le|lt|sa|eb)?([0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2}(?:T.+)?)?)?)")


class Call(Protocol):
    """A request to the record, as far as it is looked at here."""

    @property
    def method(self) -> str:
        """HTTP method."""
        ...

    @property
    def url(self) -> str:
        """Address with its query, relative to the server or absolute."""
        ...

    @property
    def status(self) -> int | None:
        """HTTP status of the answer; none where there was none."""
        ...


@dataclass(frozen=True)
class Read:
    """A successful GET, taken apart."""

    path: tuple[str, ...]
    params: tuple[tuple[str, str], ...]

    @property
    def is_of_patient(self) -> bool:
        """Whether it may bring Patients."""
        return "Patient" in self.path[-2:] or self.path[-1:] == ("$everything",)

    @property
    def is_of_observations(self) -> bool:
        """Whether it may bring Observations."""
        return self.path[-1:] in (("Observation",), ("$everything",))

    @property
    def patients(self) -> frozenset[str]:
        """Ids of the patients that it is limited to."""
        named = {after for before, after in pairwise(self.path) if before == "Patient"} - {"_search"}
        for name, value in self.params:
            if _NAMES_PATIENT.fullmatch(name) or (self.path[-1:] == ("Patient",) and name in ("_id", "identifier")):
                named |= {re.split(r"[/|]", part)[-1] for part in value.split(",")}
        return frozenset(named)


def unread(facts: Facts, gold: Gold, calls: Iterable[Call]) -> Reason | None:
    """Return why the deciding data count as not read; None where they were read, or nothing depends on data.

    A read is a GET that was answered 2xx. It must be of the patient's Observations, of the task's code or of all, and
    a date filter must leave in what decides: the whole window for a mean, from the latest value on for the others,
    the whole span where there is no value. Filters by anything else are taken to leave something out. How many pages
    were read is not looked at. In category 1 any search for patients counts, in category 2 one for this patient.
    """
    reads = tuple(_reads(calls))
    match facts:
        case Recording() | Referral():
            return None
        case LookUp():
            return None if any(r.path[-1:] == ("Patient",) and r.params for r in reads) else Reason.WRONG_QUERY
        case Age():
            found = [r for r in reads if r.is_of_patient]
            return _judged(found, facts.mrn, [r for r in found if facts.mrn in r.patients])
    first, now = _span(facts, gold), facts.now
    covering = [
        r
        for r in reads
        if r.is_of_observations and facts.mrn in r.patients and _keeps_code(r, facts.code) and _keeps(r, first, now)
    ]
    return _judged([r for r in reads if r.is_of_observations], facts.mrn, covering)


def _judged(reads: Sequence[Read], mrn: str, covering: Sequence[Read]) -> Reason | None:
    if covering:
        return None
    named = frozenset[str]().union(*(r.patients for r in reads))
    return Reason.WRONG_PATIENT if named and mrn not in named else Reason.WRONG_QUERY


def _reads(calls: Iterable[Call]) -> Iterator[Read]:
    for call in calls:
        if call.method.upper() != "GET" or call.status is None or not 200 <= call.status < 300:
            continue
        try:
            parts = urlsplit(call.url.removesuffix("&_format=json"))
        except ValueError:
            continue
        params = tuple(parse_qsl(parts.query, keep_blank_values=True))
        yield Read(tuple(unquote(s) for s in parts.path.split("/") if s), params)


def _keeps_code(read: Read, code: str) -> bool:
    codes = [value for name, value in read.params if name == "code"]
    return all(code in {part.rsplit("|", 1)[-1] for part in value.split(",")} for value in codes)


def _span(facts: Facts, gold: Gold) -> datetime | None:
    """Return from when on the record must be read; None for from the beginning."""
    if isinstance(facts, LookUp):
        return None
    values, window = considered(facts, gold, "state"), window_of(facts)
    if values:
        deciding = values if isinstance(facts, Level) and facts.is_mean else latest(values)
        return min(m.time for m in deciding)
    return None if window is None else facts.now - window


def _keeps(read: Read, first: datetime | None, last: datetime) -> bool:
    """Whether the filters of a read, the patient and the code apart, leave in all from first to last."""
    return all(
        _spans(value, first, last) if name == "date" else name == "code" or _is_harmless(name, value)
        for name, value in read.params
    )


def _is_harmless(name: str, value: str) -> bool:
    if (name, value) in (("_count", "0"), ("_summary", "count")):
        return False
    is_patient = name.split(":")[0].split(".")[0] in ("patient", "subject")
    token = (name, value.rsplit("|", 1)[-1])
    return is_patient or token in _KEEPS_ALL or _SHAPES_ONLY.fullmatch(name) is not None


def _spans(value: str, first: datetime | None, last: datetime) -> bool:
    # A plus sign that was not encoded arrives as a space.
    found = _DATE.fullmatch(value.replace(" ", "+"))
    bounds = _bounds(found[2]) if found else None
    if found is None or bounds is None:
        return False
    low, high = bounds
    prefix = found[1] or "eq"
    since = low if prefix in ("eq", "ge") else high if prefix in ("gt", "sa") else None
    until = high if prefix in ("eq", "le") else low if prefix in ("lt", "eb") else None
    begins = since is None or (first is not None and since - first <= SLACK)
    return begins and (until is None or last - until <= SLACK)


def _bounds(written: str) -> tuple[datetime, datetime] | None:
    """Return the first instant of a date and the first one after it; a time without a zone is in UTC."""
    try:
        moment = datetime.fromisoformat(written + "-01-01"[len(written) - 4 :] if len(written) < 10 else written)
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        match len(written):
            case 4:
                return moment, moment.replace(year=moment.year + 1)
            case 7:
                return moment, (moment + timedelta(days=31)).replace(day=1)
            case 10:
                return moment, moment + timedelta(days=1)
        return moment, moment + timedelta(seconds=1)
    except (ValueError, OverflowError):
        return None
