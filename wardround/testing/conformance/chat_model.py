"""Promises of a chat model that is to take part in a consult."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import BaseModel

from wardround.agents.prompts import messages
from wardround.core.answers import AttendingAnswer, PlanAnswer, SpecialistAnswer, ToolChoice, TriageAnswer
from wardround.core.case import Case
from wardround.core.source import Source, SourceKind
from wardround.models.asking import response_format
from wardround.models.handle import ModelHandle
from wardround.models.parsing import parse_answer

ANSWERS: tuple[type[BaseModel], ...] = (TriageAnswer, PlanAnswer, ToolChoice, SpecialistAnswer, AttendingAnswer)
"""Every shape that a consult asks for."""

_CASE = Case(age=54, complaint="chest pain", narrative="Chest pain for two hours, radiating to the left arm. No fever.")
_NOTE = Source(
    kind=SourceKind.CLINICIAN_NOTE,
    text="Chest pain for two hours, radiating to the left arm. No fever.",
    document="note:conformance",
    title="note, sentence 1",
)


async def _ask(model: ModelHandle, schema: type[BaseModel]) -> str:
    question = messages("You are a doctor.", "Answer.", schema, case=_CASE, sources=[_NOTE])
    options: dict[str, Any] = {"response_format": response_format(schema)} if model.constrained else {}
    reply = await model.chat.ainvoke(question, **options)
    return str(reply.text)


async def answers_every_shape(model: ModelHandle) -> None:
    """Each shape that a consult asks for is answered by one object that fits it."""
    for schema in ANSWERS:
        parse_answer(await _ask(model, schema), schema)


async def answers_alike_when_asked_again(model: ModelHandle) -> None:
    """The same question at temperature 0 has the same answer."""
    first, second = await _ask(model, AttendingAnswer), await _ask(model, AttendingAnswer)
    assert parse_answer(first, AttendingAnswer) == parse_answer(second, AttendingAnswer), (first, second)


CHAT_MODEL_PROMISES: tuple[Callable[[ModelHandle], Awaitable[None]], ...] = (
    answers_every_shape,
    answers_alike_when_asked_again,
)
