"""What was said to models and tools, and what they answered, as it was sent and received."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from wardround.core.graph import EvidenceGraph
from wardround.dashboard.showing import Shown, editable, line, pretty, shown
from wardround.models.budget import Prices
from wardround.tools.fhir.access import mapping, objects, string
from wardround.tools.fhir.wording import when, words
from wardround.trace import views
from wardround.trace.events import (
    AnswerRefused,
    Event,
    ModelAnswered,
    ModelAsked,
    Origin,
    RunStarted,
    ToolCalled,
    ToolReturned,
)

MOST_ROWS = 200
"""Rows of a table that a tool's answer makes."""


@dataclass(frozen=True)
class Message:
    """One message that a model was sent."""

    role: str
    text: Shown
    images: tuple[str, ...] = ()
    """SHA-256 of what is attached."""


@dataclass(frozen=True)
class Call:
    """One question to a model with its answer."""

    call: str
    """Its id, by which a fork names it."""
    seq: int
    """Place in the log of the question; names it on the page."""
    span: str
    agent: str
    model: str
    answer: str
    """Schema that was asked for."""
    rollout: int
    attempt: int
    time: datetime
    messages: tuple[Message, ...]
    text: Shown | None
    """What was answered; nothing where no answer came."""
    calls: tuple[Shown, ...]
    """Tools that the answer calls natively."""
    origin: str
    served_by: str
    finish: str
    seconds: float | None
    input_tokens: int | None
    output_tokens: int | None
    money: float | None
    faults: tuple[str, ...]
    """Why the answer was not taken."""
    options: Shown
    draft: str | None = None
    """What was answered, to be edited; nothing where a page cannot hold it as it is."""

    @property
    def anchor(self) -> str:
        """Id of its element on a page."""
        return f"call-{self.seq}"


@dataclass(frozen=True)
class Table:
    """Rows of text under headings."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 0
    """Rows that are not shown."""


@dataclass(frozen=True)
class Use:
    """One use of a tool, with its answer raw and as a table."""

    call: str
    """Its id, by which a fork names it."""
    seq: int
    span: str
    agent: str
    tool: str
    arguments: Shown
    time: datetime
    text: Shown
    """As it was returned, or what was wrong."""
    table: Table | None
    error: str | None
    sources: tuple[tuple[str, str, str], ...]
    """Id, title and words of the evidence that it brought."""
    is_answered: bool
    draft: str | None = None
    """What was returned, to be edited; nothing where a page cannot hold it as it is."""

    @property
    def anchor(self) -> str:
        """Id of its element on a page."""
        return f"use-{self.seq}"


def calls_of(events: Sequence[Event]) -> list[Call]:
    """Return all questions to models in order, each with the answer that came for it."""
    answers: dict[str, list[ModelAnswered]] = {}
    faults: dict[str, list[str]] = {}
    for event in events:
        if isinstance(event, ModelAnswered):
            answers.setdefault(event.call, []).append(event)
        elif isinstance(event, AnswerRefused):
            faults.setdefault(event.call, []).append(line(event.fault) + (" (final)" if event.final else ""))
    prices = prices_of(events)
    asked = [event for event in events if isinstance(event, ModelAsked)]
    return [_call(event, _answer(event, answers), tuple(faults.get(event.call, ())), prices) for event in asked]


def _answer(asked: ModelAsked, answers: Mapping[str, Sequence[ModelAnswered]]) -> ModelAnswered | None:
    """The first answer behind a question; the same question may have been put again after a resume."""
    return next((answer for answer in answers.get(asked.call, ()) if answer.seq > asked.seq), None)


def prices_of(events: Sequence[Event]) -> Prices | None:
    """Return what the run's model costs, where that was said."""
    started = next((event for event in events if isinstance(event, RunStarted)), None)
    given = started.settings.get("prices") if started is not None else None
    return Prices.model_validate(given) if given is not None else None


def _call(asked: ModelAsked, answered: ModelAnswered | None, faults: tuple[str, ...], prices: Prices | None) -> Call:
    money = None
    if prices is not None and answered is not None and answered.origin is not Origin.LOG:
        money = prices.cost(answered.input_tokens or 0, answered.output_tokens or 0)
    given = [*answered.tool_calls, *answered.invalid_tool_calls] if answered is not None else []
    whole = f"event/{answered.seq}" if answered is not None else None
    return Call(
        call=asked.call,
        seq=asked.seq,
        span=asked.span,
        agent=line(asked.agent, most=60),
        model=line(asked.model, most=80),
        answer=line(asked.answer, most=60),
        rollout=asked.rollout,
        attempt=asked.attempt,
        time=asked.time,
        messages=tuple(_message(message, asked.seq) for message in asked.messages),
        text=shown(answered.refusal or answered.text, whole=whole) if answered is not None else None,
        calls=tuple(shown(pretty(call), whole=whole) for call in given),
        origin=answered.origin.value if answered is not None else "",
        served_by=line(answered.served_by or "", most=80) if answered is not None else "",
        finish=line(answered.finish or "", most=40) if answered is not None else "",
        seconds=answered.seconds if answered is not None else None,
        input_tokens=answered.input_tokens if answered is not None else None,
        output_tokens=answered.output_tokens if answered is not None else None,
        money=money,
        faults=faults,
        options=shown(pretty(asked.options) if asked.options else "", whole=f"event/{asked.seq}"),
        draft=editable(answered.text) if answered is not None and answered.text else None,
    )


