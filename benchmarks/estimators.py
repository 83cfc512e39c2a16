"""Estimators of the uncertainty of answers, on synthetic worlds.

python benchmarks/estimators.py [--part correlation rho families adaptive auroc image] [--cases 20000] [--seed 0]
Prints one JSON document. The worlds are drawn from rules we chose: they compare rules, and say nothing about clinical
accuracy or about any model. Intervals are 95 %: Wilson for shares, DeLong for AUROC (ties count one half), normal for
means of paired differences.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wardround.core.estimators.adaptive import AdaptiveRollouts, leads
from wardround.core.estimators.combined import BSDetector, CoCoA
from wardround.core.estimators.correlation import (
    PRIOR_MEAN,
    Correlation,
    agent_weights,
    agreement_bound,
    answer_correlation,
    error_correlation,
)
from wardround.core.estimators.posterior import VotePosterior, Voters, effective_posterior, vote_posterior
from wardround.core.estimators.samples import Estimator, Perturbation, SampledAnswer, Samples
from wardround.core.estimators.stated import PTrue, StatedConfidence
from wardround.core.estimators.tokens import RaoBlackwellEntropy, TokenMeasure, TokenUncertainty
from wardround.core.estimators.vision import ImageReliance
from wardround.core.estimators.votes import SelfConsistency, VoteEntropy
from wardround.evals.statistics import proportion

Array = npt.NDArray[np.float64]
Votes = npt.NDArray[np.int64]

AGENTS, OPTIONS = 5, 4
_Z = 1.959963984540054


def auroc(score: Array, wrong: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """P(a wrong answer scores above a right one), ties one half, with DeLong's interval."""
    bad, good = score[wrong], score[~wrong]
    if not len(bad) or not len(good):
        return {"value": None, "n": len(score)}
    above = _midranks(np.concatenate([bad, good]))
    m, n = len(bad), len(good)
    by_bad = (above[:m] - _midranks(bad)) / n
    by_good = 1.0 - (above[m:] - _midranks(good)) / m
    value = float(by_bad.mean())
    half = _Z * math.sqrt(by_bad.var(ddof=1) / m + by_good.var(ddof=1) / n)
    return {"value": round(value, 4), "low": round(value - half, 4), "high": round(value + half, 4), "n": m + n}


def _midranks(values: Array) -> Array:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(count)
    ranks: Array = (ends - (count - 1) / 2.0)[place]
    return ranks


def mean(values: Array, digits: int = 4) -> dict[str, Any]:
    half = _Z * float(values.std(ddof=1)) / math.sqrt(len(values))
    centre = float(values.mean())
    return {"value": round(centre, digits), "low": round(centre - half, digits), "high": round(centre + half, digits)}


def correlated_votes(rng: np.random.Generator, cases: int, rho: float, agents: int = AGENTS) -> Votes:
    """Votes on questions whose answer is 0: P(right) per case ~ Beta(2, 1); each agent copies one draw with rho."""
    p = rng.beta(2.0, 1.0, cases)

    def draw(count: int) -> Votes:
        right = rng.random((cases, count)) < p[:, None]
        drawn: Votes = np.where(right, 0, rng.integers(1, OPTIONS, (cases, count)))
        return drawn

    own, common = draw(agents), draw(1)
    return np.where(rng.random((cases, agents)) < rho, common, own)


def tallies(votes: Votes) -> Votes:
    """How often each option was given, shape (n_cases, OPTIONS)."""
    counts: Votes = (votes[:, :, None] == np.arange(OPTIONS)).sum(axis=1)
    return counts


def leading(counts: Array | Votes, rng: np.random.Generator) -> Votes:
    """The leading option of each case, ties broken at random."""
    chosen: Votes = np.argmax(counts + 1e-9 * rng.random(counts.shape), axis=1)
    return chosen


def entropies(counts: Votes) -> Array:
    p = counts / counts.sum(axis=1, keepdims=True)
    result: Array = -(p * np.log(np.where(p > 0, p, 1.0))).sum(axis=1)
    return result


