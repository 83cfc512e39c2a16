"""The command through the application it hangs in; other tests run the whole in another process."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from wardround.cli.calibrate import calibrate
from wardround.core.calibration.card import Card
from wardround.core.errors import UsageError

HYPOTHESES = (
    ("acute_appendicitis", "acute appendicitis", "K35.80"),
    ("gout", "gout flare", "M10.9"),
)


@pytest.fixture
def app() -> typer.Typer:
    application = typer.Typer()
    application.command()(calibrate)
    return application


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("wardround.evals.statistics.RESAMPLES", 20)
    rows, labels = [], ["case,diagnosis"]
    for n in range(30):
        p = 0.6 + n / 100
        differential = [
            {"id": i, "name": name, "icd10": code, "probability": share}
            for (i, name, code), share in zip(HYPOTHESES, (p, 0.99 - p), strict=True)
        ]
        leading = {name: differential[0][name] for name in ("id", "name", "icd10")}
        decision = {"diagnosis": leading, "probability": p, "differential": differential, "other": 0.01}
        rows.append(
            {
                "key": f"c{n}.txt",
                "run": f"run{n}",
                "case": f"c{n}",
                "model": "reference",
                "triage": None,
                "decision": decision,
                "uncertainty": None,
            }
        )
        labels.append(f"c{n},{'K35' if n % 4 else 'Wilson disease'}")
    (tmp_path / "runs.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
    (tmp_path / "labels.csv").write_text("\n".join(labels), "utf-8")
    return tmp_path


def run(app: typer.Typer, *words: str) -> Any:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, words)


def refused(result: Any) -> str:
    assert isinstance(result.exception, UsageError), result.output
    return str(result.exception)


def test_it_writes_a_card_and_says_plainly_what_it_cannot_promise(app: typer.Typer, folder: Path) -> None:
    result = run(app, "runs.jsonl", "--labels", "labels.csv", "--out", "card.json")
    assert result.exit_code == 0, result.exception
    card = Card.load(folder / "card.json")
    for words in (
        card.id,
        "model reference, 30 consults of 30 cases",
        "Brier score",
        "no skill",
        "stated on average",
        "Answering: not certified on 18 cases",
        "30 cases are too few to fit a calibrator",
        "count as `other`: Wilson disease",
        "for cases drawn like these",
    ):
        assert words in result.stdout


def test_json_is_one_document_and_the_card_itself(app: typer.Typer, folder: Path) -> None:
    result = run(app, "runs.jsonl", "--labels", "labels.csv", "--out", "card.json", "--json")
    assert result.exit_code == 0, result.exception
    assert result.stdout.count("\n") == 1
    assert json.loads(result.stdout) == json.loads((folder / "card.json").read_text("utf-8"))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("case,diagnosis\nnobody,gout\n", "no label is of a case"),
        ("case,diagnosis\nc1,gout\nnobody,gout\n", "labels of no case in the results: nobody"),
        ("case,diagnosis\nc1,gout\nc2,gout\n", "2 labelled cases are too few"),
        ("who,what\nc1,gout\n", "its header is who, what"),
    ],
)
def test_labels_that_will_not_do_are_named_and_no_card_is_written(
    app: typer.Typer, folder: Path, labels: str, message: str
) -> None:
    (folder / "labels.csv").write_text(labels, "utf-8")
    assert message in refused(run(app, "runs.jsonl", "--labels", "labels.csv", "--out", "card.json"))
    assert not (folder / "card.json").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("none.jsonl", "--labels", "labels.csv", "--out", "card.json"), "none.jsonl: cannot be read"),
        (("runs.jsonl", "--labels", "none.csv", "--out", "card.json"), "none.csv: cannot be read"),
        (("runs.jsonl", "--labels", "labels.csv", "--out", "."), "is a folder"),
        (("runs.jsonl", "--labels", "labels.csv", "--out", "no/card.json"), "there is no folder"),
        (("labels.csv", "--labels", "labels.csv", "--out", "card.json"), "labels.csv, line 1: is not JSON"),
    ],
)
def test_files_that_will_not_do_are_named(app: typer.Typer, folder: Path, words: tuple[Any, ...], message: str) -> None:
    assert message in refused(run(app, *words))


def test_results_without_a_label_are_left_out_and_counted(app: typer.Typer, folder: Path) -> None:
    rows = (folder / "labels.csv").read_text("utf-8").splitlines()
    (folder / "labels.csv").write_text("\n".join(rows[:26]), "utf-8")
    result = run(app, "runs.jsonl", "--labels", "labels.csv", "--out", "card.json")
    assert "5 consults have no label and were left out" in result.stdout
