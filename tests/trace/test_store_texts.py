"""Long parts of events are kept once, and come back as they were."""

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wardround.trace.schema import METADATA, RUNS, TEXTS, USES
from wardround.trace.texts import LONG, dumped, pack, quoted, texts_in, texts_of, unpack

WORD = st.sampled_from(["", "a", "line", "x" * 39, "y" * 40, "é" * 60, "\x00", '"', "\u2028", "long " * 50])
TEXT = st.lists(WORD, max_size=6).map("\n".join) | st.text(max_size=30)
NAME = st.sampled_from(["$t", "$v", "$q", "a", "b", ""])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAME, inner, max_size=4),
    max_leaves=12,
)
EVENT = st.dictionaries(st.sampled_from(["time", "messages", "item", "$t"]), JSON, max_size=3)


@pytest.fixture(scope="module")
def connection() -> Iterator[sa.Connection]:
    engine = sa.create_engine("sqlite://")
    METADATA.create_all(engine)
    with engine.connect() as connection:
        required = {c.name: "" for c in RUNS.c if not c.nullable and isinstance(c.type, sa.String)}
        numbers = {c.name: 0 for c in RUNS.c if not c.nullable and c.name not in required}
        connection.execute(sa.insert(RUNS).values(**required, **numbers | {"key": 1, "head": b""}))
        yield connection
    engine.dispose()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(EVENT, max_size=4))
def test_what_is_packed_comes_back(connection: sa.Connection, values: list[dict[str, Any]]) -> None:
    bodies = pack(connection, 1, values)
    assert [dumped(v) for v in unpack(bodies, texts_of(connection, 1))] == [dumped(v) for v in values]
    assert list(unpack(bodies, texts_in(connection, bodies))) == values


@settings(max_examples=100, deadline=None)
@given(EVENT)
def test_what_is_quoted_needs_no_texts(value: dict[str, Any]) -> None:
    (again,) = unpack([dumped({name: quoted(field) for name, field in value.items()})], {})
    assert again == value


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(EVENT)
def test_packing_again_adds_nothing(connection: sa.Connection, value: dict[str, Any]) -> None:
    bodies = pack(connection, 1, [value])
    before = counts(connection)
    assert pack(connection, 1, [value, value]) == bodies * 2
    assert counts(connection) == before


def counts(connection: sa.Connection) -> list[int]:
    return [connection.execute(sa.select(sa.func.count()).select_from(t)).scalar_one() for t in (TEXTS, USES)]


def test_two_prompts_of_the_same_lines_take_the_room_of_one(connection: sa.Connection) -> None:
    lines = [f"Sentence {n} says something of the patient at some length." for n in range(100)]
    before = room(connection)
    prompts = ["\n".join(lines), "\n".join(reversed(lines)), "\n".join(lines[:50])]
    bodies = pack(connection, 1, [{"messages": [{"content": prompt}]} for prompt in prompts])
    assert room(connection) - before < 1.4 * len(prompts[0])
    assert all(len(body) < LONG for body in bodies)


def room(connection: sa.Connection) -> int:
    return int(
        connection.execute(sa.select(sa.func.coalesce(sa.func.sum(sa.func.length(TEXTS.c.body)), 0))).scalar_one()
    )


def test_a_text_that_is_gone_is_missed(connection: sa.Connection) -> None:
    (body,) = pack(connection, 1, [{"messages": "once upon a time " * 50}])
    with pytest.raises(KeyError):
        list(unpack([body], {}))
