"""Sending a kept run to a collector or trace tool, for `wardround runs export --otlp`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wardround.trace.annotating import Annotation
    from wardround.trace.events import Event


def send_run(events: Sequence[Event], url: str, *, content: bool, labels: Sequence[Annotation] | None = None) -> str:
    """Send a run as OpenTelemetry spans, and return what was done in a sentence.

    Args:
        events: Its log.
        url: Of the collector.
        content: Whether to send what was said of the patient as well.
        labels: What people said of it, each to be sent as a span of its own after the run; nothing where that was not
            asked for.

    Raises:
        UsageError: The address is none, the events are no run's log, or a label is about what the log does not hold;
            then nothing was sent.
        MissingExtra: The OpenTelemetry SDK is not installed.
        ExportError: The collector did not take it.
    """
    from wardround.trace.otel.labels import labels_of
    from wardround.trace.otel.privacy import Privacy
    from wardround.trace.otel.sending import endpoint_of, send
    from wardround.trace.otel.spans import trace_of

    endpoint = endpoint_of(url)
    privacy = Privacy.from_environment(content=content)
    trace = trace_of(events, privacy)
    said = labels_of(events, labels or (), privacy)
    sent = send(trace, url)
    with_or_without = "with" if content else "without"
    done = f"{sent} spans of {trace.run} sent to {endpoint} {with_or_without} content, as trace {trace.id}"
    if labels is None:
        return done
    return f"{done}; {send(said, url) if said.spans else 0} labels sent after them"
