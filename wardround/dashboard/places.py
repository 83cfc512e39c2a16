"""Where a source was read: the line of the note, the FHIR resource, the passage, the coded finding or the image."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wardround.core.case import Case
from wardround.core.finding import Finding
from wardround.core.graph import EvidenceGraph
from wardround.core.source import LITERATURE, Source, SourceKind
from wardround.dashboard.images import image_of
from wardround.dashboard.showing import LINE, Shown, line, pretty, shown, visible
from wardround.tools.fhir.access import mapping, objects, string

AROUND = 12
"""Lines shown before and after the one that is cited."""
MOST_LINES = 200
"""Of a resource."""
_ATTACHED = 160
"""Characters of attached data that stay in a resource that is shown."""


@dataclass(frozen=True)
class Line:
    """One line of a text; of a long one what stands around the cited words."""

    number: int
    text: str
    """Before the cited words; all of it where none are cited."""
    cited: str = ""
    after: str = ""

    @property
    def is_cited(self) -> bool:
        """Whether any of it is cited."""
        return bool(self.cited)


@dataclass(frozen=True)
class Piece:
    """A part of a sentence; marked where a finding was read in it."""

    text: str
    finding: str = ""


@dataclass(frozen=True)
class Reading:
    """A finding that was read in a source."""

    code: str
    name: str
    assertion: str
    value: str = ""


@dataclass(frozen=True)
class Place:
    """A source with what stands around it."""

    source: Source
    kind: str
    """note, document, resource, coded, passage, score, image, answer or other."""
    heading: str
    pieces: tuple[Piece, ...]
    readings: tuple[Reading, ...] = ()
    lines: tuple[Line, ...] = ()
    """The text around it, or the resource as JSON; cited lines are marked."""
    lines_left: int = 0
    """Lines that are not shown."""
    image: str | None = None
    """Name of the image."""
    copies: tuple[str, ...] = ()
    """Originals that it was copied from; it is no witness of its own."""
    words: Shown = field(default_factory=lambda: Shown(""))

    @property
    def id(self) -> str:
        """Id of the source."""
        return self.source.id


class Places:
    """Finds what stands around the sources of one case."""

    def __init__(self, case: Case, graph: EvidenceGraph, added: Mapping[str, int] | None = None) -> None:
        """Prepare the search.

        Args:
            case: The patient.
            graph: Everything that was read.
            added: Place in the log by id of the source, where the whole of it can be fetched.
        """
        self._case, self._graph = case, graph
        self._added = added or {}
        resources = case.record.resources if case.record is not None else ()
        self._resources = {
            f"{r.get('resourceType')}/{string(r.get('id')) or f'entry-{n}'}": r for n, r in enumerate(resources)
        }
        self._read: dict[str, list[Finding]] = {}
        for findings in graph.readings.values():
            for finding in findings:
                self._read.setdefault(finding.source or "", []).append(finding)

    def of(self, source: Source) -> Place:
        """Return a source with what stands around it."""
        findings = self._read.get(source.id, [])
        kind, lines = self._around(source)
        first = next((i for i, one in enumerate(lines) if one.is_cited), 0)
        low = 0 if kind == "resource" else max(0, first - AROUND)
        kept = lines[low : low + (MOST_LINES if kind == "resource" else 2 * AROUND + 1)]
        whole = f"event/{self._added[source.id]}" if source.id in self._added else None
        origin = self._graph.origin(source.id)
        return Place(
            source=source,
            kind=kind,
            heading=line(source.title or source.document, most=120),
            pieces=tuple(_pieces(source, findings)),
            readings=tuple(_reading(f) for f in findings),
            lines=tuple(kept),
            lines_left=len(lines) - len(kept),
            image=image_of(source),
            copies=tuple(line(root, most=100) for root in origin.roots) if origin.copied else (),
            words=shown(source.text, whole=whole),
        )

    def _around(self, source: Source) -> tuple[str, Sequence[Line]]:
        case, name = self._case, source.document
        if image_of(source) is not None:
            return "image", ()
        if name in (f"note:{case.id}", f"complaint:{case.id}"):
            text = (case.narrative if name.startswith("note:") else case.complaint) or ""
            return "note", _lines(text, source.start, source.text)
        if name == f"coded:{case.id}":
            return "coded", _coded(case, source)
        if name in self._resources:
            return self._resource(self._resources[name], source)
        if source.kind in LITERATURE or name.startswith("passage:"):
            return "passage", [
                Line(n, "", visible(text[:LINE])) for n, text in enumerate(_sentences(source.text), start=1)
            ]
        if source.kind is SourceKind.SCORE:
            return "score", [_line(n, text) for n, text in enumerate(source.text.splitlines(), start=1)]
        return ("answer" if name.startswith("answer:") else "other"), ()

    def _resource(self, resource: Mapping[str, Any], source: Source) -> tuple[str, Sequence[Line]]:
        if resource.get("resourceType") == "DocumentReference":
            for text in attached_texts(resource):
                at = text.find(source.text)
                if at >= 0:
                    return "document", _lines(text, at, source.text)
        text = pretty(without_data(resource))
        said = source.text
        rows = enumerate(text.splitlines(), start=1)
        return "resource", [_line(n, row, _stretch(row) if _is_said(row, said) else None) for n, row in rows]


def attached_texts(resource: Mapping[str, Any]) -> Iterator[str]:
    """Yield the plain texts that are attached to a DocumentReference; what cannot be decoded is left out."""
    for content in objects(resource.get("content")):
        attachment = mapping(mapping(content).get("attachment"))
        data = attachment.get("data")
        if string(attachment.get("contentType")).startswith("text/plain") and isinstance(data, str):
            try:
                yield base64.b64decode("".join(data.split()), validate=True).decode("utf-8")
            except ValueError:  # neither base64 nor UTF-8: the resource itself is shown instead
                continue


def without_data(value: Any) -> Any:
    """Return a resource with long attached data cut, and said so."""
    if isinstance(value, Mapping):
        return {
            key: f"{inner[:_ATTACHED]}… ({len(inner)} characters)"
            if key in ("data", "div") and isinstance(inner, str) and len(inner) > _ATTACHED
            else without_data(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [without_data(inner) for inner in value]
    return value


def _lines(text: str, start: int | None, cited: str) -> list[Line]:
    """The lines of a text; those that hold any of the cited characters are marked."""
    first = start if start is not None else text.find(cited)
    last = first + max(1, len(cited))
    found, at = [], 0
    for number, raw in enumerate(text.splitlines(keepends=True), start=1):
        low, high = max(first - at, 0), min(last - at, len(raw.rstrip("\r\n")))
        found.append(_line(number, raw.rstrip("\r\n"), (low, high) if first >= 0 and low < high else None))
        at += len(raw)
    return found


def _line(number: int, text: str, cited: tuple[int, int] | None = None) -> Line:
    if cited is None:
        return Line(number, visible(text if len(text) <= LINE else text[:LINE] + "…"))
    low, high = cited
    start, end = max(0, low - LINE // 2), min(len(text), high + LINE // 2)
    before = ("…" if start else "") + text[start:low]
    middle = text[low:high] if high - low <= 4 * LINE else text[low : low + 4 * LINE] + "…"
    return Line(number, visible(before), visible(middle), visible(text[high:end] + ("…" if end < len(text) else "")))


def _stretch(row: str) -> tuple[int, int]:
    """Where the words of an indented line stand."""
    return len(row) - len(row.lstrip()), len(row)


def _coded(case: Case, source: Source) -> list[Line]:
    number = re.search(r"(\d+)$", source.title)
    place = int(number[1]) - 1 if number is not None else -1
    if not 0 <= place < len(case.findings):
        return []
    stated = case.findings[place].model_dump(mode="json", exclude_defaults=True)
    return [_line(n, text) for n, text in enumerate(pretty(stated).splitlines(), start=1)]


_VALUE = re.compile(r'\s*"[^"]+":\s*(.+?),?\s*$')
_TELLING = ("display", "text", "value", "conclusion", "unit", "valueString")


def _is_said(part: str, said: str) -> bool:
    """Whether a line of JSON holds a value that the source's words repeat."""
    found = _VALUE.match(part)
    if found is None or not any(f'"{name}"' in part for name in _TELLING):
        return False
    try:
        value = json.loads(found[1])
    except ValueError:  # the line opens an object or a list
        return False
    if isinstance(value, str):
        return len(value) > 1 and value.strip().rstrip(".") in said
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and f"{value}" in re.findall(r"-?[\d.]*\d", said)
    )


def _sentences(text: str) -> list[str]:
    return [part for part in re.split(r"(?<=[.;])\s+", text) if part]


def _pieces(source: Source, findings: Sequence[Finding]) -> Iterator[Piece]:
    """The words of a source, cut where findings were read; where spans overlap the first counts."""
    text, at = source.text[:4000], 0
    spans = sorted((f.span, f.name) for f in findings if f.span is not None and f.span[1] <= len(text))
    for (start, end), name in spans:
        if start < at or end <= start:
            continue
        if start > at:
            yield Piece(visible(text[at:start]))
        yield Piece(visible(text[start:end]), name)
        at = end
    if at < len(text):
        yield Piece(visible(text[at:]))


def _reading(finding: Finding) -> Reading:
    value = f"{finding.value:g} {finding.unit or ''}".strip() if finding.value is not None else ""
    return Reading(finding.code, finding.name, finding.assertion.value, value)
