"""Where acts become events: numbers them, knows the current span, tells the sinks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TypeVar

from wardround.core.frozen import content_id
from wardround.core.ports import Clock
from wardround.trace.events import Event, Outcome, SpanEnded, SpanKind, SpanStarted

Sink = Callable[[Event], None]
"""Is told of each event in order and must return quickly."""

E = TypeVar("E")

_span: ContextVar[tuple[str, str]] = ContextVar("wardround_span", default=("", ""))
"""Run and span that the present context is in."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present moment in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""
        return time.monotonic()


class Recorder:
    """Records the events of one run."""

    def __init__(
        self,
        run: str,
        sinks: Sequence[Sink] = (),
        *,
        clock: Clock | None = None,
        earlier: Sequence[Event] = (),
        suspension: type[BaseException] | None = None,
    ) -> None:
        """Start a log, or go on with one.

        Args:
            run: Id of the run.
            sinks: Told of each event.
            clock: For times and durations.
            earlier: Events of this run before a resume; numbering goes on after them.
            suspension: The exception that leaves a span because a person is asked, not because it failed.
        """
        self.run = run
        self.clock: Clock = clock or SystemClock()
        self.events: list[Event] = list(earlier)
        self._sinks = tuple(sinks)
        self._lock = threading.Lock()
        self._suspension = suspension
        self._opened: dict[str, int] = {}

    def record(self, kind: Callable[..., E], /, **fields: Any) -> E:
        """Record an event of a kind with its fields, and return it."""
        with self._lock:
            event: Any = kind(run=self.run, seq=len(self.events), time=self.clock.now(), span=self._current(), **fields)
            self.events.append(event)
            for sink in self._sinks:
                sink(event)
        result: E = event
        return result

    @contextmanager
    def span(self, name: str, kind: SpanKind) -> Iterator[str]:
        """Record a stretch of work; what happens inside belongs to it."""
        parent = self._current()
        with self._lock:
            nth = self._opened[f"{parent}/{name}"] = self._opened.get(f"{parent}/{name}", 0) + 1
        opened = content_id("spn", self.run, parent, name, nth)
        self.record(SpanStarted, opened=opened, name=name, kind=kind)
        token = _span.set((self.run, opened))
        start = self.clock.monotonic()
        outcome, fault = Outcome.DONE, None
        try:
            yield opened
        except BaseException as error:
            suspended = self._suspension is not None and isinstance(error, self._suspension)
            outcome = Outcome.SUSPENDED if suspended else Outcome.FAILED
            fault = None if suspended else f"{type(error).__name__}: {error}"
            raise
        finally:
            _span.reset(token)
            seconds = round(self.clock.monotonic() - start, 6)
            self.record(SpanEnded, closed=opened, outcome=outcome, seconds=seconds, error=fault)

    def _current(self) -> str:
        run, span = _span.get()
        return span if run == self.run else ""
