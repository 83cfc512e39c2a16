"""How things were judged: each result once, in both forms, on the span that it judges."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from wardround.core.claim import MEDIHALL_SCORE, Verdict
from wardround.core.decision import Decision
from wardround.core.items import ClaimItem, VerdictItem
from wardround.trace.events import (
    AnswerRefused,
    DecisionMade,
    EvidenceAdded,
    UncertaintyMeasured,
)
from wardround.trace.otel.names import EVALUATION_RESULT, GenAi, OpenInference, Ours
from wardround.trace.otel.stretches import Log
from wardround.trace.otel.values import Attributes, EventValue, Value, nanoseconds

CLAIM_SUPPORT = "claim_support"
"""Whether the evidence bears a claim out; the number is its MediHall score, which an unaddressed claim has not."""
ANSWER = "answer_readable"
"""Why an answer of a model was no opinion."""
DECISION = "decision"
"""How the run ended; the number is the probability of the diagnosis."""
GATE = "gate"
"""A reason why the gate stayed closed, or that it was open."""
UNCERTAINTY = "uncertainty"
"""Combined uncertainty, with the part that contributes most."""
SUPPORTED = "claims_supported"
"""Share of the judged claims that the evidence bears out."""


@dataclass(frozen=True)
class Result:
    """How something was judged, by code."""

    name: str
    time: int
    """Nanoseconds since 1970, UTC."""
    identifier: str
    score: float | None = None
    label: str | None = None
    explanation: str | None = None
    """Content."""
    metadata: Mapping[str, object] = field(default_factory=dict)
    """Content."""
    ours: Attributes = field(default_factory=dict)
    """What has no standard name."""

    def event(self) -> EventValue:
        """Return it as OpenTelemetry's event."""
        told: dict[str, Value | None] = {
            GenAi.EVALUATION_NAME: self.name,
            GenAi.EVALUATION_SCORE: self.score,
            GenAi.EVALUATION_LABEL: self.label,
            GenAi.EVALUATION_EXPLANATION: self.explanation,
        }
        attributes = {key: value for key, value in told.items() if value is not None}
        return EventValue(EVALUATION_RESULT, self.time, {**attributes, **self.ours})


def evaluations(results: Sequence[Result], name: OpenInference = OpenInference.EVALUATIONS) -> dict[str, Value]:
    """Return results as OpenInference's flat attributes."""
    flat: dict[str, Value] = {}
    for i, result in enumerate(results):
        told: dict[str, Value | None] = {
            "name": result.name,
            "score": result.score,
            "label": result.label,
            "explanation": result.explanation,
            "annotator_kind": "CODE",
            "identifier": result.identifier,
            "metadata": json.dumps(result.metadata, ensure_ascii=False) if result.metadata else None,
        }
        flat |= {f"{name}.{i}.evaluation.{key}": value for key, value in told.items() if value is not None}
    return flat


def makers(log: Log) -> dict[str, str]:
    """Return the key of the stretch that made each claim first, by claim."""
    made: dict[str, str] = {}
    for stretch in log.stretches:
        for event in stretch.of(EvidenceAdded):
            if isinstance(event.item, ClaimItem):
                made.setdefault(event.item.claim.id, stretch.key)
    return made


def claim_results(log: Log, made: Mapping[str, str]) -> dict[str, list[Result]]:
    """Return what was said of the claims of each stretch, by the stretch that made them first."""
    found: dict[str, dict[str, Result]] = {}
    for event in log.events:
        if isinstance(event, EvidenceAdded) and isinstance(event.item, VerdictItem):
            verdict = event.item.verdict
            if verdict.claim in made:
                found.setdefault(made[verdict.claim], {})[verdict.claim] = _of_claim(verdict, nanoseconds(event.time))
    return {key: list(results.values()) for key, results in found.items()}


def _of_claim(verdict: Verdict, time: int) -> Result:
    return Result(
        CLAIM_SUPPORT,
        time,
        verdict.claim,
        score=MEDIHALL_SCORE.get(verdict.severity),
        label=verdict.label.value,
        explanation=verdict.reason,
        metadata={"severity": verdict.severity.value, "evidence": list(verdict.evidence)},
        ours={
            Ours.CLAIM: verdict.claim,
            Ours.SEVERITY: verdict.severity.value,
            Ours.SOURCES: list(verdict.evidence),
        },
    )


def refusals(log: Log) -> dict[str, list[Result]]:
    """Return which answers were not taken, by call."""
    found: dict[str, list[Result]] = {}
    for event in log.events:
        if isinstance(event, AnswerRefused):
            kind = event.kind.value if event.kind is not None else "unsorted"
            ours: dict[str, Value] = {Ours.FINAL: event.final}
            result = Result(ANSWER, nanoseconds(event.time), event.call, label=kind, explanation=event.fault, ours=ours)
            found.setdefault(event.call, []).append(result)
    return found


def gate_results(events: Iterable[DecisionMade]) -> list[Result]:
    """Return what a gate found: one result for each reason, or that there is none."""
    found: list[Result] = []
    for event in events:
        time = nanoseconds(event.time)
        if not event.decision.reasons:
            found.append(Result(GATE, time, GATE, label="open"))
        found += [
            Result(GATE, time, f"{GATE}.{reason.code.value}", label=reason.code.value, explanation=reason.detail)
            for reason in event.decision.reasons
        ]
    return found


def uncertainty_result(event: UncertaintyMeasured) -> Result:
    """Return a measurement of the uncertainty."""
    largest = event.uncertainty.largest
    return Result(
        UNCERTAINTY,
        nanoseconds(event.time),
        UNCERTAINTY,
        score=event.uncertainty.combined,
        label=largest.value if largest is not None else None,
        explanation=f"of the answer {event.answer}" if event.answer else None,
    )


def run_results(log: Log) -> list[Result]:
    """Return what holds of the whole run: its last decision, uncertainty and share of claims borne out."""
    decided = [event for event in log.events if isinstance(event, DecisionMade)][-1:]
    measured = [event for event in log.events if isinstance(event, UncertaintyMeasured)][-1:]
    results = [decision_result(event) for event in decided] + [uncertainty_result(event) for event in measured]
    return results + _share(log)


def decision_result(event: DecisionMade) -> Result:
    """Return how a run was decided."""
    decision = event.decision
    return Result(
        DECISION,
        nanoseconds(event.time),
        DECISION,
        score=decision.probability,
        label=decision.status.value,
        explanation=str(decision),
        ours=decided(decision),
    )


def decided(decision: Decision) -> dict[str, Value]:
    """Return what may be told of a decision without naming it."""
    told: dict[str, Value | None] = {
        Ours.STATUS: decision.status.value,
        Ours.PROBABILITY: decision.probability,
        Ours.REASONS: [reason.code.value for reason in decision.reasons],
        Ours.CALIBRATION: decision.calibration,
    }
    return {key: value for key, value in told.items() if value is not None}


def _share(log: Log) -> list[Result]:
    verdicts = {
        event.item.verdict.claim: (event.item.verdict, event.time)
        for event in log.events
        if isinstance(event, EvidenceAdded) and isinstance(event.item, VerdictItem)
    }
    if not verdicts:
        return []
    supported = sum(verdict.is_supported for verdict, _ in verdicts.values())
    share = supported / len(verdicts)
    last = max(time for _, time in verdicts.values())
    told = f"{supported} of {len(verdicts)} claims"
    return [Result(SUPPORTED, nanoseconds(last), SUPPORTED, score=share, explanation=told)]
