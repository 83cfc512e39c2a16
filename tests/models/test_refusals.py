"""Telling that a model declines, from all that looks like it, and recording it as what it is."""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from wardround.core.answers import AttendingAnswer, SpecialistAnswer, ToolChoice
from wardround.models.asking import Answered, Asker
from wardround.models.budget import Budget, Meter
from wardround.models.calling import Caller
from wardround.models.handle import ModelHandle
from wardround.models.parsing import Refused, Unreadable, parse_answer
from wardround.models.refusals import QUOTED, declared_refusal, refusal_in
from wardround.models.scripted import ScriptedAnswer, ScriptedChatModel
from wardround.models.slots import Slots
from wardround.testing import FixedClock
from wardround.testing.malformed.texts import REFUSALS, WORDS
from wardround.trace.events import EVENT, AnswerFault, AnswerRefused, ModelAnswered
from wardround.trace.recorder import Recorder

OPINION: dict[str, Any] = {"leading": "gout", "confidence": 0.5, "differential": [], "claims": [], "missing": []}
DECLINES = "I'm sorry, but I can't provide medical advice."
JUDGEMENTS = (
    "The patient has pneumonia.",
    "I cannot rule out pneumonia.",
    "I can't exclude a pulmonary embolism.",
    "I cannot see any fracture.",
    "I am unable to confirm the diagnosis.",
    "We cannot confirm the diagnosis without a CT.",
    "Unfortunately, the CT cannot exclude appendicitis.",
    "Unfortunately, I cannot distinguish the two.",
    "Sorry, I meant pneumonia.",
    "Sorry for the delay. Gout.",
    "I'm sorry to hear that. The likely diagnosis is gout.",
    "I'm sorry, but I don't have enough information to decide.",
    "I am not sure, but gout is most likely.",
    "I do not think this is sepsis.",
    "I'm afraid it is sepsis.",
    "As an AI trained on radiology reports, I think it is gout.",
    "Diagnosis: gout. Please consult a doctor.",
    "The patient is unable to provide a history.",
    "The patient cannot give consent.",
    "Unable to breathe when lying flat.",
    "It is not possible to bend the knee.",
    "Help is needed.",
    "Ich kann dazu nichts sagen.",
    "Eine Lungenentzündung kann nicht ausgeschlossen werden.",
    "Leider kann ich eine Embolie nicht ausschließen.",
    "Der Patient kann nicht gehen.",
    "Le patient ne peut pas marcher.",
    "Je ne peux pas exclure une pneumonie.",
    "No puedo descartar una neumonía.",
    "El paciente no puede caminar.",
    "Non posso escludere una polmonite.",
    "Não posso descartar pneumonia.",
    "Ik kan een longembolie niet uitsluiten.",
    "Nie mogę wykluczyć zapalenia płuc.",
    "Я не могу исключить пневмонию.",
    "无法排除肺炎。",
    "很抱歉，我无法排除肺炎。",
    "患者不能行走。",
    "肺炎は除外できません。",
    "폐렴을 배제할 수 없습니다.",
    "Zatürre dışlanamaz.",
    "Tôi không thể loại trừ viêm phổi.",
    "لا أستطيع استبعاد الالتهاب الرئوي.",
    "No acute findings.",
)


@pytest.mark.parametrize("text", REFUSALS)
def test_a_model_that_declines_is_told_from_one_that_stammers(text: str) -> None:
    for said in (text, f"\n\n{text}\n", text.upper(), f"Answer: {text}", f"```\n{text}\n```"):
        with pytest.raises(Refused) as refused:
            parse_answer(said, SpecialistAnswer)
        assert refused.value.kind is AnswerFault.REFUSAL
        assert refused.value.quote is not None
        assert refused.value.quote.removesuffix("…") in " ".join(said.split())
        assert refused.value.quote in str(refused.value)


@pytest.mark.parametrize("text", [*JUDGEMENTS, *WORDS])
def test_a_judgement_in_words_is_no_refusal(text: str) -> None:
    assert refusal_in(text) is None
    with pytest.raises(Unreadable) as refused:
        parse_answer(text, SpecialistAnswer)
    assert not isinstance(refused.value, Refused)


