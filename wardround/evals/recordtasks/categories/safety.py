"""Orders that may do harm: a duplicate, a drug that the patient is allergic to, a dose that the kidneys do not bear."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from wardround.environments.fhir.population import NOW
from wardround.environments.fhir.population.resources import LOINC
from wardround.evals.recordtasks.answers import Text
from wardround.evals.recordtasks.categories.common import (
    DRUG,
    LEAD,
    NUMBER,
    ORDER,
    ORDERED,
    TEST,
    VALID,
    joined,
)
from wardround.evals.recordtasks.categories.conditional import ByResult
from wardround.evals.recordtasks.categories.medicines import has_drug
from wardround.evals.recordtasks.desk import Desk
from wardround.evals.recordtasks.filing import DAY, drawn, file_order, file_result, is_empty, probe, times
from wardround.evals.recordtasks.orders import DrugOrder, ServiceOrder, Wanted
from wardround.evals.recordtasks.outcome import Outcome, Sought, otherwise, seen
from wardround.evals.recordtasks.reading import Resource, Result, Solving, coded, id_of, of_patient, ref
from wardround.evals.recordtasks.tasks import AboutPatient, Category, Who
from wardround.evals.recordtasks.vocabulary import CBC, CHEST, ECHO, EGFR, LIPIDS, TSH_LEVEL, Drug, Orderable

_UNIQUE = (ECHO, CHEST, LIPIDS, CBC, TSH_LEVEL)


@dataclass(frozen=True)
class OnceOnly(AboutPatient):
    """Order a test unless the same order is open."""

    test: Orderable

    @property
    def words(self) -> Mapping[str, str]:
        """What fills the gaps."""
        return {"test": self.test.said, "code": self.test.code}

    def solve(self) -> Solving:
        """Look for an order of the same test that is active."""
        patient = yield from id_of(self.mrn)
        orders = [o for o in (yield of_patient("ServiceRequest", patient)) if _is_of(o, self.test)]
        still = [o for o in orders if _is_open(o)]
        if still:
            misreads = otherwise("duplicate_ordered", (Text(ORDERED),))
            return Outcome("open", ((Text("duplicate"),),), evidence=seen(ref(still[0])), misreads=misreads)
        order = ServiceOrder(patient, NOW, LOINC, self.test.code, self.test.name)
        like = {**order.payload(), "authoredOn": (NOW - 6 * DAY).isoformat()}
        evidence = (Sought(probe("ServiceRequest", {k: v for k, v in like.items() if k != "resourceType"})),)
        misreads = otherwise("closed_order_taken_for_open", (Text("duplicate"),))
        return Outcome("closed" if orders else "never", ((Text(ORDERED),),), (order,), evidence, misreads)


def _is_of(order: Resource, test: Orderable) -> bool:
    return test.code in coded(order.get("code"), LOINC)


def _is_open(order: Resource) -> bool:
    return order.get("status") == "active" and order.get("intent") == "order"


def _draw_once(desk: Desk, branch: str, rng: Random) -> OnceOnly:
    test = rng.choice(_UNIQUE)

    def fits(who: Who) -> bool:
        orders = [o for o in desk.record.of(who.id, "ServiceRequest") if _is_of(o, test)]
        return not any(map(_is_open, orders)) and not (branch == "never" and orders)

    who = desk.pick(rng, "duplicate-order", [f"order {test.code}"], fits)
    if branch == "open":
        file_order(desk, who, test.name, test.code, "active", NOW - rng.randint(1, 9) * DAY)
    if branch == "closed":
        status = rng.choice(["completed", "revoked"])
        file_order(desk, who, test.name, test.code, status, NOW - rng.randint(1, 9) * DAY)
    return OnceOnly(who, test)


DUPLICATE = Category(
    slug="duplicate-order",
    title="23 duplicate order",
    branches={"open": 0.5, "closed": 0.3, "never": 0.2},
    writing=frozenset({"closed", "never"}),
    wordings=(
        "Order {test} for {who}, unless that is under way already.",
        "Please request {test} for {who}. Do not order it twice.",
        "{Who} should have {test}. Check first whether it has been asked for, then order it if not.",
        "I am not sure whether somebody ordered {test} for {who}. If not, do so.",
        "See to it that there is exactly one open order of {test} for {who}.",
        "Put in {test} for {who} if there is no open request for it.",
    ),
    context=joined(
        LEAD,
        "The order is for {test} (LOINC {code}). It is under way if the record has a ServiceRequest with "
        "this code, status active and intent order; completed and revoked ones do not count. If it is "
        'under way, order nothing and answer "duplicate". Otherwise order it, routine, and answer '
        '"ordered".',
        TEST,
        ORDER,
    ),
    draw=_draw_once,
)


@dataclass(frozen=True)
class RenalRule:
    """How the dose of a drug follows the estimated glomerular filtration rate."""

    drug: Drug
    steps: tuple[tuple[float, float], ...]
    """From which rate in mL/min/1.73 m2 on which dose in the drug's unit; the highest first; below the last none."""

    @property
    def said(self) -> str:
        """The rule in words."""
        often = "once a day" if self.drug.per_day == 1 else "twice a day"
        route = "by mouth" if self.drug.route == "oral" else "subcutaneously"
        (high, full), (low, reduced) = self.steps
        return (
            f"{high:g} or more: {full:g} {self.drug.unit} {route} {often}; {low:g} to below {high:g}: {reduced:g} "
            f"{self.drug.unit} {route} {often}; below {low:g}: do not order it"
        )


