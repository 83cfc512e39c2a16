"""The shapes in which models answer: what they are asked for as JSON, field by field."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


Word = Annotated[str, Field(json_schema_extra={"maxLength": 100})]
Sentence = Annotated[str, Field(json_schema_extra={"maxLength": 300})]
"""Texts in lists: a model that is held to the schema comes to an end, one that is not may write more."""


class StatedClaim(_Answer):
    """One statement about the patient with the evidence it rests on."""

    text: str = Field(min_length=1, max_length=600)
    """One sentence, one fact."""
    evidence: list[Word] = Field(default_factory=list, max_length=20)
    """Ids of the evidence lines that say so."""


class WeightedDiagnosis(_Answer):
    """A diagnosis with the probability the agent gives it."""

    diagnosis: str = Field(min_length=1, max_length=200)
    probability: float = Field(ge=0.0, le=1.0)


class TriageAnswer(_Answer):
    """How soon, and who has to look."""

    urgency: Literal["emergent", "urgent", "routine"]
    specialties: list[Word] = Field(max_length=20)
    """From the list in the question, most needed first; empty when none is needed."""
    reasons: list[Sentence] = Field(max_length=10)


class PlannedIndicator(_Answer):
    """Something to establish."""

    indicator: str = Field(min_length=1, max_length=200)
    why: str = Field(max_length=400)


class PlanAnswer(_Answer):
    """What to establish, cheapest and most informative first."""

    indicators: list[PlannedIndicator] = Field(max_length=12)


class ToolChoice(_Answer):
    """The next tool to use, or none."""

    tool: Word | None
    """Name of a tool in the question, or null when nothing more is needed."""
    argument: str = Field(default="", max_length=400)
    why: str = Field(default="", max_length=400)


class SpecialistAnswer(_Answer):
    """What one specialist makes of the case."""

    leading: Word | None
    """The most likely diagnosis, or null for no opinion."""
    confidence: float = Field(ge=0.0, le=1.0)
    differential: list[WeightedDiagnosis] = Field(max_length=15)
    claims: list[StatedClaim] = Field(max_length=25)
    missing: list[Sentence] = Field(default_factory=list, max_length=15)


class AttendingAnswer(_Answer):
    """The attending's decision and argument."""

    diagnosis: Word | None
    """Null when the evidence does not carry a diagnosis."""
    argument: list[StatedClaim] = Field(max_length=25)
    overrules: bool = False
    """Whether it departs from the evidence graph or the specialists."""
    overrule_reason: str = Field(default="", max_length=600)
