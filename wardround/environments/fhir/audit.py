"""Who asked what: one entry per request, without what the record says."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

KEPT = 200_000
"""How many entries are kept, the newest."""


@dataclass(frozen=True)
class AuditEntry:
    """One request as it came in, and how it was answered."""

    number: int
    """Counts from 1 over the life of the server."""
    time: datetime
    state: str
    method: str
    path: str
    """Below the base URL."""
    query: str
    status: int
    written: tuple[str, ...]
    """`Type/id` of every resource that was created, changed or deleted."""
    seconds: float


class AuditTrail:
    """The entries of one server."""

    def __init__(self) -> None:
        self._entries: deque[AuditEntry] = deque(maxlen=KEPT)
        self.count = 0

    def add(
        self,
        *,
        time: datetime,
        state: str,
        method: str,
        path: str,
        query: str,
        status: int,
        written: tuple[str, ...],
        seconds: float,
    ) -> None:
        """Record a request."""
        self.count += 1
        self._entries.append(AuditEntry(self.count, time, state, method, path, query, status, written, seconds))

    def __iter__(self) -> Iterator[AuditEntry]:
        return iter(tuple(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    def of(self, state: str, *, after: int = 0) -> list[AuditEntry]:
        """Return the entries of one state after a number."""
        return [entry for entry in self._entries if entry.state == state and entry.number > after]
