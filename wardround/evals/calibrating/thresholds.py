"""Thresholds for answering with a certificate: Learn then Test by a fixed sequence.

Angelopoulos, Bates, Candes, Jordan & Lei 2021 (arXiv 2110.01052). The thresholds tested are quantiles of the
confidences, chosen without sight of the outcomes; they are tried from strict to lax, beginning where enough cases are
accepted, and the first failure ends it. Picking the laxest threshold whose error rate *looks* low enough promises
nothing: benchmarks/certificates.py shows how often that breaks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
import numpy.typing as npt

from wardround.core.calibration.checking import probabilities
from wardround.core.calibration.threshold import Threshold, require_levels
from wardround.core.errors import UsageError
from wardround.core.extras import require
from wardround.evals.statistics import Array

ALPHA = 0.10
DELTA = 0.10
FIRST = 60
"""Accepted cases at the strictest threshold that is tried."""
STEPS = 25
"""Thresholds that are tried."""


@dataclass(frozen=True)
class Cut:
    """A threshold and what lies above it."""

    value: float
    accepted: int
    errors: int


def cuts(confidence: Array, outcome: Array, *, first: int = FIRST, steps: int = STEPS) -> list[Cut]:
    """Return the thresholds to be tried, strict to lax, the first with at least `first` accepted cases.

    A threshold is the confidence of a case, and accepts those strictly above. Given it, these are independent draws
    of confidences above it, so that their errors are binomial; the case that set it is not among them. The last one
    is 0. Equal confidences are accepted together or not at all.
    """
    order = np.argsort(-confidence, kind="stable")
    falling = confidence[order]
    errors = np.concatenate([[0.0], np.cumsum(1.0 - outcome[order])])
    wanted = np.linspace(min(first, len(falling)), len(falling), steps).round().astype(int)
    found: dict[float, Cut] = {}
    for count in wanted.tolist():
        value = float(falling[count]) if count < len(falling) else 0.0
        above = int(np.sum(falling > value))
        found.setdefault(value, Cut(value, above, int(errors[above])))
    return [cut for cut in found.values() if cut.accepted >= first]


def tail(errors: int, accepted: int, alpha: float) -> float:
    """Return P(Bin(accepted, alpha) <= errors): the p-value of a true error rate above alpha."""
    return float(require("scipy.stats", extra="evals").binom.cdf(errors, accepted, alpha)) if accepted else 1.0


def upper_bound(errors: int, accepted: int, delta: float) -> float:
    """Return the one-sided upper 1 - delta bound of an error rate (Clopper & Pearson 1934)."""
    if errors >= accepted:
        return 1.0
    return float(require("scipy.stats", extra="evals").beta.ppf(1.0 - delta, errors + 1, accepted - errors))


def certify(
    confidence: npt.ArrayLike,
    outcome: npt.ArrayLike,
    *,
    alpha: float = ALPHA,
    delta: float = DELTA,
    first: int = FIRST,
    steps: int = STEPS,
) -> Threshold:
    """Return the laxest threshold that can be certified, or the statement that none can.

    Args:
        confidence: Of independent cases that served for nothing else, shape (n,).
        outcome: 1 where the answer was right, else 0.
        alpha: Error rate that is tolerated among answers.
        delta: Probability that the promise is broken, over the draw of the labelled cases.
        first: Cases that the strictest threshold accepts, or more where so few could not certify even without error.
        steps: Thresholds that are tried.

    Raises:
        UsageError: A number is no probability, or the lengths differ.
    """
    require_levels(alpha, delta)
    c, y = probabilities(confidence, "confidences"), probabilities(outcome, "outcomes")
    if len(c) != len(y):
        raise UsageError(f"{len(c)} confidences and {len(y)} outcomes; give one of each for every case")
    first = max(first, certifying(0.0, alpha, delta))
    tried = cuts(c, y, first=first, steps=steps)
    kept = list(takewhile(lambda cut: tail(cut.errors, cut.accepted, alpha) <= delta, tried))
    if not kept:
        needed = cases_needed(c, y, alpha=alpha, delta=delta, first=first)
        return Threshold(alpha=alpha, delta=delta, n=len(c), needed=needed)
    last = kept[-1]
    return Threshold(
        value=last.value,
        alpha=alpha,
        delta=delta,
        n=len(c),
        accepted=last.accepted,
        errors=last.errors,
        upper=upper_bound(last.errors, last.accepted, delta),
    )


def naive(confidence: Array, outcome: Array, *, alpha: float = ALPHA, first: int = 1, steps: int = STEPS) -> Cut | None:
    """Return the laxest threshold whose error rate looks low enough: the usual choice, which promises nothing."""
    good = [cut for cut in cuts(confidence, outcome, first=first, steps=steps) if cut.errors <= alpha * cut.accepted]
    return good[-1] if good else None


def cases_needed(confidence: Array, outcome: Array, *, alpha: float, delta: float, first: int) -> int | None:
    """Return about how many labelled cases would certify some threshold, the rates being as seen.

    Nothing where at no threshold the errors seen are below alpha. The rates are seen on few cases and the best of
    several thresholds is taken, so this is the least to reckon with. A threshold that would pass by itself is left
    out: a stricter one before it failed, and more cases are needed for that one.
    """
    n = len(confidence)
    if n == 0:
        return max(first, certifying(0.0, alpha, delta))
    tried = cuts(confidence, outcome, first=min(first, math.ceil(n / 4)), steps=STEPS)
    low = [(cut, cut.errors / cut.accepted) for cut in tried if cut.errors < alpha * cut.accepted]
    needed = [math.ceil(max(first, certifying(rate, alpha, delta)) * n / cut.accepted) for cut, rate in low]
    return min((count for count in needed if count > n), default=n + 1) if needed else None


def certifying(rate: float, alpha: float, delta: float) -> int:
    """Return how many accepted cases at this error rate show, at level delta, that it is below alpha.

    >>> certifying(0.0, 0.1, 0.1), certifying(0.0, 0.05, 0.1)
    (22, 45)

    Args:
        rate: Below alpha.
        alpha: Tolerated.
        delta: Level of the test.
    """
    binom = require("scipy.stats", extra="evals").binom
    high = 1
    while binom.cdf(math.floor(rate * high), high, alpha) > delta:
        high *= 2
    # The tail saws up and down with the rounding of the errors, so this is the least only up to one tooth.
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        if binom.cdf(math.floor(rate * middle), middle, alpha) <= delta:
            high = middle
        else:
            low = middle
    return high
