"""How far agents err together, and what their votes are then worth."""

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.core.estimators.worlds import answer, votes
from wardround.core.estimators.correlation import (
    PRIOR_MEAN,
    agent_weight,
    agent_weights,
    agreement_bound,
    answer_correlation,
    error_correlation,
)
from wardround.core.estimators.posterior import VotePosterior, Voters, effective_posterior, vote_posterior
from wardround.core.estimators.samples import Samples

laws = settings(max_examples=80, deadline=None)
few = settings(max_examples=25, deadline=None)
UNIT = st.floats(0.0, 1.0)
VOTERS = st.builds(Voters, accuracy=st.floats(0.3, 0.99), rho=UNIT, alike=UNIT)
TALLY = st.dictionaries(st.sampled_from("abcd"), st.integers(1, 6).map(float), min_size=1)
OPTIONS = 4


def drawn(cases: int, copies: float, seed: int, agents: int = 5) -> npt.NDArray[np.int64]:
    """Answers where the truth is 0; P(right) ~ Beta(2, 1) per case, each answer a copy of one draw with `copies`."""
    rng = np.random.default_rng(seed)
    right = rng.random((cases, agents + 1)) < rng.beta(2.0, 1.0, cases)[:, None]
    own = np.where(right, 0, rng.integers(1, OPTIONS, right.shape))
    return np.where(rng.random((cases, agents)) < copies, own[:, -1:], own[:, :-1])


def truth(cases: int) -> npt.NDArray[np.int64]:
    return np.zeros(cases, dtype=np.int64)


@pytest.mark.parametrize("copies", [0.0, 0.6, 0.9])
def test_rho_of_many_cases_is_that_of_the_world(copies: float) -> None:
    found = error_correlation((drawn(4000, copies, 1) != 0).astype(float)).rho
    known = 0.25 + 0.75 * copies**2
    assert found.value == pytest.approx(known, abs=0.03)
    assert found.low < known < found.high


@pytest.mark.parametrize(("copies", "alike"), [(0.0, 0.0), (0.9, 0.86)])
def test_wrong_answers_are_alike_where_agents_copy_and_not_where_cases_are_only_hard(
    copies: float, alike: float
) -> None:
    answers = drawn(4000, copies, 2)
    found = answer_correlation(answers, truth(4000), options=OPTIONS).alike
    assert found is not None
    assert found.value == pytest.approx(alike, abs=0.04)


@few
@given(st.integers(0, 10_000), st.permutations(range(4)), st.integers(2, 40))
def test_the_names_of_agents_and_the_order_of_cases_do_not_matter(seed: int, order: list[int], cases: int) -> None:
    wrong = (drawn(cases, 0.5, seed, agents=4) != 0).astype(float)
    found, permuted = error_correlation(wrong), error_correlation(wrong[::-1][:, order])
    assert permuted.rho.value == pytest.approx(found.rho.value, abs=0.05)
    assert 0.0 <= found.rho.low <= found.rho.value <= found.rho.high <= 1.0
    assert np.allclose(found.pairs, np.transpose(found.pairs))
    assert np.allclose(np.diag(found.pairs), 1.0)


def test_few_cases_leave_the_assumption_and_a_wide_interval() -> None:
    one = error_correlation(np.array([[1.0, 1.0, 1.0]])).rho
    many = error_correlation((drawn(2000, 0.9, 3) != 0).astype(float)).rho
    assert abs(one.value - PRIOR_MEAN) < 0.25
    assert one.high - one.low > 5.0 * (many.high - many.low)


@pytest.mark.parametrize("wrong", [np.zeros((50, 3)), np.ones((20, 3)), np.zeros((0, 3)), np.full((9, 3), np.nan)])
def test_where_nothing_varies_rho_is_the_assumption_with_everything_open(wrong: npt.NDArray[np.float64]) -> None:
    found = error_correlation(wrong).rho
    assert (found.value, found.low, found.high) == (PRIOR_MEAN, 0.0, 1.0)