def correlation_part(cases: int, seed: int) -> dict[str, Any]:
    """The table of correlated agents, and what unanimity is worth by three readings of the votes."""
    rows = {}
    for rho in (0.0, 0.3, 0.6, 0.9):
        rng = np.random.default_rng([seed, int(rho * 10)])
        votes, calibration = correlated_votes(rng, cases, rho), correlated_votes(rng, 500, rho)
        counts = tallies(votes)
        chosen = leading(counts, rng)
        wrong = chosen != 0
        unanimous = counts.max(axis=1) == AGENTS
        rows[f"copies with probability {rho:g}"] = {
            "majority_accuracy": proportion(list(~wrong)).as_json(),
            "baseline_one_agent": proportion(list(votes[:, 0] == 0)).as_json(),
            "vote_entropy_auroc": auroc(entropies(counts).round(9), wrong),
            "unanimous": proportion(list(unanimous)).as_json(),
            "error_when_unanimous": proportion(list(wrong[unanimous])).as_json(),
            **readings(counts, chosen, unanimous, calibration, seed),
        }
    return rows


def readings(
    counts: Votes, chosen: Votes, unanimous: npt.NDArray[np.bool_], calibration: Votes, seed: int
) -> dict[str, Any]:
    """What the votes say by each reading, with accuracy and correlations from 500 labelled cases of their own."""
    accuracy = float((calibration == 0).mean())
    measured = answer_correlation(calibration, np.zeros(len(calibration), dtype=np.int64), options=OPTIONS, seed=seed)
    bound = agreement_bound(calibration, options=OPTIONS, accuracy=(0.6, 0.75), seed=seed)
    assert measured.alike is not None
    rho, most = measured.rho.value, bound.rho.value
    named = {
        "independent votes": by_tally(counts, chosen, urn(Voters(accuracy, 0.0, 0.0))),
        "effective number of votes": by_tally(counts, chosen, effective(accuracy, rho)),
        "one urn, alike tied to rho": by_tally(counts, chosen, urn(Voters(accuracy, rho, tied(accuracy, rho)))),
        "two urns": by_tally(counts, chosen, urn(Voters(accuracy, rho, measured.alike.value))),
        "two urns, rho bounded by agreement, accuracy .60 to .75": by_tally(
            counts, chosen, urn(Voters(0.675, most, most))
        ),
        "baseline: share of the votes": counts.max(axis=1) / AGENTS,
        "baseline: accuracy of the majority": np.full(
            len(counts), float((leading(tallies(calibration), np.random.default_rng(seed)) == 0).mean())
        ),
    }
    right = chosen == 0
    return {
        "from_500_labelled": {"rho": shown(measured.rho), "alike": shown(measured.alike)},
        "from_500_unlabelled": {"rho": shown(bound.rho)},
        "readings": {
            name: {
                "claimed_error_when_unanimous": round(float(1.0 - p[unanimous].mean()), 4),
                "brier": mean((p - right) ** 2),
                "log_loss": mean(-np.log(np.clip(np.where(right, p, 1.0 - p), 1e-12, 1.0))),
            }
            for name, p in named.items()
        },
    }


Reading = Callable[[dict[str, float]], dict[str, float]]


def urn(voters: Voters) -> Reading:
    return lambda votes: vote_posterior(votes, voters, options=OPTIONS)


def effective(accuracy: float, rho: float) -> Reading:
    return lambda votes: effective_posterior(votes, accuracy=accuracy, rho=rho, options=OPTIONS)


def tied(accuracy: float, rho: float) -> float:
    """The value of `alike` at which the two urns are one, Dirichlet over all options."""
    return 1.0 / (1.0 + (1.0 - rho) / max(rho, 1e-6) * (1.0 - accuracy))


def by_tally(counts: Votes, chosen: Votes, reading: Reading) -> Array:
    """Probability of the chosen answer; cases with the same tally share one computation."""
    own = np.take_along_axis(counts, chosen[:, None], axis=1)
    table, place = np.unique(np.hstack([own, np.sort(counts, axis=1)[:, ::-1]]), axis=0, return_inverse=True)
    found = []
    for mine, *tally in table.tolist():
        posterior = reading({str(k): float(n) for k, n in enumerate(tally) if n})
        found.append(posterior[str(tally.index(mine))])
    result: Array = np.array(found)[place.reshape(-1)]
    return result


