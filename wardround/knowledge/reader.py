"""From free text to findings: what is said of the patient, how it is said, and where."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache

from wardround.core.errors import UsageError
from wardround.core.finding import Assertion, Finding, Laterality
from wardround.knowledge.base import KnowledgeBase
from wardround.knowledge.context import assertion_of
from wardround.knowledge.lexicon import Lexicon, Mention
from wardround.knowledge.quantities import (
    Quantity,
    convert,
    interpret,
    is_plausible,
    parse_number,
    pressure_pair,
    quantity_after,
)
from wardround.knowledge.results import Result, result_of
from wardround.knowledge.schema import Analyte, FindingEntry
from wardround.knowledge.text import Token, sentences, tokens

_CLAUSE_END = re.compile(r"[.;!?](?=\s|$)|\n|,|\s[-–—]\s|:\s")
_DURATION = re.compile(
    r"\b(?P<count>\d+(?:\.\d+)?|an?|one|two|three|four|five|six|seven|eight|nine|ten|several|few|couple of)"
    r"[\s-]?(?P<unit>minute|min|hour|hr|h|day|d|week|wk|w|month|mo|year|yr|y)s?\b(?!\s*(?:old|of age)|-old)",
    re.IGNORECASE,
)
_DURATION_CUE = re.compile(
    r"\b(?:for|x|since|over|past|last|history of|hx of|duration|ago|now)\b|\bday|\bweek", re.IGNORECASE
)
_STOP, _PAUSE = re.compile(r"[.;]"), re.compile(r"[.;,]")
_COUNTS = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7,
    "eight": 8, "nine": 9, "ten": 10, "several": 4, "few": 3, "couple of": 2,
}  # fmt: skip
_DAYS = {"m": 1 / 1440, "h": 1 / 24, "d": 1.0, "w": 7.0, "mo": 30.4, "y": 365.25}
_REMEMBERED = 4096
"""Sentences whose findings are kept; more would cost more in memory and its cleaning than reading them again."""
_FAMILY_RISK = {
    "cad_history": "family_history_cad",
    "prior_vte": "family_history_vte",
    "cancer_history": "family_history_cancer",
}


class Reader:
    """Reads clinical text with the vocabulary of a knowledge base."""

    def __init__(self, kb: KnowledgeBase) -> None:
        self.kb = kb
        self._lexicon = Lexicon(
            [
                *((e.id, phrase) for e in kb.findings.values() for phrase in (e.name, *e.synonyms)),
                *((f"analyte:{a.id}", phrase) for a in kb.analytes.values() for phrase in (a.name, *a.synonyms)),
                ("analyte:blood_pressure", "bp"),
                ("analyte:blood_pressure", "blood pressure"),
                *((f"test:{e.id}", test) for e in kb.findings.values() for test in _test_names(e)),
            ]
        )
        self._conditions = Lexicon(
            (c.id, phrase) for c in kb.conditions.values() for phrase in (c.name, *c.synonyms) if len(phrase) > 2
        )
        self._read = lru_cache(maxsize=_REMEMBERED)(self._read_uncached)

    def read(self, text: str, *, age: float | None = None, sex: str | None = None) -> tuple[Finding, ...]:
        """Return what a text says of the patient, with spans in characters of the text.

        Args:
            text: Any length.
            age: Years, for reference ranges.
            sex: `female` or `male`, for reference ranges.
        """
        return tuple(
            _moved(finding, sentence.start)
            for sentence in sentences(text)
            for finding in self._read(sentence.text, age, sex)
        )

    def conditions(self, text: str) -> tuple[Finding, ...]:
        """Return the conditions that a text names, as findings whose code is the condition's id."""
        found = []
        for sentence in sentences(text):
            mentions = self._conditions.find(*_words_and_clauses(sentence.text))
            spans = [(m.start, m.end) for m in mentions]
            for m in mentions:
                found.append(
                    Finding(
                        code=m.target,
                        name=self.kb.conditions[m.target].name,
                        assertion=assertion_of(sentence.text, m.start, m.end, spans),
                        span=(sentence.start + m.start, sentence.start + m.end),
                    )
                )
        return tuple(found)

    def measured(
        self, analyte: str, value: float, unit: str | None, *, age: float | None, sex: str | None
    ) -> tuple[Finding, ...]:
        """Return what one measured value says.

        Raises:
            UsageError: The unit is not known, or no living patient has such a value.
        """
        entry = self.kb.analytes[analyte]
        canonical = convert(value, unit or entry.unit, entry)
        if not is_plausible(canonical, entry):
            low, high = entry.plausible
            limits = f"{low:g} to {high:g} {entry.unit}"
            raise UsageError(f"{entry.name} of {canonical:g} {entry.unit} is not possible ({limits})")
        return self._interpreted(Quantity(analyte, canonical, entry.unit, 0, 0), Assertion.PRESENT, age, sex)

    def _read_uncached(self, text: str, age: float | None, sex: str | None) -> tuple[Finding, ...]:
        mentions = self._lexicon.find(*_words_and_clauses(text))
        spans = [(m.start, m.end) for m in mentions]
        found: list[Finding] = []
        for mention in mentions:
            if mention.target.startswith("analyte:"):
                found += self._numbers(text, mention, spans, age, sex)
            elif mention.target.startswith("test:"):
                found += self._tested(text, mention)
            else:
                found += self._said(text, mention, spans)
        return tuple(_without_shadowed(found))

    def _said(self, text: str, mention: Mention, spans: Sequence[tuple[int, int]]) -> list[Finding]:
        entry = self.kb.findings[mention.target]
        assertion = assertion_of(text, mention.start, mention.end, spans)
        code = entry.id
        if entry.kind == "risk_factor":
            if assertion is Assertion.HISTORICAL:
                assertion = Assertion.PRESENT
            if assertion is Assertion.FAMILY and code in _FAMILY_RISK:
                code, assertion = _FAMILY_RISK[code], Assertion.PRESENT
        return [
            Finding(
                code=code,
                name=self.kb.findings[code].name,
                assertion=assertion,
                days=_days(text, mention),
                laterality=_side(text, mention),
                span=(mention.start, mention.end),
            )
        ]

    def _numbers(
        self,
        text: str,
        mention: Mention,
        spans: Sequence[tuple[int, int]],
        age: float | None,
        sex: str | None,
    ) -> list[Finding]:
        name = mention.target.removeprefix("analyte:")
        said = assertion_of(text, mention.start, mention.end, spans)
        if name == "blood_pressure":
            return self._pressure(text, mention, said, age, sex)
        analyte = self.kb.analytes[name]
        quantity = quantity_after(text, mention.start, mention.end, analyte, self.kb, age=age, sex=sex)
        if quantity is None:
            return self._in_a_word(text, mention, analyte)
        return list(self._interpreted(quantity, _number_assertion(text, quantity, said), age, sex))

    def _in_a_word(self, text: str, mention: Mention, analyte: Analyte) -> list[Finding]:
        """`TSH normal` denies every finding of the analyte; `raised TSH` states the one above its range."""
        result = result_of(text, mention.start, mention.end)
        stated = {Result.HIGH: "above", Result.POSITIVE: "above", Result.LOW: "below"}
        return [
            Finding(
                code=entry.id,
                name=entry.name,
                assertion=Assertion.PRESENT if entry.direction == stated.get(result) else Assertion.ABSENT,
                span=(mention.start, mention.end),
            )
            for entry in self.kb.decided_by.get(analyte.id, ())
            if result is not None and (entry.threshold is None or stated.get(result) != entry.direction)
        ]

    def _tested(self, text: str, mention: Mention) -> list[Finding]:
        entry = self.kb.findings[mention.target.removeprefix("test:")]
        result = result_of(text, mention.start, mention.end)
        if result not in (Result.POSITIVE, Result.NEGATIVE):
            return []
        assertion = Assertion.PRESENT if result is Result.POSITIVE else Assertion.ABSENT
        return [Finding(code=entry.id, name=entry.name, assertion=assertion, span=(mention.start, mention.end))]

    def _pressure(
        self, text: str, mention: Mention, said: Assertion, age: float | None, sex: str | None
    ) -> list[Finding]:
        pair = pressure_pair(text, mention.end)
        if pair is None:
            return []
        found: list[Finding] = []
        for name, group in (("systolic_bp", "systolic"), ("diastolic_bp", "diastolic")):
            analyte = self.kb.analytes.get(name)
            value = parse_number(pair[group])
            if analyte is not None and is_plausible(value, analyte):
                quantity = Quantity(name, value, analyte.unit, mention.start, mention.end + pair.end())
                found += self._interpreted(quantity, _number_assertion(text, quantity, said), age, sex)
        return found

    def _interpreted(
        self, quantity: Quantity, assertion: Assertion, age: float | None, sex: str | None
    ) -> tuple[Finding, ...]:
        analyte = self.kb.analytes[quantity.analyte]
        findings = []
        for entry, is_present in interpret(quantity.value, analyte, self.kb, age=age, sex=sex, bound=quantity.bound):
            said = assertion
            if assertion is Assertion.PRESENT and not is_present:
                said = Assertion.ABSENT
            findings.append(
                Finding(
                    code=entry.id,
                    name=entry.name,
                    assertion=said,
                    value=round(quantity.value, 6),
                    unit=quantity.unit,
                    span=(quantity.start, quantity.end),
                )
            )
        return tuple(findings)


