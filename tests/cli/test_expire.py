"""Runs that are older than they may be, and the search for what is left of them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from wardround.trace.events import ModelAsked, Outcome, RunEnded, RunStarted
from wardround.trace.recorder import Recorder
from wardround.trace.store import RunStore

Command = Callable[..., Any]
SECRET = "a rash that nobody else has"


class Clock:
    """Stands still."""

    def __init__(self, moment: datetime) -> None:
        self._moment = moment

    def now(self) -> datetime:
        return self._moment

    def monotonic(self) -> float:
        return 0.0


def keep(store: RunStore, run: str, days: float, fork_of: str | None = None) -> None:
    log = Recorder(run, clock=Clock(datetime.now(UTC) - timedelta(days=days)))
    log.record(RunStarted, case=f"case-{run}", model="m", settings={"fork": {"of": fork_of}} if fork_of else {})
    log.record(
        ModelAsked, call="c", agent="a", model="m", answer="A", rollout=0, attempt=0,
        messages=({"role": "user", "content": f"{SECRET}, {run}"},),
    )  # fmt: skip
    log.record(RunEnded, outcome=Outcome.DONE)
    assert isinstance(log.events[0], RunStarted)
    store.begin(log.events[0])
    store.append(run, log.events)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    store = RunStore(tmp_path)
    for run, days, fork_of in (("run_old", 100, None), ("run_new", 2, None), ("run_fork", 1, "run_old")):
        keep(store, run, days, fork_of)
    store.close()
    return tmp_path


def left(workspace: Path) -> list[str]:
    store = RunStore.existing(workspace)
    try:
        return sorted(row.id for row in store.runs())
    finally:
        store.close()


def test_a_dry_run_lists_what_would_go_and_removes_nothing(wardround: Command, workspace: Path) -> None:
    done = wardround(workspace, "runs", "expire", "--days", "90", "--dry-run", "--workspace", ".")
    assert sorted(done.out.split()) == ["run_fork", "run_old"]
    assert done.err == "2 runs would expire\n"
    as_json = wardround(workspace, "runs", "expire", "--days", "90", "--dry-run", "--json", "--workspace", ".")
    assert sorted(as_json.json["runs"]) == ["run_fork", "run_old"]
    assert left(workspace) == ["run_fork", "run_new", "run_old"]


def test_old_runs_go_with_their_forks_and_the_search_shows_it(wardround: Command, workspace: Path) -> None:
    done = wardround(workspace, "runs", "expire", "--days", "90", "--workspace", ".")
    assert done.code == 0, done.err
    first, _, places = done.out.removesuffix(" places\n").rpartition(" ")
    assert first == "2 runs expired, 0 cached answers; searched"
    assert int(places) > 3
    assert left(workspace) == ["run_new"]
    assert b"nobody else has, run_old" not in (workspace / "runs.db").read_bytes()


def test_what_is_left_of_an_old_run_is_named(wardround: Command, workspace: Path) -> None:
    (workspace / "notes.txt").write_text("see run_old")
    done = wardround(workspace, "runs", "expire", "--days", "90", "--workspace", ".")
    assert done.code == 1
    assert "  still in notes.txt: run_old\n" in done.out


def test_nothing_old_is_nothing_to_do(wardround: Command, workspace: Path) -> None:
    done = wardround(workspace, "runs", "expire", "--days", "365", "--json", "--workspace", ".")
    assert done.json["runs"] == []
    assert left(workspace) == ["run_fork", "run_new", "run_old"]


@pytest.mark.parametrize("days", [(), ("--days", "0"), ("--days", "-1"), ("--days", "40000")])
def test_how_old_must_be_said_and_be_a_number_of_days(
    wardround: Command, workspace: Path, days: tuple[str, ...]
) -> None:
    done = wardround(workspace, "runs", "expire", *days, "--workspace", ".")
    assert done.code == 2
    assert "--days" in done.err
    assert left(workspace) == ["run_fork", "run_new", "run_old"]
