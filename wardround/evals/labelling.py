"""What runs turned out to be, written beside them: the evaluation page counts it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from wardround.core.errors import UsageError
from wardround.evals.calibrating.reading import known_as
from wardround.knowledge.base import KnowledgeBase
from wardround.trace.annotating import Annotation
from wardround.trace.rows import RunQuery
from wardround.trace.store import RunStore
from wardround.trace.views import decision

WHO = "labels"
"""Who says so, where a file of labels does."""
_AT_ONCE = 500


@dataclass(frozen=True)
class Labelled:
    """What came of labelling."""

    right: int
    wrong: int
    unlabelled: int
    """Runs of the workspace whose case has no label."""
    undecided: int
    """Runs of labelled cases that name no diagnosis."""


def label_runs(store: RunStore, labels: Mapping[str, str], kb: KnowledgeBase, *, now: datetime) -> Labelled:
    """Call every consult of a labelled case right or wrong: its diagnosis, or the leading one where it has none.

    What would have been right is kept beside it, as the conditions of the knowledge that the label names.

    Args:
        store: Where the runs are.
        labels: Diagnosis as name, id or ICD-10 code, by the id of the case.
        kb: The knowledge that diagnoses are known by.
        now: For the judgements.

    Raises:
        UsageError: No run is of a labelled case.
    """
    counts = {"right": 0, "wrong": 0, "unlabelled": 0, "undecided": 0}
    after = None
    while True:
        page = store.page(RunQuery(kinds=("consult",), limit=_AT_ONCE, after=after))
        for row in page.rows:
            given = labels.get(row.case)
            counts[_label(store, row.id, given, kb, now) if given is not None else "unlabelled"] += 1
        after = page.next
        if after is None:
            break
    if counts["right"] + counts["wrong"] + counts["undecided"] == 0:
        raise UsageError(f"no run in {store.name} is of a labelled case; labels go by the ids of cases")
    return Labelled(**counts)


def _label(store: RunStore, run: str, given: str, kb: KnowledgeBase, now: datetime) -> str:
    decided = decision(store.events(run))
    leading = (decided.diagnosis or decided.differential.top) if decided is not None else None
    if leading is None:
        return "undecided"
    truth = known_as(kb, given)
    is_right = leading.id in truth
    store.annotate(
        Annotation(
            run=run,
            target="run",
            id=run,
            label="right" if is_right else "wrong",
            why=f"the diagnosis is {given}",
            who=WHO,
            time=now,
            truth=tuple(sorted(truth)),
        )
    )
    return "right" if is_right else "wrong"
