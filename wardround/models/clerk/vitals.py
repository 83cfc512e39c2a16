"""Vital signs: how they are called, how FHIR R4 codes them, and how their values are written.

Codes and units: FHIR R4, Vital Signs Profile (hl7.org/fhir/R4/observation-vitalsigns.html).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from wardround.models.clerk.units import NUMBER, folded
from wardround.models.clerk.wording import Wording

SYSTOLIC, DIASTOLIC = "8480-6", "8462-4"


@dataclass(frozen=True)
class Vital:
    """A vital sign."""

    name: str
    said: str
    """How it is called, as a regular expression."""
    loinc: str
    units: tuple[tuple[str, str], ...]
    """Its units as they are written, with their UCUM codes; the usual one first."""


BLOOD_PRESSURE = Vital("Blood pressure", r"blood pressures?|BP|pressure", "85354-9", (("mmHg", "mm[Hg]"),))
VITALS = (
    BLOOD_PRESSURE,
    Vital("Heart rate", r"heart rate|pulse(?: rate)?|HR", "8867-4", (("bpm", "/min"), ("beats/minute", "/min"))),
    Vital(
        "Respiratory rate",
        r"respiratory rate|respirations|breathing rate|RR",
        "9279-1",
        (("breaths/min", "/min"), ("bpm", "/min")),
    ),
    Vital("Body temperature", r"(?:body )?temperature|temp", "8310-5", (("C", "Cel"), ("F", "[degF]"))),
    Vital("Oxygen saturation", r"(?:oxygen|O2) sat(?:uration|s)?|SpO2|SaO2|sats", "2708-6", (("%", "%"),)),
    Vital("Body weight", r"(?:body )?weight", "29463-7", (("kg", "kg"), ("lb", "[lb_av]"), ("g", "g"))),
    Vital("Body height", r"(?:body )?height", "8302-2", (("cm", "cm"), ("in", "[in_i]"))),
    Vital("Body mass index", r"body mass index|BMI", "39156-5", (("kg/m2", "kg/m2"),)),
)

_PAIR = re.compile(
    r"(?<![\d/])(?P<systolic>\d{2,3})\s*/\s*(?P<diastolic>\d{2,3})(?!\s*/|\d)(?P<unit>\s*mm\s?\[?Hg\]?)?", re.I
)
_UNIT = (
    r"bpm|beats?\s?(?:/|per)\s?min(?:ute)?|breaths?\s?(?:/|per)\s?min(?:ute)?|/min|°\s?[CF]|degrees? [CF]\w*|"
    r"[CF]\b|%|kg/m2|kg|lbs?|cm|in(?:ches)?\b|g\b"
)
_VALUE = re.compile(rf"(?<![\w.:/-])(?P<value>{NUMBER})(?![\d:/-])\s*(?P<unit>{_UNIT})?", re.IGNORECASE)


def vital_named(text: str) -> Vital | None:
    """Return the vital sign that a text names first, or nothing.

    >>> vital_named("her pulse was 88").name
    'Heart rate'
    """
    found = [(m.start(), v) for v in VITALS if (m := re.search(rf"\b(?:{v.said})\b", text, _flags(v))) is not None]
    return min(found, key=lambda item: item[0])[1] if found else None


def _flags(vital: Vital) -> re.RegexFlag:
    return re.IGNORECASE


def pressure(text: str) -> tuple[float, float] | None:
    """Return systolic and diastolic pressure in mmHg from a value such as `118/77 mmHg`.

    >>> pressure("118/77 mmHg")
    (118.0, 77.0)
    """
    match = _PAIR.search(text)
    return (float(match["systolic"]), float(match["diastolic"])) if match is not None else None


def quantity(text: str, vital: Vital | None) -> tuple[float, str, str | None] | None:
    """Return value, unit and UCUM code that a text gives for a vital sign; nothing where its unit is not one of it.

    >>> quantity("38.2 °C", VITALS[3])
    (38.2, 'C', 'Cel')
    """
    match = _VALUE.search(text)
    if match is None:
        return None
    written = (match["unit"] or "").replace("per", "/").replace(" ", "").replace("°", "")
    if vital is None:
        return float(match["value"]), match["unit"] or "", None
    for unit, ucum in vital.units:
        if not written or folded(unit) == folded(written) or folded(written) == folded(ucum):
            return (float(match["value"]), unit, ucum) if written or len(vital.units) == 1 else None
    return None


@dataclass(frozen=True)
class Reading:
    """A value of a vital sign in a text."""

    vital: Vital
    value: str
    """As stated."""
    start: int


def readings_of(wording: Wording, text: str) -> Iterator[Reading]:
    """Give the values of vital signs that a text states, each behind its name, a pressure also without one.

    >>> w = Wording.of('the blood pressure is "118/77 mmHg" and the pulse 88 bpm')
    >>> [(r.vital.name, r.value) for r in readings_of(w, w.text)]
    [('Blood pressure', '118/77 mmHg'), ('Heart rate', '88 bpm')]
    """
    plain = re.sub(r"⟦(\d+)⟧", lambda m: q if _is_value(q := wording.quotes[int(m[1])]) else m.group(), text)
    for match in _PAIR.finditer(plain):
        if match["unit"] or vital_named(plain[max(0, match.start() - 80) : match.start()]) is BLOOD_PRESSURE:
            yield Reading(BLOOD_PRESSURE, match.group().strip(), match.start())
    for vital in VITALS[1:]:
        for name in re.finditer(rf"\b(?:{vital.said})\b", plain, re.IGNORECASE):
            behind = plain[name.end() : name.end() + 70].partition(";")[0]
            value = _VALUE.search(re.split(r"\b(?:and|with)\b(?=\s+(?:an?|the|his|her|their)?\s*[a-z]+)", behind)[0])
            if value is not None:
                yield Reading(vital, value.group().strip(), name.start())
                break


def _is_value(quote: str) -> bool:
    return len(quote) <= 24 and quote[:1].isdigit()