def shown(found: Correlation) -> dict[str, Any]:
    ends = {"value": round(found.value, 3), "low": round(found.low, 3), "high": round(found.high, 3)}
    return ends | {"informative": found.informative}


def rho_part(seed: int, repetitions: int = 120) -> dict[str, Any]:
    """Error of the estimate of rho and coverage of its interval, by number of labelled cases."""
    rows = {}
    for copies in (0.0, 0.6, 0.9):
        truth = 0.25 + 0.75 * copies**2  # variance of Beta(2, 1) is 1/18, p(1-p) of its mean 2/9
        for n in (10, 30, 100):
            rng = np.random.default_rng([seed, n, int(copies * 10)])
            shrunk, raw, covered, width = [], [], [], []
            for repetition in range(repetitions):
                wrong = (correlated_votes(rng, n, copies) != 0).astype(np.float64)
                found = error_correlation(wrong, seed=repetition)
                shrunk.append(found.rho.value - truth)
                raw.append(pooled_correlation(wrong) - truth)
                covered.append(found.rho.low <= truth <= found.rho.high)
                width.append(found.rho.high - found.rho.low)
            rows[f"true rho {truth:.3f}, {n} cases"] = {
                "rmse": rmse(shrunk),
                "rmse_without_shrinkage": rmse(raw),
                "rmse_baseline_assumed": round(abs(PRIOR_MEAN - truth), 4),
                "interval_covers": proportion(covered).as_json(),
                "mean_width": round(float(np.mean(width)), 3),
            }
    return rows


def pooled_correlation(wrong: Array) -> float:
    """The estimate without shrinkage; 0 where nobody or everybody erred throughout."""
    covariance = np.cov(wrong.T, ddof=0)
    spread = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    off = ~np.eye(len(covariance), dtype=bool)
    return float(covariance[off].sum() / spread[off].sum()) if spread[off].sum() > 0 else 0.0


def rmse(errors: Sequence[float]) -> dict[str, Any]:
    squares = mean(np.square(np.array(errors)), 6)
    return {k: round(math.sqrt(max(0.0, v)), 4) for k, v in squares.items()} | {"n": len(errors)}


def families_part(cases: int, seed: int) -> dict[str, Any]:
    """Four copies of one model beside two that err apart: majority vote with and without weights."""
    rows = {}
    for copies in (0.6, 0.9):
        rng = np.random.default_rng([seed, 7, int(copies * 10)])
        alike = family_votes(rng, cases, copies)
        labelled = family_votes(rng, 300, copies)
        weights = np.array(agent_weights(error_correlation((labelled != 0).astype(np.float64), seed=seed)))
        plain = leading(tallies(alike), rng) == 0
        weighted = leading(((alike[:, :, None] == np.arange(OPTIONS)) * weights[:, None]).sum(axis=1), rng) == 0
        rows[f"copies with probability {copies:g}"] = {
            "weights": [round(float(w), 3) for w in weights],
            "majority": proportion(list(plain)).as_json(),
            "weighted": proportion(list(weighted)).as_json(),
            "baseline_one_agent": proportion(list(alike[:, 0] == 0)).as_json(),
            "difference": mean(weighted.astype(float) - plain.astype(float)) | {"n": cases},
        }
    return rows


def family_votes(rng: np.random.Generator, cases: int, copies: float) -> Votes:
    p = rng.beta(2.0, 1.0, cases)
    right = rng.random((cases, 7)) < p[:, None]
    drawn = np.where(right, 0, rng.integers(1, OPTIONS, (cases, 7)))
    copied = rng.random((cases, 4)) < copies
    return np.concatenate([np.where(copied, drawn[:, 6:], drawn[:, :4]), drawn[:, 4:6]], axis=1)


Rule = Callable[[list[int]], bool]
"""Whether to stop at a tally, most votes first; its sum is how many answers were asked for."""


