import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from wardround.core.calibration.checking import log_odds, sigmoid
from wardround.core.errors import UsageError
from wardround.evals.calibrating import metrics
from wardround.evals.calibrating.binning import equal_mass, equal_width
from wardround.evals.calibrating.evaluating import STATISTICS, baseline, evaluate, resampled
from wardround.evals.statistics import bootstrapped, brier

Pair = tuple[np.ndarray, np.ndarray]


@st.composite
def pairs(draw: st.DrawFn) -> Pair:
    rows = draw(st.lists(st.tuples(st.sampled_from(np.linspace(0, 1, 13).tolist()), st.booleans()), min_size=1))
    p, y = np.array(rows, dtype=float).T
    return p, y


@given(pairs(), st.integers(1, 20))
@settings(deadline=None)
def test_the_parts_of_the_brier_score_sum_to_it(data: Pair, bins: int) -> None:
    parts = metrics.murphy(*data, bins=bins)
    total = parts.reliability - parts.resolution + parts.uncertainty + parts.within
    assert total == pytest.approx(brier(*data), abs=1e-12)
    assert parts.reliability >= 0.0
    assert -1e-12 <= parts.resolution <= parts.uncertainty + 1e-12
    assert brier(*data) == pytest.approx(brier_score_loss(data[1], data[0], pos_label=1))


@given(pairs())
@settings(deadline=None)
def test_a_bin_for_each_value_leaves_nothing_within(data: Pair) -> None:
    assert metrics.murphy(*data, bins=10_000).within == pytest.approx(0.0, abs=1e-12)


@given(pairs())
@settings(deadline=None)
def test_calibration_errors_are_shares_in_order(data: Pair) -> None:
    for value in (metrics.ece(*data), metrics.adaptive_ece(*data), metrics.mce(*data)):
        assert 0.0 <= value <= 1.0
    assert metrics.adaptive_ece(*data) <= metrics.mce(*data) + 1e-12


@pytest.mark.parametrize("name", STATISTICS)
@given(data=pairs(), seed=st.integers(0, 50))
@settings(max_examples=15, deadline=None)
def test_no_metric_depends_on_the_order_of_the_cases(name: str, data: Pair, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(data[0]))
    one, other = STATISTICS[name](*data), STATISTICS[name](data[0][order], data[1][order])
    assert one == pytest.approx(other, abs=1e-5, nan_ok=True)


@given(pairs())
@settings(deadline=None)
def test_auroc_is_scikit_learns_and_one_half_for_equal_scores(data: Pair) -> None:
    p, y = data
    if y.min() == y.max():
        assert np.isnan(metrics.auroc(p, y))
    else:
        assert metrics.auroc(p, y) == pytest.approx(roc_auc_score(y, p))
        assert metrics.auroc(np.full(len(p), 0.3), y) == 0.5


@given(pairs())
@settings(deadline=None)
def test_the_log_loss_is_scikit_learns(data: Pair) -> None:
    p = np.clip(data[0], 1e-10, 1 - 1e-10)
    assert metrics.nll(*data) == pytest.approx(log_loss(data[1], p, labels=[0, 1]))


