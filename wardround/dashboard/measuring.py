"""Figures over runs of which somebody has said whether they are right: shares with intervals, bins, curves, tables.

What is judged is the diagnosis of a run, or the leading one where the gate stayed closed; that is also what the stated
probability is of. Of a task in a record it is the answer and what was written.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from wardround.dashboard.plots import Bin
from wardround.trace.rows import RunRow

BINS = 10
_Z = 1.959963984540054
"""Upper 2.5 % point of the normal distribution."""


@dataclass(frozen=True)
class Judged:
    """A run with what is known of it."""

    row: RunRow
    right: bool
    """Whether its diagnosis, or else the leading one, is right."""
    specialty: str
    """To which that diagnosis belongs; `outside the knowledge` where it is in none."""
    asked: str
    """The leading specialty of triage."""
    truth: str
    """To which the true diagnosis belongs; `not labelled` where nobody said which that is."""
    fits: bool | None
    """Whether triage led to one of the specialties of the true diagnosis; nothing where that has none."""
    failure: str | None
    """Class of what went wrong, where whoever judged sorted it."""

    @property
    def is_task(self) -> bool:
        """Whether the run is of a task in a record, which has no diagnosis."""
        return self.row.kind == "records"

    @property
    def answered(self) -> bool:
        """Whether the gate let the diagnosis through."""
        return self.row.status == "final"


@dataclass(frozen=True)
class Share:
    """A share with its 95 % Wilson score interval (Wilson, J Am Stat Assoc 1927;22:209)."""

    hits: int
    n: int

    @property
    def value(self) -> float | None:
        """The share itself; nothing where there is no run."""
        return self.hits / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float]:
        """Its interval; from 0 to 1 where there is no run.

        >>> [round(end, 3) for end in Share(9, 10).interval]
        [0.596, 0.982]
        """
        if self.n == 0:
            return 0.0, 1.0
        share, n = self.hits / self.n, self.n
        middle = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
        half = _Z / (1 + _Z**2 / n) * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
        # rounding may put an end just inside of a share of 0 or 1
        return min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half))


def share(runs: Iterable[Judged], what: Callable[[Judged], bool]) -> Share:
    """Return the share of runs of which something is so."""
    values = [what(run) for run in runs]
    return Share(sum(values), len(values))


@dataclass(frozen=True)
class Figures:
    """How a group of runs did."""

    leading_right: Share
    answered: Share
    right_when_answered: Share
    wrong_withheld: Share
    """Of runs whose leading diagnosis is wrong, those that the gate kept closed."""
    brier: float | None
    """Mean squared distance of stated probability and outcome; 0.25 is what saying 50 % each time gives."""
    cases: int
    """Different cases; fewer than runs where a case was run several times, which then are not independent."""


def figures(runs: Sequence[Judged]) -> Figures:
    """Return the figures of a group of runs."""
    stated = [(run.row.probability, float(run.right)) for run in runs if run.row.probability is not None]
    return Figures(
        leading_right=share(runs, lambda run: run.right),
        answered=share(runs, lambda run: run.answered),
        right_when_answered=share([run for run in runs if run.answered], lambda run: run.right),
        wrong_withheld=share([run for run in runs if not run.right], lambda run: not run.answered),
        brier=math.fsum((p - y) ** 2 for p, y in stated) / len(stated) if stated else None,
        cases=len({run.row.case for run in runs}),
    )


def place_of(probability: float) -> int:
    """Return the bin of a probability: tenths, 1 being in the last."""
    return min(int(probability * BINS), BINS - 1)


def bins(runs: Iterable[Judged]) -> list[Bin]:
    """Return runs by tenths of the stated probability, empty tenths left out."""
    held: dict[int, list[tuple[float, bool]]] = {}
    for run in runs:
        if run.row.probability is not None:
            held.setdefault(place_of(run.row.probability), []).append((run.row.probability, run.right))
    made = []
    for _, members in sorted(held.items()):
        right = Share(sum(hit for _, hit in members), len(members))
        low, high = right.interval
        stated = math.fsum(p for p, _ in members) / len(members)
        made.append(Bin(stated, right.hits / right.n, right.n, low, high))
    return made


def risk_coverage(runs: Iterable[Judged]) -> list[tuple[float, float]]:
    """Return share answered and share wrong of those, for each threshold of the stated probability.

    Equal probabilities are answered together. Seen on the same runs, hence no promise.
    """
    stated = sorted(((run.row.probability, run.right) for run in runs if run.row.probability is not None), reverse=True)
    points, wrong = [], 0
    for n, (probability, right) in enumerate(stated, start=1):
        wrong += not right
        if n == len(stated) or stated[n][0] != probability:
            points.append((n / len(stated), wrong / n))
    return points


CELLS = ("answered-right", "answered-wrong", "withheld-right", "withheld-wrong")


def cell_of(run: Judged) -> str:
    """Return which of `CELLS` a run is in."""
    return f"{'answered' if run.answered else 'withheld'}-{'right' if run.right else 'wrong'}"


def crossed(
    runs: Iterable[Judged], row: Callable[[Judged], str], column: Callable[[Judged], str]
) -> dict[str, dict[str, int]]:
    """Count runs by two features, each row with every column; the most frequent first, in both."""
    counts: dict[tuple[str, str], int] = {}
    for run in runs:
        place = row(run), column(run)
        counts[place] = counts.get(place, 0) + 1
    rows, columns = (_frequent(counts, axis) for axis in (0, 1))
    return {r: {c: counts.get((r, c), 0) for c in columns} for r in rows}


def _frequent(counts: Mapping[tuple[str, str], int], axis: int) -> list[str]:
    totals: dict[str, int] = {}
    for place, count in counts.items():
        totals[place[axis]] = totals.get(place[axis], 0) + count
    return sorted(totals, key=lambda name: (-totals[name], name))


def by(runs: Iterable[Judged], groups: Callable[[Judged], Iterable[str]]) -> dict[str, dict[str, int]]:
    """Count `CELLS` in groups, the largest first; a run may be in several.

    Args:
        runs: What is counted.
        groups: Names the groups of a run.
    """
    counts: dict[str, dict[str, int]] = {}
    for run in runs:
        for group in groups(run):
            counts.setdefault(group, dict.fromkeys(CELLS, 0))[cell_of(run)] += 1
    return dict(sorted(counts.items(), key=lambda pair: (-sum(pair[1].values()), pair[0])))
