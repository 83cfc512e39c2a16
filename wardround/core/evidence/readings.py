"""Who is a witness of an observation: the readings of one finding, copies left out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from wardround.core.evidence.provenance import Origins
from wardround.core.finding import Assertion, Finding
from wardround.core.source import Source
from wardround.core.weighing import reading_weight

POSSIBLE_SHARE = 0.5
"""A finding called possible counts as present with this share of its source's reliability."""

Witness = tuple[str, bool]
"""An original and whether it says present."""

_SAYS_PRESENT = {Assertion.PRESENT: True, Assertion.POSSIBLE: True, Assertion.ABSENT: False}


def says_present(finding: Finding) -> bool | None:
    """Return whether a reading says that its finding is there; nothing where it is not of this patient now."""
    return _SAYS_PRESENT.get(finding.assertion)


class Readings:
    """How far each reading is trusted, and which of them are independent of one another."""

    def __init__(self, sources: Mapping[str, Source], origins: Origins) -> None:
        self._sources, self._origins = sources, origins

    def reliability(self, finding: Finding) -> float:
        """Return how far a reading is trusted: like its source or what that was copied from, less if possible."""
        source = self._sources.get(finding.source or "")
        if source is None:
            return 0.0
        trust = min(source.reliability, self._origins[source.id].limit)
        return trust * POSSIBLE_SHARE if finding.assertion is Assertion.POSSIBLE else trust

    def weight(self, findings: Iterable[Finding]) -> float:
        """Return the summed log evidence of independent readings; their order does not matter."""
        return math.fsum(
            reading_weight(self.reliability(f), present=f.assertion is not Assertion.ABSENT) for f in findings
        )

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
        return self._origins[finding.source or ""].roots

    def _copied(self, finding: Finding) -> bool:
        return self._origins[finding.source or ""].copied

    def _strength(self, finding: Finding) -> tuple[float, int, str]:
        start = self._sources[finding.source or ""].start
        return self.reliability(finding), -(start or 0), finding.id
