"""What models state, the probabilities of tokens, and combinations of them."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.estimators.worlds import LOGPROBS, UNIT, answer
from wardround.core.estimators.combined import BSDetector, CoCoA
from wardround.core.estimators.samples import Estimate, Estimator, Samples
from wardround.core.estimators.stated import PTrue, StatedConfidence
from wardround.core.estimators.tokens import (
    RaoBlackwellEntropy,
    TokenMeasure,
    TokenUncertainty,
    field_logprobs,
)
from wardround.core.estimators.votes import VoteEntropy

laws = settings(max_examples=150, deadline=None)


def of(estimator: Estimator, *answers: object) -> Estimate:
    found = estimator.estimate(Samples(answers=answers))  # type: ignore[arg-type]
    assert found is not None
    return found


@laws
@given(st.lists(UNIT, min_size=1, max_size=5))
def test_stated_confidence_and_p_true_are_one_minus_the_mean(stated: list[float]) -> None:
    rows = [answer("a", k, confidence=c, p_true=c) for k, c in enumerate(stated)]
    expected = 1.0 - sum(stated) / len(stated)
    assert of(StatedConfidence(), *rows).value == pytest.approx(expected, abs=1e-12)
    assert of(PTrue(), *rows).value == pytest.approx(expected, abs=1e-12)


def test_confidence_in_another_answer_does_not_count() -> None:
    rows = [answer("a", 0, confidence=0.6), answer("a", 1), answer("b", 2, confidence=1.0)]
    found = of(StatedConfidence(), *rows)
    assert (found.value, found.n) == (pytest.approx(0.4), 1)


def test_a_calibration_is_applied_and_what_was_said_is_kept() -> None:
    found = of(StatedConfidence(lambda c: c / 2.0), answer("a", confidence=0.9))
    assert found.value == pytest.approx(0.55)
    assert found.parts == {"stated": 0.9}


@laws
@given(LOGPROBS)
def test_the_token_measures_are_what_they_are_called(logs: tuple[float, ...]) -> None:
    row = answer("a", logprobs=logs)
    normalised = of(TokenUncertainty(), row)
    assert normalised.value == pytest.approx(1.0 - math.exp(sum(logs) / len(logs)), abs=1e-9)
    assert normalised.value == pytest.approx(1.0 - 1.0 / normalised.parts["perplexity"], abs=1e-9)
    sequence, least = of(TokenUncertainty(TokenMeasure.SEQUENCE), row), of(TokenUncertainty(TokenMeasure.LEAST), row)
    assert sequence.value == pytest.approx(1.0 - math.exp(sum(logs)), abs=1e-9)
    assert least.value == pytest.approx(1.0 - math.exp(min(logs)), abs=1e-9)
    assert normalised.value <= least.value + 1e-12 <= sequence.value + 2e-12


@laws
@given(LOGPROBS, st.data())
@pytest.mark.parametrize("measure", [m for m in TokenMeasure if m is not TokenMeasure.MARGIN])
def test_a_less_probable_token_never_lowers_it(
    measure: TokenMeasure, logs: tuple[float, ...], data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(logs) - 1))
    lower = data.draw(st.floats(-60.0, logs[index]))
    worse = (*logs[:index], lower, *logs[index + 1 :])
    before, after = (of(TokenUncertainty(measure), answer("a", logprobs=row)).value for row in (logs, worse))
    assert after >= before - 1e-12


def test_the_margin_is_that_of_the_least_decided_token_and_needs_alternatives() -> None:
    margin = TokenUncertainty(TokenMeasure.MARGIN)
    assert of(margin, answer("a", margins=(0.9, 0.25))).value == 0.75
    assert margin.estimate(Samples(answers=(answer("a", logprobs=(-0.1,)),))) is None


@laws
@given(st.text("abc", min_size=1, max_size=7), st.floats(-20.0, 0.0))
def test_answers_of_equal_probability_make_it_the_vote_entropy(clusters: str, log: float) -> None:
    rows = [answer(c, k, logprobs=(log, log)) for k, c in enumerate(clusters)]
    assert of(RaoBlackwellEntropy(), *rows).value == pytest.approx(of(VoteEntropy(), *rows).value, abs=1e-9)


def test_an_improbable_dissent_counts_less_than_a_vote_and_one_without_a_weight_stops_it() -> None:
    rows = [answer("a", 0, logprobs=(-0.1,)), answer("a", 1, logprobs=(-0.1,)), answer("b", 2, logprobs=(-6.0,))]
    assert of(RaoBlackwellEntropy(), *rows).value < of(VoteEntropy(), *rows).value / 5.0
    assert RaoBlackwellEntropy().estimate(Samples(answers=(*rows, answer("a", 3)))) is None


def test_probabilities_too_small_to_weigh_give_nothing_and_not_certainty() -> None:
    rows = (answer("a", 0, logprobs=(-9999.0,)), answer("b", 1, logprobs=(-9999.0,)))
    assert RaoBlackwellEntropy().estimate(Samples(answers=rows)) is None


def test_bsdetector_has_the_weights_of_uqlm() -> None:
    rows = [answer("a", 0, p_true=0.5), answer("a", 1, p_true=0.5), answer("b", 2)]
    found = of(BSDetector(), *rows)
    assert found.parts == {"similar": 0.5, "exact": 0.5, "reflection": 0.5}
    assert of(BSDetector(), answer("a", 0, p_true=0.0), answer("a", 1)).value == pytest.approx(0.30)
    assert of(BSDetector(alpha=1.0, beta=1.0), *rows).value == pytest.approx(0.5)


@laws
@given(st.floats(-5.0, 0.0), st.floats(-5.0, 0.0))
def test_cocoa_rises_with_either_uncertainty_in_both_forms(one: float, other: float) -> None:
    low, high = min(one, other), max(one, other)
    for product in ("uncertainties", "confidences"):
        form = CoCoA(product=product)  # type: ignore[arg-type]
        sure, unsure = ([answer(c, k, logprobs=(log,)) for k, c in enumerate("aab")] for log in (high, low))
        split = [answer(c, k, logprobs=(high,)) for k, c in enumerate("aabcd")]
        assert of(form, *unsure).value >= of(form, *sure).value - 1e-12
        assert of(form, *split).value >= of(form, *sure).value - 1e-12


def test_the_two_forms_of_cocoa_differ_where_only_one_speaks() -> None:
    rows = [answer("a", k, logprobs=(math.log(0.4),)) for k in range(3)]
    assert of(CoCoA(product="uncertainties"), *rows).value == 0.0
    assert of(CoCoA(), *rows).value == pytest.approx(0.6)


@laws
@given(st.text(min_size=1, max_size=12), st.data())
def test_the_tokens_of_a_field_are_found_however_the_reply_is_cut(value: str, data: st.DataObject) -> None:
    reply = json.dumps({"why": "because", "leading": value, "confidence": 0.5})
    cuts = sorted(data.draw(st.sets(st.integers(1, len(reply) - 1), max_size=12)))
    pieces = [reply[a:b] for a, b in zip([0, *cuts], [*cuts, len(reply)], strict=True)]
    tokens = [(piece, -float(k)) for k, piece in enumerate(pieces)]
    start = reply.index('"leading": "') + len('"leading": "')
    end = start + len(json.dumps(value)) - 2
    starts = [0, *cuts]
    expected = tuple(-float(k) for k, s in enumerate(starts) if s < end and s + len(pieces[k]) > start)
    assert field_logprobs(tokens, "leading") == expected


@pytest.mark.parametrize(
    "reply", ['{"leading": null}', '{"leading": ""}', "{}", '{"leading": "a", "x": {"leading": "b"}}']
)
def test_a_field_that_is_missing_empty_or_there_twice_has_no_tokens(reply: str) -> None:
    assert field_logprobs([(reply, -1.0)], "leading") is None
