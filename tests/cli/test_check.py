"""`wardround check`, through its own small command line."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from wardround.cli.check import check
from wardround.core.errors import UsageError

app = typer.Typer()
app.command()(check)

EVIDENCE = [
    {"id": "n1", "text": "CT shows a left pneumothorax."},
    {"id": "n2", "text": "Potassium 6.8 mmol/L.", "kind": "lab", "time": "2024-01-01T08:00:00Z", "reliability": 0.9},
]


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    path = tmp_path / "evidence.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in EVIDENCE), "utf-8")
    return path


def run(*arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(app, arguments, input=given)


def document(*arguments: str, given: str | None = None) -> dict:  # type: ignore[type-arg]
    result = run(*arguments, "--json", given=given)
    assert result.exit_code == 0, result.output
    read: dict = json.loads(result.stdout)  # type: ignore[type-arg]
    return read


def test_each_statement_has_verdict_severity_evidence_and_reason(evidence: Path) -> None:
    text = "There is a right pneumothorax [n1]. Potassium 6.8 mmol/L [n2]. The patient has melena."
    said = document("--text", "-", "--evidence", str(evidence), given=text)
    found = [(c["verdict"], c["severity"], c["evidence"]) for c in said["claims"]]
    assert found == [
        ("contradicted", "critical", ["n1"]),
        ("supported", "correct", ["n2"]),
        ("not_addressed", "unscored", []),
    ]
    assert said["score"] == pytest.approx(0.6)
    assert text[slice(*said["claims"][0]["span"])] == "pneumothorax"
    assert said["claims"][2]["unchecked"]
    assert all(c["reason"] for c in said["claims"])


def test_a_person_reads_a_table(evidence: Path) -> None:
    result = run("--text", "-", "--evidence", str(evidence), given="There is a right pneumothorax.")
    assert result.exit_code == 0
    assert "contradicted" in result.output
    assert "score 0.20" in result.output


def test_the_evidence_may_come_from_standard_input(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("Chest pain.", "utf-8")
    said = document("--text", str(text), "--evidence", "-", given='{"id": 7, "text": "No chest pain."}')
    assert said["claims"][0]["evidence"] == ["7"]


def resource(kind: str, name: str, patient: str, **more: object) -> dict[str, object]:
    return {"resource": {"resourceType": kind, "id": name, "subject": {"reference": patient}, **more}}


def observation(name: str, patient: str, value: float) -> dict[str, object]:
    return resource(
        "Observation",
        name,
        patient,
        status="final",
        code={"coding": [{"system": "http://loinc.org", "code": "2823-3"}], "text": "Potassium"},
        valueQuantity={"value": value, "unit": "mmol/L", "code": "mmol/L", "system": "http://unitsofmeasure.org"},
    )


def test_a_fhir_bundle_is_evidence_and_resources_of_another_patient_are_not(tmp_path: Path) -> None:
    path = tmp_path / "bundle.json"
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [observation("a", "Patient/1", 6.8), observation("b", "Patient/2", 4.0)],
    }
    path.write_text(json.dumps(bundle), "utf-8")
    options = ("--text", "-", "--evidence", str(path), "--patient", "Patient/1")
    mine = document(*options, given="Potassium 6.8 mmol/L.")
    assert (mine["claims"][0]["verdict"], mine["claims"][0]["evidence"]) == ("supported", ["Observation/a"])
    other = document(*options, given="Potassium 4.0 mmol/L.")
    assert other["claims"][0]["verdict"] == "contradicted"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "is empty"),
        ("not json", "line 1: is not JSON"),
        ('{"id": "a"}', 'line 1: an object with "id" and "text"'),
        ('{"id": "a", "text": "x"}\n{"id": "a", "text": "y"}', "line 2: the id 'a' is there already"),
        ('{"id": "a", "text": "x", "colour": "red"}', "unknown colour"),
        ('{"id": "a", "text": "x", "kind": "gossip"}', "kind"),
        ('{"id": "a", "text": "x", "reliability": 7}', "reliability"),
        ('{"id": "a", "text": "x", "time": "yesterday"}', "time"),
        ('{"resourceType": "Patient"}', "FHIR Patient without entries"),
        ("[1, 2]", "an object"),
    ],
)
def test_evidence_that_cannot_be_read_is_an_error_that_says_where(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "evidence.jsonl"
    path.write_text(content, "utf-8")
    result = run("--text", "-", "--evidence", str(path), given="Chest pain.")
    assert isinstance(result.exception, UsageError)
    assert told in str(result.exception)


def test_files_that_are_missing_empty_or_of_other_bytes_are_errors(tmp_path: Path, evidence: Path) -> None:
    latin = tmp_path / "latin.txt"
    latin.write_bytes("fièvre".encode("latin-1"))
    for arguments, told in (
        (("--text", str(tmp_path / "none.txt"), "--evidence", str(evidence)), "cannot be read"),
        (("--text", str(tmp_path), "--evidence", str(evidence)), "cannot be read"),
        (("--text", str(latin), "--evidence", str(evidence)), "is not UTF-8"),
        (("--text", "-", "--evidence", str(evidence)), "is empty"),
        (("--text", "-", "--evidence", "-"), "both are `-`"),
    ):
        result = run(*arguments, given="")
        assert isinstance(result.exception, UsageError), arguments
        assert told in str(result.exception)
