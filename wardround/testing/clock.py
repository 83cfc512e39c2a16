"""A clock that ticks when it is read, so that logs are the same every time."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

_START = datetime(2026, 1, 1, tzinfo=UTC)


class FixedClock:
    """Starts at a moment and goes on by one step at each reading."""

    def __init__(self, start: datetime = _START, step: float = 0.001) -> None:
        """Set the first moment and the step in seconds."""
        self._start, self._step = start, step
        self._count = itertools.count()

    def now(self) -> datetime:
        """Return the next moment."""
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """Return the seconds since the start, one step further than the last reading."""
        return next(self._count) * self._step
