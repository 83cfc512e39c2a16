"""The store keeps runs in a workspace, finds them again, and says when it cannot."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from wardround.core.decision import Decision, DecisionStatus
from wardround.core.differential import Differential, Hypothesis
from wardround.core.errors import StoreError, UsageError
from wardround.testing import FixedClock
from wardround.trace.events import (
    EVENT,
    DecisionMade,
    Event,
    Outcome,
    RunEnded,
    RunStarted,
    SpanKind,
    Suspended,
    ToolCalled,
)
from wardround.trace.recorder import Recorder
from wardround.trace.store import RunRow, RunStore

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
FLU = Hypothesis(id="flu", name="Influenza", icd10="J11", probability=0.8)
FINAL = Decision(
    status=DecisionStatus.FINAL,
    diagnosis=FLU,
    probability=0.8,
    differential=Differential(hypotheses=(FLU,), other=0.2),
)
ABSTAINED = FINAL.model_copy(update={"status": DecisionStatus.ABSTAINED, "diagnosis": None, "probability": None})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RunStore]:
    opened = RunStore(tmp_path / "workspace")
    yield opened
    opened.close()


def started(store: RunStore, run: str, case: str = "case_a", *, at: datetime = START) -> Recorder:
    recorder = Recorder(run, [store.writer(run)], clock=FixedClock(at))
    recorder.record(RunStarted, case=case, model="reference", settings={"seed": 0})
    return recorder


def ended(store: RunStore, run: str, decision: Decision = FINAL, case: str = "case_a") -> list[Event]:
    recorder = started(store, run, case)
    with recorder.span("triage", SpanKind.NODE):
        recorder.record(ToolCalled, call="c", agent="a", tool="search", arguments={"argument": "Fièvre \u2028 'x'"})
    recorder.record(DecisionMade, decision=decision)
    recorder.record(RunEnded, outcome=Outcome.DONE)
    return recorder.events


def test_a_log_is_read_as_it_was_written(store: RunStore) -> None:
    log = ended(store, "run_1")
    assert store.events("run_1") == log
    assert [e.id for e in store.events("run_1")] == [e.id for e in log]
    assert store.events("run_2") == []


def test_a_log_outlives_the_process_that_wrote_it(tmp_path: Path) -> None:
    first = RunStore(tmp_path)
    log = ended(first, "run_1")
    first.close()
    second = RunStore.existing(tmp_path)
    assert second.events("run_1") == log
    assert [row.id for row in second.runs()] == ["run_1"]
    second.close()


def test_a_finished_run_is_listed_with_its_decision(store: RunStore) -> None:
    ended(store, "run_1")
    assert store.runs() == [
        RunRow(
            id="run_1",
            case="case_a",
            kind="consult",
            suite=None,
            model="reference",
            started=START,
            state="done",
            status="final",
            diagnosis="Influenza",
            probability=0.8,
            reasons=(),
            specialty=None,
            urgency=None,
            calls=0,
            tokens=0,
            seconds=0.007,
            money=None,
        )
    ]


def test_an_abstention_is_listed_with_what_leads(store: RunStore) -> None:
    ended(store, "run_1", ABSTAINED)
    (row,) = store.runs()
    assert (row.status, row.diagnosis, row.probability) == ("abstained", "Influenza", 0.8)


def test_a_run_goes_from_running_to_suspended_to_failed(store: RunStore) -> None:
    recorder = started(store, "run_1")
    states = [store.find("run_1").state]
    recorder.record(Suspended, question={"text": "Sure?"})
    states.append(store.find("run_1").state)
    recorder.record(RunEnded, outcome=Outcome.FAILED, error="it broke")
    states.append(store.find("run_1").state)
    assert states == ["running", "suspended", "failed"]
    assert store.find("run_1").status is None


def test_runs_are_listed_the_latest_first(store: RunStore) -> None:
    for n in (1, 3, 2):
        started(store, f"run_{n}", at=START + timedelta(hours=n))
    assert [row.id for row in store.runs()] == ["run_3", "run_2", "run_1"]
    assert [row.id for row in store.runs(limit=2)] == ["run_3", "run_2"]
    assert store.runs(limit=0) == []


def test_runs_are_in_order_whatever_the_zone_of_their_clock(store: RunStore) -> None:
    started(store, "run_early", at=datetime(2026, 1, 1, 13, tzinfo=timezone(timedelta(hours=2))))
    started(store, "run_late", at=START)
    assert [row.id for row in store.runs()] == ["run_late", "run_early"]


def test_a_run_begun_again_replaces_the_earlier_one(store: RunStore) -> None:
    ended(store, "run_1")
    store.keep_case("run_1", "{}")
    again = started(store, "run_1", at=START + timedelta(days=1))
    assert store.events("run_1") == again.events
    (row,) = store.runs()
    assert (row.state, row.status, row.started) == ("running", None, START + timedelta(days=1))
    with pytest.raises(UsageError, match="no case is kept"):
        store.case("run_1")


def test_replacing_a_run_leaves_the_others_alone(store: RunStore) -> None:
    log = ended(store, "run_1")
    ended(store, "run_2")
    started(store, "run_2")
    assert store.events("run_1") == log


def test_a_case_is_kept_with_its_run(store: RunStore) -> None:
    started(store, "run_1")
    store.keep_case("run_1", '{"narrative": "Fièvre"}')
    assert store.case("run_1") == '{"narrative": "Fièvre"}'


@pytest.mark.parametrize("run", ["run_1", "run_2"])
def test_a_case_that_was_not_kept_is_refused(store: RunStore, run: str) -> None:
    started(store, "run_1")
    with pytest.raises(UsageError, match=f"no case is kept of run '{run}'"):
        store.case(run)


@pytest.mark.parametrize("prefix", ["run_abc1", "run_abc", "abc", "chest_pain", "chest"])
def test_a_run_is_found_by_the_beginning_of_its_id_or_case(store: RunStore, prefix: str) -> None:
    started(store, "run_abc1", "chest_pain")
    started(store, "run_def2", "headache")
    assert store.find(prefix).id == "run_abc1"


@pytest.mark.parametrize("prefix", ["chest_pain", "chest"])
def test_of_several_runs_of_a_case_the_latest_is_found(store: RunStore, prefix: str) -> None:
    started(store, "run_old", "chest_pain")
    started(store, "run_new", "chest_pain", at=START + timedelta(hours=1))
    started(store, "run_other", "headache", at=START + timedelta(hours=2))
    assert store.find(prefix).id == "run_new"


def test_an_id_that_begins_another_is_found_itself(store: RunStore) -> None:
    started(store, "run_1")
    started(store, "run_12", "case_b", at=START + timedelta(hours=1))
    assert store.find("run_1").id == "run_1"


@pytest.mark.parametrize(
    ("prefix", "message"),
    [("run_", "2 runs begin with 'run_'"), ("case", "2 runs begin with"), ("zzz", "no run begins")],
)
def test_a_beginning_of_several_or_none_is_refused(store: RunStore, prefix: str, message: str) -> None:
    started(store, "run_1", "case_a")
    started(store, "run_2", "case_b")
    with pytest.raises(UsageError, match=message):
        store.find(prefix)


def test_signs_that_databases_know_are_plain_text_to_find(store: RunStore) -> None:
    started(store, "run_1")
    for prefix in ("%", "run%", "case*", "' OR 1=1 --", "run_["):
        with pytest.raises(UsageError, match="no run begins"):
            store.find(prefix)


def test_what_waits_is_written_at_the_end_of_a_span_and_on_flush(store: RunStore) -> None:
    writer = store.writer("run_1")
    recorder = Recorder("run_1", [writer], clock=FixedClock(START))
    recorder.record(RunStarted, case="c", model="m", settings={})
    recorder.record(ToolCalled, call="c", agent="a", tool="t", arguments={})
    assert len(store.events("run_1")) == 1
    writer.flush()
    assert store.events("run_1") == recorder.events
    with recorder.span("node", SpanKind.NODE):
        pass
    assert store.events("run_1") == recorder.events
    writer.flush()
    assert store.events("run_1") == recorder.events


def test_a_long_span_is_written_in_parts(store: RunStore) -> None:
    recorder = started(store, "run_1")
    for _ in range(450):
        recorder.record(ToolCalled, call="c", agent="a", tool="t", arguments={})
    assert [e.seq for e in store.events("run_1")] == list(range(401))


def test_a_folder_is_made_where_there_is_none_and_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    store = RunStore(folder)
    store.close()
    assert (folder / "runs.db").is_file()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert store.checkpoints == folder / "checkpoints.db"


def test_a_workspace_that_is_a_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    for folder in (file, file / "below"):
        with pytest.raises(StoreError, match="give a folder that can be written"):
            RunStore(folder)


def test_a_workspace_that_cannot_be_made_is_refused() -> None:
    with pytest.raises(StoreError, match="give a folder that can be written"):
        RunStore(Path("/proc/nowhere/workspace"))


def test_a_workspace_whose_database_is_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "runs.db").write_bytes(b"this is no database at all, only some text" * 100)
    with pytest.raises(StoreError, match="not a database"):
        RunStore(tmp_path)
    other = tmp_path / "other"
    (other / "runs.db").mkdir(parents=True)
    with pytest.raises(StoreError, match="unable to open"):
        RunStore(other)


def test_a_store_that_must_be_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no runs in"):
        RunStore.existing(tmp_path)
    assert list(tmp_path.iterdir()) == []


def alter(store: RunStore, statement: str) -> None:
    connection = sqlite3.connect(store.folder / "runs.db")
    connection.execute(statement)
    connection.commit()
    connection.close()


def test_a_database_that_breaks_later_is_a_store_error(store: RunStore) -> None:
    recorder = started(store, "run_1")
    alter(store, "DROP TABLE events")
    alter(store, "DROP TABLE runs")
    with pytest.raises(StoreError, match=r"cannot be read .*no such table"):
        store.runs()
    with pytest.raises(StoreError, match="cannot be read"):
        store.events("run_1")
    with pytest.raises(StoreError, match="cannot be read"):
        store.case("run_1")
    with pytest.raises(StoreError, match="cannot be written"):
        store.keep_case("run_1", "{}")
    with pytest.raises(StoreError, match=r"runs\.db cannot be written .*give another workspace"):
        recorder.record(RunEnded, outcome=Outcome.DONE)


def test_a_place_of_the_log_is_written_once(store: RunStore) -> None:
    log = ended(store, "run_1")
    other = log[-1].model_copy(update={"time": START + timedelta(seconds=1)})
    with pytest.raises(StoreError, match=r"event \d+ of run run_1 cannot be written: another is there"):
        store.append("run_1", [other])
    assert store.events("run_1") == log


def test_events_of_a_run_that_never_began_are_refused(store: RunStore) -> None:
    end = EVENT.validate_python(
        {"event": "run_ended", "run": "run_9", "seq": 0, "time": START, "span": "", "outcome": "done"}
    )
    with pytest.raises(StoreError, match="cannot be written"):
        store.append("run_9", [end])


def test_an_event_of_another_version_is_a_store_error(store: RunStore) -> None:
    started(store, "run_1")
    alter(store, """UPDATE events SET body = '{"event": "thought_read", "run": "run_1"}'""")
    with pytest.raises(StoreError, match=r"run_1 .* this version cannot read"):
        store.events("run_1")


def test_two_stores_on_one_workspace_see_each_other(store: RunStore) -> None:
    other = RunStore(store.folder)
    log = ended(store, "run_1")
    assert other.events("run_1") == log
    more = ended(other, "run_2")
    assert store.events("run_2") == more
    other.close()
