"""Faults on demand: what networks and hospital servers do to a client, drawn from a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

Fault = Literal["too_many", "server_error", "truncated"]


@dataclass(frozen=True)
class Faults:
    """How often what goes wrong; nothing by default."""

    latency: float = 0.0
    """Seconds added to every answer."""
    too_many: float = 0.0
    """Share of requests refused with 429 and Retry-After."""
    server_error: float = 0.0
    """Share of requests refused with 503; they are not carried out."""
    truncated: float = 0.0
    """Share of answers whose body breaks off half way; the request was carried out."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse shares that cannot be, and a seed that would not repeat."""
        shares = (self.too_many, self.server_error, self.truncated)
        if any(not 0.0 <= share <= 1.0 for share in shares) or sum(shares) > 1.0:
            raise ValueError("too_many, server_error and truncated are shares from 0 to 1, together at most 1")
        if not 0.0 <= self.latency <= 600.0:
            raise ValueError("latency is a number of seconds from 0 to 600")
        if type(self.seed) is not int:
            raise ValueError("seed is a whole number")


class FaultSource:
    """Draws what goes wrong with each request in turn."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self._random = random.Random(faults.seed)

    def draw(self) -> Fault | None:
        """Return what goes wrong with the next request."""
        if not (self.faults.too_many or self.faults.server_error or self.faults.truncated):
            return None
        at = self._random.random()
        for name in ("too_many", "server_error", "truncated"):
            share: float = getattr(self.faults, name)
            if at < share:
                return name
            at -= share
        return None
