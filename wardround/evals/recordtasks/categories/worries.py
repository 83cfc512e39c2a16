"""Vague complaints: a result tells whether there is something in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from wardround.environments.fhir.population import NOW
from wardround.evals.recordtasks.categories.common import (
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
    plain,
)
from wardround.evals.recordtasks.orders import Wanted
from wardround.evals.recordtasks.reading import Result
from wardround.evals.recordtasks.tasks import Category
from wardround.evals.recordtasks.vocabulary import (
    ALBUMIN,
    CALCIUM,
    FERRITIN,
    FREE_T4,
    GLUCOSE,
    HAEMOGLOBIN,
    HBA1C,
    INR,
    MAGNESIUM,
    PLATELETS,
    PROTEIN_RATIO,
    TSH,
    Analyte,
    Orderable,
    orderable,
)


@dataclass(frozen=True)
class Worry:
    """A vague complaint, the result that tells whether there is something in it, and what then follows."""

    complaint: str
    analyte: Analyte
    bound: float
    """In the unit of the analyte."""
    is_below: bool
    """Whether results below the bound are acted on; else those above."""
    test: Orderable
    odd: tuple[float, float]
    fine: tuple[float, float]
    """Between which bounds results are made up that are acted on, and that are not."""


WORRIES = (
    Worry("looks pale to the nurse", HAEMOGLOBIN, 10.0, True, orderable(FERRITIN), (7.6, 9.8), (11.8, 15.6)),
    Worry("has been bruising easily, says the family", PLATELETS, 100, True, INR, (38, 96), (160, 380)),
    Worry("complains of cramps in the calves", CALCIUM, 2.1, True, orderable(MAGNESIUM), (1.78, 2.06), (2.2, 2.55)),
    Worry("says that the thirst is getting worse", GLUCOSE, 11.0, False, orderable(HBA1C), (11.6, 19.5), (4.6, 8.6)),
    Worry("has swollen ankles in the evening", ALBUMIN, 30, True, PROTEIN_RATIO, (19, 28), (36, 46)),
    Worry("feels cold and slow these days", TSH, 4.0, False, FREE_T4, (5.2, 18.0), (0.8, 3.4)),
)
"""Bounds are our own choice, well inside what is acted on in practice; made-up results keep away from them."""


@dataclass(frozen=True)
class LookInto(ByResult):
    """Look into a worry, and act only if the result gives reason to."""

    worry: Worry

    @property
    def words(self) -> Mapping[str, str]:
        """What fills the gaps."""
        worry = self.worry
        side = "below" if worry.is_below else "above"
        return {
            **super().words, "complaint": worry.complaint, "test": worry.test.name, "code": worry.test.code,
            "bound": f"{side} {worry.bound:g} {worry.analyte.unit}",
        }  # fmt: skip

    def rule(self, last: Result, patient: str) -> tuple[str, tuple[Wanted, ...]]:
        """Act on the far side of the bound."""
        is_odd = last.value < self.worry.bound if self.worry.is_below else last.value > self.worry.bound
        return ("abnormal", (self._test(patient, self.worry.test),)) if is_odd else ("normal", ())


def _draw_worry(desk: Desk, branch: str, rng: Random) -> LookInto:
    worry, window = rng.choice(WORRIES), 7 * DAY
    analyte = worry.analyte
    who = desk.pick(rng, "vague-worry", [analyte.topic], lambda w: is_empty(desk, w, analyte, NOW - 12 * DAY))
    value = drawn(rng, analyte, *(worry.odd if branch == "abnormal" else worry.fine))
    other = plain(sum(worry.fine if branch == "abnormal" else worry.odd) / 2)
    file_decisive(desk, who, analyte, window, value, rng, plain(round(other, analyte.digits)))
    return LookInto(who, analyte, window, worry)


WORRY = Category(
    slug="vague-worry",
    title="30 a worry that may be nothing",
    branches={"abnormal": 0.5, "normal": 0.5},
    writing=frozenset({"abnormal"}),
    wordings=(
        "{Who} {complaint}. Could you check whether there is anything behind it and do what is needed?",
        "I was told that {who} {complaint}. Please look into it.",
        "Somebody should see if we have to worry: {who} {complaint}.",
        "{Who} {complaint}. Have a look at the recent results and act if they give reason to.",
        "A note from the night shift: {who} {complaint}. Take care of it.",
        "Not sure that it means much, but {who} {complaint}. Check, please.",
    ),
    context=joined(
        LEAD,
        "For this complaint go by the latest {said} of the last 7 days, which begin at {since}.",
        VALID,
        "Rule: if it is {bound}, order {test} (LOINC {code}); otherwise nothing has to be done and "
        "nothing may be ordered.",
        TEST,
        ORDER,
        "Answer with the result that you went by.",
        NUMBER,
    ),
    draw=_draw_worry,
)
