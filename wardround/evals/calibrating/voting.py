"""How the specialists of labelled consults vote: how often each is right, and how far they err together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from wardround.core.calibration.card import Figure, MeasuredVoters
from wardround.core.estimators.correlation import Correlation, answer_correlation
from wardround.core.estimators.posterior import VotePosterior, Voters
from wardround.core.estimators.samples import SampledAnswer, Samples
from wardround.core.uncertainty import Part
from wardround.evals.calibrating.consults import Data
from wardround.evals.calibrating.reading import Labelled, Vote
from wardround.evals.statistics import bootstrapped

RIGHT = 0
"""Index of the right answer of each case."""
LEAST = 50
"""Labelled cases that two specialists saw, from which on their votes are measured."""


def measure_voters(data: Data, *, options: int) -> MeasuredVoters | None:
    """Measure accuracy and correlations on labelled consults, each agent having one vote a case.

    Args:
        data: Labelled consults.
        options: How many diagnoses there are, none of them included.
    """
    answers = _table(data.one_each())
    shared = (answers >= 0).sum(axis=1) >= 2
    if answers.shape[1] < 2 or int(shared.sum()) < LEAST:
        return None
    found = answer_correlation(answers, np.full(len(answers), RIGHT), options=options)
    each = [(row[row >= 0] == RIGHT).mean() for row in answers if (row >= 0).any()]
    share = bootstrapped(lambda x, _: float(x.mean()), np.array(each), np.array(each))
    accuracy = Figure(value=share.value, low=share.low, high=share.high, n=len(each))
    alike = found.alike or found.rho
    return MeasuredVoters(accuracy=accuracy, rho=_figure(found.rho), alike=_figure(alike))


def _figure(correlation: Correlation) -> Figure:
    return Figure(value=correlation.value, low=correlation.low, high=correlation.high, n=correlation.informative)


def _table(data: Data) -> npt.NDArray[np.int64]:
    """Index of each agent's commonest answer, shape (n_cases, n_agents); -1 where it gave none."""
    agents = sorted({vote.agent for one in data.labelled for vote in one.result.votes})
    numbers: dict[str, int] = {}
    table = np.full((len(data.labelled), len(agents)), -1, dtype=np.int64)
    for row, one in enumerate(data.labelled):
        for column, agent in enumerate(agents):
            said = Counter(v.answer for v in one.result.votes if v.agent == agent and v.answer is not None)
            if said:
                answer = min(said, key=lambda a: (-said[a], a))
                wrong = numbers.setdefault(answer, len(numbers) + 1)
                table[row, column] = RIGHT if answer in one.right else wrong
    return table


def with_votes(labelled: Sequence[Labelled], voters: Voters, *, options: int) -> list[Labelled]:
    """Return consults whose uncertainty has the part that follows from the votes, where there are any."""
    return [one.with_parts(_part(one, VotePosterior(voters), options)) for one in labelled]


def _part(one: Labelled, estimator: VotePosterior, options: int) -> dict[Part, float]:
    answers = tuple(_answer(vote) for vote in one.result.votes)
    answer = one.result.favoured or one.result.answer.id
    found = estimator.estimate(Samples(answers=answers, answer=answer, options=options))
    return {Part.VOTES: found.value} if found is not None else {}


def _answer(vote: Vote) -> SampledAnswer:
    return SampledAnswer(agent=vote.agent, rollout=vote.rollout, text=vote.answer, cluster=vote.answer)
