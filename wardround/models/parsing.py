"""Finding the one answer in what a model wrote, and nothing where it gave none.

An answer is what the model states in the form it was asked for: one JSON object that fits the schema. It
may stand in fences, in prose, behind thinking. It is never pieced together: an object that was cut off,
that is damaged or that is written in another notation is no answer, however plain it seems to a reader,
because a closing brace that was never written may have followed a "not", another digit, a second diagnosis.
The model is asked once more instead.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from wardround.models.fitting import is_same, misfit
from wardround.models.refusals import refusal_in, refusal_in_object
from wardround.models.spoken import Fault, Spoken, listen
from wardround.trace.events import AnswerFault

T = TypeVar("T", bound=BaseModel)

MAX_CHARACTERS = 200_000
"""An answer longer than this is a runaway and not parsed."""

_WORD = re.compile(r"(?<![`~\w])\w")
"""The beginning of a word that is not the language of a fence."""
_NO_OBJECT = "the answer holds no complete JSON object"
_TOOL_CALL = re.compile(
    r"<\|?tool_call|<\|tool_calls_section_begin\|>|<｜tool▁call|\[TOOL_CALLS\]|<function[=_]|<\|python_tag\|>"
    r"|<\|channel\|>\s*commentary|<invoke |functions\.\w+:\d",
)
"""How the tool calls of Hermes and Qwen, Gemma, Kimi, DeepSeek, Mistral, Llama and gpt-oss begin."""
_CALL_KEYS = ({"name", "arguments"}, {"name", "parameters"}, {"tool_calls"}, {"function_call"}, {"function", "type"})


class Unreadable(ValueError):
    """An answer that holds no object of the shape asked for; the message can be shown to the model."""

    quote: str | None = None
    """How a refusal begins."""

    def __init__(self, what: str, kind: AnswerFault) -> None:
        super().__init__(what)
        self.kind = kind
        """The fault in one word."""


class Refused(Unreadable):
    """The model declines to answer."""

    def __init__(self, quote: str) -> None:
        super().__init__(f'the answer is a refusal: "{quote}"', AnswerFault.REFUSAL)
        self.quote = quote


def parse_answer(text: str, schema: type[T]) -> T:
    """Return the answer that a text holds.

    Thinking, code fences and prose around the object are passed over. Of several objects the last complete
    one that fits the schema outside of thinking counts, and nothing may contradict it: neither another that
    fits and differs, nor one that does not fit and says of a key of the schema what the answer does not say,
    nor a broken one, since what stands in it may be a draft, and what stands before it may not be the last word.

    Raises:
        Unreadable: No answer; says what is wrong in a sentence, and in a word.
        Refused: The model declines to answer.
    """
    if len(text) > MAX_CHARACTERS:
        what = f"the answer has {len(text)} characters; at most {MAX_CHARACTERS} are read"
        raise Unreadable(what, AnswerFault.TOO_LONG)
    spoken = listen(text)
    if spoken.broken is not None:
        raise _unreadable(spoken.broken, text)
    if not spoken.objects:
        raise _without_object(spoken, text)
    return _the_one(spoken, text, schema)


def _the_one(spoken: Spoken, text: str, schema: type[T]) -> T:
    fitting: list[tuple[dict[str, Any], T]] = []
    unfit: list[tuple[dict[str, Any], Fault]] = []
    for given in spoken.objects:
        read = _read(given, schema)
        if isinstance(read, Fault):
            unfit.append((given, read))
        else:
            fitting.append((given, read))
    if not fitting:
        raise _without_fit(spoken, text, unfit, schema)
    answer, read = fitting[-1]
    if any(read != other for _, other in fitting):
        raise Unreadable("the answer holds different objects; give one", AnswerFault.CONTRADICTORY)
    for other, fault in unfit:
        key = _contradicted(answer, other, schema)
        if key is not None:
            what = f"the answer holds another object, in which {key!r} is something else; give one ({fault.what})"
            raise Unreadable(what, AnswerFault.CONTRADICTORY)
    return read


def _read(given: dict[str, Any], schema: type[T]) -> T | Fault:
    try:
        answer = schema.model_validate(given)
    except ValidationError as error:
        return Fault(AnswerFault.UNFIT, _faults(error))
    return misfit(given, answer) or answer


def _contradicted(answer: dict[str, Any], other: dict[str, Any], schema: type[BaseModel]) -> str | None:
    """The key of the schema that another object gives, and the answer does not or gives otherwise."""
    keys = _keys(schema) & other.keys()
    return next((k for k in other if k in keys and not (k in answer and is_same(answer[k], other[k]))), None)


def _keys(schema: type[BaseModel]) -> set[str]:
    return {info.alias or name for name, info in schema.model_fields.items()}


def _without_object(spoken: Spoken, text: str) -> Unreadable:
    """Say what there is in place of an object."""
    refusal = refusal_in(spoken.prose)
    if refusal is not None:
        return Refused(refusal)
    if _WORD.search(spoken.prose) or _TOOL_CALL.search(text):
        return _unreadable(Fault(AnswerFault.NO_OBJECT, _NO_OBJECT), text)
    if spoken.is_thinking:
        return Unreadable(f"{_NO_OBJECT}: there is thinking, and nothing behind it", AnswerFault.THINKING)
    return Unreadable(f"{_NO_OBJECT}: it is empty", AnswerFault.EMPTY)


def _without_fit(
    spoken: Spoken, text: str, unfit: list[tuple[dict[str, Any], Fault]], schema: type[BaseModel]
) -> Unreadable:
    """Say what is wrong with the objects, of which none fits."""
    names = _keys(schema)
    if not any(names & given.keys() for given, _ in unfit):
        said = [refusal_in(spoken.prose), *(refusal_in_object(given) for given, _ in unfit)]
        for refusal in said:
            if refusal is not None:
                return Refused(refusal)
    fault = unfit[0][1]
    if any(keys <= given.keys() for given, _ in unfit for keys in _CALL_KEYS if not keys <= names):
        return Unreadable(f"{fault.what}; it is written as the call of a tool", AnswerFault.TOOL_CALL)
    return _unreadable(fault, text)


def _unreadable(fault: Fault, text: str) -> Unreadable:
    if _TOOL_CALL.search(text):
        return Unreadable(f"{fault.what}; a tool is called in text", AnswerFault.TOOL_CALL)
    return Unreadable(fault.what, fault.kind)


def _faults(error: ValidationError) -> str:
    parts = [
        f"{'.'.join(str(p) for p in fault['loc']) or 'object'}: {fault['msg']}"
        for fault in error.errors(include_url=False, include_input=False)[:5]
    ]
    return "the object does not fit: " + "; ".join(parts)
