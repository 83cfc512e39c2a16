import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from wardround.core.differential import Differential, Hypothesis
from wardround.evals.calibrating.metrics import slope
from wardround.evals.diagnosis import Outcome, answering, ranking
from wardround.evals.gold import GoldAnswer
from wardround.evals.statistics import bootstrapped, brier, clustered, proportion
from wardround.evals.vignettes import vignettes
from wardround.knowledge.loading import embedded


def test_a_share_has_the_wilson_interval() -> None:
    estimate = proportion([True] * 8 + [False] * 2)
    assert (estimate.value, estimate.n) == (0.8, 10)
    assert (estimate.low, estimate.high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))


def test_no_case_gives_no_figure() -> None:
    assert proportion([]).value is None
    assert str(proportion([])) == "no case"


@given(st.lists(st.booleans(), min_size=1, max_size=60))
@settings(deadline=None, max_examples=50)
def test_an_interval_holds_its_share(hits: list[bool]) -> None:
    estimate = proportion(hits)
    assert estimate.low is not None
    assert estimate.high is not None
    assert 0.0 <= estimate.low <= (estimate.value or 0.0) <= estimate.high <= 1.0


def test_calibrated_probabilities_have_slope_one_and_bold_ones_less() -> None:
    rng = np.random.default_rng(0)
    p = rng.uniform(0.05, 0.95, 20_000)
    y = (rng.random(20_000) < p).astype(float)
    assert slope(p, y) == pytest.approx(1.0, abs=0.05)
    log_odds = np.log(p / (1 - p))
    bold = 1.0 / (1.0 + np.exp(-2.0 * log_odds))
    assert slope(bold, y) == pytest.approx(0.5, abs=0.03)


def test_the_brier_score_of_certainty_is_zero_or_one() -> None:
    assert brier(np.array([1.0, 0.0]), np.array([1.0, 0.0])) == 0.0
    assert brier(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 1.0


def test_a_bootstrap_interval_is_seeded() -> None:
    p, y = np.linspace(0.1, 0.9, 50), (np.arange(50) % 2).astype(float)
    assert bootstrapped(brier, p, y) == bootstrapped(brier, p, y)


def outcome(leading: str, gold: GoldAnswer, status: str) -> Outcome:
    from wardround.core.decision import DecisionStatus

    differential = Differential(hypotheses=(Hypothesis(id=leading, name=leading, probability=0.9),), other=0.1)
    final = leading if status == "final" else None
    return Outcome(gold, differential, frozenset({leading}), DecisionStatus(status), final)


def test_an_answer_outside_the_knowledge_is_wrong_and_abstaining_there_is_right() -> None:
    outside = GoldAnswer(name="something rare")
    inside = GoldAnswer(name="gout", conditions=("gout",), must_not_miss=True)
    outcomes = [
        outcome("gout", outside, "final"),
        outcome("gout", outside, "abstained"),
        outcome("gout", inside, "final"),
    ]
    scores = answering(outcomes)
    assert scores["abstained_outside"]["value"] == 0.5
    assert scores["right_when_answered"]["value"] == 0.5
    assert scores["right_when_answered_inside"]["value"] == 1.0
    assert ranking(outcomes)["top1"] == {"value": 1.0, "low": pytest.approx(0.2065), "high": 1.0, "n": 1}


@pytest.mark.parametrize("split", ["dev", "test"])
def test_vignettes_name_conditions_of_the_knowledge_or_none(split) -> None:  # type: ignore[no-untyped-def]
    conditions = embedded().conditions
    samples = vignettes(split)
    assert len(samples) >= 40
    for sample in samples:
        assert all(condition in conditions for condition in sample.gold.conditions)
        assert sample.case.narrative
        assert sample.gold.name.lower() not in sample.case.narrative.lower()


def test_there_are_enough_vignettes_of_which_some_must_be_abstained_on() -> None:
    samples = [*vignettes("dev"), *vignettes("test")]
    assert len(samples) >= 60
    assert sum(sample.gold.outside for sample in samples) >= 20


@given(st.lists(st.booleans(), min_size=1, max_size=300))
def test_the_interval_of_a_share_is_wilsons(hits: list[bool]) -> None:
    estimate = proportion(hits)
    expected = scipy.stats.binomtest(sum(hits), len(hits)).proportion_ci(method="wilson")
    assert estimate.low == pytest.approx(expected.low, abs=1e-12)
    assert estimate.high == pytest.approx(expected.high, abs=1e-12)


def test_resampling_patients_widens_the_interval_where_their_tasks_go_together() -> None:
    hits = [i % 2 == 0 for i in range(20) for _ in range(10)]
    together = clustered(hits, [str(i // 10) for i in range(200)])
    alone = clustered(hits, [str(i) for i in range(200)])
    assert together.value == alone.value == 0.5
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_without_variation_nothing_is_resampled() -> None:
    assert clustered([True, True], ["a", "b"]).low is None
    assert clustered([], []).value is None