def _moved(finding: Finding, by: int) -> Finding:
    if not by or finding.span is None:
        return finding
    return finding.model_copy(update={"span": (finding.span[0] + by, finding.span[1] + by)})


_EARLIER = re.compile(
    r"\b(?:previous(?:ly)?|prior(?! to)|baseline|earlier|usual|last (?:known|recorded|year'?s?|month'?s?))"
    r"[^\w,;.]+(?:\w+[^\w,;.]+){0,2}$",
    re.IGNORECASE,
)
_FORMERLY = re.compile(
    r"^\s*\(?(?:in (?:19|20)\d\d|last (?:year|month)|previously|at baseline"
    r"|(?:\d+|an?|one|two|three|four|five|six|several|some|few) (?:weeks?|months?|years?) (?:ago|earlier|before))\b",
    re.IGNORECASE,
)


def _number_assertion(text: str, quantity: Quantity, said: Assertion) -> Assertion:
    """A number is there, whatever list of denials it stands in; it is history only if called so next to it."""
    if said in (Assertion.FAMILY, Assertion.HYPOTHETICAL):
        return said
    earlier = _EARLIER.search(text[: quantity.start]) or _FORMERLY.match(text[quantity.end :])
    return Assertion.HISTORICAL if earlier else Assertion.PRESENT


