"""Rules that turn what several items say of one hypothesis into a belief, side by side for comparison.

The graph uses `Graph` (a tree of readings, then the sorted discount). The others are the usual rules of the
literature; none of them is used elsewhere. All work on many cases at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from wardround.core.weighing import RHO, UNINFORMED, Array, log_ratio, sorted_discount

LLR_OF_STRENGTH = 3.0
"""Log likelihood ratio that a strength of 1 stands for, where a rule thinks in strengths from 0 to 1."""
COUNT_OF_STRENGTH = 8.0
"""Pseudo-observations that a strength of 1 stands for in subjective logic."""
MOST_RELIABLE = 0.98
"""No reading is trusted more, as with sources."""
PRIOR_WEIGHT = 2.0
"""Non-informative prior weight W of subjective logic."""

_LEAST = 1e-300


@dataclass(frozen=True)
class Statements:
    """What items say of one yes/no hypothesis, each that its finding is there or not."""

    prior: float
    present: npt.NDArray[np.bool_]
    """Shape (n_cases, n_items)."""
    sensitivity: Array
    """P(finding | hypothesis), shape (n_items,)."""
    specificity: Array
    """P(no finding | no hypothesis), shape (n_items,)."""
    reliability: Array
    """Probability that an item says what is so and not just anything, shape (n_cases, n_items)."""
    root: npt.NDArray[np.int64]
    """Where each item comes from, shape (n_items,)."""

    def ratios(self) -> Array:
        """Log likelihood ratio of each item by itself: the mixture of what is so and of chance."""
        r = self.reliability
        yes = (r * self.sensitivity + (1 - r) * UNINFORMED) / (r * (1 - self.specificity) + (1 - r) * UNINFORMED)
        no = (r * (1 - self.sensitivity) + (1 - r) * UNINFORMED) / (r * self.specificity + (1 - r) * UNINFORMED)
        result: Array = np.log(np.where(self.present, yes, no))
        return result

    def strengths(self) -> tuple[Array, Array]:
        """Return strengths in [0, 1] for and against, each of shape (n_cases, n_items)."""
        x = self.ratios() / LLR_OF_STRENGTH
        return np.clip(x, 0.0, 1.0), np.clip(-x, 0.0, 1.0)

    def by_root(self) -> Iterator[npt.NDArray[np.int64]]:
        """Yield the items of each root."""
        for root in np.unique(self.root):
            yield np.flatnonzero(self.root == root)


class Aggregator(Protocol):
    """A rule."""

    @property
    def name(self) -> str:
        """How tables call it."""
        ...

    def belief(self, statements: Statements, /) -> Array:
        """Return P(hypothesis) of each case, shape (n_cases,)."""
        ...


def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + exp(-x)), without overflow."""
    result: Array = np.exp(-np.logaddexp(0.0, -x))
    return result


def logit(p: float) -> float:
    """Return log(p / (1 - p))."""
    return float(np.log(p) - np.log1p(-p))


@dataclass(frozen=True)
class Prior:
    """The trivial baseline: nobody is heard."""

    name: str = "prior"

    def belief(self, statements: Statements, /) -> Array:
        """Return the prior for all."""
        return np.full(len(statements.present), statements.prior)


@dataclass(frozen=True)
class NaiveLogOdds:
    """Bayes as if all items were independent; MLP-based argumentation is the same where weights are LLRs."""

    name: str = "naive log-odds"

    def belief(self, statements: Statements, /) -> Array:
        """Sum all log likelihood ratios."""
        return sigmoid(logit(statements.prior) + statements.ratios().sum(axis=1))


@dataclass(frozen=True)
class EffectiveMean:
    """The design effect: n / (1 + (n-1) rho) times the mean of a root. Not monotone."""

    rho: float = RHO

    @property
    def name(self) -> str:
        """With its correlation."""
        return f"n_eff * mean per root, rho {self.rho:g}"

    def belief(self, statements: Statements, /) -> Array:
        """Sum the discounted means."""
        ratios = statements.ratios()
        total: Array = np.full(len(ratios), logit(statements.prior))
        for items in statements.by_root():
            effective = items.size / (1.0 + (items.size - 1) * self.rho)
            total = total + effective * ratios[:, items].mean(axis=1)
        return sigmoid(total)


@dataclass(frozen=True)
class SortedDiscount:
    """The signed sorted discount per root: items are observations that travel together."""

    rho: float = RHO

    @property
    def name(self) -> str:
        """With its correlation."""
        return f"sorted discount per root, rho {self.rho:g}"

    def belief(self, statements: Statements, /) -> Array:
        """Discount each root, add the roots."""
        ratios = statements.ratios()
        total: Array = np.full(len(ratios), logit(statements.prior))
        for items in statements.by_root():
            up, down = sorted_discount(ratios[:, items, None], self.rho)
            total = total + (up + down)[:, 0]
        return sigmoid(total)


@dataclass(frozen=True)
class ReadingTree:
    """Pearl's virtual evidence per root: items are readings of one finding and know nothing else."""

    name: str = "tree of readings per root"

    def belief(self, statements: Statements, /) -> Array:
        """Sum the readings of each root, then weigh its finding once."""
        reliability = np.minimum(statements.reliability, MOST_RELIABLE)
        doubt = (1 - reliability) * UNINFORMED
        weight = np.log((reliability + doubt) / doubt) * np.where(statements.present, 1.0, -1.0)
        total: Array = np.full(len(weight), logit(statements.prior))
        for items in statements.by_root():
            first = items[:1]
            present, background = statements.sensitivity[first], 1 - statements.specificity[first]
            total = total + log_ratio(weight[:, items].sum(axis=1), present, background)
        return sigmoid(total)


