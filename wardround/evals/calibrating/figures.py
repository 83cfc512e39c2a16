"""The figures of a calibration card."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wardround.core.calibration.card import Bin, Card, Figure, Measured, SetFigures, Stratum
from wardround.evals.calibrating.binning import equal_mass
from wardround.evals.calibrating.consults import Data
from wardround.evals.calibrating.evaluating import Judged, resampled
from wardround.evals.statistics import Array, Estimate, brier, clustered, proportion

BINS = 10
_BIN = 20
"""Consults that a row of the reliability table should hold at least."""


def share(hits: Sequence[bool], cases: Sequence[str]) -> Figure:
    """Return a share with Wilson's interval, or by resampling cases where some repeat."""
    repeated = len(set(cases)) < len(cases)
    return _figure(clustered(hits, cases) if repeated else proportion(hits))


def paired(before: dict[str, Judged], after: dict[str, Judged]) -> dict[str, Measured]:
    """Return metrics before and after."""
    return {
        name: Measured(
            before=_figure(judged.estimate),
            after=_figure(after[name].estimate),
            baseline=None if judged.baseline is None else round(judged.baseline, 4),
        )
        for name, judged in before.items()
    }


def stratum(data: Data, after: Array, name: str) -> Stratum:
    """Return the figures of one specialty."""
    own, p = data.of(name), after[[s == name for s in data.strata]]
    return Stratum(
        n=len(own.labelled),
        right=share(_right(own), own.cases),
        stated=float(own.stated.mean()),
        calibrated=float(p.mean()),
        brier=_figure(resampled(brier, p, own.outcome, own.cases)),
    )


def reliability(data: Data, probability: Array) -> tuple[Bin, ...]:
    """Return the reliability table: stated and observed in bins of like size."""
    groups = equal_mass(probability, min(BINS, max(2, len(probability) // _BIN)))
    rows = [np.flatnonzero(groups == g).tolist() for g in range(int(groups.max()) + 1)]
    return tuple(
        Bin(n=len(row), stated=float(probability[row].mean()), right=share(_right(own), own.cases))
        for row in rows
        for own in [data.taken(row)]
    )


def set_figures(card: Card, data: Data, dangerous: frozenset[str]) -> SetFigures:
    """Return how the sets do on cases that they were not fitted on."""
    kept = [card.differential_set(one.result.differential, one.result.stratum, dangerous, {}) for one in data.labelled]
    return SetFigures(
        coverage=share([c in k.all for c, k in zip(data.classes, kept, strict=True)], data.cases),
        size=float(np.mean([len(k.all) for k in kept])),
        empty=sum(not k.members for k in kept),
        leading_alone=share(_right(data), data.cases),
    )


def _right(data: Data) -> list[bool]:
    return [y > 0.5 for y in data.outcome.tolist()]


def _figure(estimate: Estimate) -> Figure:
    return Figure(**estimate.as_json())
