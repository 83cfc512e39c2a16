"""Uncertainty from votes, and clusters of answers."""

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.core.estimators.worlds import WordsEntail, answer, votes
from wardround.core.errors import UnscriptedCall
from wardround.core.estimators.clustering import (
    BidirectionalEntailment,
    Inference,
    NonContradiction,
    greedy_clusters,
    same_code,
    same_words,
)
from wardround.core.estimators.samples import Estimate, Estimator, SampledAnswer, Samples
from wardround.core.estimators.votes import AgentConsistency, SelfConsistency, SemanticEntropy, VoteEntropy
from wardround.knowledge.clinician import reference_clinician
from wardround.knowledge.similarity import diagnosis_cluster
from wardround.testing.entailment import ScriptedEntailment

laws = settings(max_examples=80, deadline=None)


def of(estimator: Estimator, sampled: Samples) -> Estimate:
    found = estimator.estimate(sampled)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("clusters", "entropy"),
    [("a", 0.0), ("aaaaa", 0.0), ("abc", 1.0), ("aabb", 0.5), ("aaab", 0.40563906222956647)],
)
def test_the_entropy_of_free_answers_is_normalised_by_their_number(clusters: str, entropy: float) -> None:
    assert of(VoteEntropy(), votes(clusters)).value == pytest.approx(entropy)


def test_entropy_is_divided_by_the_options_where_they_are_fewer_than_the_answers() -> None:
    assert of(VoteEntropy(), votes("aabb", options=2)).value == pytest.approx(1.0)
    assert of(VoteEntropy(), votes("aabb", options=4)).value == pytest.approx(0.5)
    assert of(VoteEntropy(), votes("aaa", options=1)).value == 0.0


@laws
@given(st.text("abcd", min_size=2, max_size=9))
def test_equal_codes_make_semantic_entropy_the_vote_entropy(clusters: str) -> None:
    sampled = votes(clusters)
    assert of(SemanticEntropy(same_code), sampled).value == pytest.approx(of(VoteEntropy(), sampled).value)


@laws
@given(st.text("abcd", min_size=1, max_size=8))
def test_one_more_vote_for_the_sole_leader_never_raises_self_consistency(clusters: str) -> None:
    counts = {c: clusters.count(c) for c in clusters}
    leader = max(counts, key=lambda c: counts[c])
    assume(list(counts.values()).count(counts[leader]) == 1)
    before, after = of(SelfConsistency(), votes(clusters)), of(SelfConsistency(), votes(clusters + leader))
    assert after.value <= before.value + 1e-12


def test_the_share_is_that_of_the_answer_in_question() -> None:
    sampled = votes("aabc")
    assert of(SelfConsistency(), sampled).value == 0.5
    assert of(SelfConsistency(), sampled.model_copy(update={"answer": "b"})).value == 0.75
    assert of(SelfConsistency(), sampled.model_copy(update={"answer": "z"})).value == 1.0
    assert of(SelfConsistency(), votes("aabb")).value == 0.5


def test_an_agent_that_wavers_shows_beside_one_that_does_not() -> None:
    rows = [answer("a", k, "steady") for k in range(4)] + [answer(c, k, "wavers") for k, c in enumerate("ab")]
    found = of(AgentConsistency(), Samples(answers=tuple(rows)))
    assert found.parts == {"steady": 0.0, "wavers": 0.5}
    assert found.value == 0.25


def test_wavering_of_an_agent_asked_once_is_not_known() -> None:
    rows = (answer("a", 0, "one"), answer("a", 1, "one"), answer("b", 0, "two"))
    assert AgentConsistency().estimate(Samples(answers=rows)) is None


@laws
@given(st.text("abcdefgh", max_size=9))
def test_clusters_do_not_depend_on_the_order_even_where_similarity_is_not_transitive(clusters: str) -> None:
    similarity = BidirectionalEntailment(WordsEntail())
    rows = list(votes(clusters).given)
    forward = greedy_clusters(rows, similarity)
    backward = greedy_clusters(rows[::-1], similarity)[::-1]
    assert forward == backward


def test_a_model_is_asked_at_most_once_per_answer_and_cluster_and_never_about_equal_words() -> None:
    asked = []

    def counted(one: SampledAnswer, other: SampledAnswer) -> float:
        asked.append((one.text, other.text))
        return same_words(one, other)

    greedy_clusters([answer(c, k) for k, c in enumerate("abcabc")], counted)
    assert len(asked) <= 6 * 3
    silent = BidirectionalEntailment(ScriptedEntailment({}))
    assert silent(answer("a", 0), answer("a", 1)) == 1.0


def test_answers_that_entail_each_other_are_one_and_one_way_is_not_enough() -> None:
    yes, no = Inference(0.02, 0.08, 0.9), Inference(0.1, 0.8, 0.1)
    both = {
        ("Cause? answer a", "Cause? answer b"): yes,
        ("Cause? answer b", "Cause? answer a"): yes,
        ("Cause? answer a", "Cause? answer c"): yes,
        ("Cause? answer c", "Cause? answer a"): no,
    }
    estimator = SemanticEntropy(BidirectionalEntailment(ScriptedEntailment(both), question="Cause?"))
    found = of(estimator, votes("abc"))
    assert found.parts["clusters"] == 2.0
    assert found.value == pytest.approx((math.log(3) - 2 / 3 * math.log(2)) / math.log(3))


def test_a_scripted_model_refuses_what_is_not_in_its_table() -> None:
    with pytest.raises(UnscriptedCall, match="answer a"):
        BidirectionalEntailment(ScriptedEntailment({}))(answer("a"), answer("b"))


def test_contradiction_counts_both_ways() -> None:
    table = {
        ("answer a", "answer b"): Inference(0.8, 0.2, 0.0),
        ("answer b", "answer a"): Inference(0.4, 0.6, 0.0),
    }
    assert NonContradiction(ScriptedEntailment(table))(answer("a"), answer("b")) == pytest.approx(0.4)


def test_diagnoses_are_one_by_code_name_or_synonym_and_unknown_ones_by_their_words() -> None:
    kb = reference_clinician().kb
    entry = next(c for c in kb.conditions.values() if c.synonyms)
    named = {diagnosis_cluster(kb, name) for name in (entry.id, entry.name.upper(), entry.icd10, entry.synonyms[0])}
    assert named == {entry.id}
    assert diagnosis_cluster(kb, " Zorblatt's  disease.") == diagnosis_cluster(kb, "zorblatt's disease")
    assert diagnosis_cluster(kb, "zorblatt's disease") != diagnosis_cluster(kb, "zorblatt's disease type 2")
