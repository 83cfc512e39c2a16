"""Calibrators: from a stated probability to one that comes true as often as it says.

Each is a frozen value with a `method`, so that JSON tells them apart, and never turns the order of two cases:
a higher stated probability never becomes a lower one. Parameters come from `wardround.evals.calibrating`.
"""

from __future__ import annotations

from typing import Annotated, Literal, Protocol, Self

import numpy as np
from pydantic import Field, model_validator

from wardround.core.calibration.checking import CLIP, log_odds, probabilities, sigmoid
from wardround.core.errors import UsageError
from wardround.core.frozen import Frozen
from wardround.core.weighing import Array

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Calibrates(Protocol):
    """What every calibrator does."""

    @property
    def method(self) -> str:
        """Its name."""
        ...

    def apply(self, scores: Array) -> Array:
        """Return calibrated probabilities, shape (n,).

        Raises:
            UsageError: A score is not a probability.
        """
        ...


class Uncalibrated(Frozen):
    """Leaves scores as they are; what stands where too few labels were there."""

    method: Literal["none"] = "none"

    def apply(self, scores: Array) -> Array:
        """Return the scores themselves."""
        return probabilities(scores)


class Temperature(Frozen):
    """Log-odds divided by one number (Guo et al., ICML 2017)."""

    method: Literal["temperature"] = "temperature"
    temperature: float = Field(gt=0.0)
    """Above 1 the scores were too bold, below 1 too timid."""

    def apply(self, scores: Array) -> Array:
        """Return sigma(logit(p) / T)."""
        return sigmoid(log_odds(probabilities(scores)) / self.temperature)

    def apply_to_distribution(self, distribution: Array) -> Array:
        """Return softmax(log(p) / T) over the last axis.

        Args:
            distribution: Shape (..., n_classes), summing to 1 over the last axis. A class at 0 stays at 0.

        Raises:
            UsageError: It is no distribution.
        """
        given = np.asarray(distribution, dtype=np.float64)
        if not np.all(given >= 0.0) or not np.allclose(given.sum(axis=-1), 1.0, atol=1e-6):
            raise UsageError("a distribution over classes holds no number below 0 and sums to 1")
        with np.errstate(divide="ignore"):
            scaled = np.log(given) / self.temperature
        powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


class Platt(Frozen):
    """A line on the log-odds (Platt 1999; on log-odds it is logistic recalibration, Cox 1958)."""

    method: Literal["platt"] = "platt"
    slope: float = Field(ge=0.0)
    intercept: float

    def apply(self, scores: Array) -> Array:
        """Return sigma(slope logit(p) + intercept)."""
        return sigmoid(self.slope * log_odds(probabilities(scores)) + self.intercept)


class Beta(Frozen):
    """Beta calibration (Kull, Silva Filho & Flach, AISTATS 2017)."""

    method: Literal["beta"] = "beta"
    a: float = Field(ge=0.0)
    b: float = Field(ge=0.0)
    c: float

    def apply(self, scores: Array) -> Array:
        """Return sigma(a log(p) - b log(1 - p) + c)."""
        p = np.clip(probabilities(scores), CLIP, 1.0 - CLIP)
        return sigmoid(self.a * np.log(p) - self.b * np.log1p(-p) + self.c)


class _Steps(Frozen):
    """Values over rising positions."""

    at: tuple[Share, ...] = Field(min_length=1)
    values: tuple[Share, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _rise(self) -> Self:
        if len(self.at) != len(self.values):
            raise ValueError(f"{len(self.at)} positions, but {len(self.values)} values")
        if np.any(np.diff(self.at) <= 0.0) or np.any(np.diff(self.values) < 0.0):
            raise ValueError("positions must rise and values must not fall")
        return self


class Isotonic(_Steps):
    """The best rising function, straight between its knots (Zadrozny & Elkan, KDD 2002)."""

    method: Literal["isotonic"] = "isotonic"

    def apply(self, scores: Array) -> Array:
        """Return the function's value; beyond the outer knots, that of the nearest."""
        return np.interp(probabilities(scores), self.at, self.values)


class Histogram(_Steps):
    """The share of right answers in bins of like size (Zadrozny & Elkan, ICML 2001).

    Neighbouring bins that would turn the order were pooled. `at` is the upper edge of each bin, the last being 1.
    """

    method: Literal["histogram"] = "histogram"

    def apply(self, scores: Array) -> Array:
        """Return the value of the bin into which each score falls; an upper edge belongs to its bin."""
        places = np.searchsorted(self.at, probabilities(scores), side="left")
        return np.asarray(self.values)[np.minimum(places, len(self.values) - 1)]


class VennAbers(Frozen):
    """Inductive Venn-Abers prediction (Vovk, Petej & Fedorova, NeurIPS 2015).

    Two probabilities, one of which is calibrated whatever the scores are worth; their distance says how little is
    known there. Position 2i + 1 of `low` and `high` is the i-th known score, the even ones are the gaps around.
    """

    method: Literal["venn-abers"] = "venn-abers"
    at: tuple[Share, ...] = Field(min_length=1)
    """Known scores, rising, shape (k,)."""
    low: tuple[Share, ...]
    """p0, shape (2k + 1,)."""
    high: tuple[Share, ...]
    """p1, shape (2k + 1,)."""

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if not len(self.low) == len(self.high) == 2 * len(self.at) + 1:
            raise ValueError("p0 and p1 need one value for each known score and each gap")
        if np.any(np.diff(self.at) <= 0.0) or np.any(np.asarray(self.low) > self.high):
            raise ValueError("known scores must rise, and p0 must not exceed p1")
        return self

    def interval(self, scores: Array) -> tuple[Array, Array]:
        """Return p0 and p1, each of shape (n,)."""
        given = probabilities(scores)
        known = np.asarray(self.at)
        places = np.searchsorted(known, given, side="left") + np.searchsorted(known, given, side="right")
        return np.asarray(self.low)[places], np.asarray(self.high)[places]

    def apply(self, scores: Array) -> Array:
        """Return p1 / (1 - p0 + p1), the one number with the least worst log loss between the two."""
        low, high = self.interval(scores)
        return high / (1.0 - low + high)


Calibrator = Annotated[
    Uncalibrated | Temperature | Platt | Beta | Isotonic | Histogram | VennAbers, Field(discriminator="method")
]
"""Any of them, told apart in JSON by `method`."""
