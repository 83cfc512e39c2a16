"""What becomes of each element of a FHIR R4 (4.0.1) resource, by type and path.

Elements are told by their path where the type decides, and by the name of the element where its data type does: in R4
an element called `telecom` is a ContactPoint, `address` an Address and `identifier` an Identifier wherever it stands
(hl7.org/fhir/R4/datatypes.html). What no rule names is treated by its form: whole dates are moved, other texts are
searched, numbers, codes and booleans stay. A new or unknown element is therefore never let through unread.
"""

from __future__ import annotations

from enum import StrEnum

from wardround.trace.redaction.classes import Identifier


class Action(StrEnum):
    """What is done to an element."""

    REMOVE = "remove"
    """Taken out, and counted under its path."""
    NAME = "name"
    """A HumanName becomes a label."""
    PLACE_NAME = "place_name"
    """The name of an institution becomes a label, that of a ward or department is searched as a text."""
    ADDRESS = "address"
    """State and country stay."""
    TELECOM = "telecom"
    """System and use stay."""
    IDENTIFIER = "identifier"
    """The value becomes a keyed name; type and system stay."""
    RENAME = "rename"
    """An id or number becomes a keyed name."""
    UID = "uid"
    """A DICOM UID becomes another."""
    REFERENCE = "reference"
    ATTACHMENT = "attachment"
    """Texts are searched, anything else is taken out."""
    NARRATIVE = "narrative"
    BIRTH = "birth"
    AGE = "age"
    """Years over 89 become 90."""
    KEEP = "keep"


BY_PATH: dict[str, tuple[Action, Identifier]] = {
    "Patient.photo": (Action.REMOVE, Identifier.PHOTOGRAPH),
    "Practitioner.photo": (Action.REMOVE, Identifier.PHOTOGRAPH),
    "RelatedPerson.photo": (Action.REMOVE, Identifier.PHOTOGRAPH),
    "Person.photo": (Action.REMOVE, Identifier.PHOTOGRAPH),
    "Patient.text": (Action.REMOVE, Identifier.NAME),
    "Practitioner.text": (Action.REMOVE, Identifier.NAME),
    "RelatedPerson.text": (Action.REMOVE, Identifier.NAME),
    "Person.text": (Action.REMOVE, Identifier.NAME),
    "Patient.birthDate": (Action.BIRTH, Identifier.DATE),
    "RelatedPerson.birthDate": (Action.REMOVE, Identifier.DATE),
    "Practitioner.birthDate": (Action.REMOVE, Identifier.DATE),
    "Person.birthDate": (Action.REMOVE, Identifier.DATE),
    "FamilyMemberHistory.bornDate": (Action.REMOVE, Identifier.DATE),
    "FamilyMemberHistory.name": (Action.REMOVE, Identifier.NAME),
    "Organization.name": (Action.PLACE_NAME, Identifier.PLACE),
    "Organization.alias": (Action.REMOVE, Identifier.PLACE),
    "Location.name": (Action.PLACE_NAME, Identifier.PLACE),
    "Location.alias": (Action.REMOVE, Identifier.PLACE),
    "Location.position": (Action.REMOVE, Identifier.PLACE),
    "Device.serialNumber": (Action.RENAME, Identifier.DEVICE),
    "Device.distinctIdentifier": (Action.RENAME, Identifier.DEVICE),
    "Device.lotNumber": (Action.RENAME, Identifier.DEVICE),
    "Device.udiCarrier": (Action.REMOVE, Identifier.DEVICE),
    "Device.url": (Action.REMOVE, Identifier.URL),
    "Coverage.subscriberId": (Action.RENAME, Identifier.HEALTH_PLAN),
    "Coverage.dependent": (Action.RENAME, Identifier.HEALTH_PLAN),
    "Coverage.class.value": (Action.RENAME, Identifier.HEALTH_PLAN),
    "Coverage.class.name": (Action.REMOVE, Identifier.HEALTH_PLAN),
    "Account.name": (Action.REMOVE, Identifier.ACCOUNT),
    "ImagingStudy.series.uid": (Action.UID, Identifier.OTHER),
    "ImagingStudy.series.instance.uid": (Action.UID, Identifier.OTHER),
    "AuditEvent.agent.network.address": (Action.REMOVE, Identifier.IP_ADDRESS),
    "AuditEvent.agent.name": (Action.REMOVE, Identifier.NAME),
    "AuditEvent.agent.altId": (Action.RENAME, Identifier.OTHER),
    "AuditEvent.entity.name": (Action.REMOVE, Identifier.OTHER),
    "AuditEvent.entity.query": (Action.REMOVE, Identifier.OTHER),
    "Provenance.signature": (Action.REMOVE, Identifier.BIOMETRIC),
    "Bundle.signature": (Action.REMOVE, Identifier.BIOMETRIC),
    "Bundle.link": (Action.REMOVE, Identifier.URL),
    "Binary.data": (Action.ATTACHMENT, Identifier.PHOTOGRAPH),
    "BodyStructure.image": (Action.REMOVE, Identifier.PHOTOGRAPH),
    "Media.content": (Action.ATTACHMENT, Identifier.PHOTOGRAPH),
}
"""By type and path; the letter of each class in the rule is in `classes.PARAGRAPH`."""

