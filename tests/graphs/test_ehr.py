"""The record agent end to end: three protocols, a person who agrees or not, and every way an episode ends."""

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.exceptions import ContextOverflowError
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.tool import invalid_tool_call, tool_call
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool, StructuredTool
from pydantic import PrivateAttr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from wardround.agents.ehr.acting import ask_later
from wardround.agents.ehr.episode import Episode, EpisodeStatus
from wardround.agents.ehr.json_protocol import JsonProtocol
from wardround.agents.ehr.native import NativeProtocol
from wardround.agents.ehr.protocol import FINISH, Protocol
from wardround.agents.ehr.text_protocol import ACCEPTED, TextProtocol
from wardround.core.errors import UsageError
from wardround.environments.fhir.sandbox import Sandbox
from wardround.graphs.ehr import MAX_ROUNDS, EhrAgent, WriteAwaitsPerson
from wardround.graphs.ehr_flow import MISFITS
from wardround.models.budget import Budget
from wardround.models.handle import ModelHandle
from wardround.testing import DelayedChatModel, FixedClock, ScriptedAnswer, ScriptedChatModel
from wardround.tools.fhir.client import FhirClient
from wardround.tools.fhir.session import RecordSession, WritePolicy
from wardround.trace import views
from wardround.trace.events import (
    AnswerRefused,
    Event,
    ModelAnswered,
    ModelAsked,
    Resumed,
    RunEnded,
    RunStarted,
    Suspended,
    ToolCalled,
    ToolReturned,
)
from wardround.trace.store import RunStore

BASE = "http://record.test/fhir"
PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "name": [{"family": "Doe", "given": ["Ann"]}],
    "birthDate": "1960-02-03",
}
WEIGHT = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"text": "body weight"},
    "subject": {"reference": "Patient/p1"},
    "effectiveDateTime": "2023-11-13T10:15:00+00:00",
    "valueQuantity": {"value": 71, "unit": "kg"},
}
Turn = str | AIMessage | Exception | Callable[[list[BaseMessage]], str | AIMessage]


class Puppet(BaseChatModel):
    """Says one thing after the other, takes tools, and remembers what it was sent."""

    turns: tuple[Any, ...]
    _asked: list[list[BaseMessage]] = PrivateAttr(default_factory=list)
    _options: list[dict[str, Any]] = PrivateAttr(default_factory=list)

    @property
    def asked(self) -> list[list[BaseMessage]]:
        return self._asked

    @property
    def options(self) -> list[dict[str, Any]]:
        return self._options

    @property
    def _llm_type(self) -> str:
        return "puppet"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, Any]:
        return self.bind(tools=list(tools))

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **options: Any) -> Any:
        turn: Turn = self.turns[min(len(self._asked), len(self.turns) - 1)]
        self._asked.append(list(messages))
        self._options.append(options)
        if isinstance(turn, Exception):
            raise turn
        said = turn(messages) if callable(turn) else turn
        message = said if isinstance(said, AIMessage) else AIMessage(content=said)
        return ChatResult(generations=[ChatGeneration(message=message)])


def scripted(*turns: str) -> ScriptedChatModel:
    return ScriptedChatModel(script=tuple(ScriptedAnswer(answer="*", says=turn) for turn in turns))


def calls(*given: tuple[str, dict[str, Any]]) -> AIMessage:
    return AIMessage(content="", tool_calls=[tool_call(name=n, args=a, id=f"c{i}") for i, (n, a) in enumerate(given)])


class Hospital:
    """A small FHIR server: keeps what it is sent, refuses what has no status, remembers every request."""

    def __init__(self, *resources: dict[str, Any]) -> None:
        self.resources = {f"{r['resourceType']}/{r['id']}": r for r in resources}
        self.log: list[tuple[str, str]] = []
        route = Route("/fhir/{path:path}", self._answer, methods=["GET", "POST", "PUT"])
        self.app = Starlette(routes=[route])

    @property
    def writes(self) -> list[str]:
        return [path for method, path in self.log if method != "GET"]

    def client(self) -> FhirClient:
        return FhirClient(BASE, transport=httpx.ASGITransport(app=self.app))

    async def _answer(self, request: Request) -> JSONResponse:
        path = str(request.path_params["path"])
        self.log.append((request.method, f"{path}?{request.url.query}" if request.url.query else path))
        if request.method == "GET":
            return self._read(path, request.query_params.get("patient"))
        resource = json.loads(await request.body())
        if "status" not in resource:
            return _outcome(422, "status is missing")
        kind = resource["resourceType"]
        stored = {**resource, "id": resource.get("id", f"n{len(self.resources)}")}
        self.resources[f"{kind}/{stored['id']}"] = stored
        return JSONResponse(stored, status_code=201)

    def _read(self, path: str, patient: str | None) -> JSONResponse:
        if "/" in path:
            found = self.resources.get(path)
            return JSONResponse(found) if found is not None else _outcome(404, f"{path} is not known")
        of_type = [r for name, r in self.resources.items() if name.startswith(f"{path}/")]
        matches = [r for r in of_type if patient is None or r.get("subject", {}).get("reference") == patient]
        entries = [{"resource": r, "search": {"mode": "match"}} for r in matches]
        return JSONResponse({"resourceType": "Bundle", "type": "searchset", "total": len(matches), "entry": entries})


def _outcome(status: int, why: str) -> JSONResponse:
    issue = {"severity": "error", "code": "processing", "diagnostics": why}
    return JSONResponse({"resourceType": "OperationOutcome", "issue": [issue]}, status_code=status)


@pytest.fixture
def hospital() -> Hospital:
    return Hospital(PATIENT)


def session(hospital: Hospital, policy: WritePolicy = WritePolicy.ALLOW, **options: Any) -> RecordSession:
    person = ask_later if policy is WritePolicy.CONFIRM else None
    return RecordSession(hospital.client(), policy=policy, **{"person": person, **options})


