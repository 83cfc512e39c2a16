"""Sending a trace by OTLP over HTTP to any collector or trace tool."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from wardround.core.errors import UsageError, WardroundError
from wardround.core.extras import require
from wardround.trace.otel.values import SpanValue

if TYPE_CHECKING:
    from wardround.trace.otel.values import Trace

EXTRA = "otel"
TIMEOUT = 10.0
"""Seconds for one request, with what is tried again within it; the default of OTLP's exporters."""
_PATH = "/v1/traces"


class ExportError(WardroundError):
    """A trace was not sent, or nobody knows whether it was; sending it again gives the same trace."""

    def __init__(self, endpoint: str, what: str) -> None:
        self.endpoint, self.what = endpoint, what
        mend = "is a collector listening there, and are address and headers right?"
        super().__init__(f"sending the trace to {endpoint} failed: {what}; {mend}")


def endpoint_of(url: str) -> str:
    """Return the address that spans are posted to.

    >>> endpoint_of("http://localhost:6006"), endpoint_of("https://host/api/public/otel/")
    ('http://localhost:6006/v1/traces', 'https://host/api/public/otel/v1/traces')

    Raises:
        UsageError: It is no web address, or holds a password, which would be shown in messages.
    """
    try:
        parts = urlsplit(url)
        has_port = parts.port is None or parts.port > 0
    except ValueError as error:
        raise UsageError(f"{url!r} is no address to send a trace to ({error}); write http://HOST:PORT") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or not has_port:
        raise UsageError(f"{url!r} is no address to send a trace to; write http://HOST:PORT")
    if parts.username is not None or parts.password is not None:
        what = "the address to send a trace to holds a name or password"
        raise UsageError(f"{what}; give it as a header in OTEL_EXPORTER_OTLP_HEADERS")
    path = parts.path.rstrip("/")
    return urlunsplit((parts.scheme, parts.netloc, path if path.endswith(_PATH) else path + _PATH, parts.query, ""))


def send(trace: Trace, url: str, *, timeout: float = TIMEOUT) -> int:
    """Send a trace and return how many spans were taken.

    Headers, certificates and compression are read from the environment, as every OTLP exporter does:
    `OTEL_EXPORTER_OTLP_HEADERS`, `..._CERTIFICATE`, `..._COMPRESSION`; so are `OTEL_SERVICE_NAME` and
    `OTEL_RESOURCE_ATTRIBUTES`.

    Args:
        trace: Already without what may not be sent.
        url: Of a collector, with or without `/v1/traces`.
        timeout: Seconds for one request.

    Raises:
        UsageError: The address is none.
        MissingExtra: The OpenTelemetry SDK is not installed.
        ExportError: The trace, or a part of it, was not taken.
    """
    endpoint = endpoint_of(url)
    require("opentelemetry.sdk.trace", extra=EXTRA)
    require("opentelemetry.exporter.otlp.proto.http.trace_exporter", extra=EXTRA)
    from wardround.trace.otel.sdk import Line  # the SDK is heavy and optional

    with Line(endpoint, timeout=timeout) as line:
        for batch in _batches(trace.spans):
            fault = line.send(batch)
            if fault is not None:
                raise ExportError(endpoint, fault)
    return len(trace.spans)


LARGEST = 2_000_000
"""Characters of one request, about; collectors take no more than 4 MB where they are set up as they come."""


def _batches(spans: Iterable[SpanValue]) -> Iterable[list[SpanValue]]:
    batch: list[SpanValue] = []
    size = 0
    for span in spans:
        length = _length(span)
        if batch and size + length > LARGEST:
            yield batch
            batch, size = [], 0
        batch.append(span)
        size += length
    if batch:
        yield batch


def _length(span: SpanValue) -> int:
    told = [span.attributes, *(event.attributes for event in span.events)]
    return sum(len(key) + len(str(value)) for attributes in told for key, value in attributes.items())
