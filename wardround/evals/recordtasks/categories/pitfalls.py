"""Results that mislead: those that do not count, and those in several units."""

from __future__ import annotations

from random import Random

from wardround.environments.fhir.population import NOW
from wardround.evals.recordtasks.answers import Number
from wardround.evals.recordtasks.categories.common import (
    LEAD,
    NONE,
    NUMBER,
    VALID,
    InWindow,
    absence,
    joined,
)
from wardround.evals.recordtasks.desk import Desk
from wardround.evals.recordtasks.filing import (
    HOUR,
    drawn,
    file_result,
    is_empty,
    plain,
    spread,
    times,
)
from wardround.evals.recordtasks.outcome import Outcome, elsewhen, otherwise, seen
from wardround.evals.recordtasks.reading import (
    Result,
    Solving,
    id_of,
    newest,
    results,
    since,
    valid,
)
from wardround.evals.recordtasks.tasks import Category
from wardround.evals.recordtasks.vocabulary import (
    CREATININE,
    GLUCOSE,
    HAEMOGLOBIN,
    PLATELETS,
    POTASSIUM,
    SODIUM,
)


class LatestThatCounts(InWindow):
    """Give the latest result in the window where later ones do not count."""

    def solve(self) -> Solving:
        """Leave out what was entered in error or is preliminary."""
        patient = yield from id_of(self.mrn)
        found = yield from results(patient, self.analyte)
        inside = since(found, NOW - self.window)
        last, latest_of_all = newest(valid(inside)), newest(inside)
        void = otherwise("void_value", *(self.answer(r) for r in inside if not r.is_valid))
        others = (*void, *elsewhen(NONE, *map(self.answer, valid(found))))
        if last is None:
            evidence = absence(patient, self.analyte, self.window)
            return Outcome("all_void", (NONE,), evidence=evidence, misreads=others)
        is_plain = latest_of_all is None or latest_of_all.is_valid
        branch = "clean" if is_plain else "preliminary" if _status(latest_of_all) == "preliminary" else "error"
        return Outcome(branch, (self.answer(last),), evidence=seen(last.ref), misreads=others)


def _status(result: Result | None) -> str:
    return "" if result is None else result.status


def _draw_void(desk: Desk, branch: str, rng: Random) -> LatestThatCounts:
    analyte, count = rng.choice([SODIUM, POTASSIUM, HAEMOGLOBIN, CREATININE, PLATELETS]), 48
    start = NOW - count * HOUR
    who = desk.pick(rng, "void-result", [analyte.topic], lambda w: is_empty(desk, w, analyte, start))
    series = spread(rng, analyte, times(rng, start, NOW, 3))
    late = {"error": ["entered-in-error"], "preliminary": ["preliminary"], "clean": ["final"], "all_void": []}[branch]
    statuses = (
        ["entered-in-error", "preliminary", "entered-in-error"] if branch == "all_void" else ["final", "final", *late]
    )
    for (time, value), status in zip(series, statuses, strict=True):
        file_result(desk, who, analyte, time, value, status=status)
    return LatestThatCounts(who, analyte, count)


VOID = Category(
    slug="void-result",
    title="29 results that do not count",
    branches={"error": 0.3, "preliminary": 0.3, "all_void": 0.25, "clean": 0.15},
    writing=frozenset(),
    wordings=(
        "Give the latest confirmed {analyte} of {who} from the last {hours} hours.",
        "What is the last reliable {analyte} of {who} within {hours} hours?",
        "{Who}: most recent {analyte} of the last {hours} hours that may be used for a decision?",
        "Report the newest usable {analyte} result of {who}, last {hours} hours.",
        "I want to act on the {analyte} of {who}. Which result of the past {hours} hours is the latest that stands?",
        "Look up {who} and tell me the latest {analyte} that counts, {hours} hours back at most.",
    ),
    context=joined(
        LEAD,
        "The analyte is {said}. The last {hours} hours begin at {since}.",
        VALID,
        NUMBER,
        "Answer with -1 if no result of this time counts.",
    ),
    draw=_draw_void,
)


class HighestInUnit(InWindow):
    """Give the highest result in the window in one unit, where the record has two."""

    def solve(self) -> Solving:
        """Bring all to one unit first."""
        patient = yield from id_of(self.mrn)
        found = valid((yield from results(patient, self.analyte)))
        inside = since(found, NOW - self.window)
        top = max(inside, key=lambda r: r.value)
        naive = max(inside, key=lambda r: r.raw)
        misreads = (
            *otherwise("other_unit", *((Number(r.raw),) for r in inside if r.is_converted)),
            *otherwise("naive_order", *(self.answer(r) for r in (naive,) if r is not top)),
            *elsewhen(*(self.answer(r) for r in found if r not in inside)),
        )
        branch = "converted" if top.is_converted else "native"
        return Outcome(branch, (self.answer(top),), evidence=seen(*(r.ref for r in inside)), misreads=misreads)


def _draw_units(desk: Desk, branch: str, rng: Random) -> HighestInUnit:
    analyte, count = rng.choice([GLUCOSE, CREATININE]), 72
    other, factor = analyte.factors[0]
    low, high = (5.0, 9.0) if analyte is GLUCOSE else (70, 130)
    start = NOW - count * HOUR
    who = desk.pick(rng, "mixed-units", [analyte.topic], lambda w: is_empty(desk, w, analyte, start))
    top = drawn(rng, analyte, 1.3 * high, 2.0 * high)
    moments = rng.sample(times(rng, start, NOW, 4), 4)
    for place, time in enumerate(moments):
        value = top if place == 0 else drawn(rng, analyte, low, high)
        # both units occur in either branch
        is_other = (place == 0) == (branch == "converted") if place < 2 else rng.random() < 0.5
        if is_other:
            digits = 0 if analyte is GLUCOSE else 2
            raw = plain(round(value / factor, digits))
            file_result(desk, who, analyte, time, raw, code=analyte.codes[1], unit=other)
        else:
            file_result(desk, who, analyte, time, value)
    return HighestInUnit(who, analyte, count)


UNITS = Category(
    slug="mixed-units",
    title="28 results in several units",
    branches={"converted": 0.5, "native": 0.5},
    writing=frozenset(),
    wordings=(
        "What was the highest {analyte} of {who} in the last {hours} hours, in {unit}?",
        "Peak {analyte} of {who} over the past {hours} hours ({unit})?",
        "Two laboratories report for {who}. Give the maximum {analyte} of the last {hours} hours in {unit}.",
        "Find the largest {analyte} value of {who} within {hours} hours and state it in {unit}.",
        "How high did the {analyte} of {who} go in the previous {hours} hours? I need it in {unit}.",
        "{Who}: maximum {analyte}, last {hours} hours, expressed in {unit}.",
    ),
    context=joined(
        LEAD,
        "The analyte is {said}. The last {hours} hours begin at {since}.",
        VALID,
        "Answer with the number in {unit}, rounded as results in this unit usually are, or more exactly.",
    ),
    draw=_draw_units,
)
