"""Under which condition something is to be done."""

from __future__ import annotations

import re
from dataclasses import replace

from wardround.models.clerk.asked import ListForm
from wardround.models.clerk.intents import Puzzled
from wardround.models.clerk.listings import listing_in
from wardround.models.clerk.spans import spans_of
from wardround.models.clerk.times import COUNT, UNIT, Period, period
from wardround.models.clerk.wanted import Abnormal, Condition, Listed, Missing, Overdue, Within

_OLDER = re.compile(
    rf"\b(?:older than|more than|greater than|longer than|over|exceeds?|beyond|at least|"
    rf"before)\s+(?P<count>{COUNT})[\s-]*(?P<unit>{UNIT})\b"
    rf"|>=?\s*(?P<count2>{COUNT})[\s-]*(?P<unit2>{UNIT})\b|"
    rf"\b(?P<count3>{COUNT})[\s-]*(?P<unit3>{UNIT})\s+(?:or (?:older|more)|old|ago)\b",
    re.IGNORECASE,
)
_NOT_WITHIN = re.compile(
    rf"\b(?:no|none|not|never|n't)\b.*?\b(?:with)?in\s+(?:the\s+)?(?:last|past|previous|preceding)?\s*(?P<count>{COUNT})[\s-]*(?P<unit>{UNIT})\b"
    rf"|n't\b.*?\b(?:for|in)\s+(?:the\s+)?(?:last|past)?\s*(?P<count2>{COUNT})[\s-]*(?P<unit2>{UNIT})\b",
    re.IGNORECASE,
)
_OF_PERSON = re.compile(
    r"(?<!of the )\b(?:patient|he|she|they)\b\s+(?:is|was|are)\s+(?:older|over|younger|under|aged|more|less|"
    r"at least|male|female|pregnant|an? )",
    re.IGNORECASE,
)
"""Conditions of the patient's person, which are not understood."""
_GONE = re.compile(
    r"\bno\b|\bnone\b|\bmissing\b|\bnever\b|\bunavailable\b|\bnothing\b|\bnot\s+(?:been\s+|yet\s+)?(?:available|"
    r"recorded|measured|there|done|found|on file|exist|present)|"
    r"n't\s+(?:been\s+)?(?:available|recorded|measured|exist|any|have)",
    re.IGNORECASE,
)
_LOW = re.compile(
    r"\bbelow (?:the )?(?:goal|target|threshold|limit|normal)\b|\b(?:low|decreased|deficien\w+|depleted|"
    r"hypo[a-z]+|subnormal)\b",
    re.IGNORECASE,
)
_HIGH = re.compile(
    r"\babove (?:the )?(?:goal|target|threshold|limit|normal)\b|\b(?:high|elevated|raised|increased|hyper[a-z]+)\b",
    re.IGNORECASE,
)
_FINE = re.compile(
    r"\b(?:normal|within (?:the )?(?:normal|reference)|not low|not high|in range|adequate|sufficient)\b", re.IGNORECASE
)
_LISTED = re.compile(
    r"\b(?:is|are|not|currently|already|on|has|have|had|taking|takes|receiving|diagnosed|history|allerg\w*)\b",
    re.IGNORECASE,
)
_HAS_PROBLEM = re.compile(
    r"\b(?:patient|he|she|they)\s+(?:has|have|had)\s+(?!no\b|not\b|been\b)(?:an?\s+)?(?:known\s+|documented\s+)?"
    r"(?:history of\s+|diagnosis of\s+)?((?!.*\b(?:allerg|order|level|value|result)).+)$",
    re.IGNORECASE,
)
ALLERGY = re.compile(r"\ballerg", re.IGNORECASE)
DUPLICATE = re.compile(
    r"\balready\b|\bduplicat|\bexisting\b|\b(?:active|open|pending|current|outstanding)\s+(?:\w+\s+){0,3}?(?:orders?|requests?|prescriptions?|referrals?)\b|"
    r"\bbeen (?:asked for|requested)\b|\bunder way\b|\b(?:order(?:ed)?|"
    r"request(?:ed)?)\s+(?:is\s+)?(?:in force|in place|pending|open|active)\b|\bon order\b|"
    r"\bbeen ordered\b",
    re.IGNORECASE,
)


def is_fine(text: str) -> bool:
    """Whether a condition is that all is well."""
    return bool(_FINE.search(text))


def condition_of(text: str, *, is_unless: bool = False) -> Condition:
    """Return a condition of the record's values.

    Raises:
        Puzzled: It is not understood.

    >>> condition_of("the result is greater than 1 year old")
    Overdue(age=Period(count=1.0, unit='year'), counts_missing=True)
    """
    found = _read(text)
    if found is None:
        raise Puzzled(f"the condition {' '.join(text.split())[:120]!r}")
    return _inverted(found, text) if is_unless else found


def _read(text: str) -> Condition | None:
    if _OF_PERSON.search(text):
        return None
    age = _period(_OLDER.search(text)) or _period(_NOT_WITHIN.search(text))
    if age is not None:
        return Overdue(age)
    spans = list(spans_of(text))
    if len(spans) == 1:
        return Within(spans[0])
    listed = _listed(text)
    if listed is not None:
        return listed
    if spans:
        return None
    is_negated = re.search(r"\b(?:not|n't|isn't)\b", text, re.IGNORECASE) is not None
    if (_LOW.search(text) or _HIGH.search(text)) and not is_negated:
        return Abnormal(is_low=_LOW.search(text) is not None)
    return Missing() if _GONE.search(text) else None


def _period(match: re.Match[str] | None) -> Period | None:
    if match is None:
        return None
    for suffix in ("", "2", "3"):
        groups = match.groupdict()
        if groups.get(f"count{suffix}"):
            return period(groups[f"count{suffix}"], groups[f"unit{suffix}"])
    return None


def _listed(text: str) -> Listed | None:
    has = _HAS_PROBLEM.search(text)
    listing = (
        listing_in(f"does the patient have {has[1]}" if has is not None else text) if _LISTED.search(text) else None
    )
    if listing is None or not listing.what or re.search(r"\b(?:and|or)\b", listing.what, re.IGNORECASE):
        return None
    is_there = re.search(r"\b(?:not|no|n't|never|without)\b|n't\b", text, re.IGNORECASE) is None
    return Listed(replace(listing, form=ListForm.HAS), is_there)


def _inverted(condition: Condition, text: str) -> Condition:
    match condition:
        case Listed():
            return replace(condition, is_there=not condition.is_there)
        case Within(span=span) if span.low is None and span.high is not None:
            return Within(replace(span, low=span.high, high=None, holds_low=not span.holds_high))
        case Within(span=span) if span.high is None and span.low is not None:
            return Within(replace(span, high=span.low, low=None, holds_high=not span.holds_low))
    raise Puzzled(f"the condition 'unless {' '.join(text.split())[:120]}'")
