"""What is sent to a model and what comes back, as values."""

import base64
import json
import string
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.messages.tool import invalid_tool_call, tool_call

from wardround.core.answers import PlanAnswer, ToolChoice
from wardround.models.asking import response_format
from wardround.models.images import Picture, Pictures
from wardround.models.reaching import PROBE_TOOL
from wardround.models.requests import Reply, Request, reply_of, request_of, sent, unicode
from wardround.trace.events import EVENT, ModelAnswered

HALF = "\ud83d"
TEXTS = st.text(max_size=20)
MESSAGES = st.lists(
    st.one_of(TEXTS.map(SystemMessage), TEXTS.map(HumanMessage), TEXTS.map(AIMessage)), min_size=1, max_size=3
)
SCHEMAS = st.sampled_from([response_format(ToolChoice), response_format(PlanAnswer)])
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.sampled_from([0.0, 0.7]),
        "seed": st.integers(0, 3),
        "max_tokens": st.sampled_from([64, 128]),
        "logprobs": st.booleans(),
        "response_format": SCHEMAS,
        "structured_outputs": st.sampled_from([{"choice": ["a", "b"]}, {"choice": ["b", "a"]}, {"regex": "a"}]),
    },
)
ROLLOUTS = st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True)
REQUESTS = st.tuples(st.sampled_from(["vllm:a", "vllm:b"]), MESSAGES, OPTIONS, ROLLOUTS)

Asked = tuple[str, list[BaseMessage], dict[str, Any], list[int]]


def plainly(asked: Asked) -> str:
    """Everything that a request is named by, written out in full."""
    model, messages, options, rollouts = asked
    said = [(m.type, m.content) for m in messages]
    return json.dumps([model, said, options, rollouts], sort_keys=True)


@given(REQUESTS, REQUESTS)
def test_two_requests_have_one_key_where_all_that_is_sent_is_the_same_and_only_there(one: Asked, other: Asked) -> None:
    assert (request_of(*one).key == request_of(*other).key) == (plainly(one) == plainly(other))


@given(REQUESTS, st.sampled_from(["model", "message", "option", "rollout"]))
def test_a_change_of_one_thing_changes_the_key(asked: Asked, changed: str) -> None:
    model, messages, options, rollouts = asked
    others: dict[str, Asked] = {
        "model": (f"{model}x", messages, options, rollouts),
        "message": (model, [*messages[:-1], HumanMessage(f"{messages[-1].text}x")], options, rollouts),
        "option": (model, messages, {**options, "seed": options.get("seed", 3) + 1}, rollouts),
        "rollout": (model, messages, options, [*rollouts[:-1], rollouts[-1] + 10]),
    }
    assert request_of(*others[changed]).key != request_of(*asked).key


@given(REQUESTS, st.randoms())
def test_the_order_of_options_and_options_that_say_nothing_leave_the_key_alone(asked: Asked, chance: Any) -> None:
    model, messages, options, rollouts = asked
    shuffled = list(options.items())
    chance.shuffle(shuffled)
    assert request_of(model, messages, {**dict(shuffled), "tools": None}, rollouts).key == request_of(*asked).key


@given(REQUESTS)
def test_what_is_no_part_of_the_conversation_leaves_the_key_alone(asked: Asked) -> None:
    model, messages, options, rollouts = asked
    noted = [m.model_copy(update={"id": "m1", "response_metadata": {"model_name": "x"}}) for m in messages]
    assert request_of(model, noted, options, tuple(rollouts)).key == request_of(*asked).key


@given(REQUESTS)
def test_a_request_survives_json_with_its_key(asked: Asked) -> None:
    request = request_of(*asked)
    back = Request.model_validate_json(request.model_dump_json())
    assert back == request
    assert back.key == request.key


def test_schemas_are_named_by_their_content_and_not_by_their_object() -> None:
    form = response_format(ToolChoice)
    same = json.loads(json.dumps(form))
    other = json.loads(json.dumps(form))
    other["json_schema"]["schema"]["properties"]["argument"]["maxLength"] += 1
    first, second, third = (
        request_of("m", [HumanMessage("a")], {"response_format": f}, (0,)) for f in (form, same, other)
    )
    assert first.key == second.key != third.key
    assert first.options["response_format"].startswith("opt_")
    assert "maxLength" not in first.model_dump_json()


