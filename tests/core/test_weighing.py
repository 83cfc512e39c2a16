"""Laws of the arithmetic of evidence."""

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardround.core.weighing import (
    MAX_GROUP_LLR,
    OTHER_PRIOR,
    UNINFORMED,
    Evidence,
    band,
    discount_weights,
    group_terms,
    log_ratio,
    posterior,
    reading_weight,
    sorted_discount,
    weigh,
)

PROBABILITY = st.floats(0.001, 0.999)
RATIOS = st.lists(st.floats(-6.0, 6.0), min_size=1, max_size=8)
RHO = st.floats(0.0, 1.0)
laws = settings(max_examples=150, deadline=None)


def net(ratios: list[float], rho: float) -> float:
    up, down = sorted_discount(np.array(ratios)[:, None], rho)
    return float(up[0] + down[0])


def one_ratio(reading: float, present: float, background: float) -> float:
    return float(log_ratio(np.array(reading), np.array(present), np.array(background)))


@laws
@given(st.floats(0.0, 0.98))
def test_a_contradicting_reading_is_the_negative(reliability: float) -> None:
    assert reading_weight(reliability, present=False) == -reading_weight(reliability, present=True)
    assert reading_weight(reliability, present=True) >= 0.0


@laws
@given(st.floats(0.0, 0.98), st.floats(0.0, 0.98))
def test_a_more_reliable_reading_weighs_no_less(a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert reading_weight(low, present=True) <= reading_weight(high, present=True)


@laws
@given(st.floats(0.0, 0.98), PROBABILITY, PROBABILITY)
def test_a_single_reading_is_the_reliability_mixture(r: float, present: float, background: float) -> None:
    doubt = (1.0 - r) * UNINFORMED
    expected = math.log((r * present + doubt) / (r * background + doubt))
    assert one_ratio(reading_weight(r, present=True), present, background) == pytest.approx(expected, abs=1e-9)


@laws
@given(st.floats(-1e6, 1e6), PROBABILITY, PROBABILITY)
def test_readings_never_exceed_the_likelihood_ratios_of_the_finding(
    reading: float, present: float, background: float
) -> None:
    limits = sorted((math.log(present / background), math.log((1.0 - present) / (1.0 - background))))
    assert limits[0] - 1e-9 <= one_ratio(reading, present, background) <= limits[1] + 1e-9


@laws
@given(PROBABILITY, PROBABILITY)
def test_no_reading_says_nothing(present: float, background: float) -> None:
    assert one_ratio(0.0, present, background) == pytest.approx(0.0, abs=1e-12)


@laws
@given(RATIOS)
def test_without_correlation_the_discount_is_the_plain_sum(ratios: list[float]) -> None:
    assert net(ratios, 0.0) == pytest.approx(math.fsum(ratios), abs=1e-9)


@laws
@given(RATIOS)
def test_with_full_correlation_only_the_strongest_of_each_sign_counts(ratios: list[float]) -> None:
    assert net(ratios, 1.0) == pytest.approx(max(0.0, *ratios) + min(0.0, *ratios), abs=1e-9)


@laws
@given(st.integers(1, 12), st.floats(-3.0, 3.0), RHO)
def test_equal_ratios_give_the_design_effect(count: int, ratio: float, rho: float) -> None:
    expected = count / (1.0 + (count - 1) * rho) * ratio
    assert net([ratio] * count, rho) == pytest.approx(expected, abs=1e-9)


@laws
@given(RATIOS, st.floats(0.0, 6.0), RHO)
def test_a_further_supporter_never_lowers_the_sum(ratios: list[float], more: float, rho: float) -> None:
    assert net([*ratios, more], rho) >= net(ratios, rho) - 1e-9
    assert net([*ratios, -more], rho) <= net(ratios, rho) + 1e-9


@laws
@given(RATIOS, RHO, st.randoms())
def test_the_discount_does_not_depend_on_order(ratios: list[float], rho: float, random: Random) -> None:
    shuffled = list(ratios)
    random.shuffle(shuffled)
    assert net(shuffled, rho) == net(ratios, rho)


@laws
@given(st.integers(0, 12), RHO)
def test_discount_weights_fall_from_one(count: int, rho: float) -> None:
    weights = discount_weights(count, rho)
    assert weights.shape == (count,)
    assert (weights >= -1e-12).all()
    assert (np.diff(weights) <= 1e-12).all()
    if count:
        assert weights[0] == pytest.approx(1.0)


@laws
@given(st.lists(st.tuples(st.floats(-20.0, 20.0), st.integers(0, 2)), min_size=1, max_size=10))
def test_no_group_adds_more_than_its_limit(items: list[tuple[float, int]]) -> None:
    ratios = np.array([ratio for ratio, _ in items])[:, None]
    groups = np.array([group for _, group in items], dtype=np.int64)
    groups = np.unique(groups, return_inverse=True)[1].astype(np.int64)
    assert (np.abs(group_terms(ratios, groups)) <= MAX_GROUP_LLR).all()


def test_a_strong_group_is_cut_at_its_limit_on_both_sides() -> None:
    ratios = np.array([[50.0, -50.0]])
    assert group_terms(ratios, np.array([0])).tolist() == [[MAX_GROUP_LLR, -MAX_GROUP_LLR]]


def test_groups_do_not_discount_one_another() -> None:
    apart = group_terms(np.array([[1.0], [1.0]]), np.array([0, 1])).sum()
    together = group_terms(np.array([[1.0], [1.0]]), np.array([0, 0])).sum()
    assert apart == pytest.approx(2.0)
    assert together == pytest.approx(2.0 / 1.5)


@laws
@given(
    st.lists(st.floats(0.01, 1.0), min_size=1, max_size=6),
    st.lists(st.floats(-3.0, 3.0), min_size=24, max_size=24),
)
def test_the_posterior_is_a_distribution_of_open_probabilities(raw: list[float], values: list[float]) -> None:
    prior = np.array(raw) / sum(raw) * (1.0 - OTHER_PRIOR)
    p = posterior(prior, np.array(values[: 4 * len(raw)]).reshape(4, len(raw)))
    assert math.fsum(p) == pytest.approx(1.0)
    assert ((p > 0.0) & (p < 1.0)).all()


def test_without_terms_the_posterior_is_the_prior() -> None:
    prior = np.array([0.6, 0.35])
    assert posterior(prior, np.zeros((0, 2))).tolist() == pytest.approx([0.6, 0.35, 0.05])


def test_temperature_divides_the_evidence() -> None:
    prior, terms = np.array([0.5, 0.45]), np.array([[2.0, -2.0]])
    assert posterior(prior, terms, temperature=2.0).tolist() == pytest.approx(posterior(prior, terms / 2.0).tolist())


def small(reading: list[float]) -> Evidence:
    return Evidence(
        reading=np.array(reading),
        present=np.array([[0.8, 0.1], [0.3, 0.6]]),
        background=np.array([0.1, 0.3]),
        group=np.array([0, 1], dtype=np.int64),
        prior=np.array([0.5, 0.45]),
    )


def test_vacuity_falls_from_one_as_reliable_observations_bear() -> None:
    nothing = weigh(small([0.0, 0.0])).vacuity
    sure = weigh(small([reading_weight(0.9, present=True)] * 2)).vacuity
    assert nothing.tolist() == [1.0, 1.0]
    assert sure.tolist() == pytest.approx([2.0 / 2.9, 2.0 / 2.9])


def test_conflict_is_nothing_without_evidence_and_full_when_balanced() -> None:
    assert weigh(small([0.0, 0.0])).conflict.tolist() == [0.0, 0.0]
    balanced = Evidence(
        reading=np.array([40.0, -40.0]),
        present=np.array([[0.5], [0.5]]),
        background=np.array([0.25, 0.25]),
        group=np.array([0, 1], dtype=np.int64),
        prior=np.array([0.95]),
    )
    up, down = math.log(2.0), math.log(1.5)
    assert weigh(balanced).conflict[0] == pytest.approx(2.0 * down / (up + down))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(0.01, 0.98), st.booleans()), max_size=4), st.integers(0, 5))
