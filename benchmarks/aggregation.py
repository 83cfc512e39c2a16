"""Rules of aggregation compared on synthetic worlds, with intervals.

python benchmarks/aggregation.py [--cases 40000] [--draws 200] [--seed 0]
Prints one JSON document. The worlds are made up: they test rules under assumptions that we chose, and say nothing
about clinical accuracy. Intervals are 95 % percentile bootstrap over cases; adaptive ECE has 15 equal-mass bins.
Resampling raises an ECE, so for well calibrated rules its interval may lie above the value. The graph's rule is told
whether items are readings or observations, as its data tell it; the others have no place for that knowledge.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from wardround.core.evidence.aggregators import (
    LLR_OF_STRENGTH,
    Aggregator,
    DempsterShafer,
    DfQuad,
    EffectiveMean,
    Euler,
    Graph,
    Leaky,
    NaiveLogOdds,
    Prior,
    QuadraticEnergy,
    ReadingTree,
    SortedDiscount,
    Statements,
    SubjectiveLogic,
)
from wardround.core.finding import Finding
from wardround.core.graph import EvidenceGraph
from wardround.core.items import (
    Candidate,
    CandidatesItem,
    Provenance,
    ProvenanceItem,
    ReadingItem,
    SourceItem,
    WeightItem,
)
from wardround.core.source import Source, SourceKind
from wardround.core.weighing import Array

BINS = 15
RELIABILITIES = ((0.95, 0.7, 0.4, 0.15), (0.3, 0.3, 0.2, 0.2))
Truth = npt.NDArray[np.bool_]
World = tuple[Truth, Statements]
OTHERS: tuple[Aggregator, ...] = (DempsterShafer(), SubjectiveLogic(), DfQuad(), QuadraticEnergy(), Euler())


def own_information(n: int, rng: np.random.Generator, copying: float = 0.7) -> World:
    """Roots with 1, 3, 6 and 10 items; an item copies its root's observation with a probability, else has its own."""
    counts, prior, sensitivity, specificity = (1, 3, 6, 10), 0.2, 0.75, 0.80
    truth = rng.random(n) < prior
    root = np.repeat(np.arange(len(counts)), counts)
    chance = np.where(truth, sensitivity, 1 - specificity)[:, None]
    seen = rng.random((n, len(counts))) < chance
    present = np.where(rng.random((n, root.size)) < copying, seen[:, root], rng.random((n, root.size)) < chance)
    k = root.size
    return truth, Statements(
        prior=prior,
        present=present,
        sensitivity=np.full(k, sensitivity),
        specificity=np.full(k, specificity),
        reliability=np.ones((n, k)),
        root=root,
    )


def readings(
    n: int,
    rng: np.random.Generator,
    counts: Sequence[int] = (1, 2, 4, 8, 8),
    prior: float = 0.2,
    sensitivity: float = 0.75,
    specificity: float = 0.80,
) -> World:
    """Facts of a chart, each read so many times by readers of known reliability who know nothing else."""
    truth = rng.random(n) < prior
    root = np.repeat(np.arange(len(counts)), counts)
    fact = rng.random((n, len(counts))) < np.where(truth, sensitivity, 1 - specificity)[:, None]
    reliability = rng.choice(RELIABILITIES[0], p=RELIABILITIES[1], size=(n, root.size))
    faithful = rng.random((n, root.size)) < reliability
    present = np.where(faithful, fact[:, root], rng.random((n, root.size)) < 0.5)
    k = root.size
    return truth, Statements(
        prior=prior,
        present=present,
        sensitivity=np.full(k, sensitivity),
        specificity=np.full(k, specificity),
        reliability=reliability,
        root=root,
    )


def single_sources(n: int, rng: np.random.Generator) -> World:
    """Eight sources of mixed reliability, one reading each."""
    return readings(n, rng, counts=(1,) * 8, prior=0.15, sensitivity=0.85, specificity=0.85)


def nll(p: Array, truth: Truth) -> Array:
    clipped = np.clip(p, 1e-12, 1 - 1e-12)
    return -np.where(truth, np.log(clipped), np.log1p(-clipped))