def test_tools_are_named_by_their_content() -> None:
    renamed = {**PROBE_TOOL, "function": {"name": "look_down", "parameters": {"type": "object", "properties": {}}}}
    one, other = (request_of("m", [HumanMessage("a")], {"tools": [tool]}, (0,)) for tool in (PROBE_TOOL, renamed))
    assert one.key != other.key


def test_tool_calls_and_their_answers_are_part_of_what_is_sent() -> None:
    def talk(args: dict[str, Any], answers: str) -> list[BaseMessage]:
        call = tool_call(name="labs", args=args, id="c1")
        return [HumanMessage("a"), AIMessage("", tool_calls=[call]), ToolMessage("5.1", tool_call_id=answers)]

    keys = {request_of("m", talk(*given), {}, (0,)).key for given in (({"test": "K"}, "c1"), ({"test": "Na"}, "c1"))}
    assert len(keys | {request_of("m", talk({"test": "K"}, "c2"), {}, (0,)).key}) == 3
    assert sent(talk({"test": "K"}, "c1"))[1:] == (
        {"role": "ai", "content": "", "tool_calls": [{"id": "c1", "name": "labs", "args": {"test": "K"}}]},
        {"role": "tool", "content": "5.1", "tool_call_id": "c1"},
    )


def test_an_image_is_sent_by_reference_and_its_bytes_stay_out() -> None:
    data = b"\x89PNG" + bytes(range(256))
    picture = Picture("file:a.png", "ab" * 32, "image/png", 64, 48, data, original="cd" * 32)
    messages = [HumanMessage([picture.reference(), {"type": "text", "text": "What is this?"}])]
    request = request_of("m", messages, {}, (0,))
    Pictures([picture]).inflate(messages)
    written = request.model_dump_json()
    assert picture.sha256 in written
    assert base64.b64encode(data).decode()[:40] not in written
    assert request_of("m", messages, {}, (0,)).key == request.key


def test_half_a_surrogate_pair_in_what_is_sent_is_replaced() -> None:
    call = invalid_tool_call(name="labs", args=f"{{{HALF}", id="c1", error=None)
    request = request_of("m", [HumanMessage(f"a{HALF}"), AIMessage(HALF, invalid_tool_calls=[call])], {}, (0,))
    request.model_dump_json().encode("utf-8")
    assert request.messages[0]["content"] == "a?"
    assert request.messages[1]["tool_calls"] == [{"id": "c1", "name": "labs", "args": "{?"}]


ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=12)
"""Half surrogates too."""
ARGUMENTS = st.dictionaries(
    st.text(string.ascii_letters, max_size=5),
    st.one_of(ANY_TEXT, st.integers(), st.floats(), st.none(), st.lists(ANY_TEXT, max_size=2)),
    max_size=3,
)
CALLS = st.lists(
    st.builds(lambda n, a, i: tool_call(name=n, args=a, id=i), ANY_TEXT, ARGUMENTS, st.just("c1")), max_size=3
)
BROKEN = st.lists(
    st.builds(lambda n, a: invalid_tool_call(name=n, args=a, id="c2", error="no JSON"), ANY_TEXT, ANY_TEXT), max_size=2
)
LOGPROBS = st.none() | st.lists(st.tuples(ANY_TEXT, st.floats(-50, 0)), max_size=3)


