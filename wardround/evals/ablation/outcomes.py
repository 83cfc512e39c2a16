"""What came out for each patient in one arm, and the figures that are made of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from wardround.agents.roles import ATTENDING
from wardround.core.claim import Claim, Verdict, VerdictLabel
from wardround.core.decision import DecisionStatus
from wardround.evals.calibrating.metrics import auroc
from wardround.evals.gold import GoldAnswer
from wardround.evals.statistics import Array, Estimate, bootstrapped, proportion
from wardround.graphs.consult import Consult
from wardround.testing.erring import Injected
from wardround.trace.events import UncertaintyMeasured

Places = npt.NDArray[np.intp]

MARKED = (VerdictLabel.CONTRADICTED, VerdictLabel.NOT_ADDRESSED)
"""Verdicts that tell a reader not to rely on a claim."""


@dataclass(frozen=True)
class Outcome:
    """One patient in one arm."""

    final: bool
    right: bool
    """Whether the decision is final and right."""
    leading_right: bool
    """Whether the most probable hypothesis is right, final or not."""
    stated: float
    """Probability that is stated of the diagnosis, or of the leading hypothesis where there is none."""
    stated_right: bool
    """Whether that diagnosis is right."""
    uncertainty: float
    """Combined uncertainty of the answer that the specialists favour."""
    favoured_right: bool
    """Whether that answer is right."""
    hallucinated: int = 0
    """Hallucinated claims in the report."""
    unmarked: int = 0
    """Those of them that no verdict marks as unsupported."""
    argued: bool = False
    """Whether the argument of a final decision holds a hallucinated claim that is not marked."""
    calls: int = 0
    """Calls of the model."""

    @property
    def group(self) -> str:
        """Whether it ended right, wrong or abstained."""
        return "abstained" if not self.final else "right" if self.right else "wrong"


def outcome_of(consult: Consult, gold: GoldAnswer, injected: Collection[Injected]) -> Outcome:
    """Return what came out of a consult.

    Args:
        consult: Ended.
        gold: The right answer.
        injected: All hallucinated claims that a model was made to state.
    """
    decision = consult.decision
    top = decision.differential.top
    shown = decision.diagnosis or top
    measured = [event for event in consult.events if isinstance(event, UncertaintyMeasured)]
    false = {(one.agent, one.text, one.evidence) for one in injected}
    claims = [(claim, verdict) for claim, verdict in consult.claims if _key(claim) in false]
    unmarked = [claim for claim, verdict in claims if not _is_marked(verdict)]
    is_final = decision.status is DecisionStatus.FINAL
    return Outcome(
        final=is_final,
        right=is_final and decision.diagnosis is not None and decision.diagnosis.id in gold.conditions,
        leading_right=top is not None and top.id in gold.conditions,
        stated=decision.probability or 0.0,
        stated_right=shown is not None and shown.id in gold.conditions,
        uncertainty=measured[-1].uncertainty.combined if measured else 1.0,
        favoured_right=bool(measured) and measured[-1].answer in gold.conditions,
        hallucinated=len(claims),
        unmarked=len(unmarked),
        argued=is_final and any(claim.agent == ATTENDING for claim in unmarked),
        calls=consult.usage.calls,
    )


def _key(claim: Claim) -> tuple[str, str, tuple[str, ...]]:
    return claim.agent, claim.text, claim.cites


def _is_marked(verdict: Verdict | None) -> bool:
    return verdict is not None and verdict.label in MARKED


@dataclass(frozen=True)
class Arm:
    """The outcomes of all patients in one arm, in one order."""

    outcomes: Sequence[Outcome]

    @cached_property
    def columns(self) -> Mapping[str, Array]:
        """One array of shape (n,) for each thing that is counted."""
        names = {name: np.array([float(getattr(o, name)) for o in self.outcomes]) for name in _COUNTED}
        groups = {g: np.array([float(o.group == g) for o in self.outcomes]) for g in ("right", "wrong", "abstained")}
        return {**names, **groups, "one": np.ones(len(self.outcomes))}

    def figure(self, name: str, places: Places) -> float:
        """Return a figure over some patients, each as often as it is named; NaN where there is nothing to count."""
        return FIGURES[name](self, places)


_COUNTED = (
    "final",
    "leading_right",
    "stated",
    "stated_right",
    "uncertainty",
    "favoured_right",
    "hallucinated",
    "unmarked",
    "argued",
    "calls",
)


def _share(of: str, among: str) -> Callable[[Arm, Places], float]:
    def figure(arm: Arm, places: Places) -> float:
        below = float(arm.columns[among][places].sum())
        return float(arm.columns[of][places].sum()) / below if below else float("nan")

    return figure


def _brier(arm: Arm, places: Places) -> float:
    return float(np.mean((arm.columns["stated"][places] - arm.columns["stated_right"][places]) ** 2))


def _discrimination(arm: Arm, places: Places) -> float:
    right = arm.columns["favoured_right"][places]
    if right.min() == right.max():
        return float("nan")
    return auroc(1.0 - arm.columns["uncertainty"][places], right)


FIGURES: Mapping[str, Callable[[Arm, Places], float]] = {
    "right": _share("right", "one"),
    "wrong": _share("wrong", "one"),
    "abstained": _share("abstained", "one"),
    "error_when_answered": _share("wrong", "final"),
    "leading_right": _share("leading_right", "one"),
    "brier": _brier,
    "uncertainty_auroc": _discrimination,
    "hallucinations_unmarked": _share("unmarked", "hallucinated"),
    "reports_unmarked": _share("argued", "one"),
    "calls": _share("calls", "one"),
}
"""By name: shares of all patients that are answered rightly, answered wrongly and not answered; share of errors among
answers; share of patients whose leading hypothesis is right; Brier score of the stated probability; AUROC of the
combined uncertainty for the specialists' answer being wrong; share of the hallucinated claims that no verdict marks;
share of patients whose final decision is argued with such a claim; calls of the model for each patient."""

DECIDED = ("right", "wrong", "abstained", "error_when_answered", "leading_right")
"""The figures that a rule has as well which asks nobody."""
_PROPORTIONS = ("right", "wrong", "abstained", "leading_right", "reports_unmarked")


def figures(arm: Arm, names: Iterable[str] = FIGURES, *, seed: int = 0) -> dict[str, Estimate]:
    """Return figures of an arm with 95 % intervals: Wilson's for shares of patients, else by resampling patients."""
    return {name: _estimate(arm, name, seed) for name in names}


def _estimate(arm: Arm, name: str, seed: int) -> Estimate:
    if name in _PROPORTIONS:
        column = "argued" if name == "reports_unmarked" else name
        return proportion([bool(hit) for hit in arm.columns[column]])
    return _resampled(lambda places: arm.figure(name, places), len(arm.outcomes), seed)


def differences(full: Arm, off: Arm, *, seed: int = 0) -> dict[str, Estimate]:
    """Return each figure with everything on, less the same without a part, the patients resampled in pairs."""

    def difference(name: str) -> Callable[[Places], float]:
        return lambda places: full.figure(name, places) - off.figure(name, places)

    return {name: _resampled(difference(name), len(full.outcomes), seed) for name in FIGURES}


def _resampled(statistic: Callable[[Places], float], n: int, seed: int) -> Estimate:
    places = np.arange(n, dtype=np.float64)
    return bootstrapped(lambda drawn, _: statistic(drawn.astype(np.intp)), places, places, seed=seed)
