"""An OpenAPI description of the server, made from the same definitions as the CapabilityStatement."""

from __future__ import annotations

from typing import Any

from wardround.environments.fhir.capability import served_parameters
from wardround.environments.fhir.definitions import ResourceType, definitions
from wardround.environments.fhir.operations import OPERATIONS

_JSON = "application/fhir+json"
_ERRORS = ("400", "401", "404", "405", "406", "409", "410", "412", "413", "414", "415", "422", "429", "503")


def openapi(base: str) -> dict[str, Any]:
    """Return the description of a server at a base URL."""
    from wardround import __version__

    paths: dict[str, Any] = {
        "/metadata": {"get": _operation("CapabilityStatement", "200")},
        "/_history": {"get": _operation("History of all", "200", parameters=_HISTORY)},
        "/": {"post": _operation("Carry out a batch or transaction", "200", body=True)},
    }
    for type_ in definitions().types.values():
        paths |= _paths(type_)
    return {
        "openapi": "3.0.3",
        "info": {"title": "Wardround FHIR sandbox", "version": __version__},
        "servers": [{"url": base}],
        "paths": paths,
        "components": {"schemas": {"Resource": _RESOURCE}},
    }


_RESOURCE: dict[str, Any] = {
    "type": "object",
    "required": ["resourceType"],
    "properties": {"resourceType": {"type": "string"}, "id": {"type": "string"}},
}


def _paths(type_: ResourceType) -> dict[str, Any]:
    name = type_.name
    one, version = [_in_path("id")], [_in_path("id"), _in_path("vid")]
    found = _search_parameters(type_)
    paths = {
        f"/{name}": _on_type(type_, found),
        f"/{name}/_search": {"post": _operation(f"Search {name}", "200", form=found)},
        f"/{name}/_history": {"get": _operation(f"History of {name}", "200", parameters=_HISTORY)},
        f"/{name}/{{id}}": {
            "get": _operation(f"Read {name}", "200", "304", parameters=[*one, _header("If-None-Match")]),
            "put": _operation(f"Update {name}", "200", "201", body=True, parameters=[*one, _header("If-Match")]),
            "patch": _operation(f"Patch {name}", "200", patch=True, parameters=[*one, _header("If-Match")]),
            "delete": _operation(f"Delete {name}", "204", parameters=[*one, _header("If-Match")]),
        },
        f"/{name}/{{id}}/_history": {"get": _operation(f"History of {name}", "200", parameters=[*one, *_HISTORY])},
        f"/{name}/{{id}}/_history/{{vid}}": {"get": _operation(f"Read a version of {name}", "200", parameters=version)},
    }
    if name in definitions().compartments:
        kinds = {"type": "string", "enum": sorted(definitions().compartments[name])}
        inside = [*one, {"name": "type", "in": "path", "required": True, "schema": kinds}]
        paths[f"/{name}/{{id}}/{{type}}"] = {"get": _operation(f"What belongs to {name}", "200", parameters=inside)}
    for operation, served in OPERATIONS.items():
        if name in served:
            paths |= _operation_path(name, operation)
    return paths


def _on_type(type_: ResourceType, found: list[dict[str, Any]]) -> dict[str, Any]:
    name, condition = type_.name, [_query(each) for each in served_parameters(type_)]
    tag = _header("If-Match")
    return {
        "get": _operation(f"Search {name}", "200", parameters=found),
        "post": _operation(f"Create {name}", "201", "200", body=True, parameters=[_header("If-None-Exist")]),
        "put": _operation(f"Update the one found {name}", "200", "201", body=True, parameters=[*condition, tag]),
        "patch": _operation(f"Patch the one found {name}", "200", patch=True, parameters=[*condition, tag]),
        "delete": _operation(f"Delete the one found {name}", "204", parameters=[*condition, tag]),
    }


def _operation_path(name: str, operation: str) -> dict[str, Any]:
    match operation:
        case "everything":
            parameters = [_in_path("id"), _query("_type"), _query("_since"), _query("_count", "integer")]
            return {f"/{name}/{{id}}/$everything": {"get": _operation("All of it", "200", parameters=parameters)}}
        case "lastn":
            parameters = [_query(p) for p in ("patient", "subject", "code", "category", "max")]
            return {f"/{name}/$lastn": {"get": _operation("Latest of each code", "200", parameters=parameters)}}
    one = [_in_path("id")]
    return {
        f"/{name}/${operation}": {"post": _operation(f"Validate {name}", "200", body=True)},
        f"/{name}/{{id}}/${operation}": {
            "get": _operation(f"Validate the stored {name}", "200", parameters=one),
            "post": _operation(f"Validate {name} for this place", "200", body=True, parameters=one),
        },
    }


def _search_parameters(type_: ResourceType) -> list[dict[str, Any]]:
    shared = [_query("_count", "integer"), _query("_sort"), _query("_include"), _query("_revinclude")]
    return [_query(name) for name in served_parameters(type_)] + shared


def _query(name: str, type_: str = "string") -> dict[str, Any]:
    schema = {"type": type_, "minimum": 0} if type_ == "integer" else {"type": type_}
    return {"name": name, "in": "query", "schema": schema}


def _header(name: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "schema": {"type": "string"}}


def _in_path(name: str) -> dict[str, Any]:
    pattern = r"^[A-Za-z0-9\-.]{1,64}$"
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": pattern}}


_HISTORY = [_query("_count", "integer"), _query("_since")]


_PATCHES: dict[str, Any] = {
    "application/json-patch+json": {
        "schema": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["op", "path"],
                "properties": {
                    "op": {"type": "string", "enum": ["add", "remove", "replace", "move", "copy", "test"]},
                    "path": {"type": "string"},
                    "from": {"type": "string"},
                    "value": {},
                },
            },
        }
    },
    "application/merge-patch+json": {"schema": {"type": "object"}},
}


def _operation(
    summary: str,
    *statuses: str,
    parameters: list[dict[str, Any]] | None = None,
    body: bool = False,
    patch: bool = False,
    form: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    content = {_JSON: {"schema": {"$ref": "#/components/schemas/Resource"}}}
    empty = ("204", "304")
    responses: dict[str, Any] = {
        status: {"description": "done"} if status in empty else {"description": "done", "content": content}
        for status in statuses
    }
    responses |= {status: {"description": "refused", "content": content} for status in _ERRORS}
    described: dict[str, Any] = {"summary": summary, "responses": responses}
    if parameters:
        described["parameters"] = parameters
    if body:
        described["requestBody"] = {"required": True, "content": content}
    if patch:
        described["requestBody"] = {"required": True, "content": _PATCHES}
    if form is not None:
        properties = {parameter["name"]: parameter["schema"] for parameter in form}
        schema = {"type": "object", "properties": properties}
        described["requestBody"] = {"content": {"application/x-www-form-urlencoded": {"schema": schema}}}
    return described
