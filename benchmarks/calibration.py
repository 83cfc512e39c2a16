"""Calibrators by number of labels, and the fitted combined uncertainty beside the fixed product, on synthetic worlds.

python benchmarks/calibration.py [--draws 40]
Prints one JSON document. The worlds test the rules; they say nothing about clinical accuracy. The figure is the excess
Brier score: the mean squared distance to the true probability, which the world knows.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

import numpy as np

from wardround.core.calibration.checking import log_odds, sigmoid
from wardround.core.errors import UsageError
from wardround.core.uncertainty import Part
from wardround.evals.calibrating.combining import fit_combined, fitted_certainty, product_certainty
from wardround.evals.calibrating.evaluating import STATISTICS
from wardround.evals.calibrating.fitting import Method, default_method, fit
from wardround.evals.statistics import Array, bootstrapped

METHODS: tuple[Method, ...] = ("none", "temperature", "platt", "beta", "isotonic", "histogram", "venn-abers")
LABELS = (50, 100, 200, 500, 1000, 2000, 5000)
FRESH = 4000

WORLDS: dict[str, Callable[[Array], Array]] = {
    "calibrated": lambda q: q,
    "too bold": lambda q: sigmoid(2.0 * log_odds(q)),
    "shifted": lambda q: sigmoid(log_odds(q) + 1.0),
    "bent": lambda q: np.sqrt(q),
    "stepped": lambda q: 0.5 * q + 0.5 * (q > 0.6),
}
"""How the stated probability follows from the true one, which is Beta(2, 1.5)."""

INFORMATION = {
    Part.SELF: 0.5,
    Part.SEMANTIC: 0.4,
    Part.CONFIDENCE: 0.1,
    Part.EVIDENCE: 1.2,
    Part.IGNORANCE: 0.6,
    Part.CONFLICT: 0.3,
    Part.HALLUCINATION: 0.5,
}
"""How far the log-odds of 1 - U of right and wrong answers lie apart, in standard deviations."""


def mean(values: list[float]) -> dict[str, Any]:
    array = np.array(values)
    return bootstrapped(lambda x, _: float(x.mean()), array, array).as_json()


def compared(draws: int, stated: Callable[[Array], Array], labels: int) -> dict[str, Any]:
    rng = np.random.default_rng(labels)
    excess: dict[str, list[float]] = {method: [] for method in METHODS}
    constant: list[float] = []
    for _ in range(draws):
        true = rng.beta(2.0, 1.5, labels)
        outcome = (rng.random(labels) < true).astype(float)
        fresh = rng.beta(2.0, 1.5, FRESH)
        for method in METHODS:
            calibrator = fit(method, stated(true), outcome)
            excess[method].append(float(np.mean((calibrator.apply(stated(fresh)) - fresh) ** 2)))
        constant.append(float(np.mean((outcome.mean() - fresh) ** 2)))
    return {
        "labels": labels,
        "excess_brier": {method: mean(values) for method, values in excess.items()},
        "baseline_share_of_right": mean(constant),
        "default": default_method(labels),
        "best": min(excess, key=lambda method: float(np.mean(excess[method]))),
    }


def parts(rng: np.random.Generator, n: int) -> tuple[list[dict[Part, float]], Array]:
    """Parts that share half of their noise, one in ten not known, and whether the answer was right."""
    outcome = (rng.random(n) < 0.7).astype(float)
    shared = rng.normal(size=n)
    columns = {
        part: sigmoid(-(1.0 + gap * (2.0 * outcome - 1.0) + np.sqrt(0.5) * (shared + rng.normal(size=n))))
        for part, gap in INFORMATION.items()
    }
    known = rng.random((n, len(columns))) > 0.1
    known[:, list(INFORMATION).index(Part.EVIDENCE)] = True
    rows = [{part: float(columns[part][i]) for k, part in enumerate(columns) if known[i, k]} for i in range(n)]
    return rows, outcome


def combining(draws: int, labels: int) -> dict[str, Any]:
    rng = np.random.default_rng(labels)
    names = ("brier", "slope", "auroc", "e_aurc")
    found: dict[str, dict[str, list[float]]] = {
        kind: {name: [] for name in names} for kind in ("fitted", "fixed_product", "evidence_alone")
    }
    fresh, outcome = parts(rng, FRESH)
    for _ in range(draws):
        rows, right = parts(rng, labels)
        try:
            model = fit_combined(rows, right)
        except UsageError:
            continue
        stated = {
            "fitted": fitted_certainty(model, fresh),
            "fixed_product": product_certainty(fresh),
            "evidence_alone": np.array([1.0 - row[Part.EVIDENCE] for row in fresh]),
        }
        for kind, p in stated.items():
            for name in names:
                found[kind][name].append(STATISTICS[name](p, outcome))
    report = {kind: {name: mean(values) for name, values in rows.items()} for kind, rows in found.items()}
    return {"labels": labels, "draws": draws, "cases_tested": FRESH, **report}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=40)
    arguments = parser.parse_args()
    report = {
        "what": "synthetic worlds with known truth: they test rules and say nothing about clinical accuracy",
        "draws": arguments.draws,
        "calibrators": {
            name: [compared(arguments.draws, stated, labels) for labels in LABELS] for name, stated in WORLDS.items()
        },
        "combined": [combining(max(5, arguments.draws // 4), labels) for labels in (100, 200, 500, 1000)],
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