def adaptive_ece(p: Array, truth: Truth) -> float:
    order = np.argsort(p, kind="stable")
    parts = [(part.size, abs(p[part].mean() - truth[part].mean())) for part in np.array_split(order, BINS)]
    return float(sum(size * gap for size, gap in parts) / p.size)


def auroc(p: Array, truth: Truth) -> float:
    """Tie-aware: mid-ranks."""
    _, inverse, counts = np.unique(p, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positives = int(truth.sum())
    return float((rank[truth].sum() - positives * (positives + 1) / 2) / (positives * (truth.size - positives)))


def scored(p: Array, truth: Truth, reference: Array, draws: int, seed: int) -> dict[str, Any]:
    """All figures of one rule; `nll_less_graph` is the paired difference to the graph's rule."""
    rng = np.random.default_rng(seed)
    loss, error = nll(p, truth), (p - truth) ** 2
    less = loss - nll(reference, truth)
    samples = [rng.integers(0, truth.size, truth.size) for _ in range(draws)]

    def figure(value: float, resampled: list[float]) -> dict[str, Any]:
        low, high = np.quantile(resampled, [0.025, 0.975])
        return {"value": round(value, 4), "interval": [round(float(low), 4), round(float(high), 4)]}

    return {
        "nll": figure(float(loss.mean()), [float(loss[s].mean()) for s in samples]),
        "nll_less_graph": figure(float(less.mean()), [float(less[s].mean()) for s in samples]),
        "brier": figure(float(error.mean()), [float(error[s].mean()) for s in samples]),
        "adaptive_ece": figure(adaptive_ece(p, truth), [adaptive_ece(p[s], truth[s]) for s in samples]),
        "auroc": round(auroc(p, truth), 4),
    }


def platt(p: Array, truth: Truth, count: int = 1000) -> Array:
    """Calibrate on the first so many cases: logit = a logit(p) + b, by Newton's method."""
    x = np.log(np.clip(p, 1e-9, 1 - 1e-9)) - np.log1p(-np.clip(p, 1e-9, 1 - 1e-9))
    design = np.stack([x, np.ones_like(x)], axis=1)
    weights = np.zeros(2)
    for _ in range(50):
        fitted = 1 / (1 + np.exp(-np.clip(design[:count] @ weights, -30, 30)))
        gradient = design[:count].T @ (fitted - truth[:count]) + 1e-3 * weights
        curvature = (design[:count].T * (fitted * (1 - fitted))) @ design[:count] + 1e-3 * np.eye(2)
        weights = weights - np.linalg.solve(curvature, gradient)
    return 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))


def table(beliefs: dict[str, Array], truth: Truth, graph: str, draws: int) -> dict[str, Any]:
    return {name: scored(p, truth, beliefs[graph], draws, seed=1) for name, p in beliefs.items()}


def of(rules: Sequence[Aggregator], statements: Statements) -> dict[str, Array]:
    return {rule.name: rule.belief(statements) for rule in rules}


def correlated(n: int, draws: int, rng: np.random.Generator) -> dict[str, Any]:
    truth, statements = own_information(n, rng)
    graph = Graph(readings=False)
    rules = (
        graph,
        Prior(),
        NaiveLogOdds(),
        EffectiveMean(0.5),
        EffectiveMean(0.9),
        EffectiveMean(1.0),
        SortedDiscount(0.3),
        SortedDiscount(0.9),
        Leaky((0.5, 0.7, 0.9)),
        *OTHERS,
    )
    beliefs = of(rules, statements)
    beliefs["exact Bayes (knows c = 0.7)"] = Leaky((0.7,)).belief(statements)
    # As readings the items are trusted as far as they copy.
    copied = replace(statements, reliability=np.full(statements.reliability.shape, 0.7))
    beliefs["tree of readings per root, r 0.7"] = ReadingTree().belief(copied)
    for name in ("naive log-odds", "DF-QuAD"):
        beliefs[f"{name} + Platt (1,000)"] = platt(beliefs[name], truth)
    return {"n": n, "rules": table(beliefs, truth, graph.name, draws)}


