import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from venn_abers import VennAbers as Oracle

from wardround.core.calibration.calibrators import Beta, Histogram, Platt, Temperature, Uncalibrated, VennAbers
from wardround.core.calibration.checking import log_odds, sigmoid
from wardround.core.errors import UsageError
from wardround.evals.calibrating.fitting import Method, default_method, fit
from wardround.evals.calibrating.pooling import pooled

METHODS: tuple[Method, ...] = ("temperature", "platt", "beta", "isotonic", "histogram", "venn-abers")
GRID = np.linspace(0.0, 1.0, 101)


@st.composite
def labelled(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    n = draw(st.integers(4, 60))
    scores = draw(st.lists(st.sampled_from(np.linspace(0, 1, 21).tolist()), min_size=n, max_size=n))
    labels = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    return np.array([0.2, 0.7, *scores]), np.array([0.0, 1.0, *labels], dtype=float)


def world(n: int, seed: int = 0, temperature: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    true = rng.beta(2.0, 1.5, n)
    return sigmoid(log_odds(true) / temperature), (rng.random(n) < true).astype(float)


@pytest.mark.parametrize("method", METHODS)
@given(data=labelled())
@settings(max_examples=25, deadline=None)
def test_whatever_the_labels_order_and_bounds_are_kept(method: Method, data: tuple[np.ndarray, np.ndarray]) -> None:
    found = fit(method, *data).apply(GRID)
    assert np.all((found >= 0.0) & (found <= 1.0))
    assert np.all(np.diff(found) >= -1e-9)


@pytest.mark.parametrize("method", METHODS)
@given(data=labelled(), seed=st.integers(0, 100))
@settings(max_examples=15, deadline=None)
def test_the_order_of_the_cases_does_not_matter(method: Method, data: tuple[np.ndarray, np.ndarray], seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(data[0]))
    one, other = fit(method, *data), fit(method, data[0][order], data[1][order])
    assert one.apply(GRID) == pytest.approx(other.apply(GRID), abs=1e-4)


@pytest.mark.parametrize("method", ["isotonic", "venn-abers"])
@given(data=labelled())
@settings(max_examples=15, deadline=None)
def test_a_weight_of_two_is_two_cases(method: Method, data: tuple[np.ndarray, np.ndarray]) -> None:
    weights = np.arange(len(data[0])) % 2 + 1.0
    twice = np.repeat(np.arange(len(data[0])), weights.astype(int))
    weighed = fit(method, *data, weights).apply(GRID)
    assert weighed == pytest.approx(fit(method, data[0][twice], data[1][twice]).apply(GRID), abs=1e-9)


def test_temperature_is_found_again() -> None:
    calibrator = fit("temperature", *world(20_000, temperature=0.5))
    assert isinstance(calibrator, Temperature)
    assert calibrator.temperature == pytest.approx(2.0, abs=0.1)


def test_platt_is_the_logistic_regression_on_shrunk_labels() -> None:
    p, y = world(300)
    shrunk = np.where(y > 0, (y.sum() + 1) / (y.sum() + 2), 1 / (len(y) - y.sum() + 2))
    z = np.concatenate([log_odds(p)] * 2)[:, None]
    oracle = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(
        z, np.repeat([1, 0], len(y)), sample_weight=np.concatenate([shrunk, 1 - shrunk])
    )
    found = fit("platt", p, y)
    assert isinstance(found, Platt)
    assert found.slope == pytest.approx(oracle.coef_[0, 0], abs=1e-4)
    assert found.intercept == pytest.approx(oracle.intercept_[0], abs=1e-4)


def test_beta_is_the_logistic_regression_on_both_logarithms() -> None:
    p, y = world(2000, temperature=0.8)
    shrunk = np.where(y > 0, (y.sum() + 1) / (y.sum() + 2), 1 / (len(y) - y.sum() + 2))
    features = np.stack([np.log(p), -np.log1p(-p)], axis=1)
    oracle = LogisticRegression(C=np.inf, tol=1e-10, max_iter=5000).fit(
        np.concatenate([features] * 2), np.repeat([1, 0], len(y)), sample_weight=np.concatenate([shrunk, 1 - shrunk])
    )
    found = fit("beta", p, y)
    assert isinstance(found, Beta)
    assert [found.a, found.b, found.c] == pytest.approx([*oracle.coef_[0], oracle.intercept_[0]], abs=1e-3)


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0.1, 5)), min_size=1, max_size=30))
@settings(deadline=None)
def test_pooling_is_isotonic_regression(rows: list[tuple[float, float]]) -> None:
    values, weights = np.array(rows).T
    oracle = IsotonicRegression().fit_transform(np.arange(len(values)), values, sample_weight=weights)
    assert pooled(values, weights) == pytest.approx(oracle, abs=1e-9)


@given(labelled(), st.sampled_from(np.linspace(0, 1, 41).tolist()), st.sampled_from([0.0, 1.0]))
@settings(deadline=None)
def test_a_venn_abers_pair_is_two_isotonic_regressions_with_the_new_case(
    data: tuple[np.ndarray, np.ndarray], score: float, label: float
) -> None:
    p, y = np.append(data[0], score), np.append(data[1], label)
    oracle = IsotonicRegression(y_min=0, y_max=1).fit(p, y).predict([score])[0]
    found = fit("venn-abers", *data)
    assert isinstance(found, VennAbers)
    assert found.interval(np.array([score]))[int(label)][0] == pytest.approx(oracle, abs=1e-9)


