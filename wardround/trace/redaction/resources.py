"""FHIR R4 resources and Bundles with their identifiers taken out; what refers to what stays as it is."""

from __future__ import annotations

import base64
import binascii
import hashlib
import html
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, unquote

from wardround.trace.redaction.classes import OLDEST, Identifier
from wardround.trace.redaction.dates import Shift
from wardround.trace.redaction.edits import Redacted, Report
from wardround.trace.redaction.folding import folded
from wardround.trace.redaction.identity import (
    PEOPLE,
    category,
    names_a_place,
    objects,
    person_label,
    telecom_category,
)
from wardround.trace.redaction.pseudonyms import Pseudonyms
from wardround.trace.redaction.rules import CODED, EXTENSIONS, URL_KEYS, Action, rule_of

Json = Mapping[str, Any]

HOST = "https://redacted.invalid"
"""In the place of every server; `.invalid` never leads anywhere (RFC 2606)."""
PSEUDONYMISED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "PSEUDED"}
"""Security label that says what was done (HL7 v3 ObservationValue)."""
_WHOLE_DATE = re.compile(r"\d{4}-\d{2}(?:-\d{2}(?:T\d{2}:\d{2}.*)?)?")
_URN = re.compile(r"urn:(?P<kind>uuid|oid):(?P<value>.+)", re.IGNORECASE)
_ABSOLUTE = re.compile(r"https?://[^\s/]+(?:/[^\s]*?)??(?=/[A-Z][A-Za-z]+/|/?$|\?)")
_READABLE = re.compile(r"text/|application/(?:.*\+)?(?:json|xml|xhtml)", re.IGNORECASE)
_TAG = re.compile(r"(<[^>]*>)")
_AGE_OBSERVED = frozenset(("30525-0", "21612-7", "29553-5"))
"""LOINC codes of an age: as it is, as reported, as calculated."""
_LABELS = {"Patient": "PATIENT", "RelatedPerson": "RELATIVE", "Practitioner": "CLINICIAN", "Person": "PERSON"}
_PERSON = re.compile(r"(?:^|/)(Patient|RelatedPerson|Practitioner|Person)/([A-Za-z0-9.-]{1,64})$")

Search = Callable[[str, Report], str]
"""Searches a text and adds to the report."""


