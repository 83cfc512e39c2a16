"""The embedded hallucination detector: claim against evidence, by rules, without weights.

Plain form: findings with assertion status and numbers, laterality, citations and word-for-word quotes. What
it cannot read it calls not addressed; it never takes overlap of words for support.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from wardround.core.claim import MEDIHALL_SCORE, Claim, ClaimKind, Severity, Verdict, VerdictLabel
from wardround.core.finding import Assertion, Finding, Laterality
from wardround.core.ports import Clinician
from wardround.core.source import Source, SourceKind
from wardround.knowledge.lexicon import FUNCTION_WORDS, MODIFIERS
from wardround.knowledge.text import fold, sentences, tokens

_ABOUT_THE_PATIENT = frozenset(
    (
        SourceKind.LAB,
        SourceKind.IMAGING_REPORT,
        SourceKind.CLINICIAN_NOTE,
        SourceKind.STRUCTURED_RECORD,
        SourceKind.PATIENT,
    )
)
_QUOTABLE = frozenset(
    (
        SourceKind.GUIDELINE,
        SourceKind.SYSTEMATIC_REVIEW,
        SourceKind.TRIAL,
        SourceKind.COHORT,
        SourceKind.SCORE,
    )
)

_MANNER = """
    patient pt man woman male female boy girl he she they who year old
    present presents presenting presentation complains complaint reports describes states onset
    show shows showed reveal demonstrate note found finding evidence sign symptom return occurs
    exam examination clinical physical test result value level count measured record documented
    elevated raised high low increased decreased reduced abnormal normal positive negative absent
    no not nor or without denies denied never none neither history past previous previously prior earlier
    family mother father brother sister known possible possibly probable probably suspected likely if
    minute hour day week month year for since currently today consistent suggest indicate support but does do did
