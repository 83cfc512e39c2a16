import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from wardround.core.calibration.calibrators import (
    Beta,
    Calibrator,
    Histogram,
    Isotonic,
    Platt,
    Temperature,
    Uncalibrated,
    VennAbers,
)
from wardround.core.calibration.checking import log_odds, sigmoid
from wardround.core.errors import UsageError

PROBABILITY = st.floats(0.0, 1.0)
POSITIVE = st.floats(0.05, 20.0)
ANY = st.floats(-8.0, 8.0)


@st.composite
def rising(draw: st.DrawFn, size: int) -> tuple[float, ...]:
    return tuple(sorted(draw(st.lists(PROBABILITY, min_size=size, max_size=size, unique=True))))


@st.composite
def steps(draw: st.DrawFn, kind: type[Isotonic] | type[Histogram]) -> Isotonic | Histogram:
    size = draw(st.integers(1, 6))
    return kind(at=draw(rising(size)), values=draw(rising(size)))


@st.composite
def venn_abers_pairs(draw: st.DrawFn) -> VennAbers:
    size = draw(st.integers(1, 5))
    a, b = np.array(draw(rising(2 * size + 1))), np.array(draw(rising(2 * size + 1)))
    return VennAbers(at=draw(rising(size)), low=tuple(np.minimum(a, b)), high=tuple(np.maximum(a, b)))


CALIBRATORS = st.one_of(
    st.just(Uncalibrated()),
    st.builds(Temperature, temperature=POSITIVE),
    st.builds(Platt, slope=st.floats(0.0, 20.0), intercept=ANY),
    st.builds(Beta, a=st.floats(0.0, 20.0), b=st.floats(0.0, 20.0), c=ANY),
    steps(Isotonic),
    steps(Histogram),
    venn_abers_pairs(),
)


@given(CALIBRATORS, st.lists(PROBABILITY, min_size=2, max_size=20))
@settings(deadline=None)
def test_calibrated_probabilities_stay_in_bounds_and_in_order(calibrator: Calibrator, scores: list[float]) -> None:
    found = calibrator.apply(np.sort(scores))
    assert found.shape == (len(scores),)
    assert np.all((found >= 0.0) & (found <= 1.0))
    assert np.all(np.diff(found) >= -1e-12)


@given(CALIBRATORS, st.lists(PROBABILITY, min_size=1, max_size=20), st.randoms())
@settings(deadline=None)
def test_each_case_is_calibrated_by_itself(calibrator: Calibrator, scores: list[float], random) -> None:  # type: ignore[no-untyped-def]
    order = list(range(len(scores)))
    random.shuffle(order)
    together = calibrator.apply(np.array(scores))
    assert np.array_equal(calibrator.apply(np.array(scores)[order]), together[order])
    assert [calibrator.apply(np.array([s]))[0] for s in scores] == pytest.approx(together.tolist(), abs=1e-15)


@given(CALIBRATORS, st.lists(PROBABILITY, min_size=1, max_size=20))
@settings(deadline=None)
def test_json_brings_back_the_same_calibrator(calibrator: Calibrator, scores: list[float]) -> None:
    adapter: TypeAdapter[Calibrator] = TypeAdapter(Calibrator)
    again = adapter.validate_json(adapter.dump_json(calibrator))
    assert again == calibrator
    assert np.array_equal(again.apply(np.array(scores)), calibrator.apply(np.array(scores)))


@pytest.mark.parametrize("wrong", [float("nan"), -0.1, 1.1, float("inf")])
@given(calibrator=CALIBRATORS)
@settings(deadline=None)
def test_what_is_no_probability_is_refused_with_its_place(calibrator: Calibrator, wrong: float) -> None:
    with pytest.raises(UsageError, match="entry 1 is"):
        calibrator.apply(np.array([0.5, wrong]))


@given(POSITIVE, st.lists(st.floats(0.01, 1.0), min_size=2, max_size=8))
@settings(deadline=None)
def test_temperature_keeps_the_order_of_classes_and_their_sum(temperature: float, weights: list[float]) -> None:
    p = np.array(weights) / sum(weights)
    found = Temperature(temperature=temperature).apply_to_distribution(p)
    assert found.sum() == pytest.approx(1.0)
    assert np.all(np.diff(found[np.argsort(p)]) >= -1e-12)


@given(POSITIVE, st.floats(0.01, 0.99))
@settings(deadline=None)
def test_temperature_of_two_classes_is_that_of_one_probability(temperature: float, p: float) -> None:
    calibrator = Temperature(temperature=temperature)
    both = calibrator.apply_to_distribution(np.array([p, 1.0 - p]))
    assert both[0] == pytest.approx(calibrator.apply(np.array([p]))[0], abs=1e-9)


def test_a_class_at_zero_stays_there_and_no_distribution_is_refused() -> None:
    assert Temperature(temperature=2.0).apply_to_distribution(np.array([0.0, 0.5, 0.5])).tolist() == [0.0, 0.5, 0.5]
    with pytest.raises(UsageError, match="sums to 1"):
        Temperature(temperature=2.0).apply_to_distribution(np.array([0.4, 0.4]))


@given(st.floats(1e-5, 1.0 - 1e-5))
@settings(deadline=None)
def test_neutral_parameters_change_nothing(p: float) -> None:
    given_ = np.array([p])
    for calibrator in (Temperature(temperature=1.0), Platt(slope=1.0, intercept=0.0), Beta(a=1.0, b=1.0, c=0.0)):
        assert calibrator.apply(given_)[0] == pytest.approx(p, abs=1e-9)


@given(venn_abers_pairs(), PROBABILITY)
@settings(deadline=None)
def test_the_merged_probability_lies_within_its_pair(calibrator: VennAbers, score: float) -> None:
    low, high = calibrator.interval(np.array([score]))
    merged = calibrator.apply(np.array([score]))
    assert low[0] - 1e-12 <= merged[0] <= high[0] + 1e-12


def test_a_score_on_the_edge_of_a_bin_belongs_to_the_bin_below() -> None:
    bins = Histogram(at=(0.5, 1.0), values=(0.2, 0.8))
    assert bins.apply(np.array([0.0, 0.5, 0.5000001, 1.0])).tolist() == [0.2, 0.2, 0.8, 0.8]


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (Isotonic, {"at": (0.1, 0.9), "values": (0.9, 0.1)}),
        (Isotonic, {"at": (0.9, 0.1), "values": (0.1, 0.9)}),
        (Histogram, {"at": (0.1, 0.9), "values": (0.1,)}),
        (VennAbers, {"at": (0.5,), "low": (0.1,), "high": (0.2,)}),
        (VennAbers, {"at": (0.5,), "low": (0.3, 0.3, 0.3), "high": (0.2, 0.4, 0.4)}),
        (Platt, {"slope": -1.0, "intercept": 0.0}),
        (Temperature, {"temperature": 0.0}),
    ],
)
def test_a_calibrator_that_would_turn_the_order_cannot_be_made(kind, fields) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValidationError):
        kind(**fields)


@given(st.floats(-700.0, 700.0))
@settings(max_examples=50, deadline=None)
def test_the_sigmoid_neither_overflows_nor_leaves_its_range(x: float) -> None:
    value = sigmoid(np.array([x, -x]))
    assert value.sum() == pytest.approx(1.0)
    assert np.all((value >= 0.0) & (value <= 1.0))


def test_log_odds_of_certainty_are_finite() -> None:
    assert np.isfinite(log_odds(np.array([0.0, 1.0]))).all()
