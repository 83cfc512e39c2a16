"""What one check of a claim says, and which of several decides."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wardround.core.claim import MEDIHALL_SCORE, ClaimType, Severity, VerdictLabel


@dataclass(frozen=True, slots=True)
class Check:
    """The outcome of one check."""

    label: VerdictLabel
    severity: Severity
    code: str
    """Which check it is, such as `number` or `laterality`."""
    words: str
    """What it saw."""
    evidence: tuple[str, ...] = ()
    """Ids of the sources that decided it."""
    type: ClaimType = ClaimType.OTHER
    span: tuple[int, int] | None = None
    """Characters of the claim that it is about."""
    correction: str | None = None
    """What the evidence has in place of the span, where one thing stands for another."""

    @property
    def reason(self) -> str:
        """Code and words in one line."""
        return f"{self.code}: {self.words}"


def supported(code: str, words: str, evidence: Iterable[str], type_: ClaimType, span: tuple[int, int] | None) -> Check:
    """Return a check that bears the claim out."""
    ids = tuple(dict.fromkeys(evidence))
    return Check(VerdictLabel.SUPPORTED, Severity.CORRECT, code, words, ids, type_, span)


def contradicted(
    severity: Severity,
    code: str,
    words: str,
    evidence: Iterable[str],
    type_: ClaimType,
    span: tuple[int, int] | None,
    correction: str | None = None,
) -> Check:
    """Return a check that speaks against the claim."""
    ids = tuple(dict.fromkeys(evidence))
    return Check(VerdictLabel.CONTRADICTED, severity, code, words, ids, type_, span, correction)


def unaddressed(code: str, words: str, type_: ClaimType, span: tuple[int, int] | None = None) -> Check:
    """Return a check that found nothing to go by."""
    return Check(VerdictLabel.NOT_ADDRESSED, Severity.UNSCORED, code, words, (), type_, span)


_ORDER = {VerdictLabel.SUPPORTED: 0, VerdictLabel.NOT_ADDRESSED: 1, VerdictLabel.CONTRADICTED: 2}


def badness(check: Check) -> tuple[int, float]:
    """Sort key: contradicted is worse than not addressed, which is worse than supported; then by severity."""
    return _ORDER[check.label], -MEDIHALL_SCORE.get(check.severity, 1.0)