"""
_UNITS_OF_TIME = (1 / 1440, 1 / 24, 1.0, 7.0, 30.4, 365.25)
"""Minutes to years, in days."""
_COUNTS = {
    fold(word): float(n)
    for n, word in enumerate(("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"), start=1)
}
_NEUTRAL = FUNCTION_WORDS | MODIFIERS | frozenset(fold(word) for word in _MANNER.split())
"""Words that say how a finding is spoken of and nothing of their own."""

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
        for cited in claim.cites:
            source = sources.get(cited)
            if source is not None and source.kind in _QUOTABLE and _stands_in(claim.text, source.text):
                return VerdictLabel.SUPPORTED, Severity.CORRECT, (cited,), "quote: stands there word for word"
        return VerdictLabel.NOT_ADDRESSED, Severity.UNSCORED, (), "quote: no cited source has these words"

    def _findings(self, claim: Claim, sources: Mapping[str, Source]) -> list[Check]:
        stated = self._read(claim.text)
        if not stated:
            reason = "unreadable: the claim states no finding that the detector knows"
            return [(VerdictLabel.NOT_ADDRESSED, Severity.UNSCORED, (), reason)]
        sided = {f.span for f in stated if _SIDED.search(f.name)}
        everywhere = [s for s in sources.values() if s.kind in _ABOUT_THE_PATIENT]
        cited = [s for s in everywhere if s.id in claim.cites]
        checks = [self._finding(f, cited, everywhere, is_sided=f.span in sided) for f in stated]
        deciding = {c for _, _, evidence, _ in checks for c in evidence}
        near = "\n".join(s.text for s in everywhere if s.id in deciding or s.id in claim.cites)
        read = self._read(near)
        values = [f.value for f in read if f.value is not None]
        values += [f.days / unit for f in read if f.days is not None for unit in _UNITS_OF_TIME]
        return [*checks, *_unread(claim.text, stated, near, values)]

    def _finding(
        self, stated: Finding, cited: Sequence[Source], everywhere: Sequence[Source], *, is_sided: bool
    ) -> Check:
        reason = f"{stated.code}: no evidence speaks of it"
        check: Check = VerdictLabel.NOT_ADDRESSED, Severity.UNSCORED, (), reason
        for places, where in ((cited, "cited"), (everywhere, "elsewhere in the evidence")):
            found = [
                (finding, source)
                for source in places
                for finding in self._read(source.text)
                if finding.code == stated.code
            ]
            if found:
                check = _compare(stated, found, where, is_sided=is_sided)
            if check[0] is not VerdictLabel.NOT_ADDRESSED:
                break
        return check

    def _read(self, text: str) -> Sequence[Finding]:
        return self._clinician.read(text, age=self._age, sex=self._sex)


def _unread(text: str, stated: Sequence[Finding], near: str, values: Iterable[float]) -> list[Check]:
    """What a claim says besides its findings must at least stand in the evidence; that alone supports nothing."""
    said = {token.word for token in tokens(near)}
    numbers = [
        *values,
        *(_amount(m) for m in _AMOUNT.finditer(near)),
        *(n for word, n in _COUNTS.items() if word in said),
    ]
    said |= _NEUTRAL | {word for word, n in _COUNTS.items() if n in numbers}
    amounts = list(_AMOUNT.finditer(text))
    measured = [f.span for f in stated if f.span is not None and f.value is not None]
    passed = [*(f.span for f in stated if f.span is not None), *(m.span() for m in amounts)]
    unread = [
        m[0].strip()
        for m in amounts
        if not _lies_in(m.span("number"), measured) and not any(_is_near(_amount(m), n) for n in numbers)
    ]
    unread += [
        token.raw for token in tokens(text) if token.word not in said and not _lies_in((token.start, token.end), passed)
    ]
    if not unread:
        return []
    reason = f"unread: no evidence has {', '.join(unread)}"
    return [(VerdictLabel.NOT_ADDRESSED, Severity.UNSCORED, (), reason)]


def _lies_in(place: tuple[int, int], spans: Iterable[tuple[int, int]]) -> bool:
    return any(start <= place[0] and place[1] <= end for start, end in spans)


def _amount(match: re.Match[str]) -> float:
    return float(match["number"].replace(",", "."))


def _is_near(stated: float, read: float) -> bool:
    return abs(stated - read) <= max(0.01 * abs(read), 0.005)


def _compare(stated: Finding, found: Sequence[tuple[Finding, Source]], where: str, *, is_sided: bool) -> Check:
    agreeing = [(f, s) for f, s in found if f.assertion is stated.assertion]
    if not agreeing:
        said = ", ".join(sorted({f.assertion.value for f, _ in found}))
        reason = f"assertion: {stated.code} is {said} ({where}), not {stated.assertion.value}"
        return VerdictLabel.CONTRADICTED, _severity(stated, found), _ids(found), reason
    checks = (_number(stated, agreeing), _duration(stated, agreeing), _side(stated, agreeing, is_sided=is_sided))
    supported: Check = VerdictLabel.SUPPORTED, Severity.CORRECT, _ids(agreeing), f"assertion: {where}"
    return max((supported, *(check for check in checks if check is not None)), key=_badness)


def _severity(stated: Finding, found: Sequence[tuple[Finding, Source]]) -> Severity:
    """A finding asserted that the evidence denies is worse than one misjudged in time or certainty."""
    opposed = {f.assertion for f, _ in found} & {Assertion.PRESENT, Assertion.ABSENT}
    if stated.assertion in (Assertion.PRESENT, Assertion.ABSENT) and opposed:
        return Severity.CRITICAL
    return Severity.ATTRIBUTE


def _number(stated: Finding, agreeing: Sequence[tuple[Finding, Source]]) -> Check | None:
    if stated.value is None:
        return None
    given = [(f.value, s) for f, s in agreeing if f.value is not None]
    if not given:
        return VerdictLabel.NOT_ADDRESSED, Severity.UNSCORED, (), f"number: no evidence gives {stated.code}"
    if any(_is_near(stated.value, value) for value, _ in given):
        return None
    reason = f"number: {stated.code} is {given[0][0]:g}, not {stated.value:g}"
    return VerdictLabel.CONTRADICTED, Severity.ATTRIBUTE, tuple(dict.fromkeys(s.id for _, s in given)), reason


def _duration(stated: Finding, agreeing: Sequence[tuple[Finding, Source]]) -> Check | None:
    """Durations are compared where both are given, roughly, as people say them."""
    given = [(f.days, s) for f, s in agreeing if f.days is not None]
    if stated.days is None or not given:
        return None
    if any(abs(stated.days - days) <= 0.1 * max(stated.days, days) for days, _ in given):
        return None
    reason = f"duration: {stated.code} for {given[0][0]:g} days, not {stated.days:g}"
    return VerdictLabel.CONTRADICTED, Severity.ATTRIBUTE, tuple(dict.fromkeys(s.id for _, s in given)), reason


def _side(stated: Finding, agreeing: Sequence[tuple[Finding, Source]], *, is_sided: bool) -> Check | None:
    """Sides are compared; where the finding's own name has a side, evidence need not say it again."""
    sides = {f.laterality for f, _ in agreeing} - {None}
    if stated.laterality is None or (is_sided and not sides):
        return None
    if not sides:
        reason = f"laterality: no evidence gives the side of {stated.code}"
        return VerdictLabel.NOT_ADDRESSED, Severity.UNSCORED, (), reason
    both = {Laterality.LEFT, Laterality.RIGHT}
    if stated.laterality in sides or Laterality.BILATERAL in sides or sides == both:
        return None
    reason = f"laterality: {stated.code} is {next(iter(sides))}, not {stated.laterality}"
    return VerdictLabel.CONTRADICTED, Severity.CRITICAL, _ids(agreeing), reason


_AMOUNT = re.compile(
    r"(?P<number>\d+(?:[.,]\d+)?)\s?"
    r"(?:[^\s(),;]*[/\[%][^\s(),;]*|(?:°?[cfk]|cel|mm ?hg|bpm|fl|kpa|sec?|[mk]?g)\b)?",
    re.IGNORECASE,
)
"""A number with its unit."""
_SIDED = re.compile(r"\b(?:left|right)\b", re.IGNORECASE)
"""The side in the name of a finding, such as right lower quadrant pain."""


def _ids(found: Iterable[tuple[Finding, Source]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(source.id for _, source in found))


def _stands_in(quote: str, text: str) -> bool:
    """Whether a quote is the whole text or whole sentences of it; a part of a sentence may turn its sense."""
    said, there = (
        [_plain(sentence.text) for sentence in sentences(" ".join(whole.split()))] for whole in (quote, text)
    )
    return any(there[i : i + len(said)] == said for i in range(len(there))) if said else False


def _plain(text: str) -> str:
    """Fold case, spaces, the full stop and hyphens between letters; a minus before a number stays."""
    return " ".join(re.sub(r"(?<=[^\W\d_])-(?=[^\W\d_])", " ", text.lower()).split()).rstrip(". ")


_ORDER = (VerdictLabel.SUPPORTED, VerdictLabel.NOT_ADDRESSED, VerdictLabel.CONTRADICTED)


def _badness(check: Check) -> tuple[int, float]:
    return _ORDER.index(check[0]), -MEDIHALL_SCORE.get(check[1], 1.0)
