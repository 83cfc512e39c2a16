"""What is measured in one body: where its values usually lie, how they wander, and how an acute illness moves them.

A value is thought of as u, its place in the healthy interval of the patient's age and sex: -1 and +1 at its
ends, on a linear or logarithmic scale (data/analytes.yaml). What a person has and how ill they are moves u; only
at the end does it become a value in a unit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from wardround.core.errors import KnowledgeError
from wardround.environments.fhir.population.conditions import Problem
from wardround.environments.fhir.population.people import Person
from wardround.environments.fhir.population.resources import HOUR
from wardround.environments.fhir.population.schema import Behaviour
from wardround.environments.fhir.population.tables import Tables, tables
from wardround.knowledge.quantities import reference_range
from wardround.knowledge.schema import Analyte, FindingEntry

Array = NDArray[np.float64]

WANDER_HOURS = 30.0
"""Time constant of the wandering of values in a stay; own choice."""
WANDER_YEARS_HOURS = 24.0 * 60
"""Time constant of the wandering of values between visits: two months; own choice."""


@dataclass(frozen=True)
class Limit:
    """A value at which a finding of the knowledge base begins."""

    finding: str
    sign: int
    """+1 above, -1 below."""
    value: float


@dataclass(frozen=True)
class Axes:
    """All modelled analytes as columns."""

    names: tuple[str, ...]
    column: Mapping[str, int]
    analytes: tuple[Analyte, ...]
    behaviours: tuple[Behaviour, ...]
    log: NDArray[np.bool_]
    factor: Array
    """10 to the number of decimals."""
    low: Array
    """Least plausible value."""
    high: Array
    spread: Array
    within: Array
    hours: Array
    in_hospital: Array
    """Where lying in hospital moves u to."""

    @property
    def n(self) -> int:
        """How many."""
        return len(self.names)


@cache
def axes() -> Axes:
    """Return the columns, the knowledge base's analytes first."""
    t = tables()
    rows = {**t.analytes.behaviour, **t.analytes.own_behaviour}
    known = {**t.kb.analytes, **{a.id: a for a in t.analytes.own}}
    analytes = tuple(known[name] for name in rows)
    behaviours = tuple(rows.values())
    return Axes(
        names=tuple(rows),
        column={name: i for i, name in enumerate(rows)},
        analytes=analytes,
        behaviours=behaviours,
        log=np.array([b.log for b in behaviours]),
        factor=10.0 ** np.array([b.digits for b in behaviours]),
        low=np.array([a.plausible[0] for a in analytes]),
        high=np.array([a.plausible[1] for a in analytes]),
        spread=np.array([b.spread for b in behaviours]),
        within=np.array([b.within for b in behaviours]),
        hours=np.array([b.hours for b in behaviours]),
        in_hospital=np.array([t.analytes.in_hospital.get(name, 0.0) for name in rows]),
    )


@dataclass(frozen=True)
class Scale:
    """Intervals and limits at one age and sex."""

    age: float
    sex: str
    middle: Array
    half: Array
    ranges: tuple[tuple[float | None, float | None], ...]
    """Reference range by column."""
    limits: Mapping[int, tuple[Limit, ...]]
    """Where findings begin, by column."""

    def values(self, u: Array) -> Array:
        """Turn places u, shape (..., n), into plausible values that are not yet rounded."""
        ax = axes()
        x = self.middle + self.half * u
        values = np.where(ax.log, np.exp(np.minimum(x, 700.0)), x)
        return np.clip(values, ax.low, ax.high)

    def place(self, column: int, value: float) -> float:
        """Turn a value of one analyte into its place u."""
        x = math.log(max(value, 1e-6)) if axes().log[column] else value
        return float((x - self.middle[column]) / self.half[column])


def scale_of(person: Person, at: float) -> Scale:
    """Return the scale of a person at a moment."""
    age = person.age(at)
    return _scale(round(age, 1) if age < 2 else float(int(age)), person.sex)


@lru_cache(maxsize=512)
def _scale(age: float, sex: str) -> Scale:
    t, ax = tables(), axes()
    pairs = [_healthy(t, a, b, age, sex) for a, b in zip(ax.analytes, ax.behaviours, strict=True)]
    ends = np.array(
        [[math.log(v) for v in pair] if b.log else pair for pair, b in zip(pairs, ax.behaviours, strict=True)]
    )
    found = [reference_range(a, age, sex) for a in ax.analytes]
    ranges = tuple((None, None) if r is None else (r.low, r.high) for r in found)
    return Scale(
        age=age,
        sex=sex,
        middle=ends.mean(axis=1),
        half=(ends[:, 1] - ends[:, 0]) / 2,
        ranges=ranges,
        limits={i: limits for i, name in enumerate(ax.names) if (limits := _limits(name, ranges[i]))},
    )


def _healthy(t: Tables, analyte: Analyte, behaviour: Behaviour, age: float, sex: str) -> tuple[float, float]:
    limits = reference_range(analyte, age, sex)
    is_by_age = age < t.analytes.healthy_from_age and len(analyte.ranges) > 1
    if limits is not None and limits.low and limits.high and (behaviour.healthy is None or is_by_age):
        return limits.low, limits.high
    if behaviour.healthy is None:
        raise KnowledgeError([f"analytes.yaml: {analyte.id} needs `healthy`, since its reference range is open"])
    return behaviour.healthy


def _limits(name: str, limits: tuple[float | None, float | None]) -> tuple[Limit, ...]:
    found = []
    for entry in _deciding().get(name, ()):
        sign = 1 if entry.direction == "above" else -1
        value = entry.threshold if entry.threshold is not None else limits[sign > 0]
        if value is not None:
            found.append(Limit(entry.id, sign, value))
    return tuple(found)


