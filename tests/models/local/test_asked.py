"""The options of a call: known ones are read, all others refused."""

from __future__ import annotations

from typing import Any

import pytest

from wardround.core.errors import UsageError
from wardround.models.local.asked import read_options

LABS = {"type": "function", "function": {"name": "labs", "parameters": {"type": "object", "properties": {}}}}


def test_nothing_given_is_one_greedy_answer() -> None:
    options = read_options(None, {})
    assert (options.temperature, options.n, options.max_tokens, options.constraint()) == (0.0, 1, None, None)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"top_p": 0.9}, "top_p: Extra inputs.*it takes .*temperature"),
        ({"temperature": -1}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"n": 0}, "n: "),
        ({"max_tokens": 0}, "max_tokens"),
        ({"seed": "x"}, "seed"),
    ],
)
def test_an_option_that_cannot_be_taken_is_named(options: dict[str, Any], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        read_options(None, options)


def test_an_option_that_is_none_is_as_if_not_given() -> None:
    assert read_options(["", "END"], {"seed": None, "max_tokens": None}) == read_options(["END"], {})


@pytest.mark.parametrize(
    "options",
    [
        {"response_format": {"type": "json_object"}},
        {"response_format": {"type": "json_schema"}},
        {"structured_outputs": {"choice": []}},
        {"structured_outputs": {"choice": [""]}},
        {"structured_outputs": {"regex": ""}},
        {"structured_outputs": {"grammar": "x"}},
        {
            "structured_outputs": {"regex": "a"},
            "response_format": {"type": "json_schema", "json_schema": {"schema": {}}},
        },
        {"tools": [LABS], "tool_choice": "required", "structured_outputs": {"regex": "a"}},
        {"tools": [LABS], "tool_choice": "imaging"},
    ],
)
def test_a_form_that_is_not_known_or_not_alone_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        read_options(None, options).constraint()


@pytest.mark.parametrize("choice", ["required", "any", "labs", {"type": "function", "function": {"name": "labs"}}])
def test_a_tool_can_be_required_in_every_usual_way(choice: Any) -> None:
    constraint = read_options(None, {"tools": [LABS], "tool_choice": choice}).constraint()
    assert constraint is not None
    assert '"const": "labs"' in constraint.source


@pytest.mark.parametrize(("choice", "offered"), [(None, 1), ("auto", 1), ("none", 0)])
def test_a_call_that_is_left_to_the_model_holds_it_to_nothing(choice: str | None, offered: int) -> None:
    options = read_options(None, {"tools": [LABS], "tool_choice": choice})
    assert options.constraint() is None
    assert len(options.offered) == offered
