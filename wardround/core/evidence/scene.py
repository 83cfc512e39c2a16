"""What a drawing of the evidence graph shows, before anything has a place: boxes in columns, links between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from wardround.core.errors import UsageError
from wardround.core.evidence.weighed import WeighedItems
from wardround.core.finding import Assertion
from wardround.core.items import BearingItem, Provenance

MOST_HYPOTHESES = 8
"""No more are drawn than this, and the one asked for; the rest are counted in words."""
FEWEST_HYPOTHESES = 4
"""Of those after the first four, only what is probable enough is drawn."""
PROBABLE = 0.01
TELLING = 0.1
"""Log likelihood ratios nearer to 0 are left out: no eye could follow their lines."""


class Column(IntEnum):
    """From left to right."""

    CLAIMS = 0
    SOURCES = 1
    OBSERVATIONS = 2
    HYPOTHESES = 3


@dataclass(frozen=True)
class Box:
    """One node of the drawing."""

    id: str
    """Id of the node in `EvidenceGraph.to_networkx`."""
    kind: str
    """Source, unknown, observation, hypothesis or claim."""
    column: Column
    band: str
    """Boxes of one band stand together: sources of a document, observations of a group; alone where empty."""
    heading: str
    detail: str = ""
    """Second line; the words of a source or claim."""
    figure: str = ""
    """Short text at the right edge, such as a probability."""
    share: float | None = None
    """Part of the box that is filled, in [0, 1]."""
    mark: str = ""
    """Further class: present, absent or contested; the verdict of a claim."""

    @property
    def words(self) -> str:
        """All of it in one line, for those who hear it."""
        parts = (self.kind, self.mark, self.heading, self.figure, self.detail)
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True)
class Link:
    """One edge of the drawing, tail left of head, or both in one column."""

    tail: str
    head: str
    kind: str
    """Reads, supports, contradicts, or a kind of provenance."""
    llr: float = 0.0
    """Log likelihood ratio, where it carries weight."""


@dataclass(frozen=True)
class Scene:
    """All that is drawn, in no particular order but a fixed one."""

    boxes: tuple[Box, ...]
    links: tuple[Link, ...]
    unshown: int
    """Hypotheses left out."""
    highlighted: frozenset[str]
    """Ids that belong to what was asked for; all where nothing was."""


def scene(graph: WeighedItems, highlight: str | None = None) -> Scene:
    """Choose what to draw.

    Args:
        graph: At least its hypotheses must be known.
        highlight: A hypothesis by id, name or ICD-10 code, or the id of any node: what it rests on stands out.
    """
    asked = _asked(graph, highlight)
    leading = graph.differential.hypotheses[:MOST_HYPOTHESES]
    hypotheses = [h.id for i, h in enumerate(leading) if i < FEWEST_HYPOTHESES or h.probability >= PROBABLE]
    if asked is not None and asked not in hypotheses and any(c.id == asked for c in graph.candidates):
        hypotheses.append(asked)
    links = [*_weights(graph, hypotheses), *_reads(graph), *_provenance(graph)]
    linked = {end for link in links for end in (link.tail, link.head)}
    boxes = [*_claims(graph), *_sources(graph, linked), *_observations(graph), *_hypotheses(graph, hypotheses)]
    drawn = {box.id for box in boxes}
    kept = tuple(sorted({link for link in links if link.tail in drawn and link.head in drawn}, key=_name))
    return Scene(
        boxes=tuple(boxes),
        links=kept,
        unshown=len(graph.candidates) - len(hypotheses),
        highlighted=frozenset(drawn if asked is None else _behind(asked, kept)),
    )


def _name(link: Link) -> tuple[str, str, str]:
    return link.tail, link.head, link.kind


def _asked(graph: WeighedItems, highlight: str | None) -> str | None:
    if highlight is None or highlight in graph.sources or highlight in graph.claims or highlight in graph.readings:
        return highlight
    try:
        return graph.find(highlight).id
    except UsageError as error:
        raise UsageError(f"nothing to highlight is called {highlight!r}: {error}") from error


def _behind(asked: str, links: tuple[Link, ...]) -> set[str]:
    """What an element rests on, and what rests on it directly: all to its left, one step to its right."""
    reached = {asked}
    waiting = [asked]
    while waiting:
        node = waiting.pop()
        new = {link.tail for link in links if link.head == node} - reached
        reached |= new
        waiting.extend(new)
    return reached | {link.head for link in links if link.tail == asked}


def _hypotheses(graph: WeighedItems, shown: list[str]) -> Iterator[Box]:
    for hypothesis in graph.differential.hypotheses:
        if hypothesis.id in shown:
            yield Box(
                id=hypothesis.id,
                kind="hypothesis",
                column=Column.HYPOTHESES,
                band="",
                heading=hypothesis.name,
                detail=f"{_percent(hypothesis.probability)}{f', {hypothesis.icd10}' if hypothesis.icd10 else ''}",
                share=hypothesis.probability,
            )


def _observations(graph: WeighedItems) -> Iterator[Box]:
    readings = graph.evidence.reading
    sizes = Counter(bearing.group for bearing in graph.bearings)
    for bearing, reading in zip(graph.bearings, readings, strict=True):
        mark = "contested" if bearing.code in graph.contested else "present" if reading > 0 else "absent"
        yield Box(
            id=bearing.code,
            kind="observation",
            column=Column.OBSERVATIONS,
            band=bearing.group.replace("_", " ") if sizes[bearing.group] > 1 else "",
            heading=bearing.name,
            figure={"present": "+", "absent": "−", "contested": "±"}[mark],
            share=float(np.tanh(abs(reading) / 2.0)),
            mark=mark,
        )


def _sources(graph: WeighedItems, linked: set[str]) -> Iterator[Box]:
    places = graph.sources.values()
    for source in sorted(places, key=lambda s: (s.document, s.start or 0, s.id)):
        if source.id in linked:
            yield Box(
                id=source.id,
                kind="source",
                column=Column.SOURCES,
                band=source.document,
                heading=source.title or source.kind.value.replace("_", " "),
                detail=source.text,
                figure=f"{source.reliability:.2f}",
            )
    known = {*graph.sources, *graph.claims, *(bearing.code for bearing in graph.bearings)}
    for name in sorted(linked - known - {candidate.id for candidate in graph.candidates}):
        yield Box(id=name, kind="unknown", column=Column.SOURCES, band="not read", heading=name)


def _claims(graph: WeighedItems) -> Iterator[Box]:
    for claim in sorted(graph.claims.values(), key=lambda c: (c.agent, c.id)):
        verdict = graph.verdicts.get(claim.id)
        yield Box(
            id=claim.id,
            kind="claim",
            column=Column.CLAIMS,
            band=claim.agent,
            heading=verdict.label.value.replace("_", " ") if verdict is not None else "not checked",
            detail=claim.text,
            mark=verdict.label.value if verdict is not None else "",
        )


def _weights(graph: WeighedItems, hypotheses: list[str]) -> Iterator[Link]:
    order = {candidate.id: j for j, candidate in enumerate(graph.candidates)}
    for hypothesis in hypotheses:
        for bearing, llr in zip(graph.bearings, graph.weighed.ratios[:, order[hypothesis]].tolist(), strict=True):
            if abs(llr) >= TELLING:
                yield Link(bearing.code, hypothesis, "supports" if llr > 0 else "contradicts", llr)


def _reads(graph: WeighedItems) -> Iterator[Link]:
    for bearing in graph.bearings:
        yield from _read(graph, bearing)


def _read(graph: WeighedItems, bearing: BearingItem) -> Iterator[Link]:
    for finding in graph.readings[bearing.code]:
        kind = "denies" if finding.assertion is Assertion.ABSENT else "reads"
        yield Link(finding.source or "", bearing.code, kind)


def _provenance(graph: WeighedItems) -> Iterator[Link]:
    for claim in graph.claims.values():
        for cited in dict.fromkeys(claim.cites):
            yield Link(claim.id, cited, Provenance.CITES.value)
    homes: dict[str, str] = {}
    for source in sorted(graph.sources.values(), key=lambda s: (s.start or 0, s.id)):
        homes.setdefault(source.document, source.id)
    for edge in graph.provenance:
        # A document is drawn as a band, so an edge of one is tied to its first sentence.
        yield Link(homes.get(edge.tail, edge.tail), homes.get(edge.head, edge.head), edge.kind.value)


def _percent(p: float) -> str:
    return f"{p:.0%}" if 0.095 <= p <= 0.995 else f"{p:.1%}" if p >= 0.001 else "<0.1%"
