"""What an agent is told of the server: the reads and writes that the tasks need, in the form of MedAgentBench's list.

Each entry has a name (method and address), a description and a JSON Schema of its parameters. A GET takes them as
query, a POST as the JSON body. What is there is changed by a transaction, since a text agent has GET and POST alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

_PATIENT = {"type": "string", "description": "Id of the Patient, such as p000001, or Patient/p000001."}
_DATE = {
    "type": "string",
    "description": "Date or time with an optional prefix (ge, gt, le, lt), such as ge2023-11-12T10:15:00Z; may be "
    "given twice for a span.",
}
_SORT = {"type": "string", "description": "Parameter to sort by, with a minus for descending order, such as -date."}
_COUNT = {"type": "integer", "description": "Most entries of a page (50 unless given, 10000 at most)."}


def _text(description: str) -> Schema:
    return {"type": "string", "description": description}


def _fixed(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


def _object(properties: Mapping[str, Schema], required: tuple[str, ...]) -> Schema:
    return {"type": "object", "properties": dict(properties), "required": list(required)}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _get(kind: str, description: str, params: Mapping[str, Schema], *, of_patient: bool = True) -> Mapping[str, Any]:
    own = {"patient": _PATIENT, **params} if of_patient else params
    properties = {**own, "_sort": _SORT, "_count": _COUNT}
    required = ("patient",) if of_patient else ()
    return {"name": f"GET {{api_base}}/{kind}", "description": description, "parameters": _object(properties, required)}


def _post(
    kind: str, description: str, properties: Mapping[str, Schema], required: tuple[str, ...]
) -> Mapping[str, Any]:
    body = {"resourceType": _fixed(kind or "Bundle"), **properties}
    address = f"POST {{api_base}}/{kind}" if kind else "POST {api_base}"
    return {"name": address, "description": description, "parameters": _object(body, ("resourceType", *required))}


_CODING = _object({"system": _text("Code system."), "code": _text("Code in it."), "display": _text("Its name.")}, ())
_CONCEPT = _object({"coding": _list(_CODING), "text": _text("In words.")}, ())
_QUANTITY = _object(
    {
        "value": {"type": "number"},
        "unit": _text("Unit in words."),
        "system": _fixed("http://unitsofmeasure.org"),
        "code": _text("UCUM code of the unit."),
    },
    ("value",),
)
_SUBJECT = _object({"reference": _text("Patient/ and the id of the Patient.")}, ("reference",))
_TIME = _text("Time with its zone, such as 2023-11-13T10:15:00+00:00.")
_STATUS = _text("Keeps those with this status.")
_CODE = _text("Keeps those with this code; several with commas between mean any of them.")
_REPEAT = _object(
    {
        "frequency": {"type": "integer"},
        "period": {"type": "number"},
        "periodUnit": _fixed("h", "d", "wk"),
        "count": {"type": "integer"},
        "duration": {"type": "number"},
        "durationUnit": _fixed("min", "h"),
    },
    (),
)
_DOSAGE = _object(
    {
        "timing": _object({"repeat": _REPEAT}, ()),
        "route": _CONCEPT,
        "doseAndRate": _list(_object({"doseQuantity": _QUANTITY}, ("doseQuantity",))),
    },
    ("route", "doseAndRate"),
)
_COMPONENT = _object({"code": _CONCEPT, "valueQuantity": _QUANTITY}, ("code", "valueQuantity"))
_REQUEST = _object({"method": _fixed("PUT", "POST"), "url": _text("Type/id, or Type for POST.")}, ("method", "url"))
_ENTRY = _object({"resource": {"type": "object"}, "request": _REQUEST}, ("resource", "request"))

FUNCTIONS: tuple[Mapping[str, Any], ...] = (
    _get(
        "Patient",
        "Find patients; each part that is given must fit.",
        {
            "identifier": _text("A record number, with or without its system and | before it."),
            "family": _text("Beginning of the family name."),
            "given": _text("Beginning of a given name."),
            "birthdate": _text("Date of birth as YYYY-MM-DD."),
            "gender": _fixed("female", "male", "other", "unknown"),
            "address-city": _text("Beginning of the town."),
        },
        of_patient=False,
    ),
    _get(
        "Observation", "Read results and vital signs.",
        {"code": _CODE, "date": _DATE, "status": _STATUS, "category": _fixed("laboratory", "vital-signs")},
    ),
    _get(
        "Condition", "Read diagnoses and the problem list.",
        {"code": _CODE, "clinical-status": _text("Keeps those with this clinical status.")},
    ),
    _get("AllergyIntolerance", "Read allergies, and whether none are known.", {}),
    _get("MedicationRequest", "Read prescriptions.", {"code": _CODE, "status": _STATUS, "authoredon": _DATE}),
    _get("MedicationAdministration", "Read which drugs were given.", {"code": _CODE, "status": _STATUS}),
    _get(
        "Immunization", "Read immunisations, also those that were not done.",
        {"vaccine-code": _CODE, "date": _DATE, "status": _STATUS},
    ),
    _get(
        "Encounter", "Read visits and stays.",
        {"class": _text("AMB outpatient visit, EMER emergency, IMP inpatient stay."), "date": _DATE, "status": _STATUS},
    ),
    _get("Procedure", "Read procedures.", {"code": _CODE, "date": _DATE}),
    _get("ServiceRequest", "Read orders and referrals.", {"code": _CODE, "status": _STATUS, "authored": _DATE}),
    _get("DiagnosticReport", "Read reports.", {"code": _CODE, "date": _DATE}),
    _post(
        "Observation", "Write a vital sign or another measurement.",
        {
            "status": _fixed("final"), "category": _list(_CONCEPT), "code": _CONCEPT, "subject": _SUBJECT,
            "effectiveDateTime": _TIME, "valueQuantity": _QUANTITY, "component": _list(_COMPONENT),
        },
        ("status", "category", "code", "subject", "effectiveDateTime"),
    ),
    _post(
        "MedicationRequest", "Order a drug.",
        {
            "status": _fixed("active"), "intent": _fixed("order"), "medicationCodeableConcept": _CONCEPT,
            "subject": _SUBJECT, "authoredOn": _TIME, "dosageInstruction": _list(_DOSAGE),
        },
        ("status", "intent", "medicationCodeableConcept", "subject", "authoredOn", "dosageInstruction"),
    ),
    _post(
        "ServiceRequest", "Order a test or refer to a specialty.",
        {
            "status": _fixed("active"), "intent": _fixed("order"), "priority": _fixed("routine", "urgent", "stat"),
            "code": _CONCEPT, "subject": _SUBJECT, "authoredOn": _TIME, "occurrenceDateTime": _TIME,
            "performerType": _CONCEPT, "note": _list(_object({"text": _text("Free text.")}, ("text",))),
        },
        ("status", "intent", "priority", "code", "subject", "authoredOn"),
    ),
    _post(
        "", "Change a resource that is there: a transaction with one entry for each change. Send the resource whole, "
        "as it was read but for the change.",
        {"type": _fixed("transaction"), "entry": _list(_ENTRY)}, ("type", "entry"),
    ),
)  # fmt: skip
"""All functions."""