@lru_cache(maxsize=256)
def _words_and_clauses(text: str) -> tuple[tuple[Token, ...], tuple[int, ...]]:
    """Return the words of a sentence and the clause of each; asked for findings and again for conditions."""
    words = tokens(text)
    ends = [m.end() for m in _CLAUSE_END.finditer(text)]
    return words, tuple([bisect_right(ends, word.start) for word in words])


def _days(text: str, mention: Mention) -> float | None:
    """How long it has been so: a duration shortly before or after the mention."""
    after = text[mention.end : mention.end + 40]
    before = text[max(0, mention.start - 30) : mention.start]
    behind = _STOP.split(after, 1)[0]
    for piece, needs_cue in ((behind, behind is after), (_PAUSE.split(before)[-1], False)):
        match = _DURATION.search(piece)
        if match is not None and (not needs_cue or _DURATION_CUE.search(piece)):
            count = match["count"].lower()
            number = float(_COUNTS[count]) if count in _COUNTS else float(count)
            unit = match["unit"].lower()
            key = "mo" if unit.startswith("mo") else unit[0]
            return round(number * _DAYS[key], 4)
    return None


def _side(text: str, mention: Mention) -> Laterality | None:
    window = text[max(0, mention.start - 25) : mention.end + 15].lower()
    if not any(word in window for word in _SIDES):  # most windows have none, and a search costs ten times as much
        return None
    if re.search(r"\b(?:bilateral(?:ly)?|both)\b", window):
        return Laterality.BILATERAL
    sides = set(re.findall(r"\b(left|right|lt|rt)\b", window))
    if sides <= {"left", "lt"} and sides:
        return Laterality.LEFT
    if sides <= {"right", "rt"} and sides:
        return Laterality.RIGHT
    return None


_SIDES = ("left", "right", "lt", "rt", "bilateral", "both")


def _without_shadowed(found: Sequence[Finding]) -> list[Finding]:
    """Drop what a number contradicts in the same breath: `fever 37.0` is decided by the number."""
    measured = {f.code for f in found if f.value is not None}
    return [f for f in found if f.value is not None or f.code not in measured]


_POSITIVE = re.compile(r"\bpositive\b(?: for)?|\bpos\b", re.IGNORECASE)


def _test_names(entry: FindingEntry) -> list[str]:
    """Names of the test behind a finding such as `rapid strep test positive`: what is left without the result."""
    names = (_POSITIVE.sub(" ", phrase) for phrase in (entry.name, *entry.synonyms) if _POSITIVE.search(phrase))
    return [name for name in names if len(tokens(name)) > 1 or len(name.strip()) > _SHORTEST_TEST]


_SHORTEST_TEST = 4
"""A test's name of one word with fewer letters than this would be taken for something else."""
