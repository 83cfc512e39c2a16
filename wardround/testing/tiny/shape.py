"""The shape that all tiny models share: the smallest that a server built for real models takes as well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

HIDDEN = 128
HEADS = 4
HEAD_SIZE = HIDDEN // HEADS
"""32 is the smallest size of a head that vLLM's attention on a CPU takes."""
FEED_FORWARD = 256
LAYERS = 2


class Parts(NamedTuple):
    """A model and what reads and writes its tokens, not yet saved."""

    model: Any
    reader: Any
    """A tokenizer, or a processor that holds one."""
    ends: tuple[str, ...]
    """Tokens that end an answer."""


Builder = Callable[[int], Parts]
"""Takes the context in tokens."""


def text_shape(tokenizer: Any, context: int) -> dict[str, Any]:
    """Return what the configuration of every decoder says, with the ids of the tokenizer's special tokens."""
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": HIDDEN,
        "intermediate_size": FEED_FORWARD,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS // 2,
        "max_position_embeddings": context,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }


def vision_shape(layers: int = LAYERS) -> dict[str, Any]:
    """Return what the configuration of most image encoders says."""
    return {
        "hidden_size": HIDDEN,
        "intermediate_size": FEED_FORWARD,
        "num_hidden_layers": layers,
        "num_attention_heads": HEADS,
    }