def copying_sweep(n: int, rng: np.random.Generator) -> dict[str, Any]:
    """NLL where the share that copies is another than was thought; no rule is told."""
    rules = (NaiveLogOdds(), SortedDiscount(0.5), ReadingTree(), Leaky((0.7,)), Leaky((0.5, 0.7, 0.9)))
    found: dict[str, Any] = {"n": n}
    for copying in (0.0, 0.3, 0.5, 0.7, 0.9, 1.0):
        truth, statements = own_information(n, rng, copying)
        found[f"c = {copying:g}"] = {name: mean_nll(p, truth) for name, p in of(rules, statements).items()}
    return found


def mean_nll(p: Array, truth: Truth) -> dict[str, Any]:
    loss = nll(p, truth)
    half = 1.96 * float(loss.std()) / np.sqrt(loss.size)
    return {"nll": round(float(loss.mean()), 4), "interval": [round(float(loss.mean()) + s * half, 4) for s in (-1, 1)]}


def citations(n: int, draws: int, rng: np.random.Generator) -> dict[str, Any]:
    truth, statements = readings(n, rng)
    graph = Graph(readings=True)
    rules = (graph, Prior(), NaiveLogOdds(), EffectiveMean(0.5), SortedDiscount(0.5), Leaky((0.5, 0.7, 0.9)), *OTHERS)
    beliefs = of(rules, statements)
    misjudged = np.clip(statements.reliability + rng.normal(0, 0.15, statements.reliability.shape), 0.01, 0.98)
    beliefs["evidence graph, reliabilities misjudged by sd 0.15"] = graph.belief(
        replace(statements, reliability=misjudged)
    )
    return {"n": n, "rules": table(beliefs, truth, graph.name, draws)}


def reliabilities(n: int, draws: int, rng: np.random.Generator) -> dict[str, Any]:
    truth, statements = single_sources(n, rng)
    r = statements.reliability
    graph = Graph(readings=True)
    sure = replace(statements, reliability=np.ones_like(r))
    full = sure.ratios()
    start = float(np.log(statements.prior) - np.log1p(-statements.prior))

    def summed(ratios: Array) -> Array:
        return 1 / (1 + np.exp(-(start + ratios.sum(axis=1))))

    beliefs = {
        graph.name: graph.belief(statements),
        "prior": Prior().belief(statements),
        "linear r * LLR": summed(r * full),
        "r^2 * LLR": summed(r**2 * full),
        "r < 0.5 dropped": summed(np.where(r < 0.5, 0.0, full)),
        "mixture with r = 0.8 for all": graph.belief(replace(statements, reliability=np.full_like(r, 0.8))),
        "reliability ignored": summed(full),
        **of(OTHERS, statements),
        "DF-QuAD with base score r": by_base_score(statements),
    }
    return {"n": n, "rules": table(beliefs, truth, graph.name, draws)}


def by_base_score(statements: Statements) -> Array:
    """DF-QuAD where each source supports or attacks with its reliability."""
    r, present = statements.reliability, statements.present
    against = np.prod(np.where(present, 1.0, 1 - r), axis=1)
    difference = against - np.prod(np.where(present, 1 - r, 1.0), axis=1)
    w = statements.prior
    return np.where(difference >= 0, w + (1 - w) * difference, w + w * difference)


def stated(prior: float, strengths: Array, root: npt.NDArray[np.int64]) -> Statements:
    """Statements whose log likelihood ratio is so many times LLR_OF_STRENGTH, negative ones against."""
    rare = 0.04
    common = rare * np.exp(LLR_OF_STRENGTH * np.abs(strengths))
    for_ = strengths >= 0
    return Statements(
        prior=prior,
        present=for_[None],
        sensitivity=np.where(for_, common, 1 - rare),
        specificity=np.where(for_, 1 - rare, common),
        reliability=np.ones((1, strengths.size)),
        root=root,
    )


