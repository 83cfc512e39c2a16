"""A model that errs at known rates: what it changes, how often, and that it does the same again."""

import asyncio
import json
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, SystemMessage
from pydantic import BaseModel

from wardround.agents import prompts
from wardround.agents.roster import embedded_roster
from wardround.core.answers import AttendingAnswer, SpecialistAnswer, ToolChoice, TriageAnswer
from wardround.core.case import Case, Sex
from wardround.core.claim import VerdictLabel
from wardround.core.source import Source, SourceKind
from wardround.graphs.specialists import claim_of
from wardround.knowledge.clinician import reference_clinician
from wardround.models.asking import response_format
from wardround.models.resolve import resolve
from wardround.models.scripted import ScriptedAnswer, ScriptedChatModel
from wardround.testing.erring import ErringChatModel, Errors
from wardround.tools.hallucination.detector import RuleDetector

CLINICIAN = reference_clinician()
REFERENCE = resolve("reference", clinician=CLINICIAN)
LINES = (
    "There is pleuritic chest pain.",
    "There is dyspnoea.",
    "There is swelling of the left leg.",
    "There is no fever.",
    "Heart rate 118 /min.",
)
CASE = Case(age=54, sex=Sex.FEMALE, complaint="chest pain")
SOURCES = [
    Source(kind=SourceKind.CLINICIAN_NOTE, text=text, document="note:a", title=f"note, sentence {n}")
    for n, text in enumerate(LINES, start=1)
]
CARDIOLOGY, PULMONOLOGY = (embedded_roster().find(name) for name in ("cardiology", "pulmonology"))
Answer = dict[str, Any]


def erring(inner: BaseChatModel | None = None, right: frozenset[str] = frozenset(), **errors: Any) -> ErringChatModel:
    chat = REFERENCE.chat if inner is None else inner
    return ErringChatModel(inner=chat, errors=Errors(**errors), clinician=CLINICIAN, right=right)


def asked(
    model: BaseChatModel,
    role: str = prompts.specialist_role(CARDIOLOGY),
    schema: type[BaseModel] = SpecialistAnswer,
    sources: list[Source] = SOURCES,
    **options: Any,
) -> Answer:
    question = prompts.messages(role, "What is it?", schema, case=CASE, sources=sources)
    answer: Answer = json.loads(str(model.invoke(question, response_format=response_format(schema), **options).text))
    return answer


def test_without_errors_it_answers_to_the_letter_as_the_other_does() -> None:
    assert asked(erring()) == asked(REFERENCE.chat)


@pytest.mark.parametrize(
    ("role", "schema"),
    [
        ("You are the triage doctor.", TriageAnswer),
        (prompts.specialist_role(CARDIOLOGY), ToolChoice),
        ("You are the attending physician.", AttendingAnswer),
    ],
)
def test_triage_tools_and_attending_stay_as_they_are(role: str, schema: type[BaseModel]) -> None:
    model = erring(wrong=1.0, hallucinated=1.0)
    assert asked(model, role, schema) == asked(REFERENCE.chat, role, schema)
    assert not model.injected


def test_a_wrong_diagnosis_takes_the_place_of_the_leading_one_and_is_held_as_firmly() -> None:
    plain, wrong = asked(REFERENCE.chat), asked(erring(wrong=1.0))
    assert wrong["leading"] != plain["leading"]
    assert wrong["confidence"] == plain["confidence"]
    assert wrong["differential"][0] == {
        "diagnosis": wrong["leading"],
        "probability": plain["differential"][0]["probability"],
    }
    assert wrong["claims"][: len(plain["claims"])] == plain["claims"]


def test_a_wrong_diagnosis_is_argued_with_findings_that_nobody_mentioned() -> None:
    model = erring(wrong=1.0)
    wrong = asked(model)
    argued = [c["text"] for c in wrong["claims"][-2:]]
    assert {i.text for i in model.injected} == set(argued)
    assert {i.kind for i in model.injected} == {"argument"}
    condition = CLINICIAN.condition(wrong["leading"])
    assert condition is not None
    names = {CLINICIAN.kb.findings[code].name for code in condition.findings}
    assert all(text.removeprefix("There is ").removesuffix(".") in names for text in argued)


