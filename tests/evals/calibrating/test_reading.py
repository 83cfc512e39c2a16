import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wardround.core.calibration.sets import OTHER, class_of
from wardround.core.errors import UsageError
from wardround.core.uncertainty import Part
from wardround.evals.calibrating.reading import Results, join, known_as, read_labels, read_results
from wardround.knowledge.loading import embedded

Write = Callable[..., tuple[Path, Path]]


def lines(path: Path, *rows: dict[str, Any] | str) -> Path:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows), "utf-8")
    return path


def test_results_and_labels_are_put_together(write: Write, tmp_path: Path) -> None:
    runs, truth = write(tmp_path, 30)
    results = read_results(runs)
    labelled, outside = join(results, read_labels(truth), embedded())
    assert len(labelled) == len(results.results) == 30
    assert set(outside) <= {"Wilson disease"}
    first = labelled[0]
    assert first.result.stratum == "surgery"
    assert first.result.parts[Part.SELF] == 0.3
    assert first.result.settings == {"rollouts": 3, "seed": 0}
    for one in labelled:
        assert one.outcome == float("acute_appendicitis" in one.right)
        if not one.right:
            assert class_of(one.result.differential, one.right) == OTHER
    assert {one.severity for one in labelled} == {0.1, 1.0}


def test_failed_and_silent_consults_are_counted_and_not_calibrated(write: Write, tmp_path: Path) -> None:
    runs, _ = write(tmp_path, 3)
    rows = [json.loads(line) for line in runs.read_text("utf-8").splitlines()]
    rows[1]["decision"] |= {"differential": [], "other": 1.0, "probability": None}
    lines(runs, *rows, {"key": "broken.txt", "error": {"kind": "case", "message": "empty"}})
    results = read_results(runs)
    assert (len(results.results), results.failed, results.silent) == (2, 1, 1)
    labels = {"case0": "gout", "broken.txt": "gout", "case1": "gout"}
    assert len(join(results, labels, embedded())[0]) == 1


def test_the_diagnosis_that_was_given_is_the_answer_even_where_another_leads(write: Write, tmp_path: Path) -> None:
    runs, _ = write(tmp_path, 1)
    one = json.loads(runs.read_text("utf-8"))
    one["decision"] |= {"diagnosis": {"id": "gout", "name": "gout flare", "icd10": "M10.9"}, "probability": 0.05}
    answer = read_results(lines(runs, one)).results[0].answer
    assert (answer.id, answer.probability) == ("gout", 0.05)


@pytest.mark.parametrize("name", ["cases.csv", "CASES.CSV"])
def test_labels_may_be_csv(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b'\xef\xbb\xbfkey, diagnosis\na.txt, "gout flare"\nb.txt,K35\n')
    assert read_labels(path) == {"a.txt": "gout flare", "b.txt": "K35"}


@pytest.mark.parametrize(
    ("label", "conditions"),
    [
        ("Acute Appendicitis", {"acute_appendicitis"}),
        ("acute_appendicitis", {"acute_appendicitis"}),
        ("K35.80", {"acute_appendicitis"}),
        ("k35.8", {"acute_appendicitis"}),
        ("K35", {"acute_appendicitis"}),
        ("K35.801", {"acute_appendicitis"}),
        ("E05.9", {"thyroid_storm", "hyperthyroidism"}),
        ("I21", {"nstemi_unstable_angina", "st_elevation_mi"}),
        ("K3", set()),
        ("Wilson disease", set()),
    ],
)
def test_a_label_names_conditions_by_name_id_or_code(label: str, conditions: set[str]) -> None:
    assert known_as(embedded(), label) == conditions


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no label"),
        ("[1]\n", "is no JSON object"),
        ("{no\n", "line 1: is not JSON"),
        ('{"case": "a"}\n', "names no case with its diagnosis"),
        ('{"diagnosis": "gout"}\n', "names no case with its diagnosis"),
        ('{"case": "a", "diagnosis": " "}\n', "names no case with its diagnosis"),
        ('{"case": "a", "diagnosis": "gout"}\n{"case": "a", "diagnosis": "flu"}\n', "case a already is gout"),
    ],
)
def test_labels_that_cannot_be_read_say_where(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text(text, "utf-8")
    with pytest.raises(UsageError, match=message):
        read_labels(path)


def test_a_csv_without_its_columns_says_which(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("id,truth\na,gout\n", "utf-8")
    with pytest.raises(UsageError, match="its header is id, truth; it needs the columns case"):
        read_labels(path)


def test_a_file_that_is_not_there_or_not_text_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_labels(tmp_path / "none.jsonl")
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_results(tmp_path / "bytes.jsonl")


@pytest.mark.parametrize("key", ["run", "model", "decision", "triage", "uncertainty"])
def test_a_line_that_is_no_result_says_what_it_misses(write: Write, tmp_path: Path, key: str) -> None:
    runs, _ = write(tmp_path, 1)
    one = json.loads(runs.read_text("utf-8"))
    del one[key]
    with pytest.raises(UsageError, match=f"line 1: is no result of a consult .misses '{key}'"):
        read_results(lines(runs, one))


def test_probabilities_that_are_no_distribution_are_refused(write: Write, tmp_path: Path) -> None:
    runs, _ = write(tmp_path, 1)
    one = json.loads(runs.read_text("utf-8"))
    one["decision"]["other"] = 0.9
    with pytest.raises(UsageError, match="is no result of a consult"):
        read_results(lines(runs, one))


def test_a_run_that_is_there_twice_is_refused(write: Write, tmp_path: Path) -> None:
    runs, _ = write(tmp_path, 2)
    first = runs.read_text("utf-8").splitlines()[0]
    with pytest.raises(UsageError, match="run_00000 is there twice"):
        read_results(lines(runs, first, first))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            {"x": "gout", "y": "gout"},
            "no label is of a case in the results: labels name x, y, results case0",
        ),
        ({"case0": "gout", "x": "gout"}, "labels of no case in the results: x; take them out"),
    ],
)
def test_labels_of_unknown_cases_are_named(write: Write, tmp_path: Path, labels: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        join(read_results(write(tmp_path, 2)[0]), labels, embedded())


def test_labels_of_failed_cases_alone_leave_nothing_to_calibrate() -> None:
    with pytest.raises(UsageError, match="nothing to calibrate"):
        join(Results((), 1, 0, frozenset({"a"})), {"a": "gout"}, embedded())
