"""Resources as small tables: one line each, a fixed set of columns per type, and a word on what is not shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wardround.tools.fhir.access import Resource, string, unicode
from wardround.tools.fhir.columns import DERIVED, columns_of
from wardround.tools.fhir.units import Analytes

ROWS = 20
"""How many rows a table has unless asked."""
MOST_ROWS = 100
"""How many it has at most."""
WIDEST_CELL = 80
"""Characters; what is longer is cut and ends with an ellipsis."""

_ALIKE_FROM = 3
"""From how many rows on a column that is the same in all is told once."""


@dataclass(frozen=True)
class Table:
    """Resources of one type, one row each."""

    type: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """One cell per column."""
    alike: tuple[tuple[str, str], ...] = ()
    """Columns whose cell is the same in every row, with that cell."""
    empty: tuple[str, ...] = ()
    """Columns of which no row holds anything: not recorded, which is not the same as normal or none."""

    @property
    def text(self) -> str:
        """The table as tab-separated lines under their names."""
        lines = []
        if self.alike:
            lines.append("same in every row: " + "; ".join(f"{name}={value}" for name, value in self.alike))
        if self.empty:
            lines.append("recorded in no row: " + ", ".join(self.empty))
        return "\n".join([*lines, "\t".join(self.columns), *("\t".join(row) for row in self.rows)])


def tables(resources: Iterable[Resource], analytes: Analytes | None = None) -> list[Table]:
    """Return one table per type, in the order in which the types first occur.

    Args:
        resources: Rows keep their order.
        analytes: With them Observations also show values in the unit of their analyte, where it differs.
    """
    by_type: dict[str, list[Resource]] = {}
    for resource in resources:
        by_type.setdefault(string(resource.get("resourceType")) or "unnamed type", []).append(resource)
    return [_table(kind, members, analytes) for kind, members in by_type.items()]


def _table(kind: str, resources: Sequence[Resource], analytes: Analytes | None) -> Table:
    names, readers = zip(*columns_of(kind, analytes), strict=True)
    cells = [tuple(clean(read(resource)) for read in readers) for resource in resources]
    is_long = len(cells) >= _ALIKE_FROM
    kept, alike, empty = [], [], []
    for at, name in enumerate(names):
        values = {row[at] for row in cells}
        if values == {""}:
            empty += [name] if name not in DERIVED else []
        elif is_long and len(values) == 1 and name != "id":
            alike.append((name, values.pop()))
        else:
            kept.append(at)
    rows = tuple(tuple(row[at] for at in kept) for row in cells)
    return Table(kind, tuple(names[at] for at in kept), rows, tuple(alike), tuple(empty))


def clean(text: str) -> str:
    """Return a text as one cell: no tabs, no line breaks, no control characters, not too long."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in unicode(text)).split())
    return flat if len(flat) <= WIDEST_CELL else flat[: WIDEST_CELL - 1] + "…"
