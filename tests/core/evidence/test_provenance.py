"""A copy is never weighed as a second witness."""

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardround.core.errors import UsageError
from wardround.core.evidence.provenance import Origin
from wardround.core.finding import Assertion, Finding
from wardround.core.graph import EvidenceGraph
from wardround.core.items import (
    BearingItem,
    Candidate,
    CandidatesItem,
    Item,
    Provenance,
    ProvenanceItem,
    ReadingItem,
    SourceItem,
)
from wardround.core.source import Source, SourceKind

DOCUMENTS = ("report", "note", "letter", "summary")
WORLD: list[Item] = [
    CandidatesItem(
        candidates=(Candidate(id="pe", name="Embolism", prior=0.3), Candidate(id="mi", name="MI", prior=0.65))
    ),
    BearingItem(code="ct", name="CT positive", group="ct", background=0.05, present={"pe": 0.9}),
    BearingItem(code="pain", name="pain", group="pain", background=0.3, present={"pe": 0.6, "mi": 0.8}),
]
laws = settings(max_examples=50, deadline=None)


def source(document: str, start: int = 0, reliability: float = 0.9) -> Source:
    return Source(
        kind=SourceKind.CLINICIAN_NOTE,
        text=f"{document} {start}",
        document=document,
        start=start,
        reliability=reliability,
    )


def reading(place: Source, code: str = "ct", assertion: Assertion = Assertion.PRESENT) -> list[Item]:
    return [
        SourceItem(source=place),
        ReadingItem(finding=Finding(code=code, assertion=assertion, source=place.id)),
    ]


def edge(kind: Provenance, tail: str, head: str) -> ProvenanceItem:
    return ProvenanceItem(kind=kind, tail=tail, head=head)


def derived(tail: str, head: str) -> ProvenanceItem:
    return edge(Provenance.DERIVED_FROM, tail, head)


def posterior(items: list[Item]) -> list[float]:
    return [float(p) for p in EvidenceGraph([*WORLD, *items]).posterior]