def _message(message: Mapping[str, Any], seq: int) -> Message:
    content, whole = message.get("content"), f"event/{seq}"
    role = line(string(message.get("role")) or string(message.get("type")) or "message", most=20)
    if isinstance(content, str):
        extra = {key: value for key, value in message.items() if key not in ("role", "type", "content") and value}
        return Message(role, shown(content + (f"\n{pretty(extra)}" if extra else ""), most=20_000, whole=whole))
    blocks = objects(content)
    text = "\n".join(string(block.get("text")) for block in blocks if "text" in block)
    images = tuple(string(block.get("sha256")) for block in blocks if block.get("type") == "image")
    return Message(role, shown(text or pretty(message), most=20_000, whole=whole), images)


def uses_of(events: Sequence[Event]) -> list[Use]:
    """Return all uses of tools in order, each with what came of it."""
    graph = views.evidence_graph(events)
    returned: dict[str, list[ToolReturned]] = {}
    for event in events:
        if isinstance(event, ToolReturned):
            returned.setdefault(event.call, []).append(event)
    called = [event for event in events if isinstance(event, ToolCalled)]
    return [_use(event, _returned(event, returned), graph) for event in called]


def _returned(called: ToolCalled, returned: Mapping[str, Sequence[ToolReturned]]) -> ToolReturned | None:
    return next((answer for answer in returned.get(called.call, ()) if answer.seq > called.seq), None)


def _use(called: ToolCalled, answer: ToolReturned | None, graph: EvidenceGraph) -> Use:
    whole = f"event/{answer.seq}" if answer is not None else None
    brought = [graph.sources[s] for s in answer.sources if s in graph.sources] if answer is not None else []
    only = called.arguments.get("argument")
    given = only if len(called.arguments) == 1 and isinstance(only, str) else pretty(called.arguments)
    return Use(
        call=called.call,
        seq=called.seq,
        span=called.span,
        agent=line(called.agent, most=60),
        tool=line(called.tool, most=60),
        arguments=shown(given, whole=f"event/{called.seq}"),
        time=called.time,
        text=shown(_indented(answer.text) if answer is not None else "", whole=whole),
        table=table_of(answer.text) if answer is not None else None,
        error=line(answer.error, most=600) if answer is not None and answer.error is not None else None,
        sources=tuple((s.id, line(s.title or s.document, most=80), line(s.text, most=200)) for s in brought),
        is_answered=answer is not None,
        draft=editable(answer.text) if answer is not None and answer.error is None else None,
    )


def _indented(text: str) -> str:
    """JSON as it is read best; other text as it is."""
    if text[:1] not in "{[" or len(text) > 1_000_000:
        return text
    try:
        return pretty(json.loads(text))
    except ValueError:  # it only begins like JSON
        return text


def table_of(text: str) -> Table | None:
    """Return an answer as a table: a Bundle by its resources, a list of objects by their fields, `a | b` by columns.

    >>> table_of('[{"a": 1}, {"a": 2, "b": 3}]').rows
    (('1', ''), ('2', '3'))
    >>> table_of("just words") is None
    True
    """
    if len(text) > 5_000_000:
        return None
    if text[:1] in ("{", "["):
        try:
            return _of_json(json.loads(text))
        except (ValueError, RecursionError):  # it only begins like JSON
            return None
    return _of_lines(text.splitlines())


def _of_json(value: Any) -> Table | None:
    if isinstance(value, dict) and value.get("resourceType") == "Bundle":
        entries = [mapping(mapping(entry).get("resource")) for entry in objects(value.get("entry"))]
        said = tuple(
            (
                line(f"{r.get('resourceType')}/{r.get('id', '?')}", most=60),
                line(str(when(r) or ""), most=30),
                line(words(r)),
            )
            for r in entries[:MOST_ROWS]
        )
        return Table(("resource", "when", "says"), said, max(0, len(entries) - MOST_ROWS))
    if isinstance(value, dict):
        return Table(
            ("field", "value"), tuple((line(str(k), most=60), _cell(v)) for k, v in list(value.items())[:MOST_ROWS])
        )
    found = objects(value)
    if not found:
        return None
    heads = tuple(dict.fromkeys(str(key) for row in found[:MOST_ROWS] for key in row))[:12]
    rows = tuple(tuple(_cell(row.get(head, "")) for head in heads) for row in found[:MOST_ROWS])
    return Table(tuple(line(head, most=40) for head in heads), rows, max(0, len(found) - MOST_ROWS))


def _cell(value: Any) -> str:
    return line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))


def _of_lines(lines: Sequence[str]) -> Table | None:
    """A table that was written with bars between the columns, or lines of the form `name: text`."""
    barred = [row for row in lines if row.count("|") >= 1 and not set(row.strip()) <= set("|-: +")]
    if len(barred) >= 2:
        cells = [[line(cell.strip()) for cell in row.strip().strip("|").split("|")] for row in barred]
        size = max(len(row) for row in cells)
        rows = tuple(tuple((row + [""] * size)[:size]) for row in cells)
        return Table(rows[0], rows[1 : MOST_ROWS + 1], max(0, len(rows) - 1 - MOST_ROWS))
    named = [row.partition(": ") for row in lines if row.strip()]
    if named and all(colon and len(name) < 100 for name, colon, _ in named):
        rows = tuple((line(name, most=100), line(rest, most=600)) for name, _, rest in named[:MOST_ROWS])
        return Table(("what", "says"), rows, max(0, len(named) - MOST_ROWS))
    return None
