"""The drawing: readable, the same every time, harmless whatever it is given."""

import itertools
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardround.core.claim import Claim, Severity, Verdict, VerdictLabel
from wardround.core.errors import UsageError
from wardround.core.evidence.drawing import element_id, link_id, svg
from wardround.core.evidence.layout import Layout, crossings, layout, ordered
from wardround.core.evidence.lettering import fitted, harmless, width_of
from wardround.core.evidence.scene import Column, scene
from wardround.core.finding import Assertion, Finding
from wardround.core.graph import EvidenceGraph
from wardround.core.items import (
    BearingItem,
    Candidate,
    CandidatesItem,
    ClaimItem,
    Item,
    Provenance,
    ProvenanceItem,
    ReadingItem,
    SourceItem,
    VerdictItem,
)
from wardround.core.source import Source, SourceKind

GOLDEN = Path(__file__).parents[2] / "golden" / "evidence_graph.svg"
SVG = "{http://www.w3.org/2000/svg}"
ALLOWED = {"svg", "title", "desc", "style", "rect", "text", "g", "path"}


def place(document: str, text: str, start: int = 0, kind: SourceKind = SourceKind.CLINICIAN_NOTE) -> Source:
    return Source(kind=kind, text=text, document=document, title=f"{document}, {start}", start=start)


def reading(source: Source, code: str, assertion: Assertion = Assertion.PRESENT) -> list[Item]:
    return [
        SourceItem(source=source),
        ReadingItem(finding=Finding(code=code, assertion=assertion, source=source.id)),
    ]


def small() -> EvidenceGraph:
    report = place("radiology report", "Filling defect in the right pulmonary artery.", kind=SourceKind.IMAGING_REPORT)
    quote = place("letter", "CT showed a filling defect.", 40)
    note = place("admission note", "Pleuritic pain since this morning.")
    calm = place("admission note", "No fever, no cough.", 40)
    bedside = place("nursing note", "Temperature 38.9.")
    claim = Claim(agent="radiology", text="There is a pulmonary embolism.", cites=(report.id, "src_lost"), finding="ct")
    known = {
        "ct": ("filling defect on CT", "imaging", 0.03, {"pe": 0.9}),
        "pain": ("pleuritic pain", "chest", 0.2, {"pe": 0.6, "pneumonia": 0.4}),
        "fever": ("fever", "infection", 0.2, {"pneumonia": 0.8, "pe": 0.15}),
        "cough": ("cough", "infection", 0.25, {"pneumonia": 0.85}),
    }
    return EvidenceGraph(
        [
            CandidatesItem(
                candidates=(
                    Candidate(id="pe", name="Pulmonary embolism", icd10="I26", prior=0.2, must_not_miss=True),
                    Candidate(id="pneumonia", name="Pneumonia", icd10="J18", prior=0.4),
                    Candidate(id="muscle", name="Muscle strain", prior=0.35),
                )
            ),
            *(
                BearingItem(code=code, name=name, group=group, background=b, present=p)
                for code, (name, group, b, p) in known.items()
            ),
            *reading(report, "ct"),
            *reading(quote, "ct"),
            *reading(note, "pain"),
            *reading(calm, "fever", Assertion.ABSENT),
            *reading(calm, "cough", Assertion.ABSENT),
            *reading(bedside, "fever"),
            ProvenanceItem(kind=Provenance.DERIVED_FROM, tail=quote.id, head=report.id),
            ClaimItem(claim=claim),
            VerdictItem(
                verdict=Verdict(claim=claim.id, label=VerdictLabel.SUPPORTED, severity=Severity.CORRECT, reason="read")
            ),
        ]
    )


def large(observations: int = 26, sources: int = 22, claims: int = 8) -> EvidenceGraph:
    """A graph of about sixty nodes, with names of all lengths."""
    items: list[Item] = [
        CandidatesItem(
            candidates=tuple(
                Candidate(
                    id=f"h{j}", name=f"Disease {'of the long name ' * (j % 3)}{j}", icd10=f"A{j:02}", prior=0.9 / 12
                )
                for j in range(12)
            )
        )
    ]
    places = [place(f"document {n % 5}", f"Sentence {n} " + "and more " * (n % 7), n * 10) for n in range(sources)]
    for i in range(observations):
        present = {f"h{j}": 0.1 + 0.07 * ((i * 7 + j * 3) % 11) for j in range(12) if (i + j) % 4 == 0}
        name = f"finding {'with many words ' * (i % 4)}{i}"
        items.append(
            BearingItem(code=f"f{i}", name=name, group=f"group {(i * 5) % 9}", background=0.3, present=present)
        )
        items += reading(places[(i * 5) % sources], f"f{i}", Assertion.ABSENT if i % 3 == 0 else Assertion.PRESENT)
    for n in range(claims):
        cites = (places[(n * 3) % sources].id, places[(n * 7 + 1) % sources].id)
        items.append(ClaimItem(claim=Claim(agent=f"agent {n % 3}", text=f"Claim {n} " * 6, cites=cites)))
    return EvidenceGraph(items)


