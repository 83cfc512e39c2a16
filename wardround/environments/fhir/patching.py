"""Partial change of a resource: JSON Patch (RFC 6902) by the jsonpatch library, and JSON Merge Patch (RFC 7396)."""

from __future__ import annotations

from typing import Any

import jsonpatch
import jsonpointer

from wardround.environments.fhir.codec import measure, parse
from wardround.environments.fhir.outcome import bad_request, refusal

MAX_OPERATIONS = 1_000
"""Most operations of one patch."""
MAX_VALUES = 200_000
"""Most JSON values that a resource may have after a copy: each copy can double it."""


def patched(body: str, change: Any, content_type: str) -> dict[str, Any]:
    """Return a resource as it is after a patch.

    Args:
        body: The resource as stored.
        change: A list of JSON Patch operations, or an object to merge, which fhirpy sends.
        content_type: As the client gave it.

    Raises:
        FhirError: 400 for a patch that is none, 422 for one that cannot be applied.
    """
    resource = parse(body)
    if isinstance(change, list):
        return _by_operations(resource, change)
    if isinstance(change, dict) and change.get("resourceType") == "Parameters":
        raise refusal(415, "not-supported", "FHIRPath Patch is not served; send JSON Patch or an object to merge")
    if isinstance(change, dict) and "json-patch" not in content_type:
        merged = merge(resource, change)
        assert isinstance(merged, dict)
        _check_size(merged)
        return merged
    raise bad_request("the body is no patch; send a list of JSON Patch operations, or an object to merge")


def _by_operations(resource: dict[str, Any], operations: list[Any]) -> dict[str, Any]:
    if len(operations) > MAX_OPERATIONS:
        raise refusal(413, "too-long", f"the patch has more than {MAX_OPERATIONS} operations; send it in parts")
    result: Any = resource
    for place, operation in enumerate(operations):
        try:
            result = jsonpatch.JsonPatch([operation]).apply(result, in_place=True)
        except jsonpatch.JsonPatchTestFailed as error:
            raise refusal(422, "conflict", f"operation {place}, a test, failed: {_line(error)}") from None
        except (jsonpatch.JsonPatchConflict, jsonpointer.JsonPointerException) as error:
            raise refusal(422, "processing", f"operation {place} cannot be applied: {_line(error)}") from None
        except (jsonpatch.InvalidJsonPatch, TypeError, ValueError, AttributeError, KeyError) as error:
            raise bad_request(f"operation {place} is no JSON Patch operation: {_line(error)}") from None
        if isinstance(operation, dict) and operation.get("op") == "copy":
            _check_size(result)
    if not isinstance(result, dict):
        raise refusal(422, "processing", "the patch leaves no resource")
    _check_size(result)
    return result


def _check_size(result: Any) -> None:
    try:
        count = measure(result)
    except ValueError as error:
        raise refusal(422, "too-long", f"the patch leaves a resource that is {error}") from None
    if count > MAX_VALUES:
        raise refusal(422, "too-long", f"the patch leaves a resource of {count} values, more than {MAX_VALUES}")


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def merge(target: Any, change: Any) -> Any:
    """Return JSON after a merge patch: null removes a member, objects are merged, all else replaces."""
    if not isinstance(change, dict):
        return change
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in change.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge(result.get(name), value)
    return result
