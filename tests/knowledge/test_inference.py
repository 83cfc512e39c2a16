"""Laws of the reference inference, whatever the findings."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardround.core.finding import Assertion, Finding
from wardround.core.weighing import MAX_GROUP_LLR, OTHER_PRIOR
from wardround.knowledge.clinician import reference_clinician
from wardround.knowledge.inference import as_differential, infer, information_gain, suggest
from wardround.knowledge.loading import embedded

KB = embedded()
CODES = sorted(KB.findings)
WEIGHTLESS = (Assertion.HYPOTHETICAL, Assertion.FAMILY, Assertion.HISTORICAL)

assertions = st.sampled_from([Assertion.PRESENT, Assertion.ABSENT, Assertion.POSSIBLE])
reliabilities = st.floats(0.0, 0.98)
ages = st.one_of(st.none(), st.floats(0.0, 110.0))
sexes = st.sampled_from(["female", "male", None])
readings = st.tuples(
    st.builds(lambda code, assertion: Finding(code=code, assertion=assertion), st.sampled_from(CODES), assertions),
    reliabilities,
)
charts = st.lists(readings, max_size=15)


def posterior(findings: list[tuple[Finding, float]], age: float | None = None, sex: str | None = None) -> np.ndarray:
    return infer(KB, findings, age=age, sex=sex)[1].posterior


def present(code: str) -> Finding:
    return Finding(code=code, assertion=Assertion.PRESENT)


@settings(max_examples=100, deadline=None)
@given(charts, ages, sexes)
def test_a_posterior_is_a_distribution(chart: list[tuple[Finding, float]], age: float | None, sex: str | None) -> None:
    p = posterior(chart, age, sex)
    assert p.shape == (len(KB.conditions) + 1,)
    assert np.isfinite(p).all()
    assert ((p >= 0) & (p <= 1)).all()
    assert p.sum() == pytest.approx(1.0)


@settings(max_examples=100, deadline=None)
@given(charts, st.randoms(use_true_random=False))
def test_the_order_of_findings_does_not_matter(chart: list[tuple[Finding, float]], rng: random.Random) -> None:
    shuffled = list(chart)
    rng.shuffle(shuffled)
    np.testing.assert_allclose(posterior(shuffled), posterior(chart), rtol=1e-9, atol=1e-12)


@settings(max_examples=100, deadline=None)
@given(charts, st.sampled_from(CODES), st.sampled_from(WEIGHTLESS), reliabilities)
def test_what_is_not_said_of_the_patient_now_changes_nothing(
    chart: list[tuple[Finding, float]], code: str, assertion: Assertion, reliability: float
) -> None:
    more = [*chart, (Finding(code=code, assertion=assertion), reliability)]
    np.testing.assert_array_equal(posterior(more), posterior(chart))


@settings(max_examples=100, deadline=None)
@given(charts, reliabilities)
def test_a_finding_that_the_knowledge_does_not_hold_changes_nothing(
    chart: list[tuple[Finding, float]], reliability: float
) -> None:
    np.testing.assert_array_equal(posterior([*chart, (present("green_hair"), reliability)]), posterior(chart))


@settings(max_examples=100, deadline=None)
@given(charts, st.sampled_from(CODES), assertions)
def test_a_source_that_is_never_right_changes_nothing(
    chart: list[tuple[Finding, float]], code: str, assertion: Assertion
) -> None:
    more = [*chart, (Finding(code=code, assertion=assertion), 0.0)]
    np.testing.assert_allclose(posterior(more), posterior(chart), rtol=1e-9, atol=1e-12)


@settings(max_examples=100, deadline=None)
@given(charts, st.sampled_from(CODES), reliabilities)
def test_a_finding_and_its_denial_of_equal_worth_cancel(
    chart: list[tuple[Finding, float]], code: str, reliability: float
) -> None:
    silent = [(f, r) for f, r in chart if f.code != code]
    both = [
        *silent,
        (Finding(code=code, assertion=Assertion.PRESENT), reliability),
        (Finding(code=code, assertion=Assertion.ABSENT), reliability),
    ]
    np.testing.assert_allclose(posterior(both), posterior(silent), rtol=1e-7, atol=1e-10)


@settings(max_examples=100, deadline=None)
@given(charts)
def test_the_share_of_the_unknown_is_never_argued_away_entirely(chart: list[tuple[Finding, float]]) -> None:
    p = posterior(chart)
    groups = {KB.group[f.code] for f, _ in chart}
    floor = OTHER_PRIOR / (OTHER_PRIOR + np.exp(MAX_GROUP_LLR * len(groups)))
    assert p[-1] >= floor * (1 - 1e-9)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(CODES), reliabilities, reliabilities)
def test_a_better_source_never_says_less(code: str, one: float, other: float) -> None:
    low, high = sorted((one, other))
    base, weak, strong = posterior([]), posterior([(present(code), low)]), posterior([(present(code), high)])
    odds = [p[:-1] / p[-1] for p in (base, weak, strong)]
    rising = KB.likelihood[KB.finding_index[code]] >= KB.background[KB.finding_index[code]]
    assert (odds[1][rising] >= odds[0][rising] * (1 - 1e-9)).all()
    assert (odds[2][rising] >= odds[1][rising] * (1 - 1e-9)).all()


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(CODES), st.floats(0.01, 0.98))
def test_a_finding_speaks_for_what_makes_it_likelier_and_its_absence_against(code: str, reliability: float) -> None:
    for assertion in (Assertion.PRESENT, Assertion.ABSENT):
        _, weighed = infer(KB, [(Finding(code=code, assertion=assertion), reliability)])
        difference = KB.likelihood[KB.finding_index[code]] - KB.background[KB.finding_index[code]]
        sign = 1.0 if assertion is Assertion.PRESENT else -1.0
        assert (sign * weighed.ratios[0] * difference >= -1e-12).all()


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(CODES), st.integers(1, 50), st.floats(0.5, 0.98))
def test_repeating_a_finding_never_outweighs_the_finding_itself(code: str, times: int, reliability: float) -> None:
    _, weighed = infer(KB, [(present(code), reliability)] * times)
    i = KB.finding_index[code]
    most = np.log(KB.likelihood[i]) - np.log(KB.background[i])
    assert (np.abs(weighed.ratios[0]) <= np.abs(most) + 1e-9).all()


def test_a_possible_finding_counts_for_less_than_one_that_is_there() -> None:
    index = KB.condition_index["acute_appendicitis"]
    possible = Finding(code="ct_appendicitis", assertion=Assertion.POSSIBLE)
    chances = [posterior(chart)[index] for chart in ([], [(possible, 0.9)], [(present("ct_appendicitis"), 0.9)])]
    assert chances == sorted(chances)
    assert len(set(chances)) == 3


@settings(max_examples=40, deadline=None)
@given(charts, ages, sexes)
def test_information_gain_is_never_negative_nor_more_than_there_is_to_learn(
    chart: list[tuple[Finding, float]], age: float | None, sex: str | None
) -> None:
    p = posterior(chart, age, sex)
    gain = information_gain(KB, p)
    entropy = -(p[p > 0] * np.log2(p[p > 0])).sum()
    assert gain.shape == (len(KB.findings),)
    assert np.isfinite(gain).all()
    assert (gain >= 0).all()
    assert (gain <= entropy + 1e-9).all()


@pytest.mark.parametrize("index", [0, 7, -1])
def test_nothing_can_be_learned_of_what_is_certain(index: int) -> None:
    p = np.zeros(len(KB.conditions) + 1)
    p[index] = 1.0
    assert information_gain(KB, p) == pytest.approx(0.0, abs=1e-12)
    assert suggest(KB, p, []) == []


@settings(max_examples=40, deadline=None)
@given(charts, sexes, st.integers(0, 12))
def test_suggestions_are_new_fitting_and_in_order(
    chart: list[tuple[Finding, float]], sex: str | None, limit: int
) -> None:
    codes, weighed = infer(KB, chart, sex=sex)
    suggested = suggest(KB, weighed.posterior, codes, sex=sex, limit=limit)
    assert len(suggested) <= limit
    assert not {s.code for s in suggested} & set(codes)
    assert all(KB.findings[s.code].sex in (None, sex) or sex is None for s in suggested)
    assert [s.value for s in suggested] == sorted((s.value for s in suggested), reverse=True)
    assert all(s.gain > 0 for s in suggested)


@settings(max_examples=40, deadline=None)
@given(charts)
def test_a_differential_lists_every_condition_from_the_likeliest_down(chart: list[tuple[Finding, float]]) -> None:
    p = posterior(chart)
    differential = as_differential(KB, p)
    listed = [h.probability for h in differential.hypotheses]
    assert listed == sorted(listed, reverse=True)
    assert {h.id for h in differential.hypotheses} == set(KB.conditions)
    assert differential.other == pytest.approx(p[-1], abs=1e-9)


def test_without_findings_the_prior_stands() -> None:
    p = posterior([], 40.0, "female")
    np.testing.assert_allclose(p[:-1], KB.prior(40.0, "female"))
    assert p[-1] == pytest.approx(OTHER_PRIOR)


def test_a_telling_finding_leads_to_its_condition() -> None:
    chart = [(present(code), 0.9) for code in ("ct_appendicitis", "rlq_tenderness", "fever") if code in KB.findings]
    assert as_differential(KB, posterior(chart, 24.0, "male")).hypotheses[0].id == "acute_appendicitis"


def test_the_bearing_of_a_finding_has_the_sign_of_its_figures() -> None:
    clinician = reference_clinician()
    there, gone = (Finding(code="ct_appendicitis", assertion=a) for a in (Assertion.PRESENT, Assertion.ABSENT))
    assert clinician.bearing(there, "acute_appendicitis") > 1.0 > -1.0 > clinician.bearing(gone, "acute_appendicitis")
    assert clinician.bearing(there, "no_such_condition") == 0.0
    assert clinician.bearing(present("green_hair"), "acute_appendicitis") == 0.0
    family = Finding(code="ct_appendicitis", assertion=Assertion.FAMILY)
    assert clinician.bearing(family, "acute_appendicitis") == 0.0
