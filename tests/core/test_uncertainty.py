"""Laws of the combined uncertainty."""

import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from wardround.core.uncertainty import WEIGHTS, Part, combine

UNIT = st.floats(0.0, 1.0)
PARTS = st.dictionaries(st.sampled_from(list(Part)), UNIT, min_size=1)
OPEN_PARTS = st.dictionaries(st.sampled_from(list(Part)), st.floats(0.0, 0.999), min_size=1)
laws = settings(max_examples=150, deadline=None)


@laws
@given(PARTS)
def test_it_lies_between_zero_and_one(parts: dict[Part, float]) -> None:
    assert 0.0 <= combine(parts).combined <= 1.0


@laws
@given(PARTS, st.data())
def test_a_worse_part_never_makes_it_better(parts: dict[Part, float], data: st.DataObject) -> None:
    part = data.draw(st.sampled_from(list(parts)))
    worse = data.draw(st.floats(parts[part], 1.0))
    assert combine({**parts, part: worse}).combined >= combine(parts).combined - 1e-12


@laws
@given(PARTS, st.randoms())
def test_the_order_of_parts_does_not_matter(parts: dict[Part, float], random: Random) -> None:
    shuffled = list(parts.items())
    random.shuffle(shuffled)
    assert combine(dict(shuffled)).combined == combine(parts).combined
    assert combine(dict(shuffled)).largest == combine(parts).largest


@laws
@given(OPEN_PARTS, st.sampled_from(list(Part)))
def test_one_part_at_one_is_a_veto_and_is_named(parts: dict[Part, float], part: Part) -> None:
    vetoed = combine({**parts, part: 1.0})
    assert vetoed.combined == 1.0
    assert vetoed.largest is part


@laws
@given(OPEN_PARTS)
def test_missing_parts_drop_out_by_renormalising(parts: dict[Part, float]) -> None:
    total = sum(WEIGHTS[part] for part in parts)
    certainty = math.prod((1.0 - value) ** (WEIGHTS[part] / total) for part, value in parts.items())
    assert combine(parts).combined == pytest.approx(1.0 - certainty, abs=1e-9)


@laws
@given(st.lists(st.sampled_from(list(Part)), min_size=1, unique=True), st.floats(0.0, 0.999))
def test_equal_parts_combine_to_themselves(parts: list[Part], value: float) -> None:
    assert combine(dict.fromkeys(parts, value)).combined == pytest.approx(value, abs=1e-9)


@laws
@given(UNIT, UNIT)
def test_two_parts_of_equal_weight_are_the_root_of_confidence_times_consistency(a: float, b: float) -> None:
    combined = combine({Part.SEMANTIC: a, Part.CONFIDENCE: b}).combined
    assert combined == pytest.approx(1.0 - math.sqrt((1.0 - a) * (1.0 - b)), abs=1e-7)


def test_nothing_known_is_wholly_uncertain() -> None:
    assert combine({}).combined == 1.0
    assert combine({}).largest is None


def test_a_veto_outweighs_a_heavier_part_below_one() -> None:
    assert combine({Part.EVIDENCE: 0.95, Part.IGNORANCE: 1.0}).largest is Part.IGNORANCE


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_part_that_is_no_number_is_refused_and_never_counts_as_certain(value: float) -> None:
    with pytest.raises(ValidationError, match="finite"):
        combine({Part.EVIDENCE: value, Part.SELF: 0.1})