class Walk:
    """Rollouts of each case one after another, and the tallies after each."""

    def __init__(self, votes: Votes) -> None:
        self.cases, self.most = votes.shape
        self.cumulative = (votes[:, :, None] == np.arange(OPTIONS)).cumsum(axis=1)

    def tally(self, calls: Votes) -> Votes:
        """How often each option was given in so many calls."""
        taken: Votes = np.take_along_axis(self.cumulative, (calls - 1)[:, None, None], axis=1)[:, 0]
        return taken

    def error(self, calls: Votes) -> Array:
        """Whether the leading answer after so many calls is wrong; ties count as a random choice among them."""
        tally = self.tally(calls)
        best = tally == tally.max(axis=1, keepdims=True)
        result: Array = 1.0 - best[:, 0] / best.sum(axis=1)
        return result

    def calls(self, rule: Rule) -> Votes:
        """How many rollouts a rule asks for."""
        calls = np.full(self.cases, self.most)
        for asked in range(self.most - 1, 0, -1):
            ranked = np.sort(self.cumulative[:, asked - 1], axis=1)[:, ::-1]
            table, place = np.unique(ranked, axis=0, return_inverse=True)
            stops = np.array([rule(tally) for tally in table.tolist()])
            calls[stops[place.reshape(-1)]] = asked
        return calls


Spent = tuple[float, Array]
"""Mean number of calls and error of each case."""


def cheapest(policies: Sequence[Spent], calls: float) -> Array:
    """Error of each case under the mix of two policies that spends so many calls on average and errs least."""
    mixes = [
        (1.0 - share) * one[1] + share * other[1]
        for one in policies
        for other in policies
        if one[0] <= calls <= other[0]
        for share in [(calls - one[0]) / (other[0] - one[0]) if other[0] > one[0] else 0.0]
    ]
    return min(mixes, key=lambda error: float(error.mean()))


def adaptive_part(cases: int, seed: int) -> dict[str, Any]:
    """Calls and errors of stopping rules, against the best mix of fixed numbers at the same mean number of calls."""
    rows = {}
    for copies in (0.0, 0.6):
        for most in (5, 9):
            rng = np.random.default_rng([seed, most, int(copies * 10)])
            walk = Walk(correlated_votes(rng, cases, copies, most))
            rows[f"copies with probability {copies:g}, at most {most}"] = stopping(walk)
    return rows


def stopping(walk: Walk) -> dict[str, Any]:
    fixed = [(float(r), walk.error(np.full(walk.cases, r))) for r in range(1, walk.most + 1)]
    first = "baseline: first two agree"
    rules: dict[str, Rule] = {first: lambda tally: tally[0] == sum(tally) == 2}
    for level in (0.8, 0.9, 0.95, 1.0):
        rules[f"urn {level:g}"] = urn_rule(walk.most, level)
        rules[f"beta {level:g}"] = beta_rule(walk.most, level)
    calls = {name: walk.calls(rule) for name, rule in rules.items()}
    urns = [*fixed, *((float(c.mean()), walk.error(c)) for name, c in calls.items() if name.startswith("urn"))]
    plain = walk.error(calls[first])
    return {
        "cases": walk.cases,
        "baseline: one rollout": mean(fixed[0][1]),
        "baseline: all rollouts": judged(walk, np.full(walk.cases, walk.most), fixed),
        **{name: judged(walk, asked, fixed) for name, asked in calls.items()},
        "urn minus first two agree, at its calls": mean(cheapest(urns, float(calls[first].mean())) - plain),
    }


def urn_rule(most: int, level: float) -> Rule:
    rule = AdaptiveRollouts(min=2, max=most, level=level)
    return lambda tally: rule.progress([str(k) for k, n in enumerate(tally) for _ in range(n)]).stop


def beta_rule(most: int, level: float) -> Rule:
    return lambda tally: sum(tally) > 1 and (leads(*tally[:2]) >= level or tally[0] - tally[1] > most - sum(tally))


