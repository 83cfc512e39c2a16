"""One batch while it is decoded: each row with its own grammar, noise, stops and limit.

The rows choose their tokens themselves, as one logits processor of transformers' `generate`, which is then left with
no choice: so what is counted, scored and held to a grammar is exactly what is written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from transformers import LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from wardround.models.local.constrained import Matcher, banned
from wardround.models.local.sampling import Sampler

Finish = Literal["stop", "length", "cancelled"]


@dataclass
class Writing:
    """What one row has written so far."""

    sampler: Sampler
    matcher: Matcher | None
    limit: int
    """Tokens at most."""
    stop: tuple[str, ...]
    """Texts that end the answer, and do not belong to it."""
    scored: bool
    """Whether log-probabilities are wanted."""
    is_cancelled: Callable[[], bool]
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    """Of the tokens, as the model gave them: before the grammar and before the temperature."""
    finish: Finish | None = None


class Batch:
    """The rows of one call of `generate`."""

    def __init__(self, rows: Sequence[Writing], tokenizer: Any, ends: frozenset[int]) -> None:
        self._rows, self._tokenizer, self._ends = rows, tokenizer, ends

    def processors(self) -> LogitsProcessorList:
        """Return what chooses the tokens."""
        return LogitsProcessorList([_Chooser(self)])

    def criteria(self) -> StoppingCriteriaList:
        """Return what says which rows are done."""
        return StoppingCriteriaList([_Ender(self)])

    def choose(self, logits: torch.Tensor) -> torch.Tensor:
        """Take the next token of every row that goes on.

        Args:
            logits: Of shape (rows, vocabulary), float32, as the model gave them.

        Returns:
            The same shape, with a 0 for the token taken and minus infinity elsewhere.
        """
        going = [i for i, row in enumerate(self._rows) if row.finish is None]
        chosen = torch.full((len(self._rows),), min(self._ends), device=logits.device)
        if going:
            taken = self._taken(logits[going], [self._rows[i] for i in going])
            chosen[going] = taken
            self._note(logits[going], taken, [self._rows[i] for i in going])
        forced = torch.full_like(logits, -torch.inf)
        return forced.scatter_(1, chosen.unsqueeze(1), 0.0)

    def _taken(self, logits: torch.Tensor, rows: list[Writing]) -> torch.Tensor:
        perturbed = torch.stack([row.sampler.perturbed(logits[i]) for i, row in enumerate(rows)])
        allowed = [row.matcher.allowed() if row.matcher is not None else None for row in rows]
        mask = banned(allowed, logits.shape[1], logits.device)
        return (perturbed if mask is None else perturbed.masked_fill(mask, -torch.inf)).argmax(1)

    def _note(self, logits: torch.Tensor, taken: torch.Tensor, rows: list[Writing]) -> None:
        if any(row.scored for row in rows):
            picked = logits.gather(1, taken.unsqueeze(1)).squeeze(1)
            # rounding can put the likeliest token a hair above its own normaliser
            logprobs = (picked - logits.logsumexp(1)).clamp_max(0.0).tolist()
        else:
            logprobs = [0.0] * len(rows)
        for row, token, logprob in zip(rows, taken.tolist(), logprobs, strict=True):
            self._go_on(row, token, logprob)

    def _go_on(self, row: Writing, token: int, logprob: float) -> None:
        row.tokens.append(token)
        if row.scored:
            row.logprobs.append(logprob)
        if token in self._ends:
            row.finish = "stop"
            return
        if row.matcher is not None:
            row.matcher.take(token)
        if (row.matcher is not None and row.matcher.is_ended) or self._has_stopped(row):
            row.finish = "stop"
        elif len(row.tokens) >= row.limit:
            row.finish = "length"
        elif row.is_cancelled():
            row.finish = "cancelled"

    def _has_stopped(self, row: Writing) -> bool:
        if not row.stop:
            return False
        # a token is at least one byte, but for special ones, which have no text
        longest = max(len(text.encode()) for text in row.stop)
        tail = self._tokenizer.decode(row.tokens[-longest - 4 :], skip_special_tokens=True)
        return any(text in tail for text in row.stop)

    def finished(self) -> list[bool]:
        """Return which rows are done."""
        return [row.finish is not None for row in self._rows]


class _Chooser(LogitsProcessor):  # type: ignore[misc]  # transformers is not followed by the type checker
    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> Any:
        return self._batch.choose(scores)


class _Ender(StoppingCriteria):  # type: ignore[misc]  # likewise
    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **kwargs: Any) -> Any:
        return torch.tensor(self._batch.finished(), device=input_ids.device)


def padded(requests: Sequence[dict[str, Any]], pad: int) -> dict[str, Any]:
    """Return several encoded requests as one, padded on the left.

    What has a value a token is padded; all else, such as pixels, is joined along its first dimension.

    Args:
        requests: Tensors by name, the same names in each.
        pad: The token that pads.
    """
    longest = max(inputs["input_ids"].shape[1] for inputs in requests)
    joined = {}
    for name in requests[0]:
        parts = [inputs[name] for inputs in requests]
        if name in PER_TOKEN:
            parts = [
                torch.nn.functional.pad(part, (longest - part.shape[1], 0), value=pad if name == "input_ids" else 0)
                for part in parts
            ]
        joined[name] = torch.cat(parts)
    return joined


PER_TOKEN = frozenset(("input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids"))
"""Inputs with one value for each token of the prompt."""


def shape_of(inputs: dict[str, Any]) -> tuple[Any, ...]:
    """Return what two requests must have in common to be decoded together."""
    return tuple(
        (name, None if name in PER_TOKEN else tuple(value.shape[1:])) for name, value in sorted(inputs.items())
    )
