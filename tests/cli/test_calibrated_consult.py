"""From labelled results to a card, and from the card to a consult that names it, through the command line."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from wardround.evals.vignettes import vignettes


def wardround(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wardround", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calibrated")
    (folder / "cases").mkdir()
    labels = []
    for n, sample in enumerate(vignettes("dev")[:24]):
        (folder / "cases" / f"{n:02d}.txt").write_text(sample.case.narrative or "", "utf-8")
        labels.append({"key": f"{n:02d}.txt", "diagnosis": sample.gold.name})
    (folder / "labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in labels), "utf-8")
    done = wardround("consult", "cases", "--out", "results.jsonl", cwd=folder)
    assert done.returncode == 0, done.stderr
    done = wardround("calibrate", "results.jsonl", "--labels", "labels.jsonl", "--out", "card.json", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def as_json(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_consult_that_names_a_card_of_few_cases_says_that_nothing_is_certified(folder: Path) -> None:
    result = as_json(wardround("consult", "cases/00.txt", "--card", "card.json", "--json", cwd=folder))
    card = json.loads((folder / "card.json").read_text("utf-8"))
    decision = result["decision"]
    assert decision["calibration"] == card["id"]
    assert decision["certificate"].startswith("not certified")
    assert decision["status"] == "abstained"
    assert "not_certified" in {reason["code"] for reason in decision["reasons"]}
    assert result["opinions"]
    assert all({"agent", "rollout", "diagnosis"} == set(opinion) for opinion in result["opinions"])
    shown = wardround("consult", "cases/00.txt", "--card", "card.json", cwd=folder)
    assert card["id"] in shown.stdout
    assert "not certified" in shown.stdout


def test_results_of_consults_with_a_card_can_be_calibrated_again(folder: Path) -> None:
    done = wardround("consult", "cases", "--card", "card.json", "--out", "again.jsonl", cwd=folder)
    assert done.returncode == 0, done.stderr
    done = wardround("calibrate", "again.jsonl", "--labels", "labels.jsonl", "--out", "card2.json", cwd=folder)
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((folder / name).read_text("utf-8"))["metrics"] for name in ("card.json", "card2.json"))
    assert {m: f["before"]["value"] for m, f in second.items()} == {m: f["before"]["value"] for m, f in first.items()}


def test_a_card_of_other_settings_is_refused_with_the_difference(folder: Path) -> None:
    done = wardround("consult", "cases/00.txt", "--card", "card.json", "--rollouts", "5", cwd=folder)
    assert done.returncode == 2
    assert "rollouts 3, not 5" in done.stderr


def test_what_rollouts_may_not_differ_by_is_named(folder: Path) -> None:
    done = wardround("consult", "cases/00.txt", "--rollouts-differ-by", "mood", cwd=folder)
    assert done.returncode == 2
    assert "mood: give any of role, order, temperature, evidence" in done.stderr
    done = wardround("consult", "cases/00.txt", "--least-rollouts", "4", cwd=folder)
    assert done.returncode == 2
