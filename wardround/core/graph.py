"""The evidence graph: what was read where, what it says of which hypothesis, and who claimed what.

Sources are read, readings make observations, observations bear on hypotheses; claims cite sources.
Only the first three carry weight. Sources may come from one another, which says who is no witness of
his own. The graph is a set of items: the order in which they were added, and how often, changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import networkx as nx
import numpy as np

from wardround.core.differential import Hypothesis
from wardround.core.errors import UsageError
from wardround.core.evidence.drawable import as_networkx
from wardround.core.evidence.explain import (
    Attribution,
    Dispute,
    Explanation,
    Fragility,
    Opposition,
    Share,
    Weight,
    WhatIf,
)
from wardround.core.evidence.missing import Obtainable, Stand, Telling, tell
from wardround.core.evidence.provenance import Origin
from wardround.core.evidence.readings import POSSIBLE_SHARE
from wardround.core.evidence.sparse import shares
from wardround.core.evidence.weighed import WeighedItems
from wardround.core.finding import Assertion, Finding, Presence
from wardround.core.items import (
    ITEM,
    BearingItem,
    Candidate,
    CandidatesItem,
    ClaimItem,
    ReadingItem,
    SourceItem,
)
from wardround.core.source import Source
from wardround.core.weighing import MAX_GROUP_LLR, Array, band, posterior

__all__ = [
    "POSSIBLE_SHARE",
    "BearingItem",
    "Candidate",
    "CandidatesItem",
    "ClaimItem",
    "EvidenceGraph",
    "Explanation",
    "ReadingItem",
    "SourceItem",
    "Weight",
]

_TELLING = 1e-9
"""A log likelihood ratio nearer to 0 says nothing."""


class EvidenceGraph(WeighedItems):
    """An immutable evidence graph; `with_items` makes a larger one, everything else asks it something."""

    def why(self, hypothesis: str) -> Explanation:
        """Return what speaks for and against a hypothesis, each with its source."""
        j = self._index(hypothesis)
        weights = self._weights(j)
        return Explanation(
            hypothesis=self._hypothesis(j),
            supporting=tuple(w for w in weights if w.llr > 0),
            opposing=tuple(w for w in weights if w.llr < 0),
        )

    def against(self, hypothesis: str) -> Opposition:
        """Return what speaks against a hypothesis, what it leaves unexplained, and what is more probable."""
        j = self._index(hypothesis)
        names = {bearing.code: bearing.name for bearing in self.bearings}
        found = self._hypothesis(j)
        return Opposition(
            hypothesis=found,
            opposing=tuple(w for w in self._weights(j) if w.llr < 0),
            unexplained=tuple(names[code] for code in self.unexplained(hypothesis)),
            rivals=tuple(h for h in self.differential.hypotheses if h.probability > found.probability),
        )

    def _weights(self, j: int) -> list[Weight]:
        """What the observations say of one hypothesis, strongest first."""
        ratios = self.weighed.ratios[:, j]
        weights = [
            self._weight(self.bearings[i], float(ratios[i]), j) for i in np.flatnonzero(np.abs(ratios) > _TELLING)
        ]
        return sorted(weights, key=lambda w: (-abs(w.llr), w.code))

    def _weight(self, bearing: BearingItem, llr: float, j: int) -> Weight:
        reading = self._reading_of[bearing.code]
        return Weight(
            code=bearing.code,
            name=bearing.name,
            presence=Presence.PRESENT if reading > 0 else Presence.ABSENT if reading < 0 else Presence.UNKNOWN,
            llr=llr,
            group=bearing.group,
            sources=self._said_in(self.readings[bearing.code]),
            citation=bearing.cited.get(self.candidates[j].id),
        )

    @cached_property
    def _reading_of(self) -> Mapping[str, float]:
        return self._read(lambda ledger: dict(ledger.reading))

    def _said_in(self, findings: Iterable[Finding]) -> tuple[Source, ...]:
        sources = [self.sources[f.source] for f in findings if f.source is not None]
        return tuple(sorted(sources, key=lambda source: (source.start is None, source.document)))

    def attribution(self, hypothesis: str) -> Attribution:
        """Return the log-odds of a hypothesis as prior, what each observation adds, and what its rivals take."""
        j = self._index(hypothesis)
        prior, p = float(self._prior[j]), float(self.posterior[j])
        start = float(np.log(prior) - np.log1p(-prior))
        total = self._read(lambda ledger: float(ledger.total[j]))
        # The sum of the others and not 1 - p, which has no digits left where p is near 1.
        log_odds = float(np.log(p) - np.log(np.delete(self.posterior, j).sum()))
        found = [share for group in self.groups for share in self._shares(group, j)]
        return Attribution(
            hypothesis=self._hypothesis(j),
            prior=start,
            shares=tuple(sorted(found, key=lambda share: (-abs(share.llr), share.code))),
            rivals=log_odds - start - total,
            log_odds=log_odds,
        )

    def _shares(self, group: str, j: int) -> list[Share]:
        """What each observation of a group counts after the discount, scaled down where the group is limited."""
        rows = [i for i, bearing in enumerate(self.bearings) if bearing.group == group]
        counted = shares(self.weighed.ratios[rows, j])
        total = abs(float(counted.sum()))
        scale = MAX_GROUP_LLR / total if total > MAX_GROUP_LLR else 1.0
        return [
            Share(code=self.bearings[i].code, name=self.bearings[i].name, group=group, llr=float(llr) * scale)
            for i, llr in zip(rows, counted, strict=True)
            if abs(llr) > _TELLING
        ]

    def without(self, names: Iterable[str]) -> EvidenceGraph:
        """Return the graph as if some of its evidence had never been.

        Args:
            names: Ids of sources, findings or claims, names of documents or groups, codes of findings. With a
                source or document goes all that was derived from it.

        Raises:
            UsageError: A name that is none of these.
        """
        wanted = tuple(names)
        places = {*self.sources, *(source.document for source in self.sources.values())}
        findings = {i.finding.id: i.finding.code for i in self.items if isinstance(i, ReadingItem)}
        known = {*places, *findings, *findings.values(), *self.claims, *self.groups}
        for name in wanted:
            if name not in known:
                near = sorted(k for k in known if name[:4].lower() in k.lower())[:5]
                raise UsageError(f"nothing in this graph is called {name!r}; near: {', '.join(near) or 'none'}")
        gone = self._read(lambda ledger: ledger.origins.descendants(places.intersection(wanted)))
        codes = self._read(lambda ledger: {code for name in wanted for code in ledger.members(name)})
        return self._filtered(gone, {*wanted, *codes})

    def what_if(self, without: Sequence[str]) -> WhatIf:
        """Return how the differential would look without some of the evidence; see `without` for the names."""
        return WhatIf(without=tuple(without), before=self.differential, after=self.without(without).differential)

    def missing(self, candidates: Iterable[Obtainable], hypothesis: str | None = None) -> tuple[Telling, ...]:
        """Return which unknown findings would change the decision most for their cost, best first.

        Args:
            candidates: What could be found out; what has been read already is left out.
            hypothesis: Whose probability should move; the leading one where not given.
        """
        groups: dict[str, list[int]] = {}
        for i, bearing in enumerate(self.bearings):
            groups.setdefault(bearing.group, []).append(i)
        stand = Stand(
            prior=self._prior,
            order={candidate.id: j for j, candidate in enumerate(self.candidates)},
            terms=self._read(lambda ledger: ledger.total),
            groups={group: self.weighed.ratios[rows] for group, rows in groups.items()},
        )
        open_ = [c for c in candidates if c.bearing.code not in self.readings]
        return tuple(tell(stand, open_, None if hypothesis is None else self._index(hypothesis)))

    def disputes(self) -> tuple[Dispute, ...]:
        """Return the contested findings with who says what, the most evenly balanced first."""
        names = {bearing.code: bearing.name for bearing in self.bearings}
        readings = self._read(
            lambda ledger: {code: ledger.readings.weight(ledger.witnesses[code]) for code in self.contested}
        )
        found = [
            Dispute(
                code=code,
                name=names.get(code, self.readings[code][0].name),
                present=self._said_in(f for f in self.readings[code] if f.assertion is not Assertion.ABSENT),
                absent=self._said_in(f for f in self.readings[code] if f.assertion is Assertion.ABSENT),
                reading=reading,
            )
            for code, reading in readings.items()
        ]
        return tuple(sorted(found, key=lambda dispute: (abs(dispute.reading), dispute.code)))

    def origin(self, source: str) -> Origin:
        """Return which originals a source comes from in the end."""
        if source not in self.sources:
            raise UsageError(f"no source {source!r} in this graph; `sources` lists their ids")
        return self._read(lambda ledger: ledger.origins[source])

    def interval(self, hypothesis: str) -> tuple[float, float]:
        """Return the 5 % to 95 % band of a hypothesis; a point for one far from leading."""
        j = self._index(hypothesis)
        chosen, quantiles = self._band
        where = np.flatnonzero(chosen == j)
        if where.size == 0:
            p = float(self.posterior[j])
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
        return tuple(fragility.group for fragility in self.fragilities())

    def fragilities(self) -> tuple[Fragility, ...]:
        """Return the groups without which another diagnosis would lead, each with what would."""
        total, terms = self.weighed.terms.sum(axis=0), self.weighed.terms
        leading = self.differential.top
        found = []
        for k, group in enumerate(self.groups):
            then = self._leading(posterior(self._prior, (total - terms[k])[None]))
            if leading is not None and then.id != leading.id:
                codes = tuple(b.code for b in self.bearings if b.group == group)
                found.append(Fragility(group, self.group_reliability(group), codes, then))
        return tuple(found)

    def _leading(self, p: Array) -> Hypothesis:
        j = min(range(len(self.candidates)), key=lambda j: (-p[j], self.candidates[j].id))
        return self._hypothesis(j).model_copy(update={"probability": float(p[j])})

    def group_reliability(self, group: str) -> float:
        """Return the best reliability among a group's observations, contradictions counted."""
        values = [
            float(np.tanh(abs(self._reading_of[bearing.code]) / 2.0))
            for bearing in self.bearings
            if bearing.group == group
        ]
        return max(values, default=0.0)

    def unexplained(self, hypothesis: str) -> tuple[str, ...]:
        """Return the codes of present findings that a hypothesis makes no more likely than background."""
        ratios = self.weighed.ratios[:, self._index(hypothesis)]
        return tuple(
            bearing.code
            for i, bearing in enumerate(self.bearings)
            if self._reading_of[bearing.code] > 0 and ratios[i] <= _TELLING
        )

    def to_networkx(self) -> nx.MultiDiGraph[str]:
        """Return the graph with `kind`, `label` and, on weight edges, `llr`; for drawing and export."""
        return as_networkx(self)

    def to_json(self) -> list[dict[str, Any]]:
        """Return all items as plain JSON values."""
        return [ITEM.dump_python(item, mode="json") for item in self.items]

    @classmethod
    def from_json(cls, items: Iterable[Mapping[str, Any]]) -> EvidenceGraph:
        """Rebuild a graph from `to_json`."""
        return cls(ITEM.validate_python(item) for item in items)
