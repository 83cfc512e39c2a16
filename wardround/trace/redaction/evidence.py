"""The evidence of a log with its identifiers taken out: other words, the same links, the same weights.

Sources, readings and claims are named by their content, so that other words give other names. Everything that refers
to one of them is led to its new name, and no two that were apart fall together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from wardround.core.claim import Claim, Verdict
from wardround.core.finding import Finding
from wardround.core.items import (
    ClaimItem,
    Item,
    ProvenanceItem,
    ReadingItem,
    SourceItem,
    VerdictItem,
)
from wardround.core.source import LITERATURE, Source
from wardround.trace.redaction.edits import Edit, Moves, Report, applied, counted

T = TypeVar("T")


class Words(Protocol):
    """What is needed of whoever redacts the words."""

    def edits(self, text: str) -> Sequence[Edit]:
        """Return the settled edits of a text."""
        ...

    def named(self, text: str, report: Report) -> str:
        """Return a short text, such as a title or the name of a document, without identifiers."""
        ...

    def renamed(self, text: str) -> str:
        """Return a text in which names of evidence are the new ones."""
        ...

    def moved(self, moment: datetime | None) -> datetime | None:
        """Return a moment moved."""
        ...


class EvidenceRedactor:
    """Redacts the items of one log."""

    def __init__(self, words: Words, items: Iterable[Item], report: Report, names: dict[str, str]) -> None:
        """Go through all items, in any order.

        Args:
            words: Redacts texts.
            items: Of one log.
            report: Is added to, each distinct item once.
            names: Is filled with the new names of sources, readings and claims.
        """
        self.names = names
        self._words, self._report = words, report
        self._done: dict[str, Item] = {}
        self._moves: dict[str, Moves] = {}
        every = list(items)
        sources = [item.source for item in every if isinstance(item, SourceItem)]
        self._growth = _Growth(sources, words)
        self._taken: set[str] = set()
        for source in sources:
            self._once(source.id, source, self._source)
        for item in every:
            if isinstance(item, ReadingItem):
                self._once(item.finding.id, item.finding, self.finding)
            elif isinstance(item, ClaimItem):
                self._once(item.claim.id, item.claim, self._claim)

    def _once(self, name: str, value: T, redact: Callable[[T], Source | Finding | Claim]) -> None:
        if name in self.names:
            return
        there = redact(value)
        n = 2
        while there.id in self._taken:  # two that differed by an identifier alone
            there, n = _told_apart(redact(value), n), n + 1
        self._taken.add(there.id)
        self.names[name] = there.id
        match there:
            case Source():
                self._done[name] = SourceItem(source=there)
            case Finding():
                self._done[name] = ReadingItem(finding=there)
            case Claim():
                self._done[name] = ClaimItem(claim=there)

    def item(self, item: Item) -> Item:
        """Return an item redacted; what the knowledge says is about nobody and stays."""
        match item:
            case SourceItem():
                return self._done[item.source.id]
            case ReadingItem():
                return self._done[item.finding.id]
            case ClaimItem():
                return self._done[item.claim.id]
            case VerdictItem():
                return VerdictItem(verdict=self._verdict(item.verdict))
            case ProvenanceItem():
                return item.model_copy(update={"tail": self._place(item.tail), "head": self._place(item.head)})
            case _:
                return item

    def _place(self, name: str) -> str:
        return self.names.get(name) or self._words.named(name, Report())

    def _source(self, source: Source) -> Source:
        if source.kind in LITERATURE:
            return source
        edits = self._words.edits(source.text)
        self._report.replaced.update(counted(edits).replaced)
        self._report.spared.update(counted(edits).spared)
        self._moves[source.id] = Moves(edits)
        return source.model_copy(
            update={
                "text": self._words.renamed(applied(source.text, edits)),
                "document": self._words.named(source.document, self._report),
                "title": self._words.named(source.title, self._report),
                "start": self._growth.moved(source),
                "time": self._words.moved(source.time),
            }
        )

    def finding(self, finding: Finding) -> Finding:
        """Return a reading whose source, place in it and time are those of the redacted log."""
        moves = self._moves.get(finding.source or "")
        span = finding.span
        if span is not None and moves is not None:
            span = (moves.start(span[0]), moves.end(span[1]))
        return finding.model_copy(
            update={
                "source": self.names.get(finding.source or "", finding.source),
                "span": span,
                "time": self._words.moved(finding.time),
                "name": self._words.named(finding.name, self._report),
                "site": self._words.named(finding.site, self._report) if finding.site else finding.site,
            }
        )

    def _claim(self, claim: Claim) -> Claim:
        edits = self._words.edits(claim.text)
        self._report.replaced.update(counted(edits).replaced)
        self._report.spared.update(counted(edits).spared)
        return claim.model_copy(
            update={
                "text": self._words.renamed(applied(claim.text, edits)),
                "cites": tuple(self._place(c) for c in claim.cites),
            }
        )

    def _verdict(self, verdict: Verdict) -> Verdict:
        return verdict.model_copy(
            update={
                "claim": self.names.get(verdict.claim, verdict.claim),
                "evidence": tuple(self._place(source) for source in verdict.evidence),
                "reason": self._words.named(verdict.reason, self._report),
            }
        )


def _told_apart(value: Source | Finding | Claim, n: int) -> Source | Finding | Claim:
    match value:
        case Source():
            return value.model_copy(update={"title": f"{value.title} ({n})".strip()})
        case Claim():
            return value.model_copy(update={"text": f"{value.text} ({n})"})
        case Finding():
            moved = value.time + timedelta(microseconds=n) if value.time is not None else None
            return value.model_copy(
                update={"time": moved, "name": f"{value.name} ({n})"} if moved is None else {"time": moved}
            )


class _Growth:
    """By how much the texts before each place of a document have grown."""

    def __init__(self, sources: Iterable[Source], words: Words) -> None:
        self._of: dict[str, dict[int, tuple[int, int]]] = {}
        for source in sources:
            if source.start is not None and source.kind not in LITERATURE:
                grown = len(applied(source.text, words.edits(source.text))) - len(source.text)
                self._of.setdefault(source.document, {})[source.start] = (source.start + len(source.text), grown)

    def moved(self, source: Source) -> int | None:
        """Return where a source begins now."""
        if source.start is None:
            return None
        before = self._of.get(source.document, {}).values()
        return source.start + sum(grown for end, grown in before if end <= source.start)
