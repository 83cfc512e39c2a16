"""The calibration card: what was fitted, on what, how well it did, and what is promised."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final, Literal, Self

import numpy as np
from pydantic import Field, ValidationError, computed_field

from wardround.core.calibration.calibrators import Calibrator, Uncalibrated, VennAbers
from wardround.core.calibration.combined import CombinedModel
from wardround.core.calibration.sets import (
    POOLED,
    ConformalSets,
    DifferentialSet,
    RiskControl,
    class_probabilities,
    kept_from,
    with_dangerous,
)
from wardround.core.calibration.threshold import Threshold
from wardround.core.differential import Differential
from wardround.core.errors import UsageError
from wardround.core.estimators.posterior import Voters
from wardround.core.frozen import Frozen, content_id

SCHEMA_VERSION: Final = 1

IRRELEVANT = frozenset({"escalate", "seed", "timeout", "logprobs", "card", "prices", "suite"})
"""Settings that leave the answers as they are: what happens after them, and by which draw."""
REPLACED = frozenset({"certificate", "probability", "enforced"})
"""Fields of the gate in whose place a certificate stands."""


class Figure(Frozen):
    """A figure with its 95 % interval; nothing where it cannot be computed."""

    value: float | None
    low: float | None
    high: float | None
    n: int


class Measured(Frozen):
    """One metric before and after calibration, beside what no skill gives."""

    before: Figure
    after: Figure
    """By cross-fitting: each case with a calibrator that never saw it."""
    baseline: float | None
    """Of the constant forecast of the share of right answers, or of a random order."""


class Stratum(Frozen):
    """The labelled cases of one specialty."""

    n: int
    right: Figure
    """Share of right answers."""
    stated: float
    """Mean stated probability."""
    calibrated: float
    """Mean calibrated probability, by cross-fitting."""
    brier: Figure
    """Of the calibrated probability."""


class Bin(Frozen):
    """A row of the reliability table; bins are of like size."""

    n: int
    stated: float
    """Mean stated probability."""
    right: Figure


class SetFigures(Frozen):
    """How the sets do on labelled cases that they were not fitted on."""

    coverage: Figure
    """Share of the cases whose right diagnosis, or `other`, is in the set."""
    size: float
    """Mean number of diagnoses kept, dangerous ones included."""
    empty: int
    """Cases for which no diagnosis is kept."""
    leading_alone: Figure
    """The coverage of the leading diagnosis alone, as the baseline."""


class Fitted(Frozen):
    """What a card was fitted on."""

    n: int
    """Labelled consults."""
    cases: int
    """Distinct cases among them."""
    runs: str
    """Digest of the runs' ids."""
    model: str
    settings: dict[str, Any] | None
    """What shapes the probabilities; nothing where the results do not say."""
    splits: dict[str, int]
    """Cases used for the calibrator, the conformal sets and the threshold; no case is in two."""
    strata: dict[str, Stratum]


class MeasuredVoters(Frozen):
    """How often the specialists of the labelled consults were right, and how far they erred together."""

    accuracy: Figure
    """Share of right answers of one specialist."""
    rho: Figure
    """Correlation of two of them being wrong, drawn to .5 where few cases tell."""
    alike: Figure
    """How far those who are wrong give the same answer."""

    @property
    def voters(self) -> Voters:
        """The point values, for the posterior of votes.

        Raises:
            UsageError: A figure has no value.
        """
        values = (self.accuracy.value, self.rho.value, self.alike.value)
        if None in values:
            raise UsageError("the card's figures on the specialists' votes have no value; make it anew")
        return Voters(*(float(value) for value in values if value is not None))


