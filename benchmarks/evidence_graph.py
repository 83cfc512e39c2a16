"""How long the evidence graph takes: over the number of weight edges, and for one more reading.

python benchmarks/evidence_graph.py [--edges 10000 100000 300000] [--repeat 7]
Prints one JSON document. The same posterior is worked out by a plain loop over the edges and by a loop over the
edges of the networkx graph, in the same run; ratios are medians over pairs of runs, with a bootstrap interval.

`from_items` is `EvidenceGraph(items).posterior` of items that were just constructed and of which nothing was asked;
`from_read_items` the same of items just read from plain values, whose sources have no ids yet. `construction` is what
pydantic takes to make those items from plain values, which is in neither. A full collection of Python's garbage
collector, which the many objects of items make long, falls into whichever is running when it is due.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import networkx as nx
import numpy as np

from wardround.core.evidence.sparse import net_evidence
from wardround.core.finding import Finding
from wardround.core.graph import EvidenceGraph
from wardround.core.items import ITEM, BearingItem, Candidate, CandidatesItem, Item, ReadingItem, SourceItem
from wardround.core.source import Source, SourceKind
from wardround.core.weighing import MAX_GROUP_LLR, RHO, posterior, weigh

HYPOTHESES = 50
GROUP = 4
"""Observations of one group."""
OTHER = 0.05


def world(edges: int, seed: int = 0) -> list[Item]:
    """Items whose graph has so many weight edges, each observation bearing on a fifth of the hypotheses."""
    rng = np.random.default_rng(seed)
    per = HYPOTHESES // 5
    candidates = tuple(
        Candidate(id=f"h{j:02}", name=f"H{j}", prior=(1 - OTHER) / HYPOTHESES) for j in range(HYPOTHESES)
    )
    items: list[Item] = [CandidatesItem(candidates=candidates)]
    for i in range(edges // per):
        chosen = rng.choice(HYPOTHESES, per, replace=False)
        # Kept small, so that the posterior of a large graph is not simply 1.
        present = {f"h{j:02}": float(p) for j, p in zip(chosen, rng.uniform(0.28, 0.32, per), strict=True)}
        items.append(
            BearingItem(code=f"f{i:06}", name=f"f{i}", group=f"g{i // GROUP:05}", background=0.3, present=present)
        )
        items += reading(f"f{i:06}", "note", float(rng.uniform(0.5, 0.95)))
    return items


def reading(code: str, document: str, reliability: float) -> list[Item]:
    source = Source(kind=SourceKind.CLINICIAN_NOTE, text=code, document=f"{document} {code}", reliability=reliability)
    return [SourceItem(source=source), ReadingItem(finding=Finding(code=code, source=source.id))]


def discounted(ratios: list[float]) -> float:
    total = 0.0
    for sign in (1.0, -1.0):
        before = 0.0
        for i, ratio in enumerate(sorted((sign * r for r in ratios if sign * r > 0), reverse=True), start=1):
            effective = i / (1.0 + (i - 1) * RHO)
            total += sign * ratio * (effective - before)
            before = effective
    return max(-MAX_GROUP_LLR, min(MAX_GROUP_LLR, total))


def normalised(prior: dict[str, float], terms: dict[str, float]) -> dict[str, float]:
    score = {h: math.log(p) + terms.get(h, 0.0) for h, p in prior.items()} | {"": math.log(OTHER)}
    top = max(score.values())
    raw = {h: math.exp(s - top) for h, s in score.items()}
    total = math.fsum(raw.values())
    return {h: value / total for h, value in raw.items()}


Observation = tuple[float, float, str, dict[str, float]]
"""Reading, background, group, likelihoods by hypothesis."""


def by_loop(observations: list[Observation], prior: dict[str, float]) -> dict[str, float]:
    """The posterior from observations, one edge at a time."""
    groups: dict[tuple[str, str], list[float]] = defaultdict(list)
    for weight, background, group, present in observations:
        believed = math.exp(weight)
        below = believed * background + 1.0 - background
        for hypothesis, p in present.items():
            groups[group, hypothesis].append(math.log((believed * p + 1.0 - p) / below))
    terms: dict[str, float] = defaultdict(float)
    for (_, hypothesis), ratios in groups.items():
        terms[hypothesis] += discounted(ratios)
    return normalised(prior, terms)


def by_networkx(graph: nx.MultiDiGraph[str], prior: dict[str, float]) -> dict[str, float]:
    """The posterior from a networkx graph that already holds the ratio of every edge."""
    groups: dict[tuple[str, str], list[float]] = defaultdict(list)
    for _, hypothesis, data in graph.edges(data=True):
        if data["kind"] in ("supports", "contradicts"):
            groups[data["group"], hypothesis].append(data["llr"])
    terms: dict[str, float] = defaultdict(float)
    for (_, hypothesis), ratios in groups.items():
        terms[hypothesis] += discounted(ratios)
    return normalised(prior, terms)


def seconds(act: Callable[[], Any]) -> float:
    """Processor time, so that what else the machine does counts less."""
    start = time.process_time()
    act()
    return time.process_time() - start


def edge_arrays(graph: EvidenceGraph) -> Callable[[], Any]:
    """The posterior from one array entry per weight edge."""
    evidence, order = graph.evidence, {c.id: j for j, c in enumerate(graph.candidates)}
    counts = [len(b.present) for b in graph.bearings]
    arrays = (
        np.repeat(evidence.reading, counts),
        np.array([p for b in graph.bearings for p in b.present.values()]),
        np.repeat(evidence.background, counts),
        np.repeat(evidence.group, counts),
        np.array([order[h] for b in graph.bearings for h in b.present]),
    )
    return lambda: posterior(evidence.prior, net_evidence(*arrays, len(order))[None])


def fresh(items: list[Item]) -> list[Item]:
    """The same items made anew, whose sources are named and nothing else."""
    made = [ITEM.validate_python(item.model_dump()) for item in items]
    for item in made:
        if isinstance(item, SourceItem):
            _ = item.source.id
    return made


def from_items(times: dict[str, list[float]], items: list[Item]) -> None:
    """Time how long graphs take that are built from items in one go."""
    plain = [item.model_dump() for item in items]
    named = fresh(items)
    times["from_items"].append(seconds(lambda: EvidenceGraph(named).posterior))
    read: list[Item] = []
    times["construction"].append(seconds(lambda: read.extend(ITEM.validate_python(item) for item in plain)))
    times["from_read_items"].append(seconds(lambda: EvidenceGraph(read).posterior))


def interval(values: list[float]) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    drawn = np.median(rng.choice(values, (2000, len(values))), axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {
        "median": round(float(np.median(values)), 4),
        "interval": [round(float(low), 4), round(float(high), 4)],
        "n": len(values),
    }


def measure(edges: int, repeat: int) -> dict[str, Any]:
    items = world(edges)
    graph = EvidenceGraph(items)
    evidence = graph.evidence
    prior = {c.id: c.prior for c in graph.candidates}
    known = zip(evidence.reading, graph.bearings, strict=True)
    observations = [(float(r), b.background, b.group, dict(b.present)) for r, b in known]
    drawn = graph.to_networkx()
    edges_only = edge_arrays(graph)
    times: dict[str, list[float]] = defaultdict(list)
    for n in range(repeat):
        one = reading(f"f{n:06}", "letter", 0.9)
        grown = graph.with_items(reading(f"f{n:06}", "fax", 0.8))
        _ = grown.posterior
        times["one_more_reading"].append(seconds(lambda g=grown, i=one: g.with_items(i).posterior))  # type: ignore[misc]
        graph = grown
        times["dense_arrays"].append(seconds(lambda: weigh(evidence)))
        times["edge_arrays"].append(seconds(edges_only))
        from_items(times, items)
        times["plain_loop"].append(seconds(lambda: by_loop(observations, prior)))
        times["networkx_loop"].append(seconds(lambda: by_networkx(drawn, prior)))
    ours = EvidenceGraph(items).posterior
    differs = {"edge_arrays": float(np.abs(edges_only() - ours).max())}
    for name, p in (("plain_loop", by_loop(observations, prior)), ("networkx_loop", by_networkx(drawn, prior))):
        differs[name] = max(abs(p[h] - float(ours[j])) for j, h in enumerate(prior))
    return {
        "edges": drawn.number_of_edges() - len(graph.bearings),
        "milliseconds": {name: interval([1000 * v for v in values]) for name, values in times.items()},
        "from_items_to_plain_loop": interval(paired(times, "from_items", "plain_loop")),
        "edge_arrays_to_plain_loop": interval(paired(times, "edge_arrays", "plain_loop")),
        "edge_arrays_to_networkx_loop": interval(paired(times, "edge_arrays", "networkx_loop")),
        "one_more_reading_to_from_items": interval(paired(times, "one_more_reading", "from_items")),
        "largest_difference_of_a_probability": differs,
    }


def paired(times: dict[str, list[float]], one: str, other: str) -> list[float]:
    return [a / b for a, b in zip(times[one], times[other], strict=True)]


def exponent(rows: list[dict[str, Any]], name: str) -> float:
    """Slope of log time over log edges: 1 is linear."""
    x = np.log([row["edges"] for row in rows])
    y = np.log([row["milliseconds"][name]["median"] for row in rows])
    return round(float(np.polyfit(x, y, 1)[0]), 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edges", type=int, nargs="+", default=[10_000, 30_000, 100_000, 300_000])
    parser.add_argument("--repeat", type=int, default=7)
    arguments = parser.parse_args()
    rows = [measure(edges, arguments.repeat) for edges in arguments.edges]
    report = {
        "what": f"posterior over {HYPOTHESES} hypotheses, groups of {GROUP}, one reading an observation",
        "sizes": rows,
        "exponent": {name: exponent(rows, name) for name in rows[0]["milliseconds"]} if len(rows) > 1 else None,
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
