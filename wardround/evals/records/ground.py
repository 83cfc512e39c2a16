"""Where episodes are played: each on a fork of a sandbox of our own, or on a server that somebody else runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

from wardround.core.errors import UsageError
from wardround.environments.fhir.sandbox import Sandbox
from wardround.evals.records.grading import Mode, StateDiff
from wardround.evals.records.suite import RecordSuite
from wardround.testing.clock import RunningClock
from wardround.tools.fhir.client import FhirClient

INSIDE = "http://sandbox"
"""Address of a sandbox in this process; it is on no network."""


@dataclass(frozen=True)
class Changes:
    """What became of a record; nothing, unless it says otherwise."""

    added: tuple[dict[str, Any], ...] = ()
    changed: tuple[Any, ...] = ()
    removed: tuple[Any, ...] = ()


@dataclass
class Place:
    """One episode's record."""

    client: FhirClient
    """What the agent works with."""
    before: FhirClient
    """The record as it was when the episode began."""
    _changes: Any = field(repr=False)

    async def changes(self) -> StateDiff:
        """Return what the episode did to the record."""
        found: StateDiff = await self._changes()
        return found


class Ground(Protocol):
    """Where the episodes of a suite are played."""

    def place(self, mode: Mode) -> Any:
        """Return an async context manager for one episode's `Place`."""
        ...


class SandboxGround:
    """A sandbox in this process; each episode has a fork of its own."""

    def __init__(self, suite: RecordSuite) -> None:
        self._sandbox = Sandbox(clock=RunningClock(suite.now), profile=suite.profile)
        self._sandbox.load(suite.resources())
        self.about = f"sandbox in this process, profile {suite.profile}"

    @asynccontextmanager
    async def place(self, mode: Mode) -> AsyncIterator[Place]:
        """Open one episode's record and forget what it did at the end."""
        transport = self._sandbox.transport()
        base = self._sandbox.state
        fork = base.fork()

        async def changes() -> StateDiff:
            return fork.diff()

        try:
            async with (
                FhirClient(INSIDE + fork.base_path, transport=transport) as client,
                FhirClient(INSIDE + base.base_path, transport=transport) as before,
            ):
                yield Place(client, before, changes)
        finally:
            fork.close()


class RemoteGround:
    """A server at a base URL; real writes are made only where it can fork, as our sandbox can."""

    def __init__(self, base_url: str, *, token: str | None = None) -> None:
        self._base, self._token = base_url.rstrip("/"), token
        self.about = f"server at {self._base}"

    @asynccontextmanager
    async def place(self, mode: Mode) -> AsyncIterator[Place]:
        """Open one episode's record.

        Raises:
            UsageError: Real writes are wanted, and the server cannot fork.
        """
        async with FhirClient(self._base, token=self._token) as before:
            if mode == "compat":
                yield Place(before, before, _unchanged)
                return
            async with self._fork() as place:
                yield place

    @asynccontextmanager
    async def _fork(self) -> AsyncIterator[Place]:
        parts = urlsplit(self._base)
        origin = f"{parts.scheme}://{parts.netloc}"
        async with (
            FhirClient(origin, token=self._token) as admin,
            FhirClient(self._base, token=self._token) as before,
        ):
            made = await admin.request("POST", "sandbox/forks", body={})
            if made.status != 200 or not isinstance(made.body, dict):
                raise UsageError(
                    f"{self._base} cannot fork its state (POST {origin}/sandbox/forks: {made.status}), so real writes"
                    " would stay there; use --mode compat, or a Wardround sandbox"
                )
            name = made.body["name"]

            async def changes() -> StateDiff:
                found = (await admin.request("GET", "sandbox/diff", params={"state": name})).body
                changed = tuple((entry["before"], entry["after"]) for entry in found["changed"])
                return Changes(tuple(found["added"]), changed, tuple(found["removed"]))

            try:
                async with FhirClient(origin + made.body["base"], token=self._token) as client:
                    yield Place(client, before, changes)
            finally:
                await admin.request("DELETE", f"sandbox/forks/{name}")


async def _unchanged() -> StateDiff:
    return Changes()