@pytest.mark.parametrize("rate", [0.2, 0.7])
def test_it_errs_at_the_rate_that_was_asked_for(rate: float) -> None:
    plain = asked(REFERENCE.chat)["leading"]
    wrong = sum(asked(erring(wrong=rate, seed=seed))["leading"] != plain for seed in range(60))
    assert abs(wrong / 60 - rate) < 3.5 * (rate * (1 - rate) / 60) ** 0.5


def test_errors_at_a_higher_rate_include_those_at_a_lower_one() -> None:
    plain = asked(REFERENCE.chat)["leading"]

    def at(rate: float) -> set[int]:
        return {s for s in range(40) if asked(erring(wrong=rate, seed=s))["leading"] != plain}

    assert at(0.2) < at(0.6)


def test_drawn_for_the_case_all_specialists_give_the_same_wrong_diagnosis_in_any_order_of_the_evidence() -> None:
    said = {
        asked(erring(wrong=1.0, drawn="case"), prompts.specialist_role(who), sources=shown)["leading"]
        for who in (CARDIOLOGY, PULMONOLOGY)
        for shown in (SOURCES, SOURCES[::-1], [*SOURCES[2:], *SOURCES[:2]])
    }
    assert len(said) == 1


def test_drawn_for_each_specialist_they_part_and_each_keeps_to_its_own() -> None:
    def pair(seed: int, shown: list[Source]) -> tuple[str, str]:
        model = erring(wrong=1.0, drawn="agent", seed=seed)
        one, other = (asked(model, prompts.specialist_role(s), sources=shown) for s in (CARDIOLOGY, PULMONOLOGY))
        return one["leading"], other["leading"]

    pairs = [pair(seed, SOURCES) for seed in range(12)]
    assert any(one != other for one, other in pairs)
    assert pairs == [pair(seed, SOURCES[::-1]) for seed in range(12)]


def test_at_temperature_0_the_seed_of_a_call_plays_no_part_and_a_drawn_answer_has_errors_of_its_own() -> None:
    model = erring(hallucinated=0.5)
    cold = [asked(model, temperature=0.0, seed=seed)["claims"] for seed in range(4)]
    assert all(claims == cold[0] for claims in cold)
    warm = [asked(model, temperature=1e-9, seed=seed)["claims"] for seed in range(4)]
    assert any(claims != warm[0] for claims in warm)
    assert warm == [asked(erring(hallucinated=0.5), temperature=1e-9, seed=seed)["claims"] for seed in range(4)]


def test_what_is_right_is_never_given_in_error() -> None:
    given = {asked(erring(wrong=1.0, seed=seed))["leading"] for seed in range(25)}
    names = {CLINICIAN.condition(name).id for name in given}  # type: ignore[union-attr]
    assert len(names) > 1
    barred = min(names)
    left = {asked(erring(wrong=1.0, seed=seed, right=frozenset({barred})))["leading"] for seed in range(25)}
    assert barred not in {CLINICIAN.condition(name).id for name in left}  # type: ignore[union-attr]


def test_specialists_who_are_told_name_what_is_right() -> None:
    assert asked(erring(told=True, right=frozenset({"gout"})))["leading"] == CLINICIAN.kb.conditions["gout"].name


