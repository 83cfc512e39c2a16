"""What people say of a run or a part of it; nothing is overwritten, and of one person the last word stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal, get_args

import sqlalchemy as sa

from wardround.core.errors import UsageError
from wardround.trace.rows import stamp
from wardround.trace.schema import ANNOTATIONS

Target = Literal["run", "claim", "span", "source"]
Label = Literal["right", "wrong", "unsure"]
_AT_ONCE = 500


@dataclass(frozen=True)
class Annotation:
    """A judgement: a person's, or that of a program which knows the answer."""

    run: str
    """Id of the run."""
    target: Target
    """What kind of thing is judged."""
    id: str
    """Which one; the run's id again where that is judged."""
    label: Label
    why: str
    who: str
    """Who says so."""
    time: datetime
    reason: str | None = None
    """Class of what went wrong, as a code that can be counted; nothing where nobody sorted it."""
    truth: tuple[str, ...] | None = None
    """Ids of the conditions that would have been right; empty where the right one is in no knowledge, nothing where it
    is not known."""


def add(connection: sa.Connection, annotation: Annotation) -> None:
    """Keep a judgement.

    Raises:
        UsageError: There is no such target or label, or nobody says so.
    """
    if annotation.target not in get_args(Target) or annotation.label not in get_args(Label):
        what = f"no annotation calls a {annotation.target!r} {annotation.label!r}"
        raise UsageError(f"{what}; use one of {', '.join(get_args(Target))}, and {', '.join(get_args(Label))}")
    if not annotation.who.strip():
        raise UsageError("an annotation needs the name of whoever makes it; give who")
    truth = " ".join(annotation.truth) if annotation.truth is not None else None
    values = asdict(annotation) | {"time": stamp(annotation.time), "truth": truth}
    connection.execute(sa.insert(ANNOTATIONS).values(item=values.pop("id"), **values))


def of_run(connection: sa.Connection, run: str) -> list[Annotation]:
    """Return the judgements on a run that stand, in the order in which they were made."""
    return [annotation for _, annotation in _standing(connection, ANNOTATIONS.c.run == run)]


def all_of(connection: sa.Connection, after: int = 0) -> Iterator[tuple[int, Annotation]]:
    """Yield a part of all judgements that stand, each with its number, from a number on."""
    yield from _standing(connection, ANNOTATIONS.c.number > after, limit=_AT_ONCE)


def _standing(
    connection: sa.Connection, fits: sa.ColumnElement[bool], limit: int | None = None
) -> Iterator[tuple[int, Annotation]]:
    later = ANNOTATIONS.alias()
    same = (later.c[name] == ANNOTATIONS.c[name] for name in ("run", "target", "item", "who"))
    overruled = sa.exists().where(*same, later.c.number > ANNOTATIONS.c.number)
    query = sa.select(ANNOTATIONS).where(fits, ~overruled).order_by(ANNOTATIONS.c.number).limit(limit)
    for row in connection.execute(query):
        values = {name: value for name, value in row._mapping.items() if name not in ("number", "item")}
        values |= {"time": datetime.fromisoformat(row.time)}
        values |= {"truth": tuple(row.truth.split()) if row.truth is not None else None}
        yield row.number, Annotation(**values, id=row.item)