def test_venn_abers_agrees_with_the_package_of_that_name() -> None:
    p, y = world(400)
    fresh, _ = world(100, seed=1)
    oracle = Oracle()
    oracle.fit(np.stack([1 - p, p], axis=1), y.astype(int), precision=None)
    merged, pair = oracle.predict_proba(np.stack([1 - fresh, fresh], axis=1))
    found = fit("venn-abers", p, y)
    assert isinstance(found, VennAbers)
    low, high = found.interval(fresh)
    assert low == pytest.approx(pair[:, 0], abs=1e-6)
    assert high == pytest.approx(pair[:, 1], abs=1e-6)
    assert found.apply(fresh) == pytest.approx(merged[:, 1], abs=1e-6)


def test_venn_abers_pairs_hold_the_truth_on_average() -> None:
    p, y = world(1000)
    fresh, outcome = world(20_000, seed=2)
    found = fit("venn-abers", p, y)
    assert isinstance(found, VennAbers)
    low, high = found.interval(fresh)
    assert low.mean() - 0.02 <= outcome.mean() <= high.mean() + 0.02
    assert (high - low).mean() < 0.1


@pytest.mark.parametrize("method", METHODS)
def test_bold_scores_come_closer_to_the_truth(method: Method) -> None:
    p, y = world(2000)
    fresh, outcome = world(10_000, seed=1)
    before, after = np.mean((fresh - outcome) ** 2), np.mean((fit(method, p, y).apply(fresh) - outcome) ** 2)
    assert after < before - 0.01


@pytest.mark.parametrize("method", METHODS)
def test_scores_that_part_right_from_wrong_perfectly_stay_finite(method: Method) -> None:
    p = np.array([0.1, 0.2, 0.3, 0.7, 0.8, 0.9])
    assert np.isfinite(fit(method, p, p > 0.5).apply(GRID)).all()


@pytest.mark.parametrize("method", METHODS)
def test_scores_that_tell_the_wrong_way_become_constant(method: Method) -> None:
    p = np.linspace(0.05, 0.95, 200)
    found = fit(method, p, p < 0.5).apply(np.linspace(0.1, 0.9, 9))
    assert np.ptp(found) < (0.2 if method in ("venn-abers", "temperature") else 0.05)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([], [], "no labelled case"),
        ([0.5, float("nan")], [0, 1], "entry 1 is nan"),
        ([0.5, 0.6], [0, float("nan")], "labels: entry 1"),
        ([0.5, 0.6], [0, 0.5], "labels are 1"),
        ([0.5, 0.6], [0], "2 scores, 1 labels"),
    ],
)
def test_what_cannot_be_fitted_says_why(method: Method, scores: list[float], labels: list[float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        fit(method, scores, labels)


@pytest.mark.parametrize("method", [m for m in METHODS if m != "venn-abers"])
def test_one_outcome_teaches_nothing(method: Method) -> None:
    with pytest.raises(UsageError, match="all 3 answers are right"):
        fit(method, [0.1, 0.5, 0.9], [1, 1, 1])


def test_venn_abers_says_how_little_one_outcome_tells() -> None:
    found = fit("venn-abers", [0.1, 0.5, 0.9], [1, 1, 1])
    assert isinstance(found, VennAbers)
    low, high = found.interval(np.array([0.05, 0.95]))
    assert low.tolist() == [0.0, 0.75]
    assert high.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("method", ["platt", "beta"])
def test_one_score_has_no_slope(method: Method) -> None:
    with pytest.raises(UsageError, match=r"all scores are 0\.6"):
        fit(method, [0.6, 0.6], [0, 1])


@pytest.mark.parametrize("method", ["isotonic", "histogram"])
def test_one_score_becomes_the_share_of_right_answers(method: Method) -> None:
    assert fit(method, [0.6] * 4, [0, 1, 1, 1]).apply(GRID) == pytest.approx(0.75)


@pytest.mark.parametrize("weights", [[1.0, 0.0], [1.0, -1.0], [1.0, float("nan")], [1.0, float("inf")]])
def test_weights_are_above_zero(weights: list[float]) -> None:
    with pytest.raises(UsageError, match="weights"):
        fit("platt", [0.2, 0.8], [0, 1], weights)


def test_bins_are_of_like_size_and_never_part_equal_scores() -> None:
    p, y = world(3000)
    found = fit("histogram", np.round(p, 2), y)
    assert isinstance(found, Histogram)
    edges = np.array([0.0, *found.at])
    assert np.histogram(np.round(p, 2), bins=edges)[0].min() > 100


def test_the_default_grows_with_the_labels() -> None:
    assert fit("none", [0.3], [1]) == Uncalibrated()
    assert [default_method(n) for n in (0, 99, 100, 1000, 1001)] == ["none", "none", "platt", "platt", "venn-abers"]
