"""Finding the one object in what a model wrote, and nothing where there is none."""

import json
import random
import re
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from wardround.core.answers import (
    AttendingAnswer,
    PlanAnswer,
    PlannedIndicator,
    SpecialistAnswer,
    StatedClaim,
    ToolChoice,
    TriageAnswer,
    WeightedDiagnosis,
)
from wardround.models.parsing import MAX_CHARACTERS, Refused, Unreadable, parse_answer
from wardround.models.spoken import MAX_DEPTH, MAX_OBJECTS
from wardround.testing.malformed.texts import ENDS, FENCES, LABELLED, PROSE, THINKING, THOUGHTS
from wardround.trace.events import AnswerFault

OPINION: dict[str, Any] = {
    "leading": "gout",
    "confidence": 0.5,
    "differential": [{"diagnosis": "gout", "probability": 0.5}],
    "claims": [{"text": "There is joint pain.", "evidence": ["src_1"]}],
    "missing": ["uric acid"],
}
GOOD = json.dumps(OPINION)
OTHER = json.dumps({**OPINION, "leading": "septic arthritis"})
SCHEMAS: tuple[type[BaseModel], ...] = (TriageAnswer, PlanAnswer, ToolChoice, SpecialistAnswer, AttendingAnswer)


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"\n\t {GOOD} \n",
        f"Sure! Here is my answer:\n{GOOD}\nI hope this helps.",
        f"```json\n{GOOD}\n```",
        f"```\n{GOOD}\n```",
        f"````md\n```json\n{GOOD}\n```\n````",
        f"<think>Could be {OTHER}, no.</think>{GOOD}",
        f"<THINKING>{OTHER}</THINKING>\n{GOOD}",
        f"<reasoning>\n{{ {OTHER}\n</reasoning>{GOOD}",
        f"{OTHER} hm, wait.</think>{GOOD}",
        f"<think>a<think>{OTHER}</think>{OTHER}</think>{GOOD}",
        f"{GOOD}<think>Was that {OTHER}",
        f"{GOOD}\n{GOOD}",
        f"[{GOOD}]",
        f"Of the shape {{leading, confidence}}: {GOOD}",
        f"{{{GOOD}}}",
        f"Note: {{ {GOOD} {{.",
        json.dumps(OPINION, indent=4),
        json.dumps(OPINION, ensure_ascii=True).replace("gout", "\\u0067out"),
        json.dumps({**OPINION, "comment": "more than was asked for"}),
        GOOD.replace("0.5", '"0.5"'),
        "\ufeff" + GOOD,
    ],
)
def test_an_answer_is_found_in_what_stands_around_it(text: str) -> None:
    answer = parse_answer(text, SpecialistAnswer)
    assert answer == SpecialistAnswer.model_validate(OPINION)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "no complete JSON object"),
        ("   \n", "no complete JSON object"),
        ("It is gout.", "no complete JSON object"),
        ("Ich kann dazu nichts sagen.", "no complete JSON object"),
        ("可能是痛风。", "no complete JSON object"),
        ("null", "no complete JSON object"),
        ("[]", "no complete JSON object"),
        ('"gout"', "no complete JSON object"),
        ("42", "no complete JSON object"),
        ("{}", "leading: Field required"),
        ("{leading: gout}", "not JSON: "),
        ("{", "it was cut off"),
        (GOOD + " {", "it was cut off"),
        (GOOD[:-1], "it was cut off"),
        (GOOD.replace('"', "'"), "not JSON: "),
        (GOOD[:-1] + ",}", "not JSON: "),
        (GOOD.replace("0.5,", "NaN,"), "NaN is not JSON"),
        (GOOD.replace("0.5,", "Infinity,"), "Infinity is not JSON"),
        (GOOD.replace("0.5,", "-Infinity,"), "-Infinity is not JSON"),
        (GOOD.replace("0.5,", "1e999,"), "confidence: "),
        (GOOD.replace("0.5,", "50,"), "confidence: "),
        (GOOD.replace("0.5,", "-0.1,"), "confidence: "),
        (GOOD.replace("0.5,", '"50%",'), "confidence: "),
        (GOOD.replace("0.5,", '"high",'), "confidence: "),
        (GOOD.replace("0.5,", "null,"), "confidence: "),
        (GOOD.replace("0.5,", "[0.5],"), "confidence: "),
        (GOOD.replace("0.5,", "true,"), "true is not a number"),
        (GOOD.replace('"gout", "probability": 0.5', '"gout", "probability": true'), "true is not a number"),
        (GOOD.replace('"gout"', "7", 1), "leading: "),
        (GOOD.replace("[{", '"[{').replace("}]", '}]"'), "not JSON: "),
        (json.dumps({**OPINION, "differential": {"gout": 0.5}}), "differential: "),
        (json.dumps({**OPINION, "claims": ["There is joint pain."]}), "claims.0: "),
        (json.dumps({**OPINION, "claims": None}), "claims: "),
        (json.dumps({"answer": OPINION}), "leading: Field required"),
        (json.dumps({"tool": None}), "leading: Field required"),
        (GOOD + OTHER, "different objects"),
        (f"Example: {OTHER}\nAnswer: {GOOD}", "different objects"),
        (f"[{GOOD}, {OTHER}]", "different objects"),
        (f"<think>It is {GOOD} or so", "no complete JSON object"),
        (f'{{"draft": {GOOD}', "it was cut off"),
        (f'{{"draft": {GOOD}, "final": {{"leading": "go', "it was cut off"),
        ('{"leading": "gout", ' + GOOD[1:].replace('"gout"', '"sepsis"', 1), "'leading' is given twice"),
        (GOOD.replace("gout", "\\ud800", 1), "half a surrogate pair"),
        ("{" * 50_000, "it was cut off"),
        ('{"a":' * 5_000 + "1" + "}" * 5_000, "nested too deep"),
        (f'{{"draft": {GOOD}, }}', "not JSON: "),
        (f'{{"draft": {GOOD}, "p": NaN}}', "NaN is not JSON"),
        (f'{GOOD}\n{{"leading": "septic arth', "it was cut off"),
        (f'Fill in {{"leading": <name>}}: {GOOD}', "not JSON: Expecting value at '<name>"),
        ("[" * 100_000, "no complete JSON object"),
        (GOOD.replace("0.5,", "1" + "0" * 5_000 + ","), "not JSON: "),
        (GOOD + " " * MAX_CHARACTERS, f"at most {MAX_CHARACTERS} are read"),
    ],
)
def test_what_is_no_answer_is_refused_with_what_is_wrong(text: str, what: str) -> None:
    with pytest.raises(Unreadable) as refused:
        parse_answer(text, SpecialistAnswer)
    assert what in str(refused.value)
    assert len(str(refused.value)) < 2_000


