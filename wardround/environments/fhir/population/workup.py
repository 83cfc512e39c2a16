"""What is asked, examined and tested in an acute illness, and what comes out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache

from wardround.environments.fhir.population.chart import Chart
from wardround.environments.fhir.population.illness import Illness, red_flags, workup
from wardround.environments.fhir.population.notes import Statements
from wardround.environments.fhir.population.physiology import axes
from wardround.environments.fhir.population.schema import Study
from wardround.environments.fhir.population.tables import Tables, tables

PRESENT_TOLD = 0.9
"""Share of what is present that is asked for and written down."""
ABSENT_TOLD = 0.06
"""Share of what is absent that is."""
FLAG_TOLD = 0.75
"""Share of the absent red flags that is. All three are own choices; they bound the length of a note."""


@dataclass(frozen=True)
class Workup:
    """What was done."""

    told: Statements
    """Of history and examination."""
    tests: tuple[tuple[str, bool], ...]
    """Tests read as yes or no: the finding, and whether it is present."""
    studies: tuple[tuple[Study, Statements], ...]
    analytes: tuple[str, ...]
    """What was measured besides the usual panels."""


def work_up(chart: Chart, illness: Illness, at: float, *, in_clinic: bool) -> Workup:
    """Draw what is done for an illness; a result never decides whether its test was done.

    Args:
        chart: The patient's.
        illness: What there is to find.
        at: The moment.
        in_clinic: Whether only a clinic's or practice's means are there.
    """
    t, kb = chart.tables, chart.tables.kb
    codes = _applicable(chart, illness, at)
    flags = {code for complaint in illness.complaints for code in red_flags(complaint)}
    present, absent, tests, analytes = [], [], [], []
    studied: dict[str, list[str]] = {}
    for code, roll in zip(codes, chart.rng.random(len(codes)).tolist(), strict=True):
        entry = kb.findings[code]
        is_present = code in illness.present
        if entry.analyte is not None:
            if roll < _share(t, illness, code, in_clinic):
                analytes.append(entry.analyte)
        elif (study := _study_of().get(code)) is not None:
            studied.setdefault(study, []).append(code)
        elif entry.kind in ("lab", "vital") or entry.how in ("bedside", "invasive"):
            if roll < _share(t, illness, code, in_clinic):
                tests.append((code, is_present))
        elif is_present:
            if roll < PRESENT_TOLD or code in illness.complaints:
                present.append(code)
        elif roll < (FLAG_TOLD if code in flags else ABSENT_TOLD):
            absent.append(code)
    return Workup(
        told=Statements(tuple(present), tuple(absent)),
        tests=tuple(tests),
        studies=tuple(_studies(chart, illness, studied, in_clinic)),
        analytes=tuple(dict.fromkeys(a for a in analytes if _is_measured_alone(t, a))),
    )


def _applicable(chart: Chart, illness: Illness, at: float) -> list[str]:
    """What could be looked for in this person: that of the complaints, and what bears on the condition."""
    t, age = chart.tables, chart.age(at)
    codes = dict.fromkeys(code for complaint in illness.complaints for code in workup(complaint))
    codes |= dict.fromkeys(t.kb.conditions[illness.condition].findings)
    young, old = t.people.from_age, t.people.until_age
    return [
        code
        for code in codes
        if t.kb.findings[code].sex in (None, chart.person.sex)
        and (code in illness.present or young.get(code, 0.0) <= age <= old.get(code, 200.0))
    ]


def _share(t: Tables, illness: Illness, code: str, in_clinic: bool) -> float:
    """How often a test is done: more often where the condition makes its result likely."""
    if illness.chances.get(code, 0.0) >= t.episodes.likely:
        share = t.episodes.done_if_likely
    else:
        share = t.episodes.done.get(t.kb.findings[code].how, 0.0)
    return share * (t.episodes.in_clinic if in_clinic else 1.0)


def _studies(
    chart: Chart, illness: Illness, studied: dict[str, list[str]], in_clinic: bool
) -> Iterable[tuple[Study, Statements]]:
    t = chart.tables
    for study in t.studies:
        codes = studied.get(study.id, [])
        if not codes or not chart.is_done(max(_share(t, illness, code, in_clinic) for code in codes)):
            continue
        present = tuple(code for code in codes if code in illness.present)
        absent = tuple(code for code in codes if code not in illness.present)[:6]
        yield study, Statements(present, absent)


@cache
def _study_of() -> dict[str, str]:
    """Id of the study that shows a finding of imaging, ECG, endoscopy or pathology."""
    t = tables()
    return {
        code: study.id
        for study in t.studies
        for code, entry in t.kb.findings.items()
        if entry.analyte is None and any(fnmatchcase(code, pattern) for pattern in study.findings)
    }


def _is_measured_alone(t: Tables, analyte: str) -> bool:
    """Whether an analyte is modelled, and is neither a vital sign nor in the panels that everybody gets."""
    usual = {a for panel in ("bmp", "cbc") for a in t.analytes.panels[panel].analytes}
    column = axes().column.get(analyte)
    return column is not None and not axes().behaviours[column].vital and analyte not in usual
