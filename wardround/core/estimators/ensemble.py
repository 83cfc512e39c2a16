"""Uncertainty from agents that contradict one another, told apart from what each leaves open itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from wardround.core.estimators.information import completed, decompose, mixture, shares
from wardround.core.estimators.samples import Estimate, SampledAnswer, Samples, bounded, cluster_of

Basis = Literal["votes", "stated"]
"""Where a distribution over answers comes from: shares of the answers given, or the probabilities stated."""


@dataclass(frozen=True)
class EnsembleDisagreement:
    """The epistemic part of the agents' uncertainty, over its ceiling; total = aleatoric + epistemic in nats."""

    basis: Basis = "stated"

    @property
    def name(self) -> str:
        """Name with the basis."""
        return f"disagreement_{self.basis}"

    def estimate(self, samples: Samples, /) -> Estimate | None:
        """Return it, or nothing for fewer than two agents, or where one has not said what the basis needs."""
        members = agent_distributions(samples.given, self.basis)
        if members is None or len(members) < 2:
            return None
        split = decompose(list(members.values()))
        value = bounded(split.epistemic / split.ceiling) if split.ceiling > 0.0 else 0.0
        parts = {"total": split.total, "aleatoric": split.aleatoric, "epistemic": split.epistemic}
        return Estimate(name=self.name, value=value, parts=parts, n=len(samples.given))


def agent_distributions(answers: Sequence[SampledAnswer], basis: Basis) -> dict[str, dict[str, float]] | None:
    """Return each agent's distribution over clusters, or nothing where one of them has none."""
    agents = sorted({a.agent for a in answers})
    found = {name: mean_distribution([a for a in answers if a.agent == name], basis) for name in agents}
    known = {name: d for name, d in found.items() if d is not None}
    return known if known and len(known) == len(found) else None


def mean_distribution(answers: Sequence[SampledAnswer], basis: Basis) -> dict[str, float] | None:
    """Return the distribution over clusters that answers amount to, or nothing where some have stated none."""
    if not answers:
        return None
    if basis == "votes":
        return shares(Counter(cluster_of(a) for a in answers))
    stated = [completed(a.distribution) for a in answers if a.distribution is not None]
    return mixture(stated, [1.0 / len(stated)] * len(stated)) if len(stated) == len(answers) else None
