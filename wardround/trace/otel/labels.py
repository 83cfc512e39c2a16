"""What people said of a run later: each label on a span of its own that points at what it judges."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Protocol, TypeVar

from wardround.core.errors import UsageError
from wardround.core.items import SourceItem
from wardround.trace.events import Event, EvidenceAdded
from wardround.trace.otel.names import GenAi, OpenInference, Role
from wardround.trace.otel.privacy import Privacy
from wardround.trace.otel.results import makers
from wardround.trace.otel.stretches import ROOT, Log, read_log
from wardround.trace.otel.values import Side, SpanValue, Status, Trace, Value, nanoseconds, span_id, trace_id


class Label(Protocol):
    """A person's judgement of a run, or of a claim, span or source of it."""

    @property
    def target(self) -> str:
        """`run`, `claim`, `span` or `source`."""
        ...

    @property
    def id(self) -> str:
        """Which of them."""
        ...

    @property
    def label(self) -> str:
        """`right`, `wrong` or `unsure`."""
        ...

    @property
    def why(self) -> str:
        """In words; content."""
        ...

    @property
    def who(self) -> str:
        """Who judged; content."""
        ...

    @property
    def time(self) -> datetime:
        """When."""
        ...


L = TypeVar("L", bound=Label)


def held(events: Iterable[Event], labels: Iterable[L]) -> tuple[list[L], list[L]]:
    """Tell the labels of what a log holds from those of what it does not, such as a claim of an earlier version.

    Raises:
        UsageError: The events are not the log of one run.
    """
    log = read_log(events)
    every = list(labels)
    return [one for one in every if _found(log, one)], [one for one in every if not _found(log, one)]


def labels_of(events: Iterable[Event], labels: Iterable[Label], privacy: Privacy | None = None) -> Trace:
    """Return the spans that carry labels; they join the trace that the same log gives.

    A span that was sent cannot be changed, so what is said later is sent later, without the run.

    Raises:
        UsageError: The events are not the log of one run, or a label is about something that is not in it.
    """
    log = read_log(events)
    trace = trace_id(log.started.run, log.started.time, log.events[-1].seq)
    shown = privacy or Privacy()
    spans = tuple(shown.apply(_carrier(trace, label, _target(log, label), log.started.run)) for label in labels)
    return Trace(run=log.started.run, id=trace, spans=spans)


def _found(log: Log, label: Label) -> str | None:
    """Return the key of the stretch that a label is about, if the log holds it."""
    match label.target:
        case "run":
            return ROOT
        case "claim":
            return makers(log).get(label.id)
        case "span":
            return next((s.key for s in reversed(log.stretches) if s.key.split("#")[0] == label.id), None)
        case "source":
            return next((s.key for s in log.stretches if label.id in _sources(s.of(EvidenceAdded))), None)
    return None


def _target(log: Log, label: Label) -> str:
    found = _found(log, label)
    if found is None:
        raise UsageError(f"a label is about the {label.target} {label.id!r}, which run {log.started.run} does not hold")
    return found


def _sources(events: Iterable[EvidenceAdded]) -> set[str]:
    return {event.item.source.id for event in events if isinstance(event.item, SourceItem)}


def _carrier(trace: str, label: Label, target: str, run: str) -> SpanValue:
    is_run = label.target == "run"
    at = f"{OpenInference.TRACE_ANNOTATIONS if is_run else OpenInference.ANNOTATIONS}.0.annotation"
    told: dict[str, Value] = {
        OpenInference.KIND: Role.EVALUATOR.value,
        OpenInference.SESSION: run,
        GenAi.CONVERSATION: run,
        f"{at}.name": f"clinician_label_of_{label.target}",
        f"{at}.label": label.label,
        f"{at}.annotator_kind": "HUMAN",
        f"{at}.identifier": run if is_run else label.id,
        f"{at}.metadata": json.dumps({"who": label.who}, ensure_ascii=False),
    }
    time = nanoseconds(label.time)
    return SpanValue(
        trace=trace,
        id=span_id(trace, "\0".join(("label", label.target, label.id, label.who, str(time)))),
        parent=span_id(trace, ROOT),
        name="clinician label",
        side=Side.INTERNAL,
        start=time,
        end=time,
        attributes={**told, f"{at}.explanation": label.why} if label.why else told,
        links=(span_id(trace, target),),
        status=Status.OK,
    )
