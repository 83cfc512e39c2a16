"""Byte-level tokenizers, trained in a fraction of a second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wardround.testing.tiny.words import SENTENCES

VOCABULARY = 2048
"""Tokens at most, special ones included."""


def train_tokenizer(
    special: Sequence[str], *, context: int, named: Mapping[str, str] | None = None, **roles: str
) -> Any:
    """Train a byte-level BPE tokenizer; it encodes any text.

    Args:
        special: Tokens that are never split, in the order of their ids from 0.
        context: Longest input in tokens, as the tokenizer states it.
        named: Special tokens that a processor looks for by an attribute, such as `image_token`.
        **roles: `pad_token`, `eos_token`, `bos_token`, `unk_token`.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=context,
        extra_special_tokens=dict(named or {}),
        clean_up_tokenization_spaces=False,
        **roles,
    )
