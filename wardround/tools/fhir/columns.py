"""Which columns a table of each type of resource has, and how each is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from wardround.core.errors import UsageError
from wardround.tools.fhir.access import Resource, codes, concept, mapping, objects, scalar, string
from wardround.tools.fhir.phrases import dosage, named, quantity
from wardround.tools.fhir.units import Analytes, normalised
from wardround.tools.fhir.wording import when

Read = Callable[[Resource], str]

DERIVED = ("normalised",)
"""Columns that are worked out here: an empty one says nothing of the record."""


def columns_of(kind: str, analytes: Analytes | None) -> list[tuple[str, Read]]:
    """Return the columns of a type, each with its name and how it is read.

    Args:
        kind: A resource type; one without a set of its own has id, date, code, text and status.
        analytes: With them Observations have a column in the unit of their analyte.
    """
    columns = list(COLUMNS.get(kind, _ANY))
    if kind == "Observation" and analytes is not None:
        after = next(i for i, (name, _) in enumerate(columns) if name == "unit") + 1
        columns.insert(after, ("normalised", lambda resource: _normalised(resource, analytes)))
    return columns


def _at(*paths: str) -> Read:
    """Read the first of several dotted paths that holds anything, in words."""

    def read(resource: Resource) -> str:
        for path in paths:
            shown = [_shown(value) for value in values_at(resource, path)]
            if any(shown):
                return "; ".join(dict.fromkeys(filter(None, shown)))
        return ""

    return read


def values_at(value: Any, path: str) -> list[Any]:
    """Return everything at a dotted path, going into each member of a list on the way."""
    found = [value]
    for name in path.split("."):
        members = [mapping(v).get(name) for v in found]
        found = [item for member in members for item in (member if isinstance(member, list) else [member])]
    return [v for v in found if v is not None]


def _shown(value: Any) -> str:
    """A datatype in words, told by its members."""
    if not isinstance(value, dict):
        return scalar(value)
    if "coding" in value or set(value) == {"text"}:
        return concept(value) or ",".join(codes(value))
    if "start" in value or "end" in value:
        return f"{string(value.get('start')) or '?'}..{string(value.get('end')) or '?'}"
    if "low" in value or "high" in value:
        return f"{quantity(value.get('low')) or '?'}-{quantity(value.get('high')) or '?'}"
    if "family" in value or "given" in value:
        given = [string(name) for name in value.get("given") or ()] if isinstance(value.get("given"), list) else []
        return " ".join([*given, string(value.get("family"))]).strip()
    if "reference" in value or "identifier" in value:
        return string(value.get("reference")) or string(value.get("display"))
    if "code" in value and "display" in value:
        return string(value["display"]) or string(value["code"])
    if "value" in value:
        return quantity(value) if "system" not in value or "unit" in value else scalar(value["value"])
    parts = (value.get(name) for name in ("text", "title", "display", "code", "line", "city"))
    return " ".join(scalar(part) for part in parts if scalar(part))


def _coded(path: str) -> Read:
    """Read the codes at a path, without their words."""
    return lambda resource: ",".join(
        dict.fromkeys(code for value in values_at(resource, path) for code in codes(value))
    )


def _id(resource: Resource) -> str:
    return string(resource.get("id"))


def _when(resource: Resource) -> str:
    moment = when(resource)
    return moment if isinstance(moment, str) else ""


def _value(resource: Resource) -> str:
    """The value without its unit; a panel's components, and why there is no value."""
    parts = objects(resource.get("component"))
    if parts:
        return "; ".join(f"{named(part) or 'unnamed'} {_whole_value(part)}" for part in parts)
    measured = mapping(resource.get("valueQuantity"))
    if "value" in measured:
        return string(measured.get("comparator")) + scalar(measured["value"])
    return _whole_value(resource)


def _whole_value(part: Resource) -> str:
    for name in part:
        if name.startswith("value"):
            value = part[name]
            return quantity(value) if name == "valueQuantity" else _shown(value)
    absent = concept(part.get("dataAbsentReason")) or ",".join(codes(part.get("dataAbsentReason")))
    return f"(none: {absent})" if absent else ""


def _unit(resource: Resource) -> str:
    measured = mapping(resource.get("valueQuantity"))
    return string(measured.get("unit")) or string(measured.get("code"))


