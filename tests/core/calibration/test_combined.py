import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardround.core.calibration.combined import CombinedModel, PartWeight
from wardround.core.errors import UsageError
from wardround.core.uncertainty import Part

MODELS = st.builds(
    CombinedModel,
    intercept=st.floats(-3.0, 3.0),
    weights=st.dictionaries(
        st.sampled_from(Part), st.builds(PartWeight, coefficient=st.floats(0.0, 3.0), missing=st.floats(-3.0, 3.0))
    ),
    n=st.just(200),
)
PARTS = st.dictionaries(st.sampled_from(Part), st.floats(0.0, 0.999), min_size=1)


@given(MODELS, PARTS)
@settings(deadline=None)
def test_it_is_a_probability_and_the_uncertainty_its_complement(model: CombinedModel, parts: dict[Part, float]) -> None:
    assert 0.0 <= model.certainty(parts) <= 1.0
    assert model.combined(parts) == pytest.approx(1.0 - model.certainty(parts))


@given(MODELS, PARTS, st.sampled_from(Part), st.floats(0.0, 1.0))
@settings(deadline=None)
def test_more_doubt_never_means_more_belief(
    model: CombinedModel, parts: dict[Part, float], part: Part, u: float
) -> None:
    before = parts.get(part, 0.0)
    worse = {**parts, part: max(before, u)}
    assert model.certainty(worse) <= model.certainty({**parts, part: before}) + 1e-12


@given(MODELS, PARTS, st.sampled_from(Part))
@settings(deadline=None)
def test_one_part_at_one_vetoes_even_if_it_weighs_nothing(
    model: CombinedModel, parts: dict[Part, float], part: Part
) -> None:
    assert model.certainty({**parts, part: 1.0}) == 0.0


@given(MODELS, PARTS)
@settings(deadline=None)
def test_the_order_of_the_parts_does_not_matter(model: CombinedModel, parts: dict[Part, float]) -> None:
    assert model.certainty(dict(reversed(parts.items()))) == pytest.approx(model.certainty(parts), abs=1e-15)


def test_a_part_that_is_not_known_stands_where_the_fitted_cases_did() -> None:
    weights = {
        Part.EVIDENCE: PartWeight(coefficient=1.0, missing=0.0),
        Part.SELF: PartWeight(coefficient=1.0, missing=0.0),
    }
    model = CombinedModel(intercept=0.0, weights=weights, n=200)
    assert model.certainty({Part.EVIDENCE: 0.2}) == pytest.approx(model.certainty({Part.EVIDENCE: 0.2, Part.SELF: 0.5}))


@pytest.mark.parametrize("parts", [{}, {Part.SELF: -0.1}, {Part.SELF: 1.1}, {Part.SELF: float("nan")}])
def test_nothing_known_or_no_share_is_refused(parts: dict[Part, float]) -> None:
    with pytest.raises(UsageError):
        CombinedModel(intercept=0.0, weights={}, n=0).certainty(parts)