def test_an_object_inside_one_that_was_cut_off_is_no_answer() -> None:
    choice = '{"tool": "guideline", "argument": "gout"}'
    assert parse_answer(choice, ToolChoice).tool == "guideline"
    for cut in (f'{{"steps": [{choice}', f'{{"plan": {choice}, "why": "because', f'{{"a": {choice}, "b"'):
        with pytest.raises(Unreadable):
            parse_answer(cut, ToolChoice)


def test_no_opinion_is_an_answer_and_an_empty_object_is_none() -> None:
    assert parse_answer('{"tool": null}', ToolChoice).tool is None
    with pytest.raises(Unreadable):
        parse_answer("{}", ToolChoice)


def test_an_empty_list_is_not_filled_up() -> None:
    answer = parse_answer('{"leading": null, "confidence": 0, "differential": [], "claims": []}', SpecialistAnswer)
    assert (answer.leading, answer.confidence, answer.differential, answer.missing) == (None, 0.0, [], [])


def test_the_faults_of_a_long_answer_are_told_in_short() -> None:
    claims = [{"text": 7} for _ in range(25)]
    with pytest.raises(Unreadable) as refused:
        parse_answer(json.dumps({**OPINION, "claims": claims}), SpecialistAnswer)
    assert str(refused.value).count("claims.") == 5


def test_what_a_patient_wrote_is_not_repeated_in_a_fault() -> None:
    with pytest.raises(Unreadable) as refused:
        parse_answer(json.dumps({**OPINION, "confidence": "secret words"}), SpecialistAnswer)
    assert "secret words" not in str(refused.value)


