"""Traces over a real socket: to a receiver made of the protocol's own messages, and through a real collector."""

from __future__ import annotations

import gzip
import http.server
import importlib.util
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import wardround as wr
from wardround.cli.telemetry import send_run
from wardround.core.errors import MissingExtra, UsageError
from wardround.testing import FixedClock
from wardround.trace.events import Event, Outcome, Resumed, RunEnded, RunStarted, SpanKind
from wardround.trace.otel.privacy import Privacy
from wardround.trace.otel.sending import ExportError, endpoint_of, send
from wardround.trace.otel.sink import OtelSink
from wardround.trace.otel.spans import trace_of
from wardround.trace.otel.values import Trace
from wardround.trace.recorder import Recorder
from wardround.trace.store import RunStore

pytest.importorskip("opentelemetry.exporter.otlp.proto.http.trace_exporter", reason="the extra otel is not installed")

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

CASES = Path(__file__).parents[2] / "examples" / "cases"


@dataclass
class Receiver:
    """An OTLP receiver on a socket; keeps what it was sent."""

    url: str = ""
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    """Status, headers and body of the next answers; after these it takes everything."""
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    """Path, headers and body as sent, decompressed."""
    delay: float = 0.0

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        time.sleep(self.delay)
        taken = ExportTraceServiceResponse().SerializeToString()
        return self.answers.pop(0) if self.answers else (200, {"content-type": "application/x-protobuf"}, taken)

    @property
    def resources(self) -> list[Any]:
        return [r for _, _, body in self.requests for r in ExportTraceServiceRequest.FromString(body).resource_spans]

    @property
    def spans(self) -> list[Span]:
        return [span for r in self.resources for scope in r.scope_spans for span in scope.spans]


@contextmanager
def listening() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            plain = gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body
            receiver.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, plain))
            status, headers, told = receiver.answer()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        serving.start()
        receiver.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield receiver
        finally:
            server.shutdown()
            serving.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with listening() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def case() -> wr.Case:
    return wr.Case.from_file(CASES / "chest_pain.json")


@pytest.fixture(scope="module")
def consult(case: wr.Case) -> wr.Consult:
    return wr.Ward("reference").consult(case)


def short_log(run: str = "run_1") -> list[Event]:
    log = Recorder(run, clock=FixedClock())
    log.record(RunStarted, case="c", model="reference", settings={})
    with log.span("consult", SpanKind.RUN), log.span("intake", SpanKind.NODE):
        pass
    log.record(RunEnded, outcome=Outcome.DONE)
    return log.events


def told(attributes: Any) -> dict[str, Any]:
    """Attributes of protobuf as plain values."""
    return {a.key: _plain(a.value) for a in attributes}


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return [_plain(v) for v in value.array_value.values] if kind == "array_value" else getattr(value, kind)


def assert_the_same(sent: list[Span], trace: Trace) -> None:
    """Compare what arrived with what was to be sent, field by field."""
    assert [span.span_id.hex() for span in sent] == [span.id for span in trace.spans]
    for there, here in zip(sent, trace.spans, strict=True):
        assert there.trace_id.hex() == here.trace
        assert there.parent_span_id.hex() == (here.parent or "")
        assert there.name == here.name
        assert Span.SpanKind.Name(there.kind) == f"SPAN_KIND_{here.side.value.upper()}"
        assert (there.start_time_unix_nano, there.end_time_unix_nano) == (here.start, here.end)
        assert there.status.code == {"unset": 0, "ok": 1, "error": 2}[here.status.value]
        assert told(there.attributes) == dict(here.attributes)
        assert [(e.name, e.time_unix_nano, told(e.attributes)) for e in there.events] == [
            (e.name, e.time, dict(e.attributes)) for e in here.events
        ]
        assert [link.span_id.hex() for link in there.links] == list(here.links)


@pytest.mark.parametrize("content", [False, True])
def test_a_consult_arrives_as_it_was_sent(receiver: Receiver, consult: wr.Consult, content: bool) -> None:
    trace = trace_of(consult.events, Privacy(content=content))
    assert send(trace, receiver.url) == len(trace.spans)
    assert_the_same(receiver.spans, trace)
    (path, headers, _) = receiver.requests[0]
    assert path == "/v1/traces"
    assert headers["content-type"] == "application/x-protobuf"
    (resource,) = receiver.resources
    assert told(resource.resource.attributes)["service.name"] == "wardround"
    (scope,) = resource.scope_spans
    assert scope.scope.name == "wardround"
    assert scope.schema_url == "https://opentelemetry.io/schemas/1.41.0"


