"""Courses of results: a count of abnormal ones, a change, days with fever."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from random import Random

from wardround.environments.fhir.population import NOW
from wardround.evals.recordtasks.answers import Answer, Number, Text
from wardround.evals.recordtasks.categories.common import (
    INCOMPARABLE,
    LEAD,
    NONE,
    VALID,
    About,
    absence,
    beginning,
    joined,
    no_more,
)
from wardround.evals.recordtasks.desk import Desk
from wardround.evals.recordtasks.filing import (
    DAY,
    HOUR,
    drawn,
    file_result,
    file_series,
    is_empty,
    spread,
    times,
)
from wardround.evals.recordtasks.outcome import Outcome, elsewhen, otherwise, seen
from wardround.evals.recordtasks.reading import (
    Result,
    Solving,
    id_of,
    results,
    since,
    valid,
)
from wardround.evals.recordtasks.tasks import AboutPatient, Category, Who
from wardround.evals.recordtasks.vocabulary import (
    CALCIUM,
    CRP,
    FERRITIN,
    HAEMOGLOBIN,
    NT_PROBNP,
    PLATELETS,
    POTASSIUM,
    SODIUM,
    TEMPERATURE,
    Analyte,
)

WEEK = 7 * DAY


class FlaggedCount(About):
    """Count the results of a week that the laboratory flagged as abnormal."""

    @property
    def words(self) -> Mapping[str, str]:
        """What fills the gaps."""
        return {**super().words, "since": beginning(WEEK)}

    def solve(self) -> Solving:
        """Count what is flagged high or low."""
        patient = yield from id_of(self.mrn)
        found = yield from results(patient, self.analyte)
        inside = since(valid(found), NOW - WEEK)
        all_inside, all_valid = since(found, NOW - WEEK), valid(found)
        misreads = (
            *otherwise("void_value", (Number(_flagged(all_inside)),)),
            *otherwise("counted_all", (Number(len(inside)),)),
            *elsewhen((Number(_flagged(all_valid)),)),
        )
        if not inside:
            misreads = (*otherwise("none_taken_for_normal", (Number(0),)), *misreads)
            return Outcome("none", (NONE,), evidence=absence(patient, self.analyte, WEEK), misreads=misreads)
        count = _flagged(inside)
        branch = "some" if count else "all_normal"
        return Outcome(branch, ((Number(count),),), evidence=seen(*(r.ref for r in inside)), misreads=misreads)


def _flagged(found: Sequence[Result]) -> int:
    return sum(bool(r.flags & {"H", "HH", "L", "LL"}) for r in found)


def _draw_flagged(desk: Desk, branch: str, rng: Random) -> FlaggedCount:
    analyte, start = rng.choice([POTASSIUM, SODIUM, CALCIUM, PLATELETS]), NOW - WEEK
    who = desk.pick(rng, "flagged-count", [analyte.topic], lambda w: is_empty(desk, w, analyte, start))
    odd, even = {"some": (rng.randint(1, 4), 3), "all_normal": (0, rng.randint(3, 5)), "none": (0, 0)}[branch]
    moments = times(rng, start, NOW, odd + even)
    rng.shuffle(moments)
    for place, time in enumerate(moments):
        file_result(desk, who, analyte, time, _outside(rng, analyte) if place < odd else _within(rng, analyte))
    for time in times(rng, start - 5 * DAY, start, 2):
        file_result(desk, who, analyte, time, _outside(rng, analyte))
    if branch == "some":
        file_result(desk, who, analyte, NOW - HOUR / 2, _outside(rng, analyte), status="entered-in-error")
    return FlaggedCount(who, analyte)


def _within(rng: Random, analyte: Analyte) -> float:
    return drawn(rng, analyte, analyte.low, analyte.high)


def _outside(rng: Random, analyte: Analyte) -> float:
    is_low = rng.random() < 0.5
    return drawn(rng, analyte, *((0.92, 0.97) if is_low else (1.03, 1.08)), of=analyte.low if is_low else analyte.high)


FLAGGED = Category(
    slug="flagged-count",
    title="08 count of abnormal results",
    branches={"some": 0.5, "all_normal": 0.25, "none": 0.25},
    writing=frozenset(),
    wordings=(
        "How many {analyte} results of {who} were abnormal in the last 7 days?",
        "Count the flagged {analyte} values of {who} over the past week.",
        "{Who}: number of {analyte} results outside the laboratory's range within 7 days?",
        "In how many of the {analyte} results of the last 7 days did the laboratory raise a flag for {who}?",
        "Go through the {analyte} results of {who} of the previous 7 days and count the abnormal ones.",
        "For the review of {who}, how often was the {analyte} flagged during the last 7 days?",
    ),
    context=joined(
        LEAD,
        "The analyte is {said}. The last 7 days begin at {since}.",
        VALID,
        "A result is abnormal if its interpretation has the code H, HH, L or LL. Answer with the count, 0 "
        "if there are results and none is abnormal, and -1 if there is no result in this time.",
    ),
    draw=_draw_flagged,
)


class Change(About):
    """Give the change between the last two results."""

    def solve(self) -> Solving:
        """Take the last two that count."""
        patient = yield from id_of(self.mrn)
        found = yield from results(patient, self.analyte)
        counted = valid(found)
        void = [self._answer(a, b) for a, b in pairwise(found) if not (a.is_valid and b.is_valid)]
        if len(counted) < 2:
            evidence = (*seen(*(r.ref for r in counted)), *no_more(patient, self.analyte))
            misreads = otherwise("void_value", *void)
            return Outcome("only_one", ((Text(INCOMPARABLE),),), evidence=evidence, misreads=misreads)
        before, last = counted[-2:]
        pairs = pairwise(counted)
        misreads = (
            *otherwise("wrong_sign", self._answer(last, before)),
            *otherwise("void_value", *void),
            *elsewhen(*(self._answer(a, b) for a, b in pairs)),
        )
        branch = "rise" if last.value > before.value else "fall"
        return Outcome(branch, (self._answer(before, last),), evidence=seen(before.ref, last.ref), misreads=misreads)

    def _answer(self, before: Result, last: Result) -> Answer:
        tolerance = 0.0501 * 10.0 ** (1 - self.analyte.digits)
        return (Number(last.value - before.value, tolerance, self.analyte.units),)


def _draw_change(desk: Desk, branch: str, rng: Random) -> Change:
    analyte = rng.choice([FERRITIN, NT_PROBNP, CRP, HAEMOGLOBIN] if branch != "only_one" else [FERRITIN, NT_PROBNP])
    start = NOW - 4 * DAY

    def fits(who: Who) -> bool:
        return is_empty(desk, who, analyte, start if branch != "only_one" else datetime.min.replace(tzinfo=UTC))

    who = desk.pick(rng, "change", [analyte.topic], fits)
    moments = times(rng, start, NOW, 4)
    values = sorted((value for _, value in spread(rng, analyte, moments)), reverse=branch == "fall")
    kept = {"only_one": [(1, "final")]}.get(branch, [(0, "final"), (1, "final"), (2, "final")])
    for place, status in [*kept, (3, "entered-in-error")]:
        file_result(desk, who, analyte, moments[place], values[place], status=status)
    return Change(who, analyte)


CHANGE = Category(
    slug="change",
    title="09 change between the last two results",
    branches={"rise": 0.35, "fall": 0.35, "only_one": 0.3},
    writing=frozenset(),
    wordings=(
        "By how much has the {analyte} of {who} changed since the result before?",
        "Compare the last two {analyte} results of {who} and give the difference.",
        "{Who}: change of {analyte} from the second last to the last result?",
        "How does the newest {analyte} of {who} differ from the one before it?",
        "Give the change in {analyte} between the two latest measurements of {who}.",
        "Is the {analyte} of {who} going up or down? Report the difference of the last two values.",
    ),
    context=joined(
        LEAD,
        "The analyte is {said}.",
        VALID,
        "Answer with the last result minus the one before it in {unit}, negative where it fell. If there "
        'are fewer than two results that count, answer "not comparable".',
    ),
    draw=_draw_change,
)


FEVER = 38.0
"""Degrees Celsius; a common clinical definition of fever."""
FIRST_DAY = (NOW - 6 * DAY).date()


class FeverDays(AboutPatient):
    """Count the days of a week on which fever was recorded."""

    @property
    def words(self) -> Mapping[str, str]:
        """What fills the gaps."""
        days = {"first": FIRST_DAY.isoformat(), "last": NOW.date().isoformat()}
        return {"said": TEMPERATURE.said, "fever": f"{FEVER:.1f}", **days}

    def solve(self) -> Solving:
        """Count the days with at least one reading of fever."""
        patient = yield from id_of(self.mrn)
        found = yield from results(patient, TEMPERATURE)
        start = NOW.replace(hour=0, minute=0, second=0, microsecond=0) - 6 * DAY
        inside = since(valid(found), start)
        misreads = (
            *otherwise("counted_readings", (Number(sum(r.value >= FEVER for r in inside)),)),
            *otherwise("void_value", (Number(_fever_days(since(found, start))),)),
            *elsewhen((Number(_fever_days(valid(found))),), (Number(_fever_days(since(valid(found), NOW - WEEK))),)),
        )
        if not inside:
            misreads = (*otherwise("none_taken_for_normal", (Number(0),)), *misreads)
            evidence = absence(patient, TEMPERATURE, NOW - start)
            return Outcome("none", (NONE,), evidence=evidence, misreads=misreads)
        days = _fever_days(inside)
        branch = "fever" if days else "no_fever"
        return Outcome(branch, ((Number(days),),), evidence=seen(*(r.ref for r in inside)), misreads=misreads)


def _fever_days(found: Sequence[Result]) -> int:
    return len({r.time.astimezone(UTC).date() for r in found if r.value >= FEVER})


def _draw_fever(desk: Desk, branch: str, rng: Random) -> FeverDays:
    start = NOW.replace(hour=0, minute=0) - 9 * DAY
    who = desk.pick(rng, "fever-days", [TEMPERATURE.topic], lambda w: is_empty(desk, w, TEMPERATURE, start))
    feverish = rng.sample(range(3, 9), rng.randint(2, 4))
    for day in range(3 if branch != "none" else 9, 9):
        hot = branch == "fever" and day in feverish
        moments = times(rng, start + day * DAY + 6 * HOUR, start + day * DAY + 22 * HOUR, 3)
        readings = [drawn(rng, TEMPERATURE, 38.0, 39.6) if hot and i < 2 else _cool(rng) for i in range(3)]
        file_series(desk, who, TEMPERATURE, zip(moments, readings, strict=True))
    # fever before the week, which is not asked for
    file_result(desk, who, TEMPERATURE, start + 30 * HOUR, drawn(rng, TEMPERATURE, 38.2, 39.4))
    if branch == "fever":
        cold = next(day for day in range(3, 9) if day not in feverish)
        at = start + cold * DAY + 5 * HOUR
        file_result(desk, who, TEMPERATURE, at, drawn(rng, TEMPERATURE, 39.8, 40.6), status="entered-in-error")
    return FeverDays(who)


def _cool(rng: Random) -> float:
    return drawn(rng, TEMPERATURE, 36.2, 37.7)


FEVER_DAYS = Category(
    slug="fever-days",
    title="11 days above a threshold in a week",
    branches={"fever": 0.5, "no_fever": 0.25, "none": 0.25},
    writing=frozenset(),
    wordings=(
        "On how many days of the past week did {who} have a fever?",
        "Count the febrile days of {who} in the last 7 days, today included.",
        "{Who}: how many of the last seven calendar days with fever?",
        "For the infection round: number of days with fever in {who} over the past week?",
        "Go through the temperature chart of {who} and tell me on how many of the last 7 days there was fever.",
        "How many days of fever has {who} had within the week up to today?",
    ),
    context=joined(
        LEAD,
        "The week is the seven days from {first} to {last}, as dates in UTC. Consider the {said}.",
        VALID,
        "A day counts if at least one temperature of it is {fever} Cel or higher. Answer with the number "
        "of days, 0 if temperatures were recorded and none was that high, and -1 if none was recorded in "
        "the week.",
    ),
    draw=_draw_fever,
)
