"""Answers held to a JSON schema or a regular expression while they are written, by llguidance.

What llguidance cannot hold it refuses, and so does this: `uniqueItems`, `oneOf` whose cases can overlap, look-around
in a regex. Numbers are held to their bounds, strings to their lengths, lists to their sizes. Objects are written with
their keys in the schema's order and without free white space: one space may follow a comma or a colon, and no more,
since a model that has learned nothing would write spaces for ever. An answer that `max_tokens` cuts is no complete
object; its finish reason is `length`.
"""

from __future__ import annotations

from typing import Any

import torch
from llguidance import LLMatcher, LLTokenizer
from tokenizers import Tokenizer, decoders

from wardround.core.errors import UsageError
from wardround.models.local.asked import Constraint

_SEPARATORS: Any = {"whitespace_flexible": False, "item_separator": ", ?", "key_separator": ": ?"}
_KEPT = 256
"""Grammars kept compiled, the last used longest; one takes milliseconds to compile."""


class Matcher:
    """Where one answer stands in its grammar."""

    def __init__(self, matcher: LLMatcher) -> None:
        self._matcher = matcher

    @property
    def is_ended(self) -> bool:
        """Whether nothing can follow."""
        return bool(self._matcher.is_stopped())

    def allowed(self) -> torch.Tensor:
        """Return which tokens may come next, as 32-bit words of one bit a token, on the CPU."""
        return torch.frombuffer(bytearray(self._matcher.compute_bitmask()), dtype=torch.int32)

    def take(self, token: int) -> None:
        """Go on by a token.

        Raises:
            RuntimeError: It is not allowed. Of tokens that the mask allowed this happens where the vocabulary cannot
                write what the grammar wants, such as braces in that of T5, or at a limit of the library.
        """
        if not self._matcher.consume_token(token):
            why = self._matcher.get_error().partition("\n")[0]
            raise RuntimeError(f"no token of the vocabulary goes on within the form asked for ({why})")


class Grammars:
    """Compiles what answers are held to, for one model."""

    def __init__(self, tokenizer: Any, *, width: int, ends: frozenset[int]) -> None:
        """Begin without any grammar; the vocabulary is read at the first.

        Args:
            tokenizer: Of transformers.
            width: Of the model's logits, which can be wider than the vocabulary.
            ends: Tokens that end an answer.
        """
        self._tokenizer, self._width, self._ends = tokenizer, width, ends
        self._words: LLTokenizer | None = None
        self._compiled: dict[Constraint, LLMatcher] = {}

    def begin(self, constraint: Constraint) -> Matcher:
        """Return the beginning of an answer.

        Raises:
            UsageError: The schema or regex is not one that can be held.
        """
        matcher = self._compiled.pop(constraint, None) or self._compile(constraint)
        self._compiled[constraint] = matcher
        if len(self._compiled) > _KEPT:
            del self._compiled[next(iter(self._compiled))]
        return Matcher(matcher.deep_copy())

    def _compile(self, constraint: Constraint) -> LLMatcher:
        if self._words is None:
            self._words = self._read_vocabulary()
        if constraint.kind == "schema":
            grammar = LLMatcher.grammar_from_json_schema(constraint.source, overrides=_SEPARATORS)
        else:
            grammar = LLMatcher.grammar_from_regex(constraint.source)
        matcher = LLMatcher(self._words, grammar, log_level=0)
        if matcher.is_error():
            why = " ".join(matcher.get_error().splitlines()[:4])
            raise UsageError(f"the {constraint.kind} asked for cannot be held while decoding ({why})")
        return matcher

    def _read_vocabulary(self) -> LLTokenizer:
        if not getattr(self._tokenizer, "is_fast", False):
            raise UsageError("answers of this model cannot be held to a form: its tokenizer has no tokenizer.json")
        try:
            written = _with_known_decoder(self._tokenizer.backend_tokenizer)
            return LLTokenizer(written, n_vocab=self._width, eos_token=sorted(self._ends))
        except ValueError as error:
            raise UsageError(f"answers of this model cannot be held to a form: its tokenizer ({error})") from error


def _with_known_decoder(backend: Tokenizer) -> str:
    """Return a tokenizer as JSON, with a decoder that llguidance reads the bytes of tokens from.

    It does not know `Metaspace`, which T5 uses, but does know the steps that it consists of.
    """
    copy = Tokenizer.from_str(backend.to_str())
    copy.no_padding()
    copy.no_truncation()
    if isinstance(copy.decoder, decoders.Metaspace):
        copy.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return str(copy.to_str())


def banned(rows: list[torch.Tensor | None], width: int, device: torch.device) -> torch.Tensor | None:
    """Return which tokens each row must not take, of shape (rows, width); nothing where no row is held.

    Args:
        rows: Of each row what `Matcher.allowed` gives, or nothing where all is allowed.
        width: Of the logits.
        device: Where they are.
    """
    words = next((row for row in rows if row is not None), None)
    if words is None:
        return None
    free = torch.full_like(words, -1)
    stacked = torch.stack([free if row is None else row for row in rows]).to(device)
    bits = (stacked.unsqueeze(-1) >> torch.arange(32, device=device, dtype=torch.int32)) & 1
    return bits.flatten(1)[:, :width] == 0