@pytest.mark.parametrize("text", REFUSALS)
def test_whoever_answers_has_not_declined(text: str) -> None:
    stated = SpecialistAnswer.model_validate(OPINION)
    for said in (
        f"{text}\n{json.dumps(OPINION)}",
        f"{json.dumps(OPINION)}\n{text}",
        f"<think>{text}</think>{json.dumps(OPINION)}",
    ):
        assert parse_answer(said, SpecialistAnswer) == stated


@pytest.mark.parametrize("text", REFUSALS)
def test_a_refusal_in_a_text_of_an_answer_is_a_part_of_the_answer(text: str) -> None:
    given_object = {**OPINION, "leading": None, "claims": [{"text": text, "evidence": []}]}
    assert parse_answer(json.dumps(given_object), SpecialistAnswer).claims[0].text == text


@pytest.mark.parametrize("key", ["error", "refusal", "message", "reason"])
def test_a_refusal_in_an_object_of_another_shape_is_one(key: str) -> None:
    with pytest.raises(Refused, match="I'm sorry"):
        parse_answer(json.dumps({key: DECLINES}), SpecialistAnswer)


def test_a_refusal_in_an_object_that_tries_to_answer_is_a_misfit() -> None:
    with pytest.raises(Unreadable) as refused:
        parse_answer(json.dumps({"leading": DECLINES}), SpecialistAnswer)
    assert refused.value.kind is AnswerFault.UNFIT


def test_an_answer_that_was_begun_and_cut_off_is_cut_off_and_not_declined() -> None:
    with pytest.raises(Unreadable) as refused:
        parse_answer(f'{DECLINES} However: {{"leading": "go', SpecialistAnswer)
    assert refused.value.kind is AnswerFault.CUT_OFF


def test_a_refusal_that_is_only_thought_is_none() -> None:
    with pytest.raises(Unreadable) as refused:
        parse_answer(f"<think>{DECLINES}</think>", SpecialistAnswer)
    assert refused.value.kind is AnswerFault.THINKING


def test_who_declines_far_behind_what_he_said_has_said_something() -> None:
    assert refusal_in(f"It is gout. The joint is red. It is hot. It hurts. {DECLINES}") is None
    assert refusal_in(f"It is gout. {DECLINES}") == DECLINES


def test_a_refusal_is_quoted_from_its_beginning_and_in_short() -> None:
    assert refusal_in(f"Hello! {DECLINES}") == DECLINES
    long = refusal_in("I’m sorry, but I can’t provide\nmedical advice" + " at all" * 100)
    assert long is not None
    assert len(long) == QUOTED
    assert long.startswith("I’m sorry, but I can’t provide medical advice at all")
    assert long.endswith("…")


@settings(max_examples=300, deadline=None)
@given(
    st.text(max_size=700)
    | st.lists(st.sampled_from([*REFUSALS, *JUDGEMENTS, " ", "\n", "{", '"']), max_size=9).map("".join)
)
def test_looking_for_a_refusal_never_fails(text: str) -> None:
    found = refusal_in(text)
    assert found is None or 0 < len(found) <= QUOTED


@pytest.mark.parametrize(
    "filler",
    [
        "i'm sorry ",
        "i am really also do am ",
        "thanks thanks ",
        "as an a b ",
        "kann a b c ",
        "不",
        "لا ",
        "not a ",
        " ",
    ],
)
def test_looking_for_a_refusal_takes_no_time_in_any_text(filler: str) -> None:
    start = time.process_time()
    refusal_in(filler * 100_000)
    assert time.process_time() - start < 0.1


class Saying(BaseChatModel):
    """Says a message, whole."""

    message: Any

    @property
    def _llm_type(self) -> str:
        return "saying"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self.message)])


def asker(chat: BaseChatModel, budget: Budget | None = None) -> Asker:
    clock = FixedClock()
    return Asker(
        Caller(
            model=ModelHandle("test:model", chat, constrained=False, sampled=False),
            recorder=Recorder("run_1", clock=clock),
            meter=Meter(budget or Budget(), clock),
            slots=Slots(1),
            timeout=30.0,
            attempts=1,
        ),
        seed=0,
    )


def scripted(*says: str) -> ScriptedChatModel:
    return ScriptedChatModel(script=tuple(ScriptedAnswer(answer="*", says=text) for text in says))


def refusals_of(asked: Asker) -> list[AnswerRefused]:
    return [event for event in asked.caller.recorder.events if isinstance(event, AnswerRefused)]


