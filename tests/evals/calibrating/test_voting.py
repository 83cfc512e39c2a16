"""How specialists vote, on worlds in which it is known how far they err together."""

from typing import Any

import numpy as np
import pytest

from wardround.core.differential import Differential, Hypothesis
from wardround.core.uncertainty import Part
from wardround.evals.calibrating.consults import Data
from wardround.evals.calibrating.reading import Labelled, Result, Vote
from wardround.evals.calibrating.voting import LEAST, measure_voters, with_votes

OPTIONS = 10
TRUTH = "d0"


def world(n: int, *, copied: float, accuracy: float = 0.7, agents: int = 3, seed: int = 0) -> list[Labelled]:
    """Consults in which each agent copies the first one's answer with a probability, or answers by itself."""
    rng = np.random.default_rng(seed)

    def answer() -> str:
        return TRUTH if rng.random() < accuracy else f"d{rng.integers(1, OPTIONS)}"

    found = []
    for k in range(n):
        first = answer()
        said = [first, *(first if rng.random() < copied else answer() for _ in range(agents - 1))]
        votes = tuple(Vote(f"agent{i}", r, d) for i, d in enumerate(said) for r in range(2))
        found.append(labelled(k, votes=votes))
    return found


def labelled(k: int, **more: Any) -> Labelled:
    leading = Hypothesis(id=TRUTH, name=TRUTH, icd10=None, probability=0.6)
    differential = Differential(hypotheses=(leading,), other=0.4)
    fields: dict[str, Any] = {"stratum": "surgery", "model": "m", "settings": {}, "parts": {Part.EVIDENCE: 0.4}, **more}
    result = Result(key=f"c{k}", case=f"c{k}", run=f"r{k}", answer=leading, differential=differential, **fields)
    return Labelled(result, frozenset({TRUTH}), 1.0)


def test_copies_are_told_from_independent_voters() -> None:
    apart = measure_voters(Data(world(400, copied=0.0)), options=OPTIONS)
    copies = measure_voters(Data(world(400, copied=0.9)), options=OPTIONS)
    assert apart is not None
    assert copies is not None
    assert apart.rho.high is not None
    assert apart.rho.high < 0.25
    assert (copies.rho.low or 0.0) > 0.6
    assert (copies.alike.low or 0.0) > 0.6
    for found in (apart, copies):
        assert found.accuracy.value == pytest.approx(0.7, abs=0.07)


def test_agreement_of_copies_leaves_more_doubt_than_agreement_of_independent_voters() -> None:
    agreed = [labelled(0, votes=tuple(Vote(f"agent{i}", 0, TRUTH) for i in range(3)))]
    doubts = []
    for copied in (0.0, 0.9):
        measured = measure_voters(Data(world(400, copied=copied)), options=OPTIONS)
        assert measured is not None
        (with_part,) = with_votes(agreed, measured.voters, options=OPTIONS)
        doubts.append(with_part.result.parts[Part.VOTES])
        assert with_part.result.parts[Part.EVIDENCE] == 0.4
    assert doubts[0] < 0.05 < 0.15 < doubts[1]


@pytest.mark.parametrize("n", [0, LEAST - 1])
def test_too_few_cases_measure_nothing(n: int) -> None:
    assert measure_voters(Data(world(n, copied=0.5)), options=OPTIONS) is None


def test_one_specialist_has_nobody_to_err_with() -> None:
    assert measure_voters(Data(world(100, copied=0.0, agents=1)), options=OPTIONS) is None


def test_a_case_without_votes_gets_no_such_part() -> None:
    measured = measure_voters(Data(world(100, copied=0.3)), options=OPTIONS)
    assert measured is not None
    (same,) = with_votes([labelled(0)], measured.voters, options=OPTIONS)
    assert Part.VOTES not in same.result.parts
