"""Whether what a task wants done is to be done, given what the record holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wardround.models.clerk.asked import Level, Statistic
from wardround.models.clerk.found import Found
from wardround.models.clerk.intents import Task
from wardround.models.clerk.lists import Lister
from wardround.models.clerk.reading import Reader
from wardround.models.clerk.steps import Stuck, Work
from wardround.models.clerk.units import converted
from wardround.models.clerk.values import Value, values_in
from wardround.models.clerk.wanted import (
    Abnormal,
    Act,
    Cancellation,
    Condition,
    Correction,
    Listed,
    Missing,
    Order,
    Overdue,
    Recording,
    Within,
)
from wardround.models.clerk.wording import telling

_NO_VALUE = (Statistic.ALL, Statistic.COUNT, Statistic.TREND)
"""Statistics that are not one measured value."""


@dataclass(frozen=True)
class Decider:
    """Decides about the acts of one task."""

    reader: Reader
    lister: Lister
    looked_at: Mapping[Level, Found]
    """What the task's values came to."""

    @property
    def task(self) -> Task:
        """The task."""
        return self.reader.task

    def holds(self, act: Act) -> Work[bool]:
        """Return whether an act is to be done.

        Raises:
            Stuck: What decides about it is not clear, or not comparable with what the task states.
        """
        condition = act.condition
        if isinstance(condition, Listed):
            found = yield from self.lister.entries(condition.listing)
            return bool(found) is condition.is_there
        if condition is None and not (isinstance(act, Order) and act.follows_rule and self.task.rule is not None):
            return True
        found_level, level = self.decisive(act)
        value = found_level.value
        if value is None and not found_level.is_sure:
            raise Stuck(f"nothing called {level.of.words} is in the record, and the task gives no code for it")
        match condition:
            case Missing():
                return value is None
            case Overdue():
                return self._is_overdue(condition, value)
        if value is None:
            return False
        if value.comparator:
            raise Stuck(f"{level.of.words} is only known as {value.comparator}{value.number:g}")
        if isinstance(condition, Within):
            return condition.span.holds(self.comparable(value, level, (condition.span.unit,)))
        return (yield from self._is_abnormal(condition, value, level))

    def decisive(self, act: Act) -> tuple[Found, Level]:
        """Return the value that decides about an act: the one that its condition names, else one of what it is about.

        Raises:
            Stuck: It is not clear which.
        """
        levels = [level for level in self.looked_at if level.statistic not in _NO_VALUE]
        if not levels:
            raise Stuck(f"it is not clear which value decides about {name_of(act)}")
        named = act.of if isinstance(act, Correction) else act.decided_by
        said = telling(named.words if named is not None else name_of(act))
        meant = [level for level in levels if telling(level.of.words) & said] or levels
        if len({level.of.words for level in meant}) > 1:
            raise Stuck(
                f"it is not clear which of {', '.join(level.of.words for level in meant)} decides about {name_of(act)}"
            )
        return self.looked_at[meant[-1]], meant[-1]

    def _is_overdue(self, condition: Overdue, value: Value | None) -> bool:
        if value is None:
            return condition.counts_missing
        if self.task.time is None or value.time is None:
            raise Stuck(
                "how old the last result is cannot be told without the time of day"
                if value.time
                else "the last result has no date"
            )
        return value.time < condition.age.before(self.task.time)

    def _is_abnormal(self, condition: Condition | None, value: Value, level: Level) -> Work[bool]:
        rule = self.task.rule
        if rule is not None:
            number = self.comparable(value, level, rule.units)
            if rule.dose(number) is None and not rule.is_beyond(number):
                raise Stuck(f"the dosing rule says nothing of {level.of.words} {number:g}")
            return rule.dose(number) is not None
        is_low = isinstance(condition, Abnormal) and condition.is_low
        ranged = (
            value
            if value.flag or value.low is not None or value.high is not None
            else (yield from self._ranged(value, level))
        )
        limit = ranged.low if is_low else ranged.high
        if limit is not None:
            return value.number < limit if is_low else value.number > limit
        if ranged.flag:
            return ranged.flag == ("L" if is_low else "H")
        raise Stuck(
            f"neither the task nor the record says from where on {level.of.words} is {'low' if is_low else 'high'}"
        )

    def _ranged(self, value: Value, level: Level) -> Work[Value]:
        """Read the Observation of a value for its reference range."""
        found = yield from self.reader.every("Observation", ("patient", self.lister.id), ("_id", value.id))
        values = values_in(found, level.of.words, level.of.code)
        return values[0] if values else value

    def comparable(self, value: Value, level: Level, units: Sequence[str | None]) -> float:
        """A value in the unit of a rule or limit.

        Raises:
            Stuck: The record gives no unit, or how to convert it is not known.
        """
        wanted = [unit for unit in units if unit]
        if not wanted:
            return value.number
        if not value.unit:
            raise Stuck(
                f"{level.of.words} of {value.number:g} has no unit, so the limits in {wanted[0]} cannot be "
                f"applied to it"
            )
        for unit in wanted:
            number = converted(value.number, value.unit, unit, of=telling(level.of.words), factors=self.task.factors)
            if number is not None:
                return number
        raise Stuck(f"{level.of.words} is in {value.unit}; how to convert that to {wanted[0]} is not said")


def name_of(act: Act) -> str:
    """Return an act in words."""
    match act:
        case Order():
            return f"order of {act.words}"
        case Recording():
            return f"entry of {act.words}"
        case Correction():
            return f"correction of {act.of.words}"
        case Cancellation():
            return f"end of {act.words}"
