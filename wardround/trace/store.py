"""The event log of many runs in one SQLite file of a workspace folder."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from pydantic import ValidationError

from wardround.core.errors import StoreError, UsageError
from wardround.trace.events import (
    EVENT,
    DecisionMade,
    Event,
    RunEnded,
    RunStarted,
    SpanEnded,
    Suspended,
)

_metadata = sa.MetaData()

_runs = sa.Table(
    "runs",
    _metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("case_id", sa.String, nullable=False, index=True),
    sa.Column("model", sa.String, nullable=False),
    sa.Column("started", sa.String, nullable=False, index=True),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("status", sa.String),
    sa.Column("diagnosis", sa.String),
    sa.Column("probability", sa.Float),
    sa.Column("case_json", sa.String),
)

_events = sa.Table(
    "events",
    _metadata,
    sa.Column("run", sa.String, sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("event", sa.String, nullable=False),
    sa.Column("body", sa.String, nullable=False),
)

_FLUSH_AT = 200


@dataclass(frozen=True)
class RunRow:
    """A run as a list shows it."""

    id: str
    case: str
    model: str
    started: datetime
    state: str
    """running, suspended, done or failed."""
    status: str | None
    """final, abstained or escalated, once decided."""
    diagnosis: str | None
    probability: float | None


class RunStore:
    """Runs and their events under a workspace folder."""

    def __init__(self, workspace: Path) -> None:
        """Open the store, making the folder if there is none.

        Raises:
            StoreError: The folder cannot be made or holds something else.
        """
        self.folder = workspace
        try:
            workspace.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._engine = sa.create_engine(f"sqlite:///{workspace / 'runs.db'}")
            sa.event.listen(self._engine, "connect", _configure)
            _metadata.create_all(self._engine)
        except (OSError, sa.exc.SQLAlchemyError) as error:
            cause = getattr(error, "orig", None) or error  # the driver's own words, without SQLAlchemy's address
            what = f"{workspace} cannot be used as a workspace ({cause})"
            raise StoreError(f"{what}; give a folder that can be written") from error

    @classmethod
    def existing(cls, workspace: Path) -> RunStore:
        """Open a store that must be there already.

        Raises:
            UsageError: There is none.
        """
        if not (workspace / "runs.db").is_file():
            raise UsageError(f"no runs in {workspace}; consult first, or give --workspace")
        return cls(workspace)

    @property
    def checkpoints(self) -> Path:
        """File for the graph's checkpoints."""
        return self.folder / "checkpoints.db"

    def writer(self, run: str) -> RunWriter:
        """Return a sink that writes one run's events."""
        return RunWriter(self, run)

    def begin(self, event: RunStarted) -> None:
        """Enter a run; an earlier one of the same id is replaced, since it would be the same run."""
        with self._writing() as connection:
            connection.execute(sa.delete(_events).where(_events.c.run == event.run))
            connection.execute(sa.delete(_runs).where(_runs.c.id == event.run))
            connection.execute(
                sa.insert(_runs).values(
                    id=event.run,
                    case_id=event.case,
                    model=event.model,
                    started=event.time.astimezone(UTC).isoformat(),
                    state="running",
                )
            )

    def keep_case(self, run: str, case: str) -> None:
        """Keep the case of a run as JSON, so that the run can be resumed."""
        with self._writing() as connection:
            connection.execute(sa.update(_runs).where(_runs.c.id == run).values(case_json=case))

    def case(self, run: str) -> str:
        """Return the case of a run as JSON.

        Raises:
            UsageError: There is no such run, or its case was not kept.
        """
        query = sa.select(_runs.c.case_json).where(_runs.c.id == run)
        with self._reading() as connection:
            case = connection.execute(query).scalar_one_or_none()
        if case is None:
            raise UsageError(f"no case is kept of run {run!r}; see `wardround runs list`")
        return str(case)

    def append(self, run: str, events: Sequence[Event]) -> None:
        """Write events of a run in one transaction."""
        rows = [{"run": run, "seq": e.seq, "event": e.event, "body": EVENT.dump_json(e).decode()} for e in events]
        with self._writing() as connection:
            if rows:
                connection.execute(sa.insert(_events), rows)
            for event in events:
                values = _changes(event)
                if values:
                    connection.execute(sa.update(_runs).where(_runs.c.id == run).values(**values))

    def runs(self, *, limit: int | None = None) -> list[RunRow]:
        """Return runs, the latest first."""
        shown = [column for column in _runs.c if column.name != "case_json"]
        query = sa.select(*shown).order_by(_runs.c.started.desc(), _runs.c.id).limit(limit)
        with self._reading() as connection:
            return [_row(row) for row in connection.execute(query)]

    def find(self, prefix: str) -> RunRow:
        """Return the run whose id, or case id, begins so; the latest where a case has several.

        Raises:
            UsageError: There is none, or several runs begin so.
        """
        rows = self.runs()
        exact = [row for row in rows if row.id == prefix or row.case == prefix]
        if exact:
            return exact[0]
        stem = prefix if re.match(r"run_", prefix) else f"run_{prefix}"
        of_case = [row for row in rows if row.case.startswith(prefix)]
        fitting = [row for row in rows if row.id.startswith(stem)]
        if not fitting and len({row.case for row in of_case}) == 1:
            return of_case[0]
        fitting += [row for row in of_case if row not in fitting]
        if len(fitting) != 1:
            many = f"{len(fitting)} runs begin with" if fitting else "no run begins with"
            raise UsageError(f"{many} {prefix!r}; see `wardround runs list`")
        return fitting[0]

    def events(self, run: str) -> list[Event]:
        """Return a run's log in order."""
        query = sa.select(_events.c.body).where(_events.c.run == run).order_by(_events.c.seq)
        with self._reading() as connection:
            bodies = [str(body) for (body,) in connection.execute(query)]
        try:
            return [EVENT.validate_json(body) for body in bodies]
        except ValidationError as error:
            what = f"run {run} in {self.folder} holds an event that this version cannot read"
            raise StoreError(f"{what}; read it with the version that wrote it") from error

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with self._guarded("written"), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with self._guarded("read"), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _guarded(self, done: str) -> Iterator[None]:
        try:
            yield
        except sa.exc.SQLAlchemyError as error:
            why = getattr(error, "orig", None) or error
            what = f"{self.folder / 'runs.db'} cannot be {done} ({why})"
            raise StoreError(f"{what}; give another workspace") from error

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()