def test_answers_that_were_not_given_are_left_out_and_not_counted_as_right() -> None:
    wrong = (drawn(3000, 0.6, 4) != 0).astype(float)
    holes = np.where(np.random.default_rng(5).random(wrong.shape) < 0.3, np.nan, wrong)
    assert error_correlation(holes).rho.value == pytest.approx(error_correlation(wrong).rho.value, abs=0.04)
    lonely = np.where(np.arange(5) == 0, wrong, np.nan)
    assert error_correlation(lonely).cases == 0
    assert error_correlation(lonely).basis == "assumed"


@pytest.mark.parametrize("copies", [0.0, 0.6, 0.9])
def test_agreement_bounds_rho_where_accuracy_is_known_and_nothing_where_it_is_not(copies: float) -> None:
    answers = drawn(4000, copies, 6)
    bound = agreement_bound(answers, options=OPTIONS, accuracy=(2 / 3, 2 / 3))
    assert bound.basis == "agreement"
    assert bound.rho.low - 0.03 <= 0.25 + 0.75 * copies**2 <= bound.rho.high + 0.03
    assert bound.rho.value >= 0.25 + 0.75 * copies**2 - 0.03
    blind = agreement_bound(answers, options=OPTIONS)
    assert (blind.rho.low, blind.rho.high) == (0.0, 1.0)


@few
@given(st.integers(0, 10_000), st.floats(0.3, 0.6), st.floats(0.6, 0.95))
def test_knowing_less_about_accuracy_never_narrows_the_bound(seed: int, low: float, high: float) -> None:
    answers = drawn(60, 0.5, seed)
    wide = agreement_bound(answers, options=OPTIONS, accuracy=(0.25, 1.0)).rho
    narrow = agreement_bound(answers, options=OPTIONS, accuracy=(low, high)).rho
    assert wide.low <= narrow.low + 0.01
    assert wide.high >= narrow.high - 0.01


def test_nobody_who_answers_leaves_the_assumption() -> None:
    silent = np.full((10, 3), -1, dtype=np.int64)
    assert agreement_bound(silent, options=OPTIONS).basis == "assumed"


def test_tables_that_say_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="at least two agents"):
        error_correlation(np.zeros((4, 1)))
    with pytest.raises(ValueError, match="at least 2"):
        agreement_bound(truth(4)[:, None].repeat(2, 1), options=1)
    with pytest.raises(ValueError, match="lower end first"):
        agreement_bound(truth(4)[:, None].repeat(2, 1), options=3, accuracy=(0.9, 0.5))
    with pytest.raises(ValueError, match="one per case"):
        answer_correlation(truth(4)[:, None].repeat(2, 1), truth(3), options=3)


@laws
@given(UNIT, UNIT, st.integers(1, 20))
def test_an_agent_counts_less_the_more_they_err_alike_and_together_at_least_one(
    one: float, other: float, members: int
) -> None:
    low, high = min(one, other), max(one, other)
    assert agent_weight(high, members) <= agent_weight(low, members)
    assert 1.0 - 1e-12 <= members * agent_weight(high, members) <= members


def test_an_agent_that_errs_apart_keeps_more_of_its_vote_than_copies_do() -> None:
    copies, apart = drawn(2000, 0.9, 8, agents=4), drawn(2000, 0.0, 9, agents=1)
    weights = agent_weights(error_correlation((np.hstack([copies, apart]) != 0).astype(float)))
    assert weights[4] > 2.0 * max(weights[:4])


@laws
@given(TALLY, VOTERS, st.integers(4, 60))
def test_posteriors_are_probabilities(tally: dict[str, float], voters: Voters, options: int) -> None:
    for posterior in (
        vote_posterior(tally, voters, options=options),
        effective_posterior(tally, accuracy=voters.accuracy, rho=voters.rho, options=options),
    ):
        assert posterior.keys() == tally.keys()
        assert all(0.0 <= p <= 1.0 for p in posterior.values())
        assert math.fsum(posterior.values()) <= 1.0 + 1e-9


