"""What stands above every page of a run: who, what, when, how it stands, what it cost, and what it was forked from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from wardround.core.case import Case
from wardround.dashboard.exchanges import prices_of
from wardround.dashboard.showing import line, shown
from wardround.trace import views
from wardround.trace.capture import REDACTED
from wardround.trace.events import Event, ModelAsked, RunEnded, RunStarted, Suspended
from wardround.trace.visits import is_record_agent


def head_of(events: Sequence[Event], case: Case) -> dict[str, Any]:
    """Return what stands above every page of a run: who, what, when, how it stands and what it cost."""
    started = next((event for event in events if isinstance(event, RunStarted)), None)
    ended = next((event for event in reversed(events) if isinstance(event, RunEnded)), None)
    last = events[-1] if events else None
    usage = views.usage(events)
    settings = started.settings if started is not None else {}
    state = "suspended" if isinstance(last, Suspended) else "running"
    return {
        "run": started.run if started is not None else "",
        "case": line(case.id, most=80),
        "kind": "records" if is_record_agent(events) else "consult",
        "model": line(started.model, most=80) if started is not None else "",
        "started": started.time if started is not None else None,
        "state": ended.outcome.value if ended is not None and ended is last else state,
        "error": line(ended.error, most=600) if ended is not None and ended.error else None,
        "age": case.age,
        "sex": case.sex.value if case.sex is not None else None,
        "complaint": shown(case.complaint or "", most=400, whole="case"),
        "usage": usage,
        "money": money_of(events, usage),
        "settings": settings,
        "is_redacted": any(isinstance(e, ModelAsked) and _without_content(e) for e in events),
        "fork": fork_of(settings),
    }


def _without_content(asked: ModelAsked) -> bool:
    return any(message.get("content") == REDACTED for message in asked.messages)


def money_of(events: Sequence[Event], usage: views.Usage) -> float | None:
    """Return what a run cost in the currency of its prices; nothing where none were given."""
    prices = prices_of(events)
    if prices is None:
        return None
    return math.fsum(prices.cost(agent.input_tokens, agent.output_tokens) for agent in usage.agents.values())


def fork_of(settings: Mapping[str, Any]) -> tuple[str, list[str]] | None:
    """Return the run that a run was forked from, and what was changed, in words."""
    given = settings.get("fork")
    if not isinstance(given, Mapping):
        return None
    edits = given.get("edits")
    changed = changes_of(edits) if isinstance(edits, Mapping) else []
    return line(str(given.get("of", "")), most=40), [line(words, most=200) for words in changed]


def changes_of(edits: Mapping[str, Any]) -> list[str]:
    """Return in words what a fork changed, as the beginning of its log has it."""
    model, anew = edits.get("model"), edits.get("anew_from")
    agents = ", ".join(edits.get("agents", ())) or "everybody"
    since = f" from {edits['model_from']} on" if edits.get("model_from") else ""
    return [
        *(f"without {name}" for name in edits.get("without", ())),
        *(f"another answer to {call}" for call in edits.get("answers", ())),
        *(f"another result of {call}" for call in edits.get("tools", ())),
        *([f"{agents} asked {model}{since}"] if model else []),
        *([f"all asked anew from {anew} on"] if anew else []),
    ]
