"""Removal of runs from the tables, with all that belongs to no other run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from wardround.trace.schema import ANNOTATIONS, ARTIFACT_USES, ARTIFACTS, EVENTS, RUNS, TEXTS, USES, WORDS

_AT_ONCE = 500
CHECKPOINTS = ("checkpoint_writes", "checkpoint_blobs", "writes", "checkpoints")
"""Tables in which LangGraph's savers keep states under `thread_id`, which is the id of a run."""


@dataclass(frozen=True)
class Counts:
    """How many rows were removed."""

    events: int = 0
    texts: int = 0
    artifacts: int = 0
    annotations: int = 0
    checkpoints: int = 0

    def __add__(self, other: Counts) -> Counts:
        """Return the sums."""
        return Counts(**{name: value + getattr(other, name) for name, value in vars(self).items()})


def parts(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Yield values in parts that one statement takes."""
    for start in range(0, len(values), _AT_ONCE):
        yield values[start : start + _AT_ONCE]


def remove(connection: sa.Connection, runs: Iterable[int]) -> Counts:
    """Remove runs by key, with their events and whatever texts, words and artifacts no other run needs."""
    counts = Counts()
    for run in runs:
        counts += _remove(connection, run)
    return counts


def _remove(connection: sa.Connection, run: int) -> Counts:
    texts = connection.execute(sa.select(USES.c.text).where(USES.c.run == run)).scalars().all()
    query = sa.select(ARTIFACT_USES.c.sha256).where(ARTIFACT_USES.c.run == run)
    artifacts = connection.execute(query).scalars().all()
    events = connection.execute(sa.delete(EVENTS).where(EVENTS.c.run == run)).rowcount
    for table in (USES, ARTIFACT_USES, WORDS):
        connection.execute(sa.delete(table).where(table.c.run == run))
    connection.execute(sa.delete(RUNS).where(RUNS.c.key == run))
    return Counts(
        events=events,
        texts=_unused(connection, TEXTS.c.id, USES.c.text, texts),
        artifacts=_unused(connection, ARTIFACTS.c.sha256, ARTIFACT_USES.c.sha256, artifacts),
    )


def remove_around(connection: sa.Connection, runs: Sequence[str]) -> Counts:
    """Remove what belongs to runs by their ids: annotations, and checkpoints where this database holds them."""
    counts = Counts()
    for ids in parts(runs):
        removed = connection.execute(sa.delete(ANNOTATIONS).where(ANNOTATIONS.c.run.in_(ids))).rowcount
        counts += Counts(annotations=removed, checkpoints=remove_checkpoints(connection, ids))
    return counts


def remove_checkpoints(connection: sa.Connection, runs: Sequence[str]) -> int:
    """Remove LangGraph's states of runs and return how many rows they were."""
    there = set(sa.inspect(connection).get_table_names())
    removed = 0
    for name in CHECKPOINTS:
        if name in there:
            table = sa.table(name, sa.column("thread_id"))
            removed += connection.execute(sa.delete(table).where(table.c.thread_id.in_(runs))).rowcount
    return removed


def _unused(connection: sa.Connection, name: sa.Column[Any], use: sa.Column[Any], names: Sequence[Any]) -> int:
    removed = 0
    for some in parts(names):
        unused = name.in_(some) & ~sa.exists().where(use == name)
        removed += connection.execute(sa.delete(name.table).where(unused)).rowcount
    return removed
