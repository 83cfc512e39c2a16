"""What is forgotten is gone from every byte of a workspace."""

import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from wardround.core.items import SourceItem
from wardround.core.source import Source, SourceKind
from wardround.testing import FixedClock
from wardround.trace.events import EvidenceAdded, ModelAsked, Outcome, RunEnded, RunStarted
from wardround.trace.recorder import Recorder
from wardround.trace.remains import in_files
from wardround.trace.store import RunStore

PATIENT = "MRN-4711"
SECRET = "Penelope Stork of Elm Lane"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RunStore]:
    opened = RunStore(tmp_path / "workspace")
    yield opened
    opened.close()


def consult(store: RunStore, run: str, words: str, case: str = "case_a") -> None:
    recorder = Recorder(run, [store.writer(run)], clock=FixedClock(datetime(2026, 1, 1, tzinfo=UTC)))
    recorder.record(RunStarted, case=case, model="reference", settings={})
    for n in range(20):
        text = f"{words}, sentence {n}, which goes on for a while so that it is kept by reference. " * 3
        source = Source(kind=SourceKind.CLINICIAN_NOTE, text=text, document="note")
        recorder.record(EvidenceAdded, item=SourceItem(source=source))
    asked = {"agent": "a", "model": "m", "answer": "A", "rollout": 0, "attempt": 0}
    recorder.record(ModelAsked, call="c", messages=({"role": "user", "content": words},), request=f"r_{run}", **asked)
    recorder.record(RunEnded, outcome=Outcome.DONE)


def test_no_byte_is_left_in_the_files(store: RunStore) -> None:
    folder = store.folder
    assert folder is not None
    for n in range(5):
        consult(store, f"run_{n}", f"{PATIENT} {SECRET}" if n % 2 else "Somebody else")
        store.put(SECRET.encode() * 3000, "text/plain", run=f"run_{n}") if n == 1 else None
    store.keep_case("run_1", f'{{"narrative": "{SECRET}"}}')
    assert in_files(sorted(folder.iterdir()), [SECRET, PATIENT])
    report = store.forget(patients=[PATIENT])
    assert set(report.runs) == {"run_1", "run_3"}
    assert report.left == ()
    assert "file runs.db" in report.searched
    assert in_files(sorted(folder.iterdir()), [SECRET, PATIENT, "Penelope", "penelope", "4711"]) == []
    assert [row.id for row in store.runs()] == ["run_4", "run_2", "run_0"]


def test_checkpoints_of_forgotten_runs_are_gone(store: RunStore) -> None:
    consult(store, "run_1", f"{PATIENT} {SECRET}")
    with closing(sqlite3.connect(store.checkpoints)) as connection:
        for table in ("checkpoints", "writes"):
            connection.execute(f"CREATE TABLE {table} (thread_id TEXT, value BLOB)")
            rows = [("run_1", f"\x00{SECRET}\x00{PATIENT}".encode() * 500), ("run_2", b"else" * 500)]
            connection.executemany(f"INSERT INTO {table} VALUES (?, ?)", rows)
        connection.commit()
    report = store.forget(patients=[f"Patient/{PATIENT}"])
    assert (report.counts.checkpoints, report.left) == (2, ())
    assert SECRET.encode() not in store.checkpoints.read_bytes()
    with closing(sqlite3.connect(store.checkpoints)) as connection:
        assert connection.execute("SELECT thread_id FROM writes").fetchall() == [("run_2",)]


def test_what_other_files_hold_is_told(store: RunStore, tmp_path: Path) -> None:
    folder = store.folder
    assert folder is not None
    consult(store, "run_1", PATIENT)
    (folder / "logs").mkdir()
    (folder / "logs" / "notes.txt").write_text("x" * (1 << 20) + f" and {PATIENT}, seen twice")
    with zipfile.ZipFile(folder / "logs" / "old.eval", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("sample.json", f'{{"id": "{PATIENT}"}}' * 99)
    outside = tmp_path / "cache.db"
    outside.write_bytes(b"run_1")
    report = store.forget(patients=[PATIENT], files=[outside])
    assert set(report.left) == {f"notes.txt: {PATIENT}", f"old.eval/sample.json: {PATIENT}", "cache.db: run_1"}
    assert not report.is_complete


def test_another_reader_that_looks_at_the_past_is_no_excuse(store: RunStore) -> None:
    """A reader that holds an older state keeps its bytes in the log ahead; that must not be passed over."""
    consult(store, "run_1", PATIENT)
    assert store.folder is not None
    with closing(sqlite3.connect(store.folder / "runs.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM events").fetchone()
        try:
            left = store.forget(patients=[PATIENT]).left
        finally:
            reader.execute("ROLLBACK")
        assert any(place.startswith("runs.db") for place in left)
    assert store.forget(patients=[PATIENT]).left == ()


def test_a_name_across_two_pieces_of_a_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "big"
    for at in range((1 << 20) - len(PATIENT) - 1, (1 << 20) + 2):
        path.write_bytes(b" " * at + PATIENT.encode() + b" ")
        assert in_files([path], [PATIENT]) == [f"big: {PATIENT}"]
    path.write_bytes(b"x" + PATIENT.encode() + b"0")
    assert in_files([path, tmp_path / "gone"], [PATIENT]) == []
