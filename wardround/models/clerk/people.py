"""Whom a task is about: a record number, or a name with a date of birth."""

from __future__ import annotations

import re
from collections.abc import Iterable

from wardround.models.clerk.glossary import Code
from wardround.models.clerk.intents import Puzzled, WhoIsMeant
from wardround.models.clerk.times import moments
from wardround.models.clerk.wording import Wording

_TOKEN = r"(?P<number>(?!\d{4}-\d\d-\d\d)[A-Za-z]{0,6}-?\d[\w-]*(?![\w-]|/\d))"
_NUMBERED = (
    re.compile(r"\bPatient/(?P<number>[A-Za-z0-9-]{1,64}(?:\.[A-Za-z0-9-]+)*)"),
    re.compile(
        r"\b(?:MRN|medical record (?:number|no\.?)|record number|chart number|patient (?:id|identifier|number)|"
        r"FHIR id)\b"
        rf"(?:\s+(?:of|is|number|no|id))*\s*[:#=]?\s*{_TOKEN}",
        re.IGNORECASE,
    ),
    re.compile(
        rf"\bpatient(?:'s)?,?\s+(?:with\s+)?(?:(?:id|identifier|number|no\.?|#)\s*[:#]?\s*(?:(?:of|is)\s+)?)?{_TOKEN}"
        r"(?!\s*-?\s*(?:years?|yo\b|y/o|months?|days?))",
        re.IGNORECASE,
    ),
)
_BARE = re.compile(r"(?<![\w/.-])(?P<number>[A-Z]{1,4}\d{4,})(?![\w-])")
_BIRTH = r"(?:\bDOB\b|\bD\.O\.B\.?|\bdate of birth\b|\bbirth ?date\b|\bbirthday\b|\bborn\b)"
_CAPITAL = r"(?-i:[A-ZÀ-ÖØ-Þ])[^\W\d_]*(?:['.-][^\W\d_]+)*\.?"
_CITY = re.compile(
    r"\b(?:lives?|living|resident|residing)\s+in\s+(?P<city>(?-i:[A-Z])[\w'-]*(?:\s+(?-i:[A-Z])[\w'-]*)*)",
    re.IGNORECASE,
)
_GENDER = re.compile(r"\b(?:an?|the)\s+(?P<gender>woman|man|female|male|lady|girl|boy)\b", re.IGNORECASE)
_GENDERS = {"woman": "female", "lady": "female", "girl": "female", "man": "male", "boy": "male"}
_YEAR = re.compile(r"\bborn in (?:the year )?(?P<year>(?:18|19|20)\d\d)\b", re.IGNORECASE)
_PARTICLE = r"(?:(?:de|da|del|della|der|den|di|dos|das|du|la|le|van|von|bin|binti|al|el|ter|y)\s+)*"
_FULL = rf"{_CAPITAL}(?:\s+{_PARTICLE}{_CAPITAL})+|{_CAPITAL},\s*{_CAPITAL}(?:\s+{_CAPITAL})*"
_NAMED = (
    re.compile(
        rf"\b(?:named?|called)\s*(?:is|of|:)?\s*(?:{_FULL}(?=\s*(?:$|[,.;?()]|and\b|with\b|who\b|whose\b|{_BIRTH})))",
        re.I,
    ),
    re.compile(
        rf"\b(?:named?|called)\s*(?:is|of|:)?\s*[^,;:?!\n()⟦]{{2,60}}?(?=\s*(?:,|\(|\band\b|\bwith\b|{_BIRTH}))", re.I
    ),
    re.compile(rf"(?:{_FULL})(?=\s*[,(]?\s*(?:who (?:was|is)|whose|and|with)?\s*(?:an?\s|the\s)?{_BIRTH})", re.I),
    re.compile(rf"\bpatient\s+(?:{_FULL})", re.I),
    re.compile(
        rf"\b(?:identify|look up|find|belongs? to|about|does|is|for|of|MRN)\s+(?:{_FULL})(?=\s*(?:$|[,(?.:]|who\b|have\b|has\b|by\b))",
        re.I,
    ),
    re.compile(rf"(?:{_FULL})(?='s\b)", re.I),
)
_VERB_FIRST = re.compile(
    r"(?:Please|Check|Find|Tell|Give|Report|Look|Review|Order|Prescribe|Start|Stop|Record|Document|Enter|Refer|Replace|"
    r"Repeat|Cancel|Discontinue|Correct|Mark|Send|Read|Go|Set|Keep|Mend|Follow|Write|Take|Put|Have|Let|Could|Can|Would|Before|After|"
    r"Use|Consider|Identify|Were|When|What|Which|Who|How|If|Why|Ask|Get|Show|List|Compare|Average|Count|For|Is|Does|Has|Was|Did|Of|Log|Note)\s"
)
_LEADING = re.compile(
    r"^(?:(?:named?|called|patient|is|of|what|who|when|which|how|check|find|tell|give|report|does|has|was|did|the|for|about|identify|belongs?|to|"
    r"look|up|mr|mrs|ms|dr|please|record|order|mrn)\b[.:']?\s*(?:s\b\s*)?)+",
    re.IGNORECASE,
)


