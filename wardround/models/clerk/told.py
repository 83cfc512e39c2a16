"""Reading what the tool for measurements tells in words."""

from __future__ import annotations

import re
from dataclasses import dataclass

from wardround.models.clerk.steps import Stuck, plain
from wardround.models.clerk.values import Value, instant

_TOLD = re.compile(
    r"^(?P<comparator>[<>]=?)?(?P<number>-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?: (?P<unit>\S.*?))? at (?P<when>\d\S*|"
    r"no time recorded) "
    r"\((?:Observation/)?(?P<id>[^,\s]*), (?P<status>[^,)]*)(?:, recorded as (?P<recorded>[^)]*))?\)$"
)
_CUT = re.compile(r"\(the latest (\d+) of (\d+)\)")


@dataclass(frozen=True)
class Told:
    """What the tool for measurements told."""

    values: tuple[Value, ...]
    of: int
    """How many there are; more than are listed where the list is cut."""


def told_of(text: str) -> Told:
    """Read a reply of the tool for measurements to `all`.

    Raises:
        Stuck: It cannot be read.
    """
    values = []
    for line in text.splitlines():
        match = _TOLD.match(line.strip())
        if match is not None:
            when = "" if match["when"].startswith("no") else match["when"]
            number = float(match["number"])
            values.append(
                Value(
                    int(number) if number.is_integer() and "." not in match["number"] else number,
                    match["unit"] or "",
                    when,
                    instant(when),
                    match["id"],
                    match["status"],
                    comparator=match["comparator"] or "",
                )
            )
    cut = _CUT.search(text)
    head = text.splitlines()[0] if text else ""
    stated = re.search(r"^n=(\d+)", text, re.MULTILINE)
    if not values and not re.search(r":\s*none\b", head):
        raise Stuck(f"the measurements cannot be read: {plain(text)}")
    return Told(
        tuple(values), int(cut[2]) if cut is not None else int(stated[1]) if stated is not None else len(values)
    )


def told_value(text: str) -> Value:
    """Read a reply of the tool for measurements to `mean`, `min`, `max`, `first` or `count`.

    Raises:
        Stuck: It cannot be read.
    """
    head = (text.splitlines() or [""])[0].partition(": ")[2].strip()
    whole = _TOLD.match(head)
    if whole is not None:
        return told_of(head).values[0]
    match = re.match(r"(?P<number>-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?: (?P<unit>\S.*))?$", head)
    if match is None:
        raise Stuck(f"the statistic cannot be read: {plain(text)}")
    return Value(float(match["number"]), match["unit"] or "", "", None, "", "")
