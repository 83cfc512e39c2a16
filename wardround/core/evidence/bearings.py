"""What is known of each observation: figures, ratios and grades brought together, and who belongs with whom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from wardround.core.items import BearingItem, Candidate, WeightItem

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


class Bearings:
    """Bearings by code, with weight edges worked in and findings that refine one another in one group."""

    def __init__(self) -> None:
        self._stated: dict[str, BearingItem] = {}
        self._weights: dict[str, list[WeightItem]] = defaultdict(list)
        self._refined: dict[str, set[str]] = defaultdict(set)
        self._merged: dict[str, BearingItem] = {}
        self._joined: dict[str, str] = {}
        self._order: dict[str, int] = {}
        self._stale: set[str] = set()
        self._by_group: dict[str, set[str]] = defaultdict(set)

    def hypotheses(self, candidates: Sequence[Candidate]) -> None:
        """Set the hypotheses, whose order `edges` counts by."""
        self._order = {candidate.id: j for j, candidate in enumerate(candidates)}
        self._stale |= self._merged.keys()

    def add(self, item: BearingItem | WeightItem) -> None:
        """Take in what is known of an observation."""
        if isinstance(item, BearingItem):
            self._stated.setdefault(item.code, item)
        else:
            self._weights[item.code].append(item)
        self._stale.add(item.code)

    def refine(self, code: str, general: str) -> None:
        """Put a finding and the more general one into one group."""
        self._refined[code].add(general)
        self._refined[general].add(code)
        self._stale |= {code, general}

    def update(self) -> set[str]:
        """Bring together what changed since the last call, and return the codes that it concerns."""
        stale, self._stale = self._stale, set()
        for code in stale:
            if code in self._stated or code in self._weights:
                merged = self._merge(code)
                self._merged[code] = merged
                self._by_group[merged.group].add(code)
        if any(code in self._refined for code in stale):
            stale |= self._join()
        return stale

    def _merge(self, code: str) -> BearingItem:
        stated = self._stated.get(code)
        if code not in self._weights and stated is not None:
            return stated
        if stated is None:
            name = code.replace("_", " ")
            rare = min(GRADED_BACKGROUND, *(_CERTAIN / weight.strength for weight in self._weights[code]))
            stated = BearingItem(code=code, name=name, group=code, background=rare, present={})
        chosen: dict[str, WeightItem] = {}
        for weight in sorted(self._weights[code], key=_caution):
            chosen.setdefault(weight.hypothesis, weight)
        present = {h: likelihood(weight, stated.background) for h, weight in sorted(chosen.items())}
        cited = {h: weight.cited for h, weight in chosen.items() if weight.cited is not None}
        return stated.model_copy(update={"present": {**present, **stated.present}, "cited": {**cited, **stated.cited}})

    def _join(self) -> set[str]:
        """Give the groups of findings that refine one another one name, and return the codes of all that changed."""
        joined: dict[str, str] = {}
        linked: dict[str, set[str]] = defaultdict(set)
        for code, others in self._refined.items():
            if code in self._merged:
                mine = self._merged[code].group
                linked[mine] |= {self._merged[other].group for other in others if other in self._merged}
        for group in sorted(linked):
            waiting = [group]
            while waiting:
                reached = waiting.pop()
                if reached not in joined:
                    joined[reached] = group
                    waiting.extend(linked[reached])
        changed = {g for g in joined.keys() | self._joined.keys() if joined.get(g, g) != self._joined.get(g, g)}
        self._joined = joined
        return {code for group in changed for code in self._by_group[group]}

    def known(self, code: str) -> bool:
        """Whether anything is known of an observation."""
        return code in self._merged

    def group(self, code: str) -> str:
        """Return the group of a known observation."""
        group = self._merged[code].group
        return self._joined.get(group, group)

    def item(self, code: str) -> BearingItem:
        """Return all that is known of an observation, in its group."""
        merged, group = self._merged[code], self.group(code)
        return merged if merged.group == group else merged.model_copy(update={"group": group})

    def background(self, code: str) -> float:
        """Return P(finding | none of the hypotheses) of a known observation."""
        return self._merged[code].background

    def edges(self, code: str) -> list[tuple[int, float]]:
        """Return index and P(finding | hypothesis) for the hypotheses that a known observation bears on."""
        return [(self._order[h], p) for h, p in self._merged[code].present.items() if h in self._order]


def _caution(weight: WeightItem) -> tuple[bool, float, str]:
    """Of several edges between a finding and a hypothesis the published one counts, then the weaker."""
    return weight.cited is None, weight.strength, weight.kind
