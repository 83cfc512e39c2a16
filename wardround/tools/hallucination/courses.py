"""Values over time, and what a claim puts before, after or down to what."""

from __future__ import annotations

import re
from collections import defaultdict

from wardround.core.claim import ClaimType, Severity
from wardround.knowledge.base import KnowledgeBase
from wardround.knowledge.expressions import Expression
from wardround.knowledge.quantities import parse_number
from wardround.knowledge.text import tokens
from wardround.tools.hallucination.checks import Check, contradicted, supported, unaddressed
from wardround.tools.hallucination.evidence import Evidence
from wardround.tools.hallucination.statements import Reading
from wardround.tools.hallucination.vocabulary import Phrases

_UP = r"rose|risen|rising|increas(?:ed|ing)|climb(?:ed|ing)|went up|up"
_DOWN = r"fell|fallen|falling|decreas(?:ed|ing)|dropp(?:ed|ing)|declin(?:ed|ing)|improved|went down|down"
_COURSE = Expression(rf"\b(?:(?P<up>{_UP})|(?P<down>{_DOWN})|(?P<flat>stable|unchanged|steady))\b", re.IGNORECASE)
_NUMBER = r"(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
_FROM_TO = Expression(rf"\bfrom {_NUMBER}\s?[^\s\d]{{0,12}}(?: \S+){{0,3}}? to {_NUMBER}", re.IGNORECASE)
_FACTOR = Expression(r"\b(?:(?P<doubled>doubled)|(?P<tripled>tripled)|(?P<halved>halved))\b", re.IGNORECASE)
_VALUE = re.compile(rf"(?<![\w^*]){_NUMBER}(?!\^|\d|-)")
_STATEMENT_END = re.compile(r"[.;](?!\d)")
_STEADY = 0.1
"""Share by which the last value of a steady course may differ from the first."""


def analytes(kb: KnowledgeBase) -> Phrases:
    """Return the names of what is measured, without abbreviations that are words or letters; made once for a base."""
    if id(kb) not in _ANALYTES:
        known = [(a.id, name) for a in kb.analytes.values() for name in (a.name, *a.synonyms) if len(name) > _SHORT]
        _ANALYTES[id(kb)] = kb, Phrases(known)
    return _ANALYTES[id(kb)][1]


_ANALYTES: dict[int, tuple[KnowledgeBase, Phrases]] = {}
"""By identity of the base, which is kept along so that the identity stays its own."""
_SHORT = 2


def course(text: str, evidence: Evidence, kb: KnowledgeBase) -> list[Check]:
    """Judge `creatinine rose from 90 to 180`; nothing where the claim tells no course of a value."""
    said = _COURSE.search(text) or _FACTOR.search(text)
    named = analytes(kb).find(tokens(text)) if said is not None or _FROM_TO.search(text) else []
    if not named:
        return []
    analyte = named[0].target
    pair = _FROM_TO.search(text)
    series = _series(analyte, evidence, kb)
    span = (named[0].start, pair.end() if pair else (said.end() if said else named[0].end))
    if pair is not None:
        low, high = parse_number(pair[1]), parse_number(pair[2])
        inconsistent = _against(text, low, high)
        if inconsistent:
            return [contradicted(Severity.ATTRIBUTE, "arithmetic", inconsistent, (), ClaimType.TREND, span)]
        return [_stated_pair(analyte, low, high, series, span)]
    if len(series) < 2 or said is None:
        return [unaddressed("trend", f"fewer than two values of {analyte}", ClaimType.TREND, span)]
    (first, a), (last, b) = series[0], series[-1]
    wrong = _against(text, first, last)
    if wrong:
        return [contradicted(Severity.ATTRIBUTE, "trend", wrong, (a, b), ClaimType.TREND, span)]
    return [supported("trend", f"{first:g} to {last:g}", (a, b), ClaimType.TREND, span)]


def _against(text: str, first: float, last: float) -> str | None:
    """Return why a course in words does not fit two values."""
    said = _COURSE.search(text)
    factor = _FACTOR.search(text)
    if factor is not None and first:
        wanted = 2.0 if factor["doubled"] else 3.0 if factor["tripled"] else 0.5
        if abs(last / first / wanted - 1) > 0.15:
            return f"{first:g} to {last:g} is not {factor.group().lower()}"
    if said is None:
        return None
    moved = (last - first) / max(abs(first), 1e-9)
    if (said["up"] and moved <= 0) or (said["down"] and moved >= 0) or (said["flat"] and abs(moved) > _STEADY):
        return f"{first:g} to {last:g} is not {said.group().lower()}"
    return None


