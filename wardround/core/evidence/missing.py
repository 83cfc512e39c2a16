"""Which finding that nobody has established yet would change the decision most for its cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from wardround.core.items import BearingItem
from wardround.core.weighing import Array, group_terms, log_ratio, posterior, reading_weight

TRUSTED = 0.95
"""Reliability with which an answer still to come is expected, that of a structured record."""


class Obtainable(Protocol):
    """A finding that could be established, as the knowledge hands it in."""

    @property
    def bearing(self) -> BearingItem:
        """What it would say of which hypothesis."""
        ...

    @property
    def cost(self) -> float:
        """What it costs to find out, above 0, in any unit that all share."""
        ...


@dataclass(frozen=True)
class Telling:
    """What finding out one thing is worth."""

    code: str
    name: str
    cost: float
    probability: float
    """That it is present, as far as can be known now."""
    gain: float
    """By how much the probability of naming the right diagnosis is expected to rise; 0 where no answer flips it."""
    shift: float
    """Expected absolute change of the probability of the hypothesis in question, or of the leading one."""
    flips: float
    """Probability that another diagnosis would lead."""


@dataclass(frozen=True)
class Stand:
    """Where a graph stands: what a new observation would be added to."""

    prior: Array
    """Shape (n_hypotheses,)."""
    order: dict[str, int]
    """Index of each hypothesis id."""
    terms: Array
    """Summed terms of all groups, shape (n_hypotheses,)."""
    groups: dict[str, Array]
    """Ratios of the observations of each group, shape (n_observations, n_hypotheses)."""


def tell(stand: Stand, candidates: Sequence[Obtainable], focus: int | None) -> list[Telling]:
    """Return what each candidate is worth, the most gain per cost first, then the most shift per cost.

    For a finding f with P(f) = sum_h p_h P(f | h), both answers are weighed as the graph would weigh them, with the
    discount of the group that f belongs to. gain = E[max p'] - max p, shift = E|p'_j - p_j|.

    Args:
        stand: Where the graph stands.
        candidates: What could be found out.
        focus: Index of the hypothesis whose shift counts; the leading one where not given.
    """
    now = posterior(stand.prior, stand.terms[None])
    by_group: dict[str, list[Obtainable]] = {}
    for candidate in candidates:
        by_group.setdefault(candidate.bearing.group, []).append(candidate)
    found = [telling for group, of in sorted(by_group.items()) for telling in _tell_group(stand, now, group, of, focus)]
    return sorted(found, key=lambda t: (-t.gain / t.cost, -t.shift / t.cost, t.code))


def _tell_group(
    stand: Stand, now: Array, group: str, candidates: Sequence[Obtainable], focus: int | None
) -> list[Telling]:
    background = np.array([c.bearing.background for c in candidates])
    present = np.repeat(background[:, None], stand.prior.size, axis=1)
    for i, candidate in enumerate(candidates):
        for hypothesis, p in candidate.bearing.present.items():
            if hypothesis in stand.order:
                present[i, stand.order[hypothesis]] = p
    chance = present @ now[:-1] + background * now[-1]
    leading = int(now[:-1].argmax())
    watched = leading if focus is None else focus
    outcomes = []
    for says_present, weight in ((True, chance), (False, 1.0 - chance)):
        after = _after(stand, group, present, background, says_present=says_present)
        outcomes.append((weight, after))
    gain = sum(w * p[:, :-1].max(axis=1) for w, p in outcomes) - now[:-1].max()
    shift = sum(w * np.abs(p[:, watched] - now[watched]) for w, p in outcomes)
    flips = sum(w * (p[:, :-1].argmax(axis=1) != leading) for w, p in outcomes)
    return [
        Telling(
            code=c.bearing.code,
            name=c.bearing.name,
            cost=c.cost,
            probability=float(chance[i]),
            gain=max(0.0, float(gain[i])) if flips[i] > 0 else 0.0,
            shift=float(shift[i]),
            flips=float(flips[i]),
        )
        for i, c in enumerate(candidates)
    ]


def _after(stand: Stand, group: str, present: Array, background: Array, *, says_present: bool) -> Array:
    """Return the posterior after each candidate's answer, shape (n_candidates, n_hypotheses + 1)."""
    reading = np.array(reading_weight(TRUSTED, present=says_present))
    ratios = log_ratio(reading, present, background[:, None])
    held = stand.groups.get(group, np.zeros((0, stand.prior.size)))
    old = group_terms(held, np.zeros(len(held), dtype=np.int64)).sum(axis=0)
    joined = np.concatenate([np.repeat(held[None], len(ratios), axis=0), ratios[:, None]], axis=1)
    new = group_terms(joined, np.zeros(joined.shape[1], dtype=np.int64))[:, 0]
    return posterior(stand.prior, (stand.terms - old + new)[:, None])
