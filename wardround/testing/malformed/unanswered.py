"""What is no answer at all, or a declined one, or too much of one."""

from __future__ import annotations

import json
from collections.abc import Iterator

from wardround.testing.malformed.source import Made, Reading, Source, written
from wardround.testing.malformed.texts import NOTHING, REFUSALS, THINKING, WORDS

ENORMOUS = 10_000_000
"""Characters of an enormous answer."""


def nothing(source: Source) -> Iterator[Made]:
    """Say nothing, or as good as nothing."""
    for text in NOTHING:
        yield source.as_written(text, source.strictly(text))


def words(source: Source) -> Iterator[Made]:
    """Answer in words alone, in several languages, and from a server that is not well."""
    for text in WORDS:
        yield Made(text, Reading.NO_OPINION)
        yield Made(f"```\n{text}\n```", Reading.NO_OPINION)
        yield Made(f"<think>{source.text}</think>{text}", Reading.NO_OPINION)
    for _, text in source.texts:
        for form in ("The answer is {}.", "It is not {}.", "{}: 70%", "**{}**", "- {}\n- not {}", "I think that {}"):
            yield Made(form.format(text, text), Reading.NO_OPINION)


def other_languages(source: Source) -> Iterator[Made]:
    """Translate the keys."""
    for stem in ("ключ", "键", "schlüssel_", "clé_", "مفتاح", "कुंजी"):
        translated = {f"{stem}{i}": value for i, value in enumerate(source.value.values())}
        if source.stated(translated) is None:
            yield Made(written(translated), Reading.NO_OPINION)
            yield Made(json.dumps(translated, indent=2), Reading.NO_OPINION)


def refusals(source: Source) -> Iterator[Made]:
    """Decline to answer."""
    for text in REFUSALS:
        for form in ("{}", "{}\n\n", "```\n{}\n```", "**{}**", "Answer: {}", '"{}"', "<think>Hm.</think>{}", "{}</s>"):
            yield Made(form.format(text), Reading.REFUSAL)
        for key in ("error", "refusal", "message"):
            yield Made(written({key: text}), Reading.REFUSAL)
        yield Made(f"<think>It may be {source.text}</think>{text}", Reading.REFUSAL)
    for before, behind in THINKING:
        yield Made(f"{before}Can I say it?{behind}{REFUSALS[0]}", Reading.REFUSAL)


def refusals_around(source: Source) -> Iterator[Made]:
    """Decline in words or in thought, and answer nevertheless: whoever answers has not declined."""
    for text in REFUSALS:
        yield Made(f"{text}\n{source.text}", Reading.STATED, source.answer)
        yield Made(f"{source.text}\n{text}", Reading.STATED, source.answer)
        yield Made(f"<think>{text}</think>{source.text}", Reading.STATED, source.answer)
    for path, _ in source.texts:
        for text in REFUSALS[:12]:
            yield source.as_given(source.with_value(path, text))


def refusals_thought(source: Source) -> Iterator[Made]:
    """Decline in thought, and say nothing."""
    for before, behind in THINKING:
        yield Made(f"{before}{REFUSALS[0]}{behind}", Reading.NO_OPINION)
        yield Made(f"{before}{REFUSALS[0]}", Reading.NO_OPINION)


def enormous(source: Source) -> Iterator[Made]:
    """Run away: ten million characters of one thing, with the answer somewhere or nowhere."""
    for filler in (" ", "\n", "a", "The patient is ill. ", "{", '{"a": ', "[", '"', "\\", "<think>", "</think>", "<"):
        yield Made(filler * (ENORMOUS // len(filler)), Reading.NO_OPINION)
    for filler in (" ", "a ", "<think>a</think>"):
        padding = filler * (ENORMOUS // len(filler))
        yield Made(padding + source.text, Reading.TOLERABLE, source.answer)
        yield Made(source.text + padding, Reading.TOLERABLE, source.answer)
    yield Made(f'{source.text[:-1]}, "comment": "{"a" * ENORMOUS}"', Reading.NO_OPINION)
    yield Made((source.text + "\n") * (ENORMOUS // len(source.text)), Reading.TOLERABLE, source.answer)


def deep(source: Source) -> Iterator[Made]:
    """Nest deeper than a stack is."""
    for depth in (500, 5_000, 50_000):
        yield Made('{"a": ' * depth + source.text + "}" * depth, Reading.TOLERABLE, source.answer)
        yield Made('{"a": ' * depth + "1" + "}" * depth, Reading.NO_OPINION)
        yield Made('{"a": ' * depth, Reading.NO_OPINION)
        yield Made("[" * depth + "]" * depth, Reading.NO_OPINION)
        yield Made("[" * depth + source.text + "]" * depth, Reading.TOLERABLE, source.answer)
        nest = "[" * depth + "]" * depth
        extra = f'{source.text[:-1]}, "comment": {nest}}}'
        yield Made(extra, Reading.TOLERABLE, source.stated({**source.value, "comment": []}))
        for path, _ in source.leaves:
            yield Made(source.with_token(path, nest), Reading.NO_OPINION)
