"""`wardround consult` and `wardround runs` as a person and as a program meet them."""

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import wardround as wr
from wardround.cli.show import show_consult
from wardround.trace.events import EVENT
from wardround.trace.views import evidence_graph

ROOT = Path(__file__).parents[2]
CASES = ROOT / "examples" / "cases"
TOE = CASES / "painful_toe.json"
GOLDEN = ROOT / "tests" / "golden" / "consult.txt"
VAGUE = "A 40-year-old woman has not been feeling herself lately and wonders why.\n"
GERMAN = "Der Patient klagt seit gestern über Bauchschmerzen. Er hat erbrochen und kein Fieber gehabt.\n"
BOTH_WAYS = {
    "id": "both-ways",
    "age": 30,
    "complaint": "cough",
    "findings": [
        {"code": "cough", "assertion": "present"},
        {"code": "crackles", "assertion": "present"},
        {"code": "crackles", "assertion": "absent"},
    ],
}
Command = Callable[..., Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ward")


@pytest.fixture(scope="module")
def told(wardround: Command, folder: Path) -> Any:
    """A case that ends in a diagnosis, as JSON and as a Bundle."""
    return wardround(folder, "consult", str(TOE), "--json", "--fhir", "bundle.json")


@pytest.fixture(scope="module")
def shown(wardround: Command, told: Any) -> Any:
    """The same run once more, as a person reads it."""
    return wardround(told.folder, "consult", str(TOE))


def test_json_is_one_document_of_the_promised_shape_and_nothing_else(told: Any) -> None:
    result = told.json
    assert told.err == ""
    assert result["run"].startswith("run_")
    assert result["model"] == "reference"
    assert result["triage"]["urgency"] in ("emergent", "urgent", "routine")
    assert result["triage"]["specialties"]
    decision = result["decision"]
    assert decision["status"] == "final"
    assert decision["diagnosis"]["id"] == "gout"
    assert decision["diagnosis"]["name"] == decision["differential"][0]["name"]
    assert decision["diagnosis"]["icd10"].startswith("M10")
    low, high = decision["interval"]
    assert 0.0 <= low <= decision["probability"] <= high <= 1.0
    assert decision["calibration"] == "uncalibrated"
    assert {"name", "icd10", "probability"} <= set(decision["differential"][0])
    shares = [h["probability"] for h in decision["differential"]]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) + decision["other"] == pytest.approx(1.0, abs=1e-6)
    assert decision["diagnosis"]["icd10"] in decision["set"]
    assert decision["reasons"] == []
    assert isinstance(decision["missing"], list)
    assert isinstance(decision["red_flags"], list)
    assert 0.0 <= result["uncertainty"]["combined"] <= 1.0
    assert result["uncertainty"]["parts"]
    assert result["usage"]["calls"] > 0
    assert result["usage"]["tokens"] > 0
    assert result["usage"]["seconds"] > 0


def test_each_claim_in_the_json_has_a_verdict_and_cites_evidence_that_is_there(told: Any) -> None:
    result = told.json
    ids = {source["id"] for source in result["evidence"]}
    assert result["claims"]
    for claim in result["claims"]:
        assert {"text", "verdict", "severity", "evidence"} <= set(claim)
        assert claim["verdict"] in ("supported", "contradicted", "not_addressed")
        assert set(claim["evidence"]) <= ids


def test_the_bundle_is_one_that_a_server_accepts_and_says_it_is_preliminary(told: Any) -> None:
    from fhir.resources.R4B.bundle import Bundle

    written = json.loads((told.folder / "bundle.json").read_text("utf-8"))
    assert Bundle.model_validate(written).type == "transaction"
    kinds = [entry["resource"]["resourceType"] for entry in written["entry"]]
    assert {"ClinicalImpression", "RiskAssessment", "Provenance"} <= set(kinds)
    impression = written["entry"][kinds.index("ClinicalImpression")]["resource"]
    assert impression["status"] == "in-progress"
    named = impression["finding"][0]["itemCodeableConcept"]["text"]
    assert named == told.json["decision"]["diagnosis"]["name"]


