"""Patients drawn from the knowledge base itself, for calibration and consistency tests.

The simulator shares its figures with the inference, so agreement between the two shows that the
arithmetic is consistent. It says nothing of clinical truth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wardround.core.finding import Assertion, Finding
from wardround.knowledge.base import KnowledgeBase

COPY = 0.7
"""Probability that a finding follows its syndrome's common draw; pairwise correlation is COPY squared."""
COMPLAINTS = 3
"""How many complaints a patient names at most; the least common come first."""
HISTORY_RECORDED = 0.8
"""Share of the work-up's questions and signs that a chart holds an answer to."""
TEST_RECORDED = 0.7
"""Share of the work-up's tests that were done."""
_MAX_TRIES = 200


@dataclass(frozen=True)
class SimulatedPatient:
    """A patient whose diagnosis is known because it was drawn first."""

    condition: str
    age: float
    sex: str
    complaints: tuple[str, ...]
    """What the patient came with, the least common first."""
    findings: tuple[Finding, ...]
    """What the chart holds; all else is unknown."""


def simulate(kb: KnowledgeBase, count: int, *, seed: int) -> list[SimulatedPatient]:
    """Draw patients.

    Age and sex come first (uniform over 0 to 90 years), then the condition from its prior at that age
    and sex, then every finding from P(finding | condition), then the complaints: present findings that the
    condition bears on, the least common first, and last what of the complaints' work-up the chart holds.
    What is recorded depends on the complaints alone, never on the condition.

    Args:
        kb: The knowledge.
        count: How many.
        seed: The same seed draws the same patients.
    """
    rng = np.random.default_rng(seed)
    workup = {p: _workup(kb, p) for p in kb.presentations}
    return [_draw(kb, workup, rng) for _ in range(count)]


def _draw(kb: KnowledgeBase, workup: dict[str, tuple[str, ...]], rng: np.random.Generator) -> SimulatedPatient:
    age = float(rng.integers(0, 91))
    sex = "female" if rng.random() < 0.5 else "male"
    prior = kb.prior(age, sex)
    conditions = list(kb.conditions)
    condition = conditions[int(rng.choice(len(conditions), p=prior / prior.sum()))]
    for _ in range(_MAX_TRIES):
        present = draw_findings(kb, condition, sex, rng)
        complaints = sorted(
            {
                code
                for p in kb.presentations.values()
                for code in p.complaints
                if code in present and code in kb.conditions[condition].findings
            },
            key=lambda code: (kb.findings[code].background, code),
        )
        if complaints:
            chosen = complaints[:COMPLAINTS]
            recorded = _recorded(kb, _joint_workup(kb, workup, chosen), chosen, sex, rng)
            return SimulatedPatient(
                condition=condition,
                age=age,
                sex=sex,
                complaints=tuple(chosen),
                findings=tuple(_finding(kb, code, code in present) for code in recorded),
            )
    raise AssertionError(f"{condition} brings no complaint in {_MAX_TRIES} draws; its figures cannot be right")


def draw_findings(kb: KnowledgeBase, condition: str, sex: str, rng: np.random.Generator) -> set[str]:
    """Draw which findings a patient with a condition has; those of one syndrome travel together.

    A narrower finding is drawn among those who have all the broader ones, so that it is as common as its
    figure says, but never commoner than these happen together.
    """
    likelihood = kb.likelihood[:, kb.condition_index[condition]].tolist()
    common = dict(zip(kb.group_names, rng.random(len(kb.group_names)), strict=True))
    own = rng.random(len(kb.findings)).tolist()
    copies = (rng.random(len(kb.findings)) < COPY).tolist()
    present: set[str] = set()
    limit: dict[str, float] = {}
    for code, broad in kb.broad_first.items():
        i = kb.finding_index[code]
        entry = kb.findings[code]
        if entry.sex is not None and entry.sex != sex:
            continue
        if not present.issuperset(broad):
            continue
        rows = [kb.finding_index[b] for b in broad]
        share = likelihood[i] / math.prod(likelihood[row] for row in rows)
        is_one_draw = len(broad) == 1 and copies[i] and copies[rows[0]] and kb.group[code] == kb.group[broad[0]]
        limit[code] = min(1.0, share * (limit[broad[0]] if is_one_draw else 1.0))
        if (common[kb.group[code]] if copies[i] else own[i]) < limit[code]:
            present.add(code)
    return present


def _workup(kb: KnowledgeBase, presentation: str) -> tuple[str, ...]:
    """What is looked for with a presentation: what bears on its conditions, and its red flags."""
    codes = dict.fromkeys(kb.presentations[presentation].complaints)
    codes |= dict.fromkeys(kb.presentations[presentation].red_flags)
    for condition in kb.presentation_conditions[presentation]:
        codes |= dict.fromkeys(kb.conditions[condition].findings)
    return tuple(sorted(codes))


def _joint_workup(kb: KnowledgeBase, workup: dict[str, tuple[str, ...]], complaints: Sequence[str]) -> tuple[str, ...]:
    codes = {code for p in kb.presentations.values() if set(complaints) & set(p.complaints) for code in workup[p.id]}
    return tuple(sorted(codes))


def _recorded(
    kb: KnowledgeBase,
    workup: tuple[str, ...],
    complaints: Sequence[str],
    sex: str,
    rng: np.random.Generator,
) -> list[str]:
    recorded = []
    for code in workup:
        entry = kb.findings[code]
        share = HISTORY_RECORDED if entry.how in ("ask", "examine", "measure") else TEST_RECORDED
        fits = entry.sex is None or entry.sex == sex
        if fits and (rng.random() < share or code in complaints):
            recorded.append(code)
    return recorded


def _finding(kb: KnowledgeBase, code: str, is_present: bool) -> Finding:
    assertion = Assertion.PRESENT if is_present else Assertion.ABSENT
    return Finding(code=code, name=kb.findings[code].name, assertion=assertion)