def test_without_content_no_word_of_the_narrative_is_in_the_bytes(
    receiver: Receiver, case: wr.Case, consult: wr.Consult
) -> None:
    send(trace_of(consult.events), receiver.url)
    sent = b"".join(body for _, _, body in receiver.requests).decode("latin-1")
    names = [name for span in receiver.spans for name in told(span.attributes)] + [str(consult.events[0])]
    shown = words(sent) - words(" ".join(names))  # `gen_ai.request.temperature` says nothing of a patient's
    assert words(case.narrative or "") & shown == set()
    assert {"chest", "pain", "embolism", "troponin", "heparin"} & words(sent) == set()
    with listening() as other:
        send(trace_of(consult.events, Privacy(content=True)), other.url)
        bodies = b"".join(body for _, _, body in other.requests).decode("latin-1")
    assert len(words(case.narrative or "") & words(bodies)) > 80


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]{3,}", text.lower()))


@pytest.fixture
def collector(tmp_path: Path, receiver: Receiver) -> Iterator[str]:
    """Rotel, a collector whose program lies in a package; hands on to the receiver what it is sent."""
    found = importlib.util.find_spec("rotel")
    program = Path(found.origin).parent / "rotel-agent" if found is not None and found.origin is not None else None
    if program is None or not program.is_file():
        pytest.skip("the collector rotel is not installed")
    here, grpc = free_port(), free_port()
    options = {
        "--otlp-http-endpoint": f"127.0.0.1:{here}",
        "--otlp-grpc-endpoint": f"127.0.0.1:{grpc}",
        "--exporter": "otlp",
        "--otlp-exporter-endpoint": receiver.url,
        "--otlp-exporter-protocol": "http",
        "--pid-file": str(tmp_path / "pid"),
        "--log-file": str(tmp_path / "log"),
    }
    arguments = [word for option in options.items() for word in option]
    with (tmp_path / "said").open("wb") as said:
        running = subprocess.Popen([program, "start", *arguments], stdout=said, stderr=said)
        try:
            until(lambda: is_open(here))
            yield f"http://127.0.0.1:{here}"
        finally:
            running.terminate()
            running.wait(10)


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def is_open(port: int) -> bool:
    with socket.socket() as knocking:
        return knocking.connect_ex(("127.0.0.1", port)) == 0


def until(state: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not state():
        assert time.monotonic() < end, "it did not come to this in time"
        time.sleep(0.02)


def test_a_real_collector_takes_a_consult_and_hands_it_on_whole(
    collector: str, receiver: Receiver, consult: wr.Consult
) -> None:
    trace = trace_of(consult.events, Privacy(content=True))
    send(trace, collector)
    until(lambda: len(receiver.spans) >= len(trace.spans))
    assert_the_same(receiver.spans, trace)


def test_a_trace_that_is_too_large_for_one_request_goes_in_several(
    receiver: Receiver, consult: wr.Consult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wardround.trace.otel.sending.LARGEST", 50_000)
    trace = trace_of(consult.events, Privacy(content=True))
    send(trace, receiver.url)
    assert len(receiver.requests) > 3
    assert_the_same(receiver.spans, trace)


def test_the_environment_gives_headers_and_a_name(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20abc")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "ward 7")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "openinference.project.name=trial")
    send(trace_of(short_log()), receiver.url)
    (_, headers, _) = receiver.requests[0]
    assert headers["authorization"] == "Basic abc"
    resource = told(receiver.resources[0].resource.attributes)
    assert (resource["service.name"], resource["openinference.project.name"]) == ("ward 7", "trial")


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("http://localhost:4318", "http://localhost:4318/v1/traces"),
        ("http://localhost:4318/", "http://localhost:4318/v1/traces"),
        ("http://localhost:6006/v1/traces", "http://localhost:6006/v1/traces"),
        ("https://host/api/public/otel", "https://host/api/public/otel/v1/traces"),
        ("http://[::1]:4318", "http://[::1]:4318/v1/traces"),
        ("https://host/otlp?tenant=7", "https://host/otlp/v1/traces?tenant=7"),
    ],
)
def test_an_address_is_completed_to_where_spans_are_posted(url: str, endpoint: str) -> None:
    assert endpoint_of(url) == endpoint


@pytest.mark.parametrize(
    "url", ["", "localhost:4318", "grpc://localhost:4317", "http://", "http://h:99999", "http://["]
)
def test_what_is_no_address_is_named(url: str) -> None:
    with pytest.raises(UsageError, match="write http://HOST:PORT"):
        endpoint_of(url)


def test_a_password_in_an_address_is_refused_without_being_shown() -> None:
    with pytest.raises(UsageError, match="OTEL_EXPORTER_OTLP_HEADERS") as refused:
        send(trace_of(short_log()), "http://me:sesame@localhost:4318")
    assert "sesame" not in str(refused.value)


def test_where_nobody_listens_the_address_is_named() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(ExportError, match=f"{url}/v1/traces.*[Rr]efused.*is a collector listening there") as failed:
        send(trace_of(short_log()), url, timeout=0.5)
    assert failed.value.endpoint == f"{url}/v1/traces"


def test_a_collector_that_does_not_answer_is_not_waited_for(receiver: Receiver) -> None:
    receiver.delay = 3.0
    started = time.monotonic()
    with pytest.raises(ExportError, match=r"timed out|timeout"):
        send(trace_of(short_log()), receiver.url, timeout=0.5)
    assert time.monotonic() - started < 2.5


def test_a_collector_that_is_busy_is_asked_again(receiver: Receiver) -> None:
    receiver.answers = [(503, {"retry-after": "0"}, b"")]
    assert send(trace_of(short_log()), receiver.url) == 2
    assert len(receiver.requests) == 2


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((401, {}, b""), "401 Unauthorized"),
        ((404, {}, b""), "404 Not Found"),
        ((302, {"location": "https://elsewhere/v1/traces"}, b""), "points to https://elsewhere/v1/traces"),
    ],
)
def test_a_collector_that_does_not_take_it_is_quoted(
    receiver: Receiver, answer: tuple[int, dict[str, str], bytes], told: str
) -> None:
    receiver.answers = [answer]
    with pytest.raises(ExportError, match=told):
        send(trace_of(short_log()), receiver.url)


