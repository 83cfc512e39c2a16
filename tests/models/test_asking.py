"""Asking a model for an answer of a given shape."""

import asyncio
from typing import Any

import pytest
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import PrivateAttr

from wardround.core.answers import SpecialistAnswer, ToolChoice, TriageAnswer
from wardround.core.errors import ModelError, ModelUnavailable, UnscriptedCall, UsageError
from wardround.knowledge.clinician import reference_clinician
from wardround.models.asking import REPAIRS, Answered, Asker, response_format
from wardround.models.budget import Budget, Meter
from wardround.models.calling import Caller
from wardround.models.handle import ModelHandle
from wardround.models.resolve import resolve
from wardround.models.scripted import ScriptedAnswer, ScriptedChatModel
from wardround.models.slots import Slots
from wardround.testing import DelayedChatModel, FixedClock
from wardround.trace.events import AnswerRefused, ModelAnswered, ModelAsked, Outcome, SpanEnded, SpanKind, SpanStarted
from wardround.trace.recorder import Recorder

QUESTION = [SystemMessage("You are a doctor."), HumanMessage("Which tool?")]
CHOICE = '{"tool": "guideline", "argument": "gout"}'


class Replying(BaseChatModel):
    """Says one thing, or raises, and remembers how it was called."""

    says: str = CHOICE
    raises: Any = None
    usage: Any = None
    _calls: list[dict[str, Any]] = PrivateAttr(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "replying"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        self._calls.append(kwargs)
        if self.raises is not None:
            raise self.raises
        message = AIMessage(content=self.says, usage_metadata=self.usage, response_metadata={"model_name": "served"})
        return ChatResult(generations=[ChatGeneration(message=message)])


class Gated(Replying):
    """Answers when a gate opens, and counts who waits."""

    gate: Any
    _waiting: int = PrivateAttr(default=0)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        self._waiting += 1
        await self.gate.wait()
        self._waiting -= 1
        return self._generate(messages, stop, None, **kwargs)


def asker(
    chat: BaseChatModel,
    *,
    constrained: bool = True,
    sampled: bool = True,
    budget: Budget | None = None,
    slots: int = 4,
    timeout: float = 30.0,
    seed: int = 7,
) -> Asker:
    clock = FixedClock()
    return Asker(
        Caller(
            model=ModelHandle("test:model", chat, constrained=constrained, sampled=sampled),
            recorder=Recorder("run_1", clock=clock),
            meter=Meter(budget or Budget(), clock),
            slots=Slots(slots),
            timeout=timeout,
            attempts=1,
        ),
        seed=seed,
    )


def scripted(*says: str) -> ScriptedChatModel:
    return ScriptedChatModel(script=tuple(ScriptedAnswer(answer="*", says=text) for text in says))


def events(asked: Asker, kind: type) -> list[Any]:
    return [event for event in asked.caller.recorder.events if isinstance(event, kind)]


async def test_an_answer_comes_back_in_its_shape() -> None:
    asked = asker(Replying())
    answered = await asked.ask("cardiology", QUESTION, ToolChoice)
    assert answered == Answered(ToolChoice(tool="guideline", argument="gout"))
    (question,), (answer,) = events(asked, ModelAsked), events(asked, ModelAnswered)
    assert (question.agent, question.model, question.answer) == ("cardiology", "test:model", "ToolChoice")
    assert [message["role"] for message in question.messages] == ["system", "human"]
    assert (answer.call, answer.text, answer.served_by) == (question.call, CHOICE, "served")
    assert events(asked, AnswerRefused) == []


async def test_a_call_is_a_span_of_its_own() -> None:
    asked = asker(Replying())
    await asked.ask("cardiology", QUESTION, ToolChoice)
    (started,), (ended,) = events(asked, SpanStarted), events(asked, SpanEnded)
    assert (started.name, started.kind) == ("cardiology ToolChoice", SpanKind.MODEL)
    assert (ended.closed, ended.outcome) == (started.opened, Outcome.DONE)
    assert {event.span for event in events(asked, ModelAsked)} == {started.opened}


async def test_a_bad_answer_is_repaired_once() -> None:
    model = scripted("It is gout.", CHOICE)
    asked = asker(model)
    answered = await asked.ask("cardiology", QUESTION, ToolChoice)
    assert answered.value == ToolChoice(tool="guideline", argument="gout")
    assert answered.fault is None
    (refused,) = events(asked, AnswerRefused)
    assert (refused.fault, refused.final) == ("the answer holds no complete JSON object", False)
    assert [question.attempt for question in events(asked, ModelAsked)] == [0, 1]
    assert asked.caller.meter.calls == 2
    repair = model.asked[1]
    assert [m.text for m in repair[:2]] == [m.text for m in QUESTION]
    assert isinstance(repair[2], AIMessage)
    assert repair[2].text == "It is gout."
    assert "the answer holds no complete JSON object" in repair[3].text


async def test_two_bad_answers_are_no_opinion_with_the_last_fault() -> None:
    asked = asker(scripted("It is gout.", '{"argument": "gout"}', CHOICE))
    answered = await asked.ask("cardiology", QUESTION, ToolChoice)
    assert answered.value is None
    assert answered.fault == "the object does not fit: tool: Field required"
    assert [refused.final for refused in events(asked, AnswerRefused)] == [False, True]
    assert len(events(asked, ModelAsked)) == REPAIRS + 1


async def test_no_opinion_is_not_the_same_as_an_answer_of_none() -> None:
    answered = await asker(Replying(says='{"tool": null}')).ask("a", QUESTION, ToolChoice)
    assert answered.value == ToolChoice(tool=None)
    assert answered.value is not None


async def test_a_runaway_answer_is_sent_back_in_short() -> None:
    model = scripted("x" * 300_000, CHOICE)
    answered = await asker(model).ask("a", QUESTION, ToolChoice)
    assert answered.value is not None
    assert len(model.asked[1][2].text) == 4000
    assert "at most 200000 are read" in model.asked[1][3].text


async def test_the_messages_that_were_given_are_left_alone() -> None:
    given = list(QUESTION)
    await asker(scripted("bad", CHOICE)).ask("a", given, ToolChoice)
    assert given == QUESTION


async def test_a_model_that_does_not_answer_in_time_is_unavailable() -> None:
    asked = asker(DelayedChatModel(inner=Replying(), seconds=600), timeout=0.05)
    with pytest.raises(ModelUnavailable, match=r"test:model: no answer within 0\.05 s"):
        await asked.ask("a", QUESTION, ToolChoice)
    assert len(events(asked, ModelAsked)) == 1
    assert events(asked, ModelAnswered) == []
    assert [ended.outcome for ended in events(asked, SpanEnded)] == [Outcome.FAILED]


async def test_waiting_for_a_slot_does_not_count_as_the_models_time() -> None:
    gate = asyncio.Event()
    model = Gated(gate=gate)
    asked = asker(model, slots=1)
    first = asyncio.create_task(asked.ask("a", QUESTION, ToolChoice))
    second = asyncio.create_task(asked.ask("b", QUESTION, ToolChoice))
    for _ in range(100):
        await asyncio.sleep(0)
    assert model._waiting == 1
    gate.set()
    assert [(await task).value for task in (first, second)] == [ToolChoice(tool="guideline", argument="gout")] * 2


async def test_no_more_calls_are_under_way_than_there_are_slots() -> None:
    gate = asyncio.Event()
    model = Gated(gate=gate)
    asked = asker(model, slots=3)
    tasks = [asyncio.create_task(asked.ask(f"agent{n}", QUESTION, ToolChoice)) for n in range(8)]
    for _ in range(200):
        await asyncio.sleep(0)
    assert model._waiting == 3
    gate.set()
    assert len([await task for task in tasks]) == 8
    assert asked.caller.meter.calls == 8


@pytest.mark.parametrize(
    "error",
    [ConnectionError("refused"), ConnectionRefusedError(111, "refused"), BrokenPipeError(), OSError("no route")],
)
async def test_a_model_that_cannot_be_reached_is_unavailable(error: Exception) -> None:
    with pytest.raises(ModelUnavailable, match="cannot be reached") as raised:
        await asker(Replying(raises=error)).ask("a", QUESTION, ToolChoice)
    assert raised.value.__cause__ is error


@pytest.mark.parametrize("error", [ValueError("bad"), RuntimeError("broken"), KeyError("choices"), MemoryError()])
async def test_any_other_failure_is_the_models_fault_and_keeps_its_cause(error: Exception) -> None:
    asked = asker(Replying(raises=error))
    with pytest.raises(ModelError, match=type(error).__name__) as raised:
        await asked.ask("a", QUESTION, ToolChoice)
    assert not isinstance(raised.value, ModelUnavailable)
    assert raised.value.__cause__ is error


@pytest.mark.parametrize("name", ["APIConnectionError", "APITimeoutError", "ConnectError", "TransportError"])
async def test_the_errors_of_http_clients_are_known_by_name(name: str) -> None:
    error = type(name, (Exception,), {})("down")
    with pytest.raises(ModelUnavailable, match="is the server running"):
        await asker(Replying(raises=error)).ask("a", QUESTION, ToolChoice)


async def test_an_error_of_our_own_goes_through_as_it_is() -> None:
    with pytest.raises(UnscriptedCall):
        await asker(scripted()).ask("a", QUESTION, ToolChoice)


async def test_a_budget_that_is_used_up_is_no_opinion_and_no_call() -> None:
    model = Replying()
    asked = asker(model, budget=Budget(calls=1))
    await asked.ask("a", QUESTION, ToolChoice)
    answered = await asked.ask("a", QUESTION, ToolChoice)
    assert answered.value is None
    assert answered.fault is not None
    assert answered.fault.startswith("budget of 1 calls is used up")
    assert len(events(asked, ModelAsked)) == len(model._calls) == 1


async def test_a_repair_comes_out_of_the_same_budget() -> None:
    asked = asker(scripted("bad", CHOICE), budget=Budget(calls=1))
    answered = await asked.ask("a", QUESTION, ToolChoice)
    assert answered.value is None
    assert answered.fault is not None
    assert answered.fault.startswith("budget of 1 calls is used up")
    assert asked.caller.meter.calls == 1


async def test_tokens_are_counted_as_the_model_reports_them() -> None:
    usage = {"input_tokens": 30, "output_tokens": 12, "total_tokens": 42}
    asked = asker(Replying(usage=usage))
    await asked.ask("a", QUESTION, ToolChoice)
    assert asked.caller.meter.tokens == 42
    (answer,) = events(asked, ModelAnswered)
    assert (answer.input_tokens, answer.output_tokens) == (30, 12)


async def test_tokens_that_are_not_reported_stay_unknown() -> None:
    asked = asker(Replying())
    await asked.ask("a", QUESTION, ToolChoice)
    (answer,) = events(asked, ModelAnswered)
    assert (answer.input_tokens, answer.output_tokens, asked.caller.meter.tokens) == (None, None, 0)


async def test_a_model_gets_only_the_options_that_it_takes() -> None:
    for constrained in (True, False):
        for sampled in (True, False):
            model = Replying()
            asked = asker(model, constrained=constrained, sampled=sampled, seed=40)
            await asked.ask("a", QUESTION, ToolChoice, rollout=2, temperature=0.7)
            expected: dict[str, Any] = {"response_format": response_format(ToolChoice)} if constrained else {}
            expected |= {"temperature": 0.7, "seed": 42} if sampled else {}
            assert model._calls == [expected]


async def test_rollouts_of_one_question_are_calls_of_their_own() -> None:
    asked = asker(Replying())
    for rollout in (0, 1, 1):
        await asked.ask("a", QUESTION, ToolChoice, rollout=rollout)
    calls = [question.call for question in events(asked, ModelAsked)]
    assert calls[0] != calls[1] == calls[2]


async def test_half_a_surrogate_pair_does_not_get_into_the_log() -> None:
    asked = asker(Replying(says='{"tool": "guide\ud83dline"}'))
    answered = await asked.ask("a", QUESTION, ToolChoice)
    assert answered.value == ToolChoice(tool="guide?line")
    for event in asked.caller.recorder.events:
        event.model_dump_json().encode("utf-8")


def test_the_schema_is_sent_whole_and_strict() -> None:
    sent = response_format(SpecialistAnswer)
    assert sent["type"] == "json_schema"
    assert sent["json_schema"]["name"] == "SpecialistAnswer"
    assert sent["json_schema"]["strict"] is True
    assert sent["json_schema"]["schema"] == SpecialistAnswer.model_json_schema()
    assert response_format(TriageAnswer) != sent


@pytest.mark.parametrize("spec", ["", "vllm", "vllm:", "openai:", "scripted:", "gpt-5", "reference:x", "ollama:x"])
def test_a_spec_that_names_no_model_is_refused_with_those_that_do(spec: str) -> None:
    with pytest.raises(UsageError, match="write reference, vllm:NAME"):
        resolve(spec, clinician=reference_clinician())


def test_a_model_that_the_caller_brings_is_asked_in_words_alone() -> None:
    model = Replying()
    handle = resolve(model, clinician=reference_clinician())
    assert handle == ModelHandle("given:Replying", model, constrained=False, sampled=False, images=None)