def refused_or_read(text: str, schema: type[BaseModel]) -> str:
    try:
        return repr(parse_answer(text, schema))
    except Unreadable as refused:
        return str(refused)


@settings(max_examples=400, deadline=None)
@given(st.text(max_size=300), st.sampled_from(SCHEMAS))
def test_any_text_is_an_answer_or_unreadable(text: str, schema: type[BaseModel]) -> None:
    assert refused_or_read(text, schema)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*OPINION, "x"]), inner, max_size=6),
    max_leaves=12,
)


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(st.sampled_from([*OPINION, "x"]), json_values, max_size=7))
def test_any_object_is_an_opinion_only_if_it_says_all_that_an_opinion_says(given_object: dict[str, Any]) -> None:
    try:
        answer = parse_answer(json.dumps(given_object), SpecialistAnswer)
    except Unreadable:
        return
    assert answer.leading == given_object["leading"]
    assert answer.confidence == pytest.approx(float(given_object["confidence"]))
    assert not isinstance(given_object["confidence"], bool)
    assert len(answer.differential) == len(given_object["differential"])
    assert len(answer.claims) == len(given_object["claims"])


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.sampled_from(["", " ", "\n```", "</answer>", "…", '"', "]"]))
def test_no_cut_off_answer_is_an_opinion(end: int, tail: str) -> None:
    with pytest.raises(Unreadable):
        parse_answer(GOOD[:end] + tail, SpecialistAnswer)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.characters(exclude_characters="{}<", exclude_categories=["Cs"]), max_size=200))
def test_prose_without_braces_around_an_answer_does_not_change_it(prose: str) -> None:
    assert parse_answer(f"{prose}{GOOD}{prose}", SpecialistAnswer) == parse_answer(GOOD, SpecialistAnswer)


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_answer_raises_nothing_but_unreadable(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(400):
        characters = list(GOOD)
        for _ in range(rng.randrange(1, 6)):
            at = rng.randrange(len(characters))
            characters[at : at + rng.randrange(3)] = rng.choice(['"', "{", "}", "\\", "\x00", "\ud83d", "9", "é", "]"])
        for schema in SCHEMAS:
            assert refused_or_read("".join(characters), schema)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", AnswerFault.EMPTY),
        (" \n\ufeff```json\n```</s>", AnswerFault.EMPTY),
        ("<think>It is gout.</think>", AnswerFault.THINKING),
        (f"<unused94>thought\n{GOOD}", AnswerFault.THINKING),
        ("It is gout.", AnswerFault.NO_OBJECT),
        ("I can't provide medical advice.", AnswerFault.REFUSAL),
        (GOOD[:-30], AnswerFault.CUT_OFF),
        (GOOD[:-1] + "\n```", AnswerFault.CUT_OFF),
        (GOOD[:-1] + ",}", AnswerFault.NOT_JSON),
        (GOOD.replace('"', "'"), AnswerFault.NOT_JSON),
        ("{}", AnswerFault.UNFIT),
        (GOOD + OTHER, AnswerFault.CONTRADICTORY),
        ('{"leading": null, ' + GOOD[1:], AnswerFault.CONTRADICTORY),
        (GOOD.replace("gout", "\\ud800", 1), AnswerFault.BAD_TEXT),
        ('<tool_call>{"name": "search", "arguments": {}}</tool_call>', AnswerFault.TOOL_CALL),
        ('[TOOL_CALLS]search[ARGS]{"query": "gout"}', AnswerFault.TOOL_CALL),
        (GOOD + " " * MAX_CHARACTERS, AnswerFault.TOO_LONG),
        ('{"a": 1}' * (MAX_OBJECTS + 1), AnswerFault.TOO_LONG),
        (f'{{"a": {"[" * MAX_DEPTH}{"]" * MAX_DEPTH}}}', AnswerFault.TOO_DEEP),
        ('{"a": ' * 20_000, AnswerFault.TOO_DEEP),
    ],
)
def test_a_fault_is_named_in_one_word(text: str, kind: AnswerFault) -> None:
    with pytest.raises(Unreadable) as refused:
        parse_answer(text, SpecialistAnswer)
    assert refused.value.kind is kind
    assert isinstance(refused.value, Refused) is (kind is AnswerFault.REFUSAL)


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("missing", "Missing"),
        ("missing", "mis\u200bsing"),
        ("missing", "m\u0456ssing"),
        ("missing", "mising"),
        ("missing", " missing"),
        ("evidence", "evidences"),
        ("evidence", "ｅｖｉｄｅｎｃｅ"),
    ],
)
def test_a_key_that_is_miswritten_is_not_passed_over_where_it_may_be_left_out(key: str, wrong: str) -> None:
    with pytest.raises(Unreadable, match=f"is not '{key}'"):
        parse_answer(GOOD.replace(f'"{key}"', json.dumps(wrong)), SpecialistAnswer)


