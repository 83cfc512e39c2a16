"""The ward: a model, specialists and rules that look at cases together."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wardround.agents.roster import Roster, embedded_roster
from wardround.core.blocking import run_sync
from wardround.core.calibration.card import Card
from wardround.core.case import Case
from wardround.core.errors import CaseError, UsageError
from wardround.core.frozen import content_id
from wardround.core.ports import Clock
from wardround.graphs.consult import Consult
from wardround.graphs.settings import ConsultSettings
from wardround.knowledge.clinician import KnowledgeClinician, reference_clinician
from wardround.models.asking import Asker
from wardround.models.budget import Budget, Meter, Prices
from wardround.models.calling import Caller, Heard
from wardround.models.handle import ModelHandle
from wardround.models.images import Picture, Pictures, read_picture
from wardround.models.keeping import Calls, LoggedCalls
from wardround.models.local.settings import LocalSettings
from wardround.models.reaching import Reach
from wardround.models.resolve import resolve
from wardround.models.slots import Slots
from wardround.trace.events import (
    CardNamed,
    Event,
    ImageRead,
    Origin,
    Outcome,
    Resumed,
    RunEnded,
    RunStarted,
    SpanKind,
    Suspended,
)
from wardround.trace.recorder import Recorder, Sink, SystemClock
from wardround.trace.views import usage

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from wardround.graphs.state import Context
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
        model: str | BaseChatModel | ModelHandle = "reference",
        *,
        settings: ConsultSettings | None = None,
        workspace: str | Path | None = None,
        base_url: str | None = None,
        concurrency: int = CONCURRENCY,
        rate: float | None = None,
        local: LocalSettings | None = None,
        kept: Sequence[Calls] = (),
        prices: Prices | None = None,
        budget: Budget | None = None,
        card: Card | str | Path | None = None,
        clinician: KnowledgeClinician | None = None,
        roster: Roster | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Set up a ward.

        Args:
            model: A spec such as `reference` or `vllm:NAME`, or any LangChain chat model, or one with what is
                known of it.
            settings: How consults go.
            workspace: Folder where runs and checkpoints are kept; without one nothing is written.
            base_url: Of an OpenAI-compatible server.
            concurrency: Model calls under way at once, over all cases; fewer where the server has too many.
            rate: Model calls begun in a second, at most.
            local: How `hf:` loads and runs a model.
            kept: A cache or a cassette of model calls; asked before the model is.
            prices: What the model costs.
            budget: Of all cases of one session or batch together, beside the budget that each case has. `Budget`
                allows 200 calls unless told otherwise.
            card: Calibration card, or its file, made by `wardround calibrate` for this model and these settings.
            clinician: Knowledge other than the embedded one.
            roster: Specialties other than the embedded ones.
            clock: For times in the log.

        Raises:
            UsageError: The spec names no model, a person is to be asked without a workspace, money is limited
                without prices, or the calibration card was made for another model or other settings.
        """
        self.settings = settings or ConsultSettings()
        self.clinician = clinician or reference_clinician()
        self.roster = roster or embedded_roster()
        self.workspace = Path(workspace) if workspace is not None else None
        self.local = local
        self.model = resolve(
            model,
            clinician=self.clinician,
            base_url=base_url,
            timeout=self.settings.timeout,
            workspace=self.workspace,
            local=local,
        )
        self.concurrency = concurrency
        self.rate = rate
        self.kept = tuple(kept)
        self.prices = prices
        self.budget = budget
        self.clock: Clock = clock or SystemClock()
        if self.settings.escalate and self.workspace is None:
            raise UsageError("asking a person needs a workspace to wait in; give workspace=DIR")
        limits = (self.settings.budget.money, budget.money if budget is not None else None)
        if prices is None and any(limit is not None for limit in limits):
            raise UsageError("a budget of money needs prices; give --prices IN,OUT, or prices=Prices(...)")
        self.card = card if isinstance(card, Card) or card is None else Card.load(card)
        if self.card is not None:
            self.card.require_fit(self.model.spec, self.run_settings)

    def consult(self, case: Case) -> Consult:
        """Consult one case and wait for the decision."""
        return run_sync(lambda: self.aconsult(case))

    async def aconsult(self, case: Case, *, sinks: Sequence[Sink] = (), heard: Heard | None = None) -> Consult:
        """Consult one case.

        Args:
            case: The patient.
            sinks: Told of each event as it happens.
            heard: Told of each piece of an answer as it is written; the model is then asked to stream.

        Raises:
            CaseError: The case says nothing, or something that cannot be read.
            ModelUnavailable: The model could not be reached; nothing is put in its place.
        """
        async with self.session() as session:
            return await session.consult(case, sinks=sinks, heard=heard)

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
        """Go on with a run: answer for one that waits for a person, or pick up one that broke off.

        What a broken run asked and was answered is taken from its log; nothing is asked twice.

        Args:
            run: Id of the run.
            diagnosis: Ends a run that waits with this diagnosis, the clinician's own.
            information: Further findings in words for a run that waits; they are weighed, and the gate decides
                again.
            note: Why, for the log.

        Raises:
            UsageError: There is no such run, it is done, or it waits and no answer is given.
        """
        is_answered = diagnosis is not None or information is not None
        answer = {"diagnosis": diagnosis, "information": information, "note": note} if is_answered else None
        return run_sync(lambda: self._resume(run, answer))

    async def _resume(self, run: str, answer: dict[str, Any] | None) -> Consult:
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
                from wardround.graphs.checkpoints import checkpoints
                from wardround.graphs.state import serializer
                from wardround.trace.store import RunStore

                store = RunStore(self.workspace)
                stack.callback(store.close)
                saver = await stack.enter_async_context(checkpoints(store.checkpoints, serializer()))
            yield Session(self, compile_flow(saver), store)

    @property
    def run_settings(self) -> dict[str, Any]:
        """All that changes the outcome of a consult, beside the case and the model."""
        local = {"local": self.local.model_dump(mode="json")} if self.local is not None else {}
        prices = {"prices": self.prices.model_dump(mode="json")} if self.prices is not None else {}
        card = {"card": self.card.id} if self.card is not None else {}
        return {**self.settings.model_dump(mode="json"), **local, **prices, **card}


