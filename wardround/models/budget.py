"""What one case, or one run of many, may use, and what it has used."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from wardround.core.errors import BatchBudgetExceeded, BudgetExceeded
from wardround.core.frozen import Frozen
from wardround.core.ports import Clock

if TYPE_CHECKING:
    from wardround.trace.views import Usage

MILLION = 1_000_000


class Budget(Frozen):
    """Limits; none where not given.

    They are looked at before each call, so calls under way at once may overshoot tokens and money by what
    they bring.
    """

    calls: int | None = Field(default=200, ge=0)
    """Model calls."""
    tokens: int | None = Field(default=None, ge=0)
    """Input and output tokens, as the model counts them."""
    seconds: float | None = Field(default=None, gt=0)
    """Wall-clock time from the start."""
    money: float | None = Field(default=None, ge=0)
    """In the currency of the prices."""


class Prices(Frozen):
    """What a model costs, in any one currency."""

    input: float = Field(ge=0)
    """For a million input tokens."""
    output: float = Field(ge=0)
    """For a million output tokens."""

    def cost(self, input_tokens: int, output_tokens: int) -> float:
        """Return what tokens cost."""
        return (self.input * input_tokens + self.output * output_tokens) / MILLION


class Meter:
    """Counts what is used against a budget."""

    def __init__(
        self, budget: Budget, clock: Clock, *, prices: Prices | None = None, whole: Meter | None = None
    ) -> None:
        """Begin to count.

        Args:
            budget: The limits.
            clock: For the time.
            prices: What tokens cost; without them no money is counted.
            whole: Meter of the run of many cases that this case belongs to; it counts all the same.
        """
        self.budget = budget
        self.prices = prices
        self._clock = clock
        self._whole = whole
        self._lock = threading.Lock()
        self._started = clock.monotonic()
        self.calls = 0
        self.tokens = 0
        self.money = 0.0

    def take(self, calls: int = 1) -> int:
        """Take calls off the budget and return how many were granted, at least one.

        Raises:
            BudgetExceeded: There is none left of some resource.
            BatchBudgetExceeded: Nor has the run of many cases any left.
        """
        with self._lock:
            self._refuse_beyond()
            left = calls if self.budget.calls is None else min(calls, self.budget.calls - self.calls)
            granted = self._of_the_whole(left)
            self.calls += granted
            return granted

    def answered(self, input_tokens: int, output_tokens: int) -> None:
        """Count the tokens of an answer."""
        with self._lock:
            self.tokens += input_tokens + output_tokens
            if self.prices is not None:
                self.money += self.prices.cost(input_tokens, output_tokens)
        if self._whole is not None:
            self._whole.answered(input_tokens, output_tokens)

    def go_on(self, spent: Usage) -> None:
        """Count what a run used before it was resumed; its time is not counted."""
        for agent in spent.agents.values():
            self.calls += agent.calls
            self.tokens += agent.input_tokens + agent.output_tokens
            if self.prices is not None:
                self.money += self.prices.cost(agent.input_tokens, agent.output_tokens)

    @property
    def exhausted(self) -> bool:
        """Whether another call would be refused by this budget; one of the whole run is an error when it is met."""
        return any(limit is not None and used >= limit for _, limit, used in self._used())

    def _of_the_whole(self, calls: int) -> int:
        if self._whole is None:
            return calls
        try:
            return self._whole.take(calls)
        except BudgetExceeded as error:
            raise BatchBudgetExceeded(error.resource, error.limit, error.used) from error

    def _refuse_beyond(self) -> None:
        for resource, limit, used in self._used():
            if limit is not None and used >= limit:
                raise BudgetExceeded(resource, limit, used)

    def _used(self) -> Iterator[tuple[str, float | None, float]]:
        yield "calls", self.budget.calls, self.calls
        yield "tokens", self.budget.tokens, self.tokens
        yield "seconds", self.budget.seconds, self._clock.monotonic() - self._started
        yield "money", self.budget.money, self.money
