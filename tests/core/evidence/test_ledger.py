"""A graph that grew is the graph built at once, and growing costs what it touches."""

import copy
import math
import pickle
from concurrent.futures import ThreadPoolExecutor
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardround.core.evidence.ledger import Ledger
from wardround.core.evidence.readings import POSSIBLE_SHARE, Readings
from wardround.core.evidence.sparse import cells, shares
from wardround.core.finding import Assertion, Finding
from wardround.core.graph import EvidenceGraph
from wardround.core.items import (
    BearingItem,
    Candidate,
    CandidatesItem,
    Grade,
    Item,
    Provenance,
    ProvenanceItem,
    ReadingItem,
    SourceItem,
    WeightItem,
)
from wardround.core.source import Source, SourceKind
from wardround.core.weighing import group_terms, reading_weight, sorted_discount, weigh

CODES = tuple("fghij")
DOCUMENTS = ("note", "letter", "lab")
HYPOTHESES = ("a", "b", "c")
CANDIDATES = CandidatesItem(
    candidates=tuple(
        Candidate(id=h, name=h.upper(), prior=p) for h, p in zip(HYPOTHESES, (0.5, 0.3, 0.15), strict=True)
    )
)
PROBABILITY = st.floats(0.01, 0.99)
_TELLING = (Assertion.PRESENT, Assertion.POSSIBLE, Assertion.ABSENT)
laws = settings(max_examples=60, deadline=None)


def read(code: str, document: str, assertion: Assertion, reliability: float) -> list[Item]:
    place = Source(
        kind=SourceKind.PATIENT, text=f"{code} {assertion} {reliability}", document=document, reliability=reliability
    )
    return [SourceItem(source=place), ReadingItem(finding=Finding(code=code, assertion=assertion, source=place.id))]


BEARING = st.builds(
    lambda code, group, background, present: [
        BearingItem(code=code, name=code, group=group, background=background, present=present)
    ],
    st.sampled_from(CODES),
    st.sampled_from(["x", "y"]),
    PROBABILITY,
    st.dictionaries(st.sampled_from(HYPOTHESES), PROBABILITY),
)
WEIGHT = st.builds(
    lambda kind, code, hypothesis, grade: [WeightItem(kind=kind, code=code, hypothesis=hypothesis, grade=grade)],
    st.sampled_from(["supports", "contradicts"]),
    st.sampled_from(CODES),
    st.sampled_from(HYPOTHESES),
    st.sampled_from(list(Grade)),
)
PROVENANCE = st.builds(
    lambda kind, tail, head: [ProvenanceItem(kind=kind, tail=tail, head=head)],
    st.sampled_from(list(Provenance)),
    st.sampled_from([*DOCUMENTS, *CODES]),
    st.sampled_from([*DOCUMENTS, *CODES]),
)
READING = st.builds(
    read,
    st.sampled_from(CODES),
    st.sampled_from(DOCUMENTS),
    st.sampled_from(list(Assertion)),
    st.sampled_from([0.2, 0.6, 0.9, 0.98]),
)
STEPS = st.lists(st.one_of(READING, READING, BEARING, WEIGHT, PROVENANCE), max_size=25)


@st.composite
def histories(draw: st.DrawFn) -> list[list[Item]]:
    steps = draw(STEPS)
    steps.insert(draw(st.integers(0, len(steps))), [CANDIDATES])
    return steps


def flat(steps: list[list[Item]]) -> list[Item]:
    return [item for step in steps for item in step]


def assert_alike(one: EvidenceGraph, other: EvidenceGraph) -> None:
    assert one == other
    assert one.readings == other.readings
    assert one.bearings == other.bearings
    assert one.groups == other.groups
    np.testing.assert_allclose(one.posterior, other.posterior, rtol=0, atol=1e-9)
    np.testing.assert_allclose(one.weighed.ratios, other.weighed.ratios, rtol=0, atol=1e-9)
    np.testing.assert_allclose(one.weighed.terms, other.weighed.terms, rtol=0, atol=1e-9)
    np.testing.assert_allclose(one.weighed.effective, other.weighed.effective, rtol=0, atol=1e-9)
    for hypothesis in HYPOTHESES:
        assert one.conflict(hypothesis) == pytest.approx(other.conflict(hypothesis), abs=1e-6)
        assert one.vacuity(hypothesis) == pytest.approx(other.vacuity(hypothesis), abs=1e-9)


