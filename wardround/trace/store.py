"""The event logs of many runs: in one SQLite file of a workspace folder, or in PostgreSQL."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from pydantic import ValidationError

from wardround.core.errors import StoreError, UsageError
from wardround.trace import annotating, artifacts, connecting, forgetting, listing, reading, searching, writing
from wardround.trace.annotating import Annotation
from wardround.trace.artifacts import Artifact
from wardround.trace.events import EVENT, Event, RunStarted
from wardround.trace.forgetting import Forgetful, Forgotten, Found
from wardround.trace.purging import purge
from wardround.trace.removing import Counts
from wardround.trace.rows import Page, RunQuery, RunRow, run_row
from wardround.trace.schema import RUNS, TEXTS
from wardround.trace.searching import Hit
from wardround.trace.texts import dumped
from wardround.trace.workspaces import is_url
from wardround.trace.writing import RunWriter

__all__ = ["Annotation", "Artifact", "Forgotten", "Hit", "Page", "RunQuery", "RunRow", "RunStore", "RunWriter"]


class RunStore:
    """Runs and their events under a workspace folder, or in a database by URL."""

    def __init__(self, workspace: Path | str, *, content: bool = True) -> None:
        """Open the store, making the folder and the tables if there are none, and older tables into newer ones.

        Args:
            workspace: A folder, or `postgresql://...`.
            content: Whether what patients, models and people said is kept, cases and artifacts included.

        Raises:
            StoreError: The folder cannot be made or holds something else, or the database cannot be reached.
            MissingExtra: The driver of PostgreSQL is not installed.
        """
        self.content = content
        self.folder = None if is_url(workspace) else Path(workspace)
        try:
            self._engine = connecting.engine_of(workspace)
            self.name = connecting.where(self._engine)
            connecting.make_ready(self._engine)
        except (OSError, sa.exc.SQLAlchemyError) as error:
            cause = getattr(error, "orig", None) or error  # the driver's own words, without SQLAlchemy's address
            mend = "give a folder that can be written" if self.folder is not None else "check its address and rights"
            shown = self.folder if self.folder is not None else self.name
            raise StoreError(f"{shown} cannot be used as a workspace ({cause}); {mend}") from error

    @classmethod
    def existing(cls, workspace: Path | str) -> RunStore:
        """Open a store that must be there already; a database by URL always is.

        Raises:
            UsageError: There is none.
        """
        if not is_url(workspace) and not (Path(workspace) / "runs.db").is_file():
            raise UsageError(f"no runs in {workspace}; consult first, or give --workspace")
        return cls(workspace)

    @property
    def address(self) -> str:
        """Address of the database, with its password, for other drivers."""
        return self._engine.url.set(drivername="postgresql").render_as_string(hide_password=False)

    @property
    def checkpoints(self) -> Path:
        """File for the graph's checkpoints.

        Raises:
            UsageError: The store is a database by URL, which has no files.
        """
        if self.folder is None:
            raise UsageError(f"{self.name} is no folder; checkpoints of its runs are in the database")
        return self.folder / "checkpoints.db"

    # Writing

    def writer(self, run: str) -> RunWriter:
        """Return a sink that writes one run's events."""
        return RunWriter(self, run)

    def begin(self, event: RunStarted) -> None:
        """Enter a run; an earlier one of the same id is replaced, since it would be the same run."""
        with self._writing() as connection:
            writing.begin(connection, *writing.values([event]))

    def append(self, run: str, events: Sequence[Event]) -> None:
        """Write events of a run in one transaction; the same event in the same place is accepted again.

        Raises:
            StoreError: Another event is in its place, an event before it is missing, or the run never began.
        """
        with self._writing() as connection:
            writing.append(connection, run, writing.values(events))

    def keep_case(self, run: str, case: str) -> None:
        """Keep the case of a run as JSON, so that the run can be resumed; nothing is kept without content."""
        if self.content:
            with self._writing() as connection:
                writing.keep_case(connection, self._key(connection, run), case)

    def put(self, content: bytes, media_type: str, *, run: str) -> Artifact:
        """Keep a file of a run by the hash of its content; without content it is named and not kept.

        Raises:
            UsageError: There is no such run.
        """
        if not self.content:
            return artifacts.artifact_of(content, media_type)
        with self._writing() as connection:
            return artifacts.put(connection, self._key(connection, run), content, media_type)

    def annotate(self, annotation: Annotation) -> None:
        """Keep a person's judgement on a run.

        Raises:
            UsageError: There is no such run, target or label, or nobody says so.
        """
        with self._writing() as connection:
            self._key(connection, annotation.run)
            annotating.add(connection, annotation)

    # Reading

    def case(self, run: str) -> str:
        """Return the case of a run as JSON.

        Raises:
            UsageError: There is no such run, or its case was not kept.
        """
        query = sa.select(TEXTS.c.body).join(RUNS, RUNS.c.case_text == TEXTS.c.id).where(RUNS.c.id == run)
        with self._reading() as connection:
            case = connection.execute(query).scalar_one_or_none()
        if case is None:
            raise UsageError(f"no case is kept of run {run!r}; see `wardround runs list`")
        return str(json.loads(case))

    def runs(self, *, limit: int | None = None) -> list[RunRow]:
        """Return runs, the latest first."""
        query = sa.select(RUNS).order_by(RUNS.c.started.desc(), RUNS.c.key.desc()).limit(limit)
        with self._reading() as connection:
            return [run_row(row._asdict()) for row in connection.execute(query)]

    def page(self, query: RunQuery) -> Page:
        """Return one page of the runs that fit a query.

        Raises:
            UsageError: The query is none.
        """
        self._index(query.text)
        with self._reading() as connection:
            return listing.page(connection, query)

    def facets(self, query: RunQuery) -> dict[str, dict[str, int]]:
        """Count the runs that fit by state, status, reason, model, suite and kind; see `listing.facets`."""
        self._index(query.text)
        with self._reading() as connection:
            return listing.facets(connection, query)

    def search(self, text: str, *, limit: int = 20) -> list[Hit]:
        """Return where all words of a text stand, one place in each run, the latest run first.

        Raises:
            UsageError: The text has no words.
        """
        self._index(text)
        with self._reading() as connection:
            return searching.search(connection, text, limit)

    def since(self, position: int, *, limit: int = 1000) -> tuple[list[RunRow], int]:
        """Return runs that changed after a position, and the position to ask from next; begin with 0."""
        with self._reading() as connection:
            return listing.changed_since(connection, position, limit)

    @property
    def position(self) -> int:
        """Where `since` has nothing to tell yet."""
        with self._reading() as connection:
            return listing.position(connection)

    def named(self, runs: Sequence[str]) -> list[RunRow]:
        """Return the runs of these ids that are there, in any order."""
        with self._reading() as connection:
            return listing.named(connection, runs)

    def find(self, prefix: str) -> RunRow:
        """Return the run whose id, or case id, begins so; the latest where a case has several.

        Raises:
            UsageError: There is none, or several runs begin so.
        """
        stem = prefix if re.match(r"run_", prefix) else f"run_{prefix}"
        with self._reading() as connection:
            exact = listing.latest(connection, (RUNS.c.id == prefix) | (RUNS.c.case_id == prefix), 1)
            if exact:
                return exact[0]
            fitting = listing.beginning(connection, RUNS.c.id, stem)
            of_case = listing.beginning(connection, RUNS.c.case_id, prefix)
        if not fitting and len({row.case for row in of_case}) == 1:
            return of_case[0]
        fitting += [row for row in of_case if row not in fitting]
        if len(fitting) != 1:
            many = f"{_several(len(fitting))} runs begin with" if fitting else "no run begins with"
            raise UsageError(f"{many} {prefix!r}; see `wardround runs list`")
        return fitting[0]

    def events(self, run: str) -> list[Event]:
        """Return a run's log in order.

        Raises:
            StoreError: It was changed, or written by a version that knew other events.
        """
        with self._reading() as connection:
            key = connection.execute(sa.select(RUNS.c.key).where(RUNS.c.id == run)).scalar_one_or_none()
            values = reading.values_of(connection, key) if key is not None else []
        try:
            return [EVENT.validate_json(dumped(value)) for value in values]
        except ValidationError as error:
            what = f"run {run} in {self.name} holds an event that this version cannot read"
            raise StoreError(f"{what}; read it with the version that wrote it") from error

    def artifact(self, sha256: str) -> tuple[bytes, str]:
        """Return the content of an artifact and its media type.

        Raises:
            UsageError: There is none of this name.
        """
        with self._reading() as connection:
            return artifacts.read(connection, sha256)

    def artifacts(self, run: str) -> list[Artifact]:
        """Return what is kept for a run, by name."""
        with self._reading() as connection:
            return artifacts.of_run(connection, self._key(connection, run))

    def annotations(self, run: str) -> list[Annotation]:
        """Return the judgements on a run that stand: of each person the last one on each target."""
        with self._reading() as connection:
            return annotating.of_run(connection, run)

    def labelled(self) -> Iterator[Annotation]:
        """Yield all judgements that stand, in the order in which they were made."""
        after = 0
        while True:
            with self._reading() as connection:
                part = list(annotating.all_of(connection, after))
            if not part:
                return
            after = part[-1][0]
            yield from (annotation for _, annotation in part)

    # Trust

    def head(self, run: str) -> str:
        """Return the hash that a run's log ends with; whoever noted it can tell later whether the log was changed.

        Raises:
            UsageError: There is no such run.
        """
        with self._reading() as connection:
            key = self._key(connection, run)
            return bytes(connection.execute(sa.select(RUNS.c.head).where(RUNS.c.key == key)).scalar_one()).hex()

    def verify(self, run: str) -> None:
        """Check that a run's log is what was written.

        Raises:
            StoreError: It is not; names the first event whose hash does not fit.
            UsageError: There is no such run.
        """
        with self._reading() as connection:
            reading.verify(connection, self._key(connection, run), run)

    def forget(
        self,
        *,
        runs: Sequence[str] = (),
        cases: Sequence[str] = (),
        patients: Sequence[str] = (),
        why: str = "on request",
        caches: Sequence[Forgetful] = (),
        files: Sequence[Path] = (),
    ) -> Forgotten:
        """Remove runs for good, and search for what is left of them.

        Args:
            runs: Ids of runs.
            cases: Ids of cases; all their runs go.
            patients: Ids of patients; all runs go in whose case or log they are named. FHIR ids, with or without
                `Patient/`, or whatever else names a patient in a text.
            why: For the tombstones; must not hold any of these ids.
            caches: Of model calls; let go of what these runs asked.
            files: To be searched as well, beside those of the workspace.

        Raises:
            UsageError: Nothing is named.
        """
        names = [*runs, *cases, *patients]
        forgetting.check(why, names)
        with self._writing() as connection:
            found = forgetting.find(connection, runs, cases, patients)
            counts = forgetting.remove_found(connection, found, why, datetime.now(UTC))
        others = (*cases, *forgetting.sought(patients))
        return self._purged(found, counts, caches, (*found.runs, *runs), others, files)

    def expire(
        self, older_than: timedelta | datetime, *, why: str = "retention", caches: Sequence[Forgetful] = ()
    ) -> Forgotten:
        """Remove all runs that were started longer ago, or before a moment, whatever their state."""
        now = datetime.now(UTC)
        with self._writing() as connection:
            found = forgetting.older(connection, _moment(older_than, now))
            counts = forgetting.remove_found(connection, found, why, now)
        return self._purged(found, counts, caches, found.runs, (), ())

    def expiring(self, older_than: timedelta | datetime) -> tuple[str, ...]:
        """Return the ids of the runs that `expire` would remove now."""
        with self._reading() as connection:
            return forgetting.older(connection, _moment(older_than, datetime.now(UTC))).runs

    def _purged(
        self,
        found: Found,
        counts: Counts,
        caches: Sequence[Forgetful],
        runs: Sequence[str],
        others: Sequence[str],
        files: Sequence[Path],
    ) -> Forgotten:
        cached = sum(cache.forget(found.requests) for cache in caches)
        with self._guarded("cleaned"):
            report = purge(self._engine, self.folder, found.runs, tuple(dict.fromkeys(runs)), others, files)
        counts += Counts(checkpoints=report.checkpoints)
        return Forgotten(found.runs, counts, cached, report.searched, report.left)

    # Connections

    def _key(self, connection: sa.Connection, run: str) -> int:
        key = connection.execute(sa.select(RUNS.c.key).where(RUNS.c.id == run)).scalar_one_or_none()
        if key is None:
            raise UsageError(f"there is no run {run!r}; see `wardround runs list`")
        return int(key)

    def _index(self, text: str | None) -> None:
        """Make ready for search what was written since; runs that rest are ready."""
        if text is None or not text.strip():
            return
        with self._reading() as connection:
            waiting = searching.unindexed(connection)
        for run in waiting:
            with self._writing() as connection:
                searching.index(connection, run)

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with self._guarded("written"), connecting.writing(self._engine) as connection:
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
            mend = "give another workspace" if self.folder is not None else "check its address and rights"
            raise StoreError(f"{self.name} cannot be {done} ({why}); {mend}") from error

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()


def _moment(older_than: timedelta | datetime, now: datetime) -> datetime:
    return now - older_than if isinstance(older_than, timedelta) else older_than


def _several(count: int) -> str:
    return str(count) if count < listing.MANY else "many"


def export_lines(events: Sequence[Event]) -> str:
    """Return a log as JSON lines."""
    return "".join(json.dumps(EVENT.dump_python(e, mode="json"), ensure_ascii=False) + "\n" for e in events)
