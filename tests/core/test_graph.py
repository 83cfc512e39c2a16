"""Laws of the evidence graph."""

import json
import math
from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from wardround.core.claim import Claim, Severity, Verdict, VerdictLabel
from wardround.core.errors import UsageError
from wardround.core.finding import Assertion, Finding, Presence
from wardround.core.graph import EvidenceGraph
from wardround.core.items import (
    BearingItem,
    Candidate,
    CandidatesItem,
    ClaimItem,
    Item,
    ReadingItem,
    SourceItem,
    VerdictItem,
)
from wardround.core.source import Source, SourceKind
from wardround.core.weighing import MAX_GROUP_LLR

CODES = ("f0", "f1", "f2", "f3", "f4")
DOCUMENTS = ("note", "letter", "lab")
HYPOTHESES = ("flu", "cold", "pneumonia")
PRIOR = {"flu": 0.5, "cold": 0.3, "pneumonia": 0.15}
CANDIDATES = CandidatesItem(
    candidates=(
        Candidate(id="flu", name="Influenza", icd10="J11", prior=0.5),
        Candidate(id="cold", name="Common cold", prior=0.3),
        Candidate(id="pneumonia", name="Pneumonia", icd10="J18", prior=0.15, must_not_miss=True),
    )
)
PROBABILITY = st.floats(0.01, 0.99)
WEIGHTY = st.sampled_from([Assertion.PRESENT, Assertion.ABSENT, Assertion.POSSIBLE])
laws = settings(max_examples=45, deadline=None)


def bearing(code: str, group: str, background: float, **present: float) -> BearingItem:
    return BearingItem(code=code, name=code.upper(), group=group, background=background, present=present)


def read(
    code: str,
    document: str,
    assertion: Assertion = Assertion.PRESENT,
    *,
    reliability: float = 0.9,
    start: int = 0,
) -> list[Item]:
    source = Source(
        kind=SourceKind.CLINICIAN_NOTE,
        text=f"{code} {assertion.value}",
        document=document,
        title=f"{document}, {reliability}",
        start=start,
        reliability=reliability,
    )
    return [
        SourceItem(source=source),
        ReadingItem(finding=Finding(code=code, assertion=assertion, source=source.id)),
    ]


@st.composite
def bearings(draw: st.DrawFn) -> list[Item]:
    return [
        bearing(
            code,
            draw(st.sampled_from(["airway", "systemic", "chest"])),
            draw(PROBABILITY),
            **draw(st.dictionaries(st.sampled_from(HYPOTHESES), PROBABILITY)),
        )
        for code in CODES
    ]


READING = st.builds(
    read,
    st.sampled_from(CODES),
    st.sampled_from(DOCUMENTS),
    WEIGHTY,
    reliability=st.sampled_from([0.2, 0.6, 0.9, 0.98]),
    start=st.integers(0, 99),
)


@st.composite
def worlds(draw: st.DrawFn) -> list[Item]:
    readings = draw(st.lists(READING, max_size=8))
    return [CANDIDATES, *draw(bearings()), *(item for pair in readings for item in pair)]


def probabilities(graph: EvidenceGraph) -> dict[str, float]:
    return {h.id: h.probability for h in graph.differential.hypotheses}


def bands(graph: EvidenceGraph) -> dict[str, tuple[float, float]]:
    return {h: graph.interval(h) for h in HYPOTHESES}


def graph_of(*items: Item | Iterable[Item]) -> EvidenceGraph:
    flat: list[Item] = []
    for item in items:
        flat.extend(item if isinstance(item, list) else [item])  # type: ignore[list-item]
    return EvidenceGraph([CANDIDATES, *flat])


@laws
@given(worlds())
def test_probabilities_are_open_and_sum_to_one(items: list[Item]) -> None:
    differential = EvidenceGraph(items).differential
    p = [*(h.probability for h in differential.hypotheses), differential.other]
    assert math.fsum(p) == pytest.approx(1.0, abs=1e-9)
    assert all(0.0 < value < 1.0 for value in p)
    assert sorted(p[:-1], reverse=True) == p[:-1]


