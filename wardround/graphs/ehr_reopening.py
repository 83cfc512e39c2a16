"""The record agent of a run that is kept, and a person's answer to the write for which it waits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from wardround.agents.ehr.acting import ask_later
from wardround.agents.ehr.episode import Episode
from wardround.agents.ehr.json_protocol import JsonProtocol
from wardround.agents.ehr.native import NativeProtocol
from wardround.agents.ehr.protocol import Protocol
from wardround.agents.ehr.text_protocol import TextProtocol
from wardround.core.blocking import run_sync
from wardround.core.errors import UsageError
from wardround.core.ports import Clock
from wardround.graphs.ehr import EhrAgent
from wardround.models.budget import Budget
from wardround.models.handle import ModelHandle
from wardround.tools.fhir.session import RecordSession, WritePolicy
from wardround.trace.events import RunStarted, Suspended
from wardround.trace.store import RunStore
from wardround.trace.visits import is_record_agent

if TYPE_CHECKING:
    from wardround.tools.fhir.client import FhirClient

_PROTOCOLS: dict[str, Callable[[], Protocol]] = {
    protocol.name: protocol for protocol in (JsonProtocol, NativeProtocol, TextProtocol)
}
_ATTEMPTS = 2
"""A person waits for the answer, so that a server that is away is named soon."""


def reopened_agent(
    started: RunStarted,
    *,
    model: ModelHandle | None = None,
    workspace: str | Path | None = None,
    base_url: str | None = None,
    clock: Clock | None = None,
) -> EhrAgent:
    """Return a record agent with the settings of a run.

    Tools that a caller made himself are not in the log; the agent has those of `tools.fhir.toolbox`.

    Args:
        started: How the run began.
        model: In place of the one that was asked.
        workspace: Where the run is kept.
        base_url: Of an OpenAI-compatible server.
        clock: Another than this machine's.

    Raises:
        UsageError: It is a consult, or has settings that this version does not know.
    """
    begun = started.settings
    if not is_record_agent([started]):
        raise UsageError(f"run {started.run} is a consult and asks for no write; answer with a diagnosis")
    try:
        return EhrAgent(
            model or started.model,
            _PROTOCOLS[begun["protocol"]](),
            max_rounds=begun["max_rounds"],
            budget=Budget.model_validate(begun["budget"]),
            timeout=begun["timeout"],
            temperature=begun["temperature"],
            seed=begun["seed"],
            suite=begun.get("suite"),
            workspace=workspace,
            base_url=base_url,
            clock=clock,
        )
    except (KeyError, ValidationError) as error:
        what = f"run {started.run} was made with settings of another version ({error})"
        raise UsageError(f"{what}; give its task to the agent anew") from error


def reopened_session(started: RunStarted, client: FhirClient) -> RecordSession:
    """Return a session that lets a record agent do what the one of a run did, and asks a person later.

    Args:
        started: How the run began.
        client: Talks to the server of the run.
    """
    begun = started.settings
    return RecordSession(
        client,
        patient=begun["patient"],
        policy=WritePolicy(begun["policy"]),
        person=ask_later,
        pretend=begun["pretend"],
    )


def answer_write(
    store: RunStore,
    run: str,
    *,
    approve: bool,
    workspace: str | Path,
    note: str = "",
    base_url: str | None = None,
    token: str | None = None,
) -> Episode:
    """Say whether the write of a record agent that waits may be made, and go on with its run.

    Args:
        store: Where the run is kept.
        run: Id of the run.
        approve: Whether the write may be made.
        workspace: The folder of the store.
        note: Why, for the log.
        base_url: Of an OpenAI-compatible server.
        token: Bearer token of the FHIR server; it is not kept.

    Raises:
        UsageError: The run is a consult or waits for nobody, or its server cannot be reached; it waits as before.
        WriteAwaitsPerson: A further write waits.
    """
    events = store.events(run)
    started = events[0] if events else None
    if not isinstance(started, RunStarted):
        raise UsageError(f"run {run} has no beginning in the log; it cannot be gone on with")
    agent = reopened_agent(started, workspace=workspace, base_url=base_url)
    if not isinstance(events[-1], Suspended):
        raise UsageError(f"run {run} waits for nobody; there is no write to be answered")
    return run_sync(lambda: _answered(agent, started, approve=approve, note=note, token=token))


async def _answered(agent: EhrAgent, started: RunStarted, *, approve: bool, note: str, token: str | None) -> Episode:
    from wardround.tools.fhir.client import FhirClient

    await _require_reachable(started, token)
    async with FhirClient(started.settings["server"], token=token) as client:
        return await agent.resume(started.run, approve=approve, note=note, session=reopened_session(started, client))


async def _require_reachable(started: RunStarted, token: str | None) -> None:
    """Ask the server for its patient before the answer stands in the log, where it could not be taken back."""
    from wardround.tools.fhir.client import FhirClient, FhirRequestError

    server = started.settings["server"]
    try:
        async with FhirClient(server, token=token, attempts=_ATTEMPTS, timeout=10.0) as client:
            status = (await client.request("GET", started.settings["patient"] or "metadata")).status
    except FhirRequestError as error:
        what = f"the FHIR server {server} of run {started.run} cannot be reached ({error})"
        raise UsageError(f"{what}; start it and answer again, the run still waits") from error
    if status in (401, 403):
        what = f"the FHIR server {server} of run {started.run} does not let us in (status {status})"
        raise UsageError(f"{what}; give its bearer token (WARDROUND_FHIR_TOKEN) and answer again, the run still waits")
    if status >= 500:
        what = f"the FHIR server {server} of run {started.run} is out of order (status {status})"
        raise UsageError(f"{what}; mend it and answer again, the run still waits")
