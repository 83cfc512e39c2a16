"""Changes of what is there: a wrong value, a drug to be stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random

from wardround.environments.fhir.population import NOW
from wardround.evals.recordtasks.answers import Text
from wardround.evals.recordtasks.categories.common import (
    LEAD,
    joined,
)
from wardround.evals.recordtasks.categories.medicines import LONG_TERM, atc_of, has_drug, is_active, probe_drug
from wardround.evals.recordtasks.desk import Desk
from wardround.evals.recordtasks.filing import DAY, drawn, file_drug, file_result, plain, results_of
from wardround.evals.recordtasks.orders import Correction
from wardround.evals.recordtasks.outcome import Outcome, otherwise, seen
from wardround.evals.recordtasks.reading import Result, Solving, id_of, of_patient, ref, results_in
from wardround.evals.recordtasks.tasks import AboutPatient, Category, Who
from wardround.evals.recordtasks.vocabulary import WEIGHT, Drug

CHANGE = (
    "To change a resource, read it and send it back whole with the change and nothing else: POST to the base URL a "
    "Bundle of type transaction with one entry that holds the resource and the request (method PUT, url Type/id); a "
    "tool that updates a resource does the same."
)


@dataclass(frozen=True)
class CorrectWeight(AboutPatient):
    """Take back a wrong weight, or put the right value in its place, if the record has the wrong one."""

    time: datetime
    wrong: float
    right: float | None
    """None where it was another patient's weight, so that there is no right one."""

    @property
    def words(self) -> Mapping[str, str]:
        """What fills the gaps."""
        if self.right is None:
            what = "belongs to another patient and has to be marked as entered in error"
            rule = "set its status to entered-in-error"
        else:
            what = f"has the point in the wrong place and has to be corrected to {self.right:g} kg"
            rule = "set valueQuantity.value to the right number and the status to corrected"
        stamp = f"{self.time:%Y-%m-%d} at {self.time:%H:%M}"
        return {"wrong": f"{self.wrong:g} kg", "time": stamp, "what": what, "rule": rule, "code": WEIGHT.codes[0]}

    def solve(self) -> Solving:
        """Find the weight of that time and see whether it is the wrong one and stands."""
        patient = yield from id_of(self.mrn)
        found = yield of_patient("Observation", patient, code=WEIGHT.codes[0])
        at_time = [r for r in results_in(found, WEIGHT) if abs(r.time - self.time) < timedelta(minutes=1)]
        wrong = [r for r in at_time if r.value == self.wrong and r.status != "entered-in-error"]
        if wrong:
            before = next(o for o in found if ref(o) == wrong[0].ref)
            status = "entered-in-error" if self.right is None else "corrected"
            correction = Correction(before, status, self.right)
            misreads = otherwise("overlooked", (Text("nothing to correct"),))
            branch = "void" if self.right is None else "amend"
            return Outcome(branch, ((Text("corrected"),),), (correction,), seen(wrong[0].ref), misreads)
        misreads = otherwise("needless", (Text("corrected"),))
        branch = "void_already" if any(r.status == "entered-in-error" for r in at_time) else "right_already"
        evidence = seen(*(r.ref for r in at_time))
        return Outcome(branch, ((Text("nothing to correct"),),), evidence=evidence, misreads=misreads)


def _draw_weight(desk: Desk, branch: str, rng: Random) -> CorrectWeight:
    start = NOW - 8 * DAY

    def fits(who: Who) -> bool:
        return all(r.time < start for r in results_of(desk, who, WEIGHT))

    who = desk.pick(rng, "correct-entry", [WEIGHT.topic], fits)
    right = _last(results_of(desk, who, WEIGHT)) or drawn(rng, WEIGHT, 58, 96)
    time = (NOW - rng.randint(1, 5) * DAY).replace(hour=8, minute=rng.randrange(0, 60, 5))
    is_slip = branch == "amend" or (branch == "right_already" and rng.random() < 0.5)
    wrong = (
        plain(round(right * 10, 1)) if is_slip else plain(round(right + rng.choice([-1, 1]) * rng.uniform(14, 26), 1))
    )
    filed = {"right_already": (right, "final"), "void_already": (wrong, "entered-in-error")}
    value, status = filed.get(branch, (wrong, "final"))
    file_result(desk, who, WEIGHT, time, value, status=status)
    # another weight, which is right
    file_result(desk, who, WEIGHT, time - 2 * DAY + timedelta(minutes=7), plain(round(right + 0.4, 1)))
    return CorrectWeight(who, time, wrong, right if is_slip else None)


def _last(found: tuple[Result, ...]) -> float | None:
    values = [r.value for r in found if r.is_valid and r.value > 40]
    return plain(round(values[-1], 1)) if values else None