@given(ANY_TEXT, CALLS, BROKEN, LOGPROBS, st.none() | ANY_TEXT)
def test_any_answer_becomes_a_value_that_survives_json_whole(
    text: str, calls: Any, broken: Any, logprobs: list[tuple[str, float]] | None, refusal: str | None
) -> None:
    content = [{"token": token, "logprob": value} for token, value in logprobs] if logprobs is not None else None
    message = AIMessage(
        text,
        tool_calls=calls,
        invalid_tool_calls=broken,
        response_metadata={"finish_reason": "stop", "model_name": "served", "logprobs": {"content": content}},
        additional_kwargs={"refusal": refusal},
    )
    reply = reply_of(message)
    written = json.dumps(reply.model_dump(mode="json"), allow_nan=False).encode("utf-8")
    assert Reply.model_validate_json(written) == reply
    assert Reply.model_validate_json(reply.model_dump_json().encode("utf-8")) == reply
    assert len(reply.tool_calls) + len(reply.invalid_tool_calls) == len(calls) + len(broken)
    assert reply.text == unicode(text)
    assert reply.refusal == (unicode(refusal) if refusal is not None else None)
    assert (reply.finish, reply.served_by) == ("stop", "served")
    expected = tuple((unicode(token), value) for token, value in logprobs) if logprobs is not None else None
    assert reply.logprobs == expected


@given(ANY_TEXT, CALLS)
def test_an_answer_can_stand_in_a_conversation_that_is_sent_on(text: str, calls: Any) -> None:
    message = reply_of(AIMessage(text, tool_calls=calls)).message()
    request = request_of("m", [HumanMessage("a"), message], {}, (0,))
    assert Request.model_validate_json(request.model_dump_json().encode("utf-8")) == request


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ({"test": f"K{HALF}"}, "half a surrogate pair"),
        ({HALF: 1}, "half a surrogate pair"),
        ({"n": 2**63}, "a number that is too large"),
        ({"n": float("nan")}, "a number that is too large, or none"),
        ({"n": [float("inf")]}, "a number that is too large, or none"),
    ],
)
def test_a_call_whose_arguments_cannot_be_sent_on_is_kept_as_invalid(args: dict[str, Any], why: str) -> None:
    good = tool_call(name="labs", args={"test": "Na"}, id="c0")
    reply = reply_of(AIMessage("", tool_calls=[good, tool_call(name="labs", args=args, id="c1")]))
    assert reply.tool_calls == ({"name": "labs", "args": {"test": "Na"}, "id": "c0"},)
    (moved,) = reply.invalid_tool_calls
    assert (moved["name"], moved["id"]) == ("labs", "c1")
    assert why in moved["error"]
    assert moved["args"].startswith("{")
    json.dumps(moved, allow_nan=False).encode("utf-8")


def test_an_argument_nested_too_deep_to_be_kept_is_moved_too() -> None:
    nested: Any = 1
    for _ in range(150):
        nested = [nested]
    reply = reply_of(AIMessage("", tool_calls=[tool_call(name="labs", args={"a": nested}, id="c1")]))
    assert reply.tool_calls == ()
    assert "nested deeper than 100 levels" in reply.invalid_tool_calls[0]["error"]


@given(st.floats(-50, 0), st.text(max_size=5))
def test_log_probabilities_survive_the_log_to_the_bit(value: float, token: str) -> None:
    answered = ModelAnswered(
        run="run_1",
        seq=0,
        time="2026-01-01T00:00:00Z",  # type: ignore[arg-type]
        span="",
        call="call_1",
        text="",
        seconds=0.0,
        logprobs=((token, value),),
    )
    back = EVENT.validate_json(EVENT.dump_json(answered))
    assert isinstance(back, ModelAnswered)
    assert back.logprobs == ((token, value),)


def test_log_probabilities_that_were_not_asked_for_are_unknown_and_not_empty() -> None:
    assert reply_of(AIMessage("a")).logprobs is None
    assert reply_of(AIMessage("a", response_metadata={"logprobs": {"content": None}})).logprobs is None
    assert reply_of(AIMessage("a", response_metadata={"logprobs": {"content": []}})).logprobs == ()


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_tokens_are_kept_as_they_are_counted(read: int, written: int) -> None:
    counted = AIMessage(
        "a", usage_metadata={"input_tokens": read, "output_tokens": written, "total_tokens": read + written}
    )
    reply = reply_of(counted)
    assert (reply.input_tokens, reply.output_tokens) == (read, written)
    assert (reply_of(AIMessage("a")).input_tokens, reply_of(AIMessage("a")).output_tokens) == (None, None)


@given(ANY_TEXT)
def test_text_without_half_surrogates_is_left_alone(text: str) -> None:
    assume(not any("\ud800" <= c <= "\udfff" for c in text))
    assert unicode(text) == text
