"""Small arrays by name, each a piece of the long ones that it was worked out in together with others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

_T = TypeVar("_T")

Columns = tuple[npt.NDArray[Any], ...]


class Pieces(Mapping[str, _T]):
    """Values by name that are cut out of long arrays when they are asked for.

    Ten thousand values cost a few long arrays and no objects of their own, which is what makes a large graph quick
    to build; a name that is put again leaves its old piece behind.
    """

    def __init__(self, cut: Callable[..., _T]) -> None:
        """Start empty.

        Args:
            cut: Makes a value from its name and its piece of each column.
        """
        self._cut = cut
        self._block: dict[str, tuple[list[int], Columns]] = {}
        self._place: dict[str, int] = {}

    def put(self, names: Sequence[str], counts: npt.NDArray[np.int64], *columns: npt.NDArray[Any]) -> None:
        """Set values, whose pieces lie one after another in each column.

        Args:
            names: Of the values.
            counts: Length of each value's piece, shape (n_names,).
            columns: Arrays of one length, the sum of the counts.
        """
        limits = [0, *np.cumsum(counts).tolist()]
        self._block.update(dict.fromkeys(names, (limits, columns)))
        self._place.update(zip(names, range(len(names)), strict=True))

    def __getitem__(self, name: str) -> _T:
        (limits, columns), place = self._block[name], self._place[name]
        start, end = limits[place], limits[place + 1]
        return self._cut(name, *(column[start:end] for column in columns))

    def __delitem__(self, name: str) -> None:
        del self._block[name], self._place[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._place)

    def __len__(self) -> int:
        return len(self._place)

    def __contains__(self, name: object) -> bool:
        return name in self._place