CORRECT = Category(
    slug="correct-entry",
    title="26 correct an error",
    branches={"void": 0.25, "amend": 0.25, "void_already": 0.25, "right_already": 0.25},
    writing=frozenset({"void", "amend"}),
    wordings=(
        "The weight of {wrong} that was charted for {who} on {time} {what}. Please see to it.",
        "{Who}: the body weight of {wrong} entered on {time} {what}.",
        "Somebody noticed that the weight of {wrong} ({time}) in the record of {who} {what}.",
        "Mend the record of {who}: the weight {wrong} of {time} {what}.",
        "There is a mistake in the chart of {who}. The entry of {wrong} on {time} {what}.",
        "Please fix this for {who}: body weight {wrong}, charted {time}, {what}.",
    ),
    context=joined(
        LEAD,
        "Times of day are in UTC. Body weight has the LOINC code {code}. If the Observation of that time "
        "has that value and is not marked as entered in error, {rule}, and leave it otherwise as it is; "
        'write no new Observation. Then answer "corrected". If it is marked as entered in error already, '
        'or has another value, somebody was faster: change nothing and answer "nothing to correct".',
        CHANGE,
    ),
    draw=_draw_weight,
)


@dataclass(frozen=True)
class Stopping:
    """Why a drug is stopped."""

    drug: Drug
    why: str


REASONS = tuple(
    Stopping(next(d for d in LONG_TERM if d.name == name), why)
    for name, why in (
        ("Ramipril", "because of a dry cough"),
        ("Metformin", "because of persistent diarrhoea"),
        ("Amlodipine", "because of ankle swelling"),
        ("Allopurinol", "because of a rash"),
        ("Simvastatin", "because of muscle pain"),
        ("Pantoprazole", "as there is no indication any more"),
    )
)


@dataclass(frozen=True)
class StopDrug(AboutPatient):
    """Stop a drug if it is prescribed."""

    reason: Stopping

    @property
    def words(self) -> Mapping[str, str]:
        """What fills the gaps."""
        drug = self.reason.drug
        return {"drug": drug.said, "Drug": drug.name, "atc": drug.atc, "why": self.reason.why}

    def solve(self) -> Solving:
        """Find the prescription in force."""
        drug = self.reason.drug
        patient = yield from id_of(self.mrn)
        requests = [r for r in (yield of_patient("MedicationRequest", patient)) if atc_of(r) == drug.atc]
        active = [r for r in requests if is_active(r)]
        if active:
            writes = tuple(Correction(r, "stopped") for r in active)
            misreads = otherwise("overlooked", (Text("not active"),))
            return Outcome("active", ((Text("stopped"),),), writes, seen(*map(ref, active)), misreads)
        misreads = otherwise("needless", (Text("stopped"),))
        branch = "past" if requests else "never"
        return Outcome(branch, ((Text("not active"),),), evidence=(probe_drug(patient, drug),), misreads=misreads)


def _draw_stop(desk: Desk, branch: str, rng: Random) -> StopDrug:
    reason = rng.choice(REASONS)
    drug = reason.drug

    def fits(who: Who) -> bool:
        return not has_drug(desk, who, drug.atc)

    who = desk.pick(rng, "stop-drug", [f"drug {drug.atc}"], fits)
    if branch == "past" or (branch == "active" and rng.random() < 0.5):
        earlier = replace(drug, dose=drug.dose / 2)
        file_drug(desk, who, earlier, rng.choice(["completed", "stopped"]), NOW - rng.randint(200, 500) * DAY)
    if branch == "active":
        file_drug(desk, who, drug, "active", NOW - rng.randint(20, 150) * DAY)
    return StopDrug(who, reason)


STOP = Category(
    slug="stop-drug",
    title="27 stop a drug",
    branches={"active": 0.5, "past": 0.3, "never": 0.2},
    writing=frozenset({"active"}),
    wordings=(
        "Stop {drug} in {who} {why}.",
        "Please discontinue {drug} for {who} {why}.",
        "{Who} should not go on with {drug}, {why}. Take it off.",
        "End the {drug} prescription of {who} {why}.",
        "We are taking {who} off {drug} {why}. Update the record.",
        "Discontinue {drug} ({who}) {why}.",
    ),
    context=joined(
        LEAD,
        "{Drug} has the ATC code {atc} (system http://www.whocc.no/atc). It is prescribed if there is a "
        "MedicationRequest for it with status active and intent order. Set the status of such a one to "
        'stopped and leave it otherwise as it is; a statusReason may be added. Then answer "stopped". If '
        'the drug is not prescribed, change nothing and answer "not active".',
        CHANGE,
    ),
    draw=_draw_stop,
)
