"""Models behind a real OpenAI-compatible server on this machine."""

import asyncio
import gc
import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import uvicorn
from langchain_core.messages import HumanMessage
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from wardround.core.answers import ToolChoice
from wardround.core.errors import ModelBusy, ModelError, ModelUnavailable
from wardround.knowledge.clinician import reference_clinician
from wardround.models.asking import Asker, response_format
from wardround.models.budget import Budget, Meter
from wardround.models.calling import Caller
from wardround.models.resolve import resolve
from wardround.models.slots import Slots
from wardround.testing import FixedClock
from wardround.trace.events import AnswerRefused, ModelAnswered
from wardround.trace.recorder import Recorder

CHOICE = json.dumps({"tool": "guideline", "argument": "gout"})
QUESTION = [HumanMessage("Which tool?")]


class Server:
    """Answers `/v1/chat/completions` with what it is told to, and keeps what it was sent."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.replies: list[Response] = []
        self.silent = False
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen()
        app = Starlette(routes=[Route("/v1/chat/completions", self._chat, methods=["POST"])])
        config = uvicorn.Config(app, log_level="critical", lifespan="off", ws="none", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)
        self._thread.start()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1"

    async def _chat(self, request: Request) -> Response:
        self.requests.append(await request.json())
        self.headers.append(dict(request.headers))
        while self.silent and not await request.is_disconnected():
            await request.receive()
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]

    def says(
        self, content: str | None, *, finish: str = "stop", served: str = "served/model-7b", **message: Any
    ) -> None:
        self.replies.append(
            JSONResponse(
                {
                    "id": "chat-1",
                    "object": "chat.completion",
                    "created": 1,
                    "model": served,
                    "choices": [
                        {
                            "index": 0,
                            "finish_reason": finish,
                            "message": {"role": "assistant", "content": content, **message},
                        }
                    ],
                    "usage": {"prompt_tokens": 30, "completion_tokens": 12, "total_tokens": 42},
                }
            )
        )

    def fails(self, status: int) -> None:
        body = {"error": {"message": "out of memory", "type": "server_error"}}
        self.replies.append(JSONResponse(body, status, headers={"x-should-retry": "false"}))

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=10)
        self._socket.close()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.stop()


@asynccontextmanager
async def reached(base_url: str, *, spec: str = "openai:x") -> AsyncIterator[Asker]:
    handle = resolve(spec, clinician=reference_clinician(), base_url=base_url, timeout=20.0)
    clock = FixedClock()
    chat: Any = handle.chat
    try:
        yield Asker(
            Caller(
                model=handle,
                recorder=Recorder("run_1", clock=clock),
                meter=Meter(Budget(), clock),
                slots=Slots(4),
                timeout=20.0,
                attempts=1,
            ),
            seed=40,
        )
    finally:
        await chat.root_async_client.close()


def recorded(asked: Asker, kind: type) -> list[Any]:
    return [event for event in asked.caller.recorder.events if isinstance(event, kind)]


async def test_schema_seed_and_temperature_are_sent(server: Server) -> None:
    server.says(CHOICE)
    async with reached(server.base_url) as asked:
        answered = await asked.ask("a", QUESTION, ToolChoice, rollout=2, temperature=0.4)
    assert answered.value == ToolChoice(tool="guideline", argument="gout")
    (sent,) = server.requests
    assert sent["response_format"] == response_format(ToolChoice)
    assert (sent["seed"], sent["temperature"], sent["model"]) == (42, 0.4, "x")
    assert sent["messages"] == [{"role": "user", "content": "Which tool?"}]
    assert not sent.get("stream")


async def test_temperature_zero_is_sent_and_not_left_out(server: Server) -> None:
    server.says(CHOICE)
    async with reached(server.base_url) as asked:
        await asked.ask("a", QUESTION, ToolChoice)
    assert server.requests[0]["temperature"] == 0.0


async def test_what_the_server_served_and_counted_is_recorded(server: Server) -> None:
    server.says(CHOICE)
    async with reached(server.base_url) as asked:
        await asked.ask("a", QUESTION, ToolChoice)
    (answer,) = recorded(asked, ModelAnswered)
    assert answer.served_by == "served/model-7b"
    assert (answer.text, answer.input_tokens, answer.output_tokens) == (CHOICE, 30, 12)
    assert asked.caller.meter.tokens == 42


@pytest.mark.parametrize("spec", ["vllm:org/name-7B", "openai:org/name-7B"])
async def test_a_name_with_a_slash_reaches_the_server_whole(server: Server, spec: str) -> None:
    server.says(CHOICE, served="org/name-7B")
    async with reached(server.base_url, spec=spec) as asked:
        await asked.ask("a", QUESTION, ToolChoice)
    assert server.requests[0]["model"] == "org/name-7B"
    assert asked.caller.model.spec == spec


async def test_another_model_than_the_one_asked_for_is_not_taken_for_it(server: Server) -> None:
    server.says(CHOICE, served="served/model-7b")
    async with reached(server.base_url, spec="vllm:org/name-7B") as asked:
        with pytest.raises(ModelError, match="answered as served/model-7b, which was not asked for"):
            await asked.ask("a", QUESTION, ToolChoice)


async def test_a_busy_server_is_asked_again_and_fewer_calls_are_let_through(server: Server) -> None:
    server.fails(503)
    server.fails(429)
    server.says(CHOICE)
    async with reached(server.base_url) as asked:
        patient = Asker(replace(asked.caller, attempts=3), seed=40)
        answered = await patient.ask("a", QUESTION, ToolChoice)
    assert answered.value == ToolChoice(tool="guideline", argument="gout")
    assert len(server.requests) == 3
    assert 1.0 <= asked.caller.slots.limit < 2.5


async def test_a_server_that_stays_busy_is_unavailable_and_says_so(server: Server) -> None:
    server.fails(503)
    async with reached(server.base_url) as asked:
        with pytest.raises(ModelBusy, match="too much to do"):
            await asked.ask("a", QUESTION, ToolChoice)


async def test_a_bad_answer_is_sent_back_for_repair(server: Server) -> None:
    server.says("It is gout.")
    server.says(CHOICE)
    async with reached(server.base_url) as asked:
        answered = await asked.ask("a", QUESTION, ToolChoice)
    assert answered.value == ToolChoice(tool="guideline", argument="gout")
    roles = [message["role"] for message in server.requests[1]["messages"]]
    assert roles == ["user", "assistant", "user"]
    assert "no complete JSON object" in server.requests[1]["messages"][2]["content"]


@pytest.mark.parametrize(
    ("content", "finish", "message"),
    [
        ('{"tool": "guideli', "length", {}),
        ("", "length", {}),
        ("", "content_filter", {}),
        (None, "stop", {}),
        (None, "stop", {"refusal": "I cannot help with that."}),
        ("I cannot help with that.", "stop", {}),
    ],
)
async def test_an_answer_cut_short_filtered_or_refused_is_no_opinion(
    server: Server, content: str | None, finish: str, message: dict[str, Any]
) -> None:
    server.says(content, finish=finish, **message)
    async with reached(server.base_url) as asked:
        answered = await asked.ask("a", QUESTION, ToolChoice)
    assert answered.value is None
    assert answered.fault
    assert [refused.final for refused in recorded(asked, AnswerRefused)] == [False, True]


async def test_the_tokens_of_an_answer_cut_short_are_counted(server: Server) -> None:
    server.says('{"tool": "guideli', finish="length")
    async with reached(server.base_url) as asked:
        await asked.ask("a", QUESTION, ToolChoice)
    assert asked.caller.meter.tokens == 84
    assert {answer.served_by for answer in recorded(asked, ModelAnswered)} == {"served/model-7b"}


@pytest.mark.parametrize("status", [500, 400, 401, 404, 422])
async def test_a_server_that_refuses_is_a_fault_of_the_model_and_not_out_of_reach(server: Server, status: int) -> None:
    server.fails(status)
    async with reached(server.base_url) as asked:
        with pytest.raises(ModelError, match="out of memory") as raised:
            await asked.ask("a", QUESTION, ToolChoice)
    assert not isinstance(raised.value, ModelUnavailable)
    assert raised.value.model == "openai:x"
    assert recorded(asked, ModelAnswered) == []


async def test_a_page_instead_of_an_answer_is_a_fault_of_the_model(server: Server) -> None:
    server.replies.append(Response("<html>proxy</html>", media_type="text/html"))
    async with reached(server.base_url) as asked:
        with pytest.raises(ModelError):
            await asked.ask("a", QUESTION, ToolChoice)


async def test_a_server_that_stays_silent_is_unavailable(server: Server) -> None:
    server.says(CHOICE)
    server.silent = True
    async with reached(server.base_url) as asked:
        quick = Asker(replace(asked.caller, timeout=0.2), seed=1)
        with pytest.raises(ModelUnavailable, match=r"no answer within 0\.2 s"):
            await quick.ask("a", QUESTION, ToolChoice)
    assert len(server.requests) == 1


async def test_a_port_where_nobody_listens_is_unavailable() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with reached(f"http://127.0.0.1:{port}/v1") as asked:
        with pytest.raises(ModelUnavailable, match="is the server running, and is --base-url right"):
            await asked.ask("a", QUESTION, ToolChoice)


async def test_without_a_key_the_server_still_gets_one_word(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    server.says(CHOICE)
    async with reached(server.base_url) as asked:
        await asked.ask("a", QUESTION, ToolChoice)
    assert server.headers[0]["authorization"] == "Bearer none"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_one_model_serves_consults_that_run_one_after_another(server: Server) -> None:
    server.says(CHOICE)
    handle = resolve("openai:x", clinician=reference_clinician(), base_url=server.base_url, timeout=20.0)

    async def once() -> ToolChoice | None:
        clock = FixedClock()
        meter = Meter(Budget(), clock)
        asked = Asker(Caller(handle, Recorder("run_1", clock=clock), meter, Slots(1), timeout=20.0), seed=1)
        return (await asked.ask("a", QUESTION, ToolChoice)).value

    try:
        assert [asyncio.run(once()) for _ in range(2)] == [ToolChoice(tool="guideline", argument="gout")] * 2
    finally:
        gc.collect()
