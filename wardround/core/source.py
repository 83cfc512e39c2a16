"""Where something was read, and how far such a place is trusted."""

from __future__ import annotations

from enum import StrEnum
from functools import cached_property

from pydantic import Field

from wardround.core.frozen import Frozen, Moment, content_id


class SourceKind(StrEnum):
    """What kind of place a statement comes from."""

    LAB = "lab"
    IMAGING_REPORT = "imaging_report"
    IMAGE = "image"
    CLINICIAN_NOTE = "clinician_note"
    STRUCTURED_RECORD = "structured_record"
    PATIENT = "patient"
    GUIDELINE = "guideline"
    SYSTEMATIC_REVIEW = "systematic_review"
    TRIAL = "trial"
    COHORT = "cohort"
    SCORE = "score"
    MODEL = "model"


LITERATURE = frozenset((SourceKind.GUIDELINE, SourceKind.SYSTEMATIC_REVIEW, SourceKind.TRIAL, SourceKind.COHORT))
"""Kinds that speak of patients in general, never of this one."""

RELIABILITY: dict[SourceKind, float] = {
    SourceKind.LAB: 0.98,
    SourceKind.IMAGING_REPORT: 0.9,
    SourceKind.IMAGE: 0.9,
    SourceKind.CLINICIAN_NOTE: 0.9,
    SourceKind.STRUCTURED_RECORD: 0.95,
    SourceKind.PATIENT: 0.6,
    SourceKind.GUIDELINE: 0.9,
    SourceKind.SYSTEMATIC_REVIEW: 0.85,
    SourceKind.TRIAL: 0.8,
    SourceKind.COHORT: 0.65,
    SourceKind.SCORE: 0.9,
    SourceKind.MODEL: 0.2,
}
"""Default probability that a source of this kind says what is so. Our own choice, unfitted."""


class Source(Frozen):
    """One quotable place: a sentence of a note, a resource of a record, a passage of a guideline."""

    kind: SourceKind
    text: str
    """The words, exactly as they stand there. Untrusted: data, never instructions."""
    document: str
    """The whole it is part of; statements of one document are not independent witnesses."""
    title: str = ""
    """How a person would name the place, such as `note, sentence 3` or `Observation/abc`."""
    start: int | None = None
    """First character of the text within the document, where the document is a text."""
    time: Moment | None = None
    reliability: float = Field(default=0.0, ge=0.0, le=0.98)
    """Probability that what it says is so; 0 as given means the default of its kind."""
    citation: str | None = None
    """For literature: authors, title, year."""
    tainted: bool = False
    """Whether some of its words address the reader instead of describing the patient; these were not read."""

    def model_post_init(self, context: object, /) -> None:
        """Fill in the default reliability of the kind."""
        if self.reliability == 0.0:
            object.__setattr__(self, "reliability", RELIABILITY[self.kind])

    @cached_property
    def id(self) -> str:
        """Name made from the document, the place in it and the words."""
        return content_id("src", self.document, self.start, self.title, self.text)
