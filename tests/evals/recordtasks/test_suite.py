"""The suite as a whole: its shares, its words, its record, and that the same seed makes the same."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.evals.recordtasks.bench import Bench
from wardround.core.errors import UsageError
from wardround.environments.fhir.validation.validator import validate
from wardround.evals.recordtasks.answers import Text, plain, same
from wardround.evals.recordtasks.building import build, quotas
from wardround.evals.recordtasks.catalogue import CATEGORIES
from wardround.evals.recordtasks.orders import Correction, ServiceOrder, url_of
from wardround.evals.recordtasks.suite import RecordTasks
from wardround.evals.recordtasks.wording import NAMINGS, split_of, wordings_of

MINE = {c.slug: c for c in CATEGORIES}


def counted(suite: RecordTasks) -> dict[str, Counter[str]]:
    """Tasks by category and branch."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for task in suite.tasks:
        found[task.category.slug][task.branch] += 1
    return found


def test_there_are_thirty_one_categories_with_twenty_tasks_each(full: RecordTasks) -> None:
    assert len(CATEGORIES) == len(MINE) == 31
    assert {slug: sum(branches.values()) for slug, branches in counted(full).items()} == dict.fromkeys(MINE, 20)


def test_branches_have_their_shares(full: RecordTasks) -> None:
    for slug, branches in counted(full).items():
        assert dict(branches) == quotas(MINE[slug].branches, 20), slug


def test_shares_sum_to_one_and_writing_branches_are_branches() -> None:
    for category in CATEGORIES:
        assert sum(category.branches.values()) == pytest.approx(1.0)
        assert category.writing <= set(category.branches)


def test_where_acting_and_not_acting_exist_they_are_equally_frequent(full: RecordTasks) -> None:
    for slug, branches in counted(full).items():
        acting = sum(count for branch, count in branches.items() if branch in MINE[slug].writing)
        assert acting in (0, 10, 20), slug
    assert sum(set(c.writing) not in (set(), set(c.branches)) for c in CATEGORIES) == 10


def test_each_branch_is_what_the_record_says(bench: Bench) -> None:
    assert {t.id: bench.outcome(t).branch for t in bench.suite.tasks} == {t.id: t.branch for t in bench.suite.tasks}


def test_no_constant_answer_is_often_right_even_after_reading_everything(full: RecordTasks) -> None:
    record = Bench.record_of(full)
    silent = [o for t in full.tasks if not (o := record.solved(t.ask.solve())).writes and o.answers]
    constants: list[list[Any]] = [[-1], [0], ["no"], ["none"], ["never"], ["not comparable"], []]
    shares = [sum(any(same(a, given) for a in o.answers) for o in silent) / len(full.tasks) for given in constants]
    assert max(shares) < 0.1


def test_the_same_seed_makes_the_same_and_another_seed_another() -> None:
    first, again, other = (build(seed, 30, 2) for seed in (7, 7, 8))
    assert first.resources == again.resources
    assert [(t.id, t.instruction, t.context, t.ask) for t in first.tasks] == [
        (t.id, t.instruction, t.context, t.ask) for t in again.tasks
    ]
    assert {t.instruction for t in first.tasks}.isdisjoint(t.instruction for t in other.tasks if "MRN" in t.instruction)


def test_too_few_patients_are_an_error_that_says_so() -> None:
    with pytest.raises(UsageError, match="give more patients or fewer tasks"):
        RecordTasks(patients=5, per_category=20)


def test_an_unknown_split_is_an_error_that_names_those_there_are() -> None:
    with pytest.raises(UsageError, match="use 'dev' or 'test'"):
        RecordTasks(split="train")  # type: ignore[arg-type]


def test_the_splits_share_no_wording() -> None:
    for category in CATEGORIES:
        dev, test = (wordings_of(category, split, 0) for split in ("dev", "test"))
        assert {*dev, *test} == set(category.wordings)
        assert set(dev).isdisjoint(test)
        assert (len(dev), len(test)) == (3, 3)


