"""Laws that hold for every estimator."""

import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.core.estimators.worlds import CLUSTERS, ESTIMATORS, answer, samples, votes
from wardround.core.estimators.posterior import VotePosterior
from wardround.core.estimators.samples import Estimator, Perturbation, SampledAnswer, Samples

laws = settings(max_examples=80, deadline=None)
each = pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: f"{e.name}-{ESTIMATORS.index(e)}")


def near(estimator: Estimator, one: Samples, other: Samples) -> None:
    left, right = estimator.estimate(one), estimator.estimate(other)
    assert (left is None) == (right is None)
    if left is not None and right is not None:
        assert left.value == pytest.approx(right.value, abs=1e-9)
        assert left.n == right.n


@laws
@given(samples())
def test_it_lies_between_zero_and_one_and_names_itself(sampled: Samples) -> None:
    for estimator in ESTIMATORS:
        estimate = estimator.estimate(sampled)
        if estimate is not None:
            assert 0.0 <= estimate.value <= 1.0
            assert estimate.name == estimator.name
            assert 1 <= estimate.n <= len(sampled.answers)
            assert all(math.isfinite(part) for part in estimate.parts.values())


@laws
@given(samples(), st.randoms())
def test_the_order_of_the_answers_does_not_matter(sampled: Samples, random: Random) -> None:
    for estimator in ESTIMATORS:
        shuffled = list(sampled.answers)
        random.shuffle(shuffled)
        near(estimator, sampled, sampled.model_copy(update={"answers": tuple(shuffled)}))


@laws
@given(samples(), st.permutations(CLUSTERS))
def test_the_names_of_clusters_and_agents_do_not_matter(sampled: Samples, names: list[str]) -> None:
    for estimator in ESTIMATORS:
        new = dict(zip(CLUSTERS, (f"code {n}" for n in names), strict=True))
        renamed = tuple(renamed_answer(a, new) for a in sampled.answers)
        asked = new[sampled.answer] if sampled.answer is not None else None
        near(estimator, sampled, Samples(answers=renamed, answer=asked, options=sampled.options))


def renamed_answer(given: SampledAnswer, new: dict[str, str]) -> SampledAnswer:
    agents = {"one": "three", "two": "one", "three": "two"}
    distribution = given.distribution
    return given.model_copy(
        update={
            "agent": agents[given.agent],
            "cluster": new[given.cluster] if given.cluster is not None else None,
            "distribution": {new[k]: p for k, p in distribution.items()} if distribution is not None else None,
        }
    )


@each
def test_without_an_answer_nothing_is_estimated(estimator: Estimator) -> None:
    silent = Samples(answers=(answer(None, 0), answer(None, 1)), options=4)
    assert estimator.estimate(Samples(answers=(), options=4)) is None
    assert estimator.estimate(silent) is None


@laws
@given(samples())
def test_answers_that_are_no_opinion_change_nothing(sampled: Samples) -> None:
    for estimator in ESTIMATORS:
        more = (*sampled.answers, answer(None, 90, logprobs=(-1.0,), confidence=0.5), answer(None, 91, "four"))
        near(estimator, sampled, sampled.model_copy(update={"answers": more}))


@laws
@given(samples())
def test_an_answer_without_the_image_counts_only_for_reliance_on_it(sampled: Samples) -> None:
    for estimator in ESTIMATORS:
        if estimator.name not in ("image_reliance", "paired_perturbation"):
            more = (*sampled.answers, answer("a", 90, perturbation=Perturbation.BLANK))
            near(estimator, sampled, sampled.model_copy(update={"answers": more}))


PLAIN = {
    "vote_entropy",
    "self_consistency",
    "self_consistency_by_agent",
    "semantic_entropy",
    "vote_posterior",
}


@each
def test_votes_alone_are_enough_only_for_estimators_of_votes(estimator: Estimator) -> None:
    found = estimator.estimate(votes("aab", options=4))
    assert (found is not None) == (estimator.name in PLAIN)


@laws
@given(samples(least=1, whole=True))
def test_whole_answers_leave_nothing_out(sampled: Samples) -> None:
    for estimator in ESTIMATORS:
        backed = sampled.backing and sampled.options is not None
        agents = {a.agent for a in sampled.answers}
        own = [sum(a.agent == name for a in sampled.answers) for name in agents]
        images = estimator.name in ("image_reliance", "paired_perturbation")
        if backed and len(agents) > 1 and min(own) > 1 and not images:
            assert estimator.estimate(sampled) is not None


@pytest.mark.parametrize("name", ["vote_entropy", "self_consistency", "semantic_entropy", "rao_blackwell_entropy"])
def test_a_single_answer_has_no_entropy_and_says_that_it_is_one(name: str) -> None:
    estimator = next(e for e in ESTIMATORS if e.name == name)
    estimate = estimator.estimate(Samples(answers=(answer("a", logprobs=(-2.0,)),)))
    assert estimate is not None
    assert (estimate.value, estimate.n) == (0.0, 1)


@pytest.mark.parametrize("name", ["bsdetector", "cocoa_confidences", "cocoa_uncertainties"])
def test_consistency_with_no_other_answer_is_not_known(name: str) -> None:
    estimator = next(e for e in ESTIMATORS if e.name == name)
    assert estimator.estimate(Samples(answers=(answer("a", logprobs=(-2.0,), p_true=0.5),))) is None


def test_samples_refuse_what_contradicts_itself() -> None:
    with pytest.raises(ValidationError, match="occurs twice"):
        Samples(answers=(answer("a", 0), answer("b", 0)))
    with pytest.raises(ValidationError, match="1 options"):
        votes("ab", options=1)
    with pytest.raises(ValidationError, match="natural logarithms"):
        answer("a", logprobs=(0.4,))
    with pytest.raises(ValidationError, match="sums to more than 1"):
        answer("a", distribution={"a": 0.8, "b": 0.4})
    with pytest.raises(ValidationError, match="both text and cluster"):
        SampledAnswer(agent="one", rollout=0, text="pneumonia")
    with pytest.raises(ValidationError):
        answer("a", confidence=1.2)


def test_the_same_rollout_may_be_asked_with_and_without_the_image() -> None:
    both = Samples(answers=(answer("a", 0), answer("b", 0, perturbation=Perturbation.BLANK)))
    assert both.counts == {"a": 1}


def test_a_posterior_needs_the_number_of_options() -> None:
    posterior = next(e for e in ESTIMATORS if isinstance(e, VotePosterior))
    assert posterior.estimate(votes("aab")) is None
    assert posterior.estimate(votes("aaa", options=1)) is None
