"""Whether a value that was read from an object says what the object says: nothing converted, nothing passed over."""

from __future__ import annotations

import difflib
import json
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from wardround.models.spoken import Fault
from wardround.trace.events import AnswerFault

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
"""A number as JSON writes it."""
_LIKENESS = 0.8
"""From which ratio of common characters on a key is taken for a miswritten one (`difflib.SequenceMatcher`)."""
_LONGER = 3
"""By how many characters a miswritten key may be longer or shorter."""
_HALF_CHARACTER = re.compile(r"[\ud800-\udfff]")
_HOMOGLYPHS = str.maketrans("авсԁеɡһіјӏкмոорԛѕтսѵԝхуαεικνορτυχω", "abcdeghijlkmnopqstuvwxyaeikvoptuxw")
"""Letters of other scripts that look like a Latin one."""


def misfit(given: Mapping[str, Any], read: BaseModel) -> Fault | None:
    """Return what was not read as it was given.

    A number in quotes is that number if JSON would write it so. Nothing else is converted: not `"yes"` or
    `1` to true, not true to 1. A key that is not known is passed over, unless it is a known one miswritten:
    then what it says would be lost.

    Args:
        given: The object as it was written.
        read: The model that validation made of it.
    """
    return next(_misfits(given, read, ""), None)


def is_same(one: Any, other: Any) -> bool:
    """Return whether two JSON values are the same; unlike in Python, true is not 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _misfits(given: Any, read: Any, where: str) -> Iterator[Fault]:
    match read:
        case BaseModel() if isinstance(given, dict):
            yield from _miswritten(given, _names(read), where)
            for name, key in _names(read).items():
                if key in given:
                    yield from _misfits(given[key], getattr(read, name), f"{where}.{key}".lstrip("."))
        case dict() if isinstance(given, dict):
            for key in (key for key in given if key in read):
                yield from _misfits(given[key], read[key], f"{where}.{key}".lstrip("."))
        case list() | tuple() if isinstance(given, list) and len(given) == len(read):
            for i, (inner, kept) in enumerate(zip(given, read, strict=True)):
                yield from _misfits(inner, kept, f"{where}.{i}".lstrip("."))
        case bool():
            if not isinstance(given, bool):
                yield _unfit(where, "not true or false")
        case int() | float():
            yield from _misread_number(given, read, where)
        case _:
            if isinstance(given, str) and _HALF_CHARACTER.search(given):
                what = f"the object holds half a surrogate pair, which is no character, in {where}"
                yield Fault(AnswerFault.BAD_TEXT, what)


def _misread_number(given: Any, read: float, where: str) -> Iterator[Fault]:
    if isinstance(given, bool):
        yield _unfit(where, f"{json.dumps(given)} is not a number")
    elif isinstance(given, str) and not _NUMBER.fullmatch(given):
        yield _unfit(where, "not a number as JSON writes it")
    elif not math.isfinite(read):
        yield _unfit(where, "not a finite number")


def _unfit(where: str, what: str) -> Fault:
    return Fault(AnswerFault.UNFIT, f"the object does not fit: {where}: {what}")


def _names(read: BaseModel) -> dict[str, str]:
    """The fields of a model, each with the key it has in JSON."""
    return {name: info.alias or name for name, info in type(read).model_fields.items()}


def _miswritten(given: Mapping[str, Any], names: Mapping[str, str], where: str) -> Iterator[Fault]:
    keys = list(names.values())
    absent = [key for key in keys if key not in given]
    folded = {_folded(key): key for key in keys}
    for unknown in (key for key in given if key not in keys):
        like = folded.get(_folded(unknown)) or _nearest(unknown, absent)
        if like is not None:
            what = f"the key {unknown[:40]!a} is not {like!r}; write the key as it was asked for"
            yield Fault(AnswerFault.UNFIT, f"the object does not fit: {f'{where}: ' if where else ''}{what}")


def _nearest(unknown: str, absent: Sequence[str]) -> str | None:
    near = [key for key in absent if abs(len(key) - len(unknown)) <= _LONGER]
    return next(iter(difflib.get_close_matches(unknown, near, n=1, cutoff=_LIKENESS)), None)


def _folded(key: str) -> str:
    """A key without what the eye passes over: case, accents, separators, invisible characters, look-alikes."""
    plain = unicodedata.normalize("NFKD", key[:100]).casefold().translate(_HOMOGLYPHS)
    return "".join(c for c in plain if c.isalnum())