@laws
@given(worlds(), st.randoms())
def test_the_order_of_items_does_not_matter(items: list[Item], random: Random) -> None:
    shuffled = list(items)
    random.shuffle(shuffled)
    one, other = EvidenceGraph(items), EvidenceGraph(shuffled)
    assert one == other
    assert hash(one) == hash(other)
    assert one.differential == other.differential
    assert bands(one) == bands(other)
    assert [one.why(h) for h in HYPOTHESES] == [other.why(h) for h in HYPOTHESES]
    assert one.readings == other.readings


@laws
@given(worlds())
def test_adding_what_is_there_already_changes_nothing(items: list[Item]) -> None:
    graph = EvidenceGraph(items)
    assert graph.with_items(items).items == graph.items


@laws
@given(worlds(), PROBABILITY, PROBABILITY, st.sampled_from(["airway", "alone"]), st.floats(0.01, 0.98))
def test_added_support_never_lowers_a_hypothesis(
    items: list[Item], a: float, b: float, group: str, reliability: float
) -> None:
    background, present = sorted((a, b))
    graph = EvidenceGraph(items)
    more = graph.with_items(
        [bearing("extra", group, background, flu=present), *read("extra", "new", reliability=reliability)]
    )
    assert probabilities(more)["flu"] >= probabilities(graph)["flu"] - 1e-12


@laws
@given(worlds(), st.sampled_from(CODES), st.floats(0.01, 0.98))
def test_a_further_reading_moves_its_finding_the_way_it_says(items: list[Item], code: str, reliability: float) -> None:
    graph = EvidenceGraph(items)
    more = graph.with_items(read(code, "new", reliability=reliability))

    def belief(of: EvidenceGraph) -> float:
        codes = [b.code for b in of.bearings]
        return float(of.evidence.reading[codes.index(code)]) if code in codes else 0.0

    assert belief(more) > belief(graph)


@laws
@given(worlds(), READING)
def test_a_literal_copy_within_one_document_changes_nothing(items: list[Item], pair: list[Item]) -> None:
    source, finding = pair[0].source, pair[1].finding  # type: ignore[union-attr]
    copy = source.model_copy(update={"start": 5000})
    once = EvidenceGraph([*items, *pair])
    twice = once.with_items(
        [SourceItem(source=copy), ReadingItem(finding=finding.model_copy(update={"source": copy.id}))]
    )
    assert len(twice.items) == len(once.items) + 2
    assert twice.differential == once.differential
    assert bands(twice) == bands(once)


@laws
@given(PROBABILITY, PROBABILITY, st.integers(1, 25), st.sampled_from([Assertion.PRESENT, Assertion.ABSENT]))
def test_any_number_of_readings_stays_within_the_likelihood_ratio(
    present: float, background: float, count: int, assertion: Assertion
) -> None:
    readings = [item for n in range(count) for item in read("f0", f"document {n}", assertion, reliability=0.98)]
    graph = graph_of(bearing("f0", "airway", background, flu=present), readings)
    ratio = float(graph.weighed.ratios[0, 0])
    limits = sorted((math.log(present / background), math.log((1 - present) / (1 - background))))
    assert limits[0] - 1e-9 <= ratio <= limits[1] + 1e-9


@laws
@given(worlds(), st.sampled_from(CODES), WEIGHTY)
def test_a_source_of_no_reliability_adds_nothing(items: list[Item], code: str, assertion: Assertion) -> None:
    graph = EvidenceGraph(items)
    more = graph.with_items(read(code, "rumour", assertion, reliability=1e-12))
    assert probabilities(more) == pytest.approx(probabilities(graph), abs=1e-9)


@laws
@given(worlds(), st.sampled_from([0.2, 0.6, 0.9]))
def test_a_contradicting_reading_cancels_its_equal(items: list[Item], reliability: float) -> None:
    graph = EvidenceGraph(items).with_items([bearing("extra", "airway", 0.1, flu=0.9, cold=0.01)])
    both = graph.with_items(
        [
            *read("extra", "one", Assertion.PRESENT, reliability=reliability),
            *read("extra", "two", Assertion.ABSENT, reliability=reliability),
        ]
    )
    assert probabilities(both) == pytest.approx(probabilities(graph), abs=1e-9)
    assert "extra" in both.contested
    assert "extra" not in graph.contested


