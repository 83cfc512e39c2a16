"""Identifiers that show by their form, for texts of which no record knows whom they name.

Conservative: a number is taken only where its form or the word before it says what it is, since laboratory values,
doses and scores are numbers too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from wardround.trace.redaction import words
from wardround.trace.redaction.classes import Identifier
from wardround.trace.redaction.edits import Edit

_OF_EVERYBODY = (
    "hl7.org", "loinc.org", "snomed.info", "unitsofmeasure.org", "nih.gov", "whocc.no", "nema.org", "nucc.org",
    "doi.org", "w3.org", "who.int", "cdc.gov", "nice.org.uk", "ama-assn.org", "ihtsdo.org", "fhir.org", "ietf.org",
    "redacted.invalid",
)  # fmt: skip
"""Hosts whose addresses name terminologies, standards and literature, and no person."""

_PATTERNS: tuple[tuple[Identifier, re.Pattern[str]], ...] = (
    (Identifier.EMAIL, re.compile(r"(?<![\w.+-])(?P<it>[\w.+-]+@[\w-]+(?:\.[\w-]+)+)", re.IGNORECASE)),
    (
        Identifier.URL,
        re.compile(r"(?P<it>\b(?:https?|ftp)://[^\s<>\"')\]}|]+|\bwww\.[\w-]+(?:\.[\w-]+)+[^\s<>\"')\]}|]*)"),
    ),
    (
        Identifier.SOCIAL_SECURITY,
        re.compile(r"(?<![\w.-])(?P<it>(?!000|666|9\d\d)\d{3}-(?!00)\d\d-(?!0000)\d{4})(?![\w-]|\.\d)"),
    ),
    (
        Identifier.SOCIAL_SECURITY,
        re.compile(
            r"\b(?:ssn|social security(?: (?:number|no))?)\W{0,4}(?P<it>\d{3}[ -]?\d\d[ -]?\d{4})\b", re.IGNORECASE
        ),
    ),
    (
        Identifier.FAX,
        re.compile(r"\bfax(?:\s?(?:no|number))?\W{0,4}(?P<it>\+?[\d(][\d\s().-]{5,18}\d)(?!\w)", re.IGNORECASE),
    ),
    (
        Identifier.PHONE,
        re.compile(
            r"\b(?:tel|telephone|phone|mobile|cell phone|call|ring|contact number)(?:\s?(?:no|number))?\.?\W{0,4}"
            r"(?P<it>\+?[\d(][\d\s().-]{4,18}\d)(?!\w)",
            re.IGNORECASE,
        ),
    ),
    (
        Identifier.PHONE,
        re.compile(r"\b(?:pager|bleep|ext)(?:ension)?\.?\W{0,3}(?P<it>\d{3,6})(?![\w.])", re.IGNORECASE),
    ),
    (
        Identifier.PHONE,
        re.compile(r"(?<![\w.-])(?P<it>\+\d{1,3}[\s.-]?\(?\d{1,4}\)?(?:[\s.-]?\d{2,4}){2,4})(?![\w-]|\.\d)"),
    ),
    (
        Identifier.PHONE,
        re.compile(r"(?<![\w.-])(?P<it>(?:1[\s.-])?(?:\(\d{3}\)\s?|\d{3}[.-])\d{3}[.-]\d{4})(?![\w-]|\.\d)"),
    ),
    (
        Identifier.RECORD_NUMBER,
        re.compile(
            r"\b(?:mrn|(?:medical record|nhs|accession)(?: (?:number|no))?|(?:hospital|chart|case) (?:number|no)|"
            r"patient (?:id|number|no)|unit number)\.?\s*(?:is\s)?[:#]?\s*"
            r"(?P<it>(?=[\w-]*\d)[A-Z0-9][\w-]{2,19}(?:\s\d{3,4}){0,2})",
            re.IGNORECASE,
        ),
    ),
    (
        Identifier.HEALTH_PLAN,
        re.compile(
            r"\b(?:member|policy|subscriber|insurance|medicare|medicaid|beneficiary|group)\s(?:id|number|no|#)\.?\s*[:#]?\s*"
            r"(?P<it>(?=[\w-]*\d)[A-Z0-9][\w-]{3,19})",
            re.IGNORECASE,
        ),
    ),
    (
        Identifier.ACCOUNT,
        re.compile(
            r"\b(?:account|acct|iban)(?:\s(?:number|no))?\.?\s*[:#]?\s*(?P<it>(?=[\w-]*\d)[A-Z0-9][\w-]{5,33})", re.I
        ),
    ),
    (
        Identifier.LICENCE,
        re.compile(
            r"\b(?:licen[cs]e|certificate|npi|dea|passport|gmc)(?:\s(?:number|no))?\.?\s*[:#]?\s*"
            r"(?P<it>(?=[\w-]*\d)[A-Z0-9][\w-]{4,19})",
            re.IGNORECASE,
        ),
    ),
    (
        Identifier.VEHICLE,
        re.compile(
            r"\b(?i:vin|number plate|licen[cs]e plate|registration plate)\W{1,3}"
            r"(?P<it>(?=[A-Z -]*\d)[A-Z0-9][A-Z0-9 -]{3,16}[A-Z0-9])\b"
        ),
    ),
    (
        Identifier.DEVICE,
        re.compile(
            r"\b(?:serial|s/n|udi|imei)(?:\s(?:number|no))?\.?\s*[:#]?\s*(?P<it>(?=[\w()-]*\d)[\w()-]{5,40})", re.I
        ),
    ),
)
_NUMBERED = re.compile(
    r"(?<![\w.:])(?P<it>\d{1,3}(?:\.\d{1,3}){3})(?![\w.:])|(?<![\w:.])(?P<six>(?:[0-9a-f]{0,4}:){3,7}[0-9a-f]{0,4})(?![\w:.])",
    re.I,
)
_TITLED = re.compile(
    r"\b(?:Mr|Mrs|Ms|Miss|Mx|Dr|Doctor|Prof|Professor|Sister|Nurse|MR|MRS|MS|DR|PROF)\.?\s+"
    r"(?P<it>(?:[A-Z]\.?\s?){0,2}(?:(?:van|von|de|der|den|del|da|di|la|le|al|el|bin)\s)*[A-Z][^\W\d_]*(?:['’][A-Z][^\W\d_]+|-[^\W\d_]+)*"
    r"(?:\s[A-Z][^\W\d_]+(?:-[A-Z][^\W\d_]+)*){0,2})"
)
_AFTER_A_TITLE_WORDS = """
to on at in of and or who the a an is was has had for as with
"""
_AFTER_A_TITLE = frozenset(_AFTER_A_TITLE_WORDS.split())


@dataclass(frozen=True)
class PatternRedactor:
    """Finds numbers, addresses and titled names by their form alone.

    >>> [edit.category.value for edit in PatternRedactor().edits("SSN 219-09-9999, K 4.1, call 555-010-1234")]
    ['social_security', 'phone']
    """

    def edits(self, text: str) -> list[Edit]:
        """Return what looks like an identifier of a class."""
        return [*_by_form(text), *_numbered(text), *_titled(text)]


def _by_form(text: str) -> Iterator[Edit]:
    taken: list[tuple[int, int]] = []
    for kind, pattern in _PATTERNS:
        for match in pattern.finditer(text):
            start, end = match.span("it")
            if kind is Identifier.URL:
                end = start + len(match["it"].rstrip(".,;:"))
            if _SPARED.get(kind, _never)(text[start:end]) or any(a < end and start < b for a, b in taken):
                continue
            taken.append((start, end))
            yield Edit(start, end, kind, f"[{kind.name}]")


def _never(found: str) -> bool:
    return False


def _is_of_everybody(url: str) -> bool:
    host = urlsplit(url if "//" in url else f"//{url}").hostname or ""
    return any(host == known or host.endswith(f".{known}") for known in _OF_EVERYBODY)


def _is_too_short(number: str) -> bool:
    digits = sum(c.isdigit() for c in number)
    return digits < 6 and not number.isdigit()  # 10-14 days


_SPARED: dict[Identifier, Callable[[str], bool]] = {
    Identifier.URL: _is_of_everybody,
    Identifier.PHONE: _is_too_short,
    Identifier.FAX: _is_too_short,
}


def _numbered(text: str) -> Iterator[Edit]:
    for match in _NUMBERED.finditer(text):
        group = "it" if match["it"] else "six"
        try:
            ip_address(match[group])
        except ValueError:
            continue
        yield Edit(*match.span(group), Identifier.IP_ADDRESS, "[IP_ADDRESS]")


def _titled(text: str) -> Iterator[Edit]:
    """Names behind a title; a disease or sign called after somebody is none."""
    for match in _TITLED.finditer(text):
        start, end = match.span("it")
        name = match["it"]
        first = name.split()[0].strip(".").lower()
        if first in _AFTER_A_TITLE or words.DISEASE.match(text, end):
            continue
        title = text[match.start() : start].strip().rstrip(".").lower()
        label = "[CLINICIAN]" if title in ("dr", "doctor", "prof", "professor", "sister", "nurse") else "[PERSON]"
        yield Edit(start, end, Identifier.NAME, label)
