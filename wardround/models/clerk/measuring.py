"""What is measured, which statistic of it and in which unit, in the words of a question."""

from __future__ import annotations

import re
from collections.abc import Sequence

from wardround.models.clerk.asked import Measured, Rounding, Statistic
from wardround.models.clerk.glossary import FLOWSHEET, GENERIC, LOCAL, Code, fitting
from wardround.models.clerk.intents import Puzzled
from wardround.models.clerk.units import UNIT
from wardround.models.clerk.vitals import vital_named
from wardround.models.clerk.wording import STOP_WORDS, telling

QUERIED = (LOCAL, FLOWSHEET, "loinc")
"""Code systems under which values are filed, the hospital's own first."""

_STATISTICS: tuple[tuple[Statistic, str], ...] = (
    (Statistic.COUNT, r"how many|how often|number of|count of|count (?:the|all|how)"),
    (Statistic.CHANGE, r"changed?\b|differs?\b|difference (?:between|from|to|in|of)|delta"),
    (Statistic.TREND, r"trends?\b|trending|trajectory"),
    (Statistic.MEDIAN, r"median"),
    (Statistic.MEAN, r"average[d]?|mean\b"),
    (Statistic.MIN, r"lowest|minimum|minimal|smallest|min\b|nadir"),
    (Statistic.MAX, r"highest|maximum|maximal|largest|greatest|peak|max\b"),
    (Statistic.SUM, r"total\b|sum\b|cumulative|altogether"),
    (
        Statistic.PREVIOUS,
        r"second[- ]to[- ]last|second last|second most recent|last but one|penultimate|"
        r"(?:one )?before (?:the )?last|previous|prior",
    ),
    (Statistic.FIRST, r"first|earliest|oldest|initial|baseline"),
    (
        Statistic.ALL,
        r"all (?:of )?(?:the |recorded |his |her |their )?(?:\w+ ){0,3}(?:values|results|measurements|levels|readings)",
    ),
    (Statistic.LATEST, r"last|latest|most recent|newest|current(?:ly)?|recent|up-to-date|final"),
)
_BEYOND = re.compile(
    r"\b(?:standard deviation|variance|quartiles?|percentiles?|percent(?:age)? (?:change|of|difference)|"
    r"proportion|ratio|correlation|"
    r"rate of (?:change|decline|rise)|slope|range of|fraction)\b",
    re.IGNORECASE,
)
_UP = (
    r"higher|increas\w+|ris(?:e|en|es|ing)|rose|went up|gone up|going up|goes up|upward|greater|worse(?:ned|"
    r"ning)?|trending up|above"
)
_DOWN = (
    r"lower|decreas\w+|fall(?:en|s|ing)?|fell|dropp?(?:ed|ing|s)?|went down|gone down|going down|declin\w+|improv\w+|"
    r"trending down|less"
)
WITH_TIME = re.compile(
    r"\b(?:and|along with|together with|with|plus|including)\s+(?:also\s+)?(?:tell\s+(?:me\s+)?)?"
    r"(?:when|at what time|on (?:what|which) (?:date|day)|(?:its|the|their|a)?\s*(?:date|time|timestamp|day|"
    r"effective date\w*)\b)"
    r"|\bwhen (?:was|is|were) (?:it|this|that|the)\b",
    re.IGNORECASE,
)
"""That a value's time is wanted with it."""
LEVEL_WORD = re.compile(
    r"\b(?:levels?|values?|results?|labs?|measurements?|readings?|concentration|count)\b", re.IGNORECASE
)
_UNIT_WANTED = re.compile(
    rf"\b(?:in|to|as|into)\s+(?:an?\s+|the\s+)?(?:units?\s+(?:of\s+)?)?(?P<unit>{UNIT})|\bunits?\s*(?:of|is|:|=)\s*(?P<unit2>{UNIT})",
    re.IGNORECASE,
)
_NOISE = re.compile(
    r"\b(?:what|when|which|who|where|how|is|are|was|were|does|do|did|has|have|been|be|tell|report|give|find|list|name|calculate|"
    r"compute|determine|return|show|provide|get|retrieve|look|act|matter|needed|need|anything|something|behind|wrong|up|at|into|through|by|set|fetch|state|check|review|see|assess|verify|compare|me|us|out|"
    r"chart|record|recorded|documented|measured|taken|drawn|obtained|file|ehr|system|known|today|now|can|could|you|please|also|"
    r"value|it|many|much|often|times|number|its|date|time|date and time|in|there|if|whether|his|her|their|"
    r"patient|so far|ever|any|"
    r"than|as|previous|prior|compared|since|between|over|during|within|or|not|go|gone|going|went|up|down|i|need|to|know|would|like|"
    r"whole|years|single|two|three|\d+)\b|'s\b",
    re.IGNORECASE,
)
_MOST_WORDS = 5
"""A name of something measured that is longer was not understood."""


