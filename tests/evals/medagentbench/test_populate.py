from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from wardround.core.errors import UsageError
from wardround.evals.medagentbench.branches import BRANCHES, WRITING, branch_of
from wardround.evals.medagentbench.facts import facts_of
from wardround.evals.medagentbench.gold import Gold, Measurement, fetch_gold
from wardround.evals.medagentbench.populate import BALANCED, PUBLISHED, populate
from wardround.evals.medagentbench.tasks import MedAgentTask
from wardround.evals.medagentbench.wanted import wanted
from wardround.tools.fhir.answers import SearchPage

Built = tuple[list[MedAgentTask], list[dict[str, Any]], Any]


@pytest.fixture(scope="module")
def built(bench: Any) -> Built:
    tasks = bench.tasks(12)
    resources, branches = populate(tasks, 5)
    return tasks, resources, branches


def test_all_resources_are_valid_and_have_their_own_ids(built: Built) -> None:
    for resource in built[1]:
        get_fhir_model_class(resource["resourceType"]).model_validate(resource)
    ids = Counter((r["resourceType"], r["id"]) for r in built[1])
    assert set(ids.values()) == {1}


def test_references_lead_to_patients_that_are_there(built: Built) -> None:
    patients = {f"Patient/{r['id']}" for r in built[1] if r["resourceType"] == "Patient"}
    named = {r["subject"]["reference"] for r in built[1] if "subject" in r}
    assert named == patients


def test_the_same_seed_gives_the_same_record_and_another_one_another(built: Built) -> None:
    tasks, resources, branches = built
    assert populate(tasks, 5) == (resources, branches)
    assert populate(tasks, 6)[0] != resources


def test_every_branch_is_there_in_its_share(built: Built) -> None:
    counts = built[2].counts
    assert counts[1] == {"found": 10, "not_found": 2}
    assert counts[2] == {"birthday_ahead": 5, "birthday_today": 2, "birthday_past": 5}
    assert counts[4] == {"none": 3, "older": 3, "one": 3, "several": 3}
    assert counts[5] == {"none": 3, "normal": 3, "mild": 2, "moderate": 2, "severe": 2}
    assert counts[6] == {"none": 4, "one": 2, "several": 6}
    assert counts[7] == {"none": 0, "plain": 6, "tied": 6}
    assert counts[9] == {"none": 3, "normal": 3, "low": 6}
    assert counts[10] == {"none": 3, "fresh": 6, "stale": 3}


def test_writes_and_none_are_balanced(built: Built) -> None:
    for category in (5, 9, 10):
        acting = sum(n for branch, n in built[2].counts[category].items() if (category, branch) in WRITING)
        assert acting == 6


def test_few_tasks_still_reach_each_branch(bench: Any) -> None:
    tasks = [bench.task(9, n) for n in range(1, 4)]
    assert populate(tasks, 1, shares=PUBLISHED)[1].counts[9] == {"none": 0, "normal": 2, "low": 1}
    assert populate(tasks, 1, shares=BALANCED)[1].counts[9] == {"none": 1, "normal": 1, "low": 1}


async def test_a_branch_must_write_exactly_where_orders_are_wanted(bench: Any, built: Built) -> None:
    tasks, resources, branches = built
    record = bench.record(resources)
    for task in tasks:
        facts = facts_of(task)
        gold = await fetch_gold(facts, record)
        assert branches.by_task[task.id] == (task.category, branch_of(task, gold))
        assert branches.must_write(task.id) == bool(wanted(task, facts, gold, "state")[0].orders)


def test_tasks_that_look_at_the_same_values_share_their_fate(bench: Any) -> None:
    tasks = [bench.task(c, n, mrn=f"S000000{n}") for c in (4, 5, 6, 7) for n in range(1, 6)]
    counts = populate(tasks, 2)[1].counts
    assert counts[5] == {"none": 1, "normal": 1, "mild": 1, "moderate": 1, "severe": 1}
    assert sum(counts[4].values()) == 5
    assert counts[4]["none"] + counts[4]["older"] == counts[5]["none"]


