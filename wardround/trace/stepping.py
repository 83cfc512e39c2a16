"""What was done in a run as a list of steps, and such lists beside each other.

Work that was under way at the same time has no order, so it is put in the order of its names: two runs that did the
same do not differ because threads were scheduled otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from wardround.trace.events import Event, SpanEnded, SpanStarted

UNDER_WAY = "under way"
"""Outcome of a step that has no end in the log."""


@dataclass(frozen=True)
class Step:
    """A stretch of work."""

    depth: int
    """0 for the run itself."""
    kind: str
    name: str
    outcome: str
    """done, failed, suspended or `UNDER_WAY`."""

    @property
    def key(self) -> tuple[int, str, str]:
        """What makes it the same step in another run."""
        return self.depth, self.kind, self.name


@dataclass
class _Span:
    started: SpanStarted
    ended: int | None = None
    outcome: str = UNDER_WAY
    children: list[_Span] = field(default_factory=list)

    @property
    def name(self) -> tuple[str, str]:
        return self.started.kind.value, self.started.name


def steps(log: Iterable[Event]) -> list[Step]:
    """Return the spans of a log as steps, parents before what they hold.

    A span that a resumed run opened again counts each time, since it was gone through each time.
    """
    spans: dict[str, _Span] = {}
    roots: list[_Span] = []
    for event in log:
        if isinstance(event, SpanStarted) and event.opened not in spans:
            span = spans[event.opened] = _Span(event)
            parent = spans.get(event.span)
            (parent.children if parent is not None else roots).append(span)
        elif isinstance(event, SpanEnded) and event.closed in spans:
            spans[event.closed].ended, spans[event.closed].outcome = event.seq, event.outcome.value
    return _flat(roots)


def _flat(roots: Sequence[_Span]) -> list[Step]:
    """A stack instead of recursion: how deep a log nests is up to whoever wrote it."""
    found: list[Step] = []
    left = [(span, 0) for span in reversed(_ordered(roots))]
    while left:
        span, depth = left.pop()
        found.append(Step(depth, *span.name, span.outcome))
        left += [(child, depth + 1) for child in reversed(_ordered(span.children))]
    return found


def _ordered(siblings: Sequence[_Span]) -> list[_Span]:
    """Siblings in the order in which they began, those that overlap by name."""
    groups: list[list[_Span]] = []
    end: float = -1
    for span in siblings:
        if groups and span.started.seq < end:
            groups[-1].append(span)
        else:
            groups.append([span])
        end = max(end, span.ended if span.ended is not None else float("inf"))
    return [span for group in groups for span in sorted(group, key=lambda span: span.name)]


@dataclass(frozen=True)
class Aligned:
    """One step in all runs."""

    depth: int
    kind: str
    name: str
    outcomes: tuple[str | None, ...]
    """One for each run; nothing where it did not take this step."""


def aligned(paths: Sequence[Sequence[Step]]) -> list[Aligned]:
    """Put paths beside each other, in an order that fits all of them.

    Each is aligned with what the ones before have in common or alone, by longest matching blocks.

    >>> a, b = Step(0, "node", "plan", "done"), Step(0, "node", "gate", "done")
    >>> [(row.name, row.outcomes) for row in aligned([[a, b], [b]])]
    [('plan', ('done', None)), ('gate', ('done', 'done'))]
    """
    rows: list[tuple[tuple[int, str, str], list[str | None]]] = []
    for width, path in enumerate(paths):
        before, theirs = [key for key, _ in rows], [step.key for step in path]
        merged: list[tuple[tuple[int, str, str], list[str | None]]] = []
        for what, i, j, k, end in SequenceMatcher(None, before, theirs, autojunk=False).get_opcodes():
            if what == "equal":
                merged += [(key, [*had, step.outcome]) for (key, had), step in zip(rows[i:j], path[k:end], strict=True)]
            else:
                merged += [(key, [*had, None]) for key, had in rows[i:j]]
                merged += [(step.key, [*[None] * width, step.outcome]) for step in path[k:end]]
        rows = merged
    return [Aligned(*key, tuple(outcomes)) for key, outcomes in rows]
