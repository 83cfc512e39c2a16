"""The sandbox: a record that behaves like a hospital's, and that can be reset, forked and compared."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from wardround.core.errors import UsageError
from wardround.core.ports import Clock
from wardround.environments.fhir.audit import AuditTrail
from wardround.environments.fhir.exchange import Profile
from wardround.environments.fhir.faults import Faults, FaultSource
from wardround.environments.fhir.state import State
from wardround.environments.fhir.store import Store
from wardround.trace.recorder import SystemClock

if TYPE_CHECKING:
    import httpx
    from starlette.applications import Starlette

PROFILES = ("r4", "medagentbench")


class Sandbox:
    """A FHIR R4 server with its states.

    Args:
        path: SQLite file that keeps the record; None keeps it in memory.
        clock: Tells when something was written.
        profile: `r4`, or `medagentbench`, which takes the shapes that this benchmark's functions ask for, with a
            warning in `$validate`.
        token: If given, every request must bear it.
        read_only: Refuse all writes over HTTP.
        checks_references: Refuse a write that refers to what is not there.
        faults: What goes wrong on purpose.

    Raises:
        UsageError: There is no such profile.
        StoreError: The file cannot be opened.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        clock: Clock | None = None,
        profile: Literal["r4", "medagentbench"] = "r4",
        token: str | None = None,
        read_only: bool = False,
        checks_references: bool = True,
        faults: Faults | None = None,
    ) -> None:
        if profile not in PROFILES:
            raise UsageError(f"there is no profile '{profile}'; use one of {', '.join(PROFILES)}")
        self.clock: Clock = clock or SystemClock()
        self.profile = Profile(profile, is_read_only=read_only, checks_references=checks_references)
        self.token = token
        self.faults = FaultSource(faults or Faults())
        self.audit = AuditTrail()
        self._store = Store(path)
        self.state = State(self._store, self.clock, 1, "default")

    @cached_property
    def app(self) -> Starlette:
        """The ASGI application."""
        from wardround.environments.fhir.app import build

        return build(self)

    def transport(self) -> httpx.ASGITransport:
        """Return a transport by which an httpx.AsyncClient reaches the server without a network."""
        import httpx

        return httpx.ASGITransport(app=self.app)

    def load(self, resources: Iterable[dict[str, Any]]) -> int:
        """Load valid resources into the default state; see `State.load`."""
        return self.state.load(resources)

    def states(self) -> list[str]:
        """Return the names of all states, the default one first."""
        with self._store.lock:
            return [name for (name,) in self._store.db.execute("SELECT name FROM state ORDER BY layer")]

    def find(self, name: str) -> State | None:
        """Return a state by name."""
        with self._store.lock:
            row = self._store.db.execute("SELECT layer FROM state WHERE name = ?", (name,)).fetchone()
            return State(self._store, self.clock, row[0], name) if row else None

    def close(self) -> None:
        """Close the database."""
        self._store.close()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
