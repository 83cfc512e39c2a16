"""The stretches of time that a question or a condition speaks of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from wardround.models.clerk.asked import Stay, Window
from wardround.models.clerk.times import COUNT, UNIT, Moment, moments, period

_BACK = r"last|past|previous|prior|preceding"
_LONG_UNIT = r"minutes?|hours?|days?|weeks?|months?|years?"
_LEAD = (
    r"(?:\b(?:recorded\s+)?(?:(?:with)?in|over|during|for|of|from|on|at)\s+)?(?:\b(?:the|his|her|their|this|"
    r"these|a)\s+)?"
)
_AGO = re.compile(
    rf"{_LEAD}\b(?:{_BACK})\s+(?P<count>{COUNT})[\s-]*(?P<unit>{UNIT})\b"
    rf"|{_LEAD}\b(?:{_BACK})\s+(?P<unit2>{_LONG_UNIT})\b"
    rf"|{_LEAD}\b(?P<count5>{COUNT})[\s-]*(?P<unit5>{_LONG_UNIT})\s+before(?:\s+(?:that|then))?\b(?!\s+\d)"
    rf"|\(?\b(?P<count6>{COUNT})[\s-]*(?P<unit6>{_LONG_UNIT})\s+(?:back|old)\s+at\s+most\)?"
    rf"|\(?\bat\s+most\s+(?P<count7>{COUNT})[\s-]*(?P<unit7>{_LONG_UNIT})\s+(?:back|old|ago)\)?"
    rf"|\bwithin\s+(?:the\s+)?(?P<count3>{COUNT})[\s-]*(?P<unit3>{UNIT})\b"
    rf"|\b(?P<count4>\d+)[\s-]*(?P<unit4>hours?|hrs?|h|days?)\s+(?=(?:mean|average|min|max|total|count|trend|median)\b)",
    re.IGNORECASE,
)
_KIND = r"(?P<kind>admission|hospitali[sz]ation|hospital stay|inpatient stay|stay|encounter|visit|appointment)"
_STAY = re.compile(
    rf"(?:\b(?:during|at|in|on|over|for|from|of|since)\s+)?(?:\b(?:the|his|her|their|this)\s+)?"
    rf"\b(?P<which>last|latest|most recent|current|present|previous|prior|this)\s+"
    rf"(?P<finished>finished\s+)?(?:outpatient\s+|inpatient\s+|in-?hospital\s+)?{_KIND}\b(?!\s+before)",
    re.IGNORECASE,
)
_AT_STAY = re.compile(r"\b(?:on|at|upon)\s+(?:the time of\s+)?(?:admission|discharge)\b", re.IGNORECASE)
_LAST_IN = re.compile(
    r"\b(?:while|when|during|in)\s+(?:(?:he|she|they|the patient)\s+)?(?:was\s+|were\s+)?(?:the\s+)?last\s+"
    r"(?:in (?:the )?hospital|admitted|hospitali[sz]ed|hospital stay|inpatient stay)\b",
    re.IGNORECASE,
)
_ANY_STAY = r"admission|stay|encounter|visit|hospital"
_EARLIER_STAY = re.compile(
    r"(?:\b(?:at|during|in|on|of|than|with|to|and)\s+)*(?:\b(?:the|his|her|their)\s+)?"
    r"\b(?:(?:one|admission|stay|visit|encounter|hospitali[sz]ation)\s+before(?:\s+(?:that|it|the last(?: one)?))?"
    r"|(?:previous|prior|preceding)\s+(?:one|admission|stay|visit|encounter|hospitali[sz]ation)"
    r"|second[- ]to[- ]last\s+\w+|penultimate\s+\w+)\b",
    re.IGNORECASE,
)
_DAY = re.compile(r"\b(?:from\s+|of\s+)?(?P<day>today|yesterday)(?:'s)?\b", re.IGNORECASE)
_YEAR = re.compile(r"\b(?:in|during|of|for)\s+(?:the year\s+)?(?P<year>(?:19|20)\d\d)\b(?![-/\d])", re.IGNORECASE)
_SINCE = r"since|after|from|starting|beginning"
_UNTIL = r"until|till|up to|before|through|to|and|ending"

Found = tuple[Window, int, int]


def windows_of(text: str) -> list[Found]:
    """Return the windows of a text, each with where it stands, in order; those inside others are left out.

    >>> [w.words for w, _, _ in windows_of("over the past 7 days, since 2023-01-05, in the last admission")]
    ['in the last 7 days', 'from 2023-01-05', 'during the last admission']
    """
    found: list[Found] = []
    for window, start, end in (*_dated(text), *_stays(text), *_ago(text), *_days(text)):
        if not any(start < other_end and other_start < end for _, other_start, other_end in found):
            found.append((window, start, end))
    return _shifted(text, sorted(found, key=lambda item: item[1]))


def _shifted(text: str, found: list[Found]) -> list[Found]:
    """Of two windows up to now, one that is said to be the one before ends where the other begins."""
    agos = [item for item in found if item[0].ago is not None]
    if len(agos) != 2 or agos[0][0].ago != agos[1][0].ago:
        return found
    for _, start, end in agos:
        if re.search(r"\b(?:previous|prior|preceding|before)\b", text[start:end], re.IGNORECASE):
            return [(replace(w, is_shifted=True), s, e) if s == start else (w, s, e) for w, s, e in found]
    return found


def without(text: str, found: list[Found]) -> str:
    """Return a text without its windows."""
    for _, start, end in sorted(found, key=lambda item: -item[1]):
        text = f"{text[:start]} {text[end:]}"
    return " ".join(text.split())


def _ago(text: str) -> Iterator[Found]:
    for match in _AGO.finditer(text):
        count = (
            match["count6"]
            or match["count7"]
            or match["count"]
            or match["count3"]
            or match["count4"]
            or match["count5"]
            or "one"
        )
        unit = (
            match["unit6"]
            or match["unit7"]
            or match["unit"]
            or match["unit2"]
            or match["unit3"]
            or match["unit4"]
            or match["unit5"]
        )
        length = period(count, unit)
        if length is not None:
            yield Window(ago=length), match.start(), match.end()


def _stays(text: str) -> Iterator[Found]:
    earlier = list(_EARLIER_STAY.finditer(text))
    later = [m for m in _STAY.finditer(text) if not any(m.start() < e.end() and e.start() < m.end() for e in earlier)]
    for match in later:
        yield Window(stay=Stay(_is_admission(match["kind"]), 0)), match.start(), match.end()
    for match in (*_AT_STAY.finditer(text), *_LAST_IN.finditer(text)):
        yield Window(stay=Stay(True, 0)), match.start(), match.end()
    named = [m for m in earlier if later or re.search(_ANY_STAY, m.group(), re.IGNORECASE)]
    for match in named:
        kind = later[0]["kind"] if later else match.group()
        yield Window(stay=Stay(_is_admission(kind), 1)), match.start(), match.end()


def _is_admission(kind: str) -> bool:
    return re.search(r"admission|hospital|inpatient|stay", kind, re.IGNORECASE) is not None


def _days(text: str) -> Iterator[Found]:
    for match in _DAY.finditer(text):
        yield Window(day=0 if match["day"].lower() == "today" else 1), match.start(), match.end()
    for match in _YEAR.finditer(text):
        first = next(moments(f"{match['year']}-01-01"))
        last = next(moments(f"{match['year']}-12-31"))
        yield Window(since=first, until=last), match.start(), match.end()


def _dated(text: str) -> Iterator[Found]:
    """Windows that are bounded by written dates."""
    every = list(moments(text))
    used: set[int] = set()
    for number, moment in enumerate(every):
        if number in used:
            continue
        before = text[max(0, moment.start - 14) : moment.start]
        lead = re.search(rf"\b(?P<word>between|{_SINCE}|{_UNTIL}|on|of|as of)\s+(?:the\s+)?$", before, re.IGNORECASE)
        if lead is None:
            continue
        word, start = lead["word"].lower(), moment.start - len(before) + lead.start()
        following = every[number + 1] if number + 1 < len(every) else None
        link = text[moment.end : following.start] if following is not None else ""
        if (
            following is not None
            and word in ("between", "from")
            and re.fullmatch(rf"\s*(?:{_UNTIL}|-|–)\s*", link, re.I)
        ):
            used.add(number + 1)
            yield Window(since=moment, until=following), start, following.end
        elif word in ("on", "of"):
            yield Window(since=moment, until=moment), start, moment.end
        elif re.fullmatch(_SINCE, word):
            yield Window(since=moment), start, moment.end
        elif word in ("until", "till", "up to", "through", "as of", "ending"):
            yield Window(until=moment), start, moment.end
        elif word == "before":
            yield Window(until=_just_before(moment)), start, moment.end


def _just_before(moment: Moment) -> Moment:
    return Moment(moment.time - timedelta(seconds=1), moment.written, True, moment.start, moment.end)
