"""The gate: named predicates that must all hold before a diagnosis is final."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from wardround.core.calibration.card import Card
from wardround.core.claim import Claim, Severity, Verdict, VerdictLabel
from wardround.core.decision import (
    Decision,
    DecisionStatus,
    GateReason,
    Missing,
    Reason,
    RedFlag,
)
from wardround.core.differential import Hypothesis
from wardround.core.graph import EvidenceGraph
from wardround.graphs.settings import GatePolicy
from wardround.knowledge.base import KnowledgeBase
from wardround.knowledge.inference import suggest
from wardround.knowledge.schema import Presentation

_SHOWN = 10
_LEADING = 2
_MISSING = 6


@dataclass(frozen=True)
class Proposal:
    """What the attending puts before the gate."""

    diagnosis: str | None
    """Condition id; nothing where none was given or it is not in the knowledge."""
    stated: str | None
    """The diagnosis in the attending's words."""
    argument: tuple[Claim, ...]
    overrules: bool
    overrule_reason: str
    read: float
    """Share of the narrative that was understood."""
    patients: int
    """Patients in the record."""
    opinions: int
    """Opinions that could be read, the attending's included."""
    refusals: int
    """Answers that the model declined to give."""
    spent: bool
    """Whether the budget ran out."""


@dataclass(frozen=True)
class Calibration:
    """The card that a consult names, and which of its strata the case is in."""

    card: Card
    stratum: str


def decide(
    kb: KnowledgeBase,
    graph: EvidenceGraph,
    proposal: Proposal,
    policy: GatePolicy,
    *,
    sex: str | None,
    closed: DecisionStatus,
    calibration: Calibration | None = None,
) -> Decision:
    """Check a proposal and make the decision.

    Args:
        kb: The knowledge.
        graph: The evidence.
        proposal: The attending's diagnosis with its argument.
        policy: Limits of the predicates.
        sex: Leaves out of `missing` what only the other sex can have.
        closed: Status where a predicate does not hold: abstained or escalated.
        calibration: What the consult was calibrated by.
    """
    differential = graph.differential
    diagnosis = graph.find(proposal.diagnosis) if proposal.diagnosis is not None else None
    reasons = tuple(_reasons(kb, graph, proposal, diagnosis, policy, calibration))
    shown = diagnosis or differential.top
    is_open = not reasons or (not policy.enforced and diagnosis is not None)
    return Decision(
        status=DecisionStatus.FINAL if is_open else closed,
        diagnosis=diagnosis,
        **stated(graph, shown, calibration, promises=policy.certificate and policy.enforced),
        differential=differential.shortened(_SHOWN),
        plausible=_plausible(graph, policy) if calibration is None else _certified_set(kb, graph, calibration),
        reasons=reasons,
        missing=_missing(kb, graph, sex),
        red_flags=tuple(_red_flags(kb, graph, diagnosis, policy)),
        summary=" ".join(claim.text for claim in proposal.argument),
    )


def stated(
    graph: EvidenceGraph, shown: Hypothesis | None, calibration: Calibration | None, *, promises: bool
) -> dict[str, Any]:
    """Return what a decision states of a diagnosis: probability, posterior, interval and where they come from.

    Args:
        graph: The evidence.
        shown: The diagnosis, or else the leading one.
        calibration: What the consult was calibrated by.
        promises: Whether the card's certificate decides, without which it promises nothing.
    """
    card = calibration.card if calibration is not None else None
    said: dict[str, Any] = {"certificate": None, "calibration": "uncalibrated"}
    if card is not None:
        said = {"certificate": str(card.threshold) if promises else None, "calibration": card.id}
    if shown is None:
        return said
    low, high = graph.interval(shown.id)
    said |= {"probability": shown.probability, "posterior": shown.probability, "interval": (low, high)}
    if card is None or calibration is None:
        return said
    ends = (card.probability(low, calibration.stratum), card.probability(high, calibration.stratum))
    said["probability"] = card.probability(shown.probability, calibration.stratum)
    said["interval"] = card.interval(shown.probability, calibration.stratum) or ends
    return said


def _certified_set(kb: KnowledgeBase, graph: EvidenceGraph, calibration: Calibration) -> tuple[str, ...]:
    """What the card's sets do not exclude, and every dangerous condition that is probable enough."""
    everywhere = {h.id: h.probability for h in graph.differential.hypotheses}
    dangerous = [c.id for c in graph.candidates if c.must_not_miss]
    shown = graph.differential.shortened(_SHOWN)
    kept = calibration.card.differential_set(shown, calibration.stratum, dangerous, everywhere)
    return tuple(dict.fromkeys(_code(kb, name) for name in (*kept.members, *kept.dangerous)))


