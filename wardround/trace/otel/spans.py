"""From a run's log to a trace: a pure fold, and the same log always gives the same trace."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from wardround.core.items import VerdictItem
from wardround.trace.events import (
    DecisionMade,
    Event,
    EvidenceAdded,
    ModelAsked,
    Outcome,
    Resumed,
    SpanKind,
    Suspended,
    UncertaintyMeasured,
)
from wardround.trace.otel.model_calls import call_attributes, cost, requested_model, side_of
from wardround.trace.otel.names import RESUMED, SUSPENDED, GenAi, OpenInference, Operation, Ours, Role
from wardround.trace.otel.nodes import Node, nodes
from wardround.trace.otel.privacy import Privacy
from wardround.trace.otel.results import (
    Result,
    claim_results,
    evaluations,
    gate_results,
    makers,
    refusals,
    run_results,
    uncertainty_result,
)
from wardround.trace.otel.steps import CHECKS, agent_attributes, agent_of, run_attributes, step_attributes
from wardround.trace.otel.stretches import Log, Stretch, read_log
from wardround.trace.otel.tool_calls import TOOL_ERROR, tool_attributes, tool_error, tool_name, tool_role
from wardround.trace.otel.values import (
    EventValue,
    Side,
    SpanValue,
    Status,
    Trace,
    Value,
    nanoseconds,
    span_id,
    trace_id,
)

UNFINISHED = "unfinished"
"""Outcome of what the log does not see end."""
_ERROR_TYPE = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*(?=:|$)")


@dataclass(frozen=True)
class _Named:
    """What a span is, before its content is looked at."""

    name: str
    role: Role
    operation: Operation | None = None
    side: Side = Side.INTERNAL


def trace_of(events: Iterable[Event], privacy: Privacy | None = None) -> Trace:
    """Return the trace of a run.

    Args:
        events: All of its events, in any order.
        privacy: What of it may be sent; without it no content.

    Raises:
        UsageError: They are not the log of one run, from its beginning.
    """
    log = read_log(events)
    return _Fold(log, privacy or Privacy()).trace()


class _Fold:
    """What the spans of one log have in common."""

    def __init__(self, log: Log, privacy: Privacy) -> None:
        self.log, self.privacy = log, privacy
        self.id = trace_id(log.started.run, log.started.time, log.events[-1].seq)
        self.nodes = nodes(log)
        self.makers = makers(log)
        self.claims = claim_results(log, self.makers)
        self.refusals = refusals(log)

    def trace(self) -> Trace:
        spans = tuple(self.privacy.apply(self._span(stretch)) for stretch in self.log.stretches)
        return Trace(run=self.log.started.run, id=self.id, spans=spans)

    def _span(self, stretch: Stretch) -> SpanValue:
        named = self._named(stretch)
        results = self._results(stretch)
        is_root = stretch is self.log.root
        attributes: dict[str, Value] = {
            **({GenAi.OPERATION: named.operation.value} if named.operation is not None else {}),
            OpenInference.KIND: named.role.value,
            GenAi.CONVERSATION: self.log.started.run,
            OpenInference.SESSION: self.log.started.run,
            **self._node(stretch),
            **self._told(stretch),
            **evaluations(results, OpenInference.TRACE_EVALUATIONS if is_root else OpenInference.EVALUATIONS),
            Ours.OUTCOME: stretch.outcome.value if stretch.outcome is not None else UNFINISHED,
        }
        status, error, message = _ended(stretch)
        return SpanValue(
            trace=self.id,
            id=span_id(self.id, stretch.key),
            parent=span_id(self.id, stretch.parent) if stretch.parent is not None else None,
            name=named.name,
            side=named.side,
            start=nanoseconds(stretch.start),
            end=nanoseconds(stretch.end),
            attributes={**attributes, GenAi.ERROR_TYPE: error} if error is not None else attributes,
            events=tuple(sorted([*_pauses(stretch), *(r.event() for r in results)], key=lambda event: event.time)),
            links=self._links(stretch),
            status=status,
            message=message,
        )

    def _named(self, stretch: Stretch) -> _Named:
        agent = agent_of(self.log, stretch)
        if agent is not None:
            return _Named(f"{Operation.INVOKE_AGENT.value} {agent}", Role.AGENT, Operation.INVOKE_AGENT)
        match stretch.kind:
            case SpanKind.RUN:
                name = f"{Operation.INVOKE_WORKFLOW.value} {stretch.name}"
                return _Named(name, Role.CHAIN, Operation.INVOKE_WORKFLOW)
            case SpanKind.MODEL:
                name = f"{Operation.CHAT.value} {requested_model(self.log, stretch)}"
                return _Named(name, Role.LLM, Operation.CHAT, side_of(stretch))
            case SpanKind.TOOL:
                operation, role = tool_role(stretch)
                side = Side.CLIENT if operation is Operation.RETRIEVAL else Side.INTERNAL
                return _Named(f"{operation.value} {tool_name(stretch.name)}", role, operation, side)
            case _:
                return _Named(stretch.name, CHECKS.get(stretch.name, Role.CHAIN))

    def _told(self, stretch: Stretch) -> dict[str, Value]:
        agent = agent_of(self.log, stretch)
        if agent is not None:
            return agent_attributes(self.log, stretch, agent)
        match stretch.kind:
            case SpanKind.RUN:
                return run_attributes(self.log, self.privacy)
            case SpanKind.MODEL:
                return {**call_attributes(stretch, self.privacy), **cost(self.log, stretch)}
            case SpanKind.TOOL:
                return tool_attributes(self.log, stretch)
            case _:
                return step_attributes(self.log, stretch)

    def _node(self, stretch: Stretch) -> dict[str, Value]:
        step = self.log.step(stretch)
        node: Node | None = self.nodes.get(step.key) if step is not None else None
        return node.attributes() if node is not None else {}

    def _results(self, stretch: Stretch) -> list[Result]:
        if stretch is self.log.root:
            return run_results(self.log)
        if stretch.kind is SpanKind.MODEL:
            return [r for asked in stretch.of(ModelAsked) for r in self.refusals.get(asked.call, [])]
        measured = [uncertainty_result(event) for event in stretch.of(UncertaintyMeasured)]
        return [*self.claims.get(stretch.key, []), *measured, *gate_results(stretch.of(DecisionMade))]

    def _links(self, stretch: Stretch) -> tuple[str, ...]:
        """A step that judged claims of others points at the steps that made them."""
        items = [event.item for event in stretch.of(EvidenceAdded)]
        judged = [item.verdict.claim for item in items if isinstance(item, VerdictItem)]
        made_in = dict.fromkeys(self.makers[claim] for claim in judged if claim in self.makers)
        return tuple(span_id(self.id, key) for key in made_in if key != stretch.key)


def _ended(stretch: Stretch) -> tuple[Status, str | None, str]:
    """Return how a span ended, the kind of its error, and the error in words."""
    refused = tool_error(stretch) if stretch.kind is SpanKind.TOOL else None
    if stretch.outcome is Outcome.FAILED:
        error = stretch.error or ""
        kind = _ERROR_TYPE.match(error)
        return Status.ERROR, kind.group() if kind is not None else "_OTHER", error
    if refused is not None:
        return Status.ERROR, TOOL_ERROR, refused
    return (Status.OK if stretch.outcome is Outcome.DONE else Status.UNSET), None, ""


def _pauses(stretch: Stretch) -> list[EventValue]:
    return [
        EventValue(SUSPENDED if isinstance(event, Suspended) else RESUMED, nanoseconds(event.time), {})
        for event in stretch.events
        if isinstance(event, Suspended | Resumed)
    ]