SOURCES = [source(d, start, r) for d, r in zip(DOCUMENTS, (0.98, 0.9, 0.6, 0.8), strict=True) for start in (0, 50)]
NAMES = [*(s.id for s in SOURCES), *DOCUMENTS]
EDGES = st.lists(
    st.builds(edge, st.sampled_from(list(Provenance)), st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=12
)
READINGS = st.lists(
    st.builds(reading, st.sampled_from(SOURCES), st.sampled_from(["ct", "pain"]), st.sampled_from(list(Assertion))),
    max_size=6,
).map(lambda pairs: [item for pair in pairs for item in pair])


@laws
@given(st.integers(1, 20), st.floats(0.3, 0.98))
def test_any_number_of_copies_of_a_report_weighs_like_the_report(copies: int, reliability: float) -> None:
    original = source("report", reliability=reliability)
    quotes = [source(f"note {n}", n, 0.98) for n in range(copies)]
    quoted = [item for quote in quotes for item in (*reading(quote), derived(quote.id, original.id))]
    assert posterior([*reading(original), *quoted]) == posterior(reading(original))


def test_a_chain_of_notes_copied_forward_is_one_witness() -> None:
    notes = [source(f"day {n}") for n in range(6)]
    chain: list[Item] = [item for note in notes for item in reading(note)]
    chain += [derived(later.document, earlier.document) for earlier, later in pairwise(notes)]
    assert posterior(chain) == posterior(reading(notes[0]))
    assert EvidenceGraph(chain).origin(notes[5].id) == Origin(("day 0",), 0.9, copied=True)


def test_what_was_not_copied_is_still_two_witnesses() -> None:
    first, second = source("report", reliability=0.6), source("note", reliability=0.6)
    assert posterior([*reading(first), *reading(second)])[0] > posterior(reading(first))[0]


def test_a_copy_is_no_more_reliable_than_its_original() -> None:
    said, noted = source("patient", reliability=0.6), source("note", reliability=0.9)
    graph = EvidenceGraph([*WORLD, SourceItem(source=said), *reading(noted), derived(noted.id, said.id)])
    assert graph.reliability(graph.readings["ct"][0]) == 0.6
    assert graph.origin(noted.id).limit == 0.6


def test_copies_of_an_original_that_nobody_read_are_one_witness() -> None:
    copies = [source("note"), source("letter")]
    items = [item for copy in copies for item in (*reading(copy), derived(copy.id, "lost report"))]
    assert posterior(items) == pytest.approx(posterior(reading(copies[0])))


def test_the_rest_of_a_note_that_quotes_a_report_stays_its_own_witness() -> None:
    report, quote, own = source("report"), source("note", 0), source("note", 50)
    items = [*reading(report), *reading(quote), derived(quote.id, report.id)]
    more = [*items, *reading(own)]
    assert posterior(more)[0] > posterior(items)[0]


def test_a_copy_that_says_the_opposite_is_contested() -> None:
    report, quote = source("report"), source("note")
    items = [*reading(report), *reading(quote, assertion=Assertion.ABSENT), derived(quote.id, report.id)]
    graph = EvidenceGraph([*WORLD, *items])
    assert graph.contested == ("ct",)
    (dispute,) = graph.disputes()
    assert (dispute.present, dispute.absent) == ((report,), (quote,))
    assert dispute.reading == pytest.approx(0.0)


def test_a_summary_of_two_reports_adds_nothing_to_either() -> None:
    one, two, summary = source("one"), source("two"), source("summary")
    both = [*reading(one), *reading(two, "pain")]
    joined = [derived(summary.document, "one"), derived(summary.document, "two")]
    copies = [*reading(summary), *reading(summary, "pain"), *joined]
    assert posterior([*both, *copies]) == posterior(both)
    assert EvidenceGraph(copies).origin(summary.id).roots == ("one", "two")


def test_sources_that_are_the_same_speak_once() -> None:
    one, two = source("ehr"), source("upload")
    items = [*reading(one), *reading(two), edge(Provenance.SAME_AS, one.id, two.id)]
    assert posterior(items) == posterior(reading(one))


@laws
@given(st.integers(1, 6), READINGS)
def test_derivations_in_a_circle_end_and_are_one_witness(length: int, others: list[Item]) -> None:
    ring = [source(f"ring {n}") for n in range(length)]
    edges = [derived(a.document, b.document) for a, b in zip(ring, [*ring[1:], ring[0]], strict=True)]
    circle = [item for place in ring for item in reading(place)]
    assert posterior([*others, *circle, *edges]) == posterior([*others, *reading(ring[0])])


@laws
@given(READINGS, EDGES, st.randoms())
def test_any_web_of_provenance_ends_and_does_not_depend_on_order(
    readings: list[Item], edges: list[ProvenanceItem], random: Random
) -> None:
    shuffled = [*readings, *edges]
    random.shuffle(shuffled)
    assert posterior([*readings, *edges]) == posterior(shuffled)


@laws
@given(
    READINGS,
    st.lists(
        st.builds(
            edge, st.sampled_from(list(Provenance)), st.sampled_from(DOCUMENTS), st.sampled_from([*DOCUMENTS, "lost"])
        ),
        max_size=8,
    ),
)
def test_documents_that_come_from_one_another_are_never_more_witnesses(
    readings: list[Item], edges: list[ProvenanceItem]
) -> None:
    plain = EvidenceGraph([*WORLD, *readings])
    tied = plain.with_items(edges)
    assert all(len(tied.readings[code]) <= len(plain.readings[code]) for code in plain.readings)


@laws
@given(EDGES)
def test_a_graph_of_provenance_alone_returns_the_prior(edges: list[ProvenanceItem]) -> None:
    assert posterior(list(edges)) == pytest.approx([0.3, 0.65, 0.05])
    assert posterior([*(SourceItem(source=s) for s in SOURCES), *edges]) == pytest.approx([0.3, 0.65, 0.05])


@laws
@given(READINGS, st.lists(st.sampled_from(NAMES), min_size=2, max_size=2))
def test_citing_changes_nothing(readings: list[Item], ends: list[str]) -> None:
    assert posterior([*readings, edge(Provenance.CITES, *ends)]) == posterior(readings)


def test_removing_an_original_takes_its_copies_along() -> None:
    report, quote, own = source("report"), source("note", 0), source("letter")
    graph = EvidenceGraph([*WORLD, *reading(report), *reading(quote), *reading(own), derived(quote.id, report.id)])
    alone = EvidenceGraph([*WORLD, *reading(own)])
    assert graph.without(["report"]).differential == alone.differential
    assert graph.without([report.id]).differential == alone.differential
    assert graph.without_document("report").readings["ct"] != alone.readings["ct"]


def test_the_origin_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="no source 'report'"):
        EvidenceGraph(WORLD).origin("report")


def test_a_finding_and_its_finer_form_are_discounted_together() -> None:
    fine = BearingItem(code="saddle", name="saddle embolus", group="zz", background=0.01, present={"pe": 0.2})
    both = [fine, *reading(source("report")), *reading(source("note"), "saddle")]
    apart, joined = (
        EvidenceGraph([*WORLD, *both]),
        EvidenceGraph([*WORLD, *both, edge(Provenance.REFINES, "saddle", "ct")]),
    )
    assert apart.groups == ("ct", "zz")
    assert joined.groups == ("ct",)
    assert joined.find("pe").probability < apart.find("pe").probability
    assert [b.group for b in joined.bearings] == ["ct", "ct"]