class Card(Frozen):
    """A calibration, its origin, its figures and its promises, named by its content."""

    schema_version: Literal[1] = SCHEMA_VERSION
    date: dt.date
    """Of the fitting; no part of the id."""
    fitted_on: Fitted
    calibrators: dict[str, Calibrator]
    """By stratum; `all` for every other."""
    conformal: ConformalSets
    risk: RiskControl
    must_not_miss: float = Field(ge=0.0, le=1.0)
    """A dangerous diagnosis stays on the list from this probability on."""
    threshold: Threshold
    votes: MeasuredVoters | None = None
    """Nothing where no case was seen by two specialists, or too few were labelled."""
    combined: CombinedModel | None = None
    """The fitted combined uncertainty; nothing where too few labels were there."""
    metrics: dict[str, Measured]
    combined_metrics: dict[str, Measured] = Field(default_factory=dict)
    """Of the combined uncertainty: the fixed product before, the fitted sum after."""
    sets: SetFigures | None = None
    reliability: tuple[Bin, ...] = ()
    warnings: tuple[str, ...] = ()

    @computed_field  # type: ignore[prop-decorator]
    @property
    def id(self) -> str:
        """Name by content, whatever the day."""
        return content_id("card", self.model_dump(mode="json", exclude={"id", "date"}))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a card.

        Raises:
            UsageError: There is none, it cannot be read, or it was changed after it was made.
        """
        try:
            text = Path(path).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            what = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise UsageError(f"{path}: cannot be read ({what}); `wardround calibrate` writes a card") from error
        try:
            return cls.from_json(json.loads(text))
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{path}: is not JSON ({error}); `wardround calibrate` writes a card") from error
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from error

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Make a card of plain JSON values.

        Raises:
            UsageError: It is no card of this version, or its id is not that of its content.
        """
        if not isinstance(value, dict):
            raise UsageError("is no calibration card; `wardround calibrate` writes one")
        version = value.get("schema_version")
        if version != SCHEMA_VERSION:
            raise UsageError(f"is a card of version {version}, not {SCHEMA_VERSION}; make it anew")
        stated = value.get("id")
        try:
            card = cls.model_validate({k: v for k, v in value.items() if k != "id"})
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise UsageError(f"is no calibration card: {where}: {first['msg']}; make it anew") from error
        if stated != card.id:
            raise UsageError(f"its content is that of {card.id}, but it says {stated}: it was changed; make it anew")
        return card

    def to_json(self) -> dict[str, Any]:
        """Return the card as plain JSON values, its id first."""
        return {"id": self.id, **self.model_dump(mode="json", exclude={"id"})}

    def require_fit(self, model: str, settings: Mapping[str, Any]) -> None:
        """Refuse a consult that the card was not made for.

        Args:
            model: Spec of the consult's model.
            settings: All settings of the consult, as plain JSON values.

        Raises:
            UsageError: Model or settings are others; the message names each difference.
        """
        wrong = [] if model == self.fitted_on.model else [f"model {self.fitted_on.model}, not {model}"]
        if self.fitted_on.settings is not None:
            mine, yours = self.fitted_on.settings, relevant(settings)
            wrong += [
                f"{name} {_shown(mine, name)}, not {_shown(yours, name)}"
                for name in sorted(mine.keys() | yours.keys())
                if mine.get(name) != yours.get(name)
            ]
        if wrong:
            raise UsageError(
                f"calibration card {self.id} was made for {'; '.join(wrong)}; make a card for this consult, or leave it"
            )

    def calibrator(self, stratum: str) -> Calibrator:
        """Return the calibrator of a specialty."""
        return self.calibrators.get(stratum, self.calibrators.get(POOLED, Uncalibrated()))

    def probability(self, stated: float, stratum: str) -> float:
        """Return the calibrated probability that an answer is right."""
        return float(self.calibrator(stratum).apply(np.array([stated]))[0])

    @property
    def voters(self) -> Voters | None:
        """What is known of how the specialists vote."""
        return self.votes.voters if self.votes is not None else None

    def interval(self, stated: float, stratum: str) -> tuple[float, float] | None:
        """Return the Venn-Abers pair; nothing where another calibrator is used."""
        calibrator = self.calibrator(stratum)
        if not isinstance(calibrator, VennAbers):
            return None
        low, high = calibrator.interval(np.array([stated]))
        return float(low[0]), float(high[0])

    def differential_set(
        self, differential: Differential, stratum: str, dangerous: Collection[str], everywhere: Mapping[str, float]
    ) -> DifferentialSet:
        """Return what is not excluded: conformal set, risk-controlled set and dangerous diagnoses together.

        Args:
            differential: As shown, hence as calibrated on: the consult's first hypotheses.
            stratum: Leading specialty of the consult.
            dangerous: Condition ids that must not be missed.
            everywhere: Probability of every condition id, those not shown too.
        """
        least = self.conformal.threshold(stratum)
        if self.risk.threshold is not None:
            least = min(least, self.risk.threshold)
        kept = DifferentialSet(members=kept_from(differential, least), stratum=self.conformal.stratum(stratum))
        return with_dangerous(kept, {**class_probabilities(differential), **everywhere}, dangerous, self.must_not_miss)


def relevant(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that shape a consult's probabilities and which of its answers are given."""
    kept = {name: value for name, value in settings.items() if name not in IRRELEVANT}
    if isinstance(kept.get("gate"), Mapping):
        kept["gate"] = {name: value for name, value in kept["gate"].items() if name not in REPLACED}
    return kept


def _shown(settings: Mapping[str, Any], name: str) -> str:
    return f"{settings[name]!r}" if name in settings else "unset"
