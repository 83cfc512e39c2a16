"""A patient's FHIR R4 record as evidence: what each resource says, and a search over it."""

from __future__ import annotations

import base64
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from wardround.core.case_file import parse_fhir_time
from wardround.core.errors import ToolRetry, UsageError
from wardround.core.finding import Assertion, Finding
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
        words = {token.word for token in tokens(argument)}
        return bool(words) and words <= {token.word for token in tokens(source.text)}


def _sources(resource: Resource) -> Iterator[Source]:
    kind = str(resource.get("resourceType"))
    if _is_void(resource):
        return
    id_ = resource.get("id")
    document = f"{kind}/{_unicode(id_) if isinstance(id_, str) and id_ else '?'}"
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
    text = _unicode(writer(resource)) if writer is not None else ""
    if text.strip():
        yield Source(kind=_kind(resource), text=text, document=document, title=document, time=time)


def _is_void(resource: Resource) -> bool:
    """Whether it was withdrawn, or tells of something that was not done."""
    status = resource.get("status")
    return (
        "entered-in-error" in (status, resource.get("docStatus"), _code(resource, "verificationStatus"))
        or resource.get("doNotPerform") is True
        or status in _NOT_DONE
    )


_NOT_DONE = (
    "not-done",
    "preparation",
    "planned",
    "draft",
    "proposed",
    "intended",
    "cancelled",
    "declined",
    "superseded",
)
"""Statuses under which a resource says nothing of what the patient has or had."""


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
        return f"History of {name}."
    return f"{doubt}{name}."


def _observation(resource: Resource) -> str:
    parts = [_measured(resource)]
    parts += [_measured(component) for component in _list(resource.get("component"))]
    notes = [_string(n.get("text")) for n in _list(resource.get("note"))]
    return " ".join(p for p in (*parts, *notes) if p)


def _measured(part: Resource) -> str:
    name = _concept(part.get("code"))
    if not name:
        return ""
    quantity = _map(part.get("valueQuantity"))
    interpretation = " ".join(_concept(c) for c in _list(part.get("interpretation")))
    if "value" in quantity:
        unit = _string(quantity.get("unit")) or _string(quantity.get("code"))
        value = f"{_string(quantity.get('comparator'))}{_scalar(quantity['value'])} {unit}".strip()
    elif "valueCodeableConcept" in part:
        value = _concept(part["valueCodeableConcept"])
    else:
        plain = [part[k] for k in ("valueString", "valueInteger", "valueBoolean", "valueDateTime") if k in part]
        value = _scalar(plain[0]) if plain else ""
    if value.lower().strip(" .") in _DENIALS:
        return f"No {name} ({value})."
    if not value and not interpretation:
        return ""
    return f"{name}: {value}" + (f" ({interpretation})" if interpretation else "") + "."


_DENIALS = ("no", "n", "absent", "none", "negative", "not detected", "not present", "not found", "not seen")
"""Values that deny what the code names."""


def _medication(resource: Resource) -> str:
    name = _concept(resource.get("medicationCodeableConcept"))
    name = name or _string(_map(resource.get("medicationReference")).get("display"))
    if not name:
        for contained in _list(resource.get("contained")):
            name = name or _concept(contained.get("code"))
    if not name:
        return ""
    if resource.get("status") == "not-taken":
        return f"Does not take {name}."
    if resource["resourceType"] == "MedicationAdministration":
        return f"Was given {name}."
    ended = resource.get("status") in ("stopped", "completed", "ended")
    return f"No longer takes {name}." if ended else f"Takes {name}."


def _named(prefix: str, *fields: str) -> Any:
    def write(resource: Resource) -> str:
        for name in fields:
            value = resource.get(name)
            text = _concept(value[0] if isinstance(value, list) and value else value)
            if text:
                return f"{prefix}{text}."
        return ""

    return write


def _allergy(resource: Resource) -> str:
    name = _concept(resource.get("code"))
    if not name:
        return ""
    if _code(resource, "verificationStatus") == "refuted":
        return f"No allergy to {name}."
    if _code(resource, "clinicalStatus") in ("resolved", "inactive"):
        return f"History of allergy to {name}."
    return f"Allergy to {name}."


def _report(resource: Resource) -> str:
    conclusion = _string(resource.get("conclusion"))
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
    parts = [_string(resource.get("summary")), *(f"{name}." for name in findings if name)]
    return " ".join(part for part in parts if part)


_WRITERS: dict[str, Any] = {
    "Condition": _condition,
    "Observation": _observation,
    "MedicationRequest": _medication,
    "MedicationStatement": _medication,
    "MedicationAdministration": _medication,
    "MedicationDispense": _medication,
    "AllergyIntolerance": _allergy,
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
        data = attachment.get("data")
        if not _string(attachment.get("contentType")).startswith("text/plain") or not isinstance(data, str):
            continue
        try:
            text = base64.b64decode("".join(data.split()), validate=True).decode("utf-8")
        except ValueError:  # neither base64 nor UTF-8
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
        value = _number(quantity.get("value"))
        if analyte is None or value is None:
            continue
        unit = _string(quantity.get("code")) or _string(quantity.get("unit"))
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
    displays = [_string(c.get("display")) for c in _list(concept.get("coding"))]
    return (_string(concept.get("text")) or next(filter(None, displays), "")).strip().rstrip(".")


def _codes(value: object) -> list[str]:
    concepts = value if isinstance(value, list) else [value]
    return [code for k in concepts for c in _list(_map(k).get("coding")) if (code := _string(c.get("code")))]


def _code(resource: Resource, name: str) -> str | None:
    return next(iter(_codes(resource.get(name))), None)


def _list(value: object) -> list[Any]:
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else []


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _scalar(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    return "" if _number(value) is None else str(value)


def _number(value: object) -> float | None:
    """Return a finite number; JSON as Python reads it also has NaN, infinities and endless integers."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _unicode(text: str) -> str:
    """Replace lone surrogates, which JSON allows and nothing else does."""
    return text.encode("utf-8", "replace").decode("utf-8")
