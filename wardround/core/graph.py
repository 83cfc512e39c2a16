"""The evidence graph: what was read where, what it says of which hypothesis, and who claimed what.

Sources are read, readings make observations, observations bear on hypotheses; claims cite sources.
Only the first three carry weight. The graph is a set of items: the order in which they were added,
and how often, changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import networkx as nx
import numpy as np

from wardround.core.claim import Claim, Verdict
from wardround.core.differential import Differential, Hypothesis
from wardround.core.errors import UsageError
from wardround.core.finding import Assertion, Finding, Presence
from wardround.core.items import (
    ITEM,
    BearingItem,
    Candidate,
    CandidatesItem,
    ClaimItem,
    Item,
    ReadingItem,
    SourceItem,
    VerdictItem,
    item_id,
)
from wardround.core.source import Source
from wardround.core.weighing import Evidence, Weighed, band, reading_weight, weigh

POSSIBLE_SHARE = 0.5
"""A finding called possible counts as present with this share of its source's reliability."""


@dataclass(frozen=True)
class Weight:
    """What one observation says of one hypothesis, and where it was read."""

    code: str
    name: str
    presence: Presence
    llr: float
    """Log likelihood ratio before the discount of its group."""
    group: str
    sources: tuple[Source, ...]
    citation: str | None
    """Publication of the likelihood, or nothing where it is graded."""


@dataclass(frozen=True)
class Explanation:
    """What speaks for and against a hypothesis, strongest first."""

    hypothesis: Hypothesis
    supporting: tuple[Weight, ...]
    opposing: tuple[Weight, ...]

    def __str__(self) -> str:
        """Return one line per weight, with the words it was read in."""
        lines = [f"{self.hypothesis.name}: probability {self.hypothesis.probability:.1%}"]
        for heading, weights in (("for", self.supporting), ("against", self.opposing)):
            for weight in weights:
                said = "; ".join(f'"{s.text.strip()}" [{s.title or s.id}]' for s in weight.sources)
                state = "" if weight.presence is Presence.PRESENT else f" {weight.presence.value}"
                lines.append(f"  {heading} {weight.llr:+.2f} {weight.name}{state}: {said}")
        return "\n".join(lines)