def test_hallucinated_claims_cite_real_lines_that_do_not_say_them() -> None:
    sources = {source.id: source for source in SOURCES}
    detector = RuleDetector(CLINICIAN, age=CASE.age, sex="female")
    kinds = set()
    for seed in range(20):
        model = erring(hallucinated=1.0, seed=seed)
        answer = SpecialistAnswer.model_validate(asked(model))
        false = {(i.text, i.evidence): i.kind for i in model.injected}
        for stated in answer.claims:
            assert set(stated.evidence) <= sources.keys()
            verdict = detector.check(claim_of("cardiology", stated, sources), sources)
            kind = false.get((stated.text, tuple(stated.evidence)))
            if kind is None:
                assert verdict.label is VerdictLabel.SUPPORTED, stated
            else:
                kinds.add(kind)
                assert all(stated.text.lower() not in sources[i].text.lower() for i in stated.evidence)
    assert kinds == {"value", "negation", "side", "invention"}


def test_hallucinated_claims_come_at_the_rate_that_was_asked_for() -> None:
    honest = len(asked(REFERENCE.chat)["claims"])
    added = sum(len(asked(erring(hallucinated=0.3, seed=seed))["claims"]) - honest for seed in range(80))
    n = 80 * honest
    assert abs(added / n - 0.3) < 3.5 * (0.3 * 0.7 / n) ** 0.5


def test_an_attending_errs_and_hallucinates_only_when_told_to() -> None:
    model = erring(wrong=1.0, hallucinated=1.0, drawn="case", attending_errs=True, attending_hallucinates=True)
    plain = asked(REFERENCE.chat, "You are the attending physician.", AttendingAnswer)
    answer = asked(model, "You are the attending physician.", AttendingAnswer)
    assert answer["diagnosis"] == asked(model)["leading"] != plain["diagnosis"]
    assert answer["overrules"]
    assert len(answer["argument"]) == 2 * len(plain["argument"])
    assert {i.agent for i in model.injected} == {"attending", "cardiology"}


def test_what_the_other_model_answers_that_cannot_be_read_stays() -> None:
    inner = ScriptedChatModel(script=(ScriptedAnswer(answer="*", says="I cannot say."),))
    model = erring(inner, wrong=1.0, hallucinated=1.0)
    question = prompts.messages(
        prompts.specialist_role(CARDIOLOGY), "What is it?", SpecialistAnswer, case=CASE, sources=SOURCES
    )
    assert str(model.invoke(question).text) == "I cannot say."


def test_without_evidence_there_is_nothing_plausible_to_err_with() -> None:
    assert asked(erring(wrong=1.0, hallucinated=1.0), sources=[]) == asked(REFERENCE.chat, sources=[])


def test_other_questions_than_a_wards_pass_through() -> None:
    messages = [SystemMessage("Be brief."), HumanMessage("Chest pain?")]
    assert erring(wrong=1.0).invoke(messages).text == REFERENCE.chat.invoke(messages).text


def test_asked_without_waiting_it_errs_the_same() -> None:
    question = prompts.messages(
        prompts.specialist_role(CARDIOLOGY), "What is it?", SpecialistAnswer, case=CASE, sources=SOURCES
    )
    options: dict[str, Any] = {"response_format": response_format(SpecialistAnswer)}
    model = erring(wrong=1.0, hallucinated=0.5)
    assert asyncio.run(model.ainvoke(question, **options)).text == model.invoke(question, **options).text


def test_its_handle_can_do_what_the_others_can_and_is_named_by_its_errors() -> None:
    handle = erring(wrong=0.5).handle(REFERENCE)
    assert (handle.constrained, handle.sampled) == (REFERENCE.constrained, REFERENCE.sampled)
    assert handle.spec.endswith(":reference")
    assert handle.spec == erring(wrong=0.5).handle(REFERENCE).spec
    assert len({handle.spec, erring(wrong=0.6).handle(REFERENCE).spec, REFERENCE.spec}) == 3


def test_calls_of_tools_are_left_to_the_other_model() -> None:
    tool = {"type": "function", "function": {"name": "look", "description": "", "parameters": {"type": "object"}}}
    bound: Any = erring().bind_tools([tool])
    assert bound.kwargs == REFERENCE.chat.bind_tools([tool]).kwargs  # type: ignore[attr-defined]
