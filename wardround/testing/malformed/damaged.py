"""Answers whose text or whose values are damaged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from wardround.testing.malformed.source import Made, Reading, Source, written

_FUZZED = 600
"""How many texts are damaged by chance."""
_NOISE = ('"', "{", "}", "[", "]", ",", ":", "\\", "\x00", "\u200f", "9", "-", "e", "é", "'", " ", "\n", "null", "//")
_OTHER_TYPES: tuple[Any, ...] = (None, True, False, 7, -1, 0.5, 70, "text", "", [], {}, ["text"], [None], {"text": "a"})
_TOKENS = (
    "NaN", "Infinity", "-Infinity", "nan", "inf", "1e999", "-1e999", "None", "True", "undefined", ".5", "5.", "+1",
    "01", "0x1F", "1_000", "1,5", "70%", "½", "٠٫٥", "gout", "<number>", "...", "",
)  # fmt: skip
_HOMOGLYPHS = {"a": "а", "c": "с", "e": "е", "i": "і", "o": "о", "p": "р", "s": "ѕ", "x": "х", "y": "у", "d": "ԁ"}
_CONTROLS = ("\x00", "\x01", "\x07", "\b", "\t", "\n", "\x0b", "\f", "\r", "\x1b", "\x1f", "\x7f")
_DIRECTIONS = ("\u200e", "\u200f", "\u202a", "\u202b", "\u202d", "\u202e", "\u2066", "\u2067", "\u2069", "\u061c")


def truncated(source: Source) -> Iterator[Made]:
    """Cut the text off at any place, and the beginning too."""
    for text in (source.text, json.dumps(source.value, indent=2), f"```json\n{source.text}"):
        start = text.index("{")
        for end in range(start + 1, len(text.rstrip())):
            for tail in ("", "\n```", " [...]", "<|im_end|>"):
                yield Made(text[:end] + tail, Reading.NO_OPINION)
    for start in range(1, len(source.text)):
        yield Made(source.text[start:], Reading.NO_OPINION)


def fuzzed(source: Source) -> Iterator[Made]:
    """Damage the text by chance, inside the object."""
    rng = source.random
    for _ in range(_FUZZED):
        text = source.text
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(1, len(text) - 1)
            end = min(at + rng.randrange(3), len(text) - 1)
            text = text[:at] + rng.choice((*_NOISE, "")) + text[end:]
        stated = source.strictly(text)
        yield Made(text, Reading.NO_OPINION if stated is None else Reading.TOLERABLE, stated)


def other_types(source: Source) -> Iterator[Made]:
    """Give values of other types than asked for."""
    for path, value in source.places:
        for other in _OTHER_TYPES:
            if type(other) is not type(value) or other != value:
                yield source.as_given(source.with_value(path, other))
        if isinstance(value, bool):
            for word in ("yes", "no", "true", "false", "1", "0", "on", 1, 0, 1.0):
                yield source.as_given(source.with_value(path, word))
    for path, value in source.numbers:
        made = source.as_given(source.with_value(path, written(value)))
        yield made if made.states is not None else Made(made.text, Reading.TOLERABLE, source.answer)


def missing(source: Source) -> Iterator[Made]:
    """Leave out keys."""
    for path, _ in source.places:
        yield source.as_given(source.without(path))
    for key in source.value:
        yield source.as_given({key: source.value[key]})


def miswritten_keys(source: Source) -> Iterator[Made]:
    """Write keys wrong: in case, in look-alike letters, with characters that do not show, with a slip."""
    for path in source.keys:
        key = str(path[-1])
        first = next((letter for letter in key if letter in _HOMOGLYPHS), None)
        parts = key.replace("_", " ").title().replace(" ", "")
        wrong = [key.upper(), key.title(), parts, f"{key} ", f" {key}", f"{key}:", f"\u200b{key}", f"{key}\u200f"]
        wrong += [key.replace("_", "-"), key.replace("_", " "), f"{key[0]}{key}", key[:-1] + key[-1] * 2]
        wrong += ["".join(chr(ord(c) + 0xFEE0) if c.isalpha() else c for c in key), f'"{key}"', f"'{key}'"]
        wrong += [key.replace(first, _HOMOGLYPHS[first], 1)] if first is not None else []
        for other in wrong:
            if other != key and other not in source.schema.model_fields:
                yield Made(written(source.with_key(path, other)), Reading.NO_OPINION)


def extra_keys(source: Source) -> Iterator[Made]:
    """Say more than was asked for."""
    for key in ("comment", "note_to_reader", "x", "$schema", "", "0", "ключ"):
        for more in (None, "more", 1, [1], {"comment": "more"}):
            yield source.as_given({**source.value, key: more})
            yield source.as_given({key: more, **source.value})


def duplicate_keys(source: Source) -> Iterator[Made]:
    """Give keys twice, with another value or with the same."""
    text = source.text
    for key, value in source.value.items():
        others: tuple[Any, ...] = (source.other[key], None, "another", 0.125, [], not value)
        for other in others:
            if written(other) != written(value):
                entry = f"{written(key)}: {written(other)}"
                yield Made("{" + entry + ", " + text[1:], Reading.NO_OPINION)
                yield Made(text[:-1] + ", " + entry + "}", Reading.NO_OPINION)
        entry = f"{written(key)}: {written(value)}"
        yield Made("{" + entry + ", " + text[1:], Reading.TOLERABLE, source.answer)


def no_numbers(source: Source) -> Iterator[Made]:
    """Put what is no value in JSON where a value belongs."""
    for path, _ in source.leaves:
        for token in _TOKENS:
            text = source.with_token(path, token)
            yield source.as_written(text, source.strictly(text))


def probabilities(source: Source) -> Iterator[Made]:
    """Write numbers as people do."""
    for path, value in source.numbers:
        for words in ("70%", "70 %", "0,7", "~0.7", "0.7 (likely)", "7/10", "high", "seventy percent", "70", " 0.7 "):
            yield source.as_given(source.with_value(path, words))
            yield source.as_given(source.with_value(path, [words]))
        for other in (70, 100, 1.5, -0.5, 1e-400, value / 2):
            yield source.as_given(source.with_value(path, other))


def other_numbers(source: Source) -> Iterator[Made]:
    """Give probabilities that do not add up; they are what was stated and are not to be rescaled."""
    paths = [path for path, _ in source.numbers]
    for number in (0, 0.01, 0.4, 0.9, 0.999999999, 1) if paths else ():
        yield source.as_given(source.with_values(paths, number))


def unknown_ids(source: Source) -> Iterator[Made]:
    """Cite what is not there; to judge that is for those who know what there is."""
    for path, _ in source.texts:
        for name in ("src_000000000000", "[1]", "src_1, src_2", "#", "evidence 7", "https://example.org/1"):
            yield source.as_given(source.with_value(path, name))


def negations(source: Source) -> Iterator[Made]:
    """Deny in a text what it said; the denial has to come through."""
    for path, text in source.texts:
        for form in ("not {}", "no {}", "{} excluded", "rule out {}", "{}?", "unlikely: {}", "NOT {}", "history of {}"):
            yield source.as_given(source.with_value(path, form.format(text)))


def notations(source: Source) -> Iterator[Made]:
    """Write the object in another notation than JSON."""
    value, text = source.value, source.text
    pretty = json.dumps(value, indent=2, ensure_ascii=False)
    forms = [
        str(value), f"dict({value})", f"answer = {value}", text.replace('"', "'"), text.replace('"', "`"),
        text.replace('"', "“"), text.replace('": ', '" = '), text.replace('": ', '" => '), text.replace('": ', "': "),
        text.replace("{", "｛").replace("}", "｝"), text.replace(",", "，"), text.replace(":", "："), text[1:-1],
        text.replace("{", "(").replace("}", ")"), text.replace(", ", " "), text.replace(", ", ";"), text[:-1] + ",}",
        text.replace("]", ",]"), text.replace("}", ",}"), pretty.replace("\n}", ",\n}"), f"{{{text[1:-1]}, ...}}",
        pretty.replace(",\n", ", // so\n"), pretty.replace(",\n", ", # so\n"), pretty.replace(",\n", ",, \n"),
        "{ // so\n" + text[1:], "{ /* so */ " + text[1:], "{ # so\n" + text[1:], text[:-1] + "/* so */}",
        *(text.replace(f'"{key}":', f"{key}:") for key in value),
        *(text.replace(f'"{key}":', f"'{key}':") for key in value),
        *(text.replace(f'"{key}":', f'"{key}"') for key in value),
        "\n".join(f"{key}: {written(inner)}" for key, inner in value.items()),
        "\n".join(f"- **{key}**: {inner}" for key, inner in value.items()),
        "".join(f"<{key}>{inner}</{key}>" for key, inner in value.items()),
    ]  # fmt: skip
    for form in forms:
        if form != text and form != pretty:
            stated = source.strictly(form)
            yield Made(form, Reading.TOLERABLE, source.answer if stated is None else stated)


def surrogates(source: Source) -> Iterator[Made]:
    """Put halves of a character into texts and keys, and a whole one for comparison."""
    for path, text in source.texts:
        quoted = written(text)[:-1]
        for half in ("\\ud83d", "\\ude00", "\\ude00\\ud83d", "\\uD83D x \\uDE00"):
            yield Made(source.with_token(path, f'{quoted}{half}"'), Reading.NO_OPINION)
        stated = source.stated(source.with_value(path, f"{text}😀"))
        if stated is not None:
            yield Made(source.with_token(path, f'{quoted}\\ud83d\\ude00"'), Reading.STATED, stated)
    for path in source.keys:
        yield Made(source.text.replace(f'"{path[-1]}"', f'"{path[-1]}\\ud83d"'), Reading.NO_OPINION)


def controls(source: Source) -> Iterator[Made]:
    """Put control characters into texts, bare and escaped, and between tokens."""
    for control in _CONTROLS:
        for path, text in source.texts:
            stated = source.stated(source.with_value(path, f"{text}{control}x"))
            if stated is not None:
                bare = Reading.STATED if control == "\x7f" else Reading.TOLERABLE
                yield Made(source.with_token(path, f'"{text}{control}x"'), bare, stated)
                yield Made(written(source.with_value(path, f"{text}{control}x")), Reading.STATED, stated)
        yield from _between(source, control)


def directions(source: Source) -> Iterator[Made]:
    """Put marks of writing direction into texts, between tokens and into keys."""
    for mark in _DIRECTIONS:
        for path, text in source.texts:
            yield source.as_given(source.with_value(path, f"{mark}{text}"))
        for path in source.keys:
            yield Made(written(source.with_key(path, f"{mark}{path[-1]}")), Reading.NO_OPINION)
        yield from _between(source, mark)


def _between(source: Source, character: str) -> Iterator[Made]:
    text = source.text
    is_space = character in " \t\n\r"
    for token in (": ", ", "):
        reading = Reading.STATED if is_space else Reading.TOLERABLE
        at = text.find(f'"{token}')
        if at >= 0:
            yield Made(f"{text[: at + 1]}{character}{text[at + 1 :]}", reading, source.answer)
