"""The port of a suite: its tasks, the record they are about, its graders and its reference policies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

from wardround.agents.ehr.episode import Episode
from wardround.evals.records.grading import Grade, Mode, StateDiff

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from wardround.tools.fhir.client import FhirClient

PolicyName = Literal["oracle", "null", "random"]
POLICIES: tuple[PolicyName, ...] = ("oracle", "null", "random")
"""Agents that follow a rule: the reference policy, the one that does nothing, the one that guesses."""


@dataclass(frozen=True)
class RecordSample:
    """One task as an agent meets it."""

    id: str
    group: str
    """Category, for the table."""
    patient: str | None
    """Id of the patient it is about; none where finding the patient is the task. Resamples go by patient."""
    prompt: str
    """What the agent is told."""


@dataclass(frozen=True)
class Graded:
    """What an episode came to."""

    grade: Grade
    branch: str
    """Which way through the task the record led."""
    must_write: bool
    """Whether that way asks for a write."""


class RecordSuite(Protocol):
    """A set of tasks in one record."""

    @property
    def name(self) -> str:
        """Name on the command line."""
        ...

    @property
    def modes(self) -> tuple[Mode, ...]:
        """How its episodes can be played, the one that counts first."""
        ...

    @property
    def profile(self) -> Literal["r4", "medagentbench"]:
        """Profile of the sandbox that it is played in."""
        ...

    @property
    def now(self) -> datetime:
        """The present, in the tasks."""
        ...

    @property
    def samples(self) -> Sequence[RecordSample]:
        """All tasks."""
        ...

    @property
    def functions(self) -> Sequence[Mapping[str, Any]]:
        """What an agent is told of the server: name, description, parameters."""
        ...

    def resources(self) -> Iterable[dict[str, Any]]:
        """Return the record that the tasks are about."""
        ...

    def policy(self, name: PolicyName, sample: RecordSample, api_base: str, mode: Mode, seed: int) -> BaseChatModel:
        """Return a model that follows a rule through one episode."""
        ...

    async def grade(
        self, sample: RecordSample, episode: Episode, diff: StateDiff, client: FhirClient, mode: Mode, api_base: str
    ) -> Graded:
        """Grade an episode.

        Args:
            sample: The task.
            episode: What was said and done.
            diff: What became of the record; empty in `compat`.
            client: The record as it was before the episode.
            mode: How it was played.
            api_base: Base URL that the agent was told.
        """
        ...
