"""Samples of answers for the laws of the estimators."""

from collections.abc import Mapping

from hypothesis import strategies as st

from wardround.core.estimators.clustering import BidirectionalEntailment, Inference, NonContradiction
from wardround.core.estimators.combined import BSDetector, CoCoA
from wardround.core.estimators.ensemble import EnsembleDisagreement
from wardround.core.estimators.posterior import VotePosterior, Voters
from wardround.core.estimators.samples import Estimator, Perturbation, SampledAnswer, Samples
from wardround.core.estimators.stated import PTrue, StatedConfidence
from wardround.core.estimators.tokens import RaoBlackwellEntropy, TokenMeasure, TokenUncertainty
from wardround.core.estimators.vision import ImageReliance, PairedPerturbation
from wardround.core.estimators.votes import AgentConsistency, SelfConsistency, SemanticEntropy, VoteEntropy

CLUSTERS = "abcd"
UNIT = st.floats(0.0, 1.0)
LOGPROBS = st.lists(st.floats(-30.0, 0.0), min_size=1, max_size=3).map(tuple)


class WordsEntail:
    """An entailment model that depends on the two texts alone, and not in the same way both ways round."""

    def infer(self, premise: str, hypothesis: str) -> Inference:
        entailed = (sum(map(ord, premise)) * 7 + sum(map(ord, hypothesis)) * 3) % 11 / 10.0
        return Inference((1.0 - entailed) / 2.0, (1.0 - entailed) / 2.0, entailed)


ESTIMATORS: tuple[Estimator, ...] = (
    VoteEntropy(),
    SelfConsistency(),
    AgentConsistency(),
    SemanticEntropy(BidirectionalEntailment(WordsEntail())),
    RaoBlackwellEntropy(),
    StatedConfidence(),
    PTrue(),
    *(TokenUncertainty(measure) for measure in TokenMeasure),
    BSDetector(),
    BSDetector(NonContradiction(WordsEntail())),
    CoCoA(),
    CoCoA(product="uncertainties"),
    EnsembleDisagreement("votes"),
    EnsembleDisagreement("stated"),
    PairedPerturbation(),
    ImageReliance(),
    VotePosterior(Voters(0.7, 0.4, 0.3)),
    VotePosterior(Voters(0.7, 0.4, 0.3), voter="rollout"),
)


def answer(
    cluster: str | None,
    rollout: int = 0,
    agent: str = "one",
    *,
    perturbation: Perturbation = Perturbation.NONE,
    logprobs: tuple[float, ...] | None = None,
    margins: tuple[float, ...] | None = None,
    confidence: float | None = None,
    p_true: float | None = None,
    distribution: Mapping[str, float] | None = None,
) -> SampledAnswer:
    return SampledAnswer(
        agent=agent,
        rollout=rollout,
        text=None if cluster is None else f"answer {cluster}",
        cluster=cluster,
        perturbation=perturbation,
        logprobs=logprobs,
        margins=margins,
        confidence=confidence,
        p_true=p_true,
        distribution=dict(distribution) if distribution is not None else None,
    )


def votes(clusters: str, options: int | None = None) -> Samples:
    """One answer for each letter, by one agent."""
    return Samples(answers=tuple(answer(c, k) for k, c in enumerate(clusters)), options=options)


def answers(rollout: int, *, whole: bool) -> st.SearchStrategy[SampledAnswer]:
    """One answer, all fields given or any of them missing."""
    maybe = st.nothing() if whole else st.none()
    return st.builds(
        answer,
        maybe | st.sampled_from(CLUSTERS),
        st.just(rollout),
        st.sampled_from(("one", "two", "three")),
        perturbation=st.just(Perturbation.NONE) if whole else st.sampled_from(list(Perturbation)),
        logprobs=maybe | LOGPROBS,
        margins=maybe | st.tuples(UNIT, UNIT),
        confidence=maybe | UNIT,
        p_true=maybe | UNIT,
        distribution=maybe | st.tuples(UNIT, UNIT).map(lambda p: {"a": p[0], "b": (1.0 - p[0]) * p[1]}),
    )


def samples(*, least: int = 0, whole: bool = False) -> st.SearchStrategy[Samples]:
    """Up to six answers of three agents to one question."""
    return st.builds(
        Samples,
        answers=st.integers(least, 6).flatmap(lambda n: st.tuples(*(answers(k, whole=whole) for k in range(n)))),
        answer=st.none() | st.sampled_from(CLUSTERS),
        options=st.none() | st.integers(len(CLUSTERS), 9),
    )
