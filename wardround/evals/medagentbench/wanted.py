"""The right end of a task: what to answer and what to write, given what the record holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from wardround.evals.medagentbench.facts import (
    Age,
    Facts,
    Infusion,
    Level,
    LookUp,
    Recheck,
    Recording,
    Referral,
    Repletion,
)
from wardround.evals.medagentbench.gold import Gold, Measurement, considered, latest, mean
from wardround.evals.medagentbench.orders import LOINC, SNOMED, DrugOrder, Order, ReadingEntry, ServiceOrder
from wardround.evals.medagentbench.tasks import MedAgentTask
from wardround.evals.records.grading import Mode

NO_VALUE = -1
MEAN_TOLERANCE = 0.1
"""How far a mean may be off, as published; the bound itself is too far."""


@dataclass(frozen=True)
class Number:
    """A number of an answer."""

    raw: float
    is_mean: bool = False


@dataclass(frozen=True)
class Stamp:
    """A point in time of an answer, as the record writes it."""

    raw: str


@dataclass(frozen=True)
class Name:
    """A text of an answer: a record number, or that there is no patient."""

    raw: str


Item = Number | Stamp | Name
Answer = tuple[Item, ...]


@dataclass(frozen=True)
class Wanted:
    """The right end of a task, for one reading of the record."""

    answer: Answer | None
    """None where the answer is not graded."""
    orders: tuple[Order, ...] = ()
    """In the order that the published graders want."""
    may_be_empty: bool = False
    """Whether `[]` is right as well, since the task asks for an act and not for an answer."""


def wanted(task: MedAgentTask, facts: Facts, gold: Gold, mode: Mode) -> tuple[Wanted, ...]:
    """Return the right ends of a task: one, or one for each of several values at the latest point in time.

    The published graders know the first alone.
    """
    match facts:
        case LookUp():
            return (Wanted(tuple(Name(text) for text in task.solution or ())),)
        case Age():
            return (Wanted((Number(_age(gold, facts.now)),)),)
        case Recording():
            return (Wanted(None, (ReadingEntry(facts.mrn, facts.stamp, facts.code, facts.reading),)),)
        case Referral():
            return (Wanted(None, (ServiceOrder(facts.mrn, facts.stamp, SNOMED, facts.snomed, note=facts.text),)),)
    values = considered(facts, gold, mode)
    if isinstance(facts, Level) and facts.is_mean and values:
        return (Wanted((Number(mean(values), is_mean=True),)),)
    newest: Sequence[Measurement | None] = latest(values) or [None]
    return tuple(dict.fromkeys(_for_value(facts, value) for value in newest))


def misread(facts: Facts, gold: Gold) -> frozenset[Answer]:
    """Return the answers that other spans of time give; the right one may be among them."""
    values = gold.measurements
    match facts:
        case LookUp() | Age() | Recording() | Referral():
            return frozenset()
        case Level() if facts.is_mean:
            means = (Number(mean(span), is_mean=True) for span in _spans(facts, values) if span)
            return frozenset({(Number(NO_VALUE),), *((m,) for m in means)})
        case Recheck():
            return frozenset({(Number(NO_VALUE),), *((Number(m.value), Stamp(m.stamp)) for m in values)})
    return frozenset({(Number(NO_VALUE),), *((Number(m.value),) for m in values)})


def _for_value(facts: Level | Infusion | Repletion | Recheck, last: Measurement | None) -> Wanted:
    answer: Answer = (Number(NO_VALUE if last is None else last.value),)
    match facts:
        case Level():
            return Wanted(answer)
        case Infusion():
            return Wanted(answer, _infusion(facts, last), may_be_empty=True)
        case Repletion():
            return Wanted(answer, _repletion(facts, last), may_be_empty=True)
        case Recheck():
            return Wanted(answer if last is None else (*answer, Stamp(last.stamp)), _recheck(facts, last))


def _infusion(facts: Infusion, last: Measurement | None) -> tuple[Order, ...]:
    tier = None if last is None else facts.tier(last.value)
    if tier is None:
        return ()
    return (DrugOrder(facts.mrn, facts.stamp, facts.ndc, "IV", tier.dose, "g", tier.hours),)


def _repletion(facts: Repletion, last: Measurement | None) -> tuple[Order, ...]:
    if last is None or last.value >= facts.goal:
        return ()
    return (
        DrugOrder(facts.mrn, facts.stamp, facts.ndc, "oral", facts.dose(last.value), "mEq"),
        ServiceOrder(facts.mrn, facts.stamp, LOINC, facts.loinc, due=facts.due),
    )


def _recheck(facts: Recheck, last: Measurement | None) -> tuple[Order, ...]:
    if last is not None and last.time >= facts.oldest:
        return ()
    return (ServiceOrder(facts.mrn, facts.stamp, LOINC, facts.loinc),)


def _age(gold: Gold, now: datetime) -> int:
    if gold.birth_date is None:
        raise ValueError("the gold of an age needs the date of birth; fetch it with the facts of the same task")
    return age(gold.birth_date, now.date())


def age(born: date, today: date) -> int:
    """Return the age in whole years.

    >>> age(date(1960, 11, 14), date(2023, 11, 13))
    62
    """
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def _spans(facts: Level, values: Sequence[Measurement]) -> Iterator[tuple[Measurement, ...]]:
    """Give what is taken for the window by mistake: everything, or whole calendar days."""
    start = facts.now - (facts.window or timedelta())
    midnights = (moment.replace(hour=0, minute=0, second=0, microsecond=0) for moment in (start, facts.now))
    yield tuple(values)
    for since in (start, *midnights):
        yield tuple(m for m in values if m.time >= since)
        yield tuple(m for m in values if since <= m.time <= facts.now)
