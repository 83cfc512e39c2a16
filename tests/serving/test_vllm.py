"""Consults and calls through a real vLLM server."""

from __future__ import annotations

import asyncio
import json
import math
import threading
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from pydantic import BaseModel

import wardround as wr
from tests.serving.pictures import picture
from wardround.agents.roster import embedded_roster
from wardround.core.answers import AttendingAnswer, PlanAnswer, SpecialistAnswer, ToolChoice, TriageAnswer
from wardround.core.errors import ContextExceeded, ModelUnavailable, UsageError
from wardround.core.source import SourceKind
from wardround.knowledge.clinician import reference_clinician
from wardround.models.asking import Asker, response_format
from wardround.models.budget import Budget, Meter
from wardround.models.calling import Caller, ask_once
from wardround.models.handle import ModelHandle
from wardround.models.images import Pictures, read_picture
from wardround.models.reaching import Reach
from wardround.models.resolve import resolve
from wardround.models.slots import Slots
from wardround.testing.vllm import VllmServer
from wardround.trace.events import Event, ImageRead, ModelAnswered, ModelAsked, ModelReached, Origin
from wardround.trace.recorder import Recorder

SETTINGS = wr.ConsultSettings(rollouts=2, tool_steps=1, rounds=0, max_tokens=3000, timeout=300)
QUESTION = [HumanMessage("What does the patient have?")]
CALM = embedded_roster()
ALWAYS_CARDIOLOGY = CALM.model_copy(
    update={"routing": CALM.routing.model_copy(update={"emergent_adds": ("cardiology",)})}
)


def handle(server: VllmServer) -> ModelHandle:
    return resolve(f"vllm:{server.name}", clinician=reference_clinician(), base_url=server.base_url, timeout=300.0)


def caller(model: ModelHandle, **more: Any) -> Caller:
    recorder = Recorder("run_1")
    return Caller(model, recorder, Meter(Budget(calls=None), recorder.clock), Slots(8), timeout=300.0, **more)


def case(folder: Path, *, bright: bool = True) -> wr.Case:
    image = picture(folder / f"chest-{bright}.png", bright=bright)
    return wr.Case(
        narrative="54-year-old man. Sudden chest pain and dyspnoea for 2 hours. Heart rate 118/min. No fever.",
        images=(wr.ImageRef(uri=str(image), modality="DX", body_part="CHEST"),),
    )


def ward(server: VllmServer, workspace: Path | None = None, **settings: Any) -> wr.Ward:
    return wr.Ward(
        f"vllm:{server.name}",
        settings=SETTINGS.model_copy(update=settings),
        workspace=workspace,
        base_url=server.base_url,
        roster=ALWAYS_CARDIOLOGY,
    )


def told(consult: wr.Consult) -> dict[str, Any]:
    """A result without what names the run and says how long it took."""
    result = consult.to_json()
    return {key: value for key, value in result.items() if key not in ("run", "model", "settings", "usage")}


async def test_what_the_model_is_and_can_do_is_found_out(server: VllmServer) -> None:
    reach = Reach(handle(server), seconds=300)
    model = await reach.model(images=True, tools=True)
    assert (model.images, model.tools) == (True, True)
    recorder = Recorder("run_1")
    reach.record(recorder, model)
    (reached,) = recorder.events
    assert isinstance(reached, ModelReached)
    assert (reached.served, reached.context) == ((server.name,), 16384)


async def test_another_name_than_the_one_served_is_refused(server: VllmServer) -> None:
    model = resolve("vllm:other", clinician=reference_clinician(), base_url=server.base_url)
    with pytest.raises(UsageError, match=f"serves no 'other'; it serves {server.name}"):
        await Reach(model, seconds=60).model(images=False, tools=False)


