"""What the three protocols of the record agent make of a reply, and what they tell the model."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.messages.tool import invalid_tool_call, tool_call
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool, StructuredTool
from pydantic import BaseModel, ConfigDict, Field

from wardround.agents.ehr.json_protocol import JsonProtocol, response_format
from wardround.agents.ehr.native import MOST_CALLS, NativeProtocol
from wardround.agents.ehr.protocol import (
    FINISH,
    Action,
    Finish,
    HttpGet,
    HttpPost,
    Invalid,
    Outcome,
    Protocol,
    ToolCall,
    ToolCalls,
    steps,
)
from wardround.agents.ehr.text_protocol import ACCEPTED, FORMAT, TextProtocol
from wardround.core.errors import UsageError
from wardround.models.handle import ModelHandle
from wardround.models.sendable import MAX_DEPTH, MAX_INTEGER, unsendable
from wardround.testing import ScriptedChatModel

BASE = "http://record.test/fhir/"
PROTOCOLS: tuple[Protocol, ...] = (TextProtocol(), JsonProtocol(), NativeProtocol())

laws = settings(deadline=None)

PLAIN = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False) | PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PLAIN, inner, max_size=3),
    max_leaves=6,
)
OBJECT = st.dictionaries(PLAIN, JSON, max_size=4)
ANYTHING = st.one_of(
    st.text(max_size=200),
    st.builds(
        lambda *parts: "".join(parts),
        st.sampled_from(["", " ", "\n", "```", "```tool_code\n", "<think>", "</think>"]),
        st.sampled_from(["GET", "POST", "FINISH(", "FINISH", "finish(", "{", '{"tool": ', '{"finish": ', "[" * 2000]),
        st.text(max_size=60),
        st.sampled_from(["", "\n{", "\n{}", '\n{"a": NaN}', '\n{"a": "\\ud800"}', "}", ")", "```", "\n" + "[" * 5000]),
    ),
)


class LookArguments(BaseModel):
    """What to look for."""

    model_config = ConfigDict(extra="forbid")

    words: str = Field(description="what to look for")
    rows: int = 5


async def _look(words: str, rows: int = 5) -> str:
    return f"{words} x {rows}"


def tools() -> list[BaseTool]:
    return [
        StructuredTool.from_function(
            coroutine=_look, name="look", description="Look for something.", args_schema=LookArguments
        )
    ]


class ToolCaller(BaseChatModel):
    """Takes tools."""

    @property
    def _llm_type(self) -> str:
        return "tool-caller"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, Any]:
        return self.bind(tools=list(tools))

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("nothing is asked here")


def handle(model: BaseChatModel, *, constrained: bool = False) -> ModelHandle:
    return ModelHandle("given:test", model, constrained=constrained, sampled=False)


def said(protocol: Protocol, text: str) -> Action:
    return protocol.read(AIMessage(content=text))


def told(protocol: Protocol, action: Action, *outcomes: Outcome) -> str:
    messages = protocol.reply(action, outcomes)
    assert len(messages) == 1
    return str(messages[0].text)


# every protocol


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: p.name)
@laws
@given(text=ANYTHING)
def test_every_text_has_a_meaning(protocol: Protocol, text: str) -> None:
    action = said(protocol, text)
    assert isinstance(action, ToolCalls | HttpGet | HttpPost | Finish | Invalid)
    outcomes = [Outcome("done") for _ in steps(action)]
    if not isinstance(action, Finish):
        assert protocol.reply(action, outcomes)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: p.name)
def test_the_opening_holds_the_task_word_for_word(protocol: Protocol) -> None:
    task = 'Record {"this"} for {api_base} and 100 % of "that".\nNow.'
    assert task in str(protocol.opening(task, tools(), BASE)[-1].text)


@laws
@given(value=JSON)
def test_what_json_has_can_be_sent(value: object) -> None:
    assert unsendable(value) is None


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"a": ["\ud83d"]}, "surrogate"),
        ({"\udc00": 1}, "surrogate"),
        ([float("nan")], "number"),
        ([-float("inf")], "number"),
        ({"a": MAX_INTEGER + 1}, "number"),
    ],
)
def test_what_no_server_takes_is_named(value: object, why: str) -> None:
    assert why in (unsendable(value) or "")


def test_nesting_is_bounded_without_recursion() -> None:
    value: object = 1
    for _ in range(MAX_DEPTH - 1):
        value = [value]
    assert unsendable(value) is None
    for _ in range(50_000):
        value = [value]
    assert "nested" in (unsendable(value) or "")
    while isinstance(value, list):  # taken apart by hand: Python would recurse to free it
        value = value.pop()


# text


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("GET http://r/fhir/Patient?name=A&_count=5", HttpGet(f"http://r/fhir/Patient?name=A&_count=5{FORMAT}")),
        ("  \nGET   http://r/fhir/Patient/7  \n", HttpGet(f"http://r/fhir/Patient/7{FORMAT}")),
        ("```tool_code\nGET http://r/x?a=b\n```", HttpGet(f"http://r/x?a=b{FORMAT}")),
        ("```\n\nFINISH([1])\n```", Finish("[1]")),
        ('FINISH(["S1", 2])', Finish('["S1", 2]')),
        ("FINISH([1]) That is all.", Finish("[1]) That is all")),
        ("FINISH([1]", Finish("[1")),
        ("FINISH(", Finish("")),
        ('POST http://r/fhir/Task\n{"a": 1}', HttpPost("http://r/fhir/Task", {"a": 1})),
        ('```tool_code\nPOST http://r/fhir/Task\n{\n "a": 1\n}\n```', HttpPost("http://r/fhir/Task", {"a": 1})),
        ('POST\n{"a": 1}', HttpPost("", {"a": 1})),
    ],
)
def test_a_turn_is_read_in_the_published_order(text: str, action: Action) -> None:
    assert said(TextProtocol(), text) == action


@pytest.mark.parametrize(
    "text",
    [
        "",
        "finish([1])",
        "Sure! GET http://r/x?a=b",
        "<think>so</think>GET http://r/x",
        "FINISH [1]",
        "```json\nGET x\n```",
    ],
)
def test_any_other_turn_is_invalid_at_once(text: str) -> None:
    assert isinstance(said(TextProtocol(), text), Invalid)
    assert TextProtocol().repairs == 0


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        ("", "not one JSON value"),
        ("{'a': 1}", "not one JSON value"),
        ('{"a": 1} please', "not one JSON value"),
        ("[1]", "not a JSON object"),
        ('{"a": NaN}', "number"),
        ('{"a": "\\ud83d"}', "surrogate"),
        ('{"a": ' + "[" * 200 + "]" * 200 + "}", "nested"),
    ],
)
def test_a_payload_that_cannot_be_sent_is_refused_and_not_the_end(payload: str, why: str) -> None:
    action = said(TextProtocol(), f"POST http://r/fhir/Task\n{payload}")
    assert isinstance(action, HttpPost)
    assert action.body is None
    assert why in (action.fault or "")
    assert steps(action) == (action,)


@laws
@given(url=st.from_regex(r"[a-z:/?&=.]{1,40}", fullmatch=True))
def test_a_url_comes_through_whole(url: str) -> None:
    assert said(TextProtocol(), f"GET {url}") == HttpGet(url + FORMAT)


@laws
@given(body=OBJECT, indent=st.sampled_from([None, 2]))
def test_a_resource_comes_through_whole(body: dict[str, Any], indent: int | None) -> None:
    text = json.dumps(body, indent=indent)
    if "```" not in text:
        assert said(TextProtocol(), f"POST {BASE}Task\n{text}") == HttpPost(f"{BASE}Task", body)


@laws
@given(answers=st.lists(JSON, max_size=4))
def test_answers_come_through_whole(answers: list[Any]) -> None:
    text = json.dumps(answers)
    if "```" not in text:
        assert said(TextProtocol(), f"FINISH({text})") == Finish(text)


def test_the_opening_of_the_text_protocol_is_one_message_with_base_forms_and_functions() -> None:
    functions = [{"name": "GET {api_base}/Condition", "parameters": {"type": "object"}}]
    (message,) = TextProtocol(functions).opening("Do it.", [], BASE)
    assert isinstance(message, HumanMessage)
    assert BASE in message.content
    assert json.dumps(functions) in message.content
    for form in ("\nGET ", "\nPOST ", "\nFINISH(["):
        assert form in message.content
    (bare,) = TextProtocol().opening("Do it.", [], BASE)
    assert "functions" not in bare.content


def test_a_read_is_answered_with_the_data_and_a_word_on_finishing() -> None:
    reply = told(TextProtocol(), HttpGet("u"), Outcome('{"total":0}'))
    assert '{"total":0}' in reply
    assert "FINISH" in reply


def test_a_failed_read_is_answered_with_the_reason() -> None:
    assert "no such server" in told(TextProtocol(), HttpGet("u"), Outcome("no such server", is_error=True))


@pytest.mark.parametrize("written", [None, "Task/8"])
def test_an_accepted_write_is_acknowledged_by_the_marker(written: str | None) -> None:
    reply = told(TextProtocol(), HttpPost("u", {}), Outcome("ok", written=written))
    assert ACCEPTED == "POST request accepted"
    assert reply.startswith(ACCEPTED)
    assert (written or ACCEPTED) in reply


def test_a_refused_write_never_bears_the_marker() -> None:
    quoted = f"the value '{ACCEPTED}' is too long"
    reply = told(TextProtocol(), HttpPost("u", {}), Outcome(quoted, is_error=True))
    assert reply.startswith("Invalid POST request")
    assert ACCEPTED not in reply


# json

LOOK = '{"tool": "look", "arguments": {"words": "potassium"}}'
LOOKING = ToolCalls((ToolCall("call", "look", {"words": "potassium"}),))


@pytest.mark.parametrize(
    "text",
    [
        LOOK,
        f"```json\n{LOOK}\n```",
        f"I look first.\n{LOOK}\nThen I see.",
        f"<think>maybe {{'finish'}} or {{\"finish\": []}}</think>{LOOK}",
        f"{LOOK}\n{LOOK}",
        '{"tool": "look", "arguments": {"words": "potassium"}, "finish": null}',
    ],
)
def test_one_tool_is_found_in_whatever_stands_around_it(text: str) -> None:
    assert said(JsonProtocol(), text) == LOOKING


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no complete JSON object"),
        ("I am done.", "no complete JSON object"),
        (f'{LOOK} {{"finish": []}}', "different objects"),
        ('{"tool": "look", "arguments": {"words": "a"}, "finish": []}', 'either "tool"'),
        ('{"tool": "look"}', "go together"),
        ('{"arguments": {}}', 'either "tool"'),
        ('{"finish": "S1"}', "finish"),
        ('{"tool": "look", "arguments": {"words": "a"}, "because": "b"}', "because"),
        ('{"tool": "look", "arguments": {"words": ', "cut off"),
        ('{"finish": ["\\ud83d"]}', "surrogate"),
        ('{"finish": [1e999]}', "number"),
        ('{"tool": "finish", "arguments": {"answer": []}}', '{"finish": [...]}'),
        ('{"finish": ' + "[" * 300 + "]" * 300 + "}", "nested"),
    ],
)
def test_what_is_not_one_move_is_told_its_fault(text: str, why: str) -> None:
    action = said(JsonProtocol(), text)
    assert isinstance(action, Invalid)
    assert why in action.reason
    assert why in told(JsonProtocol(), action)


@laws
@given(name=PLAIN.filter(lambda n: n != FINISH), arguments=OBJECT)
def test_a_move_comes_through_whole(name: str, arguments: dict[str, Any]) -> None:
    text = json.dumps({"tool": name, "arguments": arguments})
    assert said(JsonProtocol(), text) == ToolCalls((ToolCall("call", name, arguments),))


@laws
@given(answers=st.lists(JSON, max_size=4))
def test_a_finish_comes_through_whole(answers: list[Any]) -> None:
    action = said(JsonProtocol(), json.dumps({"finish": answers}))
    assert isinstance(action, Finish)
    assert json.loads(action.result) == answers


def test_the_tools_stand_in_the_prompt_with_their_schemas() -> None:
    system, human = JsonProtocol().opening("Do it.", tools(), BASE)
    assert isinstance(system, SystemMessage)
    assert '"name": "look"' in system.content
    assert '"description": "what to look for"' in system.content
    assert human.content == "Do it."


def test_a_model_that_decodes_under_a_schema_is_sent_one_move_per_tool() -> None:
    model = ScriptedChatModel(script=())
    sent = JsonProtocol().options(handle(model, constrained=True), tools())["response_format"]
    assert sent == response_format(tools())
    schema = sent["json_schema"]["schema"]
    look, finish = schema["anyOf"]
    assert look["properties"]["tool"] == {"const": "look"}
    assert look["properties"]["arguments"]["required"] == ["words"]
    assert finish["required"] == ["finish"]
    assert "$ref" not in json.dumps(sent)
    assert JsonProtocol().options(handle(model), tools()) == {}


def test_what_a_tool_brought_or_refused_is_told_by_its_name() -> None:
    assert told(JsonProtocol(), LOOKING, Outcome("4.1")) == "look answered:\n4.1"
    assert told(JsonProtocol(), LOOKING, Outcome("none", is_error=True)) == "look failed:\nnone"


# native


def calling(*calls: tuple[str, Any], content: str = "") -> AIMessage:
    return AIMessage(
        content=content,
        tool_calls=[tool_call(name=n, args=a, id=f"id{i}") for i, (n, a) in enumerate(calls) if isinstance(a, dict)],
        invalid_tool_calls=[
            invalid_tool_call(name=n, args=a, id=f"id{i}", error="no JSON")
            for i, (n, a) in enumerate(calls)
            if not isinstance(a, dict)
        ],
    )


def test_the_tools_and_finish_are_bound() -> None:
    offered = NativeProtocol().options(handle(ToolCaller()), tools())["tools"]
    assert [tool["function"]["name"] for tool in offered] == ["look", FINISH]


def test_a_model_without_tool_calls_is_sent_to_the_json_protocol() -> None:
    with pytest.raises(UsageError, match="json protocol"):
        NativeProtocol().options(handle(ScriptedChatModel(script=())), tools())


def test_several_calls_keep_their_order_and_are_answered_one_by_one() -> None:
    action = NativeProtocol().read(calling(("look", {"words": "a"}), ("look", {"words": "b"}), content="First."))
    assert action == ToolCalls((ToolCall("id0", "look", {"words": "a"}), ToolCall("id1", "look", {"words": "b"})))
    replies = NativeProtocol().reply(action, [Outcome("A"), Outcome("B", is_error=True)])
    assert all(isinstance(r, ToolMessage) for r in replies)
    assert [(r.text, getattr(r, "tool_call_id", ""), getattr(r, "status", "")) for r in replies] == [
        ("A", "id0", "success"),
        ("B", "id1", "error"),
    ]


def test_finish_alone_ends_with_its_answers() -> None:
    assert NativeProtocol().read(calling((FINISH, {"answer": ["S1", 2.5, None]}))) == Finish('["S1", 2.5, null]')


@pytest.mark.parametrize(
    "arguments", [{}, {"answer": "S1"}, {"answers": []}, {"answer": [], "why": "x"}, '{"answer": [']
)
def test_a_finish_that_gives_no_list_is_told_how(arguments: Any) -> None:
    action = NativeProtocol().read(calling((FINISH, arguments)))
    assert isinstance(action, ToolCalls)
    assert action.calls[0].fault


def test_a_finish_beside_other_calls_is_not_taken() -> None:
    action = NativeProtocol().read(calling(("look", {"words": "a"}), (FINISH, {"answer": [1]})))
    assert isinstance(action, ToolCalls)
    assert [call.fault is None for call in action.calls] == [True, False]
    assert "alone" in (action.calls[1].fault or "")


def test_arguments_that_are_no_json_are_told_back_under_the_id_of_their_call() -> None:
    action = NativeProtocol().read(calling(("look", {"words": "a"}), ("look", '{"words": ')))
    assert isinstance(action, ToolCalls)
    good, bad = action.calls
    assert good.fault is None
    assert bad.id == "id1"
    assert "no JSON" in (bad.fault or "")


def test_a_message_without_a_call_is_reminded_once() -> None:
    action = said(NativeProtocol(), "The answer is 4.")
    assert isinstance(action, Invalid)
    assert NativeProtocol().repairs == 1
    assert FINISH in told(NativeProtocol(), action)


def test_a_runaway_of_calls_is_cut() -> None:
    action = NativeProtocol().read(calling(*[("look", {"words": str(i)}) for i in range(MOST_CALLS + 3)]))
    assert isinstance(action, ToolCalls)
    assert sum(call.fault is None for call in action.calls) == MOST_CALLS
    assert len(NativeProtocol().reply(action, [Outcome("x")] * len(action.calls))) == MOST_CALLS + 3


def test_a_call_without_an_id_is_answered_all_the_same() -> None:
    message = AIMessage(content="", tool_calls=[tool_call(name="look", args={"words": "a"}, id=None)])
    action = NativeProtocol().read(message)
    (reply,) = NativeProtocol().reply(action, [Outcome("A")])
    assert isinstance(reply, ToolMessage)
    assert reply.tool_call_id


@laws
@given(calls=st.lists(st.tuples(PLAIN, OBJECT | PLAIN), min_size=1, max_size=4))
def test_every_message_of_calls_has_as_many_steps_and_answers_as_calls(calls: list[tuple[str, Any]]) -> None:
    action = NativeProtocol().read(calling(*calls))
    if not isinstance(action, Finish):
        assert len(steps(action)) == len(calls)
        assert len(NativeProtocol().reply(action, [Outcome("x")] * len(calls))) == len(calls)
