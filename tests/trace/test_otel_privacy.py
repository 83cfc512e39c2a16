"""What of a run leaves the process: nothing that was said, unless it is asked for, and never what is hidden."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wardround as wr
from wardround.core.case import Record
from wardround.core.errors import UsageError
from wardround.testing import FixedClock
from wardround.trace.events import (
    Event,
    ModelAnswered,
    ModelAsked,
    OpinionGiven,
    RecordRead,
    RunStarted,
    SpanKind,
    ToolCalled,
    ToolReturned,
)
from wardround.trace.otel.names import GenAi, OpenInference
from wardround.trace.otel.privacy import PREFIX, REDACTED, Hide, Privacy
from wardround.trace.otel.spans import trace_of
from wardround.trace.otel.values import SpanValue, Trace
from wardround.trace.recorder import Recorder

SECRET = "zyxwv"
"""Stands in every text of the run below, and in no name."""


def secret_run() -> list[Event]:
    """Every place of a log where somebody can have written something."""
    log = Recorder("run_1", clock=FixedClock())
    settings = {"agent": "ehr", "task": SECRET, "patient": f"Patient/{SECRET}", "rollouts": 3}
    log.record(RunStarted, case=f"{SECRET} 1950", model=f"scripted:/home/{SECRET}/script.yaml", settings=settings)
    messages = (
        {"role": "system", "content": f"You see {SECRET}."},
        {
            "role": "human",
            "content": [
                {"type": "text", "text": SECRET},
                {"type": "image", "sha256": "ab" * 32, "mime_type": "image/png", "width": 1, "height": 1},
            ],
        },
        {"role": "ai", "content": "", "tool_calls": [{"id": "1", "name": "look", "args": {"for": SECRET}}]},
        {"role": "tool", "content": SECRET, "tool_call_id": "1"},
    )
    failure = pytest.raises(UsageError)
    with failure, log.span("consult", SpanKind.RUN), log.span("cardiology", SpanKind.AGENT):
        log.record(RecordRead, used={SECRET + "-1": 1}, skipped={}, problems=(SECRET,))
        with log.span("cardiology Answer", SpanKind.MODEL):
            log.record(
                ModelAsked,
                call="call_1",
                agent="cardiology",
                model="scripted:x",
                answer="Answer",
                rollout=0,
                attempt=0,
                messages=messages,
                options={"stop": [SECRET], "seed": 1},
            )
            log.record(
                ModelAnswered,
                call="call_1",
                text=SECRET,
                seconds=1.0,
                tool_calls=({"id": "2", "name": "look", "args": {"for": SECRET}},),
            )
        for tool in ("guideline", f"look up {SECRET}"):
            with log.span(tool, SpanKind.TOOL):
                log.record(ToolCalled, call="t", agent="cardiology", tool=tool, arguments={"argument": SECRET})
                log.record(ToolReturned, call="t", text="", error=f"{SECRET} is nowhere")
        log.record(OpinionGiven, agent="cardiology", rollout=0, opinion={"leading": SECRET}, cluster=SECRET)
        raise UsageError(f"{SECRET} cannot be read")
    return log.events


def everything(trace: Trace | SpanValue) -> str:
    return repr(trace)


def test_without_content_nothing_that_was_written_anywhere_is_sent() -> None:
    assert SECRET not in everything(trace_of(secret_run()))


def test_with_content_it_is() -> None:
    shown = trace_of(secret_run(), Privacy(content=True))
    assert everything(shown).count(SECRET) > 15
    for span in shown.spans:  # our own names hold no clinical text even then
        ours = {name: value for name, value in span.attributes.items() if name.startswith("wardround.")}
        assert SECRET not in repr(ours)


@given(st.sets(st.sampled_from(list(Hide))))
def test_hiding_in_and_output_leaves_no_word_whatever_else_is_hidden(others: set[Hide]) -> None:
    hidden = frozenset(others | {Hide.INPUTS, Hide.OUTPUTS})
    shown = everything(trace_of(secret_run(), Privacy(content=True, hidden=hidden)))
    assert SECRET not in shown
    assert REDACTED in shown


def chat(*hidden: Hide) -> dict[str, Any]:
    trace = trace_of(secret_run(), Privacy(content=True, hidden=frozenset(hidden)))
    (span,) = (span for span in trace.spans if span.attributes.get(GenAi.OPERATION) == "chat")
    return dict(span.attributes)


@pytest.mark.parametrize("switch", [Hide.INPUTS, Hide.INPUT_MESSAGES, Hide.INPUT_TEXT, Hide.PROMPTS])
def test_hidden_input_keeps_its_form_and_loses_its_words(switch: Hide) -> None:
    shown, plain = chat(switch), chat()
    said = {name: value for name, value in shown.items() if "input" in name and "token" not in name}
    assert said.keys() <= plain.keys()
    assert SECRET not in repr(said)
    assert shown["llm.input_messages.0.message.content"] == REDACTED
    assert shown["llm.input_messages.0.message.role"] == "system"
    roles = [message["role"] for message in json.loads(shown["gen_ai.input.messages"])]
    assert roles == ["system", "user", "assistant", "tool"]
    assert shown["llm.output_messages.0.message.content"] == SECRET


@pytest.mark.parametrize("switch", [Hide.OUTPUTS, Hide.OUTPUT_MESSAGES, Hide.OUTPUT_TEXT, Hide.CHOICES])
def test_hidden_output_leaves_the_input_alone(switch: Hide) -> None:
    shown = chat(switch)
    assert shown["llm.output_messages.0.message.content"] == REDACTED
    assert SECRET not in shown["gen_ai.output.messages"]
    assert shown["llm.input_messages.1.message.contents.0.message_content.text"] == SECRET


def test_images_are_named_by_their_content_and_can_be_hidden_alone() -> None:
    at = "llm.input_messages.1.message.contents.1.message_content"
    uri = f"wardround://sha256/{'ab' * 32}.png"
    assert chat()[f"{at}.type"] == "image"
    assert chat()[f"{at}.image.image.url"] == uri
    (_, part) = json.loads(chat()["gen_ai.input.messages"])[1]["parts"]
    assert part == {"type": "uri", "modality": "image", "mime_type": "image/png", "uri": uri}
    hidden = chat(Hide.INPUT_IMAGES)
    assert hidden[f"{at}.image.image.url"] == REDACTED
    assert uri not in hidden["gen_ai.input.messages"]
    assert hidden["llm.input_messages.1.message.contents.0.message_content.text"] == SECRET


def test_settings_of_a_call_can_be_hidden_without_content_too() -> None:
    for content in (True, False):
        privacy = Privacy(content=content, hidden=frozenset((Hide.LLM_INVOCATION_PARAMETERS,)))
        spans = trace_of(secret_run(), privacy).spans
        (shown,) = (span.attributes for span in spans if span.attributes.get(GenAi.OPERATION) == "chat")
        assert shown[OpenInference.INVOCATION] == REDACTED
        assert GenAi.REQUEST_SEED not in shown


def test_passages_can_be_hidden_alone() -> None:
    consult = wr.Ward("reference").consult(wr.Case(narrative="30-year-old woman. Dysuria for 2 days. No fever."))
    trace = trace_of(consult.events, Privacy(content=True, hidden=frozenset((Hide.RETRIEVAL_DOCUMENTS,))))
    found = [span.attributes for span in trace.spans if span.attributes.get(GenAi.OPERATION) == "retrieval"]
    assert found
    for shown in found:
        assert shown["retrieval.documents.0.document.content"] == REDACTED
        assert shown["retrieval.documents.0.document.metadata"] == REDACTED
        assert str(shown["retrieval.documents.0.document.id"]).startswith("src_")


@pytest.mark.parametrize(
    ("written", "is_hidden"), [("true", True), ("1", True), ("yes, please", True), ("False", False)]
)
def test_switches_are_read_from_the_environment_and_anything_but_a_no_hides(written: str, is_hidden: bool) -> None:
    privacy = Privacy.from_environment(content=True, environment={f"{PREFIX}INPUT_TEXT": written})
    assert (Hide.INPUT_TEXT in privacy.hidden) == is_hidden
    assert privacy.policy == ("content+hide-input_text" if is_hidden else "content")


def test_a_real_consult_without_content_says_no_word_of_the_record(tmp_path: Path) -> None:
    name = {"family": "Quillfeather", "given": ["Zebedee"]}
    patient = {"resourceType": "Patient", "id": "quux77", "name": [name], "gender": "male", "birthDate": "1961-01-01"}
    note = {
        "resourceType": "Condition",
        "id": "c1",
        "subject": {"reference": "Patient/quux77"},
        "code": {"text": "Wobblefoot syndrome"},
    }
    case = wr.Case(
        id="MRN-5550199",
        narrative="Mr Quillfeather from Snodbury has chest pain since breakfast. He takes flumboxin.",
        record=Record(resources=(patient, note)),
    )
    ward = wr.Ward(settings=wr.ConsultSettings(escalate=True), workspace=tmp_path)
    consult = ward.consult(case)
    if consult.decision.status.value == "escalated":
        consult = ward.resume(consult.run, information="Crackletoe is known since he moved to Snodbury.")
    sent = everything(trace_of(consult.events)).lower()
    words = (
        "quillfeather",
        "zebedee",
        "quux77",
        "wobblefoot",
        "5550199",
        "snodbury",
        "flumboxin",
        "crackletoe",
        "chest",
    )
    assert [word for word in words if word in sent] == []


def test_the_hash_of_a_case_cannot_be_found_by_trying_its_id() -> None:
    one, other = (
        wr.Ward("reference").consult(wr.Case(id="4711", narrative=text)).events
        for text in ("30-year-old woman. Dysuria.", "30-year-old woman. Dysuria. No fever.")
    )
    hashes = {str(trace_of(events).root.attributes["wardround.case.hash"]) for events in (one, other)}
    assert len(hashes) == 2
