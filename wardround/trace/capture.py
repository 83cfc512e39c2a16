"""Logs without content: what patients, models and people said is left out, and codes and figures stay.

In such a log one can still see what happened, how long it took and how it ended; it can be counted and compared. It
cannot be resumed or replayed, and sources have other ids than the claims that cite them say, since these are made
from the words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wardround.trace.chain import canonical, json_value
from wardround.trace.events import EVENT, Event

REDACTED = "__REDACTED__"
"""Stands for content that was left out."""

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
