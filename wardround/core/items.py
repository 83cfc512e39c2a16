"""What the evidence graph is made of: one item for each thing that was read, known, claimed or judged."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

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


class ClaimItem(Frozen):
    """An agent asserted something."""

    item: Literal["claim"] = "claim"
    claim: Claim


class VerdictItem(Frozen):
    """A claim was judged."""

    item: Literal["verdict"] = "verdict"
    verdict: Verdict


Item = Annotated[
    SourceItem | ReadingItem | CandidatesItem | BearingItem | ClaimItem | VerdictItem,
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
        case CandidatesItem():
            return content_id("candidates", [c.id for c in item.candidates])
