"""The runs that somebody called right or wrong, with what triage said and what would have been right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from wardround.dashboard.measuring import Judged
from wardround.knowledge.clinician import KnowledgeClinician, reference_clinician
from wardround.trace.annotating import Annotation
from wardround.trace.store import RunStore

OUTSIDE = "outside the knowledge"
NOT_LABELLED = "not labelled"
DISPUTED = "labels disagree"
SEVERAL = "several specialties"
"""Of a label that names conditions of more than one."""
NOBODY = "nobody"
"""Where triage named no specialty."""
NO_TRIAGE = "no triage"
NO_SPECIALTIES = (SEVERAL, OUTSIDE, DISPUTED, NOT_LABELLED, NOBODY, NO_TRIAGE)
"""What stands in place of a specialty."""
NOT_SAID = "not said"
"""Class of a failure that nobody sorted."""


@dataclass(frozen=True)
class Judgements:
    """What is judged, and what could not be counted."""

    runs: Sequence[Judged]
    disputed: int
    """Runs that some call right and others wrong."""
    unsure: int
    """Runs of which nobody is sure."""


def judgements(store: RunStore) -> Judgements:
    """Return the judged runs of a store.

    Runs that were forgotten since, and consults that have no diagnosis at all, are left out.
    """
    said: dict[str, list[Annotation]] = {}
    for annotation in store.labelled():
        if annotation.target == "run":
            said.setdefault(annotation.run, []).append(annotation)
    labels = {run: {a.label for a in about} - {"unsure"} for run, about in said.items()}
    agreed = {run: about for run, about in said.items() if len(labels[run]) == 1}
    return Judgements(
        runs=list(_judged(store, agreed)),
        disputed=sum(len(found) > 1 for found in labels.values()),
        unsure=sum(not found for found in labels.values()),
    )


def _judged(store: RunStore, said: Mapping[str, Sequence[Annotation]]) -> Iterator[Judged]:
    clinician = reference_clinician()
    for row in store.named(list(said)):  # without those that were forgotten since
        if row.status is None and row.kind != "records":
            continue
        about = said[row.id]
        right = any(annotation.label == "right" for annotation in about)
        condition = clinician.condition(row.diagnosis) if row.diagnosis else None
        asked = NO_TRIAGE if row.specialty is None else row.specialty or NOBODY
        truth, fitting = _truth(about, clinician)
        yield Judged(
            row=row,
            right=right,
            specialty=condition.specialties[0] if condition is not None else OUTSIDE,
            asked=asked,
            truth=truth,
            fits=asked in fitting if fitting else None,
            failure=None if right else next((a.reason for a in about if a.reason is not None), NOT_SAID),
        )


def _truth(about: Sequence[Annotation], clinician: KnowledgeClinician) -> tuple[str, frozenset[str]]:
    """Return the specialty of the true diagnosis, and all that look after it."""
    truths = {frozenset(annotation.truth) for annotation in about if annotation.truth is not None}
    if len(truths) != 1:
        return DISPUTED if truths else NOT_LABELLED, frozenset()
    found = [clinician.condition(name) for name in truths.pop()]
    conditions = [condition for condition in found if condition is not None]
    firsts = sorted({condition.specialties[0] for condition in conditions})
    name = firsts[0] if len(firsts) == 1 else SEVERAL if firsts else OUTSIDE
    return name, frozenset(s for condition in conditions for s in condition.specialties)
