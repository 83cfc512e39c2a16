"""Our spans as those of the OpenTelemetry SDK, and the line to a collector; imports the SDK."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status as SdkStatus
from opentelemetry.trace.status import StatusCode

from wardround import __version__
from wardround.trace.otel.names import SCHEMA_URL
from wardround.trace.otel.values import Attributes, Side, SpanValue, Status

PROJECT = "openinference.project.name"
"""Where Phoenix files a trace."""

_CONNECTION = re.compile(r"^\w+\(host=.*?\): ")
_SCOPE = InstrumentationScope("wardround", __version__, SCHEMA_URL)
_SIDES = {Side.INTERNAL: SpanKind.INTERNAL, Side.CLIENT: SpanKind.CLIENT}
_STATUSES = {Status.UNSET: StatusCode.UNSET, Status.OK: StatusCode.OK, Status.ERROR: StatusCode.ERROR}

# The exporter tells of its faults by logging, and they are raised here; without a handler Python would print them.
logging.getLogger("opentelemetry.exporter.otlp").addHandler(logging.NullHandler())


class _Heard(requests.Session):
    """A session that keeps what came back, which the exporter does not hand on."""

    def __init__(self) -> None:
        super().__init__()
        self.fault: Exception | None = None
        self.response: requests.Response | None = None

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request as ever, but to no other address than the one that was given."""
        self.fault, self.response = None, None
        try:
            self.response = super().request(*args, **{**kwargs, "allow_redirects": False})
        except Exception as error:
            self.fault = error
            raise
        return self.response


class Line:
    """A line to a collector."""

    def __init__(self, endpoint: str, *, timeout: float) -> None:
        """Get ready to send.

        Args:
            endpoint: With the path of the signal.
            timeout: Seconds for one request.
        """
        self._session = _Heard()
        self._exporter = OTLPSpanExporter(endpoint=endpoint, timeout=timeout, session=self._session)
        self._resource = resource()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exporter.shutdown()  # type: ignore[no-untyped-call]
        self._session.close()

    def send(self, spans: Iterable[SpanValue]) -> str | None:
        """Send spans in one request; return what went wrong, or nothing."""
        result = self._exporter.export([readable(span, self._resource) for span in spans])
        response = self._session.response
        if response is not None and response.status_code >= 300:  # the exporter takes 3xx for a success
            points = f" and points to {response.headers['location']}" if "location" in response.headers else ""
            return f"it answered {response.status_code} {response.reason}{points}"
        if result is not SpanExportResult.SUCCESS:
            return _said(self._session.fault)
        return _refused(response) if response is not None else None


def _said(fault: Exception | None) -> str:
    """Return what went wrong on the way, without the names of the objects it went through."""
    if fault is None:
        return "the exporter failed, see the log of opentelemetry.exporter.otlp"
    inner = fault.args[0] if fault.args else fault
    return _CONNECTION.sub("", str(getattr(inner, "reason", inner)))


def _refused(response: requests.Response) -> str | None:
    """Return what a collector says of spans that it took the request of but not them."""
    if not response.headers.get("content-type", "").startswith("application/x-protobuf"):
        return None
    said = ExportTraceServiceResponse.FromString(response.content).partial_success
    if said.rejected_spans == 0:
        return None
    return f"it refused {said.rejected_spans} spans ({said.error_message or 'no reason given'})"


def resource() -> Resource:
    """Return what sends: the environment may give it another name."""
    ours = {"service.name": "wardround", "service.version": __version__, PROJECT: "wardround"}
    return Resource(ours).merge(OTELResourceDetector().detect())


def readable(span: SpanValue, sender: Resource) -> ReadableSpan:
    """Return a span as the SDK's exporters take it, with the ids that it has."""
    return ReadableSpan(
        name=span.name,
        context=_context(span.trace, span.id),
        parent=_context(span.trace, span.parent) if span.parent is not None else None,
        resource=sender,
        attributes=_plain(span.attributes),
        events=[Event(event.name, attributes=_plain(event.attributes), timestamp=event.time) for event in span.events],
        links=[Link(_context(span.trace, linked)) for linked in span.links],
        kind=_SIDES[span.side],
        status=SdkStatus(_STATUSES[span.status], span.message or None),
        start_time=span.start,
        end_time=span.end,
        instrumentation_scope=_SCOPE,
    )


def _context(trace: str, span: str) -> SpanContext:
    return SpanContext(int(trace, 16), int(span, 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _plain(attributes: Attributes) -> dict[str, Any]:
    return {name: list(v) if isinstance(v, list | tuple) else v for name, v in attributes.items()}
