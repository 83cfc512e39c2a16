"""What people said of a run, sent to a trace tool behind it."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from wardround import Case, Consult, Ward
from wardround.trace.otel.spans import trace_of
from wardround.trace.otel.values import span_id
from wardround.trace.store import Annotation, RunStore

pytest.importorskip("opentelemetry.exporter.otlp.proto.http.trace_exporter", reason="the extra otel is not installed")

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

Command = Callable[..., Any]
WHEN = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def consult(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Consult]:
    """A run with a judgement of it, of a claim, and of a claim that it does not hold."""
    folder = tmp_path_factory.mktemp("labels")
    consult = Ward(model="reference", workspace=folder).consult(Case(narrative="30-year-old woman. Dysuria."))
    store = RunStore.existing(folder)
    for target, name in (("run", consult.run), ("claim", consult.claims[0][0].id), ("claim", "clm_of_another")):
        store.annotate(
            Annotation(run=consult.run, target=target, id=name, label="wrong", why="No.", who="quill", time=WHEN)  # type: ignore[arg-type]
        )
    store.close()
    return folder, consult


def sent(receiver: Any) -> list[list[Any]]:
    """The spans of each request."""
    requests = [ExportTraceServiceRequest.FromString(body) for body in receiver.bodies]
    return [[s for r in request.resource_spans for scope in r.scope_spans for s in scope.spans] for request in requests]


def attributes(span: Any) -> dict[str, str]:
    return {a.key: a.value.string_value for a in span.attributes}


def exported(wardround: Command, consult: tuple[Path, Consult], *more: str) -> Any:
    folder, told = consult
    return wardround(folder, "runs", "export", told.run, "--workspace", ".", *more)


def test_labels_follow_the_run_in_its_trace_and_point_at_what_they_judge(
    wardround: Command, receiver: Any, consult: tuple[Path, Consult]
) -> None:
    done = exported(wardround, consult, "--otlp", receiver.url, "--labels")
    assert done.code == 0, done.err
    run, labels = sent(receiver)
    trace = trace_of(consult[1].events)
    assert [span.span_id.hex() for span in run] == [span.id for span in trace.spans]
    assert {span.trace_id.hex() for span in labels} == {trace.id}
    assert [attributes(span)["annotations.0.annotation.label"] for span in labels[1:]] == ["wrong"]
    assert labels[0].links[0].span_id.hex() == span_id(trace.id, "run") == labels[0].parent_span_id.hex()
    assert labels[1].links[0].span_id.hex() in {span.span_id.hex() for span in run}
    assert done.out.endswith("; 2 labels sent after them\n")
    assert b"quill" not in b"".join(receiver.bodies), "who judged is content"


def test_a_label_of_what_the_run_does_not_hold_is_named_and_the_rest_is_sent(
    wardround: Command, receiver: Any, consult: tuple[Path, Consult]
) -> None:
    done = exported(wardround, consult, "--otlp", receiver.url, "--labels", "--content")
    assert done.err == "not sent: a label of the claim 'clm_of_another', which the run does not hold\n"
    assert len(sent(receiver)[1]) == 2
    assert b"quill" in receiver.bodies[1]


def test_without_the_flag_no_label_is_sent(wardround: Command, receiver: Any, consult: tuple[Path, Consult]) -> None:
    done = exported(wardround, consult, "--otlp", receiver.url)
    assert len(sent(receiver)) == 1
    assert "label" not in done.out + done.err


def test_labels_of_a_redacted_run_point_at_its_spans_by_nobody_known(
    wardround: Command, receiver: Any, consult: tuple[Path, Consult]
) -> None:
    done = exported(wardround, consult, "--otlp", receiver.url, "--labels", "--content", "--redact")
    assert done.code == 0, done.err
    run, labels = sent(receiver)
    assert consult[1].run not in str(run + labels)
    assert "quill" not in str(labels)
    assert all(span.links[0].span_id in {other.span_id for other in run} for span in labels)
    assert attributes(labels[1])["annotations.0.annotation.identifier"] != consult[1].claims[0][0].id


def test_a_run_without_labels_says_so(wardround: Command, receiver: Any, tmp_path: Path) -> None:
    consult = Ward(model="reference", workspace=tmp_path).consult(Case(narrative="30-year-old woman. Dysuria."))
    done = wardround(tmp_path, "runs", "export", consult.run, "--workspace", ".", "--otlp", receiver.url, "--labels")
    assert done.out.endswith("; 0 labels sent after them\n")
    assert len(sent(receiver)) == 1


def test_labels_go_nowhere_but_to_a_trace_tool(wardround: Command, consult: tuple[Path, Consult]) -> None:
    done = exported(wardround, consult, "--labels")
    assert done.code == 2
    assert "--labels go with --otlp" in done.err
