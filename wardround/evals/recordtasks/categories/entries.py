"""What is written as it is said: a vital sign, a test, a referral."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from wardround.environments.fhir.population import NOW
from wardround.environments.fhir.population.resources import LOINC, SNOMED
from wardround.evals.recordtasks.categories.common import (
    LEAD,
    ORDER,
    joined,
)
from wardround.evals.recordtasks.desk import Desk
from wardround.evals.recordtasks.filing import DAY, HOUR
from wardround.evals.recordtasks.orders import ServiceOrder, VitalEntry, pressure
from wardround.evals.recordtasks.outcome import Outcome
from wardround.evals.recordtasks.reading import Solving, id_of
from wardround.evals.recordtasks.tasks import AboutPatient, Category
from wardround.evals.recordtasks.vocabulary import (
    BMP,
    CBC,
    DIASTOLIC,
    LIPIDS,
    LIVER,
    PRESSURE,
    SYSTOLIC,
    TSH_LEVEL,
    Orderable,
)

DONE = "Answer with an empty list when it is written."


@dataclass(frozen=True)
class Sign:
    """A vital sign that can be recorded, and bounds of what is."""

    name: str
    code: str
    """LOINC."""
    unit: str
    """UCUM."""
    said: str
    """Unit in words."""
    low: int
    high: int
    step: float = 1.0


SIGNS = (
    Sign("heart rate", "8867-4", "/min", "beats per minute", 48, 132),
    Sign("respiratory rate", "9279-1", "/min", "breaths per minute", 11, 28),
    Sign("body temperature", "8310-5", "Cel", "degrees Celsius", 358, 398, 0.1),
    Sign("oxygen saturation", "2708-6", "%", "%", 87, 99),
    Sign("body weight", "29463-7", "kg", "kg", 480, 1180, 0.1),
)


@dataclass(frozen=True)
class RecordVital(AboutPatient):
    """File one vital sign that was measured today."""

    time: datetime
    sign: Sign | None
    """None for a blood pressure."""
    values: tuple[float, ...]
    """One, or systolic and diastolic."""

    @property
    def words(self) -> Mapping[str, str]:
        """What fills the gaps."""
        if self.sign is None:
            systolic, diastolic = self.values
            reading = f"a blood pressure of {systolic:g}/{diastolic:g} mmHg"
            form = (
                f"A blood pressure has the LOINC code {PRESSURE} and no value of its own, but two components with "
                f"valueQuantity in mm[Hg]: {SYSTOLIC} (systolic) and {DIASTOLIC} (diastolic)."
            )
        else:
            reading = f"a {self.sign.name} of {self.values[0]:g} {self.sign.said}"
            reading = reading.replace("a oxygen", "an oxygen")
            form = f"The {self.sign.name} has the LOINC code {self.sign.code} and a valueQuantity in {self.sign.unit}."
        return {"reading": reading, "time": f"{self.time:%H:%M}", "form": form}

    def solve(self) -> Solving:
        """There is nothing to decide."""
        patient = yield from id_of(self.mrn)
        if self.sign is None:
            return Outcome("pressure", (), (pressure(patient, self.time, *self.values),))
        sign = self.sign
        entry = VitalEntry(patient, sign.code, sign.name.capitalize(), self.time, self.values[0], sign.unit)
        return Outcome("single", (), (entry,))


def _draw_vital(desk: Desk, branch: str, rng: Random) -> RecordVital:
    time = NOW - timedelta(minutes=rng.randrange(10, 180, 5))
    who = desk.pick(rng, "record-vital", ())
    if branch == "pressure":
        return RecordVital(who, time, None, (rng.randint(96, 178), rng.randint(54, 98)))
    sign = rng.choice(SIGNS)
    return RecordVital(who, time, sign, (round(rng.randint(sign.low, sign.high) * sign.step, 1),))


VITAL = Category(
    slug="record-vital",
    title="17 record a vital sign",
    branches={"single": 0.7, "pressure": 0.3},
    writing=frozenset({"single", "pressure"}),
    wordings=(
        "I measured {reading} in {who} at {time} today. Please enter it.",
        "Chart {reading} for {who}, taken today at {time}.",
        "{Who} had {reading} at {time} this morning; put it into the record.",
        "Please document {reading} for {who}, time of measurement {time} today.",
        "Add to the vital signs of {who}: {reading}, today {time}.",
        "Enter {reading}, measured today at {time}, for {who}.",
    ),
    context=joined(
        LEAD,
        "Times of day are in UTC. Write a vital sign as one Observation with status final, the patient as "
        "subject, the category vital-signs (system "
        "http://terminology.hl7.org/CodeSystem/observation-category), the code (system http://loinc.org) "
        "and the time of measurement as effectiveDateTime. {form} Units are UCUM codes (system "
        "http://unitsofmeasure.org).",
        DONE,
    ),
    draw=_draw_vital,
)

_LAB_TESTS = (CBC, BMP, LIPIDS, LIVER, TSH_LEVEL)
_WHEN: Mapping[str, tuple[str, datetime]] = {
    "tomorrow at 06:00": ("tomorrow at 06:00", (NOW + DAY).replace(hour=6, minute=0)),
    "today at 16:00": ("today at 16:00", NOW.replace(hour=16, minute=0)),
    "in two days at 08:30": ("in two days at 08:30", (NOW + 2 * DAY).replace(hour=8, minute=30)),
    "in four hours": ("in four hours", NOW + 4 * HOUR),
}


@dataclass(frozen=True)
class OrderTest(AboutPatient):
    """Order a test for a time."""

    test: Orderable
    priority: str
    when: str

    @property
    def words(self) -> Mapping[str, str]:
        """What fills the gaps."""
        return {
            "test": self.test.said,
            "name": self.test.name,
            "code": self.test.code,
            "priority": self.priority,
            "when": self.when,
        }

    def solve(self) -> Solving:
        """There is nothing to decide."""
        patient = yield from id_of(self.mrn)
        due = _WHEN[self.when][1]
        order = ServiceOrder(patient, NOW, LOINC, self.test.code, self.test.name, self.priority, due)
        return Outcome("order", (), (order,))


def _draw_test(desk: Desk, branch: str, rng: Random) -> OrderTest:
    who = desk.pick(rng, "order-test", ())
    return OrderTest(who, rng.choice(_LAB_TESTS), rng.choice(["routine", "urgent", "stat"]), rng.choice(sorted(_WHEN)))


LABORATORY = Category(
    slug="order-test",
    title="18 order a laboratory test",
    branches={"order": 1.0},
    writing=frozenset({"order"}),
    wordings=(
        "Order {test} for {who}, {when}, priority {priority}.",
        "Please request {test} with {priority} priority for {who}, to be drawn {when}.",
        "{Who} needs {test}. Put the order in as {priority}, due {when}.",
        "Book {test} {when} for {who} ({priority}).",
        "I would like {test} on {who}, {priority}, blood to be taken {when}.",
        "Enter a laboratory request for {who}: {name}, {when}, {priority}.",
    ),
    context=joined(
        LEAD,
        "Times of day are in UTC. The {name} has the LOINC code {code} (system http://loinc.org). Write "
        "one ServiceRequest with this code, the priority, and the time it is due as occurrenceDateTime.",
        ORDER,
        DONE,
    ),
    draw=_draw_test,
)


@dataclass(frozen=True)
class Clinic:
    """A specialty that patients are referred to, and questions to it."""

    name: str
    nucc: str
    questions: tuple[str, ...]


CLINICS = (
    Clinic(
        "cardiology", "207RC0000X",
        (
            "Exertional chest tightness for six weeks, normal resting ECG. Please assess for coronary disease.",
            "Palpitations twice a week, one spell of near-syncope. Please arrange rhythm monitoring and advise.",
        ),
    ),
    Clinic(
        "gastroenterology", "207RG0100X",
        (
            "Iron deficiency without visible blood loss. Please consider upper and lower endoscopy.",
            "Difficulty swallowing solids for two months with weight loss of 4 kg. Please see soon.",
        ),
    ),
    Clinic(
        "neurology", "2084N0400X",
        (
            "Two spells of transient weakness of the left arm in a month. Please evaluate and advise on imaging.",
            "Rest tremor of the right hand, slower walking since spring. Parkinson's disease?",
        ),
    ),
    Clinic(
        "nephrology", "207RN0300X",
        (
            "Falling kidney function over one year and albumin in the urine. Please advise on cause and treatment.",
            "Blood pressure above 160 systolic on three drugs. Secondary cause?",
        ),
    ),
    Clinic(
        "dermatology", "207N00000X",
        (
            "Pigmented lesion on the back, 9 mm, changed in colour since August. Please examine.",
            "Plaques on elbows and scalp that do not respond to topical steroid. Please take over treatment.",
        ),
    ),
)  # fmt: skip
"""Specialties by their NUCC code; the questions are invented."""
REFERRAL = "3457005"
"""SNOMED CT: patient referral."""


@dataclass(frozen=True)
class Refer(AboutPatient):
    """Refer to a specialty with a question."""

    clinic: Clinic
    question: str
    priority: str

    @property
    def words(self) -> Mapping[str, str]:
        """What fills the gaps."""
        return {
            "clinic": self.clinic.name, "nucc": self.clinic.nucc, "question": self.question, "priority": self.priority
        }  # fmt: skip

    def solve(self) -> Solving:
        """There is nothing to decide."""
        patient = yield from id_of(self.mrn)
        order = ServiceOrder(
            patient, NOW, SNOMED, REFERRAL, "Patient referral", self.priority,
            note=self.question, performer=self.clinic.nucc,
        )  # fmt: skip
        return Outcome("referral", (), (order,))


def _draw_referral(desk: Desk, branch: str, rng: Random) -> Refer:
    who, clinic = desk.pick(rng, "referral", ()), rng.choice(CLINICS)
    return Refer(who, clinic, rng.choice(clinic.questions), rng.choice(["routine", "urgent"]))


REFER = Category(
    slug="referral",
    title="25 referral with a question",
    branches={"referral": 1.0},
    writing=frozenset({"referral"}),
    wordings=(
        'Refer {who} to {clinic} ({priority}) with this question: "{question}"',
        'Please write a {priority} referral of {who} to {clinic}. Text: "{question}"',
        '{Who} should be seen by {clinic}, {priority}. Put in the note: "{question}"',
        'Send {who} to {clinic}. Priority {priority}. The question is: "{question}"',
        'Order a {clinic} consultation for {who} as {priority} and add the text "{question}"',
        'I want {clinic} to see {who} ({priority}). The referral has to say: "{question}"',
    ),
    context=joined(
        LEAD,
        "Write one ServiceRequest with the SNOMED CT code 3457005 (patient referral; system "
        "http://snomed.info/sct) as code, the specialty as performerType (code {nucc}, system "
        "http://nucc.org/provider-taxonomy), the priority, and the question word for word in a note.",
        ORDER,
        DONE,
    ),
    draw=_draw_referral,
)