class Session:
    """Consults that share a compiled graph, a store, the model's slots and what was found out about it."""

    def __init__(self, ward: Ward, flow: Any, store: RunStore | None) -> None:
        self._ward, self._flow, self._store = ward, flow, store
        self._slots = Slots(ward.concurrency, per_second=ward.rate)
        self._reach = Reach(ward.model, seconds=ward.settings.timeout)
        unlimited = Budget(calls=None)
        self.meter = Meter(ward.budget or unlimited, ward.clock, prices=ward.prices)
        """Counts what all consults of the session use."""

    async def consult(self, case: Case, *, sinks: Sequence[Sink] = (), heard: Heard | None = None) -> Consult:
        """Consult one case."""
        if case.is_empty:
            raise CaseError("it says nothing about the patient", where=f"case {case.id}", mend="give a complaint")
        ward = self._ward
        settings = ward.run_settings
        run = content_id("run", case.model_dump(mode="json"), ward.model.spec, settings)
        recorder = self._recorder(run, sinks)
        if self._store is not None:
            await self._flow.checkpointer.adelete_thread(run)
        recorder.record(RunStarted, case=case.id, model=ward.model.spec, settings=settings)
        if ward.card is not None:
            recorder.record(CardNamed, card=ward.card.to_json())
        if self._store is not None:
            self._store.keep_case(run, case.model_dump_json())
        return await self._run(case, recorder, {}, kept=ward.kept, heard=heard)

    async def resume(self, run: str, answer: dict[str, Any] | None) -> Consult:
        """Go on with a run that waits for a person, or that broke off."""
        from langgraph.types import Command

        if self._store is None:
            raise UsageError("resuming needs the workspace of the run; give workspace=DIR")
        row = self._store.find(run)
        is_waiting = row.state == "suspended"
        if row.state == Outcome.DONE.value or (answer is not None and not is_waiting):
            raise UsageError(f"run {row.id} waits for nobody; it is {row.state}")
        if is_waiting and answer is None:
            raise UsageError(f"run {row.id} waits for a person; give a diagnosis or further information")
        case = Case.model_validate_json(self._store.case(row.id))
        earlier = self._store.events(row.id)
        recorder = self._recorder(row.id, (), earlier)
        recorder.record(Resumed, answer=answer)
        logged = LoggedCalls(earlier, run=row.id, origin=Origin.LOG)
        entry = Command(resume=answer) if is_waiting else await self._where_it_broke_off(row.id)
        return await self._run(case, recorder, entry, kept=(logged, *self._ward.kept))

    async def _where_it_broke_off(self, run: str) -> Any:
        """Go on from the last checkpoint, which LangGraph does where nothing is given; else from the start."""
        config = {"configurable": {"thread_id": run}}
        return None if await self._flow.checkpointer.aget_tuple(config) is not None else {}

    def _recorder(self, run: str, sinks: Sequence[Sink], earlier: Sequence[Event] = ()) -> Recorder:
        from langgraph.errors import GraphInterrupt

        written: list[Sink] = [self._store.writer(run)] if self._store is not None else []
        return Recorder(run, [*written, *sinks], clock=self._ward.clock, earlier=earlier, suspension=GraphInterrupt)

    async def _run(
        self, case: Case, recorder: Recorder, entry: Any, *, kept: Sequence[Calls], heard: Heard | None = None
    ) -> Consult:
        from wardround.graphs.flow import RECURSION_LIMIT

        ward = self._ward
        config = {"configurable": {"thread_id": recorder.run}, "recursion_limit": RECURSION_LIMIT}
        durability = {"durability": "async" if ward.settings.escalate else "exit"} if self._store else {}
        try:
            with recorder.span("consult", SpanKind.RUN):
                context = await self._context(case, recorder, kept, heard)
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

    async def _context(self, case: Case, recorder: Recorder, kept: Sequence[Calls], heard: Heard | None) -> Context:
        from wardround.graphs.state import Context

        ward = self._ward
        settings = ward.settings
        model = await self._model(case, recorder)
        pictures = _pictures(case, recorder, settings.image_side) if model.images else ()
        meter = Meter(settings.budget, recorder.clock, prices=ward.prices, whole=self.meter)
        meter.go_on(usage(recorder.events))  # before a resume, if there was one
        caller = Caller(
            model=model,
            recorder=recorder,
            meter=meter,
            slots=self._slots,
            timeout=settings.timeout,
            kept=tuple(kept),
            pictures=Pictures(pictures),
            heard=heard,
        )
        return Context(
            case=case,
            clinician=ward.clinician,
            roster=ward.roster,
            settings=settings,
            recorder=recorder,
            asker=Asker(caller, settings.seed, max_tokens=settings.max_tokens, logprobs=settings.logprobs),
            pictures=pictures,
            card=ward.card,
        )

    async def _model(self, case: Case, recorder: Recorder) -> ModelHandle:
        """Find out what the model can do, as far as this case needs it."""
        wanted = self._ward.settings.tools
        model = await self._reach.model(images=bool(case.images), tools=wanted == "auto")
        if wanted != "auto":
            model = replace(model, tools=wanted == "native")
        self._reach.record(recorder, model)
        return model


def _pictures(case: Case, recorder: Recorder, side: int) -> tuple[Picture, ...]:
    """Read the images of a case."""
    pictures = tuple(read_picture(ref, max_side=side) for ref in case.images)
    for picture in pictures:
        recorder.record(
            ImageRead,
            uri=picture.uri,
            sha256=picture.sha256,
            original=picture.original,
            width=picture.width,
            height=picture.height,
            changes=picture.changes,
            problems=picture.problems,
        )
    return pictures
