"""Values cut out of long arrays are those that were put."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardround.core.evidence.pieces import Pieces

Values = dict[str, list[int]]
VALUES = st.dictionaries(st.sampled_from("abcdef"), st.lists(st.integers(0, 9), max_size=4))


def put(pieces: Pieces[tuple[str, list[int]]], values: Values) -> None:
    flat = np.array([v for of_one in values.values() for v in of_one], dtype=np.int64)
    pieces.put(list(values), np.array([len(v) for v in values.values()], dtype=np.int64), flat)


def empty() -> Pieces[tuple[str, list[int]]]:
    return Pieces(lambda name, column: (name, column.tolist()))


@given(st.lists(VALUES, max_size=5), st.sets(st.sampled_from("abcdef")))
def test_pieces_behave_like_a_mapping_of_what_was_put_last(batches: list[Values], gone: set[str]) -> None:
    pieces = empty()
    plain: Values = {}
    for values in batches:
        put(pieces, values)
        plain |= values
    for name in gone & plain.keys():
        del pieces[name], plain[name]
    assert dict(pieces) == {name: (name, values) for name, values in plain.items()}
    assert len(pieces) == len(plain)
    assert all((name in pieces) == (name in plain) for name in "abcdef")


def test_a_name_that_was_never_put_is_refused() -> None:
    with pytest.raises(KeyError, match="a"):
        _ = empty()["a"]
