"""Two items are told apart within a process exactly where their written names tell them apart."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from wardround.core.claim import Claim, Severity, Verdict, VerdictLabel
from wardround.core.finding import Assertion, Finding, Laterality
from wardround.core.graph import EvidenceGraph
from wardround.core.items import (
    BearingItem,
    Candidate,
    CandidatesItem,
    ClaimItem,
    Grade,
    Item,
    Provenance,
    ProvenanceItem,
    ReadingItem,
    SourceItem,
    VerdictItem,
    WeightItem,
    identity,
    item_id,
)
from wardround.core.source import Source, SourceKind

NOON = datetime(2020, 1, 1, 12, tzinfo=UTC)
NOON_ELSEWHERE = NOON.astimezone(timezone(timedelta(hours=2)))
WORD = st.sampled_from(["a", "b"])
NUMBER = st.sampled_from([None, 0.0, -0.0, 1, 1.0, 2.5])
FINDING = st.builds(
    Finding,
    code=WORD,
    name=st.sampled_from(["", "a"]),
    assertion=st.sampled_from([Assertion.PRESENT, Assertion.ABSENT]),
    value=NUMBER,
    time=st.sampled_from([None, NOON, NOON_ELSEWHERE, NOON.replace(tzinfo=None)]),
    days=st.sampled_from([None, 0.0, 3]),
    laterality=st.sampled_from([None, Laterality.LEFT]),
    source=st.sampled_from([None, "a"]),
    span=st.sampled_from([None, (0, 1)]),
)
SOURCE = st.builds(
    Source,
    kind=st.sampled_from([SourceKind.LAB, SourceKind.PATIENT]),
    text=WORD,
    document=WORD,
    start=st.sampled_from([None, 0]),
)
WEIGHT = st.builds(
    WeightItem,
    kind=st.sampled_from(["supports", "contradicts"]),
    code=WORD,
    hypothesis=WORD,
    grade=st.sampled_from([Grade.WEAK, Grade.STRONG]),
    cited=st.sampled_from([None, "a"]),
)
RATIO = st.builds(
    WeightItem, kind=st.just("supports"), code=WORD, hypothesis=WORD, ratio=st.sampled_from([2, 2.0, 3.0])
)
ITEMS: st.SearchStrategy[Item] = st.one_of(
    st.builds(ReadingItem, finding=FINDING),
    st.builds(SourceItem, source=SOURCE),
    st.builds(
        BearingItem,
        code=WORD,
        name=WORD,
        group=WORD,
        background=st.sampled_from([0.1, 0.2]),
        present=st.dictionaries(WORD, st.sampled_from([0.1, 0.5])),
    ),
    WEIGHT,
    RATIO,
    st.builds(ProvenanceItem, kind=st.sampled_from(list(Provenance)), tail=WORD, head=WORD),
    st.builds(
        CandidatesItem,
        candidates=st.tuples(st.builds(Candidate, id=WORD, name=WORD, prior=st.sampled_from([0.4, 0.5]))),
    ),
    st.builds(ClaimItem, claim=st.builds(Claim, agent=WORD, text=WORD)),
    st.builds(
        VerdictItem,
        verdict=st.builds(
            Verdict,
            claim=WORD,
            label=st.sampled_from(list(VerdictLabel)),
            severity=st.just(Severity.MINOR),
            reason=st.just("a"),
        ),
    ),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(ITEMS, min_size=2, max_size=20))
def test_items_are_alike_exactly_where_their_names_are(items: list[Item]) -> None:
    for one in items:
        for other in items:
            assert (identity(one) == identity(other)) == (item_id(one) == item_id(other))
    by_name = list({item_id(item): item for item in reversed(items)}.values())
    assert {item_id(item) for item in EvidenceGraph(items).items} == {item_id(item) for item in by_name}


@settings(max_examples=300, deadline=None)
@given(st.lists(FINDING, min_size=2, max_size=20))
def test_alike_readings_have_the_same_hash(findings: list[Finding]) -> None:
    items = [ReadingItem(finding=finding) for finding in findings]
    for one, other in pairwise(items):
        if item_id(one) == item_id(other):
            assert hash(identity(one)) == hash(identity(other))
    assert len({identity(item) for item in items}) == len({item_id(item) for item in items})


def test_one_moment_in_two_zones_and_both_zeros_are_two_readings() -> None:
    for one, other in (
        (Finding(code="a", time=NOON), Finding(code="a", time=NOON_ELSEWHERE)),
        (Finding(code="a", value=0.0), Finding(code="a", value=-0.0)),
    ):
        assert one == other
        assert one.id != other.id
        assert len(EvidenceGraph([ReadingItem(finding=one), ReadingItem(finding=other)]).items) == 2
