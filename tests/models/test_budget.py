"""What a case may use, and what it has used."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from wardround.core.errors import BudgetExceeded
from wardround.models.budget import Budget, Meter
from wardround.testing import FixedClock


def meter(step: float = 0.0, **limits: float | None) -> Meter:
    return Meter(Budget.model_validate({"calls": None, **limits}), FixedClock(step=step))


def test_calls_are_counted_up_to_the_limit() -> None:
    limited = meter(calls=2)
    limited.take()
    assert not limited.exhausted
    limited.take()
    assert limited.exhausted
    with pytest.raises(BudgetExceeded, match="budget of 2 calls is used up") as refused:
        limited.take()
    assert (refused.value.resource, refused.value.limit, refused.value.used) == ("calls", 2, 2)
    assert limited.calls == 2


def test_a_budget_of_no_calls_allows_none() -> None:
    with pytest.raises(BudgetExceeded):
        meter(calls=0).take()


def test_tokens_are_counted_when_they_are_known() -> None:
    limited = meter(tokens=100)
    limited.take()
    limited.answered(90, 9)
    limited.take()
    limited.answered(1, 0)
    assert limited.exhausted
    with pytest.raises(BudgetExceeded, match="tokens"):
        limited.take()
    assert (limited.calls, limited.tokens) == (2, 100)


def test_time_runs_from_the_start() -> None:
    limited = meter(step=1.0, seconds=3.0)
    limited.take()
    limited.take()
    with pytest.raises(BudgetExceeded, match="seconds"):
        limited.take()


def test_a_clock_that_stands_still_uses_no_time() -> None:
    limited = meter(step=0.0, seconds=0.001)
    for _ in range(50):
        limited.take()
    assert not limited.exhausted


def test_without_limits_nothing_is_refused() -> None:
    free = meter(step=1000.0)
    for _ in range(500):
        free.take()
        free.answered(10**6, 10**6)
    assert not free.exhausted
    assert free.calls == 500


def test_a_case_has_two_hundred_calls_unless_told_otherwise() -> None:
    assert Budget() == Budget(calls=200, tokens=None, seconds=None)


@pytest.mark.parametrize(
    "limits", [{"calls": -1}, {"tokens": -1}, {"seconds": 0}, {"seconds": -1}, {"euros": 5}, {"calls": 1.5}]
)
def test_a_senseless_budget_is_refused(limits: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Budget.model_validate(limits)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 30), st.integers(0, 60))
def test_no_more_calls_pass_than_were_given(limit: int, tries: int) -> None:
    limited = meter(calls=limit)
    passed = 0
    for _ in range(tries):
        try:
            limited.take()
        except BudgetExceeded:
            continue
        passed += 1
    assert passed == limited.calls == min(limit, tries)


def test_threads_do_not_overdraw_a_budget() -> None:
    limited = meter(calls=100)

    def spend(_: int) -> bool:
        try:
            limited.take()
        except BudgetExceeded:
            return False
        limited.answered(1, 0)
        return True

    with ThreadPoolExecutor(8) as pool:
        passed = list(pool.map(spend, range(400)))
    assert sum(passed) == limited.calls == limited.tokens == 100
