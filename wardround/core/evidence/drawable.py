"""The evidence graph as a networkx graph: weight edges and provenance edges told apart."""

from __future__ import annotations

import networkx as nx
import numpy as np

from wardround.core.evidence.weighed import WeighedItems
from wardround.core.items import Provenance

WEIGHT_KINDS = frozenset({"supports", "contradicts"})
"""Kinds of edges that carry weight; all others say where something comes from."""


def as_networkx(items: WeighedItems) -> nx.MultiDiGraph[str]:
    """Return nodes with `kind` and `label`, edges with `kind` and, where they carry weight, `llr` and `group`.

    Nodes are sources, observations, hypotheses that something bears on, claims, and what is only spoken of: kind
    `document` for a document that sources come from, `unknown` for what a claim cites and nobody has read. Edges
    are `reads` from a source to an observation, `supports` and `contradicts`, and the kinds of `Provenance`.
    """
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    for source in items.sources.values():
        graph.add_node(
            source.id,
            kind="source",
            label=source.title or source.text,
            text=source.text,
            document=source.document,
            source_kind=source.kind.value,
            reliability=source.reliability,
        )
    _add_observations(graph, items)
    for claim in items.claims.values():
        graph.add_node(claim.id, kind="claim", label=claim.text, agent=claim.agent)
        if claim.id in items.verdicts:
            graph.nodes[claim.id]["verdict"] = items.verdicts[claim.id].label.value
        for cited in claim.cites:
            _add_mention(graph, items, cited)
            graph.add_edge(claim.id, cited, kind=Provenance.CITES.value)
    for edge in items.provenance:
        _add_mention(graph, items, edge.tail)
        _add_mention(graph, items, edge.head)
        graph.add_edge(edge.tail, edge.head, kind=edge.kind.value)
    return graph


def _add_observations(graph: nx.MultiDiGraph[str], items: WeighedItems) -> None:
    for i, bearing in enumerate(items.bearings):
        graph.add_node(bearing.code, kind="observation", label=bearing.name, group=bearing.group)
        for finding in items.readings[bearing.code]:
            graph.add_edge(finding.source or "", bearing.code, kind="reads", assertion=finding.assertion.value)
        if not items.candidates:
            continue
        ratios = items.weighed.ratios[i]
        for j in np.flatnonzero(np.abs(ratios) > 1e-9):
            candidate, llr = items.candidates[j], float(ratios[j])
            p = float(items.posterior[j])
            graph.add_node(candidate.id, kind="hypothesis", label=candidate.name, probability=p)
            kind = "supports" if llr > 0 else "contradicts"
            graph.add_edge(bearing.code, candidate.id, kind=kind, llr=llr, group=bearing.group)


def _add_mention(graph: nx.MultiDiGraph[str], items: WeighedItems, name: str) -> None:
    if name not in graph:
        documents = {source.document for source in items.sources.values()}
        graph.add_node(name, kind="document" if name in documents else "unknown", label=name)
