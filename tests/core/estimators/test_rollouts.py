"""How many rollouts, and how they differ."""

from collections import Counter
from itertools import product

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from wardround.core.errors import UsageError
from wardround.core.estimators.adaptive import AdaptiveRollouts, FirstTwoAgree, Halt, holds_lead, leads
from wardround.core.estimators.plan import Diversification, RolloutPlan

laws = settings(max_examples=120, deadline=None)
COUNT = st.integers(0, 6)


@laws
@given(COUNT, COUNT, COUNT, st.integers(0, 5))
def test_holding_the_lead_is_what_the_urn_says(leader: int, rival: int, others: int, left: int) -> None:
    leader, rival = max(leader, rival), min(leader, rival)
    exact = 0.0
    for path in product(range(3), repeat=left):
        urn, probability = [leader + 1, rival + 1, others + 1], 1.0
        for ball in path:
            probability *= urn[ball] / sum(urn)
            urn[ball] += 1
        exact += probability * (urn[0] > urn[1])
    assert holds_lead(leader, rival, others, left) == pytest.approx(exact, abs=1e-9)


@laws
@given(COUNT, COUNT, COUNT, st.integers(0, 6))
def test_one_more_vote_for_the_leader_never_makes_it_less_sure(leader: int, rival: int, others: int, left: int) -> None:
    assume(leader >= rival)
    assert holds_lead(leader + 1, rival, others, left) >= holds_lead(leader, rival, others, left) - 1e-9
    assert leads(leader + 1, rival) >= leads(leader, rival)


@laws
@given(st.text("abc", max_size=8), st.integers(1, 4), st.integers(0, 5), st.floats(0.5, 1.0))
def test_a_leader_called_decided_wins_however_the_rest_falls(given_: str, least: int, more: int, level: float) -> None:
    rule = AdaptiveRollouts(min=least, max=least + more, level=level)
    progress = rule.progress(list(given_))
    if progress.halt is Halt.DECIDED:
        winner = Counter(given_).most_common(1)[0][0]
        for rest in product("abcd", repeat=rule.max - len(given_)):
            (first, most), *others = Counter(given_ + "".join(rest)).most_common(2)
            assert first == winner
            assert not others or others[0][1] < most


@laws
@given(st.text("abc", max_size=8), st.integers(1, 4), st.integers(0, 5), st.floats(0.5, 1.0), st.randoms())
def test_stopping_keeps_within_its_limits_and_ignores_order_and_names(
    given_: str, least: int, more: int, level: float, random: object
) -> None:
    rule = AdaptiveRollouts(min=least, max=least + more, level=level)
    progress = rule.progress(list(given_))
    assert not (progress.stop and len(given_) < least)
    assert progress.stop or len(given_) < rule.max
    assert rule.progress(list(given_[::-1])) == progress
    assert rule.progress([{"a": "z", "b": "a", "c": "b"}[c] for c in given_]) == progress


@laws
@given(st.text("abc", max_size=6), st.integers(1, 3), st.integers(0, 4), st.floats(0.5, 1.0))
def test_needed_is_the_fewest_answers_after_which_it_can_stop(given_: str, least: int, more: int, level: float) -> None:
    rule = AdaptiveRollouts(min=least, max=least + more, level=level)
    needed = rule.progress(list(given_)).needed
    if rule.progress(list(given_)).stop:
        assert needed == 0
        return
    for count in range(1, needed + 1):
        ends = (rule.progress([*given_, *rest]).stop for rest in product("abcd", repeat=count))
        assert any(ends) == (count == needed)


def test_no_opinion_counts_as_asked_for_but_votes_for_nothing() -> None:
    rule = AdaptiveRollouts(min=2, max=3)
    assert rule.progress([None, None]).halt is Halt.OPEN
    assert rule.progress([None, "a", "a"]).halt is Halt.MAXIMUM
    assert rule.progress(["a", "a"]).halt is Halt.DECIDED
    assert rule.progress(["a"]).halt is Halt.TOO_FEW


def test_the_default_stops_at_three_alike_and_a_lower_level_at_two() -> None:
    assert not AdaptiveRollouts().progress(["a", "a"]).stop
    assert AdaptiveRollouts().progress(["a", "a", "a"]).halt is Halt.DECIDED
    assert AdaptiveRollouts(level=0.9).progress(["a", "a"]).halt is Halt.SETTLED


