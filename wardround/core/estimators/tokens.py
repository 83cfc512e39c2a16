"""Uncertainty from the probabilities of an answer's tokens.

They are probabilities of words, not of being right, and those of different models are not on one scale. The tokens
must be those of the answer: over a whole JSON object the punctuation, which is always certain, drowns the rest.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from wardround.core.estimators.clustering import Similarity, greedy_clusters, same_code
from wardround.core.estimators.information import normalised_entropy, shares
from wardround.core.estimators.samples import Estimate, SampledAnswer, Samples, bounded


class TokenMeasure(StrEnum):
    """How the tokens' log probabilities become one number."""

    SEQUENCE = "sequence_probability"
    """1 - exp(sum log p), known as MSP; longer answers look less certain."""
    LENGTH_NORMALISED = "length_normalised"
    """1 - exp(mean log p), known as LNTP; the same as 1 - 1 / perplexity, which stands among the parts."""
    LEAST = "least_token"
    """1 - the smallest token probability."""
    MARGIN = "margin"
    """1 - the smallest margin between the likeliest token and the second."""


@dataclass(frozen=True)
class TokenUncertainty:
    """Mean over the answers that say what is in question of one measure of their tokens."""

    measure: TokenMeasure = TokenMeasure.LENGTH_NORMALISED

    @property
    def name(self) -> str:
        """The measure's name."""
        return self.measure.value

    def estimate(self, samples: Samples, /) -> Estimate | None:
        """Return it, or nothing where no such answer has what the measure needs."""
        values = [v for a in samples.backing if (v := _measured(a, self.measure)) is not None]
        if not values:
            return None
        parts = {"tokens": _mean([float(len(a.logprobs)) for a in samples.backing if a.logprobs is not None])}
        if self.measure is TokenMeasure.LENGTH_NORMALISED:
            parts["perplexity"] = _mean([perplexity(a.logprobs) for a in samples.backing if a.logprobs is not None])
        return Estimate(name=self.name, value=bounded(_mean(values)), parts=parts, n=len(values))


@dataclass(frozen=True)
class RaoBlackwellEntropy:
    """Semantic entropy whose clusters weigh by their length-normalised probabilities, not by their votes.

    p(C) = sum_{y in C} p(y)^{1/L} / sum over all y; the entropy over log(min(answers, options)). After Kuhn et al.
    (arXiv 2302.09664); the division is ours.
    """

    similarity: Similarity = same_code
    threshold: float = 0.7
    name = "rao_blackwell_entropy"

    def estimate(self, samples: Samples, /) -> Estimate | None:
        """Return it, or nothing unless every answer has log probabilities: a missing one has no weight to guess."""
        rows = samples.given
        mass: dict[str, float] = {}
        for answer, number in zip(rows, greedy_clusters(rows, self.similarity, self.threshold), strict=True):
            if answer.logprobs is None:
                return None
            mass[str(number)] = mass.get(str(number), 0.0) + math.exp(min(0.0, _mean(answer.logprobs)))
        if not mass or math.fsum(mass.values()) <= 0.0:
            return None
        outcomes = min(len(rows), samples.options) if samples.options is not None else len(rows)
        parts = {"clusters": float(len(mass))}
        return Estimate(
            name=self.name, value=normalised_entropy(shares(mass), outcomes=outcomes), parts=parts, n=len(rows)
        )


def perplexity(logprobs: Sequence[float]) -> float:
    """Return exp(-mean log p), at least 1; infinity is cut at the largest float.

    >>> perplexity([0.0, 0.0])
    1.0
    """
    return math.exp(min(700.0, max(0.0, -_mean(logprobs))))


def field_logprobs(tokens: Sequence[tuple[str, float]], field: str) -> tuple[float, ...] | None:
    """Return the log probabilities of the tokens that make up one string of a JSON reply.

    A token that reaches over the end of the string, as when it closes the quotes too, counts whole. Nothing where
    the field does not occur exactly once with a string that is not empty.

    Args:
        tokens: All tokens of the reply in order, with natural log probabilities.
        field: Key of the string, such as `leading`.

    >>> field_logprobs([('{"leading": "', -0.1), ("flu", -0.7), ('"}', 0.0)], "leading")
    (-0.7,)
    """
    text = "".join(token for token, _ in tokens)
    found = list(re.finditer(re.escape(json.dumps(field)) + r'\s*:\s*"((?:[^"\\]|\\.)*)"', text))
    if len(found) != 1 or not found[0].group(1):
        return None
    start, end = found[0].span(1)
    kept, position = [], 0
    for token, logprob in tokens:
        if token and position < end and position + len(token) > start:
            kept.append(logprob)
        position += len(token)
    return tuple(kept)


def _measured(answer: SampledAnswer, measure: TokenMeasure) -> float | None:
    if measure is TokenMeasure.MARGIN:
        return 1.0 - min(answer.margins) if answer.margins is not None else None
    if answer.logprobs is None:
        return None
    if measure is TokenMeasure.SEQUENCE:
        log = math.fsum(answer.logprobs)
    elif measure is TokenMeasure.LEAST:
        log = min(answer.logprobs)
    else:
        log = _mean(answer.logprobs)
    return -math.expm1(min(0.0, log))


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else 0.0
