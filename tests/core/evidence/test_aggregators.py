"""The rules side by side: formulas, and the laws that ours keeps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardround.core.evidence.aggregators import (
    LLR_OF_STRENGTH,
    Aggregator,
    DempsterShafer,
    DfQuad,
    EffectiveMean,
    Euler,
    Graph,
    Leaky,
    NaiveLogOdds,
    Prior,
    QuadraticEnergy,
    ReadingTree,
    SortedDiscount,
    Statements,
    SubjectiveLogic,
)

MONOTONE: tuple[Aggregator, ...] = (
    Prior(),
    NaiveLogOdds(),
    SortedDiscount(),
    ReadingTree(),
    Graph(readings=True),
    Graph(readings=False),
    DempsterShafer(),
    SubjectiveLogic(),
    DfQuad(),
    QuadraticEnergy(),
    Euler(),
)
ALL = (*MONOTONE, EffectiveMean(), Leaky((0.5, 0.9)))
laws = settings(max_examples=60, deadline=None)
names = pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.name)


def stated(prior: float, strengths: list[float], root: list[int] | None = None) -> Statements:
    """One case whose log likelihood ratios are so many times LLR_OF_STRENGTH."""
    x = np.array(strengths)
    common = 0.04 * np.exp(LLR_OF_STRENGTH * np.abs(x))
    return Statements(
        prior=prior,
        present=(x >= 0)[None],
        sensitivity=np.where(x >= 0, common, 0.96),
        specificity=np.where(x >= 0, 0.96, common),
        reliability=np.ones((1, x.size)),
        root=np.array(root if root is not None else range(x.size), dtype=np.int64),
    )


def of_one_finding(prior: float, strengths: list[float], root: list[int]) -> Statements:
    """One case whose items say that a finding is there or not, more reliably the further from 0."""
    n = len(strengths)
    return Statements(
        prior=prior,
        present=np.array([[x >= 0 for x in strengths]]),
        sensitivity=np.full(n, 0.75),
        specificity=np.full(n, 0.8),
        reliability=np.abs([strengths]),
        root=np.array(root, dtype=np.int64),
    )


def made_for(rule: Aggregator, prior: float, strengths: list[float], root: list[int]) -> Statements:
    """Statements that a rule is meant for: a tree has readings of one finding at each root."""
    tree = isinstance(rule, ReadingTree | Leaky) or rule == Graph(readings=True)
    return (of_one_finding if tree else stated)(prior, strengths, root)


def believed(rule: Aggregator, statements: Statements) -> float:
    return float(rule.belief(statements)[0])


def test_statements_carry_the_ratios_they_were_made_from() -> None:
    made = stated(0.3, [0.4, -0.7])
    assert made.ratios()[0].tolist() == pytest.approx([1.2, -2.1])
    for_, against = made.strengths()
    assert for_[0].tolist() == pytest.approx([0.4, 0.0])
    assert against[0].tolist() == pytest.approx([0.0, 0.7])


@pytest.mark.parametrize(
    ("rule", "once", "five", "twenty"),
    [
        (DfQuad(), 0.46, 0.93, 1.0),
        (DempsterShafer(), 0.46, 0.93, 1.0),
        (NaiveLogOdds(), 0.27, 0.98, 1.0),
        (Euler(), 0.14, 0.43, 0.997),
        (QuadraticEnergy(), 0.22, 0.82, 0.99),
        (SubjectiveLogic(), 0.65, 0.90, 0.97),
    ],
)
def test_the_usual_rules_count_a_copy_again_and_again(
    rule: Aggregator, once: float, five: float, twenty: float
) -> None:
    found = [believed(rule, stated(0.1, [0.4] * n)) for n in (1, 5, 20)]
    assert found == pytest.approx([once, five, twenty], abs=0.006)


def test_readings_of_one_root_never_exceed_its_finding() -> None:
    one = believed(NaiveLogOdds(), stated(0.1, [0.4]))
    assert believed(ReadingTree(), stated(0.1, [0.4] * 500, [0] * 500)) <= one + 1e-9


def test_a_sure_supporter_against_three_strong_attackers() -> None:
    case = stated(0.3, [1.0, -0.95, -0.95, -0.95])
    assert believed(DfQuad(), case) == pytest.approx(0.3, abs=1e-3)
    assert believed(DempsterShafer(), case) == pytest.approx(1.0)
    assert believed(NaiveLogOdds(), case) == pytest.approx(0.0017, abs=1e-4)


@names
@laws
@given(
    st.lists(st.tuples(st.floats(-0.95, 0.95), st.integers(0, 2)), min_size=1, max_size=8),
    st.floats(0.02, 0.98),
    st.randoms(),
)
def test_no_rule_depends_on_order_and_all_give_probabilities(rule, items, prior, random) -> None:  # type: ignore[no-untyped-def]
    shuffled = list(items)
    random.shuffle(shuffled)
    one, other = (
        believed(rule, made_for(rule, prior, [x for x, _ in of], [r for _, r in of])) for of in (items, shuffled)
    )
    assert one == pytest.approx(other, abs=1e-9)
    assert 0.0 <= one <= 1.0


@pytest.mark.parametrize("rule", MONOTONE, ids=lambda rule: rule.name)
@laws
@given(st.lists(st.floats(-0.95, 0.95), max_size=7), st.floats(0.0, 0.95), st.floats(0.02, 0.98))
def test_a_further_supporter_never_lowers_belief(rule, strengths, more, prior) -> None:  # type: ignore[no-untyped-def]
    root = [0] * len(strengths)
    before = made_for(rule, prior, [*strengths, 0.0], [*root, 1])
    after = made_for(rule, prior, [*strengths, more], [*root, 0])
    assert believed(rule, after) >= believed(rule, before) - 1e-9


def test_the_mean_of_a_root_is_not_monotone() -> None:
    strong = stated(0.2, [0.9, 0.9], [0, 0])
    diluted = stated(0.2, [0.9, 0.9, 0.05], [0, 0, 0])
    assert believed(EffectiveMean(), diluted) < believed(EffectiveMean(), strong)
    assert believed(SortedDiscount(), diluted) > believed(SortedDiscount(), strong)


@laws
@given(st.lists(st.floats(-0.95, 0.95), min_size=1, max_size=6), st.floats(0.02, 0.98))
def test_limits_of_the_discount_are_the_sum_and_the_strongest(strengths: list[float], prior: float) -> None:
    one_root = stated(prior, strengths, [0] * len(strengths))
    assert believed(SortedDiscount(0.0), one_root) == pytest.approx(believed(NaiveLogOdds(), one_root), abs=1e-9)
    only = stated(prior, [max(0.0, max(strengths)), min(-1e-12, *strengths)], [0, 1])
    assert believed(SortedDiscount(1.0), one_root) == pytest.approx(believed(NaiveLogOdds(), only), abs=1e-9)


@laws
@given(st.integers(1, 6), st.lists(st.booleans(), min_size=6, max_size=6), st.floats(0.1, 0.95))
def test_the_leaky_tree_is_naive_at_one_end_and_the_tree_at_the_other(n: int, says: list[bool], r: float) -> None:
    case = Statements(
        prior=0.2,
        present=np.array([says[:n]]),
        sensitivity=np.full(n, 0.75),
        specificity=np.full(n, 0.8),
        reliability=np.full((1, n), r),
        root=np.zeros(n, dtype=np.int64),
    )
    assert believed(Leaky((0.0,)), case) == pytest.approx(believed(NaiveLogOdds(), case), abs=1e-9)
    assert believed(Leaky((1.0,)), case) == pytest.approx(believed(ReadingTree(), case), abs=1e-9)


def test_nobody_heard_leaves_the_prior() -> None:
    assert believed(Prior(), stated(0.37, [0.9])) == 0.37
