"""Requests that fail, are given up, or come too late, and what that does to the others: nothing."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.models.local.conftest import SETTINGS
from tests.models.local.questions import asked
from wardround.core.errors import ContextExceeded, ModelError, ModelUnavailable, UsageError
from wardround.models.local.chat import LocalChatModel, local_chat
from wardround.models.local.settings import LocalSettings


@pytest.fixture
def own(folder_of: Callable[[str], Path]) -> Iterator[LocalChatModel]:
    """A model of the test's own, to be broken."""
    settings = LocalSettings(device="cpu", dtype="float32", batch=8, context=256, gather=0.05)
    with local_chat(str(folder_of("llama")), settings=settings) as chat:
        yield chat


@pytest.fixture
def patient(folder_of: Callable[[str], Path]) -> Iterator[LocalChatModel]:
    """The same, which waits for a full batch however slow the machine is."""
    settings = LocalSettings(device="cpu", dtype="float32", batch=8, context=256, gather=60)
    with local_chat(str(folder_of("llama")), settings=settings) as chat:
        yield chat


async def ask(chat: LocalChatModel, text: str, **options: Any) -> str:
    reply = await chat.ainvoke(asked(text), **{"max_tokens": 6, **options})
    return str(reply.text)


def broken(chat: LocalChatModel, monkeypatch: pytest.MonkeyPatch, fault: Callable[[torch.Tensor], None]) -> list[int]:
    """Let a model fail by what it is given; returns the sizes of the batches it was given."""
    model, sizes = chat._engine._loaded.model, list[int]()
    generate = model.generate

    def failing(**inputs: Any) -> Any:
        sizes.append(len(inputs["input_ids"]))
        fault(inputs["input_ids"])
        return generate(**inputs)

    monkeypatch.setattr(model, "generate", failing)
    return sizes


async def test_requests_under_way_together_make_one_batch(
    patient: LocalChatModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = broken(patient, monkeypatch, lambda _: None)
    await asyncio.gather(*(ask(patient, f"question {i}") for i in range(8)))
    assert sizes == [8]


async def test_a_prompt_that_does_not_fit_names_both_numbers(own: LocalChatModel) -> None:
    long, short = await asyncio.gather(ask(own, "fever " * 300), ask(own, "hi"), return_exceptions=True)
    assert isinstance(long, ContextExceeded)
    assert "tokens, and it reads 256 with the answer" in str(long)
    assert short == await ask(own, "hi")


async def test_an_answer_fills_the_context_and_no_more(own: LocalChatModel) -> None:
    reply = await own.ainvoke(asked("hi"), structured_outputs={"regex": "a*b{1000}"}, max_tokens=100_000)
    assert reply.usage_metadata is not None
    assert reply.usage_metadata["total_tokens"] == 256
    assert reply.response_metadata["finish_reason"] == "length"


async def test_a_bad_request_fails_alone(own: LocalChatModel) -> None:
    alone = await ask(own, "hi")
    good, bad, unheld, again = await asyncio.gather(
        ask(own, "hi"),
        own.ainvoke(asked("hi", "red")),
        ask(own, "hi", structured_outputs={"regex": "(("}),
        ask(own, "hi"),
        return_exceptions=True,
    )
    assert (good, again) == (alone, alone)
    assert isinstance(bad, UsageError)
    assert isinstance(unheld, UsageError)


async def test_what_breaks_the_model_fails_alone(own: LocalChatModel, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = [await ask(own, f"q{i}") for i in range(5)]
    poison = own.get_token_ids("zzzz")[0]

    def fault(ids: torch.Tensor) -> None:
        if bool((ids == poison).sum(1).ge(4).any()):
            raise IndexError("out of range")

    broken(own, monkeypatch, fault)
    replies = await asyncio.gather(
        *(ask(own, f"q{i}") for i in range(5)), ask(own, "zzzz " * 9), return_exceptions=True
    )
    assert replies[:5] == alone
    assert isinstance(replies[5], ModelError)
    assert "IndexError: out of range" in str(replies[5])


async def test_a_batch_that_does_not_fit_the_memory_is_halved(
    own: LocalChatModel, patient: LocalChatModel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    alone = [await ask(own, f"q{i}", temperature=1.0, seed=i) for i in range(8)]

    def fault(ids: torch.Tensor) -> None:
        if len(ids) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")

    sizes = broken(patient, monkeypatch, fault)
    with caplog.at_level(logging.WARNING):
        replies = await asyncio.gather(*(ask(patient, f"q{i}", temperature=1.0, seed=i) for i in range(8)))
    assert replies == alone
    assert sizes == [8, 4, 2, 2, 4, 2, 2]
    assert "a batch of 8 failed and is halved" in caplog.text


async def test_a_single_request_that_does_not_fit_the_memory_says_what_to_do(
    own: LocalChatModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(ids: torch.Tensor) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    broken(own, monkeypatch, fault)
    with pytest.raises(ModelError, match=r"out of memory on cpu with 1 requests of up to .* shorter context"):
        await ask(own, "hi")


async def test_a_caller_who_gives_up_does_not_disturb_the_others(own: LocalChatModel) -> None:
    options: dict[str, Any] = {
        "temperature": 1.0,
        "seed": 3,
        "max_tokens": 60,
        "structured_outputs": {"regex": "a{100}"},
    }
    alone = await ask(own, "hi", **options)
    staying = asyncio.create_task(ask(own, "hi", **options))
    hasty = asyncio.create_task(own.ainvoke(asked("hello"), structured_outputs={"regex": "b{2000}"}))
    await asyncio.sleep(0.1)
    hasty.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hasty
    assert await staying == alone


async def test_a_row_that_nobody_waits_for_stops(own: LocalChatModel) -> None:
    steps = list[int]()
    hook = own._engine._loaded.model.register_forward_hook(lambda *_: steps.append(1))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await own.ainvoke(asked("hi"), structured_outputs={"regex": "a{2000}"})
    await ask(own, "hi", max_tokens=1)
    hook.remove()
    # the context leaves room for more than 200 tokens
    assert len(steps) < 150


def threads_of(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == f"wardround {name}"]


def test_closing_ends_the_thread_and_lets_go_of_the_model(folder_of: Callable[[str], Path]) -> None:
    name = str(folder_of("mt5"))
    before = len(threads_of(name))
    chat = local_chat(name, settings=SETTINGS)
    assert len(threads_of(name)) == before + 1
    chat.close()
    chat.close()
    assert len(threads_of(name)) == before
    assert not hasattr(chat._engine, "_loaded")
    with pytest.raises(ModelUnavailable, match="is closed"):
        chat.invoke("hi")


def test_a_model_that_is_forgotten_ends_its_thread(folder_of: Callable[[str], Path]) -> None:
    name = str(folder_of("mt5"))
    before = len(threads_of(name))
    chat = local_chat(name, settings=SETTINGS)
    chat.invoke("hi", max_tokens=2)
    del chat
    gc.collect()
    assert len(threads_of(name)) == before


async def test_closing_fails_those_who_still_wait(folder_of: Callable[[str], Path]) -> None:
    settings = LocalSettings(device="cpu", batch=1, context=1024)
    chat = local_chat(str(folder_of("llama")), settings=settings)
    waiting = [
        asyncio.create_task(ask(chat, "hi", max_tokens=900, structured_outputs={"regex": "a{2000}"})) for _ in "abc"
    ]
    await asyncio.sleep(0.15)
    await asyncio.to_thread(chat.close)
    failed = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(error, ModelUnavailable) for error in failed), failed
