"""What the clerk can do next, whatever the protocol; and what it is answered."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class ReadStep:
    """Search the record."""

    type: str
    """Resource type."""
    params: tuple[tuple[str, str], ...]
    """Search parameters; none is repeated but where both shall hold."""


@dataclass(frozen=True)
class PageStep:
    """Go on with a search."""

    link: str
    """Address of the next page, or a cursor."""


@dataclass(frozen=True)
class MeasureStep:
    """Have the values of one kind read, where there is a tool for it."""

    words: str
    """A code of the record, or words."""
    patient: str
    """Id of the patient."""
    statistic: str
    since: str | None
    until: str | None
    unit: str | None


@dataclass(frozen=True)
class LookUpStep:
    """Have the codes of words looked up, where there is a tool for it."""

    words: str
    patient: str


@dataclass(frozen=True)
class WriteStep:
    """Create a resource, or replace one."""

    resource: Mapping[str, Any]
    version: str | None = None
    """The version that is replaced; nothing for a new resource."""


@dataclass(frozen=True)
class FinishStep:
    """End the task."""

    answers: tuple[Any, ...]
    remarks: tuple[str, ...] = ()
    """What a person should know besides."""


Step = ReadStep | PageStep | MeasureStep | LookUpStep | WriteStep | FinishStep


@dataclass(frozen=True)
class Reply:
    """What came of a step."""

    text: str
    is_error: bool = False


Work = Generator[Step, Reply, T]
"""Gives steps, is sent what came of each, and returns what it was done for."""


@dataclass(frozen=True)
class Kit:
    """What a protocol lets the clerk do."""

    tools: frozenset[str] = frozenset()
    """Tools that can be called; none where requests are written out."""
    reads: frozenset[str] | None = None
    """Resource types that can be searched, where the task lists them."""
    has_transactions: bool = False
    """Whether a Bundle of type transaction can be sent."""
    shapes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """JSON schemas of what can be created, by resource type, where the task gives them; otherwise it is R4."""

    @property
    def can_read_allergies(self) -> bool:
        """Whether allergies are among what the protocol offers to read."""
        return self.reads is None or "AllergyIntolerance" in self.reads

    @property
    def has_tools(self) -> bool:
        """Whether tools are called instead of requests written."""
        return bool(self.tools)

    @property
    def can_create(self) -> bool:
        """Whether resources can be created."""
        return not self.tools or "create_resource" in self.tools

    @property
    def can_update(self) -> bool:
        """Whether resources can be replaced."""
        return "update_resource" in self.tools or self.has_transactions

    @property
    def can_measure(self) -> bool:
        """Whether values can be had by their name and time."""
        return "measurements" in self.tools


class Stuck(Exception):
    """The work cannot go on; the message says why, for whoever reads the answer."""


def plain(text: str, most: int = 200) -> str:
    """Return words of a reply on one line, cut where they are long."""
    flat = re.sub(r"\s+", " ", text).strip()
    return flat if len(flat) <= most else f"{flat[: most - 1]}…"
