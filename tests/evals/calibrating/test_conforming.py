import math

import numpy as np
import pytest
import scipy.stats
from crepes import ConformalClassifier
from hypothesis import given, settings
from hypothesis import strategies as st
from mapie.classification import SplitConformalClassifier
from sklearn.base import BaseEstimator, ClassifierMixin

from wardround.core.calibration.sets import POOLED
from wardround.core.errors import UsageError
from wardround.evals.calibrating.conforming import conform, control_risk, least_kept

PROBABILITIES = st.lists(st.sampled_from(np.linspace(0, 1, 21).tolist()), min_size=1, max_size=120)


def classes(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of six classes, and classes drawn from a sharper truth."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(6, 0.6), n)
    sharp = p**1.3 / (p**1.3).sum(axis=1, keepdims=True)
    return p, np.array([rng.choice(6, p=row) for row in sharp])


class Stated(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose features are its probabilities."""

    classes_ = np.arange(6)

    def fit(self, x: np.ndarray, y: np.ndarray) -> "Stated":
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        return x

    def predict(self, x: np.ndarray) -> np.ndarray:
        return x.argmax(axis=1)


@given(PROBABILITIES, st.floats(0.01, 0.5))
@settings(deadline=None)
def test_enough_of_the_calibrated_cases_are_kept(right: list[float], alpha: float) -> None:
    p = np.array(right)
    least = least_kept(p, alpha)
    rank = math.ceil((len(p) + 1) * (1 - alpha) - 1e-9)
    assert np.sum(p >= least) >= min(rank, len(p))
    assert (least == 0.0) or rank <= len(p)


@pytest.mark.parametrize(("alpha", "n"), [(0.1, 9), (0.05, 19), (0.01, 99)])
def test_so_many_cases_are_needed_before_anything_is_left_out(alpha: float, n: int) -> None:
    assert least_kept(np.full(n - 1, 0.9), alpha) == 0.0
    assert least_kept(np.full(n, 0.9), alpha) == 0.9


@given(PROBABILITIES, st.floats(0.01, 0.5), st.floats(0.01, 0.5))
@settings(deadline=None)
def test_a_stricter_promise_keeps_no_less(right: list[float], a: float, b: float) -> None:
    assert least_kept(np.array(right), min(a, b)) <= least_kept(np.array(right), max(a, b))


def test_the_coverage_is_that_of_its_beta_law() -> None:
    n, alpha, draws = 100, 0.1, 2000
    rng = np.random.default_rng(0)
    # With uniform scores the coverage of a threshold t on p is 1 - t.
    coverage = np.array([1 - least_kept(rng.random(n), alpha) for _ in range(draws)])
    rank = math.ceil((n + 1) * (1 - alpha))
    law = scipy.stats.beta(rank, n + 1 - rank)
    assert scipy.stats.kstest(coverage, law.cdf).pvalue > 1e-3
    assert coverage.mean() >= 1 - alpha - 4 * law.std() / math.sqrt(draws)
    assert coverage.std() == pytest.approx(0.030, abs=0.002)


def test_sets_are_those_of_mapie() -> None:
    p, y = classes(500, 0)
    fresh, _ = classes(300, 1)
    oracle = SplitConformalClassifier(Stated(), confidence_level=0.9, conformity_score="lac", prefit=True)
    oracle.conformalize(p, y)
    expected = oracle.predict_set(fresh)[1][:, :, 0]
    least = least_kept(p[np.arange(len(y)), y], 0.1)
    assert np.array_equal(fresh >= least, expected)


def test_strata_are_those_of_crepes() -> None:
    p, y = classes(600, 0)
    fresh, _ = classes(300, 1)
    names = np.array(["a", "b"])[np.arange(600) % 2]
    strata = np.array(["a", "b"])[np.arange(300) % 2]
    oracle = ConformalClassifier().fit(1 - p[np.arange(600), y], bins=names)
    expected = oracle.predict_set(1 - fresh, bins=strata, confidence=0.9, smoothing=False)
    found = conform(p[np.arange(600), y], names.tolist())
    ours = np.array([row >= found.threshold(s) for row, s in zip(fresh, strata, strict=True)])
    assert np.array_equal(ours, expected.astype(bool))


def test_every_stratum_keeps_its_promise_and_one_quantile_for_all_does_not() -> None:
    rng = np.random.default_rng(3)

    def draw(n: int) -> tuple[np.ndarray, np.ndarray]:
        names = rng.choice(["easy", "hard", "rare", "scarce"], n, p=[0.5, 0.3, 0.1, 0.1])
        return np.where(names == "easy", rng.beta(8, 1, n), rng.beta(1.5, 2, n)), names

    coverage: dict[str, list[float]] = {name: [] for name in ("easy", "hard", "small")}
    flat = []
    for _ in range(100):
        right, names = draw(800)
        found = conform(right, names.tolist(), own=125)
        assert found.pooled == ("rare", "scarce")
        tested, where = draw(2000)
        hit = np.array([p >= found.threshold(s) for p, s in zip(tested, where, strict=True)])
        for name in ("easy", "hard"):
            coverage[name].append(hit[where == name].mean())
        small = np.isin(where, ["rare", "scarce"])
        coverage["small"].append(hit[small].mean())
        flat.append((tested >= least_kept(right, 0.1))[small].mean())
    for values in coverage.values():
        assert np.mean(values) >= 0.9 - 4 * np.std(values) / 10
    assert np.mean(flat) < 0.88


@given(st.lists(st.sampled_from("abcde"), min_size=1, max_size=300), st.integers(1, 60))
@settings(deadline=None)
def test_every_case_is_in_one_stratum_and_the_pool_is_large_enough_if_it_can_be(names: list[str], own: int) -> None:
    found = conform(np.full(len(names), 0.5), names, own=own)
    assert sum(found.counts.values()) == len(names)
    assert {found.stratum(name) for name in names} == set(found.counts)
    assert all(count >= own for name, count in found.counts.items() if name != POOLED)
    if len(names) >= own and POOLED in found.counts:
        assert found.counts[POOLED] >= min(own, 30)


def test_no_case_leaves_nothing_out() -> None:
    assert conform(np.array([]), []).threshold("anything") == 0.0


@given(
    st.lists(
        st.tuples(st.sampled_from(np.linspace(0, 1, 11).tolist()), st.sampled_from([0.1, 1.0])),
        min_size=20,
        max_size=90,
    ),
    st.floats(0.05, 0.4),
)
@settings(deadline=None)
def test_the_controlled_risk_is_the_largest_threshold_that_holds(rows: list[tuple[float, float]], alpha: float) -> None:
    p, severity = np.array(rows).T

    def bound(t: float) -> float:
        return (np.sum(severity * (p < t)) + 1.0) / (len(p) + 1)

    found = control_risk(p, severity, alpha=alpha)
    assert found.threshold is not None
    assert bound(found.threshold) <= alpha + 1e-12
    assert all(bound(t) > alpha - 1e-12 for t in p if t > found.threshold)


def test_the_expected_severity_of_omissions_is_held() -> None:
    rng = np.random.default_rng(5)
    held = []
    for _ in range(300):
        right, severity = rng.beta(1.5, 1.5, 120), np.where(rng.random(120) < 0.3, 1.0, 0.1)
        threshold = control_risk(right, severity, alpha=0.05).threshold or 0.0
        fresh, cost = rng.beta(1.5, 1.5, 3000), np.where(rng.random(3000) < 0.3, 1.0, 0.1)
        held.append(np.mean(cost * (fresh < threshold)))
    assert np.mean(held) <= 0.05 + 4 * np.std(held) / math.sqrt(300)
    assert np.mean(held) > 0.03


def test_too_few_cases_hold_no_risk_and_it_says_how_many_would() -> None:
    found = control_risk(np.full(18, 0.9), np.full(18, 0.1))
    assert (found.threshold, found.needed) == (None, 19)
    assert control_risk(np.full(19, 0.9), np.full(19, 0.1)).threshold is not None


@pytest.mark.parametrize(
    ("p", "severity"), [([0.5], [1.1]), ([0.5], [-0.1]), ([0.5, 0.6], [0.1]), ([float("nan")], [0.1])]
)
def test_what_is_no_probability_or_severity_is_refused(p: list[float], severity: list[float]) -> None:
    with pytest.raises(UsageError):
        control_risk(np.array(p), np.array(severity))


@given(st.integers(0, 50))
@settings(max_examples=10, deadline=None)
def test_the_order_of_the_cases_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p, names = rng.random(300), rng.choice(["a", "b", "c"], 300)
    order = rng.permutation(300)
    assert conform(p, names.tolist()) == conform(p[order], names[order].tolist())