def test_both_splits_have_every_branch(full: RecordTasks) -> None:
    branches = {(c.slug, b) for c in CATEGORIES for b in c.branches}
    for split in ("dev", "test"):
        assert {(t.category.slug, t.branch) for t in full.tasks if t.split == split} == branches


def test_a_suite_of_one_split_holds_its_tasks_alone_and_the_same_record(bench: Bench) -> None:
    dev = RecordTasks(seed=0, patients=40, per_category=8, split="dev")
    wanted = [(t.id, t.instruction, t.context) for t in bench.suite.tasks if t.split == "dev"]
    assert [(t.id, t.instruction, t.context) for t in dev.tasks] == wanted
    assert len(wanted) == len(bench.suite.tasks) / 2
    assert list(dev.resources()) == list(bench.suite.resources())


def test_the_instructions_of_a_split_use_its_wordings_alone(full: RecordTasks) -> None:
    for task in full.tasks:
        shapes = [_shape(w) for w in wordings_of(task.category, task.split, 0)]
        assert any(re.fullmatch(shape, task.instruction) for shape in shapes), task.instruction
        others = split_of(NAMINGS, "test" if task.split == "dev" else "dev", 0, "namings")
        if task.ask.who is not None:
            said = {n.format(mrn=task.ask.who.mrn, name=task.ask.who.name, title="x", family="y") for n in others}
            assert not any(s in task.instruction for s in said if "x y" not in s)


def _shape(wording: str) -> str:
    return re.sub(r"\\\{\w+\\\}", ".+", re.escape(wording))


def test_no_gap_is_left_open_and_no_sentence_is_broken(full: RecordTasks) -> None:
    for task in full.tasks:
        for text in (task.instruction, task.context):
            assert not re.search(r"\{[a-zA-Z]+\}|  | ,| \.|\.\.|,\.|None|\bnan\b", text), text
        assert task.instruction[0].isupper() or task.instruction[0].isdigit()


def test_every_word_that_can_be_an_answer_is_said_in_the_task(bench: Bench) -> None:
    free = {"low", "high"}  # the criticality is the record's own word
    for task in bench.suite.tasks:
        told = f"{task.instruction} {task.context}"
        for answer in bench.outcome(task).answers:
            words = [i.raw for i in answer if isinstance(i, Text) and not re.fullmatch(r"W\d+|[A-Z]\d\d\w*", i.raw)]
            assert all(f'"{word}"' in told for word in words if word not in free), task.id


def test_all_that_an_order_must_hold_is_said_in_the_task(bench: Bench) -> None:
    for task in bench.suite.tasks:
        told = f"{task.instruction} {task.context}"
        for wanted in bench.outcome(task).writes:
            match wanted:
                case ServiceOrder():
                    assert wanted.code in told
                    assert wanted.priority in told
                    assert wanted.note is None or wanted.note in told
                    assert wanted.performer is None or wanted.performer in told
                    by_hour = task.category.slug == "order-test"
                    assert wanted.due is None or by_hour or wanted.due.isoformat() in told
                case Correction():
                    assert wanted.status in told
                case _:
                    code = wanted.atc if hasattr(wanted, "atc") else wanted.code
                    assert code in told


def test_the_record_of_the_suite_is_valid_r4(full: RecordTasks) -> None:
    assert len(full.added) > 1000
    faults = {r["id"]: issues for r in full.added if (issues := [i for i in validate(r) if i.severity == "error"])}
    assert faults == {}


def test_ids_and_record_numbers_are_unique(full: RecordTasks) -> None:
    names = Counter((r["resourceType"], r["id"]) for r in full.resources())
    assert max(names.values()) == 1
    numbers = Counter(r["identifier"][0]["value"] for r in full.resources() if r["resourceType"] == "Patient")
    assert max(numbers.values()) == 1


