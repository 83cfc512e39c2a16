"""A sink that sends each run when it has ended, without making it wait."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from wardround.core.extras import require
from wardround.trace.events import Event, RunEnded, RunStarted
from wardround.trace.otel.privacy import Privacy
from wardround.trace.otel.sending import EXTRA, TIMEOUT, endpoint_of, send
from wardround.trace.otel.spans import trace_of


class OtelSink:
    """Sends each run that ends to a collector, in the background and one after another.

    A run goes on, whether or not the collector is there; what could not be sent is raised at the end:

        with OtelSink("http://localhost:4318") as sink:
            await ward.aconsult(case, sinks=[sink])
    """

    def __init__(
        self,
        url: str,
        *,
        content: bool = False,
        earlier: Callable[[str], Sequence[Event]] | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        """Set up a sink.

        Args:
            url: Of a collector, with or without `/v1/traces`.
            content: Whether to send messages, arguments, results and documents: what was said of a patient.
            earlier: Returns a run's log, such as `RunStore.events`. Needed for runs that are resumed, of which a
                sink is told only what is new.
            timeout: Seconds for one request.

        Raises:
            UsageError: The address is none.
            MissingExtra: The OpenTelemetry SDK is not installed.
        """
        endpoint_of(url)
        require("opentelemetry.exporter.otlp.proto.http.trace_exporter", extra=EXTRA)
        self._url, self._timeout, self._earlier = url, timeout, earlier
        self._privacy = Privacy.from_environment(content=content)
        self._logs: dict[str, list[Event]] = {}
        self._sent: list[Future[int]] = []
        self._sender = ThreadPoolExecutor(max_workers=1, thread_name_prefix="otel")

    def __call__(self, event: Event) -> None:
        """Take an event; the last of a run sends it."""
        if isinstance(event, RunStarted):  # consulted again, under the same id
            self._logs[event.run] = []
        self._logs.setdefault(event.run, []).append(event)
        if isinstance(event, RunEnded):
            self._sent.append(self._sender.submit(self._send, self._logs.pop(event.run)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self._sender.shutdown()  # the first fault is the one to be seen

    def close(self) -> int:
        """Wait until everything has been sent, and return how many spans were taken.

        Raises:
            ExportError: A run could not be sent; the others were tried all the same.
            UsageError: A resumed run came without its beginning; give `earlier`.
        """
        self._sender.shutdown()
        return sum(sent.result() for sent in self._sent)

    def _send(self, log: list[Event]) -> int:
        is_whole = isinstance(log[0], RunStarted)
        events = log if is_whole or self._earlier is None else self._earlier(log[0].run)
        return send(trace_of(events, self._privacy), self._url, timeout=self._timeout)