class ResourceRedactor:
    """Takes the identifiers out of resources of one patient."""

    def __init__(self, names: Pseudonyms, search: Search, shift: Shift, *, several: bool) -> None:
        """Set up.

        Args:
            names: Keyed names.
            search: For free text.
            shift: Of the patient's dates.
            several: Whether the record has several patients, who are then told apart.
        """
        self._names, self._search, self._shift, self._several = names, search, shift, several

    def resource(self, resource: Json) -> Redacted[dict[str, Any]]:
        """Return a resource without its identifiers, marked as pseudonymised; the original is not changed."""
        report = Report()
        found = self._object(resource, str(resource.get("resourceType", "")), resource, report)
        if resource.get("resourceType"):
            meta = dict(found.get("meta") or {})
            found["meta"] = {**meta, "security": [*objects(meta.get("security")), PSEUDONYMISED]}
        return Redacted(found, report)

    def _object(self, value: Json, path: str, resource: Json, report: Report) -> dict[str, Any]:
        if _is_removed(value):
            report.removed[f"{path}:{str(value['url']).rsplit('/', 1)[-1]}"] += 1
            return {"url": value["url"]}
        inner = {key: self._element(key, v, f"{path}.{key}", value, resource, report) for key, v in value.items()}
        return {key: v for key, v in inner.items() if v is not None and v != [] and v != {}}

    def _element(self, key: str, value: Any, path: str, parent: Json, resource: Json, report: Report) -> Any:
        if isinstance(value, dict) and value.get("resourceType"):
            return self._object(value, str(value["resourceType"]), value, report)
        rule = rule_of(path, key, value)
        if rule is not None and not (key == "id" and "resourceType" not in parent):
            done = self._ruled(*rule, value, path, parent, resource, report)
            return self._plain(key, value, path, parent, resource, report) if done is _NOT_OF_THE_TYPE else done
        return self._plain(key, value, path, parent, resource, report)

    def _plain(self, key: str, value: Any, path: str, parent: Json, resource: Json, report: Report) -> Any:
        if isinstance(value, dict):
            if value.get("resourceType"):
                return self._object(value, str(value["resourceType"]), value, report)
            return self._object(value, path, resource, report)
        if isinstance(value, list):
            return [self._element(key, v, path, parent, resource, report) for v in value]
        if isinstance(value, str):
            return self._string(key, value, parent, report)
        if key == "value" and isinstance(value, int | float) and _is_observed_age(path, resource):
            return _aged(value, report)
        return value

    def _string(self, key: str, value: str, parent: Json, report: Report) -> str:
        if _WHOLE_DATE.fullmatch(value) and key not in CODED:
            report.replaced[Identifier.DATE] += 1
            return self._shift.fhir(value)
        if key in URL_KEYS:
            return self._address(value, report)
        if key in CODED or (key == "display" and parent.get("code")):
            return value
        if key == "display":
            label = self._label(parent)
            if label is not None:
                report.replaced[Identifier.NAME] += 1
                return label
        return self._search(value, report)

    def _label(self, reference: Json) -> str | None:
        match = _PERSON.search(str(reference.get("reference", "")))
        if match is not None:
            return self._person(match[1], match[2])
        kind = reference.get("type")
        return f"[{_LABELS[str(kind)]}]" if kind in _LABELS else None

    def _ruled(
        self, action: Action, kind: Identifier, value: Any, path: str, parent: Json, resource: Json, report: Report
    ) -> Any:
        if action is Action.REMOVE and (
            (path != "source" and not path.endswith(".source")) or path.endswith("meta.source")
        ):
            report.removed[path] += 1
            return None
        if isinstance(value, list):
            done = [self._ruled(action, kind, v, path, parent, resource, report) for v in value]
            return _NOT_OF_THE_TYPE if _NOT_OF_THE_TYPE in done else [v for v in done if v is not None]
        if isinstance(value, dict):
            return self._ruled_object(action, value, path, resource, report)
        if isinstance(value, str):
            return self._ruled_string(action, kind, value, parent, resource, report)
        return _NOT_OF_THE_TYPE

    def _ruled_object(self, action: Action, value: Json, path: str, resource: Json, report: Report) -> Any:
        match action:
            case Action.NAME:
                report.replaced[Identifier.NAME] += 1
                return {**{k: value[k] for k in ("use",) if k in value}, "text": self._own_label(resource, path)}
            case Action.ADDRESS:
                report.replaced[Identifier.PLACE] += 1
                return {k: value[k] for k in ("use", "type", "state", "country") if k in value}
            case Action.TELECOM:
                report.replaced[telecom_category(value)] += 1
                return {k: value[k] for k in ("system", "use", "rank") if k in value}
            case Action.IDENTIFIER:
                return self._identifier(value, path, resource, report)
            case Action.ATTACHMENT:
                return self._attachment(value, path, resource, report)
            case Action.AGE:
                years = value.get("value")
                is_years = value.get("code") in ("a", None) and isinstance(years, int | float)
                return {**value, "value": _aged(years, report)} if is_years and years is not None else dict(value)
            case _:
                return _NOT_OF_THE_TYPE

    def _ruled_string(
        self, action: Action, kind: Identifier, value: str, parent: Json, resource: Json, report: Report
    ) -> Any:
        match action:
            case Action.RENAME:
                report.replaced[kind] += 1
                return self._names.id(value)
            case Action.UID:
                report.replaced[kind] += 1
                return self._names.uid(value)
            case Action.BIRTH:
                report.replaced[Identifier.AGE if self._shift.is_old else Identifier.DATE] += 1
                return self._shift.birth or self._shift.fhir(value)
            case Action.PLACE_NAME:
                return self._place_name(value, resource, report)
            case Action.REFERENCE:
                return self._reference(value, report)
            case Action.ATTACHMENT:
                return self._data(value, str(parent.get("contentType", "")), "Binary.data", report)
            case Action.NARRATIVE:
                parts = [p if p.startswith("<") else self._escaped(p, report) for p in _TAG.split(value)]
                return "".join(parts)
            case _:
                return _NOT_OF_THE_TYPE

    def _escaped(self, text: str, report: Report) -> str:
        return html.escape(self._search(html.unescape(text), report), quote=False) if text.strip() else text

    def _own_label(self, resource: Json, path: str) -> str:
        kind = str(resource.get("resourceType", ""))
        if kind in PEOPLE and not path.startswith("Patient.contact"):
            name = str(resource.get("id", ""))
            return self._person(kind, name)
        return "[RELATIVE]" if kind == "Patient" else "[PERSON]"

    def _person(self, kind: str, name: str) -> str:
        if kind == "Patient" and not self._several:
            return "[PATIENT]"
        return person_label(_LABELS[kind], name, self._names)

    def _place_name(self, value: str, resource: Json, report: Report) -> str:
        if not names_a_place(resource):
            return self._search(value, report)
        report.replaced[Identifier.PLACE] += 1
        return person_label("PLACE", str(resource.get("id", "")), self._names)

    def _identifier(self, value: Json, path: str, resource: Json, report: Report) -> dict[str, Any]:
        rest = self._object({k: v for k, v in value.items() if k not in ("value", "system")}, path, resource, report)
        kept = {"system": value["system"]} if isinstance(value.get("system"), str) else {}
        if isinstance(value.get("value"), str):
            report.replaced[category(value)] += 1
            kept["value"] = self._number(value["value"])
        return {**rest, **kept}

    def _number(self, value: str) -> str:
        urn = _URN.fullmatch(value)
        if urn is not None:
            return self._urn(urn)
        return self._names.id(folded(value).text)

    def _urn(self, match: re.Match[str]) -> str:
        kind = match["kind"].lower()
        return f"urn:{kind}:" + (
            self._names.uuid(match["value"]) if kind == "uuid" else self._names.uid(match["value"])
        )

    def _reference(self, value: str, report: Report) -> str:
        report.replaced[Identifier.RECORD_NUMBER] += 1
        urn = _URN.fullmatch(value)
        if urn is not None:
            return self._urn(urn)
        if value.startswith("#"):
            return "#" + self._names.id(value[1:]) if len(value) > 1 else value
        path, mark, query = value.partition("?")
        host = _ABSOLUTE.match(path)
        rest = path[host.end() :] if host is not None else path
        parts = [p if p[:1].isupper() or p in ("", "_history") else self._names.id(p) for p in rest.split("/")]
        return (
            (HOST if host is not None else "")
            + "/".join(_versions_kept(rest.split("/"), parts))
            + (mark + self._search(query, report) if mark else "")
        )

    def _address(self, value: str, report: Report) -> str:
        urn = _URN.fullmatch(value)
        if urn is not None and urn["kind"].lower() == "uuid":
            return self._urn(urn)
        if "%" not in value:
            return self._search(value, report)
        return quote(self._search(unquote(value), report), safe=":/?&=,|$-._~[]#+")

    def _attachment(self, value: Json, path: str, resource: Json, report: Report) -> dict[str, Any]:
        rest = {k: v for k, v in value.items() if k not in ("data", "hash", "size", "url")}
        found = self._object(rest, path, resource, report)
        if isinstance(value.get("data"), str):
            data = self._data(value["data"], str(value.get("contentType", "")), f"{path}.data", report)
            if data is not None:
                raw = base64.b64decode(data)
                found |= {"data": data}
                found |= {"size": len(raw)} if "size" in value else {}
                found |= {"hash": base64.b64encode(hashlib.sha1(raw).digest()).decode()} if "hash" in value else {}
        if isinstance(value.get("url"), str):
            if re.match(r"(?:urn:|[A-Z][A-Za-z]+/)", value["url"]):
                found["url"] = self._reference(value["url"], report)
            else:
                report.removed[f"{path}.url"] += 1
        return found

    def _data(self, value: str, media_type: str, path: str, report: Report) -> str | None:
        """Return text data searched; nothing where the data is not text, which nobody here can read."""
        if _READABLE.match(media_type):
            try:
                text = base64.b64decode(value, validate=False).decode("utf-8")
            except (binascii.Error, UnicodeDecodeError):
                text = None
            if text is not None:
                return base64.b64encode(self._search(text, report).encode()).decode("ascii")
        report.removed[f"{path} ({media_type or 'no contentType'})"] += 1
        return None


class _NotOfTheType:
    """Says that a rule does not fit what stands there, which is then treated by its form."""


_NOT_OF_THE_TYPE = _NotOfTheType()


def _versions_kept(old: list[str], new: list[str]) -> list[str]:
    return [o if n and i > 0 and old[i - 1] == "_history" else n for i, (o, n) in enumerate(zip(old, new, strict=True))]


def _is_removed(value: Json) -> bool:
    url = value.get("url")
    return isinstance(url, str) and any(url.endswith(end) for end in EXTENSIONS)


def _is_observed_age(path: str, resource: Json) -> bool:
    if not path.endswith("valueQuantity.value") or resource.get("resourceType") != "Observation":
        return False
    return any(c.get("code") in _AGE_OBSERVED for k in objects(resource.get("code")) for c in objects(k.get("coding")))


def _aged(years: float, report: Report) -> float:
    if years <= OLDEST:
        return years
    report.replaced[Identifier.AGE] += 1
    return OLDEST
