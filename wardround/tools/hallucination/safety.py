"""What cannot or must not be, whatever the evidence says of it: sex, age, impossible values, doses, allergies."""

from __future__ import annotations

import re

from wardround.core.claim import ClaimType, Severity
from wardround.core.errors import UsageError
from wardround.core.finding import Assertion
from wardround.knowledge.base import KnowledgeBase
from wardround.knowledge.expressions import Expression
from wardround.knowledge.quantities import convert, is_plausible, number_after, parse_number
from wardround.knowledge.text import tokens
from wardround.tools.hallucination.checks import Check, contradicted, unaddressed
from wardround.tools.hallucination.courses import analytes
from wardround.tools.hallucination.evidence import Evidence
from wardround.tools.hallucination.statements import Reading, Said
from wardround.tools.hallucination.vocabulary import vocabulary

_ORDERED = Expression(
    r"\b(?:start|give|prescrib|administ|recommend|treat(?:ed)? with|commence|begin"
    r"|should (?:receive|have|take|get|be given)|use|add|initiate"
    r"|can (?:take|have|receive)|safe|switch(?:ed)? to|continue|offer|suitable)\w*",
    re.IGNORECASE,
)
_PER_DAY = {
    "once a day": 1.0,
    "twice a day": 2.0,
    "three times a day": 3.0,
    "four times a day": 4.0,
    "every four hours": 6.0,
    "once a week": 1 / 7,
}
_EXCESS = 2.0
"""How many times the largest usual dose counts as a slip and not as a high dose."""
_ONLY_WEEKLY = "drug:methotrexate"
_ICD10 = Expression(r"\b(?:ICD(?:-?10)?(?:-CM)?[\s:]*)?(?P<code>[A-TV-Z]\d\d(?:\.\d{1,4})?)\b")
_DIGIT = Expression(r"\d")
_UNIT = re.compile(r"^\s*(?P<unit>[%°]?[A-Za-zµμ/^\d*\[\]]+(?:/[A-Za-zµμ\d]+)?)")


def impossible(reading: Reading, *, age: float | None, sex: str | None, kb: KnowledgeBase) -> list[Check]:
    """Return what a person of this sex or age cannot have."""
    if age is None and sex is None:
        return []
    checks = []
    for said in reading.said:
        if said.finding.assertion in (Assertion.FAMILY, Assertion.ABSENT, Assertion.HYPOTHETICAL):
            continue
        codes = {said.code, *(f"site:{site}" for site in said.values("site"))}
        entry = kb.findings.get(said.code)
        only = {s for s, known in vocabulary().sexed.items() if codes & known} | (
            {entry.sex} if entry and entry.sex else set()
        )
        if sex is not None and only and sex not in only:
            words = f"{said.finding.name} in a {sex} patient"
            checks.append(contradicted(Severity.CATASTROPHIC, "sex", words, (), ClaimType.ORGAN, said.finding.span))
        for known, low, high in vocabulary().ages if age is not None else ():
            if said.code in known and not low <= (age or 0.0) <= high:
                words = f"{said.finding.name} at {age:g} years"
                checks.append(contradicted(Severity.CRITICAL, "age", words, (), ClaimType.PRESENCE, said.finding.span))
    return checks


def implausible_values(text: str, kb: KnowledgeBase) -> list[Check]:
    """Return measured values that no living patient has, in the unit that the claim gives."""
    if not _DIGIT.may_be_in(text):
        return []
    checks = []
    for place in analytes(kb).find(tokens(text)):
        match = number_after(text, place.end)
        analyte = kb.analytes[place.target]
        unit = _UNIT.match(text[place.end + match.end() :]) if match is not None else None
        if match is None or unit is None:
            continue
        try:
            value = convert(parse_number(match["number"]), unit["unit"].rstrip("."), analyte)
        except UsageError:
            continue
        if not is_plausible(value, analyte):
            low, high = analyte.plausible
            words = f"{analyte.name} of {value:g} {analyte.unit} is outside {low:g} to {high:g}"
            span = (place.start, place.end + match.end())
            checks.append(contradicted(Severity.ATTRIBUTE, "implausible", words, (), ClaimType.ATTRIBUTE, span))
    return checks


def doses(reading: Reading) -> list[Check]:
    """Return doses far above the largest usual one, and a weekly drug given daily."""
    checks = []
    for said in reading.said:
        drug = vocabulary().drugs.get(said.code.removeprefix("drug:")) if said.code.startswith("drug:") else None
        if drug is None or drug.most is None:
            continue
        dimension = "units" if drug.unit == "units" else "dose"
        per_day = max((_PER_DAY[f] for f in said.values("frequency") if f in _PER_DAY), default=1.0)
        for amount in (a for a in said.amounts if a.dimension == dimension):
            limit = drug.most if per_day >= 1.0 or said.code != _ONLY_WEEKLY else drug.most / 7
            excess = max(amount.value * max(per_day, 1 / 7) / limit, amount.value / (drug.once or drug.most))
            if excess > _EXCESS:
                words = f"{amount.text} of {drug.name} is {excess:.1f} times the largest usual dose"
                checks.append(contradicted(Severity.CRITICAL, "dose", words, (), ClaimType.DRUG, amount.span))
        if said.code == _ONLY_WEEKLY and said.values("frequency") & {"once a day", "twice a day"}:
            words = f"{drug.name} is given once a week"
            checks.append(contradicted(Severity.CRITICAL, "dose", words, (), ClaimType.DRUG, said.finding.span))
    return checks


