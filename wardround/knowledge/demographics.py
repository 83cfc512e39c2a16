"""Age and sex of the patient, as a text gives them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_UNIT = r"(?P<unit>years?|yrs?|yr|months?|mos?|weeks?|wks?|days?)"
_SEX_WORD = r"(?P<sex>female|male|woman|man|girl|boy|lady|gentleman|schoolboy|schoolgirl)"
_ONES = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SPELT = {
    **{word: n for n, word in enumerate((*_ONES, *_TEENS), start=1)},
    **{word: 10 * n for n, word in enumerate(_TENS, start=2)},
    **{f"{tens}{one}": 10 * n + m for n, tens in enumerate(_TENS, start=2) for m, one in enumerate(_ONES, start=1)},
}
_IN_WORDS = rf"(?:(?:{'|'.join(_TENS)})(?:[\s-](?:{'|'.join(_ONES)}))?|{'|'.join((*_TEENS, *_ONES))})"
_NO_AGE = r"(?!\s*(?:%|mm|kg|/|\.\d|bpm|mg|cm|weeks?|days?|months?|hours?|in\b))"
_AGES = (
    re.compile(rf"(?<![\d./])\b(?P<age>\d{{1,3}}|{_IN_WORDS})[\s-]*{_UNIT}[\s-]*(?:old|of age)\b(?!-)", re.IGNORECASE),
    re.compile(rf"(?<![\d./])(?<!for )(?P<age>\d{{1,3}})[\s-]*(?P<unit>years?|yrs?),?\s+{_SEX_WORD}\b", re.IGNORECASE),
    re.compile(rf"\baged\s+(?P<age>\d{{1,3}}|{_IN_WORDS})\s*{_UNIT}\b", re.IGNORECASE),
    re.compile(rf"\b{_SEX_WORD}\s*,\s*(?P<age>\d{{1,3}})\b{_NO_AGE}", re.IGNORECASE),
    re.compile(rf"^\W*(?P<sex>[MF])[\s/,]+(?P<age>\d{{1,3}})\b{_NO_AGE}"),
    re.compile(r"(?<![\d./])(?P<age>\d{1,3})\s?(?:yo|y/o|y\.o\.?)(?![a-z])", re.IGNORECASE),
    re.compile(r"(?<![\d./])(?P<age>\d{1,3})\s?/?\s?(?P<sex>[MF])\b(?!/)"),
    re.compile(rf"(?<![\d./])(?P<age>\d{{1,3}})[\s-]+{_SEX_WORD}\b", re.IGNORECASE),
    re.compile(
        r"\b(?:aged?:?|i am|i'm|she is|he is|she's|he's|(?:daughter|son|baby|wife|husband|mother|father|mum|dad) is)"
        rf"\s+(?P<age>\d{{1,3}})\b{_NO_AGE}",
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
_RELATIVE_AFTER = re.compile(
    r"[\s-]+(?:mother|father|mum|mom|dad|brother|sister|aunt|uncle|grand\w+|cousin|wife|husband|partner)\b",
    re.IGNORECASE,
)
_MINE_BEFORE = re.compile(r"\bmy\s+$", re.IGNORECASE)
_TEMPERATURE_BEFORE = re.compile(r"\b(?:temp(?:erature)?|T|fever)\W+(?:(?:of|is|was|at|to)\W+)?$", re.IGNORECASE)


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
    found = [m for pattern in _AGES for m in pattern.finditer(text) if not _is_of_another(text, m)]
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


def _is_of_another(text: str, match: re.Match[str]) -> bool:
    """Whether a number is a relative's age, save one whom the writer brings, or a temperature."""
    before = text[: match.start()]
    relative = before.strip(" \n") and _RELATIVE_AFTER.match(text[match.end() :]) and not _MINE_BEFORE.search(before)
    return bool(relative or _TEMPERATURE_BEFORE.search(text[: match.start()]))


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
    spelt = _SPELT.get(re.sub(r"[\s-]", "", number.lower()))
    years = float(spelt if spelt is not None else number) / per_year.get(short, 1.0)
    return round(years, 2) if years <= 120 else None


def _sex_of(word: str) -> str | None:
    folded = word.lower()
    if folded in ("female", "woman", "girl", "lady", "f", "schoolgirl"):
        return "female"
    return "male" if folded in ("male", "man", "boy", "gentleman", "m", "schoolboy") else None