RENAL = (
    RenalRule(Drug("Metformin", "A10BA02", 1000, "mg", 2), ((45, 1000), (30, 500))),
    RenalRule(Drug("Enoxaparin", "B01AB05", 40, "mg", 1, "subcutaneous"), ((30, 40), (15, 20))),
)
"""Metformin: at most 2 g a day from 45 and 1 g from 30 on, contraindicated below (European Medicines Agency, 2016).
Enoxaparin for prophylaxis: 40 mg, 20 mg from 15 to 30, not below 15 (European product information, by creatinine
clearance; that the rate is taken for it is our own simplification)."""
RECENT = timedelta(days=90)


@dataclass(frozen=True)
class RenalDose(ByResult):
    """Prescribe by the latest estimated glomerular filtration rate."""

    by: RenalRule

    @property
    def words(self) -> Mapping[str, str]:
        """What fills the gaps."""
        drug = self.by.drug
        return {**super().words, "drug": drug.said, "Drug": drug.name, "atc": drug.atc, "rule": self.by.said}

    def rule(self, last: Result, patient: str) -> tuple[str, tuple[Wanted, ...]]:
        """Take the first step that the rate reaches."""
        drug = self.by.drug
        for name, (bound, dose) in zip(("full", "reduced"), self.by.steps, strict=True):
            if last.value >= bound:
                order = DrugOrder(patient, NOW, drug.atc, drug.name, drug.route, dose, drug.unit, drug.per_day)
                return name, (order,)
        return "contraindicated", ()


def _draw_renal(desk: Desk, branch: str, rng: Random) -> RenalDose:
    rule = rng.choice(RENAL)
    (high, _), (low, _) = rule.steps

    def fits(who: Who) -> bool:
        start = NOW - (RECENT if branch == "none" else 8 * DAY)
        return is_empty(desk, who, EGFR, start) and not has_drug(desk, who, rule.drug.atc)

    who = desk.pick(rng, "renal-dose", [EGFR.topic, f"drug {rule.drug.atc}"], fits)
    bounds = {"full": (high, 92), "reduced": (low, high - 1), "contraindicated": (7, low - 1)}
    before = 78 if branch != "full" else 24
    if branch in bounds:
        first, last = times(rng, NOW - 8 * DAY, NOW - DAY, 2)
        file_result(desk, who, EGFR, first, before)
        file_result(desk, who, EGFR, last, drawn(rng, EGFR, *bounds[branch]))
    file_result(desk, who, EGFR, NOW - RECENT - rng.randint(2, 60) * DAY, before)
    return RenalDose(who, EGFR, RECENT, rule)


RENAL_DOSE = Category(
    slug="renal-dose",
    title="31 dose by kidney function",
    branches={"full": 0.25, "reduced": 0.25, "contraindicated": 0.3, "none": 0.2},
    writing=frozenset({"full", "reduced"}),
    wordings=(
        "Prescribe {drug} for {who}, adjusted to kidney function.",
        "{Who} should get {drug}. Check the latest eGFR and order the dose that the rule gives.",
        "Please order {drug} for {who} in the dose that fits the kidneys.",
        "Write up {drug} for {who}; mind the eGFR.",
        "Put {who} on {drug} if the kidney function allows it, in the right dose.",
        "Start {drug} in {who}. The dose depends on the last eGFR.",
    ),
    context=joined(
        LEAD,
        "Go by the latest {said} of the last 90 days, which begin at {since}.",
        VALID,
        "{Drug} has the ATC code {atc}. Dose by eGFR in mL/min/1.73 m2: {rule}. Without a result in this "
        "time order nothing. All other contraindications have been considered.",
        DRUG,
        ORDER,
        "Answer with the eGFR that you went by, or -1 if there was none.",
        NUMBER,
    ),
    draw=_draw_renal,
    turn=-1,
)
