"""What the knowledge files may say: findings, analytes, conditions, passages and their sources."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
SourceKey = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
Probability = Annotated[float, Field(gt=0.0, lt=1.0)]
Sex = Literal["female", "male"]
Kind = Literal["symptom", "sign", "vital", "lab", "ecg", "imaging", "risk_factor"]
Urgency = Literal["emergent", "urgent", "routine"]
How = Literal[
    "ask",
    "examine",
    "measure",
    "bedside",
    "ecg",
    "lab",
    "xray",
    "ultrasound",
    "echo",
    "ct",
    "mri",
    "endoscopy",
    "invasive",
]

GRADED: SourceKey = "graded"
"""The source of a figure that is a clinical judgement of ours and not a published number."""


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SourceEntry(_Entry):
    """A publication that a figure, a criterion or a passage comes from."""

    citation: str
    """Authors, title, journal or body, year."""
    year: int
    type: Literal["guideline", "systematic_review", "trial", "cohort", "score", "textbook"]
    """Kind of publication; it sets how far a passage is relied on."""
    doi: str | None = None


class FindingEntry(_Entry):
    """One proposition about a patient that is true, false or unknown at this encounter."""

    id: Identifier
    name: str
    """How a person says it; also the first synonym that the reader looks for."""
    kind: Kind
    how: How
    """How it is obtained; sets its cost and invasiveness."""
    background: Probability
    """P(present) in a person seen for something that does not cause it."""
    synonyms: tuple[str, ...] = ()
    group: Identifier | None = None
    """Syndrome: findings of one group are not independent given the condition."""
    implies: tuple[Identifier, ...] = ()
    """Broader findings that are true whenever this one is."""
    sex: Sex | None = None
    """Only this sex can have it."""
    analyte: Identifier | None = None
    direction: Literal["above", "below"] | None = None
    threshold: float | None = None
    """Limit in the analyte's unit; without one the reference range of age and sex decides."""
    question: str | None = None
    """How to ask for it, where the name alone will not do."""

    @model_validator(mode="after")
    def _analyte_has_direction(self) -> FindingEntry:
        if (self.analyte is None) != (self.direction is None):
            raise ValueError("analyte and direction go together")
        if self.threshold is not None and self.analyte is None:
            raise ValueError("a threshold needs an analyte")
        return self


class ReferenceRange(_Entry):
    """Normal limits in the analyte's unit, for one sex and from one age on."""

    low: float | None = None
    high: float | None = None
    sex: Sex | None = None
    from_age: float = 0.0
    """Years; the range with the greatest from_age not above the patient's age applies."""


class Analyte(_Entry):
    """Something measured as a number with a unit."""

    id: Identifier
    name: str
    synonyms: tuple[str, ...] = ()
    loinc: tuple[str, ...] = ()
    unit: str
    """The UCUM unit in which ranges and thresholds are given."""
    units: dict[str, float | tuple[float, float]] = {}
    """Other spelling or unit -> factor, or (factor, offset): canonical = value * factor + offset."""
    bare: tuple[str, ...] = ()
    """Other units that a number without a unit may be in, as people write it."""
    ranges: tuple[ReferenceRange, ...]
    plausible: tuple[float, float]
    """Values outside cannot be real in a living patient: a wrong unit or a slip."""
    source: SourceKey = GRADED


class Likelihood(_Entry):
    """P(finding present | condition), with where the figure comes from."""

    p: Probability
    source: SourceKey = GRADED


class Prevalence(_Entry):
    """How often the condition is the reason for an acute attendance."""

    per_10000: Annotated[float, Field(gt=0.0, le=2000.0)]
    """Attendances per 10,000 at the age and sex with multiplier 1."""
    age: dict[int, Annotated[float, Field(ge=0.0)]] = {}
    """Multiplier from this age (years) on; before the first age given it is 1."""
    sex: dict[Sex, Annotated[float, Field(ge=0.0)]] = {}
    """Multiplier by sex; 1 where not given."""


class ConditionEntry(_Entry):
    """A diagnosis that the reference clinician can make."""

    id: Identifier
    name: str
    synonyms: tuple[str, ...] = ()
    icd10: Annotated[str, Field(pattern=r"^[A-Z]\d[0-9A-Z](\.[0-9A-Z]{1,4})?$")]
    specialties: tuple[str, ...] = Field(min_length=1)
    urgency: Urgency
    must_not_miss: bool = False
    prevalence: Prevalence
    criteria: str
    """What defines the condition, in a sentence or two of our own."""
    criteria_source: SourceKey
    findings: dict[Identifier, Probability | Likelihood] = Field(min_length=3)
    """A bare number is a graded judgement."""


class Passage(_Entry):
    """A statement from a guideline or review, put in our own words, that can be quoted and cited."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    title: str
    text: str
    about: tuple[Identifier, ...] = Field(min_length=1)
    """Conditions it bears on."""
    source: SourceKey


class Presentation(_Entry):
    """A reason to be seen, with what has to be asked whatever the differential says."""

    id: Identifier
    name: str
    complaints: tuple[Identifier, ...] = Field(min_length=1)
    """Findings that bring a patient with this presentation."""
    red_flags: tuple[Identifier, ...] = Field(min_length=1)
    """Findings that must be asked or looked for in everyone with it."""


class PresentationFile(_Entry):
    """One file under data/presentations."""

    presentation: Presentation
    sources: dict[SourceKey, SourceEntry] = {}
    findings: tuple[FindingEntry, ...] = ()
    """Findings that only this file's conditions need; shared ones lie under data/findings."""
    conditions: tuple[ConditionEntry, ...]
    passages: tuple[Passage, ...] = ()


class FindingFile(_Entry):
    """One file under data/findings."""

    sources: dict[SourceKey, SourceEntry] = {}
    analytes: tuple[Analyte, ...] = ()
    findings: tuple[FindingEntry, ...] = ()
