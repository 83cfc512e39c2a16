"""The embedded hallucination detector: claim against evidence, by rules, without weights.

Plain form: findings with assertion status and numbers, laterality, citations and word-for-word quotes. What
it cannot read it calls not addressed; it never takes overlap of words for support.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from wardround.core.claim import Claim, ClaimKind, Severity, Verdict, VerdictLabel
from wardround.core.finding import Assertion, Finding, Laterality
from wardround.core.ports import Clinician
from wardround.core.source import Source, SourceKind

_ABOUT_THE_PATIENT = frozenset(
    (
        SourceKind.LAB,
        SourceKind.IMAGING_REPORT,
        SourceKind.CLINICIAN_NOTE,
        SourceKind.STRUCTURED_RECORD,
        SourceKind.PATIENT,
    )
)

Check = tuple[VerdictLabel, Severity, tuple[str, ...], str]
"""Label, severity, deciding sources and reason of one check."""


class RuleDetector:
    """Judges claims against the sources of a case."""

    def __init__(self, clinician: Clinician, *, age: float | None = None, sex: str | None = None) -> None:
        """Read claims and evidence with a clinician's vocabulary, for a patient of this age and sex."""
        self._clinician = clinician
        self._age, self._sex = age, sex

    def check(self, claim: Claim, sources: Mapping[str, Source], /) -> Verdict:
        """Judge one claim by the worst of the checks that apply to it."""
        unknown = [cited for cited in claim.cites if cited not in sources]
        checks: list[Check] = []
        if unknown:
            reason = f"citation: {', '.join(unknown)} is no evidence of this case"
            checks.append((VerdictLabel.CONTRADICTED, Severity.CRITICAL, (), reason))
        if claim.kind in (ClaimKind.GUIDELINE, ClaimKind.SCORE):
            checks.append(self._quoted(claim, sources))
        else:
            checks += self._findings(claim, sources)
        label, severity, evidence, reason = max(checks, key=_badness)
        return Verdict(claim=claim.id, label=label, severity=severity, evidence=evidence, reason=reason)

    def _quoted(self, claim: Claim, sources: Mapping[str, Source]) -> Check:
        said = _plain(claim.text)
        for cited in claim.cites:
            source = sources.get(cited)
            if source is not None and said in _plain(source.text):
                return VerdictLabel.SUPPORTED, Severity.CORRECT, (cited,), "quote: stands there word for word"
        return VerdictLabel.NOT_ADDRESSED, Severity.UNSCORED, (), "quote: no cited source has these words"

    def _findings(self, claim: Claim, sources: Mapping[str, Source]) -> list[Check]:
        stated = self._read(claim.text)
        if not stated:
            reason = "unreadable: the claim states no finding that the detector knows"
            return [(VerdictLabel.NOT_ADDRESSED, Severity.UNSCORED, (), reason)]
        cited = [sources[c] for c in claim.cites if c in sources]
        everywhere = [s for s in sources.values() if s.kind in _ABOUT_THE_PATIENT]
        return [self._finding(finding, cited, everywhere) for finding in stated]

    def _finding(self, stated: Finding, cited: Sequence[Source], everywhere: Sequence[Source]) -> Check:
        for places, where in ((cited, "cited"), (everywhere, "elsewhere in the evidence")):
            found = [
                (finding, source)
                for source in places
                if source.kind in _ABOUT_THE_PATIENT
                for finding in self._read(source.text)
                if finding.code == stated.code
            ]
            if found:
                return _compare(stated, found, where)
        reason = f"{stated.code}: no evidence speaks of it"
        return VerdictLabel.NOT_ADDRESSED, Severity.UNSCORED, (), reason

    def _read(self, text: str) -> Sequence[Finding]:
        return self._clinician.read(text, age=self._age, sex=self._sex)


def _compare(stated: Finding, found: Sequence[tuple[Finding, Source]], where: str) -> Check:
    agreeing = [(f, s) for f, s in found if f.assertion is stated.assertion]
    if not agreeing:
        said = ", ".join(sorted({f.assertion.value for f, _ in found}))
        reason = f"assertion: {stated.code} is {said} ({where}), not {stated.assertion.value}"
        return VerdictLabel.CONTRADICTED, _severity(stated, found), _ids(found), reason
    wrong_number = [(f, s) for f, s in agreeing if not _same_number(stated, f)]
    if wrong_number and len(wrong_number) == len(agreeing):
        value = wrong_number[0][0].value
        reason = f"number: {stated.code} is {value:g}, not {stated.value:g}"
        return VerdictLabel.CONTRADICTED, Severity.ATTRIBUTE, _ids(wrong_number), reason
    wrong_side = [(f, s) for f, s in agreeing if not _same_side(stated, f)]
    if wrong_side and len(wrong_side) == len(agreeing):
        reason = f"laterality: {stated.code} is {wrong_side[0][0].laterality}, not {stated.laterality}"
        return VerdictLabel.CONTRADICTED, Severity.CRITICAL, _ids(wrong_side), reason
    return VerdictLabel.SUPPORTED, Severity.CORRECT, _ids(agreeing), f"assertion: {where}"


def _severity(stated: Finding, found: Sequence[tuple[Finding, Source]]) -> Severity:
    """A finding asserted that the evidence denies is worse than one misjudged in time or certainty."""
    opposed = {f.assertion for f, _ in found} & {Assertion.PRESENT, Assertion.ABSENT}
    if stated.assertion in (Assertion.PRESENT, Assertion.ABSENT) and opposed:
        return Severity.CRITICAL
    return Severity.ATTRIBUTE


def _same_number(stated: Finding, read: Finding) -> bool:
    if stated.value is None or read.value is None:
        return True
    return abs(stated.value - read.value) <= max(0.01 * abs(read.value), 0.005)


def _same_side(stated: Finding, read: Finding) -> bool:
    sides = (stated.laterality, read.laterality)
    return None in sides or sides[0] is sides[1] or Laterality.BILATERAL in sides


def _ids(found: Iterable[tuple[Finding, Source]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(source.id for _, source in found))


def _plain(text: str) -> str:
    return " ".join(text.lower().replace("-", " ").split())


_ORDER = (VerdictLabel.SUPPORTED, VerdictLabel.NOT_ADDRESSED, VerdictLabel.CONTRADICTED)


def _badness(check: Check) -> int:
    return _ORDER.index(check[0])
