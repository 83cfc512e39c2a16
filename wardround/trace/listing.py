"""Lists of runs: filtered, sorted, in pages that begin where the last one ended, and counted."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from wardround.core.errors import UsageError
from wardround.trace.removing import parts
from wardround.trace.rows import COSTS, Page, RunQuery, RunRow, run_row, stamp
from wardround.trace.schema import FACETS, RUNS, SORTS
from wardround.trace.searching import runs_with

_SHOWN = [
    column
    for column in RUNS.c
    if column.name not in ("head", "case_text", "price_in", "price_out", "indexed", "made_from")
]
MANY = 1000
"""Runs that are regarded where a beginning fits several."""
_FACETS = {"state": "states", "status": "statuses", "reason": "reasons", "model": "models", "suite": "suites"}
_FACETS |= {"kind": "kinds"}
"""Names of what is counted beside the cost, with the fields of a query that choose among it."""


def page(connection: sa.Connection, query: RunQuery) -> Page:
    """Return one page of the runs that fit.

    Raises:
        UsageError: The limit is below 1, the sorting unknown, or `after` no end of a page of this query.
    """
    if query.limit < 1 or query.sort not in SORTS:
        raise UsageError(f"no page of {query.limit} runs by {query.sort!r}; use 1 or more, by {', '.join(SORTS)}")
    fits = [*_bounds(connection, query), *_choices(query), *_costs(query)]
    total = connection.execute(sa.select(sa.func.count()).select_from(RUNS).where(*fits)).scalar_one()
    by = SORTS[query.sort]
    order = [by.desc(), RUNS.c.key.desc()] if query.descending else [by, RUNS.c.key]
    rest = [_after(query)] if query.after is not None else []
    asked = sa.select(*_SHOWN, by.label("by")).where(*fits, *rest).order_by(*order).limit(query.limit + 1)
    found = [row._asdict() for row in connection.execute(asked)]
    more = _cursor(query, found[query.limit - 1]) if len(found) > query.limit else None
    return Page(tuple(run_row(row) for row in found[: query.limit]), total, more)


def facets(connection: sa.Connection, query: RunQuery) -> dict[str, dict[str, int]]:
    """Count runs by state, status, gate reason, model, suite, kind and cost, the most frequent first.

    Each count regards everything in the query but the choice among what it counts, so that the other choices show
    how many they would bring. Runs without a value are not counted.
    """
    columns = [RUNS.c[name] for name in FACETS if name != "tokens"]
    fits = [*_bounds(connection, query), *_costs(query)]
    asked = sa.select(*columns, sa.func.count().label("runs")).where(*fits).group_by(*columns)
    counts: dict[str, Counter[str]] = {facet: Counter() for facet in _FACETS}
    for row in connection.execute(asked):
        values = {facet: _values(row._asdict(), facet) for facet in _FACETS}
        misses = {f for f, field in _FACETS.items() if (c := getattr(query, field)) and not set(c) & set(values[f])}
        for facet in _FACETS:
            if misses <= {facet}:
                for value in values[facet]:
                    counts[facet][value] += row.runs
    # Apart from the others, which are counted in the order of their index: one query for all took 134 ms in place of
    # 50 (100,000 runs in SQLite, 3 and 5 repeats).
    counted = {facet: dict(values.most_common()) for facet, values in counts.items()}
    return {**counted, "cost": _counted_by_cost(connection, query)}


def _counted_by_cost(connection: sa.Connection, query: RunQuery) -> dict[str, int]:
    cost = sa.case(*((RUNS.c.tokens < end, name) for name, (_, end) in COSTS.items() if end), else_=[*COSTS][-1])
    fits = [*_bounds(connection, query), *_choices(query)]
    asked = sa.select(cost.label("cost"), sa.func.count().label("runs")).where(*fits).group_by("cost")
    return {row.cost: row.runs for row in connection.execute(asked)}


def latest(connection: sa.Connection, fits: sa.ColumnElement[bool], limit: int) -> list[RunRow]:
    """Return the latest runs that fit."""
    query = sa.select(*_SHOWN).where(fits).order_by(RUNS.c.started.desc(), RUNS.c.key.desc()).limit(limit)
    return [run_row(row._asdict()) for row in connection.execute(query)]


def named(connection: sa.Connection, runs: Sequence[str]) -> list[RunRow]:
    """Return the runs of these ids that are there, in any order."""
    found = []
    for some in parts(runs):
        query = sa.select(*_SHOWN).where(RUNS.c.id.in_(some))
        found += [run_row(row._asdict()) for row in connection.execute(query)]
    return found


def beginning(connection: sa.Connection, column: sa.Column[Any], stem: str) -> list[RunRow]:
    """Return the latest runs of which a name begins so, `MANY` at most."""
    return latest(connection, (column >= stem) & (column < stem + "\U0010ffff"), MANY)


def changed_since(connection: sa.Connection, position: int, limit: int) -> tuple[list[RunRow], int]:
    """Return runs that changed after a position, in the order of their last change, and the position reached."""
    asked = sa.select(*_SHOWN).where(RUNS.c.changed > position).order_by(RUNS.c.changed).limit(limit)
    rows = [row._asdict() for row in connection.execute(asked)]
    return [run_row(row) for row in rows], rows[-1]["changed"] if rows else position


def position(connection: sa.Connection) -> int:
    """Return the position of the last change."""
    return int(connection.execute(sa.select(sa.func.max(RUNS.c.changed))).scalar_one() or 0)


def _values(row: Mapping[str, Any], facet: str) -> tuple[str, ...]:
    if facet == "reason":
        return tuple(row["reasons"].split())
    return (row[facet],) if row[facet] is not None else ()


def _choices(query: RunQuery) -> list[sa.ColumnElement[bool]]:
    chosen = {"state": query.states, "status": query.statuses, "model": query.models}
    chosen |= {"suite": query.suites, "kind": query.kinds}
    fits: list[sa.ColumnElement[bool]] = [RUNS.c[name].in_(values) for name, values in chosen.items() if values]
    if query.reasons:
        padded = " " + RUNS.c.reasons + " "
        fits.append(sa.or_(*(padded.contains(f" {reason} ", autoescape=True) for reason in query.reasons)))
    return fits


def _costs(query: RunQuery) -> list[sa.ColumnElement[bool]]:
    within = [_within(*COSTS[name]) for name in query.costs if name in COSTS]
    return [sa.or_(sa.false(), *within)] if query.costs else []


def _within(least: int, end: int | None) -> sa.ColumnElement[bool]:
    is_enough = RUNS.c.tokens >= least
    return is_enough if end is None else is_enough & (RUNS.c.tokens < end)


def _bounds(connection: sa.Connection, query: RunQuery) -> list[sa.ColumnElement[bool]]:
    fits: list[sa.ColumnElement[bool]] = []
    if query.text is not None and query.text.strip():
        fits.append(RUNS.c.key.in_(runs_with(connection, query.text)))
    if query.case is not None:
        fits.append(RUNS.c.case_id == query.case)
    least = (RUNS.c.started, _moment(query.since)), (RUNS.c.probability, query.least_probability)
    most = (RUNS.c.probability, query.most_probability), (RUNS.c.tokens, query.most_tokens)
    fits += [column >= value for column, value in (*least, (RUNS.c.tokens, query.least_tokens)) if value is not None]
    fits += [column <= value for column, value in most if value is not None]
    if query.until is not None:
        fits.append(RUNS.c.started < stamp(query.until))
    return fits


def _moment(moment: datetime | None) -> str | None:
    return stamp(moment) if moment is not None else None


def _cursor(query: RunQuery, row: Mapping[str, Any]) -> str:
    place = json.dumps([query.sort, query.descending, row["by"], row["key"]])
    return base64.urlsafe_b64encode(place.encode()).decode()


def _after(query: RunQuery) -> sa.ColumnElement[bool]:
    try:
        sort, descending, value, key = json.loads(base64.urlsafe_b64decode((query.after or "").encode()))
        key, fits = int(key), (sort, descending) == (query.sort, query.descending)
        fits = fits and isinstance(
            value, str if query.sort in ("started", "case", "model", "diagnosis") else int | float
        )
    except (ValueError, TypeError) as error:
        raise UsageError("`after` is no end of a page; give `next` of the page before") from error
    if not fits:
        raise UsageError("`after` ends a page of another order; begin anew without it")
    place, end = sa.tuple_(SORTS[query.sort], RUNS.c.key), sa.tuple_(sa.literal(value), sa.literal(key))
    return place < end if descending else place > end
