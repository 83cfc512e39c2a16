"""Removal of a patient or a study for good, and the proof that nothing is left."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import sqlalchemy as sa

from wardround.core.errors import StoreError, UsageError
from wardround.trace.reading import values_of
from wardround.trace.remains import in_tables, spellings, whole
from wardround.trace.removing import Counts, parts, remove, remove_around
from wardround.trace.rows import stamp
from wardround.trace.schema import EVENTS, RUNS, TEXTS, TOMBSTONES, USES

LEAST = 5
"""Characters of a patient id from which on it counts wherever it stands as a word of its own; a shorter one counts
only where FHIR names it: `Patient/1`, a Patient resource, the patient of a record task."""


class Forgetful(Protocol):
    """A cache of model calls beside the store, that lets go of what it holds."""

    def forget(self, keys: Collection[str], /) -> int:
        """Remove the answers to requests by their keys for good, and return how many there were."""
        ...


@dataclass(frozen=True)
class Forgotten:
    """What was removed, and what a search found afterwards."""

    runs: tuple[str, ...]
    """Ids of the runs; forks and replays of a run that was asked for are among them."""
    counts: Counts
    cached: int
    """Answers removed from caches."""
    searched: tuple[str, ...]
    """What was searched: tables and files."""
    left: tuple[str, ...]
    """Where something that was to be forgotten still stands; empty is the proof."""
    names: tuple[str, ...] = field(default=(), repr=False)
    """What was searched for; not to be kept."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left."""
        return not self.left


@dataclass(frozen=True)
class Found:
    """Runs that are to be removed."""

    keys: tuple[int, ...]
    runs: tuple[str, ...]
    requests: frozenset[str]
    """Keys of the model calls that they made."""


def check(why: str, names: Sequence[str]) -> None:
    """Refuse a removal of nothing, or one whose reason would keep what is to be forgotten.

    Raises:
        UsageError: Either is so.
    """
    if not names or not all(name.strip() for name in names):
        raise UsageError("nothing is named that is to be forgotten; give ids of runs, cases or patients")
    if any(name in why for name in names):
        raise UsageError("the reason stays in the store, so it must not hold an id that is to be forgotten")


def find(connection: sa.Connection, runs: Sequence[str], cases: Sequence[str], patients: Sequence[str]) -> Found:
    """Find the runs with these ids, of these cases or about these patients, and all that were made from them."""
    keys: dict[int, str] = {}
    for column, names in ((RUNS.c.id, runs), (RUNS.c.case_id, cases)):
        for some in parts(names):
            keys |= dict(_pairs(connection.execute(sa.select(RUNS.c.key, RUNS.c.id).where(column.in_(some)))))
    for patient in patients:
        keys |= _about(connection, patient)
    fresh = dict(keys)
    while fresh := {key: run for key, run in _made_from(connection, fresh.values()) if key not in keys}:
        keys |= fresh
    return Found(tuple(keys), tuple(keys.values()), frozenset(_requests(connection, keys)))


def older(connection: sa.Connection, moment: datetime) -> Found:
    """Find the runs that were started before a moment, and all that were made from them."""
    query = sa.select(RUNS.c.id).where(RUNS.c.started < stamp(moment))
    return find(connection, connection.execute(query).scalars().all(), (), ())


def remove_found(connection: sa.Connection, found: Found, why: str, now: datetime) -> Counts:
    """Remove runs and leave a tombstone for each: its id, when and why."""
    if connection.dialect.name == "postgresql":  # no writer may count on a text that is just going
        connection.execute(sa.text("LOCK TABLE uses, artifact_uses IN SHARE ROW EXCLUSIVE MODE"))
    counts = remove(connection, found.keys) + remove_around(connection, found.runs)
    stones = [{"run": run, "time": stamp(now), "why": why} for run in found.runs]
    if stones:
        connection.execute(sa.insert(TOMBSTONES), stones)
    return counts


