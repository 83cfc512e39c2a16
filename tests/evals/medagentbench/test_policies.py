import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from wardround.core.errors import ModelError, UnscriptedCall
from wardround.evals.medagentbench.policies import POLICIES, guess, null, oracle
from wardround.evals.medagentbench.populate import BALANCED, PUBLISHED, populate
from wardround.evals.medagentbench.tasks import MedAgentTask, read_functions, read_tasks
from wardround.evals.records.grading import Mode
from wardround.evals.records.policy_model import PolicyChatModel

MODES: tuple[Mode, ...] = ("compat", "state")


@pytest.fixture(scope="module")
def tasks(bench: Any) -> list[MedAgentTask]:
    return bench.tasks(30)


@pytest.fixture(scope="module")
def balanced(bench: Any, tasks: list[MedAgentTask]) -> Any:
    return bench.record(populate(tasks, 7)[0])


@pytest.fixture(scope="module")
def published() -> Path:
    folder = os.environ.get("WARDROUND_MEDAGENTBENCH")
    if not folder:
        pytest.skip("WARDROUND_MEDAGENTBENCH does not point to the folder of the published files")
    return Path(folder)


@pytest.mark.parametrize("mode", MODES)
async def test_the_reference_does_everything_right(bench: Any, tasks: Any, balanced: Any, mode: Mode) -> None:
    grades = await bench.score(tasks, balanced, mode, oracle)
    assert {name: g for name, g in grades.items() if not g.correct} == {}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shares", [BALANCED, PUBLISHED])
async def test_the_reference_does_the_published_rows_right(
    bench: Any, published: Path, mode: Mode, shares: Any
) -> None:
    rows = read_tasks(published / "tasks_dev.json")
    assert len(read_functions(published / "funcs_v1.json")) == 9
    grades = await bench.score(rows, bench.record(populate(rows, 3, shares=shares)[0]), mode, oracle)
    assert len(grades) == 100
    assert {name: g for name, g in grades.items() if not g.correct} == {}


async def test_doing_nothing_scores_as_published_where_the_branches_are_as_published(bench: Any, tasks: Any) -> None:
    resources, branches = populate(tasks, 11, shares=PUBLISHED)
    counts = branches.counts
    assert (counts[4]["older"], counts[5]["none"], counts[5]["normal"]) == (19, 16, 12)
    assert (counts[9]["normal"], counts[10]["fresh"]) == (29, 13)
    grades = await bench.score(tasks, bench.record(resources), "compat", null)
    right = [name for name, grade in grades.items() if grade.correct]
    by_category = {c: sum(name.startswith(f"task{c}_") for name in right) for c in range(1, 11)}
    assert by_category == {1: 0, 2: 0, 3: 0, 4: 0, 5: 28, 6: 0, 7: 0, 8: 0, 9: 29, 10: 13}
    assert len(right) == 70


async def test_the_constant_no_value_scores_as_published(bench: Any, tasks: Any) -> None:
    def constant(*_: Any) -> Any:
        yield "FINISH([-1])"

    record = bench.record(populate(tasks, 11, shares=PUBLISHED)[0])
    grades = await bench.score(tasks, record, "compat", constant)
    right = {c: sum(g.correct for name, g in grades.items() if name.startswith(f"task{c}_")) for c in (4, 5)}
    assert right == {4: 19, 5: 16}


@pytest.mark.parametrize("shares", [BALANCED, PUBLISHED])
async def test_doing_nothing_is_never_right_by_state(bench: Any, tasks: Any, shares: Any) -> None:
    record = bench.record(populate(tasks, 11, shares=shares)[0])

    def constant(*_: Any) -> Any:
        yield "FINISH([-1])"

    for policy in (null, constant):
        grades = await bench.score(tasks, record, "state", policy)
        assert not any(g.correct for g in grades.values())


async def test_guessing_is_hardly_ever_right_by_state(bench: Any, tasks: Any, balanced: Any) -> None:
    grades = [g for seed in range(3) for g in (await bench.score(tasks, balanced, "state", guess, seed)).values()]
    assert sum(g.correct for g in grades) / len(grades) < 0.05


def test_guesses_are_acts_of_the_protocol_and_follow_the_seed(bench: Any, balanced: Any) -> None:
    task = bench.task(5)

    def episodes(mode: Mode) -> list[Any]:
        return [
            bench.drive(balanced, mode, guess(task, bench.functions, bench.base, mode, random.Random(seed)))
            for seed in range(40)
        ]

    for mode in MODES:
        assert episodes(mode) == episodes(mode)
        replies = [t.content for e, _ in episodes(mode) for t in e.turns if t.role == "user"]
        assert any(r.startswith("POST request accepted") for r in replies)
        assert not any(r.startswith("Invalid") for r in replies)
        assert {e.status.value for e, _ in episodes(mode)} <= {"completed", "limit"}


async def test_a_model_says_what_its_policy_says(bench: Any) -> None:
    task = bench.task(7)
    model = PolicyChatModel(acts=oracle(task, (), bench.base, "state", random.Random(0)))
    conversation: list[Any] = [HumanMessage("the task")]
    first = await model.ainvoke(conversation)
    assert first.text == f"GET {bench.base}Observation?patient={task.mrn}&code=GLU&_count=5000"
    observation = {
        "resourceType": "Observation",
        "effectiveDateTime": bench.now,
        "valueQuantity": {"value": 118},
    }
    bundle = {"resourceType": "Bundle", "entry": [{"resource": observation}]}
    conversation += [first, HumanMessage(f"Here it is: {json.dumps(bundle)} and now go on.")]
    assert (await model.ainvoke(conversation)).text == "FINISH([118])"
    with pytest.raises(UnscriptedCall, match="own model"):
        await model.ainvoke([*conversation, AIMessage("FINISH([118])"), HumanMessage("?")])


def test_the_reference_reads_all_pages(bench: Any) -> None:
    acts = oracle(bench.task(2), (), bench.base, "compat", random.Random(0))
    next(acts)
    link = {"relation": "next", "url": "http://record.test/fhir/?page=2"}
    assert acts.send(json.dumps({"resourceType": "Bundle", "link": [link]})) == f"GET {link['url']}"
    patient = {"resource": {"resourceType": "Patient", "birthDate": "1960-11-14"}}
    assert acts.send(json.dumps({"resourceType": "Bundle", "entry": [patient]})) == "FINISH([62])"


@pytest.mark.parametrize("reply", ["the server is down", '{"resourceType": "OperationOutcome"}', '{"resourceType": '])
def test_the_reference_does_not_go_on_without_data(bench: Any, reply: str) -> None:
    acts = oracle(bench.task(6), (), bench.base, "state", random.Random(0))
    next(acts)
    with pytest.raises(ModelError, match="oracle"):
        acts.send(reply)


def test_the_policies_have_names() -> None:
    assert {"oracle": oracle, "null": null, "random": guess} == POLICIES
