"""Logs without content: what patients, models and people said is left out, and codes and figures stay.

In such a log one can still see what happened, how long it took and how it ended; it can be counted and compared, and
its evidence weighs what it weighed. It cannot be resumed or replayed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeVar

from wardround.core.claim import Claim
from wardround.core.finding import Finding
from wardround.core.items import ClaimItem, ProvenanceItem, ReadingItem, SourceItem
from wardround.core.source import Source
from wardround.trace.chain import canonical, json_value
from wardround.trace.events import EVENT, Event, EvidenceAdded

T = TypeVar("T", Source, Finding, Claim)

REDACTED = "__REDACTED__"
"""Stands for content that was left out."""
_NAME = re.compile("(?:src|fnd|clm)_[0-9a-f]+")
"""Of sources, readings and claims."""

CONTENT: dict[str, tuple[str, ...]] = {
    "run_started": ("settings.task", "settings.patient", "settings.api_base", "settings.fork"),
    "card_named": (),
    "resumed": ("answer",),
    "span_started": (),
    "span_ended": ("error",),
    "record_read": ("problems",),
    "evidence_added": (
        "item.source.text",
        "item.source.document",
        "item.source.title",
        "item.source.citation",
        "item.finding.name",
        "item.finding.site",
        "item.claim.text",
        "item.verdict.reason",
    ),
    "model_reached": (),
    "image_read": ("uri", "problems"),
    "model_asked": ("messages.*.content", "messages.*.tool_calls", "options.stop"),
    "model_answered": ("text", "refusal", "tool_calls", "invalid_tool_calls", "logprobs"),
    "answer_refused": ("fault", "quote"),
    "tool_called": ("arguments",),
    "tool_returned": ("text", "error"),
    "fhir_exchanged": ("url", "body", "headers", "answer", "fault"),
    "triage_given": ("triage.reasons",),
    "plan_made": ("indicators",),
    "opinion_given": ("opinion", "cluster"),
    "rollouts_ended": (),
    "gathering_chosen": ("action",),
    "uncertainty_measured": ("answer",),
    "suspended": ("question",),
    "decision_made": (
        "decision.diagnosis.name",
        "decision.reasons.*.detail",
        "decision.red_flags.*.detail",
        "decision.summary",
    ),
    "run_ended": ("error",),
}
"""Where content is, by kind of event: paths, `*` being every element. Below a path all texts are content, names of
fields and figures are not."""


def without_content(event: Event) -> Event:
    """Return an event with `__REDACTED__` in the place of content; one that says nothing there stays as it is.

    Raises:
        KeyError: The kind of event is not in the table, so that nobody said what of it is content.
    """
    value = json_value(event)
    for path in CONTENT[event.event]:
        _redact(value, path.split("."))
    return EVENT.validate_json(canonical(value))


def _redact(value: Any, path: Sequence[str]) -> None:
    name, rest = path[0], path[1:]
    if isinstance(value, list):
        places: list[Any] = list(range(len(value))) if name == "*" else []
    else:
        places = [name] if isinstance(value, dict) and name in value else []
    for place in places:
        if rest:
            _redact(value[place], rest)
        else:
            value[place] = _redacted(value[place])


def _redacted(value: Any) -> Any:
    if isinstance(value, str):
        return REDACTED if value else value
    if isinstance(value, list):
        return [_redacted(inner) for inner in value]
    if isinstance(value, dict):
        return {name: _redacted(inner) for name, inner in value.items()}
    return value


class WithoutContent:
    """Leaves the content of one run out, event by event, so that what refers to what can still be told.

    Sources, readings and claims are named by hashes of their words, from which whoever guesses the words can tell that
    they were said. They get the names of what stands in their place, documents are numbered, and what refers to them
    is led there; what refers to something before it came up refers to nothing.
    """

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._said: dict[str, str] = {}
        """The other way round: what stands in whose place."""
        self._documents: dict[str, str] = {}

    def __call__(self, event: Event) -> Event:
        """Return the next event of the run without its content."""
        bare = without_content(event)
        if isinstance(event, EvidenceAdded) and isinstance(bare, EvidenceAdded):
            bare = bare.model_copy(update={"item": self._item(event, bare)})
        return EVENT.validate_python(self._led(bare.model_dump()))

    def _item(self, event: EvidenceAdded, bare: EvidenceAdded) -> Any:
        match event.item, bare.item:
            case SourceItem(source=said), SourceItem(source=source):
                document = self._documents.setdefault(said.document, f"{REDACTED} {len(self._documents) + 1}")
                return SourceItem(source=self._named(said, source.model_copy(update={"document": document}), "title"))
            case ReadingItem(finding=said), ReadingItem(finding=finding):
                place = self._names.get(finding.source or "", finding.source)
                return ReadingItem(finding=self._named(said, finding.model_copy(update={"source": place}), "name"))
            case ClaimItem(claim=said), ClaimItem(claim=claim):
                cites = tuple(self._names.get(cited, cited) for cited in claim.cites)
                return ClaimItem(claim=self._named(said, claim.model_copy(update={"cites": cites}), "text"))
            case _, ProvenanceItem(tail=tail, head=head):
                ends = {"tail": self._documents.get(tail, tail), "head": self._documents.get(head, head)}
                return bare.item.model_copy(update=ends)
            case _:
                return bare.item

    def _named(self, said: T, bare: T, telling: str) -> T:
        """Return what stands in the place of something, numbered where it would be taken for another."""
        there, n = bare, 2
        while self._said.get(there.id, said.id) != said.id:
            there, n = bare.model_copy(update={telling: f"{REDACTED} {n}"}), n + 1
        self._names[said.id], self._said[there.id] = there.id, said.id
        return there

    def _led(self, value: Any) -> Any:
        if isinstance(value, str):
            is_lost = _NAME.fullmatch(value) is not None and value not in self._said
            return self._names.get(value, REDACTED if is_lost else value)
        if isinstance(value, list | tuple):
            return [self._led(inner) for inner in value]
        if isinstance(value, dict):
            return {name: self._led(inner) for name, inner in value.items()}
        return value
