from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from wardround.models.local.sampling import Sampler

CPU = torch.device("cpu")


@given(st.integers(), st.floats(0.1, 3.0))
def test_a_seed_always_draws_the_same(seed: int, temperature: float) -> None:
    logits = torch.linspace(-2, 2, 50)
    one, other = Sampler(temperature, seed, CPU), Sampler(temperature, seed, CPU)
    for _ in range(3):
        assert torch.equal(one.perturbed(logits), other.perturbed(logits))


@given(st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=20))
def test_temperature_zero_changes_nothing(logits: list[float]) -> None:
    given = torch.tensor(logits)
    assert torch.equal(Sampler(0.0, 1, CPU).perturbed(given), given)


def test_draws_follow_the_softmax_at_the_temperature() -> None:
    logits, temperature, draws = torch.tensor([1.0, 0.0, -1.0, 2.0]), 0.7, 20_000
    sampler = Sampler(temperature, 5, CPU)
    counts = torch.zeros(4)
    for _ in range(draws):
        counts[sampler.perturbed(logits).argmax()] += 1
    expected = (logits / temperature).softmax(0)
    # four standard errors of a share
    margin = 4 * (expected * (1 - expected) / draws).sqrt()
    assert bool(((counts / draws - expected).abs() < margin).all())


def test_a_token_that_the_model_rules_out_is_never_drawn() -> None:
    logits = torch.tensor([0.0, -torch.inf, 0.0])
    sampler = Sampler(1.0, 0, CPU)
    assert all(int(sampler.perturbed(logits).argmax()) != 1 for _ in range(500))