@laws
@given(histories())
def test_a_graph_that_grew_step_by_step_equals_the_one_built_at_once(steps: list[list[Item]]) -> None:
    graph = EvidenceGraph()
    for step in steps:
        graph = graph.with_items(step)
        if graph.candidates:
            _ = graph.posterior
    assert_alike(graph, EvidenceGraph(flat(steps)))


@laws
@given(histories(), st.randoms())
def test_the_sums_do_not_depend_on_the_order_of_items(steps: list[list[Item]], random: Random) -> None:
    # Two bearings of one code are one item, of which the first counts.
    unique = list(
        {getattr(s[0], "code", "") + s[0].item if s[0].item == "bearing" else id(s): s for s in steps}.values()
    )
    shuffled = list(unique)
    random.shuffle(shuffled)
    assert EvidenceGraph(flat(unique)).posterior.tolist() == EvidenceGraph(flat(shuffled)).posterior.tolist()


@laws
@given(histories())
def test_the_sums_are_those_of_the_dense_weighing(steps: list[list[Item]]) -> None:
    graph = EvidenceGraph(flat(steps))
    dense = weigh(graph.evidence)
    np.testing.assert_allclose(graph.posterior, dense.posterior, rtol=0, atol=1e-9)
    np.testing.assert_allclose(graph.weighed.ratios, dense.ratios, rtol=0, atol=1e-9)
    np.testing.assert_allclose(graph.weighed.terms, dense.terms, rtol=0, atol=1e-9)
    np.testing.assert_allclose(graph.weighed.effective, dense.effective, rtol=0, atol=1e-9)
    assert [graph.vacuity(h) for h in HYPOTHESES] == pytest.approx(dense.vacuity.tolist(), abs=1e-9)
    assert [graph.conflict(h) for h in HYPOTHESES] == pytest.approx(dense.conflict.tolist(), abs=1e-6)


@laws
@given(histories(), histories())
def test_a_graph_that_others_grew_from_stays_what_it_was(first: list[list[Item]], second: list[list[Item]]) -> None:
    items = flat(first)
    graph = EvidenceGraph(items)
    one = graph.with_items(flat(second))
    other = graph.with_items(reversed(flat(second)))
    _ = one.posterior, other.posterior
    assert graph.items == EvidenceGraph(items).items
    assert_alike(graph, EvidenceGraph(items))
    assert_alike(one, EvidenceGraph([*items, *flat(second)]))
    assert_alike(other, EvidenceGraph([*items, *reversed(flat(second))]))


def test_growing_touches_only_what_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    knowledge = [
        BearingItem(code=f"f{n}", name="", group=f"g{n // 3}", background=0.1, present={"a": 0.5}) for n in range(300)
    ]
    readings = [item for n in range(300) for item in read(f"f{n}", "note", Assertion.PRESENT, 0.9)]
    graph = EvidenceGraph([CANDIDATES, *knowledge, *readings])
    _ = graph.posterior
    reread: list[str] = []
    regrouped: list[str] = []
    reading, grouping = Ledger._reread, Ledger._terms
    monkeypatch.setattr(Ledger, "_reread", lambda ledger, codes: (reread.extend(codes), reading(ledger, codes))[1])
    monkeypatch.setattr(
        Ledger, "_terms", lambda ledger, groups, fresh: (regrouped.extend(groups), grouping(ledger, groups, fresh))[1]
    )
    _ = graph.with_items(read("f7", "letter", Assertion.PRESENT, 0.6)).posterior
    assert (reread, regrouped) == (["f7"], ["g2"])


@laws
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 2), st.floats(-8, 8), st.floats(0, 1)), min_size=1, max_size=30
    )
)
def test_the_sparse_discount_is_the_dense_one(edges: list[tuple[int, int, float, float]]) -> None:
    group, hypothesis, ratio, reliability = (np.array(column) for column in zip(*edges, strict=True))
    dense = np.zeros((len(edges), 3))
    dense[np.arange(len(edges)), hypothesis] = ratio
    terms = group_terms(dense, group)
    found = cells(group, hypothesis, ratio, reliability, 3)
    sparse = np.zeros_like(terms)
    sparse[found.group, found.hypothesis] = (found.rising + found.falling) / 2.0**42
    np.testing.assert_allclose(sparse, terms, rtol=0, atol=1e-9)