@pytest.mark.parametrize("schema", [TriageAnswer, PlanAnswer, ToolChoice, SpecialistAnswer, AttendingAnswer])
async def test_answers_under_a_schema_are_valid_every_time(server: VllmServer, schema: type[BaseModel]) -> None:
    options = {"response_format": response_format(schema), "max_tokens": 6000, "n": 6, "temperature": 1.0, "seed": 3}
    replies = await ask_once(handle(server), QUESTION, seconds=300, options=options)
    assert {reply.finish for reply in replies} == {"stop"}
    assert len({reply.text for reply in replies}) > 1
    for reply in replies:
        schema.model_validate_json(reply.text)


async def test_a_choice_and_a_regular_expression_are_held(server: VllmServer) -> None:
    asker = Asker(caller(handle(server)), seed=0)
    chosen = await asker.choose("triage", QUESTION, ["emergent", "urgent", "routine"])
    assert chosen.value is not None
    assert chosen.value.text in ("emergent", "urgent", "routine")
    code = {"structured_outputs": {"regex": r"[A-Z][0-9]{2}\.[0-9]"}, "max_tokens": 20}
    (reply,) = await ask_once(handle(server), QUESTION, seconds=300, options=code)
    assert len(reply.text) == 5


async def test_rollouts_of_one_request_are_those_of_requests_one_by_one(server: VllmServer) -> None:
    asking = caller(handle(server))
    options = {"temperature": 1.0, "max_tokens": 24}
    together = await asking.call("a", "text", QUESTION, {**options, "seed": 5}, rollouts=(0, 1, 2))
    alone = [(await asking.call("a", "text", QUESTION, {**options, "seed": 5 + n}, rollouts=(n,)))[0] for n in range(3)]
    assert [one.reply.text for one in together] == [one.reply.text for one in alone]
    assert len({one.reply.text for one in together}) == 3
    assert [one.reply.input_tokens for one in together][1:] == [0, 0]
    assert together[0].reply.output_tokens == 72
    assert asking.meter.calls == 6


async def test_each_of_several_answers_has_its_own_log_probabilities(server: VllmServer) -> None:
    options = {"temperature": 1.0, "seed": 1, "n": 2, "max_tokens": 12, "logprobs": True}
    one, other = await ask_once(handle(server), QUESTION, seconds=300, options=options)
    for reply in (one, other):
        assert reply.logprobs is not None
        assert len(reply.logprobs) == 12
        assert all(logprob <= 0 and math.isfinite(logprob) for _, logprob in reply.logprobs)
        assert "".join(token for token, _ in reply.logprobs).replace("\ufffd", "")[:3] in reply.text
    assert one.logprobs != other.logprobs


async def test_another_image_is_another_question(server: VllmServer, tmp_path: Path) -> None:
    shown = [read_picture(case(tmp_path, bright=bright).images[0]) for bright in (True, False)]
    options = {"max_tokens": 8, "temperature": 0.0, "logprobs": True}
    replies = []
    for each in shown:
        content = [each.reference(), {"type": "text", "text": "What is shown?"}]
        asking = caller(handle(server), pictures=Pictures(shown))
        (called,) = await asking.call("a", "text", [HumanMessage(content)], options)
        (asked,) = [e for e in asking.recorder.events if isinstance(e, ModelAsked)]
        assert asked.messages[0]["content"][0]["sha256"] == each.sha256
        assert "base64" not in json.dumps(asked.messages)
        replies.append(called.reply)
    assert replies[0].logprobs != replies[1].logprobs


async def test_an_answer_is_heard_while_it_is_written(server: VllmServer) -> None:
    heard: list[tuple[str, str]] = []
    asking = caller(handle(server), heard=lambda agent, piece: heard.append((agent, piece)))
    options = {"max_tokens": 12, "temperature": 0.0, "seed": 0, "logprobs": True}
    (streamed,) = await asking.call("cardiology", "text", QUESTION, options)
    (whole,) = await ask_once(handle(server), QUESTION, seconds=300, options=options)
    assert len(heard) > 2
    assert {agent for agent, _ in heard} == {"cardiology"}
    assert "".join(piece for _, piece in heard) == streamed.reply.text == whole.text
    assert (streamed.reply.input_tokens, streamed.reply.output_tokens) == (whole.input_tokens, whole.output_tokens)
    assert (streamed.reply.finish, streamed.reply.served_by) == ("length", server.name)
    assert streamed.reply.logprobs is not None
    assert len(streamed.reply.logprobs) == 12


