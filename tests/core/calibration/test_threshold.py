import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from wardround.core.calibration.threshold import Threshold, require_levels
from wardround.core.errors import UsageError


@given(st.floats(0.0, 1.0))
@settings(deadline=None)
def test_without_a_certificate_nothing_is_answered(confidence: float) -> None:
    assert not Threshold(alpha=0.1, delta=0.1, n=10).accepts(confidence)


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
@settings(deadline=None)
def test_more_confidence_never_closes_what_less_opens(value: float, a: float, b: float) -> None:
    threshold = Threshold(value=value, alpha=0.1, delta=0.1, n=100, accepted=60)
    assert threshold.accepts(max(a, b)) >= threshold.accepts(min(a, b))
    assert not threshold.accepts(value)


def test_a_confidence_must_be_a_number() -> None:
    with pytest.raises(UsageError, match="confidence"):
        Threshold(value=0.5, alpha=0.1, delta=0.1, n=100, accepted=60).accepts(float("nan"))


def test_it_says_what_is_promised_and_what_is_missing() -> None:
    good = str(Threshold(value=0.8, alpha=0.1, delta=0.1, n=500, accepted=300, errors=12, upper=0.06))
    assert "answer above 0.800: at most 10% of the answers wrong, at 90% confidence (12 of 300 wrong" in good
    assert "about 120 would be needed" in str(Threshold(alpha=0.1, delta=0.1, n=40, needed=120))
    assert "more cases alone would not help" in str(Threshold(alpha=0.1, delta=0.1, n=40))


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 10, "accepted": 11},
        {"n": 10, "accepted": 5, "errors": 6},
        {"n": 10, "value": 0.5, "needed": 20},
    ],
)
def test_counts_that_cannot_be_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Threshold(alpha=0.1, delta=0.1, **fields)


@pytest.mark.parametrize("levels", [(0.0, 0.1), (0.1, 1.0), (float("nan"), 0.1)])
def test_levels_are_shares(levels: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        require_levels(*levels)