def elements(text: str) -> ET.Element:
    return ET.fromstring(text)


def test_the_drawing_is_the_golden_one() -> None:
    assert svg(small()) == GOLDEN.read_text(encoding="utf-8"), "redraw it and look at it before you accept it"


def test_the_drawing_does_not_depend_on_the_order_of_items() -> None:
    graph = large()
    assert svg(EvidenceGraph(reversed(graph.items))) == svg(graph)


@pytest.mark.parametrize("graph", [small(), large(), large(40, 30, 15)])
def test_no_two_boxes_overlap_and_all_lie_within_the_picture(graph: EvidenceGraph) -> None:
    drawn = layout(scene(graph), 1240.0)
    boxes = list(drawn.boxes.values())
    for one, other in itertools.combinations(boxes, 2):
        beside = one.x + one.width <= other.x or other.x + other.width <= one.x
        above = one.y + one.height <= other.y or other.y + other.height <= one.y
        assert beside or above, (one.box.id, other.box.id)
    assert all(box.x >= 0 and box.x + box.width <= drawn.width for box in boxes)
    assert all(box.y >= 0 and box.y + box.height <= drawn.height for box in boxes)


@pytest.mark.parametrize("graph", [small(), large()])
@pytest.mark.parametrize("width", [700, 1240, 2000])
def test_every_text_fits_its_box(graph: EvidenceGraph, width: int) -> None:
    drawn = layout(scene(graph), float(width))
    root = elements(svg(graph, width=width))
    for group in root.iter(f"{SVG}g"):
        if "node" in group.get("class", "").split():
            box = drawn.boxes[group.get("data-node", "")]
            for text in group.iter(f"{SVG}text"):
                size = 10.5 if text.get("class") == "soft" else 12.0
                length = width_of(text.text or "", size)
                left = float(text.get("x", "")) - (length if text.get("text-anchor") == "end" else 0.0)
                assert left >= box.x
                assert left + length <= box.x + box.width


def test_bands_stay_in_one_piece_and_do_not_overlap() -> None:
    drawn: Layout = layout(scene(large()), 1240.0)
    for one, other in itertools.combinations(drawn.bands, 2):
        if one.column is other.column:
            assert one.y + one.height < other.y or other.y + other.height < one.y
            assert one.name != other.name


def test_ordering_lessens_the_crossings() -> None:
    what = scene(large())
    plain = {column: [box for box in what.boxes if box.column is column] for column in Column}
    assert crossings(ordered(what), what.links) < 0.75 * crossings(plain, what.links)


def test_hypotheses_stand_in_order_of_probability() -> None:
    graph = large()
    drawn = layout(scene(graph), 1240.0)
    shown = sorted((b for b in drawn.boxes.values() if b.box.kind == "hypothesis"), key=lambda b: b.y)
    assert [b.box.id for b in shown] == [h.id for h in graph.differential.hypotheses][: len(shown)]


def test_links_are_drawn_by_kind_and_as_wide_as_they_weigh() -> None:
    graph = small()
    root = elements(svg(graph))
    links = {(g.get("data-tail"), g.get("data-head")): g for g in root.iter(f"{SVG}g") if g.get("data-tail")}

    def width(tail: str, head: str) -> float:
        (path,) = links[tail, head].findall(f"{SVG}path")
        found = re.search(r"stroke-width:([\d.]+)px", path.get("style", ""))
        assert found is not None
        return float(found[1])

    assert "supports" in links["ct", "pe"].get("class", "")
    assert "contradicts" in links["cough", "pneumonia"].get("class", "")
    assert "denies" in {g.get("class", "").split()[1] for (_, head), g in links.items() if head == "cough"}
    assert width("ct", "pe") > width("pain", "pe")
    provenance = [g for g in links.values() if "provenance" in g.get("class", "").split()]
    assert {g.get("class", "").split()[1] for g in provenance} == {"cites", "derived_from"}