BY_NAME: dict[str, tuple[Action, Identifier]] = {
    "id": (Action.RENAME, Identifier.RECORD_NUMBER),
    "telecom": (Action.TELECOM, Identifier.PHONE),
    "valueContactPoint": (Action.TELECOM, Identifier.PHONE),
    "address": (Action.ADDRESS, Identifier.PLACE),
    "valueAddress": (Action.ADDRESS, Identifier.PLACE),
    "valueHumanName": (Action.NAME, Identifier.NAME),
    "reference": (Action.REFERENCE, Identifier.RECORD_NUMBER),
    "fullUrl": (Action.REFERENCE, Identifier.URL),
    "attachment": (Action.ATTACHMENT, Identifier.PHOTOGRAPH),
    "valueAttachment": (Action.ATTACHMENT, Identifier.PHOTOGRAPH),
    "contentAttachment": (Action.ATTACHMENT, Identifier.PHOTOGRAPH),
    "presentedForm": (Action.ATTACHMENT, Identifier.PHOTOGRAPH),
    "div": (Action.NARRATIVE, Identifier.NAME),
    "onsetAge": (Action.AGE, Identifier.AGE),
    "abatementAge": (Action.AGE, Identifier.AGE),
    "ageAge": (Action.AGE, Identifier.AGE),
    "deceasedAge": (Action.AGE, Identifier.AGE),
    "performedAge": (Action.AGE, Identifier.AGE),
    "occurrenceAge": (Action.AGE, Identifier.AGE),
    "valueAge": (Action.AGE, Identifier.AGE),
}
"""By the name of the element, wherever it stands."""

EXTENSIONS: dict[str, Identifier] = {
    "patient-mothersMaidenName": Identifier.NAME,
    "patient-birthPlace": Identifier.PLACE,
    "geolocation": Identifier.PLACE,
}
"""Extensions that are taken out, by the end of their address."""

_CODED_WORDS = """
resourceType system code version versionId status intent use mode contentType language gender priority unit comparator
criticality verificationStatus clinicalStatus docStatus profile kind relationship preference reaction severity
numberOfSeries lotNumber type method resourceDefinition instantiatesCanonical
"""
CODED = frozenset(_CODED_WORDS.split())
"""Elements whose text is a code, a unit or the address of a code system where it is a plain string."""

URL_KEYS = frozenset(("url", "uri", "valueUri", "valueUrl", "valueCanonical"))
"""Addresses: those of definitions stay, the others are searched."""


def rule_of(path: str, key: str, value: object) -> tuple[Action, Identifier] | None:
    """Return the rule of an element, if there is one.

    Args:
        path: From the type of the resource on, such as `Patient.contact.name`.
        key: The last part of the path.
        value: What stands there; a `name` that is an object is a HumanName.
    """
    if path.endswith(".meta.source"):
        return Action.REMOVE, Identifier.URL
    rule = BY_PATH.get(path) or BY_NAME.get(key)
    if rule is None and (key.lower().endswith("identifier") or key == "requisition"):
        return Action.IDENTIFIER, Identifier.OTHER
    if rule is None and key == "name" and (isinstance(value, dict) or (isinstance(value, list) and value)):
        return (Action.NAME, Identifier.NAME) if all(isinstance(v, dict) for v in _listed(value)) else None
    return rule


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
