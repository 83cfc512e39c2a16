"""What leaves the graph can be read by others, and comes back where it is meant to."""

import json
from collections import Counter
from typing import Any

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardround.core.claim import Claim, Severity, Verdict, VerdictLabel
from wardround.core.evidence.exchange import to_graphml, to_prov
from wardround.core.finding import Assertion, Finding
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
)
from wardround.core.source import Source, SourceKind

prov = pytest.importorskip("prov.model", reason="the package prov is the oracle here")

TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"),
    min_size=1,
    max_size=20,
)
CODES = st.sampled_from(["f", "g", "h i", "ü/2"])
laws = settings(max_examples=40, deadline=None)


@st.composite
def graphs(draw: st.DrawFn) -> EvidenceGraph:
    items: list[Item] = [
        CandidatesItem(
            candidates=(Candidate(id="a", name=draw(TEXT), prior=0.6), Candidate(id="b", name="B", prior=0.35))
        )
    ]
    sources = [
        Source(kind=draw(st.sampled_from(list(SourceKind))), text=draw(TEXT), document=draw(TEXT), start=n)
        for n in range(draw(st.integers(0, 4)))
    ]
    names = [*(s.id for s in sources), *(s.document for s in sources), "nowhere"]
    for source in sources:
        finding = Finding(code=draw(CODES), assertion=draw(st.sampled_from(list(Assertion))), source=source.id)
        items += [SourceItem(source=source), ReadingItem(finding=finding)]
        claim = Claim(
            agent=draw(TEXT), text=draw(TEXT), cites=tuple(draw(st.lists(st.sampled_from(names), max_size=2)))
        )
        verdict = Verdict(claim=claim.id, label=VerdictLabel.SUPPORTED, severity=Severity.CORRECT, reason="r")
        items += [ClaimItem(claim=claim), *([VerdictItem(verdict=verdict)] if draw(st.booleans()) else [])]
    for code in ("f", "h i"):
        items.append(BearingItem(code=code, name=draw(TEXT), group="g", background=0.1, present={"a": 0.7}))
    items.append(WeightItem(kind="contradicts", code="ü/2", hypothesis="b", grade=Grade.STRONG))
    ends = st.sampled_from(names)
    edges = st.builds(
        lambda k, t, h: ProvenanceItem(kind=k, tail=t, head=h), st.sampled_from(list(Provenance)), ends, ends
    )
    return EvidenceGraph([*items, *draw(st.lists(edges, max_size=4))])


@laws
@given(graphs())
def test_json_gives_the_graph_back(graph: EvidenceGraph) -> None:
    again = EvidenceGraph.from_json(json.loads(json.dumps(graph.to_json())))
    assert again.items == graph.items
    assert again == graph
    assert again.posterior.tolist() == graph.posterior.tolist()


def edges(graph: Any) -> Counter[str]:
    return Counter(repr((t, h, sorted(d.items()))) for t, h, d in graph.edges(data=True))


@laws
@given(graphs())
def test_graphml_gives_nodes_edges_and_attributes_back(graph: EvidenceGraph) -> None:
    drawn = graph.to_networkx()
    again = nx.parse_graphml(to_graphml(graph), force_multigraph=True)
    assert dict(again.nodes(data=True)) == dict(drawn.nodes(data=True))
    assert edges(again) == edges(drawn)


def test_graphml_may_be_opened_from_a_file(tmp_path: Any) -> None:
    source = Source(kind=SourceKind.LAB, text="bell \x07 and <tag>", document="lab")
    graph = EvidenceGraph([SourceItem(source=source)])
    (tmp_path / "graph.graphml").write_text(to_graphml(graph), encoding="utf-8")
    again = nx.read_graphml(tmp_path / "graph.graphml")
    assert again.nodes[source.id]["text"] == "bell \ufffd and <tag>"


@laws
@given(graphs())
def test_prov_is_read_by_the_prov_package_with_nothing_lost(graph: EvidenceGraph) -> None:
    records = to_prov(graph)
    document = prov.ProvDocument.deserialize(content=json.dumps(records), format="json")
    written = json.loads(document.serialize(format="json"))
    for relation in records.keys() - {"prefix"}:
        assert len(written[relation]) == len(records[relation]), relation
    again = prov.ProvDocument.deserialize(content=json.dumps(written), format="json")
    assert again == document


@laws
@given(graphs())
def test_every_relation_of_prov_joins_what_is_declared(graph: EvidenceGraph) -> None:
    records = to_prov(graph)
    declared = {name for kind in ("entity", "activity", "agent") for name in records.get(kind, {})}
    for relation in records.keys() - {"prefix", "entity", "activity", "agent"}:
        for record in records[relation].values():
            ends = {value for key, value in record.items() if key.startswith("prov:")}
            assert ends <= declared, (relation, record)


def test_prov_says_who_claimed_and_what_came_from_what() -> None:
    report = Source(kind=SourceKind.IMAGING_REPORT, text="defect", document="report")
    letter = Source(kind=SourceKind.CLINICIAN_NOTE, text="CT: defect", document="letter")
    claim = Claim(agent="radiology", text="embolism", cites=(report.id,))
    graph = EvidenceGraph(
        [
            CandidatesItem(candidates=(Candidate(id="pe", name="Embolism", prior=0.9),)),
            WeightItem(kind="supports", code="ct", hypothesis="pe", grade=Grade.STRONG),
            SourceItem(source=report),
            SourceItem(source=letter),
            ReadingItem(finding=Finding(code="ct", source=report.id)),
            ProvenanceItem(kind=Provenance.DERIVED_FROM, tail=letter.id, head=report.id),
            ClaimItem(claim=claim),
        ]
    )
    records = to_prov(graph)
    derived = {(r["prov:generatedEntity"], r["prov:usedEntity"]) for r in records["wasDerivedFrom"].values()}
    assert {
        (f"wr:source.{letter.id}", f"wr:source.{report.id}"),
        (f"wr:claim.{claim.id}", f"wr:source.{report.id}"),
        ("wr:observation.ct", f"wr:source.{report.id}"),
        ("wr:hypothesis.pe", "wr:observation.ct"),
        (f"wr:source.{report.id}", "wr:document.report"),
    } <= derived
    (attributed,) = records["wasAttributedTo"].values()
    assert attributed == {"prov:entity": f"wr:claim.{claim.id}", "prov:agent": "wr:agent.radiology"}
    assert records["agent"].keys() == {"wr:agent.radiology", "wr:software.wardround"}
    assert records["activity"].keys() == {"wr:activity.reading", "wr:activity.weighing"}