def test_a_decision_to_overrule_is_not_lost_in_a_slip_of_the_pen() -> None:
    text = '{"diagnosis": "gout", "argument": [], "overrule": true, "overrule_reason": "tophi"}'
    with pytest.raises(Unreadable, match="overrules"):
        parse_answer(text, AttendingAnswer)
    answer = parse_answer(text.replace('"overrule"', '"overrules"'), AttendingAnswer)
    assert answer.overrules


@pytest.mark.parametrize("word", ['"yes"', '"no"', '"true"', '"on"', "1", "0", "1.0", "null"])
def test_nothing_but_true_is_true_and_nothing_but_false_is_false(word: str) -> None:
    with pytest.raises(Unreadable):
        parse_answer(f'{{"diagnosis": null, "argument": [], "overrules": {word}}}', AttendingAnswer)


@pytest.mark.parametrize(
    "number", [" 0.5", "0.5\n", ".5", "+0.5", "0_5", "5e-1x", "nan", "Infinity", "0,5", "50%", "½"]
)
def test_a_number_in_quotes_is_one_only_as_json_writes_it(number: str) -> None:
    with pytest.raises(Unreadable):
        parse_answer(GOOD.replace("0.5", json.dumps(number), 1), SpecialistAnswer)
    assert parse_answer(GOOD.replace("0.5", '"5e-1"', 1), SpecialistAnswer).confidence == 0.5


class Measured(BaseModel):
    value: float
    sure: bool = True


@pytest.mark.parametrize("text", ['{"value": 1e999}', '{"value": "1e999"}', '{"value": "nan"}', '{"value": true}'])
def test_a_number_without_bounds_is_finite(text: str) -> None:
    with pytest.raises(Unreadable):
        parse_answer(text, Measured)


def test_one_key_with_true_and_with_one_has_two_values() -> None:
    with pytest.raises(Unreadable, match="given twice"):
        parse_answer('{"value": 1, "value": true}', Measured)


@pytest.mark.parametrize(
    "text",
    [
        '{"diagnosis": "gout", "argument": []}, "overrules": true, "overrule_reason": "tophi"}',
        '{"diagnosis": "gout", "argument": []}\n"overrules": true}',
        '{"diagnosis": "gout", "argument": []}]}, "overrules": true}',
    ],
)
def test_an_object_that_was_closed_too_early_is_not_taken_for_the_whole(text: str) -> None:
    with pytest.raises(Unreadable, match="behind its closing brace"):
        parse_answer(text, AttendingAnswer)


def test_the_last_that_fits_counts_and_others_of_another_kind_are_passed_over() -> None:
    text = f'{{"note": "a first look"}}\n{GOOD}\n{{"done": true}}\n{json.dumps(OPINION, indent=1)}'
    assert parse_answer(text, SpecialistAnswer) == SpecialistAnswer.model_validate(OPINION)


@pytest.mark.parametrize(
    "partial", [{"leading": "septic arthritis"}, {"confidence": 0.9}, {"leading": None, "why": ""}]
)
def test_half_an_answer_that_says_otherwise_makes_a_whole_one_doubtful(partial: dict[str, Any]) -> None:
    for text in (f"{GOOD}\n{json.dumps(partial)}", f"{json.dumps(partial)}\n{GOOD}"):
        with pytest.raises(Unreadable, match="something else"):
            parse_answer(text, SpecialistAnswer)
    same = json.dumps({key: OPINION[key] for key in partial if key in OPINION})
    assert parse_answer(GOOD + same, SpecialistAnswer).leading == "gout"


