"""From which original each source comes, so that a copy is never weighed as a second witness.

A sentence comes from its document, unless it is derived from something else: a quoted report, a note that was
copied forward. What copies itself in a circle is one original. Sources that are the same speak once.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import networkx as nx

from wardround.core.items import Provenance, ProvenanceItem
from wardround.core.source import Source


@dataclass(frozen=True)
class Origin:
    """Where one source comes from in the end."""

    roots: tuple[str, ...]
    """Documents, or originals that were never read themselves, in order of name; at least one."""
    limit: float
    """The most that it can be trusted: a copy is no more reliable than what it was copied from."""
    copied: bool
    """Whether it was derived from something else and not only stands in its document."""


class Origins:
    """The origin of every source, brought up to date for the parts that change.

    Sources and documents are nodes of one graph. An edge leads from what is derived to what it is derived from,
    both ways between what is the same, and from a sentence to its document. The roots are the sinks of its
    condensation, whose strongly connected components are circles of copies.
    """

    def __init__(self) -> None:
        self._sources: dict[str, Source] = {}
        self._inside: dict[str, set[str]] = defaultdict(set)
        self._derived: dict[str, set[str]] = defaultdict(set)
        self._same: dict[str, set[str]] = defaultdict(set)
        self._copies: dict[str, set[str]] = defaultdict(set)
        self._linked: set[str] = set()
        self._of: dict[str, Origin] = {}
        self._stale: set[str] = set()

    def __getitem__(self, source: str) -> Origin:
        found = self._of.get(source)
        if found is not None:
            return found
        alone = self._sources[source]
        return Origin((alone.document,), alone.reliability, copied=False)

    def add_source(self, source: Source) -> None:
        """Take in a source; `update` says what that changes."""
        self._sources[source.id] = source
        self._inside[source.document].add(source.id)
        if source.id in self._linked or source.document in self._linked:
            self._linked.add(source.id)
            self._stale.add(source.id)

    def add_edge(self, edge: ProvenanceItem) -> None:
        """Take in an edge between sources or documents; edges that mean no copy are left aside."""
        if edge.tail == edge.head:
            return
        if edge.kind is Provenance.DERIVED_FROM:
            self._derived[edge.tail].add(edge.head)
            self._copies[edge.head].add(edge.tail)
        elif edge.kind is Provenance.SAME_AS:
            self._same[edge.tail].add(edge.head)
            self._same[edge.head].add(edge.tail)
        else:
            return
        self._stale |= {edge.tail, edge.head}

    def update(self) -> set[str]:
        """Work out the origins that changed since the last call, and return the ids of their sources.

        Takes time proportional to the connected parts that were touched.
        """
        if not self._stale:
            return set()
        part = self._connected(self._stale)
        self._stale = set()
        self._linked |= part
        before = {node: self[node] for node in part if node in self._sources}
        self._of.update(self._origins(part))
        return {node for node, origin in before.items() if self._of[node] != origin}

    def descendants(self, names: Iterable[str]) -> set[str]:
        """Return the sources and documents that were derived from these, or are the same, these included."""
        return self._closure(
            names, lambda node: self._copies.get(node, set()) | self._same.get(node, set()) | self._contents(node)
        )

    def _contents(self, document: str) -> set[str]:
        return {source for source in self._inside.get(document, ()) if not self._derived.get(source)}

    def _connected(self, seeds: Iterable[str]) -> set[str]:
        return self._closure(
            seeds,
            lambda node: (
                self._derived.get(node, set())
                | self._copies.get(node, set())
                | self._same.get(node, set())
                | self._inside.get(node, set())
                | self._home(node)
            ),
        )

    @staticmethod
    def _closure(seeds: Iterable[str], neighbours: Callable[[str], set[str]]) -> set[str]:
        reached = set(seeds)
        waiting = list(reached)
        while waiting:
            new = neighbours(waiting.pop()) - reached
            reached |= new
            waiting.extend(new)
        return reached

    def _home(self, node: str) -> set[str]:
        source = self._sources.get(node)
        return {source.document} if source is not None else set()

    def _origins(self, part: set[str]) -> dict[str, Origin]:
        graph, condensed = self._condensed(part)
        limits: dict[int, float] = {}
        roots: dict[int, set[str]] = {}
        copied: dict[int, bool] = {}
        for circle in reversed(list(nx.topological_sort(condensed))):
            members = condensed.nodes[circle]["members"]
            onward = list(condensed.successors(circle))
            own = max((r for r in map(self._own, members) if r < math.inf), default=math.inf)
            limits[circle] = min(own, max((limits[c] for c in onward), default=math.inf))
            roots[circle] = set().union(*(roots[c] for c in onward)) if onward else {self._name(members)}
            copied[circle] = any(self._derived.get(m) for m in members) or any(copied[c] for c in onward)
        where = condensed.graph["mapping"]
        return {
            node: Origin(tuple(sorted(roots[where[node]])), limits[where[node]], copied[where[node]])
            for node in graph
            if node in self._sources
        }

    def _condensed(self, part: set[str]) -> tuple[nx.DiGraph[str], nx.DiGraph[int]]:
        """Condense the circles; a circle of sentences alone ends in the documents that they stand in."""
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from(sorted(part))
        for node in sorted(part):
            home = set() if self._derived.get(node) else self._home(node)
            heads = self._derived.get(node, set()) | self._same.get(node, set()) | home
            graph.add_edges_from((node, head) for head in sorted(heads) if head != node)
        while True:
            condensed: nx.DiGraph[int] = nx.condensation(graph)
            homes = [
                (member, home)
                for circle in condensed
                if condensed.out_degree(circle) == 0
                for member in condensed.nodes[circle]["members"]
                for home in self._home(member)
                if home not in condensed.nodes[circle]["members"]
            ]
            if not homes:
                return graph, condensed
            graph.add_edges_from(homes)

    def _own(self, node: str) -> float:
        """Reliability of a source, or of the best original sentence of a document; no limit where none was read."""
        if node in self._sources:
            return self._sources[node].reliability
        values = [self._sources[source].reliability for source in self._contents(node)]
        return max(values, default=math.inf)

    def _name(self, members: set[str]) -> str:
        documents = [member for member in members if member not in self._sources]
        return min(documents or members)
