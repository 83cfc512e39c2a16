"""A patient's FHIR R4 record as evidence: what each resource says, and a search over it."""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from wardround.core.case_file import parse_fhir_time
from wardround.core.errors import ToolRetry, UsageError
from wardround.core.finding import Finding
from wardround.core.source import Source, SourceKind
from wardround.knowledge.clinician import KnowledgeClinician
from wardround.knowledge.text import sentences, tokens
from wardround.tools.tool import Patient, ToolResult

Resource = Mapping[str, Any]

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


def read_record(
    resources: Iterable[Resource], clinician: KnowledgeClinician, *, age: float | None, sex: str | None
) -> Chart:
    """Turn resources into sources and readings; what says nothing to a diagnosis is counted, not fatal."""
    chart = Chart()
    read: list[tuple[Source, list[Finding]]] = []
    for resource in resources:
        kind = str(resource.get("resourceType"))
        if kind == "Patient":
            chart.used[kind] += 1
            continue
        sources = list(_sources(resource))
        (chart.used if sources else chart.skipped)[kind] += 1
        for source in sources:
            read.append((source, _coded(resource, source, clinician, age, sex, chart.problems)))
    read.sort(key=lambda pair: (pair[0].time is None, -(pair[0].time.timestamp() if pair[0].time else 0.0)))
    for source, findings in read:
        chart.sources.append(source)
        chart.findings += findings
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
            ToolRetry: The argument is empty.
        """
        if not argument.strip():
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
            return bool(wanted & (said | coded))
        words = {token.word for token in tokens(argument)}
        return words <= {token.word for token in tokens(source.text)}


def _sources(resource: Resource) -> Iterator[Source]:
    kind = str(resource.get("resourceType"))
    if resource.get("status") == "entered-in-error" or _code(resource, "verificationStatus") == "entered-in-error":
        return
    document = f"{kind}/{resource.get('id', '?')}"
    time = parse_fhir_time(_when(resource))
    if kind == "DocumentReference":
        for n, sentence in enumerate(_document_sentences(resource), start=1):
            yield Source(
                kind=SourceKind.CLINICIAN_NOTE,
                text=sentence,
                document=document,
                title=f"{document}, sentence {n}",
                time=time,
            )
        return
    writer = _WRITERS.get(kind)
    text = writer(resource) if writer is not None else ""
    if text.strip():
        yield Source(kind=_kind(resource), text=text, document=document, title=document, time=time)


def _kind(resource: Resource) -> SourceKind:
    kind = resource["resourceType"]
    if kind == "DiagnosticReport":
        return SourceKind.IMAGING_REPORT
    if kind == "Observation":
        vital = "vital-signs" in _codes(resource.get("category"))
        return SourceKind.STRUCTURED_RECORD if vital else SourceKind.LAB
    return SourceKind.STRUCTURED_RECORD


def _condition(resource: Resource) -> str:
    name = _concept(resource.get("code"))
    if not name:
        return ""
    status = _code(resource, "clinicalStatus")
    verification = _code(resource, "verificationStatus")
    if verification == "refuted":
        return f"No {name}."
    doubt = "Possible " if verification in ("unconfirmed", "provisional", "differential") else ""
    if status in ("resolved", "inactive", "remission"):
        return f"History of {name} ({status})."
    return f"{doubt}{name}."


def _observation(resource: Resource) -> str:
    parts = [_measured(resource)]
    parts += [_measured(component) for component in _list(resource.get("component"))]
    notes = [str(n.get("text", "")) for n in _list(resource.get("note"))]
    return " ".join(p for p in (*parts, *notes) if p)


def _measured(part: Resource) -> str:
    name = _concept(part.get("code"))
    if not name:
        return ""
    quantity = _map(part.get("valueQuantity"))
    interpretation = " ".join(_concept(c) for c in _list(part.get("interpretation")))
    if "value" in quantity:
        unit = quantity.get("unit") or quantity.get("code") or ""
        value = f"{quantity.get('comparator', '')}{quantity['value']} {unit}".strip()
    elif "valueCodeableConcept" in part:
        value = _concept(part["valueCodeableConcept"])
    else:
        plain = [part[k] for k in ("valueString", "valueInteger", "valueBoolean", "valueDateTime") if k in part]
        value = str(plain[0]) if plain else ""
    if not value and not interpretation:
        return ""
    return f"{name}: {value}" + (f" ({interpretation})" if interpretation else "") + "."


def _medication(resource: Resource) -> str:
    name = _concept(resource.get("medicationCodeableConcept")) or _map(resource.get("medicationReference")).get(
        "display", ""
    )
    if not name:
        for contained in _list(resource.get("contained")):
            name = name or _concept(contained.get("code"))
    if not name:
        return ""
    ended = resource.get("status") in ("stopped", "completed", "cancelled", "not-taken", "ended")
    return f"Took {name} in the past." if ended else f"Takes {name}."


def _named(prefix: str, *fields: str) -> Any:
    def write(resource: Resource) -> str:
        for name in fields:
            value = resource.get(name)
            text = _concept(value[0] if isinstance(value, list) and value else value)
            if text:
                return f"{prefix}{text}."
        return ""

    return write


def _report(resource: Resource) -> str:
    conclusion = str(resource.get("conclusion") or "")
    coded = " ".join(f"{_concept(c)}." for c in _list(resource.get("conclusionCode")))
    name = _concept(resource.get("code"))
    said = " ".join(part for part in (conclusion, coded) if part.strip())
    return f"{name}. {said}" if said else ""


def _encounter(resource: Resource) -> str:
    reasons = [_concept(reason) for reason in _list(resource.get("reasonCode"))]
    return " ".join(f"Came with {reason}." for reason in reasons if reason)


def _family(resource: Resource) -> str:
    who = _concept(resource.get("relationship")) or "relative"
    named = [_concept(condition.get("code")) for condition in _list(resource.get("condition"))]
    return " ".join(f"Family history of {name} ({who})." for name in named if name)


def _summary(resource: Resource) -> str:
    findings = [_concept(_map(f).get("itemCodeableConcept")) for f in _list(resource.get("finding"))]
    parts = [str(resource.get("summary") or ""), *(f"{name}." for name in findings if name)]
    return " ".join(part for part in parts if part)


_WRITERS: dict[str, Any] = {
    "Condition": _condition,
    "Observation": _observation,
    "MedicationRequest": _medication,
    "MedicationStatement": _medication,
    "MedicationAdministration": _medication,
    "MedicationDispense": _medication,
    "AllergyIntolerance": _named("Allergy to ", "code"),
    "Procedure": _named("Had ", "code"),
    "Immunization": _named("Vaccinated: ", "vaccineCode"),
    "DiagnosticReport": _report,
    "Encounter": _encounter,
    "FamilyMemberHistory": _family,
    "ClinicalImpression": _summary,
}


def _document_sentences(resource: Resource) -> Iterator[str]:
    for content in _list(resource.get("content")):
        attachment = _map(_map(content).get("attachment"))
        if not str(attachment.get("contentType", "")).startswith("text/plain") or "data" not in attachment:
            continue
        try:
            text = base64.b64decode(attachment["data"], validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError, TypeError):
            continue
        for sentence in sentences(text):
            yield sentence.text


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
    for part in (resource, *_list(resource.get("component"))):
        quantity = _map(part.get("valueQuantity"))
        analyte = _analyte(part, clinician)
        value = quantity.get("value")
        if analyte is None or not isinstance(value, int | float) or isinstance(value, bool):
            continue
        unit = quantity.get("code") or quantity.get("unit")
        try:
            measured = clinician.reader.measured(analyte, float(value), unit, age=age, sex=sex)
        except UsageError as error:
            problems.append(f"{source.document}: {error}")
            continue
        findings += [
            f.model_copy(update={"source": source.id, "time": source.time, "span": None}) for f in measured
        ]
    return findings


def _analyte(part: Resource, clinician: KnowledgeClinician) -> str | None:
    codes = set(_codes(part.get("code")))
    return next((a.id for a in clinician.kb.analytes.values() if codes & set(a.loinc)), None)


def _when(resource: Resource) -> object:
    for name in (
        "effectiveDateTime",
        "issued",
        "authoredOn",
        "recordedDate",
        "onsetDateTime",
        "performedDateTime",
        "occurrenceDateTime",
        "date",
    ):
        if resource.get(name):
            return resource[name]
    for name in ("effectivePeriod", "performedPeriod", "period"):
        start = _map(resource.get(name)).get("start")
        if start:
            return start
    return None


def _concept(value: object) -> str:
    concept = _map(value)
    displays = [str(c["display"]) for c in _list(concept.get("coding")) if _map(c).get("display")]
    return str(concept.get("text") or (displays[0] if displays else "")).strip().rstrip(".")


def _codes(value: object) -> list[str]:
    concepts = value if isinstance(value, list) else [value]
    return [str(c["code"]) for k in concepts for c in _list(_map(k).get("coding")) if _map(c).get("code")]


def _code(resource: Resource, name: str) -> str | None:
    return next(iter(_codes(resource.get(name))), None)


def _list(value: object) -> list[Any]:
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else []


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