class RunWriter:
    """Collects a run's events and writes them at the end of each span."""

    def __init__(self, store: RunStore, run: str) -> None:
        self._store, self._run = store, run
        self._waiting: list[Event] = []

    def __call__(self, event: Event) -> None:
        """Take an event; the first of a run enters the run."""
        if isinstance(event, RunStarted):
            self._store.begin(event)
        self._waiting.append(event)
        important = isinstance(event, RunStarted | SpanEnded | RunEnded | Suspended)
        if important or len(self._waiting) >= _FLUSH_AT:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting."""
        waiting, self._waiting = self._waiting, []
        self._store.append(self._run, waiting)


def _configure(connection: object, record: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]
    for pragma in ("busy_timeout=30000", "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _changes(event: Event) -> dict[str, object]:
    match event:
        case DecisionMade(decision=decision):
            diagnosis = decision.diagnosis or decision.differential.top
            return {
                "status": decision.status.value,
                "diagnosis": diagnosis.name if diagnosis else None,
                "probability": diagnosis.probability if diagnosis else None,
            }
        case Suspended():
            return {"state": "suspended"}
        case RunEnded(outcome=outcome):
            return {"state": outcome.value}
        case _:
            return {}


def _row(row: sa.Row[tuple[object, ...]]) -> RunRow:
    values = row._mapping
    return RunRow(
        id=values["id"],
        case=values["case_id"],
        model=values["model"],
        started=datetime.fromisoformat(values["started"]),
        state=values["state"],
        status=values["status"],
        diagnosis=values["diagnosis"],
        probability=values["probability"],
    )


def export_lines(events: Sequence[Event]) -> str:
    """Return a log as JSON lines."""
    return "".join(json.dumps(EVENT.dump_python(e, mode="json"), ensure_ascii=False) + "\n" for e in events)
