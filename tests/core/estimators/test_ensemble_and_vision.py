"""Disagreement between agents, and reliance on the image."""

import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.estimators.worlds import answer, votes
from wardround.core.estimators.ensemble import EnsembleDisagreement
from wardround.core.estimators.information import decompose, entropy, normalised_entropy
from wardround.core.estimators.samples import Estimate, Estimator, Perturbation, Samples
from wardround.core.estimators.vision import PAIRED_CHANGES, ImageReliance, PairedPerturbation, divergence

DISTRIBUTION = st.dictionaries(st.sampled_from("abcde"), st.floats(0.01, 1.0), min_size=1).map(
    lambda raw: {key: value / max(1.0, sum(raw.values())) for key, value in raw.items()}
)
laws = settings(max_examples=80, deadline=None)


def of(estimator: Estimator, *answers: object) -> Estimate:
    found = estimator.estimate(Samples(answers=answers))  # type: ignore[arg-type]
    assert found is not None
    return found


@laws
@given(st.lists(DISTRIBUTION, min_size=1, max_size=5), st.data())
def test_total_is_aleatoric_plus_epistemic_and_none_is_negative(
    members: list[dict[str, float]], data: st.DataObject
) -> None:
    weights = data.draw(st.lists(st.floats(0.1, 5.0), min_size=len(members), max_size=len(members)))
    split = decompose(members, weights)
    assert split.total == pytest.approx(split.aleatoric + split.epistemic, abs=1e-12)
    assert split.aleatoric >= 0.0
    assert split.epistemic >= 0.0
    assert split.epistemic <= split.ceiling + 1e-9 or len(set(weights)) > 1


@laws
@given(DISTRIBUTION, st.integers(1, 5))
def test_members_of_one_mind_leave_nothing_epistemic(member: dict[str, float], count: int) -> None:
    assert decompose([member] * count).epistemic == pytest.approx(0.0, abs=1e-12)


def disagreement(*members: dict[str, float]) -> float:
    rows = [answer("a", 0, f"agent {k}", distribution=d) for k, d in enumerate(members)]
    return of(EnsembleDisagreement(), *rows).value


@laws
@given(st.lists(DISTRIBUTION, min_size=2, max_size=5), st.randoms())
def test_disagreement_is_bounded_and_whoever_speaks_first_changes_nothing(
    members: list[dict[str, float]], random: Random
) -> None:
    value = disagreement(*members)
    random.shuffle(members)
    assert 0.0 <= value <= 1.0
    assert disagreement(*members) == pytest.approx(value, abs=1e-9)


def test_what_a_distribution_leaves_open_is_an_outcome_of_its_own_and_a_rounding_error_is_none() -> None:
    assert disagreement({"a": 1.0}, {"b": 1.0}, {"c": 1.0}) == pytest.approx(1.0)
    assert disagreement({"a": 1.0}, {"a": 1e-12}) == pytest.approx(1.0)
    assert disagreement({"a": 0.5}, {"a": 0.5}) == pytest.approx(0.0)
    exact = disagreement({"a": 1.0}, {"b": 1.0}, {"a": 0.5, "b": 0.5})
    assert disagreement({"a": 1.0}, {"b": 1.0}, {"a": 0.5, "b": 0.4999999999999999}) == pytest.approx(exact, abs=1e-9)


def test_agents_sure_of_different_answers_disagree_wholly_and_one_agent_cannot() -> None:
    rows = [answer(c, k, agent) for agent, c in (("one", "a"), ("two", "b")) for k in range(3)]
    found = of(EnsembleDisagreement("votes"), *rows)
    assert found.value == 1.0
    assert found.parts["aleatoric"] == 0.0
    assert found.parts["total"] == pytest.approx(math.log(2))
    assert EnsembleDisagreement("votes").estimate(votes("aab")) is None


def test_an_agent_without_a_stated_distribution_makes_disagreement_unknown() -> None:
    rows = (answer("a", 0, "one", distribution={"a": 1.0}), answer("b", 0, "two"))
    assert EnsembleDisagreement("stated").estimate(Samples(answers=rows)) is None


def test_no_member_is_an_error_and_one_outcome_no_entropy() -> None:
    with pytest.raises(ValueError, match="at least one"):
        decompose([])
    assert normalised_entropy({"a": 1.0}, outcomes=1) == 0.0
    assert entropy({"a": 1.0, "b": 0.0}) == 0.0


@laws
@given(DISTRIBUTION, DISTRIBUTION)
def test_divergence_is_symmetric_and_nought_for_equals(one: dict[str, float], other: dict[str, float]) -> None:
    assert divergence(one, other) == pytest.approx(divergence(other, one), abs=1e-12)
    assert divergence(one, one) == pytest.approx(0.0, abs=1e-12)
    assert 0.0 <= divergence(one, other) <= 1.0


def test_an_answer_that_outlives_its_image_did_not_come_from_it() -> None:
    seen = [answer("a", k) for k in range(3)]
    same = [answer("a", k, perturbation=Perturbation.BLANK) for k in range(3)]
    moved = [answer("b", k, perturbation=Perturbation.BLANK) for k in range(3)]
    assert of(ImageReliance(), *seen, *same).value == 1.0
    found = of(ImageReliance(), *seen, *moved)
    assert (found.value, found.parts["reliance"], found.n) == (0.0, 1.0, 6)
    assert ImageReliance().estimate(Samples(answers=tuple(seen))) is None


def test_stated_distributions_show_reliance_that_votes_hide() -> None:
    rows = [
        answer("a", 0, distribution={"a": 0.95, "b": 0.05}),
        answer("a", 0, distribution={"a": 0.5, "b": 0.5}, perturbation=Perturbation.BLANK),
    ]
    assert of(ImageReliance("votes"), *rows).parts["reliance"] == 0.0
    assert of(ImageReliance("stated"), *rows).parts["reliance"] > 0.1


def test_answers_under_changed_images_are_flagged_at_one_bit() -> None:
    changed = [answer(c, k, perturbation=Perturbation.IMAGE) for k, c in enumerate("aabb")]
    found = of(PairedPerturbation(), *changed)
    assert found.parts == {"bits": pytest.approx(1.0), "flagged": 1.0}
    assert found.value == pytest.approx(0.5)
    steady = [answer("a", k, perturbation=Perturbation.IMAGE) for k in range(5)]
    assert of(PairedPerturbation(), *steady).parts == {"bits": 0.0, "flagged": 0.0}
    assert PairedPerturbation().estimate(Samples(answers=(changed[0], answer("b", 9)))) is None


def test_the_changes_of_image_and_text_grow_together() -> None:
    assert len(PAIRED_CHANGES) == 5
    blurs, temperatures = [c.blur for c in PAIRED_CHANGES], [c.temperature for c in PAIRED_CHANGES]
    assert blurs == sorted(blurs)
    assert temperatures == sorted(temperatures)