@pytest.mark.parametrize("seed", range(5))
def test_slope_and_intercept_are_those_of_logistic_regression(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = rng.beta(2.0, 1.0, 400)
    y = (rng.random(400) < sigmoid(0.6 * log_odds(p) - 0.4)).astype(float)
    clipped = np.clip(p, 1e-6, 1.0 - 1e-6)
    fitted = LogisticRegression(C=np.inf).fit(np.log(clipped / (1.0 - clipped))[:, None], y)
    assert metrics.slope(p, y) == pytest.approx(float(fitted.coef_[0, 0]), abs=2e-3)
    assert sigmoid(log_odds(p) + metrics.intercept(p, y)).mean() == pytest.approx(y.mean(), abs=1e-8)


def test_calibrated_scores_have_slope_one_and_intercept_zero_and_shifted_ones_the_shift() -> None:
    rng = np.random.default_rng(0)
    true = rng.beta(2.0, 1.5, 40_000)
    y = (rng.random(len(true)) < true).astype(float)
    assert metrics.slope(true, y) == pytest.approx(1.0, abs=0.03)
    assert metrics.intercept(true, y) == pytest.approx(0.0, abs=0.03)
    assert metrics.intercept(sigmoid(log_odds(true) + 1.0), y) == pytest.approx(-1.0, abs=0.04)
    assert metrics.adaptive_ece(true, y) < 0.01


@pytest.mark.parametrize(
    ("p", "y"),
    [([0.2, 0.8], [1, 1]), ([0.5, 0.5], [0, 1]), ([0.2, 0.8], [0, 1]), ([0.8, 0.2], [0, 1])],
)
def test_a_slope_that_is_not_defined_is_not_a_number(p: list[float], y: list[float]) -> None:
    assert np.isnan(metrics.slope(np.array(p), np.array(y, dtype=float)))


def test_an_intercept_is_found_where_scores_are_extreme() -> None:
    p, y = np.array([0.0, 0.0, 1.0, 1.0]), np.array([1.0, 0.0, 0.0, 1.0])
    assert metrics.intercept(p, y) == pytest.approx(0.0, abs=1e-6)
    assert np.isnan(metrics.intercept(p, np.ones(4)))


@given(pairs(), st.sampled_from([0.1, 0.5, 0.9]))
@settings(deadline=None)
def test_acting_on_all_or_none_is_what_net_benefit_is_measured_against(data: Pair, at: float) -> None:
    p, y = data
    everything = y.mean() - (1 - y.mean()) * at / (1 - at)
    assert metrics.net_benefit(np.ones(len(y)), y, at) == pytest.approx(everything)
    assert metrics.net_benefit(np.zeros(len(y)), y, at) == 0.0
    assert metrics.net_benefit(p, y, at) <= y.mean() + 1e-12
    assert metrics.net_benefit(y, y, at) == pytest.approx(y.mean())


@given(st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.9]), min_size=1), st.integers(1, 15))
@settings(deadline=None)
def test_bins_never_part_equal_values_and_rise(values: list[float], bins: int) -> None:
    p = np.array(values)
    for groups in (equal_mass(p, bins), equal_width(p, bins)):
        assert len({(v, g) for v, g in zip(p.tolist(), groups.tolist(), strict=True)}) == len(set(values))
        assert np.all(np.diff(groups[np.argsort(p)]) >= 0)
        assert set(groups.tolist()) == set(range(int(groups.max()) + 1))
        assert groups.max() < bins


def test_bins_of_like_size_are() -> None:
    assert np.bincount(equal_mass(np.random.default_rng(0).random(1500), 15)).tolist() == [100] * 15


def test_every_figure_comes_with_interval_size_and_baseline() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(150)
    y = (rng.random(150) < p).astype(float)
    for name, judged in evaluate(p, y, names=["brier", "auroc", "e_aurc", "slope"]).items():
        low, value, high = judged.estimate.low, judged.estimate.value, judged.estimate.high
        assert low is not None
        assert value is not None
        assert high is not None
        assert low <= value <= high
        assert judged.estimate.n == 150
        assert (judged.baseline is None) == (name == "slope")


def test_the_baselines_are_what_no_skill_gives() -> None:
    y = np.array([1.0] * 30 + [0.0] * 10)
    assert baseline("brier", y) == pytest.approx(0.75 * 0.25)
    assert baseline("auroc", y) == 0.5
    assert baseline("aurc", y) == pytest.approx(0.25)
    assert baseline("adaptive_ece", y) == pytest.approx(0.0)
    assert baseline("net_benefit_0.5", y) == pytest.approx(0.5)
    assert baseline("net_benefit_0.9", y) == 0.0


def test_repeated_cases_are_resampled_together() -> None:
    rng = np.random.default_rng(0)
    p, y = np.repeat(rng.random(30), 10), np.repeat((rng.random(30) < 0.5).astype(float), 10)
    names = [str(i // 10) for i in range(300)]
    together, alone = resampled(brier, p, y, names), resampled(brier, p, y)
    assert together.value == pytest.approx(alone.value)
    assert together.n == 300
    assert together.high - together.low > 2 * (alone.high - alone.low)  # type: ignore[operator]
    assert resampled(brier, p, y, [str(i) for i in range(300)]) == bootstrapped(brier, p, y)


def test_nothing_to_evaluate_is_said() -> None:
    with pytest.raises(UsageError, match="0 probabilities"):
        evaluate(np.array([]), np.array([]))
    with pytest.raises(UsageError, match="entry 0 is nan"):
        evaluate(np.array([np.nan]), np.array([1.0]))


def test_a_decision_curve_of_true_probabilities_is_never_below_acting_on_all_or_none() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(20_000)
    y = (rng.random(20_000) < p).astype(float)
    for point in metrics.decision_curve(p, y, [0.1, 0.3, 0.5, 0.7, 0.9]):
        assert point.model > max(point.act_on_all, point.act_on_none) - 0.005
        assert point.act_on_all == pytest.approx(metrics.net_benefit(np.ones(len(y)), y, point.at))