def test_elements_carry_ids_that_a_page_can_find() -> None:
    graph = small()
    root = elements(svg(graph))
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(ids) == len(set(ids))
    what = scene(graph)
    assert {element_id(box.id) for box in what.boxes} <= set(ids)
    assert {link_id(link) for link in what.links} <= set(ids)


def test_everything_says_in_words_what_it_is() -> None:
    root = elements(svg(small()))
    assert root.get("role") == "graphics-document document"
    assert root.get("aria-labelledby") == "ev-title ev-desc"
    for group in root.iter(f"{SVG}g"):
        if group.get("id"):
            title = group.find(f"{SVG}title")
            assert title is not None
            assert title.text
    labels = [g.get("aria-label") for g in root.iter(f"{SVG}g") if g.get("aria-label")]
    assert "observation, contested, fever, ±" in labels


def test_what_is_asked_for_stands_out() -> None:
    graph = small()
    root = elements(svg(graph, highlight="Pulmonary embolism"))
    classes = {g.get("data-node"): g.get("class", "").split() for g in root.iter(f"{SVG}g") if g.get("data-node")}
    assert "dim" not in classes["pe"]
    assert "dim" not in classes["ct"]
    assert "dim" in classes["muscle"]
    assert "dim" in classes["cough"]
    assert "dim" not in svg(graph).split("</style>")[1]


def test_a_hypothesis_that_is_asked_for_is_drawn_however_improbable() -> None:
    graph = large()
    last = graph.differential.hypotheses[-1]
    assert element_id(last.id) not in svg(graph)
    assert element_id(last.id) in svg(graph, highlight=last.name)


def test_what_is_not_drawn_is_counted() -> None:
    graph = large()
    shown = sum(box.kind == "hypothesis" for box in scene(graph).boxes)
    assert f"{12 - shown} less probable hypotheses are not drawn" in svg(graph)


def test_nothing_to_highlight_is_an_error() -> None:
    with pytest.raises(UsageError, match="nothing to highlight is called 'gout'"):
        svg(small(), highlight="gout")


def test_a_graph_of_hypotheses_alone_can_be_drawn() -> None:
    assert elements(svg(EvidenceGraph(small().items[:1]))).tag == f"{SVG}svg"


HOSTILE = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        [
            "<script>alert(1)</script>",
            '"/><image href="http://evil.example/x" onload="alert(1)"/>',
            "]]></style><script>1</script>",
            "&lt;b&gt; &amp; javascript:alert(1)",
            "\x00\x01\ud800 zero\u200b width \u202eesrever",
            "</title></g></svg><h1>",
            "--><!-- ",
            "{{7*7}} ${x} \\u003cscript>",
        ]
    ),
)


@settings(max_examples=60, deadline=None)
@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE)
def test_hostile_text_is_only_text(a: str, b: str, c: str, d: str) -> None:
    a, b, c, d = (text.encode("utf-8", "replace").decode() for text in (a, b, c, d))
    source = Source(kind=SourceKind.PATIENT, text=a, document=b or "x", title=c)
    claim = Claim(agent=b, text=d or "x", cites=(source.id, c or "y"))
    graph = EvidenceGraph(
        [
            CandidatesItem(candidates=(Candidate(id="h", name=a, icd10=b, prior=0.9),)),
            BearingItem(code="f" + d, name=c, group=d, background=0.1, present={"h": 0.9}),
            *reading(source, "f" + d),
            ClaimItem(claim=claim),
        ]
    )
    text = svg(graph)
    root = elements(text)
    for element in root.iter():
        assert element.tag.removeprefix(SVG) in ALLOWED
        assert not any(name.startswith("on") or "href" in name for name in element.attrib)
    assert text.count("<style>") == 1
    assert "url(" not in text.split("</style>")[0]
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", text)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80), st.floats(10.0, 300.0))
def test_a_fitted_text_is_no_wider_than_its_room(text: str, room: float) -> None:
    found = fitted(text, room, 12.0)
    assert width_of(found, 12.0) <= room + 1e-9
    assert found == " ".join(text.split()) or found.endswith("…")


def test_marks_that_turn_writing_and_unseen_ones_are_shown_as_such() -> None:
    assert harmless("a\u202eb\x07c") == "a\ufffdb\ufffdc"
