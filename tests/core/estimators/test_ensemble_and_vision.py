"""Disagreement between agents, and reliance on the image."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.estimators.worlds import answer, votes
from wardround.core.estimators.ensemble import EnsembleDisagreement
from wardround.core.estimators.information import decompose, entropy, normalised_entropy
from wardround.core.estimators.samples import Estimate, Estimator, Perturbation, Samples
from wardround.core.estimators.vision import PAIRED_CHANGES, ImageReliance, PairedPerturbation, divergence
from wardround.core.uncertainty import disagreement

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


@laws
@given(st.lists(DISTRIBUTION, min_size=2, max_size=5))
def test_stated_distributions_disagree_as_much_as_in_the_consult(members: list[dict[str, float]]) -> None:
    rows = [answer("a", 0, f"agent {k}", distribution=d) for k, d in enumerate(members)]
    assert of(EnsembleDisagreement(), *rows).value == pytest.approx(disagreement(members), abs=1e-9)


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
