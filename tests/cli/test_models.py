"""`wardround models` as a person and as a program meet it; `check` against a real server on this machine."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from typer.testing import CliRunner

from wardround.cli.main import report
from wardround.cli.models import models
from wardround.models.catalogue.check import QUESTION
from wardround.models.catalogue.loading import embedded

GOLDEN = Path(__file__).parents[1] / "golden"
ANSWER = json.dumps({"urgency": "routine", "specialties": [], "reasons": ["a check-up"]})
NAME = "org/medical-7B"


class Ran:
    """What a run of the command left."""

    def __init__(self, *arguments: str) -> None:
        result = CliRunner().invoke(models, list(arguments), env={"COLUMNS": "100", "TERM": "dumb"})
        self.out, self.error = result.stdout, ""
        self.code = result.exit_code
        if isinstance(result.exception, Exception):
            self.code = report(result.exception, debug=False)
            self.error = str(result.exception)

    @property
    def json(self) -> Any:
        """The one JSON document on standard output."""
        assert self.out.count("\n") == 1
        return json.loads(self.out)


class Server:
    """Lists models, and answers chat with what it is told to."""

    def __init__(self) -> None:
        self.served: Response = listed(NAME)
        self.chats: list[Response] = []
        self.sees = False
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen()
        routes = [
            Route("/v1/models", self._models),
            Route("/v1/chat/completions", self._chat, methods=["POST"]),
        ]
        config = uvicorn.Config(
            Starlette(routes=routes), log_level="critical", lifespan="off", ws="none", timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)
        self._thread.start()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1"

    async def _models(self, request: Request) -> Response:
        self.keys.append(request.headers["authorization"])
        return self.served

    async def _chat(self, request: Request) -> Response:
        """Answer a question or an offer as told, a picture by the server's nature, and anything else with `yes`."""
        asked = await request.json()
        self.requests.append(asked)
        if isinstance(asked["messages"][-1]["content"], list):
            refusal = JSONResponse({"error": {"message": f"{NAME} is not a multimodal model", "type": "bad"}}, 400)
            return completion("A grey square.") if self.sees else refusal
        if "response_format" in asked or "tools" in asked:
            return self.chats.pop(0)
        token = {"token": "yes", "logprob": -0.1, "bytes": None, "top_logprobs": []}
        logprobs = {"content": [token], "refusal": None} if asked.get("logprobs") else None
        return completion("yes", n=asked.get("n") or 1, logprobs=logprobs)

    def says(self, content: str | None, **message: Any) -> None:
        self.chats.append(completion(content, **message))

    def calls(self, name: str, arguments: str) -> None:
        call = {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}
        self.says(None, tool_calls=[call])

    def fails(self, status: int, message: str) -> None:
        body = {"error": {"message": message, "type": "bad_request"}}
        self.chats.append(JSONResponse(body, status, headers={"x-should-retry": "false"}))

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=10)
        self._socket.close()


def completion(content: str | None, *, n: int = 1, logprobs: Any = None, **message: Any) -> Response:
    choices = [
        {
            "index": index,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": content, **message},
            "logprobs": logprobs,
        }
        for index in range(n)
    ]
    return JSONResponse(
        {
            "id": "chat-1",
            "object": "chat.completion",
            "created": 1,
            "model": NAME,
            "choices": choices,
            "usage": {"prompt_tokens": 31, "completion_tokens": 12, "total_tokens": 43},
        }
    )


def listed(*names: str) -> Response:
    return JSONResponse({"object": "list", "data": [{"id": name, "object": "model"} for name in names]})


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.stop()


def checked(server: Server, *more: str, name: str = NAME) -> Ran:
    return Ran("check", f"vllm:{name}", "--base-url", server.base_url, *more)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("models_list.txt", ("list", "--image-type", "oct")),
        ("models_show.txt", ("show", "google/medgemma-1.5-4b-it")),
    ],
)
def test_what_a_person_reads_is_as_written_down(name: str, arguments: tuple[str, ...]) -> None:
    ran = Ran(*arguments)
    assert ran.code == 0
    lines = [line.rstrip() for line in ran.out.splitlines()]
    assert lines == (GOLDEN / name).read_text("utf-8").splitlines()


