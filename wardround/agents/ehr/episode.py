"""What is left of one task that a record agent worked on: what was said, what was sent, how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, auto
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from wardround.tools.fhir.session import RecordCall


@dataclass(frozen=True)
class Turn:
    """One message, as it was."""

    role: Literal["user", "agent"]
    """`user` is whoever set the task and hands back what the record answered."""
    content: str


class EpisodeStatus(StrEnum):
    """How an episode ended."""

    COMPLETED = auto()
    """The agent finished with a result."""
    LIMIT = auto()
    """The rounds were used up before the agent finished."""
    INVALID = auto()
    """The agent said what its protocol does not have."""
    ERROR = auto()
    """Something around the agent failed: the model, the server, the network."""
    CONTEXT = auto()
    """The conversation became longer than the model can read."""


@dataclass(frozen=True)
class Episode:
    """One task worked on, from the first message to the end."""

    turns: tuple[Turn, ...]
    status: EpisodeStatus
    result: str | None
    """What the agent finished with, as text; nothing unless the episode was completed."""
    calls: tuple[RecordCall, ...] = ()
    """All that was asked of the record, in order."""
    error: str | None = None
    """What failed, where the status is `error`."""