def judged(walk: Walk, calls: Votes, fixed: Sequence[Spent]) -> dict[str, Any]:
    error, tally = walk.error(calls), walk.tally(calls)
    spread = entropies(tally) / np.log(np.maximum(calls, 2))
    chosen = leading(tally, np.random.default_rng(0))
    return {
        "mean_calls": mean(calls.astype(np.float64), 3),
        "error": mean(error),
        "error_minus_fixed_at_same_calls": mean(error - cheapest(fixed, float(calls.mean()))),
        "error_minus_all_rollouts": mean(error - fixed[-1][1]),
        "vote_entropy_auroc": auroc(spread.round(9), chosen != 0),
    }


WORLDS = {
    "well behaved": "tokens, p(True) and stated confidence follow the belief that answers are drawn from, with noise",
    "over-confident": "stated .80, .85, .90 or .95 and hardly related to belief; token probabilities sharpened",
    "confidently wrong": "as the first, but in a quarter of the cases belief in the truth and in an error are swapped",
    "agents that copy": "as the first, but each answer is a copy of one common draw with probability .6",
}


def estimators(voters: Voters) -> dict[str, Estimator]:
    """All that can be compared on text; `VotePosterior` with what was measured on cases of its own."""
    found: list[Estimator] = [
        VoteEntropy(),
        SelfConsistency(),
        RaoBlackwellEntropy(),
        StatedConfidence(),
        PTrue(),
        *(TokenUncertainty(measure) for measure in TokenMeasure),
        BSDetector(),
        CoCoA(),
        CoCoA(product="uncertainties"),
        VotePosterior(voters, voter="rollout"),
    ]
    return {e.name: e for e in found}


def auroc_part(cases: int, seed: int) -> dict[str, Any]:
    """AUROC of wrong against right for each estimator in each world; 5 answers, 4 options."""
    rows = {}
    for number, (world, what) in enumerate(WORLDS.items()):
        rng = np.random.default_rng([seed, 23, number])
        labelled = np.array([answered for answered, _ in worlds(rng, world, 500)])
        found = answer_correlation(labelled, np.zeros(len(labelled), dtype=np.int64), options=OPTIONS, seed=seed)
        assert found.alike is not None
        compared = estimators(Voters(float((labelled == 0).mean()), found.rho.value, found.alike.value))
        scores: dict[str, list[float]] = {name: [] for name in compared}
        wrong = []
        for _, samples in worlds(rng, world, cases):
            wrong.append(samples.answer != "0")
            for name, estimator in compared.items():
                estimate = estimator.estimate(samples)
                assert estimate is not None
                scores[name].append(round(estimate.value, 9))
        rows[world] = {"what": what, **ranked(scores, np.array(wrong), rng)}
    return rows


def ranked(scores: dict[str, list[float]], wrong: npt.NDArray[np.bool_], rng: np.random.Generator) -> dict[str, Any]:
    arrays = {name: np.array(values) for name, values in scores.items()}
    arrays["baseline: constant"] = np.zeros(len(wrong))
    arrays["baseline: random"] = rng.random(len(wrong))
    listed = {
        name: auroc(a, wrong) | {"distinct": len(np.unique(a)), "mean": round(float(a.mean()), 3)}
        for name, a in arrays.items()
    }
    by_order = arrays["vote_entropy"] + 1e-6 * wrong
    return {
        "error": proportion(list(wrong)).as_json(),
        "auroc": dict(sorted(listed.items(), key=lambda row: -row[1]["value"])),
        "trap: vote_entropy with ties broken in favour": auroc(by_order, wrong),
    }


def worlds(rng: np.random.Generator, world: str, cases: int) -> Any:
    """Yield the answers of a case and its samples; the truth is option 0."""
    for _ in range(cases):
        right = rng.beta(2.0, 1.0)
        belief = np.concatenate([[right], (1.0 - right) * rng.dirichlet(np.ones(OPTIONS - 1))])
        if world == "confidently wrong" and rng.random() < 0.25:
            belief[[0, 1]] = belief[[1, 0]]
        answers = rng.choice(OPTIONS, AGENTS, p=belief)
        if world == "agents that copy":
            answers = np.where(rng.random(AGENTS) < 0.6, rng.choice(OPTIONS, p=belief), answers)
        yield answers, sampled(rng, answers, belief, bold=world == "over-confident")


