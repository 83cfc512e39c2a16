"""Spans as plain values, with ids made from content, so that exporting a log twice gives the same trace."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

Value = str | bool | int | float | Sequence[str] | Sequence[int]
Attributes = Mapping[str, Value]
"""What OTLP can hold; a list is of one type."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Status(StrEnum):
    """How a span ended, as OpenTelemetry tells it."""

    UNSET = "unset"
    OK = "ok"
    ERROR = "error"


class Side(StrEnum):
    """OpenTelemetry's span kind: whether a span is the near end of a call to another process."""

    INTERNAL = "internal"
    CLIENT = "client"


@dataclass(frozen=True)
class EventValue:
    """Something that happened at one moment of a span."""

    name: str
    time: int
    """Nanoseconds since 1970, UTC."""
    attributes: Attributes


@dataclass(frozen=True)
class SpanValue:
    """A span; times are nanoseconds since 1970, UTC."""

    trace: str
    """32 hexadecimal digits."""
    id: str
    """16 hexadecimal digits."""
    parent: str | None
    name: str
    side: Side
    start: int
    end: int
    attributes: Attributes
    events: tuple[EventValue, ...] = ()
    links: tuple[str, ...] = ()
    """Ids of spans of the same trace."""
    status: Status = Status.UNSET
    message: str = ""
    """What went wrong; content."""


@dataclass(frozen=True)
class Trace:
    """The spans of one run, the root first, otherwise by their beginning."""

    run: str
    id: str
    spans: tuple[SpanValue, ...]

    @property
    def root(self) -> SpanValue:
        """The span of the whole run."""
        return self.spans[0]


def trace_id(run: str, started: datetime, last: int) -> str:
    """Name a trace by its log: the run, when it began and how far it has come.

    A log that has grown is another trace, since a span that was sent cannot be changed; the session, which is the
    run, holds the two together.

    Args:
        run: Id of the run.
        started: When it began; the same case can be consulted again under the same id.
        last: Number of the last event.
    """
    return _digest(32, "trace", run, started.astimezone(UTC).isoformat(), str(last))


def span_id(trace: str, key: str) -> str:
    """Name a span within its trace.

    >>> span_id("0" * 32, "spn_1#1") == span_id("0" * 32, "spn_1#1")
    True
    """
    return _digest(16, "span", trace, key)


def nanoseconds(moment: datetime) -> int:
    """Return a moment as OTLP has it, exact to the microsecond.

    >>> nanoseconds(datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC))
    1000005000
    """
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def digest(text: str) -> str:
    """Return a short hash that stands for a text that must not be shown."""
    return _digest(16, "hash", text)


def _digest(digits: int, *parts: str) -> str:
    return hashlib.sha256("\0".join(("wardround", *parts)).encode()).hexdigest()[:digits]
