"""Uncertainty from the votes alone: works with any model, needs neither log probabilities nor stated confidence.

Where all answers agree every one of these is 0, and so it is for a single answer: agreement is not evidence. How
little it can mean when agents err together is in `wardround.core.estimators.posterior`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from wardround.core.estimators.clustering import THRESHOLD, Similarity, greedy_clusters
from wardround.core.estimators.information import normalised_entropy, shares
from wardround.core.estimators.samples import Estimate, SampledAnswer, Samples


@dataclass(frozen=True)
class VoteEntropy:
    """Entropy of the clusters' shares over log(min(answers, options)).

    For closed answers and coded diagnoses this is discrete semantic entropy with a perfect clusterer.
    """

    name = "vote_entropy"

    def estimate(self, samples: Samples, /) -> Estimate | None:
        """Return it, or nothing without an answer."""
        return _entropy_of(self.name, samples, samples.counts)


@dataclass(frozen=True)
class SemanticEntropy:
    """Discrete semantic entropy: vote entropy over clusters that a similarity forms (Farquhar et al., Nature 2024)."""

    similarity: Similarity
    threshold: float = THRESHOLD
    name = "semantic_entropy"

    def estimate(self, samples: Samples, /) -> Estimate | None:
        """Return it, or nothing without an answer."""
        numbers = greedy_clusters(samples.given, self.similarity, self.threshold)
        return _entropy_of(self.name, samples, Counter(str(n) for n in numbers))


@dataclass(frozen=True)
class SelfConsistency:
    """1 - share of the answers that say what is in question; of those that tie for the lead, one of them."""

    name = "self_consistency"

    def estimate(self, samples: Samples, /) -> Estimate | None:
        """Return it, or nothing without an answer; 1 where no answer says what is in question."""
        if not samples.given:
            return None
        share = _share(samples, samples.given)
        return Estimate(name=self.name, value=1.0 - share, parts={"share": share}, n=len(samples.given))


@dataclass(frozen=True)
class AgentConsistency:
    """Mean over the agents of 1 - share of each one's own answers that say what is in question.

    Agents count alike, however many answers each gave. The parts are the agents' own values: one that wavers shows.
    """

    name = "self_consistency_by_agent"

    def estimate(self, samples: Samples, /) -> Estimate | None:
        """Return it, or nothing where some agent gave fewer than two answers, whose wavering nobody has seen."""
        agents = sorted({a.agent for a in samples.given})
        own = {name: tuple(a for a in samples.given if a.agent == name) for name in agents}
        if not own or min(len(rows) for rows in own.values()) < 2:
            return None
        parts = {name: 1.0 - _share(samples, rows) for name, rows in own.items()}
        return Estimate(name=self.name, value=sum(parts.values()) / len(parts), parts=parts, n=len(samples.given))


def _share(samples: Samples, rows: tuple[SampledAnswer, ...]) -> float:
    tied = max(1, len({a.cluster for a in samples.backing}))
    backing = {id(a) for a in samples.backing}
    return sum(id(a) in backing for a in rows) / len(rows) / tied


def _entropy_of(name: str, samples: Samples, counts: Mapping[str, int]) -> Estimate | None:
    total = sum(counts.values())
    if total == 0:
        return None
    outcomes = min(total, samples.options) if samples.options is not None else total
    value = normalised_entropy(shares(counts), outcomes=outcomes)
    return Estimate(name=name, value=value, parts={"clusters": float(len(counts))}, n=total)
