"""Messages made of what was written."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from langchain_core.messages import AIMessage
from pydantic import BaseModel

from tests.models.local.questions import asked, logprobs
from wardround.models.local.answers import chat_result
from wardround.models.local.asked import read_options
from wardround.models.local.chat import LocalChatModel
from wardround.models.local.engine import Result, Written

LABS = {
    "type": "function",
    "function": {
        "name": "labs",
        "description": "Values",
        "parameters": {
            "type": "object",
            "properties": {"patient": {"type": "string", "maxLength": 3}},
            "required": ["patient"],
        },
    },
}


class Labs(BaseModel):
    """Values of the laboratory."""

    patient: str


def said(text: str, chat: LocalChatModel, finish: str = "stop", **options: Any) -> AIMessage:
    tokenizer = chat._engine.tokenizer
    tokens = (*tokenizer.encode(text, add_special_tokens=False), tokenizer.eos_token_id)
    result = Result(5, (Written(tokens, (), finish, has_end=True),))
    message = chat_result(result, read_options(None, options), name="m", tokenizer=tokenizer).generations[0].message
    assert isinstance(message, AIMessage)
    return message


async def test_there_is_one_logprob_for_each_token_and_none_above_zero(llama: LocalChatModel) -> None:
    reply = await llama.ainvoke(asked("hi"), temperature=1.2, seed=1, max_tokens=30, logprobs=True)
    assert reply.usage_metadata is not None
    assert len(logprobs(reply)) == reply.usage_metadata["output_tokens"]
    assert all(value <= 0 for value in logprobs(reply))
    assert all(entry["token"] for entry in reply.response_metadata["logprobs"]["content"])


async def test_logprobs_are_the_models_own_before_grammar_and_temperature(llama: LocalChatModel) -> None:
    options: dict[str, Any] = {"structured_outputs": {"regex": "[0-9]{6}"}, "logprobs": True, "seed": 2}
    reply = await llama.ainvoke(asked("hi"), temperature=2.0, **options)
    loaded = llama._engine._loaded
    prompt = llama._engine._renderer.encode(asked("hi"))["input_ids"]
    tokens = [entry["token"] for entry in reply.response_metadata["logprobs"]["content"]]
    written = torch.tensor([loaded.tokenizer.convert_tokens_to_ids(tokens)])
    with torch.inference_mode():
        logits = loaded.model(torch.cat([prompt, written], 1)).logits[0, prompt.shape[1] - 1 : -1]
    expected = logits.log_softmax(1).gather(1, written.T).squeeze(1).tolist()
    assert logprobs(reply) == pytest.approx(expected, abs=1e-4)


async def test_logprobs_are_there_only_when_asked_for(llama: LocalChatModel) -> None:
    assert "logprobs" not in (await llama.ainvoke(asked("hi"), max_tokens=3)).response_metadata


async def test_tokens_are_counted_for_each_generation(llama: LocalChatModel) -> None:
    result = await llama.agenerate([asked("hi")], n=3, temperature=1.0, seed=0, max_tokens=7)
    length = len(llama._engine._renderer.encode(asked("hi"))["input_ids"][0])
    for generation in result.generations[0]:
        usage = generation.message.usage_metadata
        assert usage["input_tokens"] == length
        assert usage["output_tokens"] <= 7
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


async def test_a_stop_text_ends_the_answer_and_is_not_part_of_it(llama: LocalChatModel) -> None:
    options: dict[str, Any] = {"temperature": 1.0, "seed": 4, "max_tokens": 40}
    whole = (await llama.ainvoke(asked("hi"), **options)).text
    stop = whole[10:13]
    reply = await llama.ainvoke(asked("hi"), stop=[stop, "never said"], **options)
    assert reply.text == whole[: whole.index(stop)]
    assert reply.response_metadata["finish_reason"] == "stop"
    assert reply.usage_metadata is not None
    assert reply.usage_metadata["output_tokens"] < 40


def test_a_tagged_call_is_read(llama: LocalChatModel) -> None:
    call = '{"name": "labs", "arguments": {"patient": "7"}}'
    reply = said(f"I look.<tool_call>\n{call}\n</tool_call>", llama, tools=[LABS])
    assert [(c["name"], c["args"]) for c in reply.tool_calls] == [("labs", {"patient": "7"})]
    assert reply.text == "I look."
    assert reply.response_metadata["finish_reason"] == "tool_calls"


def test_an_object_that_names_an_offered_tool_is_a_call(llama: LocalChatModel) -> None:
    reply = said('{"name": "labs", "parameters": {"patient": "7"}}', llama, tools=[LABS])
    assert [call["args"] for call in reply.tool_calls] == [{"patient": "7"}]
    assert reply.text == ""


@pytest.mark.parametrize("text", ['{"name": "imaging", "arguments": {}}', '{"leading": null}', "Call labs."])
def test_any_other_text_is_no_call(text: str, llama: LocalChatModel) -> None:
    reply = said(text, llama, tools=[LABS])
    assert (reply.text, reply.tool_calls, reply.invalid_tool_calls) == (text, [], [])


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('{"name": "labs", "arg', "is not JSON"),
        ('{"name": "imaging", "arguments": {}}', "names no tool"),
        ('{"name": "labs", "arguments": "7"}', "no object of arguments"),
    ],
)
def test_a_call_that_cannot_be_read_is_kept_with_its_fault(body: str, fault: str, llama: LocalChatModel) -> None:
    (invalid,) = said(f"<tool_call>{body}</tool_call>", llama, tools=[LABS]).invalid_tool_calls
    assert invalid["args"] == body
    assert fault in str(invalid["error"])


def test_without_tools_a_call_is_text(llama: LocalChatModel) -> None:
    text = '{"name": "labs", "arguments": {}}'
    assert said(text, llama).text == text


async def test_a_required_tool_is_called_within_its_schema(chat_of: Any) -> None:
    chat = chat_of("qwen2_5_vl")
    result = await chat.agenerate(
        [asked("hi")], tools=[LABS], tool_choice="required", n=8, temperature=2.0, seed=0, max_tokens=200
    )
    for generation in result.generations[0]:
        (call,) = generation.message.tool_calls
        assert call["name"] == "labs"
        assert len(call["args"]["patient"]) <= 3
        assert json.dumps(call["args"])


async def test_bound_tools_reach_the_model(chat_of: Any) -> None:
    reply = (
        await chat_of("qwen2_5_vl").bind_tools([Labs], tool_choice="any").ainvoke(asked("hi"), max_tokens=200, seed=1)
    )
    assert reply.tool_calls or reply.response_metadata["finish_reason"] == "length"
    assert reply.usage_metadata is not None
    without = await chat_of("qwen2_5_vl").ainvoke(asked("hi"), max_tokens=1)
    assert reply.usage_metadata["input_tokens"] > without.usage_metadata["input_tokens"]


def test_tokens_are_counted_by_the_models_own_tokenizer(llama: LocalChatModel) -> None:
    assert llama.get_num_tokens("chest pain") == len(
        llama._engine.tokenizer.encode("chest pain", add_special_tokens=False)
    )
