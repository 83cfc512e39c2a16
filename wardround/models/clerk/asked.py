"""What a task can ask, as typed values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, auto

from wardround.models.clerk.glossary import Code
from wardround.models.clerk.spans import Span
from wardround.models.clerk.times import Moment, Period


@dataclass(frozen=True)
class Stay:
    """An encounter, counted back from now."""

    is_admission: bool
    """Whether only stays in hospital count."""
    back: int
    """0 the last, 1 the one before."""


@dataclass(frozen=True)
class Window:
    """A stretch of time; open at an end that is missing."""

    ago: Period | None = None
    """Starts so long before now."""
    is_shifted: bool = False
    """Whether it ends where a window of the same length up to now begins."""
    since: Moment | None = None
    until: Moment | None = None
    stay: Stay | None = None
    day: int | None = None
    """A day of the calendar, counted back from today."""

    @property
    def words(self) -> str:
        """For telling."""
        if self.ago is not None:
            return f"in the {self.ago.words} before" if self.is_shifted else f"in the last {self.ago.words}"
        if self.stay is not None:
            kind = "admission" if self.stay.is_admission else "encounter"
            return f"during the {('last', 'previous')[min(self.stay.back, 1)]} {kind}"
        if self.day is not None:
            return f"{('today', 'yesterday')[self.day]}"
        ends = [f"from {self.since.written}"] if self.since else []
        return " ".join([*ends, *([f"until {self.until.written}"] if self.until else [])]) or "at any time"


ANY_TIME = Window()


class Statistic(StrEnum):
    """What is wanted of a series of values."""

    LATEST = auto()
    PREVIOUS = auto()
    """The one before the latest."""
    FIRST = auto()
    MEAN = auto()
    MIN = auto()
    MAX = auto()
    COUNT = auto()
    DAYS = auto()
    """On how many days."""
    SUM = auto()
    MEDIAN = auto()
    TREND = auto()
    """Whether it rises or falls."""
    CHANGE = auto()
    """The latest less the one before it."""
    ALL = auto()


@dataclass(frozen=True)
class Rounding:
    """How a number of the answer is to be rounded."""

    digits: int
    is_down: bool = False


@dataclass(frozen=True)
class FindPatient:
    """Tell the record number of the patient that the task describes."""


@dataclass(frozen=True)
class Demographic:
    """Tell something of the patient's person."""

    item: str
    """`age`, `gender`, `birthDate`, `phone`, `email`, `address` or `name`."""


@dataclass(frozen=True)
class Measured:
    """A series of values of the patient."""

    words: str
    """What is measured, as the task says it."""
    code: Code | None = None
    window: Window = ANY_TIME


@dataclass(frozen=True)
class Level:
    """Tell, or look at, a statistic of a series."""

    of: Measured
    statistic: Statistic = Statistic.LATEST
    unit: str | None = None
    with_time: bool = False
    with_value: bool = True
    """Whether the value itself is wanted; otherwise its time alone is."""
    is_asked: bool = True
    """Whether it is to be told; otherwise it only decides what to do."""
    among: Span | None = None
    """Only values in this range count."""
    asks_within: Span | None = None
    """The question is whether the value lies in this range; of `ALL`, whether any does."""
    only: int | None = None
    """Only so many of the latest values."""
    flags: tuple[str, ...] = ()
    """To be counted are the values that the record flags so: `L`, `H`."""
    asks_direction: str | None = None
    """`up` or `down` where the question is whether it went that way."""


@dataclass(frozen=True)
class Comparison:
    """Compare a statistic of two windows, the later one first."""

    of: Measured
    earlier: Window
    statistic: Statistic
    unit: str | None = None
    asks_direction: str | None = None
    """`up` or `down` where the question is whether it is higher or lower now; otherwise the difference is wanted."""


class ListForm(StrEnum):
    """What is wanted of a list."""

    NAMES = auto()
    COUNT = auto()
    HAS = auto()
    LAST_TIME = auto()


@dataclass(frozen=True)
class Listing:
    """Tell something of a list of the chart: the drugs, problems, allergies, immunizations, procedures or orders."""

    types: tuple[str, ...]
    """Resource types."""
    form: ListForm
    what: str = ""
    """Which entries, in words; empty for all."""
    is_current: bool = True
    """Whether only what is still in force counts."""
    window: Window = ANY_TIME
    """Only entries that began in it count."""
    code: Code | None = None
    """The code of the entries that are meant, where the task gives it."""
    as_codes: str | None = None
    """The code system in whose codes the entries are wanted, instead of names."""


Question = FindPatient | Demographic | Level | Comparison | Listing
