"""Looking through a record: searches as bounded tables that can be gone on with, and single resources in full."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from wardround.core.errors import ToolRetry
from wardround.tools.fhir.access import objects, string, unicode
from wardround.tools.fhir.answers import SearchPage
from wardround.tools.fhir.columns import values_at
from wardround.tools.fhir.scope import FREE
from wardround.tools.fhir.session import RecordSession
from wardround.tools.fhir.tables import MOST_ROWS, ROWS, tables
from wardround.tools.fhir.units import Analytes

RAW_CHARACTERS = 40_000
"""How much JSON one answer holds at most."""
DOCUMENT_CHARACTERS = 20_000
"""How much of one attached text is shown at most."""

_TOOL = "search_record"
_PRESENTATION = frozenset(("_format", "_pretty", "_count", "_total", "_elements", "_summary", "_sort"))
"""Parameters that do not change what is found."""

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class _Rest:
    """A search that is not shown to its end."""

    title: str
    page: SearchPage
    waiting: tuple[dict[str, Any], ...]
    """Matches received and not yet shown."""
    shown: int


class Browser:
    """Looks through a record for an agent."""

    def __init__(self, session: RecordSession, analytes: Analytes) -> None:
        self._session = session
        self._analytes = analytes
        self._rests: dict[str, _Rest] = {}
        self._numbers = itertools.count(1)

    async def search(self, kind: str, params: Pairs, *, rows: int = ROWS, raw: bool = False) -> str:
        """Search and return the first rows.

        A session that is held to a patient searches for that patient where none is named.

        Raises:
            ToolRefused: It is about another patient.
            FhirRequestError: The server refused it.
        """
        asked = [*params]
        scope = self._session.scope
        if scope is not None and kind not in FREE and not _names_patient(kind, params):
            asked.append(("_id", scope.id) if kind == "Patient" else ("patient", scope.reference))
        wanted = next((int(value) for name, value in asked if name == "_count" and value.isdigit()), rows)
        count = min(wanted, MOST_ROWS)
        sent = [(name, value) for name, value in asked if name != "_count"] + [("_count", str(count))]
        page = await self._session.search(kind, sent)
        title = kind + "".join(f" {name}={value}" for name, value in asked if name != "_count")
        notes = [f"warning: {warning}" for warning in page.warnings]
        if missing := unapplied(asked, page.applied):
            notes.append(f"warning: the server did not apply {', '.join(missing)}; these rows are not held to it")
        if wanted > count > 0:
            notes.append(f"at most {MOST_ROWS} rows at a time")
        return "\n".join([*notes, self._shown(_Rest(title, page, page.resources, 0), count, raw, page.included)])

    async def go_on(self, cursor: str, *, rows: int = ROWS, raw: bool = False) -> str:
        """Return the next rows of a search.

        Raises:
            ToolRetry: There is no such cursor.
            FhirRequestError: The server refused.
        """
        rest = self._rests.get(cursor)
        if rest is None:
            known = ", ".join(self._rests) or "none"
            raise ToolRetry(_TOOL, f"there is no cursor {cursor!r}; open ones: {known}. Begin a new search")
        included: tuple[dict[str, Any], ...] = ()
        if not rest.waiting:
            following = await self._session.next_page(rest.page)
            if following is not None:
                included = following.included
                total = following.total if following.total is not None else rest.page.total
                rest = replace(rest, page=replace(following, total=total), waiting=following.resources)
        return self._shown(rest, min(rows, MOST_ROWS), raw, included)

    def _shown(self, rest: _Rest, rows: int, raw: bool, included: Sequence[dict[str, Any]]) -> str:
        body, count = _raw(rest.waiting[:rows]) if raw else self._tabled(rest.waiting[:rows])
        left = rest.waiting[count:]
        first, last = rest.shown + 1, rest.shown + count
        has_more = bool(left) or rest.page.next is not None
        total = rest.page.total if rest.page.total is not None else ("unknown" if has_more else last)
        cursor = ""
        if has_more:
            name = f"c{next(self._numbers)}"
            self._rests[name] = replace(rest, waiting=left, shown=last)
            cursor = f"; there are more: cursor={name}"
        span = f"rows {first}-{last} of {total}" if count else f"no rows; total {total}"
        parts = [f"{rest.title}: {span}{cursor}", body]
        if included:
            parts += [f"included, no matches: {len(included)}", self._tabled(included[:MOST_ROWS])[0]]
        return "\n".join(part for part in parts if part)

    def _tabled(self, resources: Sequence[Mapping[str, Any]]) -> tuple[str, int]:
        found = tables(resources, self._analytes)
        several = len(found) > 1
        texts = [f"{table.type}\n{table.text}" if several else table.text for table in found]
        return "\n".join(texts), len(resources)

    async def read(self, reference: str) -> str:
        """Return a resource as JSON without its narrative, and the texts attached to it.

        Raises:
            ToolRefused: It is another patient's.
            FhirRequestError: The server did not give it.
        """
        resource = await self._session.read(reference)
        if resource.get("resourceType") == "Bundle":
            raise ToolRetry("read_resource", f"{reference} is a search; give one resource such as Observation/1")
        text = _compact(resource)
        cut = f"\n(cut: {len(text)} characters in all)" if len(text) > RAW_CHARACTERS else ""
        return "\n".join([text[:RAW_CHARACTERS] + cut, *attached_texts(resource)])


def _names_patient(kind: str, params: Pairs) -> bool:
    names = ("_id",) if kind == "Patient" else ("patient", "subject", "individual", "beneficiary")
    return any(name.partition(":")[0] in names for name, _ in params)


def unapplied(params: Pairs, applied: str | None) -> list[str]:
    """Return the parameters that a server's `self` link says it did not search by; none where it is opaque.

    A server may pass over a parameter that it does not know, and answers with everything.
    """
    asked = [name for name, _ in params if name not in _PRESENTATION]
    if applied is None or not asked:
        return []
    used = {name.partition(":")[0] for name, _ in parse_qsl(urlsplit(applied).query, keep_blank_values=True)}
    names = {name.partition(":")[0] for name in asked}
    is_telling = not used - _PRESENTATION or bool(used & names)
    aliases = {"patient", "subject"}
    missing = names - used - (aliases if used & aliases else set())
    return [name for name in dict.fromkeys(asked) if name.partition(":")[0] in missing] if is_telling else []


def _compact(resource: Mapping[str, Any]) -> str:
    """JSON without spaces, without the narrative, and without the bytes of attachments."""
    plain = {name: value for name, value in resource.items() if name != "text"}
    return unicode(json.dumps(_without_data(plain), separators=(",", ":"), ensure_ascii=False))


def _without_data(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: f"({len(member)} characters of base64)"
            if name == "data" and _is_long(member)
            else _without_data(member)
            for name, member in value.items()
        }
    return [_without_data(item) for item in value] if isinstance(value, list) else value


def _is_long(member: Any) -> bool:
    return isinstance(member, str) and len(member) > 80


def _raw(resources: Sequence[Mapping[str, Any]]) -> tuple[str, int]:
    """As many resources as fit, one JSON line each; at least one, cut if need be."""
    lines: list[str] = []
    size = 0
    for resource in resources:
        line = _compact(resource)
        if lines and size + len(line) > RAW_CHARACTERS:
            break
        size += len(line)
        lines.append(line if len(line) <= RAW_CHARACTERS else f"{line[:RAW_CHARACTERS]} (cut)")
    return "\n".join(lines), len(lines)


def attached_texts(resource: Mapping[str, Any]) -> Iterator[str]:
    """Yield the plain texts attached to a resource, each under a line that says where it stands."""
    for path in ("content.attachment", "presentedForm", "payload.contentAttachment"):
        for attachment in objects(values_at(resource, path)):
            if not string(attachment.get("contentType")).startswith("text/") or not string(attachment.get("data")):
                continue
            try:
                text = base64.b64decode("".join(attachment["data"].split()), validate=True).decode("utf-8")
            except ValueError:  # neither base64 nor UTF-8
                yield f"(an attachment at {path} cannot be read: it is no base64 of UTF-8 text)"
                continue
            cut = f"\n(cut: {len(text)} characters in all)" if len(text) > DOCUMENT_CHARACTERS else ""
            yield f"text attached at {path}:\n{text[:DOCUMENT_CHARACTERS]}{cut}"
