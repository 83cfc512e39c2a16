"""Acute illnesses drawn from the knowledge base: which condition, with which findings, in this person."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from wardround.environments.fhir.population.people import Person
from wardround.environments.fhir.population.physiology import Array
from wardround.environments.fhir.population.resources import date_seconds
from wardround.environments.fhir.population.tables import Tables, tables
from wardround.knowledge.base import KnowledgeBase
from wardround.knowledge.simulator import draw_findings

HISTORY_WEIGHT = 0.5
"""How far what a person already has bears on which illness comes: the exponent of its likelihood. What people have
is correlated, so its full product would count the same thing several times. Own choice."""
OBESE = 30.0
"""Body mass index above which obesity is said of a person; the threshold of the knowledge base's bmi_high."""
_MAX_TRIES = 200


@dataclass(frozen=True)
class Illness:
    """An acute illness as it presents, before anything is measured."""

    condition: str
    """Id in the knowledge base."""
    complaints: tuple[str, ...]
    """What the patient came with, the least common first; at most three."""
    present: frozenset[str]
    """All findings that are true, also those that nobody will ask about."""
    chances: Mapping[str, float]
    """P(finding | condition)."""


@cache
def _person_findings() -> frozenset[str]:
    """Findings that a person has or has not, whatever the illness."""
    t = tables()
    histories = {row.history for row in t.long_term.values() if row.history}
    uses = {drug.use for drug in t.medications.drugs.values() if drug.use}
    return frozenset({*histories, *uses, *t.people.traits, "bmi_high", "bmi_low", "obesity_history", "menopause"})


def own_findings(
    t: Tables, person: Person, at: float, *, histories: Collection[str], uses: Collection[str], bmi: float
) -> set[str]:
    """Return the findings that hold of a person at a moment without any illness.

    Args:
        t: The tables.
        person: The patient.
        at: In seconds since 1970.
        histories: Findings that say which conditions the person has.
        uses: Findings that say which drugs the person takes.
        bmi: Body mass index, kg/m2.
    """
    age = person.age(at)
    found = {*histories, *uses, *person.traits}
    if bmi > OBESE and age >= t.analytes.healthy_from_age:
        found |= {"obesity_history"}
    if person.sex == "female" and age >= t.people.menopause:
        found.add("menopause")
    return {code for code in found if age >= t.people.from_age.get(code, 0.0)}


def condition_weights(t: Tables, person: Person, at: float, own: Collection[str], held: Collection[str]) -> Array:
    """Return how likely each condition is to be the next illness, shape (n_conditions,); not normalised.

    The knowledge base's prior at this age and sex, times the likelihood of what the person already has to the
    power of HISTORY_WEIGHT. Conditions that are long-lasting here begin on their own and are left out, as are those in
    `held`.
    """
    kb = t.kb
    weights: Array = kb.prior(person.age(at), person.sex).copy()
    codes = sorted(_person_findings() & set(kb.finding_index))
    rows = [kb.finding_index[code] for code in codes]
    has = np.array([code in own for code in codes])[:, None]
    likelihood = np.where(has, kb.likelihood[rows], 1.0 - kb.likelihood[rows])
    weights *= np.exp(HISTORY_WEIGHT * np.log(likelihood).sum(axis=0))
    for code in {*held, *_begins_on_its_own()}:
        weights[kb.condition_index[code]] = 0.0
    for code, since in t.episodes.since.items():
        if at < date_seconds(since):
            weights[kb.condition_index[code]] = 0.0
    return weights


@cache
def _begins_on_its_own() -> frozenset[str]:
    return frozenset(row.knowledge for row in tables().long_term.values() if row.knowledge)


def draw_illness(
    t: Tables, condition: str, person: Person, at: float, own: Collection[str], rng: np.random.Generator
) -> Illness:
    """Draw the findings of an illness, with what is true of the person anyhow.

    Raises:
        AssertionError: The condition brings no complaint in many draws; its figures cannot be right.
    """
    kb = t.kb
    for _ in range(_MAX_TRIES):
        drawn = draw_findings(kb, condition, person.sex, rng)
        present = _close(kb, (_fitting(t, person.age(at), drawn) - _person_findings()) | set(own))
        complaints = sorted(
            (code for code in _complaints() if code in present and code in kb.conditions[condition].findings),
            key=lambda code: (kb.findings[code].background, code),
        )
        if complaints:
            chances = kb.figures[condition]
            return Illness(condition, tuple(complaints[:3]), frozenset(present), chances)
    raise AssertionError(f"{condition} brings no complaint in {_MAX_TRIES} draws; its figures cannot be right")


@cache
def _complaints() -> frozenset[str]:
    kb = tables().kb
    return frozenset(
        code for p in kb.presentations.values() for code in p.complaints if kb.findings[code].analyte is None
    )


def _fitting(t: Tables, age: float, drawn: set[str]) -> set[str]:
    young, old = t.people.from_age, t.people.until_age
    return {code for code in drawn if young.get(code, 0.0) <= age <= old.get(code, 200.0)}


def _close(kb: KnowledgeBase, present: set[str]) -> set[str]:
    """Drop a narrower finding whose broader one is gone."""
    return {code for code in present if present.issuperset(kb.implied(code))}


@cache
def workup(complaint: str) -> tuple[str, ...]:
    """Return what is asked, examined and tested for a complaint: red flags and what bears on its conditions."""
    kb = tables().kb
    codes: dict[str, None] = {}
    for p in kb.presentations.values():
        if complaint in p.complaints:
            codes |= dict.fromkeys(p.complaints) | dict.fromkeys(p.red_flags)
            for condition in kb.presentation_conditions[p.id]:
                codes |= dict.fromkeys(kb.conditions[condition].findings)
    return tuple(codes)


@cache
def red_flags(complaint: str) -> frozenset[str]:
    """Return what has to be asked of everyone with a complaint."""
    kb = tables().kb
    return frozenset(f for p in kb.presentations.values() if complaint in p.complaints for f in p.red_flags)
