"""Uncertainty from what the model says of its answer and from how consistently it gives it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from wardround.core.estimators.clustering import Similarity, same_code, same_words
from wardround.core.estimators.samples import Estimate, SampledAnswer, Samples, bounded


@dataclass(frozen=True)
class BSDetector:
    """1 - C with C = beta O + (1-beta) S and O = alpha s + (1-alpha) exact (Chen and Mueller, arXiv 2308.16175).

    O is how far the other answers agree, s their similarity without regard to words, exact the share in the same
    words; S is the self-reflection. The weights are those of uqlm 0.6: 0.56 + 0.14 + 0.30.
    """

    similarity: Similarity = same_code
    """`NonContradiction` where an entailment model is at hand; equal codes otherwise."""
    alpha: float = 0.8
    beta: float = 0.7
    name = "bsdetector"

    def estimate(self, samples: Samples, /) -> Estimate | None:
        """Return it, or nothing without a second answer or without self-reflection on what is in question."""
        similar = _consistency(samples, self.similarity)
        exact = _consistency(samples, same_words)
        reflected = [a.p_true for a in samples.backing if a.p_true is not None]
        if similar is None or exact is None or not reflected:
            return None
        reflection = math.fsum(reflected) / len(reflected)
        observed = self.alpha * similar + (1.0 - self.alpha) * exact
        confidence = self.beta * observed + (1.0 - self.beta) * reflection
        parts = {"similar": similar, "exact": exact, "reflection": reflection}
        return Estimate(name=self.name, value=bounded(1.0 - confidence), parts=parts, n=len(samples.given))


@dataclass(frozen=True)
class CoCoA:
    """Confidence and consistency in one (Vashurin et al., NeurIPS 2025).

    `uncertainties` multiplies the two uncertainties, as the paper does: either being 0 makes the whole 0.
    `confidences` is 1 - the product of the two confidences, as in uqlm: either being wholly uncertain makes the
    whole so. The paper's -log p has no bound; here it is 1 - exp(mean log p).
    """

    similarity: Similarity = same_code
    product: Literal["uncertainties", "confidences"] = "confidences"

    @property
    def name(self) -> str:
        """Name with the form, since the two rank differently."""
        return f"cocoa_{self.product}"

    def estimate(self, samples: Samples, /) -> Estimate | None:
        """Return it, or nothing without a second answer or log probabilities of what is in question."""
        consistency = _consistency(samples, self.similarity)
        known = [a.logprobs for a in samples.backing if a.logprobs is not None]
        if consistency is None or not known:
            return None
        sure = math.fsum(math.exp(min(0.0, math.fsum(log) / len(log))) for log in known) / len(known)
        parts = {"confidence": sure, "consistency": consistency}
        product = (1.0 - sure) * (1.0 - consistency)
        value = product if self.product == "uncertainties" else 1.0 - sure * consistency
        return Estimate(name=self.name, value=bounded(value), parts=parts, n=len(samples.given))


def _consistency(samples: Samples, similarity: Callable[[SampledAnswer, SampledAnswer], float]) -> float | None:
    """Mean similarity of the answers in question to all other answers; nothing without another answer."""
    per_answer = [_mean_similarity(one, samples.given, similarity) for one in samples.backing]
    return math.fsum(per_answer) / len(per_answer) if per_answer and len(samples.given) > 1 else None


def _mean_similarity(
    one: SampledAnswer,
    among: Sequence[SampledAnswer],
    similarity: Callable[[SampledAnswer, SampledAnswer], float],
) -> float:
    others = [other for other in among if other is not one]
    return math.fsum(similarity(one, other) for other in others) / len(others) if others else 0.0
