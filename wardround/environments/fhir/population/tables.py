"""The generator's tables, read once from data/ and checked against the knowledge base and one another."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from wardround.core.errors import KnowledgeError
from wardround.core.frozen import Frozen
from wardround.environments.fhir.population.schema import (
    Analytes,
    Episodes,
    LongTerm,
    Medications,
    People,
    Staff,
    Study,
    Treatments,
    Vaccine,
)
from wardround.knowledge.base import KnowledgeBase
from wardround.knowledge.loading import embedded


@dataclass(frozen=True)
class Tables:
    """All tables, with the knowledge base they speak of."""

    kb: KnowledgeBase
    people: People
    staff: Staff
    long_term: dict[str, LongTerm]
    analytes: Analytes
    medications: Medications
    treatments: Treatments
    episodes: Episodes
    studies: tuple[Study, ...]
    vaccines: tuple[Vaccine, ...]


class _LongTermFile(Frozen):
    conditions: tuple[LongTerm, ...]


class _StudyFile(Frozen):
    studies: tuple[Study, ...]


class _VaccineFile(Frozen):
    vaccines: tuple[Vaccine, ...]


@cache
def tables() -> Tables:
    """Return the tables that ship with the generator, read and checked once per process.

    Raises:
        KnowledgeError: A file does not fit its schema, or names something that the knowledge base or another file
            does not have; every fault is listed.
    """
    read = Tables(
        kb=embedded(),
        people=_read("people", People),
        staff=_read("staff", Staff),
        long_term={row.id: row for row in _read("conditions", _LongTermFile).conditions},
        analytes=_read("analytes", Analytes),
        medications=_read("medications", Medications),
        treatments=_read("treatments", Treatments),
        episodes=_read("episodes", Episodes),
        studies=_read("imaging", _StudyFile).studies,
        vaccines=_read("prevention", _VaccineFile).vaccines,
    )
    faults = [f"{where}: there is no {kind} {name}" for where, kind, name in _unknown(read)]
    if faults:
        raise KnowledgeError(faults)
    return read


_F = TypeVar("_F", bound=Frozen)


def _read(name: str, kind: type[_F]) -> _F:
    file = resources.files("wardround.environments.fhir.population") / "data" / f"{name}.yaml"
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return kind.model_validate(yaml.load(file.read_text("utf-8"), loader))
    except ValidationError as error:
        raise KnowledgeError(
            [f"{name}.yaml: {'.'.join(map(str, f['loc']))}: {f['msg']}" for f in error.errors(include_url=False)]
        ) from error


def _unknown(t: Tables) -> list[tuple[str, str, str]]:
    """Where a table names what is not there, as (place, kind, name)."""
    drugs = {d for rows in (r.drugs for r in t.long_term.values()) for row in rows for d in row}
    given = {d for row in t.treatments.conditions.values() for d in row}
    listed = {*t.treatments.others, *t.treatments.admitted, *(r.drug for r in t.treatments.replacements)}
    analytes = {*t.kb.analytes, *(a.id for a in t.analytes.own)}
    modelled = {*t.analytes.behaviour, *t.analytes.own_behaviour}
    named: list[tuple[str, str, set[str], set[str]]] = [
        ("conditions.yaml", "drug", drugs, set(t.medications.drugs)),
        ("treatments.yaml", "drug", given | listed | set(t.treatments.adult_only), set(t.medications.drugs)),
        ("treatments.yaml", "knowledge condition", set(t.treatments.conditions), set(t.kb.conditions)),
        ("conditions.yaml", "knowledge condition", {r.knowledge for r in t.long_term.values() if r.knowledge},
         set(t.kb.conditions)),
        ("conditions.yaml", "finding", {r.history for r in t.long_term.values() if r.history}, set(t.kb.findings)),
        ("conditions.yaml", "specialty", {r.specialty for r in t.long_term.values()}, set(t.staff.by_id)),
        ("conditions.yaml", "panel", {p for r in t.long_term.values() for p in r.panels}, set(t.analytes.panels)),
        ("conditions.yaml", "analyte", {a for r in t.long_term.values() for a in r.moves}, modelled),
        ("medications.yaml", "analyte", {a for d in t.medications.drugs.values() for a in d.moves}, modelled),
        ("analytes.yaml", "analyte", modelled, analytes),
        ("analytes.yaml", "behaviour",
         {*t.analytes.in_hospital, *(a for p in t.analytes.panels.values() for a in p.analytes)}, modelled),
        ("medications.yaml", "route", {d.route for d in t.medications.drugs.values()}, set(t.medications.routes)),
        ("medications.yaml", "finding", {d.use for d in t.medications.drugs.values() if d.use}, set(t.kb.findings)),
        ("people.yaml", "finding", {*t.people.traits, *t.people.from_age, *t.people.until_age}, set(t.kb.findings)),
        ("episodes.yaml", "knowledge condition",
         {*t.episodes.days, *t.episodes.lasting, *t.episodes.since, *t.episodes.procedures}, set(t.kb.conditions)),
        ("staff.yaml", "specialty for", {s for c in t.kb.conditions.values() for s in c.specialties},
         set(t.staff.of_knowledge)),
    ]  # fmt: skip
    return [(place, kind, name) for place, kind, said, known in named for name in sorted(said - known)]
