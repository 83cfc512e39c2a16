"""What the estimators of uncertainty look at, and what they return."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Protocol, Self

from pydantic import Field, model_validator

from wardround.core.frozen import Frozen

Unit = Annotated[float, Field(ge=0.0, le=1.0)]
_ROUNDING = 1e-6
"""What engines may report above log 1, or a stated distribution above 1 in sum, through rounding."""


class Perturbation(StrEnum):
    """What was changed about the question before it was asked."""

    NONE = "none"
    TEXT = "text"
    """Role, order, wording, temperature or selection of the evidence; the images were as they are."""
    IMAGE = "image"
    """The image was changed mildly, without touching what it means, and the text paraphrased."""
    BLANK = "blank"
    """The image was taken away or destroyed."""


class SampledAnswer(Frozen):
    """One answer of one agent to the question."""

    agent: str = Field(min_length=1)
    rollout: int = Field(ge=0)
    text: str | None = None
    """The answer as given; nothing where the agent had no opinion."""
    cluster: str | None = None
    """Canonical id of what it means, such as a condition id; answers that mean the same share it."""
    perturbation: Perturbation = Perturbation.NONE
    logprobs: tuple[float, ...] | None = Field(default=None, min_length=1)
    """Natural logarithm of the probability of each token of the answer itself, not of the text around it."""
    margins: tuple[Unit, ...] | None = Field(default=None, min_length=1)
    """For each token, the probability of the likeliest minus that of the second."""
    confidence: Unit | None = None
    """Probability that the agent stated beside the answer."""
    p_true: Unit | None = None
    """Probability of the token `True`, or the score of a self-reflection, when asked whether the answer holds."""
    distribution: dict[str, Unit] | None = Field(default=None, min_length=1)
    """Probabilities that the agent stated, by cluster; what is missing to 1 is something else."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.text is None) != (self.cluster is None):
            raise ValueError("an answer has both text and cluster; no opinion has neither")
        if self.logprobs is not None and max(self.logprobs) > _ROUNDING:
            raise ValueError(f"a log probability is above 0 ({max(self.logprobs):g}); give natural logarithms")
        if self.distribution is not None and sum(self.distribution.values()) > 1.0 + _ROUNDING:
            raise ValueError("a distribution sums to more than 1; normalise it")
        return self


class Samples(Frozen):
    """All answers to one question, and the answer whose uncertainty is asked for."""

    answers: tuple[SampledAnswer, ...]
    answer: str | None = None
    """Cluster of the answer in question. Unless given, the one given most often; where several are, all of them."""
    options: int | None = Field(default=None, ge=1)
    """How many answers the question admits; nothing for free text."""

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        keys = Counter((a.agent, a.rollout, a.perturbation.value) for a in self.answers)
        twice = [key for key, count in keys.items() if count > 1]
        if twice:
            raise ValueError(f"{twice[0]} occurs twice; number the rollouts of an agent")
        clusters = {a.cluster for a in self.answers if a.cluster is not None}
        if self.options is not None and len(clusters) > self.options:
            raise ValueError(f"{len(clusters)} different answers to a question with {self.options} options; count them")
        return self

    @cached_property
    def given(self) -> tuple[SampledAnswer, ...]:
        """Answers to the question with its images as they are, without those that are no opinion."""
        kinds = (Perturbation.NONE, Perturbation.TEXT)
        return tuple(a for a in self.answers if a.cluster is not None and a.perturbation in kinds)

    def under(self, perturbation: Perturbation) -> tuple[SampledAnswer, ...]:
        """Return the answers under one perturbation, without those that are no opinion."""
        return tuple(a for a in self.answers if a.cluster is not None and a.perturbation is perturbation)

    @cached_property
    def counts(self) -> dict[str, int]:
        """How often each cluster was given."""
        return dict(Counter(cluster_of(a) for a in self.given))

    @cached_property
    def backing(self) -> tuple[SampledAnswer, ...]:
        """The given answers that say what is in question."""
        most = max(self.counts.values(), default=0)
        favoured = {self.answer} if self.answer is not None else {c for c, n in self.counts.items() if n == most}
        return tuple(a for a in self.given if a.cluster in favoured)


class Estimate(Frozen):
    """How uncertain an answer is, by one estimator."""

    name: str
    value: Unit
    """0 is certain, 1 is wholly uncertain."""
    parts: dict[str, float] = Field(default_factory=dict)
    """What it was made from, in the units that the estimator names."""
    n: int = Field(ge=1)
    """Answers that it rests on."""


class Estimator(Protocol):
    """Says how uncertain an answer is."""

    @property
    def name(self) -> str:
        """Its name in reports."""
        ...

    def estimate(self, samples: Samples, /) -> Estimate | None:
        """Return the uncertainty, or nothing where what it needs was not given."""
        ...


def cluster_of(answer: SampledAnswer) -> str:
    """Return the cluster of an answer that is an opinion.

    Raises:
        ValueError: It is none.
    """
    if answer.cluster is None:
        raise ValueError(f"{answer.agent}, rollout {answer.rollout}: no opinion has no cluster")
    return answer.cluster


def bounded(value: float) -> float:
    """Return a value without what rounding put outside [0, 1]."""
    return min(1.0, max(0.0, value))