def _code(kb: KnowledgeBase, name: str) -> str:
    return kb.conditions[name].icd10 if name in kb.conditions else name


def _reasons(
    kb: KnowledgeBase,
    graph: EvidenceGraph,
    proposal: Proposal,
    diagnosis: Hypothesis | None,
    policy: GatePolicy,
    calibration: Calibration | None,
) -> list[Reason]:
    found: list[tuple[GateReason, str]] = []
    if proposal.patients > 1:
        found.append((GateReason.SEVERAL_PATIENTS, f"the record holds {proposal.patients} patients"))
    if proposal.spent:
        found.append((GateReason.BUDGET, "the budget ran out before the case was settled"))
    if proposal.opinions == 0:
        declined = f"; {proposal.refusals} declined to answer" if proposal.refusals else ""
        found.append((GateReason.NO_OPINION, f"no agent gave an answer that could be read{declined}"))
    if proposal.read < policy.read:
        found.append((GateReason.UNREAD, f"only {proposal.read:.0%} of the sentences were understood"))
    if diagnosis is None:
        outside = f"{proposal.stated!r} is not in the knowledge" if proposal.stated else "none was proposed"
        found.append((GateReason.NO_DIAGNOSIS, outside))
        return [Reason(code=code, detail=detail) for code, detail in found]
    found += _confidence(graph, diagnosis, policy, calibration)
    found += _evidence_reasons(graph, diagnosis, policy)
    found += _danger(kb, graph, diagnosis, policy)
    found += _argument(proposal, graph.verdicts)
    top = graph.differential.top
    if top is not None and top.id != diagnosis.id:
        why = proposal.overrule_reason or "no reason given"
        found.append((GateReason.OVERRULED, f"the evidence favours {top.name} ({top.probability:.0%}): {why}"))
    return [Reason(code=code, detail=detail) for code, detail in found]


def _confidence(
    graph: EvidenceGraph, diagnosis: Hypothesis, policy: GatePolicy, calibration: Calibration | None
) -> list[tuple[GateReason, str]]:
    """Whether the diagnosis is probable enough: by the card's certificate where one is to be had, else by the limit."""
    if calibration is None or not policy.certificate:
        if diagnosis.probability >= policy.probability:
            return []
        detail = f"{diagnosis.name} has {diagnosis.probability:.0%}, below {policy.probability:.0%}"
        return [(GateReason.LOW_PROBABILITY, detail)]
    members = calibration.card.differential_set(
        graph.differential.shortened(_SHOWN), calibration.stratum, (), {}
    ).members
    if diagnosis.id not in members:
        detail = f"{diagnosis.name} is not among what card {calibration.card.id} does not exclude"
        return [(GateReason.NOT_CERTIFIED, detail)]
    threshold = calibration.card.threshold
    confidence = calibration.card.probability(diagnosis.probability, calibration.stratum)
    if threshold.accepts(confidence):
        return []
    detail = f"{diagnosis.name} has {confidence:.1%} by card {calibration.card.id}, which says: {threshold}"
    return [(GateReason.NOT_CERTIFIED, detail)]


def _evidence_reasons(graph: EvidenceGraph, diagnosis: Hypothesis, policy: GatePolicy) -> list[tuple[GateReason, str]]:
    found = []
    vacuity = graph.vacuity(diagnosis.id)
    if vacuity > policy.vacuity:
        detail = f"little evidence bears on it (vacuity {vacuity:.2f}, at most {policy.vacuity:g})"
        found.append((GateReason.VACUITY, detail))
    conflict = graph.conflict(diagnosis.id)
    if conflict > policy.conflict:
        detail = f"evidence for and against is of like weight (conflict {conflict:.2f}, at most {policy.conflict:g})"
        found.append((GateReason.CONFLICT, detail))
    weak = [g for g in graph.pivotal_groups() if graph.group_reliability(g) < policy.fragile_reliability]
    if weak:
        detail = f"rests on {', '.join(g.replace('_', ' ') for g in weak)} alone, which is not reliable"
        found.append((GateReason.FRAGILE, detail))
    share, codes = _unexplained(graph, diagnosis.id)
    if share > policy.unexplained:
        named = ", ".join(code.replace("_", " ") for code in codes[:5])
        found.append((GateReason.UNEXPLAINED, f"{share:.0%} of the findings are not explained: {named}"))
    return found


