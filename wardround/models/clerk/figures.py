"""Statistics of measured values, computed here."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence

from wardround.models.clerk.asked import Level, Rounding, Statistic
from wardround.models.clerk.steps import Stuck
from wardround.models.clerk.values import Value

_FLAT = 1e-9
"""A slope per day, relative to the largest value, that is none."""


def sure(value: Value, question: Level) -> float:
    """Return the number of a value.

    Raises:
        Stuck: Only a limit of it is known.
    """
    if value.comparator:
        raise Stuck(f"a value of {question.of.words} is only known as {value.comparator}{value.number:g}")
    return float(value.number)


def _before_last(values: Sequence[Value]) -> Value:
    if len(values) < 2:
        raise Stuck("there is only one value, so none before it")
    return values[-2]


CHOOSERS: Mapping[Statistic, Callable[[Sequence[Value]], Value]] = {
    Statistic.LATEST: lambda values: next(v for v in values if v.time == values[-1].time),
    Statistic.PREVIOUS: _before_last,
    Statistic.FIRST: lambda values: values[0],
    Statistic.MIN: lambda values: min(values, key=lambda v: v.number),
    Statistic.MAX: lambda values: max(values, key=lambda v: v.number),
}
"""Statistics that are one of the values, which stand in order of time; of several latest ones it is the first."""


def _change(numbers: Sequence[float]) -> float:
    if len(numbers) < 2:
        raise Stuck("there is only one value, so nothing to compare it with")
    return numbers[-1] - numbers[-2]


COMPUTED: Mapping[Statistic, Callable[[Sequence[float]], float]] = {
    Statistic.MEAN: statistics.fmean,
    Statistic.MEDIAN: statistics.median,
    Statistic.SUM: math.fsum,
    Statistic.CHANGE: _change,
    Statistic.COUNT: len,
}
"""Statistics that are computed from the values."""


def slope(question: Level, values: Sequence[Value]) -> float:
    """Return the least-squares slope per day, or the last change; 0 for one that is none.

    Raises:
        Stuck: There are too few values.
    """
    if question.statistic is Statistic.CHANGE:
        return plain_number(_change([sure(value, question) for value in values]))
    dated = [(value.time.timestamp() / 86_400, sure(value, question)) for value in values if value.time is not None]
    if len({time for time, _ in dated}) < 2:
        raise Stuck(f"there are not two times at which {question.of.words} was measured, so there is no trend")
    times, numbers = [time for time, _ in dated], [number for _, number in dated]
    per_day = float(statistics.linear_regression(times, numbers).slope)
    return 0.0 if abs(per_day) <= _FLAT * max(map(abs, numbers)) else per_day


def told(values: Sequence[Value]) -> str:
    """Return the first and last of a series in words."""
    return (
        f"from {values[0].number:g} at {values[0].when} to {values[-1].number:g} at {values[-1].when}, n={len(values)}"
    )


def plain_number(number: float) -> float:
    """Return a number without the digits that binary fractions add; whole ones stay what they are."""
    return number if isinstance(number, int) else round(number, 9)


def round_to(number: float, rounding: Rounding) -> float:
    """Return a number rounded as a task wants it.

    >>> round_to(2.449, Rounding(2)), round_to(63.9, Rounding(0, is_down=True))
    (2.45, 63)
    """
    scale = 10.0**rounding.digits
    scaled = math.floor(number * scale) if rounding.is_down else math.floor(number * scale + 0.5)
    return scaled if rounding.digits == 0 else scaled / scale
