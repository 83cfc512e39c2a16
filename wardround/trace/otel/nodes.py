"""Which step of the state machine led to which, read off the log and never guessed from nesting."""

from __future__ import annotations

from dataclasses import dataclass

from wardround.trace.events import Outcome, SpanKind
from wardround.trace.otel.names import OpenInference, Ours
from wardround.trace.otel.stretches import Log, Stretch
from wardround.trace.otel.values import Value


@dataclass(frozen=True)
class Node:
    """A step as a node of the graph."""

    id: str
    name: str
    parents: tuple[str, ...]
    """Ids of the nodes that led here; several where the paths of specialists meet again."""

    def attributes(self) -> dict[str, Value]:
        """Return what every span of the node says; a root has no parent."""
        named: dict[str, Value] = {OpenInference.NODE_ID: self.id, OpenInference.NODE_NAME: self.name}
        if self.parents:
            named |= {OpenInference.NODE_PARENT: self.parents[0], Ours.PARENTS: list(self.parents)}
        return named


def nodes(log: Log) -> dict[str, Node]:
    """Return the node of each step, by the step's key.

    Specialists are asked at the same time, so all that follow one another without another step between them make
    one stage, and each stage follows from the whole one before it. A step that is done again after a resume has
    the parents that it had.
    """
    found: dict[str, Node] = {}
    known: dict[str, tuple[str, ...]] = {}
    before: tuple[str, ...] = ()
    reached = 0
    for stage in _stages(log):
        first = stage[0]
        parents = known.get(_id(log, first), before) if first.run_pass > reached else before
        reached = stage[-1].run_pass
        for step in stage:
            known[_id(log, step)] = parents
            found[step.key] = Node(_id(log, step), step.name, parents)
        # by name, which no race can change; what failed led nowhere
        before = tuple(sorted({_id(log, s) for s in stage if s.outcome is Outcome.DONE})) or parents
    return found


def _stages(log: Log) -> list[list[Stretch]]:
    stages: list[list[Stretch]] = []
    for step in log.within(log.root):
        if step.kind is SpanKind.AGENT and stages and stages[-1][-1].kind is SpanKind.AGENT:
            stages[-1].append(step)
        elif step.kind in (SpanKind.NODE, SpanKind.AGENT):
            stages.append([step])
    return stages


def _id(log: Log, step: Stretch) -> str:
    return f"{log.root.name}/{step.name}"
