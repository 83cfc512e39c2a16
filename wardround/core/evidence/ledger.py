"""What the items of a graph add up to, kept current: an added item costs what it touches and no more.

A reading touches its observation, the observation touches its group, the group touches the scores of the
hypotheses that it bears on. Sums are in fixed point, so the order in which items came leaves no trace. What came
together is worked out together, in columns.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from wardround.core.evidence.bearings import Bearings, Edges
from wardround.core.evidence.pieces import Pieces
from wardround.core.evidence.provenance import Origin, Origins
from wardround.core.evidence.readings import Readings, Witnesses, says_present
from wardround.core.evidence.sparse import UNIT, Cells, Indices, cells
from wardround.core.finding import Finding
from wardround.core.items import (
    BearingItem,
    Candidate,
    CandidatesItem,
    Item,
    Provenance,
    ProvenanceItem,
    ReadingItem,
    SourceItem,
    WeightItem,
)
from wardround.core.source import Source
from wardround.core.weighing import Array, log_ratio


@dataclass(frozen=True)
class Row:
    """One observation: who read it and what that says of the hypotheses it bears on."""

    reading: float
    """Summed log evidence of its witnesses."""
    hypotheses: Indices
    ratios: Array
    """Log likelihood ratios, shape (n_edges,)."""


class Term(NamedTuple):
    """One group: what it adds to each hypothesis that it bears on, in fixed point, shape (n,)."""

    hypotheses: Indices
    rising: Indices
    falling: Indices
    effective: Indices


@dataclass(frozen=True)
class _Arrived:
    """Items that bear weight, by kind, those of a kind in the order in which they came."""

    sources: list[SourceItem]
    readings: list[ReadingItem]
    bearings: list[BearingItem]
    weights: list[WeightItem]
    candidates: list[CandidatesItem]
    provenance: list[ProvenanceItem]

    @classmethod
    def of(cls, items: Iterable[Item]) -> Self:
        # By type and not by `item.item`, which would fetch the fields of every item from memory once more.
        types: dict[type[Item], list[Any]] = defaultdict(list)
        for item in items:
            types[type(item)].append(item)
        kinds: dict[str, list[Any]] = defaultdict(list)
        for found in types.values():
            kinds[found[0].item] += found
        names = ("source", "reading", "bearing", "weight", "candidates", "provenance")
        return cls(*(kinds[name] for name in names))


@dataclass(frozen=True)
class _Fresh:
    """Observations that were just weighed."""

    codes: list[str]
    readings: Array
    edges: Edges
    ratios: Array


class Ledger:
    """The sums behind one graph; `absorb` adds items, everything else reads."""

    def __init__(self) -> None:
        self.absorbed = 0
        """How many items it holds."""
        self.sources: dict[str, Source] = {}
        self.candidates: tuple[Candidate, ...] = ()
        self.reading: dict[str, float] = {}
        """Summed log evidence of the witnesses of each row."""
        self.rows: Pieces[Row] = Pieces(lambda code, *columns: Row(self.reading[code], *columns))
        """Observations that have been read and of which something is known."""
        self.terms: Pieces[Term] = Pieces(lambda _, *columns: Term(*columns))
        self.bearings = Bearings()
        self._origins = Origins()
        self._moved: dict[str, Origin] = {}
        self.readings = Readings(self.sources, self._moved)
        self.witnesses = Witnesses(self.readings)
        self._members: dict[str, set[str]] = defaultdict(set)
        self._group: dict[str, str] = {}
        self._touched: dict[str, None] = {}
        """In the order in which they came, which is how they lie in memory: several times as fast to walk as a set."""
        self._sums = np.zeros((3, 0), dtype=np.int64)
        self._is_filed = False
        self._codes_in: dict[str, set[str]] = defaultdict(set)
        self._waiting: dict[str, list[Finding]] = defaultdict(list)
        """Readings by the id of a source that has not come yet."""

    def absorb(self, items: Sequence[Item]) -> None:
        """Take in items and bring the sums up to date."""
        arrived = _Arrived.of(items)
        self.absorbed += len(items)
        if arrived.candidates and not self.candidates:
            self.candidates = arrived.candidates[0].candidates
            self._sums = np.zeros((3, len(self.candidates)), dtype=np.int64)
            self.bearings.hypotheses(self.candidates)
        self.bearings.state(arrived.bearings)
        self.bearings.weigh(arrived.weights)
        self._take_sources([item.source for item in arrived.sources])
        self._take_readings([item.finding for item in arrived.readings])
        self._take_links(arrived.provenance)
        self._touched.update(self.bearings.update())
        touched, self._touched = self._touched, {}
        self._reread(touched)
        self._regroup(touched)

    def _touch(self, codes: Iterable[str]) -> None:
        self._touched.update(dict.fromkeys(codes))

    def _take_sources(self, sources: list[Source]) -> None:
        for source in sources:
            name = source.id
            if self.sources.setdefault(name, source) is not source:
                continue
            if self._is_filed:
                self._origins.add_source(source)
            if name in self._waiting:
                self._hold(self._waiting.pop(name))

    def _take_readings(self, findings: list[Finding]) -> None:
        known: list[Finding] = []
        for finding in findings:
            source = finding.source
            if source is not None and says_present(finding) is not None:
                (known if source in self.sources else self._waiting[source]).append(finding)
        self._hold(known)

    def _hold(self, findings: list[Finding]) -> None:
        self._touch(self.witnesses.add(findings))
        if self._is_filed:
            self._file(findings)

    def _take_links(self, links: list[ProvenanceItem]) -> None:
        for link in links:
            if link.kind is Provenance.REFINES:
                self.bearings.refine(link.tail, link.head)
            else:
                self.origins.add_edge(link)
        if self._is_filed:
            moved = self._origins.update()
            self._moved.update({source: self._origins[source] for source in moved})
            self._touch(code for source in moved for code in self._codes_in.get(source, ()))

    @property
    def origins(self) -> Origins:
        """The origin of every source; nothing is filed by source before somebody asks, as for the first copy."""
        if not self._is_filed:
            self._is_filed = True
            for source in self.sources.values():
                self._origins.add_source(source)
            self._file(self.witnesses.every())
        return self._origins

    def _file(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            self._codes_in[finding.source or ""].add(finding.code)

    def _reread(self, touched: Iterable[str]) -> None:
        self.witnesses.choose(touched)

    def _regroup(self, touched: Iterable[str]) -> None:
        """Work out the rows of the touched observations and the terms of the groups they are and were in."""
        codes = sorted(self.bearings.among(self.witnesses.among(touched)))
        if codes:
            fresh = self._weighed(codes)
            self._retotal(self._enrol(codes, fresh.edges.groups), fresh)

    def _enrol(self, codes: list[str], groups: list[str]) -> list[str]:
        """Put observations into their groups, and return the groups that they are and were in, in order."""
        stale = set(groups)
        for code in self._group.keys() & codes:
            before = self._group[code]
            self._members[before].discard(code)
            stale.add(before)
        for code, group in zip(codes, groups, strict=True):
            self._members[group].add(code)
        self._group.update(zip(codes, groups, strict=True))
        return sorted(stale)

    def _weighed(self, codes: list[str]) -> _Fresh:
        readings = self.readings.weights(*self.witnesses.column(codes))
        edges = self.bearings.edges(codes)
        ratios = log_ratio(np.repeat(readings, edges.counts), edges.present, np.repeat(edges.background, edges.counts))
        self.reading.update(zip(codes, readings.tolist(), strict=True))
        self.rows.put(codes, edges.counts, edges.hypotheses, ratios)
        return _Fresh(codes, readings, edges, ratios)

    def _retotal(self, groups: list[str], fresh: _Fresh) -> None:
        """Take the old terms of groups out of the sums and put the new ones in."""
        old = [self.terms[group] for group in groups if group in self.terms]
        if old:
            self._count(-1, Term(*map(np.concatenate, zip(*old, strict=True))))
        summed = self._terms(groups, fresh)
        new = Term(summed.hypothesis, summed.rising, summed.falling, summed.effective)
        self._count(1, new)
        self.terms.put(groups, np.bincount(summed.group, minlength=len(groups)), *new)
        for group in groups:
            if not self._members[group]:
                del self.terms[group]

    def _count(self, sign: int, term: Term) -> None:
        for sums, steps in zip(self._sums, (term.rising, term.falling, term.effective), strict=True):
            np.add.at(sums, term.hypotheses, sign * steps)

    def _terms(self, groups: list[str], fresh: _Fresh) -> Cells:
        """Discount the edges of groups, which are numbered as they stand."""
        number, codes = {group: k for k, group in enumerate(groups)}, set(fresh.codes)
        fresh_in = Counter(fresh.edges.groups)
        rest = [
            (number[group], self.rows[code])
            for group in groups
            if len(self._members[group]) > fresh_in[group]
            for code in self._members[group] - codes
        ]
        group = np.array([*(number[group] for group in fresh.edges.groups), *(k for k, _ in rest)], dtype=np.int64)
        counts = np.append(fresh.edges.counts, [row.ratios.size for _, row in rest]).astype(np.int64)
        readings = np.append(fresh.readings, [row.reading for _, row in rest])
        return cells(
            np.repeat(group, counts),
            np.concatenate([fresh.edges.hypotheses, *(row.hypotheses for _, row in rest)]),
            np.concatenate([fresh.ratios, *(row.ratios for _, row in rest)]),
            np.repeat(np.tanh(np.abs(readings) / 2.0), counts),
            len(self.candidates),
        )

    def members(self, group: str) -> tuple[str, ...]:
        """Return the codes of the observations of a group, in order."""
        return tuple(sorted(self._members.get(group, ())))

    @property
    def rising(self) -> Array:
        """Summed evidence for each hypothesis, in nats, shape (n_hypotheses,)."""
        return _nats(self._sums[0])

    @property
    def falling(self) -> Array:
        """Summed evidence against each hypothesis, at most 0."""
        return _nats(self._sums[1])

    @property
    def total(self) -> Array:
        """Net evidence for each hypothesis."""
        return _nats(self._sums[0] + self._sums[1])

    @property
    def effective(self) -> Array:
        """Effective number of reliable observations that bear on each hypothesis."""
        return _nats(self._sums[2])


def _nats(steps: Indices) -> Array:
    nats: Array = steps / UNIT
    return nats