@laws
@given(TALLY, st.floats(0.3, 0.99), st.integers(4, 9))
def test_without_correlation_both_readings_are_bayes_of_independent_votes(
    tally: dict[str, float], accuracy: float, options: int
) -> None:
    odds = accuracy * (options - 1) / (1.0 - accuracy)
    weight = {a: odds**n for a, n in tally.items()}
    whole = sum(weight.values()) + options - len(tally)
    exact = {a: w / whole for a, w in weight.items()}
    assert_near(effective_posterior(tally, accuracy=accuracy, rho=0.0, options=options), exact, 1e-9)
    assert_near(vote_posterior(tally, Voters(accuracy, 0.0, 0.0), options=options), exact, 1e-3)


def assert_near(one: Mapping[str, float], other: Mapping[str, float], tolerance: float) -> None:
    assert one.keys() == other.keys()
    assert all(one[k] == pytest.approx(other[k], abs=tolerance) for k in one)


@laws
@given(st.integers(1, 9), st.floats(0.3, 0.95), st.integers(2, 9))
def test_voters_that_always_err_together_are_one_voter(count: int, accuracy: float, options: int) -> None:
    posterior = vote_posterior({"a": float(count)}, Voters(accuracy, 1.0, 1.0), options=options)
    assert posterior["a"] == pytest.approx(accuracy, abs=1e-3)


@laws
@given(st.integers(2, 9), st.floats(0.3, 0.95), UNIT, UNIT, st.integers(2, 9))
def test_unanimity_means_less_the_more_alike_the_wrong_answers_are(
    count: int, accuracy: float, one: float, other: float, options: int
) -> None:
    low, high = min(one, other), max(one, other)
    sure, unsure = (
        vote_posterior({"a": float(count)}, Voters(accuracy, 0.4, alike), options=options)["a"] for alike in (low, high)
    )
    assert unsure <= sure + 1e-9


@laws
@given(st.integers(1, 8), VOTERS, st.integers(2, 9))
def test_one_more_unanimous_voter_who_is_mostly_right_never_makes_the_answer_less_probable(
    count: int, voters: Voters, options: int
) -> None:
    assume(voters.accuracy >= 0.5)
    fewer, more = (vote_posterior({"a": float(n)}, voters, options=options)["a"] for n in (count, count + 1))
    assert more >= fewer - 1e-6


def test_five_agreeing_copies_are_worth_far_less_than_five_witnesses() -> None:
    samples = Samples(answers=tuple(answer("a", 0, f"agent {k}") for k in range(5)), options=OPTIONS)
    found = VotePosterior(Voters(2 / 3, 0.86, 0.86)).estimate(samples)
    assert found is not None
    assert found.parts["independent"] < 0.001
    assert 0.2 < found.value < 1 / 3


def test_rollouts_of_one_agent_are_one_vote_unless_each_is_measured_as_a_voter() -> None:
    voters = Voters(0.7, 0.0, 0.0)
    by_agent = VotePosterior(voters).estimate(votes("aaaa", options=OPTIONS))
    by_rollout = VotePosterior(voters, voter="rollout").estimate(votes("aaaa", options=OPTIONS))
    assert by_agent is not None
    assert by_rollout is not None
    assert by_agent.value == pytest.approx(0.3, abs=1e-3)
    assert by_rollout.value < 0.002


def test_an_answer_nobody_gave_has_its_share_of_what_is_left() -> None:
    voters = Voters(0.7, 0.0, 0.0)
    found = VotePosterior(voters).estimate(votes("a", options=OPTIONS).model_copy(update={"answer": "z"}))
    assert found is not None
    assert found.value == pytest.approx(0.9, abs=1e-3)


def test_voters_and_options_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="accuracy"):
        Voters(1.2, 0.0, 0.0)
    with pytest.raises(ValueError, match="2 options for 3 answers"):
        vote_posterior({"a": 1.0, "b": 1.0, "c": 1.0}, Voters(0.5, 0.5, 0.5), options=2)