@laws
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=9), st.floats(0, 1))
def test_shares_sum_to_the_discounted_group(ratios: list[float], rho: float) -> None:
    up, down = sorted_discount(np.array(ratios)[:, None], rho)
    counted = shares(np.array(ratios), rho)
    assert counted.sum() == pytest.approx(float(up[0] + down[0]), abs=1e-9)
    assert (counted * np.array(ratios) >= 0).all()


def test_a_graph_survives_pickling_and_copying() -> None:
    graph = EvidenceGraph([CANDIDATES, *read("f", "note", Assertion.PRESENT, 0.9)])
    assert pickle.loads(pickle.dumps(graph)) == graph == copy.deepcopy(graph)
    assert type(pickle.loads(pickle.dumps(graph))) is EvidenceGraph


def test_several_threads_may_grow_and_ask_one_graph() -> None:
    known = [BearingItem(code=c, name=c, group=c, background=0.1, present={"a": 0.5, "b": 0.2}) for c in CODES]
    base = EvidenceGraph([CANDIDATES, *known])

    def grow(n: int) -> tuple[int, list[float]]:
        graph = base
        for code in CODES:
            graph = graph.with_items(read(code, f"document {n}", Assertion.PRESENT, 0.5 + n / 100))
            _ = graph.posterior, base.posterior
        return n, graph.posterior.tolist()

    with ThreadPoolExecutor(8) as pool:
        for n, found in pool.map(grow, range(24)):
            items = [i for code in CODES for i in read(code, f"document {n}", Assertion.PRESENT, 0.5 + n / 100)]
            assert found == pytest.approx(EvidenceGraph([CANDIDATES, *known, *items]).posterior.tolist(), abs=1e-9)


@laws
@given(histories(), st.randoms())
def test_readings_may_come_before_their_sources(steps: list[list[Item]], random: Random) -> None:
    items = flat(steps)
    sources = [item for item in items if isinstance(item, SourceItem)]
    others = [item for item in items if not isinstance(item, SourceItem)]
    random.shuffle(sources)
    graph = EvidenceGraph(others)
    _ = graph.posterior
    for source in sources:
        graph = graph.with_items([source])
        _ = graph.posterior
    assert_alike(graph, EvidenceGraph(items))


def test_a_reading_counts_once_its_source_is_known() -> None:
    known = BearingItem(code="f", name="f", group="f", background=0.1, present={"a": 0.5})
    source, reading = read("f", "note", Assertion.PRESENT, 0.9)
    before = EvidenceGraph([CANDIDATES, known, reading])
    assert not before.readings
    assert before.posterior[0] == pytest.approx(0.5)
    after = before.with_items([source])
    assert list(after.readings) == ["f"]
    assert after.posterior[0] > 0.5


def test_a_copy_named_late_takes_back_what_it_added() -> None:
    known = BearingItem(code="f", name="f", group="f", background=0.1, present={"a": 0.5})
    items = [CANDIDATES, known, *read("f", "note", Assertion.PRESENT, 0.9)]
    graph = EvidenceGraph(items)
    both = graph.with_items(read("f", "letter", Assertion.PRESENT, 0.6))
    assert both.posterior[0] > graph.posterior[0]
    copied = both.with_items([ProvenanceItem(kind=Provenance.DERIVED_FROM, tail="letter", head="note")])
    assert copied.posterior.tolist() == graph.posterior.tolist()


@laws
@given(
    st.lists(st.lists(st.tuples(st.floats(0.01, 0.98), st.sampled_from(list(_TELLING))), min_size=1, max_size=4)),
)
def test_readings_weighed_together_weigh_what_they_weigh_alone(read_as: list[list[tuple[float, Assertion]]]) -> None:
    sources: dict[str, Source] = {}
    readings = Readings(sources, {})
    expected, findings = [], []
    for n, of_one in enumerate(read_as):
        for reliability, assertion in of_one:
            place = Source(kind=SourceKind.LAB, text=f"{len(sources)}", document="lab", reliability=reliability)
            sources[place.id] = place
            findings.append(Finding(code=f"f{n}", assertion=assertion, source=place.id))
        trusted = [r * (POSSIBLE_SHARE if a is Assertion.POSSIBLE else 1.0) for r, a in of_one]
        present = [a is not Assertion.ABSENT for _, a in of_one]
        expected.append(math.fsum(reading_weight(r, present=p) for r, p in zip(trusted, present, strict=True)))
    found = readings.weights(findings, [len(of_one) for of_one in read_as])
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-15)