def test_the_run_has_one_id_however_it_is_printed(told: Any, shown: Any) -> None:
    assert shown.code == 0
    assert f"run {told.json['run']}" in " ".join(shown.out.split())


def test_the_readable_answer_is_the_golden_one(shown: Any) -> None:
    answer = "\n".join(line.rstrip() for line in re.sub(r"\d+\.\d s,", "T s,", shown.out).splitlines()) + "\n"
    if os.environ.get("WARDROUND_GOLDEN"):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(answer, "utf-8")
    assert answer == GOLDEN.read_text("utf-8")


def test_the_readable_answer_says_what_it_is_not_fits_its_width_and_is_plain_in_a_file(shown: Any) -> None:
    assert "not validated for care" in shown.out
    assert max(len(line) for line in shown.out.splitlines()) <= 100
    assert "\x1b" not in shown.out
    assert shown.err == ""


def test_standard_input_is_read_as_a_note_and_another_language_is_left_unread(wardround: Command, folder: Path) -> None:
    result = wardround(folder, "consult", "-", "--json", stdin="\ufeff" + GERMAN)
    decision = result.json["decision"]
    assert decision["status"] == "abstained"
    assert "unread" in [reason["code"] for reason in decision["reasons"]]
    texts = [source["text"] for source in result.json["evidence"] if source["kind"] == "clinician_note"]
    assert texts[0] == "Der Patient klagt seit gestern über Bauchschmerzen."


def test_findings_that_contradict_each_other_go_through(wardround: Command, folder: Path) -> None:
    result = wardround(folder, "consult", "-", "--json", stdin=json.dumps(BOTH_WAYS))
    assert result.json["case"] == "both-ways"
    assert result.json["decision"]["status"] in ("final", "abstained")


def test_a_stream_of_a_narrow_encoding_still_gets_valid_json_and_readable_text(wardround: Command, told: Any) -> None:
    run = told.json["run"]
    narrow = wardround(told.folder, "runs", "show", run, "--json", PYTHONIOENCODING="ascii")
    assert narrow.json["evidence"] == told.json["evidence"]
    assert "°C" in json.dumps(narrow.json, ensure_ascii=False)
    readable = wardround(told.folder, "runs", "show", run, PYTHONIOENCODING="ascii")
    assert (readable.code, readable.err) == (0, "")
    assert "37.3 ?C" in readable.out


def test_a_note_that_tries_to_steer_the_terminal_is_shown_disarmed() -> None:
    note = "A 30-year-old woman has dysuria \x1b[2J\x1b]0;owned\x07 and urinary frequency [bold red]now[/]."
    console = Console(file=io.StringIO(), width=100)
    show_consult(wr.Ward().consult(wr.Case(narrative=note)), console)
    assert isinstance(console.file, io.StringIO)
    printed = console.file.getvalue()
    assert "\x1b" not in printed
    assert "\x07" not in printed
    assert "[bold red]now[/]" in " ".join(printed.split())


