"""One task played: an agent works on it in a place of its own, and what came of it is graded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from wardround.agents.ehr.episode import Episode
from wardround.agents.ehr.json_protocol import JsonProtocol
from wardround.agents.ehr.native import NativeProtocol
from wardround.agents.ehr.protocol import Protocol
from wardround.agents.ehr.text_protocol import TextProtocol
from wardround.core.errors import UsageError
from wardround.evals.records.grading import Mode
from wardround.evals.records.ground import RemoteGround, SandboxGround
from wardround.evals.records.judging import judge
from wardround.evals.records.suite import POLICIES, Graded, PolicyName, RecordSample, RecordSuite
from wardround.graphs.ehr import EhrAgent
from wardround.knowledge.clinician import reference_clinician
from wardround.models.budget import Budget
from wardround.models.handle import ModelHandle
from wardround.testing.clock import RunningClock
from wardround.tools.fhir.session import RecordSession, WritePolicy
from wardround.tools.fhir.toolbox import record_tools
from wardround.trace.events import Event

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.tools import BaseTool

AgentName = Literal["oracle", "null", "random", "reference", "model"]
AGENTS: tuple[AgentName, ...] = (*POLICIES, "reference", "model")
ProtocolName = Literal["text", "json", "native"]
MAX_ROUNDS = 8
"""Turns of an agent in one episode, as in MedAgentBench."""
ROOM = Budget(calls=100, tokens=2_000_000, seconds=1800)
"""Of one episode; the rounds are what is meant to limit it."""


@dataclass(frozen=True)
class Playing:
    """How the tasks of a suite are played."""

    agent: AgentName
    model: str | BaseChatModel | None = None
    """For the agent `model`."""
    protocol: ProtocolName = "text"
    base_url: str | None = None
    """Of an OpenAI-compatible server."""
    seed: int = 0
    workspace: Path | None = None
    """Where each episode is kept as a run, and what came of it as a judgement; without one, nothing is."""


@dataclass(frozen=True)
class Played:
    """One task, played and graded."""

    episode: Episode
    graded: Graded
    run: str


async def play(
    suite: RecordSuite, sample: RecordSample, ground: SandboxGround | RemoteGround, mode: Mode, playing: Playing
) -> Played:
    """Play one task and grade it.

    Raises:
        UsageError: The agent cannot be played so.
    """
    async with ground.place(mode) as place:
        base = place.client.base_url
        agent = _agent(suite, sample, base, mode, playing)
        runs: list[str] = []
        session = RecordSession(place.client, policy=WritePolicy.ALLOW, pretend=mode == "compat")
        name = f"{suite.name}/{mode}/{playing.agent}/{sample.id}"
        episode = await agent.run(sample.prompt, session, case=name, api_base=base, sinks=[_runs(runs)])
        graded = await suite.grade(sample, episode, await place.changes(), place.before, mode, base)
    if playing.workspace is not None:
        judge(playing.workspace, runs[0], graded.grade, now=datetime.now(UTC))
    return Played(episode, graded, runs[0])


def _runs(runs: list[str]) -> Callable[[Event], None]:
    def sink(event: Event) -> None:
        if not runs:
            runs.append(event.run)

    return sink


def _agent(suite: RecordSuite, sample: RecordSample, base: str, mode: Mode, playing: Playing) -> EhrAgent:
    name = playing.agent
    model: str | BaseChatModel | ModelHandle
    if name == "model":
        if playing.model is None:
            raise UsageError("the agent 'model' needs a --model, such as vllm:NAME")
        model = playing.model
    elif name == "reference":
        model = "reference"
    else:
        policy: PolicyName = name
        chat = suite.policy(policy, sample, base, mode, playing.seed)
        model = ModelHandle(f"policy:{name}", chat, constrained=False, sampled=False)
    if mode == "compat" and playing.protocol != "text":
        raise UsageError("compat mode is about the published text protocol; leave --protocol out")
    spoken = protocol(playing.protocol if name in ("reference", "model") else "text", suite)
    return EhrAgent(
        model,
        spoken,
        max_rounds=MAX_ROUNDS,
        budget=ROOM,
        seed=playing.seed,
        suite=_suite_name(suite, mode),
        workspace=playing.workspace,
        base_url=playing.base_url,
        tools=lambda session: [] if isinstance(spoken, TextProtocol) else _tools(session, suite),
    )


def _suite_name(suite: RecordSuite, mode: Mode) -> str:
    """Return the suite by which runs are found: what is graded in other ways must never be counted together."""
    return suite.name if len(suite.modes) == 1 else f"{suite.name}/{mode}"


def _tools(session: RecordSession, suite: RecordSuite) -> Sequence[BaseTool]:
    return record_tools(session, reference_clinician().kb, RunningClock(suite.now))


def protocol(name: ProtocolName, suite: RecordSuite) -> Protocol:
    """Return a protocol for the tasks of a suite."""
    if name == "text":
        return TextProtocol(suite.functions)
    return NativeProtocol() if name == "native" else JsonProtocol()
