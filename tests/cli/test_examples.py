"""The examples of the repository end as their table says."""

import json
import re
from pathlib import Path

import pytest

import wardround as wr
from wardround.core.decision import DecisionStatus

CASES = Path(__file__).parents[2] / "examples" / "cases"
ROWS = re.findall(r"^\| `([^`]+)` \|[^|]*\| ([^|]*) \|$", (CASES / "README.md").read_text("utf-8"), re.MULTILINE)


@pytest.fixture(scope="module")
def ward() -> wr.Ward:
    return wr.Ward()


def test_the_examples_are_all_described_and_of_all_three_forms() -> None:
    files = {path.name for path in CASES.iterdir() if path.name != "README.md"}
    assert {name for name, _ in ROWS} == files
    assert sum(name.endswith("_bundle.json") for name in files) >= 3
    assert sum(name.endswith(".json") and not name.endswith("_bundle.json") for name in files) >= 3
    assert sum(name.endswith(".txt") for name in files) >= 3
    assert sum(good.startswith("Abstain") for _, good in ROWS) == 4


@pytest.mark.parametrize(("name", "good"), ROWS, ids=[name for name, _ in ROWS])
def test_an_example_goes_through_and_ends_as_its_description_says(ward: wr.Ward, name: str, good: str) -> None:
    result = ward.consult(wr.Case.from_file(CASES / name))
    decision = result.decision
    told = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert told["decision"]["status"] == decision.status.value
    if good.startswith("Abstain"):
        assert decision.status is DecisionStatus.ABSTAINED
        assert decision.reasons
        assert decision.missing
        return
    named = re.match(r"`(\w+)`", good)
    assert named is not None
    assert decision.status is DecisionStatus.FINAL
    assert decision.diagnosis is not None
    assert decision.diagnosis.id == named[1]
    assert decision.reasons == ()
