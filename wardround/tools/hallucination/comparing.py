"""One thing that a claim states against all that the evidence says of it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from wardround.core.claim import ClaimType, Severity, VerdictLabel
from wardround.core.finding import Assertion, Laterality
from wardround.core.source import Source
from wardround.knowledge.quantities import parse_number
from wardround.tools.hallucination.amounts import Amount
from wardround.tools.hallucination.checks import Check, badness, contradicted, supported, unaddressed
from wardround.tools.hallucination.statements import Said
from wardround.tools.hallucination.vocabulary import vocabulary

Found = Sequence[tuple[Said, Source]]

_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:[.,]\d+)?")
_LATEST = re.compile(r"\b(?:latest|current(?:ly)?|most recent|now|today|last)\b", re.IGNORECASE)
_TENFOLD = (10.0, 100.0, 1000.0)
_PLACED = ("site", "height", "nearness")
"""Dimensions in which two statements must agree to be about the same place."""


def type_of(said: Said) -> ClaimType:
    """Return what kind of statement a thing makes."""
    kind = said.code.partition(":")[0]
    if kind in ("drug", "class", "allergy", "treatment"):
        return ClaimType.DRUG
    if kind == "organism":
        return ClaimType.CAUSE
    return ClaimType.ATTRIBUTE if said.finding.value is not None else ClaimType.PRESENCE


def compare(stated: Said, found: Found, where: str, text: str) -> Check:
    """Judge one stated thing by what is said of the same thing.

    Args:
        stated: From the claim.
        found: From the evidence, at least one, all of the same code.
        where: In words, for the reason.
        text: Of the claim.
    """
    measured = _number(stated, found, text)
    if measured is not None:
        return measured
    agreeing = [(s, source) for s, source in found if _same_assertion(stated, s)]
    if not agreeing:
        return _opposed(stated, found, where)
    checks = [
        *_sides(stated, agreeing),
        *_duration(stated, agreeing),
        *_attributes(stated, agreeing),
        *_amounts(stated, agreeing),
        *_dates(stated, agreeing),
    ]
    fine = supported("assertion", where, _ids(agreeing), type_of(stated), stated.finding.span)
    return max((fine, *checks), key=badness)


def _same_assertion(stated: Said, read: Said) -> bool:
    said, told = stated.finding.assertion, read.finding.assertion
    if said is told:
        return True
    past = {Assertion.PRESENT, Assertion.HISTORICAL}
    return {said, told} == past and stated.code in vocabulary().chronic


def _opposed(stated: Said, found: Found, where: str) -> Check:
    """The evidence speaks of it otherwise; of another side or site it says nothing."""
    span, said = stated.finding.span, stated.finding.assertion
    placed = [(s, source) for s, source in found if _same_place(stated, s)]
    open_to = (Assertion.HISTORICAL, Assertion.FAMILY, Assertion.HYPOTHETICAL)
    if said is Assertion.ABSENT:
        placed = [(s, source) for s, source in placed if s.finding.assertion not in open_to]
    elif said in open_to:
        placed = (
            [(s, source) for s, source in placed if s.finding.assertion not in open_to]
            if said is not Assertion.HISTORICAL
            else placed
        )
    if not placed:
        words = f"{stated.code} is spoken of, but not so"
        return unaddressed("assertion", words, type_of(stated), span)
    told = ", ".join(sorted({s.finding.assertion.value for s, _ in placed}))
    opposite = {s.finding.assertion for s, _ in placed} & {Assertion.PRESENT, Assertion.ABSENT}
    flipped = said in (Assertion.PRESENT, Assertion.ABSENT) and opposite
    severity = Severity.CRITICAL if flipped else Severity.ATTRIBUTE
    words = f"{stated.code} is {told} ({where}), not {said.value}"
    return contradicted(severity, "assertion", words, _ids(placed), type_of(stated), span)


def _same_place(stated: Said, read: Said) -> bool:
    ours, theirs = stated.values("side"), read.values("side")
    if ours and theirs and not (ours & theirs) and "bilateral" not in ours | theirs:
        return False
    return all(
        not stated.values(d) or not read.values(d) or _overlap(d, stated.values(d), read.values(d)) for d in _PLACED
    )


def _overlap(dimension: str, ours: frozenset[str], theirs: frozenset[str]) -> bool:
    if dimension == "site":
        return any(vocabulary().holds(a, b) for a in ours for b in theirs)
    if dimension == "side" and "bilateral" in theirs:
        return True
    return bool(ours & theirs)


def _number(stated: Said, found: Found, text: str) -> Check | None:
    """Measured values are compared before anything that follows from them."""
    value = stated.finding.value
    if value is None:
        return None
    span = stated.finding.span
    given = [(s, source) for s, source in found if s.finding.value is not None]
    if not given:
        if any(_same_assertion(stated, s) for s, _ in found):
            words = f"no evidence gives {stated.code} as a number"
            return unaddressed("number", words, ClaimType.ATTRIBUTE, span)
        return None
    timed = sorted({source.time for _, source in given if source.time is not None})
    if len(timed) > 1 and _LATEST.search(text):
        given = [(s, source) for s, source in given if source.time == timed[-1]]
    slack = _slack(stated, text)
    near = [
        (s, source)
        for s, source in given
        if abs(value - (s.finding.value or 0.0)) <= max(slack, 0.01 * abs(s.finding.value or 0.0), 0.005)
    ]
    if near:
        return supported("number", "the same value", _ids(near), ClaimType.ATTRIBUTE, span)
    other = given[0][0].finding
    crossed = not any(_same_assertion(stated, s) for s, _ in given)
    severity = Severity.CRITICAL if crossed else Severity.ATTRIBUTE
    words = f"{stated.code} is {other.value:g} {other.unit or ''}, not {value:g}{_factor(value, other.value or 0.0)}"
    return contradicted(
        severity, "number", words, _ids(given), ClaimType.ATTRIBUTE, span, f"{other.value:g} {other.unit or ''}".strip()
    )


def _slack(stated: Said, text: str) -> float:
    """Half of the last stated digit, in the unit of the value; 0 where the number cannot be found again."""
    start, end = stated.finding.span or (0, 0)
    numbers = _NUMBER.findall(text[start:end])
    value = stated.finding.value or 0.0
    if not numbers or not parse_number(numbers[-1]):
        return 0.0
    number = numbers[-1]
    decimals = len(re.split(r"[.,]", number)[-1]) if re.search(r"[.,]\d{1,2}$|\.\d+$", number) else 0
    return float(0.5 * 10.0**-decimals * value / parse_number(number)) * (1 - 1e-9)


def _factor(stated: float, told: float) -> str:
    if not stated or not told:
        return ""
    ratio = max(stated / told, told / stated)
    tenfold = next((f for f in _TENFOLD if abs(ratio / f - 1) < 0.02), None)
    return f", {tenfold:g} times out" if tenfold is not None else ""


def _sides(stated: Said, agreeing: Found) -> list[Check]:
    """Sides are compared; where the finding's own name has a side, evidence need not say it again."""
    said = stated.values("side") or ({stated.finding.laterality.value} if stated.finding.laterality else frozenset())
    told = {v for s, _ in agreeing for v in s.values("side")}
    told |= {
        s.finding.laterality.value for s, _ in agreeing if s.finding.laterality is not None and not s.values("side")
    }
    if not said or (stated.is_sided and not told):
        return []
    span = stated.finding.span
    if not told:
        return [unaddressed("laterality", f"no evidence gives the side of {stated.code}", ClaimType.LATERALITY, span)]
    both = {Laterality.LEFT.value, Laterality.RIGHT.value}
    if said & told or "bilateral" in told or told >= both:
        return []
    words = f"{stated.code} is {' and '.join(sorted(told))}, not {' and '.join(sorted(said))}"
    correction = min(told)
    return [
        contradicted(Severity.CRITICAL, "laterality", words, _ids(agreeing), ClaimType.LATERALITY, span, correction)
    ]


