"""Draws that depend on a request's own seed and on nothing beside it in the batch.

By the Gumbel-max law, `argmax(logits / T + G)` with independent standard Gumbel noise G is a draw from
`softmax(logits / T)`; G is `-log(E)` with E exponential. Each row has a generator of its own, so its noise is the same
whoever its neighbours are. The same seed gives the same noise on the same kind of device.
"""

from __future__ import annotations

import torch

_SMALLEST = torch.finfo(torch.float32).tiny


class Sampler:
    """The noise of one row."""

    def __init__(self, temperature: float, seed: int, device: torch.device) -> None:
        """Begin a row's noise.

        Args:
            temperature: 0 for the likeliest token, always.
            seed: Any integer; its lower 64 bits count.
            device: Where the logits are.
        """
        self.temperature = temperature
        self._generator = torch.Generator(device).manual_seed(seed & 0xFFFF_FFFF_FFFF_FFFF) if temperature else None

    def perturbed(self, logits: torch.Tensor) -> torch.Tensor:
        """Return what the largest is to be taken of.

        Args:
            logits: Of one row, of shape (vocabulary,), float32.
        """
        if self._generator is None:
            return logits
        noise = torch.empty_like(logits).exponential_(generator=self._generator).clamp_min_(_SMALLEST)
        return logits / self.temperature - noise.log_()
