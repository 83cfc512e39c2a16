"""The ward: a model, specialists and rules that look at cases together."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wardround.agents.roster import Roster, embedded_roster
from wardround.core.blocking import run_sync
from wardround.core.case import Case
from wardround.core.errors import CaseError, StoreError, UsageError
from wardround.core.frozen import content_id
from wardround.core.ports import Clock
from wardround.graphs.consult import Consult
from wardround.graphs.settings import ConsultSettings
from wardround.knowledge.clinician import KnowledgeClinician, reference_clinician
from wardround.models.asking import Asker
from wardround.models.budget import Meter
from wardround.models.resolve import resolve
from wardround.trace.events import Event, Outcome, Resumed, RunEnded, RunStarted, SpanKind, Suspended
from wardround.trace.recorder import Recorder, Sink, SystemClock

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from wardround.trace.store import RunStore


CONCURRENCY = 16
"""Model calls under way at once, unless told otherwise."""


class Ward:
    """Consults cases.

    >>> from wardround import Case, Ward
    >>> ward = Ward(model="reference")
    >>> consult = ward.consult(Case(narrative="30-year-old woman. Dysuria and urinary frequency for 2 days. No fever."))
    >>> consult.decision.differential.top.name
    'acute cystitis'
    """

    def __init__(
        self,
        model: str | BaseChatModel = "reference",
        *,
        settings: ConsultSettings | None = None,
        workspace: str | Path | None = None,
        base_url: str | None = None,
        concurrency: int = CONCURRENCY,
        clinician: KnowledgeClinician | None = None,
        roster: Roster | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Set up a ward.

        Args:
            model: A spec such as `reference` or `vllm:NAME`, or any LangChain chat model.
            settings: How consults go.
            workspace: Folder where runs and checkpoints are kept; without one nothing is written.
            base_url: Of an OpenAI-compatible server.
            concurrency: Model calls under way at once, over all cases.
            clinician: Knowledge other than the embedded one.
            roster: Specialties other than the embedded ones.
            clock: For times in the log.

        Raises:
            UsageError: The spec names no model, or a person is to be asked without a workspace.
        """
        self.settings = settings or ConsultSettings()
        self.clinician = clinician or reference_clinician()
        self.roster = roster or embedded_roster()
        self.model = resolve(model, clinician=self.clinician, base_url=base_url, timeout=self.settings.timeout)
        self.workspace = Path(workspace) if workspace is not None else None
        self.concurrency = concurrency
        self.clock: Clock = clock or SystemClock()
        if self.settings.escalate and self.workspace is None:
            raise UsageError("asking a person needs a workspace to wait in; give workspace=DIR")

    def consult(self, case: Case) -> Consult:
        """Consult one case and wait for the decision."""
        return run_sync(lambda: self.aconsult(case))

    async def aconsult(self, case: Case, *, sinks: Sequence[Sink] = ()) -> Consult:
        """Consult one case.

        Args:
            case: The patient.
            sinks: Told of each event as it happens.

        Raises:
            CaseError: The case says nothing, or something that cannot be read.
            ModelUnavailable: The model could not be reached; nothing is put in its place.
        """
        async with self.session() as session:
            return await session.consult(case, sinks=sinks)

    def stream(self, case: Case) -> Iterator[Event]:
        """Yield the events of a consult as they happen; the last is `RunEnded`, or an error is raised."""
        waiting: queue.SimpleQueue[Event | BaseException | None] = queue.SimpleQueue()

        def work() -> None:
            try:
                asyncio.run(self.aconsult(case, sinks=[waiting.put]))
                waiting.put(None)
            except BaseException as error:  # handed to the thread that iterates
                waiting.put(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        while (event := waiting.get()) is not None:
            if isinstance(event, BaseException):
                raise event
            yield event
        thread.join()

    def resume(
        self, run: str, *, diagnosis: str | None = None, information: str | None = None, note: str = ""
    ) -> Consult:
        """Answer for a suspended run and wait for what comes of it.

        Args:
            run: Id of the run.
            diagnosis: Ends it with this diagnosis, the clinician's own.
            information: Further findings in words; they are weighed, and the gate decides again.
            note: Why, for the log.

        Raises:
            UsageError: There is no such run waiting.
        """
        answer = {"diagnosis": diagnosis, "information": information, "note": note}
        return run_sync(lambda: self._resume(run, answer))

    async def _resume(self, run: str, answer: dict[str, Any]) -> Consult:
        async with self.session() as session:
            return await session.resume(run, answer)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """Open what several consults share: the compiled graph, the store, the model's slots."""
        from wardround.graphs.flow import compile_flow  # LangGraph takes long to import

        async with AsyncExitStack() as stack:
            store = None
            saver = None
            if self.workspace is not None:
                from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

                from wardround.graphs.state import serializer
                from wardround.trace.store import RunStore

                store = RunStore(self.workspace)
                stack.callback(store.close)
                saver = await stack.enter_async_context(AsyncSqliteSaver.from_conn_string(str(store.checkpoints)))
                saver.serde = serializer()
                try:
                    await saver.setup()
                except sqlite3.DatabaseError as error:
                    what = f"{store.checkpoints} cannot be used ({error})"
                    raise StoreError(f"{what}; move it away, or give another workspace") from error
            yield Session(self, compile_flow(saver), store, asyncio.Semaphore(self.concurrency))


class Session:
    """Consults that share a compiled graph, a store and a model's slots."""

    def __init__(self, ward: Ward, flow: Any, store: RunStore | None, slots: asyncio.Semaphore) -> None:
        self._ward, self._flow, self._store, self._slots = ward, flow, store, slots

    async def consult(self, case: Case, *, sinks: Sequence[Sink] = ()) -> Consult:
        """Consult one case."""
        if case.is_empty:
            raise CaseError("it says nothing about the patient", where=f"case {case.id}", mend="give a complaint")
        ward = self._ward
        settings = ward.settings.model_dump(mode="json")
        run = content_id("run", case.model_dump(mode="json"), ward.model.spec, settings)
        recorder = self._recorder(run, sinks)
        recorder.record(RunStarted, case=case.id, model=ward.model.spec, settings=settings)
        if self._store is not None:
            await self._flow.checkpointer.adelete_thread(run)
            self._store.keep_case(run, case.model_dump_json())
        return await self._run(case, recorder, {})

    async def resume(self, run: str, answer: dict[str, Any]) -> Consult:
        """Go on with a suspended run."""
        from langgraph.types import Command

        if self._store is None:
            raise UsageError("resuming needs the workspace of the run; give workspace=DIR")
        row = self._store.find(run)
        if row.state != "suspended":
            raise UsageError(f"run {row.id} waits for nobody; it is {row.state}")
        case = Case.model_validate_json(self._store.case(row.id))
        earlier = self._store.events(row.id)
        recorder = self._recorder(row.id, (), earlier)
        recorder.record(Resumed, answer=answer)
        return await self._run(case, recorder, Command(resume=answer))

    def _recorder(self, run: str, sinks: Sequence[Sink], earlier: Sequence[Event] = ()) -> Recorder:
        from langgraph.errors import GraphInterrupt

        written: list[Sink] = [self._store.writer(run)] if self._store is not None else []
        return Recorder(run, [*written, *sinks], clock=self._ward.clock, earlier=earlier, suspension=GraphInterrupt)

    async def _run(self, case: Case, recorder: Recorder, entry: Any) -> Consult:
        from wardround.graphs.flow import RECURSION_LIMIT
        from wardround.graphs.state import Context

        ward = self._ward
        asker = Asker(
            model=ward.model,
            recorder=recorder,
            meter=Meter(ward.settings.budget, recorder.clock),
            slots=self._slots,
            timeout=ward.settings.timeout,
            seed=ward.settings.seed,
        )
        context = Context(
            case=case,
            clinician=ward.clinician,
            roster=ward.roster,
            settings=ward.settings,
            recorder=recorder,
            asker=asker,
        )
        config = {"configurable": {"thread_id": recorder.run}, "recursion_limit": RECURSION_LIMIT}
        durability = {"durability": "async" if ward.settings.escalate else "exit"} if self._store else {}
        try:
            with recorder.span("consult", SpanKind.RUN):
                result = await self._flow.ainvoke(entry, config, context=context, **durability)
        except BaseException as error:
            fault = f"{type(error).__name__}: {error}"
            with contextlib.suppress(Exception):  # the first fault is the one to be seen
                recorder.record(RunEnded, outcome=Outcome.FAILED, error=fault)
            raise
        interrupts = result.get("__interrupt__", ())
        if interrupts:
            recorder.record(Suspended, question=interrupts[0].value)
        else:
            recorder.record(RunEnded, outcome=Outcome.DONE)
        return Consult.from_events(case, recorder.events)
