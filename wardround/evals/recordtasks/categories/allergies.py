"""Allergies: what is known of one, and a drug that is ordered in spite of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from wardround.environments.fhir.population import NOW
from wardround.environments.fhir.population.resources import ATC, SNOMED
from wardround.evals.recordtasks.answers import Text
from wardround.evals.recordtasks.categories.common import (
    DRUG,
    LEAD,
    ORDER,
    ORDERED,
    joined,
)
from wardround.evals.recordtasks.categories.medicines import atc_of, is_active
from wardround.evals.recordtasks.desk import Desk
from wardround.evals.recordtasks.filing import (
    allergy,
    probe,
)
from wardround.evals.recordtasks.orders import DrugOrder
from wardround.evals.recordtasks.outcome import Outcome, Sought, otherwise, seen
from wardround.evals.recordtasks.reading import Resource, Solving, coded, id_of, of_patient, ref
from wardround.evals.recordtasks.tasks import AboutPatient, Category, Who
from wardround.evals.recordtasks.vocabulary import Drug
from wardround.tools.fhir.access import mapping, objects, string


@dataclass(frozen=True)
class DrugClass:
    """A class of drugs that an allergy may be to."""

    name: str
    atc: str
    """Level of the ATC system that holds the class."""
    member: str
    """A drug of it."""
    member_atc: str


CLASSES = (
    DrugClass("penicillins", "J01C", "Amoxicillin", "J01CA04"),
    DrugClass("macrolides", "J01FA", "Azithromycin", "J01FA10"),
    DrugClass("fluoroquinolones", "J01MA", "Ciprofloxacin", "J01MA02"),
    DrugClass("statins", "C10AA", "Atorvastatin", "C10AA05"),
    DrugClass("ACE inhibitors", "C09A", "Ramipril", "C09AA05"),
)


NO_KNOWN = "716186003"
"""SNOMED CT: no known allergy."""


def is_allergy_in_force(entry: Resource) -> bool:
    """Whether an AllergyIntolerance stands: active, and neither refuted nor entered in error."""
    clinical = {string(c.get("code")) for c in objects(mapping(entry.get("clinicalStatus")).get("coding"))}
    sure = {string(c.get("code")) for c in objects(mapping(entry.get("verificationStatus")).get("coding"))}
    return "active" in clinical and not sure & {"refuted", "entered-in-error"}


def concerns(entry: Resource, drugs: DrugClass) -> bool:
    """Whether an AllergyIntolerance is to a class or to its drug: by ATC code, or by the name of the class."""
    codes = coded(entry.get("code"), ATC)
    named = string(mapping(entry.get("code")).get("text")).casefold() == drugs.name.casefold()
    return bool(codes & {drugs.atc, drugs.member_atc}) or named


def titled(name: str) -> str:
    """Return a name as it begins an entry."""
    return name[0].upper() + name[1:]


def any_concern(desk: Desk, who: Who, drugs: DrugClass) -> bool:
    """Whether a patient has any entry about a class, whatever its status."""
    return any(concerns(a, drugs) for a in desk.record.of(who.id, "AllergyIntolerance"))


def says_none_known(entries: Sequence[Resource]) -> bool:
    """Whether a list says that no allergy is known."""
    return any(NO_KNOWN in coded(a.get("code"), SNOMED) and is_allergy_in_force(a) for a in entries)


@dataclass(frozen=True)
class AllergyStatus(AboutPatient):
    """Tell what is known of an allergy: that there is one, that none is known, or nothing."""

    drugs: DrugClass

    @property
    def words(self) -> Mapping[str, str]:
        """What fills the gaps."""
        return {
            "class": self.drugs.name, "atc": self.drugs.atc, "member": self.drugs.member.lower(),
            "member_atc": self.drugs.member_atc,
        }  # fmt: skip

    def solve(self) -> Solving:
        """Read the allergy list; what it does not say is not known."""
        patient = yield from id_of(self.mrn)
        entries = yield of_patient("AllergyIntolerance", patient)
        found = [a for a in entries if concerns(a, self.drugs) and is_allergy_in_force(a)]
        denied = otherwise("unknown_taken_for_none", (Text("no known allergies"),))
        if found:
            answers = tuple((Text("allergic"), Text(string(a.get("criticality")))) for a in found)
            misreads = (*denied, *otherwise("overlooked", (Text("not documented"),)))
            return Outcome("documented", answers, evidence=seen(*map(ref, found)), misreads=misreads)
        if says_none_known(entries):
            evidence = seen(*(ref(a) for a in entries if NO_KNOWN in coded(a.get("code"), SNOMED)))
            misreads = otherwise("overlooked", (Text("not documented"),))
            return Outcome("none_known", ((Text("no known allergies"),),), evidence=evidence, misreads=misreads)
        person = replace(self.who, id=patient)
        evidence_of = (Sought(probe("AllergyIntolerance", allergy(person, self.drugs.name, self.drugs.atc, "low"))),)
        return Outcome("not_documented", ((Text("not documented"),),), evidence=evidence_of, misreads=denied)


def _draw_allergy(desk: Desk, branch: str, rng: Random) -> AllergyStatus:
    drugs = rng.choice(CLASSES)

    def fits(who: Who) -> bool:
        entries = desk.record.of(who.id, "AllergyIntolerance")
        is_none_known = any(NO_KNOWN in coded(a.get("code"), SNOMED) for a in entries)
        return is_none_known == (branch == "none_known") and not any_concern(desk, who, drugs)

    who = desk.pick(rng, "allergy-status", [f"allergy {drugs.name}"], fits)
    if branch == "documented":
        name, code = rng.choice([(titled(drugs.name), drugs.atc), (drugs.member, drugs.member_atc)])
        content = allergy(who, name, code, rng.choice(["low", "high"]))
        desk.file(who.id, "AllergyIntolerance", "all", content)
    return AllergyStatus(who, drugs)


ALLERGY = Category(
    slug="allergy-status",
    title="15 allergy status",
    branches={"documented": 0.5, "none_known": 0.25, "not_documented": 0.25},
    writing=frozenset(),
    wordings=(
        "Is {who} allergic to {class}?",
        "What does the record say about an allergy of {who} to {class}?",
        "Before giving {member} to {who}: what is documented about {class}?",
        "Check the allergy list of {who} for {class}.",
        "{Who}: allergy to {class}? Say how critical it is.",
        "Tell me the allergy status of {who} as regards {class}.",
    ),
    context=joined(
        LEAD,
        "An allergy to {class} is an AllergyIntolerance with clinicalStatus active, neither refuted nor "
        "entered in error, for the class (ATC {atc}) or for {member} (ATC {member_atc}; system "
        'http://www.whocc.no/atc). If there is one, answer "allergic" and its criticality as two '
        "elements. If there is none but the record states that there are no known allergies (SNOMED CT "
        '716186003), answer "no known allergies". Otherwise answer "not documented".',
    ),
    draw=_draw_allergy,
)


COURSES: Mapping[str, Drug] = {
    "J01CA04": Drug("Amoxicillin", "J01CA04", 500, "mg", 3),
    "J01FA10": Drug("Azithromycin", "J01FA10", 500, "mg", 1),
    "J01MA02": Drug("Ciprofloxacin", "J01MA02", 500, "mg", 2),
    "C10AA05": Drug("Atorvastatin", "C10AA05", 40, "mg", 1),
    "C09AA05": Drug("Ramipril", "C09AA05", 2.5, "mg", 1),
}
"""A usual adult dose of the drug of each class, by ATC code."""
_UNRELATED = ("Latex", "House dust mite", "Peanut")


@dataclass(frozen=True)
class UnlessAllergic(AboutPatient):
    """Prescribe a drug unless the patient is allergic to it or to its class."""

    drugs: DrugClass

    @property
    def _drug(self) -> Drug:
        return COURSES[self.drugs.member_atc]

    @property
    def words(self) -> Mapping[str, str]:
        """What fills the gaps."""
        drug = self._drug
        often = {1: "once a day", 2: "twice a day", 3: "three times a day"}[drug.per_day]
        return {
            "drug": drug.said, "Drug": drug.name, "atc": drug.atc, "class": self.drugs.name,
            "class_atc": self.drugs.atc, "dose": f"{drug.dose:g} {drug.unit} by mouth {often}",
        }  # fmt: skip

    def solve(self) -> Solving:
        """Look at the allergies that stand."""
        patient = yield from id_of(self.mrn)
        entries = yield of_patient("AllergyIntolerance", patient)
        named = [a for a in entries if concerns(a, self.drugs)]
        found = [a for a in named if is_allergy_in_force(a)]
        if found:
            misreads = otherwise("allergy_overlooked", (Text(ORDERED),))
            is_drug = any(self.drugs.member_atc in _atc(a) for a in found)
            branch = "drug" if is_drug else "class"
            return Outcome(branch, ((Text("allergy"),),), evidence=seen(*map(ref, found)), misreads=misreads)
        drug = self._drug
        order = DrugOrder(patient, NOW, drug.atc, drug.name, drug.route, drug.dose, drug.unit, drug.per_day)
        like = allergy(replace(self.who, id=patient), titled(self.drugs.name), self.drugs.atc, "low")
        evidence = (Sought(probe("AllergyIntolerance", like)),)
        misreads = otherwise("other_allergy_taken", (Text("allergy"),))
        others = [a for a in entries if is_allergy_in_force(a) and NO_KNOWN not in coded(a.get("code"), SNOMED)]
        branch = "refuted" if named else "other" if others else "clear"
        return Outcome(branch, ((Text(ORDERED),),), (order,), evidence, misreads)


def _atc(entry: Resource) -> frozenset[str]:
    return coded(entry.get("code"), ATC)


def _draw_unless(desk: Desk, branch: str, rng: Random) -> UnlessAllergic:
    drugs = rng.choice(CLASSES)

    def fits(who: Who) -> bool:
        entries = desk.record.of(who.id, "AllergyIntolerance")
        is_none_known = any(NO_KNOWN in coded(a.get("code"), SNOMED) for a in entries)
        # nobody files an allergy where none is known, so that a clear list stays clear
        is_right = is_none_known == (branch == "clear")
        return is_right and not any_concern(desk, who, drugs) and not _takes_class(desk, who, drugs)

    topics = [f"allergy {drugs.name}", f"drug {drugs.member_atc}"]
    who = desk.pick(rng, "allergy-trap", topics, fits)
    contents = {
        "class": allergy(who, titled(drugs.name), drugs.atc, "high"),
        "drug": allergy(who, drugs.member, drugs.member_atc, "high"),
        "refuted": allergy(who, titled(drugs.name), drugs.atc, "low", verification="refuted"),
        "other": {**allergy(who, rng.choice(_UNRELATED), None, "low"), "category": ["environment"]},
    }
    if branch in contents:
        desk.file(who.id, "AllergyIntolerance", "all", contents[branch])
    return UnlessAllergic(who, drugs)


def _takes_class(desk: Desk, who: Who, drugs: DrugClass) -> bool:
    requests = desk.record.of(who.id, "MedicationRequest")
    return any(is_active(r) and atc_of(r).startswith(drugs.atc) for r in requests)


ALLERGY_TRAP = Category(
    slug="allergy-trap",
    title="24 allergy to what is ordered",
    branches={"class": 0.3, "drug": 0.2, "other": 0.2, "refuted": 0.15, "clear": 0.15},
    writing=frozenset({"other", "refuted", "clear"}),
    wordings=(
        "Start {who} on {drug}, {dose}.",
        "Please prescribe {drug} {dose} for {who}.",
        "{Who} needs {drug}: {dose}. Put the order in if nothing on the allergy list speaks against it.",
        "Write up {drug} for {who} ({dose}), after a look at the allergies.",
        "Order {drug} for {who}. Dose: {dose}.",
        "I have decided on {drug} ({dose}) for {who}. Prescribe it if it is safe as to allergies.",
    ),
    context=joined(
        LEAD,
        "{Drug} (ATC {atc}) belongs to the {class} (ATC {class_atc}). Do not order it if the record "
        "documents an allergy to the drug or to the class: an AllergyIntolerance with clinicalStatus "
        'active that is neither refuted nor entered in error. Then answer "allergy". Otherwise order it '
        'and answer "ordered"; all other contraindications and interactions have been considered.',
        DRUG,
        ORDER,
    ),
    draw=_draw_unless,
)
