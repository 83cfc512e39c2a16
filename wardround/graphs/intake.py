"""From a case as written to sources and readings."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from wardround.core.case import Case, Sex
from wardround.core.errors import CaseError, UsageError
from wardround.core.finding import Assertion, Finding
from wardround.core.source import Source, SourceKind
from wardround.knowledge.clinician import KnowledgeClinician, with_implied
from wardround.knowledge.demographics import demographics
from wardround.knowledge.text import sentences
from wardround.models.images import Picture
from wardround.tools.fhir.record import INITIAL, Chart, read_record
from wardround.tools.hallucination.hygiene import cleaned

CURRENT = timedelta(days=30)
"""What was observed longer ago than this before the encounter is history."""
_TELLING_WORDS = 4
"""A sentence shorter than this is no measure of what was understood."""


@dataclass(frozen=True)
class Intake:
    """A case taken in."""

    case: Case
    """With age and sex from the narrative where they were not given."""
    sources: tuple[Source, ...]
    findings: tuple[Finding, ...]
    """Readings, each naming its source."""
    read: float
    """Share of the narrative's sentences in which something was recognised; 1 without a narrative."""
    problems: tuple[str, ...]
    """What could not be taken in, in words."""


def take_in(case: Case, clinician: KnowledgeClinician, chart: Chart, pictures: Sequence[Picture] = ()) -> Intake:
    """Read a case's text, coded findings and record; images become evidence that can be cited.

    Raises:
        CaseError: A coded finding or its unit is not known.
    """
    case = _with_demographics(case)
    age, sex = case.age, case.sex.value if case.sex else None
    sources: list[Source] = []
    findings: list[Finding] = []
    understood = asked = 0
    for source in map(with_taint, _text_sources(case)):
        said = said_in(source, clinician, age=age, sex=sex)
        sources.append(source)
        findings += [f.model_copy(update={"time": case.time}) for f in said]
        if len(source.text.split()) >= _TELLING_WORDS:
            asked += 1
            understood += bool(said)
    for n, finding in enumerate(case.findings, start=1):
        source, said = _coded(case, n, finding, clinician)
        sources.append(source)
        findings += said
    sources += [_picture_source(case, n, picture) for n, picture in enumerate(pictures, start=1)]
    shown = [with_taint(source) for source in chart.sources[:INITIAL]]
    sources += shown
    findings += record_findings(case, clinician, shown, chart)
    return Intake(
        case=case,
        sources=tuple(sources),
        findings=tuple(findings),
        read=understood / asked if asked else 1.0,
        problems=(*chart.problems, *_not_looked_at(case, chart, pictures), *_tainted(sources)),
    )


def with_taint(source: Source) -> Source:
    """Mark a source in which something addresses the reader: instructions to a model are no evidence."""
    return source.model_copy(update={"tainted": True}) if cleaned(source.text).addressed else source


def said_in(source: Source, clinician: KnowledgeClinician, *, age: float | None, sex: str | None) -> list[Finding]:
    """Return the readings of a source's words, without those that address the reader and without hidden characters."""
    clean = cleaned(source.text)
    found = []
    for finding in clinician.read(clean.text, age=age, sex=sex):
        span = clean.place(*finding.span) if finding.span is not None else None
        found.append(finding.model_copy(update={"source": source.id, "span": span}))
    return found


def _tainted(sources: Sequence[Source]) -> list[str]:
    return [f"{s.title or s.document}: addresses its reader; that part carries no weight" for s in sources if s.tainted]


def chart_of(case: Case, clinician: KnowledgeClinician) -> Chart:
    """Go through a case's record, if it has one."""
    resources = case.record.resources if case.record is not None else ()
    return read_record(resources, clinician, age=case.age, sex=case.sex.value if case.sex else None)


def record_findings(case: Case, clinician: KnowledgeClinician, sources: list[Source], chart: Chart) -> list[Finding]:
    """Return the readings of record sources: coded values first, text where nothing is coded.

    What lies long before the encounter is history, except what is a risk for good.
    """
    age, sex = case.age, case.sex.value if case.sex else None
    coded: dict[str, list[Finding]] = {}
    for finding in chart.findings:
        coded.setdefault(finding.source or "", []).append(finding)
    findings: list[Finding] = []
    for source in sources:
        values = coded.get(source.id, [])
        codes = {f.code for f in values}
        said = [
            f.model_copy(update={"time": source.time})
            for f in said_in(source, clinician, age=age, sex=sex)
            if f.code not in codes
        ]
        findings += [_aged(f, case, clinician) for f in (*values, *said)]
    return findings


