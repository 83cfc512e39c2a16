"""Weight edges: ratios and grades between a finding and a hypothesis."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from wardround.core.finding import Assertion, Finding
from wardround.core.graph import EvidenceGraph
from wardround.core.items import (
    GRADE_RATIO,
    BearingItem,
    Candidate,
    CandidatesItem,
    Grade,
    Item,
    ReadingItem,
    SourceItem,
    WeightItem,
)
from wardround.core.source import Source, SourceKind

CANDIDATES = CandidatesItem(
    candidates=(Candidate(id="a", name="A", prior=0.5), Candidate(id="b", name="B", prior=0.45))
)
laws = settings(max_examples=80, deadline=None)
GRADES = st.sampled_from(list(Grade))


def read(code: str = "f", count: int = 1, assertion: Assertion = Assertion.PRESENT) -> list[Item]:
    items: list[Item] = []
    for n in range(count):
        place = Source(kind=SourceKind.LAB, text="f", document=f"lab {n}")
        items += [
            SourceItem(source=place),
            ReadingItem(finding=Finding(code=code, assertion=assertion, source=place.id)),
        ]
    return items


def llr(*items: Item, count: int = 40, assertion: Assertion = Assertion.PRESENT) -> float:
    graph = EvidenceGraph([CANDIDATES, *items, *read(count=count, assertion=assertion)])
    return float(graph.weighed.ratios[0, 0])


@laws
@given(GRADES)
def test_a_settled_graded_finding_weighs_its_grade_either_way(grade: Grade) -> None:
    expected = math.log(GRADE_RATIO[grade])
    assert llr(WeightItem(kind="supports", code="f", hypothesis="a", grade=grade)) == pytest.approx(expected)
    assert llr(WeightItem(kind="contradicts", code="f", hypothesis="a", grade=grade)) == pytest.approx(-expected)


@laws
@given(st.floats(1.01, 500.0))
def test_contradicting_is_supporting_the_other_way_round(ratio: float) -> None:
    supports = llr(WeightItem(kind="supports", code="f", hypothesis="a", ratio=ratio))
    contradicts = llr(WeightItem(kind="contradicts", code="f", hypothesis="a", ratio=ratio))
    assert supports == pytest.approx(-contradicts, abs=0.01 * abs(supports))
    assert supports == pytest.approx(math.log(ratio))


@laws
@given(GRADES, st.integers(1, 40), st.sampled_from([Assertion.PRESENT, Assertion.ABSENT]))
def test_readings_never_exceed_the_grade(grade: Grade, count: int, assertion: Assertion) -> None:
    weight = WeightItem(kind="supports", code="f", hypothesis="a", grade=grade)
    assert abs(llr(weight, count=count, assertion=assertion)) <= math.log(GRADE_RATIO[grade]) + 1e-9


def test_an_absent_graded_finding_says_little() -> None:
    absent = {
        g: llr(WeightItem(kind="supports", code="f", hypothesis="a", grade=g), assertion=Assertion.ABSENT)
        for g in Grade
    }
    assert absent[Grade.WEAK] == pytest.approx(math.log(0.92 / 0.96))
    assert absent[Grade.PATHOGNOMONIC] == pytest.approx(math.log(0.2 / 0.96))


def test_a_stronger_grade_weighs_more() -> None:
    values = [llr(WeightItem(kind="supports", code="f", hypothesis="a", grade=grade)) for grade in Grade]
    assert values == sorted(values)


def test_a_stated_figure_counts_before_an_edge() -> None:
    stated = BearingItem(code="f", name="F", group="g", background=0.1, present={"a": 0.3})
    strong = WeightItem(kind="supports", code="f", hypothesis="a", grade=Grade.STRONG)
    assert llr(stated, strong) == pytest.approx(math.log(3.0))


def test_an_edge_adds_to_what_is_stated_of_others() -> None:
    stated = BearingItem(code="f", name="F", group="g", background=0.1, present={"b": 0.3})
    strong = WeightItem(kind="supports", code="f", hypothesis="a", grade=Grade.MODERATE, cited="Doe 2001")
    graph = EvidenceGraph([CANDIDATES, stated, strong, *read(count=40)])
    assert graph.weighed.ratios[0].tolist() == pytest.approx([math.log(5.0), math.log(3.0)])
    (bearing,) = graph.bearings
    assert (bearing.group, bearing.cited) == ("g", {"a": "Doe 2001"})


def test_of_two_edges_the_published_counts_and_then_the_weaker() -> None:
    weak = WeightItem(kind="supports", code="f", hypothesis="a", grade=Grade.WEAK)
    strong = WeightItem(kind="supports", code="f", hypothesis="a", grade=Grade.STRONG)
    cited = WeightItem(kind="supports", code="f", hypothesis="a", ratio=7.0, cited="Doe 2001")
    assert llr(strong, weak) == llr(weak, strong) == pytest.approx(math.log(2.0))
    assert llr(strong, cited, weak) == pytest.approx(math.log(7.0))


@pytest.mark.parametrize("how", [{}, {"ratio": 2.0, "grade": Grade.WEAK}, {"ratio": 1.0}, {"ratio": 0.5}])
def test_an_edge_must_say_how_much(how: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        WeightItem.model_validate({"kind": "supports", "code": "f", "hypothesis": "a", **how})


def test_an_edge_to_no_hypothesis_of_the_graph_weighs_nothing() -> None:
    graph = EvidenceGraph([CANDIDATES, WeightItem(kind="supports", code="f", hypothesis="z", ratio=9.0), *read()])
    assert graph.posterior.tolist() == pytest.approx([0.5, 0.45, 0.05])
