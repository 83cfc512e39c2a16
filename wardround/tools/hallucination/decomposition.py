"""From a model's prose to atomic claims: sentences, clauses, what each is about, and what it cites."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass

from wardround.core.claim import ClaimType
from wardround.knowledge.text import sentences
from wardround.tools.hallucination.overall import says_normal
from wardround.tools.hallucination.statements import Reading, Said, StatementReader
from wardround.tools.hallucination.vocabulary import vocabulary

_CUT = re.compile(
    r";\s+|,?\s+(?:but|whereas|however|while)\s+|,\s+and\s+(?=(?:there|he|she|the|it|they|no|a|an)\b)"
    r"|\s+and\s+(?=(?:there|he|she|it|they)\s+(?:is|are|was|were|has|had|have)\b)",
    re.IGNORECASE,
)
"""Where one clause ends and another statement begins; lists stay whole, since a negation may reach over them."""
_CITED = re.compile(r"\s*[\[(](?P<ids>[^\[\]()]{1,200})[\])]")
_SEPARATED = re.compile(r"[,;\s]+")
_HEADING = re.compile(r"^\s*(?:[-*•]\s*|\d+[.)]\s+|#+\s*)")
_LOOKS_LIKE_ID = re.compile(r"^[A-Za-z]+[-_/.:]?[\w./-]*\d[\w./-]*$")


@dataclass(frozen=True)
class Clause:
    """One atomic statement of a text."""

    text: str
    """Without the marks of its citations."""
    start: int
    """First character within the whole text."""
    end: int
    cites: tuple[str, ...]
    """What stands in brackets and is the id of a place, or looks like one."""


def clauses(text: str, known: Container[str] = frozenset()) -> list[Clause]:
    """Split a text into clauses, each with the citations of its sentence.

    Args:
        text: Of any length.
        known: Ids of the evidence; other words in brackets count as citations only if they look like ids.

    >>> [(c.text, c.cites) for c in clauses("No fever; cough [n1]. Potassium 6.8 mmol/L.", {"n1"})]
    [('No fever', ('n1',)), ('cough.', ('n1',)), ('Potassium 6.8 mmol/L.', ())]
    """
    return [
        Clause(c.text, sentence.start + c.start, sentence.start + c.end, c.cites)
        for sentence in sentences(text)
        for c in _cut(sentence.text, known)
    ]


def _cut(text: str, known: Container[str]) -> list[Clause]:
    """Split one sentence; a citation is of its own clause and of those before it that have none."""
    edges = [0, *(e for m in _CUT.finditer(text) for e in m.span()), len(text)]
    found: list[Clause] = []
    cites: tuple[str, ...] = ()
    for low, high in reversed(list(zip(edges[::2], edges[1::2], strict=True))):
        heading = _HEADING.match(text[low:high])
        low += heading.end() if heading else 0
        cites = _ids(text[low:high], known) or cites
        plain = _without(text[low:high], cites)
        if any(letter.isalnum() for letter in plain):
            found.append(Clause(plain, low, high, cites))
    return found[::-1]


def _ids(text: str, known: Container[str]) -> tuple[str, ...]:
    cited: list[str] = []
    for m in _CITED.finditer(text):
        parts = [p for p in _SEPARATED.split(m["ids"].strip()) if p]
        in_square = m.group().strip().startswith("[")
        if all(p in known or (in_square and _LOOKS_LIKE_ID.match(p)) for p in parts):
            cited += parts
    return tuple(dict.fromkeys(cited))


def _without(text: str, cites: tuple[str, ...]) -> str:
    """Take the marks of citations out of a clause."""

    def kept(match: re.Match[str]) -> str:
        parts = [p for p in _SEPARATED.split(match["ids"].strip()) if p]
        return "" if parts and all(p in cites for p in parts) else match.group()

    return _CITED.sub(kept, text).strip()


def type_of_clause(text: str, reader: StatementReader) -> ClaimType:
    """Return what a clause is about; of several kinds, the most telling."""
    reading = reader.read(text)
    if not reading.said:
        return ClaimType.GLOBAL_STATUS if says_normal(text) else ClaimType.OTHER
    kinds = {kind for said in reading.said for kind in _kinds(said)} | _linked(reading)
    return next(kind for kind in _TELLING if kind in kinds)


_TELLING = (
    ClaimType.DRUG,
    ClaimType.CAUSE,
    ClaimType.TREND,
    ClaimType.LATERALITY,
    ClaimType.ORGAN,
    ClaimType.PATHOLOGY_CLASS,
    ClaimType.TEMPORAL,
    ClaimType.ATTRIBUTE,
    ClaimType.MODALITY,
    ClaimType.PRESENCE,
)


def _kinds(said: Said) -> Iterator[ClaimType]:
    yield ClaimType.PRESENCE
    if said.code.partition(":")[0] in ("drug", "class", "allergy", "treatment"):
        yield ClaimType.DRUG
    if said.code.startswith("organism:"):
        yield ClaimType.CAUSE
    if said.dates or said.finding.days is not None:
        yield ClaimType.TEMPORAL
    if said.finding.value is not None or said.amounts:
        yield ClaimType.ATTRIBUTE
    for dimension, _ in said.attributes:
        yield ClaimType.ORGAN if dimension == "site" else vocabulary().dimensions[dimension].claim


def _linked(reading: Reading) -> set[ClaimType]:
    return {ClaimType.CAUSE if link.kind == "cause" else ClaimType.TEMPORAL for link in reading.links}