@pytest.mark.parametrize(
    "last", ["{'leading': 'sepsis'}", "{leading: sepsis}", "{“leading”: “sepsis”}", '{\\"leading\\"']
)
def test_a_last_word_in_another_notation_makes_what_stood_before_it_doubtful(last: str) -> None:
    with pytest.raises(Unreadable):
        parse_answer(f"{GOOD}\nRather: {last}", SpecialistAnswer)


def test_an_answer_in_two_halves_is_none() -> None:
    with pytest.raises(Unreadable, match="'argument' is something else"):
        parse_answer('{"tool": "guideline"}{"argument": "gout"}', ToolChoice)


def test_what_a_tool_is_made_to_say_is_not_the_models_answer() -> None:
    for text in (f"<tool_response>{GOOD}</tool_response>", f"<tool_result>\n{GOOD}", f"{GOOD}</tool_response>"):
        with pytest.raises(Unreadable):
            parse_answer(text, SpecialistAnswer)
    assert parse_answer(f"<tool_response>{OTHER}</tool_response>{GOOD}", SpecialistAnswer).leading == "gout"


FRAGMENTS = st.sampled_from(
    ["<think>", "</think>", "```", "{", "}", '{"leading": ', "\nAnswer:\n", "assistantfinal", "I'm sorry, but I can't.",
     "not ", "[/THINK]", "<tool_call>", "◁/think▷", "\\", '"', "NaN", "\u202e", "\x00", "😀", "<unused95>"]
)  # fmt: skip
TEXT = st.lists(st.text(max_size=12) | FRAGMENTS, max_size=4).map("".join)
SOME_TEXT = TEXT.filter(bool)
UNIT = st.floats(0.0, 1.0)
CLAIMS = st.lists(st.builds(StatedClaim, text=SOME_TEXT, evidence=st.lists(TEXT, max_size=3)), max_size=3)
ANSWERS: st.SearchStrategy[BaseModel] = st.one_of(
    st.builds(
        TriageAnswer,
        urgency=st.sampled_from(["emergent", "urgent", "routine"]),
        specialties=st.lists(TEXT, max_size=3),
        reasons=st.lists(TEXT, max_size=3),
    ),
    st.builds(PlanAnswer, indicators=st.lists(st.builds(PlannedIndicator, indicator=SOME_TEXT, why=TEXT), max_size=3)),
    st.builds(ToolChoice, tool=st.none() | TEXT, argument=TEXT, why=TEXT),
    st.builds(
        SpecialistAnswer,
        leading=st.none() | TEXT,
        confidence=UNIT,
        differential=st.lists(st.builds(WeightedDiagnosis, diagnosis=SOME_TEXT, probability=UNIT), max_size=3),
        claims=CLAIMS,
        missing=st.lists(TEXT, max_size=3),
    ),
    st.builds(
        AttendingAnswer, diagnosis=st.none() | TEXT, argument=CLAIMS, overrules=st.booleans(), overrule_reason=TEXT
    ),
)
HARMLESS = (*FENCES, *PROSE, *(("", end) for end in ENDS))
OUTERMOST = tuple(wrapper for wrapper in HARMLESS if not wrapper[0].endswith("{"))
"""A brace before anything but the object makes an object of another notation of it."""
LAYOUTS: tuple[dict[str, Any], ...] = (
    {},
    {"ensure_ascii": False},
    {"indent": 2},
    {"indent": "\t", "ensure_ascii": False},
    {"separators": (",", ":")},
)


@settings(max_examples=600, deadline=None)
@given(ANSWERS, st.sampled_from(LAYOUTS), st.sampled_from(OUTERMOST), st.sampled_from(HARMLESS))
def test_an_answer_of_any_shape_comes_through_whatever_it_is_wrapped_in(
    answer: BaseModel, layout: dict[str, Any], outer: tuple[str, str], inner: tuple[str, str]
) -> None:
    text = json.dumps(answer.model_dump(mode="json"), **layout)
    wrapped = f"{outer[0]}{inner[0]}{text}{inner[1]}{outer[1]}"
    assert parse_answer(wrapped, type(answer)) == answer


