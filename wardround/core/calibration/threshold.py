"""From which confidence on may be answered, and what is promised with it."""

from __future__ import annotations

from typing import Self

import numpy as np
from pydantic import Field, model_validator

from wardround.core.calibration.checking import probabilities
from wardround.core.errors import UsageError
from wardround.core.frozen import Frozen


class Threshold(Frozen):
    """A threshold for answering with its certificate, or the plain statement that there is none.

    Certified: with probability 1 - delta over the labelled cases, at most a share alpha of the answers given above
    the threshold is wrong, for cases drawn like the labelled ones. An answer is given where nothing else than its
    probability stands against it; it is tested on such cases alone. Learn then Test, Angelopoulos et al. 2021
    (arXiv 2110.01052), fixed sequence.
    """

    value: float | None = Field(default=None, ge=0.0, le=1.0)
    """Answers need a confidence above it; nothing where nothing is certified."""
    alpha: float = Field(gt=0.0, lt=1.0)
    delta: float = Field(gt=0.0, lt=1.0)
    n: int = Field(ge=0)
    """Labelled cases it was tested on: those with a diagnosis that only its probability could hold back."""
    accepted: int = Field(default=0, ge=0)
    """Of them above the threshold."""
    errors: int = Field(default=0, ge=0)
    """Of these wrong."""
    upper: float | None = Field(default=None, ge=0.0, le=1.0)
    """One-sided upper 1 - delta bound of the share of wrong answers at this threshold alone (Clopper-Pearson)."""
    needed: int | None = Field(default=None, ge=1)
    """About how many labelled cases would certify at the error rate seen; nothing where certified, or where no
    number would, since the error rate seen is not below alpha at any threshold."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.errors > self.accepted or self.accepted > self.n:
            raise ValueError(f"{self.errors} errors among {self.accepted} accepted of {self.n} cannot be")
        if self.certified and self.needed is not None:
            raise ValueError("a certified threshold needs no further cases")
        return self

    @property
    def certified(self) -> bool:
        """Whether there is a certificate."""
        return self.value is not None

    def accepts(self, confidence: float) -> bool:
        """Whether an answer of this confidence may be given; never without a certificate.

        Raises:
            UsageError: The confidence is not a probability.
        """
        given = float(probabilities(np.array([confidence]), "confidence")[0])
        return self.value is not None and given > self.value

    def __str__(self) -> str:
        """Return the certificate, or why there is none, in a sentence.

        >>> print(Threshold(alpha=0.1, delta=0.1, n=40, needed=120))
        not certified on 40 cases: about 120 would be needed at the error rate seen; escalate every case
        """
        if self.value is not None:
            return (
                f"answer above {self.value:.3f}: at most {self.alpha:.0%} of the answers wrong, at {1 - self.delta:.0%}"
                f" confidence ({self.errors} of {self.accepted} wrong among {self.n} cases)"
            )
        more = (
            f"about {self.needed} would be needed at the error rate seen"
            if self.needed is not None
            else f"no threshold is seen to err in less than {self.alpha:.0%}, so more cases alone would not help"
        )
        return f"not certified on {self.n} cases: {more}; escalate every case"


def require_levels(alpha: float, delta: float) -> None:
    """Check the levels of a promise.

    Raises:
        UsageError: One is not between 0 and 1.
    """
    for name, level in (("alpha", alpha), ("delta", delta)):
        if not 0.0 < level < 1.0:
            raise UsageError(f"{name} is {level}; give a share between 0 and 1, such as 0.1")
