"""Scores of diagnoses: top-1 and top-3, dangerous ones kept, calibration, and what abstaining bought."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wardround.core.decision import DecisionStatus
from wardround.core.differential import Differential
from wardround.evals.calibrating.metrics import slope
from wardround.evals.gold import GoldAnswer
from wardround.evals.statistics import bootstrapped, brier, proportion


@dataclass(frozen=True)
class Outcome:
    """What came out for a case with a known answer."""

    gold: GoldAnswer
    differential: Differential
    kept: frozenset[str]
    """Condition ids that were not excluded."""
    status: DecisionStatus | None = None
    answer: str | None = None
    """Condition id of the decision, where it is final."""

    def ranked(self, count: int) -> bool:
        """Whether the answer is among the first of the differential."""
        return any(h.id in self.gold.conditions for h in self.differential.hypotheses[:count])

    @property
    def right(self) -> bool:
        """Whether a final decision is right."""
        return self.answer in self.gold.conditions


def ranking(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Score the differentials of cases whose answer the knowledge holds."""
    inside = [o for o in outcomes if not o.gold.outside]
    dangerous = [o for o in inside if o.gold.must_not_miss]
    p = np.array([o.differential.hypotheses[0].probability for o in inside])
    y = np.array([float(o.ranked(1)) for o in inside])
    return {
        "top1": proportion([o.ranked(1) for o in inside]).as_json(),
        "top3": proportion([o.ranked(3) for o in inside]).as_json(),
        "must_not_miss_kept": proportion([bool(o.kept & set(o.gold.conditions)) for o in dangerous]).as_json(),
        "brier": bootstrapped(brier, p, y).as_json(),
        "calibration_slope": bootstrapped(slope, p, y).as_json(),
    }


def answering(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Score final decisions and abstentions, cases outside the knowledge apart."""
    inside = [o for o in outcomes if not o.gold.outside]
    outside = [o for o in outcomes if o.gold.outside]
    final = [o for o in outcomes if o.status is DecisionStatus.FINAL]
    return {
        "answered_inside": proportion([o.status is DecisionStatus.FINAL for o in inside]).as_json(),
        "right_when_answered": proportion([o.right for o in final]).as_json(),
        "right_when_answered_inside": proportion(
            [o.right for o in inside if o.status is DecisionStatus.FINAL]
        ).as_json(),
        "abstained_outside": proportion([o.status is not DecisionStatus.FINAL for o in outside]).as_json(),
        "abstained_when_leading_wrong": proportion(
            [o.status is not DecisionStatus.FINAL for o in inside if not o.ranked(1)]
        ).as_json(),
    }
