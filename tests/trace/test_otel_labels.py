"""What people say of a run later, on spans of their own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

import wardround as wr
from wardround.core.errors import UsageError
from wardround.trace.events import SpanKind, SpanStarted
from wardround.trace.otel.labels import labels_of
from wardround.trace.otel.privacy import Privacy
from wardround.trace.otel.spans import trace_of

WHEN = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


@dataclass(frozen=True)
class Label:
    target: str
    id: str
    label: str = "wrong"
    why: str = "The calf was not swollen."
    who: str = "Dr Quill"
    time: datetime = WHEN


@pytest.fixture(scope="module")
def consult() -> wr.Consult:
    return wr.Ward("reference").consult(wr.Case(narrative="30-year-old woman. Dysuria for 2 days. No fever."))


def test_a_label_is_a_span_with_one_link_to_what_it_judges(consult: wr.Consult) -> None:
    run = trace_of(consult.events)
    names = {span.id: span.name for span in run.spans}
    agent = next(e for e in consult.events if isinstance(e, SpanStarted) and e.kind is SpanKind.AGENT)
    (claim, _), source = consult.claims[0], next(iter(consult.evidence.sources))
    labels = [
        Label("run", consult.run, label="right"),
        Label("claim", claim.id),
        Label("span", agent.opened),
        Label("source", source),
    ]
    carried = labels_of(consult.events, labels, Privacy(content=True))
    assert carried.id == run.id
    assert not {span.id for span in carried.spans} & names.keys()
    for span in carried.spans:
        assert span.attributes["openinference.span.kind"] == "EVALUATOR"
        assert span.parent == run.root.id
        assert len(span.links) == 1
    assert [names[span.links[0]] for span in carried.spans] == [
        "invoke_workflow consult",
        f"invoke_agent {claim.agent}",
        f"invoke_agent {agent.name}",
        "intake",
    ]
    whole, of_claim, *_ = (span.attributes for span in carried.spans)
    assert whole["trace.annotations.0.annotation.label"] == "right"
    assert of_claim["annotations.0.annotation.annotator_kind"] == "HUMAN"
    assert of_claim["annotations.0.annotation.identifier"] == claim.id
    assert of_claim["annotations.0.annotation.explanation"] == "The calf was not swollen."
    assert of_claim["annotations.0.annotation.metadata"] == '{"who": "Dr Quill"}'


def test_a_label_is_the_same_span_each_time_and_another_one_for_another_reader(consult: wr.Consult) -> None:
    one, again, other = (
        labels_of(consult.events, [label]).spans[0].id
        for label in (Label("run", ""), Label("run", ""), Label("run", "", who="Dr Nib"))
    )
    assert one == again != other


def test_without_content_neither_the_reader_nor_the_reason_is_sent(consult: wr.Consult) -> None:
    shown = repr(labels_of(consult.events, [Label("run", "")]))
    assert "'wrong'" in shown
    assert "Quill" not in shown
    assert "swollen" not in shown


def test_a_label_of_what_the_run_does_not_hold_is_refused(consult: wr.Consult) -> None:
    with pytest.raises(UsageError, match=r"the claim 'clm_none', which run .* does not hold"):
        labels_of(consult.events, [Label("claim", "clm_none")])
