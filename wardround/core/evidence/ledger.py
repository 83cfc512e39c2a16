"""What the items of a graph add up to, kept current: an added item costs what it touches and no more.

A reading touches its observation, the observation touches its group, the group touches the scores of the
hypotheses that it bears on. Sums are in fixed point, so the order in which items came leaves no trace.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from wardround.core.evidence.bearings import Bearings
from wardround.core.evidence.provenance import Origins
from wardround.core.evidence.readings import Readings, says_present
from wardround.core.evidence.sparse import UNIT, Indices, cells
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


@dataclass(frozen=True)
class Term:
    """One group: what it adds to each hypothesis that it bears on, in fixed point, shape (n,)."""

    hypotheses: Indices
    rising: Indices
    falling: Indices
    effective: Indices


class Ledger:
    """The sums behind one graph; `absorb` adds items, everything else reads."""

    def __init__(self) -> None:
        self.absorbed = 0
        """How many items it holds."""
        self.sources: dict[str, Source] = {}
        self.candidates: tuple[Candidate, ...] = ()
        self.witnesses: dict[str, tuple[Finding, ...]] = {}
        """Independent readings by code, never empty."""
        self.rows: dict[str, Row] = {}
        """Observations that have been read and of which something is known."""
        self.terms: dict[str, Term] = {}
        self.origins = Origins()
        self.bearings = Bearings()
        self.readings = Readings(self.sources, self.origins)
        self._findings: dict[str, list[Finding]] = defaultdict(list)
        self._codes_in: dict[str, set[str]] = defaultdict(set)
        self._members: dict[str, set[str]] = defaultdict(set)
        self._group: dict[str, str] = {}
        self._touched: set[str] = set()
        self._sums = np.zeros((3, 0), dtype=np.int64)

    def absorb(self, items: Iterable[Item]) -> None:
        """Take in items and bring the sums up to date."""
        for item in items:
            self._take(item)
            self.absorbed += 1
        self._touched |= {code for source in self.origins.update() for code in self._codes_in[source]}
        self._touched |= self.bearings.update()
        touched, self._touched = self._touched, set()
        self._reread(touched)
        self._regroup(touched)

    def _take(self, item: Item) -> None:
        match item:
            case SourceItem():
                if item.source.id not in self.sources:
                    self.sources[item.source.id] = item.source
                    self.origins.add_source(item.source)
                    self._touched |= self._codes_in[item.source.id]
            case ReadingItem():
                self._take_reading(item.finding)
            case BearingItem() | WeightItem():
                self.bearings.add(item)
            case CandidatesItem():
                if not self.candidates:
                    self.candidates = item.candidates
                    self._sums = np.zeros((3, len(item.candidates)), dtype=np.int64)
                    self.bearings.hypotheses(item.candidates)
            case ProvenanceItem():
                if item.kind is Provenance.REFINES:
                    self.bearings.refine(item.tail, item.head)
                else:
                    self.origins.add_edge(item)
            case _:
                pass

    def _take_reading(self, finding: Finding) -> None:
        if finding.source is None or says_present(finding) is None:
            return
        self._findings[finding.code].append(finding)
        self._codes_in[finding.source].add(finding.code)
        self._touched.add(finding.code)

    def _reread(self, touched: Iterable[str]) -> None:
        for code in touched:
            known = [f for f in self._findings.get(code, ()) if f.source in self.sources]
            if known:
                self.witnesses[code] = self.readings.witnesses(known)

    def _regroup(self, touched: set[str]) -> None:
        """Work out the rows of the touched observations and the terms of the groups they are and were in."""
        codes = sorted(code for code in touched if code in self.witnesses and self.bearings.known(code))
        stale = {self._group[code] for code in codes if code in self._group}
        for code in codes:
            group = self.bearings.group(code)
            if code in self._group:
                self._members[self._group[code]].discard(code)
            self._group[code] = group
            self._members[group].add(code)
            stale.add(group)
        self.rows.update(self._weighed(codes))
        self._retotal(sorted(stale))

    def _weighed(self, codes: list[str]) -> dict[str, Row]:
        if not codes:
            return {}
        readings = np.array([self.readings.weight(self.witnesses[code]) for code in codes])
        background = np.array([self.bearings.background(code) for code in codes])
        edges = [self.bearings.edges(code) for code in codes]
        counts = np.array([len(of_code) for of_code in edges])
        hypotheses = np.array([j for of_code in edges for j, _ in of_code], dtype=np.int64)
        present = np.array([p for of_code in edges for _, p in of_code], dtype=np.float64)
        ratios = log_ratio(np.repeat(readings, counts), present, np.repeat(background, counts))
        ends = np.cumsum(counts).tolist()
        return {
            code: Row(reading=reading, hypotheses=hypotheses[a:b], ratios=ratios[a:b])
            for code, reading, a, b in zip(codes, readings.tolist(), [0, *ends[:-1]], ends, strict=True)
        }

    def _retotal(self, groups: list[str]) -> None:
        """Take the old terms of groups out of the sums and put the new ones in."""
        self._count([self.terms.pop(group) for group in groups if group in self.terms], -1)
        new = self._terms(groups)
        self.terms.update(new)
        self._count(list(new.values()), 1)

    def _count(self, terms: list[Term], sign: int) -> None:
        if not terms:
            return
        hypotheses = np.concatenate([term.hypotheses for term in terms])
        np.add.at(self._sums[0], hypotheses, sign * np.concatenate([term.rising for term in terms]))
        np.add.at(self._sums[1], hypotheses, sign * np.concatenate([term.falling for term in terms]))
        np.add.at(self._sums[2], hypotheses, sign * np.concatenate([term.effective for term in terms]))

    def _terms(self, groups: list[str]) -> dict[str, Term]:
        members = [(k, self.rows[code]) for k, group in enumerate(groups) for code in sorted(self._members[group])]
        if not members or not self.candidates:
            return {group: _NOTHING for group in groups if self._members[group]}
        counts = np.array([row.ratios.size for _, row in members])
        summed = cells(
            np.repeat(np.array([k for k, _ in members], dtype=np.int64), counts),
            np.concatenate([row.hypotheses for _, row in members]),
            np.concatenate([row.ratios for _, row in members]),
            np.repeat(np.tanh(np.abs([row.reading for _, row in members]) / 2.0), counts),
            len(self.candidates),
        )
        limits = np.searchsorted(summed.group, np.arange(len(groups) + 1)).tolist()
        return {
            group: Term(summed.hypothesis[a:b], summed.rising[a:b], summed.falling[a:b], summed.effective[a:b])
            for group, a, b in zip(groups, limits[:-1], limits[1:], strict=True)
            if self._members[group]
        }

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


_NONE = np.zeros(0, dtype=np.int64)
_NOTHING = Term(_NONE, _NONE, _NONE, _NONE)
