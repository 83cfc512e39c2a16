"""How far agents err together, and what their agreement is therefore worth.

Five agents that are wrong on the same cases are not five witnesses. Two things are estimated on cases whose answer is
known: rho, the correlation of being wrong, and `alike`, how far those who are wrong give the same wrong answer. Hard
cases raise rho alone; agents that copy one another, or share a training set, raise both. Agreement on cases whose
answer is not known only bounds rho.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Answers = npt.NDArray[np.int64]

PRIOR_MEAN = 0.5
"""Correlation assumed where nothing was measured: the mean of all from 0 to 1."""
PRIOR_VARIANCE = 1.0 / 12.0
"""Variance of a correlation of which only that is known."""
PRIOR_CASES = (1.0 - PRIOR_MEAN**2) ** 2 / PRIOR_VARIANCE
"""Cases that say as much as the assumption: Fisher's variance (1 - rho^2)^2 / n equals PRIOR_VARIANCE at n = 6.75."""
RESAMPLES = 1000
_Z = 1.959963984540054
"""Upper 2.5 % point of the normal distribution."""


@dataclass(frozen=True)
class Correlation:
    """A correlation in [0, 1] and its 95 % interval."""

    value: float
    low: float
    high: float
    informative: int
    """Cases that say anything about it; those on which nobody erred do not."""


@dataclass(frozen=True)
class AgentCorrelation:
    """How far agents err together."""

    rho: Correlation
    """Of being wrong, over all pairs of agents."""
    pairs: tuple[tuple[float, ...], ...]
    """Of being wrong, of each pair, drawn to `rho` where it has few cases; 1 on the diagonal."""
    alike: Correlation | None
    """Of which wrong answer is given: 0 where they are spread evenly, 1 where always the same one is given. Nothing
    where only right and wrong were known."""
    cases: int
    """How many cases it rests on."""
    basis: Literal["errors", "agreement", "assumed"]
    """`errors`: measured on cases whose answer is known. `agreement`: bounds from unlabelled cases; `rho.value` is the
    upper one. `assumed`: there was nothing to measure on."""