@laws
@given(worlds(), st.sampled_from(DOCUMENTS))
def test_a_document_removed_and_added_again_is_a_no_op(items: list[Item], document: str) -> None:
    graph = EvidenceGraph(items)
    without = graph.without_document(document)
    assert document not in {source.document for source in without.sources.values()}
    again = without.with_items(items)
    assert again == graph
    assert again.differential == graph.differential
    assert bands(again) == bands(graph)


@laws
@given(worlds(), READING)
def test_removing_an_added_document_restores_the_posterior(items: list[Item], pair: list[Item]) -> None:
    source = pair[0].source.model_copy(update={"document": "added"})  # type: ignore[union-attr]
    finding = pair[1].finding.model_copy(update={"source": source.id})  # type: ignore[union-attr]
    graph = EvidenceGraph(items)
    more = graph.with_items([SourceItem(source=source), ReadingItem(finding=finding)])
    assert more.without_document("added") == graph
    assert more.without_document("added").differential == graph.differential


def opinions(cited: Iterable[str]) -> list[Item]:
    claims = [
        Claim(agent=agent, text="It is influenza beyond doubt.", cites=tuple(cited), finding="f0")
        for agent in ("cardiology", "surgery", "attending")
    ]
    verdicts = [
        Verdict(claim=c.id, label=VerdictLabel.SUPPORTED, severity=Severity.CORRECT, reason="said so") for c in claims
    ]
    return [*(ClaimItem(claim=c) for c in claims), *(VerdictItem(verdict=v) for v in verdicts)]


@laws
@given(worlds())
def test_claims_and_verdicts_without_a_new_reading_leave_the_posterior_unchanged(items: list[Item]) -> None:
    graph = EvidenceGraph(items)
    insisted = graph.with_items(opinions(graph.sources))
    assert len(insisted.claims) == len(insisted.verdicts) == 3
    assert insisted.differential == graph.differential
    assert bands(insisted) == bands(graph)
    assert [insisted.vacuity(h) for h in HYPOTHESES] == [graph.vacuity(h) for h in HYPOTHESES]


@laws
@given(bearings())
def test_a_graph_of_claims_alone_returns_the_prior(known: list[Item]) -> None:
    graph = graph_of(known, opinions(["src_nowhere"]))
    assert probabilities(graph) == pytest.approx(PRIOR)
    assert graph.differential.other == pytest.approx(0.05)
    assert [graph.vacuity(h) for h in HYPOTHESES] == [1.0] * 3
    assert [graph.conflict(h) for h in HYPOTHESES] == [0.0] * 3
    assert bands(graph)["flu"] == pytest.approx((0.5, 0.5))


@laws
@given(worlds())
def test_every_band_is_ordered(items: list[Item]) -> None:
    for low, high in bands(EvidenceGraph(items)).values():
        assert 0.0 <= low <= high <= 1.0


@laws
@given(worlds())
def test_read_outs_lie_between_zero_and_one(items: list[Item]) -> None:
    graph = EvidenceGraph(items)
    for hypothesis in HYPOTHESES:
        assert 0.0 < graph.vacuity(hypothesis) <= 1.0
        assert 0.0 <= graph.conflict(hypothesis) <= 1.0
    assert (abs(graph.weighed.terms) <= MAX_GROUP_LLR).all()


@laws
@given(worlds())
def test_a_graph_survives_json(items: list[Item]) -> None:
    graph = EvidenceGraph(items).with_items(opinions(["src_a"]))
    again = EvidenceGraph.from_json(json.loads(json.dumps(graph.to_json())))
    assert again.items == graph.items
    assert again == graph
    assert again.differential == graph.differential


