"""A write as it is shown to the person who has to agree to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wardround.tools.fhir.access import mapping, objects, string
from wardround.tools.fhir.phrases import coded_dosage, named
from wardround.tools.fhir.wording import words


@dataclass(frozen=True)
class Proposal:
    """What is about to be written, should the person agree."""

    method: str
    """POST, PUT, PATCH or DELETE."""
    path: str
    """Below the server's base address."""
    body: Any
    """What would be sent."""
    summary: str
    """In words, one line."""
    warnings: tuple[str, ...] = ()
    """Possible duplicates, documented allergies, and what could not be checked."""


def summary_of(method: str, path: str, body: Any) -> str:
    """Return what a write does, in one line.

    >>> summary_of("DELETE", "Condition/7", None)
    'delete Condition/7'
    """
    if method == "DELETE":
        return f"delete {path}"
    if method == "PATCH":
        return f"change {len(body) if isinstance(body, list) else 'some'} elements of {path}"
    resource = mapping(body)
    kind = string(resource.get("resourceType"))
    if kind == "Bundle":
        inside = [
            string(mapping(entry.get("resource")).get("resourceType")) for entry in objects(resource.get("entry"))
        ]
        return f"{resource.get('type')} of {len(inside)} entries: {', '.join(sorted(set(filter(None, inside))))}"
    verb = "replace" if method == "PUT" else _VERBS.get(kind, "create")
    what = _WRITERS.get(kind, _plainly)(resource)
    target = path if method == "PUT" else kind
    about = f" for {who}" if (who := _subject(resource)) else ""
    return f"{verb} {target}: {what}{about}{_status(resource)}"


_VERBS = {"MedicationRequest": "order", "ServiceRequest": "order"}


def _subject(resource: Mapping[str, Any]) -> str:
    for name in ("subject", "patient", "for"):
        owner = mapping(resource.get(name))
        if owner:
            return string(owner.get("reference")) or string(owner.get("display"))
    return ""


def _status(resource: Mapping[str, Any]) -> str:
    said = [string(resource.get(name)) for name in ("status", "intent", "priority")]
    return f" ({', '.join(filter(None, said))})" if any(said) else ""


def _medication(resource: Mapping[str, Any]) -> str:
    instructions = objects(resource.get("dosageInstruction"))
    # text and coded dose may differ: the person has to see both
    doses = [part for i in instructions for part in (string(i.get("text")), coded_dosage(i)) if part]
    return "; ".join([named(resource) or "unnamed drug", *doses])


def _order(resource: Mapping[str, Any]) -> str:
    when = string(resource.get("occurrenceDateTime"))
    return (named(resource) or "unnamed order") + (f", at {when}" if when else "")


def _observation(resource: Mapping[str, Any]) -> str:
    return words(resource).strip() or named(resource) or "without a value"


def _plainly(resource: Mapping[str, Any]) -> str:
    return named(resource) or words(resource).strip() or "without a name"


_WRITERS = {
    "MedicationRequest": _medication,
    "ServiceRequest": _order,
    "Observation": _observation,
}
