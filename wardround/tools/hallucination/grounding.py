"""Where a model with weights may help the rules: the port, and how its word is weighed against theirs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from wardround.core.claim import Claim, ClaimKind, Severity, Verdict, VerdictLabel
from wardround.core.source import Source
from wardround.knowledge.text import tokens
from wardround.tools.hallucination.detector import Examination, RuleDetector
from wardround.tools.hallucination.hygiene import cleaned

CERTAIN = 0.9
"""Probability from which a model is listened to. Our own choice, unfitted."""
PREMISES = 8
"""Places that a model is shown at most."""
_NEGATION = re.compile(
    r"\b(?:no|not|never|without|den\w+|negative|absent|n't|nor|neither|excluded|ruled out|free of)\b", re.I
)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")
_OPEN = frozenset(("unread", "unreadable"))
"""Reasons for which a claim is open that a model may mend; a thing or side that no evidence has is not among them."""


@dataclass(frozen=True)
class Grounding:
    """What a model says of one claim."""

    supported: float
    contradicted: float
    spans: tuple[tuple[int, int, float], ...] = ()
    """Stretches of the claim without ground: first character, the one behind the last, probability."""


class GroundingModel(Protocol):
    """Anything that can say how far premises bear a claim out."""

    @property
    def name(self) -> str:
        """How it is called in reasons."""
        ...

    def ground(self, premises: Sequence[str], claim: str, /) -> Grounding:
        """Judge one claim against texts; probabilities between 0 and 1."""
        ...


class EnsembleDetector:
    """Rules first, models behind them: a contradiction by rule stands, and the worst label is kept.

    A model may turn not addressed into supported only where it is certain and nothing that the rules can read is
    missing or otherwise in the evidence: no thing, no number, no negation. It may contradict where it is certain.
    """

    def __init__(self, rules: RuleDetector, models: Sequence[GroundingModel], *, certain: float = CERTAIN) -> None:
        """Put models behind the rules; each is asked about every claim that the rules do not contradict."""
        self._rules, self._models, self._certain = rules, tuple(models), certain

    def check(self, claim: Claim, sources: Mapping[str, Source], /) -> Verdict:
        """Judge one claim."""
        examined = self._rules.examine(claim, sources)
        verdict = examined.verdict
        if verdict.label is VerdictLabel.CONTRADICTED or claim.kind in (ClaimKind.GUIDELINE, ClaimKind.SCORE):
            return verdict
        premises = self.premises(claim, sources)
        if not premises:
            return verdict
        for model in self._models:
            said = model.ground([text for _, text in premises], claim.text)
            verdict = self._fused(claim, examined, verdict, model.name, said, premises)
            if verdict.label is VerdictLabel.CONTRADICTED:
                break
        return verdict

    def premises(self, claim: Claim, sources: Mapping[str, Source]) -> list[tuple[str, str]]:
        """Return the places a model is shown: cited ones first, then those that share most words with the claim."""
        evidence = self._rules.evidence(sources)
        said = {t.word for t in tokens(cleaned(claim.text).text)}
        ranked = sorted(
            evidence.about,
            key=lambda e: (e.source.id not in claim.cites, -len(said & e.words), e.source.id),
        )
        return [(e.source.id, e.clean.text.strip()) for e in ranked[:PREMISES] if e.clean.text.strip()]

    def _fused(
        self,
        claim: Claim,
        examined: Examination,
        verdict: Verdict,
        name: str,
        said: Grounding,
        premises: Sequence[tuple[str, str]],
    ) -> Verdict:
        if said.contradicted >= self._certain:
            reason = f"{name}: contradicted with probability {said.contradicted:.2f}"
            return _verdict(claim, VerdictLabel.CONTRADICTED, Severity.ATTRIBUTE, (), reason)
        loose = [span for span in said.spans if span[2] >= self._certain]
        if verdict.label is VerdictLabel.SUPPORTED:
            if not loose:
                return verdict
            words = ", ".join(claim.text[start:end] for start, end, _ in loose)
            return _verdict(claim, VerdictLabel.NOT_ADDRESSED, Severity.UNSCORED, (), f"{name}: no ground for {words}")
        if said.supported >= self._certain and not loose and not _mismatch(claim, examined, premises):
            ids = tuple(i for i, _ in premises)
            reason = f"{name}: supported with probability {said.supported:.2f}"
            return _verdict(claim, VerdictLabel.SUPPORTED, Severity.CORRECT, ids, reason)
        return verdict


def _verdict(claim: Claim, label: VerdictLabel, severity: Severity, evidence: tuple[str, ...], reason: str) -> Verdict:
    return Verdict(claim=claim.id, label=label, severity=severity, evidence=evidence, reason=reason)


def _mismatch(claim: Claim, examined: Examination, premises: Sequence[tuple[str, str]]) -> bool:
    """Whether the rules see a thing, a number or a negation that the premises do not have, or have otherwise."""
    text = cleaned(claim.text)
    if text.addressed or any(reason.partition(":")[0] not in _OPEN for reason in examined.unchecked):
        return True
    there = " ".join(premise for _, premise in premises)
    numbers = {float(n.replace(",", ".")) for n in _NUMBER.findall(there)}
    if any(float(n.replace(",", ".")) not in numbers for n in _NUMBER.findall(text.text)):
        return True
    nearest = max(premises, key=lambda p: len({t.word for t in tokens(p[1])} & {t.word for t in tokens(text.text)}))
    return bool(_NEGATION.search(text.text)) is not bool(_NEGATION.search(nearest[1]))
