"""Which answers mean the same.

Coded answers mean the same when they have the same code: the embedded rule, which makes vote entropy the semantic
entropy of a perfect clusterer. Free text is compared through a similarity that a natural language inference model
can supply (bidirectional entailment: Kuhn, Gal and Farquhar, arXiv 2302.09664). No such model is shipped or has been
run.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from wardround.core.estimators.samples import SampledAnswer

THRESHOLD = 0.7
"""Similarity from which on two answers mean the same."""


class Similarity(Protocol):
    """Says how far two answers mean the same."""

    def __call__(self, one: SampledAnswer, other: SampledAnswer, /) -> float:
        """Return a value in [0, 1], the same both ways round."""
        ...


class Inference(NamedTuple):
    """Probabilities of the three relations of premise and hypothesis, in the usual order of their classes."""

    contradiction: float
    neutral: float
    entailment: float


class EntailmentModel(Protocol):
    """A natural language inference model."""

    def infer(self, premise: str, hypothesis: str, /) -> Inference:
        """Judge whether a hypothesis follows from a premise."""
        ...


def normalised(text: str) -> str:
    """Return a text without what does not change its meaning: case, width of letters, outer punctuation, blanks.

    >>> normalised("  Pulmonary   Embolism. ")
    'pulmonary embolism'
    """
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).strip(" .,;:!\"'")


def same_code(one: SampledAnswer, other: SampledAnswer) -> float:
    """Return 1 for answers of one cluster, 0 for others: the embedded similarity."""
    return float(one.cluster is not None and one.cluster == other.cluster)


def same_words(one: SampledAnswer, other: SampledAnswer) -> float:
    """Return 1 for answers in the same words, 0 for others."""
    return float(one.text is not None and other.text is not None and normalised(one.text) == normalised(other.text))


@dataclass(frozen=True)
class BidirectionalEntailment:
    """Two answers mean the same as far as each follows from the other, in the context of the question."""

    model: EntailmentModel
    question: str = ""
    """Stands before each answer, since an answer alone can mean anything."""

    def __call__(self, one: SampledAnswer, other: SampledAnswer, /) -> float:
        """Return the smaller of the two probabilities of entailment; no model is asked about the same words."""
        if same_words(one, other):
            return 1.0
        there, back = _both_ways(self.model, self.question, one, other)
        return min(there.entailment, back.entailment)


@dataclass(frozen=True)
class NonContradiction:
    """Two answers agree as far as neither contradicts the other (the similarity of BSDetector)."""

    model: EntailmentModel
    question: str = ""

    def __call__(self, one: SampledAnswer, other: SampledAnswer, /) -> float:
        """Return 1 - the mean probability of contradiction over both directions."""
        if same_words(one, other):
            return 1.0
        there, back = _both_ways(self.model, self.question, one, other)
        return 1.0 - (there.contradiction + back.contradiction) / 2.0


def greedy_clusters(
    answers: Sequence[SampledAnswer], similarity: Similarity, threshold: float = THRESHOLD
) -> tuple[int, ...]:
    """Return the cluster number of each answer: that of the first cluster whose first member it resembles enough.

    Greedy clustering depends on the order where the similarity is not transitive, which entailment is not. The
    answers are therefore taken in the order of their words, so that the clusters depend on the answers alone. Costs
    at most n times the number of clusters comparisons.

    Args:
        answers: Opinions, in any order.
        similarity: Compares two of them.
        threshold: From here on two mean the same.
    """
    heads: list[SampledAnswer] = []
    numbers = [0] * len(answers)
    for index in sorted(range(len(answers)), key=lambda i: _words(answers[i])):
        found = next((k for k, head in enumerate(heads) if similarity(answers[index], head) >= threshold), len(heads))
        if found == len(heads):
            heads.append(answers[index])
        numbers[index] = found
    return tuple(numbers)


def _words(answer: SampledAnswer) -> tuple[str, str]:
    return normalised(answer.text or ""), answer.cluster or ""


def _both_ways(
    model: EntailmentModel, question: str, one: SampledAnswer, other: SampledAnswer
) -> tuple[Inference, Inference]:
    first, second = (f"{question} {a.text}".strip() for a in (one, other))
    return model.infer(first, second), model.infer(second, first)
