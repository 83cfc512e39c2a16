"""What the evidence graph is made of: one item for each thing that was read, known, claimed or judged."""

from __future__ import annotations

from collections.abc import Hashable
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, TypeAdapter, model_validator

from wardround.core.claim import Claim, Verdict
from wardround.core.finding import Finding
from wardround.core.frozen import Frozen, content_id
from wardround.core.source import Source


class Candidate(Frozen):
    """A hypothesis with what is believed of it before any finding."""

    id: str
    name: str
    icd10: str | None = None
    prior: float = Field(gt=0.0, lt=1.0)
    must_not_miss: bool = False


class SourceItem(Frozen):
    """A place was read."""

    item: Literal["source"] = "source"
    source: Source


class ReadingItem(Frozen):
    """A finding was read in a source."""

    item: Literal["reading"] = "reading"
    finding: Finding


class CandidatesItem(Frozen):
    """The hypotheses were set up; their priors and `other` sum to 1."""

    item: Literal["candidates"] = "candidates"
    candidates: tuple[Candidate, ...]


class BearingItem(Frozen):
    """What the knowledge says of one observation: P(finding | hypothesis) where it is not background."""

    item: Literal["bearing"] = "bearing"
    code: str
    name: str
    group: str
    """Syndrome; observations of one group are discounted together."""
    background: float = Field(gt=0.0, lt=1.0)
    present: dict[str, Annotated[float, Field(gt=0.0, lt=1.0)]]
    """P(finding | hypothesis) by hypothesis id."""
    cited: dict[str, str] = Field(default_factory=dict)
    """Citation by hypothesis id, for figures that are published and not graded."""


class Grade(StrEnum):
    """How strongly a present finding speaks, where no likelihood ratio is known (after McGee's bands)."""

    WEAK = "weak"
    MODERATE = "moderate"
    STRONG = "strong"
    PATHOGNOMONIC = "pathognomonic"


GRADE_RATIO: dict[Grade, float] = {
    Grade.WEAK: 2.0,
    Grade.MODERATE: 5.0,
    Grade.STRONG: 10.0,
    Grade.PATHOGNOMONIC: 20.0,
}
"""Likelihood ratio of each grade; pathognomonic is capped. A judgement and not a measurement."""


class WeightItem(Frozen):
    """One finding bears on one hypothesis with a likelihood ratio or a grade; the edge that carries weight."""

    item: Literal["weight"] = "weight"
    kind: Literal["supports", "contradicts"]
    code: str = Field(min_length=1)
    """The finding, when present."""
    hypothesis: str
    ratio: float | None = Field(default=None, gt=1.0)
    """Likelihood ratio of the present finding; of its reciprocal where it contradicts."""
    grade: Grade | None = None
    cited: str | None = None
    """Publication of the ratio."""

    @model_validator(mode="after")
    def _says_how_much(self) -> Self:
        if (self.ratio is None) == (self.grade is None):
            raise ValueError("give either a ratio or a grade")
        return self

    @property
    def strength(self) -> float:
        """Likelihood ratio above 1, whichever way the edge points."""
        return self.ratio if self.ratio is not None else GRADE_RATIO[self.grade or Grade.WEAK]


class Provenance(StrEnum):
    """How one thing comes from another. None of these carries weight."""

    CITES = "cites"
    """A claim or source names a source."""
    DERIVED_FROM = "derived_from"
    """A source or document is a copy, a quote or a summary of another."""
    SAME_AS = "same_as"
    """Two sources or documents are one and the same."""
    REFINES = "refines"
    """A finding is a more exact form of another; the two are discounted together."""


class ProvenanceItem(Frozen):
    """A provenance edge from `tail` to `head`: tail is derived from head, cites it, refines it."""

    item: Literal["provenance"] = "provenance"
    kind: Provenance
    tail: str = Field(min_length=1)
    """Id of a source or claim, name of a document, or code of a finding."""
    head: str = Field(min_length=1)


class ClaimItem(Frozen):
    """An agent asserted something."""

    item: Literal["claim"] = "claim"
    claim: Claim


class VerdictItem(Frozen):
    """A claim was judged."""

    item: Literal["verdict"] = "verdict"
    verdict: Verdict


Item = Annotated[
    SourceItem | ReadingItem | CandidatesItem | BearingItem | WeightItem | ProvenanceItem | ClaimItem | VerdictItem,
    Field(discriminator="item"),
]
ITEM: TypeAdapter[Item] = TypeAdapter(Item)
"""Validates an item from JSON or a mapping."""


def item_id(item: Item) -> str:
    """Name an item by what it says."""
    match item:
        case SourceItem():
            return item.source.id
        case ReadingItem():
            return item.finding.id
        case ClaimItem():
            return item.claim.id
        case VerdictItem():
            return f"verdict:{item.verdict.claim}"
        case BearingItem():
            return f"bearing:{item.code}"
        case WeightItem():
            return content_id("wgt", item.model_dump(mode="json"))
        case ProvenanceItem():
            return content_id("prv", item.kind, item.tail, item.head)
        case CandidatesItem():
            return content_id("candidates", [c.id for c in item.candidates])


def identity(item: Item) -> Hashable:
    """Return what is equal for two items exactly where `item_id` is, without the cost of hashing their content.

    Of use within one process only; `item_id` is the name that is written down.
    """
    # By exact type, since `isinstance` of a pydantic class takes longer than all the rest.
    if type(item) is ReadingItem:
        return _reading_identity(item.finding)
    if type(item) is SourceItem:
        return item.source.id
    if type(item) is BearingItem:
        return f"bearing:{item.code}"
    if type(item) is WeightItem:
        return item
    return item_id(item)


def _reading_identity(finding: Finding) -> Hashable:
    # One moment in two time zones, and 0.0 and -0.0, are equal but are written, and so named, differently.
    if finding.time is None and finding.value is None and finding.days is None:
        return finding
    return finding.id
