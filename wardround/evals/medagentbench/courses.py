"""Courses of laboratory values over time that lead down a given branch of a task."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from wardround.evals.medagentbench.chart import GLUCOSE, HBA1C, MAGNESIUM, POTASSIUM, Analyte, past
from wardround.evals.medagentbench.facts import Infusion, Level, Recheck, Repletion

Values = list[tuple[datetime, float]]
"""Times and values, in no order of time: a server need not sort them either."""

_MAGNESIUM = {
    "normal": (2.0, 2.1, 2.4),
    "mild": (1.9, 1.7, 1.5),
    "moderate": (1.4, 1.2, 1.0),
    "severe": (0.9, 0.8, 0.6),
}
"""mg/dL, the bounds of the published dosing rule among them."""
_POTASSIUM = {"normal": (3.5, 3.6, 4.1, 4.8), "low": (3.4, 3.3, 3.1, 2.8)}
"""mmol/L, the bound among them."""
_JUST = timedelta(seconds=1)


def course(facts: Level | Infusion | Repletion | Recheck, branch: str, rng: random.Random) -> Values:
    """Return values of a patient that lead a task down a branch of `branches.BRANCHES`.

    Where there is a window there is a value one second before it begins, and often one at its very beginning.
    """
    match facts:
        case Infusion():
            values = _infusion(facts, branch, rng)
        case Repletion():
            values = _repletion(facts, branch, rng)
        case Recheck():
            values = _recheck(facts, branch, rng)
        case Level() if facts.window is None:
            values = _any_time(facts, branch, rng)
        case Level():
            values = _windowed(facts, branch, rng)
    rng.shuffle(values)
    return values


def usual(analyte: Analyte, now: datetime, rng: random.Random) -> Values:
    """Return values that no task asks for."""
    values = [(time, analyte.draw(rng)) for time in past(now, timedelta(days=30), rng.randint(4, 12), rng)]
    rng.shuffle(values)
    return values


def _before(analyte: Analyte, start: datetime, rng: random.Random) -> Values:
    times = past(start, timedelta(days=40), rng.randint(5, 20), rng)
    return [(time, analyte.draw(rng)) for time in (*times, start - _JUST)]


def _inside(start: datetime, now: datetime, count: int, rng: random.Random) -> list[datetime]:
    """Return times in a window, the oldest first, at its bounds as often as not."""
    times = past(now, now - start, count, rng)
    if rng.random() < 0.5:
        times[0] = start
    elif rng.random() < 0.5:
        times[-1] = now
    return times


def _windowed(facts: Level, branch: str, rng: random.Random) -> Values:
    analyte = GLUCOSE if facts.is_mean else MAGNESIUM
    start = facts.now - (facts.window or timedelta())
    if branch == "none" and (not facts.is_mean or rng.random() < 0.5):
        return []
    count = {"none": 0, "older": 0, "one": 1, "several": rng.randint(2, 5)}[branch]
    times = _inside(start, facts.now, count, rng) if count else []
    return [*_before(analyte, start, rng), *((time, analyte.draw(rng)) for time in times)]


def _any_time(facts: Level, branch: str, rng: random.Random) -> Values:
    if branch == "none":
        return []
    times = past(facts.now, timedelta(days=30), rng.randint(12, 40), rng)
    values = [(time, GLUCOSE.draw(rng)) for time in times]
    if branch == "tied":
        time, value = values[-1]
        values += [(time, value + rng.randint(5, 30))]
    return values


def _infusion(facts: Infusion, branch: str, rng: random.Random) -> Values:
    start = facts.now - facts.window
    if branch == "none":
        return _before(MAGNESIUM, start, rng) if rng.random() < 0.5 else []
    times = _inside(start, facts.now, rng.randint(1, 3), rng)
    earlier = [(time, rng.choice(_MAGNESIUM[rng.choice(_others(_MAGNESIUM, branch))])) for time in times[:-1]]
    return [*_before(MAGNESIUM, start, rng), *earlier, (times[-1], rng.choice(_MAGNESIUM[branch]))]


def _repletion(facts: Repletion, branch: str, rng: random.Random) -> Values:
    if branch == "none":
        return []
    times = past(facts.now, timedelta(days=rng.choice([1, 3, 20])), rng.randint(3, 12), rng)
    earlier = [(time, POTASSIUM.draw(rng)) for time in times[:-2]]
    other = rng.choice(_POTASSIUM[_others(_POTASSIUM, branch)[0]])
    return [*earlier, (times[-2], other), (times[-1], rng.choice(_POTASSIUM[branch]))]


def _recheck(facts: Recheck, branch: str, rng: random.Random) -> Values:
    if branch == "none":
        return []
    if branch == "fresh":
        days = (facts.now - facts.oldest).days
        last = rng.choice([facts.oldest, *past(facts.now, timedelta(days=days), 3, rng)])
    else:
        last = rng.choice([facts.oldest - _JUST, *past(facts.oldest, timedelta(days=700), 3, rng)])
    earlier = past(last, timedelta(days=900), rng.randint(0, 4), rng)
    return [(time, HBA1C.draw(rng)) for time in (*earlier, last)]


def _others(choices: Mapping[str, tuple[float, ...]], branch: str) -> Sequence[str]:
    return [name for name in choices if name != branch]
