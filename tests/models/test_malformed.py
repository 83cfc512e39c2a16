"""Malformed answers of every kind: none is read as an opinion that it does not state, and no consult breaks on one."""

import json
import re
import time
from collections import Counter
from functools import cache
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

import wardround as wr
from wardround.agents.ehr.json_protocol import Move
from wardround.core.answers import AttendingAnswer, SpecialistAnswer, ToolChoice
from wardround.core.decision import DecisionStatus, GateReason
from wardround.models.handle import ModelHandle
from wardround.models.parsing import Refused, Unreadable, parse_answer
from wardround.models.scripted import ScriptedAnswer, ScriptedChatModel
from wardround.testing import FixedClock
from wardround.testing.malformed import (
    EXAMPLES,
    Malformation,
    MalformedAnswer,
    Reading,
    malformed_answers,
    misreadings,
)
from wardround.tools.fhir.question_prompts import Parameter, ProposedSearch, QuestionAnswer, RetrievalAnswer
from wardround.trace.events import AnswerFault, AnswerRefused, OpinionGiven

ANSWERS = (
    *EXAMPLES,
    Move(tool="search", arguments={"type": "Observation", "count": 3, "active": True}),
    RetrievalAnswer(
        searches=[ProposedSearch(type="Observation", parameters=[Parameter(name="code", value="6298-4")], why="value")]
    ),
    QuestionAnswer(status="answered", answer="It was 4.1 mmol/L.", citations=["Observation/k1"]),
)
SHAPES = pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: type(answer).__name__)
SMALL = tuple(kind for kind in Malformation if kind is not Malformation.ENORMOUS)
NO_OPINION = (Reading.NO_OPINION, Reading.REFUSAL)


def reader(schema: type[BaseModel]) -> Any:
    def read(text: str) -> BaseModel | None:
        try:
            return parse_answer(text, schema)
        except Unreadable:
            return None

    return read


def unread_in(text: str, schema: type[BaseModel]) -> Unreadable | None:
    try:
        parse_answer(text, schema)
    except Unreadable as unread:
        return unread
    return None


@SHAPES
def test_no_malformed_answer_is_read_as_what_it_does_not_state(answer: BaseModel) -> None:
    assert list(misreadings(reader(type(answer)), answer)) == []


@SHAPES
def test_a_malformed_answer_is_an_answer_or_a_fault_of_a_kind_and_in_time(answer: BaseModel) -> None:
    for malformed in malformed_answers(answer):
        start = time.process_time()
        unread = unread_in(malformed.text, type(answer))
        assert time.process_time() - start < 1.0, (malformed.kind, malformed.text[:100])
        assert isinstance(unread, Refused) is (malformed.reading is Reading.REFUSAL), malformed.text[:200]
        if unread is not None:
            assert isinstance(unread.kind, AnswerFault)
            assert 0 < len(str(unread)) < 2_000


@SHAPES
def test_there_are_more_than_a_thousand_of_every_shape_and_no_two_alike(answer: BaseModel) -> None:
    made = list(malformed_answers(answer, kinds=SMALL))
    assert len({m.text for m in made}) == len(made) > 1_000
    kinds = {Malformation.ENORMOUS, *(m.kind for m in made)}
    without_numbers = {Malformation.PROBABILITY, Malformation.OTHER_NUMBERS}
    assert set(Malformation) - kinds <= without_numbers


def test_the_same_seed_gives_the_same_answers_and_another_gives_others() -> None:
    def texts(seed: int) -> list[str]:
        return [m.text for m in malformed_answers(EXAMPLES[2], kinds=[Malformation.FUZZED], seed=seed)]

    assert texts(0) == texts(0) != texts(1)


@pytest.mark.parametrize("seed", range(1, 9))
def test_chance_damage_of_any_seed_is_read_as_it_stands_or_not_at_all(seed: int) -> None:
    for answer in ANSWERS:
        read = reader(type(answer))
        for malformed in malformed_answers(answer, kinds=[Malformation.FUZZED], seed=seed):
            assert read(malformed.text) in (None, malformed.states)