ALL: tuple[Aggregator, ...] = (NaiveLogOdds(), EffectiveMean(0.5), Graph(readings=False), Graph(readings=True), *OTHERS)


def double_counting() -> dict[str, Any]:
    """The same weak supporter (strength 0.4, prior 0.1) repeated, told to be copies of one root."""
    found: dict[str, Any] = {}
    for rule in (*ALL, SortedDiscount(1.0)):
        copies = {n: stated(0.1, np.full(n, 0.4), np.zeros(n, dtype=np.int64)) for n in (1, 5, 20)}
        found[rule.name] = {str(n): round(float(rule.belief(s)[0]), 3) for n, s in copies.items()}
    found["evidence graph, copies known by provenance"] = {str(n): round(with_provenance(n), 3) for n in (1, 5, 20)}
    return found


def with_provenance(copies: int) -> float:
    """The real graph: one report, quoted so many times, each quote said to be derived from it."""
    weight = WeightItem(kind="supports", code="f", hypothesis="h", ratio=float(np.exp(0.4 * LLR_OF_STRENGTH)))
    candidates = (Candidate(id="h", name="h", prior=0.1), Candidate(id="g", name="g", prior=0.85))
    sources = [Source(kind=SourceKind.LAB, text="f", document=f"document {n}") for n in range(copies)]
    graph = EvidenceGraph(
        [
            CandidatesItem(candidates=candidates),
            weight,
            *(SourceItem(source=source) for source in sources),
            *(ReadingItem(finding=Finding(code="f", source=source.id)) for source in sources),
            *(
                ProvenanceItem(kind=Provenance.DERIVED_FROM, tail=source.id, head=sources[0].id)
                for source in sources[1:]
            ),
        ]
    )
    return float(graph.posterior[0])


def saturation() -> dict[str, Any]:
    """Prior 0.3, a supporter of strength 1 against three independent attackers of 0.95."""
    statements = stated(0.3, np.array([1.0, -0.95, -0.95, -0.95]), np.arange(4))
    return {rule.name: round(float(rule.belief(statements)[0]), 4) for rule in ALL}


def as_readings(statements: Statements) -> Statements:
    """The same items as readings of one finding at each root, as reliable as they were strong."""
    supports, attacks = statements.strengths()
    alike = np.ones(statements.root.size)
    return replace(statements, sensitivity=0.75 * alike, specificity=0.8 * alike, reliability=supports + attacks)


def monotonicity(trials: int, rng: np.random.Generator) -> dict[str, Any]:
    """How often one more supporter of a random case lowers belief, or one more attacker raises it."""
    violations: dict[str, int] = {rule.name: 0 for rule in ALL}
    for _ in range(trials):
        count = int(rng.integers(1, 9))
        strengths = rng.uniform(-1, 1, count)
        root = rng.integers(0, 3, count + 1)
        more = float(rng.uniform(-1, 1))
        prior = float(rng.uniform(0.02, 0.98))
        before, after = stated(prior, strengths, root[:-1]), stated(prior, np.append(strengths, more), root)
        for rule in ALL:
            one, other = (as_readings(s) if rule == Graph(readings=True) else s for s in (before, after))
            moved = float(rule.belief(other)[0] - rule.belief(one)[0])
            violations[rule.name] += int(moved * np.sign(more) < -1e-9)
    return {"trials": trials, "violations": violations}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=40_000)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    n, draws = arguments.cases, arguments.draws
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "own_information": lambda: correlated(n, draws, rng),
        "own_information_by_share_copied": lambda: copying_sweep(n // 2, rng),
        "readings": lambda: citations(n, draws, rng),
        "reliability": lambda: reliabilities(n * 3 // 2, draws, rng),
        "double_counting": double_counting,
        "saturation": saturation,
        "monotonicity": lambda: monotonicity(4_000, rng),
    }
    report = {
        "what": "synthetic worlds; they test rules and say nothing about clinical accuracy",
        "seed": arguments.seed,
    }
    print(json.dumps({**report, **{name: part() for name, part in parts.items()}}, indent=2))


if __name__ == "__main__":
    main()
