"""How rollouts are made to differ, laid out in advance and repeatable from a seed.

Rollouts that differ in role, order and part of the evidence can disagree for more reasons than chance in sampling.
Whether they err less together is to be measured for the models at hand, with `correlation.error_correlation`.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

from wardround.core.errors import UsageError


@dataclass(frozen=True)
class RolloutPlan:
    """How one rollout is asked."""

    index: int
    role: int
    """Which wording of the role, from 0; 0 is the plain one."""
    temperature: float
    evidence: tuple[int, ...]
    """Positions of the evidence items that it sees, in the order in which it sees them."""
    shift: int
    """By how many items the order was rotated."""


@dataclass(frozen=True)
class Diversification:
    """In what the rollouts differ."""

    roles: int = 1
    """Wordings of the role, the plain one counted."""
    temperatures: tuple[float, ...] = (0.7,)
    """The first is that of the plain rollout."""
    fraction: float = 1.0
    """Share of the evidence that each rollout sees after the first, rounded up."""
    rotated: bool = True
    """Whether each sees the evidence in another order."""

    def __post_init__(self) -> None:
        if self.roles < 1 or not self.temperatures or min(self.temperatures, default=0.0) < 0.0:
            raise UsageError("give at least one role and one temperature, none below 0")
        if not 0.0 < self.fraction <= 1.0:
            raise UsageError(f"fraction {self.fraction:g}: give a share of the evidence above 0, at most 1")

    def plan(self, rollouts: int, evidence: int, *, seed: int) -> tuple[RolloutPlan, ...]:
        """Lay out rollouts.

        The first is plain: role 0, the first temperature, all evidence in its own order. Over all of them each role
        and each temperature is used equally often but for one; the later rollouts leave out each item equally often
        but for one, and their orders are spread evenly over the rotations.

        Args:
            rollouts: How many, at least 1.
            evidence: How many items of evidence there are.
            seed: The same seed gives the same plan, on every machine.

        Raises:
            UsageError: There is no rollout, or a negative number of items.
        """
        if rollouts < 1 or evidence < 0:
            raise UsageError(
                f"{rollouts} rollouts of {evidence} items: give at least one rollout and no negative number"
            )
        return tuple(self._one(index, rollouts, evidence, seed) for index in range(rollouts))

    def _one(self, index: int, rollouts: int, evidence: int, seed: int) -> RolloutPlan:
        seen = self._seen(index, evidence, seed)
        shift = index * len(seen) // rollouts if self.rotated else 0
        # moved on by one whenever both have come round together, so that each role meets each temperature
        turn = index + index // math.lcm(self.roles, len(self.temperatures))
        return RolloutPlan(
            index=index,
            role=_cycled(index, self.roles, seed, "role"),
            temperature=self.temperatures[_cycled(turn, len(self.temperatures), seed, "temperature")],
            evidence=(*seen[shift:], *seen[:shift]),
            shift=shift,
        )

    def _seen(self, index: int, evidence: int, seed: int) -> tuple[int, ...]:
        """Items of one rollout in their own order; what is left out moves round a shuffled circle."""
        left_out = evidence - math.ceil(round(self.fraction * evidence, 9))
        if index == 0 or left_out == 0:
            return tuple(range(evidence))
        circle = _shuffled(evidence, seed, "evidence")
        start = (index - 1) * left_out
        gone = {circle[(start + k) % evidence] for k in range(left_out)}
        return tuple(item for item in range(evidence) if item not in gone)


def _cycled(index: int, count: int, seed: int, what: str) -> int:
    """Position in rounds that each hold all of them: the first in order of the seed but for the plain one, then on."""
    order = [0, *(1 + k for k in _shuffled(count - 1, seed, what))]
    return order[index % count]


def _shuffled(count: int, seed: int, what: str) -> list[int]:
    return sorted(range(count), key=lambda k: _number(seed, what, k))


def _number(seed: int, what: str, index: int) -> int:
    """A number from a hash, since the sequences of random generators change between versions."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{what}/{index}".encode()).digest()[:8], "big")
