"""What is known of the patient, one proposition at a time: present, absent or unknown."""

from __future__ import annotations

from enum import StrEnum
from functools import cached_property

from pydantic import Field, model_validator

from wardround.core.frozen import Frozen, Moment, content_id


class Assertion(StrEnum):
    """How a text speaks of a finding (the ConText dimensions)."""

    PRESENT = "present"
    ABSENT = "absent"
    POSSIBLE = "possible"
    HISTORICAL = "historical"
    FAMILY = "family"
    HYPOTHETICAL = "hypothetical"


class Presence(StrEnum):
    """What an assertion says of this patient now. Not recorded is unknown, never absent."""

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"


class Laterality(StrEnum):
    """Side of the body."""

    LEFT = "left"
    RIGHT = "right"
    BILATERAL = "bilateral"


_PRESENCE = {
    Assertion.PRESENT: Presence.PRESENT,
    Assertion.POSSIBLE: Presence.UNKNOWN,
    Assertion.ABSENT: Presence.ABSENT,
    Assertion.HISTORICAL: Presence.UNKNOWN,
    Assertion.FAMILY: Presence.UNKNOWN,
    Assertion.HYPOTHETICAL: Presence.UNKNOWN,
}


class Finding(Frozen):
    """One reading of one proposition about the patient, and where it was read.

    >>> Finding(code="fever", name="fever", assertion=Assertion.ABSENT).presence
    <Presence.ABSENT: 'absent'>
    """

    code: str = Field(min_length=1)
    """Id in the knowledge base, such as `troponin_high`."""
    name: str = ""
    """How it is shown; empty means the code in words."""
    assertion: Assertion = Assertion.PRESENT
    value: float | None = None
    unit: str | None = None
    """UCUM unit of the value."""
    time: Moment | None = None
    """When it was observed."""
    days: float | None = Field(default=None, ge=0)
    """For how long it has been so, in days."""
    site: str | None = None
    laterality: Laterality | None = None
    source: str | None = None
    """Id of the Source it was read in."""
    span: tuple[int, int] | None = None
    """Characters of the source's text that say it: start and end."""

    @model_validator(mode="before")
    @classmethod
    def _name_from_code(cls, data: object) -> object:
        if isinstance(data, dict) and not data.get("name") and isinstance(data.get("code"), str):
            return {**data, "name": data["code"].replace("_", " ")}
        return data

    @property
    def presence(self) -> Presence:
        """What it says of this patient now."""
        return _PRESENCE[self.assertion]

    @cached_property
    def id(self) -> str:
        """Name made from the content."""
        return content_id("fnd", self.model_dump(mode="json"))
