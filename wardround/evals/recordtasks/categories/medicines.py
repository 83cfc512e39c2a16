"""What is prescribed: the list of a patient, and how much of a drug a day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random

from wardround.environments.fhir.population import NOW
from wardround.environments.fhir.population.resources import ATC, concept
from wardround.evals.recordtasks.answers import Number, Text
from wardround.evals.recordtasks.categories.common import (
    LEAD,
    joined,
)
from wardround.evals.recordtasks.desk import Desk
from wardround.evals.recordtasks.filing import DAY, file_drug, probe
from wardround.evals.recordtasks.matching import per_day
from wardround.evals.recordtasks.outcome import Outcome, Sought, elsewhen, otherwise, seen
from wardround.evals.recordtasks.reading import Resource, Solving, coded, id_of, of_patient, ref
from wardround.evals.recordtasks.tasks import AboutPatient, Category, Who
from wardround.evals.recordtasks.vocabulary import Drug
from wardround.tools.fhir.access import mapping, number, objects

NOTHING = "none"


def atc_of(request: Resource) -> str:
    """Return the ATC code of a prescription; empty where it has none."""
    return next(iter(sorted(coded(request.get("medicationCodeableConcept"), ATC))), "")


def is_active(request: Resource) -> bool:
    """Whether a prescription is in force."""
    return request.get("status") == "active" and request.get("intent") == "order"


def has_drug(desk: Desk, who: Who, atc: str) -> bool:
    """Whether a patient has any prescription of a drug, whatever its status."""
    return any(atc_of(r) == atc for r in desk.record.of(who.id, "MedicationRequest"))


def probe_drug(patient: str, drug: Drug) -> Sought:
    """Return the evidence that there is no prescription of a drug in force."""
    content = {
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": concept(drug.name, ATC, drug.atc),
        "subject": {"reference": f"Patient/{patient}"},
        "authoredOn": (NOW - 300 * DAY).isoformat(),
    }
    return Sought(probe("MedicationRequest", content))


class MedicationList(AboutPatient):
    """List the drugs that are prescribed now."""

    def solve(self) -> Solving:
        """Take the codes of all prescriptions in force."""
        patient = yield from id_of(self.mrn)
        requests = yield of_patient("MedicationRequest", patient)
        active = [r for r in requests if is_active(r)]
        everything = tuple(Text(code) for code in sorted({atc_of(r) for r in requests}))
        misreads = elsewhen(everything)
        if not active:
            missing = (probe_drug(patient, LONG_TERM[0]),)
            return Outcome("none", ((Text(NOTHING),),), evidence=missing, misreads=misreads, is_set=True)
        answer = tuple(Text(code) for code in sorted({atc_of(r) for r in active}))
        branch = "one" if len(answer) == 1 else "several"
        evidence = seen(*map(ref, active))
        return Outcome(branch, (answer,), evidence=evidence, misreads=misreads, is_set=True)


def _draw_list(desk: Desk, branch: str, rng: Random) -> MedicationList:
    def fits(who: Who) -> bool:
        requests = desk.record.of(who.id, "MedicationRequest")
        codes = {atc_of(r) for r in requests if is_active(r)}
        wanted = {"none": len(codes) == 0, "one": len(codes) == 1, "several": 1 < len(codes) < 12}[branch]
        return wanted and all(atc_of(r) for r in requests)

    return MedicationList(desk.pick(rng, "medication-list", (), fits))


LIST = Category(
    slug="medication-list",
    title="12 active medication list",
    branches={"several": 0.8, "one": 0.1, "none": 0.1},
    writing=frozenset(),
    wordings=(
        "List the ATC codes of all drugs that {who} is prescribed at present.",
        "Which medicines does {who} have on active prescription? Give the ATC codes.",
        "Medication reconciliation for {who}: ATC codes of everything in force.",
        "I am admitting {who}. Give me the current medication list as ATC codes.",
        "Pull the active prescriptions of {who} and answer with their ATC codes.",
        "{Who}: which drugs are running now, by ATC code?",
    ),
    context=joined(
        LEAD,
        "A drug is prescribed at present if there is a MedicationRequest for it with status active and "
        "intent order. ATC codes have the system http://www.whocc.no/atc. Answer with the codes, each "
        'once, in any order; answer "none" if there are none.',
    ),
    draw=_draw_list,
    turn=1,
)


LONG_TERM = (
    Drug("Ramipril", "C09AA05", 5, "mg", 1),
    Drug("Metformin", "A10BA02", 500, "mg", 2),
    Drug("Amlodipine", "C08CA01", 5, "mg", 1),
    Drug("Furosemide", "C03CA01", 40, "mg", 2),
    Drug("Allopurinol", "M04AA01", 300, "mg", 1),
    Drug("Sertraline", "N06AB06", 50, "mg", 1),
    Drug("Levetiracetam", "N03AX14", 500, "mg", 2),
    Drug("Pantoprazole", "A02BC02", 40, "mg", 1),
    Drug("Simvastatin", "C10AA01", 20, "mg", 1),
    Drug("Bisoprolol", "C07AB07", 2.5, "mg", 1),
)
"""Drugs by mouth for long, each with a usual adult dose."""


@dataclass(frozen=True)
class DailyDose(AboutPatient):
    """Tell whether a drug is prescribed now, and how much of it a day."""

    drug: Drug

    @property
    def words(self) -> Mapping[str, str]:
        """What fills the gaps."""
        return {"drug": self.drug.said, "Drug": self.drug.name, "atc": self.drug.atc}

    def solve(self) -> Solving:
        """Take the prescription in force, not an earlier one."""
        patient = yield from id_of(self.mrn)
        requests = [r for r in (yield of_patient("MedicationRequest", patient)) if atc_of(r) == self.drug.atc]
        active = [r for r in requests if is_active(r)]
        others = elsewhen(*((_milligrams(r),) for r in requests))
        if len(active) == 1:
            misreads = (*otherwise("single_dose", (Number(_dose(active[0])),)), *others)
            answer = (_milligrams(active[0]),)
            return Outcome("active", (answer,), evidence=seen(ref(active[0])), misreads=misreads)
        branch = "past" if requests else "never"
        evidence = (probe_drug(patient, self.drug),)
        return Outcome(branch, ((Text("no"),),), evidence=evidence, misreads=others)


def _dose(request: Resource) -> float:
    amounts = (a for d in objects(request.get("dosageInstruction")) for a in objects(d.get("doseAndRate")))
    return number(mapping(mapping(next(amounts, None)).get("doseQuantity")).get("value")) or 0.0


def _milligrams(request: Resource) -> Number:
    return Number(_dose(request) * (per_day(request) or 1.0), units=frozenset({"mg", "mg/d", "mg/day"}))


def _draw_daily(desk: Desk, branch: str, rng: Random) -> DailyDose:
    drug = rng.choice(LONG_TERM)
    topic = f"drug {drug.atc}"
    who = desk.pick(rng, "daily-dose", [topic], lambda w: not has_drug(desk, w, drug.atc))
    drug = replace(drug, dose=drug.dose * rng.choice([1, 2]))
    if branch == "past" or (branch == "active" and rng.random() < 0.6):
        earlier = replace(drug, dose=drug.dose / 2)
        file_drug(desk, who, earlier, rng.choice(["completed", "stopped"]), NOW - rng.randint(200, 500) * DAY)
    if branch == "active":
        file_drug(desk, who, drug, "active", NOW - rng.randint(20, 150) * DAY)
    return DailyDose(who, drug)


DAILY = Category(
    slug="daily-dose",
    title="13 daily dose of a drug",
    branches={"active": 0.5, "past": 0.3, "never": 0.2},
    writing=frozenset(),
    wordings=(
        "Is {who} on {drug}, and if so, how much a day?",
        "What is the present total daily dose of {drug} for {who}?",
        "Check whether {who} takes {drug} and give the dose per day.",
        "{Who} may be taking {drug}. Tell me the current daily dose.",
        "Pharmacy asks for the daily {drug} dose of {who}.",
        "How many milligrams of {drug} a day is {who} prescribed now?",
    ),
    context=joined(
        LEAD,
        "{Drug} has the ATC code {atc} (system http://www.whocc.no/atc). A drug is prescribed now if "
        "there is a MedicationRequest for it with status active and intent order. Answer with the total "
        'dose of one day in mg as a number, or with "no" if the drug is not prescribed now.',
    ),
    draw=_draw_daily,
)
