"""The FHIR record of a case: what happened when, measurements with their ranges, drugs, and what was written to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from markupsafe import Markup

from wardround.core.case import Case
from wardround.core.case_file import parse_fhir_time
from wardround.core.frozen import content_id
from wardround.dashboard.places import without_data
from wardround.dashboard.plots import Point, line_plot
from wardround.dashboard.showing import Shown, line, pretty, shown
from wardround.dashboard.timelines import Moment, timeline
from wardround.dashboard.writes import writes_of
from wardround.tools.fhir.access import code, codes, concept, mapping, number, objects, string
from wardround.tools.fhir.wording import is_void, when, words
from wardround.trace.events import Event

MOST_SERIES = 24
"""Measurements that are drawn, those with most values first; the others stand in the table."""
MOST_POINTS = 400
MOST_RESOURCES = 60
"""Of one kind in the tables."""
MOST_MOMENTS = 300
"""On the timeline, the latest."""

Limits = tuple[float | None, float | None]
Ranges = Callable[[Sequence[str], str], Limits | None]
"""Normal limits by LOINC codes and unit, where the record itself gives none."""

LANES = {
    "Encounter": "encounters",
    "Condition": "conditions",
    "AllergyIntolerance": "conditions",
    "Procedure": "procedures",
    "Immunization": "procedures",
    "Observation": "measurements",
    "DiagnosticReport": "reports, notes",
    "DocumentReference": "reports, notes",
    "MedicationRequest": "drugs",
    "MedicationStatement": "drugs",
    "MedicationAdministration": "drugs",
    "MedicationDispense": "drugs",
    "ImagingStudy": "reports, notes",
    "ServiceRequest": "orders",
}
"""Line of the timeline on which a resource stands, by its type."""


@dataclass(frozen=True)
class Entry:
    """One resource in a table."""

    anchor: str
    name: str
    """As `Type/id`."""
    when: str
    words: str
    status: str
    is_void: bool
    """Whether it was withdrawn or tells of something that was not done."""
    body: Shown


@dataclass(frozen=True)
class Series:
    """Measurements of one kind in one unit."""

    name: str
    unit: str
    points: tuple[Point, ...]
    limits: Limits | None
    limits_from: str
    """`record`, `knowledge`, or nothing."""
    plot: Markup
    left: int = 0


@dataclass(frozen=True)
class Drug:
    """One prescription or statement of a drug."""

    anchor: str
    name: str
    dose: str
    status: str
    when: str


def record_page(events: Sequence[Event], case: Case, *, ranges: Ranges | None = None) -> dict[str, Any]:
    """Return all that the record page of a run shows.

    Args:
        events: The run's log, in which writes stand.
        case: With its record; without one there are only the writes.
        ranges: Normal limits where the record gives none.

    Returns:
        `patient`, `counts`, `timeline`, `series`, `drugs`, `entries` by type, `writes`, and `origin`.
    """
    resources = list(case.record.resources) if case.record is not None else []
    named = [(_anchor(resource, n), resource) for n, resource in enumerate(resources)]
    counts = Counter(string(resource.get("resourceType")) or "unknown" for resource in resources)
    return {
        "patient": patient_of(resources),
        "counts": {line(kind, most=40): n for kind, n in counts.most_common(60)},
        "timeline": _timeline(named),
        "series": series_of(named, ranges),
        "drugs": [_drug(anchor, r) for anchor, r in named if LANES.get(string(r.get("resourceType"))) == "drugs"],
        "entries": _entries(named),
        "writes": writes_of(events, resources),
        "origin": line(case.record.origin, most=200) if case.record is not None else None,
    }


def _anchor(resource: Mapping[str, Any], n: int) -> str:
    return content_id("res", resource.get("resourceType"), resource.get("id") or n)


def patient_of(resources: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return what the record says of who the patient is; of several patients, of each."""
    found = []
    for resource in resources:
        if resource.get("resourceType") != "Patient":
            continue
        name = mapping(next(iter(objects(resource.get("name"))), None))
        given = name.get("given")
        full = (
            " ".join([*(string(g) for g in given if g)] if isinstance(given, list) else [])
            + " "
            + string(name.get("family"))
        )
        told = [("name", string(name.get("text")) or full.strip())]
        told += [(what, string(resource.get(key))) for what, key in _WHO]
        found += [(what, line(value, most=120)) for what, value in told if value]
    return found


_WHO = (("born", "birthDate"), ("gender", "gender"), ("id", "id"))


def _entries(named: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, tuple[list[Entry], int]]:
    """Resources by type, the latest first, and how many of each are left out."""
    by_kind: dict[str, list[tuple[str, str, Mapping[str, Any]]]] = {}
    for anchor, resource in named:
        kind = line(string(resource.get("resourceType")) or "unknown", most=40)
        by_kind.setdefault(kind, []).append((line(str(when(resource) or ""), most=30), anchor, resource))
    found = {}
    for kind, rows in sorted(by_kind.items()):
        rows.sort(key=lambda row: row[0], reverse=True)
        kept = [_entry(kind, time, anchor, resource) for time, anchor, resource in rows[:MOST_RESOURCES]]
        found[kind] = (kept, max(0, len(rows) - MOST_RESOURCES))
    return found