def _normalised(resource: Resource, analytes: Analytes) -> str:
    """Value and unit of the analyte where they differ from what is recorded, or why there are none."""
    measured = mapping(resource.get("valueQuantity"))
    analyte = analytes.of(resource) if "value" in measured else None
    if analyte is None:
        return ""
    try:
        result = normalised(measured, analyte)
    except UsageError as error:
        return f"({error})"
    if analyte.unit in (measured.get("unit"), measured.get("code")):
        return ""
    return f"{string(measured.get('comparator'))}{result.value:.4g} {result.unit}"


def _range(resource: Resource) -> str:
    return "; ".join(_limits(limits) for limits in objects(resource.get("referenceRange")))


def _limits(limits: Mapping[str, Any]) -> str:
    low, high = (scalar(mapping(limits.get(end)).get("value")) for end in ("low", "high"))
    if low and high:
        return f"{low}-{high}"
    return f">={low}" if low else f"<={high}" if high else string(limits.get("text"))


def _drug(resource: Resource) -> str:
    reference = mapping(resource.get("medicationReference"))
    return named(resource) or string(reference.get("reference"))


def _doses(*names: str) -> Read:
    def read(resource: Resource) -> str:
        given = [dose for name in names for dose in objects(resource.get(name))]
        return "; ".join(filter(None, (dosage(dose) for dose in given)))

    return read


def _given_dose(resource: Resource) -> str:
    given = mapping(resource.get("dosage"))
    parts = (quantity(given.get("dose")), quantity(given.get("rateQuantity")), concept(given.get("route")))
    return string(given.get("text")) or " ".join(filter(None, parts))


def _attachments(resource: Resource) -> str:
    kinds = [string(kind) for kind in values_at(resource, "content.attachment.contentType")]
    return ", ".join(kinds)


_STATUS = ("status", _at("status"))
_CODE, _TEXT = ("code", _coded("code")), ("text", _at("code"))

_ANY: tuple[tuple[str, Read], ...] = (("id", _id), ("date", _when), _CODE, _TEXT, _STATUS)
"""Columns of a type without a set of its own."""