def test_the_list_has_every_model_with_marks_and_their_meaning() -> None:
    ran = Ran("list")
    assert f"{len(embedded().models)} models. ~ likely, ? unknown" in ran.out
    assert "~8.29" in ran.out
    assert "left out" not in ran.out


def test_the_list_as_json_is_one_document_with_all_facts() -> None:
    told = Ran("list", "--json").json
    assert len(told["models"]) == len(embedded().models)
    assert told["undecided"] == 0
    first = told["models"][0]
    assert {"id", "name", "organisation", "facts", "sources", "checked"} <= set(first)
    assert set(first["facts"]["licence"]) == {"value", "sure", "source"}
    ids = [entry["id"] for entry in told["models"]]
    assert ids == sorted(ids, key=str.casefold)


def test_filters_go_together_and_what_is_unknown_is_counted() -> None:
    told = Ran("list", "--modality", "volume", "--licence", "apache", "--served", "hf", "--json").json
    assert [entry["id"] for entry in told["models"]] == [f"ZJU-AI4H/Hulu-Med-{n}B" for n in (14, 32, 4, 7)]
    shown = Ran("list", "--licence", "mit")
    assert "more models left out: what is asked for is not known of them." in shown.out


def test_a_modality_that_is_none_is_a_wrong_call() -> None:
    assert Ran("list", "--modality", "smell").code == 2


def test_show_as_json_has_sums_and_lines() -> None:
    told = Ran("show", "lingshu-medical-mllm/lingshu-7b", "--json").json
    assert told["id"] == "lingshu-medical-mllm/Lingshu-7B"
    assert told["checked"] is False
    assert told["facts"]["family"] == {"value": "qwen2_5_vl", "sure": "stated", "source": "card"}
    assert told["facts"]["coordinates"] == {"value": None, "sure": "unknown", "source": None}
    assert told["memory"][0] == {"dtype": "bf16", "gib": 15.4, "formula": "8.29e9 x 2 / 2^30", "computed": True}
    assert told["commands"]["serve"].startswith("vllm serve lingshu-medical-mllm/Lingshu-7B")
    assert told["commands"]["consult"].endswith("--model vllm:lingshu-medical-mllm/Lingshu-7B")


@pytest.mark.parametrize("name", sorted(embedded().models))
def test_every_model_can_be_shown(name: str) -> None:
    ran = Ran("show", name)
    assert ran.code == 0
    assert ran.out.rstrip().endswith("Not checked: nobody ran these weights to see whether it is all so.")


def test_an_unknown_id_is_a_wrong_call_with_a_suggestion() -> None:
    ran = Ran("show", "lingsu-7b")
    assert ran.code == 2
    assert "did you mean lingshu-medical-mllm/Lingshu-7B" in ran.error


def test_the_reference_model_answers_a_check() -> None:
    told = Ran("check", "reference", "--json").json
    assert told["spec"] == "reference"
    assert (told["served"], told["base_url"]) == (None, None)
    assert told["served_by"] == "wardround-reference"
    assert (told["structured"], told["constrained"], told["usable"]) == ("held", True, True)
    assert told["tools"] == "not called"
    assert told["seconds"] > 0


def test_a_scripted_model_answers_a_check_and_takes_no_tools(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps([{"answer": "*", "says": json.loads(ANSWER), "times": 3}]), "utf-8")
    told = Ran("check", f"scripted:{script}", "--json").json
    assert told["structured"] == "held"
    assert (told["tools"], told["tools_said"]) == ("not taken", None)


def test_a_server_that_does_all_is_reported_so(server: Server) -> None:
    server.says(ANSWER)
    server.calls("look_up", '{"test": "potassium"}')
    told = checked(server, "--json").json
    assert told["served"] == [NAME]
    assert told["served_by"] == NAME
    assert (told["structured"], told["tools"]) == ("held", "called")
    assert told["tools_said"] == "look_up({'test': 'potassium'})"
    assert (told["input_tokens"], told["output_tokens"]) == (31, 12)
    assert (told["images"], told["choice"], told["logprobs"], told["several"], told["repeats"]) == (
        False,
        "yes",
        "yes",
        "yes",
        True,
    )
    question, offer = (r for r in server.requests if "response_format" in r or "tools" in r)
    assert question["messages"] == [{"role": "user", "content": QUESTION}]
    assert question["response_format"]["json_schema"]["name"] == "TriageAnswer"
    assert "JSON" not in QUESTION
    assert offer["tools"][0]["function"]["name"] == "look_up"
    assert "response_format" not in offer


