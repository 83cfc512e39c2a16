"""What a sentence states: things, how it speaks of them, and their sides, sites, sizes, doses, dates and links."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from wardround.core.finding import Assertion, Finding
from wardround.knowledge.clinician import KnowledgeClinician
from wardround.knowledge.context import assertion_of
from wardround.knowledge.expressions import Expression
from wardround.knowledge.text import sentences, tokens
from wardround.tools.hallucination.amounts import Amount, amounts
from wardround.tools.hallucination.vocabulary import Place, vocabulary

Span = tuple[int, int]

_ALLERGY = Expression(r"\b(?:allerg\w*|anaphyla\w+ (?:to|with|after)|intoleran\w+|hypersensitiv\w+)", re.IGNORECASE)
_NO_ALLERGY = Expression(
    r"\b(?:nkda|nka|no (?:known )?(?:drug |medication )?allerg\w*|denies (?:any )?(?:drug |known )?allerg\w*)\b(?! to)",
    re.IGNORECASE,
)
_MONTH = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_YEAR = r"(?:19|20)\d\d"
_DATE = Expression(
    rf"\b(?P<iso>{_YEAR}-\d\d-\d\d)\b"
    rf"|\b(?P<day>\d{{1,2}}) (?P<month>{_MONTH})[a-z]*\.?(?:,? (?P<year>{_YEAR}))?\b"
    rf"|\b(?P<month2>{_MONTH})[a-z]* (?P<day2>\d{{1,2}})(?:,? (?P<year2>{_YEAR}))?\b"
    rf"|\bin (?:[a-z]+ )?(?P<only>{_YEAR})\b",
    re.IGNORECASE,
)
_SIDED = re.compile(r"\b(?:left|right)\b", re.IGNORECASE)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_BREAK = re.compile(r"[.;:!?]|,|\b(?:and|but|or|with|without|plus|versus|while|however|no|due to|after|before)\b", re.I)
_LINKS: tuple[tuple[str, bool, Expression], ...] = (
    (
        "cause",
        True,
        Expression(
            r"\b(?:due to|secondary to|caused by|because of|attributed to|resulting from|as a result of|from)\b", re.I
        ),
    ),
    (
        "cause",
        False,
        Expression(r"\b(?:caus(?:es|ed|ing)|led to|leading to|result(?:s|ed|ing) in|complicated by)\b", re.I),
    ),
    ("order", True, Expression(r"\b(?:after|following|subsequent to)\b", re.I)),
    ("order", False, Expression(r"\b(?:before|prior to|preced(?:es|ed|ing)|followed by)\b", re.I)),
)
"""Kind of link, whether the later or the effect stands first, and the words."""


_REMEMBERED = 4096
"""Sentences whose reading is kept."""


@dataclass(frozen=True, slots=True)
class Said:
    """One thing that a text states."""

    finding: Finding
    """Code, assertion, value, duration; its span counts from the start of the whole text."""
    attributes: frozenset[tuple[str, str]] = frozenset()
    """Pairs of dimension and value, such as (side, left)."""
    amounts: tuple[Amount, ...] = ()
    dates: tuple[str, ...] = ()
    """ISO dates, or years, or `--MM-DD` where the year is not given."""
    sentence: int = 0
    is_sided: bool = False
    """Whether a name found at this place has a side of its own, as right lower quadrant pain does."""

    @property
    def code(self) -> str:
        """What it is about."""
        return self.finding.code

    def values(self, dimension: str) -> frozenset[str]:
        """Return what it says in one dimension."""
        return frozenset(value for name, value in self.attributes if name == dimension)


@dataclass(frozen=True, slots=True)
class Link:
    """One thing that a text puts after, or down to, another."""

    kind: str
    """`cause`: the earlier is the cause of the later; `order`: it only came before."""
    earlier: frozenset[str]
    later: frozenset[str]
    span: Span


@dataclass(frozen=True, slots=True)
class Reading:
    """All that a text states."""

    said: tuple[Said, ...]
    links: tuple[Link, ...]
    spans: tuple[Span, ...]
    """Characters that were understood: names of things, attributes, amounts, dates."""


class StatementReader:
    """Reads statements with a clinician's vocabulary and the detector's own."""

    def __init__(self, clinician: KnowledgeClinician, *, age: float | None, sex: str | None) -> None:
        self._clinician = clinician
        self._age, self._sex = age, sex
        self._sentence = lru_cache(maxsize=_REMEMBERED)(self._read_sentence)

    def read(self, text: str) -> Reading:
        """Return what a text states."""
        said: list[Said] = []
        links: list[Link] = []
        spans: list[Span] = []
        parts = sentences(text)
        if len(parts) == 1 and parts[0].start == 0:
            return self._sentence(parts[0].text)
        for n, sentence in enumerate(parts):
            reading = self._sentence(sentence.text)
            at = sentence.start
            said += [_moved(s, at, n) for s in reading.said]
            links += [Link(x.kind, x.earlier, x.later, (x.span[0] + at, x.span[1] + at)) for x in reading.links]
            spans += [(start + at, end + at) for start, end in reading.spans]
        return Reading(tuple(said), tuple(links), tuple(spans))

    def _read_sentence(self, text: str) -> Reading:
        known = list(self._clinician.read(text, age=self._age, sex=self._sex))
        conditions = list(self._clinician.reader.conditions(text))
        words = tokens(text)
        things = vocabulary().things.find(words)
        places = [f.span for f in (*known, *conditions) if f.span is not None] + [(p.start, p.end) for p in things]
        own = [_named(text, place, places) for place in things]
        findings = [*known, *conditions, *own, *_without_allergy(text)]
        attributes = vocabulary().attributes.find(words)
        sizes = amounts(text)
        dates = [(m.span(), _iso(m)) for m in _DATE.finditer(text)]
        said = _attached(text, findings, attributes, sizes, dates)
        spans = [
            *(f.span for f in findings if f.span is not None),
            *((p.start, p.end) for p in attributes),
            *(a.span for a in sizes),
            *(span for span, _ in dates),
        ]
        return Reading(tuple(said), tuple(_links(text, findings)), tuple(spans))


def _named(text: str, place: Place, listed: Sequence[Span]) -> Finding:
    kind, _, name = place.target.partition(":")
    assertion = assertion_of(text, place.start, place.end, listed)
    code = place.target
    if kind in ("drug", "class") and _ALLERGY.search(text):
        code = f"allergy:{name}"
        if assertion in (Assertion.HISTORICAL, Assertion.HYPOTHETICAL):
            assertion = Assertion.PRESENT
    return Finding(code=code, name=name, assertion=assertion, span=(place.start, place.end))


def _without_allergy(text: str) -> list[Finding]:
    match = _NO_ALLERGY.search(text)
    if match is None:
        return []
    return [Finding(code="allergy:any", name="drug allergy", assertion=Assertion.ABSENT, span=match.span())]


def _moved(said: Said, at: int, sentence: int) -> Said:
    start, end = said.finding.span or (0, 0)
    finding = said.finding.model_copy(update={"span": (start + at, end + at)}) if at else said.finding
    return replace(said, finding=finding, sentence=sentence)


def _attached(
    text: str,
    findings: Sequence[Finding],
    attributes: Sequence[Place],
    sizes: Sequence[Amount],
    dates: Sequence[tuple[Span, str]],
) -> list[Said]:
    """Give each attribute to the thing nearest to it; where things share a place, to all of them."""
    spans = sorted({f.span for f in findings if f.span is not None})
    own: dict[Span, list[tuple[str, str]]] = {span: [] for span in spans}
    sized: dict[Span, list[Amount]] = {span: [] for span in spans}
    dated: dict[Span, list[str]] = {span: [] for span in spans}
    for place in attributes:
        dimension, _, value = place.target.partition("|")
        others = [span for span in spans if span != (place.start, place.end)]
        for span in _nearest(text, (place.start, place.end), others):
            if dimension == "side" or not (span[0] <= place.start and place.end <= span[1]):
                own[span].append((dimension, value))
    for amount in sizes:
        for span in _nearest(text, amount.span, spans):
            sized[span].append(amount)
    for at, date in dates:
        for span in _nearest(text, at, spans):
            dated[span].append(date)
    sided = {f.span for f in findings if _is_sided(f.name)}
    return [
        Said(f, frozenset(own[f.span]), tuple(sized[f.span]), tuple(dated[f.span]), is_sided=f.span in sided)
        for f in findings
        if f.span is not None
    ]


@lru_cache(maxsize=10_000)
def _is_sided(name: str) -> bool:
    return _SIDED.search(name) is not None


def _nearest(text: str, place: Span, spans: Sequence[Span]) -> list[Span]:
    if not spans:
        return []
    costs = [_distance(text, place, span) for span in spans]
    least = min(costs)
    best = spans[costs.index(least)]
    return [span for span in spans if span[0] < best[1] and best[0] < span[1]]


_CROSSED = 40.0
"""How many characters a comma or conjunction between an attribute and a thing counts for."""


def _distance(text: str, place: Span, span: Span) -> float:
    if place[0] < span[1] and span[0] < place[1]:
        return 0.0
    low, high = (place[1], span[0]) if place[1] <= span[0] else (span[1], place[0])
    between = text[low:high]
    return len(between) + _CROSSED * len(_BREAK.findall(between))


def _links(text: str, findings: Sequence[Finding]) -> Iterable[Link]:
    spans = [(f.span, f.code) for f in findings if f.span is not None]
    for kind, later_first, words in _LINKS:
        for m in words.finditer(text):
            before = _codes_near([(s, c) for s, c in spans if s[1] <= m.start()], m.start(), last=True)
            behind = _codes_near([(s, c) for s, c in spans if s[0] >= m.end()], m.end(), last=False)
            if before and behind:
                yield Link(kind, behind if later_first else before, before if later_first else behind, m.span())


def _codes_near(spans: Sequence[tuple[Span, str]], at: int, *, last: bool) -> frozenset[str]:
    if not spans:
        return frozenset()
    nearest = max(s[1] for s, _ in spans) if last else min(s[0] for s, _ in spans)
    if abs(nearest - at) > _LINK_REACH:
        return frozenset()
    return frozenset(c for s, c in spans if (s[1] if last else s[0]) == nearest)


_LINK_REACH = 45
"""Characters between a link's words and what they join."""


def _iso(match: re.Match[str]) -> str:
    if match["iso"]:
        return match["iso"]
    if match["only"]:
        return match["only"]
    month = (match["month"] or match["month2"]).lower()
    day = int(match["day"] or match["day2"])
    year = match["year"] or match["year2"] or "-"
    return f"{year}-{_MONTHS.index(month) + 1:02d}-{day:02d}"
