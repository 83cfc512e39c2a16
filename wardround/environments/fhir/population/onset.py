"""How an acute illness moves values: where it begins, and how it goes on."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from wardround.environments.fhir.population.physiology import (
    COUNTED,
    KINDS,
    WANDER_HOURS,
    Array,
    Body,
    Limit,
    Scale,
    axes,
    scale_of,
    wander,
)
from wardround.environments.fhir.population.resources import HOUR
from wardround.environments.fhir.population.tables import tables


@dataclass(frozen=True)
class Onset:
    """The first measurements of an acute illness."""

    u: Array
    """Places, shape (n,)."""
    exact: Mapping[int, float]
    """Values by column that rounding would have put on the wrong side of a limit."""


def fall_ill(
    body: Body, at: float, present: Collection[str], chances: Mapping[str, float], rng: np.random.Generator
) -> Onset:
    """Draw the places at which an acute illness begins, on the right side of every finding's limit.

    A finding that was drawn puts its analyte beyond its limit, and not beyond that of a narrower one that
    was not drawn. One that was not drawn leaves the analyte within, unless the person's usual value is
    beyond the limit anyhow.

    Args:
        body: The patient's.
        at: The moment.
        present: Findings drawn, also ones that no analyte decides.
        chances: P(finding | condition); of two findings that exclude each other the likelier one stays.
        rng: The patient's stream.
    """
    ax = axes()
    scale = scale_of(body.person, at)
    usual = body.usual(at)
    u = usual + np.clip(rng.standard_normal(ax.n), -2.5, 2.5) * ax.within
    exact: dict[int, float] = {}
    for column, limits in scale.limits.items():
        drawn = [limit for limit in limits if limit.finding in present]
        if not drawn:
            u[column] = _stay_within(scale, column, limits, float(usual[column]), float(u[column]))
            continue
        sign = max(drawn, key=lambda limit: (chances.get(limit.finding, 0.0), limit.finding)).sign
        beyond = max((limit for limit in drawn if limit.sign == sign), key=lambda limit: limit.value * sign)
        outer = [x.value for x in limits if x.sign == sign and x.value * sign > beyond.value * sign]
        is_caused = chances.get(beyond.finding, 0.0) >= _CAUSED
        u[column], value = _go_beyond(scale, column, beyond, outer, float(u[column]), rng, is_caused=is_caused)
        exact[column] = value
    _settle_white_cells(scale, u, exact)
    u[ax.column["diastolic_bp"]] += 0.7 * (u[ax.column["systolic_bp"]] - usual[ax.column["systolic_bp"]])
    return Onset(u, exact)


def _stay_within(scale: Scale, column: int, limits: Sequence[Limit], usual: float, u: float) -> float:
    for limit in limits:
        edge = scale.place(column, limit.value)
        if limit.sign * usual <= limit.sign * edge:
            u = limit.sign * min(limit.sign * u, limit.sign * edge)
    return u


_CAUSED = 0.2
"""P(finding | condition) from which the illness is taken to cause a finding; others are mild."""
_MILD = 0.35
"""How far beyond its limit a finding goes that the illness does not cause, against one that it causes. Own choice."""
_LEAST = 0.06
"""Least excess of u over a limit."""


def _go_beyond(
    scale: Scale,
    column: int,
    limit: Limit,
    outer: Sequence[float],
    u: float,
    rng: np.random.Generator,
    *,
    is_caused: bool,
) -> tuple[float, float]:
    """Return a place beyond a limit, and not beyond an outer one, with its value as reported."""
    ax, sign = axes(), limit.sign
    edge = sign * scale.place(column, limit.value)
    mean = ax.behaviours[column].beyond * (1.0 if is_caused else _MILD)
    room = min((sign * scale.place(column, value) for value in outer), default=math.inf) - edge
    excess = _LEAST + min(rng.exponential(mean), 4 * mean)
    if not _LEAST < sign * u - edge < room:
        u = sign * (edge + (excess if excess < room else room * (0.1 + 0.8 * rng.random())))
    places = np.zeros(ax.n)
    places[column] = u
    digits = ax.behaviours[column].digits
    value = round(float(scale.values(places)[column]), digits)
    if sign * value <= sign * limit.value:
        value = _next_beyond(limit, digits)
    return float(u), value


def _next_beyond(limit: Limit, digits: int) -> float:
    """Return the first value with so many decimals beyond a limit."""
    steps = limit.value * 10**digits
    whole = math.floor(steps + 1e-9) + 1 if limit.sign > 0 else math.ceil(steps - 1e-9) - 1
    return float(round(whole / 10**digits, digits))


def _settle_white_cells(scale: Scale, u: Array, exact: dict[int, float]) -> None:
    """Make the kinds of white cells add up: to the whole, unless only a kind was drawn to be abnormal.

    Values of white cells are then no longer exact: they follow from the kinds.
    """
    c = axes().column
    whole, (neutrophils, lymphocytes, eosinophils) = c["wbc"], [c[kind] for kind in KINDS]
    is_by_kind = whole not in exact and (neutrophils in exact or lymphocytes in exact)
    for column in (whole, neutrophils, lymphocytes, eosinophils):
        exact.pop(column, None)
    if is_by_kind:
        return
    values = scale.values(u)
    counted = values[whole] * COUNTED
    lymph, eosin = min(values[lymphocytes], 0.35 * counted), min(values[eosinophils], 0.1 * counted)
    if values[lymphocytes] > _upper(scale, lymphocytes):  # a lymphocytosis stays one
        lymph = min(values[lymphocytes], 0.9 * counted)
    for column, value in ((neutrophils, counted - lymph - eosin), (lymphocytes, lymph), (eosinophils, eosin)):
        u[column] = scale.place(column, float(value))


def _upper(scale: Scale, column: int) -> float:
    """Return the upper end of an analyte's reference range; infinite where there is none."""
    high: float | None = scale.ranges[column][1]
    return math.inf if high is None else high


def course(body: Body, onset: Onset, times: Sequence[float], rng: np.random.Generator, *, worsens: bool) -> Array:
    """Return the values of a stay as reported, shape (times, n): what the illness moved drifts back, or further away.

    Args:
        body: The patient's.
        onset: How it began, at the first time.
        times: In seconds since 1970, rising.
        rng: The patient's stream.
        worsens: Whether the patient does not recover.
    """
    ax = axes()
    usual = body.usual(times[0])
    since = (np.array(times, dtype=np.float64)[:, None] - times[0]) / HOUR
    if worsens:
        span = max(float(since[-1, 0]), 1.0)
        left = 1.0 + 0.6 * since / span
    else:
        left = np.exp(-since / ax.hours)
    lying = ax.in_hospital * (1.0 - np.exp(-since / tables().analytes.in_hospital_hours))
    u = usual + (onset.u - usual) * left + lying + wander(rng, times, WANDER_HOURS)
    return body.measure(u, times[0], onset.exact)
