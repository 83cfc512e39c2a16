import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardround.core.calibration.sets import (
    OTHER,
    ConformalSets,
    DifferentialSet,
    class_of,
    class_probabilities,
    cost_threshold,
    kept_from,
    with_dangerous,
)
from wardround.core.differential import Differential, Hypothesis
from wardround.core.errors import UsageError


@st.composite
def differentials(draw: st.DrawFn) -> Differential:
    raw = draw(st.lists(st.integers(1, 1000), min_size=1, max_size=6))
    shares = sorted((r / sum(raw) for r in raw), reverse=True)
    listed = shares[: draw(st.integers(0, len(shares)))]
    hypotheses = tuple(Hypothesis(id=f"d{i}", name=f"D{i}", probability=p) for i, p in enumerate(listed))
    return Differential(hypotheses=hypotheses, other=max(0.0, 1.0 - sum(listed)))


SETS = ConformalSets(
    alpha=0.1, thresholds={"cardiology": 0.3, "all": 0.1}, counts={"cardiology": 120, "all": 150}, pooled=("surgery",)
)


@given(differentials(), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
@settings(deadline=None)
def test_a_lower_threshold_keeps_all_that_a_higher_one_does(d: Differential, a: float, b: float) -> None:
    assert set(kept_from(d, max(a, b))) <= set(kept_from(d, min(a, b)))


@given(differentials())
@settings(deadline=None)
def test_everything_is_kept_from_zero_on_and_other_is_a_class(d: Differential) -> None:
    assert set(kept_from(d, 0.0)) == {OTHER, *(h.id for h in d.hypotheses)}
    assert sum(class_probabilities(d).values()) == pytest.approx(1.0)


@given(differentials(), st.floats(0.0, 1.0))
@settings(deadline=None)
def test_a_set_lists_the_most_probable_first(d: Differential, least: float) -> None:
    p = class_probabilities(d)
    falling = [p[c] for c in kept_from(d, least)]
    assert falling == sorted(falling, reverse=True)


@given(differentials(), st.sets(st.sampled_from(["d0", "d1", "d5", "unlisted"])), st.floats(0.0, 1.0))
@settings(deadline=None)
def test_adding_dangerous_diagnoses_never_takes_one_away(d: Differential, dangerous: set[str], tau: float) -> None:
    kept = SETS.keep(d, "cardiology")
    everywhere = {**class_probabilities(d), "unlisted": 0.0001}
    more = with_dangerous(kept, everywhere, dangerous, tau)
    assert set(kept.all) <= set(more.all)
    assert len(set(more.all)) == len(more.all)
    assert all(everywhere.get(c, 0.0) >= tau for c in more.dangerous)
    assert all(c in more.all for c in dangerous if everywhere.get(c, 0.0) >= tau)
    assert with_dangerous(more, everywhere, dangerous, tau) == more


def test_a_specialty_uses_its_own_quantile_and_others_the_pooled_one() -> None:
    d = Differential(
        hypotheses=(
            Hypothesis(id="a", name="A", probability=0.6),
            Hypothesis(id="b", name="B", probability=0.25),
            Hypothesis(id="c", name="C", probability=0.05),
        ),
        other=0.1,
    )
    assert SETS.keep(d, "cardiology") == DifferentialSet(members=("a",), stratum="cardiology")
    assert SETS.keep(d, "surgery") == DifferentialSet(members=("a", "b", OTHER), stratum="all")
    assert SETS.keep(d, "never seen").stratum == "all"


def test_without_any_quantile_nothing_is_left_out() -> None:
    nothing = ConformalSets(alpha=0.1, thresholds={}, counts={})
    d = Differential(hypotheses=(Hypothesis(id="a", name="A", probability=1.0),), other=0.0)
    assert nothing.keep(d, "cardiology").members == ("a", OTHER)


def test_an_empty_or_large_set_or_one_of_other_alone_answers_nothing() -> None:
    assert "probable enough" in (DifferentialSet(members=(), stratum="all").unusable() or "")
    many = DifferentialSet(members=tuple("abcdef"), stratum="all")
    assert "cannot be told apart" in (many.unusable() or "")
    assert many.unusable(most=6) is None
    assert "none of the listed" in (DifferentialSet(members=(OTHER,), stratum="all").unusable() or "")
    assert DifferentialSet(members=("a", OTHER), stratum="all").unusable() is None


def test_a_diagnosis_that_is_not_listed_is_other() -> None:
    d = Differential(hypotheses=(Hypothesis(id="a", name="A", probability=0.7),), other=0.3)
    assert class_of(d, {"a", "z"}) == "a"
    assert class_of(d, {"z"}) == class_of(d, ()) == OTHER


@given(st.floats(0.01, 1e3), st.floats(0.01, 1e3), st.floats(1.0, 10.0))
@settings(deadline=None)
def test_the_dearer_a_miss_the_longer_a_diagnosis_stays(false_alarm: float, miss: float, more: float) -> None:
    assert 0.0 < cost_threshold(false_alarm, miss * more) <= cost_threshold(false_alarm, miss) < 1.0


@pytest.mark.parametrize("costs", [(0.0, 1.0), (1.0, 0.0), (1.0, float("nan"))])
def test_costs_are_above_zero(costs: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match="above 0"):
        cost_threshold(*costs)
