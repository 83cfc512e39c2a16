"""Calling a model: counted, limited, tried again where that can help, recorded, kept."""

import asyncio
import base64
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import Field, PrivateAttr

from wardround.core.answers import ToolChoice
from wardround.core.errors import (
    BatchBudgetExceeded,
    BudgetExceeded,
    ContextExceeded,
    ModelBusy,
    ModelError,
    ModelUnavailable,
)
from wardround.models import calling
from wardround.models.asking import Asker
from wardround.models.budget import Budget, Meter
from wardround.models.calling import Caller
from wardround.models.handle import Endpoint, ModelHandle
from wardround.models.images import Picture, Pictures
from wardround.models.keeping import CallCache, Cassette, LoggedCalls
from wardround.models.slots import Slots
from wardround.testing import DelayedChatModel, FixedClock
from wardround.trace.events import ModelAnswered, ModelAsked, Origin
from wardround.trace.recorder import Recorder

QUESTION = [HumanMessage("Which tool?")]
CHOICE = '{"tool": "guideline", "argument": "gout"}'


class Answering(BaseChatModel):
    """Gives `n` numbered answers, after it has raised what it is told to raise."""

    raises: list[Any] = Field(default_factory=list)
    served: str = "m"
    says: str | None = None
    _calls: list[tuple[list[BaseMessage], dict[str, Any]]] = PrivateAttr(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "answering"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        self._calls.append((messages, kwargs))
        if self.raises:
            raise self.raises.pop(0)
        usage = {"input_tokens": 10, "output_tokens": 2, "total_tokens": 12}
        texts = [self.says or f"answer {n}" for n in range(kwargs.get("n", 1))]
        metadata = {"model_name": self.served}
        answers = [AIMessage(text, response_metadata=metadata, usage_metadata=usage) for text in texts]
        return ChatResult(generations=[ChatGeneration(message=answer) for answer in answers])


class Refused(Exception):
    """As clients of HTTP raise it."""

    def __init__(self, status: int, **headers: str) -> None:
        super().__init__(f"status {status}")
        self.status_code = status
        self.response = SimpleNamespace(headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is there to be spared by long waits."""
    monkeypatch.setattr(calling, "FIRST_WAIT", 0.001)


def caller(chat: BaseChatModel, *, budget: Budget | None = None, whole: Meter | None = None, **given: Any) -> Caller:
    clock = FixedClock()
    return Caller(
        model=ModelHandle("vllm:m", chat, constrained=True, sampled=True, several=True),
        recorder=Recorder("run_1", clock=clock),
        meter=Meter(budget or Budget(), clock, whole=whole),
        slots=Slots(8),
        timeout=given.pop("timeout", 20.0),
        **given,
    )


def events(calls: Caller, kind: type) -> list[Any]:
    return [event for event in calls.recorder.events if isinstance(event, kind)]


async def texts(calls: Caller, rollouts: tuple[int, ...] = (0,), **options: Any) -> list[str]:
    return [c.reply.text for c in await calls.call("a", "ToolChoice", QUESTION, options, rollouts=rollouts)]


async def test_several_rollouts_are_one_request_and_calls_of_their_own_in_the_log() -> None:
    chat = Answering()
    calls = caller(chat)
    assert await texts(calls, (0, 1, 2)) == ["answer 0", "answer 1", "answer 2"]
    assert [options for _, options in chat._calls] == [{"n": 3}]
    asked, answered = events(calls, ModelAsked), events(calls, ModelAnswered)
    assert [e.rollout for e in asked] == [0, 1, 2]
    assert len({e.request for e in asked}) == 1
    assert [e.call for e in asked] == [e.call for e in answered]
    assert {e.origin for e in answered} == {Origin.LIVE}


@pytest.mark.parametrize("left", [1, 2, 3, 4])
async def test_a_budget_of_calls_cuts_the_rollouts_that_are_asked_for(left: int) -> None:
    chat = Answering()
    calls = caller(chat, budget=Budget(calls=left))
    assert await texts(calls, (0, 1, 2)) == [f"answer {n}" for n in range(min(left, 3))]
    assert chat._calls[0][1].get("n", 1) == min(left, 3)
    assert calls.meter.calls == min(left, 3)
    if left <= 3:
        with pytest.raises(BudgetExceeded):
            await texts(calls)
    assert len(chat._calls) == 1


async def test_rollouts_that_the_budget_cut_are_no_opinion() -> None:
    asker = Asker(caller(Answering(says=CHOICE), budget=Budget(calls=2)), seed=0)
    answered = await asker.ask_several("a", QUESTION, ToolChoice, rollouts=(0, 1, 2), temperature=0.5)
    assert [each.value is None for each in answered] == [False, False, True]
    assert answered[2].fault == "the budget of calls is used up"


async def test_a_case_that_has_used_up_its_budget_has_no_opinion_but_a_batch_that_has_ends() -> None:
    chat = Answering(says=CHOICE)
    whole = Meter(Budget(calls=1), FixedClock())
    asker = Asker(caller(chat, whole=whole), seed=0)
    assert (await asker.ask("a", QUESTION, ToolChoice)).value is not None
    tool = {"type": "function", "function": {"name": "t", "parameters": {}}}
    with pytest.raises(BatchBudgetExceeded):
        await asker.ask("a", QUESTION, ToolChoice)
    with pytest.raises(BatchBudgetExceeded):
        await asker.choose("a", QUESTION, ["x", "y"])
    with pytest.raises(BatchBudgetExceeded):
        await asker.choose_tool("a", QUESTION, [tool])
    own = Asker(caller(chat, budget=Budget(calls=0)), seed=0)
    assert (await own.ask("a", QUESTION, ToolChoice)).value is None
    assert (await own.choose("a", QUESTION, ["x", "y"])).value is None
    assert (await own.choose_tool("a", QUESTION, [tool])).value is None
    assert len(chat._calls) == 1


async def test_a_repair_that_the_batch_cannot_pay_for_ends_it() -> None:
    asker = Asker(caller(Answering(says="no"), whole=Meter(Budget(calls=1), FixedClock())), seed=0)
    with pytest.raises(BatchBudgetExceeded):
        await asker.ask("a", QUESTION, ToolChoice)


@pytest.mark.parametrize("kind", ["cache", "cassette"])
async def test_what_is_kept_is_not_asked_again(tmp_path: Path, kind: str) -> None:
    chat = Answering()
    made = CallCache(tmp_path / "c") if kind == "cache" else Cassette(tmp_path / "c", mode="new")
    first, second = caller(chat, kept=(made,)), caller(chat, kept=(made,))
    expected = await texts(first, (0, 1))
    assert await texts(second, (0, 1)) == expected
    assert len(chat._calls) == 1
    assert {e.origin for e in events(first, ModelAnswered)} == {Origin.LIVE}
    assert {e.origin.value for e in events(second, ModelAnswered)} == {kind}
    assert (second.meter.calls, second.meter.tokens) == (first.meter.calls, first.meter.tokens)
    await texts(second, (2,))
    await texts(second, (0, 1), seed=9)
    assert len(chat._calls) == 3


async def test_what_the_log_of_the_run_holds_costs_nothing() -> None:
    chat = Answering()
    first = caller(chat)
    expected = await texts(first, (0, 1))
    log = LoggedCalls(first.recorder.events, run="run_1", origin=Origin.LOG)
    resumed = caller(chat, kept=(log,), budget=Budget(calls=0))
    assert await texts(resumed, (0, 1)) == expected
    assert {e.origin for e in events(resumed, ModelAnswered)} == {Origin.LOG}
    assert (len(chat._calls), resumed.meter.calls, resumed.meter.tokens) == (1, 0, 0)


@pytest.mark.parametrize(
    "error",
    [Refused(429), Refused(502), Refused(503), Refused(504), ConnectionError("gone"), ModelUnavailable("m", "gone")],
)
async def test_a_server_that_is_busy_or_away_is_asked_again(error: Exception) -> None:
    chat = Answering(raises=[error, error])
    calls = caller(chat)
    assert await texts(calls) == ["answer 0"]
    assert len(chat._calls) == 3
    assert calls.meter.calls == len(events(calls, ModelAsked)) == len(events(calls, ModelAnswered)) == 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (Refused(400), ModelError),
        (Refused(401), ModelError),
        (Refused(500), ModelError),
        (ValueError("broken"), ModelError),
        (ValueError("maximum model length is 4096"), ContextExceeded),
    ],
)
async def test_what_asking_again_cannot_mend_is_asked_once(error: Exception, kind: type[ModelError]) -> None:
    chat = Answering(raises=[error])
    with pytest.raises(kind) as raised:
        await texts(caller(chat))
    assert type(raised.value) is kind
    assert len(chat._calls) == 1


@pytest.mark.parametrize("attempts", [1, 2, 4])
async def test_attempts_are_limited_and_the_last_error_is_the_one_that_is_seen(attempts: int) -> None:
    chat = Answering(raises=[Refused(503, retry_after="0") for _ in range(10)])
    with pytest.raises(ModelBusy, match="too much to do"):
        await texts(caller(chat, attempts=attempts))
    assert len(chat._calls) == attempts


async def test_a_server_that_says_when_to_come_again_is_heeded() -> None:
    chat = Answering(raises=[Refused(429, retry_after="0.3")])
    begun = time.monotonic()
    assert await texts(caller(chat)) == ["answer 0"]
    assert time.monotonic() - begun >= 0.29


@pytest.mark.parametrize("said", ["soon", "", "Wed, 21 Oct 2026 07:28:00 GMT", "-5"])
async def test_a_time_to_come_again_that_is_no_number_of_seconds_holds_nothing_up(said: str) -> None:
    assert await texts(caller(Answering(raises=[Refused(429, retry_after=said)]))) == ["answer 0"]


async def test_a_server_cannot_ask_for_a_wait_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calling, "LONGEST_WAIT", 0.01)
    chat = Answering(raises=[Refused(429, retry_after="86400"), Refused(429, retry_after="inf")])
    assert await asyncio.wait_for(texts(caller(chat)), timeout=10) == ["answer 0"]


async def test_a_model_that_does_not_answer_in_time_is_asked_again_and_then_unavailable() -> None:
    chat = Answering()
    calls = caller(DelayedChatModel(inner=chat, seconds=600), timeout=0.02, attempts=2)
    with pytest.raises(ModelUnavailable, match=r"no answer within 0\.02 s"):
        await texts(calls)
    assert calls.slots.limit == 2
    assert calls.slots._under_way == 0


async def test_pieces_are_heard_in_order_and_the_answer_is_the_whole() -> None:
    heard: list[tuple[str, str]] = []
    chat = GenericFakeChatModel(messages=iter([AIMessage("It is  gout, I think.")]))
    calls = caller(chat, heard=lambda agent, piece: heard.append((agent, piece)))
    assert await texts(calls) == ["It is  gout, I think."]
    assert heard == [("a", p) for p in ["It", " ", "is", " ", " ", "gout,", " ", "I", " ", "think."]]


async def test_several_rollouts_at_once_are_not_streamed() -> None:
    heard: list[tuple[str, str]] = []
    calls = caller(Answering(), heard=lambda agent, piece: heard.append((agent, piece)))
    assert len(await texts(calls, (0, 1))) == 2
    assert heard == []


@pytest.mark.parametrize(("strict", "served"), [(True, "m"), (False, "other"), (True, "other")])
async def test_an_answer_of_another_model_is_not_taken_where_names_are_strict(strict: bool, served: str) -> None:
    calls = caller(Answering(served=served))
    calls = replace(calls, model=replace(calls.model, endpoint=Endpoint("http://x/v1", "m", strict=strict)))
    if strict and served != "m":
        with pytest.raises(ModelError, match="answered as other, which was not asked for"):
            await texts(calls)
        assert events(calls, ModelAnswered) == []
    else:
        assert await texts(calls) == ["answer 0"]


async def test_an_image_is_sent_whole_and_logged_by_reference() -> None:
    picture = Picture("file:a.png", "ab" * 32, "image/png", 64, 48, b"\x89PNG" * 50, original="cd" * 32)
    chat = Answering()
    calls = caller(chat, pictures=Pictures([picture]))
    await calls.call("a", "ToolChoice", [HumanMessage([picture.reference()])], {})
    encoded = base64.b64encode(picture.data).decode()
    (messages, _), = chat._calls  # fmt: skip
    assert encoded in str(messages[0].content)
    log = "".join(event.model_dump_json() for event in calls.recorder.events)
    assert encoded not in log
    assert picture.sha256 in log
