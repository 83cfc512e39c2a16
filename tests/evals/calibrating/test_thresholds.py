import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from wardround.core.errors import UsageError
from wardround.evals.calibrating.thresholds import (
    cases_needed,
    certify,
    certifying,
    cuts,
    naive,
    tail,
    upper_bound,
)


def world(n: int, seed: int, a: float = 6.0, b: float = 0.8) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    confidence = rng.beta(a, b, n)
    return confidence, (rng.random(n) < confidence).astype(float)


def true_risk(threshold: float, a: float, b: float) -> float:
    right = a / (a + b) * scipy.stats.beta(a + 1, b).sf(threshold)
    return float(1 - right / scipy.stats.beta(a, b).sf(threshold))


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]), st.booleans()), min_size=1, max_size=80),
    st.integers(1, 20),
    st.integers(2, 30),
)
@settings(deadline=None)
def test_thresholds_go_from_strict_to_lax_and_count_what_lies_above(
    rows: list[tuple[float, bool]], first: int, steps: int
) -> None:
    c, y = np.array(rows, dtype=float).T
    tried = cuts(c, y, first=first, steps=steps)
    assert all(cut.accepted == np.sum(c > cut.value) >= first for cut in tried)
    assert all(cut.errors == np.sum((c > cut.value) & (y == 0)) for cut in tried)
    values = [cut.value for cut in tried]
    assert values == sorted(set(values), reverse=True)
    if np.sum(c > 0) >= first:
        assert tried[-1].value == 0.0


@given(st.integers(0, 30), st.integers(1, 200), st.floats(0.01, 0.5))
@settings(deadline=None)
def test_the_p_value_is_the_binomial_test(errors: int, accepted: int, alpha: float) -> None:
    errors = min(errors, accepted)
    expected = scipy.stats.binomtest(errors, accepted, alpha, alternative="less").pvalue
    assert tail(errors, accepted, alpha) == pytest.approx(expected, rel=1e-6)


@given(st.integers(0, 30), st.integers(1, 200), st.floats(0.01, 0.5))
@settings(deadline=None)
def test_the_upper_bound_is_where_the_test_just_fails(errors: int, accepted: int, delta: float) -> None:
    errors = min(errors, accepted)
    bound = upper_bound(errors, accepted, delta)
    assert errors / accepted <= bound <= 1.0
    if bound < 1.0:
        assert tail(errors, accepted, bound) == pytest.approx(delta, rel=1e-5)


@pytest.mark.parametrize(("alpha", "needed"), [(0.10, 22), (0.05, 45), (0.02, 114), (0.01, 230)])
def test_cases_without_error_that_show_a_low_rate(alpha: float, needed: int) -> None:
    assert certifying(0.0, alpha, 0.1) == needed == math.ceil(math.log(0.1) / math.log(1 - alpha))


@given(st.floats(0.0, 0.08), st.floats(0.01, 0.3))
@settings(deadline=None)
def test_the_cases_that_would_certify_do(rate: float, delta: float) -> None:
    needed = certifying(rate, 0.1, delta)
    assert tail(math.floor(rate * needed), needed, 0.1) <= delta


def test_the_promise_is_broken_no_more_often_than_said_while_looking_at_the_rate_breaks_it() -> None:
    draws, alpha, a, b = 200, 0.1, 5.0, 2.0
    broken = looked = 0
    for seed in range(draws):
        c, y = world(600, seed, a, b)
        found = certify(c, y, alpha=alpha)
        broken += found.value is not None and true_risk(found.value, a, b) > alpha
        cut = naive(c, y, alpha=alpha)
        looked += cut is not None and true_risk(cut.value, a, b) > alpha
    # With a true rate of 10 % more than 32 of 200 are seen once in 400 times.
    assert broken <= scipy.stats.binom.ppf(0.9975, draws, 0.1)
    assert looked > scipy.stats.binom.ppf(0.9999, draws, 0.1)


def test_a_good_score_with_enough_cases_is_certified_with_its_counts() -> None:
    c, y = world(1000, 1)
    found = certify(c, y)
    assert found.value is not None
    assert found.accepted == np.sum(c > found.value)
    assert found.errors == np.sum((c > found.value) & (y == 0))
    assert found.upper == pytest.approx(upper_bound(found.errors, found.accepted, 0.1))
    assert found.upper <= 0.1


def test_too_few_cases_are_not_certified_and_it_says_how_many_would_be() -> None:
    c, y = world(40, 0)
    found = certify(c, y)
    assert not found.certified
    assert found.needed is not None
    assert found.needed >= 60


def test_more_cases_than_are_said_to_be_needed_do_certify() -> None:
    c = np.linspace(0.5, 1.0, 40)
    y = np.ones(40)
    needed = certify(c, y).needed
    assert needed == 60
    assert certify(np.linspace(0.5, 1.0, needed + 1), np.ones(needed + 1)).certified


def test_a_score_that_errs_everywhere_is_helped_by_no_number_of_cases() -> None:
    rng = np.random.default_rng(0)
    c, y = rng.random(1000), (np.arange(1000) % 2).astype(float)
    found = certify(c, y)
    assert (found.certified, found.needed) == (False, None)
    assert cases_needed(c, y, alpha=0.1, delta=0.1, first=60) is None


def test_a_strict_promise_begins_where_it_can_be_kept() -> None:
    assert certify(np.linspace(0.5, 1.0, 400), np.ones(400), alpha=0.02).certified


def test_no_case_is_no_certificate() -> None:
    found = certify([], [])
    assert (found.certified, found.n, found.needed) == (False, 0, 60)


@given(st.integers(0, 30))
@settings(deadline=None, max_examples=10)
def test_the_order_of_the_cases_does_not_matter(seed: int) -> None:
    c, y = world(200, seed)
    order = np.random.default_rng(seed).permutation(200)
    assert certify(c, y) == certify(c[order], y[order])


@given(st.integers(0, 30), st.floats(0.05, 0.2), st.floats(0.05, 0.2))
@settings(deadline=None, max_examples=15)
def test_a_laxer_promise_answers_no_less(seed: int, a: float, b: float) -> None:
    c, y = world(300, seed)
    strict, lax = certify(c, y, alpha=min(a, b)), certify(c, y, alpha=max(a, b))
    assert lax.accepted >= strict.accepted


def test_equal_confidences_are_accepted_together_or_not_at_all() -> None:
    c = np.repeat([0.9, 0.6], [100, 100])
    y = np.concatenate([np.ones(100), np.arange(100) % 2])
    found = certify(c, y)
    assert (found.value, found.accepted, found.errors) == (0.6, 100, 0)


@pytest.mark.parametrize(
    ("c", "y", "alpha"), [([0.5], [1, 0], 0.1), ([float("nan")], [1], 0.1), ([0.5], [1], 0.0), ([0.5], [2], 0.1)]
)
def test_what_cannot_be_tested_is_refused(c: list[float], y: list[float], alpha: float) -> None:
    with pytest.raises(UsageError):
        certify(c, y, alpha=alpha)