@dataclass(frozen=True)
class Graph:
    """What the evidence graph does where it knows which is which: readings in a tree, observations discounted.

    An item that is read from its root and knows nothing else is a reading; one that carries information of its own
    is an observation of the root's group. Which it is comes with the data, as provenance does.
    """

    readings: bool
    """Whether the items of a root are readings of one finding."""

    @property
    def name(self) -> str:
        """As what it takes the items."""
        return f"evidence graph ({'readings' if self.readings else 'observations'})"

    def belief(self, statements: Statements, /) -> Array:
        """Weigh as the graph would."""
        rule: Aggregator = ReadingTree() if self.readings else SortedDiscount()
        return rule.belief(statements)


@dataclass(frozen=True)
class Leaky:
    """A tree whose items copy their root with some probability and speak for themselves otherwise.

    P(items | y) = prod over roots mean_c sum_z P(z | y) prod_i (r_i (c [x_i = z] + (1-c) P(x_i | y)) + (1-r_i) eps).
    c = 1 is the tree of readings, c = 0 the naive rule; with several c each root shows which of them fits it.
    """

    copying: tuple[float, ...]

    @property
    def name(self) -> str:
        """With the shares that copy."""
        return f"leaky tree, c {'/'.join(f'{c:g}' for c in self.copying)}"

    def belief(self, statements: Statements, /) -> Array:
        """Add up what the roots say."""
        total: Array = np.full(len(statements.present), logit(statements.prior))
        for items in statements.by_root():
            yes = self._root(statements, items, statements.sensitivity[items])
            no = self._root(statements, items, 1 - statements.specificity[items])
            total = total + yes - no
        return sigmoid(total)

    def _root(self, statements: Statements, items: npt.NDArray[np.int64], says_yes: Array) -> Array:
        """Return the log likelihood of a root's items under one side, P(finding | side) given for each item."""
        r, x = statements.reliability[:, items], statements.present[:, items]
        own = np.where(x, says_yes, 1 - says_yes)
        branches = []
        for c in self.copying:
            for z, p_z in ((True, says_yes[0]), (False, 1 - says_yes[0])):
                says = r * (c * (x == z) + (1 - c) * own) + (1 - r) * UNINFORMED
                branches.append(np.log(p_z) + np.log(np.maximum(says, _LEAST)).sum(axis=1))
        result: Array = np.logaddexp.reduce(branches)
        return result


@dataclass(frozen=True)
class DempsterShafer:
    """Dempster's rule on simple support functions, the prior being one for the hypothesis; belief is read off."""

    name: str = "Dempster-Shafer"

    def belief(self, statements: Statements, /) -> Array:
        """Combine all; total conflict, where the rule is undefined, gives NaN."""
        supports, attacks = statements.strengths()
        open_for = (1 - statements.prior) * np.prod(1 - supports, axis=1)
        open_against = np.prod(1 - attacks, axis=1)
        conflict = (1 - open_for) * (1 - open_against)
        with np.errstate(invalid="ignore"):
            result: Array = (1 - open_for) * open_against / (1 - conflict)
        return result


@dataclass(frozen=True)
class SubjectiveLogic:
    """Cumulative fusion of Beta opinions (Josang): P = b + a u with W = 2."""

    name: str = "subjective logic"

    def belief(self, statements: Statements, /) -> Array:
        """Count pseudo-observations."""
        supports, attacks = statements.strengths()
        yes, no = COUNT_OF_STRENGTH * supports.sum(axis=1), COUNT_OF_STRENGTH * attacks.sum(axis=1)
        result: Array = (yes + PRIOR_WEIGHT * statements.prior) / (yes + no + PRIOR_WEIGHT)
        return result


@dataclass(frozen=True)
class DfQuad:
    """DF-QuAD (Rago et al. 2016): noisy-or on each side, then towards 0 or 1 by the difference."""

    name: str = "DF-QuAD"

    def belief(self, statements: Statements, /) -> Array:
        """Aggregate supporters and attackers, move the base score."""
        supports, attacks = statements.strengths()
        difference = np.prod(1 - attacks, axis=1) - np.prod(1 - supports, axis=1)
        w = statements.prior
        result: Array = np.where(difference >= 0, w + (1 - w) * difference, w + w * difference)
        return result


@dataclass(frozen=True)
class QuadraticEnergy:
    """The quadratic energy model (Potyka 2018)."""

    name: str = "quadratic energy"

    def belief(self, statements: Statements, /) -> Array:
        """Move the base score by E^2 / (1 + E^2), E being supporters less attackers."""
        energy, w = _energy(statements), statements.prior
        moved = energy**2 / (1 + energy**2)
        result: Array = np.where(energy > 0, w + (1 - w) * moved, w - w * moved)
        return result


@dataclass(frozen=True)
class Euler:
    """The Euler-based semantics (Amgoud and Ben-Naim 2018)."""

    name: str = "Euler"

    def belief(self, statements: Statements, /) -> Array:
        """Return 1 - (1 - w^2) / (1 + w e^E)."""
        w = statements.prior
        result: Array = 1 - (1 - w**2) / (1 + w * np.exp(_energy(statements)))
        return result


def _energy(statements: Statements) -> Array:
    supports, attacks = statements.strengths()
    energy: Array = supports.sum(axis=1) - attacks.sum(axis=1)
    return energy
