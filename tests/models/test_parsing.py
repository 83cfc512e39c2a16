"""Finding the one object in what a model wrote, and nothing where there is none."""

import json
import math
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from wardround.core.answers import (
    AttendingAnswer,
    PlanAnswer,
    SpecialistAnswer,
    ToolChoice,
    TriageAnswer,
)
from wardround.models.parsing import MAX_BRACES, MAX_CHARACTERS, Unreadable, parse_answer

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
        f"Note: {{ {GOOD} {{",
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
        ("I cannot help with medical questions.", "no complete JSON object"),
        ("Ich kann dazu nichts sagen.", "no complete JSON object"),
        ("对不起，我无法回答。", "no complete JSON object"),
        ("null", "no complete JSON object"),
        ("[]", "no complete JSON object"),
        ('"gout"', "no complete JSON object"),
        ("42", "no complete JSON object"),
        ("{}", "leading: Field required"),
        ("{leading: gout}", "no complete JSON object"),
        (GOOD[:-1], "it was cut off"),
        (GOOD.replace('"', "'"), "no complete JSON object"),
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
        (GOOD + OTHER, "2 different objects"),
        (f"Example: {OTHER}\nAnswer: {GOOD}", "2 different objects"),
        (f"[{GOOD}, {OTHER}]", "2 different objects"),
        (f"<think>It is {GOOD} or so", "no complete JSON object"),
        (f'{{"draft": {GOOD}', "it was cut off"),
        (f'{{"draft": {GOOD}, "final": {{"leading": "go', "it was cut off"),
        ('{"leading": "gout", ' + GOOD[1:].replace('"gout"', '"sepsis"', 1), "'leading' is given twice"),
        (GOOD.replace("gout", "\\ud800", 1), "half a surrogate pair"),
        ("{" * 50_000, f"more than {MAX_BRACES} opening braces"),
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


def malformed(rng: random.Random) -> str:
    """One of the ways in which small models break their answers, or several at once."""
    value: dict[str, Any] = json.loads(GOOD)
    key = rng.choice(list(value))
    text = rng.choice(
        [
            lambda: GOOD[: rng.randrange(len(GOOD))],
            lambda: json.dumps({k: v for k, v in value.items() if k not in ("confidence", key)}),
            lambda: json.dumps({**value, "confidence": rng.choice([None, True, [], {}, "very", 3, -1, "0.5%"])}),
            lambda: json.dumps({**value, "claims": rng.choice([None, "none", {}, [1], [None], [[]], [{"text": ""}]])}),
            lambda: json.dumps({**value, "differential": [{"diagnosis": "gout", "probability": rng.choice([2, "x"])}]}),
            lambda: json.dumps({**value, "confidence": rng.choice([math.nan, math.inf, -math.inf])}),
            lambda: json.dumps({**value, "leading": rng.choice([1, True, [], {}])}),
            lambda: GOOD.replace('"', rng.choice(["'", "”", ""])),
            lambda: GOOD.replace(":", rng.choice(["=", " ", "::"])),
            lambda: GOOD.replace(",", rng.choice([";", ",,", " "])),
            lambda: GOOD + OTHER,
            lambda: f"<think>{GOOD}",
            lambda: f'{{"answer": {GOOD}}}',
            lambda: f'{{"answer": {GOOD}',
            lambda: json.dumps(GOOD),
            lambda: json.dumps([value, {**value, "confidence": 0.25}]),
            lambda: rng.choice(
                ["", "{}", "[]", "null", "I'm sorry, I can't.", "Lo siento, no puedo.", "申し訳ありません"]
            ),
            lambda: "{" * rng.randrange(1_001, 3_000) + GOOD[1:],
            lambda: "".join(rng.choice('{}[]",:0123eE.-ntf \\u') for _ in range(rng.randrange(1, 400))),
        ]
    )()
    wrap = rng.choice(
        ["{}", "```json\n{}\n```", "Answer: {}", "{}\nThanks!", "```\n```json\n{}\n```\n```", "<think>hm</think>{}"]
    )
    return wrap.replace("{}", text, 1)


@pytest.mark.parametrize("seed", range(6))
def test_a_malformed_answer_is_refused_and_never_a_silent_opinion(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(300):
        text = malformed(rng)
        with pytest.raises(Unreadable):
            parse_answer(text, SpecialistAnswer)


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
