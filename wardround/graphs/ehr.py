"""The record agent: one model that does one task in a patient's record."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wardround.agents.ehr.acting import Acting, WriteProposed
from wardround.agents.ehr.conversation import Conversation, turns
from wardround.agents.ehr.episode import Episode, EpisodeStatus
from wardround.agents.ehr.native import NativeProtocol
from wardround.agents.ehr.protocol import Protocol
from wardround.core.case import Case
from wardround.core.errors import UsageError, WardroundError
from wardround.core.frozen import content_id
from wardround.core.ports import Clock
from wardround.graphs.ehr_keeping import Keeping, Work
from wardround.knowledge.clinician import reference_clinician
from wardround.models.budget import Budget, Meter
from wardround.models.calling import Caller
from wardround.models.handle import ModelHandle
from wardround.models.reaching import record_reached
from wardround.models.requests import Options
from wardround.models.resolve import resolve
from wardround.models.slots import Slots
from wardround.tools.fhir.session import RecordSession
from wardround.trace.events import Event, Outcome, Resumed, RunEnded, RunStarted, SpanKind, Suspended
from wardround.trace.recorder import Recorder, Sink, SystemClock
from wardround.trace.views import usage
from wardround.trace.workspaces import workspace_of

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.tools import BaseTool
    from langgraph.checkpoint.base import BaseCheckpointSaver

    from wardround.graphs.ehr_flow import EhrContext

MAX_ROUNDS = 8
"""Turns of the model in one episode, as in MedAgentBench."""

Tools = Callable[[RecordSession], Sequence["BaseTool"]]
"""Makes the tools of a session."""


class WriteAwaitsPerson(WardroundError):
    """An episode is suspended until a person says whether a write may be made; `EhrAgent.resume` goes on with it."""

    def __init__(self, run: str, proposal: dict[str, Any]) -> None:
        """Say which write of which run waits.

        Args:
            run: Id of the run.
            proposal: `method`, `path`, `body`, `summary` and `warnings` of the write.
        """
        self.run, self.proposal = run, proposal
        super().__init__(f"run {run} waits for a person: {proposal['summary']}; answer with resume(run, approve=...)")


class EhrAgent:
    """Does tasks in patients' records, each in an episode of at most `max_rounds` turns.

    Episodes may run at the same time, each on a session of its own.
    """

    def __init__(
        self,
        model: str | BaseChatModel | ModelHandle,
        protocol: Protocol | None = None,
        *,
        max_rounds: int = MAX_ROUNDS,
        budget: Budget | None = None,
        timeout: float = 120.0,
        temperature: float = 0.0,
        seed: int = 0,
        tools: Tools | None = None,
        suite: str | None = None,
        workspace: str | Path | None = None,
        base_url: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Set up an agent.

        Args:
            model: A spec such as `vllm:NAME`, any LangChain chat model, or one with what is known of it.
            protocol: How model and record talk; native tool calls unless given.
            max_rounds: Turns of the model in one episode.
            budget: Of one episode; what a person takes to answer does not count.
            timeout: Seconds for one model call.
            temperature: For models that sample.
            seed: For models that sample.
            tools: Makes the tools of a session; those of `tools.fhir.toolbox` unless given.
            suite: Name of the tasks that these belong to, by which their runs are found.
            workspace: Folder where runs are kept, and wait for a person; without one they wait in this object.
            base_url: Of an OpenAI-compatible server.
            clock: For times in the log, and for what a tool takes as the present.

        Raises:
            UsageError: The spec names no model, or there are no rounds.
        """
        if max_rounds < 1:
            raise UsageError(f"{max_rounds} rounds leave the model no turn; give max_rounds of at least 1")
        folder = workspace_of(workspace) if workspace is not None else None
        self.model = resolve(
            model, clinician=reference_clinician(), base_url=base_url, timeout=timeout, workspace=folder
        )
        self.protocol: Protocol = protocol or NativeProtocol()
        self.max_rounds = max_rounds
        self.budget = budget or Budget()
        self.timeout, self.temperature, self.seed = timeout, temperature, seed
        self.clock: Clock = clock or SystemClock()
        self.suite = suite
        self._tools: Tools = tools or self._record_tools
        self._keeping = Keeping(folder)

    async def run(
        self,
        task: str,
        session: RecordSession,
        *,
        case: str | None = None,
        api_base: str | None = None,
        rollout: int = 0,
        sinks: Sequence[Sink] = (),
    ) -> Episode:
        """Work on a task until the model finishes, or cannot.

        Args:
            task: What is to be done, in words, with its context.
            session: What the agent is let do; it serves one episode at a time.
            case: Name of the task in the log.
            api_base: Base URL that the model is told; the one of the session's client unless given.
            rollout: Which of several tries of the same task; it varies the seed.
            sinks: Told of each event as it happens.

        Raises:
            WriteAwaitsPerson: A write waits for a person whom the session asks by `ask_later`.
            UsageError: The task is empty, the session is in use, or the model cannot be asked by this protocol.
        """
        if not task.strip():
            raise UsageError("the task is empty; say what is to be done")
        work = Work(task, session, api_base or session.client.base_url, rollout, tuple(sinks))
        settings = self._settings(work)
        run = content_id("run", self.model.spec, settings)
        tools = self._tools(session) if self.protocol.takes_tools else ()
        options = self.protocol.options(self.model, tools)
        async with self._keeping.opened(run, session) as (store, saver):
            from wardround.graphs.ehr_flow import beginning  # LangGraph takes long to import

            self._keeping.forget(run)
            recorder = self._recorder(run, store.writer(run) if store is not None else None, work)
            named = Case(id=case or "", narrative=task)
            recorder.record(RunStarted, case=named.id, model=self.model.spec, settings=settings)
            record_reached(recorder, self.model)
            if store is not None:
                store.keep_case(run, named.model_dump_json())
            if saver is not None:
                await saver.adelete_thread(run)
            entry = beginning(self.protocol.opening(task, tools, work.api_base))
            return await self._go(work, recorder, saver, entry, self._context(work, recorder, tools, options))

    async def resume(
        self,
        run: str,
        *,
        approve: bool,
        note: str = "",
        session: RecordSession | None = None,
        sinks: Sequence[Sink] = (),
    ) -> Episode:
        """Answer for a write that waits, and go on with its episode.

        Args:
            run: Id of the run, as `WriteAwaitsPerson` names it.
            approve: Whether the write may be made.
            note: Why, for the log.
            session: To go on with; needed where the run was suspended by another process.
            sinks: Told of each event from here on, beside those given to `run` in this process.

        Raises:
            WriteAwaitsPerson: A further write waits.
            UsageError: No such run waits, or it was begun with other settings.
        """
        waiting = self._keeping.suspended(run, session)
        work, run = replace(waiting.work, sinks=(*waiting.work.sinks, *sinks)), waiting.started.run
        if waiting.started.settings != self._settings(work) or waiting.started.model != self.model.spec:
            raise UsageError(f"run {run} was begun with another agent or session; resume it with the same settings")
        tools = self._tools(work.session) if self.protocol.takes_tools else ()
        options = self.protocol.options(self.model, tools)
        async with self._keeping.opened(run, work.session) as (store, saver):
            from langgraph.types import Command

            writer = store.writer(run) if store is not None else None
            recorder = self._recorder(run, writer, work, waiting.events)
            recorder.record(Resumed, answer={"approved": approve, "note": note})
            self._keeping.claim(store, writer, run)
            entry: Any = Command(resume={"approved": approve})
            return await self._go(work, recorder, saver, entry, self._context(work, recorder, tools, options))

    def _record_tools(self, session: RecordSession) -> Sequence[BaseTool]:
        from wardround.tools.fhir.toolbox import record_tools

        return record_tools(session, reference_clinician().kb, self.clock)

    def _settings(self, work: Work) -> dict[str, Any]:
        return {
            "agent": "ehr",
            "task": work.task,
            "rollout": work.rollout,
            "api_base": work.api_base,
            "server": work.session.client.base_url,
            "patient": work.session.patient,
            "policy": work.session.policy.value,
            "pretend": work.session.pretend,
            "protocol": self.protocol.name,
            "max_rounds": self.max_rounds,
            "budget": self.budget.model_dump(mode="json"),
            "timeout": self.timeout,
            "temperature": self.temperature,
            "seed": self.seed,
            **({"suite": self.suite} if self.suite is not None else {}),
        }

    def _recorder(self, run: str, writer: Sink | None, work: Work, earlier: Sequence[Event] = ()) -> Recorder:
        sinks = [*([writer] if writer is not None else []), *work.sinks]
        return Recorder(run, sinks, clock=self.clock, earlier=earlier, suspension=WriteProposed)

    def _context(
        self,
        work: Work,
        recorder: Recorder,
        tools: Sequence[BaseTool],
        options: Options,
    ) -> EhrContext:
        from wardround.graphs.ehr_flow import EhrContext

        meter = Meter(self.budget, recorder.clock)
        meter.go_on(usage(recorder.events))  # before a resume, if there was one
        conversation = Conversation(
            caller=Caller(self.model, recorder, meter, Slots(1), self.timeout),
            options=options,
            protocol=self.protocol.name,
            rollout=work.rollout,
            temperature=self.temperature,
            seed=self.seed,
        )
        acting = Acting(work.session, {tool.name: tool for tool in tools}, work.api_base, recorder)
        return EhrContext(self.protocol, conversation, acting, recorder, self.max_rounds)

    async def _go(
        self, work: Work, recorder: Recorder, saver: BaseCheckpointSaver[Any] | None, entry: Any, context: EhrContext
    ) -> Episode:
        from wardround.graphs.ehr_flow import RECURSION_LIMIT, compile_ehr_flow, unkept_flow

        config = {"configurable": {"thread_id": recorder.run}, "recursion_limit": RECURSION_LIMIT}
        flow = compile_ehr_flow(saver) if saver is not None else unkept_flow()
        kept = {"durability": "sync"} if saver is not None else {}
        try:
            with recorder.span("episode", SpanKind.RUN):
                state = await flow.ainvoke(entry, config, context=context, **kept)
        except BaseException as error:
            fault: str | None = f"{type(error).__name__}: {error}"
            with contextlib.suppress(Exception):  # the first fault is the one to be seen
                recorder.record(RunEnded, outcome=Outcome.FAILED, error=fault)
            raise
        interrupts = state.get("__interrupt__", ())
        if interrupts:
            recorder.record(Suspended, question=interrupts[0].value)
            self._keeping.hold(work, recorder.events)
            raise WriteAwaitsPerson(recorder.run, interrupts[0].value)
        episode = _episode(state)
        is_done = episode.status is EpisodeStatus.COMPLETED
        fault = None if is_done else f"{episode.status.value}: {episode.error}"
        recorder.record(RunEnded, outcome=Outcome.DONE if is_done else Outcome.FAILED, error=fault)
        if saver is not None:
            await saver.adelete_thread(recorder.run)
        return episode


def _episode(state: dict[str, Any]) -> Episode:
    return Episode(
        turns=turns(state["messages"]),
        status=EpisodeStatus(state["status"]),
        result=state["result"],
        calls=tuple(state["calls"]),
        error=state["error"],
    )
