"""Every wrong call and every failed work: its own one-line message, the right exit code, and nothing else left."""

import json
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from wardround.cli.main import report, run
from wardround.cli.terminal import folded, printable
from wardround.core.errors import KnowledgeError, ModelUnavailable, UsageError

NOTE = "A 24-year-old woman with dysuria and urinary frequency for two days. No fever.\n"


@dataclass(frozen=True)
class Wrong:
    """A call that must fail."""

    name: str
    arguments: tuple[str, ...]
    says: tuple[str, ...]
    """All of it in the one line: what, where, and the mend."""
    code: int = 2
    files: dict[str, str | bytes] = field(default_factory=dict)
    stdin: bytes = b""
    leaves_run: bool = False
    """Whether a run of it that is over, and says why, is kept."""


def coded(code: str, **value: object) -> str:
    return json.dumps({"id": "c1", "age": 40, "findings": [{"code": code, **value}]})


WRONG = [
    Wrong("missing file", ("none.txt",), ("none.txt", "no such file", "give the path")),
    Wrong("missing many", ("none.jsonl", "--out", "out.jsonl"), ("none.jsonl", "no such file", "give a folder")),
    Wrong("folder without --out", ("cases",), ("cases", "many cases", "--out FILE.jsonl"), files={"cases/a.txt": NOTE}),
    Wrong(
        "broken JSON",
        ("broken.json",),
        ("broken.json", "line 2, column 9", "mend the JSON"),
        files={"broken.json": '{"age": 40,\n "sex": }\n'},
    ),
    Wrong(
        "wrong resource",
        ("patient.json",),
        ("patient.json", "Patient alone", "wrap it in a Bundle"),
        files={"patient.json": '{"resourceType": "Patient", "id": "p1", "gender": "female"}'},
    ),
    Wrong("empty note", ("empty.txt",), ("empty.txt", "empty", "write at least"), files={"empty.txt": " \n\t\n"}),
    Wrong("10 MB note", ("big.txt",), ("big.txt", "10.0 MB", "cut it"), files={"big.txt": b"No fever. " * 1_000_000}),
    Wrong("not UTF-8", ("latin.txt",), ("latin.txt", "byte 3", "UTF-8"), files={"latin.txt": "café".encode("latin-1")}),
    Wrong("not UTF-8 on standard input", ("-",), ("standard input", "byte 3", "UTF-8"), stdin="café".encode("latin-1")),
    Wrong("10 MB on standard input", ("-",), ("standard input", "10.0 MB", "cut it"), stdin=b"No fever. " * 1_000_000),
    Wrong(
        "unknown finding code",
        ("case.json",),
        ("c1", "findings[0]", "'fevr'", "use one of: fever"),
        files={"case.json": coded("fevr")},
        leaves_run=True,
    ),
    Wrong(
        "unknown unit",
        ("case.json",),
        ("c1", "findings[0]", "'bananas'", "mmol/L", "check the value and its unit"),
        files={"case.json": coded("sodium", value=140, unit="bananas")},
        leaves_run=True,
    ),
    Wrong(
        "impossible value",
        ("case.json",),
        ("c1", "findings[0]", "14000 mmol/L is not possible", "check the value and its unit"),
        files={"case.json": coded("sodium", value=14000, unit="mmol/L")},
        leaves_run=True,
    ),
    Wrong(
        "model down",
        ("note.txt", "--model", "vllm:nobody", "--base-url", "http://127.0.0.1:9/v1"),
        ("vllm:nobody", "cannot be reached", "is the server running"),
        code=1,
        files={"note.txt": NOTE},
        leaves_run=True,
    ),
    Wrong(
        "model down over many cases",
        ("cases", "--out", "out.jsonl", "--model", "vllm:nobody", "--base-url", "http://127.0.0.1:9/v1"),
        ("vllm:nobody", "cannot be reached", "is the server running"),
        code=1,
        files={"cases/a.txt": NOTE, "cases/b.txt": NOTE + "No vomiting."},
        leaves_run=True,
    ),
    Wrong(
        "unknown model",
        ("note.txt", "--model", "oracle:delphi"),
        ("'oracle:delphi'", "vllm:NAME", "scripted:FILE"),
        files={"note.txt": NOTE},
    ),
    Wrong(
        "scripted file missing",
        ("note.txt", "--model", "scripted:none.json"),
        ("none.json", "No such file", "give a script file"),
        files={"note.txt": NOTE},
    ),
    Wrong(
        "--out is there",
        ("cases", "--out", "out.jsonl"),
        ("out.jsonl", "there already", "--resume"),
        files={"cases/a.txt": NOTE, "out.jsonl": '{"key": "a.txt"}\n'},
    ),
    Wrong(
        "workspace that cannot be written",
        ("note.txt", "--workspace", "taken"),
        ("taken", "cannot be used as a workspace", "give a folder"),
        code=1,
        files={"note.txt": NOTE, "taken": "I am a file"},
    ),
    Wrong("bad option value", ("note.txt", "--rollouts", "0"), ("--rollouts", "1", "consult --help")),
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.name.replace(" ", "_"))
def test_a_bad_input_ends_in_one_clear_line_and_leaves_nothing_half_done(
    wardround: Callable[..., Any], wrong: Wrong, tmp_path: Path
) -> None:
    for name, content in wrong.files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    given = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    result = wardround(tmp_path, "consult", *wrong.arguments, stdin=wrong.stdin)

    said = result.err
    assert result.code == wrong.code, said
    assert result.out == ""
    assert said.startswith("error: ")
    assert said.endswith("\n")
    assert said.count("\n") == 1, said
    for part in wrong.says:
        assert part in said
    left = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert {path: path.read_bytes() for path in given} == given
    assert (tmp_path / ".wardround").exists() == wrong.leaves_run
    assert {path for path in left if ".wardround" not in path.parts} == set(given)
    if wrong.leaves_run:
        assert all(state == "failed" and last == "run_ended" for state, last in runs_of(tmp_path / ".wardround"))