def test_an_answer_that_does_not_survive_json_makes_none() -> None:
    class Moment(BaseModel):
        share: float

    with pytest.raises(ValueError, match="does not survive JSON"):
        next(malformed_answers(Moment(share=float("nan"))))


def test_an_answer_in_which_nothing_can_be_changed_says_so() -> None:
    class Nothing(BaseModel):
        pass

    with pytest.raises(ValueError, match="nothing in the answer can be changed"):
        list(malformed_answers(Nothing()))


def loose(text: str) -> BaseModel | None:
    """Reads what stands between the first brace and the last, and lets pydantic convert what does not fit."""
    try:
        return AttendingAnswer.model_validate(json.loads(text[text.index("{") : text.rindex("}") + 1]))
    except (ValueError, ValidationError, RecursionError):
        return None


def eager(text: str) -> BaseModel | None:
    """Takes what is most likely meant, as readers do that complete what was cut off."""
    return loose(text) or loose(f"{text}}}") or (AttendingAnswer(diagnosis=None, argument=[]) if "no" in text else None)


def timid(text: str) -> BaseModel | None:
    """Reads nothing."""
    return None


@pytest.mark.parametrize(
    ("read", "kinds"),
    [
        (
            loose,
            {
                Malformation.DUPLICATE_KEY,
                Malformation.MISWRITTEN_KEY,
                Malformation.OTHER_TYPE,
                Malformation.THINKING_ALONE,
            },
        ),
        (eager, {Malformation.TRUNCATED, Malformation.REFUSAL, Malformation.WORDS}),
        (timid, {Malformation.LAYOUT, Malformation.FENCE, Malformation.PROSE, Malformation.THINKING}),
    ],
)
def test_a_reader_that_makes_up_or_misses_answers_is_found_out(read: Any, kinds: set[Malformation]) -> None:
    answer = EXAMPLES[4]
    assert isinstance(answer, AttendingAnswer)
    found = {malformed.kind for malformed, _ in misreadings(read, answer)}
    assert kinds <= found


def test_what_a_text_denies_is_not_read_as_what_it_says() -> None:
    denied = list(malformed_answers(EXAMPLES[3], kinds=[Malformation.NEGATION]))
    leading = {m.states.leading for m in denied if isinstance(m.states, SpecialistAnswer)}
    assert "not pneumonia" in leading
    for malformed in denied:
        read = parse_answer(malformed.text, SpecialistAnswer)
        assert read == malformed.states != EXAMPLES[3]


CASE = wr.Case(
    narrative="A 24-year-old man with right lower quadrant pain for one day. Anorexia and nausea. Temperature 38.1 C. "
    "Tender in the right iliac fossa with rebound tenderness. WBC 15.2 x10^9/L, CRP 68 mg/L."
)


@cache
def of_kind(kind: Malformation) -> dict[str, list[MalformedAnswer]]:
    """The malformed answers of a kind, by shape; of the enormous ones the first, which is large enough."""
    found: dict[str, list[MalformedAnswer]] = {}
    for answer in EXAMPLES:
        made = malformed_answers(answer, kinds=[kind])
        found[type(answer).__name__] = [next(made)] if kind is Malformation.ENORMOUS else list(made)
    return found


def said_in_a_consult(says: dict[str, str]) -> wr.Consult:
    ward = wr.Ward(settings=wr.ConsultSettings(rollouts=1), clock=FixedClock())
    model = ScriptedChatModel(
        script=tuple(ScriptedAnswer(answer=name, says=text, times=1000) for name, text in says.items())
    )
    ward.model = ModelHandle("scripted:malformed", model, constrained=True, sampled=False)
    return ward.consult(CASE)