def test_nothing_is_dated_after_the_present(full: RecordTasks) -> None:
    late = [r["id"] for r in full.added if r.get("effectiveDateTime", "") > full.now.isoformat()]
    assert late == []


def test_what_is_wanted_is_valid_r4_and_fits_the_functions(bench: Bench) -> None:
    posts = {f["name"].removeprefix("POST {api_base}").strip("/"): f for f in bench.suite.functions}
    for task in bench.suite.tasks:
        for wanted in bench.outcome(task).writes:
            payload = wanted.payload()
            resource = payload if payload["resourceType"] != "Bundle" else payload["entry"][0]["resource"]
            assert [i for i in validate(resource) if i.severity == "error"] == []
            assert misfits(payload, posts[url_of(wanted)]["parameters"]) == []


def misfits(value: Any, schema: dict[str, Any], where: str = "") -> list[str]:
    """What of a JSON value is not in a schema that has types, properties, required, items and enum alone."""
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float)}
    if not isinstance(value, kinds[schema["type"]]) or value not in schema.get("enum", [value]):
        return [where]
    if schema["type"] == "array":
        return [m for i, item in enumerate(value) for m in misfits(item, schema["items"], f"{where}[{i}]")]
    if schema["type"] != "object" or "properties" not in schema:
        return []
    known = schema["properties"]
    gone = [f"{where}.{name}" for name in {*schema.get("required", ())} - {*value} | {*value} - {*known}]
    return gone + [m for n, v in value.items() if n in known for m in misfits(v, known[n], f"{where}.{n}")]


async def test_the_server_takes_every_parameter_of_the_functions(bench: Bench) -> None:
    values = {"date": "ge2023-11-12", "authoredon": "ge2023-11-12", "authored": "ge2023-11-12", "_count": "5",
              "_sort": "-_lastUpdated", "birthdate": "1950-01-01", "gender": "female",
              "category": "laboratory", "class": "IMP", "clinical-status": "active"}  # fmt: skip
    statuses = {"Observation": "final", "Encounter": "finished"}
    async with bench.ground.place("state") as place:
        for function in bench.suite.functions:
            verb, kind = function["name"].split(" {api_base}")
            if verb == "GET":
                known = {**values, "status": statuses.get(kind.strip("/"), "completed")}
                params = {n: known.get(n, "x") for n in function["parameters"]["properties"]}
                answer = await place.client.request(
                    "GET", kind.strip("/"), params=params, headers={"Prefer": "handling=strict"}
                )
                assert answer.status == httpx.codes.OK, (kind, answer.text)


def test_tasks_are_exported_in_the_published_form(bench: Bench, tmp_path: Path) -> None:
    bench.suite.export(tmp_path / "tasks.json")
    rows = json.loads((tmp_path / "tasks.json").read_text("utf-8"))
    tasks = {task.id: task for task in bench.suite.tasks}
    assert [row["id"] for row in rows] == list(tasks)
    for row in rows:
        task = tasks[row["id"]]
        assert row["id"].split("_")[0] == task.category.slug
        assert (row["instruction"], row["context"]) == (task.instruction, task.context)
        assert row.get("eval_MRN") == task.ask.mrn
        assert set(row) <= {"id", "instruction", "context", "eval_MRN"}


def test_a_sample_holds_context_and_question(bench: Bench) -> None:
    for sample, task in zip(bench.suite.samples, bench.suite.tasks, strict=True):
        assert sample.prompt == f"Context: {task.context}\nQuestion: {task.instruction}"
        assert sample.group == task.category.title
        assert (sample.patient is None) == (task.category.slug in ("find-patient", "namesakes"))


def test_answers_of_the_tasks_are_plain_json(bench: Bench) -> None:
    for task in bench.suite.tasks:
        for answer in bench.outcome(task).answers:
            assert same(answer, json.loads(json.dumps(plain(answer)))), task.id
