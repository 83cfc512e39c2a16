"""A calibration card made of labelled consults."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wardround.core.calibration.calibrators import Calibrator
from wardround.core.calibration.card import Card, Fitted, Measured, relevant
from wardround.core.calibration.combined import CombinedModel
from wardround.core.calibration.sets import (
    POOLED,
    ConformalSets,
    RiskControl,
    cost_threshold,
)
from wardround.core.calibration.threshold import Threshold
from wardround.core.errors import UsageError
from wardround.core.frozen import content_id
from wardround.evals.calibrating.combining import LEAST, fit_combined, fitted_certainty, product_certainty
from wardround.evals.calibrating.conforming import conform, control_risk
from wardround.evals.calibrating.consults import Data
from wardround.evals.calibrating.evaluating import evaluate
from wardround.evals.calibrating.figures import paired, reliability, set_figures, stratum
from wardround.evals.calibrating.fitting import FEW, Method, default_method, fit
from wardround.evals.calibrating.reading import Labelled
from wardround.evals.calibrating.splitting import Splits, folds, split
from wardround.evals.calibrating.thresholds import certify
from wardround.evals.calibrating.voting import measure_voters, with_votes
from wardround.evals.statistics import Array

FEWEST = 20
"""Labelled cases below which no figure would be worth its name."""
FOLDS = 5
CALIBRATOR_SHARE = 0.3
CONFORMAL_SHARE = 0.4
"""Of what the calibrator leaves; the certificate needs more cases than the sets."""
MISS_COST = 99.0
"""Cost of dropping a dangerous diagnosis that is there, a false alarm costing 1."""
_COMBINED = ("brier", "nll", "slope", "auroc", "e_aurc")


@dataclass(frozen=True)
class Plan:
    """Levels of the promises and the seed of the division."""

    alpha: float = 0.10
    """Share of wrong answers, and of right diagnoses lost from the set, that is tolerated."""
    delta: float = 0.10
    """Probability that the promise of the threshold is broken."""
    risk: float = 0.05
    """Mean severity of omitted diagnoses that is tolerated, the highest being 1."""
    seed: int = 0


def build_card(
    labelled: Sequence[Labelled],
    *,
    date: dt.date,
    plan: Plan | None = None,
    dangerous: frozenset[str] = frozenset(),
    options: int,
    warnings: Sequence[str] = (),
) -> Card:
    """Fit everything and measure it.

    Args:
        labelled: Consults of one model with one set of settings, in any order.
        date: Of the fitting.
        plan: Levels; the defaults unless given.
        dangerous: Condition ids that must not be missed.
        options: How many diagnoses an answer may be, none of them included.
        warnings: What is known against the data.

    Raises:
        UsageError: There are too few cases, or they come from several models or settings.
    """
    plan = plan or Plan()
    data = Data(sorted(labelled, key=lambda one: one.result.run))
    _require_one_origin(data)
    splits = _splits(data, plan)
    votes = measure_voters(data.taken(splits.calibrator), options=options)
    if votes is not None:
        data = Data(with_votes(data.labelled, votes.voters, options=options))
    calibrators = fit_calibrators(data.taken(splits.calibrator))
    sets, risk = _fit_sets(data.taken(splits.conformal).one_each(), plan)
    tested = data.taken(splits.threshold).one_each()
    given = tested.can_be_given
    threshold = certify(calibrated(calibrators, given), given.outcome, alpha=plan.alpha, delta=plan.delta)
    after = crossed(data, plan.seed) if splits.calibrator else data.stated
    before = evaluate(data.stated, data.outcome, data.cases)
    combined, combined_metrics = _combined(data, splits, plan.seed)
    card = Card(
        date=date,
        fitted_on=_fitted_on(data, splits, after),
        calibrators=calibrators,
        conformal=sets,
        risk=risk,
        must_not_miss=cost_threshold(1.0, MISS_COST),
        threshold=threshold,
        votes=votes,
        combined=combined,
        metrics=paired(before, evaluate(after, data.outcome, data.cases) if splits.calibrator else before),
        combined_metrics=combined_metrics,
        reliability=reliability(data, after),
        warnings=(*warnings, *_warnings(data, splits, threshold, risk)),
    )
    return card.model_copy(update={"sets": set_figures(card, tested, dangerous)})


def _require_one_origin(data: Data) -> None:
    cases = data.distinct
    if cases < FEWEST:
        raise UsageError(f"{cases} labelled cases are too few to say anything; give {FEWEST} or more, better 500")
    models = sorted({one.result.model for one in data.labelled})
    if len(models) > 1:
        raise UsageError(f"the results are of several models: {', '.join(models)}; calibrate each by itself")
    _require_same_settings([one.result.settings for one in data.labelled])


def _require_same_settings(given: Sequence[dict[str, Any] | None]) -> None:
    if None in given and any(settings is not None for settings in given):
        raise UsageError("some results say with which settings they were made, some do not; calibrate each by itself")
    kept = [relevant(settings or {}) for settings in given]
    first = kept[0]
    names = sorted({n for other in kept for n in first.keys() | other.keys() if other.get(n) != first.get(n)})
    if names:
        told = ", ".join(names)
        raise UsageError(f"the results were made with different settings ({told}); calibrate each by itself")


def _splits(data: Data, plan: Plan) -> Splits:
    enough = default_method(round(CALIBRATOR_SHARE * data.distinct)) != "none"
    calibrator = CALIBRATOR_SHARE if enough else 0.0
    conformal = CONFORMAL_SHARE * (1.0 - calibrator)
    return split(data.cases, calibrator=calibrator, conformal=conformal, seed=plan.seed)


def fit_calibrators(data: Data) -> dict[str, Calibrator]:
    """Return a calibrator for all, and one of its own for each specialty with enough labels."""
    found = {POOLED: _fitted(data)} if len(data.labelled) else {}
    for name in sorted(set(data.strata) - {POOLED}):
        own = data.of(name)
        if _method(own) != "none":
            found[name] = _fitted(own)
    return found


def _method(data: Data) -> Method:
    """Without a right and a wrong answer, or with one score alone, there is nothing to fit."""
    varied = len(set(data.outcome.tolist())) == 2 and len(set(data.stated.tolist())) > 1
    return default_method(data.distinct) if varied else "none"


def _fitted(data: Data) -> Calibrator:
    return fit(_method(data), data.stated, data.outcome, data.weights)


def calibrated(calibrators: dict[str, Calibrator], data: Data) -> Array:
    """Return calibrated probabilities, shape (n,)."""
    found = data.stated.copy()
    for name in set(data.strata):
        here = np.array([s == name for s in data.strata])
        calibrator = calibrators.get(name, calibrators.get(POOLED))
        if calibrator is not None:
            found[here] = calibrator.apply(data.stated[here])
    return found


def crossed(data: Data, seed: int) -> Array:
    """Return for each case what calibrators say that were fitted without it, shape (n,)."""
    found = np.empty(len(data.labelled))
    for fold in folds(data.cases, FOLDS, seed=seed):
        others = sorted(set(range(len(found))) - set(fold))
        found[fold] = calibrated(fit_calibrators(data.taken(others)), data.taken(fold))
    return found


def _fit_sets(data: Data, plan: Plan) -> tuple[ConformalSets, RiskControl]:
    right = data.right_probability
    return conform(right, data.strata, alpha=plan.alpha), control_risk(right, data.severity, alpha=plan.risk)


def _combined(data: Data, splits: Splits, seed: int) -> tuple[CombinedModel | None, dict[str, Measured]]:
    """Fit the parts' weights on the calibrator's cases, and compare them with the fixed product by cross-fitting."""
    own = _measured(data.taken(splits.calibrator))
    everything = _measured(data)
    if own.distinct < LEAST or len(set(own.favoured_outcome.tolist())) < 2:
        return None, {}
    parts = [one.result.parts for one in everything.labelled]
    after = np.empty(len(parts))
    for fold in folds(everything.cases, FOLDS, seed=seed):
        others = sorted(set(range(len(parts))) - set(fold))
        model = fit_combined([parts[i] for i in others], everything.favoured_outcome[others])
        after[fold] = fitted_certainty(model, [parts[i] for i in fold])
    y, cases = everything.favoured_outcome, everything.cases
    before = evaluate(product_certainty(parts), y, cases, names=_COMBINED)
    return fit_combined([one.result.parts for one in own.labelled], own.favoured_outcome), paired(
        before, evaluate(after, y, cases, names=_COMBINED)
    )


def _measured(data: Data) -> Data:
    return data.taken([i for i, one in enumerate(data.labelled) if one.result.parts])


def _fitted_on(data: Data, splits: Splits, after: Array) -> Fitted:
    first = data.labelled[0].result
    uses = {"calibrator": splits.calibrator, "conformal": splits.conformal, "threshold": splits.threshold}
    return Fitted(
        n=len(data.labelled),
        cases=data.distinct,
        runs=content_id("runs", sorted(one.result.run for one in data.labelled)),
        model=first.model,
        settings=relevant(first.settings) if first.settings is not None else None,
        splits={use: data.taken(places).distinct for use, places in uses.items()},
        strata={name: stratum(data, after, name) for name in sorted(set(data.strata))},
    )


def _warnings(data: Data, splits: Splits, threshold: Threshold, risk: RiskControl) -> list[str]:
    cases = data.distinct
    said = []
    if not splits.calibrator:
        least = int(np.ceil(FEW / CALIBRATOR_SHARE))
        said.append(f"{cases} cases are too few to fit a calibrator (from {least} on): probabilities stay as stated")
    if not threshold.certified:
        said.append(str(threshold))
    if risk.threshold is None:
        said.append(f"the severity of omitted diagnoses cannot be held at {risk.alpha:g} with {risk.n} cases")
    if data.labelled[0].result.settings is None:
        said.append("the results do not say with which settings they were made, so that these cannot be checked")
    if cases < len(data.labelled):
        said.append(f"{cases} cases were consulted {len(data.labelled)} times; promises rest on one consult of each")
    return said