async def test_what_is_too_long_is_told_apart(server: VllmServer) -> None:
    with pytest.raises(ContextExceeded, match="does not fit"):
        await ask_once(handle(server), [HumanMessage("chest pain " * 20_000)], seconds=300, options={})


def test_a_consult_with_an_image_is_replayed_bit_for_bit_without_the_server(server: VllmServer, tmp_path: Path) -> None:
    patient = case(tmp_path)
    first = ward(server, tmp_path / "ws").consult(patient)
    (read,) = [e for e in first.events if isinstance(e, ImageRead)]
    assert any(s.kind is SourceKind.IMAGE and s.document == f"image:{read.sha256}" for s in first.sources)
    assert not first.problems
    assert first.decision.status.value != "final"
    answers = [e for e in first.events if isinstance(e, ModelAnswered)]
    assert {e.served_by for e in answers} == {server.name}
    assert all(e.origin is Origin.LIVE for e in answers)

    replayed = wr.Ward(
        f"replay:{first.run}",
        settings=SETTINGS,
        workspace=tmp_path / "ws",
        base_url="http://127.0.0.1:9/v1",  # nobody listens there
        roster=ALWAYS_CARDIOLOGY,
    ).consult(patient)
    again = [e for e in replayed.events if isinstance(e, ModelAnswered)]
    assert told(replayed) == told(first)
    assert all(e.origin is Origin.REPLAY for e in again)
    assert sorted((e.call, e.text) for e in again) == sorted((e.call, e.text) for e in answers)


def test_the_order_of_cases_does_not_change_what_comes_out(server: VllmServer, tmp_path: Path) -> None:
    cases = [case(tmp_path), wr.Case(narrative="30-year-old woman. Dysuria for 2 days."), case(tmp_path, bright=False)]

    async def consulted(order: list[int]) -> dict[int, dict[str, Any]]:
        async with ward(server).session() as session:
            done = await asyncio.gather(*(session.consult(cases[n]) for n in order))
        return {n: told(consult) for n, consult in zip(order, done, strict=True)}

    assert asyncio.run(consulted([0, 1, 2])) == asyncio.run(consulted([2, 0, 1]))


def test_a_server_killed_in_the_middle_is_an_error_and_the_run_goes_on_later(
    server: VllmServer, tmp_path: Path
) -> None:
    patient = case(tmp_path)
    whole = ward(server).consult(patient)
    broken = ward(server, tmp_path / "ws", timeout=60)
    answered = threading.Event()

    def kill_after_the_first_answer() -> None:
        answered.wait(120)
        server.kill()

    def told_of_answers(event: Event) -> None:
        if isinstance(event, ModelAnswered):
            answered.set()

    killer = threading.Thread(target=kill_after_the_first_answer)
    killer.start()
    try:
        with pytest.raises(ModelUnavailable, match="is the server running"):
            asyncio.run(broken.aconsult(patient, sinks=[told_of_answers]))
    finally:
        answered.set()
        killer.join()
        server.start()
    resumed = ward(server, tmp_path / "ws", timeout=60).resume(_only_run(tmp_path / "ws"))
    assert told(resumed) == told(whole)
    assert [e.agent for e in resumed.events if isinstance(e, ModelAsked)].count("triage") == 1
    assert resumed.usage.tokens == whole.usage.tokens


def _only_run(workspace: Path) -> str:
    from wardround.trace.store import RunStore

    store = RunStore.existing(workspace)
    try:
        (row,) = store.runs()
    finally:
        store.close()
    assert row.state == "failed"
    return row.id
