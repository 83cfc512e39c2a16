"""What is known of each observation: figures, ratios and grades brought together, and who belongs with whom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, repeat

import numpy as np
import numpy.typing as npt

from wardround.core.items import BearingItem, Candidate, WeightItem
from wardround.core.weighing import Array

GRADED_BACKGROUND = 0.04
"""P(finding | none of the hypotheses) where only a grade is known: rare enough that even 20 times is below 1.

It makes a present finding count in full and an absent one little: for a weak finding LR- is 0.96, for a
pathognomonic one 0.21. Our own choice.
"""
_CERTAIN = 0.8
"""The most that a finding of which only ratios are known is taken to be present where it is expected."""
_OPEN = (1e-9, 1.0 - 1e-4)
"""Limits of a likelihood that was worked out from a ratio."""


def likelihood(weight: WeightItem, background: float) -> float:
    """Return P(finding | hypothesis) that gives the ratio of a weight edge.

    LR+ = P(f|h) / P(f|~h), so P(f|h) is the background times the ratio, or by it where the edge contradicts.

    >>> likelihood(WeightItem(kind="supports", code="f", hypothesis="h", ratio=8.0), 0.0625)
    0.5
    >>> likelihood(WeightItem(kind="contradicts", code="f", hypothesis="h", ratio=8.0), 0.5)
    0.0625
    """
    factor = weight.strength if weight.kind == "supports" else 1.0 / weight.strength
    return min(_OPEN[1], max(_OPEN[0], background * factor))


@dataclass(frozen=True)
class Edges:
    """What is known of some observations, as columns; their edges lie one observation after another."""

    groups: list[str]
    """Group of each observation."""
    background: Array
    """P(finding | none of the hypotheses), shape (n_observations,)."""
    counts: npt.NDArray[np.int64]
    """Number of edges of each observation."""
    hypotheses: npt.NDArray[np.int64]
    """Index of the hypothesis of each edge, shape (n_edges,)."""
    present: Array
    """P(finding | hypothesis), likewise."""


@dataclass(frozen=True)
class _Figures:
    """The part of a bearing that is weighed."""

    group: str
    background: float
    present: dict[str, float]


class Bearings:
    """Bearings by code, with weight edges worked in and findings that refine one another in one group."""

    def __init__(self) -> None:
        self._stated: dict[str, BearingItem] = {}
        self._weights: dict[str, list[WeightItem]] = {}
        self._refined: dict[str, set[str]] = defaultdict(set)
        self._joined: dict[str, str] = {}
        self._order: dict[str, int] = {}
        self._stale: dict[str, None] = {}
        self._by_group: dict[str, set[str]] | None = None
        """Filed for the first findings that refine one another, since nobody asks before."""
        self._items: dict[str, BearingItem] = {}

    def hypotheses(self, candidates: Sequence[Candidate]) -> None:
        """Set the hypotheses, whose order `edges` counts by."""
        self._order = {candidate.id: j for j, candidate in enumerate(candidates)}
        self._stale.update(dict.fromkeys([*self._stated, *self._weights]))

    def state(self, items: Iterable[BearingItem]) -> None:
        """Take in what the knowledge says; the first bearing of a code counts."""
        for item in items:
            code = item.code
            self._stated.setdefault(code, item)
            self._stale[code] = None

    def weigh(self, items: Iterable[WeightItem]) -> None:
        """Take in weight edges."""
        for item in items:
            self._weights.setdefault(item.code, []).append(item)
            self._stale[item.code] = None

    def refine(self, code: str, general: str) -> None:
        """Put a finding and the more general one into one group."""
        self._refined[code].add(general)
        self._refined[general].add(code)
        self._stale.update({code: None, general: None})

    def update(self) -> dict[str, None]:
        """Return the codes that what came since the last call concerns, each once, in order."""
        stale, self._stale = self._stale, {}
        if self._by_group is not None:
            self._file(self._by_group, stale)
        if not self._refined.keys().isdisjoint(stale):
            stale.update(dict.fromkeys(self._join()))
        if self._items:
            for code in stale.keys() & self._items.keys():
                del self._items[code]
        return stale

    def _join(self) -> set[str]:
        """Give the groups of findings that refine one another one name, and return the codes of all that changed."""
        joined: dict[str, str] = {}
        linked: dict[str, set[str]] = defaultdict(set)
        for code, others in self._refined.items():
            if self.known(code):
                linked[self._own_group(code)] |= {self._own_group(other) for other in others if self.known(other)}
        for group in sorted(linked):
            waiting = [group]
            while waiting:
                reached = waiting.pop()
                if reached not in joined:
                    joined[reached] = group
                    waiting.extend(linked[reached])
        changed = {g for g in joined.keys() | self._joined.keys() if joined.get(g, g) != self._joined.get(g, g)}
        self._joined = joined
        return self._in_groups(changed)

    def _in_groups(self, groups: Iterable[str]) -> set[str]:
        """Codes of the known observations of groups."""
        if self._by_group is None:
            self._by_group = defaultdict(set)
            self._file(self._by_group, [*self._stated, *self._weights])
        return {code for group in groups for code in self._by_group[group]}

    def _file(self, by_group: dict[str, set[str]], codes: Iterable[str]) -> None:
        for code in self.among(codes):
            by_group[self._own_group(code)].add(code)

    def _own_group(self, code: str) -> str:
        return self._stated[code].group if code in self._stated else code

    def known(self, code: str) -> bool:
        """Whether anything is known of an observation."""
        return code in self._stated or code in self._weights

    def among(self, codes: Iterable[str]) -> list[str]:
        """Return the codes of observations of which something is known."""
        return [code for code in codes if code in self._stated or code in self._weights]

    def group(self, code: str) -> str:
        """Return the group of a known observation."""
        group = self._own_group(code)
        return self._joined.get(group, group)

    def item(self, code: str) -> BearingItem:
        """Return all that is known of an observation, in its group."""
        if code not in self._items:
            self._items[code] = self._item(code)
        return self._items[code]

    def _item(self, code: str) -> BearingItem:
        stated, group = self._stated.get(code), self.group(code)
        if code not in self._weights:
            stated = self._stated[code]
            return stated if stated.group == group else stated.model_copy(update={"group": group})
        figures = self._figures(code)
        if stated is None:
            name = code.replace("_", " ")
            stated = BearingItem(code=code, name=name, group=group, background=figures.background, present={})
        cited = {h: weight.cited for h, weight in self._chosen(code).items() if weight.cited is not None}
        return stated.model_copy(
            update={"group": group, "present": figures.present, "cited": {**cited, **stated.cited}}
        )

    def edges(self, codes: Sequence[str]) -> Edges:
        """Return the edges of known observations to the hypotheses that are set, in the order of the codes."""
        groups: list[str] = []
        backgrounds: list[float] = []
        likelihoods: list[dict[str, float]] = []
        for code in codes:
            stated = self._stated[code] if code not in self._weights else self._figures(code)
            groups.append(stated.group)
            backgrounds.append(stated.background)
            likelihoods.append(stated.present)
        counts = np.array(list(map(len, likelihoods)), dtype=np.int64)
        total = int(counts.sum())
        every = np.fromiter(map(self._order.get, chain.from_iterable(likelihoods), repeat(-1)), np.int64, total)
        present = np.fromiter(chain.from_iterable(map(dict.values, likelihoods)), np.float64, total)
        strange = np.flatnonzero(every < 0)
        if strange.size:
            counts -= np.bincount(np.repeat(np.arange(len(codes)), counts)[strange], minlength=len(codes))
            every, present = np.delete(every, strange), np.delete(present, strange)
        return Edges(
            groups=[self._joined.get(group, group) for group in groups] if self._joined else groups,
            background=np.array(backgrounds),
            counts=counts,
            hypotheses=every,
            present=present,
        )

    def _figures(self, code: str) -> _Figures:
        """What is known of an observation with weight edges; what the knowledge states counts before these."""
        stated = self._stated.get(code)
        if stated is None:
            group, background = code, min(GRADED_BACKGROUND, *(_CERTAIN / w.strength for w in self._weights[code]))
        else:
            group, background = stated.group, stated.background
        worked_out = {h: likelihood(weight, background) for h, weight in self._chosen(code).items()}
        return _Figures(group, background, worked_out | (stated.present if stated is not None else {}))

    def _chosen(self, code: str) -> dict[str, WeightItem]:
        """The weight edge that counts for each hypothesis, hypotheses in order."""
        chosen: dict[str, WeightItem] = {}
        for weight in self._weights[code]:
            held = chosen.setdefault(weight.hypothesis, weight)
            if held is not weight and _caution(weight) < _caution(held):
                chosen[weight.hypothesis] = weight
        return {hypothesis: chosen[hypothesis] for hypothesis in sorted(chosen)}


def _caution(weight: WeightItem) -> tuple[bool, float, str]:
    """Of several edges between a finding and a hypothesis the published one counts, then the weaker."""
    return weight.cited is None, weight.strength, weight.kind
