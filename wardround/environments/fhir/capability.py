"""The CapabilityStatement, made from the tables that carry out search, so that it cannot say what is not so."""

from __future__ import annotations

from typing import Any

from wardround.environments.fhir.dates import instant
from wardround.environments.fhir.definitions import COMMON, ResourceType, definitions
from wardround.environments.fhir.exchange import Request
from wardround.environments.fhir.operations import OPERATIONS
from wardround.environments.fhir.searching.conditions import is_served

FHIR_VERSION = "4.0.1"
_READS = ("read", "vread", "history-instance", "history-type", "search-type")
_WRITES = ("create", "update", "patch", "delete")


def capability_statement(request: Request) -> dict[str, Any]:
    """Return what the server can do."""
    from wardround import __version__

    types = definitions().types
    is_read_only = request.profile.is_read_only
    system = ["batch", "history-system"] if is_read_only else ["transaction", "batch", "history-system"]
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": instant(request.state.now()),
        "kind": "instance",
        "software": {"name": "Wardround sandbox", "version": __version__},
        "implementation": {
            "description": f"FHIR sandbox, profile {request.profile.name}; synthetic data, not for care",
            "url": request.base,
        },
        "fhirVersion": FHIR_VERSION,
        "format": ["json"],
        "patchFormat": ["application/json-patch+json", "application/merge-patch+json"],
        "rest": [
            {
                "mode": "server",
                "resource": [_resource(types[name], types, is_read_only) for name in types],
                "interaction": [{"code": code} for code in system],
                "searchParam": [{"name": name, "type": type_} for name, type_ in COMMON.items()],
                "compartment": [
                    f"http://hl7.org/fhir/CompartmentDefinition/{name.lower()}" for name in definitions().compartments
                ],
            }
        ],
    }


def served_parameters(type_: ResourceType) -> dict[str, str]:
    """Return the search parameters that can be used on a type, with their types."""
    own = {p.name: p.type for p in type_.parameters.values() if is_served(p)}
    return own | dict(COMMON)


def _resource(type_: ResourceType, types: Any, is_read_only: bool) -> dict[str, Any]:
    references = [p.name for p in type_.parameters.values() if p.type == "reference" and p.paths]
    pointing = [
        f"{other.name}:{p.name}"
        for other in types.values()
        for p in other.parameters.values()
        if p.type == "reference" and p.paths and (not p.targets or type_.name in p.targets)
    ]
    interactions = _READS if is_read_only else _READS + _WRITES
    operations = [name for name, served in OPERATIONS.items() if type_.name in served]
    return {
        "type": type_.name,
        "profile": f"http://hl7.org/fhir/StructureDefinition/{type_.name}",
        "interaction": [{"code": code} for code in interactions],
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": not is_read_only,
        "conditionalCreate": not is_read_only,
        "conditionalRead": "not-match",
        "conditionalUpdate": not is_read_only,
        "conditionalDelete": "not-supported" if is_read_only else "single",
        "searchInclude": ["*", *(f"{type_.name}:{name}" for name in references)],
        "searchRevInclude": pointing,
        "searchParam": [{"name": name, "type": kind} for name, kind in served_parameters(type_).items()],
        "operation": [
            {"name": name, "definition": f"http://hl7.org/fhir/OperationDefinition/{_definition(name, type_.name)}"}
            for name in operations
        ],
    }


def _definition(name: str, type_: str) -> str:
    return f"{'Resource' if name == 'validate' else type_}-{name}"
