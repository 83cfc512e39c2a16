"""The answers that a task states for certain cases: `-1 if not available`, `"Patient not found"` if there is none."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from wardround.models.clerk.intents import Case
from wardround.models.clerk.wording import MARK, Sentence, Wording

_VALUE = (
    rf"(?P<value>\[[^\[\]\n]{{0,60}}\]|{MARK}|-\d+(?:\.\d+)?(?![\w-])|\bnull\b|\bN/A\b|"
    rf"(?<![\w.-])\d+(?:\.\d+)?(?![\w.-]*\d|[\w-]))"
)
_FILLER = (
    r"with|me|that|just|only|simply|as|be|should be|must be|is|it|a|an|back|the\s+(?:single\s+)?"
    r"(?:value|answer|number|text|word|words|string|list|phrase|message)|exactly|simply"
)
_SAYING = r"answer|return|report|reply|respond|say|finish|give|output|write|use|put|state|be|is|end"
_SAID = re.compile(rf"\b(?:{_SAYING})(?:\s+(?:{_FILLER}))*\s*[:=]?\s*{_VALUE}", re.IGNORECASE)
_STANDS = re.compile(
    rf"{_VALUE}\s+(?:stands for|means|denotes|for|if|when|where|in case|otherwise|should)\b", re.IGNORECASE
)
_THING = (
    r"such|measurements?|values?|results?|levels?|readings?|records?|patients?|data|observations?|entr(?:y|ies)|match(?:es)?|"
    r"labs?|tests?|recent|one|person|[\w-]+ (?:level|value|result|measurement|reading|record|patient)s?"
)
_GONE = r"available|exist|exists|found|recorded|there|present|on file|prescribed|been|measured|documented|known|have|any|in the \w+"
_CASES: tuple[tuple[Case, str], ...] = (
    (Case.ALLERGY, r"\ballerg"),
    (
        Case.DUPLICATE,
        r"\balready\b|\bduplicate|\bexisting\b|\bactive (?:order|request|prescription)|\bin force\b|\bon order\b|\bunder way\b",
    ),
    (Case.TOO_FEW, r"\bfewer than two\b|\bless than two\b|\bonly one\b|\bnot (?:enough|two)\b"),
    (Case.AMBIGUOUS, r"\bmore than one\b|\bseveral\b|\bmultiple\b|\bambiguous|\bnot unique\b|\btwo or more\b"),
    (
        Case.ABSENT,
        rf"\b(?:not|cannot be|can't be|never)\s+(?:{_GONE})\b|n't\s+(?:be\s+)?(?:{_GONE})\b|"
        rf"\bno\s+(?:{_THING})\b|\bnone\b|\bnot an? (?:active|current)\b|"
        r"\bnothing\b|\bmissing\b|\bunavailable\b|\babsent\b|\bnobody\b|\bno one\b|\bunknown\b|\bthere is no\b",
    ),
    (Case.OTHERWISE, r"\botherwise\b|\belse\b|\bif not\b|\bnormal\b|\bno (?:action|order)\b"),
)


def stated_of(wording: Wording) -> tuple[Mapping[Case, tuple[Any, ...]], tuple[Sentence, ...]]:
    """Return the answers that a task states for certain cases, and its sentences without these statements.

    >>> stated_of(Wording.of("Tell the last K, or -1 if none is recorded."))[0]
    {<Case.ABSENT: 'absent'>: (-1,)}
    """
    found: dict[Case, tuple[Any, ...]] = {}
    left = []
    before: list[str] = []
    for sentence in wording.sentences:
        statements = [] if _is_code(sentence.text) else list(_statements(sentence.text, before))
        for match, case in statements:
            found.setdefault(case, _read(match["value"], wording))
        left.append(replace(sentence, text=_cut(sentence.text, statements[0][0])) if statements else sentence)
        before = [*before[-1:], sentence.text]
    return found, tuple(left)


def _statements(text: str, before: Sequence[str]) -> Iterator[tuple[re.Match[str], Case]]:
    """The answers that a sentence states, each with its case: `0 if none is high, and -1 if there is no result`."""
    several = list(_STANDS.finditer(text))
    if len(several) > 1:
        ends = [*(match.start() for match in several[1:]), len(text)]
        for match, end in zip(several, ends, strict=True):
            own = text[match.start() : end]
            case = next((case for case, words in _CASES if re.search(words, own, re.IGNORECASE)), None)
            if case is not None and not _SOME.search(own):
                yield match, case
        return
    said = _SAID.search(text) or _STANDS.search(text)
    if said is None:
        return
    case = _case(text, said)
    if case in (None, Case.OTHERWISE):
        case = _back(text, before, said) or case
    if case is not None:
        yield said, case


_THEN = re.compile(r"^(?:and\s+|but\s+)?(?:in (?:that|this|such a) case|then|if so|if that is so)\b", re.IGNORECASE)
_SOME = re.compile(
    r"\bthere (?:are|were) (?:results|values|some|any)\b|\bwere (?:recorded|measured|found)\b", re.IGNORECASE
)
"""A case in which there are values after all."""
_ACTING = re.compile(
    r"\b(?:order|prescribe|set|change|stop|mark|correct|write|record)\b(?! (?:nothing|none|no\b))",
    re.IGNORECASE,
)


def _back(text: str, before: Sequence[str], match: re.Match[str]) -> Case | None:
    """For which case of the sentences before an answer is, or for when something has been done."""
    lead = text[: match.start()]
    if _THEN.match(text):
        named = next(
            (case for case, words in _CASES[:-1] if before and re.search(words, before[-1], re.IGNORECASE)), None
        )
        return named or (Case.DONE if any(_ACTING.search(sentence) for sentence in before) else None)
    is_act = re.search(r"\band\s+(?:then\s+)?$", lead, re.IGNORECASE) is not None and _ACTING.search(lead) is not None
    return Case.DONE if is_act and not re.search(r"\bif\b|\bnot\b|\bnothing\b", lead, re.IGNORECASE) else None


_ELSE = re.compile(r"[,\s]*\b(?:otherwise|else|if not)\b[\s,]*(?:please\s+)?$", re.IGNORECASE)


def _case(text: str, match: re.Match[str]) -> Case | None:
    if _ELSE.search(text, 0, match.start()):
        return Case.OTHERWISE
    return next((case for case, words in _CASES if re.search(words, text, re.IGNORECASE)), None)


def _is_code(text: str) -> bool:
    return (
        re.search(r"\b(?:code|LOINC|SNOMED|NDC|RxNorm|CPT|flowsheet)\b.*\b(?:is|reads|are)\b", text, re.I) is not None
    )


_IF = r"(?:if|when|where|in case|should|unless)\b"
_LEADS_IN = re.compile(rf"^\s*(?:and\s+|but\s+)?{_IF}[^,]*,?[^,]*$", re.IGNORECASE)
_LINKS = re.compile(r"(?:[,\s]|\b(?:and|or|but|it should|the answer should|please))+$", re.IGNORECASE)
_FOLLOWS = re.compile(rf"^(?:\s*(?:{_IF}|for\b|stands for\b))?[^,.]*", re.IGNORECASE)


def _cut(text: str, match: re.Match[str]) -> str:
    """The sentence without the statement and the condition that goes with it, before or behind."""
    before = text[: match.start()]
    otherwise = _ELSE.search(before)
    if otherwise is not None:
        kept = before[: otherwise.start()]
    else:
        kept = "" if _LEADS_IN.match(before) else _LINKS.sub("", before)
    rest = _FOLLOWS.match(text[match.end() :])
    return f"{kept} {text[match.end() + (rest.end() if rest is not None else 0) :]}".strip(" ,.")


def _read(value: str, wording: Wording) -> tuple[Any, ...]:
    if value.startswith("⟦"):
        return (wording.restored(value),)
    if value.lower() in ("null", "n/a"):
        return (None,) if value.lower() == "null" else (value,)
    if value.startswith("["):
        inner = re.sub(MARK, lambda m: json.dumps(wording.restored(m.group())), value)
        try:
            return tuple(json.loads(inner))
        except ValueError:
            return tuple(part.strip() for part in inner[1:-1].split(",") if part.strip())
    number = float(value)
    return (int(number) if number.is_integer() and "." not in value else number,)