def _stated_pair(
    analyte: str, low: float, high: float, series: list[tuple[float, str]], span: tuple[int, int]
) -> Check:
    places = [[n for n, (value, _) in enumerate(series) if abs(value - x) <= 0.01 * abs(x) + 1e-9] for x in (low, high)]
    if places[0] and places[1]:
        ids = [series[places[0][0]][1], series[places[1][-1]][1]]
        if places[0][0] < places[1][-1]:
            return supported("trend", f"{low:g} to {high:g}", ids, ClaimType.TREND, span)
        return contradicted(
            Severity.ATTRIBUTE, "trend", f"{analyte} went from {high:g} to {low:g}", ids, ClaimType.TREND, span
        )
    if len(series) < 2:
        return unaddressed("trend", f"fewer than two values of {analyte}", ClaimType.TREND, span)
    told = " to ".join(f"{value:g}" for value, _ in series)
    return contradicted(
        Severity.ATTRIBUTE, "trend", f"{analyte} went {told}", [i for _, i in series], ClaimType.TREND, span
    )


def _series(analyte: str, evidence: Evidence, kb: KnowledgeBase) -> list[tuple[float, str]]:
    """Return the values as written, in order of time where all have one, else in order of the text."""
    return evidence.kept("series", lambda whole: _all_series(whole, kb)).get(analyte, [])


def _all_series(evidence: Evidence, kb: KnowledgeBase) -> dict[str, list[tuple[float, str]]]:
    found: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    timed = all(e.source.time is not None for e in evidence.about)
    for n, entry in enumerate(evidence.about):
        at = entry.source.time.timestamp() if timed and entry.source.time is not None else float(n)
        text = entry.clean.text
        for place in analytes(kb).find(tokens(text)):
            rest = _STATEMENT_END.split(text[place.end :], 1)[0]
            pair = _FROM_TO.search(rest)
            numbers = [pair[1], pair[2]] if pair else _VALUE.findall(rest)[:1]
            found[place.target] += [(at, parse_number(value), entry.source.id) for value in numbers]
    return {
        analyte: [(value, source) for _, value, source in sorted(values, key=lambda item: item[0])]
        for analyte, values in found.items()
    }


def links(reading: Reading, evidence: Evidence) -> list[Check]:
    """Judge what a claim puts down to, or after, something else."""
    checks = []
    for link in reading.links:
        type_ = ClaimType.CAUSE if link.kind == "cause" else ClaimType.TEMPORAL
        same = [
            (told, source)
            for told, source in evidence.links
            if told.kind == link.kind and told.later & link.later and told.earlier & link.earlier
        ]
        if same:
            checks.append(supported(link.kind, "linked there too", [s.id for _, s in same], type_, link.span))
            continue
        turned = [s.id for told, s in evidence.links if told.later & link.earlier and told.earlier & link.later]
        other = [(t, s) for t, s in evidence.links if t.kind == link.kind == "cause" and t.later & link.later]
        if turned:
            checks.append(
                contradicted(
                    Severity.CRITICAL if link.kind == "cause" else Severity.ATTRIBUTE,
                    link.kind,
                    "the other way round",
                    turned,
                    type_,
                    link.span,
                )
            )
        elif other:
            told = ", ".join(sorted(other[0][0].earlier))
            words = f"put down to {told}, not {', '.join(sorted(link.earlier))}"
            checks.append(contradicted(Severity.CRITICAL, "cause", words, [s.id for _, s in other], type_, link.span))
        else:
            dated = _dated(link.earlier, link.later, evidence) if link.kind == "order" else None
            checks.append(dated or unaddressed(link.kind, "no evidence makes this link", type_, link.span))
    return checks


def _dated(earlier: frozenset[str], later: frozenset[str], evidence: Evidence) -> Check | None:
    """Judge an order by dates of both, where the evidence gives whole ones."""
    days = [
        [
            (d, source.id)
            for code in codes
            for said, source in evidence.speaks_of(code)
            for d in said.dates
            if len(d) == _ISO
        ]
        for codes in (earlier, later)
    ]
    if not days[0] or not days[1]:
        return None
    (first, a), (second, b) = min(days[0]), max(days[1])
    if first < second:
        return supported("order", f"{first} before {second}", (a, b), ClaimType.TEMPORAL, None)
    return contradicted(
        Severity.ATTRIBUTE, "order", f"{first} is not before {second}", (a, b), ClaimType.TEMPORAL, None
    )


_ISO = 10
"""Letters of a whole date."""
