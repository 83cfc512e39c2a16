"""Labelled consults as arrays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from wardround.core.calibration.sets import class_of, class_probabilities
from wardround.evals.calibrating.reading import Labelled
from wardround.evals.statistics import Array


@dataclass(frozen=True)
class Data:
    """Labelled consults; every array has the shape (n,)."""

    labelled: Sequence[Labelled]

    @cached_property
    def stated(self) -> Array:
        """Probability of each answer."""
        return np.array([one.result.answer.probability for one in self.labelled])

    @cached_property
    def outcome(self) -> Array:
        """1 where the answer is right, else 0."""
        return np.array([one.outcome for one in self.labelled])

    @cached_property
    def favoured_outcome(self) -> Array:
        """1 where the answer is right that the parts of the uncertainty are of, else 0."""
        return np.array([one.favoured_outcome for one in self.labelled])

    @property
    def can_be_given(self) -> Data:
        """Return those with a diagnosis that nothing but its probability held back."""
        return self.taken([i for i, one in enumerate(self.labelled) if one.result.can_be_given])

    @cached_property
    def strata(self) -> tuple[str, ...]:
        """Leading specialty of each."""
        return tuple(one.result.stratum for one in self.labelled)

    @cached_property
    def cases(self) -> tuple[str, ...]:
        """Id of each case; several consults may share one."""
        return tuple(one.result.case for one in self.labelled)

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The right class of each differential, `other` where it is not listed."""
        return tuple(class_of(one.result.differential, one.right) for one in self.labelled)

    @property
    def right_probability(self) -> Array:
        """Probability that was stated of the right class."""
        given = [class_probabilities(one.result.differential) for one in self.labelled]
        return np.array([p[c] for p, c in zip(given, self.classes, strict=True)])

    @property
    def severity(self) -> Array:
        """Cost of omitting the right diagnosis."""
        return np.array([one.severity for one in self.labelled])

    @property
    def weights(self) -> Array:
        """One case weighs 1, however often it was consulted."""
        times = Counter(self.cases)
        return np.array([1.0 / times[case] for case in self.cases])

    @property
    def distinct(self) -> int:
        """Number of cases."""
        return len(set(self.cases))

    def taken(self, places: Sequence[int]) -> Data:
        """Return some of them."""
        return Data([self.labelled[i] for i in places])

    def of(self, stratum: str) -> Data:
        """Return those of one stratum."""
        return self.taken([i for i, s in enumerate(self.strata) if s == stratum])

    def one_each(self) -> Data:
        """Return one consult of each case, the first by run id: promises rest on independent ones."""
        first: dict[str, int] = {}
        for i in sorted(range(len(self.labelled)), key=lambda i: self.labelled[i].result.run):
            first.setdefault(self.cases[i], i)
        return self.taken(sorted(first.values()))