@cache
def _deciding() -> Mapping[str, Sequence[FindingEntry]]:
    """Findings by the analyte that decides them."""
    found: dict[str, list[FindingEntry]] = {}
    for entry in tables().kb.findings.values():
        if entry.analyte is not None:
            found.setdefault(entry.analyte, []).append(entry)
    return found


Effects = Callable[[float], Iterable[Mapping[str, float]]]
"""What the drugs taken at a moment do to places u, one mapping by analyte for each drug."""


class Body:
    """One person's usual values: their own place, moved by what they have and take."""

    def __init__(self, person: Person, problems: Sequence[Problem], effects: Effects, rng: np.random.Generator) -> None:
        ax = axes()
        self.person = person
        self._problems = problems
        self._effects = effects
        self._own = np.clip(rng.standard_normal(ax.n), -2.2, 2.2) * ax.spread

    def usual(self, at: float) -> Array:
        """Return the usual places u at a moment, shape (n,)."""
        u = self._own.copy()
        column = axes().column
        for problem in self._problems:
            if problem.is_active(at):
                for name, move in problem.row.moves.items():
                    u[column[name]] += move * problem.severity
        for moves in self._effects(at):
            for name, move in moves.items():
                u[column[name]] += move
        return u

    def measure(self, u: Array, at: float, first: Mapping[int, float] | None = None) -> Array:
        """Turn places into values as reported, with those that follow from others.

        Args:
            u: Places, shape (times, n).
            at: Moment that sets age, in seconds since 1970.
            first: Values by column that the first row must have.
        """
        values = _rounded(scale_of(self.person, at).values(u))
        for column, value in (first or {}).items():
            values[0, column] = value
        _derive(values, self.person, at)
        return values


def _rounded(values: Array) -> Array:
    factor = axes().factor
    rounded: Array = np.rint(values * factor) / factor
    return rounded


def _derive(values: Array, person: Person, at: float) -> None:
    """Make what belongs together agree, in place."""
    ax = axes()
    c = ax.column
    values[:, c["chloride"]] = values[:, c["sodium"]] - values[:, c["bicarbonate"]] - values[:, c["anion_gap"]]
    values[:, c["egfr"]] = ckd_epi_2021(values[:, c["creatinine"]], person.age(at), person.sex)
    fat = values[:, c["hdl"]] + values[:, c["triglycerides"]] / 2.2
    values[:, c["ldl"]] = np.rint(np.maximum(values[:, c["cholesterol"]] - fat, 0.4) * 10) / 10
    _fit_white_cells(values)
    systolic, diastolic = values[:, c["systolic_bp"]], values[:, c["diastolic_bp"]]
    values[:, c["diastolic_bp"]] = np.rint(np.clip(diastolic, 0.4 * systolic, systolic - 14))
    values[:, c["chloride"]] = np.clip(values[:, c["chloride"]], ax.low[c["chloride"]], ax.high[c["chloride"]])


def _fit_white_cells(values: Array) -> None:
    """Let all white cells be those of the kinds that are counted, and a few more."""
    c = axes().column
    together = values[:, [c[kind] for kind in KINDS]].sum(axis=1)
    values[:, c["wbc"]] = np.rint(together / COUNTED * 10) / 10


KINDS = ("neutrophils", "lymphocytes", "eosinophils")
COUNTED = 0.93
"""Share of the white cells that are of these kinds; the others are monocytes and basophils. Own choice."""


def ckd_epi_2021(creatinine: Array, age: float, sex: str) -> Array:
    """Estimate the glomerular filtration rate, mL/min/1.73 m2, from creatinine in umol/L.

    Inker LA et al. New creatinine- and cystatin C-based equations to estimate GFR without race. N Engl J Med
    2021;385:1737-1749. It holds from 18 years on; for the younger no estimate is reported.
    """
    kappa, alpha = (0.7, -0.241) if sex == "female" else (0.9, -0.302)
    ratio = creatinine / 88.42 / kappa
    rate: Array = 142 * np.minimum(ratio, 1) ** alpha * np.maximum(ratio, 1) ** -1.2 * 0.9938 ** max(age, 18.0)
    rounded: Array = np.rint(np.clip(rate * (1.012 if sex == "female" else 1.0), 1, 200))
    return rounded


def wander(rng: np.random.Generator, times: Sequence[float], hours: float) -> Array:
    """Draw a stationary first-order autoregressive path for every analyte, shape (times, n), starting at zero.

    Args:
        rng: The patient's stream.
        times: In seconds since 1970, rising.
        hours: Time constant; the correlation over a gap is exp(-gap / hours).
    """
    ax = axes()
    gaps = np.diff(np.array(times, dtype=np.float64)) / HOUR
    kept = np.exp(-gaps / hours)
    shocks = rng.standard_normal((len(times), ax.n)) * ax.within
    path = np.zeros_like(shocks)
    fresh = np.sqrt(1.0 - kept**2)
    for i, (keep, new) in enumerate(zip(kept.tolist(), fresh.tolist(), strict=True), start=1):
        path[i] = keep * path[i - 1] + new * shocks[i]
    return path


def findings_of(scale: Scale, values: Mapping[int, float]) -> dict[str, bool]:
    """Return which findings measured values decide, and whether each is present.

    Args:
        scale: Of the patient at that moment.
        values: Value as reported by column.
    """
    return {
        limit.finding: limit.sign * value > limit.sign * limit.value
        for column, value in values.items()
        for limit in scale.limits.get(column, ())
    }
