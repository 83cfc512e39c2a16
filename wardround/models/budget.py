"""What one case may use, and what it has used."""

from __future__ import annotations

import threading

from pydantic import Field

from wardround.core.errors import BudgetExceeded
from wardround.core.frozen import Frozen
from wardround.core.ports import Clock


class Budget(Frozen):
    """Limits of one case; none where not given."""

    calls: int | None = Field(default=200, ge=0)
    """Model calls."""
    tokens: int | None = Field(default=None, ge=0)
    """Input and output tokens, as the model counts them."""
    seconds: float | None = Field(default=None, gt=0)
    """Wall-clock time from the start of the consult."""


class Meter:
    """Counts what a case uses against its budget."""

    def __init__(self, budget: Budget, clock: Clock) -> None:
        self.budget = budget
        self._clock = clock
        self._lock = threading.Lock()
        self._started = clock.monotonic()
        self.calls = 0
        self.tokens = 0

    def ask(self) -> None:
        """Take one call off the budget.

        Raises:
            BudgetExceeded: There is none left of some resource.
        """
        with self._lock:
            elapsed = self._clock.monotonic() - self._started
            for resource, limit, used in (
                ("calls", self.budget.calls, self.calls),
                ("tokens", self.budget.tokens, self.tokens),
                ("seconds", self.budget.seconds, elapsed),
            ):
                if limit is not None and used >= limit:
                    raise BudgetExceeded(resource, limit, used)
            self.calls += 1

    def answered(self, tokens: int) -> None:
        """Count the tokens of an answer."""
        with self._lock:
            self.tokens += tokens

    @property
    def exhausted(self) -> bool:
        """Whether another call would be refused."""
        elapsed = self._clock.monotonic() - self._started
        return any(
            limit is not None and used >= limit
            for limit, used in (
                (self.budget.calls, self.calls),
                (self.budget.tokens, self.tokens),
                (self.budget.seconds, elapsed),
            )
        )
