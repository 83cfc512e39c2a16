"""What a run wrote to a record, or wanted to, each as a difference to what it last knew to be there."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wardround.dashboard.places import without_data
from wardround.dashboard.showing import Shown, line, pretty, shown, visible
from wardround.tools.fhir.access import mapping, objects, string
from wardround.trace.events import Event, FhirExchanged, Suspended, ToolCalled, ToolReturned

MOST_DIFF = 400
"""Lines of one difference."""


@dataclass(frozen=True)
class Changed:
    """One line of a difference: `+`, `-` or a space, and the text."""

    sign: str
    text: str


@dataclass(frozen=True)
class Write:
    """One write to a record: what was there before, what is there after, and what came of it."""

    anchor: str
    method: str
    target: str
    state: str
    """done, refused, waiting, or unanswered."""
    told: Shown
    """What the agent was told, or the warnings that a person is shown."""
    lines: tuple[Changed, ...]
    left: int
    is_known: bool
    """Whether the log or the case holds what was there before; of something created nothing was."""


def writes_of(events: Sequence[Event], resources: Sequence[Mapping[str, Any]] = ()) -> list[Write]:
    """Return what a run wrote to the record, or wanted to, each as a difference to what it last knew to be there.

    Args:
        events: The run's log.
        resources: What was there at the beginning, as far as the case holds it.
    """
    known = {f"{r.get('resourceType')}/{r.get('id')}": r for r in resources if r.get("id")}
    found: list[Write] = []
    begun: dict[str, tuple[ToolCalled, tuple[str, str, Any]]] = {}
    for event in events:
        if isinstance(event, FhirExchanged) and event.method == "GET" and event.answer is not None:
            _learn_all(known, event.answer)
        elif isinstance(event, ToolCalled) and (asked := _asked(event)) is not None:
            begun[event.call] = (event, asked)
        elif isinstance(event, ToolReturned) and event.call in begun:
            called, asked = begun.pop(event.call)
            found.append(_write(called.seq, *asked, event, known))
            _learn(known, asked[2], event)
        elif isinstance(event, ToolReturned) and event.error is None:
            _learn_all(known, event.text)
    last = events[-1] if events else None
    if isinstance(last, Suspended) and "method" in last.question:
        return [*found, _waiting(last, known)]
    return [*found, *(_write(called.seq, *asked, None, known) for called, asked in begun.values())]


def _asked(event: ToolCalled) -> tuple[str, str, Any] | None:
    """Method, target and body of a tool use that writes; nothing for one that reads."""
    given = event.arguments
    if event.tool in ("POST", "PUT", "PATCH", "DELETE"):
        return event.tool, str(given.get("url", "")), given.get("body")
    resource = mapping(given.get("resource"))
    kind = string(resource.get("resourceType"))
    if event.tool == "create_resource":
        return "POST", kind, given.get("resource")
    if event.tool == "update_resource":
        return "PUT", f"{kind}/{resource.get('id', '?')}", given.get("resource")
    return None


def _write(
    seq: int, method: str, target: str, body: Any, answer: ToolReturned | None, known: Mapping[str, Mapping[str, Any]]
) -> Write:
    state = "unanswered" if answer is None else "refused" if answer.error is not None else "done"
    told = (answer.error or answer.text) if answer is not None else ""
    before = known.get(_name(target, body)) if method != "POST" else None
    lines = list(_difference(before, body if method != "DELETE" else None))
    return Write(
        anchor=f"write-{seq}",
        method=method,
        target=line(target, most=200),
        state=state,
        told=shown(told, most=1500, whole=f"event/{answer.seq}" if answer is not None else None),
        lines=tuple(lines[:MOST_DIFF]),
        left=max(0, len(lines) - MOST_DIFF),
        is_known=method == "POST" or before is not None,
    )


def _waiting(event: Suspended, known: Mapping[str, Mapping[str, Any]]) -> Write:
    question = event.question
    method, target, body = str(question.get("method")), str(question.get("path", "")), question.get("body")
    before = known.get(_name(target, body)) if method != "POST" else None
    warnings = question.get("warnings")
    told = [str(question.get("summary", "")), *(str(w) for w in (warnings if isinstance(warnings, list) else []))]
    lines = list(_difference(before, body if method != "DELETE" else None))
    return Write(
        anchor=f"write-{event.seq}",
        method=line(method, most=10),
        target=line(target, most=200),
        state="waiting",
        told=shown("\n".join(told), most=3000, whole=f"event/{event.seq}"),
        lines=tuple(lines[:MOST_DIFF]),
        left=max(0, len(lines) - MOST_DIFF),
        is_known=method == "POST" or before is not None,
    )


def _name(target: str, body: Any) -> str:
    parts = target.partition("?")[0].rstrip("/").split("/")
    named = mapping(body)
    if named.get("resourceType") and named.get("id"):
        return f"{named['resourceType']}/{named['id']}"
    return "/".join(parts[-2:])


def _learn(known: dict[str, Mapping[str, Any]], body: Any, answer: ToolReturned | None) -> None:
    """After a write that worked, what was written is what is there."""
    if answer is None or answer.error is not None:
        return
    named = mapping(body)
    if named.get("resourceType") and named.get("id"):
        known[f"{named['resourceType']}/{named['id']}"] = named
    _learn_all(known, answer.text)


def _learn_all(known: dict[str, Mapping[str, Any]], text: str) -> None:
    """Remember the resources that an answer holds."""
    start = text.find("{")
    if start < 0 or len(text) > 5_000_000 or '"resourceType"' not in text:
        return
    try:
        value, _ = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):  # words with a brace in them
        return
    for resource in [
        mapping(value),
        *(mapping(mapping(e).get("resource")) for e in objects(mapping(value).get("entry"))),
    ]:
        if resource.get("resourceType") and resource.get("id"):
            known[f"{resource['resourceType']}/{resource['id']}"] = resource


def _difference(before: Any, after: Any) -> Iterator[Changed]:
    """The lines of two JSON values, with what went and what came; of one alone, all of it."""
    old = pretty(without_data(before)).splitlines() if before is not None else []
    new = pretty(without_data(after)).splitlines() if after is not None else []
    if max(len(old), len(new)) > 4000:
        yield Changed("+", f"{len(new)} lines, too long to compare with the {len(old)} before")
        return
    for entry in difflib.ndiff(old, new) if old and new else [f"- {row}" for row in old] + [f"+ {row}" for row in new]:
        if entry[0] != "?":
            yield Changed(entry[0], visible(entry[2:600]))
