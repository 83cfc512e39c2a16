"""Sets of diagnoses that hold the right one as often as promised, and every dangerous one not excluded."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pydantic import Field

from wardround.core.calibration.calibrators import Share
from wardround.core.differential import Differential
from wardround.core.errors import UsageError
from wardround.core.frozen import Frozen

OTHER = "other"
"""What is on no differential."""
POOLED = "all"
"""The stratum of cases whose own has too few labelled ones."""
UNSORTED = "none"
"""The stratum of a case that triage sent to no specialty."""
MANY = 5
"""More diagnoses than this are no answer. Our own choice."""


class DifferentialSet(Frozen):
    """What is not excluded."""

    members: tuple[str, ...]
    """Condition ids that the promise is about, the most probable first; `other` stands for all that is not listed."""
    dangerous: tuple[str, ...] = ()
    """Condition ids added because missing them would cost too much."""
    stratum: str
    """Whose quantile was used."""

    @property
    def all(self) -> tuple[str, ...]:
        """Members and added dangerous ones."""
        return (*self.members, *self.dangerous)

    def unusable(self, most: int = MANY) -> str | None:
        """Say why the set answers nothing, or nothing where it does.

        An empty set means a case unlike those calibrated on: no diagnosis is typical enough. A set of one is not
        a certain answer.
        """
        if not self.members:
            return "no diagnosis is probable enough for a case like those calibrated on"
        if len(self.members) > most:
            return f"{len(self.members)} diagnoses cannot be told apart, more than {most}"
        if self.members == (OTHER,):
            return "it is most likely none of the listed diagnoses"
        return None


class ConformalSets(Frozen):
    """Split conformal sets by least probability, a quantile for each stratum.

    LAC (Sadinle, Lei & Wasserman, JASA 2019) within Mondrian strata (Vovk et al. 2005): a diagnosis is kept whose
    probability is at least the threshold of the case's stratum. For cases drawn like the calibrated ones the right
    diagnosis, or `other` where it is not listed, is kept with probability 1 - alpha or more in every stratum.
    """

    alpha: float = Field(gt=0.0, lt=1.0)
    thresholds: dict[str, Share]
    """Least probability that is kept, by stratum; 0 keeps everything, as too few cases demand."""
    counts: dict[str, int]
    """Labelled cases of each stratum."""
    pooled: tuple[str, ...] = ()
    """Strata with too few cases of their own, which share the stratum `all`."""

    def stratum(self, name: str) -> str:
        """Return whose quantile a case of this specialty gets; one never seen is pooled, without a promise."""
        return name if name in self.thresholds else POOLED

    def threshold(self, name: str) -> float:
        """Return the least probability that is kept; 0, hence everything, where no stratum fits."""
        return self.thresholds.get(self.stratum(name), 0.0)

    def keep(self, differential: Differential, stratum: str) -> DifferentialSet:
        """Return the set of a differential, `other` being one of its classes."""
        least = self.threshold(stratum)
        return DifferentialSet(members=kept_from(differential, least), stratum=self.stratum(stratum))


def kept_from(differential: Differential, least: float) -> tuple[str, ...]:
    """Return all classes of at least this probability, the most probable first."""
    classes = class_probabilities(differential)
    return tuple(sorted((c for c, p in classes.items() if p >= least), key=lambda c: (-classes[c], c)))


def class_probabilities(differential: Differential) -> dict[str, float]:
    """Return the probability of each listed condition id and of `other`."""
    return {**{h.id: h.probability for h in differential.hypotheses}, OTHER: differential.other}


def class_of(differential: Differential, right: Collection[str]) -> str:
    """Return the class of the right answer: the most probable listed id that is right, else `other`."""
    return next((h.id for h in differential.hypotheses if h.id in right), OTHER)


def cost_threshold(false_alarm: float, miss: float) -> float:
    """Return from which probability on a dangerous diagnosis stays on the list: C_FP / (C_FP + C_FN).

    Args:
        false_alarm: Cost of keeping what is not there.
        miss: Cost of dropping what is there, in the same unit.

    Raises:
        UsageError: A cost is not positive.

    >>> cost_threshold(1.0, 99.0)
    0.01
    """
    if not (false_alarm > 0.0 and miss > 0.0):
        raise UsageError(f"costs are {false_alarm} and {miss}; both must be above 0")
    return false_alarm / (false_alarm + miss)


def with_dangerous(
    kept: DifferentialSet, probability: Mapping[str, float], dangerous: Collection[str], at_least: float
) -> DifferentialSet:
    """Return a set to which every dangerous diagnosis of enough probability is added; a superset keeps the promise.

    Args:
        kept: The conformal set.
        probability: Of every condition id, those beyond the shown differential too.
        dangerous: Condition ids that must not be missed.
        at_least: See `cost_threshold`.
    """
    missed = [d for d in dangerous if d not in kept.members and probability.get(d, 0.0) >= at_least]
    added = dict.fromkeys([*kept.dangerous, *sorted(missed, key=lambda d: (-probability.get(d, 0.0), d))])
    return kept.model_copy(update={"dangerous": tuple(added)})


class RiskControl(Frozen):
    """A least probability at which the mean cost of omitted diagnoses is held.

    Conformal risk control (Angelopoulos et al., arXiv 2208.02814): for cases drawn like the calibrated ones the
    expected severity-weighted miss is at most alpha.
    """

    alpha: float = Field(gt=0.0)
    """Mean cost that is tolerated, in the unit of the severities."""
    highest: float = Field(gt=0.0)
    """Greatest severity of any diagnosis."""
    n: int = Field(ge=0)
    threshold: float | None = Field(default=None, ge=0.0, le=1.0)
    """Keep from this probability on; nothing where too few cases were there to promise anything."""
    needed: int | None = Field(default=None, ge=1)
    """Cases from which on something can be promised, where it cannot: highest / alpha - 1."""
