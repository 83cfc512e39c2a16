"""Electrolytes replaced by a rule: magnesium by tiers, potassium in proportion with a control."""

from __future__ import annotations

from random import Random

from wardround.environments.fhir.population import NOW
from wardround.evals.recordtasks.categories.common import (
    DRUG,
    LEAD,
    NUMBER,
    ORDER,
    TEST,
    VALID,
    joined,
)
from wardround.evals.recordtasks.categories.conditional import ByResult, file_decisive
from wardround.evals.recordtasks.desk import Desk
from wardround.evals.recordtasks.filing import (
    DAY,
    drawn,
    is_empty,
    valid_of,
)
from wardround.evals.recordtasks.orders import DrugOrder, Wanted
from wardround.evals.recordtasks.reading import Result
from wardround.evals.recordtasks.tasks import Category, Who
from wardround.evals.recordtasks.vocabulary import (
    EGFR,
    MAGNESIUM,
    POTASSIUM,
    orderable,
)


def kidneys_allow(desk: Desk, who: Who) -> bool:
    """Whether the last eGFR, if there is one, allows full doses of electrolytes; no eGFR is filed after these tasks."""
    return all(r.value >= 45 for r in valid_of(desk, who, EGFR)[-1:])


TIERS = ((0.40, 6, 6), (0.60, 4, 4), (0.70, 2, 2))
"""Magnesium: below a bound in mmol/L, g of magnesium sulfate over hours. Our own choice, 1 g an hour, within what
replacement protocols for adults in hospital commonly give."""


class Magnesium(ByResult):
    """Replace magnesium by tiers."""

    def rule(self, last: Result, patient: str) -> tuple[str, tuple[Wanted, ...]]:
        """Take the first tier whose bound the result is below."""
        for name, (bound, grams, hours) in zip(("severe", "moderate", "mild"), TIERS, strict=True):
            if last.value < bound:
                order = DrugOrder(
                    patient, NOW, "B05XA05", "Magnesium sulfate", "intravenous", grams, "g", hours=float(hours)
                )
                return name, (order,)
        return "normal", ()


def _draw_magnesium(desk: Desk, branch: str, rng: Random) -> Magnesium:
    analyte, window = MAGNESIUM, DAY

    def fits(who: Who) -> bool:
        return is_empty(desk, who, analyte, NOW - 3 * DAY) and kidneys_allow(desk, who)

    who = desk.pick(rng, "dose-tiers", [analyte.topic], fits)
    bounds = {"severe": (0.28, 0.39), "moderate": (0.40, 0.59), "mild": (0.60, 0.69), "normal": (0.70, 0.95)}
    value = drawn(rng, analyte, *bounds[branch]) if branch in bounds else None
    file_decisive(desk, who, analyte, window, value, rng, 0.52 if branch in ("normal", "none") else 0.82)
    return Magnesium(who, analyte, window)


DOSE_TIERS = Category(
    slug="dose-tiers",
    title="19 dose by tiers",
    branches={"severe": 0.1, "moderate": 0.2, "mild": 0.2, "normal": 0.3, "none": 0.2},
    writing=frozenset({"severe", "moderate", "mild"}),
    wordings=(
        "Check the {analyte} of {who} of the last 24 hours and replace it by the scheme if it is low.",
        "{Who}: please look at the latest {analyte} (24 hours back at most) and order magnesium as the scheme says.",
        "Does {who} need magnesium? If so, order it by the scheme; go by the last {analyte} of the past 24 hours.",
        "Go by the most recent {analyte} of {who} within 24 hours and prescribe replacement if the scheme asks for it.",
        "Follow the magnesium scheme for {who}, using the latest {analyte} of the preceding 24 hours.",
        "Review today's {analyte} of {who} (last 24 hours). Order intravenous magnesium where the scheme requires it.",
    ),
    context=joined(
        LEAD,
        "The analyte is {said}. The last 24 hours begin at {since}.",
        VALID,
        "Scheme, for magnesium sulfate (ATC B05XA05), intravenous, one infusion: below 0.40 mmol/L give 6 "
        "g over 6 hours; from 0.40 to below 0.60 give 4 g over 4 hours; from 0.60 to below 0.70 give 2 g "
        "over 2 hours; from 0.70 on give nothing. Without a result in this time order nothing. Kidney "
        "function and other drugs have been considered.",
        DRUG,
        "For an infusion give instead of the frequency timing.repeat.duration with durationUnit h.",
        ORDER,
        "Answer with the result that you went by, or -1 if there was none.",
        NUMBER,
    ),
    draw=_draw_magnesium,
)


