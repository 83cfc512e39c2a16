"""What is to be written down, put right, or ended."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from wardround.models.clerk.asked import Measured
from wardround.models.clerk.background import Background
from wardround.models.clerk.clauses import Clause
from wardround.models.clerk.glossary import FLOWSHEET, LOCAL, fitting
from wardround.models.clerk.intents import Puzzled
from wardround.models.clerk.measuring import QUERIED, measured_in
from wardround.models.clerk.orders import KINDS, object_of
from wardround.models.clerk.times import clock_of, moments
from wardround.models.clerk.units import NUMBER, UNIT
from wardround.models.clerk.vitals import readings_of
from wardround.models.clerk.wanted import Cancellation, Correction, Kind, Recording
from wardround.models.clerk.windows import windows_of, without
from wardround.models.clerk.wording import words


def recordings_in(clause: Clause, background: Background) -> Iterator[Recording]:
    """Give what is to be written down; the values may stand in the sentences around.

    Raises:
        Puzzled: There are none.
    """
    wording = background.wording
    own = list(readings_of(wording, clause.object))
    texts = [clause.object] if own else [s.text for s in background.sentences]
    found = [(reading, text) for text in texts for reading in readings_of(wording, text)]
    if not found:
        other = _other_value(clause.object, background)
        if other is None:
            raise Puzzled(f"what is to be recorded by {' '.join(f'{clause.said} {clause.object}'.split())[:120]!r}")
        yield other
    for reading, text in found:
        fits = fitting(background.codes, reading.vital.name, (FLOWSHEET, LOCAL, "loinc"))
        yield Recording(reading.vital.name, reading.value, fits[0] if fits else None, _taken(text, background))


def _other_value(said: str, background: Background) -> Recording | None:
    """A value of something that is no vital sign, such as `a glucose of 6.1 mmol/L`."""
    match = re.search(
        rf"^(?P<name>.+?)\s+(?:level\s+|value\s+)?(?:of|is|was|:|=)\s*(?P<value>{NUMBER}\s*(?:{UNIT})?)", said, re.I
    )
    if match is None:
        return None
    measured = measured_in(match["name"], background.codes)
    if len(measured) != 1:
        return None
    return Recording(measured[0].words, match["value"].strip(), measured[0].code, _taken(said, background))


def _taken(text: str, background: Background) -> str | None:
    """When something was measured, where a text says so; nothing for now."""
    for moment in moments(text):
        return moment.stamp
    clock = clock_of(re.sub(r"\d+\s*/\s*\d+", " ", text))
    if clock is None or background.now is None:
        return None
    return datetime.combine(background.now.date(), clock, background.now.tzinfo).isoformat()


_ERROR = re.compile(
    r"entered[- ]in[- ]error|erroneous|\ban error\b|\bas (?:wrong|invalid|error)\b|\bvoid\b|\bstrike\b|\binvalid", re.I
)
_RIGHT = re.compile(
    rf"\b(?:should (?:be|read|say|have (?:been|read))|correct (?:value|result|reading) (?:is|was)|"
    rf"actually(?: was| is)?|really(?: was| is)?|in fact(?: was| is)?|it to|\bto|into|"
    rf"with)\s+(?:an?\s+)?(?:read\s+|be\s+|value of\s+)?(?P<value>{NUMBER})(?![\w.]*\d|[:/-])",
    re.IGNORECASE,
)
_WRONG = re.compile(
    rf"\b(?:of|from|as|reads|reading|value|is|was|shows|says|instead of|not|"
    rf"weight|height|pressure|rate|temperature|saturation|level)\s+(?:an?\s+)?(?P<value>{NUMBER})(?![\w.]*\d|[:/-])",
    re.IGNORECASE,
)


def correction_in(clause: Clause, background: Background) -> Correction:
    """Return what is to be put right; the values may stand in the sentences around.

    Raises:
        Puzzled: It is not clear which value, or what it should be.
    """
    text = ". ".join(
        sentence.text for sentence in background.sentences if not re.search(r"\bcode\b", sentence.text, re.I)
    )
    text = background.wording.restored(text)
    if background.who.number is not None:
        text = text.replace(background.who.number, " ")
    found = windows_of(text)
    plain = without(text, found)
    for moment in sorted(moments(plain), key=lambda m: -m.start):
        plain = f"{plain[: moment.start]} {plain[moment.end :]}"
    right = _RIGHT.search(plain)
    rest = plain if right is None else plain[: right.start()] + " ; " + plain[right.end() :]
    wrong = _WRONG.search(rest)
    is_mark = clause.verb == "mark" or (right is None and _ERROR.search(text) is not None)
    if not is_mark and right is None:
        raise Puzzled(f"to what {' '.join(clause.object.split())[:80]!r} is to be corrected")
    subject = _corrected(clause, background, rest)
    window = found[0][0] if found else subject.window
    value = float(wrong["value"]) if wrong is not None else None
    return Correction(
        replace(subject, window=window), value, None if is_mark or right is None else float(right["value"])
    )


def _corrected(clause: Clause, background: Background, text: str) -> Measured:
    for said in (clause.object, *(part for part in re.split(r"[.;,]\s+", text))):
        named = fitting([c for c in background.codes if c.name], said, QUERIED)
        if named:
            return Measured(named[0].name, named[0])
    name = re.search(
        r"\b(?:the|a|an|his|her|their|last|latest)\s+(?P<name>[a-z][a-z -]{2,40}?)\s+(?:level\s+|value\s+|"
        r"reading\s+|result\s+)?(?:of|from|was|is|recorded|entered|that|reads|on|at)\b",
        text,
        re.I,
    )
    found = measured_in(name["name"], background.codes) if name is not None else []
    if not found:
        raise Puzzled(f"which value is meant by {' '.join(clause.object.split())[:80]!r}")
    return found[0]


def cancellation_in(clause: Clause, background: Background) -> Cancellation:
    """Return which order is to be ended.

    Raises:
        Puzzled: It names none.
    """
    said = clause.object
    kind = next((kind for kind, form in KINDS if re.search(rf"\b(?:{form})\b", said, re.IGNORECASE)), None)
    if re.search(r"\b(?:prescription|medication)\b", said, re.I) or (clause.verb == "stop" and kind is None):
        kind = Kind.DRUG
    name = re.sub(
        r"\b(?:active|current|existing|pending|open|orders?|requests?|prescriptions?|medication|for|of|the|patient's|his|her)\b",
        " ",
        object_of(said, background),
        flags=re.I,
    )
    name = " ".join(name.split())
    if not words(name):
        raise Puzzled(f"which order is meant by {' '.join(said.split())[:80]!r}")
    is_service = kind not in (Kind.DRUG, None)
    status = "revoked" if is_service else "stopped" if clause.verb == "stop" else "cancelled"
    return Cancellation(kind, name, status)
