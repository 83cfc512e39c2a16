"""Runs done over from their logs: no model is asked, no server is reached, and every act is compared."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime

from wardround.core.blocking import run_sync
from wardround.core.case import Case
from wardround.core.decision import GateReason
from wardround.core.errors import UsageError
from wardround.graphs.consult import Consult
from wardround.graphs.forking import Fork
from wardround.graphs.reopening import reopened
from wardround.graphs.shown import shown_in
from wardround.knowledge.clinician import KnowledgeClinician
from wardround.models.replay import replayed_log
from wardround.trace.events import Event, FhirExchanged, Resumed, RunStarted
from wardround.trace.fidelity import Difference, differences
from wardround.trace.store import RunStore
from wardround.trace.views import decision
from wardround.trace.visits import is_record_agent


@dataclass(frozen=True)
class Replay:
    """What came of doing a run over."""

    replayed: tuple[Event, ...]
    recorded: tuple[Event, ...]
    differences: tuple[Difference, ...]

    @property
    def run(self) -> str:
        """Id of the run."""
        return self.recorded[0].run

    @property
    def is_equal(self) -> bool:
        """Whether the replay did what was recorded, event for event."""
        return not self.differences


def replay(store: RunStore, run: str, *, clinician: KnowledgeClinician | None = None) -> Replay:
    """Do a run over from its log and compare every act.

    Models and FHIR servers answer from the log alone. Other tools and weighing are part of this process and are done
    again, so that a difference shows that the program or its knowledge is no longer what it was.

    Args:
        store: Where the run is kept.
        run: Id of the run, or how it begins.
        clinician: Knowledge other than the embedded one.

    Raises:
        UsageError: There is no such run, its log has no beginning, or its budget ran out.
        NotRecorded: The replay asked what the run did not; the program has changed.
    """
    row = store.find(run)
    events = tuple(store.events(row.id))
    started = events[0] if events else None
    if not isinstance(started, RunStarted):
        raise UsageError(f"run {row.id} has no beginning in the log; it cannot be replayed")
    decided = decision(events)
    if decided is not None and any(reason.code is GateReason.BUDGET for reason in decided.reasons):
        what = f"run {row.id} ended where its budget ran out, which depends on how fast it was answered"
        raise UsageError(f"{what}; it cannot be replayed")
    if is_record_agent([started]):
        replayed = run_sync(lambda: _episode(started, events))
    else:
        case = Case.model_validate_json(store.case(row.id))
        replayed = run_sync(lambda: _consult(case, started, events, store, clinician)).events
    return Replay(replayed, events, differences(events, replayed))


async def _consult(
    case: Case, started: RunStarted, events: Sequence[Event], store: RunStore, clinician: KnowledgeClinician | None
) -> Consult:
    model = replace(replayed_log(events), spec=started.model)
    async with AsyncExitStack() as stack:
        asks = bool(started.settings.get("escalate"))
        # where a person was asked, the run waits in a folder as it did, which is gone afterwards
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="wardround-")) if asks else None
        ward = reopened(events, workspace=folder, model=model, clinician=clinician)
        session = await stack.enter_async_context(ward.session())
        fork = Fork.recorded(events, store, replays=True)
        shown = shown_in(events, case, store)
        consult = await session.consult(case, fork=fork, run=started.run, shown=shown)
        for answer in (e.answer for e in events if isinstance(e, Resumed) and e.answer is not None):
            consult = await session.resume(started.run, answer, shown=shown)
        return consult


async def _episode(started: RunStarted, events: Sequence[Event]) -> tuple[Event, ...]:
    """Do an episode of a record agent over; tools that a caller made himself are not in the log."""
    from wardround.graphs.ehr import WriteAwaitsPerson
    from wardround.graphs.ehr_reopening import reopened_agent, reopened_session
    from wardround.tools.fhir.client import FhirClient
    from wardround.tools.fhir.exchanges import Exchange, RecordedServer

    begun = started.settings
    replayed: list[Event] = []
    model = replace(replayed_log(events), spec=started.model)
    agent = reopened_agent(started, model=model, clock=_LogClock(events, replayed))
    fields = set(Exchange.__dataclass_fields__)
    exchanged = [Exchange(**e.model_dump(include=fields)) for e in events if isinstance(e, FhirExchanged)]
    server = RecordedServer(exchanged, run=started.run)
    answers = [e.answer for e in events if isinstance(e, Resumed) and e.answer is not None]
    async with FhirClient(begun["server"], recorded=server) as client:
        session = reopened_session(started, client)
        task = agent.run(
            begun["task"],
            session,
            case=started.case,
            api_base=begun["api_base"],
            rollout=begun["rollout"],
            sinks=[replayed.append],
        )
        for answer in [*answers, None]:
            try:
                await task
                break
            except WriteAwaitsPerson:
                if answer is None:
                    break
                task = agent.resume(started.run, approve=answer["approved"], note=answer["note"])
    return tuple(replayed)


class _LogClock:
    """Tells the time of the log as a replay comes to each of its events."""

    def __init__(self, recorded: Sequence[Event], replayed: Sequence[Event]) -> None:
        self._recorded, self._replayed = recorded, replayed

    def now(self) -> datetime:
        return self._recorded[min(len(self._replayed), len(self._recorded) - 1)].time

    def monotonic(self) -> float:
        return self.now().timestamp()
