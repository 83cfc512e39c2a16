"""From readings to a posterior: provenance-clustered log-odds.

Good's weight of evidence in three levels: readings of one observation combine through Pearl's virtual
evidence, observations bear on hypotheses through their likelihoods, and observations of one syndrome
are discounted because they travel together. Our own combination of known rules; the discount is our
own. All logarithms are natural.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

RHO = 0.5
"""Correlation assumed between observations of one group."""
MAX_GROUP_LLR = float(np.log(400.0))
"""The most that one group may shift the log-odds of a hypothesis, either way."""
OTHER_PRIOR = 0.05
"""Prior probability that the diagnosis is none of the hypotheses."""
VACUITY_WEIGHT = 2.0
"""Non-informative prior weight W of subjective logic."""
UNINFORMED = 0.5
"""Probability that a source that knows nothing would assert what it asserted."""
MAX_READING = 40.0
"""Limit of the summed log evidence of readings, far above anything that moves a probability."""
RELIABILITY_STRENGTH = 20.0
"""Pseudo-observations behind a reliability when the band is drawn: r ~ Beta(rk, (1-r)k)."""
GRADED_SD = 0.5
"""Standard deviation of a log likelihood ratio that is a judgement and not a measurement."""


def reading_weight(reliability: float, *, present: bool) -> float:
    """Return the log evidence that one reading gives for its observation being there.

    mu = log((r + (1-r) eps) / ((1-r) eps)), negated for a reading that says absent.

    >>> round(reading_weight(0.9, present=True), 3) == -round(reading_weight(0.9, present=False), 3)
    True
    >>> reading_weight(0.0, present=True)
    0.0
    """
    doubt = (1.0 - reliability) * UNINFORMED
    weight = float(np.log((reliability + doubt) / doubt))
    return weight if present else -weight


def log_ratio(reading: Array, present: Array, background: Array) -> Array:
    """Return log((l P(f|h) + 1 - P(f|h)) / (l P(f|~h) + 1 - P(f|~h))) for l = exp(reading).

    Bounded by the finding's own log LR+ and LR-, whatever the number of readings.

    Args:
        reading: Summed log evidence of the readings, shape (..., n_observations, 1).
        present: P(finding | hypothesis), shape (..., n_observations, n_hypotheses).
        background: P(finding | none of them), shape (..., n_observations, 1).
    """
    m = np.clip(reading, -MAX_READING, MAX_READING)
    above = np.logaddexp(m + np.log(present), np.log1p(-present))
    below = np.logaddexp(m + np.log(background), np.log1p(-background))
    result: Array = above - below
    return result


def discount_weights(count: int, rho: float = RHO) -> Array:
    """Return what the 1st, 2nd, ... strongest of correlated items count: n_eff(i) - n_eff(i-1).

    n_eff(i) = i / (1 + (i-1) rho): rho = 0 counts each in full, rho = 1 only the first.
    """
    i = np.arange(count + 1, dtype=np.float64)
    effective = i / (1.0 + np.maximum(i - 1.0, 0.0) * rho)
    weights: Array = np.diff(effective)
    return weights


def sorted_discount(ratios: Array, rho: float = RHO) -> tuple[Array, Array]:
    """Combine correlated log likelihood ratios, those for and those against apart.

    Args:
        ratios: Shape (..., n_items, n_hypotheses).
        rho: Correlation within the group.

    Returns:
        Sums for (>= 0) and against (<= 0), each of shape (..., n_hypotheses).
    """
    if ratios.shape[-2] == 1:
        single = ratios[..., 0, :]
        return np.maximum(single, 0.0), np.minimum(single, 0.0)
    weights = discount_weights(ratios.shape[-2], rho)[:, None]
    rising = np.sort(ratios, axis=-2)
    positive = np.maximum(rising[..., ::-1, :], 0.0)
    negative = np.minimum(rising, 0.0)
    return (weights * positive).sum(axis=-2), (weights * negative).sum(axis=-2)


def posterior(prior: Array, terms: Array, *, other: float = OTHER_PRIOR, temperature: float = 1.0) -> Array:
    """Return P(hypothesis | evidence), the last entry being `other`.

    Args:
        prior: P(hypothesis), shape (n_hypotheses,), summing to 1 - other.
        terms: Log likelihood ratios by group, shape (..., n_groups, n_hypotheses).
        other: Prior of none of them; evidence leaves its score alone.
        temperature: Divides the summed evidence.
    """
    score = np.log(prior) + terms.sum(axis=-2) / temperature
    rest = np.full((*score.shape[:-1], 1), np.log(other))
    full = np.concatenate([score, rest], axis=-1)
    full = np.exp(full - full.max(axis=-1, keepdims=True))
    result: Array = full / full.sum(axis=-1, keepdims=True)
    return result


@dataclass(frozen=True)
class Evidence:
    """Observations and what they say of hypotheses, as arrays."""

    reading: Array
    """Summed log evidence per observation, shape (n_observations,)."""
    present: Array
    """P(finding | hypothesis), shape (n_observations, n_hypotheses)."""
    background: Array
    """P(finding | none of them), shape (n_observations,)."""
    group: npt.NDArray[np.int64]
    """Group of each observation, 0 to n_groups - 1."""
    prior: Array
    """Shape (n_hypotheses,)."""


@dataclass(frozen=True)
class Weighed:
    """The posterior and what made it."""

    ratios: Array
    """Log likelihood ratio of each observation, shape (n_observations, n_hypotheses)."""
    terms: Array
    """What each group adds to the log-odds, after discount and limit, shape (n_groups, n_hypotheses)."""
    posterior: Array
    """Shape (n_hypotheses + 1,); the last is `other`."""
    effective: Array
    """Effective number of reliable observations that bear on each hypothesis."""

    @property
    def vacuity(self) -> Array:
        """How little is known about each hypothesis: W / (W + N_eff)."""
        result: Array = VACUITY_WEIGHT / (VACUITY_WEIGHT + self.effective)
        return result

    @property
    def conflict(self) -> Array:
        """Balance of evidence for and against each hypothesis, in [0, 1]."""
        up = np.maximum(self.terms, 0.0).sum(axis=0)
        down = -np.minimum(self.terms, 0.0).sum(axis=0)
        both = up + down
        result: Array = np.divide(2.0 * np.minimum(up, down), both, out=np.zeros_like(both), where=both > 0)
        return result


def group_terms(ratios: Array, group: npt.NDArray[np.int64], rho: float = RHO) -> Array:
    """Return what each group adds, limited to MAX_GROUP_LLR either way.

    Takes time proportional to the number of ratios, up to the sorting within groups.

    Args:
        ratios: Shape (..., n_observations, n_hypotheses).
        group: Shape (n_observations,).
        rho: Correlation within a group.

    Returns:
        Shape (..., n_groups, n_hypotheses).
    """
    count = int(group.max(initial=-1)) + 1
    terms = np.zeros((*ratios.shape[:-2], count, ratios.shape[-1]))
    for which, rows in _groups_by_size(group):
        up, down = sorted_discount(ratios[..., rows, :], rho)
        terms[..., which, :] = np.clip(up + down, -MAX_GROUP_LLR, MAX_GROUP_LLR)
    return terms


def _groups_by_size(
    group: npt.NDArray[np.int64],
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Yield groups of one size with their rows, shapes (n,) and (n, size): each size is one array operation."""
    sizes = np.bincount(group) if group.size else np.zeros(0, dtype=np.int64)
    order = np.argsort(group, kind="stable")
    starts = np.cumsum(sizes) - sizes
    for size in np.unique(sizes[sizes > 0]):
        which = np.flatnonzero(sizes == size)
        yield which, order[starts[which][:, None] + np.arange(size)]