COLUMNS: Mapping[str, tuple[tuple[str, Read], ...]] = {
    "Observation": (
        ("id", _id),
        ("date", _when),
        _CODE,
        _TEXT,
        ("value", _value),
        ("unit", _unit),
        ("range", _range),
        ("flag", _coded("interpretation")),
        _STATUS,
    ),
    "Condition": (
        ("id", _id),
        ("onset", _at("onsetDateTime", "onsetPeriod", "onsetAge", "onsetString")),
        ("recorded", _at("recordedDate")),
        ("abated", _at("abatementDateTime", "abatementPeriod", "abatementString")),
        _CODE,
        _TEXT,
        ("clinical", _coded("clinicalStatus")),
        ("verification", _coded("verificationStatus")),
        ("category", _at("category")),
    ),
    "MedicationRequest": (
        ("id", _id),
        ("authored", _at("authoredOn")),
        ("code", _coded("medicationCodeableConcept")),
        ("text", _drug),
        ("dose", _doses("dosageInstruction")),
        _STATUS,
        ("intent", _at("intent")),
    ),
    "MedicationStatement": (
        ("id", _id),
        ("taken", _at("effectiveDateTime", "effectivePeriod")),
        ("code", _coded("medicationCodeableConcept")),
        ("text", _drug),
        ("dose", _doses("dosage")),
        _STATUS,
    ),
    "MedicationAdministration": (
        ("id", _id),
        ("given", _at("effectiveDateTime", "effectivePeriod")),
        ("code", _coded("medicationCodeableConcept")),
        ("text", _drug),
        ("dose", _given_dose),
        _STATUS,
    ),
    "AllergyIntolerance": (
        ("id", _id),
        ("recorded", _at("recordedDate")),
        _CODE,
        _TEXT,
        ("reaction", _at("reaction.manifestation")),
        ("criticality", _at("criticality")),
        ("clinical", _coded("clinicalStatus")),
        ("verification", _coded("verificationStatus")),
    ),
    "Procedure": (
        ("id", _id),
        ("performed", _at("performedDateTime", "performedPeriod", "performedString")),
        _CODE,
        _TEXT,
        ("reason", _at("reasonCode")),
        _STATUS,
    ),
    "ServiceRequest": (
        ("id", _id),
        ("authored", _at("authoredOn")),
        _CODE,
        _TEXT,
        ("due", _at("occurrenceDateTime", "occurrencePeriod")),
        ("priority", _at("priority")),
        _STATUS,
        ("intent", _at("intent")),
    ),
    "DiagnosticReport": (
        ("id", _id),
        ("date", _when),
        _CODE,
        _TEXT,
        ("conclusion", _at("conclusion", "conclusionCode")),
        ("results", _at("result")),
        _STATUS,
    ),
    "Encounter": (
        ("id", _id),
        ("period", _at("period")),
        ("class", _at("class.code")),
        ("type", _at("type")),
        ("reason", _at("reasonCode")),
        _STATUS,
    ),
    "Immunization": (
        ("id", _id),
        ("given", _at("occurrenceDateTime", "occurrenceString")),
        ("code", _coded("vaccineCode")),
        ("text", _at("vaccineCode")),
        _STATUS,
    ),
    "DocumentReference": (
        ("id", _id),
        ("date", _at("date")),
        ("type", _at("type")),
        ("title", _at("description", "content.attachment.title")),
        ("content", _attachments),
        _STATUS,
    ),
    "ImagingStudy": (
        ("id", _id),
        ("started", _at("started")),
        ("modality", _at("modality.code", "series.modality.code")),
        ("text", _at("description", "procedureCode")),
        _STATUS,
    ),
    "Patient": (
        ("id", _id),
        ("name", _at("name")),
        ("born", _at("birthDate")),
        ("gender", _at("gender")),
        ("identifier", _at("identifier.value")),
        ("deceased", _at("deceasedDateTime", "deceasedBoolean")),
        ("telecom", _at("telecom.value")),
        ("address", _at("address.text", "address")),
    ),
    "Practitioner": (("id", _id), ("name", _at("name")), ("identifier", _at("identifier.value"))),
    "PractitionerRole": (
        ("id", _id),
        ("practitioner", _at("practitioner")),
        ("organization", _at("organization")),
        ("role", _at("code")),
        ("specialty", _at("specialty")),
    ),
    "Organization": (("id", _id), ("name", _at("name")), ("type", _at("type"))),
    "Location": (("id", _id), ("name", _at("name")), ("type", _at("type")), _STATUS),
    "Medication": (("id", _id), _CODE, _TEXT, ("form", _at("form")), _STATUS),
    "CarePlan": (
        ("id", _id),
        ("period", _at("period")),
        ("title", _at("title", "category", "description")),
        ("activity", _at("activity.detail.code", "activity.detail.description")),
        _STATUS,
        ("intent", _at("intent")),
    ),
    "ClinicalImpression": (
        ("id", _id),
        ("date", _when),
        ("summary", _at("summary", "description")),
        ("finding", _at("finding.itemCodeableConcept")),
        _STATUS,
    ),
    "RiskAssessment": (
        ("id", _id),
        ("date", _when),
        ("outcome", _at("prediction.outcome")),
        ("probability", _at("prediction.probabilityDecimal", "prediction.qualitativeRisk")),
        _STATUS,
    ),
    "Task": (
        ("id", _id),
        ("authored", _at("authoredOn")),
        _TEXT,
        ("description", _at("description")),
        ("focus", _at("focus")),
        ("priority", _at("priority")),
        _STATUS,
    ),
    "Communication": (
        ("id", _id),
        ("sent", _at("sent")),
        ("content", _at("payload.contentString")),
        ("sender", _at("sender")),
        _STATUS,
    ),
    "Appointment": (
        ("id", _id),
        ("start", _at("start")),
        ("end", _at("end")),
        ("text", _at("description", "serviceType", "appointmentType")),
        _STATUS,
    ),
    "Provenance": (("id", _id), ("recorded", _at("recorded")), ("target", _at("target")), ("agent", _at("agent.who"))),
    "AuditEvent": (
        ("id", _id),
        ("recorded", _at("recorded")),
        ("action", _at("action")),
        ("outcome", _at("outcome")),
        ("agent", _at("agent.who")),
    ),
}
"""Columns by type: what a clinician looks at first. `read_resource` shows all there is."""
