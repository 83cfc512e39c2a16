"""How often the promises of the decision layer are broken, on synthetic worlds where the truth is known.

python benchmarks/certificates.py [--draws 200] [--rules]
Prints one JSON document. The worlds test the rules; they say nothing about clinical accuracy.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.special

from wardround.core.calibration.sets import POOLED
from wardround.evals.calibrating.conforming import conform, control_risk
from wardround.evals.calibrating.thresholds import FIRST, STEPS, certify, cuts, naive, tail
from wardround.evals.statistics import Array, bootstrapped, proportion


@dataclass(frozen=True)
class World:
    """Confidences from Beta(a, b); an answer is right with the probability of its confidence."""

    a: float
    b: float

    def draw(self, rng: np.random.Generator, n: int) -> tuple[Array, Array]:
        """Return confidences and outcomes."""
        confidence = rng.beta(self.a, self.b, n)
        return confidence, (rng.random(n) < confidence).astype(float)

    def coverage(self, threshold: float) -> float:
        """Share of the cases above a threshold."""
        return float(1.0 - scipy.special.betainc(self.a, self.b, threshold))

    def risk(self, threshold: float) -> float:
        """Exact error rate above a threshold."""
        mean = self.a / (self.a + self.b)
        right = mean * (1.0 - scipy.special.betainc(self.a + 1.0, self.b, threshold))
        covered = self.coverage(threshold)
        return float(1.0 - right / covered) if covered > 0.0 else 0.0

    def oracle(self, alpha: float) -> float:
        """Largest coverage at which the risk is at most alpha."""
        grid = np.linspace(0.0, 0.999, 2000)
        return max((self.coverage(t) for t in grid if self.risk(t) <= alpha), default=0.0)


WORLDS = {"error 11.8 %": World(6.0, 0.8), "error 28.6 %": World(5.0, 2.0)}


def mean(values: list[float]) -> dict[str, Any]:
    array = np.array(values)
    return bootstrapped(lambda x, _: float(x.mean()), array, array).as_json()


def scored(world: World, alpha: float, chosen: list[float | None]) -> dict[str, Any]:
    risks = [world.risk(t) if t is not None else 0.0 for t in chosen]
    return {
        "broken": proportion([risk > alpha for risk in risks]).as_json(),
        "coverage": mean([world.coverage(t) if t is not None else 0.0 for t in chosen]),
        "nothing_certified": proportion([t is None for t in chosen]).as_json(),
    }


def answering(draws: int, world: World, alpha: float, n: int) -> dict[str, Any]:
    rng = np.random.default_rng(n)
    certified: list[float | None] = []
    looked: list[float | None] = []
    for _ in range(draws):
        confidence, outcome = world.draw(rng, n)
        certified.append(certify(confidence, outcome, alpha=alpha).value)
        cut = naive(confidence, outcome, alpha=alpha)
        looked.append(cut.value if cut is not None else None)
    return {
        "alpha": alpha,
        "n": n,
        "oracle_coverage": round(world.oracle(alpha), 3),
        "fixed_sequence": scored(world, alpha, certified),
        "baseline_looks_low_enough": scored(world, alpha, looked),
        "baseline_answer_all_risk": round(world.risk(0.0), 3),
    }


def bonferroni(confidence: Array, outcome: Array, alpha: float, first: int, steps: int) -> float | None:
    tried = cuts(confidence, outcome, first=first, steps=steps)
    kept = [cut for cut in tried if tail(cut.errors, cut.accepted, alpha) <= 0.10 / steps]
    return kept[-1].value if kept else None


def rules(draws: int) -> list[dict[str, Any]]:
    """Other procedures and starts on the same draws."""
    rows = []
    for name, n, alpha in (
        ("error 11.8 %", 200, 0.1),
        ("error 11.8 %", 500, 0.05),
        ("error 28.6 %", 600, 0.1),
        ("error 28.6 %", 2000, 0.1),
    ):
        world = WORLDS[name]
        for first, steps in ((30, 25), (40, 25), (60, 10), (60, 25), (60, 100), (100, 25)):
            rng = np.random.default_rng(7)
            drawn = [world.draw(rng, n) for _ in range(draws)]
            sequence = [certify(c, y, alpha=alpha, first=first, steps=steps).value for c, y in drawn]
            several = [bonferroni(c, y, alpha, first, steps) for c, y in drawn]
            rows.append(
                {
                    "world": name,
                    "n": n,
                    "alpha": alpha,
                    "first": first,
                    "steps": steps,
                    "fixed_sequence": scored(world, alpha, sequence),
                    "bonferroni": scored(world, alpha, several),
                }
            )
    return rows


def specialties(rng: np.random.Generator, n: int) -> tuple[Array, list[str]]:
    """Probability of the right class by specialty: two large ones of which one is easy, six small, hard ones."""
    names = rng.choice(["easy", "middling", *(f"small {i}" for i in range(6))], n, p=[0.5, 0.26, *[0.04] * 6])
    right = np.where(
        names == "easy", rng.beta(8, 1, n), np.where(names == "middling", rng.beta(3, 2, n), rng.beta(1.2, 3, n))
    )
    return right, names.tolist()


def sets(draws: int, n: int = 500, fresh: int = 4000) -> dict[str, Any]:
    """Coverage in the small specialties: pooled among themselves, or with the quantile of all cases."""
    rng = np.random.default_rng(11)
    pooled: list[float] = []
    everyone: list[float] = []
    marginal: list[float] = []
    for _ in range(draws):
        right, names = specialties(rng, n)
        fitted, flat = conform(right, names), conform(right, [POOLED] * n)
        tested, where = specialties(rng, fresh)
        hit = np.array([p >= fitted.threshold(s) for p, s in zip(tested, where, strict=True)])
        small = np.array([s.startswith("small") for s in where])
        pooled.append(float(hit[small].mean()))
        marginal.append(float(hit.mean()))
        everyone.append(float((tested >= flat.threshold(POOLED))[small].mean()))
    return {
        "target": 0.9,
        "n": n,
        "all_cases": mean(marginal),
        "small_specialties_pooled": mean(pooled),
        "baseline_one_quantile_for_all": mean(everyone),
    }


def omissions(draws: int, n: int = 300, fresh: int = 4000) -> dict[str, Any]:
    """Mean severity of omitted right diagnoses, a quarter of them dangerous."""
    rng = np.random.default_rng(13)

    def draw(count: int) -> tuple[Array, Array]:
        return rng.beta(1.5, 1.5, count), np.where(rng.random(count) < 0.25, 1.0, 0.1)

    held: list[float] = []
    looked: list[float] = []
    for _ in range(draws):
        right, severity = draw(n)
        tested, cost = draw(fresh)
        threshold = control_risk(right, severity).threshold or 0.0
        held.append(float(np.mean(cost * (tested < threshold))))
        order = np.sort(right)
        low = max(t for t in order if np.mean(severity * (right < t)) <= 0.05)
        looked.append(float(np.mean(cost * (tested < low))))
    return {"target": 0.05, "n": n, "risk_control": mean(held), "baseline_looks_low_enough": mean(looked)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--rules", action="store_true", help="other starts, steps and procedures as well")
    arguments = parser.parse_args()
    report: dict[str, Any] = {
        "what": "synthetic worlds with known truth: they test rules and say nothing about clinical accuracy",
        "draws": arguments.draws,
        "delta": 0.1,
        "first": FIRST,
        "steps": STEPS,
        "answering": {
            name: [
                answering(arguments.draws, world, alpha, n) for alpha in (0.10, 0.05) for n in (200, 500, 1000, 2000)
            ]
            for name, world in WORLDS.items()
        },
        "sets": sets(arguments.draws),
        "omissions": omissions(arguments.draws),
    }
    if arguments.rules:
        report["rules"] = rules(arguments.draws)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