async def test_a_model_that_keeps_declining_has_no_opinion_and_is_on_record_as_declining() -> None:
    model = scripted(DECLINES, "As an AI, I cannot diagnose.")
    asked = asker(model)
    answered = await asked.ask("cardiology", [HumanMessage("What is it?")], AttendingAnswer)
    assert answered == Answered(
        None,
        'the answer is a refusal: "As an AI, I cannot diagnose."',
        AnswerFault.REFUSAL,
        "As an AI, I cannot diagnose.",
    )
    assert answered.is_refusal
    first, last = refusals_of(asked)
    assert (first.kind, first.quote, first.final) == (AnswerFault.REFUSAL, DECLINES, False)
    assert (last.kind, last.quote, last.final) == (AnswerFault.REFUSAL, "As an AI, I cannot diagnose.", True)
    assert DECLINES in model.asked[1][-1].text


async def test_a_model_that_declines_once_and_then_answers_has_answered() -> None:
    asked = asker(scripted(DECLINES, '{"tool": null}'))
    answered = await asked.ask("a", [HumanMessage("Which tool?")], ToolChoice)
    assert answered == Answered(ToolChoice(tool=None))
    assert not answered.is_refusal
    (refused,) = refusals_of(asked)
    assert (refused.kind, refused.final) == (AnswerFault.REFUSAL, False)


async def test_other_faults_are_recorded_by_their_kind_and_quote_nothing() -> None:
    asked = asker(scripted('{"tool": "guide', "Which?"))
    answered = await asked.ask("a", [HumanMessage("Which tool?")], ToolChoice)
    assert [(r.kind, r.quote) for r in refusals_of(asked)] == [
        (AnswerFault.CUT_OFF, None),
        (AnswerFault.NO_OBJECT, None),
    ]
    assert (answered.kind, answered.quote, answered.is_refusal) == (AnswerFault.NO_OBJECT, None, False)


async def test_a_budget_that_ran_out_is_no_fault_of_an_answer() -> None:
    answered = await asker(scripted(DECLINES), Budget(calls=1)).ask("a", [HumanMessage("?")], ToolChoice)
    assert (answered.value, answered.kind) == (None, None)
    assert "used up" in (answered.fault or "")


@pytest.mark.parametrize(
    "message",
    [
        AIMessage(content="", additional_kwargs={"refusal": "Nope, not today."}),
        AIMessage(content=[{"type": "refusal", "refusal": "Nope, not today."}]),
    ],
)
async def test_a_refusal_that_the_server_declares_is_one_in_whatever_words(message: AIMessage) -> None:
    asked = asker(Saying(message=message))
    answered = await asked.ask("a", [HumanMessage("?")], ToolChoice)
    assert (answered.is_refusal, answered.quote) == (True, "Nope, not today.")
    said = [event.refusal for event in asked.caller.recorder.events if isinstance(event, ModelAnswered)]
    assert said == ["Nope, not today."] * 2


async def test_a_text_counts_more_than_what_the_server_declares() -> None:
    message = AIMessage(content='{"tool": null}', additional_kwargs={"refusal": "Nope."})
    answered = await asker(Saying(message=message)).ask("a", [HumanMessage("?")], ToolChoice)
    assert answered.value == ToolChoice(tool=None)


@pytest.mark.parametrize(
    "message",
    [
        AIMessage(content="", additional_kwargs={"refusal": None}),
        AIMessage(content=[{"type": "text", "text": "refusal"}]),
        AIMessage(content=["refusal"]),
        AIMessage(content=""),
    ],
)
def test_a_server_that_declares_nothing_is_not_heard_to_decline(message: AIMessage) -> None:
    assert declared_refusal(message) is None


def test_a_log_from_before_kinds_were_kept_is_read_and_its_events_keep_their_names() -> None:
    line = (
        '{"event": "answer_refused", "run": "r", "seq": 3, "time": "2026-01-01T00:00:00Z", "span": "s", "call": "c", '
        '"agent": "a", "fault": "the answer holds no complete JSON object", "final": true}'
    )
    old = EVENT.validate_json(line)
    assert isinstance(old, AnswerRefused)
    assert (old.kind, old.quote) == (None, None)
    assert old.id == "evt_e2512715ea96"
    assert old.model_copy(update={"kind": AnswerFault.REFUSAL, "quote": DECLINES}).id == old.id
    assert EVENT.validate_json(EVENT.dump_json(old)) == old