@laws
@given(worlds())
def test_the_log_odds_are_the_prior_and_the_terms_of_the_groups(items: list[Item]) -> None:
    graph = EvidenceGraph(items)
    p = probabilities(graph)
    for j, hypothesis in enumerate(HYPOTHESES):
        expected = math.log(PRIOR[hypothesis] / 0.05) + float(graph.weighed.terms[:, j].sum())
        assert math.log(p[hypothesis] / graph.differential.other) == pytest.approx(expected, abs=1e-5)


@laws
@given(worlds())
def test_a_pivotal_group_is_one_without_which_another_leads(items: list[Item]) -> None:
    graph = EvidenceGraph(items)
    p = [c.prior for c in graph.candidates]
    pivotal = set()
    for k, group in enumerate(graph.groups):
        others = graph.weighed.terms.sum(axis=0) - graph.weighed.terms[k]
        scores = [math.log(prior) + float(term) for prior, term in zip(p, others, strict=True)]
        ranked = sorted(scores)
        assume(ranked[-1] - ranked[-2] > 1e-9)
        if graph.candidates[scores.index(ranked[-1])].id != graph.differential.hypotheses[0].id:
            pivotal.add(group)
    assert set(graph.pivotal_groups()) == pivotal


@pytest.mark.parametrize("assertion", [Assertion.HISTORICAL, Assertion.FAMILY, Assertion.HYPOTHETICAL])
def test_what_is_not_of_this_patient_now_bears_no_weight(assertion: Assertion) -> None:
    graph = graph_of(bearing("f0", "airway", 0.1, flu=0.9), read("f0", "note", assertion))
    assert probabilities(graph) == pytest.approx(PRIOR)
    assert graph.readings == {}


def test_a_reading_without_its_source_bears_no_weight() -> None:
    source, reading = read("f0", "note")
    known = bearing("f0", "airway", 0.1, flu=0.9)
    assert probabilities(graph_of(known, reading)) == pytest.approx(PRIOR)
    assert probabilities(graph_of(known, reading, source))["flu"] > 0.8


def test_a_reading_that_the_knowledge_does_not_know_bears_no_weight() -> None:
    graph = graph_of(read("unheard_of", "note"))
    assert probabilities(graph) == pytest.approx(PRIOR)
    assert graph.why("flu").supporting == ()


def test_a_possible_finding_weighs_less_than_a_present_one() -> None:
    known = bearing("f0", "airway", 0.1, flu=0.9)
    p = [
        probabilities(graph_of(known, read("f0", "note", assertion)))["flu"]
        for assertion in (Assertion.ABSENT, Assertion.POSSIBLE, Assertion.PRESENT)
    ]
    assert p[0] < 0.5 < p[1] < p[2]


def test_the_strongest_reading_of_a_document_speaks_for_it() -> None:
    known = bearing("f0", "airway", 0.1, flu=0.9)
    weak = read("f0", "note", Assertion.POSSIBLE)
    strong = read("f0", "note", Assertion.PRESENT, start=50)
    assert probabilities(graph_of(known, weak, strong)) == probabilities(graph_of(known, strong))


def test_two_documents_are_two_witnesses() -> None:
    known = bearing("f0", "airway", 0.1, flu=0.9)
    one = graph_of(known, read("f0", "note", reliability=0.6))
    two = graph_of(known, read("f0", "note", reliability=0.6), read("f0", "letter", reliability=0.6))
    assert probabilities(two)["flu"] > probabilities(one)["flu"]


def test_findings_of_one_syndrome_count_less_than_of_two() -> None:
    readings = [*read("f0", "note"), *read("f1", "note", start=9)]
    together = graph_of(bearing("f0", "g", 0.1, flu=0.5), bearing("f1", "g", 0.1, flu=0.5), readings)
    apart = graph_of(bearing("f0", "g", 0.1, flu=0.5), bearing("f1", "h", 0.1, flu=0.5), readings)
    assert probabilities(together)["flu"] < probabilities(apart)["flu"]


@pytest.mark.parametrize("p", [0.0, 1.0, -0.1, 1.1, math.nan])
def test_an_impossible_likelihood_is_refused(p: float) -> None:
    with pytest.raises(ValidationError):
        bearing("f0", "airway", 0.1, flu=p)
    with pytest.raises(ValidationError):
        bearing("f0", "airway", p)


