"""Databases of older versions are brought to the tables of this one, and nothing of them is lost."""

import json
import multiprocessing
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from wardround.core.errors import StoreError
from wardround.testing import FixedClock
from wardround.trace.events import EVENT, Event, ModelAnswered, ModelAsked, Outcome, RunEnded, RunStarted, ToolCalled
from wardround.trace.recorder import Recorder
from wardround.trace.schema import REVISION
from wardround.trace.store import RunStore

OLD = """
CREATE TABLE runs (
    id VARCHAR NOT NULL, case_id VARCHAR NOT NULL, model VARCHAR NOT NULL, started VARCHAR NOT NULL,
    state VARCHAR NOT NULL, status VARCHAR, diagnosis VARCHAR, probability FLOAT, case_json VARCHAR, PRIMARY KEY (id)
);
CREATE INDEX ix_runs_case_id ON runs (case_id);
CREATE INDEX ix_runs_started ON runs (started);
CREATE TABLE events (
    run VARCHAR NOT NULL, seq INTEGER NOT NULL, event VARCHAR NOT NULL, body VARCHAR NOT NULL,
    PRIMARY KEY (run, seq), FOREIGN KEY(run) REFERENCES runs (id) ON DELETE CASCADE
);
"""
CASE = '{"narrative":  "Fièvre depuis lundi"}'


def log(run: str, hour: int) -> list[Event]:
    recorder = Recorder(run, clock=FixedClock(datetime(2026, 1, 1, hour, tzinfo=UTC)))
    recorder.record(RunStarted, case=f"case_{hour}", model="reference", settings={"seed": 0})
    asked = {"agent": "a", "model": "m", "answer": "A", "rollout": 0, "attempt": 0}
    recorder.record(ModelAsked, call="c", messages=({"role": "user", "content": "wheeze " * 99},), **asked)
    recorder.record(ModelAnswered, call="c", text="It is asthma.", seconds=1.0, input_tokens=3, output_tokens=4)
    recorder.record(ToolCalled, call="t", agent="a", tool="t", arguments={"$t": 1, "$q": {"$v": 2}})
    recorder.record(RunEnded, outcome=Outcome.DONE)
    return recorder.events


def old_workspace(folder: Path, runs: int = 3) -> dict[str, list[Event]]:
    """Write a database as the version without numbered tables did."""
    folder.mkdir(exist_ok=True)
    logs = {f"run_{n}": log(f"run_{n}", n) for n in range(runs)}
    with closing(sqlite3.connect(folder / "runs.db")) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(OLD)
        for run, events in logs.items():
            first = events[0]
            assert isinstance(first, RunStarted)
            row = (run, first.case, first.model, first.time.isoformat(), "done", None, None, None, CASE)
            connection.execute("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            bodies = [(run, e.seq, e.event, EVENT.dump_json(e).decode()) for e in events]
            connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", bodies)
        connection.commit()
    return logs


def test_an_older_workspace_is_opened_with_all_it_holds(tmp_path: Path) -> None:
    logs = old_workspace(tmp_path)
    store = RunStore(tmp_path)
    assert [row.id for row in store.runs()] == ["run_2", "run_1", "run_0"]
    for run, events in logs.items():
        assert store.events(run) == events
        assert store.case(run) == CASE
        store.verify(run)
        row = store.find(run)
        assert (row.state, row.calls, row.tokens, row.kind) == ("done", 1, 7, "consult")
    assert {hit.run for hit in store.search("asthma")} == set(logs)
    assert {hit.run for hit in store.search("lundi")} == set(logs)
    assert [row.id for row in store.since(0)[0]] == list(logs)
    store.close()


def test_a_migrated_workspace_goes_on(tmp_path: Path) -> None:
    logs = old_workspace(tmp_path)
    store = RunStore(tmp_path)
    store.append("run_0", logs["run_0"])
    more = RunEnded(run="run_0", seq=5, time=datetime.now(UTC), span="", outcome=Outcome.FAILED)
    store.append("run_0", [more])
    assert store.events("run_0") == [*logs["run_0"], more]
    report = store.forget(cases=["case_1"])
    assert (report.runs, report.left) == (("run_1",), ())
    store.close()


def shape(database: Path) -> dict[str, str]:
    """Return how each table, index and trigger is made, without blanks and quotes."""
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT type || ' ' || name, coalesce(sql, '') FROM sqlite_master").fetchall()
    return {name: re.sub(r"[\s\"]", "", sql) for name, sql in rows}


def test_a_migrated_database_is_made_like_a_new_one(tmp_path: Path) -> None:
    old_workspace(tmp_path / "old")
    for name in ("old", "new"):
        RunStore(tmp_path / name).close()
    old, new = shape(tmp_path / "old" / "runs.db"), shape(tmp_path / "new" / "runs.db")
    assert old.keys() == new.keys()
    for name, made in new.items():
        if "alembic_version" not in name:  # Alembic's own
            assert old[name] == made, name


def test_the_newest_migration_is_the_one_that_is_known() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    import wardround.trace.migrations as migrations

    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_heads() == [REVISION]


def test_a_migration_that_fails_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    old_workspace(tmp_path)
    with closing(sqlite3.connect(tmp_path / "runs.db")) as connection:
        connection.execute("UPDATE events SET body = '{broken' WHERE run = 'run_2' AND seq = 3")
        connection.commit()
    before = shape(tmp_path / "runs.db")
    with pytest.raises((StoreError, json.JSONDecodeError)):
        RunStore(tmp_path)
    assert shape(tmp_path / "runs.db") == before


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    RunStore(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "runs.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    with pytest.raises(StoreError, match="written by a newer version"):
        RunStore(tmp_path)


def _open(folder: Path, start: object, n: int) -> None:
    start.wait()  # type: ignore[attr-defined]
    store = RunStore(folder)
    store.begin(RunStarted(run=f"run_new{n}", seq=0, time=datetime.now(UTC), span="", case="c", model="m", settings={}))
    store.close()


@pytest.mark.parametrize("is_old", [True, False])
def test_processes_may_open_a_workspace_at_the_same_moment(tmp_path: Path, is_old: bool) -> None:
    logs = old_workspace(tmp_path) if is_old else {}
    spawn = multiprocessing.get_context("spawn")
    start = spawn.Barrier(3)
    children = [spawn.Process(target=_open, args=(tmp_path, start, n)) for n in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0, 0, 0]
    store = RunStore(tmp_path)
    assert len(store.runs()) == len(logs) + 3
    store.close()
