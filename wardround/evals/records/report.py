"""What a run of a suite says: scores with intervals, by category and branch, beside the agent that does nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wardround.evals.statistics import Estimate, clustered, proportion


@dataclass(frozen=True)
class Result:
    """What came of one sample."""

    id: str
    group: str
    patient: str | None
    branch: str
    must_write: bool
    correct: bool
    reason: str | None
    rounds: int
    run: str


def scored(results: Sequence[Result]) -> dict[str, Any]:
    """Return the score over all, with a Wilson interval and one that resamples patients."""
    overall = proportion([r.correct for r in results])
    by_patient = clustered([r.correct for r in results], [r.patient or r.id for r in results])
    return {
        "n": overall.n,
        "score": _rounded(overall.value),
        "interval": _interval(overall),
        "interval_by_patient": _interval(by_patient),
        "patients": len({r.patient or r.id for r in results}),
        "balanced_accuracy": _balanced(results),
        "reasons": dict(sorted(Counter(r.reason for r in results if r.reason is not None).items())),
        "rounds": round(sum(r.rounds for r in results) / max(len(results), 1), 2),
    }


def grouped(results: Sequence[Result], by: Callable[[Result], str]) -> dict[str, Any]:
    """Return the score of each group."""
    return {
        name: {"n": found.n, "score": _rounded(found.value), "interval": _interval(found)}
        for name in dict.fromkeys(map(by, results))
        for found in [proportion([r.correct for r in results if by(r) == name])]
    }


def _balanced(results: Sequence[Result]) -> float | None:
    """Return the mean of the scores where something must be written and where nothing may be.

    An agent that never writes is at most half right by this figure, however few tasks ask for a write.
    """
    parts = [[r.correct for r in results if r.must_write is must] for must in (True, False)]
    if not all(parts):
        return None
    return round(sum(sum(part) / len(part) for part in parts) / 2, 4)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _interval(estimate: Estimate) -> list[float | None]:
    return [_rounded(estimate.low), _rounded(estimate.high)]


def from_metadata(sample_id: str, metadata: Mapping[str, Any], played: Mapping[str, Any]) -> Result:
    """Return the result of a sample as the log holds it."""
    return Result(
        id=sample_id,
        group=metadata["group"],
        patient=metadata["patient"],
        branch=played["branch"],
        must_write=played["must_write"],
        correct=played["correct"],
        reason=played["reason"],
        rounds=played["rounds"],
        run=played["run"],
    )
