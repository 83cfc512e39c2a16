"""Results of visits and stays: the extreme of the last stay, two visits compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any

from wardround.environments.fhir.population import NOW
from wardround.environments.fhir.population.resources import TERMINOLOGY
from wardround.evals.recordtasks.answers import Answer, Text
from wardround.evals.recordtasks.categories.common import (
    INCOMPARABLE,
    LEAD,
    NONE,
    NUMBER,
    VALID,
    About,
    absence,
    joined,
)
from wardround.evals.recordtasks.desk import Desk
from wardround.evals.recordtasks.filing import (
    DAY,
    HOUR,
    drawn,
    file_result,
    plain,
    probe,
    results_of,
    valid_of,
)
from wardround.evals.recordtasks.outcome import Outcome, Sought, elsewhen, otherwise, seen
from wardround.evals.recordtasks.reading import (
    Resource,
    Result,
    Solving,
    id_of,
    moment,
    of_patient,
    ref,
    results,
    told,
    valid,
)
from wardround.evals.recordtasks.tasks import Category, Who
from wardround.evals.recordtasks.vocabulary import (
    CREATININE,
    CRP,
    HAEMOGLOBIN,
    PLATELETS,
    POTASSIUM,
    SODIUM,
)
from wardround.tools.fhir.access import mapping

ACT = TERMINOLOGY + "v3-ActCode"


def stays(encounters: Sequence[Resource], kind: str) -> list[Resource]:
    """Return the finished encounters of a class, the earliest first."""
    found = [e for e in encounters if e.get("status") == "finished" and mapping(e.get("class")).get("code") == kind]
    return sorted(found, key=_start)


def _start(encounter: Resource) -> datetime:
    return moment(mapping(encounter.get("period")).get("start"), ref(encounter))


@dataclass(frozen=True)
class StayExtreme(About):
    """Give the highest or lowest result of the last inpatient stay."""

    is_highest: bool

    @property
    def words(self) -> Mapping[str, str]:
        """What fills the gaps."""
        return {**super().words, "end": "highest" if self.is_highest else "lowest"}

    def solve(self) -> Solving:
        """Find the stay, then the results that belong to it."""
        patient = yield from id_of(self.mrn)
        finished = stays((yield of_patient("Encounter", patient)), "IMP")
        found = valid((yield from results(patient, self.analyte)))
        if not finished:
            stay = {"class": {"system": ACT, "code": "IMP"}, "period": {"start": (NOW - 90 * DAY).isoformat()}}
            person = {"subject": {"reference": f"Patient/{patient}"}}
            missing = Sought(probe("Encounter", {"status": "finished", **stay, **person}))
            misreads = elsewhen(*((told(r, self.analyte),) for r in found))
            return Outcome("no_stay", (NONE,), evidence=(missing,), misreads=misreads)
        inside = [r for r in found if r.encounter == ref(finished[-1])]
        extreme = self._extreme(inside)
        misreads = (
            *otherwise("other_end", *((told(r, self.analyte),) for r in inside)),
            *elsewhen(*((told(r, self.analyte),) for r in found if r not in inside)),
        )
        branch = "highest" if self.is_highest else "lowest"
        return Outcome(branch, ((told(extreme, self.analyte),),), evidence=seen(extreme.ref), misreads=misreads)

    def _extreme(self, found: Sequence[Result]) -> Result:
        return (max if self.is_highest else min)(found, key=lambda r: r.value)


_STAY = [POTASSIUM, SODIUM, HAEMOGLOBIN, PLATELETS, CRP, CREATININE]


def _draw_stay(desk: Desk, branch: str, rng: Random) -> StayExtreme:
    analyte = rng.choice(_STAY)

    def finished(who: Who) -> list[Resource]:
        return stays(desk.record.of(who.id, "Encounter"), "IMP")

    if branch == "no_stay":
        return StayExtreme(desk.pick(rng, "stay-extreme", (), lambda w: not finished(w)), analyte, rng.random() < 0.5)

    def fits(who: Who) -> bool:
        last = finished(who)[-1:]
        inside = {r.value for r in valid_of(desk, who, analyte) if last and r.encounter == ref(last[0])}
        return len(inside) > 1

    # few patients have a stay with results of it, so they may come up once for each analyte
    topic = f"stay-extreme {analyte.topic} {branch}"
    return StayExtreme(desk.pick(rng, topic, (), fits), analyte, branch == "highest")


STAY = Category(
    slug="stay-extreme",
    title="07 extreme of the last stay",
    branches={"highest": 0.4, "lowest": 0.35, "no_stay": 0.25},
    writing=frozenset(),
    wordings=(
        "What was the {end} {analyte} of {who} during the last hospital stay?",
        "For the discharge letter: {end} {analyte} of {who} in the most recent completed inpatient stay?",
        "Look at the last finished admission of {who} and give the {end} {analyte}.",
        "{Who}: {end} {analyte} while last in hospital?",
        "Find the previous inpatient stay of {who} and report the {end} {analyte} of it.",
        "Which was the {end} {analyte} measured in {who} on the latest completed ward stay?",
    ),
    context=joined(
        LEAD,
        "A hospital stay is an Encounter of class IMP with status finished; the last one is that with the "
        "latest start. The results of a stay name it as their encounter. The analyte is {said}.",
        VALID,
        NUMBER,
        "Answer with -1 if there was no such stay.",
    ),
    draw=_draw_stay,
)


QUARTER = timedelta(days=90)
"""How far back visits are compared."""
VISITS = timedelta(days=45)
"""How far back the two visits lie that are filed."""
WORSE = 1.3
"""A rise of 30 %: from there NICE NG203 (2021) has the dose of a renin-angiotensin system antagonist reconsidered."""


class VisitCreatinine(About):
    """Compare the creatinine of the last two outpatient visits at which it was measured."""

    @property
    def words(self) -> Mapping[str, str]:
        """What fills the gaps."""
        return {**super().words, "start": (NOW - QUARTER).isoformat()}

    def solve(self) -> Solving:
        """Put results to their visits, then the last two visits side by side."""
        patient = yield from id_of(self.mrn)
        visits = [v for v in stays((yield of_patient("Encounter", patient)), "AMB") if _start(v) >= NOW - QUARTER]
        found = valid((yield from results(patient, self.analyte)))
        measured = [rows for v in visits if (rows := [r for r in found if r.encounter == ref(v)])]
        outside = elsewhen(*(self._answer(a, b) for a, b in pairwise(found)))
        if len(measured) < 2:
            evidence = (*seen(*(rows[-1].ref for rows in measured)), *absence(patient, self.analyte, QUARTER - DAY))
            return Outcome("single", ((Text(INCOMPARABLE),),), evidence=evidence, misreads=outside)
        before, last = measured[-2][-1], measured[-1][-1]
        answer = self._answer(before, last)
        flipped = (*answer[:2], Text("no" if answer[2] == Text("yes") else "yes"))
        misreads = (*otherwise("wrong_conclusion", flipped), *outside)
        branch = "worse" if last.value >= WORSE * before.value else "stable"
        return Outcome(branch, (answer,), evidence=seen(before.ref, last.ref), misreads=misreads)

    def _answer(self, before: Result, last: Result) -> Answer:
        is_worse = last.value >= WORSE * before.value
        return (told(last, self.analyte), told(before, self.analyte), Text("yes" if is_worse else "no"))


def _draw_visits(desk: Desk, branch: str, rng: Random) -> VisitCreatinine:
    analyte, start = CREATININE, NOW - VISITS

    def visits_of(who: Who) -> set[str]:
        return {ref(e) for e in desk.record.of(who.id, "Encounter") if e["class"]["code"] == "AMB"}

    def fits(who: Who) -> bool:
        at_visits = [r for r in results_of(desk, who, analyte) if r.encounter in visits_of(who)]
        # a day more, as a visit begins before its result
        return all(r.time < (NOW - QUARTER - DAY if branch == "single" else start) for r in at_visits)

    who = desk.pick(rng, "visit-creatinine", [analyte.topic], fits)
    first = drawn(rng, analyte, 65, 120)
    # away from the bound, so that rounding does not decide
    ratio = rng.uniform(1.36, 1.9) if branch == "worse" else rng.uniform(0.85, 1.22)
    second = plain(round(first * ratio))
    moments = [
        m.replace(hour=9, minute=0) for m in (start + rng.randint(2, 16) * DAY, start + rng.randint(20, 40) * DAY)
    ]
    for time, value in list(zip(moments, (first, second), strict=True))[0 if branch != "single" else 1 :]:
        visit = _file_visit(desk, who, time)
        file_result(desk, who, analyte, time + HOUR / 4, value, encounter=ref(visit))
    # a later result that belongs to no outpatient visit
    file_result(desk, who, analyte, NOW - rng.randint(2, 40) * HOUR, drawn(rng, analyte, 60, 260))
    return VisitCreatinine(who, analyte)


def _file_visit(desk: Desk, who: Who, start: datetime) -> dict[str, Any]:
    period = {"start": start.isoformat(), "end": (start + HOUR / 2).isoformat()}
    content = {
        "status": "finished",
        "class": {"system": ACT, "code": "AMB", "display": "ambulatory"},
        "type": [{"text": "Internal medicine visit"}],
        "subject": {"reference": f"Patient/{who.id}"},
        "period": period,
        "serviceProvider": {"reference": "Organization/org-hospital"},
    }
    return desk.file(who.id, "Encounter", "enc", content)


VISIT = Category(
    slug="visit-creatinine",
    title="10 two visits compared",
    branches={"worse": 0.4, "stable": 0.3, "single": 0.3},
    writing=frozenset(),
    wordings=(
        "Compare the {analyte} of {who} at the last outpatient visit with that of the visit before. Is it worse?",
        "Has the {analyte} of {who} worsened between the last two clinic visits at which it was measured?",
        "{Who} is followed up as an outpatient. Give the {analyte} of the latest two visits; did it get worse?",
        "Kidney function of {who}: {analyte} at the last clinic visit against the previous one?",
        "Set the two latest outpatient {analyte} values of {who} side by side and judge whether they worsened.",
        "Did the {analyte} of {who} rise in a relevant way from the last clinic visit but one to the last?",
    ),
    context=joined(
        LEAD,
        "A visit is an Encounter of class AMB with status finished that began at {start} or later; its "
        "results name it as their encounter. Only visits with a result of the analyte are compared, in "
        "the order of their start; of several results of a visit the last one is taken. The analyte is "
        "{said}.",
        VALID,
        "Worse means higher by 30 % or more. Answer with three elements: the result of the last visit, "
        'that of the visit before, and "yes" or "no" for worse. If there are fewer than two such visits, '
        'answer "not comparable" alone.',
    ),
    draw=_draw_visits,
)
