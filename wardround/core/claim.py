"""What an agent asserts, what it rests on, and what the check of it says."""

from __future__ import annotations

from enum import StrEnum
from functools import cached_property

from pydantic import Field

from wardround.core.finding import Assertion
from wardround.core.frozen import Frozen, content_id


class ClaimKind(StrEnum):
    """What a claim is about; with the verdict it sets the severity."""

    FINDING = "finding"
    DIAGNOSIS = "diagnosis"
    SCORE = "score"
    GUIDELINE = "guideline"
    OTHER = "other"


class ClaimType(StrEnum):
    """What an atomic statement asserts of its subject; with the verdict it sets the severity."""

    GLOBAL_STATUS = "global_status"
    ORGAN = "organ"
    """Organ or site."""
    PRESENCE = "presence"
    """Whether a finding or pathology is there."""
    PATHOLOGY_CLASS = "pathology_class"
    CAUSE = "cause"
    ATTRIBUTE = "attribute"
    """Size, number, degree, measured value."""
    LATERALITY = "laterality"
    TREND = "trend"
    MODALITY = "modality"
    DRUG = "drug"
    """Drug, dose, route, allergy."""
    TEMPORAL = "temporal"
    OTHER = "other"


class Claim(Frozen):
    """One atomic statement by one agent, with the evidence it cites."""

    agent: str
    text: str = Field(min_length=1)
    kind: ClaimKind = ClaimKind.OTHER
    cites: tuple[str, ...] = ()
    """Ids of sources that the agent says it rests on."""
    finding: str | None = None
    """Code of the finding it states, where it states one."""
    assertion: Assertion = Assertion.PRESENT

    @cached_property
    def id(self) -> str:
        """Name made from who said what on which ground."""
        return content_id("clm", self.agent, self.text, sorted(self.cites), self.finding, self.assertion)


class VerdictLabel(StrEnum):
    """Whether the evidence bears a claim out (the labels of VeriFact)."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    NOT_ADDRESSED = "not_addressed"


class Severity(StrEnum):
    """How bad an unsupported claim is (the classes of Med-HallMark, arXiv 2406.10185)."""

    CATASTROPHIC = "catastrophic"
    CRITICAL = "critical"
    ATTRIBUTE = "attribute"
    PROMPT_INDUCED = "prompt_induced"
    MINOR = "minor"
    CORRECT = "correct"
    UNSCORED = "unscored"
    """Not addressed by any evidence, so it has no MediHall score; counted as unsupported."""


MEDIHALL_SCORE: dict[Severity, float] = {
    Severity.CATASTROPHIC: 0.0,
    Severity.CRITICAL: 0.2,
    Severity.ATTRIBUTE: 0.4,
    Severity.PROMPT_INDUCED: 0.6,
    Severity.MINOR: 0.8,
    Severity.CORRECT: 1.0,
}
"""MediHall score of each class; the value for prompt-induced errors is not in the published scorer."""


class Verdict(Frozen):
    """What the hallucination detector says of one claim."""

    claim: str
    """Id of the claim."""
    label: VerdictLabel
    severity: Severity
    evidence: tuple[str, ...] = ()
    """Ids of the sources that decided it."""
    reason: str
    """Code of the check that decided, and what it saw."""

    @property
    def is_supported(self) -> bool:
        """Whether the claim may bear weight."""
        return self.label is VerdictLabel.SUPPORTED
