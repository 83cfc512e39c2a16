"""Reading the resources of an answer: of a Bundle, or of a tool that shows one a line."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wardround.models.clerk.steps import Stuck, plain

Resource = Mapping[str, Any]
VOID = frozenset({"entered-in-error", "cancelled"})
"""Statuses of what does not count."""


@dataclass(frozen=True)
class Page:
    """What one reply to a search holds."""

    resources: tuple[Resource, ...]
    next: str | None
    """Where it goes on."""
    is_cut: bool = False
    """Whether a resource was too long to be shown whole."""


def page_of(text: str) -> Page:
    """Return the resources of a reply: of a Bundle, or one JSON line each.

    Raises:
        Stuck: It holds neither.
    """
    start = re.search(r"^\s*\{|\{\s*\"resourceType\"", text, re.MULTILINE)
    if start is None:
        if re.search(r"\bno rows\b", text):
            return Page((), None)
        raise Stuck(f"the record's answer cannot be read: {plain(text)}")
    head = text[: start.start()]
    first, end = _decoded(text, text.index("{", start.start()))
    if isinstance(first, dict) and first.get("resourceType") == "Bundle":
        return _bundle(first)
    cursor = re.search(r"\bcursor=(\w+)", head)
    found, is_cut = [first] if isinstance(first, dict) else [], first is None
    for line in text[end:].splitlines()[1 if found else 0 :]:
        if line.startswith("{"):
            value, _ = _decoded(line, 0)
            is_cut |= value is None
            found += [value] if isinstance(value, dict) else []
    return Page(tuple(found), cursor[1] if cursor is not None else None, is_cut)


def _decoded(text: str, at: int) -> tuple[Any, int]:
    try:
        return json.JSONDecoder().raw_decode(text, at)
    except (ValueError, RecursionError):
        end = text.find("\n", at)
        return None, len(text) if end < 0 else end


def _bundle(bundle: Resource) -> Page:
    entries = [as_dict(entry) for entry in _list(bundle.get("entry"))]
    found = [
        as_dict(e.get("resource"))
        for e in entries
        if as_dict(e.get("search")).get("mode") not in ("include", "outcome")
    ]
    links = {
        as_text(as_dict(link).get("relation")): as_text(as_dict(link).get("url")) for link in _list(bundle.get("link"))
    }
    return Page(tuple(r for r in found if r), links.get("next") or None)


def as_dict(value: Any) -> dict[str, Any]:
    """Return a JSON object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def as_text(value: Any) -> str:
    """Return a JSON text; an empty one for anything else."""
    return value if isinstance(value, str) else ""


def at(resource: Any, *path: str) -> list[Any]:
    """Return everything at a path of members, going into each member of a list on the way."""
    found = [resource]
    for name in path:
        members = [as_dict(value).get(name) for value in found]
        found = [item for m in members for item in (m if isinstance(m, list) else [m]) if item is not None]
    return found


def texts(resource: Any, *path: str) -> list[str]:
    """Return the texts at a path."""
    return [value for value in at(resource, *path) if isinstance(value, str) and value]


def names_of(concept: Any) -> list[str]:
    """Return what a CodeableConcept calls itself: its text, then its displays."""
    return list(dict.fromkeys([*texts(concept, "text"), *texts(concept, "coding", "display")]))


def codes_in(concept: Any) -> list[str]:
    """Return the codes of a CodeableConcept."""
    return texts(concept, "coding", "code")


def named(resource: Resource) -> str:
    """Return what a resource is about, in words, or its code."""
    for member in ("medicationCodeableConcept", "code", "vaccineCode", "type"):
        concepts = at(resource, member)
        for name in [n for c in concepts for n in names_of(c)] or [n for c in concepts for n in codes_in(c)]:
            return name
    return next(iter(texts(resource, "medicationReference", "display")), "unnamed")


def reference(resource: Resource) -> str:
    """Return `Type/id` of a resource."""
    return f"{resource.get('resourceType')}/{resource.get('id')}"
