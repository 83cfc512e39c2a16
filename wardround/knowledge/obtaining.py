"""Findings that could still be established, with what each would say and what it costs to find out."""

from __future__ import annotations

from dataclasses import dataclass

from wardround.core.items import BearingItem
from wardround.knowledge.base import KnowledgeBase
from wardround.knowledge.inference import COST_EXPONENT


@dataclass(frozen=True)
class ObtainableFinding:
    """One finding, as `EvidenceGraph.missing` takes it."""

    bearing: BearingItem
    cost: float
    """Cost of how it is obtained, to the power by which suggestions are ordered too."""
    how: str
    """By a question, an examination, a test."""


def obtainable(kb: KnowledgeBase, *, sex: str | None = None) -> tuple[ObtainableFinding, ...]:
    """Return all findings of the knowledge that this patient could have.

    Args:
        kb: The knowledge.
        sex: Leaves out findings of the other sex.
    """
    codes = [code for code, entry in kb.findings.items() if entry.sex is None or sex is None or entry.sex == sex]
    return tuple(
        ObtainableFinding(
            bearing=bearing,
            cost=float(kb.cost[kb.finding_index[bearing.code]]) ** COST_EXPONENT,
            how=kb.findings[bearing.code].how,
        )
        for bearing in kb.bearings(codes)
    )
