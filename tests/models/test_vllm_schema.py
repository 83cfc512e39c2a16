"""Bounds on the length of texts as patterns, for vLLM."""

import copy
import json
import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from wardround.core import answers
from wardround.models.asking import response_format
from wardround.models.vllm import bounded_by_pattern

LONGEST = 700
ANSWERS = [
    kind
    for kind in vars(answers).values()
    if isinstance(kind, type) and issubclass(kind, BaseModel) and kind.__module__ == answers.__name__
]
CHARACTERS = st.sampled_from(["a", " ", '"', "\\", "é", "漢", "🫀", "\x7f", "\u2028"])
BOUNDS = st.tuples(st.integers(0, LONGEST), st.integers(0, LONGEST)).map(sorted)
LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
NODES = st.recursive(
    LEAVES
    | st.fixed_dictionaries(
        {"type": st.sampled_from(["string", "integer", "object"])},
        optional={"minLength": st.integers(0, 9), "maxLength": st.integers(9, 300), "pattern": st.just("^a$")},
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def pattern(shortest: int | None, longest: int) -> re.Pattern[str]:
    schema = {"type": "string", "maxLength": longest} | ({"minLength": shortest} if shortest is not None else {})
    return compiled(bounded_by_pattern(schema)["pattern"])


def compiled(text: str) -> re.Pattern[str]:
    """A pattern as an automaton would run it: all pieces are of one class, so giving characters back gains nothing,
    and `re`, which tries each way to share them out, would not come to an end on a text that is too long."""
    return re.compile(text.replace("}", "}+"))


def nodes(schema: Any) -> list[dict[str, Any]]:
    """Every object of a schema."""
    if isinstance(schema, list):
        return [node for each in schema for node in nodes(each)]
    if isinstance(schema, dict):
        return [schema, *(node for each in schema.values() for node in nodes(each))]
    return []


@settings(max_examples=300, deadline=None)
@given(BOUNDS, st.integers(0, LONGEST + 50), CHARACTERS)
@example([0, 0], 0, "a")
@example([0, 100], 101, "a")
@example([100, 200], 99, "a")
@example([101, 101], 101, "a")
@example([150, 700], 149, "a")
@example([700, 700], 700, "a")
def test_a_text_matches_just_where_its_length_is_within_the_bounds(
    bounds: list[int], length: int, character: str
) -> None:
    shortest, longest = bounds
    assert bool(pattern(shortest, longest).search(character * length)) == (shortest <= length <= longest)


@pytest.mark.parametrize("bounds", [(0, 1), (1, 99), (3, 100), (0, 101), (99, 200), (100, 300), (250, 250), (250, 700)])
def test_the_edges_of_the_bounds_are_where_they_were(bounds: tuple[int, int]) -> None:
    shortest, longest = bounds
    limited = pattern(shortest, longest)
    matching = [n for n in range(longest + 3) if limited.search("x" * n)]
    assert matching == list(range(shortest, longest + 1))


@given(st.integers(0, LONGEST))
def test_without_a_lower_bound_the_empty_text_matches(longest: int) -> None:
    assert pattern(None, longest).search("")


@given(st.characters(min_codepoint=1, max_codepoint=0x1F), st.integers(0, 5), st.integers(0, 5))
def test_a_control_character_that_json_does_not_take_bare_never_matches(control: str, before: int, after: int) -> None:
    limited = pattern(0, 20)
    assert limited.fullmatch("a" * before + control + "a" * after) is None


@given(BOUNDS)
def test_no_piece_of_a_pattern_repeats_more_than_the_lower_bound_makes_it(bounds: list[int]) -> None:
    shortest, longest = bounds
    counts = [int(n) for n in re.findall(r",(\d+)\}", pattern(shortest, longest).pattern)]
    assert max(counts) <= max(100, shortest)
    assert sum(counts) == longest


@given(NODES)
def test_bounding_twice_is_bounding_once(schema: Any) -> None:
    once = bounded_by_pattern(schema)
    assert bounded_by_pattern(once) == once


@given(NODES)
def test_what_is_given_is_not_changed(schema: Any) -> None:
    before = copy.deepcopy(schema)
    bounded_by_pattern(schema)
    assert schema == before


@given(NODES)
def test_nothing_but_texts_of_limited_length_is_changed(schema: Any) -> None:
    def unbounded(node: Any) -> Any:
        if isinstance(node, list):
            return [unbounded(each) for each in node]
        if not isinstance(node, dict):
            return node
        kept = {key: unbounded(value) for key, value in node.items()}
        if kept.get("type") == "string" and ("maxLength" in kept or "pattern" in kept):
            return {key: value for key, value in kept.items() if key not in ("minLength", "maxLength", "pattern")}
        return kept

    assert unbounded(bounded_by_pattern(schema)) == unbounded(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string"},
        {"type": "string", "minLength": 3},
        {"type": "string", "maxLength": 9, "pattern": "^a+$"},
        {"type": "string", "maxLength": 9, "format": "date"},
        {"type": "array", "maxItems": 3, "items": {"type": "integer", "maximum": 9}},
        {"type": "object", "properties": {"type": {"type": "integer"}, "maxLength": {"type": "integer"}}},
        {"enum": ["a", "b"]},
        True,
        None,
        7,
    ],
)
def test_everything_else_is_left_as_it_is(schema: Any) -> None:
    assert bounded_by_pattern(schema) == schema


@pytest.mark.parametrize("kind", ANSWERS)
def test_in_the_schema_of_every_answer_the_lengths_are_patterns_that_mean_the_same(kind: type[BaseModel]) -> None:
    form = response_format(kind)
    before, after = nodes(form), nodes(bounded_by_pattern(form))
    assert len(before) == len(after)
    for old, new in zip(before, after, strict=True):
        if "maxLength" not in old:
            assert new.keys() == old.keys()
            continue
        assert not new.keys() & {"minLength", "maxLength"}
        limited = compiled(new["pattern"])
        shortest, longest = old.get("minLength", 0), old["maxLength"]
        inside = [shortest, (shortest + longest) // 2, longest]
        assert all(limited.search("é" * n) for n in inside)
        assert not any(limited.search("é" * n) for n in (shortest - 1, longest + 1) if n >= 0)
    assert bounded_by_pattern(bounded_by_pattern(form)) == bounded_by_pattern(form)


def test_the_answers_are_all_looked_at_and_hold_limited_texts() -> None:
    assert {kind.__name__ for kind in ANSWERS} >= {"TriageAnswer", "PlanAnswer", "ToolChoice", "SpecialistAnswer"}
    assert json.dumps(response_format(answers.SpecialistAnswer)).count("maxLength") >= 4


def test_the_schema_that_others_are_sent_keeps_its_bounds() -> None:
    form = response_format(answers.ToolChoice)
    bounded_by_pattern(form)
    assert response_format(answers.ToolChoice)["json_schema"]["schema"] == answers.ToolChoice.model_json_schema()
