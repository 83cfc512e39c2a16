"""Whether an answer about an image came from the image.

Both estimators compare answers under changed images: mild changes that keep the meaning, and a destroyed image. The
changes themselves are made elsewhere. Flips, rotations and crops are no mild changes in medicine: they move a
finding to the other side, or out of sight.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from wardround.core.estimators.ensemble import Basis, mean_distribution
from wardround.core.estimators.information import decompose, entropy, shares
from wardround.core.estimators.samples import Estimate, Perturbation, Samples, bounded, cluster_of

FLAGGED_BITS = 1.0
"""Entropy from which on VL-Uncertainty calls an answer a hallucination."""


@dataclass(frozen=True)
class PairedChange:
    """One mild change of image and text together."""

    blur: float
    """Radius of the Gaussian blur in pixels."""
    temperature: float
    """At which the question is paraphrased."""


PAIRED_CHANGES = tuple(
    PairedChange(blur, temperature)
    for blur, temperature in ((0.6, 0.1), (0.8, 0.2), (1.0, 0.3), (1.2, 0.4), (1.4, 0.5))
)
"""Growing together, as in the code of VL-Uncertainty (arXiv 2411.11919); answers are sampled at temperature 1."""


@dataclass(frozen=True)
class PairedPerturbation:
    """Entropy of the answers under mild paired changes, over log(min(answers, options)).

    The part `bits` is the entropy to base 2, and `flagged` is 1 where it reaches `FLAGGED_BITS`.
    """

    name = "paired_perturbation"

    def estimate(self, samples: Samples, /) -> Estimate | None:
        """Return it, or nothing without two answers under changed images."""
        changed = samples.under(Perturbation.IMAGE)
        if len(changed) < 2:
            return None
        spread = entropy(shares(Counter(cluster_of(a) for a in changed)))
        outcomes = min(len(changed), samples.options) if samples.options is not None else len(changed)
        value = bounded(spread / math.log(outcomes)) if outcomes > 1 else 0.0
        bits = spread / math.log(2.0)
        parts = {"bits": bits, "flagged": float(bits >= FLAGGED_BITS - 1e-12)}
        return Estimate(name=self.name, value=value, parts=parts, n=len(changed))


@dataclass(frozen=True)
class ImageReliance:
    """1 - JSD(P_original, P_blank) / log 2: near 1, the answer would have been the same without the image.

    It speaks against an answer only where the question needs the image, which the caller must know.
    """

    basis: Basis = "votes"
    name = "image_reliance"

    def estimate(self, samples: Samples, /) -> Estimate | None:
        """Return it, or nothing without answers with the image and without it; the part `reliance` is 1 - value."""
        seen, blank = samples.given, samples.under(Perturbation.BLANK)
        one, other = mean_distribution(seen, self.basis), mean_distribution(blank, self.basis)
        if one is None or other is None:
            return None
        reliance = divergence(one, other)
        parts = {"reliance": reliance}
        return Estimate(name=self.name, value=1.0 - reliance, parts=parts, n=len(seen) + len(blank))


def divergence(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """Return the Jensen-Shannon divergence of two distributions over log 2, in [0, 1].

    >>> divergence({"a": 1.0}, {"b": 1.0})
    1.0
    """
    return bounded(decompose([one, other]).epistemic / math.log(2.0))
