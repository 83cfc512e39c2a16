"""How a task is played, what becomes of the record, and the grade that follows with its reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Any, Literal, Protocol

from wardround.agents.ehr.episode import Episode, EpisodeStatus

Mode = Literal["compat", "state"]
"""How an episode is run and graded: as published, or with real writes judged by their effect."""


class StateDiff(Protocol):
    """What became of the record since the episode began."""

    @property
    def added(self) -> Sequence[Mapping[str, Any]]:
        """New resources."""
        ...

    @property
    def changed(self) -> Sequence[Any]:
        """Resources with other content than before, one entry each."""
        ...

    @property
    def removed(self) -> Sequence[Any]:
        """Deleted resources, one entry each."""
        ...


class Reason(StrEnum):
    """The one class that a wrong episode falls into: the first that applies, in the order of this list.

    The details of a grade hold everything that was wrong; the class is for tables.
    """

    ERROR = auto()
    """Something around the agent failed. It says nothing of the agent, and belongs apart in every report."""
    LIMIT = auto()
    """The rounds, or the context that the model can read, were used up before the agent finished."""
    FORMAT = auto()
    """Not readable: an act that the protocol does not have, an answer that is no JSON list. Also, after all classes
    below: right in substance and wrong in form alone, such as a right value among others, or (as published) a right
    value or write in another form than the graded one, or a right write that the grader does not see."""
    WRONG_PATIENT = auto()
    """A write names another patient, the deciding data were read of another patient only, or (category 1)
    the answer is the number of another patient."""
    WRONG_QUERY = auto()
    """No read brought the data that decide the task: none was made, or it failed or was too narrow."""
    WRONG_TIME_WINDOW = auto()
    """The answer is what another span of time gives: a value outside the window, one after the time of the
    task, one that is not the latest, a value where there is none in the window, or none where there is one."""
    WRONG_VALUE = auto()
    """The answer is another one."""
    WRONG_WRITE = auto()
    """The answer is right, the writes are not: missing, not wanted, more than once, or with other content."""


IN_WORDS: Mapping[Reason, str] = {
    Reason.ERROR: "something around the agent failed",
    Reason.LIMIT: "rounds or context used up",
    Reason.FORMAT: "right or not, in a form that cannot be read or counted",
    Reason.WRONG_PATIENT: "another patient",
    Reason.WRONG_QUERY: "did not read what decides it",
    Reason.WRONG_TIME_WINDOW: "another span of time",
    Reason.WRONG_VALUE: "another answer",
    Reason.WRONG_WRITE: "writes missing, unwanted or other",
}
"""What a class says, for tables and judgements."""


def first_reason(*reasons: Reason | None) -> Reason | None:
    """Return the first of several reasons in the order of the list; None if there is none.

    >>> first_reason(Reason.WRONG_WRITE, None, Reason.LIMIT).value
    'limit'
    """
    given = set(reasons)
    return next((reason for reason in Reason if reason in given), None)


@dataclass(frozen=True)
class Grade:
    """What a grader made of an episode."""

    correct: bool
    reason: Reason | None
    """None exactly where it is correct."""
    details: tuple[str, ...] = ()
    """All that was found, each as `code` or `code: what was found`; may hold remarks on a correct episode."""

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of the details, in order."""
        return tuple(detail.split(":", 1)[0] for detail in self.details)


def unfinished(episode: Episode) -> Grade | None:
    """Return the grade of an episode that ended before its agent finished; None for one that did finish."""
    match episode.status:
        case EpisodeStatus.ERROR:
            return Grade(False, Reason.ERROR, (f"system_error: {episode.error}",))
        case EpisodeStatus.LIMIT:
            return Grade(False, Reason.LIMIT, ("max_rounds_reached",))
        case EpisodeStatus.CONTEXT:
            return Grade(False, Reason.LIMIT, ("context_exceeded",))
        case EpisodeStatus.INVALID:
            return Grade(False, Reason.FORMAT, ("invalid_action",))
    if episode.result is None:
        return Grade(False, Reason.FORMAT, ("invalid_finish_format",))
    return None