def forbidden(text: str, reading: Reading, evidence: Evidence) -> list[Check]:
    """Return drugs that a claim would have given against an allergy, an interaction or a contraindication."""
    if not _ORDERED.search(text):
        return []
    checks = []
    for said in reading.said:
        if said.code.partition(":")[0] in ("drug", "class") and said.finding.assertion in _INTENDED:
            checks += [*_allergic(said, evidence), *_interacting(said, evidence), *_contraindicated(said, evidence)]
    return checks


_INTENDED = (Assertion.PRESENT, Assertion.HYPOTHETICAL, Assertion.POSSIBLE)
"""`Should receive` is a supposition and an order all the same."""


def _given(said: Said) -> bool:
    return said.finding.assertion is Assertion.PRESENT and not said.values("use") & {"stopped", "held"}


def _allergic(said: Said, evidence: Evidence) -> list[Check]:
    words = vocabulary()
    group = words.group_of(said.code)
    ours = {*words.group_allergy.get(group, ()), group, said.code.partition(":")[2]}
    for code, found in evidence.of_kind("allergy"):
        name = code.removeprefix("allergy:")
        if name == "any":
            continue
        theirs = {
            name,
            *(
                words.group_allergy.get(words.drugs[name].group, ())
                if name in words.drugs
                else words.group_allergy.get(name, ())
            ),
        }
        ids = [s.id for told, s in found if told.finding.assertion is Assertion.PRESENT]
        if ids and ours & theirs:
            why = f"{said.finding.name} although allergic to {name}"
            return [contradicted(Severity.CRITICAL, "allergy", why, ids, ClaimType.DRUG, said.finding.span)]
    return []


def _interacting(said: Said, evidence: Evidence) -> list[Check]:
    words = vocabulary()
    checks = []
    for one, other, why in words.interactions:
        partner = other if words.matches(said.code, one) else one if words.matches(said.code, other) else None
        if partner is None:
            continue
        ids = [
            s.id
            for code, found in evidence.of_kind("drug", "class")
            if code != said.code and words.matches(code, partner)
            for told, s in found
            if _given(told)
        ]
        if ids:
            reason = f"{said.finding.name} with {partner.replace('_', ' ')}: {why}"
            checks.append(
                contradicted(Severity.CRITICAL, "interaction", reason, ids, ClaimType.DRUG, said.finding.span)
            )
    return checks


def _contraindicated(said: Said, evidence: Evidence) -> list[Check]:
    checks = []
    for drug, codes in vocabulary().contraindications:
        if not vocabulary().matches(said.code, drug):
            continue
        for code in codes:
            ids = [s.id for told, s in evidence.speaks_of(code) if told.finding.assertion is Assertion.PRESENT]
            if ids:
                words = f"{said.finding.name} in a patient with {code.removeprefix('pathology:').replace('_', ' ')}"
                checks.append(
                    contradicted(Severity.CRITICAL, "contraindication", words, ids, ClaimType.DRUG, said.finding.span)
                )
                break
    return checks


def codes(text: str, reading: Reading, kb: KnowledgeBase) -> list[Check]:
    """Judge ICD-10 codes: one that belongs to another condition than the claim names is wrong."""
    named = {s.code for s in reading.said if s.code in kb.conditions}
    checks = []
    for match in _ICD10.finditer(text):
        if "." not in match["code"] and "ICD" not in match.group():
            continue
        known = kb.find_condition(match["code"])
        span = match.span("code")
        if known is None:
            checks.append(unaddressed("code", f"{match['code']} is not in the knowledge", ClaimType.OTHER, span))
        elif named and known.id not in named:
            words = f"{match['code']} is {known.name}"
            checks.append(
                contradicted(Severity.CRITICAL, "code", words, (), ClaimType.PATHOLOGY_CLASS, span, known.name)
            )
    return checks


def stains(text: str, reading: Reading, evidence: Evidence) -> list[Check]:
    """Judge an organism against what stains and tests in the evidence fit."""
    words = vocabulary()
    named = [s for s in reading.said if s.code.startswith("organism:") and s.finding.assertion is Assertion.PRESENT]
    if not named:
        return []
    told = [*evidence.kept("stains", _stained)]
    told += [(place.target, "") for place in words.stains.find(tokens(text))]
    return [
        contradicted(
            Severity.CRITICAL,
            "organism",
            f"{s.finding.name} does not fit {stain}",
            [i] if i else [],
            ClaimType.CAUSE,
            s.finding.span,
        )
        for s in named
        for stain, i in told
        if s.code not in words.fits[stain]
    ]


def _stained(evidence: Evidence) -> list[tuple[str, str]]:
    """Return what stains and tests the evidence tells of, each with its source."""
    find = vocabulary().stains.find
    return [(place.target, e.source.id) for e in evidence.about for place in find(tokens(e.clean.text))]
