"""The evidence of a run: the graph drawn, what is contested, what each finding adds, and what if a source had not been.

Names of sources, documents and hypotheses that stand in an address are hashes: an address tells nothing of a patient.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from wardround.core.case import Case
from wardround.core.differential import Differential, Hypothesis
from wardround.core.evidence import drawing
from wardround.core.evidence.drawing import element_id
from wardround.core.evidence.explain import WhatIf
from wardround.core.evidence.layout import layout
from wardround.core.evidence.scene import Column, Scene, scene
from wardround.core.graph import EvidenceGraph
from wardround.core.source import Source
from wardround.dashboard.contesting import contested_of
from wardround.dashboard.links import mark_of
from wardround.dashboard.plots import Bar, signed_bars
from wardround.dashboard.showing import line, visible
from wardround.trace import views
from wardround.trace.events import Event

MOST_BOXES = 400
"""More than this no eye takes in, and drawing takes too long: then only what the highlighted rests on is drawn."""
WIDTH = 1180
"""Of the whole graph in pixels."""
SMALL_WIDTH = 800
"""Of what a sentence rests on."""

MOVES = 0.0005
"""Smaller changes of a probability are not shown."""

_SHEET = re.compile(r"<style>.*?</style>", re.DOTALL)
_NAMED = re.compile(r' (?:id|aria-labelledby)="[^"]*"')
_STROKE = re.compile(r' style="stroke-width:([\d.]+)px"')


@dataclass(frozen=True)
class Choice:
    """A document whose sources can be switched off, alone or all at once."""

    mark: str
    """Its name in an address."""
    document: str
    kind: str
    sources: tuple[tuple[str, str, str, bool], ...]
    """Id, title, words, and whether it is switched off."""
    is_off: bool


def evidence_page(
    events: Sequence[Event], case: Case, *, without: Sequence[str] = (), highlight: str | None = None
) -> dict[str, Any]:
    """Return all that the evidence page of a run shows.

    Args:
        events: The run's log.
        case: The patient.
        without: What is switched off: ids of sources, or marks of documents as `Choice.mark` has them.
        highlight: Mark of what stands out, see `mark_of`.

    Returns:
        `picture`, `hypotheses` (pairs of mark and hypothesis), `highlight`, `chosen` (the hypothesis that is asked
        about), `attribution` with `bars`, `what_if` with `rows`, `choices`, `contested`, `fragile`, `counts` and
        `unknown` (names in the address that are nothing here). Without hypotheses most of it is empty.
    """
    graph = views.evidence_graph(events)
    names = marks_of(graph)
    off, unknown = _switched_off(graph, names, without)
    chosen = names.get(highlight or "")
    if highlight and chosen is None:
        unknown.append(highlight[:40])
    counts = {"sources": len(graph.sources), "findings": len(graph.bearings), "claims": len(graph.claims)}
    page: dict[str, Any] = {
        "counts": counts,
        "unknown": unknown,
        "highlight": highlight if chosen is not None else None,
        "choices": choices_of(graph, off),
        "without": off,
        "contested": contested_of(events, graph),
        "picture": Markup(""),
        "hypotheses": (),
        "chosen": None,
        "attribution": None,
        "what_if": None,
        "fragile": (),
        "missing": "the run weighed no hypotheses yet, so there is nothing to draw" if not graph.candidates else "",
    }
    if not graph.candidates:
        return page
    shown = graph.without(off) if off else graph
    asked = shown.find(chosen) if chosen in {c.id for c in graph.candidates} else shown.differential.top
    return page | {
        "picture": graph_picture(shown, chosen if _is_there(shown, chosen) else None),
        "hypotheses": [(element_id(h.id), h) for h in shown.differential.hypotheses[:12]],
        "chosen": asked,
        "attribution": _attribution(shown, asked),
        "what_if": what_if_rows(graph.what_if(off)) if off else None,
        "fragile": fragile_of(graph),
    }


def marks_of(graph: EvidenceGraph) -> dict[str, str]:
    """Return all nodes and documents of a graph by their marks."""
    documents = {source.document for source in graph.sources.values()}
    nodes = [*graph.sources, *graph.claims, *graph.readings, *(c.id for c in graph.candidates), *documents]
    return {mark_of(node): node for node in nodes}


def _switched_off(graph: EvidenceGraph, names: dict[str, str], without: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return what is meant by names of an address, and those that mean nothing here."""
    off, unknown = [], []
    documents = {source.document for source in graph.sources.values()}
    for given in dict.fromkeys(without):
        name = given if given in graph.sources else names.get(given, "")
        if name in graph.sources or name in documents:
            off.append(name)
        else:
            unknown.append(line(given, most=40))
    return off, unknown


def _is_there(graph: EvidenceGraph, name: str | None) -> bool:
    """Whether a node is still drawn, which may have been switched off."""
    return name is not None and (
        name in graph.sources
        or name in graph.claims
        or name in graph.readings
        or any(candidate.id == name for candidate in graph.candidates)
    )