def weigh(evidence: Evidence, *, rho: float = RHO, temperature: float = 1.0) -> Weighed:
    """Weigh all observations against all hypotheses."""
    ratios = log_ratio(evidence.reading[:, None], evidence.present, evidence.background[:, None])
    terms = group_terms(ratios, evidence.group, rho)
    return Weighed(
        ratios=ratios,
        terms=terms,
        posterior=posterior(evidence.prior, terms, temperature=temperature),
        effective=_effective(ratios, evidence.reading, evidence.group, rho),
    )


def _effective(ratios: Array, reading: Array, group: npt.NDArray[np.int64], rho: float) -> Array:
    reliability = np.tanh(np.abs(reading) / 2.0)[:, None]
    bearing = np.where(np.abs(ratios) > 1e-9, reliability, 0.0)
    total = np.zeros(ratios.shape[-1])
    for _, rows in _groups_by_size(group):
        total += sorted_discount(bearing[rows, :], rho)[0].sum(axis=0)
    return total


def band(
    evidence: Evidence,
    reliabilities: Sequence[Sequence[tuple[float, bool]]],
    graded: npt.NDArray[np.bool_],
    *,
    leading: int = 12,
    draws: int = 256,
    seed: int = 0,
) -> tuple[npt.NDArray[np.int64], Array]:
    """Return the 5 % and 95 % quantiles of the posterior over doubt in reliabilities and likelihoods.

    Args:
        evidence: As for `weigh`.
        reliabilities: For each observation, its readings as (reliability, says present).
        graded: Which likelihoods are judgements, shape (n_observations, n_hypotheses).
        leading: How many of the most probable hypotheses vary; the rest keep their weight.
        draws: Number of seeded draws.
        seed: Of the draws.

    Returns:
        Indices of the varied hypotheses and their quantiles, shape (2, n_varied).
    """
    rng = np.random.default_rng(seed)
    point = weigh(evidence)
    chosen = np.argsort(-point.posterior[:-1], kind="stable")[:leading]
    others = np.delete(point.posterior, chosen).sum()
    present = evidence.present[:, chosen]
    reading = _draw_readings(reliabilities, draws, rng)
    ratios = log_ratio(reading[:, :, None], present[None], evidence.background[None, :, None])
    doubt = np.where(graded[:, chosen] & (np.abs(ratios) > 1e-9), GRADED_SD, 0.0)
    ratios = ratios + rng.normal(0.0, 1.0, ratios.shape) * doubt
    terms = group_terms(ratios, evidence.group)
    score = np.log(evidence.prior[chosen]) + terms.sum(axis=-2)
    fixed = np.log(max(others, 1e-300)) + _score_offset(evidence, point, chosen)
    full = np.concatenate([score, np.full((draws, 1), fixed)], axis=1)
    full = np.exp(full - full.max(axis=1, keepdims=True))
    p = full[:, :-1] / full.sum(axis=1, keepdims=True)
    return chosen, np.quantile(p, [0.05, 0.95], axis=0)


def _score_offset(evidence: Evidence, point: Weighed, chosen: npt.NDArray[np.int64]) -> float:
    first = chosen[0]
    score = float(np.log(evidence.prior[first]) + point.terms[:, first].sum())
    return score - float(np.log(point.posterior[first]))


def _draw_readings(
    reliabilities: Sequence[Sequence[tuple[float, bool]]], draws: int, rng: np.random.Generator
) -> Array:
    drawn = np.zeros((draws, len(reliabilities)))
    for index, readings in enumerate(reliabilities):
        for reliability, is_present in readings:
            k = RELIABILITY_STRENGTH
            r = np.clip(rng.beta(reliability * k, (1.0 - reliability) * k, draws), 0.0, 0.98)
            doubt = (1.0 - r) * UNINFORMED
            drawn[:, index] += np.log((r + doubt) / doubt) * (1.0 if is_present else -1.0)
    return drawn