def test_the_band_is_ordered_reproducible_and_within_probability(readings: list[tuple[float, bool]], seed: int) -> None:
    total = sum(reading_weight(r, present=present) for r, present in readings)
    graded = np.ones((2, 2), dtype=np.bool_)
    evidence = small([total, 0.0])
    chosen, limits = band(evidence, [readings, []], graded, seed=seed)
    again = band(evidence, [readings, []], graded, seed=seed)[1]
    assert sorted(chosen.tolist()) == [0, 1]
    assert (limits[0] <= limits[1]).all()
    assert ((limits >= 0.0) & (limits <= 1.0)).all()
    assert (limits == again).all()


def test_the_band_without_readings_is_the_prior() -> None:
    chosen, limits = band(small([0.0, 0.0]), [[], []], np.ones((2, 2), dtype=np.bool_))
    assert limits[0].tolist() == pytest.approx(np.array([0.5, 0.45])[chosen].tolist())
    assert limits[1].tolist() == pytest.approx(limits[0].tolist())


def test_a_graded_likelihood_widens_the_band() -> None:
    evidence = small([reading_weight(0.9, present=True), 0.0])
    readings = [[(0.9, True)], []]
    widths = []
    for graded in (False, True):
        chosen, limits = band(evidence, readings, np.full((2, 2), graded))
        widths.append(float(np.diff(limits[:, chosen == 0], axis=0)[0, 0]))
    assert widths[0] < widths[1]


def test_only_the_leading_hypotheses_vary() -> None:
    evidence = small([reading_weight(0.9, present=True), 0.0])
    chosen, limits = band(evidence, [[(0.9, True)], []], np.ones((2, 2), dtype=np.bool_), leading=1)
    assert chosen.tolist() == [0]
    assert limits[0, 0] < weigh(evidence).posterior[0] < limits[1, 0]
