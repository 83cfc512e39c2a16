"""What a model answers does not depend on who else asks."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from tests.models.local.questions import asked, logprobs, picture
from wardround.models.local.chat import LocalChatModel
from wardround.testing.tiny import FAMILIES, SEEING

Question = tuple[list[BaseMessage], dict[str, Any]]


def questions(family: str) -> list[Question]:
    """Greedy and sampled, long and short, with no, one and two pictures."""
    found: list[Question] = []
    for i, text in enumerate(["hi", "chest pain " * 20, "cough", "What is shown?", "x", "67 year old man, " * 9]):
        pictures = [picture("red"), picture("blue", (90, 90))][: i % 3] if family in SEEING else []
        messages = [SystemMessage("You are a doctor."), HumanMessage([*pictures, {"type": "text", "text": text}])]
        found.append(
            (messages, {"temperature": (0.0, 0.7, 1.3)[i % 3], "seed": i, "max_tokens": 8 + 3 * i, "logprobs": True})
        )
    return found


async def together(chat: LocalChatModel, some: list[Question]) -> list[AIMessage]:
    return await asyncio.gather(*(chat.ainvoke(messages, **options) for messages, options in some))


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_batch_answers_what_each_request_is_answered_alone(
    family: str, chat_of: Callable[[str], LocalChatModel]
) -> None:
    chat, some = chat_of(family), questions(family)
    alone = [await chat.ainvoke(messages, **options) for messages, options in some]
    batched = await together(chat, some)
    assert [reply.text for reply in batched] == [reply.text for reply in alone]
    for one, other in zip(alone, batched, strict=True):
        assert one.usage_metadata == other.usage_metadata
        assert logprobs(one) == pytest.approx(logprobs(other), abs=1e-4)


async def test_the_order_of_requests_changes_nothing(gemma3: LocalChatModel) -> None:
    some = questions("gemma3")
    order = list(range(len(some)))
    random.Random(4).shuffle(order)
    straight = await together(gemma3, some)
    shuffled = await together(gemma3, [some[i] for i in order])
    assert [straight[i].text for i in order] == [reply.text for reply in shuffled]


@settings(max_examples=10, deadline=None)
@given(
    st.lists(
        st.tuples(st.text(max_size=40), st.sampled_from([0.0, 0.8, 2.0]), st.integers(0, 99)), min_size=2, max_size=9
    )
)
def test_any_company_leaves_an_answer_as_it_is(llama: LocalChatModel, some: list[tuple[str, float, int]]) -> None:
    chosen: list[Question] = [
        ([HumanMessage(text)], {"temperature": temperature, "seed": seed, "max_tokens": 5 + seed % 7})
        for text, temperature, seed in some
    ]
    alone = [llama.invoke(messages, **options).text for messages, options in chosen]
    assert [reply.text for reply in asyncio.run(together(llama, chosen))] == alone


def test_threads_that_ask_at_once_are_each_answered_as_alone(llama: LocalChatModel) -> None:
    def ask(seed: int) -> str:
        return llama.invoke(asked(f"question {seed}"), temperature=1.0, seed=seed, max_tokens=6).text

    alone = [ask(seed) for seed in range(24)]
    with ThreadPoolExecutor(12) as threads:
        assert list(threads.map(ask, range(24))) == alone


async def test_several_generations_are_what_the_following_seeds_are_answered(llama: LocalChatModel) -> None:
    options: dict[str, Any] = {"temperature": 1.0, "max_tokens": 12}
    result = await llama.agenerate([asked("hi")], n=4, seed=10, **options)
    several = [generation.text for generation in result.generations[0]]
    one_by_one = [(await llama.ainvoke(asked("hi"), seed=10 + i, **options)).text for i in range(4)]
    assert several == one_by_one
    assert len(set(several)) == 4


async def test_more_generations_than_a_batch_holds_all_come(llama: LocalChatModel) -> None:
    result = await llama.agenerate([asked("hi")], n=11, seed=0, temperature=1.0, max_tokens=4)
    assert len({generation.text for generation in result.generations[0]}) > 8
    assert len(result.generations[0]) == 11


async def test_temperature_zero_does_not_look_at_the_seed(llama: LocalChatModel) -> None:
    replies = [await llama.ainvoke(asked("hi"), seed=seed, max_tokens=12) for seed in range(3)]
    assert len({reply.text for reply in replies}) == 1


async def test_without_a_seed_each_call_draws_anew(llama: LocalChatModel) -> None:
    replies = [await llama.ainvoke(asked("hi"), temperature=1.0, max_tokens=12) for _ in range(3)]
    assert len({reply.text for reply in replies}) == 3


def test_a_call_from_code_that_is_not_asynchronous_is_answered_alike(llama: LocalChatModel) -> None:
    options: dict[str, Any] = {"temperature": 1.0, "seed": 3, "max_tokens": 12}
    assert llama.invoke(asked("hi"), **options).text == asyncio.run(llama.ainvoke(asked("hi"), **options)).text


@pytest.mark.parametrize("family", SEEING)
async def test_another_picture_changes_what_the_model_makes_of_it(
    family: str, chat_of: Callable[[str], LocalChatModel]
) -> None:
    chat = chat_of(family)
    options: dict[str, Any] = {"structured_outputs": {"choice": ["yes"]}, "logprobs": True}
    red, blue, again = [
        logprobs(await chat.ainvoke(asked("Is there an effusion?", colour), **options))
        for colour in ("red", "blue", "red")
    ]
    assert red == again
    assert red != pytest.approx(blue, abs=1e-6)


async def test_the_order_of_pictures_matters(gemma3: LocalChatModel) -> None:
    options: dict[str, Any] = {"structured_outputs": {"choice": ["yes"]}, "logprobs": True}
    one = await gemma3.ainvoke(asked("Compare.", "red", "blue"), **options)
    other = await gemma3.ainvoke(asked("Compare.", "blue", "red"), **options)
    assert logprobs(one) != pytest.approx(logprobs(other), abs=1e-6)
