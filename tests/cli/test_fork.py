"""Replays and forks through the command line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


def wardround(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wardround", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("forks")


@pytest.fixture(scope="module")
def first(folder: Path) -> dict[str, object]:
    text = "30-year-old woman. Dysuria and urinary frequency for 2 days. No fever. Nitrites in the urine."
    (folder / "case.txt").write_text(text, "utf-8")
    done = wardround("consult", "case.txt", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    result: dict[str, object] = json.loads(done.stdout)
    return result


def test_a_run_is_replayed_and_said_to_be_equal(folder: Path, first: dict[str, object]) -> None:
    done = wardround("runs", "replay", str(first["run"]), "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["equal"] is True
    assert said["events"] > 50
    assert "equal in all" in wardround("runs", "replay", str(first["run"]), cwd=folder).stdout


def test_a_run_is_forked_with_another_answer_from_a_file(folder: Path, first: dict[str, object]) -> None:
    events = wardround("runs", "export", str(first["run"]), cwd=folder).stdout.splitlines()
    asked = [json.loads(line) for line in events if '"model_asked"' in line]
    call = next(e["call"] for e in asked if e["agent"] == "attending")
    (folder / "answer.json").write_text(json.dumps({"diagnosis": None, "argument": []}), "utf-8")
    done = wardround("runs", "fork", str(first["run"]), "--answer", f"{call}=answer.json", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    forked = json.loads(done.stdout)
    assert forked["run"] != first["run"]
    assert forked["decision"]["diagnosis"] is None
    assert forked["settings"]["fork"]["of"] == first["run"]


def test_a_run_is_forked_from_a_step_with_another_model(folder: Path, first: dict[str, object]) -> None:
    script = [{"answer": "AttendingAnswer", "says": {"diagnosis": None, "argument": []}}]
    (folder / "script.json").write_text(json.dumps(script), "utf-8")
    given = ("--from", "attending", "--model", "scripted:script.json")
    done = wardround("runs", "fork", str(first["run"]), *given, "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    forked = json.loads(done.stdout)
    assert forked["settings"]["fork"]["edits"] == {"model": "scripted:script.json", "model_from": "attending"}
    assert forked["decision"]["diagnosis"] is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "the fork changes nothing"),
        (("--answer", "call_x"), "give CALL=FILE"),
        (("--answer", "call_x=nowhere.json"), "cannot be read"),
        (("--without", "src_nowhere"), "has no evidence src_nowhere"),
        (("--from", "lunch"), "cannot be forked from 'lunch'; its steps are intake, triage, plan"),
    ],
)
def test_what_cannot_be_forked_is_said(
    folder: Path, first: dict[str, object], words: tuple[str, ...], message: str
) -> None:
    done = wardround("runs", "fork", str(first["run"]), *words, cwd=folder)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_log_is_verified_and_a_case_forgotten_with_its_cached_answers(folder: Path) -> None:
    (folder / "other.txt").write_text("40-year-old man with unmistakable cough and fever.", "utf-8")
    assert wardround("consult", "other.txt", "--cache", "--workspace", "gone", cwd=folder).returncode == 0
    (row,) = json.loads(wardround("runs", "list", "--json", "--workspace", "gone", cwd=folder).stdout)
    assert "is what was written" in wardround("runs", "verify", row["run"], "--workspace", "gone", cwd=folder).stdout
    done = wardround("runs", "forget", "--case", row["case"], "--json", "--workspace", "gone", cwd=folder)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["runs"], told["left"]) == ([row["run"]], [])
    assert told["cached"] > 0
    for file in (folder / "gone").iterdir():
        assert b"unmistakable" not in file.read_bytes(), file
    assert wardround("runs", "forget", "--workspace", "gone", cwd=folder).returncode == 2
