"""Runs done over from their logs: no model is asked, no server is reached, and every act is compared."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from wardround.core.blocking import run_sync
from wardround.core.case import Case
from wardround.core.errors import UsageError
from wardround.graphs.consult import Consult
from wardround.graphs.forking import Fork
from wardround.graphs.reopening import reopened
from wardround.knowledge.clinician import KnowledgeClinician
from wardround.models.replay import replayed_log
from wardround.trace.events import Event, Resumed, RunStarted
from wardround.trace.fidelity import Difference, differences
from wardround.trace.store import RunStore


@dataclass(frozen=True)
class Replay:
    """What came of doing a run over."""

    consult: Consult
    """The replayed run."""
    recorded: tuple[Event, ...]
    differences: tuple[Difference, ...]

    @property
    def is_equal(self) -> bool:
        """Whether the replay did what was recorded, event for event."""
        return not self.differences


def replay(store: RunStore, run: str, *, clinician: KnowledgeClinician | None = None) -> Replay:
    """Do a consult over from its log and compare every act.

    Models answer from the log alone. Tools and weighing are part of this process and are done again, so that a
    difference shows that the program or its knowledge is no longer what it was.

    Args:
        store: Where the run is kept.
        run: Id of the run, or how it begins.
        clinician: Knowledge other than the embedded one.

    Raises:
        UsageError: There is no such run, or it is no consult.
        NotRecorded: The replay asked what the run did not; the program has changed.
    """
    row = store.find(run)
    events = tuple(store.events(row.id))
    case = Case.model_validate_json(store.case(row.id))
    consult = run_sync(lambda: _replayed(case, events, store, clinician))
    return Replay(consult, events, differences(events, consult.events))


async def _replayed(
    case: Case, events: Sequence[Event], store: RunStore, clinician: KnowledgeClinician | None
) -> Consult:
    started = events[0]
    if not isinstance(started, RunStarted):
        raise UsageError("the run has no beginning in the log; it cannot be replayed")
    model = replace(replayed_log(events), spec=started.model)
    async with AsyncExitStack() as stack:
        asks = bool(started.settings.get("escalate"))
        # where a person was asked, the run waits in a folder as it did, which is gone afterwards
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="wardround-")) if asks else None
        ward = reopened(events, workspace=folder, model=model, clinician=clinician)
        session = await stack.enter_async_context(ward.session())
        fork = Fork.recorded(events, store, replays=True)
        consult = await session.consult(case, fork=fork, run=started.run)
        for answer in (e.answer for e in events if isinstance(e, Resumed) and e.answer is not None):
            consult = await session.resume(started.run, answer)
        return consult
