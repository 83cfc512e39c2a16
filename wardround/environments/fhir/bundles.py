"""Bundles built by joining the stored texts, which is faster than parsing them and keeps them as they were."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from wardround.environments.fhir.codec import dump, parse
from wardround.environments.fhir.definitions import definitions
from wardround.environments.fhir.exchange import when
from wardround.environments.fhir.outcome import Issue, operation_outcome
from wardround.environments.fhir.store import Version

Links = Sequence[tuple[str, str]]

_SUBSETTED = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
    "display": "subsetted",
}
_MODIFYING = (
    "implicitRules",
    "modifierExtension",
    "active",
    "clinicalStatus",
    "deceased",
    "doNotPerform",
    "intent",
    "isSubpotent",
    "link",
    "status",
    "verificationStatus",
)
"""Elements that R4 marks as changing what the rest means, in one of the served types: never left out."""


def bundle(type_: str, entries: Iterable[str], *, total: int | None = None, links: Links = ()) -> str:
    """Return a Bundle.

    Args:
        type_: `searchset`, `history`, `batch-response` or `transaction-response`.
        entries: Each entry as JSON text.
        total: Number of matches over all pages.
        links: (relation, URL).
    """
    head = f'{{"resourceType":"Bundle","type":"{type_}"'
    if total is not None:
        head += f',"total":{total}'
    if links:
        listed = ",".join(f'{{"relation":{json.dumps(r)},"url":{json.dumps(url)}}}' for r, url in links)
        head += f',"link":[{listed}]'
    joined = ",".join(entries)
    return f'{head},"entry":[{joined}]}}' if joined else head + "}"


def search_entry(version: Version, base: str, *, mode: str = "match", elements: Sequence[str] = ()) -> str:
    """Return an entry of a searchset."""
    assert version.body is not None
    body = subset(version.body, elements) if elements else version.body
    url = json.dumps(f"{base}/{version.type}/{version.id}")
    return f'{{"fullUrl":{url},"resource":{body},"search":{{"mode":"{mode}"}}}}'


def outcome_entry(issues: Sequence[Issue]) -> str:
    """Return an entry that says what was not applied."""
    return f'{{"resource":{dump(operation_outcome(issues))},"search":{{"mode":"outcome"}}}}'


def history_entry(version: Version, base: str) -> str:
    """Return an entry of a history."""
    place = f"{version.type}/{version.id}"
    status = {"POST": "201 Created", "DELETE": "204 No Content"}.get(version.method, "200 OK")
    if version.method == "PUT" and version.number == 1:
        status = "201 Created"
    entry: dict[str, Any] = {
        "request": {"method": version.method, "url": version.type if version.method == "POST" else place},
        "response": {"status": status, "etag": f'W/"{version.number}"', "lastModified": when(version)},
    }
    rest = dump(entry)[1:]
    resource = f'"resource":{version.body},' if version.body is not None else ""
    return f'{{"fullUrl":{json.dumps(f"{base}/{place}")},{resource}{rest}'


def subset(body: str, elements: Sequence[str]) -> str:
    """Return a resource with the chosen elements, those that are required or change the meaning, and a tag."""
    resource = parse(body)
    known = definitions().elements[resource["resourceType"]]
    kept = {"resourceType", "id", "meta", *_MODIFYING, *elements}
    kept |= {e.name for e in known.values() if e.is_required or e.choice in kept}
    chosen = {name: value for name, value in resource.items() if name.removeprefix("_") in kept}
    meta = dict(chosen.get("meta") or {})
    meta["tag"] = [*(meta.get("tag") or ()), _SUBSETTED]
    return dump({**chosen, "meta": meta})