def test_why_names_each_weight_with_its_words_strongest_first() -> None:
    graph = graph_of(
        bearing("f0", "airway", 0.1, flu=0.4),
        BearingItem(
            code="f1", name="F1", group="chest", background=0.2, present={"flu": 0.9}, cited={"flu": "Doe, 2001"}
        ),
        bearing("f2", "systemic", 0.2, flu=0.8),
        read("f0", "note"),
        read("f1", "letter"),
        read("f2", "note", Assertion.ABSENT, start=40),
    )
    why = graph.why("Influenza")
    assert [w.code for w in why.supporting] == ["f1", "f0"]
    assert [(w.code, w.presence) for w in why.opposing] == [("f2", Presence.ABSENT)]
    assert [w.citation for w in why.supporting] == ["Doe, 2001", None]
    assert [s.text for s in why.supporting[0].sources] == ["f1 present"]
    first, *lines = str(why).splitlines()
    assert first.startswith("Influenza: probability ")
    assert [line.split()[0] for line in lines] == ["for", "for", "against"]
    assert '"f2 absent"' in lines[2]


@pytest.mark.parametrize("name", ["flu", "Influenza", " influenza ", "j11", "J11"])
def test_a_hypothesis_is_found_by_id_name_or_code(name: str) -> None:
    assert graph_of().find(name).id == "flu"


def test_an_unknown_hypothesis_is_refused_with_near_ones() -> None:
    with pytest.raises(UsageError, match="near: Pneumonia"):
        graph_of().find("pneumothorax")
    with pytest.raises(UsageError, match="near: none"):
        graph_of().why("gout")


@pytest.mark.parametrize("name", ["", "  "])
def test_no_name_finds_no_hypothesis(name: str) -> None:
    with pytest.raises(UsageError, match="no hypothesis"):
        graph_of().find(name)


def test_a_graph_without_hypotheses_says_what_to_add() -> None:
    with pytest.raises(UsageError, match="CandidatesItem"):
        _ = EvidenceGraph(read("f0", "note")).differential


def test_what_a_hypothesis_does_not_explain_is_named() -> None:
    graph = graph_of(
        bearing("f0", "airway", 0.1, flu=0.9),
        bearing("f1", "chest", 0.1, cold=0.9),
        bearing("f2", "chest", 0.1, cold=0.9),
        read("f0", "note"),
        read("f1", "note", start=9),
        read("f2", "note", Assertion.ABSENT, start=20),
    )
    assert graph.unexplained("flu") == ("f1",)
    assert graph.unexplained("pneumonia") == ("f0", "f1")


def test_the_reliability_of_a_group_is_that_of_its_best_observation() -> None:
    graph = graph_of(
        bearing("f0", "airway", 0.1, flu=0.9),
        bearing("f1", "airway", 0.1, flu=0.9),
        read("f0", "note", reliability=0.6),
        read("f1", "note", reliability=0.2, start=9),
    )
    assert graph.group_reliability("airway") == pytest.approx(0.6)
    assert graph.group_reliability("elsewhere") == 0.0


def test_the_drawing_has_a_kind_and_a_label_for_every_node_and_a_weight_on_every_bearing() -> None:
    graph = graph_of(bearing("f0", "airway", 0.1, flu=0.9, cold=0.01), read("f0", "note"), opinions(["src_nowhere"]))
    drawn = graph.to_networkx()
    assert all({"kind", "label"} <= attributes.keys() for _, attributes in drawn.nodes(data=True))
    edges = {(b, data["kind"]) for _, b, data in drawn.edges(data=True)}
    assert edges == {
        ("f0", "reads"),
        ("flu", "supports"),
        ("cold", "contradicts"),
        ("src_nowhere", "cites"),
    }
    weight = next(data["llr"] for _, b, data in drawn.edges(data=True) if b == "flu")
    assert weight == pytest.approx(graph.why("flu").supporting[0].llr)


def test_a_graph_is_no_other_thing() -> None:
    assert graph_of() != "graph"
    assert graph_of() != graph_of(read("f0", "note"))
