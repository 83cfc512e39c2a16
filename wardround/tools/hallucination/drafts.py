"""Errors in a draft note: sentences that the rest of the note, or the evidence, speaks against.

The kinds are those of clinical error correction (diagnosis, management, treatment, pharmacotherapy, causal
organism); what fits none of them is `fact`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from wardround.core.claim import Claim, ClaimKind, ClaimType, Severity, VerdictLabel
from wardround.core.source import Source, SourceKind
from wardround.knowledge.text import sentences
from wardround.tools.hallucination.checks import Check
from wardround.tools.hallucination.detector import Examination, RuleDetector


class ErrorKind(StrEnum):
    """What a wrong sentence is wrong about."""

    DIAGNOSIS = "diagnosis"
    MANAGEMENT = "management"
    TREATMENT = "treatment"
    PHARMACOTHERAPY = "pharmacotherapy"
    CAUSAL_ORGANISM = "causal_organism"
    FACT = "fact"


@dataclass(frozen=True)
class DraftError:
    """One sentence that something speaks against."""

    kind: ErrorKind
    sentence: str
    span: tuple[int, int]
    """Characters of the draft: the words in question, or the whole sentence."""
    reason: str
    severity: Severity
    evidence: tuple[str, ...]
    """Ids of evidence; places of the draft itself are named `draft:N`, counted in sentences from 1."""
    correction: str | None
    """What to put instead, only where the evidence has it."""


def draft_errors(draft: str, sources: Mapping[str, Source], detector: RuleDetector) -> list[DraftError]:
    """Check each sentence of a draft against the evidence and against the other sentences of the draft.

    Of two sentences of the draft that contradict each other, both are named: which is wrong cannot be told from them.
    """
    parts = sentences(draft)
    own = {
        f"draft:{n}": Source(
            kind=SourceKind.CLINICIAN_NOTE, text=part.text, document="draft", title=f"draft, sentence {n}"
        )
        for n, part in enumerate(parts, start=1)
    }
    found = []
    for n, part in enumerate(parts, start=1):
        others = {name: source for name, source in own.items() if name != f"draft:{n}"}
        given = {**sources, **{source.id: source for source in others.values()}}
        names = {source.id: name for name, source in others.items()}
        claim = Claim(agent="draft", text=part.text, kind=ClaimKind.FINDING)
        examined = detector.examine(claim, given)
        if examined.verdict.label is VerdictLabel.CONTRADICTED:
            found.append(_error(part.text, part.start, examined, names))
    return found


def _error(sentence: str, at: int, examined: Examination, names: Mapping[str, str]) -> DraftError:
    worst = examined.checks[0]
    span = worst.span or (0, len(sentence))
    return DraftError(
        kind=_kind(sentence, worst, examined),
        sentence=sentence,
        span=(at + span[0], at + span[1]),
        reason=worst.reason,
        severity=worst.severity,
        evidence=tuple(names.get(i, i) for i in worst.evidence),
        correction=worst.correction if worst.evidence else None,
    )


_TREATMENTS = ("procedure", "treatment")
_MANAGED = ("discharge", "intensive care", "biopsy", "colonoscopy", "endoscopy", "bronchoscopy", "lumbar puncture")


def _kind(sentence: str, worst: Check, examined: Examination) -> ErrorKind:
    if worst.code == "organism":
        return ErrorKind.CAUSAL_ORGANISM
    if worst.type is ClaimType.DRUG:
        return ErrorKind.PHARMACOTHERAPY
    words = " ".join(c.words for c in examined.checks if c.label is VerdictLabel.CONTRADICTED)
    for name in _MANAGED:
        if f"procedure:{name}" in words:
            return ErrorKind.MANAGEMENT
    if any(f"{kind}:" in words for kind in _TREATMENTS):
        return ErrorKind.TREATMENT
    if (
        worst.type in (ClaimType.PATHOLOGY_CLASS, ClaimType.CAUSE)
        or "pathology:" in words
        or _names_condition(examined)
    ):
        return ErrorKind.DIAGNOSIS
    return ErrorKind.FACT


def _names_condition(examined: Examination) -> bool:
    return any("_" in c.words and c.type is ClaimType.PRESENCE and c.code == "assertion" for c in examined.checks[:1])
