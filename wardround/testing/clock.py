"""Clocks that show another time than the present: one that ticks when it is read, one that runs on."""

from __future__ import annotations

import itertools
import time
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


class RunningClock:
    """Starts at a moment of another day and runs on from there as time does."""

    def __init__(self, start: datetime) -> None:
        """Set the first moment."""
        self._start, self._begun = start, time.monotonic()

    def now(self) -> datetime:
        """Return the moment that it is by now."""
        return self._start + timedelta(seconds=time.monotonic() - self._begun)

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""
        return time.monotonic()