def _duration(stated: Said, agreeing: Found) -> list[Check]:
    """Durations are compared where both are given, roughly, as people say them."""
    days = stated.finding.days
    given = [(s.finding.days, source) for s, source in agreeing if s.finding.days is not None]
    if days is None or not given or any(abs(days - d) <= 0.1 * max(days, d) for d, _ in given):
        return []
    words = f"{stated.code} for {given[0][0]:g} days, not {days:g}"
    ids = [source.id for _, source in given]
    return [contradicted(Severity.ATTRIBUTE, "duration", words, ids, ClaimType.TEMPORAL, stated.finding.span)]


def _attributes(stated: Said, agreeing: Found) -> list[Check]:
    checks = []
    for dimension in sorted({name for name, _ in stated.attributes if name != "side"}):
        ours = stated.values(dimension)
        theirs = frozenset(v for s, _ in agreeing for v in s.values(dimension))
        if theirs and _overlap(dimension, ours, theirs):
            continue
        known = vocabulary().dimensions.get(dimension)
        type_ = known.claim if known else ClaimType.ORGAN
        what = f"{dimension} of {stated.code}"
        if not theirs:
            checks.append(unaddressed(dimension, f"no evidence gives the {what}", type_, stated.finding.span))
            continue
        ids = [source.id for s, source in agreeing if s.values(dimension)]
        words = f"{what} is {' and '.join(sorted(theirs))}, not {' and '.join(sorted(ours))}"
        severity = known.severity if known else _site_severity(ours, theirs)
        correction = next(iter(sorted(theirs)))
        checks.append(contradicted(severity, dimension, words, ids, type_, stated.finding.span, correction))
    return checks