def sought(patients: Iterable[str]) -> list[str]:
    """Return what is searched for in the name of patients.

    >>> sought(["Patient/1", "MRN-4711"])
    ['Patient/1', 'MRN-4711']
    """
    return [bare if len(bare := _bare(patient)) >= LEAST else f"Patient/{bare}" for patient in patients]


def tables_searched(connection: sa.Connection) -> list[str]:
    """Return the names of all tables."""
    return sorted(sa.inspect(connection).get_table_names())


def left_in_tables(connection: sa.Connection, names: Sequence[str]) -> list[str]:
    """Return where names still stand in the tables."""
    return [place for some in parts(names) for place in in_tables(connection, some)]


def _about(connection: sa.Connection, patient: str) -> dict[int, str]:
    """Return runs in whose case or events a patient is named."""
    bare = _bare(patient)
    written = (bare,) if len(bare) >= LEAST else (f"Patient/{bare}", f'"{bare}"', f'\\"{bare}\\"')
    like = [f"%{_escaped(spelling)}%" for name in written for spelling in spellings(name)]
    found: dict[int, str] = {}
    bodies = (
        sa.select(EVENTS.c.run, RUNS.c.id).join(RUNS, RUNS.c.key == EVENTS.c.run).where(_any(EVENTS.c.body, like)),
        sa.select(USES.c.run, RUNS.c.id)
        .join(RUNS, RUNS.c.key == USES.c.run)
        .join(TEXTS, TEXTS.c.id == USES.c.text)
        .where(_any(TEXTS.c.body, like)),
        sa.select(RUNS.c.key, RUNS.c.id).where(_any(RUNS.c.case_id, like)),
    )
    for query in bodies:
        for key, run in connection.execute(query.distinct()).all():
            if key not in found and _names(connection, key, bare):
                found[key] = run
    return found


def _names(connection: sa.Connection, run: int, patient: str) -> bool:
    query = sa.select(RUNS.c.case_id, TEXTS.c.body).join_from(RUNS, TEXTS, isouter=True).where(RUNS.c.key == run)
    row = connection.execute(query).one()
    case = json.loads(row.body) if row.body is not None else ""
    try:
        log = [row.case_id, case, *values_of(connection, run)]
    except StoreError:
        return True  # it cannot be read any more, but the name stands in what is left of it
    if len(patient) >= LEAST:
        pattern = whole([patient])
        return any(pattern.search(text) for text in _strings(log))
    reference = re.compile(rf"Patient/{re.escape(patient)}(?![A-Za-z0-9.-])")
    return any(reference.search(text) for text in _strings(log)) or any(
        thing.get("patient") == patient or (thing.get("resourceType") == "Patient" and thing.get("id") == patient)
        for thing in _objects([_parsed(case), *log])
    )


def _made_from(connection: sa.Connection, runs: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield the forks and the replays of runs."""
    for some in parts(list(runs)):
        query = sa.select(RUNS.c.key, RUNS.c.id).where(RUNS.c.made_from.in_(some))
        yield from _pairs(connection.execute(query))


def _requests(connection: sa.Connection, keys: Iterable[int]) -> Iterator[str]:
    for some in parts(list(keys)):
        query = sa.select(EVENTS.c.body).where(EVENTS.c.run.in_(some), EVENTS.c.event == "model_asked")
        for body in connection.execute(query).scalars():
            request = json.loads(body).get("request")
            if isinstance(request, str):
                yield request


def _pairs(rows: Iterable[Any]) -> Iterator[tuple[int, str]]:
    return ((row[0], row[1]) for row in rows)


def _bare(patient: str) -> str:
    return patient.strip().removeprefix("Patient/")


def _escaped(text: str) -> str:
    return re.sub(r"([%_\\])", r"\\\1", text)


def _any(column: sa.Column[Any], patterns: Iterable[str]) -> sa.ColumnElement[bool]:
    return sa.or_(*(column.like(pattern, escape="\\") for pattern in patterns))


def _parsed(text: Any) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError):
        return None


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _objects(inner)