def _entry(kind: str, time: str, anchor: str, resource: Mapping[str, Any]) -> Entry:
    return Entry(
        anchor=anchor,
        name=line(f"{kind}/{resource.get('id', '?')}", most=80),
        when=time,
        words=line(words(resource)),
        status=line(string(resource.get("status")) or code(resource, "clinicalStatus") or "", most=30),
        is_void=is_void(resource),
        body=shown(pretty(without_data(resource)), most=3000, whole="case"),
    )


def _timeline(named: Sequence[tuple[str, Mapping[str, Any]]]) -> Markup:
    moments = []
    for anchor, resource in named:
        lane = LANES.get(string(resource.get("resourceType")))
        start = parse_fhir_time(when(resource))
        if lane is None or start is None or is_void(resource):
            continue
        moments.append(
            Moment(lane, start, _end(resource), line(words(resource) or str(resource["resourceType"])), anchor)
        )
    latest = sorted(moments, key=lambda moment: moment.time)[-MOST_MOMENTS:]
    lanes = [lane for lane in dict.fromkeys(LANES.values()) if any(moment.lane == lane for moment in latest)]
    return timeline(latest, lanes, title="What the record holds, by time") if latest else Markup("")


def _end(resource: Mapping[str, Any]) -> datetime | None:
    for name in ("period", "effectivePeriod", "performedPeriod"):
        end = parse_fhir_time(mapping(resource.get(name)).get("end"))
        if end is not None:
            return end
    return parse_fhir_time(resource.get("abatementDateTime"))


def series_of(named: Sequence[tuple[str, Mapping[str, Any]]], ranges: Ranges | None = None) -> list[Series]:
    """Return what was measured as a number, by what and in which unit, most values first."""
    points: dict[tuple[str, str], list[Point]] = {}
    limits: dict[tuple[str, str], Limits] = {}
    loinc: dict[tuple[str, str], list[str]] = {}
    for anchor, resource in named:
        time = parse_fhir_time(when(resource))
        if resource.get("resourceType") != "Observation" or time is None or is_void(resource):
            continue
        for part in (resource, *objects(resource.get("component"))):
            quantity = mapping(part.get("valueQuantity"))
            value, name = number(quantity.get("value")), concept(part.get("code"))
            if value is None or not name:
                continue
            unit = string(quantity.get("unit")) or string(quantity.get("code"))
            key = (line(name, most=90), line(unit, most=20))
            said = line(f"{string(quantity.get('comparator'))}{value:g} {unit}", most=60)
            points.setdefault(key, []).append(Point(time, value, said, anchor))
            loinc.setdefault(key, []).extend(codes(part.get("code")))
            given = _stated_limits(part)
            if given is not None:
                limits[key] = given
    ordered = sorted(points, key=lambda key: (-len(points[key]), key))
    return [
        _series(key, points[key], limits.get(key), loinc[key], ranges, is_drawn=n < MOST_SERIES)
        for n, key in enumerate(ordered)
    ]


def _stated_limits(part: Mapping[str, Any]) -> Limits | None:
    for given in objects(part.get("referenceRange")):
        low, high = (number(mapping(given.get(end)).get("value")) for end in ("low", "high"))
        if low is not None or high is not None:
            return low, high
    return None


def _series(
    key: tuple[str, str],
    points: Sequence[Point],
    stated: Limits | None,
    loinc: Sequence[str],
    ranges: Ranges | None,
    *,
    is_drawn: bool,
) -> Series:
    known = ranges(tuple(dict.fromkeys(loinc)), key[1]) if stated is None and ranges is not None else None
    limits = stated or known
    kept = sorted(points, key=lambda point: point.time)[-MOST_POINTS:]
    low, high = limits if limits is not None else (None, None)
    title = f"{key[0]}{f' in {key[1]}' if key[1] else ''}"
    plot = line_plot(kept, title=title, low=low, high=high) if is_drawn else Markup("")
    origin = "record" if stated is not None else "knowledge" if known is not None else ""
    return Series(*key, tuple(kept), limits, origin, plot, len(points) - len(kept))


def known_ranges(age: float | None, sex: str | None) -> Ranges:
    """Return a look-up of normal limits in the embedded knowledge, for a patient's age and sex.

    The first use in a process reads the knowledge, which takes a second or two.
    """
    from wardround.knowledge.clinician import reference_clinician

    analytes = reference_clinician().kb.analytes.values()

    def look_up(loinc: Sequence[str], unit: str) -> Limits | None:
        found = next((a for a in analytes if set(a.loinc) & set(loinc)), None)
        if found is None or unit != found.unit:
            return None
        fitting = [r for r in found.ranges if r.from_age <= (18.0 if age is None else age) and r.sex in (None, sex)]
        best = max(fitting, key=lambda r: (r.from_age, r.sex is not None), default=None)
        return (best.low, best.high) if best is not None else None

    return look_up


def _drug(anchor: str, resource: Mapping[str, Any]) -> Drug:
    name = concept(resource.get("medicationCodeableConcept"))
    name = name or string(mapping(resource.get("medicationReference")).get("display")) or words(resource)
    dosage = [*objects(resource.get("dosageInstruction")), *objects(resource.get("dosage"))]
    dosage += [mapping(resource.get("dosage"))]
    return Drug(
        anchor=anchor,
        name=line(name, most=120),
        dose=line("; ".join(string(d.get("text")) for d in dosage if string(d.get("text"))), most=200),
        status=line(string(resource.get("status")), most=30),
        when=line(str(when(resource) or ""), most=30),
    )
