"""The ward: a model, specialists and rules that look at cases together."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wardround.agents.roster import Roster, embedded_roster
from wardround.core.blocking import run_sync
from wardround.core.calibration.card import Card
from wardround.core.case import Case
from wardround.core.errors import UsageError
from wardround.core.ports import Clock
from wardround.graphs.consult import Consult
from wardround.graphs.edits import Edits
from wardround.graphs.session import Session
from wardround.graphs.settings import ConsultSettings
from wardround.knowledge.clinician import KnowledgeClinician, reference_clinician
from wardround.models.budget import Budget, Prices
from wardround.models.calling import Heard
from wardround.models.handle import ModelHandle
from wardround.models.keeping import Calls
from wardround.models.local.settings import LocalSettings
from wardround.models.resolve import resolve
from wardround.trace.events import (
    Event,
)
from wardround.trace.recorder import Sink, SystemClock
from wardround.trace.workspaces import workspace_of

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel


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
        content: bool = True,
        base_url: str | None = None,
        concurrency: int = CONCURRENCY,
        rate: float | None = None,
        local: LocalSettings | None = None,
        kept: Sequence[Calls] = (),
        prices: Prices | None = None,
        budget: Budget | None = None,
        card: Card | str | Path | None = None,
        suite: str | None = None,
        clinician: KnowledgeClinician | None = None,
        roster: Roster | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Set up a ward.

        Args:
            model: A spec such as `reference` or `vllm:NAME`, or any LangChain chat model, or one with what is
                known of it.
            settings: How consults go.
            workspace: Folder, or address of a PostgreSQL database, where runs and checkpoints are kept; without one
                nothing is written.
            content: Whether what patients, models and people said is kept there; without it runs can be counted, and
                neither resumed nor replayed.
            base_url: Of an OpenAI-compatible server.
            concurrency: Model calls under way at once, over all cases; fewer where the server has too many.
            rate: Model calls begun in a second, at most.
            local: How `hf:` loads and runs a model.
            kept: A cache or a cassette of model calls; asked before the model is.
            prices: What the model costs.
            budget: Of all cases of one session or batch together, beside the budget that each case has. `Budget`
                allows 200 calls unless told otherwise.
            card: Calibration card, or its file, made by `wardround calibrate` for this model and these settings.
            suite: Name of the tasks that the cases belong to, by which their runs are found.
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
        self.workspace = workspace_of(workspace) if workspace is not None else None
        self.content = content
        self.local = local
        self.base_url = base_url
        self.model = self.resolved(model)
        self.concurrency = concurrency
        self.rate = rate
        self.kept = tuple(kept)
        self.prices = prices
        self.budget = budget
        self.suite = suite
        self.clock: Clock = clock or SystemClock()
        if self.settings.escalate and (self.workspace is None or not content):
            raise UsageError("asking a person needs a workspace to wait in, with content; give workspace=DIR")
        limits = (self.settings.budget.money, budget.money if budget is not None else None)
        if prices is None and any(limit is not None for limit in limits):
            raise UsageError("a budget of money needs prices; give --prices IN,OUT, or prices=Prices(...)")
        self.card = card if isinstance(card, Card) or card is None else Card.load(card)
        if self.card is not None:
            self.card.require_fit(self.model.spec, self.run_settings)

    def resolved(self, model: str | BaseChatModel | ModelHandle) -> ModelHandle:
        """Return a model as this ward reaches it."""
        return resolve(
            model,
            clinician=self.clinician,
            base_url=self.base_url,
            timeout=self.settings.timeout,
            workspace=self.workspace,
            local=self.local,
        )

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

    def fork(self, run: str, edits: Edits) -> Consult:
        """Repeat a run with a change, doing anew only what depends on it.

        Whatever is asked as it was asked in the run is answered from its log.

        Args:
            run: Id of the run, which this ward's workspace holds.
            edits: What is changed.

        Raises:
            UsageError: There is no such run, nothing is changed, or what was changed did not come up.
        """
        return run_sync(lambda: self._fork(run, edits))

    async def _fork(self, run: str, edits: Edits) -> Consult:
        async with self.session() as session:
            return await session.fork(run, edits)

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

                store = RunStore(self.workspace, content=self.content)
                stack.callback(store.close)
                if self.content:  # checkpoints hold all that was said
                    saver = await stack.enter_async_context(checkpoints(store, serializer()))
            yield Session(self, compile_flow(saver), store)

    @property
    def run_settings(self) -> dict[str, Any]:
        """All that changes the outcome of a consult, beside the case and the model."""
        local = {"local": self.local.model_dump(mode="json")} if self.local is not None else {}
        prices = {"prices": self.prices.model_dump(mode="json")} if self.prices is not None else {}
        card = {"card": self.card.id} if self.card is not None else {}
        suite = {"suite": self.suite} if self.suite is not None else {}
        return {**self.settings.model_dump(mode="json"), **local, **prices, **card, **suite}
