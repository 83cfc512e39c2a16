"""Answers that are whole but do not stand alone, or not alone enough."""

from __future__ import annotations

import json
from collections.abc import Iterator

from wardround.testing.malformed.source import Made, Reading, Source, written
from wardround.testing.malformed.texts import ENDS, FENCES, LABELLED, PROSE, THINKING, THOUGHTS, TOOL_CALLS

_MARKS = ("\ufeff", "\u200e", "\u200f", "\u202b", "\u2067", "\u200b", "\u00a0", "\u2028", "\u0085")
"""Byte order mark, marks of direction, spaces that do not show or are not JSON's."""


def layouts(source: Source) -> Iterator[Made]:
    """Write the object with other spaces, escapes and order."""
    value = source.value
    for indent in (None, 0, 1, 2, 4, "\t"):
        for ascii_only in (False, True):
            for reverse in (False, True):
                entries = dict(reversed(value.items())) if reverse else value
                yield _stated(source, json.dumps(entries, indent=indent, ensure_ascii=ascii_only))
    yield _stated(source, json.dumps(value, separators=(",", ":")))
    yield _stated(source, json.dumps(value, separators=(" ,\r\n", "\t:\n")))
    key = written(next(iter(value)))
    escaped = "".join(f"\\u{ord(c):04x}" if c.isalpha() else c for c in key)
    yield _stated(source, source.text.replace(key, escaped, 1))


def fences(source: Source) -> Iterator[Made]:
    """Set the object in a fence, a tag or a list."""
    for before, behind in FENCES:
        for text in (source.text, json.dumps(source.value, indent=2)):
            yield _stated(source, f"{before}{text}{behind}")
            yield _stated(source, f"Here it is:\n\n{before}{text}{behind}\n\nThat is all.")


def prose(source: Source) -> Iterator[Made]:
    """Write something before and behind the object."""
    for before, behind in PROSE:
        yield _stated(source, f"{before}{source.text}{behind}")
        yield _stated(source, f"{before}```json\n{source.text}\n```{behind}")


def ends(source: Source) -> Iterator[Made]:
    """Leave the mark of the end of the turn behind the object."""
    for end in ENDS:
        yield _stated(source, f"{source.text}{end}")
        yield _stated(source, f"```json\n{source.text}\n```{end}")


def marks(source: Source) -> Iterator[Made]:
    """Put characters that do not show around the object."""
    for mark in _MARKS:
        yield _stated(source, f"{mark}{source.text}")
        yield _stated(source, f"{source.text}{mark}")
        yield _stated(source, f"{mark}{mark}{source.text}{mark}\n")


def thinking(source: Source) -> Iterator[Made]:
    """Think before the answer: about something, or about another answer."""
    drafts = (*THOUGHTS, f"Is it {written(source.other)}? No.", f"{source.text}, or {written(source.other)}")
    for thought in drafts:
        for before, behind in (*THINKING, *LABELLED):
            yield _stated(source, f"{before}{thought}{behind}{source.text}")
        for _, behind in THINKING:
            yield _stated(source, f"{thought}{behind}{source.text}")
        yield _stated(source, f"<think>a<think>{thought}</think>b</think>{source.text}")
        yield _stated(source, f"<think>My thoughts go into <think> tags. {thought}</think>{source.text}")
        yield _stated(source, f"{source.text}\n<think>{thought}</think>")
        yield _stated(source, f"{source.text}\n<think>{thought}")


def thinking_alone(source: Source) -> Iterator[Made]:
    """Think of an answer, and do not come to give it."""
    for before, behind in THINKING:
        for text in (source.text, f"It may be {source.text} or so.", "Hm.", ""):
            yield _none(f"{before}{text}")
            yield _none(f"{before}{text}{behind}")
            yield _none(f"{text}{behind}")
            yield _none(f"{before}{text}{behind}It is as I thought.")
    for before, behind in LABELLED:
        yield _none(f"{before}{source.text}{behind}It is as I thought.")


