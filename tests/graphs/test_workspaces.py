"""Consults that are kept in a database, or without what was said."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import wardround as wr
from wardround.core.decision import DecisionStatus
from wardround.core.errors import UsageError
from wardround.graphs.edits import Edits
from wardround.graphs.replaying import replay
from wardround.testing.postgres import PostgresServer, programs
from wardround.trace.store import RunStore

TEXT = "Man of 60 with fatigue."


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    try:
        programs()
    except UsageError as error:
        pytest.skip(str(error))
    pytest.importorskip("psycopg")
    with PostgresServer() as server:
        yield server.database()


def test_runs_wait_for_a_person_go_on_are_forked_replayed_and_forgotten_in_postgresql(database: str) -> None:
    ward = wr.Ward(workspace=database, settings=wr.ConsultSettings(escalate=True))
    first = ward.consult(wr.Case(id="weary", narrative=TEXT))
    assert first.decision.status is DecisionStatus.ESCALATED
    done = wr.Ward(workspace=database, settings=wr.ConsultSettings(escalate=True)).resume(
        first.run, diagnosis="influenza"
    )
    assert done.decision.status is DecisionStatus.FINAL
    with closing(RunStore(database)) as store:
        assert replay(store, first.run).is_equal
    plain = wr.Ward(workspace=database)
    other = plain.consult(wr.Case(id="weary", narrative=f"{TEXT} Pallor."))
    forked = plain.fork(other.run, Edits(without=("fatigue",)))
    with closing(RunStore(database)) as store:
        assert {row.id for row in store.runs()} == {first.run, other.run, forked.run}
        gone = store.forget(cases=["weary"])
        assert gone.is_complete, gone.left
        assert store.runs() == []


def test_without_content_a_run_is_counted_and_nothing_that_was_said_is_kept(tmp_path: Path) -> None:
    ward = wr.Ward(workspace=tmp_path, content=False)
    consult = ward.consult(wr.Case(id="weary", narrative="Man of 60 with unmistakablefatigue and fatigue."))
    assert consult.decision.differential.top is not None
    (row,) = RunStore.existing(tmp_path).runs()
    assert (row.id, row.state) == (consult.run, "done")
    assert row.calls == consult.usage.calls
    for file in tmp_path.iterdir():
        assert b"unmistakablefatigue" not in file.read_bytes(), file
    assert not (tmp_path / "checkpoints.db").exists()
    with pytest.raises(UsageError, match="with content"):
        wr.Ward(workspace=tmp_path, content=False, settings=wr.ConsultSettings(escalate=True))