def test_spans_that_a_collector_refuses_are_no_success(receiver: Receiver) -> None:
    partial = ExportTracePartialSuccess(rejected_spans=1, error_message="a span is too old")
    said = ExportTraceServiceResponse(partial_success=partial).SerializeToString()
    receiver.answers = [(200, {"content-type": "application/x-protobuf"}, said)]
    with pytest.raises(ExportError, match="refused 1 spans \\(a span is too old\\)"):
        send(trace_of(short_log()), receiver.url)


def test_faults_are_raised_once_and_not_printed_as_well() -> None:
    program = f"""
from wardround.trace.otel.sending import ExportError, send
from wardround.trace.otel.values import Side, SpanValue, Trace
span = SpanValue(
    trace="1" * 32, id="1" * 16, parent=None, name="n", side=Side.INTERNAL, start=1, end=2, attributes={{}}
)
try:
    send(Trace(run="r", id="1" * 32, spans=(span,)), "http://127.0.0.1:{free_port()}", timeout=0.3)
except ExportError:
    print("raised")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("raised\n", "")


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(MissingExtra, match=r"wardround\[otel\]"):
        send(trace_of(short_log()), "http://localhost:4318")
    with pytest.raises(MissingExtra, match=r"wardround\[otel\]"):
        OtelSink("http://localhost:4318")


async def test_a_sink_sends_each_run_when_it_has_ended(receiver: Receiver) -> None:
    with OtelSink(receiver.url) as sink:
        consults = [
            await wr.Ward("reference").aconsult(wr.Case(narrative=text), sinks=[sink])
            for text in ("30-year-old woman. Dysuria for 2 days.", "A 20-year-old man. Sore throat and fever.")
        ]
    expected = [span.id for consult in consults for span in trace_of(consult.events).spans]
    assert [span.span_id.hex() for span in receiver.spans] == expected


def test_a_sink_keeps_nobody_waiting_and_raises_at_the_end(receiver: Receiver) -> None:
    receiver.delay = 0.5
    receiver.answers = [(401, {}, b"")]
    sink = OtelSink(receiver.url)
    started = time.monotonic()
    for event in [*short_log("run_1"), *short_log("run_2")]:
        sink(event)
    assert time.monotonic() - started < 0.4
    with pytest.raises(ExportError, match="401"):
        sink.close()
    assert len(receiver.requests) == 2  # the second run was sent all the same


def test_a_sink_sends_a_resumed_run_whole_where_it_is_given_the_earlier_log(receiver: Receiver) -> None:
    log = Recorder("run_1", clock=FixedClock(), earlier=short_log()[:-1])
    log.record(Resumed, answer=None)
    log.record(RunEnded, outcome=Outcome.DONE)
    later = log.events[-2:]
    with OtelSink(receiver.url, earlier=lambda run: log.events) as sink:
        for event in later:
            sink(event)
    assert [span.name for span in receiver.spans] == ["invoke_workflow consult", "intake"]
    alone = OtelSink(receiver.url)
    for event in later:
        alone(event)
    with pytest.raises(UsageError, match="no beginning"):
        alone.close()


@pytest.mark.parametrize("content", [False, True])
def test_a_kept_run_is_sent_by_the_command(receiver: Receiver, tmp_path: Path, content: bool) -> None:
    consult = wr.Ward("reference", workspace=tmp_path).consult(wr.Case(narrative="30-year-old woman. Dysuria."))
    store = RunStore.existing(tmp_path)
    said = send_run(store.events(consult.run), receiver.url, content=content)
    store.close()
    trace = trace_of(consult.events, Privacy(content=content))
    assert_the_same(receiver.spans, trace)
    with_or_without = "with" if content else "without"
    assert said == (
        f"{len(trace.spans)} spans of {consult.run} sent to {receiver.url}/v1/traces {with_or_without} content, "
        f"as trace {trace.id}"
    )