def _site_severity(ours: frozenset[str], theirs: frozenset[str]) -> Severity:
    """Another organ is catastrophic, another part of it an attribute."""
    organs = vocabulary().organ
    same = {organs[o] for o in ours} & {organs[t] for t in theirs}
    return Severity.ATTRIBUTE if same else Severity.CATASTROPHIC


def _amounts(stated: Said, agreeing: Found) -> list[Check]:
    checks = []
    for amount in stated.amounts:
        given = [(a, source) for s, source in agreeing for a in s.amounts if a.dimension == amount.dimension]
        if amount.dimension == "time" and any(s.finding.days is not None for s, _ in agreeing):
            continue
        if not given:
            words = f"no evidence gives {amount.text} of {stated.finding.name}"
            checks.append(unaddressed(amount.dimension, words, ClaimType.ATTRIBUTE, amount.span))
            continue
        if any(amount.fits(a) for a, _ in given):
            continue
        checks.append(_amount_apart(stated, amount, given))
    return checks


def _amount_apart(stated: Said, amount: Amount, given: Sequence[tuple[Amount, Source]]) -> Check:
    is_dose = amount.dimension in ("dose", "units", "dose per weight") or type_of(stated) is ClaimType.DRUG
    severity = Severity.CRITICAL if is_dose else Severity.ATTRIBUTE
    type_ = ClaimType.DRUG if is_dose else ClaimType.TEMPORAL if amount.dimension == "time" else ClaimType.ATTRIBUTE
    told = given[0][0]
    words = f"{stated.finding.name} has {told.text}, not {amount.text}{_factor(amount.value, told.value)}"
    code = "dose" if is_dose else amount.dimension
    return contradicted(severity, code, words, [s.id for _, s in given], type_, amount.span, told.text)


def _dates(stated: Said, agreeing: Found) -> list[Check]:
    told = [(d, source) for s, source in agreeing for d in s.dates]
    if not stated.dates or not told or any(_same_date(a, b) for a in stated.dates for b, _ in told):
        return []
    words = f"{stated.finding.name} is dated {told[0][0]}, not {stated.dates[0]}"
    ids = [source.id for _, source in told]
    return [contradicted(Severity.ATTRIBUTE, "date", words, ids, ClaimType.TEMPORAL, stated.finding.span, told[0][0])]


def _same_date(a: str, b: str) -> bool:
    if a.startswith("-") or b.startswith("-"):
        return a[-5:] == b[-5:]
    return a.startswith(b) or b.startswith(a)


def _ids(found: Found) -> list[str]:
    return [source.id for _, source in found]


def is_contradicted(check: Check) -> bool:
    """Whether a check speaks against the claim."""
    return check.label is VerdictLabel.CONTRADICTED
