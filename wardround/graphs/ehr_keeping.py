"""Where episodes of the record agent are kept, and where they wait for a person."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wardround.core.errors import StoreError, UsageError
from wardround.graphs.checkpoints import checkpoints
from wardround.tools.fhir.session import RecordSession, WritePolicy
from wardround.trace.events import Event, RunStarted, Suspended
from wardround.trace.recorder import Sink

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver

    from wardround.trace.store import RunStore, RunWriter


@dataclass(frozen=True)
class Work:
    """What one episode is about."""

    task: str
    session: RecordSession
    api_base: str
    rollout: int
    sinks: tuple[Sink, ...] = ()


@dataclass(frozen=True)
class Waiting:
    """A suspended episode."""

    work: Work
    started: RunStarted
    events: tuple[Event, ...]


class Keeping:
    """Keeps the runs of one agent: in a workspace, or in this object where there is none."""

    def __init__(self, workspace: Path | str | None) -> None:
        self._workspace = workspace
        self._waiting: dict[str, Waiting] = {}
        self._memory: BaseCheckpointSaver[Any] | None = None
        self._busy: set[object] = set()

    def hold(self, work: Work, events: Sequence[Event]) -> None:
        """Remember an episode that waits."""
        started = _started(events)
        self._waiting[started.run] = Waiting(work, started, tuple(events))

    def forget(self, run: str) -> None:
        """Let go of an episode that waits, since it is begun anew or goes on."""
        self._waiting.pop(run, None)

    def suspended(self, run: str, session: RecordSession | None) -> Waiting:
        """Return an episode that waits.

        Args:
            run: Id of the run.
            session: To go on with, unless this object remembers the one it began with.

        Raises:
            UsageError: It does not wait, or no session is left of it.
        """
        known = self._waiting.get(run)
        if self._workspace is None:
            if known is None:
                raise UsageError(f"no run {run!r} waits here; it was answered already, or never suspended")
            return replace(known, work=replace(known.work, session=session or known.work.session))
        with _store(self._workspace) as store:
            row = store.find(run)
            events = store.events(row.id)
        if not events or not isinstance(events[-1], Suspended):
            raise UsageError(f"run {row.id} waits for nobody; it is {row.state}")
        session = session or (known.work.session if known is not None else None)
        if session is None:
            raise UsageError(f"run {row.id} was suspended elsewhere; give the session to go on with")
        started = _started(events)
        begun = started.settings
        sinks = known.work.sinks if known is not None else ()
        work = Work(begun.get("task", ""), session, begun.get("api_base", ""), begun.get("rollout", 0), sinks)
        return Waiting(work, started, tuple(events))

    @asynccontextmanager
    async def opened(
        self, run: str, session: RecordSession
    ) -> AsyncIterator[tuple[RunStore | None, BaseCheckpointSaver[Any] | None]]:
        """Open the store, if there is one, and the checkpoints where a person may be asked.

        Raises:
            UsageError: The session, or a run that is kept under the same id, is under way.
            StoreError: The workspace cannot be used.
        """
        may_wait = session.policy is WritePolicy.CONFIRM
        taken: set[object] = {id(session)} | ({run} if may_wait or self._workspace is not None else set())
        if taken & self._busy:
            what = "the session serves another episode" if id(session) in self._busy else f"run {run} is under way"
            raise UsageError(f"{what}; give each episode its own session, and a repeated task its own rollout")
        self._busy |= taken
        try:
            with _store(self._workspace) if self._workspace is not None else nullcontext() as store:
                if not may_wait:
                    yield store, None
                elif store is None:
                    yield None, self._in_memory()
                else:
                    from wardround.graphs.ehr_flow import serializer

                    async with checkpoints(store, serializer()) as saver:
                        yield store, saver
        finally:
            self._busy -= taken

    def claim(self, store: RunStore | None, writer: RunWriter | None, run: str) -> None:
        """Make sure that nobody else goes on with a run whose `Resumed` has just been recorded.

        Raises:
            UsageError: Somebody else does: the log takes one event in each place.
        """
        self.forget(run)
        if store is None or writer is None:
            return
        try:
            writer.flush()
        except StoreError as error:
            if isinstance(store.events(run)[-1], Suspended):
                raise
            raise UsageError(f"run {run} was answered by somebody else in the meantime") from error

    def _in_memory(self) -> BaseCheckpointSaver[Any]:
        if self._memory is None:
            from langgraph.checkpoint.memory import InMemorySaver

            from wardround.graphs.ehr_flow import serializer

            self._memory = InMemorySaver(serde=serializer())
        return self._memory


def _started(events: Sequence[Event]) -> RunStarted:
    first = events[0]
    if not isinstance(first, RunStarted):
        raise UsageError(f"run {first.run} has no beginning in the log; it cannot be resumed")
    return first


@contextmanager
def _store(workspace: Path | str) -> Iterator[RunStore]:
    from wardround.trace.store import RunStore

    store = RunStore(workspace)
    try:
        yield store
    finally:
        store.close()
