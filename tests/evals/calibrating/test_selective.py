from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardround.evals.calibrating import metrics, selective

Pair = tuple[np.ndarray, np.ndarray]


@st.composite
def pairs(draw: st.DrawFn) -> Pair:
    rows = draw(st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.5, 0.9, 1.0]), st.booleans()), min_size=1))
    p, y = np.array(rows, dtype=float).T
    return p, y


@given(st.lists(st.tuples(st.sampled_from([0.2, 0.5]), st.booleans()), min_size=1, max_size=5))
@settings(deadline=None)
def test_ties_count_as_the_mean_over_all_their_orders(rows: list[tuple[float, bool]]) -> None:
    c, y = np.array(rows, dtype=float).T
    areas, general = [], []
    for order in permutations(range(len(c))):
        index = sorted(order, key=lambda i: -c[i])  # stable: equal confidences stay in the order of the permutation
        errors = np.cumsum(1 - y[index])
        areas.append(np.mean(errors / np.arange(1, len(c) + 1)))
        general.append(np.mean(errors) / len(c))
    assert selective.aurc(c, y) == pytest.approx(np.mean(areas))
    assert selective.augrc(c, y) == pytest.approx(np.mean(general))


@given(pairs())
@settings(deadline=None)
def test_no_order_is_better_than_the_best(data: Pair) -> None:
    c, y = data
    assert selective.aurc(c, y) >= selective.best_aurc(y) - 1e-12
    assert selective.e_aurc(c, y) >= 0.0
    assert selective.e_aurc(y, y) == pytest.approx(0.0, abs=1e-12)
    assert 0.0 <= selective.augrc(c, y) <= 1.0


@given(pairs())
@settings(deadline=None)
def test_no_confidence_at_all_is_a_random_order(data: Pair) -> None:
    _, y = data
    n, rate = len(y), 1 - y.mean()
    same = np.full(n, 0.5)
    assert selective.aurc(same, y) == pytest.approx(rate)
    assert selective.augrc(same, y) == pytest.approx(rate * (n + 1) / (2 * n))
    assert selective.risk_at_coverage(same, y, 0.5) == pytest.approx(rate)


@given(pairs())
@settings(deadline=None)
def test_only_the_order_of_confidences_counts(data: Pair) -> None:
    c, y = data
    for area in (selective.aurc, selective.e_aurc, selective.augrc):
        assert area(c, y) == pytest.approx(area(c**3 / 2, y))


def test_the_best_area_tends_to_its_closed_form() -> None:
    y = np.ones(20_000)
    y[:6000] = 0.0
    assert selective.best_aurc(y) == pytest.approx(0.3 + 0.7 * np.log(0.7), abs=1e-4)


def test_the_generalised_area_follows_from_auroc_and_accuracy() -> None:
    rng = np.random.default_rng(0)
    c = rng.random(20_000)
    y = (rng.random(20_000) < c).astype(float)
    right = y.mean()
    expected = (1 - metrics.auroc(c, y)) * right * (1 - right) + (1 - right) ** 2 / 2
    assert selective.augrc(c, y) == pytest.approx(expected, abs=1e-4)


@given(pairs(), st.floats(0.01, 1.0))
@settings(deadline=None)
def test_risk_and_coverage_agree(data: Pair, coverage: float) -> None:
    c, y = data
    assert 0.0 <= selective.risk_at_coverage(c, y, coverage) <= 1.0
    assert selective.risk_at_coverage(c, y, 1.0) == pytest.approx(1 - y.mean())
    held = selective.coverage_at_risk(c, y, 0.2)
    if held > 0:
        assert selective.risk_at_coverage(c, y, held) <= 0.2 + 1e-9
    assert selective.coverage_at_risk(c, y, 1.0) == 1.0
    assert selective.coverage_at_risk(c, y, 0.1) <= selective.coverage_at_risk(c, y, 0.3)


def test_equal_confidences_are_answered_together() -> None:
    c, y = np.array([0.9, 0.5, 0.5, 0.5]), np.array([1.0, 1.0, 1.0, 0.0])
    assert selective.coverage_at_risk(c, y, 0.2) == 0.25
    assert selective.coverage_at_risk(c, y, 0.25) == 1.0
