"""Age and sex of the patient, as a text gives them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_UNIT = r"(?P<unit>years?|yrs?|yr|months?|mos?|weeks?|wks?|days?)"
_SEX_WORD = r"(?P<sex>female|male|woman|man|girl|boy|lady|gentleman|schoolboy|schoolgirl)"
_AGES = (
    re.compile(rf"(?<![\d./])(?P<age>\d{{1,3}})[\s-]*{_UNIT}[\s-]*(?:old|of age)\b", re.IGNORECASE),
    re.compile(r"(?<![\d./])(?P<age>\d{1,3})\s?(?:yo|y/o|y\.o\.?)(?![a-z])", re.IGNORECASE),
    re.compile(r"(?<![\d./])(?P<age>\d{1,3})\s?(?P<sex>[MF])\b(?!/)"),
    re.compile(rf"(?<![\d./])(?P<age>\d{{1,3}})[\s-]+{_SEX_WORD}\b", re.IGNORECASE),
    re.compile(
        r"\b(?:aged?:?|i am|i'm|she is|he is|she's|he's|(?:daughter|son|baby|wife|husband|mother|father|mum|dad) is)"
        r"\s+(?P<age>\d{1,3})\b(?!\s*(?:%|mm|kg|/|\.\d|bpm|mg|cm|weeks?|days?|months?|hours?|in\b))",
        re.IGNORECASE,
    ),
)
_SEX_NEAR = re.compile(rf"\b{_SEX_WORD}\b|(?<=[\s(]){'(?P<letter>[MF])'}\b", re.IGNORECASE)
_SEX_REACH = 60
"""Characters behind the age in which a word such as `woman` belongs to it."""
_FEMALE = re.compile(r"\b(?:female|woman|girl|lady|she|her|hers|mrs|ms|miss|pregnant|daughter)\b", re.IGNORECASE)
_MALE = re.compile(r"\b(?:male|man|boy|gentleman|he|his|him|mr|son)\b", re.IGNORECASE)
_FIRST_PERSON = re.compile(r"\b(?:I|I'm|I've|my|me)\b")
_CHILD = re.compile(
    r"\b[Mm]y (?:\w+ ){0,2}(?:son|daughter|baby|boy|girl|child|toddler|mother|father|husband|wife|mum|dad)\b"
)


@dataclass(frozen=True)
class Demographics:
    """Age in years and sex, as a text gives them."""

    age: float | None
    sex: str | None


def demographics(text: str) -> Demographics:
    """Return the age and sex that a text gives its patient.

    >>> demographics("A 7-month-old boy with a barking cough")
    Demographics(age=0.58, sex='male')
    >>> demographics("54F with chest pain")
    Demographics(age=54.0, sex='female')
    """
    found = [m for pattern in _AGES if (m := pattern.search(text)) is not None]
    first = min(found, key=lambda m: (m.start(), -m.end()), default=None)
    if first is None:
        return Demographics(age=None, sex=_by_pronouns(text))
    given = first.groupdict()
    age = _years(given["age"], given.get("unit"))
    sex = _sex_of(given["sex"]) if given.get("sex") else None
    if sex is None:
        near = _SEX_NEAR.search(re.split(r"[.;]\s", text[first.end() : first.end() + _SEX_REACH])[0])
        word = near["sex"] or near["letter"] if near is not None else None
        sex = _sex_of(word) if word and (len(word) > 1 or word.isupper()) else None
    return Demographics(age=age, sex=sex or _by_pronouns(text))


def _by_pronouns(text: str) -> str | None:
    """The sex that most pronouns speak of; one who writes of himself leaves it open."""
    if _FIRST_PERSON.search(text) and not _CHILD.search(text):
        return None
    female, male = len(_FEMALE.findall(text)), len(_MALE.findall(text))
    return "female" if female > male else "male" if male > female else None


def _years(number: str, unit: str | None) -> float | None:
    per_year = {"mo": 12.0, "w": 52.18, "d": 365.25}
    key = (unit or "y").lower()
    short = "mo" if key.startswith("mo") else key[0]
    years = float(number) / per_year.get(short, 1.0)
    return round(years, 2) if years <= 120 else None


def _sex_of(word: str) -> str | None:
    folded = word.lower()
    if folded in ("female", "woman", "girl", "lady", "f", "schoolgirl"):
        return "female"
    return "male" if folded in ("male", "man", "boy", "gentleman", "m", "schoolboy") else None
