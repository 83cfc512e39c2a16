"""How many rollouts are enough: ask on while the leading answer may still be overtaken.

What is judged is whether more of the same votes would change the leader, not whether the leader is right: agents that
err together settle early on a wrong answer. Stopping early also takes away votes by which uncertain cases could be
told from certain ones (benchmarks/estimators.py shows how much). Everything here is a function of the votes, so a
run can be repeated.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from wardround.core.errors import UsageError


class Halt(StrEnum):
    """Why to stop, or why not."""

    TOO_FEW = "too few"
    OPEN = "open"
    SETTLED = "settled"
    """The leader will probably still lead after all rollouts."""
    DECIDED = "decided"
    """The leader cannot be reached any more, whatever the others say."""
    MAXIMUM = "maximum"


@dataclass(frozen=True)
class Progress:
    """Whether the answers so far suffice."""

    halt: Halt
    holds: float
    """Probability that the leader leads alone after all rollouts."""
    needed: int
    """The fewest further answers after which it could stop: how many to ask for at once without waste."""

    @property
    def stop(self) -> bool:
        """Whether to ask no more."""
        return self.halt in (Halt.SETTLED, Halt.DECIDED, Halt.MAXIMUM)


@dataclass(frozen=True)
class AdaptiveRollouts:
    """Stop once P(the leader still leads alone after `max` answers) reaches `level`.

    The answers to come are drawn from a Polya urn (Dirichlet-multinomial) that holds the votes so far plus one ball
    each for the leader, for its nearest rival and for all others together.
    """

    min: int = 2
    """Answers to have in any case."""
    max: int = 5
    """Answers never to exceed."""
    level: float = 0.95
    """From here on the leader counts as settled; at 1 only a leader out of reach does. At most 5 answers leave nothing
    between the two at .95; .9 then stops after two that agree."""

    def __post_init__(self) -> None:
        if not 1 <= self.min <= self.max:
            raise UsageError(f"min {self.min}, max {self.max}: give 1 <= min <= max")
        if not 0.0 < self.level <= 1.0:
            raise UsageError(f"level {self.level:g}: give a probability above 0, at most 1")

    def progress(self, clusters: Sequence[str | None]) -> Progress:
        """Judge the answers so far.

        Args:
            clusters: What each answer means, in any order; None for one that was no opinion, which counts as asked
                for but votes for nothing.
        """
        asked = len(clusters)
        ranked = sorted(Counter(c for c in clusters if c is not None).values(), reverse=True)
        leader, rival, others = [*ranked, 0, 0][0], [*ranked, 0, 0][1], sum(ranked[2:])
        holds = holds_lead(leader, rival, others, max(0, self.max - asked))
        return Progress(self._halt(asked, holds), holds, self._needed(asked, leader, rival, others))

    def _halt(self, asked: int, holds: float) -> Halt:
        if asked >= self.max:
            return Halt.MAXIMUM
        if asked < self.min:
            return Halt.TOO_FEW
        if holds >= 1.0:
            return Halt.DECIDED
        return Halt.SETTLED if holds >= self.level else Halt.OPEN

    def _needed(self, asked: int, leader: int, rival: int, others: int) -> int:
        for more in range(max(0, self.max - asked)):
            holds = holds_lead(leader + more, rival, others, self.max - asked - more)
            if self._halt(asked + more, holds) not in (Halt.TOO_FEW, Halt.OPEN):
                return more
        return max(0, self.max - asked)


@dataclass(frozen=True)
class FirstTwoAgree:
    """The plain rule to beat: stop after two answers if they agree, else go on to `max`."""

    max: int = 5

    def progress(self, clusters: Sequence[str | None]) -> Progress:
        """Judge the answers so far, in the order in which they came."""
        asked = len(clusters)
        agree = asked >= 2 and clusters[0] is not None and clusters[0] == clusters[1]
        halt = Halt.MAXIMUM if asked >= self.max else Halt.SETTLED if agree else Halt.OPEN
        needed = 0 if halt is not Halt.OPEN else (2 if asked < 2 else self.max) - asked
        return Progress(halt, float(agree), needed)


@lru_cache(maxsize=65536)
def holds_lead(leader: int, rival: int, others: int, left: int) -> float:
    """Return the probability that the leader leads its nearest rival alone after `left` further votes.

    Exact for the urn of `AdaptiveRollouts`. 1 exactly where no further votes can change it.

    >>> holds_lead(3, 0, 0, 2)
    1.0
    >>> holds_lead(1, 1, 0, 0)
    0.0
    """
    if leader - rival > left:
        return 1.0
    if left == 0:
        return float(leader > rival)
    whole = _rising(leader + rival + others + 3, left)
    terms = [
        math.exp(
            _log_ways(left, up, down)
            + _rising(leader + 1, up)
            + _rising(rival + 1, down)
            + _rising(others + 1, left - up - down)
            - whole
        )
        for up in range(left + 1)
        for down in range(left - up + 1)
        if leader + up > rival + down
    ]
    return min(1.0 - 1e-12, math.fsum(terms))


def leads(leader: int, rival: int) -> float:
    """Return P(theta > 1/2) for theta ~ Beta(leader + 1, rival + 1): whether the leader is the commoner of two.

    The stopping rule of Adaptive-Consistency (Aggarwal et al., arXiv 2305.11860), which ignores how many answers may
    still come; kept to be measured against.

    >>> leads(1, 1)
    0.5
    """
    trials = leader + rival + 1
    return sum(math.comb(trials, k) for k in range(leader + 1)) / 2.0**trials


def _rising(start: int, count: int) -> float:
    return math.lgamma(start + count) - math.lgamma(start)


def _log_ways(left: int, up: int, down: int) -> float:
    return math.lgamma(left + 1) - math.lgamma(up + 1) - math.lgamma(down + 1) - math.lgamma(left - up - down + 1)