GOAL, STEP, MOST = 3.5, 10, 40
"""Potassium in mmol/L, mmol by mouth for each 0.1 below it, and mmol in one dose. That 10 mmol raise serum potassium by
about 0.1 mmol/L is a common rule of thumb; the limit is our own choice, single doses by mouth being mostly 20 to 40."""
CONTROL = (NOW + DAY).replace(hour=6, minute=0)


class Potassium(ByResult):
    """Replace potassium in proportion to what is missing, and have it measured again."""

    def rule(self, last: Result, patient: str) -> tuple[str, tuple[Wanted, ...]]:
        """Count tenths below the goal."""
        tenths = round((GOAL - last.value) * 10)
        if tenths <= 0:
            return "normal", ()
        dose = min(STEP * tenths, MOST)
        drug = DrugOrder(patient, NOW, "A12BA01", "Potassium chloride", "oral", dose, "mmol")
        return "low", (drug, self._test(patient, orderable(POTASSIUM), due=CONTROL))


def _draw_potassium(desk: Desk, branch: str, rng: Random) -> Potassium:
    analyte, window = POTASSIUM, DAY

    def fits(who: Who) -> bool:
        return is_empty(desk, who, analyte, NOW - 3 * DAY) and kidneys_allow(desk, who)

    who = desk.pick(rng, "dose-linear", [analyte.topic], fits)
    bounds = {"low": (2.9, 3.4), "normal": (3.5, 4.8)}
    value = drawn(rng, analyte, *bounds[branch]) if branch in bounds else None
    file_decisive(desk, who, analyte, window, value, rng, 4.2 if branch == "low" else 3.1)
    return Potassium(who, analyte, window)


DOSE_LINEAR = Category(
    slug="dose-linear",
    title="20 dose in proportion and a control",
    branches={"low": 0.5, "normal": 0.3, "none": 0.2},
    writing=frozenset({"low"}),
    wordings=(
        "Check the {analyte} of {who} of the last 24 hours. If low, replace it by the rule and order the control.",
        "{Who}: if the latest {analyte} within 24 hours is below goal, order oral potassium and the follow-up level.",
        "Replace potassium in {who} as the rule says, going by the last {analyte} of the past 24 hours.",
        "Please see to the potassium of {who}: latest {analyte} of the last 24 hours, dose and control as below.",
        "Go by the newest {analyte} of {who}, at most 24 hours old, and write the orders that the rule asks for.",
        "Does {who} need potassium today? Look at the last 24 hours and order what is due, control included.",
    ),
    context=joined(
        LEAD,
        "The analyte is {said}. The last 24 hours begin at {since}.",
        VALID,
        "Rule: the goal is 3.5 mmol/L. For each 0.1 mmol/L below it give 10 mmol potassium chloride (ATC "
        "A12BA01) by mouth as one single dose, but at most 40 mmol. With it order a control of the serum "
        "potassium (LOINC 2823-3), routine, with occurrenceDateTime 2023-11-14T06:00:00+00:00. At or "
        "above the goal, or without a result in this time, order nothing. Kidney function and other drugs "
        "have been considered.",
        DRUG,
        "For a single dose leave out the timing.",
        TEST,
        ORDER,
        "Answer with the result that you went by, or -1 if there was none.",
        NUMBER,
    ),
    draw=_draw_potassium,
)
