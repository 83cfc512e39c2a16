"""A series told in words: the latest, the mean, the trend; always with how many values and what was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum

from wardround.tools.fhir.series import Reading, Series, common_unit, value_in

SHOWN = 100
"""How many values are listed at most."""
_REASONS = 10
_DAY = 86_400.0


class Statistic(StrEnum):
    """What is wanted of a series."""

    LATEST = "latest"
    FIRST = "first"
    MEAN = "mean"
    MIN = "min"
    MAX = "max"
    COUNT = "count"
    TREND = "trend"
    ALL = "all"


_TIMED = (Statistic.LATEST, Statistic.FIRST, Statistic.TREND)


def told(series: Series, statistic: Statistic, *, unit: str | None = None, now: datetime | None = None) -> str:
    """Return a statistic of a series in words, with n, the time span and what was left out.

    Values of which only a limit is known do not enter mean, min, max and trend; values without a time do
    not enter latest, first and trend.

    Args:
        series: Readings in order of time.
        statistic: What is wanted.
        unit: In which the answer is given; without one as recorded, or the analyte's where units differ.
        now: Values dated after it are counted and named.

    Raises:
        UsageError: The unit is not known, or units differ and cannot be converted.
    """
    name = series.wanted.name
    usable = [r for r in series.readings if _enters(r, statistic)]
    chosen = None if statistic in (Statistic.ALL, Statistic.COUNT) and unit is None else common_unit(series, unit)
    if usable:
        answer = _WRITERS[statistic](usable, _in(series, chosen))
    else:
        answer = "0" if statistic is Statistic.COUNT else "none"
    lines = [f"{name}, {statistic.value}: {answer}", _counted(usable), *_left_out(series, usable, statistic)]
    later = [r for r in usable if now is not None and r.moment is not None and r.moment > now]
    if later and now is not None:
        lines.append(
            f"{len(later)} of these are dated after now ({now.isoformat()}); an end of the window leaves them out"
        )
    return "\n".join(lines)


Valued = Callable[[Reading], tuple[float, str]]


def _enters(reading: Reading, statistic: Statistic) -> bool:
    if statistic in (Statistic.ALL, Statistic.COUNT):
        return True
    needs_number = statistic not in (Statistic.LATEST, Statistic.FIRST)
    return not (statistic in _TIMED and reading.moment is None) and not (needs_number and reading.comparator)


def _in(series: Series, unit: str | None) -> Valued:
    def valued(reading: Reading) -> tuple[float, str]:
        if unit is None:
            return reading.value, reading.unit
        return value_in(reading, unit, series.wanted.analyte), unit

    return valued


def _number(value: float, unit: str) -> str:
    return f"{value:.6g} {unit}".strip()


def _one(reading: Reading, valued: Valued) -> str:
    value, unit = valued(reading)
    recorded = (
        ""
        if (value, unit) == (reading.value, reading.unit)
        else f", recorded as {_number(reading.value, reading.unit)}"
    )
    when = reading.when or "no time recorded"
    place = f"Observation/{reading.observation}, {reading.status or 'no status'}"
    return f"{reading.comparator}{_number(value, unit)} at {when} ({place}{recorded})"


def _at_end(readings: Sequence[Reading], valued: Valued, end: int) -> str:
    same = [r for r in readings if r.moment == readings[end].moment]
    if len({valued(r) for r in same}) == 1:
        return _one(same[0], valued)
    return f"{len(same)} different values at the same time: " + "; ".join(_one(r, valued) for r in same[:SHOWN])


def _mean(readings: Sequence[Reading], valued: Valued) -> str:
    values = [valued(r) for r in readings]
    return _number(sum(value for value, _ in values) / len(values), values[0][1])


def _extreme(choose: Callable[..., Reading]) -> Callable[[Sequence[Reading], Valued], str]:
    return lambda readings, valued: _one(choose(readings, key=lambda r: valued(r)[0]), valued)


def _trend(readings: Sequence[Reading], valued: Valued) -> str:
    """First, last and the least-squares slope per day."""
    moments = [r.moment.timestamp() / _DAY for r in readings if r.moment is not None]
    values = [valued(r)[0] for r in readings]
    unit = valued(readings[0])[1]
    span = max(moments) - min(moments)
    if span == 0:
        return f"no trend: all {len(values)} values are of one time"
    mean_t, mean_v = sum(moments) / len(moments), sum(values) / len(values)
    spread = sum((t - mean_t) ** 2 for t in moments)
    slope = sum((t - mean_t) * (v - mean_v) for t, v in zip(moments, values, strict=True)) / spread
    change = f"{values[-1] - values[0]:+.4g} {unit}".strip()
    return (
        f"from {_number(values[0], unit)} at {readings[0].when} to {_number(values[-1], unit)} at {readings[-1].when}: "
        f"{change} in {span:.3g} days, slope {slope:+.4g} {unit}/day (least squares)"
    )


def _all(readings: Sequence[Reading], valued: Valued) -> str:
    shown = readings[-SHOWN:]
    cut = f" (the latest {SHOWN} of {len(readings)})" if len(shown) < len(readings) else ""
    return f"{len(shown)} values{cut}\n" + "\n".join(_one(r, valued) for r in shown)


_WRITERS: Mapping[Statistic, Callable[[Sequence[Reading], Valued], str]] = {
    Statistic.LATEST: lambda readings, valued: _at_end(readings, valued, -1),
    Statistic.FIRST: lambda readings, valued: _at_end(readings, valued, 0),
    Statistic.MEAN: _mean,
    Statistic.MIN: _extreme(min),
    Statistic.MAX: _extreme(max),
    Statistic.COUNT: lambda readings, _: str(len(readings)),
    Statistic.TREND: _trend,
    Statistic.ALL: _all,
}


def _counted(usable: Sequence[Reading]) -> str:
    times = [r.when for r in usable if r.moment is not None]
    span = f", from {times[0]} to {times[-1]}" if times else ""
    preliminary = sum(r.status in ("preliminary", "registered") for r in usable)
    return f"n={len(usable)}{span}" + (f"; {preliminary} not final" if preliminary else "")


def _left_out(series: Series, usable: Sequence[Reading], statistic: Statistic) -> list[str]:
    kept = set(map(id, usable))
    reasons = [(left.observation, left.reason) for left in series.left_out]
    reasons += [(r.observation, _why_not(r, statistic)) for r in series.readings if id(r) not in kept]
    counts = Counter(reason for _, reason in reasons)
    lines = [
        f"left out {count}: {reason} ({', '.join(f'Observation/{o}' for o, r in reasons if r == reason)[:120]})"
        for reason, count in counts.most_common(_REASONS)
    ]
    if len(counts) > _REASONS:
        more = counts.most_common()[_REASONS:]
        lines.append(f"left out {sum(count for _, count in more)} for {len(more)} more reasons")
    return lines


def _why_not(reading: Reading, statistic: Statistic) -> str:
    if reading.moment is None and statistic in _TIMED:
        return "no time recorded"
    return f"only a limit is known ({reading.comparator}{_number(reading.value, reading.unit)})"
