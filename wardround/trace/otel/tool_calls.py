"""The span of a tool, and of a tool that looks things up in literature, which is a retrieval."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from wardround.core.source import Source
from wardround.trace.events import FhirExchanged, ToolCalled, ToolReturned
from wardround.trace.otel.names import GenAi, OpenInference, Operation, Ours, Role
from wardround.trace.otel.stretches import Log, Stretch
from wardround.trace.otel.values import Value

RETRIEVERS = frozenset(("guideline",))
"""Tools that look up passages of literature, which belong to no patient."""
_DATASTORES = frozenset(("search_record", "read_resource", "find_patient", "measurements", "GET"))
"""Tools that read a patient's record."""
_EFFECTS = {
    **dict.fromkeys(("guideline", "clinical_score", "lookup_code", *_DATASTORES), "read"),
    **dict.fromkeys(("create_resource", "update_resource", "POST", "PUT", "PATCH", "DELETE"), "write"),
}
"""What our own tools do to a record; of others it is not known."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_NAMELESS = "not_a_tool"

TOOL_ERROR = "tool_error"
"""Value of `error.type` where a tool said why it could not answer."""


def tool_name(written: str) -> str:
    """Return the name of a tool as it may be shown: a model can write anything in its place.

    >>> tool_name("guideline"), tool_name("look up Mrs Smith")
    ('guideline', 'not_a_tool')
    """
    return written if _NAME.fullmatch(written) else _NAMELESS


def tool_role(stretch: Stretch) -> tuple[Operation, Role]:
    """Return what a tool's span is."""
    if stretch.name in RETRIEVERS:
        return Operation.RETRIEVAL, Role.RETRIEVER
    return Operation.EXECUTE_TOOL, Role.TOOL


def tool_error(stretch: Stretch) -> str | None:
    """Return what a tool said was wrong."""
    return next((returned.error for returned in stretch.of(ToolReturned) if returned.error is not None), None)


def tool_attributes(log: Log, stretch: Stretch) -> dict[str, Value]:
    """Return what is to be said of a tool's use."""
    name = tool_name(stretch.name)
    told: dict[str, Value] = {GenAi.TOOL_NAME: name, OpenInference.TOOL_NAME: name}
    for called in stretch.of(ToolCalled):
        told |= _called(called)
    for returned in stretch.of(ToolReturned):
        told |= _returned(returned)
    exchanges = [f"{e.method} {e.status if e.status is not None else 'no answer'}" for e in stretch.of(FhirExchanged)]
    if exchanges:
        told[Ours.EXCHANGES] = exchanges
    operation, _ = tool_role(stretch)
    if operation is Operation.RETRIEVAL:
        return {**told, **_retrieval(log, stretch, name)}
    return {**told, GenAi.TOOL_TYPE: "datastore" if name in _DATASTORES else "function"}


def _called(called: ToolCalled) -> dict[str, Value]:
    arguments = json.dumps(called.arguments, ensure_ascii=False)
    effect: dict[str, Value] = {Ours.EFFECT: _EFFECTS[called.tool]} if called.tool in _EFFECTS else {}
    return {
        GenAi.AGENT_NAME: called.agent,
        GenAi.TOOL_CALL: called.call,
        OpenInference.TOOL_ID: called.call,
        GenAi.TOOL_ARGUMENTS: arguments,
        OpenInference.INPUT: arguments,
        OpenInference.INPUT_TYPE: "application/json",
        **effect,
    }


def _returned(returned: ToolReturned) -> dict[str, Value]:
    text = returned.text if returned.error is None else returned.error
    told: dict[str, Value] = {
        GenAi.TOOL_RESULT: text,
        OpenInference.OUTPUT: text,
        OpenInference.OUTPUT_TYPE: "application/json" if _is_json(text) else "text/plain",
    }
    return {**told, Ours.SOURCES: list(returned.sources)} if returned.sources else told


def _is_json(text: str) -> bool:
    if not text.startswith(("{", "[")):
        return False
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _retrieval(log: Log, stretch: Stretch, name: str) -> dict[str, Value]:
    told: dict[str, Value] = {GenAi.DATA_SOURCE: name}
    for called in stretch.of(ToolCalled):
        query = called.arguments.get("argument")
        if isinstance(query, str):
            told |= {GenAi.QUERY: query, OpenInference.INPUT: query, OpenInference.INPUT_TYPE: "text/plain"}
    for returned in stretch.of(ToolReturned):
        told |= _documents([(id_, log.sources.get(id_)) for id_ in returned.sources])
    return told


def _documents(found: list[tuple[str, Source | None]]) -> dict[str, Value]:
    """Return the passages in OpenInference's form alone: `gen_ai.retrieval.documents` wants a score of each.

    They are looked up by what they are about and have none.
    """
    told: dict[str, Value] = {}
    for i, (id_, source) in enumerate(found):
        at = f"{OpenInference.DOCUMENTS}.{i}.document"
        told[f"{at}.id"] = id_
        if source is not None:
            told |= {f"{at}.content": source.text, f"{at}.metadata": json.dumps(_about(source), ensure_ascii=False)}
    return told


def _about(source: Source) -> Mapping[str, object]:
    about = {"title": source.title, "kind": source.kind.value, "citation": source.citation}
    return {key: value for key, value in about.items() if value}
