import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from wardround.core.errors import UsageError
from wardround.evals.medagentbench.facts import (
    Age,
    Infusion,
    Level,
    LookUp,
    Recheck,
    Recording,
    Referral,
    Repletion,
    Tier,
    facts_of,
)
from wardround.evals.medagentbench.tasks import read_functions, read_tasks


def _written(folder: Path, content: Any) -> Path:
    path = folder / "file.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


def test_a_task_file_reads_as_it_was_written(bench: Any, tmp_path: Path) -> None:
    tasks = [*bench.tasks(2), bench.task(1, 3, absent=True)]
    assert list(read_tasks(_written(tmp_path, bench.rows(tasks)))) == tasks


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "task11_1"}, r"row 2: field 'id' is 'task11_1'; write task<1 to 10>_<number>"),
        ({"id": 7}, r"row 2: field 'id' is 7; write a text"),
        ({"instruction": " "}, r"row 2 \(task2_1\): field 'instruction' is ' '; write a text"),
        ({"context": None}, r"row 2 \(task2_1\): field 'context' is None; write a text"),
        ({"eval_MRN": 5}, r"row 2 \(task2_1\): field 'eval_MRN' is 5; write a text"),
        ({"id": "task1_9", "sol": "S1"}, r"row 2 \(task1_9\): field 'sol' is 'S1'; write the list"),
        ({"id": "task1_1"}, r"row 2 \(task1_1\): field 'sol' is None"),
        ({"id": "task1_1", "sol": ["S1"]}, r"two rows have the id 'task1_1'; keep one"),
    ],
)
def test_a_wrong_row_is_named_with_its_field(bench: Any, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    rows = bench.rows([bench.task(1), bench.task(2)])
    rows[1] |= change
    with pytest.raises(UsageError, match=message) as raised:
        read_tasks(_written(tmp_path, rows))
    assert "file.json" in str(raised.value)


def test_only_a_look_up_may_lack_the_record_number(bench: Any, tmp_path: Path) -> None:
    rows = bench.rows([bench.task(4)])
    del rows[0]["eval_MRN"]
    with pytest.raises(UsageError, match="field 'eval_MRN' is None"):
        read_tasks(_written(tmp_path, rows))


@pytest.mark.parametrize("content", ["{", "[]", "{}", "[3]", "[" * 100_000])
def test_what_is_no_list_of_rows_is_refused(tmp_path: Path, content: str) -> None:
    for read in (read_tasks, read_functions):
        with pytest.raises(UsageError, match=r"file\.json"):
            read(_written(tmp_path, content))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.json: cannot be read"):
        read_tasks(tmp_path / "none.json")


def test_functions_tell_method_and_type(tmp_path: Path) -> None:
    row = {"name": "POST {api_base}/Observation", "description": "d", "parameters": {"properties": {}}}
    (function,) = read_functions(_written(tmp_path, [row]))
    assert (function.method, function.resource_type, function.description) == ("POST", "Observation", "d")
    for change in ({"name": "POST http://here/Observation"}, {"parameters": {}}):
        with pytest.raises(UsageError, match="row 1"):
            read_functions(_written(tmp_path, [row | change]))


def test_the_facts_are_read_out_of_the_wording(bench: Any) -> None:
    day = timedelta(hours=24)
    now = bench.now
    assert facts_of(bench.task(1)) == LookUp("Quill1 Vantage", date(1941, 3, 2), "No such patient")
    assert facts_of(bench.task(2)) == Age("S0200001", now)
    assert facts_of(bench.task(3)) == Recording("S0300001", now, "BP", "131/84 mmHg")
    assert facts_of(bench.task(4)) == Level("S0400001", now, "MG", day)
    tiers = (Tier(1.0, False, 4.0, 4.0), Tier(1.5, False, 2.0, 2.0), Tier(1.9, True, 1.0, 1.0))
    assert facts_of(bench.task(5)) == Infusion("S0500001", now, "MG", day, "0338-1715-40", tiers)
    assert facts_of(bench.task(6)) == Level("S0600001", now, "GLU", day, is_mean=True)
    assert facts_of(bench.task(7)) == Level("S0700001", now, "GLU", None)
    assert facts_of(bench.task(8)) == Referral("S0800001", now, "306181000000106", bench.sbar)
    due = datetime(2023, 11, 14, 8, tzinfo=UTC)
    repletion = Repletion("S0900001", now, "K", "40032-917-01", "2823-3", 3.5, 0.1, 10.0, due)
    assert facts_of(bench.task(9)) == repletion
    assert facts_of(bench.task(10)) == Recheck(
        "S1000001", now, "A1C", "4548-4", datetime(2022, 11, 13, 10, 15, tzinfo=UTC)
    )


@pytest.mark.parametrize(
    ("value", "dose"),
    [(0.9, 4.0), (1.0, 2.0), (1.4, 2.0), (1.5, 1.0), (1.9, 1.0), (1.95, None), (2.0, None)],
)
def test_the_dosing_rule_holds_at_its_bounds(bench: Any, value: float, dose: float | None) -> None:
    facts = facts_of(bench.task(5))
    assert isinstance(facts, Infusion)
    tier = facts.tier(value)
    assert (tier and tier.dose) == dose
    assert (tier and tier.hours) == dose


@pytest.mark.parametrize(
    ("category", "field", "cut", "message"),
    [
        (1, "instruction", "DOB", "name and DOB"),
        (1, "instruction", '"', "the quoted answer"),
        (2, "context", "T", "the time, such as"),
        (3, "instruction", "mmHg", "a reading"),
        (3, "context", "flowsheet", "the flowsheet id"),
        (4, "context", '"', "the quoted code"),
        (4, "instruction", "hours", "how many hours"),
        (5, "context", "NDC", "an NDC code"),
        (5, "context", "over", "a dosing rule"),
        (8, "context", "SNOMED", "a SNOMED code"),
        (8, "instruction", '"', "the quoted text"),
        (9, "context", "goal", "the goal"),
        (9, "context", "every", "the step"),
        (9, "context", "order", "the dose for a step"),
        (9, "instruction", "8am", "the hour of the next day"),
        (10, "context", "LOINC", "a LOINC code"),
        (10, "instruction", "year", "the age of a result"),
        (7, "instruction", "S07", "an MRN"),
    ],
)
def test_another_wording_is_refused_with_what_was_not_found(
    bench: Any, category: int, field: str, cut: str, message: str
) -> None:
    task = bench.task(category)
    task = bench.replace(task, **{field: getattr(task, field).replace(cut, "")})
    with pytest.raises(UsageError, match=rf"task{category}_1: field '{field}' does not hold {message}"):
        facts_of(task)


@pytest.mark.parametrize(("category", "old", "new"), [(1, "1941-03-02", "1941-02-30"), (2, "2023-11-13", "2023-11-31")])
def test_dates_must_exist(bench: Any, category: int, old: str, new: str) -> None:
    task = bench.task(category)
    wrong = bench.replace(task, instruction=task.instruction.replace(old, new), context=task.context.replace(old, new))
    with pytest.raises(UsageError, match="that exists"):
        facts_of(wrong)


def test_the_row_and_its_instruction_must_be_about_the_same_patient(bench: Any) -> None:
    with pytest.raises(UsageError, match="about S0700001, 'eval_MRN' is S0700002; make them agree"):
        facts_of(bench.replace(bench.task(7), mrn="S0700002"))


def test_a_year_before_the_29th_of_february_is_the_28th(bench: Any) -> None:
    task = bench.task(10)
    facts = facts_of(bench.replace(task, context=task.context.replace("2023-11-13", "2024-02-29")))
    assert isinstance(facts, Recheck)
    assert facts.oldest == datetime(2023, 2, 28, 10, 15, tzinfo=UTC)
