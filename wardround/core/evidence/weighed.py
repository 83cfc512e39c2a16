"""A set of items and what it adds up to: readings, observations, groups, and the posterior over the hypotheses."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import cached_property
from typing import Any, Self, TypeVar

import numpy as np

from wardround.core.claim import Claim, Verdict
from wardround.core.differential import Differential, Hypothesis
from wardround.core.errors import UsageError
from wardround.core.evidence.ledger import Ledger
from wardround.core.evidence.log import ItemLog
from wardround.core.evidence.sparse import UNIT
from wardround.core.finding import Assertion, Finding
from wardround.core.items import (
    BearingItem,
    Candidate,
    ClaimItem,
    Item,
    ProvenanceItem,
    ReadingItem,
    SourceItem,
    VerdictItem,
    identity,
)
from wardround.core.source import Source
from wardround.core.weighing import VACUITY_WEIGHT, Array, Evidence, Weighed, posterior

_T = TypeVar("_T")


class WeighedItems:
    """An immutable set of items with the posterior that they add up to; `with_items` makes a larger one.

    Asking one what it makes of its evidence brings the sums up to date for what was added since the one that it
    grew from was asked; one that was grown past and is asked late works them out anew.
    """

    def __init__(self, items: Iterable[Item] = ()) -> None:
        self._log = ItemLog(items)
        self._count = len(self._log.items)
        self._past: Ledger | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.items,)

    def with_items(self, items: Iterable[Item]) -> Self:
        """Return one that holds these items as well; those it holds already change nothing."""
        named = [(identity(item), item) for item in items]
        with self._log.lock:
            fresh = [(key, item) for key, item in named if not self._log.holds(key, self._count)]
            if not fresh:
                return self
            log = self._log if len(self._log.items) == self._count else ItemLog(self._log.items[: self._count])
            for key, item in fresh:
                log.add(key, item)
            grown = type(self).__new__(type(self))
            grown._log, grown._count, grown._past = log, len(log.items), None
            return grown

    def without_document(self, document: str) -> Self:
        """Return the graph as if a document had never been read."""
        gone = {source.id for source in self.sources.values() if source.document == document}
        return self._filtered(gone, set())

    def _filtered(self, sources: set[str], names: set[str]) -> Self:
        def stays(item: Item) -> bool:
            match item:
                case SourceItem():
                    return item.source.id not in sources
                case ReadingItem():
                    return item.finding.source not in sources and names.isdisjoint((item.finding.id, item.finding.code))
                case ClaimItem():
                    return item.claim.id not in names
                case VerdictItem():
                    return item.verdict.claim not in names
                case _:
                    return True

        return type(self)(item for item in self.items if stays(item))

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """All items, in the order in which they came."""
        with self._log.lock:
            return tuple(self._log.items[: self._count])

    def __eq__(self, other: object) -> bool:
        """Two are equal when they hold the same items."""
        return isinstance(other, WeighedItems) and self._keys == other._keys

    def __hash__(self) -> int:
        return hash(self._keys)

    @cached_property
    def _keys(self) -> frozenset[Hashable]:
        return frozenset(identity(item) for item in self.items)

    def _read(self, ask: Callable[[Ledger], _T]) -> _T:
        """Return an answer of the sums; it must not hold on to them, since one that grew from this moves them on."""
        with self._log.lock:
            shared = self._log.ledger
            if shared.absorbed <= self._count:
                shared.absorb(self._log.items[shared.absorbed : self._count])
                return ask(shared)
            if self._past is None:
                self._past = Ledger()
                self._past.absorb(self._log.items[: self._count])
            return ask(self._past)

    @cached_property
    def sources(self) -> Mapping[str, Source]:
        """Sources by id."""
        return {i.source.id: i.source for i in self.items if isinstance(i, SourceItem)}

    @cached_property
    def claims(self) -> Mapping[str, Claim]:
        """Claims by id."""
        return {i.claim.id: i.claim for i in self.items if isinstance(i, ClaimItem)}

    @cached_property
    def verdicts(self) -> Mapping[str, Verdict]:
        """Verdicts by the id of the claim they judge."""
        return {i.verdict.claim: i.verdict for i in self.items if isinstance(i, VerdictItem)}

    @cached_property
    def provenance(self) -> tuple[ProvenanceItem, ...]:
        """What comes from what; none of it carries weight."""
        return tuple(i for i in self.items if isinstance(i, ProvenanceItem))

    @cached_property
    def candidates(self) -> tuple[Candidate, ...]:
        """The hypotheses with their priors."""
        return self._read(lambda ledger: ledger.candidates)

    @cached_property
    def readings(self) -> Mapping[str, tuple[Finding, ...]]:
        """Readings that bear weight, by finding code; copies of one original are one reading."""
        return self._read(lambda ledger: dict(sorted(ledger.witnesses.items())))

    def reliability(self, finding: Finding) -> float:
        """Return how far a reading is trusted: its source's reliability, less where it says possible."""
        return self._read(lambda ledger: ledger.readings.reliability(finding))

    @cached_property
    def bearings(self) -> tuple[BearingItem, ...]:
        """What is known of the observations that have been read, by code."""
        return self._read(lambda ledger: tuple(ledger.bearings.item(code) for code in sorted(ledger.rows)))

    @cached_property
    def contested(self) -> tuple[str, ...]:
        """Codes that one reading says are present and another absent."""
        return tuple(
            code
            for code, readings in self.readings.items()
            if len({f.assertion is Assertion.ABSENT for f in readings}) == 2
        )

    @cached_property
    def _prior(self) -> Array:
        if not self.candidates:
            raise UsageError("the evidence graph has no hypotheses; add a CandidatesItem first")
        return np.array([candidate.prior for candidate in self.candidates])

    @cached_property
    def posterior(self) -> Array:
        """Probability of each candidate, and of none of them as the last, shape (n_hypotheses + 1,)."""
        return posterior(self._prior, self._read(lambda ledger: ledger.total)[None])

    @cached_property
    def differential(self) -> Differential:
        """Posterior over the hypotheses, most probable first, ties by id."""
        p = self.posterior
        order = sorted(range(len(self.candidates)), key=lambda j: (-p[j], self.candidates[j].id))
        hypotheses = tuple(self._hypothesis(j) for j in order)
        total = sum(h.probability for h in hypotheses)
        return Differential(hypotheses=hypotheses, other=min(1.0, max(0.0, 1.0 - total)))

    def _hypothesis(self, j: int) -> Hypothesis:
        candidate = self.candidates[j]
        probability = float(self.posterior[j])
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

    def vacuity(self, hypothesis: str) -> float:
        """Return how little is known about a hypothesis, in (0, 1]."""
        j = self._index(hypothesis)
        effective = self._read(lambda ledger: float(ledger.effective[j]))
        return VACUITY_WEIGHT / (VACUITY_WEIGHT + effective)

    def conflict(self, hypothesis: str) -> float:
        """Return the balance of evidence for and against a hypothesis, in [0, 1]."""
        j = self._index(hypothesis)
        up, down = self._read(lambda ledger: (float(ledger.rising[j]), -float(ledger.falling[j])))
        return 2.0 * min(up, down) / (up + down) if up + down > 0 else 0.0

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups that have observations."""
        return self._read(lambda ledger: tuple(sorted(ledger.terms)))

    @cached_property
    def evidence(self) -> Evidence:
        """The graph as arrays, observations in order of code, hypotheses as the candidates stand."""
        prior = self._prior
        order = {candidate.id: j for j, candidate in enumerate(self.candidates)}
        groups = {name: k for k, name in enumerate(self.groups)}
        present = np.empty((len(self.bearings), len(order)))
        for i, bearing in enumerate(self.bearings):
            present[i] = bearing.background
            for hypothesis, p in bearing.present.items():
                if hypothesis in order:
                    present[i, order[hypothesis]] = p
        return Evidence(
            reading=self._read(lambda ledger: np.array([ledger.reading[b.code] for b in self.bearings])),
            present=present,
            background=np.array([b.background for b in self.bearings]),
            group=np.array([groups[b.group] for b in self.bearings], dtype=np.int64),
            prior=prior,
        )

    @cached_property
    def weighed(self) -> Weighed:
        """Posterior, ratios, group terms and effective counts as arrays over all hypotheses."""
        return self._read(self._dense)

    def _dense(self, ledger: Ledger) -> Weighed:
        ratios = np.zeros((len(ledger.rows), len(self._prior)))
        for i, code in enumerate(sorted(ledger.rows)):
            row = ledger.rows[code]
            ratios[i, row.hypotheses] = row.ratios
        terms = np.zeros((len(ledger.terms), len(self._prior)))
        for k, group in enumerate(sorted(ledger.terms)):
            term = ledger.terms[group]
            terms[k, term.hypotheses] = (term.rising + term.falling) / UNIT
        return Weighed(ratios=ratios, terms=terms, posterior=self.posterior, effective=ledger.effective)