def error_correlation(wrong: Array, *, seed: int = 0) -> AgentCorrelation:
    """Estimate rho on cases of which it is known who was wrong.

    The sum over pairs of the covariances of their errors over the sum of sqrt(var_i var_j), combined with
    `PRIOR_MEAN` by inverse variances. Its variance is that of a bootstrap over cases, and no less than Fisher's for
    as many independent pairs, so that a handful of cases that happen to agree does not pass for certainty.

    Args:
        wrong: 1 where an agent erred, 0 where not, NaN where it gave no answer; shape (n_cases, n_agents).
        seed: Of the resampling.

    Raises:
        ValueError: There are fewer than two agents.
    """
    _needs_agents(wrong)
    members = wrong.shape[1]
    known = wrong[(~np.isnan(wrong)).sum(axis=1) >= 2]
    informative = int((np.nansum(known, axis=1) > 0).sum()) if len(known) else 0
    weights = np.vstack([np.ones(len(known)), _resampled(len(known), np.random.default_rng(seed))])
    covariance, scale, erring = _moments(known, weights)
    off = ~np.eye(members, dtype=bool)
    drawn = _ratio(covariance[:, off].sum(axis=1), scale[:, off].sum(axis=1))
    rho = _combined(drawn, informative, pairs=members * (members - 1) // 2)
    pairs = _shrunk_pairs(_ratio(covariance[0], scale[0]), erring[0], rho.value)
    return AgentCorrelation(rho, pairs, None, len(known), "errors" if informative else "assumed")


def answer_correlation(answers: Answers, truth: Answers, *, options: int, seed: int = 0) -> AgentCorrelation:
    """Estimate rho and `alike` on cases whose answer is known.

    alike = (s - 1/(options-1)) / (1 - 1/(options-1)), with s the share of pairs, both wrong, that give the same
    answer; combined with `PRIOR_MEAN` as rho is.

    Args:
        answers: Index of the answer from 0, or -1 where there was none; shape (n_cases, n_agents).
        truth: Index of the right answer; shape (n_cases,).
        options: How many answers there are to each question; with 2 there is one wrong answer, and alike is 1.
        seed: Of the resampling.

    Raises:
        ValueError: There are fewer than two agents or options, or not one truth per case.
    """
    _needs_agents(answers)
    _needs_options(options)
    if truth.shape != (len(answers),):
        raise ValueError(f"truths of shape {truth.shape} for {len(answers)} cases; give one per case")
    wrong = np.where(answers < 0, np.nan, answers != truth[:, None])
    found = error_correlation(wrong, seed=seed)
    same, both = _agreements(np.where(wrong == 1.0, answers, -1))
    weights = np.vstack([np.ones(len(answers)), _resampled(len(answers), np.random.default_rng(seed))])
    by_chance = 1.0 / (options - 1)
    drawn = (_ratio(weights @ same, weights @ both) - by_chance) / max(1.0 - by_chance, 1e-12)
    alike = _combined(drawn, int((both > 0).sum()), pairs=1) if options > 2 else Correlation(1.0, 1.0, 1.0, 0)
    return AgentCorrelation(found.rho, found.pairs, alike, found.cases, found.basis)


def agreement_bound(
    answers: Answers, *, options: int, accuracy: tuple[float, float] | None = None, seed: int = 0
) -> AgentCorrelation:
    """Bound rho by how often agents give the same answer, where nobody knows which is right.

    Agents agree by being right and by being wrong alike, and agreement cannot tell the two apart. With a share A of
    pairs that agree, agents of equal accuracy a, and q = a (1-a):

        rho <= (A - a^2 - (1-a)^2 / (options-1)) / (q options / (options-1))     if wrong answers are spread evenly
        rho >= (A - a^2 - (1-a)^2) / (2 q)                                       if they are always the same

    taken over all accuracies believed possible. `rho.value` is the upper bound, since to take agents for more alike
    than they are is the lesser harm. Without a belief about accuracy the bounds are usually 0 and 1.

    Args:
        answers: Index of the answer from 0, or -1 where there was none; shape (n_cases, n_agents).
        options: How many answers there are to each question.
        accuracy: Lowest and highest accuracy that is believed; nothing where none is.
        seed: Of the bootstrap over cases, which moves the ends of the interval outwards.

    Raises:
        ValueError: There are fewer than two agents or options, or the accuracies are no interval in [0, 1].
    """
    _needs_agents(answers)
    _needs_options(options)
    lowest, highest = accuracy if accuracy is not None else (1.0 / options, 1.0)
    if not 0.0 <= lowest <= highest <= 1.0:
        raise ValueError(f"accuracies {lowest:g} to {highest:g}; give an interval in [0, 1], the lower end first")
    same, compared = _agreements(answers)
    kept = compared > 0
    if not kept.any():
        return _unknown(answers.shape[1])
    weights = _resampled(int(kept.sum()), np.random.default_rng(seed))
    low, high = np.quantile((weights @ same[kept]) / (weights @ compared[kept]), [0.025, 0.975])
    believed = np.linspace(lowest, highest, 201)
    value = _bounds(float(same.sum() / compared.sum()), believed, options)[1]
    least, most = _bounds(float(low), believed, options)[0], _bounds(float(high), believed, options)[1]
    rho = Correlation(value, min(least, value), max(most, value), int(kept.sum()))
    return AgentCorrelation(rho, _equal_pairs(answers.shape[1], value), None, int(kept.sum()), "agreement")


def agent_weight(rho: float, members: int) -> float:
    """Return what one of several equally correlated agents counts: 1 / (1 + (M-1) rho).

    >>> agent_weight(1.0, 5)
    0.2
    """
    return 1.0 / (1.0 + (members - 1) * max(0.0, rho))


def agent_weights(correlation: AgentCorrelation) -> tuple[float, ...]:
    """Return what each agent counts: 1 / (1 + sum over the others of its correlation with them).

    With equal correlations these are the weights of `agent_weight`. With unequal ones an agent that errs apart from
    the others keeps its vote, and copies of one model share theirs.
    """
    return tuple(
        1.0 / (1.0 + sum(max(0.0, r) for j, r in enumerate(row) if j != i)) for i, row in enumerate(correlation.pairs)
    )


def _needs_agents(table: Array | Answers) -> None:
    if table.ndim != 2 or table.shape[1] < 2:
        raise ValueError(f"a table of shape {table.shape}; give one row per case and at least two agents as columns")


def _needs_options(options: int) -> None:
    if options < 2:
        raise ValueError(f"{options} options leave nothing to be wrong about; give the number of answers, at least 2")


def _combined(drawn: Array, informative: int, *, pairs: int) -> Correlation:
    """Combine an estimate, the first of `drawn`, with the prior; the others are its bootstrap."""
    if not informative or np.isnan(drawn[0]):
        return Correlation(PRIOR_MEAN, 0.0, 1.0, informative)
    near = (informative * drawn[0] + PRIOR_CASES * PRIOR_MEAN) / (informative + PRIOR_CASES)
    least = (1.0 - near**2) ** 2 / (informative * pairs)
    variance = max(float(np.nanvar(drawn[1:])) if (~np.isnan(drawn[1:])).any() else 0.0, float(least))
    share = PRIOR_VARIANCE / (PRIOR_VARIANCE + variance)
    value = float(np.clip(share * drawn[0] + (1.0 - share) * PRIOR_MEAN, 0.0, 1.0))
    half = _Z * math.sqrt(share * variance)
    return Correlation(value, max(0.0, value - half), min(1.0, value + half), informative)


def _resampled(count: int, rng: np.random.Generator) -> Array:
    """How often each case occurs in each resample, shape (RESAMPLES, count)."""
    if count == 0:
        return np.zeros((RESAMPLES, 0))
    return rng.multinomial(count, np.full(count, 1.0 / count), size=RESAMPLES).astype(np.float64)


def _moments(wrong: Array, weights: Array) -> tuple[Array, Array, Array]:
    """Covariance, sqrt(var_i var_j) and erring cases of each pair, over the cases that both answered.

    Shapes (n_weightings, n_agents, n_agents).
    """
    cases, members = wrong.shape
    seen = (~np.isnan(wrong)).astype(np.float64)
    filled = np.where(np.isnan(wrong), 0.0, wrong)

    def pairwise(left: Array, right: Array) -> Array:
        products = (left[:, :, None] * right[:, None, :]).reshape(cases, members * members)
        sums: Array = (weights @ products).reshape(len(weights), members, members)
        return sums

    n = np.maximum(pairwise(seen, seen), 1.0)
    first, both = pairwise(filled, seen) / n, pairwise(filled, filled) / n
    second = np.swapaxes(first, 1, 2)
    spread = np.sqrt(np.maximum(first * (1.0 - first), 0.0) * np.maximum(second * (1.0 - second), 0.0))
    return both - first * second, spread, n * (first + second - both)


def _ratio(above: Array, below: Array) -> Array:
    result: Array = np.divide(above, below, out=np.full_like(above, np.nan), where=below > 1e-12)
    return result


def _shrunk_pairs(raw: Array, erring: Array, rho: float) -> tuple[tuple[float, ...], ...]:
    """Each pair drawn to the pooled value as by PRIOR_CASES cases; an undefined one is the pooled value."""
    share = erring / (erring + PRIOR_CASES)
    pooled = np.where(np.isnan(raw), rho, share * np.nan_to_num(raw) + (1.0 - share) * rho)
    pooled = np.clip(pooled, 0.0, 1.0)
    np.fill_diagonal(pooled, 1.0)
    return tuple(tuple(float(x) for x in row) for row in pooled)


def _unknown(members: int) -> AgentCorrelation:
    return AgentCorrelation(
        Correlation(PRIOR_MEAN, 0.0, 1.0, 0), _equal_pairs(members, PRIOR_MEAN), None, 0, basis="assumed"
    )


def _equal_pairs(members: int, rho: float) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(1.0 if i == j else rho for j in range(members)) for i in range(members))


def _agreements(answers: Answers) -> tuple[Array, Array]:
    """Pairs that agree and pairs that can be compared, per case."""
    seen = answers >= 0
    upper = np.triu(np.ones((answers.shape[1], answers.shape[1]), dtype=bool), 1)
    comparable = seen[:, :, None] & seen[:, None, :] & upper
    same = comparable & (answers[:, :, None] == answers[:, None, :])
    return same.sum(axis=(1, 2)).astype(np.float64), comparable.sum(axis=(1, 2)).astype(np.float64)


def _bounds(agreement: float, accuracies: Array, options: int) -> tuple[float, float]:
    """The least and the greatest rho that agree with a share of agreeing pairs, over accuracies."""
    a = accuracies[(accuracies > 0.0) & (accuracies < 1.0)]
    if not len(a):
        return 0.0, 1.0
    q = a * (1.0 - a)
    upper = (agreement - a**2 - (1.0 - a) ** 2 / (options - 1)) / (q * options / (options - 1))
    lower = (agreement - a**2 - (1.0 - a) ** 2) / (2.0 * q)
    return float(np.clip(lower.min(), 0.0, 1.0)), float(np.clip(upper.max(), 0.0, 1.0))
