"""Many cases: exactly once, through kills and torn files."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

import wardround as wr
from wardround.core.errors import BatchBudgetExceeded, ModelUnavailable, UsageError
from wardround.graphs.batch import Progress, ResultFile, consult_many, entries
from wardround.models.budget import Prices


def write_cases(path: Path, count: int) -> Path:
    lines = [
        json.dumps({"id": f"case-{n}", "narrative": f"A {20 + n % 60}-year-old woman with dysuria and fever."})
        for n in range(count)
    ]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


async def test_every_case_of_a_folder_gets_one_result(tmp_path: Path) -> None:
    folder = tmp_path / "cases"
    folder.mkdir()
    (folder / "a.txt").write_text("A 30-year-old man with a sore throat and fever.", "utf-8")
    (folder / "b.json").write_text('{"narrative": "Headache."}', "utf-8")
    (folder / "c.json").write_text("{broken", "utf-8")
    (folder / "notes.md").write_text("not a case", "utf-8")
    results = ResultFile(tmp_path / "out.jsonl", resume=False)
    told: list[Progress] = []
    await consult_many(wr.Ward(), entries(folder), results, told=told.append)
    results.close()
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    assert sorted(row["key"] for row in rows) == ["a.txt", "b.json", "c.json"]
    failed = next(row for row in rows if row["key"] == "c.json")
    assert "line 1" in failed["error"]["message"]
    assert [p.done for p in told] == [1, 2, 3]


async def test_a_resumed_batch_does_only_what_is_left(tmp_path: Path) -> None:
    batch = entries(write_cases(tmp_path / "cases.jsonl", 5))
    out = tmp_path / "out.jsonl"
    first = ResultFile(out, resume=False)
    await consult_many(wr.Ward(), batch[:3], first)
    first.close()
    whole = out.read_bytes()
    out.write_bytes(whole + b'{"key": "case-3", "torn')
    second = ResultFile(out, resume=True)
    assert second.keys == {"case-0", "case-1", "case-2"}
    told: list[Progress] = []
    await consult_many(wr.Ward(), batch, second, told=told.append)
    second.close()
    assert out.read_bytes().startswith(whole)
    assert sorted(p.key for p in told) == ["case-3", "case-4"]
    assert len(out.read_text("utf-8").splitlines()) == 5


def test_a_result_file_is_never_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("something\n", "utf-8")
    with pytest.raises(UsageError, match="--resume"):
        ResultFile(out, resume=False)
    with pytest.raises(UsageError, match="no result of a batch"):
        ResultFile(out, resume=True)
    assert out.read_text("utf-8") == "something\n"


def test_two_cases_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text('{"id": "a", "narrative": "x"}\n{"id": "a", "narrative": "y"}\n', "utf-8")
    with pytest.raises(UsageError, match="own id"):
        entries(path)


def test_a_folder_without_cases_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no case"):
        entries(tmp_path)


async def test_a_model_that_is_down_ends_the_batch_and_keeps_no_false_result(tmp_path: Path) -> None:
    ward = wr.Ward("vllm:nobody", base_url="http://127.0.0.1:9/v1", concurrency=2)
    results = ResultFile(tmp_path / "out.jsonl", resume=False)
    with pytest.raises(ExceptionGroup) as caught:
        await consult_many(ward, entries(write_cases(tmp_path / "cases.jsonl", 4)), results)
    results.close()
    assert caught.group_contains(ModelUnavailable)
    assert (tmp_path / "out.jsonl").read_text("utf-8") == ""


@pytest.mark.slow
def test_a_hundred_cases_killed_in_the_middle_and_resumed_are_each_done_once(tmp_path: Path) -> None:
    cases = write_cases(tmp_path / "cases.jsonl", 100)
    out = tmp_path / "out.jsonl"
    command = [
        sys.executable, "-m", "wardround", "consult", str(cases), "--out", str(out), "--concurrency", "16",
        "--rollouts", "1", "--workspace", str(tmp_path / "runs"), "--resume",
    ]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while process.poll() is None and (not out.exists() or out.read_bytes().count(b"\n") < 30):
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = out.read_bytes().count(b"\n")
    assert 30 <= done < 100
    finished = subprocess.run([*command, "--json"], check=True, capture_output=True, text=True)
    keys = Counter(json.loads(line)["key"] for line in out.read_text("utf-8").splitlines())
    assert keys == Counter({f"case-{n}": 1 for n in range(100)})
    assert json.loads(finished.stdout)["cases"] == 100


async def test_a_budget_of_all_cases_ends_the_batch_and_keeps_what_is_done(tmp_path: Path) -> None:
    batch = entries(write_cases(tmp_path / "cases.jsonl", 6))
    one = (await wr.Ward().aconsult(batch[0].load())).usage.calls
    out = tmp_path / "out.jsonl"
    results = ResultFile(out, resume=False)
    ward = wr.Ward(budget=wr.Budget(calls=2 * one), concurrency=1)
    with pytest.raises(BaseExceptionGroup) as raised:
        await consult_many(ward, batch, results)
    results.close()
    assert raised.group_contains(BatchBudgetExceeded, match="of all cases together, the budget of .* calls is used up")
    done = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert len(done) <= 2
    assert all(
        row["decision"]["status"] != "abstained" or "budget" not in str(row["decision"]["reasons"]) for row in done
    )
    rest = ResultFile(out, resume=True)
    await consult_many(wr.Ward(), batch, rest)
    rest.close()
    assert len(out.read_text("utf-8").splitlines()) == 6


def test_money_is_counted_and_limited() -> None:
    prices = Prices(input=1_000_000.0, output=0.0)
    settings = wr.ConsultSettings(budget=wr.Budget(money=1.0))
    case = wr.Case(narrative="A 30-year-old woman with dysuria.")
    consult = wr.Ward(settings=settings, prices=prices).consult(case)
    assert consult.usage.calls == 1
    assert consult.money is not None
    assert consult.money > 1.0
    assert "budget" in {reason.code.value for reason in consult.decision.reasons}
    with pytest.raises(UsageError, match="needs prices"):
        wr.Ward(settings=settings)
