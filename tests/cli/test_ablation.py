"""The command through the application it hangs in; a few patients, no cards."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from wardround.cli.evals import evals
from wardround.core.errors import UsageError

FEW = ("--patients", "2", "--calibrating", "0", "--seed", "1")


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wardround.evals.statistics.RESAMPLES", 20)


def run(*words: str) -> Any:
    return CliRunner(env={"COLUMNS": "220"}).invoke(evals, ["ablate", *words])


def test_a_table_shows_every_arm_beside_baselines_and_says_what_it_is_worth() -> None:
    result = run(*FEW)
    assert result.exit_code == 0, result.exception
    for words in (
        "model reference, 2 simulated patients, seed 1",
        "full",
        "no gate",
        "no detector",
        "no provenance",
        "no rollouts",
        "prior alone",
        "never answers",
        "in every arm",
        "With the part, less without it",
        "say nothing of clinical accuracy",
    ):
        assert words in " ".join(result.stdout.split())
    assert "calibrated" not in result.stdout


def test_json_is_one_document_with_the_rates_that_were_asked_for() -> None:
    rates = ("--wrong-readings", "0.2", "--copied-errors", "1", "--hallucinations", "0", "--erring", "0")
    result = run(*FEW, *rates, "--json")
    assert result.exit_code == 0, result.exception
    assert result.stdout.count("\n") == 1
    found = json.loads(result.stdout)
    assert found["corruption"] == {"wrong_readings": 0.2, "copied_errors": 1.0, "hallucinations": 0.0, "erring": 0.0}
    assert found["corrupted"]["hallucinated_claims"] == 0
    assert found["corrupted"]["patients_with_copied_errors"] == found["corrupted"]["patients_with_wrong_readings"] > 0
    assert set(found["differences"]) == {"gate", "detector", "provenance", "rollouts"}
    assert all(row["calls"]["value"] == 0.0 for name, row in found["differences"].items() if name != "provenance")


@pytest.mark.parametrize(
    ("words", "message"),
    [(("--calibrating", "3"), "too few for a card"), (("--model", "nonsense"), "no model 'nonsense'")],
)
def test_what_will_not_do_is_refused_before_anyone_is_asked(words: tuple[str, ...], message: str) -> None:
    result = run("--patients", "2", *words)
    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)