def _unexplained(graph: EvidenceGraph, diagnosis: str) -> tuple[float, tuple[str, ...]]:
    present = [
        bearing.code
        for i, bearing in enumerate(graph.bearings)
        if graph.evidence.reading[i] > 0 and not bearing.code.endswith("_history")
    ]
    left = tuple(code for code in graph.unexplained(diagnosis) if code in present)
    return (len(left) / len(present) if present else 0.0), left


def _danger(
    kb: KnowledgeBase, graph: EvidenceGraph, diagnosis: Hypothesis, policy: GatePolicy
) -> list[tuple[GateReason, str]]:
    open_ = [h for h in _dangerous(graph, policy.must_not_miss) if not _same_disease(h, diagnosis)]
    return [(GateReason.MUST_NOT_MISS, f"{h.name} is not excluded ({h.probability:.0%})") for h in open_[:5]]


def _same_disease(a: Hypothesis, b: Hypothesis) -> bool:
    """Forms of one disease share their ICD-10 category, as the kinds of myocardial infarction do (I21)."""
    return a.id == b.id or (a.icd10 is not None and a.icd10[:3] == (b.icd10 or "")[:3])


def _dangerous(graph: EvidenceGraph, at_least: float) -> list[Hypothesis]:
    dangerous = {c.id for c in graph.candidates if c.must_not_miss}
    return [h for h in graph.differential.hypotheses if h.id in dangerous and h.probability >= at_least]


def _argument(proposal: Proposal, verdicts: Mapping[str, Verdict]) -> list[tuple[GateReason, str]]:
    wrong = [
        (claim, verdicts[claim.id])
        for claim in proposal.argument
        if claim.id in verdicts
        and verdicts[claim.id].label is VerdictLabel.CONTRADICTED
        and verdicts[claim.id].severity in (Severity.CATASTROPHIC, Severity.CRITICAL)
    ]
    return [(GateReason.CRITICAL_CLAIM, f'"{claim.text}": {verdict.reason}') for claim, verdict in wrong]


def _plausible(graph: EvidenceGraph, policy: GatePolicy) -> tuple[str, ...]:
    """Hypotheses that make up 90 % of the probability, and every dangerous one that is not excluded."""
    total = 0.0
    kept: list[Hypothesis] = []
    for hypothesis in graph.differential.hypotheses:
        if total >= 0.9:
            break
        kept.append(hypothesis)
        total += hypothesis.probability
    kept += [h for h in _dangerous(graph, policy.plausible) if h not in kept]
    return tuple(dict.fromkeys(h.icd10 or h.id for h in kept))


def _missing(kb: KnowledgeBase, graph: EvidenceGraph, sex: str | None) -> tuple[Missing, ...]:
    p = np.asarray(graph.weighed.posterior)
    best = suggest(kb, p, list(graph.readings), sex=sex, limit=_MISSING)
    return tuple(Missing(code=s.code, name=s.name, how=s.how, gain=round(s.gain, 4)) for s in best)


def _red_flags(
    kb: KnowledgeBase, graph: EvidenceGraph, diagnosis: Hypothesis | None, policy: GatePolicy
) -> list[RedFlag]:
    present = {bearing.code: bearing for i, bearing in enumerate(graph.bearings) if graph.evidence.reading[i] > 0}
    flags: dict[str, RedFlag] = {}
    for presentation in _presentations(kb, graph, diagnosis):
        for code in presentation.red_flags:
            if code in present and code not in flags:
                detail = f"danger sign with {presentation.name.lower()}"
                flags[code] = RedFlag(code=code, name=present[code].name, detail=detail)
    named = list(flags.values())[:_SHOWN]
    for h in _dangerous(graph, policy.plausible):
        detail = f"dangerous and at {h.probability:.1%}"
        if diagnosis is not None and h.id == diagnosis.id:
            detail = f"the diagnosis itself is dangerous ({h.probability:.0%})"
        named.append(RedFlag(code=h.id, name=h.name, detail=detail))
    return named


def _presentations(kb: KnowledgeBase, graph: EvidenceGraph, diagnosis: Hypothesis | None) -> list[Presentation]:
    """The presentations under which the diagnosis and the leading hypotheses are written."""
    leading = [h.id for h in graph.differential.hypotheses[:_LEADING]]
    wanted = {*leading, *([diagnosis.id] if diagnosis is not None else [])}
    return [kb.presentations[p] for p, written in kb.presentation_conditions.items() if wanted & set(written)]