def runs_of(workspace: Path) -> list[tuple[str, str]]:
    last = "select event from events where run = runs.key order by seq desc limit 1"
    store = sqlite3.connect(workspace / "runs.db")
    rows = store.execute(f"select state, ({last}) from runs").fetchall()
    store.close()
    assert rows
    return rows


@pytest.fixture
def called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> "Called":
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WARDROUND_WORKSPACE", raising=False)
    (tmp_path / "note.txt").write_text(NOTE, "utf-8")
    return Called(monkeypatch, capsys)


@dataclass(frozen=True)
class Called:
    """The entry point, called in this process."""

    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str) -> tuple[object, str, str]:
        self.monkeypatch.setattr(sys, "argv", ["wardround", *arguments])
        with pytest.raises(SystemExit) as stopped:
            run()
        out, err = self.capsys.readouterr()
        return stopped.value.code, out, err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["consult"], ("case", "wardround consult --help")),
        (["consult", "a.txt", "b.txt"], ("b.txt", "wardround consult --help")),
        (["consult", "note.txt", "--rollouts", "many"], ("--rollouts", "integer")),
        (["consult", "note.txt", "--rollouts", "51"], ("--rollouts", "50")),
        (["consult", "note.txt", "--concurrency", "0"], ("--concurrency", "1")),
        (["consult", "note.txt", "--calls", "0"], ("--calls", "1")),
        (["consult", "note.txt", "--timeout", "0"], ("--timeout", "0.1")),
        (["consult", "note.txt", "--timeout", "nan"], ("--timeout",)),
        (["consult", "note.txt", "--timeout", "inf"], ("--timeout",)),
        (["consult", "note.txt", "--seed", "x"], ("--seed", "integer")),
        (["consult", "note.txt", "--modle", "reference"], ("--modle", "--model")),
        (["consult", "note.txt", "--model"], ("--model",)),
        (["consult", "note.txt", "--model", ""], ("no model ''", "reference")),
        (["consult", "note.txt", "--model", "vllm:"], ("'vllm:'", "vllm:NAME")),
        (["consult", "note.txt", "--out", "out.jsonl"], ("--out", "folder or a .jsonl")),
        (["consult", "note.txt", "--resume"], ("--resume", "folder or a .jsonl")),
        (["consult", "-", "--out", "out.jsonl"], ("--out", "folder or a .jsonl")),
        (["consult", ".", "--out", "out.jsonl", "--fhir", "b.json"], ("--fhir", "one case")),
        (["consult", ".", "--out", "."], ("--out", "is a folder")),
        (["consult", ".", "--out", "note.txt/out.jsonl"], ("--out", "note.txt/out.jsonl", "cannot be written")),
        (["consult", "note.txt", "--fhir", "none/b.json"], ("--fhir", "no folder none")),
        (["consult", "note.txt", "--fhir", "."], ("--fhir", "is a folder")),
        (["consult", "A woman with a cough. " * 30], ("File name too long", "case file")),
        (["runs", "list"], ("no runs in .wardround", "--workspace")),
        (["runs", "list", "--limit", "0"], ("--limit", "1")),
        (["runs", "show", "run_1", "--workspace", "none"], ("no runs in none", "--workspace")),
        (["runs", "answer", "run_1"], ("--diagnosis", "--information")),
        (["runs", "answer", "run_1", "--diagnosis", "gout", "--information", "x"], ("either",)),
        (["runs", "answer", "run_1", "--diagnosis", "  "], ("--diagnosis is empty",)),
        (["runs", "answer", "run_1", "--information", ""], ("--information is empty",)),
        (["runs", "lst"], ("lst", "'list'", "wardround runs --help")),
        (["consultt"], ("consultt", "'consult'", "wardround --help")),
        (["--version-of-what"], ("--version-of-what", "wardround --help")),
    ],
    ids=lambda value: "_".join(value)[:60] if isinstance(value, list) else "",
)
def test_a_wrong_call_is_refused_in_one_line_before_anything_is_done(
    called: Called, tmp_path: Path, arguments: list[str], says: tuple[str, ...]
) -> None:
    code, out, err = called(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    for part in says:
        assert part in err
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


@pytest.mark.parametrize("script", ["{", "[1]", '[{"answer": "*"}]', "5", '[{"answer": "*", "says": 1, "times": 0}]'])
def test_a_file_that_is_no_script_is_refused_in_one_line_without_addresses(
    called: Called, tmp_path: Path, script: str
) -> None:
    (tmp_path / "script.json").write_text(script, "utf-8")
    code, out, err = called("consult", "note.txt", "--model", "scripted:script.json")
    assert (code, out) == (2, "")
    assert err.startswith("error: script.json: not a script")
    assert err.count("\n") == 1
    assert "https://" not in err


def test_a_batch_never_writes_into_its_own_cases(called: Called, tmp_path: Path) -> None:
    cases = tmp_path / "cases.jsonl"
    cases.write_text('{"narrative": "Cough."}', "utf-8")
    code, out, err = called("consult", "cases.jsonl", "--out", "cases.jsonl", "--resume")
    assert (code, out) == (2, "")
    assert "the cases themselves" in err
    assert cases.read_text("utf-8") == '{"narrative": "Cough."}'


def test_a_batch_never_cuts_a_file_that_is_no_result(called: Called, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear colleague, this line has no end", "utf-8")
    cases = tmp_path / "cases.jsonl"
    cases.write_text('{"narrative": "Cough."}\n', "utf-8")
    code, out, _ = called("consult", "cases.jsonl", "--out", "letter.txt", "--resume")
    assert (tmp_path / "letter.txt").read_text("utf-8") == "Dear colleague, this line has no end"
    assert (code, out) == (2, "")


def test_cases_that_are_not_utf8_are_refused(called: Called, tmp_path: Path) -> None:
    (tmp_path / "cases.jsonl").write_bytes('{"narrative": "café"}\n'.encode("latin-1"))
    code, out, err = called("consult", "cases.jsonl", "--out", "out.jsonl")
    assert (code, out) == (2, "")
    assert "cases.jsonl: it is not UTF-8" in err
    assert not (tmp_path / "out.jsonl").exists()


def test_a_workspace_whose_file_is_no_database_is_named_in_one_line(called: Called, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "runs.db").write_text("this is no database, it is a letter to a friend", "utf-8")
    code, out, err = called("runs", "list", "--workspace", "broken")
    assert (code, out) == (1, "")
    assert err.startswith("error: broken cannot be used as a workspace")
    assert err.count("\n") == 1
    assert "sqlalche.me" not in err


def test_what_a_case_calls_itself_cannot_steer_the_terminal(called: Called, tmp_path: Path) -> None:
    case = {"id": "\x1b[2J\u202eevil\n", "findings": [{"code": "\x1b]0;owned\x07"}]}
    (tmp_path / "case.json").write_text(json.dumps(case), "utf-8")
    code, out, err = called("consult", "case.json")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "\x1b" not in err
    assert "\u202e" not in err


def test_help_for_want_of_a_command_is_a_wrong_call(called: Called) -> None:
    code, out, err = called()
    assert code == 2
    assert "consult" in out
    assert "--debug" in out
    assert err == ""


@pytest.mark.parametrize(
    "command", [["consult"], ["runs"], *(["runs", c] for c in ("list", "show", "export", "answer"))]
)
def test_every_command_takes_help(called: Called, command: list[str]) -> None:
    code, out, err = called(*command, "--help")
    assert (code, err) == (0, "")
    assert f"Usage: wardround {' '.join(command)}" in out


def test_debug_shows_the_traceback_and_keeps_the_exit_code(called: Called) -> None:
    for arguments in (("consult", "none.txt", "--debug"), ("--debug", "consult", "none.txt")):
        code, out, err = called(*arguments)
        assert (code, out) == (2, "")
        assert err.startswith("Traceback (most recent call last)")
        assert "CaseError" in err
        assert err.splitlines()[-1].startswith("error: none.txt: no such file")


def test_printable_keeps_words_of_every_script_and_replaces_what_steers() -> None:
    assert printable("Übelkeit, 38 °C,\tσπασμοί, 頭痛\n") == "Übelkeit, 38 °C,\tσπασμοί, 頭痛\n"
    assert printable("\x1b[31mred\x07\x9b\u2066\ud800") == "\ufffd[31mred\ufffd\ufffd\ufffd\ufffd"
    assert folded(" a \r\n\x1c b\u2028c ") == "a b c"


def test_a_knowledge_error_keeps_one_line_for_each_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(KnowledgeError(["a.yaml: one", "b.yaml: two"]), debug=False) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "error: 2 faults in the knowledge files:\n  a.yaml: one\n  b.yaml: two\n"


def test_an_error_that_nobody_expected_shows_no_traceback_either(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(ZeroDivisionError("division by\nzero"), debug=False) == 1
    assert capsys.readouterr() == ("", "error: unexpected ZeroDivisionError: division by zero; --debug shows where\n")


def test_of_several_errors_the_first_that_was_raised_on_purpose_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    inner = ExceptionGroup("tasks", [UsageError("write it so"), ModelUnavailable("vllm:x", "is down")])
    assert report(ExceptionGroup("all", [ValueError("other"), inner]), debug=False) == 2
    assert capsys.readouterr() == ("", "error: write it so\n")
