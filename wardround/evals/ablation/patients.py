"""Simulated patients in words, whose record holds wrong readings and errors that were copied forward.

The patients are drawn from the same knowledge that the reference model reasons with, and the errors are drawn by rule:
what comes out compares rules with one another under known errors. It says nothing of clinical accuracy.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import Field

from wardround.core.case import Case, Record, Sex
from wardround.core.finding import Assertion, Finding
from wardround.core.frozen import Frozen
from wardround.evals.gold import GoldAnswer, Sample
from wardround.knowledge.base import KnowledgeBase
from wardround.knowledge.inference import infer, suggest
from wardround.knowledge.simulator import SimulatedPatient, simulate

LOOKED_FOR = 30
"""Findings that a work-up looks for beside the complaints: those that tell most, given the complaints alone."""
COPIES = 3
"""Later notes that repeat the first one word for word, where it is carried forward."""
ONLY_TODAY, ONLY_NOTED = 0.35, 0.35
"""Shares of the findings that stand in today's note alone and in the earlier note alone; the rest stand in both."""
NOW = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
_FIRST, _EVERY = timedelta(hours=60), timedelta(hours=12)
"""The first note was written so long ago, a copy of it each so many hours later."""


class Corruption(Frozen):
    """At which rates things go wrong."""

    wrong_readings: float = Field(default=0.1, ge=0.0, le=1.0)
    """Share of the findings of the earlier note that are written down as their opposite."""
    copied_errors: float = Field(default=0.5, ge=0.0, le=1.0)
    """Share of the patients whose earlier note, errors and all, is repeated in each of `COPIES` later notes."""
    hallucinations: float = Field(default=0.1, ge=0.0, le=1.0)
    """Probability that a hallucinated claim follows a claim of a specialist or of the attending."""
    erring: float = Field(default=0.3, ge=0.0, le=1.0)
    """Share of the specialists' opinions that name a wrong leading diagnosis."""


@dataclass(frozen=True)
class CorruptedPatient:
    """A patient with a known diagnosis, and what is wrong in the record."""

    sample: Sample
    wrong: tuple[str, ...]
    """Codes of the findings that the earlier note has the wrong way round."""
    copied: bool
    """Whether that note was carried forward."""


def corrupted_patients(kb: KnowledgeBase, count: int, *, seed: int, corruption: Corruption) -> list[CorruptedPatient]:
    """Draw patients, then what is written down of each and where, then the errors.

    Each is drawn by itself: with other rates the same patients come, and the errors at a higher rate include those at a
    lower one.

    Args:
        kb: The knowledge.
        count: How many.
        seed: The same seed draws the same patients.
        corruption: Rates of the errors; those of models play no part here.
    """
    drawn = simulate(kb, count, seed=seed)
    return [_written(kb, patient, n, seed, corruption) for n, patient in enumerate(drawn)]


def _written(
    kb: KnowledgeBase, patient: SimulatedPatient, n: int, seed: int, corruption: Corruption
) -> CorruptedPatient:
    rng = random.Random(f"written {seed} {n}")
    name = f"simulated-{seed}-{n:04d}"
    today: list[Finding] = []
    noted: list[Finding] = []
    wrong: list[str] = []
    for finding in _looked_for(kb, patient):
        where, slip = rng.random(), rng.random()
        if where >= ONLY_NOTED:
            today.append(finding)
        if where < ONLY_NOTED or where >= ONLY_NOTED + ONLY_TODAY:
            is_wrong = slip < corruption.wrong_readings
            noted.append(_opposite(finding) if is_wrong else finding)
            wrong += [finding.code] if is_wrong else []
    copied = rng.random() < corruption.copied_errors
    case = Case(
        id=name,
        age=patient.age,
        sex=Sex(patient.sex),
        complaint=", ".join(kb.findings[code].name for code in patient.complaints),
        narrative=" ".join(_sentence(finding, "There is") for finding in today) or None,
        record=Record(resources=_notes(name, noted, COPIES if copied else 0), origin="simulated"),
        time=NOW,
    )
    condition = kb.conditions[patient.condition]
    gold = GoldAnswer(name=condition.name, conditions=(condition.id,), must_not_miss=condition.must_not_miss)
    return CorruptedPatient(Sample(case=case, gold=gold, style="simulated"), tuple(wrong), copied)


def _looked_for(kb: KnowledgeBase, patient: SimulatedPatient) -> list[Finding]:
    """What of the chart is written down: chosen by the complaints, age and sex alone, never by the diagnosis."""
    known = {finding.code: finding for finding in patient.findings}
    complaints = [known[code] for code in patient.complaints]
    codes, weighed = infer(kb, [(finding, 0.9) for finding in complaints], age=patient.age, sex=patient.sex)
    best = suggest(kb, weighed.posterior, codes, sex=patient.sex, limit=len(kb.findings))
    chosen = [known[one.code] for one in best if one.code in known and one.code not in patient.complaints]
    return chosen[:LOOKED_FOR]


def _opposite(finding: Finding) -> Finding:
    turned = Assertion.ABSENT if finding.assertion is Assertion.PRESENT else Assertion.PRESENT
    return finding.model_copy(update={"assertion": turned})


def _sentence(finding: Finding, opening: str) -> str:
    return f"{opening} {'no ' if finding.assertion is Assertion.ABSENT else ''}{finding.name}."


def _notes(name: str, noted: Sequence[Finding], copies: int) -> tuple[dict[str, Any], ...]:
    """The earlier note and what repeats it, as a record holds them."""
    text = "\n".join(_sentence(finding, "The admitting doctor noted on arrival that there is") for finding in noted)
    if not text:
        return ()
    return tuple(
        {
            "resourceType": "DocumentReference",
            "id": f"{name}-note-{k + 1}",
            "status": "current",
            "date": (NOW - _FIRST + k * _EVERY).isoformat(),
            "content": [
                {
                    "attachment": {
                        "contentType": "text/plain; charset=utf-8",
                        "data": base64.b64encode(text.encode()).decode("ascii"),
                    }
                }
            ],
        }
        for k in range(copies + 1)
    )