@pytest.fixture(scope="module")
def batch(wardround: Command, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A batch with a case that is vague, one that is broken and one that is empty."""
    folder = tmp_path_factory.mktemp("batch")
    lines = [json.dumps({"id": "vague", "narrative": VAGUE}), "{broken", json.dumps({"id": "d", "findings": []})]
    (folder / "cases.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    return wardround(folder, "consult", "cases.jsonl", "--out", "new/out.jsonl", "--json", "--rollouts", "1")


def test_each_case_of_a_batch_has_one_line_and_the_summary_counts_them(batch: Any) -> None:
    assert batch.json == {"out": "new/out.jsonl", "cases": 3, "abstained": 1, "failed": 2}
    assert batch.err == ""
    rows = [json.loads(line) for line in (batch.folder / "new/out.jsonl").read_text("utf-8").splitlines()]
    assert {row["key"] for row in rows} == {"vague", "line 2", "d"}
    failed = next(row for row in rows if row["key"] == "line 2")
    assert "cases.jsonl, line 2" in failed["error"]["message"]


def test_a_batch_that_is_done_is_not_done_again(wardround: Command, batch: Any) -> None:
    out = batch.folder / "new/out.jsonl"
    before = out.read_bytes()
    again = wardround(batch.folder, "consult", "cases.jsonl", "--out", "new/out.jsonl", "--resume")
    assert (again.code, again.err) == (0, "")
    assert again.out == "new/out.jsonl: 3 cases, 1 abstained, 2 failed\n"
    assert out.read_bytes() == before


@pytest.fixture(scope="module")
def asked(wardround: Command, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run that waits for a person, in the workspace that the environment names."""
    folder = tmp_path_factory.mktemp("escalation")
    call = ("consult", "-", "--escalate", "--json", "--rollouts", "1")
    return wardround(folder, *call, stdin=VAGUE, WARDROUND_WORKSPACE="elsewhere")


@pytest.fixture(scope="module")
def informed(wardround: Command, asked: Any) -> Any:
    """The same run after a person gave information."""
    call = ("runs", "answer", asked.json["run"], "--information", "She has dysuria and no fever.", "--json")
    return wardround(asked.folder, *call, WARDROUND_WORKSPACE="elsewhere")


@pytest.fixture(scope="module")
def decided(wardround: Command, informed: Any) -> Any:
    """The same run after a person decided."""
    call = ("runs", "answer", informed.json["run"], "--diagnosis", "acute cystitis", "--note", "urine dip positive")
    return wardround(informed.folder, *call, "--workspace", "elsewhere")


def test_the_workspace_of_the_environment_is_used_by_a_run_that_waits(asked: Any) -> None:
    assert asked.json["decision"]["status"] == "escalated"
    assert [path.name for path in asked.folder.iterdir()] == ["elsewhere"]


def test_information_of_a_person_is_evidence_that_is_weighed(asked: Any, informed: Any) -> None:
    assert informed.json["run"] == asked.json["run"]
    told = [s for s in informed.json["evidence"] if s["title"] == "answer of a clinician"]
    assert [s["text"] for s in told] == ["She has dysuria and no fever."]
    before, after = (
        {h["id"]: h["probability"] for h in ran.json["decision"]["differential"]} for ran in (asked, informed)
    )
    assert after["acute_cystitis"] > before.get("acute_cystitis", 0.0)
    assert max(after, key=lambda name: after[name]) == "acute_cystitis"
    assert informed.json["decision"]["status"] == "escalated"


def test_a_diagnosis_of_a_person_ends_the_run_and_is_marked_as_theirs(decided: Any) -> None:
    assert decided.code == 0, decided.err
    assert decided.out.startswith("FINAL  acute cystitis (N30.0)")
    assert "clinician: acute cystitis: urine dip positive" in decided.out


def test_a_run_that_waits_for_nobody_takes_no_answer(wardround: Command, informed: Any, decided: Any) -> None:
    run = informed.json["run"]
    again = wardround(decided.folder, "runs", "answer", run, "--diagnosis", "gout", "--workspace", "elsewhere")
    assert (again.code, again.out) == (2, "")
    assert again.err == f"error: run {run} waits for nobody; it is done\n"


def test_a_run_that_was_done_again_is_listed_once(wardround: Command, told: Any, shown: Any) -> None:
    listed = wardround(told.folder, "runs", "list", "--json").json
    mine = [row for row in listed if row["run"] == told.json["run"]]
    assert len(mine) == 1
    assert mine[0]["case"] == told.json["case"]
    assert mine[0]["model"] == "reference"
    assert (mine[0]["state"], mine[0]["status"]) == ("done", "final")
    assert mine[0]["diagnosis"] == told.json["decision"]["diagnosis"]["name"]
    assert mine[0]["probability"] == pytest.approx(told.json["decision"]["probability"])


def test_a_list_for_a_person_is_legible_when_narrow(wardround: Command, told: Any) -> None:
    listed = wardround(told.folder, "runs", "list", "--limit", "1", COLUMNS="70")
    assert listed.code == 0
    assert "run_" in listed.out
    assert "…" not in listed.out
    assert max(len(line) for line in listed.out.splitlines()) <= 70


def test_a_run_is_found_by_a_beginning_of_its_id_and_shown_as_it_was_told(
    wardround: Command, told: Any, shown: Any
) -> None:
    beginning = told.json["run"].removeprefix("run_")[:10]
    again = wardround(told.folder, "runs", "show", beginning, "--json").json
    assert {**again, "usage": None} == {**told.json, "usage": None}


def test_a_run_is_shown_to_a_person_with_how_it_went(wardround: Command, told: Any, shown: Any) -> None:
    name = told.json["decision"]["diagnosis"]["name"]
    result = wardround(told.folder, "runs", "show", told.json["case"])
    assert result.out.startswith(f"FINAL  {name} (M10")
    _, _, went = result.out.partition("How it went\n")
    assert went.splitlines()[0] == f"run of case {told.json['case']} with reference"
    assert f"    decided: final, {name}" in went
    assert went.splitlines()[-1] == "run done"


@pytest.fixture(scope="module")
def exported(wardround: Command, told: Any, shown: Any) -> Any:
    """The log of the run on standard output."""
    return wardround(told.folder, "runs", "export", told.json["run"])


def test_exported_lines_are_events_that_rebuild_the_evidence(told: Any, exported: Any) -> None:
    assert exported.code == 0
    events = [EVENT.validate_json(line) for line in exported.out.splitlines()]
    assert [event.seq for event in events] == list(range(len(events)))
    assert {event.run for event in events} == {told.json["run"]}
    graph = evidence_graph(events)
    assert {source.id for source in graph.sources.values()} == {s["id"] for s in told.json["evidence"]}
    fresh = wr.Ward().consult(wr.Case.from_file(TOE))
    assert fresh.run == told.json["run"]
    assert graph == fresh.evidence
    top = graph.differential.top
    assert top is not None
    assert top.probability == pytest.approx(told.json["decision"]["probability"])


def test_a_run_is_exported_into_a_file(wardround: Command, told: Any, exported: Any) -> None:
    result = wardround(told.folder, "runs", "export", told.json["run"], "--out", "events.jsonl")
    assert (result.code, result.out, result.err) == (0, "", "")
    assert (told.folder / "events.jsonl").read_text("utf-8") == exported.out


def test_an_unknown_run_is_named_with_where_to_look(wardround: Command, told: Any) -> None:
    result = wardround(told.folder, "runs", "show", "run_nobody")
    assert (result.code, result.out) == (2, "")
    assert result.err == "error: no run begins with 'run_nobody'; see `wardround runs list`\n"


HEAVY = ("langgraph", "langchain_core", "numpy", "networkx", "sqlalchemy", "openai", "fhir")


@pytest.mark.parametrize(
    "code",
    [
        "import wardround; dir(wardround)",
        "import sys\nfrom wardround.cli.main import run\nsys.argv = ['wardround', '--help']\n"
        "try:\n    run()\nexcept SystemExit as stopped:\n    assert stopped.code == 0",
    ],
    ids=["import", "help"],
)
def test_nothing_heavy_is_loaded_before_it_is_needed(tmp_path: Path, code: str) -> None:
    tell = "import sys; print('\\nLOADED', *sorted({name.partition('.')[0] for name in sys.modules}))"
    result = subprocess.run(
        [sys.executable, "-c", f"{code}\n{tell}"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    loaded = result.stdout.rpartition("LOADED ")[2].split()
    assert "wardround" in loaded
    assert [name for name in HEAVY if name in loaded] == []
