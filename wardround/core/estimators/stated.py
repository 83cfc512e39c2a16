"""Uncertainty that the model itself states.

Verbalised confidence is too high and gathers at a few round values, so that it ties and ranks badly; it is usable
only after calibration on labelled cases (uncertainty reference of this project: recalled from the literature, not
measured here on models).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wardround.core.estimators.samples import Estimate, Samples


@dataclass(frozen=True)
class StatedConfidence:
    """1 - mean confidence stated beside the answers that say what is in question."""

    calibrated: Callable[[float], float] | None = None
    """Turns a stated confidence into a probability, where it was fitted; must not leave [0, 1]."""
    name = "stated_confidence"

    def estimate(self, samples: Samples, /) -> Estimate | None:
        """Return it, or nothing where no such answer has a confidence; the part `stated` is what was said."""
        stated = [a.confidence for a in samples.backing if a.confidence is not None]
        if not stated:
            return None
        used = [self.calibrated(c) for c in stated] if self.calibrated is not None else stated
        parts = {"stated": sum(stated) / len(stated)}
        return Estimate(name=self.name, value=1.0 - sum(used) / len(used), parts=parts, n=len(stated))


@dataclass(frozen=True)
class PTrue:
    """1 - mean P(True) of the answers that say what is in question (Kadavath et al., arXiv 2207.05221).

    The question to the model names the proposed answer and, best, the others that were given.
    """

    name = "p_true"

    def estimate(self, samples: Samples, /) -> Estimate | None:
        """Return it, or nothing where no such answer was asked about."""
        asked = [a.p_true for a in samples.backing if a.p_true is not None]
        if not asked:
            return None
        return Estimate(name=self.name, value=1.0 - sum(asked) / len(asked), n=len(asked))
