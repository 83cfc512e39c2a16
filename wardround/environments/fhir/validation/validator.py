"""Whether a resource is one that R4 allows, and if not, where and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from wardround.core.errors import UsageError
from wardround.environments.fhir.outcome import Issue
from wardround.environments.fhir.validation.r4b import model_issues
from wardround.environments.fhir.validation.structure import Walk

PROFILES: Final = ("r4", "medagentbench")


def validate(resource: Mapping[str, Any], *, profile: str = "r4") -> list[Issue]:
    """Return what is wrong with a resource; nothing, if it is valid.

    The definitions are asked first, of members, JSON types, forms, codes and references. The rules that span members
    are asked where the JSON types are right, and the typed models of what has no error by then. A resource with
    warnings alone is one that R4 allows.

    Args:
        resource: Parsed JSON; decimals may be `Decimal`, `float` or `int`.
        profile: `r4`, or `medagentbench`, which lets two shapes of that benchmark pass with a warning:
            `ServiceRequest.note` as an object, and `MedicationRequest.dosageInstruction.route` as a string.

    Raises:
        UsageError: There is no such profile.
        MissingExtra: `fhir.resources` is not installed.
    """
    if profile not in PROFILES:
        raise UsageError(f"there is no profile '{profile}'; use one of {', '.join(PROFILES)}")
    warnings: list[Issue] = []
    if profile == "medagentbench" and isinstance(resource, Mapping):
        resource, warnings = _as_r4(resource)
    walk = Walk()
    walk.resource(resource, "")
    issues = walk.issues + (_broken(walk) if walk.is_sound else [])
    if not any(issue.severity == "error" for issue in issues):
        issues += model_issues(resource, walk.types)
    return warnings + issues


def _broken(walk: Walk) -> list[Issue]:
    return [
        Issue(rule.severity, "invariant", f"{rule.key}: {rule.says}", (f"{path}.{rule.at}" if rule.at else path,))
        for shape, node, path in walk.judged
        for rule in shape.invariants
        if not rule.holds(node)
    ]


def _as_r4(resource: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[Issue]]:
    """Give what a resource of the benchmark means in R4, and a warning for each place that is not R4."""
    kind = resource.get("resourceType")
    if kind == "ServiceRequest" and isinstance(note := resource.get("note"), Mapping):
        warning = Issue("warning", "structure", "R4 wants a list of notes", ("ServiceRequest.note",))
        return {**resource, "note": [note]}, [warning]
    dosages = resource.get("dosageInstruction")
    if kind != "MedicationRequest" or not isinstance(dosages, list):
        return resource, []
    warnings = [
        Issue("warning", "structure", "R4 wants a CodeableConcept", (f"{kind}.dosageInstruction[{place}].route",))
        for place, dosage in enumerate(dosages)
        if _has_bare_route(dosage)
    ]
    mended = [{**each, "route": {"text": each["route"]}} if _has_bare_route(each) else each for each in dosages]
    return ({**resource, "dosageInstruction": mended} if warnings else resource), warnings


def _has_bare_route(dosage: object) -> bool:
    return isinstance(dosage, Mapping) and isinstance(dosage.get("route"), str)