def sampled(rng: np.random.Generator, answers: Votes, belief: Array, *, bold: bool) -> Samples:
    sharpened = belief**3 / (belief**3).sum() if bold else belief
    counts = np.bincount(answers, minlength=OPTIONS)
    rows = []
    for rollout, option in enumerate(answers.tolist()):
        noisy = float(np.clip(belief[option] + rng.normal(0.0, 0.5 if bold else 0.15), 0.0, 1.0))
        stated = round((0.8 + 0.15 * noisy) * 20.0) / 20.0 if bold else round(noisy, 2)
        tokens = math.log(max(float(sharpened[option]), 1e-6)) * rng.dirichlet(np.ones(1 + rng.integers(1, 6)))
        first = np.exp(tokens)
        rows.append(
            SampledAnswer(
                agent="model",
                rollout=rollout,
                text=str(option),
                cluster=str(option),
                logprobs=tuple(float(t) for t in tokens),
                margins=tuple(float(max(0.0, 2.0 * p - 1.0)) for p in first),
                confidence=stated,
                p_true=float(np.clip(sharpened[option] + rng.normal(0.0, 0.15), 0.0, 1.0)),
            )
        )
    chosen = int(leading(counts[None], rng)[0])
    return Samples(answers=tuple(rows), answer=str(chosen), options=OPTIONS)


def image_part(cases: int, seed: int) -> dict[str, Any]:
    """Telling answers that did not come from the image from those that did, by answers with and without it."""
    rng = np.random.default_rng([seed, 31])
    rows = {}
    for blanks in (1, 3, 5):
        used = rng.random(cases) < 0.5
        reliance, moved = [], []
        for looks in used:
            prior = rng.dirichlet(np.full(OPTIONS, 0.5))
            seen = rng.dirichlet(np.full(OPTIONS, 0.5)) if looks else prior
            drawn = [*rng.choice(OPTIONS, AGENTS, p=seen), *rng.choice(OPTIONS, blanks, p=prior)]
            estimate = ImageReliance().estimate(with_and_without([int(d) for d in drawn]))
            assert estimate is not None
            reliance.append(round(estimate.value, 9))
            first, rest = np.bincount(drawn[:AGENTS]).argmax(), np.bincount(drawn[AGENTS:]).argmax()
            moved.append(float(first == rest))
        rows[f"{AGENTS} answers with the image, {blanks} without"] = {
            "image_reliance": auroc(np.array(reliance), ~used),
            "baseline: leading answer the same": auroc(np.array(moved), ~used),
            "baseline: random": auroc(rng.random(cases), ~used),
        }
    return rows


def with_and_without(drawn: list[int]) -> Samples:
    return Samples(
        answers=tuple(
            SampledAnswer(
                agent="model",
                rollout=rollout,
                text=str(option),
                cluster=str(option),
                perturbation=Perturbation.NONE if rollout < AGENTS else Perturbation.BLANK,
            )
            for rollout, option in enumerate(drawn)
        ),
        options=OPTIONS,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts: dict[str, Callable[[int, int], dict[str, Any]]] = {
        "correlation": correlation_part,
        "rho": lambda cases, seed: rho_part(seed),
        "families": families_part,
        "adaptive": adaptive_part,
        "auroc": lambda cases, seed: auroc_part(cases // 5, seed),
        "image": lambda cases, seed: image_part(cases // 5, seed),
    }
    parser.add_argument("--part", nargs="+", choices=parts, default=list(parts))
    parser.add_argument("--cases", type=int, default=20000, help="drawn for each world; a fifth for auroc and image")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    report: dict[str, Any] = {
        "what": "estimators of uncertainty on worlds drawn from rules; no evidence of clinical accuracy",
        "cases": arguments.cases,
        "seed": arguments.seed,
    }
    for part in arguments.part:
        report[part] = parts[part](arguments.cases, arguments.seed)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