async def look_up(patient: str) -> str:
    return f"{patient} is 63 years old"


def writing_tools(record: RecordSession) -> list[BaseTool]:
    """Two tools, one of which writes: enough to see how calls go, without the knowledge of the real ones."""

    async def create(resource: dict[str, Any]) -> str:
        """Create a resource."""
        response = await record.write("POST", resource["resourceType"], resource)
        return record.calls[-1].result or f"refused: {response.text}"

    async def age(patient: str) -> str:
        """Return the age of a patient."""
        await record.get(f"Patient/{patient}")
        return await look_up(patient)

    return [StructuredTool.from_function(coroutine=create), StructuredTool.from_function(coroutine=age)]


def post(body: dict[str, Any], kind: str = "Observation") -> str:
    return f"POST {BASE}/{kind}\n{json.dumps(body)}"


def of(kind: type[Any], events: Sequence[Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


# the text protocol


async def test_a_text_episode_reads_writes_and_finishes(hospital: Hospital) -> None:
    model = scripted(f"GET {BASE}/Patient?name=Ann", f"```\n{post(WEIGHT)}\n```", 'FINISH(["p1"])')
    episode = await EhrAgent(model, TextProtocol()).run("Weigh Ann.", session(hospital))
    model.assert_finished()
    assert episode.status is EpisodeStatus.COMPLETED
    assert episode.result == '["p1"]'
    assert [t.role for t in episode.turns] == ["user", "agent", "user", "agent", "user", "agent"]
    assert episode.turns[3].content.startswith("```")
    assert '"family":"Doe"' in episode.turns[2].content
    assert episode.turns[4].content.startswith(f"{ACCEPTED} and stored as Observation/")
    assert [(c.method, c.sent, c.status) for c in episode.calls] == [("GET", True, 200), ("POST", True, 201)]
    assert hospital.resources[episode.calls[1].result or ""]["valueQuantity"] == {"value": 71, "unit": "kg"}
    assert hospital.log[0] == ("GET", "Patient?name=Ann&_format=json")


async def test_a_pretended_write_is_acknowledged_and_not_sent(hospital: Hospital) -> None:
    model = scripted(post({"resourceType": "Observation"}), "POST nowhere\n{}", "FINISH([])")
    episode = await EhrAgent(model, TextProtocol()).run("Weigh.", session(hospital, pretend=True))
    assert [t.content.startswith(ACCEPTED) for t in episode.turns if t.role == "user"] == [False, True, True]
    assert [c.sent for c in episode.calls] == [False, False]
    assert hospital.log == []


async def test_a_refused_write_is_told_with_the_servers_words(hospital: Hospital) -> None:
    model = scripted(post({"resourceType": "Observation"}), "FINISH([])")
    episode = await EhrAgent(model, TextProtocol()).run("Weigh.", session(hospital))
    told = episode.turns[2].content
    assert told.startswith("Invalid POST request")
    assert "status is missing" in told
    assert ACCEPTED not in told
    assert episode.calls[0].status == 422


async def test_a_write_that_the_session_forbids_is_refused(hospital: Hospital) -> None:
    model = scripted(post(WEIGHT), "FINISH([])")
    episode = await EhrAgent(model, TextProtocol()).run("Weigh.", session(hospital, WritePolicy.DENY))
    assert episode.turns[2].content.startswith("Invalid POST request")
    assert hospital.log == []
    assert [c.sent for c in episode.calls] == [False]


@pytest.mark.parametrize(
    "url",
    [
        "http://elsewhere.test/fhir/Patient?name=Ann",
        "http://record.test/fhirx/Patient?name=Ann",
        "Patient?name=Ann",
        "",
        f"{BASE}/Patient?name=Ann\nand nothing else",
        f"{BASE}/../secret?x=1",
    ],
)
async def test_a_url_that_is_none_below_the_base_is_refused_with_a_reason(hospital: Hospital, url: str) -> None:
    model = scripted(f"GET {url}", "FINISH([])")
    episode = await EhrAgent(model, TextProtocol()).run("Look.", session(hospital))
    assert episode.turns[2].content.startswith("The GET request failed")
    assert "line break" in episode.turns[2].content or BASE in episode.turns[2].content
    assert hospital.log == []
    assert episode.status is EpisodeStatus.COMPLETED


async def test_the_base_that_the_model_is_told_need_not_be_the_clients(hospital: Hospital) -> None:
    told = "http://localhost:8080/fhir/"
    model = scripted(f"GET {told}Patient/p1", f"GET {told}/Patient?name=A", f"GET {BASE}/Patient?name=A", "FINISH([])")
    episode = await EhrAgent(model, TextProtocol()).run("Look.", session(hospital), api_base=told)
    assert told in episode.turns[0].content
    assert [path for _, path in hospital.log] == [
        "Patient/p1&_format=json",
        "Patient?name=A&_format=json",
        "Patient?name=A&_format=json",
    ]


async def test_a_malformed_read_passes_to_a_sandbox_that_understands_it() -> None:
    with Sandbox(profile="medagentbench") as sandbox:
        sandbox.load([PATIENT])
        client = FhirClient(f"http://sandbox{sandbox.state.base_path}", transport=sandbox.transport())
        record = RecordSession(client, policy=WritePolicy.ALLOW)
        base = client.base_url
        model = scripted(f"GET {base}/Patient/p1", f"POST {base}/Observation\n{json.dumps(WEIGHT)}", "FINISH([])")
        episode = await EhrAgent(model, TextProtocol()).run("Look.", record)
        assert '"birthDate":"1960-02-03"' in episode.turns[2].content
        assert episode.turns[4].content.startswith(ACCEPTED)
        assert [r["resourceType"] for r in sandbox.state.resources()].count("Observation") == 1


@pytest.mark.parametrize("reply", ["I think so.", "", "FINISH [1]"])
async def test_an_invalid_text_reply_ends_the_episode_at_once(hospital: Hospital, reply: str) -> None:
    model = scripted(reply)
    episode = await EhrAgent(model, TextProtocol()).run("Look.", session(hospital))
    assert (episode.status, episode.result) == (EpisodeStatus.INVALID, None)
    assert episode.turns[-1].content == reply
    assert len(model.asked) == 1


async def test_a_broken_payload_is_no_end(hospital: Hospital) -> None:
    model = scripted(f"POST {BASE}/Observation\n{{'a': 1}}", "FINISH([])")
    episode = await EhrAgent(model, TextProtocol()).run("Weigh.", session(hospital))
    assert episode.turns[2].content.startswith("Invalid POST request")
    assert episode.status is EpisodeStatus.COMPLETED


async def test_the_rounds_are_counted_and_the_last_answer_is_still_given(hospital: Hospital) -> None:
    model = Puppet(turns=(f"GET {BASE}/Patient?name=Ann",))
    episode = await EhrAgent(model, TextProtocol()).run("Look.", session(hospital))
    assert episode.status is EpisodeStatus.LIMIT
    assert episode.result is None
    assert len(model.asked) == MAX_ROUNDS == 8
    assert [t.role for t in episode.turns].count("agent") == MAX_ROUNDS
    assert episode.turns[-1].role == "user"


async def test_a_finish_in_the_last_round_counts(hospital: Hospital) -> None:
    model = scripted(f"GET {BASE}/Patient?name=Ann", "FINISH([1])")
    episode = await EhrAgent(model, TextProtocol(), max_rounds=2).run("Look.", session(hospital))
    assert episode.status is EpisodeStatus.COMPLETED


# the json protocol


async def test_a_json_episode_uses_tools_and_finishes(hospital: Hospital) -> None:
    model = scripted(
        '<think>hm</think>{"tool": "age", "arguments": {"patient": "p1"}}',
        f"```json\n{json.dumps({'tool': 'create', 'arguments': {'resource': WEIGHT}})}\n```",
        '{"finish": [63]}',
    )
    handle = ModelHandle("scripted:test", model, constrained=True, sampled=True)
    episode = await EhrAgent(handle, JsonProtocol(), tools=writing_tools).run("Age?", session(hospital))
    assert (episode.status, episode.result) == (EpisodeStatus.COMPLETED, "[63]")
    assert episode.turns[3].content == "age answered:\np1 is 63 years old"
    assert [c.method for c in episode.calls] == ["GET", "POST"]


async def test_the_schema_temperature_and_seed_are_sent_to_a_model_that_takes_them(hospital: Hospital) -> None:
    model = Puppet(turns=('{"finish": []}',))
    handle = ModelHandle("given:test", model, constrained=True, sampled=True)
    agent = EhrAgent(handle, JsonProtocol(), tools=writing_tools, seed=5, temperature=0.7)
    await agent.run("Age?", session(hospital), rollout=2)
    (options,) = model.options
    assert options["response_format"]["json_schema"]["name"] == "Move"
    assert (options["temperature"], options["seed"]) == (0.7, 7)


async def test_one_repair_is_asked_for_and_a_mended_turn_counts(hospital: Hospital) -> None:
    model = Puppet(turns=("Let me see.", '{"finish": [1]}'))
    episode = await EhrAgent(model, JsonProtocol(), tools=writing_tools).run("Age?", session(hospital))
    assert episode.status is EpisodeStatus.COMPLETED
    assert "no complete JSON object" in model.asked[1][-1].text


async def test_a_second_unreadable_turn_in_a_row_is_the_end_and_a_good_one_between_forgives(hospital: Hospital) -> None:
    good = '{"tool": "age", "arguments": {"patient": "p1"}}'
    model = Puppet(turns=("?", good, "?", "{"))
    episode = await EhrAgent(model, JsonProtocol(), tools=writing_tools).run("Age?", session(hospital))
    assert episode.status is EpisodeStatus.INVALID
    assert len(model.asked) == 4
    assert "JSON object" in (episode.error or "")


# native tool calls


async def test_a_native_episode_makes_several_calls_of_one_message_in_order(hospital: Hospital) -> None:
    model = Puppet(
        turns=(
            calls(("age", {"patient": "p1"}), ("create", {"resource": WEIGHT})),
            calls((FINISH, {"answer": [63]})),
        )
    )
    episode = await EhrAgent(model, tools=writing_tools).run("Age?", session(hospital))
    assert (episode.status, episode.result) == (EpisodeStatus.COMPLETED, "[63]")
    assert [m for m, _ in hospital.log] == ["GET", "POST"]
    assert [m.type for m in model.asked[1]] == ["system", "human", "ai", "tool", "tool"]
    assert '{"tool": "age", "arguments": {"patient": "p1"}}' in episode.turns[2].content


async def test_wrong_arguments_unknown_tools_and_broken_json_are_told_back(hospital: Hospital) -> None:
    broken = AIMessage(
        content="", invalid_tool_calls=[invalid_tool_call(name="age", args='{"pat', id="x", error="cut off")]
    )
    model = Puppet(turns=(calls(("heal", {})), broken, calls((FINISH, {"answer": []}))))
    episode = await EhrAgent(model, tools=writing_tools).run("Age?", session(hospital))
    assert episode.status is EpisodeStatus.COMPLETED
    assert "there are create, age" in model.asked[1][-1].text
    assert "cut off" in model.asked[2][-1].text


async def test_an_argument_that_a_tool_does_not_know_is_named_and_not_dropped(hospital: Hospital) -> None:
    model = Puppet(turns=(calls(("age", {"patient": "p1", "since": "2020"})), calls((FINISH, {"answer": []}))))
    await EhrAgent(model, tools=writing_tools).run("Age?", session(hospital))
    assert "since: there is no such argument" in model.asked[1][-1].text
    assert hospital.log == []


async def test_calls_that_fit_no_tool_again_and_again_end_the_episode(hospital: Hospital) -> None:
    model = Puppet(turns=(calls(("search_record", {"kind": "Patient"})),))
    episode = await EhrAgent(model).run("Age?", session(hospital))
    assert episode.status is EpisodeStatus.INVALID
    assert len(model.asked) == MISFITS
    assert "kind" in (episode.error or "")
    assert hospital.log == []


async def test_a_message_without_a_call_is_reminded_once(hospital: Hospital) -> None:
    model = Puppet(turns=("It is 63.", calls((FINISH, {"answer": [63]}))))
    episode = await EhrAgent(model, tools=writing_tools).run("Age?", session(hospital))
    assert episode.status is EpisodeStatus.COMPLETED
    stubborn = Puppet(turns=("It is 63.",))
    episode = await EhrAgent(stubborn, tools=writing_tools).run("Age?", session(hospital))
    assert episode.status is EpisodeStatus.INVALID
    assert len(stubborn.asked) == 2


async def test_a_finish_beside_a_refused_write_is_not_taken(hospital: Hospital) -> None:
    refused = {"resourceType": "Observation"}
    model = Puppet(
        turns=(calls(("create", {"resource": refused}), (FINISH, {"answer": []})), calls((FINISH, {"answer": []})))
    )
    episode = await EhrAgent(model, tools=writing_tools).run("Weigh.", session(hospital))
    assert "refused: status is missing" in model.asked[1][-2].text
    assert "alone" in model.asked[1][-1].text
    assert episode.status is EpisodeStatus.COMPLETED


async def test_the_real_tools_work_on_a_sandbox() -> None:
    clock = FixedClock(datetime(2023, 11, 13, 10, 15, tzinfo=UTC))
    with Sandbox(clock=clock) as sandbox:
        sandbox.load([PATIENT, {**WEIGHT, "id": "w1"}])
        client = FhirClient(f"http://sandbox{sandbox.state.base_path}", transport=sandbox.transport())
        record = RecordSession(client, patient="Patient/p1", policy=WritePolicy.ALLOW)
        order = {
            "resourceType": "ServiceRequest",
            "status": "active",
            "intent": "order",
            "code": {"text": "chest radiograph"},
            "subject": {"reference": "Patient/p1"},
        }
        model = Puppet(
            turns=(
                calls(("search_record", {"type": "Observation", "parameters": {"patient": "p1"}})),
                calls(("create_resource", {"resource": order})),
                calls(("create_resource", {"resource": {**order, "subject": {"reference": "Patient/p2"}}})),
                calls((FINISH, {"answer": [71]})),
            )
        )
        episode = await EhrAgent(model, clock=clock).run("Order a film.", record)
        assert episode.status is EpisodeStatus.COMPLETED
        assert "71" in model.asked[1][-1].text
        assert "created ServiceRequest/" in model.asked[2][-1].text
        assert "held to Patient/p1" in model.asked[3][-1].text
        assert [c.sent for c in episode.calls if c.is_write] == [True, False]


# a person who has to agree


def weighing(protocol: str) -> tuple[Puppet, Protocol]:
    """A model that writes a weight and finishes, and the protocol it speaks."""
    match protocol:
        case "text":
            return Puppet(turns=(post(WEIGHT), "FINISH([])")), TextProtocol()
        case "json":
            move = json.dumps({"tool": "create", "arguments": {"resource": WEIGHT}})
            return Puppet(turns=(move, '{"finish": []}')), JsonProtocol()
        case _:
            move_ = calls(("create", {"resource": WEIGHT}))
            return Puppet(turns=(move_, calls((FINISH, {"answer": []})))), NativeProtocol()


async def suspended(
    agent: EhrAgent, record: RecordSession, task: str = "Weigh Ann.", **options: Any
) -> WriteAwaitsPerson:
    with pytest.raises(WriteAwaitsPerson) as waiting:
        await agent.run(task, record, **options)
    return waiting.value


@pytest.fixture(params=["memory", "workspace"])
def workspace(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "runs" if request.param == "workspace" else None


@pytest.mark.parametrize("protocol", ["text", "json", "native"])
async def test_a_write_waits_and_is_made_once_when_approved(
    hospital: Hospital, workspace: Path | None, protocol: str
) -> None:
    model, speaks = weighing(protocol)
    agent = EhrAgent(model, speaks, tools=writing_tools, workspace=workspace)
    waiting = await suspended(agent, session(hospital, WritePolicy.CONFIRM))
    assert hospital.writes == []
    assert waiting.proposal["body"] == WEIGHT
    assert (waiting.proposal["method"], waiting.proposal["path"]) == ("POST", "Observation")
    assert "71 kg" in waiting.proposal["summary"]
    episode = await agent.resume(waiting.run, approve=True)
    assert episode.status is EpisodeStatus.COMPLETED
    assert hospital.writes == ["Observation"]
    assert len(model.asked) == 2
    (written,) = [c for c in episode.calls if c.is_write]
    assert written.is_accepted
    assert written.result in hospital.resources


@pytest.mark.parametrize("protocol", ["text", "json", "native"])
async def test_a_declined_write_is_never_made_and_the_model_is_told(
    hospital: Hospital, workspace: Path | None, protocol: str
) -> None:
    model, speaks = weighing(protocol)
    agent = EhrAgent(model, speaks, tools=writing_tools, workspace=workspace)
    waiting = await suspended(agent, session(hospital, WritePolicy.CONFIRM))
    episode = await agent.resume(waiting.run, approve=False, note="weighed an hour ago")
    assert episode.status is EpisodeStatus.COMPLETED
    assert hospital.writes == []
    assert "declined" in model.asked[1][-1].text
    assert [(c.sent, c.is_accepted) for c in episode.calls if c.is_write] == [(False, False)]


async def test_an_answer_counts_once(hospital: Hospital, workspace: Path | None) -> None:
    model, speaks = weighing("text")
    agent = EhrAgent(model, speaks, workspace=workspace)
    waiting = await suspended(agent, session(hospital, WritePolicy.CONFIRM))
    await agent.resume(waiting.run, approve=True)
    with pytest.raises(UsageError, match="waits"):
        await agent.resume(waiting.run, approve=True)
    with pytest.raises(UsageError, match=r"waits|no run"):
        await agent.resume("run_000000000000", approve=True)
    assert hospital.writes == ["Observation"]


async def test_a_task_that_is_begun_anew_waits_no_longer(hospital: Hospital, workspace: Path | None) -> None:
    model = Puppet(turns=(post(WEIGHT), "FINISH([])"))
    agent = EhrAgent(model, TextProtocol(), workspace=workspace)
    waiting = await suspended(agent, session(hospital, WritePolicy.CONFIRM))
    episode = await agent.run("Weigh Ann.", session(hospital, WritePolicy.CONFIRM))
    assert episode.status is EpisodeStatus.COMPLETED
    with pytest.raises(UsageError, match="waits"):
        await agent.resume(waiting.run, approve=True)
    assert hospital.writes == []


async def test_two_answers_at_the_same_time_make_one_write(hospital: Hospital, workspace: Path | None) -> None:
    model, speaks = weighing("text")
    agent = EhrAgent(model, speaks, workspace=workspace)
    waiting = await suspended(agent, session(hospital, WritePolicy.CONFIRM))
    answers = await asyncio.gather(*(agent.resume(waiting.run, approve=True) for _ in range(3)), return_exceptions=True)
    assert sum(isinstance(a, Episode) for a in answers) == 1
    assert sum(isinstance(a, UsageError) for a in answers) == 2
    assert hospital.writes == ["Observation"]


async def test_two_processes_that_answer_at_the_same_time_make_one_write(hospital: Hospital, tmp_path: Path) -> None:
    model, speaks = weighing("text")
    waiting = await suspended(EhrAgent(model, speaks, workspace=tmp_path), session(hospital, WritePolicy.CONFIRM))
    later = [EhrAgent(Puppet(turns=("FINISH([])",)), speaks, workspace=tmp_path) for _ in range(3)]
    answers = await asyncio.gather(
        *(a.resume(waiting.run, approve=True, session=session(hospital, WritePolicy.CONFIRM)) for a in later),
        return_exceptions=True,
    )
    assert sum(isinstance(a, Episode) for a in answers) == 1
    assert sum(isinstance(a, UsageError) for a in answers) == 2
    assert hospital.writes == ["Observation"]


async def test_another_process_can_answer(hospital: Hospital, tmp_path: Path) -> None:
    model, speaks = weighing("native")
    agent = EhrAgent(model, speaks, tools=writing_tools, workspace=tmp_path)
    waiting = await suspended(agent, session(hospital, WritePolicy.CONFIRM), case="weight-1")
    later_model = Puppet(turns=(calls((FINISH, {"answer": ["done"]})),))
    later = EhrAgent(later_model, speaks, tools=writing_tools, workspace=tmp_path)
    with pytest.raises(UsageError, match="give the session"):
        await later.resume(waiting.run, approve=True)
    stricter = EhrAgent(later_model, speaks, tools=writing_tools, workspace=tmp_path, max_rounds=3)
    with pytest.raises(UsageError, match="same settings"):
        await stricter.resume(waiting.run, approve=True, session=session(hospital, WritePolicy.CONFIRM))
    episode = await later.resume(waiting.run, approve=True, session=session(hospital, WritePolicy.CONFIRM))
    assert (episode.status, episode.result) == (EpisodeStatus.COMPLETED, '["done"]')
    assert [t.role for t in episode.turns] == ["user", "user", "agent", "user", "agent"]
    assert hospital.writes == ["Observation"]
    assert len(later_model.asked) == 1


async def test_each_of_two_writes_of_one_message_is_asked_for_by_itself(hospital: Hospital) -> None:
    heavier = {**WEIGHT, "valueQuantity": {"value": 72, "unit": "kg"}}
    model = Puppet(
        turns=(
            calls(("create", {"resource": WEIGHT}), ("age", {"patient": "p1"}), ("create", {"resource": heavier})),
            calls((FINISH, {"answer": []})),
        )
    )
    agent = EhrAgent(model, tools=writing_tools)
    waiting = await suspended(agent, session(hospital, WritePolicy.CONFIRM))
    with pytest.raises(WriteAwaitsPerson) as again:
        await agent.resume(waiting.run, approve=True)
    assert again.value.run == waiting.run
    assert again.value.proposal["body"] == heavier
    assert hospital.writes == ["Observation"]
    episode = await agent.resume(waiting.run, approve=False)
    assert hospital.writes == ["Observation"]
    assert [c.is_accepted for c in episode.calls if c.is_write] == [True, False]
    assert sum(path == "Patient/p1" for _, path in hospital.log) == 1
    assert [m.type for m in model.asked[1]][-3:] == ["tool", "tool", "tool"]


async def test_a_warning_that_has_come_since_the_answer_is_shown_before_anything_is_written() -> None:
    with Sandbox() as sandbox:
        sandbox.load([PATIENT])
        client = FhirClient(f"http://sandbox{sandbox.state.base_path}", transport=sandbox.transport())
        order = {
            "resourceType": "ServiceRequest",
            "status": "active",
            "intent": "order",
            "code": {"text": "chest radiograph"},
            "subject": {"reference": "Patient/p1"},
            "authoredOn": "2023-11-13T10:15:00+00:00",
        }
        model = Puppet(turns=(calls(("create", {"resource": order})), calls((FINISH, {"answer": []}))))
        agent = EhrAgent(model, tools=writing_tools)
        record = RecordSession(client, policy=WritePolicy.CONFIRM, person=ask_later)
        waiting = await suspended(agent, record)
        assert waiting.proposal["warnings"] == []
        await client.create(order)
        with pytest.raises(WriteAwaitsPerson) as again:
            await agent.resume(waiting.run, approve=True)
        assert again.value.proposal["warnings"]
        assert len(sandbox.state.diff().added) == 1
        episode = await agent.resume(waiting.run, approve=True)
        assert episode.status is EpisodeStatus.COMPLETED
        assert len(sandbox.state.diff().added) == 2


async def test_a_person_who_is_there_is_asked_at_once(hospital: Hospital) -> None:
    seen: list[str] = []

    async def agree(proposal: Any) -> bool:
        seen.append(proposal.summary)
        return True

    model, speaks = weighing("text")
    record = RecordSession(hospital.client(), policy=WritePolicy.CONFIRM, person=agree)
    episode = await EhrAgent(model, speaks).run("Weigh Ann.", record)
    assert episode.status is EpisodeStatus.COMPLETED
    assert len(seen) == 1
    assert hospital.writes == ["Observation"]


async def test_arguments_that_no_checkpoint_takes_are_told_back(hospital: Hospital) -> None:
    huge = {**WEIGHT, "valueQuantity": {"value": 10**30, "unit": "\ud83d"}}
    model = Puppet(turns=(calls(("create", {"resource": huge})), calls((FINISH, {"answer": []}))))
    agent = EhrAgent(model, tools=writing_tools)
    episode = await agent.run("Weigh.", session(hospital, WritePolicy.CONFIRM))
    assert episode.status is EpisodeStatus.COMPLETED
    assert hospital.log == []
    assert "surrogate" in model.asked[1][-1].text


async def test_what_a_budget_had_left_before_the_question_is_what_is_left_after(hospital: Hospital) -> None:
    model = Puppet(turns=(post(WEIGHT), f"GET {BASE}/Patient?name=Ann"))
    agent = EhrAgent(model, TextProtocol(), budget=Budget(calls=3))
    waiting = await suspended(agent, session(hospital, WritePolicy.CONFIRM))
    episode = await agent.resume(waiting.run, approve=True)
    assert episode.status is EpisodeStatus.LIMIT
    assert len(model.asked) == 3


# every other end


async def test_a_budget_that_is_used_up_is_a_limit(hospital: Hospital) -> None:
    model = Puppet(turns=(f"GET {BASE}/Patient?name=Ann",))
    episode = await EhrAgent(model, TextProtocol(), budget=Budget(calls=2)).run("Look.", session(hospital))
    assert episode.status is EpisodeStatus.LIMIT
    assert "budget of 2 calls" in (episode.error or "")
    assert len(model.asked) == 2


@pytest.mark.parametrize(
    ("fault", "status", "why"),
    [
        (RuntimeError("out of memory"), EpisodeStatus.ERROR, "RuntimeError: out of memory"),
        (ConnectionRefusedError("nobody"), EpisodeStatus.ERROR, "cannot be reached"),
        (ContextOverflowError("4097 tokens"), EpisodeStatus.CONTEXT, "4097 tokens"),
        (
            ValueError("This model's maximum context length is 4096 tokens. However, you requested 9000 tokens"),
            EpisodeStatus.CONTEXT,
            "does not fit",
        ),
        (
            ValueError("The decoder prompt (length 9000) is longer than the maximum model length of 4096."),
            EpisodeStatus.CONTEXT,
            "does not fit",
        ),
    ],
    ids=["bug", "network", "langchain", "vllm chat", "vllm decoder"],
)
async def test_a_model_that_fails_is_an_end_with_its_words(
    hospital: Hospital, fault: Exception, status: EpisodeStatus, why: str
) -> None:
    model = Puppet(turns=(f"GET {BASE}/Patient?name=Ann", fault))
    episode = await EhrAgent(model, TextProtocol()).run("Look.", session(hospital))
    assert (episode.status, episode.result) == (status, None)
    assert why in (episode.error or "")
    assert len(episode.turns) == 3
    assert len(episode.calls) == 1


async def test_a_model_that_takes_too_long_is_an_error(hospital: Hospital) -> None:
    model = DelayedChatModel(inner=scripted("FINISH([])"), seconds=5.0)
    episode = await EhrAgent(model, TextProtocol(), timeout=0.05).run("Look.", session(hospital))
    assert episode.status is EpisodeStatus.ERROR
    assert "no answer within 0.05 s" in (episode.error or "")


async def test_a_script_that_is_used_up_is_an_error_that_says_so(hospital: Hospital) -> None:
    episode = await EhrAgent(scripted(), TextProtocol()).run("Look.", session(hospital))
    assert episode.status is EpisodeStatus.ERROR
    assert "script" in (episode.error or "")


async def test_an_answer_that_was_cut_off_is_an_unreadable_turn_not_a_failure(hospital: Hospital) -> None:
    class LengthFinishReasonError(Exception):
        """As the OpenAI client raises it, here without what there was of the answer."""

    model = Puppet(turns=(LengthFinishReasonError("length"), '{"finish": [1]}'))
    episode = await EhrAgent(model, JsonProtocol(), tools=writing_tools).run("Age?", session(hospital))
    assert episode.status is EpisodeStatus.COMPLETED


async def test_a_server_that_is_not_there_is_told_to_the_model() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    client = FhirClient(BASE, transport=httpx.MockTransport(refuse), attempts=1)
    record = RecordSession(client, policy=WritePolicy.ALLOW)
    model = scripted(f"GET {BASE}/Patient?name=Ann", post(WEIGHT), "FINISH([])")
    episode = await EhrAgent(model, TextProtocol()).run("Look.", record)
    assert episode.status is EpisodeStatus.COMPLETED
    assert "cannot be reached" in episode.turns[2].content
    assert episode.turns[4].content.startswith("Invalid POST request")
    assert [c.status for c in episode.calls] == [None, None]


async def test_a_tool_with_a_bug_is_no_answer_to_the_model(hospital: Hospital, tmp_path: Path) -> None:
    async def age(patient: str) -> str:
        """Fail."""
        raise KeyError(patient)

    broken = [StructuredTool.from_function(coroutine=age)]
    agent = EhrAgent(Puppet(turns=(calls(("age", {"patient": "p1"})),)), tools=lambda _: broken, workspace=tmp_path)
    events: list[Event] = []
    with pytest.raises(KeyError):
        await agent.run("Age?", session(hospital), sinks=[events.append])
    assert isinstance(events[-1], RunEnded)
    assert "KeyError" in (events[-1].error or "")


async def test_what_cannot_be_begun_is_refused_before_anything_is_asked(hospital: Hospital) -> None:
    with pytest.raises(UsageError, match="max_rounds"):
        EhrAgent(scripted(), max_rounds=0)
    with pytest.raises(UsageError, match="task is empty"):
        await EhrAgent(scripted(), TextProtocol()).run(" \n", session(hospital))
    with pytest.raises(UsageError, match="json protocol"):
        await EhrAgent(scripted(), tools=writing_tools).run("Age?", session(hospital))
    with pytest.raises(UsageError, match="no model"):
        EhrAgent("nothing")


# the log


async def test_the_log_holds_every_model_call_and_every_step_with_what_came_of_it(
    hospital: Hospital, tmp_path: Path
) -> None:
    model = Puppet(
        turns=(
            "Let me see.",
            calls(("age", {"patient": "p1"}), ("heal", {})),
            calls((FINISH, {"answer": [63]})),
        )
    )
    agent = EhrAgent(model, tools=writing_tools, workspace=tmp_path, clock=FixedClock())
    live: list[Event] = []
    await agent.run("Age of Ann?", session(hospital), case="age-1", sinks=[live.append])
    store = RunStore(tmp_path)
    (row,) = store.runs()
    events = store.events(row.id)
    store.close()
    assert events == live
    assert (row.case, row.model, row.state) == ("age-1", "given:Puppet", "done")
    (started,) = of(RunStarted, events)
    assert started.settings["task"] == "Age of Ann?"
    assert (started.settings["protocol"], started.settings["max_rounds"]) == ("native", MAX_ROUNDS)
    assert [e.attempt for e in of(ModelAsked, events)] == [0, 1, 2]
    assert [e.call for e in of(ModelAsked, events)] == [e.call for e in of(ModelAnswered, events)]
    assert of(ModelAnswered, events)[1].tool_calls[0]["name"] == "age"
    assert [e.final for e in of(AnswerRefused, events)] == [False]
    assert [(e.tool, e.arguments) for e in of(ToolCalled, events)] == [("age", {"patient": "p1"}), ("heal", {})]
    assert [(e.text, e.error is None) for e in of(ToolReturned, events)] == [("p1 is 63 years old", True), ("", False)]
    assert views.usage(events).calls == 3
    shown = views.timeline(events)
    assert re.search(r"used age \{'patient': 'p1'\}", shown)
    assert shown.count("asked for native") == 3
    assert shown.endswith("run done")


async def test_the_log_of_a_text_episode_names_its_requests(hospital: Hospital) -> None:
    events: list[Event] = []
    model = scripted(f"GET {BASE}/Patient?name=Ann", post(WEIGHT), "FINISH([])")
    await EhrAgent(model, TextProtocol()).run("Weigh.", session(hospital), sinks=[events.append])
    assert [(e.tool, e.arguments["url"]) for e in of(ToolCalled, events)] == [
        ("GET", f"{BASE}/Patient?name=Ann&_format=json"),
        ("POST", f"{BASE}/Observation"),
    ]
    assert of(ToolCalled, events)[1].arguments["body"] == WEIGHT


async def test_a_resumed_log_goes_on_where_it_stopped_and_asks_nothing_twice(
    hospital: Hospital, workspace: Path | None
) -> None:
    events: list[Event] = []
    model, speaks = weighing("native")
    agent = EhrAgent(model, speaks, tools=writing_tools, workspace=workspace)
    waiting = await suspended(agent, session(hospital, WritePolicy.CONFIRM), sinks=[events.append])
    (asked,) = of(Suspended, events)
    assert asked.question == waiting.proposal
    await agent.resume(waiting.run, approve=True, note="agreed on the round")
    assert [e.seq for e in events] == list(range(len(events)))
    assert {e.run for e in events} == {waiting.run}
    assert of(Resumed, events)[0].answer == {"approved": True, "note": "agreed on the round"}
    assert len(of(ModelAsked, events)) == 2
    assert len(of(ToolCalled, events)) == len(of(ToolReturned, events)) == 1
    assert "create suspended" in views.timeline(events)


@pytest.mark.parametrize(
    ("turn", "rounds", "ends"), [("?", 8, "invalid: "), (f"GET {BASE}/Patient?name=Ann", 2, "limit: 2 turns")]
)
async def test_an_episode_without_an_answer_is_a_failed_run_that_says_why(
    hospital: Hospital, turn: str, rounds: int, ends: str
) -> None:
    events: list[Event] = []
    agent = EhrAgent(Puppet(turns=(turn,)), TextProtocol(), max_rounds=rounds)
    await agent.run("Look.", session(hospital), sinks=[events.append])
    ended = events[-1]
    assert isinstance(ended, RunEnded)
    assert ended.outcome.value == "failed"
    assert (ended.error or "").startswith(ends)


async def test_the_same_task_gives_the_same_log(hospital: Hospital) -> None:
    logs: list[list[Event]] = [[], []]
    for log in logs:
        model = scripted(f"GET {BASE}/Patient?name=Ann", "FINISH([])")
        agent = EhrAgent(model, TextProtocol(), clock=FixedClock())
        await agent.run("Look.", session(hospital), sinks=[log.append])
    assert [e.id for e in logs[0]] == [e.id for e in logs[1]]


# episodes side by side


def reads_its_own(messages: list[BaseMessage]) -> str:
    """Reads the patient that the task names, then answers with the one that came back."""
    number = re.search(r"patient (\d+)", str(messages[0].text))
    assert number is not None
    if len(messages) == 1:
        return f"GET {BASE}/Patient/{number[1]}?x=1"
    found = re.search(r'"id":"(\d+)"', str(messages[-1].text))
    return f"FINISH([{found[1] if found else None}])"


@pytest.mark.parametrize("is_kept", [False, True])
async def test_episodes_at_the_same_time_see_nothing_of_each_other(tmp_path: Path, is_kept: bool) -> None:
    hospital = Hospital(*({**PATIENT, "id": str(n)} for n in range(12)))
    model = DelayedChatModel(inner=Puppet(turns=(reads_its_own,)), seconds=0.01)
    agent = EhrAgent(model, TextProtocol(), workspace=tmp_path if is_kept else None)
    events: list[list[Event]] = [[] for _ in range(12)]
    episodes = await asyncio.gather(
        *(agent.run(f"Read patient {n}.", session(hospital), sinks=[events[n].append]) for n in range(12))
    )
    for n, episode in enumerate(episodes):
        assert episode.result == f"[{n}]"
        assert [c.url for c in episode.calls] == [f"Patient/{n}?x=1&_format=json"]
        assert [e.arguments["url"] for e in of(ToolCalled, events[n])] == [f"{BASE}/Patient/{n}?x=1&_format=json"]
        spans = {e.opened for e in events[n] if e.event == "span_started"}
        assert {e.span for e in events[n]} <= spans | {""}
        assert [e.seq for e in events[n]] == list(range(len(events[n])))


def weighs_its_own(messages: list[BaseMessage]) -> str:
    """Writes a weight of the patient that the task names, then finishes."""
    patient = re.search(r"Patient/p\d", str(messages[0].text))
    assert patient is not None
    return post({**WEIGHT, "subject": {"reference": patient[0]}}) if len(messages) == 1 else "FINISH([])"


async def test_questions_of_several_episodes_are_answered_each_for_itself(
    hospital: Hospital, workspace: Path | None
) -> None:
    agent = EhrAgent(Puppet(turns=(weighs_its_own,)), TextProtocol(), workspace=workspace)
    waiting = await asyncio.gather(
        *(suspended(agent, session(hospital, WritePolicy.CONFIRM), f"Weigh Patient/p{n}.") for n in range(4))
    )
    assert len({w.run for w in waiting}) == 4
    episodes = await asyncio.gather(*(agent.resume(w.run, approve=n % 2 == 0) for n, w in enumerate(waiting)))
    assert [e.calls[-1].is_accepted for e in episodes] == [True, False, True, False]
    stored = [r["subject"]["reference"] for r in hospital.resources.values() if r["resourceType"] == "Observation"]
    assert sorted(stored) == ["Patient/p0", "Patient/p2"]


async def test_a_session_serves_one_episode_at_a_time(hospital: Hospital) -> None:
    model = DelayedChatModel(inner=Puppet(turns=("FINISH([])",)), seconds=0.05)
    agent = EhrAgent(model, TextProtocol())
    record = session(hospital)
    first = asyncio.create_task(agent.run("One.", record))
    await asyncio.sleep(0.01)
    with pytest.raises(UsageError, match="own session"):
        await agent.run("Two.", record)
    assert (await first).status is EpisodeStatus.COMPLETED
    assert (await agent.run("Two.", record)).status is EpisodeStatus.COMPLETED


async def test_a_session_that_is_used_again_gives_each_episode_its_own_calls(hospital: Hospital) -> None:
    record = session(hospital)
    agent = EhrAgent(
        Puppet(turns=(lambda m: f"GET {BASE}/Patient/p1" if len(m) == 1 else "FINISH([])",)), TextProtocol()
    )
    first, second = await agent.run("One.", record), await agent.run("Two.", record)
    assert len(first.calls) == len(second.calls) == 1
    assert len(record.calls) == 2


# whatever a model says

REPLIES = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        [
            "FINISH([1])",
            f"GET {BASE}/Patient?name=Ann",
            f"GET {BASE}/Patient/nobody",
            post(WEIGHT),
            post({"resourceType": "Observation"}),
            '{"finish": [1]}',
            '{"tool": "age", "arguments": {"patient": "p1"}}',
            '{"tool": "age", "arguments": {}}',
            json.dumps({"tool": "create", "arguments": {"resource": WEIGHT}}),
        ]
    ),
)


@pytest.mark.parametrize("protocol", [TextProtocol(), JsonProtocol(), NativeProtocol()], ids=lambda p: p.name)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(replies=st.lists(REPLIES, min_size=1, max_size=5), policy=st.sampled_from(WritePolicy))
def test_every_episode_ends_and_its_turns_alternate(
    protocol: Protocol, replies: list[str], policy: WritePolicy
) -> None:
    async def whole() -> tuple[Episode, Hospital]:
        hospital = Hospital(PATIENT)
        agent = EhrAgent(Puppet(turns=tuple(replies)), protocol, tools=writing_tools, max_rounds=5)
        try:
            return await agent.run("Do.", session(hospital, policy)), hospital
        except WriteAwaitsPerson as waiting:
            run = waiting.run
        while True:
            try:
                return await agent.resume(run, approve=True), hospital
            except WriteAwaitsPerson:
                continue

    episode, hospital = asyncio.run(whole())
    roles = [t.role for t in episode.turns if t.role == "agent" or t is not episode.turns[0]]
    agent_turns = roles.count("agent")
    assert 1 <= agent_turns <= 5
    assert (episode.result is not None) == (episode.status is EpisodeStatus.COMPLETED)
    assert (episode.error is None) == (episode.status is EpisodeStatus.COMPLETED)
    assert len(hospital.writes) == sum(c.sent and c.is_write for c in episode.calls)
    assert not (policy is WritePolicy.DENY and hospital.writes)
    for turn, following in zip(episode.turns, episode.turns[1:], strict=False):
        assert turn.role == "user" or following.role == "user"
