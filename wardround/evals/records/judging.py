"""What a grader made of an episode, written beside its run as a judgement: the evaluation page counts it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from wardround.evals.records.grading import IN_WORDS, Grade, Reason
from wardround.trace.annotating import Annotation, Label
from wardround.trace.store import RunStore

WHO = "wardround eval"
"""Who says so, where a suite graded the run."""


def judge(workspace: Path, run: str, grade: Grade, *, now: datetime) -> None:
    """Call a run right or wrong as its suite graded it; what stands already is not said again.

    A run of which something around the agent failed is neither: it says nothing of the agent.

    Args:
        workspace: Where the run is.
        run: Its id.
        grade: What its suite made of it.
        now: For the judgement.

    Raises:
        UsageError: There is no such run.
    """
    said = Annotation(
        run=run,
        target="run",
        id=run,
        label=_label(grade),
        why=_why(grade),
        who=WHO,
        time=now,
        reason=grade.reason.value if grade.reason is not None else None,
    )
    with closing(RunStore(workspace)) as store:
        standing = [replace(other, time=now) for other in store.annotations(run)]
        if said not in standing:
            store.annotate(said)


def _label(grade: Grade) -> Label:
    if grade.reason is Reason.ERROR:
        return "unsure"
    return "right" if grade.correct else "wrong"


def _why(grade: Grade) -> str:
    outcome = IN_WORDS[grade.reason] if grade.reason is not None else "done as asked"
    return "; ".join([outcome, *grade.details])
