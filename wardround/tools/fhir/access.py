"""Getting at FHIR JSON that may be of any shape: a wrong type is an absent value, never a crash."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

Resource = Mapping[str, Any]


def concept(value: object) -> str:
    """Return a CodeableConcept in words: its text, or the first display of its codings."""
    concept = mapping(value)
    displays = [string(c.get("display")) for c in objects(concept.get("coding"))]
    return (string(concept.get("text")) or next(filter(None, displays), "")).strip().rstrip(".")


def codes(value: object) -> list[str]:
    """Return all codes of one or several CodeableConcepts."""
    concepts = value if isinstance(value, list) else [value]
    return [code for k in concepts for c in objects(mapping(k).get("coding")) if (code := string(c.get("code")))]


def code(resource: Resource, name: str) -> str | None:
    """Return the first code of an element."""
    return next(iter(codes(resource.get(name))), None)


def objects(value: object) -> list[Any]:
    """Return the JSON objects of a list; anything else is no list of objects."""
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else []


def mapping(value: object) -> Mapping[str, Any]:
    """Return a JSON object; anything else is an empty one."""
    return value if isinstance(value, dict) else {}


def string(value: object) -> str:
    """Return a string; anything else is an empty one."""
    return value if isinstance(value, str) else ""


def scalar(value: object) -> str:
    """Return a primitive in words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    return "" if number(value) is None else str(value)


def number(value: object) -> float | None:
    """Return a finite number; JSON as Python reads it also has NaN, infinities and endless integers."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def unicode(text: str) -> str:
    """Replace lone surrogates, which JSON allows and nothing else does."""
    return text.encode("utf-8", "replace").decode("utf-8")
