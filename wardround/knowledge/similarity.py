"""Which diagnoses are the same: the embedded clusterer of answers."""

from __future__ import annotations

from wardround.core.estimators.clustering import normalised
from wardround.knowledge.base import KnowledgeBase


def diagnosis_cluster(kb: KnowledgeBase, name: str) -> str:
    """Return the canonical id of a diagnosis as an agent named it.

    The id of the condition where the knowledge has it under that name, synonym or ICD-10 code; otherwise the name
    itself, normalised and marked as no id, so that what the knowledge does not cover still agrees with itself alone.
    """
    entry = kb.find_condition(name)
    return entry.id if entry is not None else f"text:{normalised(name)}"
