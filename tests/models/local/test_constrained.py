"""What an answer is held to, it keeps, whatever the model would rather say."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tests.models.local.questions import asked
from wardround.core.answers import AttendingAnswer, PlanAnswer, SpecialistAnswer, ToolChoice, TriageAnswer
from wardround.core.errors import UsageError
from wardround.models.local.asked import Constraint, closed
from wardround.models.local.chat import LocalChatModel
from wardround.models.local.constrained import Grammars


class Bounded(BaseModel):
    """Every bound that a schema of Wardround uses, small enough for a random model to reach the end."""

    model_config = ConfigDict(extra="forbid")

    grade: int = Field(ge=1, le=5)
    probability: float = Field(ge=0, le=1)
    name: str = Field(min_length=1, max_length=12)
    side: Literal["left", "right", "both"]
    note: str | None = Field(max_length=8)
    sure: bool
    codes: list[Literal["I21", "J18"]] = Field(min_length=1, max_length=3)


def format_of(schema: type[BaseModel]) -> dict[str, Any]:
    described = {"name": schema.__name__, "schema": schema.model_json_schema(), "strict": True}
    return {"type": "json_schema", "json_schema": described}


@pytest.mark.parametrize("family", ["llama", "gemma3", "mt5"])
async def test_every_answer_that_is_not_cut_fits_its_schema(family: str, chat_of: Any) -> None:
    result = await chat_of(family).agenerate(
        [asked("Report.")], n=12, temperature=1.5, seed=0, response_format=format_of(Bounded), max_tokens=250
    )
    ended = [g for g in result.generations[0] if g.message.response_metadata["finish_reason"] == "stop"]
    assert len(ended) >= 4
    for generation in ended:
        Bounded.model_validate_json(generation.text)


@pytest.mark.parametrize("schema", [TriageAnswer, PlanAnswer, ToolChoice, SpecialistAnswer, AttendingAnswer])
async def test_the_shapes_of_a_consult_are_held(schema: type[BaseModel], llama: LocalChatModel) -> None:
    result = await llama.agenerate(
        [asked("Report.")], n=4, temperature=2.0, seed=3, response_format=format_of(schema), max_tokens=300
    )
    reasons = [generation.message.response_metadata["finish_reason"] for generation in result.generations[0]]
    for generation, reason in zip(result.generations[0], reasons, strict=True):
        if reason == "stop":
            schema.model_validate_json(generation.text)
        else:
            assert reason == "length"
            with pytest.raises(ValueError, match=r"EOF|Expecting|Unterminated|delimiter|value"):
                json.loads(generation.text)


async def test_an_answer_that_is_cut_says_so(llama: LocalChatModel) -> None:
    reply = await llama.ainvoke(asked("Report."), response_format=format_of(Bounded), max_tokens=3)
    assert reply.response_metadata["finish_reason"] == "length"
    assert reply.usage_metadata is not None
    assert reply.usage_metadata["output_tokens"] == 3


async def test_no_more_than_one_space_stands_between_what_is_written(llama: LocalChatModel) -> None:
    result = await llama.agenerate(
        [asked("Report.")], n=8, temperature=2.0, seed=0, response_format=format_of(Bounded), max_tokens=200
    )
    for generation in result.generations[0]:
        outside = re.sub(r'"(?:[^"\\]|\\.)*"?', '""', generation.text)
        assert not re.search(r"\s\s|\n|^\s|\s$", outside), generation.text


CHOICES = ["pneumonia", "pneumothorax", "a|b (c) [d] \\ ^$.*+?{}", "Fußpilz - ÄÖ", "two\nlines", '"quoted"']


async def test_a_choice_is_always_one_of_those_given(llama: LocalChatModel) -> None:
    result = await llama.agenerate(
        [asked("Which?")], n=40, temperature=3.0, seed=0, structured_outputs={"choice": CHOICES}
    )
    said = {generation.text for generation in result.generations[0]}
    assert said <= set(CHOICES)
    assert len(said) > 2
    assert {g.message.response_metadata["finish_reason"] for g in result.generations[0]} == {"stop"}


@pytest.mark.parametrize("choice", CHOICES)
async def test_each_choice_can_be_made(choice: str, llama: LocalChatModel) -> None:
    assert (await llama.ainvoke(asked("Which?"), structured_outputs={"choice": [choice]})).text == choice


@pytest.mark.parametrize("pattern", ["[A-E]", r"[0-9]{2}/[0-9]{2}", r"(yes|no)( definitely)?", r"I[0-9]{2}\.[0-9]"])
async def test_a_regex_matches_the_whole_answer(pattern: str, gemma3: LocalChatModel) -> None:
    result = await gemma3.agenerate(
        [asked("Which?")], n=8, temperature=2.0, seed=0, structured_outputs={"regex": pattern}
    )
    assert all(re.fullmatch(pattern, generation.text) for generation in result.generations[0])


async def test_rows_of_a_batch_are_each_held_to_their_own(gemma3: LocalChatModel) -> None:
    wanted = [{"choice": ["alpha"]}, {"regex": "[0-9]{4}"}, None, {"choice": ["omega"]}]
    replies = await asyncio.gather(
        *(gemma3.ainvoke(asked("?"), structured_outputs=held, max_tokens=12, seed=1) for held in wanted)
    )
    assert [replies[0].text, replies[3].text] == ["alpha", "omega"]
    assert re.fullmatch("[0-9]{4}", replies[1].text)
    assert replies[2].text == (await gemma3.ainvoke(asked("?"), max_tokens=12)).text


@pytest.mark.parametrize(
    "unheld",
    [
        {"type": "array", "items": {"type": "boolean"}, "uniqueItems": True},
        {"oneOf": [{"type": "integer", "minimum": 0}, {"type": "integer", "maximum": 5}]},
        {"$ref": "#/$defs/nowhere"},
    ],
)
async def test_a_schema_that_cannot_be_held_is_refused(unheld: dict[str, Any], llama: LocalChatModel) -> None:
    described = {"name": "x", "schema": unheld, "strict": True}
    with pytest.raises(UsageError, match="schema asked for cannot be held"):
        await llama.ainvoke(asked("?"), response_format={"type": "json_schema", "json_schema": described})


@pytest.mark.parametrize("pattern", ["a(b", "x(?=y)"])
async def test_a_regex_that_cannot_be_held_is_refused(pattern: str, llama: LocalChatModel) -> None:
    with pytest.raises(UsageError, match="regex asked for cannot be held"):
        await llama.ainvoke(asked("?"), structured_outputs={"regex": pattern})


def tokenizer_of(backend: Tokenizer) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="</s>", unk_token="<unk>")


def test_a_vocabulary_that_cannot_write_the_form_is_an_error_and_no_answer() -> None:
    backend = Tokenizer(models.BPE({"</s>": 0, "<unk>": 1, "a": 2}, [], unk_token="<unk>"))
    backend.decoder = decoders.ByteLevel()
    grammars = Grammars(tokenizer_of(backend), width=3, ends=frozenset([0]))
    matcher = grammars.begin(Constraint("schema", '{"type": "object"}'))
    (word,) = matcher.allowed().tolist()
    with pytest.raises(RuntimeError, match="no token of the vocabulary goes on"):
        matcher.take(next(token for token in range(32) if word >> token & 1))


def test_a_sentencepiece_vocabulary_like_that_of_t5_is_read() -> None:
    pieces = ["</s>", "<unk>", "▁yes", "yes", "▁", *'{}":,abcdefghijklmnopqrstuvwxyz0123456789']
    backend = Tokenizer(models.Unigram([(piece, -1.0) for piece in pieces], unk_id=1))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    grammars = Grammars(tokenizer_of(backend), width=len(pieces), ends=frozenset([0]))
    words = grammars.begin(Constraint("regex", "yes")).allowed()
    allowed = {pieces[i] for i in range(len(pieces)) if int(words[i // 32]) >> i % 32 & 1}
    assert "yes" in allowed
    assert allowed <= {"yes", "y"}
    assert grammars.begin(Constraint("schema", '{"type": "object"}')).allowed().any()


def test_strict_closes_objects_and_nothing_else() -> None:
    inner = {"type": "object", "properties": {"properties": {"type": "string", "enum": ["properties"]}}}
    schema = {"$defs": {"a": inner}, "anyOf": [{"$ref": "#/$defs/a"}, {"type": "array", "items": inner}]}
    shut = {**inner, "additionalProperties": False}
    assert closed(schema) == {"$defs": {"a": shut}, "anyOf": [{"$ref": "#/$defs/a"}, {"type": "array", "items": shut}]}
    assert closed({"properties": {}, "additionalProperties": True}) == {"properties": {}, "additionalProperties": True}
