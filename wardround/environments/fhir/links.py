"""What the entries of a transaction say of one another: temporary addresses become real ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wardround.environments.fhir.definitions import definitions
from wardround.environments.fhir.exchange import Request, query_pairs
from wardround.environments.fhir.outcome import refusal
from wardround.environments.fhir.writing import find_one

_URIS = ("uri", "url", "oid", "uuid")
"""R4: links are replaced in elements of these types too, never in a canonical or a string."""
_MARKUP = re.compile(r"""(?<=\s)(href|src)=(["'])(.+?)\2""")
_RESTFUL = re.compile(r"(https?://\S+?)/([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}")


def root_of(full: str | None) -> str | None:
    """Return the base URL of a fullUrl; relative references in its entry are to be read from there.

    >>> root_of("https://a.example/fhir/Patient/1")
    'https://a.example/fhir'
    """
    match = _RESTFUL.fullmatch(full or "")
    return match[1] if match is not None and match[2] in definitions().resources else None


@dataclass(frozen=True)
class Links:
    """Replaces the links of one entry."""

    part: Request
    names: Mapping[str, str]
    """By fullUrl, the `Type/id` that it stands for."""
    root: str | None

    def replaced(self, body: Any) -> Any:
        """Return a resource with every link to an entry, and every conditional reference, made literal.

        Raises:
            FhirError: 412, for a conditional reference that finds none or several.
        """
        return self._node(body, "Resource")

    def _node(self, node: Any, group: str) -> Any:
        if isinstance(node, list):
            return [self._node(each, group) for each in node]
        if isinstance(node, str):
            return self._text(node, group)
        if not isinstance(node, dict):
            return node
        members = definitions().elements.get(str(node.get("resourceType")) if group == "Resource" else group, {})
        changed = {}
        for name, value in node.items():
            member = members.get(name)
            kind = member.type if member is not None else "Element" if name.startswith("_") else ""
            is_link = group == "Reference" and name == "reference" and isinstance(value, str)
            changed[name] = self._target(value) if is_link else self._node(value, kind)
        return changed

    def _text(self, text: str, kind: str) -> str:
        if kind in _URIS:
            return self.names.get(text, text)
        if kind == "xhtml":
            return _MARKUP.sub(lambda m: f"{m[1]}={m[2]}{self.names.get(m[3], m[3])}{m[2]}", text)
        return text

    def _target(self, reference: str) -> str:
        for address in (reference, f"{self.root}/{reference}"):
            if address in self.names:
                return self.names[address]
        type_, mark, query = reference.partition("?")
        if not mark or type_ not in definitions().types:
            return reference
        found = find_one(self.part, type_, query_pairs(query))
        if found is None:
            raise refusal(412, "not-found", f"'{reference}' finds nothing; create it first or name what is there")
        return f"{type_}/{found.id}"
