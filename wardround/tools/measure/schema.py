"""What the file of clinical scores may say."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Band(_Entry):
    """Points for a number from `at_least` (included) to `below` (excluded)."""

    at_least: float | None = None
    below: float | None = None
    points: float


class ScoreItem(_Entry):
    """One line of a score: a yes/no question, or a number in bands."""

    id: Identifier
    text: str
    """The question in words."""
    points: float = 0.0
    """For a yes; a no gives 0."""
    any_of: tuple[Identifier, ...] = ()
    """Findings of which one present makes it a yes, and all absent a no."""
    none_of: tuple[Identifier, ...] = ()
    """Findings of which one present makes it a no, and all absent a yes."""
    number: Identifier | None = None
    """Analyte, or `age`, that the bands are about."""
    bands: tuple[Band, ...] = ()
    sex: Annotated[str, Field(pattern="^(female|male)$")] | None = None
    """A yes for this sex."""

    @model_validator(mode="after")
    def _one_kind(self) -> ScoreItem:
        if (self.number is None) != (not self.bands):
            raise ValueError("number and bands go together")
        kinds = [bool(self.any_of or self.none_of), self.number is not None, self.sex is not None]
        if sum(kinds) > 1:
            raise ValueError("an item is answered by findings, by a number or by sex, not by several")
        return self


class Stratum(_Entry):
    """What a total means, from `at_least` (included) up to the next stratum."""

    at_least: float
    meaning: str


class Score(_Entry):
    """A published clinical score."""

    id: Identifier
    name: str
    synonyms: tuple[str, ...] = ()
    purpose: str
    """What it is for, and in whom it was derived, in a sentence of our own."""
    citation: str
    year: int
    about: tuple[Identifier, ...] = Field(min_length=1)
    """Conditions whose assessment it is part of."""
    min_age: float = 0.0
    """Years below which it does not apply."""
    items: tuple[ScoreItem, ...] = Field(min_length=2)
    strata: tuple[Stratum, ...] = Field(min_length=2)


class ScoreFile(_Entry):
    """The file of scores."""

    scores: tuple[Score, ...]
