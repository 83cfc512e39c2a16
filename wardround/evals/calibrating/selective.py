"""What answering only the most confident cases would cost: risk, coverage and their areas.

All take confidences and outcomes of shape (n,), outcomes being 1 where the answer was right. Equal confidences are in
no order: figures are expected values over all orders of them.
"""

from __future__ import annotations

import numpy as np

from wardround.evals.statistics import Array


def expected_errors(confidence: Array, outcome: Array) -> Array:
    """Return the expected number of errors among the i most confident, i = 1 .. n, shape (n,)."""
    _, place, counts = np.unique(-confidence, return_inverse=True, return_counts=True)
    rate = np.bincount(place, weights=1.0 - outcome) / counts
    return np.cumsum(np.repeat(rate, counts))


def _risks(confidence: Array, outcome: Array) -> Array:
    return np.asarray(expected_errors(confidence, outcome) / np.arange(1, len(outcome) + 1))


def aurc(confidence: Array, outcome: Array) -> float:
    """Return the area under the risk-coverage curve (Geifman & El-Yaniv 2017); r in random order, r the error rate."""
    return float(_risks(confidence, outcome).mean())


def best_aurc(outcome: Array) -> float:
    """Return the least AURC of any order: all wrong answers last. Tends to r + (1 - r) log(1 - r)."""
    return aurc(outcome, outcome)


def e_aurc(confidence: Array, outcome: Array) -> float:
    """Return AURC less the least of any order (Geifman, Uziel & El-Yaniv, ICLR 2019)."""
    return max(0.0, aurc(confidence, outcome) - best_aurc(outcome))


def augrc(confidence: Array, outcome: Array) -> float:
    """Return the area under the generalised risk-coverage curve (Traub et al., NeurIPS 2024).

    The generalised risk is the share of all cases that are answered and wrong, so that the few most confident
    cases do not weigh most. In random order r (n + 1) / 2n.
    """
    return float(expected_errors(confidence, outcome).mean() / len(outcome))


def risk_at_coverage(confidence: Array, outcome: Array, coverage: float) -> float:
    """Return the expected error rate of the most confident share of the cases, at least one."""
    count = max(1, int(np.ceil(coverage * len(outcome) - 1e-9)))
    return float(_risks(confidence, outcome)[count - 1])


def coverage_at_risk(confidence: Array, outcome: Array, risk: float) -> float:
    """Return the largest share that a threshold could answer with at most this error rate; 0 where none could.

    Seen on the same cases, hence too hopeful: no promise. Equal confidences are answered together.
    """
    ends = np.cumsum(np.unique(-confidence, return_counts=True)[1])
    held = ends[_risks(confidence, outcome)[ends - 1] <= risk + 1e-12]
    return float(held.max() / len(outcome)) if len(held) else 0.0
