"""Consults that are under way: what they share, how one is begun, resumed, forked and replayed."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wardround.agents.roles import ATTENDING, PLANNER, TRIAGE
from wardround.core.case import Case
from wardround.core.errors import CaseError, UsageError
from wardround.core.frozen import content_id
from wardround.graphs.consult import Consult
from wardround.graphs.edits import Edits, checked
from wardround.graphs.forking import Fork
from wardround.graphs.shown import shown_in
from wardround.models.asking import Asker
from wardround.models.budget import Budget, Meter
from wardround.models.calling import Caller, Heard
from wardround.models.handle import ModelHandle
from wardround.models.images import Picture, Pictures, read_picture
from wardround.models.keeping import Calls, LoggedCalls
from wardround.models.reaching import Reach
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
from wardround.trace.recorder import Recorder, Sink
from wardround.trace.views import usage

if TYPE_CHECKING:
    from wardround.graphs.state import Context
    from wardround.graphs.ward import Ward
    from wardround.trace.store import RunStore


class Session:
    """Consults that share a compiled graph, a store, the model's slots and what was found out about it."""

    def __init__(self, ward: Ward, flow: Any, store: RunStore | None) -> None:
        self._ward, self._flow, self._store = ward, flow, store
        self._slots = Slots(ward.concurrency, per_second=ward.rate)
        self._reach = Reach(ward.model, seconds=ward.settings.timeout)
        unlimited = Budget(calls=None)
        self.meter = Meter(ward.budget or unlimited, ward.clock, prices=ward.prices)
        """Counts what all consults of the session use."""

    async def consult(
        self,
        case: Case,
        *,
        sinks: Sequence[Sink] = (),
        heard: Heard | None = None,
        fork: Fork | None = None,
        run: str | None = None,
        shown: Sequence[Picture] = (),
    ) -> Consult:
        """Consult one case.

        Args:
            case: The patient.
            sinks: Told of each event as it happens.
            heard: Told of each piece of an answer as it is written.
            fork: Of which run this one is a changed repetition.
            run: Id of the run; made of case, model and settings unless given, as it is in a replay.
            shown: Images of the case as they were read before; they are read anew unless given.
        """
        if case.is_empty:
            raise CaseError("it says nothing about the patient", where=f"case {case.id}", mend="give a complaint")
        ward = self._ward
        settings = ward.run_settings
        if fork is not None:  # a card was not made of changed runs
            settings = {**{k: v for k, v in settings.items() if k != "card"}, "fork": fork.as_setting()}
        run = run or content_id("run", case.model_dump(mode="json"), ward.model.spec, settings)
        recorder = self._recorder(run, sinks)
        if self._flow.checkpointer is not None:
            await self._flow.checkpointer.adelete_thread(run)
        recorder.record(RunStarted, case=case.id, model=ward.model.spec, settings=settings)
        if ward.card is not None and fork is None:
            recorder.record(CardNamed, card=ward.card.to_json())
        if self._store is not None:
            self._store.keep_case(run, case.model_dump_json())
        kept = ward.kept if fork is None or fork.edits.anew_from is None else ()  # a cache would not ask anew
        return await self._run(case, recorder, {}, kept=kept, heard=heard, fork=fork, shown=shown)

    async def resume(
        self, run: str, answer: dict[str, Any] | None, *, shown: Sequence[Picture] | None = None
    ) -> Consult:
        """Go on with a run that waits for a person, or that broke off; see `Ward.resume`.

        Args:
            run: Its id.
            answer: Of the person.
            shown: Images of the case as they were read before; those that are kept with the run unless given.
        """
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
        fork = Fork.recorded(earlier, self._store)
        shown = shown_in(earlier, case, self._store) if shown is None else shown
        return await self._run(case, recorder, entry, kept=(logged, *self._ward.kept), fork=fork, shown=shown)

    async def fork(self, run: str, edits: Edits, *, sinks: Sequence[Sink] = ()) -> Consult:
        """Repeat a run with a change; see `Ward.fork`."""
        if self._store is None:
            raise UsageError("a fork needs the workspace of the run; give workspace=DIR")
        row = self._store.find(run)
        case = Case.model_validate_json(self._store.case(row.id))
        events = self._store.events(row.id)
        fork = Fork.of_run(row.id, checked(edits), events)
        self._require_known(edits)
        if edits.model is not None:  # before anything is written, since it may not be there
            fork.other = self._ward.resolved(edits.model)
        return await self.consult(case, sinks=sinks, fork=fork, shown=shown_in(events, case, self._store))

    def _require_known(self, edits: Edits) -> None:
        """Check who is to ask the other model."""
        known = {TRIAGE, PLANNER, ATTENDING, *self._ward.roster.ids}
        strange = [agent for agent in edits.agents if agent not in known]
        if strange:
            raise UsageError(f"no agent is called {', '.join(strange)}; there are {', '.join(sorted(known))}")

    async def _where_it_broke_off(self, run: str) -> Any:
        """Go on from the last checkpoint, which LangGraph does where nothing is given; else from the start."""
        config = {"configurable": {"thread_id": run}}
        return None if await self._flow.checkpointer.aget_tuple(config) is not None else {}

    def _recorder(self, run: str, sinks: Sequence[Sink], earlier: Sequence[Event] = ()) -> Recorder:
        from langgraph.errors import GraphInterrupt

        written: list[Sink] = [self._store.writer(run)] if self._store is not None else []
        return Recorder(run, [*written, *sinks], clock=self._ward.clock, earlier=earlier, suspension=GraphInterrupt)

    async def _run(
        self,
        case: Case,
        recorder: Recorder,
        entry: Any,
        *,
        kept: Sequence[Calls],
        heard: Heard | None = None,
        fork: Fork | None = None,
        shown: Sequence[Picture] = (),
    ) -> Consult:
        from wardround.graphs.flow import RECURSION_LIMIT

        ward = self._ward
        config = {"configurable": {"thread_id": recorder.run}, "recursion_limit": RECURSION_LIMIT}
        keeps = self._flow.checkpointer is not None
        durability = {"durability": "async" if ward.settings.escalate else "exit"} if keeps else {}
        try:
            with recorder.span("consult", SpanKind.RUN):
                context = await self._context(case, recorder, kept, heard, fork, shown)
                result = await self._flow.ainvoke(entry, config, context=context, **durability)
                if fork is not None and not result.get("__interrupt__"):
                    fork.require_used(recorder.events)
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
        return Consult.from_events(case, recorder.events, workspace=ward.workspace)

    async def _context(
        self,
        case: Case,
        recorder: Recorder,
        kept: Sequence[Calls],
        heard: Heard | None,
        fork: Fork | None,
        shown: Sequence[Picture],
    ) -> Context:
        from wardround.graphs.state import Context

        ward = self._ward
        settings = ward.settings
        model = await self._model(case, recorder)
        pictures = self._pictures(case, recorder, shown) if model.images else ()
        meter = Meter(settings.budget, recorder.clock, prices=ward.prices, whole=self.meter)
        meter.go_on(usage(recorder.events))  # before a resume, if there was one
        caller = Caller(
            model=model,
            recorder=recorder,
            meter=meter,
            slots=self._slots,
            timeout=settings.timeout,
            kept=(*(fork.calls if fork is not None else ()), *kept),
            pictures=Pictures(pictures),
            heard=heard,
        )
        edits = fork.edits if fork is not None else Edits()
        return Context(
            case=case,
            clinician=ward.clinician,
            roster=ward.roster,
            settings=settings,
            recorder=recorder,
            asker=self._asker(caller),
            pictures=pictures,
            card=ward.card if fork is None else None,
            edits=edits,
            other=self._asker(await self._other(caller, fork))
            if fork is not None and edits.model is not None
            else None,
            other_after=fork.other_after if fork is not None else 0,
        )

    def _asker(self, caller: Caller) -> Asker:
        settings = self._ward.settings
        return Asker(caller, settings.seed, max_tokens=settings.max_tokens, logprobs=settings.logprobs)

    async def _other(self, caller: Caller, fork: Fork) -> Caller:
        """Return the same caller of the fork's other model, after finding out what that one can do."""
        given = fork.other or self._ward.resolved(fork.edits.model or "")
        reach = Reach(given, seconds=self._ward.settings.timeout)
        model = await reach.model(images=bool(caller.pictures), tools=self._ward.settings.tools == "auto")
        reach.record(caller.recorder, model)
        return replace(caller, model=model)

    def _pictures(self, case: Case, recorder: Recorder, shown: Sequence[Picture]) -> tuple[Picture, ...]:
        """Read the images of a case where they were not read before; what is sent is kept beside the log."""
        side = self._ward.settings.image_side
        pictures = tuple(shown) or tuple(read_picture(ref, max_side=side) for ref in case.images)
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
            if self._store is not None:
                self._store.put(picture.data, picture.mime_type, run=recorder.run)
        return pictures

    async def _model(self, case: Case, recorder: Recorder) -> ModelHandle:
        """Find out what the model can do, as far as this case needs it."""
        wanted = self._ward.settings.tools
        model = await self._reach.model(images=bool(case.images), tools=wanted == "auto")
        if wanted != "auto":
            model = replace(model, tools=wanted == "native")
        self._reach.record(recorder, model)
        return model