def test_a_patient_that_is_looked_for_is_there_once_and_others_are_like_it(bench: Any, built: Built) -> None:
    people = [r for r in built[1] if r["resourceType"] == "Patient"]
    named = Counter((p["name"][0]["given"][0], p["name"][0]["family"], p["birthDate"]) for p in people)
    for task in built[0][:12]:
        facts: Any = facts_of(task)
        given, family = facts.name.split()
        assert named[given, family, facts.birth_date.isoformat()] == (task.mrn is not None)
        assert any(g == given and f == family and b != facts.birth_date.isoformat() for g, f, b in named)
        assert any(f == family and b == facts.birth_date.isoformat() and g != given for g, f, b in named)


def test_values_lie_at_the_bounds_and_one_second_outside(bench: Any) -> None:
    tasks = [bench.task(5, n) for n in range(1, 41)]
    times = [
        datetime.fromisoformat(r["effectiveDateTime"])
        for r in populate(tasks, 3)[0]
        if r["resourceType"] == "Observation" and r["code"]["text"] == "MG"
    ]
    now = datetime.fromisoformat(bench.now)
    start = now - timedelta(hours=24)
    assert {start, start - timedelta(seconds=1), now} <= set(times)
    assert max(times) == now


def test_the_bounds_of_the_rules_are_among_the_values(bench: Any) -> None:
    tasks = [bench.task(c, n) for c in (5, 9) for n in range(1, 61)]
    values = {
        (r["code"]["text"], r["valueQuantity"]["value"])
        for r in populate(tasks, 3)[0]
        if r["resourceType"] == "Observation" and "valueQuantity" in r
    }
    assert {("MG", 1.0), ("MG", 1.5), ("MG", 1.9), ("MG", 2.0), ("K", 3.5), ("K", 3.4)} <= values


def test_a_local_code_that_is_not_known_is_refused(bench: Any) -> None:
    task = bench.task(7)
    with pytest.raises(UsageError, match=r"local codes \['XYZ'\]"):
        populate([bench.replace(task, context=task.context.replace("GLU", "XYZ"))], 1)


def test_branches_name_all_that_can_come_about(bench: Any, built: Built) -> None:
    assert {c: tuple(counts) for c, counts in built[2].counts.items()} == BRANCHES
    stamp = "2023-11-13T06:00:00+00:00"
    tied = bench.gold((stamp, 90), (stamp, 91))
    assert [branch_of(bench.task(7), g) for g in (Gold(), bench.gold((stamp, 90)), tied)] == ["none", "plain", "tied"]
    future = bench.gold(("2024-01-01T00:00:00+00:00", 90))
    assert branch_of(bench.task(4), future) == "none"


class Served:
    """A server that answers every search with the same page."""

    def __init__(self, *resources: dict[str, Any], next_page: str | None = None) -> None:
        self.page = SearchPage(resources=resources, next=next_page)
        self.asked: list[Any] = []

    async def search(self, type_: str, params: Any, /) -> SearchPage:
        self.asked.append((type_, params))
        return self.page


def observation(**members: Any) -> dict[str, Any]:
    value = {"value": 2, "unit": "mg/dL"}
    base = {"id": "o1", "status": "final", "effectiveDateTime": "2023-11-13T10:00:00Z", "valueQuantity": value}
    return {**base, **members}


async def test_the_gold_is_read_as_the_published_graders_read_it(bench: Any) -> None:
    served = Served(observation(), observation(valueQuantity=None), observation(valueQuantity={"value": True}))
    gold = await fetch_gold(facts_of(bench.task(4)), served)
    stamp = "2023-11-13T10:00:00Z"
    assert gold.measurements == (Measurement(2, stamp, datetime.fromisoformat(stamp), "final"),)
    assert served.asked == [("Observation", {"patient": "S0400001", "code": "MG", "_count": "5000"})]


@pytest.mark.parametrize(
    ("served", "category", "message"),
    [
        (Served(observation(effectiveDateTime="2023-11")), 4, "Observation/o1 has effectiveDateTime '2023-11'"),
        (Served(observation(), next_page="http://record.test/?page=2"), 4, "more Observations of MG than one page"),
        (Served(), 2, "0 patients with identifier S0200001"),
        (Served({}, {}), 2, "2 patients with identifier"),
        (Served({"birthDate": "1960"}), 2, "birthDate '1960'; give the full date"),
    ],
)
async def test_data_that_cannot_tell_are_a_fault_of_the_record(
    bench: Any, served: Served, category: int, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        await fetch_gold(facts_of(bench.task(category)), served)
