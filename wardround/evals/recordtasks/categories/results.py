"""Results of the last hours: the latest, a component of a vital sign, a mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from wardround.environments.fhir.population import NOW
from wardround.environments.fhir.population.resources import LOINC
from wardround.evals.recordtasks.answers import Answer, Number
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
    DAY,
    HOUR,
    drawn,
    file_pressure,
    file_result,
    file_series,
    is_empty,
    spread,
    times,
)
from wardround.evals.recordtasks.outcome import Outcome, elsewhen, otherwise, seen
from wardround.evals.recordtasks.reading import (
    COUNTING,
    Resource,
    Result,
    Solving,
    coded,
    id_of,
    moment,
    newest,
    of_patient,
    ref,
    results,
    since,
    valid,
)
from wardround.evals.recordtasks.tasks import AboutPatient, Category, Who
from wardround.evals.recordtasks.vocabulary import (
    ALBUMIN,
    CALCIUM,
    CAPILLARY_GLUCOSE,
    CRP,
    DIASTOLIC,
    PHOSPHATE,
    PLATELETS,
    PRESSURE,
    SODIUM,
    SYSTOLIC,
)
from wardround.tools.fhir.access import mapping, number, objects


class LatestInWindow(InWindow):
    """Give the latest result in the window."""

    def solve(self) -> Solving:
        """Take the last that counts, if it is in the window."""
        patient = yield from id_of(self.mrn)
        found = valid((yield from results(patient, self.analyte)))
        last = newest(since(found, NOW - self.window))
        others = elsewhen(NONE, *map(self.answer, found))
        if last is None:
            return Outcome("older", (NONE,), evidence=absence(patient, self.analyte, self.window), misreads=others)
        return Outcome("in_window", (self.answer(last),), evidence=seen(last.ref), misreads=others)


def _draw_latest(desk: Desk, branch: str, rng: Random) -> LatestInWindow:
    analyte, count = rng.choice([SODIUM, CALCIUM, PHOSPHATE, PLATELETS, CRP, ALBUMIN]), rng.choice([24, 48, 72])
    start = NOW - count * HOUR
    who = desk.pick(rng, "latest-lab", [analyte.topic], lambda w: is_empty(desk, w, analyte, start))
    # one second before the window begins, and often at its very beginning
    moments = [*times(rng, start - 3 * DAY, start, rng.randint(0, 1)), start - timedelta(seconds=1)]
    if branch == "in_window":
        moments += [start] if rng.random() < 0.4 else times(rng, start, NOW, rng.randint(1, 3))
    file_series(desk, who, analyte, spread(rng, analyte, moments))
    return LatestInWindow(who, analyte, count)


LATEST = Category(
    slug="latest-lab",
    title="04 latest result in a window",
    branches={"in_window": 0.7, "older": 0.3},
    writing=frozenset(),
    wordings=(
        "What was the last {analyte} of {who} in the past {hours} hours?",
        "Most recent {analyte} for {who}, looking back {hours} hours at most?",
        "I need the newest {analyte} of {who}. Nothing older than {hours} hours, please.",
        "{Who} had bloods. Give the latest {analyte} from the last {hours} hours.",
        "Read me the latest {analyte} of {who} within {hours} hours.",
        "Before the round: {who}, last {analyte} of the preceding {hours} hours?",
    ),
    context=joined(
        LEAD,
        "The analyte is {said}. The last {hours} hours begin at {since}.",
        VALID,
        NUMBER,
        "Answer with -1 if there is no such result in this time.",
    ),
    draw=_draw_latest,
)


@dataclass(frozen=True)
class LatestPressure(AboutPatient):
    """Give the latest blood pressure, or one component of it."""

    part: str
    """`systolic` or `diastolic`."""

    @property
    def words(self) -> Mapping[str, str]:
        """What fills the gaps."""
        return {"part": self.part, "panel": PRESSURE, "code": self._codes[0]}

    @property
    def _codes(self) -> tuple[str, str]:
        return (SYSTOLIC, DIASTOLIC) if self.part == "systolic" else (DIASTOLIC, SYSTOLIC)

    def solve(self) -> Solving:
        """Take the component of the last panel that counts."""
        patient = yield from id_of(self.mrn)
        found = yield of_patient("Observation", patient, code=PRESSURE)
        panels = sorted(found, key=lambda o: moment(o.get("effectiveDateTime"), ref(o)))
        good = [o for o in panels if o.get("status") in COUNTING and self._value(o, 0) is not None]
        last, wrong = good[-1], self._value(good[-1], 1)
        void = [self._value(o, 0) for o in panels if o not in good]
        misreads = (
            *otherwise("void_value", *((Number(v),) for v in void if v is not None)),
            *otherwise("other_component", *((Number(v),) for v in (wrong,) if v is not None)),
            *elsewhen(*((Number(v),) for o in good if (v := self._value(o, 0)) is not None)),
        )
        branch = "plain" if last is panels[-1] else "latest_void"
        value = self._value(last, 0) or 0.0
        return Outcome(branch, ((_pressure(value),),), evidence=seen(ref(last)), misreads=misreads)

    def _value(self, observation: Resource, place: int) -> float | None:
        for part in objects(observation.get("component")):
            if self._codes[place] in coded(part.get("code"), LOINC):
                return number(mapping(part.get("valueQuantity")).get("value"))
        return None


def _pressure(value: float) -> Number:
    return Number(value, units=frozenset({"mmhg", "mm[hg]", "mm hg"}))


def _draw_pressure(desk: Desk, branch: str, rng: Random) -> LatestPressure:
    start = NOW - 6 * HOUR
    pressures = rng.sample(range(95, 178), 3), rng.sample(range(52, 90), 3)

    def fits(who: Who) -> bool:
        times = (o["effectiveDateTime"] for o in desk.record.of(who.id, "Observation") if "component" in o)
        return all(moment(t, "a blood pressure") < start for t in times)

    who = desk.pick(rng, "latest-pressure", ["pressure"], fits)
    moments = times(rng, start, NOW, 3 if branch == "latest_void" else 2)
    for place, (time, systolic, diastolic) in enumerate(zip(moments, *pressures, strict=False)):
        file_pressure(desk, who, time, systolic, diastolic, "entered-in-error" if place == 2 else "final")
    return LatestPressure(who, rng.choice(["systolic", "diastolic"]))


PRESSURES = Category(
    slug="latest-pressure",
    title="05 latest component of a vital sign",
    branches={"plain": 0.6, "latest_void": 0.4},
    writing=frozenset(),
    wordings=(
        "What is the latest {part} blood pressure of {who}?",
        "Give the most recent {part} pressure on record for {who}.",
        "{Who}: last {part} reading, please.",
        "For the handover I need the newest {part} blood pressure of {who}.",
        "Check the vital signs of {who} and report the last {part} value.",
        "Which {part} blood pressure was recorded last for {who}?",
    ),
    context=joined(
        LEAD,
        "A blood pressure is an Observation with LOINC {panel}; its {part} value is the component with "
        "LOINC {code}, in mmHg.",
        VALID,
        NUMBER,
    ),
    draw=_draw_pressure,
)


class MeanInWindow(InWindow):
    """Give the mean of all results in the window."""

    def solve(self) -> Solving:
        """Take the mean of those that count."""
        patient = yield from id_of(self.mrn)
        found = yield from results(patient, self.analyte)
        counted = valid(found)
        inside = since(counted, NOW - self.window)
        if not inside:
            misreads = elsewhen(*([self._mean(counted)] if counted else []))
            return Outcome("none", (NONE,), evidence=absence(patient, self.analyte, self.window), misreads=misreads)
        misreads = (
            *otherwise("void_value", self._mean(since(found, NOW - self.window))),
            *elsewhen(NONE, self._mean(counted)),
            *otherwise("single_value", *map(self.answer, inside)),
        )
        branch = "one" if len(inside) == 1 else "several"
        evidence = seen(*(r.ref for r in inside))
        return Outcome(branch, (self._mean(inside),), evidence=evidence, misreads=misreads)

    def _mean(self, found: Sequence[Result]) -> Answer:
        mean = sum(r.value for r in found) / len(found)
        # an answer that is rounded to one decimal place is off by 0.05 at most
        return (Number(mean, 0.0501, self.analyte.units),)


def _draw_mean(desk: Desk, branch: str, rng: Random) -> MeanInWindow:
    analyte, count = CAPILLARY_GLUCOSE, rng.choice([24, 48])
    start = NOW - count * HOUR
    who = desk.pick(rng, "mean-glucose", [analyte.topic], lambda w: is_empty(desk, w, analyte, start))
    inside = {"several": rng.randint(3, 7), "one": 1, "none": 0}[branch]
    # what lies before is higher, so that a mean over all is another one
    file_series(desk, who, analyte, [(t, drawn(rng, analyte, 15, 19)) for t in times(rng, start - 2 * DAY, start, 3)])
    moments = times(rng, start, NOW, inside)
    file_series(desk, who, analyte, [(t, drawn(rng, analyte, 5, 12)) for t in moments])
    if branch == "several":
        file_result(desk, who, analyte, moments[0] + HOUR / 30, drawn(rng, analyte, 24, 28), status="entered-in-error")
    return MeanInWindow(who, analyte, count)


MEAN = Category(
    slug="mean-glucose",
    title="06 mean over a window",
    branches={"several": 0.6, "one": 0.15, "none": 0.25},
    writing=frozenset(),
    wordings=(
        "What was the mean {analyte} of {who} over the last {hours} hours?",
        "Average the {analyte} readings of {who} from the past {hours} hours.",
        "{Who} is on an insulin scheme. Report the average {analyte} of the last {hours} hours.",
        "For titration: mean {analyte}, {who}, previous {hours} hours.",
        "Compute the arithmetic mean of all {analyte} values of {who} in the last {hours} hours.",
        "How high has the {analyte} of {who} been on average during the last {hours} hours?",
    ),
    context=joined(
        LEAD,
        "The analyte is {said}. The last {hours} hours begin at {since}.",
        VALID,
        "Answer with the arithmetic mean in {unit}, rounded to one decimal place or more exactly, as a "
        "number. Answer with -1 if there is no result in this time.",
    ),
    draw=_draw_mean,
)
