"""What a claim says besides the things that were compared: it must at least stand in the evidence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wardround.core.claim import ClaimType
from wardround.knowledge.lexicon import FUNCTION_WORDS, MODIFIERS
from wardround.knowledge.text import fold, tokens
from wardround.tools.hallucination.checks import Check, unaddressed
from wardround.tools.hallucination.evidence import NUMBER_WITH_UNIT, NUMBER_WORDS, Entry, plain_number
from wardround.tools.hallucination.statements import Reading

_MANNER = """
    patient pt man woman male female boy girl he she they who year old mr mrs ms dr
    present presents presenting presentation complains complaint reports describes states onset
    show shows showed reveal demonstrate note found finding evidence sign symptom return occurs observed seen identified
    exam examination clinical physical test result value level count measured record documented imaging study scan
    elevated raised high low increased decreased reduced abnormal normal positive negative absent
    no not nor or without denies denied never none neither history past previous previously prior earlier
    family mother father brother sister known possible possibly probable probably suspected likely if
    minute hour day week month year for since currently today consistent suggest indicate support but does do did
    takes taking took receives received given prescribed treated treatment medication drug dose tablet
    allergic allergy intolerance diagnosed diagnosis had underwent been being confirmed because due secondary caused
    measuring measures measured approximately about within located location there remains developed developing
    culture grew grown growth isolated organism
    rose fell from to after before following now latest current recent only also both
"""
_NEUTRAL = FUNCTION_WORDS | MODIFIERS | frozenset(fold(word) for word in _MANNER.split())
"""Words that say how a finding is spoken of and nothing of their own."""


def unread(text: str, reading: Reading, near: Sequence[Entry], *, is_whole: bool) -> list[Check]:
    """Return what of a claim no deciding source has: words in any form, numbers in any unit.

    Args:
        text: Of the claim.
        reading: What was compared already.
        near: Sources that decided the other checks, or that are cited.
        is_whole: The claim is about a whole or a course; then numbers were compared already.
    """
    numbers = [number for entry in near for number in entry.numbers]
    amounts = list(NUMBER_WITH_UNIT.finditer(text))
    measured = [s.finding.span for s in reading.said if s.finding.span is not None and s.finding.value is not None]
    matched = [*measured, *(a.span for s in reading.said for a in s.amounts)] if near else measured
    missing = [
        m[0].strip()
        for m in amounts
        if not is_whole
        and not _lies_in(m.span("number"), matched)
        and not any(_is_near(plain_number(m), n) for n in numbers)
    ]
    passed = [*reading.spans, *(m.span() for m in amounts)]
    missing += [
        t.raw
        for t in tokens(text)
        if t.word not in _NEUTRAL
        and not _lies_in((t.start, t.end), passed)
        and not any(t.word in entry.words for entry in near)
        and NUMBER_WORDS.get(t.word) not in numbers
    ]
    if not missing:
        return []
    return [unaddressed("unread", f"no evidence has {', '.join(missing)}", ClaimType.OTHER)]


def _lies_in(place: tuple[int, int], spans: Iterable[tuple[int, int]]) -> bool:
    return any(start <= place[0] and place[1] <= end for start, end in spans)


def _is_near(stated: float, read: float) -> bool:
    return abs(stated - read) <= max(0.01 * abs(read), 0.005)
