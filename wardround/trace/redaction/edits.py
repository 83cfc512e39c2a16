"""What a redaction changes in a text, and what it says of it: classes and numbers, never values."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from wardround.trace.redaction.classes import Identifier

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class Edit:
    """A stretch of a text that is an identifier."""

    start: int
    end: int
    category: Identifier
    replacement: str | None
    """What stands there afterwards; nothing where it is left, being a clinical or plain word that looks like one."""


class Redactor(Protocol):
    """Finds identifiers in free text."""

    def edits(self, text: str) -> Sequence[Edit]:
        """Return what to replace, and what looks like an identifier but is left; in any order, overlaps allowed."""
        ...


@dataclass(frozen=True)
class Report:
    """How much was done, by class and by element."""

    replaced: Counter[Identifier] = field(default_factory=Counter)
    spared: Counter[Identifier] = field(default_factory=Counter)
    """Words left although they could be identifiers: eponyms, months, plain words. Worth a look by a person."""
    removed: Counter[str] = field(default_factory=Counter)
    """Elements taken out whole, by path, such as `Patient.photo`."""

    def __add__(self, other: Report) -> Report:
        """Return both together."""
        return Report(
            self.replaced + other.replaced,
            self.spared + other.spared,
            self.removed + other.removed,
        )

    def to_json(self) -> dict[str, dict[str, int]]:
        """Return the numbers as plain JSON values."""
        return {
            "replaced": {str(k): n for k, n in sorted(self.replaced.items())},
            "spared": {str(k): n for k, n in sorted(self.spared.items())},
            "removed": dict(sorted(self.removed.items())),
        }


@dataclass(frozen=True)
class Redacted(Generic[T_co]):
    """Something with its identifiers taken out, and how much that was."""

    value: T_co
    report: Report


class Moves:
    """Where places of a text are after its edits."""

    def __init__(self, edits: Sequence[Edit]) -> None:
        self._edits = [edit for edit in edits if edit.replacement is not None]
        self._starts = [edit.start for edit in self._edits]

    def start(self, at: int) -> int:
        """Return where a stretch that began at a place begins now; inside a replacement, at its beginning."""
        edit, shift = self._before(at)
        if edit is not None and at < edit.end:
            return edit.start + shift
        return at + shift + (_growth(edit) if edit is not None else 0)

    def end(self, at: int) -> int:
        """Return where a stretch that ended at a place ends now; inside a replacement, at its end."""
        edit, shift = self._before(at - 1)
        if edit is not None and at <= edit.end:
            return edit.start + shift + len(edit.replacement or "")
        return at + shift + (_growth(edit) if edit is not None else 0)

    def _before(self, at: int) -> tuple[Edit | None, int]:
        """The last edit that begins at or before a place, and by how much the ones before it moved things."""
        index = bisect_right(self._starts, at) - 1
        shift = sum(_growth(edit) for edit in self._edits[: max(index, 0)])
        return (self._edits[index] if index >= 0 else None), shift


def _growth(edit: Edit) -> int:
    return len(edit.replacement or "") - (edit.end - edit.start)


def settled(edits: Iterable[Edit]) -> list[Edit]:
    """Return edits in order without overlaps.

    What overlaps becomes one edit over both stretches, with the class and replacement of the longer one: no end of
    an identifier may be left standing. A stretch that is left gives way to any that is replaced.
    """
    found: list[Edit] = []
    for edit in sorted(edits, key=lambda e: (e.replacement is None, e.start, -e.end)):
        if edit.replacement is None:
            if not any(e.start < edit.end and edit.start < e.end for e in found):
                found.append(edit)
        elif found and edit.start < found[-1].end:
            found[-1] = _joined(found[-1], edit)
        else:
            found.append(edit)
    return sorted(found, key=lambda e: e.start)


def _joined(first: Edit, second: Edit) -> Edit:
    longer = first if first.end - first.start >= second.end - second.start else second
    return Edit(first.start, max(first.end, second.end), longer.category, longer.replacement)


def applied(text: str, edits: Sequence[Edit]) -> str:
    """Return the text after settled edits."""
    parts, at = [], 0
    for edit in edits:
        if edit.replacement is not None:
            parts += [text[at : edit.start], edit.replacement]
            at = edit.end
    return "".join([*parts, text[at:]])


def counted(edits: Iterable[Edit]) -> Report:
    """Return the numbers of edits by class."""
    report = Report()
    for edit in edits:
        (report.spared if edit.replacement is None else report.replaced)[edit.category] += 1
    return report


def redact_text(text: str, redactors: Sequence[Redactor]) -> Redacted[str]:
    """Return a text with what any of the redactors finds taken out.

    >>> redact_text("no identifiers here", ())
    Redacted(value='no identifiers here', report=Report(replaced=Counter(), spared=Counter(), removed=Counter()))
    """
    edits = settled(edit for redactor in redactors for edit in redactor.edits(text))
    return Redacted(applied(text, edits), counted(edits))
