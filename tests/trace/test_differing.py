"""How logs differ: what is the same does not, whatever was under way at the same time; what one lacks is nothing."""

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wardround as wr
from wardround.trace.differing import Comparison, Row, compared
from wardround.trace.events import Event, Outcome, RunStarted, SpanEnded, SpanKind, SpanStarted
from wardround.trace.stepping import UNDER_WAY, Step, aligned, steps

NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
BELLY = "24-year-old man. Pain moved to the right lower abdomen. Guarding. Temperature 38.1 C."


def log_of(*acts: tuple[str, str]) -> list[Event]:
    """Spans that open ("+a", parent) and close ("-a", outcome)."""
    events: list[Event] = []
    for seq, (act, word) in enumerate(acts):
        common: dict[str, Any] = {"run": "run_1", "seq": seq, "time": NOON + dt.timedelta(seconds=seq)}
        if act[0] == "+":
            events.append(SpanStarted(**common, span=word, opened=act[1:], name=act[1], kind=SpanKind.NODE))
        else:
            events.append(SpanEnded(**common, span="", closed=act[1:], outcome=Outcome(word), seconds=1.0))
    return events


@pytest.fixture(scope="module")
def two() -> tuple[list[Event], list[Event]]:
    short = wr.Ward(settings=wr.ConsultSettings(rollouts=1, rounds=0, tool_steps=0))
    long = wr.Ward(settings=wr.ConsultSettings(rollouts=1, rounds=0, tool_steps=1))
    first = short.consult(wr.Case(id="belly", narrative=BELLY))
    second = long.consult(wr.Case(id="belly", narrative=BELLY + " WBC 15.2 x10^9/L."))
    return list(first.events), list(second.events)


def row(part: tuple[Row, ...], name: str) -> Row:
    return next(row for row in part if row.name.strip() == name)


def test_a_log_does_not_differ_from_itself(two: tuple[list[Event], list[Event]]) -> None:
    for log in two:
        assert compared([log, log]).differences == 0


def test_what_differs_is_found_where_it_is(two: tuple[list[Event], list[Event]]) -> None:
    found = compared(two)
    assert row(found.settings, "tool_steps").values == (0, 1)
    assert not row(found.settings, "rollouts").differs
    assert row(found.observations, "raised white cell count").values == (None, "present")
    assert {None, "WBC 15.2 x10^9/L."} in [set(r.values) for r in found.sources]
    assert row(found.hypotheses, "acute appendicitis").differs
    assert any("tool" in r.detail and r.values[0] is None for r in found.path)


def test_the_order_of_the_logs_swaps_the_columns_and_nothing_else(two: tuple[list[Event], list[Event]]) -> None:
    def cells(found: Comparison, turn: int) -> set[tuple[object, ...]]:
        parts = (found.settings, found.decision, found.gate, found.hypotheses, found.observations, found.claims)
        return {(r.name, r.detail, *r.values[::turn]) for part in parts for r in part}

    assert cells(compared(two), 1) == cells(compared(two[::-1]), -1)


def test_an_empty_log_has_nothing_and_not_zero(two: tuple[list[Event], list[Event]]) -> None:
    found = compared([two[0], []])
    assert {r.values[1] for r in (*found.hypotheses, *found.uncertainty, *found.observations)} == {None}
    assert row(found.decision, "state").values == ("done", "running")


def test_true_and_one_are_not_the_same() -> None:
    assert Row("x", (True, 1)).differs
    assert Row("x", (1, 1.0)).differs
    assert not Row("x", (None, None)).differs


def test_lists_and_nested_settings_are_shown_by_their_path() -> None:
    started = RunStarted(
        run="r", seq=0, time=NOON, span="", case="c", model="m", settings={"gate": {"limit": 0.7}, "by": ["a", "b"]}
    )
    found = compared([[started]]).settings
    assert {r.name: r.values for r in found} == {
        "case": ("c",), "model": ("m",), "gate.limit": (0.7,), "by": ("a, b",)
    }  # fmt: skip


def test_work_that_was_under_way_at_once_has_no_order() -> None:
    first = log_of(("+r", ""), ("+a", "r"), ("+b", "r"), ("-b", "done"), ("-a", "done"), ("-r", "done"))
    other = log_of(("+r", ""), ("+b", "r"), ("+a", "r"), ("-a", "done"), ("-b", "done"), ("-r", "done"))
    after = log_of(("+r", ""), ("+b", "r"), ("-b", "done"), ("+a", "r"), ("-a", "done"), ("-r", "done"))
    assert steps(first) == steps(other)
    assert [step.name for step in steps(after)] == ["r", "b", "a"]


def test_a_step_without_an_end_is_under_way_and_deep_logs_are_no_trouble() -> None:
    assert steps(log_of(("+r", "")))[0].outcome == UNDER_WAY
    deep = log_of(*((f"+s{n}", f"s{n - 1}") for n in range(5000)))
    assert steps(deep)[-1].depth == 4999


PATH = st.lists(st.sampled_from([Step(0, "node", name, "done") for name in "abcd"]), max_size=8)


@given(st.lists(PATH, min_size=1, max_size=4))
def test_no_step_is_lost_or_moved_in_aligning(paths: list[list[Step]]) -> None:
    rows = aligned(paths)
    for n, path in enumerate(paths):
        assert [row.name for row in rows if row.outcomes[n] is not None] == [step.name for step in path]
    assert all(len(row.outcomes) == len(paths) and any(row.outcomes) for row in rows)