@settings(max_examples=600, deadline=None)
@given(ANSWERS, ANSWERS, st.sampled_from(THOUGHTS), st.sampled_from([*THINKING, *LABELLED]), st.sampled_from(HARMLESS))
def test_what_is_thought_before_an_answer_does_not_change_it(
    answer: BaseModel, draft: BaseModel, thought: str, marks: tuple[str, str], wrapper: tuple[str, str]
) -> None:
    drafted = re.sub(r"[<>◁▷]|/?THINK|assistantfinal", "", draft.model_dump_json())
    wrapped = f"{marks[0]}{thought} {drafted}{marks[1]}{wrapper[0]}{answer.model_dump_json()}{wrapper[1]}"
    assert parse_answer(wrapped, type(answer)) == answer


def strictly(text: str, schema: type[BaseModel]) -> list[BaseModel]:
    """What a strict reader finds at any brace that opens one whole object, behind which no key comes on its line."""
    found = []
    for at in (i for i, c in enumerate(text) if c == "{"):
        try:
            value, end = json.JSONDecoder().raw_decode(text, at)
            if re.match(r'[^{\n]*"\s*:', text[end:]) is None:
                found.append(schema.model_validate_json(json.dumps(value, allow_nan=False), strict=True))
        except ValueError:
            continue
    return found


@settings(max_examples=800, deadline=None)
@given(ANSWERS, st.data())
def test_what_is_read_from_a_damaged_answer_is_what_a_strict_reader_reads(
    answer: BaseModel, data: st.DataObject
) -> None:
    text = answer.model_dump_json()
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        noise = data.draw(
            st.sampled_from(["", "", '"', "{", "}", "[", "]", ",", ":", "\\", "0", "true", "not ", "\n", "é"])
        )
        text = text[:at] + noise + text[at + data.draw(st.integers(0, 3)) :]
    try:
        read = parse_answer(text, type(answer))
    except Unreadable:
        return
    assert read in strictly(text, type(answer))


@settings(max_examples=300, deadline=None)
@given(ANSWERS, ANSWERS)
def test_two_answers_that_differ_are_none(one: BaseModel, other: BaseModel) -> None:
    if type(one) is type(other) and one != other:
        for text in (
            one.model_dump_json() + other.model_dump_json(),
            f"[{other.model_dump_json()}, {one.model_dump_json()}]",
        ):
            with pytest.raises(Unreadable):
                parse_answer(text, type(one))


ADVERSARIAL = {
    "braces": "{",
    "keys": '{"',
    "objects": '{"a": 1} ',
    "cut objects behind closed thinking": '</think>{"a',
    "deep objects behind closed thinking": "</think>" + '{"a":' * 900,
    "thinking opened": "<think>",
    "thinking closed": "</think>",
    "tags that do not end": "<think ",
    "angles": "<",
    "labels": "reasoning:\n",
    "labels in pairs": "reasoning:\nanswer:\n",
    "headings": "\n####",
    "spaces behind braces": "{" + " " * 99,
    "words behind braces": "{" + "a" * 60 + " " * 40,
    "brackets behind objects": "{}" + "]" * 198 + "," + " " * 200,
    "backticks": '{"a"' + "`" * 500,
    "tags behind cut objects": '</think>{"a"' + "<b>`" * 10,
    "backslashes": '{"a":"' + "\\" * 1000,
    "digits": '{"a":' + "1" * 5000,
    "apologies": "I'm sorry, ",
    "near keys": "".join(f'"overrule{i}": 1, ' for i in range(1, 99)),
}


@pytest.mark.parametrize("filler", ADVERSARIAL.values(), ids=ADVERSARIAL.keys())
@pytest.mark.parametrize("size", [MAX_CHARACTERS, 10_000_000])
def test_a_hostile_answer_takes_no_more_than_a_second(filler: str, size: int) -> None:
    text = (filler * (size // len(filler) + 1))[:size]
    for wrapped in (text, '{"diagnosis": null, "argument": [], ' + text[:-200] + '"x": 1}'):
        start = time.process_time()
        assert refused_or_read(wrapped, AttendingAnswer)
        assert time.process_time() - start < 1.0
