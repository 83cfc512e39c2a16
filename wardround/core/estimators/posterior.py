"""How probable the answer with most votes is, when the voters err together.

Given which answer is right, the number of right votes is beta-binomial, with the voters' accuracy as mean and rho as
the correlation of two of them being wrong; the wrong votes are Dirichlet-multinomial over the wrong options, `alike`
being the correlation of which one is given. rho = alike = 0 are independent votes; rho = 1 makes them one. Our own
combination of two known urns. On synthetic worlds (benchmarks/estimators.py) it predicts better than counting each
vote as 1 / (1 + (M-1) rho) of one, which is here as `effective_posterior` to be measured against.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from wardround.core.estimators.correlation import agent_weight
from wardround.core.estimators.samples import Estimate, Samples, bounded, cluster_of

_EDGE = 1e-6
"""How near to 0 and 1 accuracy and correlations may come, so that no vote is worth infinitely much."""


@dataclass(frozen=True)
class Voters:
    """What is known of those who vote, measured on labelled cases like the one in question."""

    accuracy: float
    """Share of right answers of one voter."""
    rho: float
    """Correlation of two of them being wrong."""
    alike: float
    """How far those who are wrong give the same answer; `rho` is a cautious value where it was not measured."""

    def __post_init__(self) -> None:
        for name, value in (("accuracy", self.accuracy), ("rho", self.rho), ("alike", self.alike)):
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"{name} {value:g}; give a number in [0, 1]")


@dataclass(frozen=True)
class VotePosterior:
    """1 - P(the answer in question is right | votes).

    Each voter has one vote, split among the answers it gave. Other estimators rank; this one is a probability, as far
    as `voters` holds for the case. The part `independent` is what it would be if voters did not err together.
    """

    voters: Voters
    voter: Literal["agent", "rollout"] = "agent"
    """Who has a vote: an agent with all its rollouts, or each rollout; `voters` must be measured alike."""
    name = "vote_posterior"

    def estimate(self, samples: Samples, /) -> Estimate | None:
        """Return it, or nothing where nobody answered or it is not known between how many options."""
        if not samples.given or samples.options is None or samples.options < 2:
            return None
        votes = _votes(samples, self.voter)
        asked = {cluster_of(a) for a in samples.backing} or {samples.answer or ""}
        alone = Voters(self.voters.accuracy, 0.0, 0.0)
        independent = _doubt(vote_posterior(votes, alone, options=samples.options), asked, samples.options)
        value = _doubt(vote_posterior(votes, self.voters, options=samples.options), asked, samples.options)
        parts = {"voters": math.fsum(votes.values()), "independent": independent}
        return Estimate(name=self.name, value=value, parts=parts, n=len(samples.given))


def vote_posterior(votes: Mapping[str, float], voters: Voters, *, options: int) -> dict[str, float]:
    """Return the probability of each answer that got votes; what is missing to 1 is on the other options.

    All options are equally probable beforehand. One more agreeing vote raises the probability as long as voters are
    right more often than not; below that, with errors alike, agreement can speak against the answer, as it should.

    Args:
        votes: By answer, none negative; fractions are allowed.
        voters: Who voted.
        options: How many answers there are, at least as many as got votes.

    Raises:
        ValueError: There are fewer than two options, or fewer than answers.
    """
    _needs_options(votes, options)
    total = math.fsum(votes.values())
    right, split = _inside(voters.accuracy), _strength(voters.rho)
    each = _strength(voters.alike) / (options - 1)
    wrong_votes = math.fsum(_urn(n, each) for n in votes.values())

    def score(n: float) -> float:
        """Log likelihood of the votes if the answer with n of them is right."""
        chosen = _urn(n, split * right) + _urn(total - n, split * (1.0 - right))
        return chosen + wrong_votes - _urn(n, each) - _urn(total - n, each * (options - 1))

    return _shared({answer: score(n) for answer, n in votes.items()}, score(0.0), options)


def effective_posterior(votes: Mapping[str, float], *, accuracy: float, rho: float, options: int) -> dict[str, float]:
    """Return the same by the design effect: each of M votes counts 1 / (1 + (M-1) rho) of an independent one.

    Raises:
        ValueError: As `vote_posterior`.
    """
    _needs_options(votes, options)
    right = _inside(accuracy)
    weight = agent_weight(rho, max(1, round(math.fsum(votes.values()))))
    worth = weight * math.log(right * (options - 1) / (1.0 - right))
    return _shared({answer: worth * n for answer, n in votes.items()}, 0.0, options)


def _needs_options(votes: Mapping[str, float], options: int) -> None:
    if options < max(2, len(votes)):
        raise ValueError(f"{options} options for {len(votes)} answers; give the number there are, at least 2")


def _shared(scores: Mapping[str, float], unseen: float, options: int) -> dict[str, float]:
    """Softmax over the scores and those of the options without votes, which all have the score `unseen`."""
    others = options - len(scores)
    highest = max([*scores.values(), *([unseen] if others else [])])
    mass = {answer: math.exp(score - highest) for answer, score in scores.items()}
    whole = math.fsum(mass.values()) + (others * math.exp(unseen - highest) if others else 0.0)
    return {answer: m / whole for answer, m in mass.items()}


def _inside(probability: float) -> float:
    return min(1.0 - _EDGE, max(_EDGE, probability))


def _strength(correlation: float) -> float:
    """Pseudo-counts of the urn in which two draws have this correlation: (1 - rho) / rho."""
    inside = _inside(correlation)
    return (1.0 - inside) / inside


def _urn(votes: float, alpha: float) -> float:
    """Log of alpha (alpha+1) ... (alpha+votes-1), the weight of that many votes of one kind in a Polya urn."""
    return math.lgamma(alpha + votes) - math.lgamma(alpha)


def _doubt(posterior: Mapping[str, float], asked: set[str], options: int) -> float:
    """1 - the mean probability of the answers asked for; one without votes has its share of what is left."""
    others = options - len(posterior)
    left = max(0.0, 1.0 - math.fsum(posterior.values())) / others if others > 0 else 0.0
    return bounded(1.0 - math.fsum(posterior.get(answer, left) for answer in asked) / len(asked))


def _votes(samples: Samples, voter: Literal["agent", "rollout"]) -> dict[str, float]:
    size = Counter(a.agent for a in samples.given)
    votes: dict[str, float] = {}
    for answer in samples.given:
        cluster = cluster_of(answer)
        votes[cluster] = votes.get(cluster, 0.0) + (1.0 / size[answer.agent] if voter == "agent" else 1.0)
    return votes
