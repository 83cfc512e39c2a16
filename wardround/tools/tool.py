"""What a tool is: a name, a purpose, and sources in answer to an argument."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from wardround.core.finding import Finding
from wardround.core.source import Source


@dataclass(frozen=True)
class Patient:
    """What a tool knows of the patient without being told by a model."""

    age: float | None
    sex: str | None
    findings: tuple[Finding, ...]
    """Readings so far."""


@dataclass(frozen=True)
class ToolResult:
    """What a tool brought."""

    text: str
    """The answer in words."""
    sources: tuple[Source, ...] = ()
    """Each can be cited."""
    findings: tuple[Finding, ...] = ()
    """Readings that follow from the sources by structure, not by reading text."""


class Tool(Protocol):
    """Something an agent can use; it reads and never writes."""

    @property
    def name(self) -> str:
        """Name by which agents call it."""
        ...

    @property
    def purpose(self) -> str:
        """What it is for and what its argument is, in a sentence."""
        ...

    def use(self, argument: str, patient: Patient, /) -> ToolResult:
        """Answer an argument.

        Raises:
            ToolRetry: The argument was wrong; the message says how to mend it.
        """
        ...