def test_a_server_that_looks_at_images_is_reported_so(server: Server) -> None:
    server.sees = True
    server.says(ANSWER)
    server.says("It is 4.1.")
    assert "looks at images" in checked(server).out


def test_the_list_of_models_is_asked_for_with_the_key(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    server.says(ANSWER)
    server.says("It is 4.1.")
    ran = checked(server)
    assert server.keys == ["Bearer secret"]
    assert "secret" not in ran.out


def test_an_answer_that_needed_a_repair_is_told_apart(server: Server) -> None:
    server.says("It can wait.")
    server.says(ANSWER)
    server.says("It is 4.1.")
    ran = checked(server)
    assert ran.code == 0
    assert "right after it was told what was wrong" in ran.out
    assert "did not call the tool it was offered (It is 4.1.)" in ran.out


def test_a_model_that_never_answers_in_shape_fails_the_check_and_says_why(server: Server) -> None:
    server.says("It can wait.")
    server.says("It can wait, I said.")
    server.says("It is 4.1.")
    ran = checked(server, "--json")
    assert ran.code == 1
    assert (ran.json["structured"], ran.json["usable"]) == ("failed", False)
    assert ran.json["fault"] == "the answer holds no complete JSON object"


def test_a_server_that_refuses_tools_is_a_finding_and_no_failure(server: Server) -> None:
    server.says(ANSWER)
    server.fails(400, "auto tool choice requires --enable-auto-tool-choice")
    ran = checked(server)
    assert ran.code == 0
    assert "the server refused the tool" in ran.out
    assert "--enable-auto-tool-choice" in " ".join(ran.out.split())


def test_another_model_than_the_one_served_is_a_wrong_call_that_names_it(server: Server) -> None:
    server.served = listed("org/other-7B", "org/medical-8B")
    ran = checked(server)
    assert ran.code == 2
    assert f"serves no '{NAME}'; it serves org/medical-8B, org/other-7B" in ran.error
    assert server.requests == []


def test_a_server_that_serves_nothing_says_so(server: Server) -> None:
    server.served = listed()
    ran = checked(server)
    assert ran.code == 2
    assert "it serves nothing; start it with a model" in ran.error


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (JSONResponse({"detail": "no key"}, 401), "answers 401"),
        (JSONResponse({"models": []}), "gives no list of models"),
        (JSONResponse([NAME]), "gives no list of models"),
        (Response("<html>proxy</html>", media_type="text/html"), "gives no list of models (<html>proxy</html>)"),
    ],
)
def test_a_server_that_gives_no_list_fails(server: Server, reply: Response, says: str) -> None:
    server.served = reply
    ran = checked(server)
    assert ran.code == 1
    assert says in ran.error


def test_a_port_where_nobody_listens_fails() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ran = Ran("check", "openai:x", "--base-url", f"http://127.0.0.1:{port}/v1")
    assert ran.code == 1
    assert "cannot be reached" in ran.error
    assert "is --base-url right?" in ran.error


@pytest.mark.parametrize("url", ["no address", "ftp://127.0.0.1/v1", "http://[::1/v1"])
def test_an_address_that_is_none_is_a_wrong_call(url: str) -> None:
    ran = Ran("check", "vllm:x", "--base-url", url)
    assert ran.code == 2
    assert url in ran.error
    assert "is no address" in ran.error
    assert "give --base-url such as http://127.0.0.1:8000/v1" in ran.error


def test_a_server_that_fails_at_the_question_fails_the_check(server: Server) -> None:
    server.fails(400, "context too short")
    ran = checked(server)
    assert ran.code == 1
    assert "context too short" in ran.error


def test_a_spec_that_is_none_is_a_wrong_call() -> None:
    ran = Ran("check", "llama")
    assert ran.code == 2
    assert "no model 'llama'; write reference, vllm:NAME" in ran.error
