"""What a sentence of a task asks of the record."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from wardround.models.clerk.asked import (
    Comparison,
    Demographic,
    FindPatient,
    Level,
    Listing,
    Measured,
    Question,
    Statistic,
    Window,
)
from wardround.models.clerk.glossary import Code, fitting
from wardround.models.clerk.intents import Puzzled, WhoIsMeant
from wardround.models.clerk.listings import YES_NO, listing_in
from wardround.models.clerk.measuring import (
    LEVEL_WORD,
    QUERIED,
    WITH_TIME,
    direction_in,
    measured_in,
    statistic_in,
    unit_wanted,
    with_name,
    without_names,
)
from wardround.models.clerk.people import without_patient
from wardround.models.clerk.spans import Span, spans_of
from wardround.models.clerk.times import COUNT, period
from wardround.models.clerk.windows import windows_of, without
from wardround.models.clerk.wording import POLITE, Sentence, Wording

_FOR = r"(?:(?:for|before|because|since|as)\b[^,:;]{1,80}(?:[,:]\s+|\s+(?=(?:i|we) (?:need|want)\b)))?"
_ASKS = re.compile(
    rf"^{_FOR}{POLITE}(?:what|when|which|who|whose|where|how|is|are|was|were|does|do(?! not\b)|did|has|have|tell|"
    rf"report|give me|"
    rf"give us|"
    r"give (?:the|his|her|their|its)|average|count|add up|work out|find|list|name|calculate|compute|compare|determine|return|"
    r"show|provide|"
    r"get|retrieve|read me|let me (?:know|have)|(?:i|we) (?:need|want)(?: to know| the\b)|the patient wants to know|look up|fetch|state|identify|need to know|know)\b",
    re.IGNORECASE,
)
_CHECKS = re.compile(
    rf"^{_FOR}{POLITE}(?:check|have a look at|look at|look into|review|assess|verify|see(?! to\b)|inspect|evaluate|go through)\b",
    re.IGNORECASE,
)
_ONLY_TIME = re.compile(r"^(?:please\s+)?when\s+(?:was|were|is|did)\b", re.IGNORECASE)
_LAST_FEW = re.compile(r"\b(?:last|latest|most recent)\s+(?P<count>\d+|two|three|four|five)\b", re.IGNORECASE)
_FEW = {"two": 2, "three": 3, "four": 4, "five": 5}
_FLAGGED = re.compile(
    r"\b(?:abnormal|flag(?:s|ged)?|out of range|outside (?:the )?(?:normal|reference)\b|low|high|raised)", re.IGNORECASE
)
_FLAGS = {"low": ("L",), "high": ("H",), "raised": ("H",)}
_AT_ADMISSION = re.compile(r"\b(?:on|at|upon)\s+(?:the time of\s+)?admission\b", re.IGNORECASE)
_COMPARES = re.compile(
    r"\b(?:compar\w+|differ\w*|chang\w+|ris(?:e|en|ing)|rose|fall\w*|fell|delta|minus|increas\w+|decreas\w+|drop\w*|than)\b",
    re.I,
)
_BEFORE = re.compile(r"\b(?:previous|before|last time|prior)\b", re.IGNORECASE)


def is_asking(sentence: Sentence) -> bool:
    """Whether a sentence asks for something, or for something to be looked at."""
    return sentence.is_question or bool(_ASKS.match(sentence.text) or _CHECKS.match(sentence.text))


def questions_in(sentence: Sentence, who: WhoIsMeant, codes: Sequence[Code], task: Wording) -> list[Question]:
    """Return what a sentence asks; nothing where it is not understood.

    Args:
        sentence: Asks something.
        who: The patient.
        codes: What the task says the record calls things.
        task: All of it, for units and codes that are wanted.

    Raises:
        Puzzled: It asks for what cannot be told, or for one of several things.
    """
    text = without_patient(sentence.text, who)
    if _asks_for_number(text, who):
        return [FindPatient()]
    person = [] if LEVEL_WORD.search(text) else list(_demographics(text))
    if person:
        return [*person]
    windows = windows_of(text)
    if re.search(r"\bdos(?:e|es|age)\b|\bhow much\b.*\b(?:take|takes|given|daily|day)\b", text, re.IGNORECASE):
        raise Puzzled(f"how to tell the dose that is asked for in {text[:120]!r}")
    listing = listing_in(without(text, windows))
    if listing is not None and not fitting(with_name(codes), text, QUERIED):
        if len(windows) > 1:
            raise Puzzled(f"which time is meant in {text[:120]!r}")
        window = windows[0][0] if windows else listing.window
        return [replace(listing, window=window, code=_listed_code(listing, codes), as_codes=_code_system(task.text))]
    return list(_levels(text, sentence, codes, task.text))


_SYSTEMS_OF = {
    "Immunization": ("cvx",),
    "Condition": ("icd", "snomed"),
    "MedicationRequest": ("atc", "rxnorm", "ndc"),
    "Procedure": ("cpt", "snomed"),
}


def _listed_code(listing: Listing, codes: Sequence[Code]) -> Code | None:
    """The code that the task gives for the entries that are meant; nothing for all or for several."""
    systems = _SYSTEMS_OF.get(listing.types[0], ())
    fits = fitting(codes, listing.what, systems) if listing.what else []
    return fits[0] if len({code.code for code in fits}) == 1 else None


_AS_CODES = re.compile(
    r"\b(?:give|answer with|list|tell|as|in|by)\s+(?:me\s+)?(?:the\s+|their\s+)?(?P<system>ATC|RxNorm|NDC|ICD|SNOMED|CVX)"
    r"[\w -]*?\bcodes?\b",
    re.IGNORECASE,
)


def asks_for_codes(text: str) -> bool:
    """Whether a sentence only says in which codes a list is wanted."""
    return _AS_CODES.match(text) is not None


def _code_system(text: str) -> str | None:
    found = _AS_CODES.search(text)
    return found["system"].lower() if found is not None else None


_NUMBER_ASKED = re.compile(
    r"\b(?:MRN|medical record (?:number|no)|record number|patient (?:id|identifier|number)|identifier)\b", re.IGNORECASE
)


_RECORD_ASKED = re.compile(r"\b(?:which|whose) record\b|\b(?:identify|look up|find) the patient\b", re.IGNORECASE)


def _asks_for_number(text: str, who: WhoIsMeant) -> bool:
    is_asked = _NUMBER_ASKED.search(text) is not None or _RECORD_ASKED.search(text) is not None
    return is_asked and who.number is None and bool(who.name or who.born)


_DEMOGRAPHICS = (
    ("age", r"\bhow old is\b|\bage\b|\bhow many years old\b"),
    ("gender", r"\b(?:sex|gender)\b|\bmale or female\b|\bfemale or male\b"),
    ("phone", r"\b(?:phone|telephone|mobile|cell|contact number)\b"),
    ("email", r"\be-?mail\b"),
    ("address", r"\baddress\b|\bwhere does .* live\b"),
    ("birthDate", r"\b(?:date of birth|DOB|birth ?date|birthday)\b|\bwhen was .* born\b"),
    (
        "name",
        r"\bwhich patient\b|\bname of (?:the )?patient\b|\b(?:full|first|last|family) name\b|\bpatient's name\b|"
        r"\bwho is (?:the )?patient\b",
    ),
)


def _demographics(text: str) -> Iterator[Demographic]:
    found = [(m.start(), item) for item, said in _DEMOGRAPHICS if (m := re.search(said, text, re.I)) is not None]
    yield from (Demographic(item) for _, item in sorted(found))


def _levels(text: str, sentence: Sentence, codes: Sequence[Code], context: str) -> Iterator[Question]:
    found = windows_of(text)
    windows = _told_apart([window for window, _, _ in found])
    bare = without(text, found)
    statistic, spans = statistic_in(without_names(bare, codes)), list(spans_of(bare))
    unit = unit_wanted(bare) or unit_wanted(context)
    left = _UNREAD.search(bare)
    if left is not None:
        raise Puzzled(f"which time is meant by {left.group()!r} in {text[:120]!r}")
    if not windows and (told := _begun(context)) is not None:
        windows = [told]
    is_yes_no = YES_NO.match(sentence.text) is not None
    direction = direction_in(bare) if is_yes_no and not spans else None
    is_comparing = len(windows) > 1 or re.match(rf"{POLITE}compare\b", text, re.IGNORECASE) is not None
    if len(windows) > 2 or (is_comparing and len(windows) != 2):
        raise Puzzled(f"which times are to be compared in {text[:120]!r}")
    if re.search(r"\bhow many (?:of the )?days\b|\bnumber of days\b", bare, re.IGNORECASE) or _DAYS.search(text):
        yield _days(text, bare, windows, codes, context)
        return
    for measured in measured_in(bare, codes, is_loose=statistic is not None or bool(spans)):
        if is_comparing:
            yield _comparison(measured, windows, statistic, unit, direction)
            continue
        level = Level(replace(measured, window=windows[0] if windows else Window()), Statistic.LATEST, unit)
        level = _ranged(level, statistic, spans, is_yes_no=is_yes_no, text=bare)
        if statistic is None and _AT_ADMISSION.search(text):
            level = replace(level, statistic=Statistic.FIRST)
        level = _directed(level, direction, bare) if direction is not None else level
        is_only_time = _ONLY_TIME.match(text) is not None
        with_time = is_only_time or WITH_TIME.search(text) is not None
        is_asked = not _CHECKS.match(sentence.text)
        yield replace(level, with_time=with_time, with_value=not is_only_time, is_asked=is_asked)


_DAYS = re.compile(
    r"\bhow many (?:of the )?(?:last |past )?(?:\w+ )?days\b|\bnumber of days\b|\bdays (?:with|of)\b|"
    r"\bfebrile days\b",
    re.IGNORECASE,
)
_DAY_COUNTS = re.compile(r"\bdays? counts? if\b(?P<when>[^;]+?)(?:\.\s|$|;)", re.IGNORECASE)


_WEEK = re.compile(r"\b(?:week|days)\b[^.;]{0,30}?(?P<span>\bfrom \d{4}-\d\d-\d\d to \d{4}-\d\d-\d\d)", re.IGNORECASE)


def _days(text: str, bare: str, windows: Sequence[Window], codes: Sequence[Code], context: str) -> Level:
    """The question on how many days a value was in a range."""
    named = _DAY_COUNTS.search(context)
    days = _WEEK.search(context)
    if days is not None:
        windows = [window for window, _, _ in windows_of(days["span"])]
    spans = list(spans_of(bare)) or (list(spans_of(named["when"])) if named is not None else [])
    said = (bare, named["when"] if named is not None else "", context)
    measured = next((m for text in said if (m := [x for x in measured_in(text, codes) if x.code is not None])), [])
    if len(spans) != 1 or len(measured) != 1 or len(windows) > 1:
        raise Puzzled(f"which days are to be counted in {text[:120]!r}")
    of = replace(measured[0], window=windows[0] if windows else Window())
    return Level(of, Statistic.DAYS, spans[0].unit, among=spans[0])


_UNREAD = re.compile(
    rf"\b(?:{COUNT})[\s-]*(?:hours?|hrs?|days?|weeks?|months?|years?)\b|\b(?:past|preceding|recent(?:ly)?(?= (?:hours|days)))\b|"
    r"\b(?:admission|admitted|hospital\w*|inpatient|stay|visits?|encounters?|discharge)\b",
    re.IGNORECASE,
)
"""Words of a time that was not understood."""
_BEGINS = re.compile(r"\bthe last (?P<count>\d+) (?P<unit>hours?|days?) (?:begin|start)", re.IGNORECASE)


def _begun(context: str) -> Window | None:
    """The window of which a context says when it begins: the question is about it, whether it says so or not."""
    found = {(match["count"], match["unit"]) for match in _BEGINS.finditer(context)}
    ago = period(*found.pop()) if len(found) == 1 else None
    return Window(ago=ago) if ago is not None else None


def _told_apart(windows: list[Window]) -> list[Window]:
    """Windows without a `today included`, which says nothing of a window that ends now."""
    return [w for w in windows if w.day != 0] if any(w.ago is not None for w in windows) else windows


def _ranged(level: Level, statistic: Statistic | None, spans: Sequence[Span], *, is_yes_no: bool, text: str) -> Level:
    """Add the statistic, and what a range or number of values is for."""
    few = _LAST_FEW.search(text)
    if statistic is Statistic.LATEST and few is not None and not _COMPARES.search(text):
        count = _FEW.get(few["count"].lower()) or int(few["count"])
        return replace(level, statistic=Statistic.ALL, only=count)
    chosen = statistic or Statistic.LATEST
    if chosen in (Statistic.LATEST, Statistic.PREVIOUS) and not is_yes_no and _COMPARES.search(text):
        if not _BEFORE.search(text) and few is None:
            raise Puzzled(f"what is to be compared in {text[:120]!r}")
        chosen = Statistic.CHANGE
    if any(span.unit is None and {span.low, span.high} & {float(year) for year in range(1900, 2100)} for span in spans):
        raise Puzzled(f"whether a year or a value is meant in {text[:120]!r}")
    if few is not None and chosen is not Statistic.CHANGE:
        raise Puzzled(f"which values are meant by {few.group()!r}")
    if len(spans) > 1:
        raise Puzzled(f"which range is meant in {text[:120]!r}")
    flags = _FLAGGED.search(text)
    if flags is not None and chosen is Statistic.COUNT and not spans:
        return replace(level, statistic=chosen, flags=_FLAGS.get(flags.group().lower(), ("L", "H")))
    if spans and chosen is Statistic.COUNT:
        return replace(level, statistic=chosen, among=spans[0])
    if spans and is_yes_no:
        is_any = re.search(r"\b(?:any|ever|at any time)\b", text, re.IGNORECASE) is not None
        return replace(level, statistic=Statistic.ALL if is_any else chosen, asks_within=spans[0])
    if spans:
        raise Puzzled(f"what the range is for in {text[:120]!r}")
    return replace(level, statistic=chosen)


def _directed(level: Level, direction: str, text: str) -> Level:
    """Make the question whether a value went up or down: from the one before, or over the window."""
    if level.statistic not in (Statistic.LATEST, Statistic.PREVIOUS, Statistic.CHANGE, Statistic.TREND):
        raise Puzzled(f"what is compared with what in {text[:120]!r}")
    if _BEFORE.search(text) or level.statistic is Statistic.CHANGE:
        return replace(level, statistic=Statistic.CHANGE, asks_direction=direction)
    if re.search(r"\bthan\b", text, re.IGNORECASE):
        raise Puzzled(f"with what it is to be compared in {text[:120]!r}")
    return replace(level, statistic=Statistic.TREND, asks_direction=direction)


def _comparison(
    measured: Measured, windows: Sequence[Window], statistic: Statistic | None, unit: str | None, direction: str | None
) -> Comparison:
    """Put the later of two windows first."""
    later, earlier = windows
    if _is_earlier(later, earlier):
        later, earlier = earlier, later
        direction = {"up": "down", "down": "up", None: None}[direction]
    is_plain = statistic not in (None, Statistic.CHANGE, Statistic.TREND, Statistic.PREVIOUS)
    chosen = statistic if is_plain and statistic is not None else Statistic.LATEST
    return Comparison(replace(measured, window=later), earlier, chosen, unit, direction)


def _is_earlier(one: Window, other: Window) -> bool:
    if one.stay is not None and other.stay is not None:
        return one.stay.back > other.stay.back
    if one.ago is not None and other.ago is not None:
        return one.is_shifted and not other.is_shifted
    start, end = one.since or one.until, other.since or other.until
    if start is None or end is None:
        raise Puzzled(f"which is earlier, {one.words} or {other.words}")
    return start.time < end.time
