"""Orders that depend on a result: the base of them all, a repeat in a window, a test that is due."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from wardround.environments.fhir.population import NOW
from wardround.environments.fhir.population.resources import LOINC
from wardround.evals.recordtasks.answers import Answer, Day
from wardround.evals.recordtasks.categories.common import (
    LEAD,
    NONE,
    NUMBER,
    ORDER,
    TEST,
    VALID,
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
    is_empty,
    results_of,
    times,
)
from wardround.evals.recordtasks.orders import ServiceOrder, Wanted
from wardround.evals.recordtasks.outcome import Evidence, Misread, Outcome, elsewhen, otherwise, seen
from wardround.evals.recordtasks.reading import Result, Solving, id_of, newest, results, since, told, valid
from wardround.evals.recordtasks.tasks import AboutPatient, Category, Who
from wardround.evals.recordtasks.vocabulary import (
    CHOLESTEROL,
    HBA1C,
    LACTATE,
    LIPIDS,
    TSH,
    Analyte,
    Orderable,
    orderable,
)


@dataclass(frozen=True)
class ByResult(AboutPatient):
    """A task whose write depends on the latest result in a window, or on there being none."""

    analyte: Analyte
    window: timedelta

    @property
    def words(self) -> Mapping[str, str]:
        """What fills the gaps."""
        return {"analyte": self.analyte.name, "said": self.analyte.said, "since": beginning(self.window)}

    def solve(self) -> Solving:
        """Look at the latest result that counts, then at the rule."""
        patient = yield from id_of(self.mrn)
        found = yield from results(patient, self.analyte)
        last = newest(since(valid(found), NOW - self.window))
        misreads: tuple[Misread, ...] = (
            *otherwise("void_value", *((told(r, self.analyte),) for r in found if not r.is_valid)),
            *elsewhen(NONE, *((told(r, self.analyte),) for r in valid(found))),
        )
        if last is None:
            evidence: tuple[Evidence, ...] = absence(patient, self.analyte, self.window)
            return Outcome("none", (NONE,), evidence=evidence, misreads=misreads)
        branch, writes = self.rule(last, patient)
        answer: Answer = (told(last, self.analyte),)
        return Outcome(branch, (answer,), writes, seen(last.ref), misreads)

    def rule(self, last: Result, patient: str) -> tuple[str, tuple[Wanted, ...]]:
        """Return the branch and the writes that a result leads to."""
        raise NotImplementedError

    def _test(
        self, patient: str, test: Orderable, priority: str = "routine", due: datetime | None = None
    ) -> ServiceOrder:
        return ServiceOrder(patient, NOW, LOINC, test.code, test.name, priority, due)


def file_decisive(
    desk: Desk, who: Who, analyte: Analyte, window: timedelta, value: float | None, rng: Random, old: float
) -> None:
    """File the deciding result, a mild one before it, and one before the window that would decide otherwise."""
    start = NOW - window
    if value is not None:
        first, last = times(rng, start, NOW - HOUR / 6, 2)
        file_result(desk, who, analyte, first, old)
        file_result(desk, who, analyte, last, value)
    file_result(desk, who, analyte, start - rng.randint(3, 30) * HOUR, old)


REPEAT = NOW + 2 * HOUR
RAISED = 2.0
"""mmol/L; above it the Surviving Sepsis Campaign (2018 bundle) has lactate measured again within 2 to 4 hours."""


class Lactate(ByResult):
    """Have lactate measured again if it is raised."""

    def rule(self, last: Result, patient: str) -> tuple[str, tuple[Wanted, ...]]:
        """Repeat above the bound."""
        if last.value <= RAISED:
            return "normal", ()
        return "raised", (self._test(patient, orderable(LACTATE), "urgent", REPEAT),)


def _draw_lactate(desk: Desk, branch: str, rng: Random) -> Lactate:
    analyte, window = LACTATE, 6 * HOUR
    who = desk.pick(rng, "repeat-in-window", [analyte.topic], lambda w: is_empty(desk, w, analyte, NOW - 3 * DAY))
    bounds = {"raised": (2.1, 5.2), "normal": (0.7, 2.0)}
    value = drawn(rng, analyte, *bounds[branch]) if branch in bounds else None
    file_decisive(desk, who, analyte, window, value, rng, 1.3 if branch == "raised" else 3.4)
    return Lactate(who, analyte, window)


IN_WINDOW = Category(
    slug="repeat-in-window",
    title="21 order if raised in a window",
    branches={"raised": 0.5, "normal": 0.25, "none": 0.25},
    writing=frozenset({"raised"}),
    wordings=(
        "If the last {analyte} of {who} within 6 hours is raised, order a repeat.",
        "{Who} came in with suspected sepsis. Check the {analyte} of the last 6 hours and repeat it if raised.",
        "Look at the latest {analyte} of {who}, 6 hours back at most; request another one if the rule asks for it.",
        "Sepsis bundle for {who}: does the {analyte} of the past 6 hours have to be repeated? If so, order it.",
        "Please decide by the newest {analyte} (last 6 hours) whether {who} needs a repeat, and order it where needed.",
        "Repeat the {analyte} of {who} if the last one, not older than 6 hours, calls for it.",
    ),
    context=joined(
        LEAD,
        "The analyte is {said}. The last 6 hours begin at {since}.",
        VALID,
        "Rule: if the latest result of this time is above 2.0 mmol/L, order a repeat (LOINC 2524-7), "
        "urgent, with occurrenceDateTime 2023-11-13T12:15:00+00:00. Otherwise, also where there is no "
        "result in this time, order nothing.",
        TEST,
        ORDER,
        "Answer with the result that you went by, or -1 if there was none.",
        NUMBER,
    ),
    draw=_draw_lactate,
)


@dataclass(frozen=True)
class Control:
    """A test that is to be repeated at regular intervals."""

    analyte: Analyte
    test: Orderable
    days: int


CONTROLS = (
    Control(HBA1C, orderable(HBA1C), 183),
    Control(TSH, orderable(TSH), 365),
    Control(CHOLESTEROL, LIPIDS, 365),
)
"""HbA1c every 6 months once stable (NICE NG28), TSH yearly on levothyroxine (NICE NG145); lipids yearly, our choice."""


@dataclass(frozen=True)
class DueTest(AboutPatient):
    """Order a test if the last result is too old or there is none."""

    control: Control

    @property
    def words(self) -> Mapping[str, str]:
        """What fills the gaps."""
        control = self.control
        return {
            "analyte": control.analyte.name, "said": control.analyte.said, "test": f"a new {control.test.name}",
            "code": control.test.code, "months": "6 months" if control.days < 365 else "12 months",
            "cut": self._cut.date().isoformat(),
        }  # fmt: skip

    @property
    def _cut(self) -> datetime:
        return (NOW - self.control.days * DAY).replace(hour=0, minute=0)

    def solve(self) -> Solving:
        """Look at the date of the last result that counts."""
        analyte, test = self.control.analyte, self.control.test
        patient = yield from id_of(self.mrn)
        found = yield from results(patient, analyte)
        order = ServiceOrder(patient, NOW, LOINC, test.code, test.name)
        last = newest(valid(found))
        misreads = (
            *otherwise("void_value", *(self._answer(r) for r in found if not r.is_valid)),
            *elsewhen(NONE, *(self._answer(r) for r in valid(found))),
        )
        if last is None:
            evidence = no_more(patient, analyte)
            return Outcome("missing", (NONE,), (order,), evidence, misreads)
        is_old = last.time < self._cut
        writes = (order,) if is_old else ()
        return Outcome("stale" if is_old else "fresh", (self._answer(last),), writes, seen(last.ref), misreads)

    def _answer(self, result: Result) -> Answer:
        return (told(result, self.control.analyte), Day(result.time.date()))


def _draw_due(desk: Desk, branch: str, rng: Random) -> DueTest:
    control = rng.choice(CONTROLS)
    analyte = control.analyte

    def fits(who: Who) -> bool:
        limit = NOW - 800 * DAY if branch == "missing" else NOW - control.days * DAY
        return all(r.time < limit for r in results_of(desk, who, analyte))

    who = desk.pick(rng, "due-test", [analyte.topic], fits)
    low, high = {HBA1C.topic: (5.4, 9.8), TSH.topic: (0.3, 9.0), CHOLESTEROL.topic: (3.2, 7.4)}[analyte.topic]
    if branch == "stale":
        back = rng.randint(control.days + 5, control.days + 90)
        file_result(desk, who, analyte, NOW - back * DAY, drawn(rng, analyte, low, high))
    if branch == "fresh":
        file_result(desk, who, analyte, NOW - rng.randint(10, control.days - 5) * DAY, drawn(rng, analyte, low, high))
    if branch != "fresh" and rng.random() < 0.5:
        at = NOW - rng.randint(3, 40) * DAY
        file_result(desk, who, analyte, at, drawn(rng, analyte, low, high), status="entered-in-error")
    return DueTest(who, control)


DUE = Category(
    slug="due-test",
    title="22 order if old or missing",
    branches={"stale": 0.25, "missing": 0.25, "fresh": 0.5},
    writing=frozenset({"stale", "missing"}),
    wordings=(
        "When was the {analyte} of {who} last measured, and what was it? Order {test} if it is older than {months}.",
        "Is the {analyte} of {who} due? Report the last one with its date and order {test} where it is.",
        "{Who} is here for a check-up. Give the last {analyte} with its date; if it is out of date, request {test}.",
        "See whether the {analyte} of {who} is up to date ({months}). If not, order {test}. Tell me the last result.",
        "Keep the {analyte} of {who} current: last result and date, and an order for {test} if one is needed.",
        "Last {analyte} of {who} and its date, please; {test} has to be ordered unless it is recent enough.",
    ),
    context=joined(
        LEAD,
        "The analyte is {said}.",
        VALID,
        "Rule: it is out of date if the last result is from before {cut} ({months} ago) or if there is no "
        "result at all. Then order {test} (LOINC {code}); otherwise order nothing.",
        TEST,
        ORDER,
        "Answer with two elements: the last result as a number without its unit, and its date as "
        "YYYY-MM-DD. Answer with -1 alone if there is no result at all.",
    ),
    draw=_draw_due,
)