def statistic_in(text: str) -> Statistic | None:
    """Return the statistic that a text names, or nothing.

    Raises:
        Puzzled: It names one that cannot be told.

    >>> statistic_in("the lowest sodium"), statistic_in("sodium")
    (<Statistic.MIN: 'min'>, None)
    """
    beyond = _BEYOND.search(text)
    if beyond is not None:
        raise Puzzled(f"how to tell a {beyond.group().lower()}")
    return next((s for s, said in _STATISTICS if re.search(rf"\b(?:{said})", text, re.IGNORECASE)), None)


def direction_in(text: str) -> str | None:
    """Return whether a text speaks of going `up` or `down` first, or nothing."""
    up, down = re.search(rf"\b(?:{_UP})\b", text, re.I), re.search(rf"\b(?:{_DOWN})\b", text, re.I)
    if up is not None and (down is None or up.start() < down.start()):
        return "up"
    return "down" if down is not None else None


def unit_wanted(text: str) -> str | None:
    """Return the unit that an answer is wanted in, or nothing.

    >>> unit_wanted("converted to a unit of mg/dL")
    'mg/dL'
    """
    match = _UNIT_WANTED.search(text)
    return (match["unit"] or match["unit2"]) if match is not None else None


def measured_in(text: str, codes: Sequence[Code], *, is_loose: bool = False) -> list[Measured]:
    """Return what a text says is measured: by the task's codes, else in its own words.

    Args:
        text: Without patient and windows.
        codes: The task's codes.
        is_loose: Whether something else shows that a measurement is meant.
    """
    fits = fitting(with_name(codes), text, QUERIED)
    if fits:
        first = _of_side([code for code in fits if code.system == fits[0].system], text)
        ordered = sorted(first, key=lambda code: _place(code, text))
        return [Measured(code.name, code) for code in dict.fromkeys(ordered)]
    vital = vital_named(text)
    left = residue(text)
    if vital is not None and len(left) <= _MOST_WORDS:
        is_side = re.search(r"systolic|diastolic", text, re.IGNORECASE) is not None
        return [Measured(" ".join(left) if is_side else vital.name)]
    most = _MOST_WORDS if is_loose or LEVEL_WORD.search(text) else 3
    return [Measured(" ".join(left))] if 1 <= len(left) <= most else []


def _of_side(codes: Sequence[Code], text: str) -> list[Code]:
    """Of a blood pressure and one of its two values only the value, where it is that which is asked for."""
    side = re.search(r"\b(?:systolic|diastolic)\b", text, re.IGNORECASE)
    named = [code for code in codes if side is not None and side.group().lower() in code.name.lower()]
    return named or list(codes)


def without_names(text: str, codes: Sequence[Code]) -> str:
    """Return a text without the names of what the task gives codes for: a `platelet count` is not to be counted."""
    for code in codes:
        if telling(code.name) - GENERIC:
            text = re.sub(rf"\b{re.escape(code.name)}\b", " ", text, flags=re.IGNORECASE)
    return text


def with_name(codes: Sequence[Code]) -> list[Code]:
    """Return the codes that are given for something that can be told from other things."""
    return [code for code in codes if telling(code.name) - GENERIC]


def _place(code: Code, text: str) -> int:
    places = [text.lower().find(word) for word in telling(code.name)]
    return min((place for place in places if place >= 0), default=len(text))


def residue(text: str) -> list[str]:
    """Return the words of a question that say what it is about."""
    time = WITH_TIME.search(text)
    text = text[: time.start()] if time is not None and time.start() > 0 else text
    for _, said in _STATISTICS:
        text = re.sub(rf"\b(?:{said})", " ", text, flags=re.IGNORECASE)
    text = re.sub(rf"\b(?:{_UP}|{_DOWN})\b|{UNIT}|⟦\d+⟧|[<>]?=?\s*\b\d[\d.,:]*\b", " ", text, flags=re.IGNORECASE)
    text = _NOISE.sub(" ", text)
    return [word for word in re.findall(r"[^\W_][\w'-]*", text) if word.lower() not in STOP_WORDS]


_ROUNDED = re.compile(
    r"\b(?:round(?:ed)?|truncated?)\b(?P<down>\s+down)?[^.;]{0,20}?(?:to\s+)?(?:(?P<digits>\d|one|two|three|no)\s+"
    r"(?:decimals?|digits?)|(?:an? |the )?(?:nearest |next )?(?:integer|whole number|whole))",
    re.IGNORECASE,
)


def rounding_in(text: str) -> Rounding | None:
    """Return how a task wants its number rounded, or nothing.

    >>> rounding_in("rounded to one decimal"), rounding_in("should be rounded down to an integer")
    (Rounding(digits=1, is_down=False), Rounding(digits=0, is_down=True))
    """
    match = _ROUNDED.search(text)
    if match is None:
        return None
    digits = {"one": 1, "two": 2, "three": 3, "no": 0, None: 0}.get(match["digits"])
    return Rounding(int(match["digits"]) if digits is None else digits, bool(match["down"]))
