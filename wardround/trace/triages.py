"""What triage said in many runs, without reading their logs."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from wardround.trace.removing import parts
from wardround.trace.schema import EVENTS, RUNS
from wardround.trace.texts import texts_in, unpack


def specialties_named(connection: sa.Connection, runs: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the specialties that triage named, the leading one first, by run; runs that had no triage are left out.

    Args:
        connection: To read from.
        runs: Ids of runs; those that are not there have no triage.
    """
    found: dict[str, tuple[str, ...]] = {}
    for some in parts(runs):
        query = sa.select(RUNS.c.id, EVENTS.c.body).join(RUNS, RUNS.c.key == EVENTS.c.run)
        given = EVENTS.c.event == "triage_given"
        rows = connection.execute(query.where(RUNS.c.id.in_(some), given).order_by(RUNS.c.key, EVENTS.c.seq)).all()
        bodies = [row.body for row in rows]
        values = unpack(bodies, texts_in(connection, bodies))
        found |= {row.id: tuple(value["triage"]["specialties"]) for row, value in zip(rows, values, strict=True)}
    return found