class EvidenceGraph:
    """An immutable evidence graph; `with_items` makes a larger one."""

    def __init__(self, items: Iterable[Item] = ()) -> None:
        self._items: dict[str, Item] = {}
        for item in items:
            self._items.setdefault(item_id(item), item)

    def with_items(self, items: Iterable[Item]) -> EvidenceGraph:
        """Return a graph that holds these items as well; those it holds already change nothing."""
        return EvidenceGraph((*self._items.values(), *items))

    def without_document(self, document: str) -> EvidenceGraph:
        """Return the graph as if a document had never been read."""
        gone = {source.id for source in self.sources.values() if source.document == document}
        return EvidenceGraph(
            item
            for item in self._items.values()
            if not (isinstance(item, SourceItem) and item.source.id in gone)
            and not (isinstance(item, ReadingItem) and item.finding.source in gone)
        )

    @property
    def items(self) -> tuple[Item, ...]:
        """All items, in the order in which they came."""
        return tuple(self._items.values())

    def __eq__(self, other: object) -> bool:
        """Two graphs are equal when they hold the same items."""
        return isinstance(other, EvidenceGraph) and self._items.keys() == other._items.keys()

    def __hash__(self) -> int:
        return hash(frozenset(self._items))

    @cached_property
    def sources(self) -> Mapping[str, Source]:
        """Sources by id."""
        return {i.source.id: i.source for i in self._items.values() if isinstance(i, SourceItem)}

    @cached_property
    def claims(self) -> Mapping[str, Claim]:
        """Claims by id."""
        return {i.claim.id: i.claim for i in self._items.values() if isinstance(i, ClaimItem)}

    @cached_property
    def verdicts(self) -> Mapping[str, Verdict]:
        """Verdicts by the id of the claim they judge."""
        return {i.verdict.claim: i.verdict for i in self._items.values() if isinstance(i, VerdictItem)}

    @cached_property
    def candidates(self) -> tuple[Candidate, ...]:
        """The hypotheses with their priors."""
        return next((i.candidates for i in self._items.values() if isinstance(i, CandidatesItem)), ())

    @cached_property
    def readings(self) -> Mapping[str, tuple[Finding, ...]]:
        """Readings that bear weight, by finding code; copies within one document are one reading."""
        strongest: dict[str, dict[tuple[str, bool], Finding]] = {}
        for item in self._items.values():
            if not isinstance(item, ReadingItem):
                continue
            finding = item.finding
            witness = self._witness(finding)
            if witness is None:
                continue
            of_code = strongest.setdefault(finding.code, {})
            held = of_code.get(witness)
            if held is None or self._strength(finding) > self._strength(held):
                of_code[witness] = finding
        return {
            code: tuple(of_code[witness] for witness in sorted(of_code)) for code, of_code in sorted(strongest.items())
        }

    def _strength(self, finding: Finding) -> tuple[float, int, str]:
        start = self.sources[finding.source or ""].start
        return self.reliability(finding), -(start or 0), finding.id

    def _witness(self, finding: Finding) -> tuple[str, bool] | None:
        source = self.sources.get(finding.source or "")
        if source is None:
            return None
        if finding.assertion in (Assertion.PRESENT, Assertion.POSSIBLE):
            return source.document, True
        return (source.document, False) if finding.assertion is Assertion.ABSENT else None

    def reliability(self, finding: Finding) -> float:
        """Return how far a reading is trusted: its source's reliability, less where it says possible."""
        source = self.sources.get(finding.source or "")
        trust = source.reliability if source is not None else 0.0
        return trust * POSSIBLE_SHARE if finding.assertion is Assertion.POSSIBLE else trust

    @cached_property
    def bearings(self) -> tuple[BearingItem, ...]:
        """What is known of the observations that have been read, by code."""
        known = {i.code: i for i in self._items.values() if isinstance(i, BearingItem)}
        return tuple(known[code] for code in sorted(known) if code in self.readings)

    @cached_property
    def contested(self) -> tuple[str, ...]:
        """Codes that one reading says are present and another absent."""
        return tuple(
            sorted(
                code
                for code, readings in self.readings.items()
                if len({f.assertion is Assertion.ABSENT for f in readings}) == 2
            )
        )

    @cached_property
    def evidence(self) -> Evidence:
        """The graph as arrays, observations in order of code, hypotheses in order of id."""
        if not self.candidates:
            raise UsageError("the evidence graph has no hypotheses; add a CandidatesItem first")
        order = {candidate.id: j for j, candidate in enumerate(self.candidates)}
        groups = {name: k for k, name in enumerate(self.groups)}
        present = np.empty((len(self.bearings), len(order)))
        reading = np.zeros(len(self.bearings))
        for i, bearing in enumerate(self.bearings):
            present[i] = bearing.background
            for hypothesis, p in bearing.present.items():
                if hypothesis in order:
                    present[i, order[hypothesis]] = p
            reading[i] = math.fsum(
                reading_weight(self.reliability(f), present=f.assertion is not Assertion.ABSENT)
                for f in self.readings[bearing.code]
            )
        return Evidence(
            reading=reading,
            present=present,
            background=np.array([b.background for b in self.bearings]),
            group=np.array([groups[b.group] for b in self.bearings], dtype=np.int64),
            prior=np.array([c.prior for c in self.candidates]),
        )

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups that have observations."""
        return tuple(sorted({bearing.group for bearing in self.bearings}))

    @cached_property
    def weighed(self) -> Weighed:
        """Posterior, group terms and effective counts."""
        return weigh(self.evidence)

    @cached_property
    def differential(self) -> Differential:
        """Posterior over the hypotheses, most probable first, ties by id."""
        p = self.weighed.posterior
        order = sorted(range(len(self.candidates)), key=lambda j: (-p[j], self.candidates[j].id))
        hypotheses = tuple(self._hypothesis(j) for j in order)
        total = sum(h.probability for h in hypotheses)
        return Differential(hypotheses=hypotheses, other=min(1.0, max(0.0, 1.0 - total)))

    def _hypothesis(self, j: int) -> Hypothesis:
        candidate = self.candidates[j]
        probability = float(self.weighed.posterior[j])
        return Hypothesis(id=candidate.id, name=candidate.name, icd10=candidate.icd10, probability=probability)

    def find(self, hypothesis: str) -> Hypothesis:
        """Return a hypothesis by id, name or ICD-10 code.

        Raises:
            UsageError: There is none; the message names near ones.
        """
        return self._hypothesis(self._index(hypothesis))

    def _index(self, hypothesis: str) -> int:
        wanted = hypothesis.strip().lower()
        for j, c in enumerate(self.candidates):
            if wanted and wanted in (c.id.lower(), c.name.lower(), (c.icd10 or "").lower()):
                return j
        near = [c.name for c in self.candidates if wanted[:4] and wanted[:4] in c.name.lower()][:5]
        raise UsageError(f"no hypothesis {hypothesis!r} in this graph; near: {', '.join(near) or 'none'}")

    def why(self, hypothesis: str) -> Explanation:
        """Return what speaks for and against a hypothesis, each with its source."""
        j = self._index(hypothesis)
        weights = [self._weight(i, j) for i in range(len(self.bearings))]
        weights.sort(key=lambda w: (-abs(w.llr), w.code))
        return Explanation(
            hypothesis=self._hypothesis(j),
            supporting=tuple(w for w in weights if w.llr > 1e-9),
            opposing=tuple(w for w in weights if w.llr < -1e-9),
        )

    def _weight(self, i: int, j: int) -> Weight:
        bearing = self.bearings[i]
        readings = self.readings[bearing.code]
        reading = float(self.evidence.reading[i])
        return Weight(
            code=bearing.code,
            name=bearing.name,
            presence=Presence.PRESENT if reading > 0 else Presence.ABSENT if reading < 0 else Presence.UNKNOWN,
            llr=float(self.weighed.ratios[i, j]),
            group=bearing.group,
            sources=tuple(
                sorted(
                    (self.sources[f.source] for f in readings if f.source is not None),
                    key=lambda source: (source.start is None, source.document),
                )
            ),
            citation=bearing.cited.get(self.candidates[j].id),
        )

    def vacuity(self, hypothesis: str) -> float:
        """Return how little is known about a hypothesis, in (0, 1]."""
        return float(self.weighed.vacuity[self._index(hypothesis)])

    def conflict(self, hypothesis: str) -> float:
        """Return the balance of evidence for and against a hypothesis, in [0, 1]."""
        return float(self.weighed.conflict[self._index(hypothesis)])

    def interval(self, hypothesis: str) -> tuple[float, float]:
        """Return the 5 % to 95 % band of a hypothesis; a point for one far from leading."""
        j = self._index(hypothesis)
        chosen, quantiles = self._band
        where = np.flatnonzero(chosen == j)
        if where.size == 0:
            p = float(self.weighed.posterior[j])
            return p, p
        low, high = quantiles[:, where[0]]
        return float(low), float(high)

    @cached_property
    def _band(self) -> tuple[Any, Any]:
        readings = [
            [(self.reliability(f), f.assertion is not Assertion.ABSENT) for f in self.readings[b.code]]
            for b in self.bearings
        ]
        cited = [[c.id in b.cited for c in self.candidates] for b in self.bearings]
        graded = ~np.array(cited, dtype=np.bool_).reshape(len(self.bearings), len(self.candidates))
        return band(self.evidence, readings, graded)

    def pivotal_groups(self) -> tuple[str, ...]:
        """Return the groups without which another diagnosis would lead, on reliable ground or not."""
        weighed = self.weighed
        score = np.log(self.evidence.prior) + weighed.terms.sum(axis=0)
        without = score[None, :] - weighed.terms
        return tuple(self.groups[k] for k in range(len(self.groups)) if int(without[k].argmax()) != int(score.argmax()))

    def group_reliability(self, group: str) -> float:
        """Return the best reliability among a group's observations, contradictions counted."""
        values = [
            float(np.tanh(abs(self.evidence.reading[i]) / 2.0))
            for i, bearing in enumerate(self.bearings)
            if bearing.group == group
        ]
        return max(values, default=0.0)

    def unexplained(self, hypothesis: str) -> tuple[str, ...]:
        """Return the codes of present findings that a hypothesis makes no more likely than background."""
        j = self._index(hypothesis)
        return tuple(
            bearing.code
            for i, bearing in enumerate(self.bearings)
            if self.evidence.reading[i] > 0 and self.weighed.ratios[i, j] <= 1e-9
        )

    def to_networkx(self) -> nx.MultiDiGraph[str]:
        """Return the graph with `kind`, `label` and, on weight edges, `llr`; for drawing and export."""
        graph: nx.MultiDiGraph[str] = nx.MultiDiGraph()
        for source in self.sources.values():
            graph.add_node(source.id, kind="source", label=source.title or source.text)
        for i, bearing in enumerate(self.bearings):
            graph.add_node(bearing.code, kind="observation", label=bearing.name)
            for finding in self.readings[bearing.code]:
                graph.add_edge(finding.source or "", bearing.code, kind="reads", assertion=finding.assertion.value)
            for j, candidate in enumerate(self.candidates):
                llr = float(self.weighed.ratios[i, j])
                if abs(llr) > 1e-9:
                    graph.add_node(candidate.id, kind="hypothesis", label=candidate.name)
                    kind = "supports" if llr > 0 else "contradicts"
                    graph.add_edge(bearing.code, candidate.id, kind=kind, llr=llr, group=bearing.group)
        for claim in self.claims.values():
            graph.add_node(claim.id, kind="claim", label=claim.text)
            for cited in claim.cites:
                if cited not in graph:
                    graph.add_node(cited, kind="unknown", label=cited)
                graph.add_edge(claim.id, cited, kind="cites")
        return graph

    def to_json(self) -> list[dict[str, Any]]:
        """Return all items as plain JSON values."""
        return [ITEM.dump_python(item, mode="json") for item in self._items.values()]

    @classmethod
    def from_json(cls, items: Iterable[Mapping[str, Any]]) -> EvidenceGraph:
        """Rebuild a graph from `to_json`."""
        return cls(ITEM.validate_python(item) for item in items)