def repeated(source: Source) -> Iterator[Made]:
    """Give the same answer several times."""
    text, again = source.text, json.dumps(source.value, indent=2)
    for between in ("", "\n", "\n\n", "\nOnce more:\n", "```\n```json\n", ", ", "\n---\n"):
        yield _stated(source, f"{text}{between}{text}")
        yield _stated(source, f"{text}{between}{again}")
        yield _stated(source, f"{text}{between}{text}{between}{again}")
    yield Made(f"[{text}, {again}]", Reading.TOLERABLE, source.answer)


def contradictory(source: Source) -> Iterator[Made]:
    """Give two answers that differ, or one and half of another."""
    text, other = source.text, written(source.other)
    for one, two in ((text, other), (other, text)):
        for between in ("", "\n", "\nWait, rather:\n", "\nFor example:\n", "```\n```json\n", ", ", " or "):
            yield _none(f"{one}{between}{two}")
        yield _none(f"[{one}, {two}]")
        yield _none(f'{{"a": {one}, "b": {two}}}')
        yield _none(f"Example: {one}\nAnswer: {two}")
        yield _none(f"<answer>{one}</answer><answer>{two}</answer>")
        yield _none(f"{one}\n{two[: len(two) // 2]}")
        yield _none(f"{one}\n{two[:-1]}, }}")
        yield _none(f"{one}\nRather: {json.loads(two)}")
        yield _none(f"{one}<think>Hm.</think>{two}")
    for key in source.value:
        if source.other[key] != source.value[key]:
            yield _none(f"{text}\nRather: {written({key: source.other[key]})}")
            yield _none(f"{written({key: source.other[key]})}\n{text}")


def nested(source: Source) -> Iterator[Made]:
    """Set the object in another, in a list or in a text."""
    for key in ("answer", "response", "result", "output", "data", "json", source.schema.__name__, "properties"):
        yield Made(written({key: source.value}), Reading.TOLERABLE, source.answer)
        yield Made(written({key: source.text}), Reading.TOLERABLE, source.answer)
        yield Made(written({"type": "object", key: [source.value]}), Reading.TOLERABLE, source.answer)
    for depth in (1, 2, 5):
        yield Made("[" * depth + source.text + "]" * depth, Reading.TOLERABLE, source.answer)
    yield Made(written(source.text), Reading.TOLERABLE, source.answer)
    yield Made(written(written(source.text)), Reading.TOLERABLE, source.answer)
    yield Made(source.text.replace('"', '\\"'), Reading.TOLERABLE, source.answer)
    yield Made(source.text.replace('"', "&quot;"), Reading.TOLERABLE, source.answer)


def schema_echoes(source: Source) -> Iterator[Made]:
    """Repeat the schema of the answer before it, or in its place."""
    schema = json.dumps(source.schema.model_json_schema())
    yield _none(schema)
    yield _none(f"```json\n{schema}\n```")
    for between in ("\n", "\n\nAn object of this schema:\n", "\n```\n"):
        yield _stated(source, f"{schema}{between}{source.text}")


def tool_calls(source: Source) -> Iterator[Made]:
    """Call a tool in the text in place of an answer."""
    for arguments in ({"query": "gout"}, {}, {"input": {"text": "gout", "limit": 3}}):
        for key in ("arguments", "parameters"):
            call = written({"name": "search", key: arguments})
            for form in TOOL_CALLS:
                yield _none(form.format(call=call, arguments=written(arguments), answer=source.text))
    for key in ("arguments", "parameters"):
        call = written({"name": source.schema.__name__, key: source.value})
        for form in ("<tool_call>{call}</tool_call>", "[TOOL_CALLS] [{call}]", "{call}"):
            yield Made(form.format(call=call), Reading.TOLERABLE, source.answer)
    yield Made(f"<tool_call>{source.text}</tool_call>", Reading.TOLERABLE, source.answer)


def _stated(source: Source, text: str) -> Made:
    return Made(text, Reading.STATED, source.answer)


def _none(text: str) -> Made:
    return Made(text, Reading.NO_OPINION)
