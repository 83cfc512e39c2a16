"""Sending a kept run to a collector or trace tool, for `wardround runs export --otlp`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wardround.trace.store import RunStore


def send_run(store: RunStore, run: str, url: str, *, content: bool) -> str:
    """Send a run as OpenTelemetry spans, and return what was done in a sentence.

    Args:
        store: Where the run is kept.
        run: Its id or the beginning of it, or the id of its case.
        url: Of the collector.
        content: Whether to send what was said of the patient as well.

    Raises:
        UsageError: There is no such run, or the address is none.
        MissingExtra: The OpenTelemetry SDK is not installed.
        ExportError: The collector did not take it.
    """
    from wardround.trace.otel.privacy import Privacy
    from wardround.trace.otel.sending import endpoint_of, send
    from wardround.trace.otel.spans import trace_of

    endpoint = endpoint_of(url)
    privacy = Privacy.from_environment(content=content)
    trace = trace_of(store.events(store.find(run).id), privacy)
    sent = send(trace, url)
    with_or_without = "with" if content else "without"
    return f"{sent} spans of {trace.run} sent to {endpoint} {with_or_without} content, as trace {trace.id}"
