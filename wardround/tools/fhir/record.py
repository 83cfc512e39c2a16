"""A patient's FHIR R4 record as evidence: what each resource says, and a search over it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from wardround.core.case_file import parse_fhir_time
from wardround.core.errors import ToolRetry, UsageError
from wardround.core.finding import Assertion, Finding
from wardround.core.items import ProvenanceItem
from wardround.core.source import Source, SourceKind
from wardround.knowledge.clinician import KnowledgeClinician
from wardround.knowledge.text import tokens
from wardround.tools.fhir.access import Resource, codes, mapping, number, objects, string, unicode
from wardround.tools.fhir.copies import copied_forward, declared
from wardround.tools.fhir.wording import document_sentences, is_void, source_kind, when, words
from wardround.tools.tool import Patient, ToolResult

INITIAL = 150
"""How many resources are read at intake, the latest first; the others are there for the search."""
FOUND = 8
"""How many places a search returns at most."""


@dataclass
class Chart:
    """A record gone through."""

    sources: list[Source] = field(default_factory=list)
    """Latest first."""
    findings: list[Finding] = field(default_factory=list)
    """Readings from coded values, each naming its source."""
    used: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    copies: list[ProvenanceItem] = field(default_factory=list)
    """Which sources and documents were copied or derived from which others."""


def read_record(
    resources: Iterable[Resource], clinician: KnowledgeClinician, *, age: float | None, sex: str | None
) -> Chart:
    """Turn resources into sources and readings; what says nothing to a diagnosis is counted, not fatal."""
    chart = Chart()
    read: list[tuple[Source, list[Finding]]] = []
    resources = list(resources)
    for place, resource in enumerate(resources):
        kind = str(resource.get("resourceType"))
        if kind == "Patient":
            chart.used[kind] += 1
            continue
        sources = list(_sources(resource, place))
        (chart.used if sources else chart.skipped)[kind] += 1
        for source in sources:
            read.append((source, _coded(resource, source, clinician, age, sex, chart.problems)))
    read.sort(key=lambda pair: (pair[0].time is None, -(pair[0].time.timestamp() if pair[0].time else 0.0)))
    for source, findings in read:
        chart.sources.append(source)
        chart.findings += findings
    chart.copies += [*declared(resources), *copied_forward(chart.sources)]
    return chart


class RecordSearch:
    """Finds what a record says of something."""

    name = "search_record"
    purpose = "search the patient's record; the argument is a finding, a test or a drug"

    def __init__(self, chart: Chart, clinician: KnowledgeClinician) -> None:
        self._chart = chart
        self._clinician = clinician

    def use(self, argument: str, patient: Patient, /) -> ToolResult:
        """Return the places that speak of the argument, the latest first.

        Raises:
            ToolRetry: The argument has no words.
        """
        if not tokens(argument):
            raise ToolRetry(self.name, "give what to look for in a few words")
        hits = [source for source in self._chart.sources if self._speaks_of(source, argument, patient)]
        sources = tuple(hits[:FOUND])
        ids = {source.id for source in sources}
        findings = tuple(f for f in self._chart.findings if f.source in ids)
        more = f" (+{len(hits) - FOUND} more)" if len(hits) > FOUND else ""
        text = "\n".join(s.text for s in sources) + more if sources else f"the record says nothing of {argument}"
        return ToolResult(text=text, sources=sources, findings=findings)

    def _speaks_of(self, source: Source, argument: str, patient: Patient) -> bool:
        wanted = {f.code for f in self._clinician.read(argument, age=patient.age, sex=patient.sex)}
        if wanted:
            said = {f.code for f in self._clinician.read(source.text, age=patient.age, sex=patient.sex)}
            coded = {f.code for f in self._chart.findings if f.source == source.id}
            if wanted & (said | coded):
                return True
        asked = {token.word for token in tokens(argument)}
        return bool(asked) and asked <= {token.word for token in tokens(source.text)}


def _sources(resource: Resource, place: int) -> Iterator[Source]:
    kind = str(resource.get("resourceType"))
    if is_void(resource):
        return
    document = f"{kind}/{unicode(string(resource.get('id'))) or f'entry-{place}'}"
    time = parse_fhir_time(when(resource))
    if kind == "DocumentReference":
        for n, sentence in enumerate(document_sentences(resource), start=1):
            yield Source(
                kind=SourceKind.CLINICIAN_NOTE,
                text=sentence,
                document=document,
                title=f"{document}, sentence {n}",
                time=time,
            )
        return
    text = words(resource)
    if text.strip():
        yield Source(kind=source_kind(resource), text=text, document=document, title=document, time=time)


def _coded(
    resource: Resource,
    source: Source,
    clinician: KnowledgeClinician,
    age: float | None,
    sex: str | None,
    problems: list[str],
) -> list[Finding]:
    """Readings of coded quantities; a unit that is not known is named and gives no reading."""
    if resource.get("resourceType") != "Observation":
        return []
    findings: list[Finding] = []
    for part in (resource, *objects(resource.get("component"))):
        quantity = mapping(part.get("valueQuantity"))
        analyte = _analyte(part, clinician)
        value = number(quantity.get("value"))
        if analyte is None or value is None:
            continue
        unit = string(quantity.get("code")) or string(quantity.get("unit"))
        try:
            if not unit and not _is_pure(clinician.kb.analytes[analyte].unit):
                raise UsageError(f"{clinician.kb.analytes[analyte].name} of {value:g} has no unit")
            measured = clinician.reader.measured(analyte, value, unit or None, age=age, sex=sex)
        except UsageError as error:
            problems.append(f"{source.document}: {error}")
            continue
        findings += [
            f.model_copy(update={"source": source.id, "time": source.time, "span": None})
            for f in measured
            if _is_told(f, quantity.get("comparator"), clinician)
        ]
    return findings


def _is_pure(unit: str) -> bool:
    return unit in ("1", "[pH]") or unit.startswith("{")


def _is_told(finding: Finding, comparator: object, clinician: KnowledgeClinician) -> bool:
    """Whether a value known only as below or above a limit still decides a finding."""
    if comparator not in ("<", "<=", ">", ">="):
        return True
    is_above = clinician.kb.findings[finding.code].direction == "above"
    is_present = finding.assertion is Assertion.PRESENT
    return (is_above == is_present) == (comparator in (">", ">="))


def _analyte(part: Resource, clinician: KnowledgeClinician) -> str | None:
    given = set(codes(part.get("code")))
    return next((a.id for a in clinician.kb.analytes.values() if given & set(a.loinc)), None)
