"""What FHIR resources say, in sentences that the reader understands."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from wardround.core.source import SourceKind
from wardround.knowledge.text import sentences
from wardround.tools.fhir.access import Resource, code, codes, concept, mapping, objects, scalar, string, unicode


def is_void(resource: Resource) -> bool:
    """Whether it was withdrawn, or tells of something that was not done."""
    status = resource.get("status")
    return (
        "entered-in-error" in (status, resource.get("docStatus"), code(resource, "verificationStatus"))
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


def source_kind(resource: Resource) -> SourceKind:
    """Return what kind of place a resource is."""
    kind = resource["resourceType"]
    if kind == "DiagnosticReport":
        return SourceKind.IMAGING_REPORT
    if kind == "Observation":
        vital = "vital-signs" in codes(resource.get("category"))
        return SourceKind.STRUCTURED_RECORD if vital else SourceKind.LAB
    return SourceKind.STRUCTURED_RECORD


def _condition(resource: Resource) -> str:
    name = concept(resource.get("code"))
    if not name:
        return ""
    status = code(resource, "clinicalStatus")
    verification = code(resource, "verificationStatus")
    if verification == "refuted":
        return f"No {name}."
    doubt = "Possible " if verification in ("unconfirmed", "provisional", "differential") else ""
    if status in ("resolved", "inactive", "remission"):
        return f"History of {name}."
    return f"{doubt}{name}."


def _observation(resource: Resource) -> str:
    parts = [_measured(resource)]
    parts += [_measured(component) for component in objects(resource.get("component"))]
    notes = [string(n.get("text")) for n in objects(resource.get("note"))]
    return " ".join(p for p in (*parts, *notes) if p)


def _measured(part: Resource) -> str:
    name = concept(part.get("code"))
    if not name:
        return ""
    quantity = mapping(part.get("valueQuantity"))
    interpretation = " ".join(concept(c) for c in objects(part.get("interpretation")))
    if "value" in quantity:
        unit = string(quantity.get("unit")) or string(quantity.get("code"))
        value = f"{string(quantity.get('comparator'))}{scalar(quantity['value'])} {unit}".strip()
    elif "valueCodeableConcept" in part:
        value = concept(part["valueCodeableConcept"])
    else:
        plain = [part[k] for k in ("valueString", "valueInteger", "valueBoolean", "valueDateTime") if k in part]
        value = scalar(plain[0]) if plain else ""
    if value.lower().strip(" .") in _DENIALS:
        return f"No {name} ({value})."
    if not value and not interpretation:
        return ""
    return f"{name}: {value}" + (f" ({interpretation})" if interpretation else "") + "."


_DENIALS = ("no", "n", "absent", "none", "negative", "not detected", "not present", "not found", "not seen")
"""Values that deny what the code names."""


def _medication(resource: Resource) -> str:
    name = concept(resource.get("medicationCodeableConcept"))
    name = name or string(mapping(resource.get("medicationReference")).get("display"))
    if not name:
        for contained in objects(resource.get("contained")):
            name = name or concept(contained.get("code"))
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
            text = concept(value[0] if isinstance(value, list) and value else value)
            if text:
                return f"{prefix}{text}."
        return ""

    return write


def _allergy(resource: Resource) -> str:
    name = concept(resource.get("code"))
    if not name:
        return ""
    if code(resource, "verificationStatus") == "refuted":
        return f"No allergy to {name}."
    if code(resource, "clinicalStatus") in ("resolved", "inactive"):
        return f"History of allergy to {name}."
    return f"Allergy to {name}."


def _report(resource: Resource) -> str:
    conclusion = string(resource.get("conclusion"))
    coded = " ".join(f"{concept(c)}." for c in objects(resource.get("conclusionCode")))
    name = concept(resource.get("code"))
    said = " ".join(part for part in (conclusion, coded) if part.strip())
    return f"{name}. {said}" if said else ""


def _encounter(resource: Resource) -> str:
    reasons = [concept(reason) for reason in objects(resource.get("reasonCode"))]
    return " ".join(f"Came with {reason}." for reason in reasons if reason)


def _family(resource: Resource) -> str:
    who = concept(resource.get("relationship")) or "relative"
    named = [concept(condition.get("code")) for condition in objects(resource.get("condition"))]
    return " ".join(f"Family history of {name} ({who})." for name in named if name)


def _summary(resource: Resource) -> str:
    findings = [concept(mapping(f).get("itemCodeableConcept")) for f in objects(resource.get("finding"))]
    parts = [string(resource.get("summary")), *(f"{name}." for name in findings if name)]
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


def words(resource: Resource) -> str:
    """Return what a resource says, in sentences that the reader understands; empty where it says nothing."""
    writer = _WRITERS.get(string(resource.get("resourceType")))
    return unicode(writer(resource)) if writer is not None else ""


def document_sentences(resource: Resource) -> Iterator[str]:
    """Return the sentences of a DocumentReference's plain-text attachments."""
    for content in objects(resource.get("content")):
        attachment = mapping(mapping(content).get("attachment"))
        data = attachment.get("data")
        if not string(attachment.get("contentType")).startswith("text/plain") or not isinstance(data, str):
            continue
        try:
            text = base64.b64decode("".join(data.split()), validate=True).decode("utf-8")
        except ValueError:  # neither base64 nor UTF-8
            continue
        for sentence in sentences(text):
            yield sentence.text


def when(resource: Resource) -> object:
    """Return when what a resource says was so, as written."""
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
        start = mapping(resource.get(name)).get("start")
        if start:
            return start
    return None
