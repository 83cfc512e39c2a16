"""How many calls of a model may be under way at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from wardround.core.errors import UsageError


@dataclass(frozen=True)
class Slot:
    """A place among the calls under way."""

    cuts: int
    """How often the limit had been cut when the call began."""


class Slots:
    """Limits calls under way, fewer where the server says that it has too many, and their rate.

    The limit is halved on an overload and grows by one for each round of calls that went well (additive
    increase, multiplicative decrease: Chiu and Jain, Computer Networks 17, 1989), never beyond what was
    given. Calls that were under way together cut it once.
    """

    def __init__(self, most: int, *, per_second: float | None = None) -> None:
        """Set the limits.

        Args:
            most: Calls under way at once, at most.
            per_second: Calls begun in a second, on average; no limit unless given.

        Raises:
            UsageError: A limit that lets nothing through.
        """
        if most < 1 or (per_second is not None and not per_second > 0):
            raise UsageError("no call would ever be made; give a concurrency of at least 1 and a rate above 0")
        self.most = most
        self.limit = float(most)
        """How many may be under way at present."""
        self._under_way = 0
        self._cuts = 0
        self._changed = asyncio.Condition()
        self._rate = None
        if per_second is not None:
            from langchain_core.rate_limiters import InMemoryRateLimiter

            self._rate = InMemoryRateLimiter(requests_per_second=per_second, check_every_n_seconds=0.02)

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[Slot]:
        """Wait for a place and hold it."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._under_way < max(1, int(self.limit)))
            self._under_way += 1
        try:
            if self._rate is not None:
                await self._rate.aacquire()
            yield Slot(self._cuts)
        finally:
            self._under_way -= 1
            async with self._changed:
                self._changed.notify(max(1, int(self.limit) - self._under_way))

    def overloaded(self, slot: Slot) -> None:
        """Let fewer calls through, since the server had too many."""
        if slot.cuts == self._cuts:
            self._cuts += 1
            self.limit = max(1.0, self.limit / 2)

    def went_well(self) -> None:
        """Let a little more through."""
        self.limit = min(float(self.most), self.limit + 1 / self.limit)
