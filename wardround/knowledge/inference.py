"""From findings to a posterior, and from a posterior to what to find out next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from wardround.core.differential import Differential, Hypothesis
from wardround.core.finding import Assertion, Finding
from wardround.core.graph import POSSIBLE_SHARE
from wardround.core.weighing import Array, Evidence, Weighed, reading_weight, weigh
from wardround.knowledge.base import KnowledgeBase

COST_EXPONENT = 0.5
"""Gain is divided by cost to this power: a CT must tell more than a question, not 30 times more. Graded."""


@dataclass(frozen=True)
class Suggestion:
    """A finding worth obtaining."""

    code: str
    name: str
    how: str
    gain: float
    """Expected information gain in bits."""
    value: float
    """Gain per cost, by which suggestions are ordered."""


def evidence_arrays(
    kb: KnowledgeBase,
    findings: Iterable[tuple[Finding, float]],
    *,
    age: float | None,
    sex: str | None,
) -> tuple[tuple[str, ...], Evidence]:
    """Return finding codes in order and the arrays to weigh.

    Args:
        kb: The knowledge.
        findings: Readings with the reliability of the source of each, which must be independent of one another.
        age: Years, or unknown.
        sex: `female`, `male` or unknown.
    """
    summed: dict[str, float] = {}
    for finding, reliability in findings:
        weight = reading_of(finding, reliability)
        if weight is not None and finding.code in kb.findings:
            summed[finding.code] = summed.get(finding.code, 0.0) + weight
    codes = tuple(sorted(summed))
    rows = [kb.finding_index[code] for code in codes]
    groups = {name: k for k, name in enumerate(sorted({kb.group[code] for code in codes}))}
    return codes, Evidence(
        reading=np.array([summed[code] for code in codes]),
        present=kb.likelihood[rows],
        background=kb.background[rows],
        group=np.array([groups[kb.group[code]] for code in codes], dtype=np.int64),
        prior=kb.prior(age, sex),
    )


def reading_of(finding: Finding, reliability: float) -> float | None:
    """Return the log evidence of a reading, or nothing where its assertion carries no weight."""
    match finding.assertion:
        case Assertion.PRESENT:
            return reading_weight(reliability, present=True)
        case Assertion.POSSIBLE:
            return reading_weight(reliability * POSSIBLE_SHARE, present=True)
        case Assertion.ABSENT:
            return reading_weight(reliability, present=False)
        case _:
            return None


def infer(
    kb: KnowledgeBase,
    findings: Iterable[tuple[Finding, float]],
    *,
    age: float | None = None,
    sex: str | None = None,
) -> tuple[tuple[str, ...], Weighed]:
    """Weigh findings against all conditions; returns the codes that bore weight and the result."""
    codes, evidence = evidence_arrays(kb, findings, age=age, sex=sex)
    return codes, weigh(evidence)


def as_differential(kb: KnowledgeBase, p: Array) -> Differential:
    """Return a posterior (conditions, then other) as a differential."""
    conditions = list(kb.conditions.values())
    order = sorted(range(len(conditions)), key=lambda j: (-p[j], conditions[j].id))
    hypotheses = tuple(
        Hypothesis(
            id=conditions[j].id,
            name=conditions[j].name,
            icd10=conditions[j].icd10,
            probability=float(p[j]),
        )
        for j in order
    )
    other = 1.0 - sum(h.probability for h in hypotheses)
    return Differential(hypotheses=hypotheses, other=min(1.0, max(0.0, other)))


def information_gain(kb: KnowledgeBase, p: Array) -> Array:
    """Return the expected drop in entropy, in bits, of learning each finding.

    EIG(f) = H(p) - sum_v P(v) H(p | v), with P(v) = sum_d p_d P(v | d).

    Args:
        kb: The knowledge.
        p: Posterior over conditions and other, shape (n_conditions + 1,).

    Returns:
        Shape (n_findings,), never negative.
    """
    likelihood = np.concatenate([kb.likelihood, kb.background[:, None]], axis=1)
    yes = likelihood * p
    p_yes = yes.sum(axis=1)
    no = p - yes
    p_no = 1.0 - p_yes
    after = p_yes * _entropy(yes / p_yes[:, None]) + p_no * _entropy(no / p_no[:, None])
    gain: Array = np.maximum(_entropy(p[None])[0] - after, 0.0)
    return gain


def _entropy(p: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * np.log2(p), 0.0)
    result: Array = -terms.sum(axis=-1)
    return result


def suggest(
    kb: KnowledgeBase,
    p: Array,
    known: Sequence[str],
    *,
    sex: str | None = None,
    limit: int = 5,
) -> list[Suggestion]:
    """Return what would tell most per cost, best first, leaving out what is known.

    Args:
        kb: The knowledge.
        p: Posterior over conditions and other.
        known: Codes of findings that are already known, present or absent.
        sex: Leaves out findings of the other sex.
        limit: How many at most.
    """
    gain = information_gain(kb, p)
    value = gain / kb.cost**COST_EXPONENT
    entries = list(kb.findings.values())
    open_rows = [
        i
        for i, entry in enumerate(entries)
        if entry.id not in known and (entry.sex is None or sex is None or entry.sex == sex)
    ]
    best = sorted(open_rows, key=lambda i: (-value[i], entries[i].id))[:limit]
    return [
        Suggestion(
            code=entries[i].id,
            name=entries[i].name,
            how=entries[i].how,
            gain=float(gain[i]),
            value=float(value[i]),
        )
        for i in best
        if gain[i] > 1e-6
    ]