def unusable(kind: Malformation) -> dict[str, str]:
    """One answer of a kind for every shape, none of which states anything; empty where the kind has no such."""
    made = {name: [m for m in found if m.reading in NO_OPINION] for name, found in of_kind(kind).items()}
    return {name: found[len(found) // 2].text for name, found in made.items() if found}


UNUSABLE = [kind for kind in Malformation if len(unusable(kind)) == len(EXAMPLES)]


def test_most_kinds_can_leave_a_consult_without_any_opinion() -> None:
    assert len(UNUSABLE) >= 20


@pytest.mark.parametrize("kind", UNUSABLE, ids=str)
def test_a_consult_in_which_no_answer_can_be_used_abstains_and_says_so(kind: Malformation) -> None:
    consult = said_in_a_consult(unusable(kind))
    decision = consult.decision
    assert decision.status is DecisionStatus.ABSTAINED
    assert decision.diagnosis is None
    reasons = {reason.code: reason.detail for reason in decision.reasons}
    declined = r"; \d+ declined to answer" if kind is Malformation.REFUSAL else ""
    assert re.fullmatch(f"no agent gave an answer that could be read{declined}", reasons[GateReason.NO_OPINION])
    assert [event.opinion for event in consult.events if isinstance(event, OpinionGiven)].count(None) >= 1
    assert all(event.opinion is None for event in consult.events if isinstance(event, OpinionGiven))
    refused = [event for event in consult.events if isinstance(event, AnswerRefused)]
    assert refused
    assert all(event.kind is not None for event in refused)
    assert {event.kind is AnswerFault.REFUSAL for event in refused} == {kind is Malformation.REFUSAL}
    assert all((event.quote is not None) is (event.kind is AnswerFault.REFUSAL) for event in refused)


@pytest.mark.parametrize("kind", list(Malformation), ids=str)
def test_a_consult_holds_exactly_the_opinions_that_were_stated(kind: Malformation) -> None:
    made = of_kind(kind)
    for place in (0, -1):
        says = {name: found[place] for name, found in made.items() if found}
        plain = {type(answer).__name__: answer.model_dump_json() for answer in EXAMPLES}
        consult = said_in_a_consult(plain | {name: malformed.text for name, malformed in says.items()})
        stated = says["SpecialistAnswer"].states
        opinions = [event.opinion for event in consult.events if isinstance(event, OpinionGiven)]
        assert opinions
        allowed = [stated.model_dump(mode="json") if stated is not None else None]
        if says["SpecialistAnswer"].reading is Reading.TOLERABLE:
            allowed.append(None)
        assert all(opinion in allowed for opinion in opinions)


def test_an_attending_who_denies_a_diagnosis_has_not_made_it() -> None:
    plain = {type(answer).__name__: answer.model_dump_json() for answer in EXAMPLES}
    for denied in (
        "not acute appendicitis",
        "acute appendicitis excluded",
        "no acute appendicitis",
        "acute appendicitis?",
    ):
        says = plain | {"AttendingAnswer": AttendingAnswer(diagnosis=denied, argument=[]).model_dump_json()}
        decision = said_in_a_consult(says).decision
        assert decision.diagnosis is None
        reasons = {reason.code: reason.detail for reason in decision.reasons}
        assert reasons[GateReason.NO_DIAGNOSIS] == f"{denied!r} is not in the knowledge"


def test_a_tool_is_not_used_without_the_argument_that_was_meant_for_it() -> None:
    for wrong in ("arguments", "Argument", "argumеnt"):
        with pytest.raises(Unreadable, match="is not 'argument'"):
            parse_answer(json.dumps({"tool": "guideline", wrong: "gout"}), ToolChoice)


def test_every_reading_occurs_with_every_shape() -> None:
    for answer in ANSWERS:
        readings = Counter(m.reading for m in malformed_answers(answer, kinds=SMALL))
        assert set(readings) == set(Reading)
        assert min(readings.values()) >= 50