def test_the_plain_rule_looks_at_the_first_two_alone() -> None:
    rule = FirstTwoAgree(max=5)
    assert rule.progress(["a", "a"]).stop
    assert rule.progress(["a", "b", "b", "b"]).halt is Halt.OPEN
    assert rule.progress(["a"]).needed == 1
    assert rule.progress(["a", "b"]).needed == 3
    assert rule.progress(list("abbbb")).halt is Halt.MAXIMUM


@pytest.mark.parametrize("wrong", [{"min": 0}, {"min": 6, "max": 5}, {"level": 0.0}, {"level": 1.2}])
def test_limits_that_contradict_each_other_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="give"):
        AdaptiveRollouts(**wrong)  # type: ignore[arg-type]


DIVERSE = st.builds(
    Diversification,
    roles=st.integers(1, 4),
    temperatures=st.lists(st.floats(0.0, 1.5), min_size=1, max_size=3, unique=True).map(tuple),
    fraction=st.floats(0.05, 1.0),
)


@laws
@given(DIVERSE, st.integers(1, 12), st.integers(0, 15), st.integers())
def test_the_first_rollout_is_plain_and_sees_everything(
    how: Diversification, rollouts: int, evidence: int, seed: int
) -> None:
    plan = how.plan(rollouts, evidence, seed=seed)
    first = plan[0]
    assert (first.role, first.temperature, first.shift) == (0, how.temperatures[0], 0)
    assert first.evidence == tuple(range(evidence))
    assert [p.index for p in plan] == list(range(rollouts))
    assert {item for p in plan for item in p.evidence} == set(range(evidence))


@laws
@given(DIVERSE, st.integers(1, 12), st.integers(0, 15), st.integers())
def test_the_same_seed_gives_the_same_plan(how: Diversification, rollouts: int, evidence: int, seed: int) -> None:
    plan = how.plan(rollouts, evidence, seed=seed)
    assert plan == how.plan(rollouts, evidence, seed=seed)


def test_orders_are_left_alone_where_they_are_not_to_differ() -> None:
    plan = Diversification(temperatures=(0.0, 0.7), rotated=False).plan(3, 4, seed=0)
    assert {p.evidence for p in plan} == {(0, 1, 2, 3)}
    assert plan[0].temperature == 0.0
    assert {p.temperature for p in plan} == {0.0, 0.7}


def spread(values: list[object], count: int) -> int:
    times = Counter(values)
    return max(times.values()) - (min(times.values()) if len(times) == count else 0)


@laws
@given(DIVERSE, st.integers(1, 12), st.integers(1, 15), st.integers())
def test_roles_temperatures_and_what_is_left_out_are_balanced(
    how: Diversification, rollouts: int, evidence: int, seed: int
) -> None:
    plan = how.plan(rollouts, evidence, seed=seed)
    assert spread([p.role for p in plan], how.roles) <= 1
    assert spread([p.temperature for p in plan], len(how.temperatures)) <= 1
    left_out = Counter(item for p in plan[1:] for item in set(range(evidence)) - set(p.evidence))
    missing = [left_out[item] for item in range(evidence)]
    assert max(missing) - min(missing) <= 1
    assert all(len(p.evidence) >= how.fraction * evidence - 1e-9 for p in plan)


def test_each_role_meets_each_temperature_and_orders_are_spread() -> None:
    how = Diversification(roles=2, temperatures=(0.3, 0.9))
    plan = how.plan(4, 8, seed=3)
    assert len({(p.role, p.temperature) for p in plan}) == 4
    assert [p.shift for p in plan] == [0, 2, 4, 6]
    assert plan[1].evidence == (2, 3, 4, 5, 6, 7, 0, 1)


def test_a_plan_is_the_same_on_every_machine() -> None:
    second = Diversification(roles=3, temperatures=(0.7, 1.0), fraction=0.75).plan(3, 4, seed=7)[1]
    assert second == RolloutPlan(1, role=2, temperature=1.0, evidence=(1, 2, 0), shift=1)


@pytest.mark.parametrize("wrong", [{"roles": 0}, {"temperatures": ()}, {"fraction": 0.0}, {"temperatures": (-1.0,)}])
def test_diversity_of_nothing_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="give"):
        Diversification(**wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="at least one rollout"):
        Diversification().plan(0, 3, seed=0)