def _aged(finding: Finding, case: Case, clinician: KnowledgeClinician) -> Finding:
    if finding.time is None or case.time is None or case.time - finding.time <= CURRENT:
        return finding
    lasting = clinician.kb.findings[finding.code].kind == "risk_factor"
    is_current = finding.assertion in (Assertion.PRESENT, Assertion.ABSENT, Assertion.POSSIBLE)
    if lasting or not is_current:
        return finding
    return finding.model_copy(update={"assertion": Assertion.HISTORICAL})


def _with_demographics(case: Case) -> Case:
    said = demographics(" ".join(filter(None, (case.complaint, case.narrative))))
    sex = Sex(said.sex) if said.sex else None
    return case.model_copy(
        update={
            "age": said.age if case.age is None else case.age,
            "sex": sex if case.sex is None else case.sex,
        }
    )


def _text_sources(case: Case) -> list[Source]:
    found = []
    for field, text in (("complaint", case.complaint), ("note", case.narrative)):
        for n, sentence in enumerate(sentences(text or ""), start=1):
            found.append(
                Source(
                    kind=SourceKind.CLINICIAN_NOTE,
                    text=sentence.text,
                    document=f"{field}:{case.id}",
                    title=f"{field}, sentence {n}",
                    start=sentence.start,
                    time=case.time,
                )
            )
    return found


def _coded(case: Case, n: int, finding: Finding, clinician: KnowledgeClinician) -> tuple[Source, list[Finding]]:
    where = f"case {case.id}, findings[{n - 1}]"
    kb = clinician.kb
    entry = kb.findings.get(finding.code) or kb.analytes.get(finding.code)
    name = entry.name if entry is not None else finding.name
    value = f" {finding.value:g} {finding.unit or ''}".rstrip() if finding.value is not None else ""
    source = Source(
        kind=SourceKind.STRUCTURED_RECORD,
        text=f"{name}{value} ({finding.assertion.value})",
        document=f"coded:{case.id}",
        title=f"coded finding {n}",
        time=finding.time or case.time,
    )
    if finding.code in kb.analytes:
        if finding.value is None:
            raise CaseError(f"{finding.code} has no value", where=where, mend="give value and unit")
        try:
            said = clinician.reader.measured(
                finding.code,
                finding.value,
                finding.unit,
                age=case.age,
                sex=case.sex.value if case.sex else None,
            )
        except UsageError as error:
            raise CaseError(str(error), where=where, mend="check the value and its unit") from error
    elif finding.code in kb.findings:
        said = (finding.model_copy(update={"name": kb.findings[finding.code].name}),)
    else:
        near = difflib.get_close_matches(finding.code, [*kb.findings, *kb.analytes], n=3, cutoff=0.5)
        mend = f"use one of: {', '.join(near)}" if near else "put it into the narrative instead"
        raise CaseError(f"unknown finding code {finding.code!r}", where=where, mend=mend)
    readings = [f.model_copy(update={"source": source.id, "time": source.time}) for f in said]
    return source, with_implied(kb, readings)


def _picture_source(case: Case, n: int, picture: Picture) -> Source:
    """What a model is shown is the image itself; the words say which it is."""
    ref = case.images[n - 1]
    what = ", ".join(part for part in (ref.modality, ref.body_part) if part)
    size = f"{picture.width} x {picture.height} pixels"
    return Source(
        kind=SourceKind.IMAGE,
        text=f"image {n} of {len(case.images)}, attached{f': {what}' if what else ''} ({size})",
        document=f"image:{picture.sha256}",
        title=f"image {n}",
        time=case.time,
    )


def _not_looked_at(case: Case, chart: Chart, pictures: Sequence[Picture]) -> list[str]:
    problems = []
    if case.images and not pictures:
        problems.append(f"{len(case.images)} image(s) not looked at: the model takes no images")
    unread = len(chart.sources) - INITIAL
    if unread > 0:
        problems.append(f"{unread} older entries of the record left to the record search")
    return problems