def _verb_of(text: str) -> str:
    """Return the verb that a text begins with, if it does."""
    match = _VERB_FIRST.match(text)
    return match[0] if match is not None else ""


def who_of(wording: Wording, codes: Iterable[Code] = ()) -> WhoIsMeant:
    """Return how a task names its patient.

    Raises:
        Puzzled: It names several, or a date of birth that could be two days.

    >>> who_of(Wording.of("MRN of the patient with name Ann van Dyk and DOB of 1932-12-29?"))
    WhoIsMeant(number=None, is_id=False, name=('Ann', 'van', 'Dyk'), born='1932-12-29', city=None, gender=None)
    >>> who_of(Wording.of("Check patient S1234567's last potassium")).number
    'S1234567'
    """
    who = _who(wording.instruction, wording, codes)
    if who != WhoIsMeant():
        return who
    elsewhere = _who(wording.text, wording, codes)
    return elsewhere if elsewhere.number is not None else who


def _who(part: str, wording: Wording, codes: Iterable[Code]) -> WhoIsMeant:
    text = re.sub(r"⟦(\d+)⟧", lambda m: q if len(q := wording.quotes[int(m[1])]) <= 40 else m[0], part)
    number = _number(text, frozenset(code.code for code in codes))
    if number is not None:
        return WhoIsMeant(number=number, is_id=f"Patient/{number}" in text)
    name = _name(text)
    if not name:
        return WhoIsMeant(born=_born(text))
    year, city, gender = _YEAR.search(text), _CITY.search(text), _GENDER.search(text)
    said = gender["gender"].lower() if gender is not None else ""
    return WhoIsMeant(
        name=name,
        born=_born(text) or (year["year"] if year is not None else None),
        city=city["city"] if city is not None else None,
        gender=_GENDERS.get(said, said or None),
    )


def _number(text: str, codes: frozenset[str]) -> str | None:
    said = {match["number"].rstrip(".") for form in _NUMBERED for match in form.finditer(text)} - codes
    if not said:
        said = {match["number"] for match in _BARE.finditer(text)} - codes
    if len(said) > 1:
        raise Puzzled(f"the task names several patients: {', '.join(sorted(said))}")
    return said.pop() if said else None


def _born(text: str) -> str | None:
    for match in re.finditer(_BIRTH, text, re.IGNORECASE):
        behind = text[match.end() : match.end() + 40]
        near = [moment for moment in moments(behind) if moment.start <= 16]
        if near:
            return near[0].time.date().isoformat()
        unread = re.match(r"\W*(?:(?:of|is|on)\W+)?(\d+[/.-]\d+[/.-]\d+)", behind, re.IGNORECASE)
        if unread is not None:
            raise Puzzled(f"the date of birth {unread[1]} is no date, or could be two; write it as YYYY-MM-DD")
    return None


def _name(text: str) -> tuple[str, ...]:
    for form in _NAMED:
        for match in form.finditer(text):
            name = _LEADING.sub("", match.group().strip())
            parts = tuple(part for part in re.split(r"[\s,]+", name) if part)
            if len(parts) >= 2:
                return parts
    return ()


def without_patient(text: str, who: WhoIsMeant) -> str:
    """Return a text with `the patient` in place of a number or a name.

    >>> without_patient("the MRN of patient S1234567's record", WhoIsMeant(number="S1234567"))
    'the MRN of the patient record'
    """
    if who.number is not None:
        number = re.escape(who.number)
        behind = rf"\s*\((?:MRN|ID)?\s*:?\s*{number}\)(?:'s)?"
        text = re.sub(rf"\b(?:Mr|Mrs|Ms|Dr)\.?\s+{_CAPITAL}(?:\s+{_CAPITAL})*{behind}", f" patient {who.number} ", text)
        text = re.sub(rf"(?:{_FULL}){behind}", lambda m: f"{_verb_of(m.group())} patient {who.number} ", text)
        text = re.sub(
            rf"(?:\b(?P<before>of|for|in|on)\s+)?(?:\bthe\s+)?(?:\bpatient\s*)?(?:\bwith\s+)?"
            rf"(?:\b(?:an?\s+)?(?:MRN|id|identifier|number)\s*(?:of|is|:|=)?\s*)?(?:Patient/)?{number}\b(?:'s)?",
            lambda m: f" {m['before'] or ''} the patient ",
            text,
            flags=re.IGNORECASE,
        )
    if who.name:
        name = r"[\s,]+".join(re.escape(part) for part in who.name)
        born = r"(?:\s*,?\s*\(?\s*(?:who was\s+)?(?:born|DOB|date of birth)[^,)?]*[,)]?)?"
        text = re.sub(rf"(?:\bpatient\s+)?{name}(?:'s)?{born}", " the patient ", text, flags=re.IGNORECASE)
    return " ".join(text.split())
