"""Who is a witness of an observation: the readings of one finding, copies left out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt

from wardround.core.evidence.provenance import Origin
from wardround.core.finding import Assertion, Finding
from wardround.core.source import Source
from wardround.core.weighing import UNINFORMED, Array

POSSIBLE_SHARE = 0.5
"""A finding called possible counts as present with this share of its source's reliability."""

Witness = tuple[str, bool]
"""An original and whether it says present."""

_POSSIBLE, _ABSENT = Assertion.POSSIBLE, Assertion.ABSENT
_SAYS_PRESENT = {Assertion.PRESENT: True, Assertion.POSSIBLE: True, Assertion.ABSENT: False}


def says_present(finding: Finding) -> bool | None:
    """Return whether a reading says that its finding is there; nothing where it is not of this patient now."""
    return _SAYS_PRESENT.get(finding.assertion)


class Readings:
    """How far each reading is trusted, and which of them are independent of one another."""

    def __init__(self, sources: Mapping[str, Source], moved: Mapping[str, Origin]) -> None:
        """Read reliabilities and origins from what others keep current.

        Args:
            sources: By id.
            moved: Origins of the sources that come from more than the document they stand in.
        """
        self._sources, self._moved = sources, moved

    def reliability(self, finding: Finding) -> float:
        """Return how far a reading is trusted: like its source or what that was copied from, less if possible."""
        name = finding.source or ""
        source = self._sources.get(name)
        if source is None:
            return 0.0
        trust = source.reliability
        if name in self._moved:
            trust = min(trust, self._moved[name].limit)
        return trust * POSSIBLE_SHARE if finding.assertion is _POSSIBLE else trust

    def weight(self, findings: Sequence[Finding]) -> float:
        """Return the summed log evidence of independent readings; their order does not matter."""
        return float(self.weights(findings, [len(findings)])[0])

    def weights(self, findings: Sequence[Finding], counts: Sequence[int]) -> Array:
        """Return the summed log evidence of the readings of each observation, shape (n_observations,).

        Args:
            findings: Independent readings, those of an observation together.
            counts: How many each observation has.
        """
        trusted: list[float] = []
        present: list[bool] = []
        for finding in findings:
            trusted.append(self.reliability(finding))
            present.append(finding.assertion is not _ABSENT)
        single = _weights(np.array(trusted, dtype=np.float64), np.array(present, dtype=np.bool_))
        if max(counts, default=1) == min(counts, default=1) == 1:
            return single
        ends, values = np.cumsum(counts).tolist(), single.tolist()
        return np.array([math.fsum(values[a:b]) for a, b in zip([0, *ends[:-1]], ends, strict=True)])

    def witnesses(self, findings: Iterable[Finding]) -> tuple[Finding, ...]:
        """Return the strongest reading of each original in each direction, in order of the originals.

        A copy speaks only where no original of it says the same. A source that is the same as others, or was
        copied from several originals, speaks for one of them.

        Args:
            findings: Readings of one code whose sources are known and whose assertion bears weight.
        """
        known = list(findings)
        if len(known) == 1:
            return tuple(known)
        native = {
            (roots[0], bool(says_present(f)))
            for f in known
            if len(roots := self._roots(f)) == 1 and not self._copied(f)
        }
        strongest: dict[Witness, Finding] = {}
        for finding in known:
            witness = self._witness(finding, native)
            if self._copied(finding) and witness in native:
                continue
            held = strongest.get(witness)
            if held is None or self._strength(finding) > self._strength(held):
                strongest[witness] = finding
        return tuple(strongest[witness] for witness in sorted(strongest))

    def _witness(self, finding: Finding, native: set[Witness]) -> Witness:
        roots, present = self._roots(finding), bool(says_present(finding))
        return next(((root, present) for root in roots if (root, present) in native), (roots[0], present))

    def _roots(self, finding: Finding) -> tuple[str, ...]:
        moved = self._moved.get(finding.source or "")
        return (self._sources[finding.source or ""].document,) if moved is None else moved.roots

    def _copied(self, finding: Finding) -> bool:
        moved = self._moved.get(finding.source or "")
        return moved is not None and moved.copied

    def _strength(self, finding: Finding) -> tuple[float, int, str]:
        start = self._sources[finding.source or ""].start
        return self.reliability(finding), -(start or 0), finding.id


class Witnesses(Mapping[str, tuple[Finding, ...]]):
    """Independent readings by code, never none; those of a code that was read once stand for themselves."""

    def __init__(self, readings: Readings) -> None:
        self._readings = readings
        self._first: dict[str, Finding] = {}
        self._more: dict[str, list[Finding]] = {}
        self._chosen: dict[str, tuple[Finding, ...]] = {}

    def add(self, findings: Iterable[Finding]) -> list[str]:
        """Take in readings whose sources are known, and return their codes; `choose` says which of them count."""
        codes = []
        for finding in findings:
            code = finding.code
            codes.append(code)
            if self._first.setdefault(code, finding) is not finding:
                self._more.setdefault(code, []).append(finding)
        return codes

    def choose(self, codes: Iterable[str]) -> None:
        """Choose the witnesses anew for codes whose readings, or the origins of these, have changed."""
        for code in self._more.keys() & codes:
            self._chosen[code] = self._readings.witnesses([self._first[code], *self._more[code]])

    def among(self, codes: Iterable[str]) -> list[str]:
        """Return the codes of observations that were read."""
        return [code for code in codes if code in self._first]

    def column(self, codes: Iterable[str]) -> tuple[list[Finding], list[int]]:
        """Return the witnesses of codes one after another, and how many each code has."""
        column: list[Finding] = []
        counts: list[int] = []
        for code in codes:
            chosen = self._chosen.get(code)
            if chosen is None:
                column.append(self._first[code])
            else:
                column.extend(chosen)
            counts.append(1 if chosen is None else len(chosen))
        return column, counts

    def every(self) -> Iterable[Finding]:
        """Return all readings, those that do not count included."""
        return chain(self._first.values(), *self._more.values())

    def __getitem__(self, code: str) -> tuple[Finding, ...]:
        chosen = self._chosen.get(code)
        return (self._first[code],) if chosen is None else chosen

    def __contains__(self, code: object) -> bool:
        return code in self._first

    def __iter__(self) -> Iterator[str]:
        return iter(self._first)

    def __len__(self) -> int:
        return len(self._first)


def _weights(reliability: Array, present: npt.NDArray[np.bool_]) -> Array:
    """`wardround.core.weighing.reading_weight` of many readings at once."""
    doubt = (1.0 - reliability) * UNINFORMED
    weight = np.log((reliability + doubt) / doubt)
    result: Array = np.where(present, weight, 0.0 - weight)
    return result