def plain(svg: str) -> Markup:
    """Return a drawing of the evidence graph without styles of its own, which strict pages do not apply.

    The widths of its links stay, as attributes; the pages' stylesheet says the rest.
    """
    return Markup(visible(_STROKE.sub(r' stroke-width="\1"', _SHEET.sub("", svg))))


def graph_picture(graph: EvidenceGraph, highlight: str | None = None) -> Markup:
    """Draw the graph; where it is too large, only what the highlighted, or else the leading hypothesis, rests on."""
    what = scene(graph, highlight)
    if len(what.boxes) <= MOST_BOXES:
        return plain(drawing.svg(graph, highlight=highlight, width=WIDTH))
    top = graph.differential.top
    return _drawn(graph, _only(scene(graph, highlight or (top.id if top is not None else None))), WIDTH)


def claim_picture(graph: EvidenceGraph, claim: str) -> Markup:
    """Draw what a claim rests on: its sources, the findings read in them, and what those speak for or against."""
    if not graph.candidates:
        return Markup("")
    what = scene(graph)
    reached, links = {claim}, what.links
    for _ in range(3):
        reached |= {link.head for link in links if link.tail in reached and _leads_on(link.kind)}
    top = {h.id for h in graph.differential.hypotheses[:4]}
    kept = frozenset(b.id for b in what.boxes if b.id in reached and (b.column != Column.HYPOTHESES or b.id in top))
    # Several such pictures stand on one page, where an id may stand but once.
    return Markup(_NAMED.sub("", _drawn(graph, _only(replace(what, highlighted=kept)), SMALL_WIDTH)))


def _leads_on(kind: str) -> bool:
    return kind in ("cites", "reads", "denies", "supports", "contradicts")


def _only(what: Scene) -> Scene:
    """Leave out all that does not stand out."""
    boxes = tuple(box for box in what.boxes if box.id in what.highlighted)[:MOST_BOXES]
    names = {box.id for box in boxes}
    links = tuple(link for link in what.links if link.tail in names and link.head in names)
    return Scene(boxes=boxes, links=links, unshown=0, highlighted=frozenset(names))


def _drawn(graph: EvidenceGraph, what: Scene, width: float) -> Markup:
    if not what.boxes:
        return Markup("")
    return plain("\n".join(drawing._document(graph, what, layout(what, width))))


def _attribution(graph: EvidenceGraph, asked: Hypothesis | None) -> dict[str, Any] | None:
    """The log-odds of a hypothesis as a sum, drawn as bars that add up."""
    if asked is None:
        return None
    found = graph.attribution(asked.id)
    bars = [Bar("before any finding (prior)", found.prior, kind="pl-prior")]
    bars += [Bar(share.name, share.llr) for share in found.shares[:20]]
    left = sum(share.llr for share in found.shares[20:])
    if left:
        bars.append(Bar(f"{len(found.shares) - 20} weaker findings", left))
    bars += [Bar("what the evidence does for all others", found.rivals), Bar("log-odds", found.log_odds, kind="pl-sum")]
    return {
        "of": found,
        "bars": signed_bars(bars, title=f"What makes up the log-odds of {asked.name}", width=570, label=210),
    }


def what_if_rows(what_if: WhatIf) -> dict[str, Any]:
    """Return the hypotheses whose probability would differ, before and after, and whether another would lead."""
    return {
        "flips": what_if.flips,
        "rows": [(c.name, c.before, c.after) for c in what_if.changes if abs(c.after - c.before) >= MOVES][:10],
        "before": _leader(what_if.before),
        "after": _leader(what_if.after),
    }


def _leader(differential: Differential) -> Hypothesis | None:
    return differential.top


def fragile_of(graph: EvidenceGraph) -> list[tuple[str, Hypothesis, float]]:
    """Return the findings without which another diagnosis would lead: their names, which, and their reliability."""
    names = {bearing.code: bearing.name for bearing in graph.bearings}
    return [
        (line(", ".join(names[code] for code in found.codes)), found.without, found.reliability)
        for found in graph.fragilities()
    ]


def choices_of(graph: EvidenceGraph, off: Iterable[str]) -> list[Choice]:
    """Return the documents in the order in which they were read, with their sources."""
    gone = set(off)
    by_document: dict[str, list[Source]] = {}
    for source in graph.sources.values():
        by_document.setdefault(source.document, []).append(source)
    return [
        Choice(
            mark=mark_of(document),
            document=line(document, most=90),
            kind=sources[0].kind.value.replace("_", " "),
            sources=tuple(
                (s.id, line(s.title or s.document, most=70), line(s.text, most=140), s.id in gone) for s in sources
            ),
            is_off=document in gone,
        )
        for document, sources in by_document.items()
    ]
