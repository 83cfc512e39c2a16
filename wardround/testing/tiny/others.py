"""Tiny models of further families: Mistral with and without an image encoder, Phi-3, mT5."""

from __future__ import annotations

from typing import Any

from wardround.testing.tiny.shape import FEED_FORWARD, HEAD_SIZE, HEADS, HIDDEN, LAYERS, Parts, text_shape, vision_shape
from wardround.testing.tiny.templates import mistral, phi
from wardround.testing.tiny.tokenizer import train_tokenizer

_MISTRAL = ["[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]"]
_MISTRAL += ["[TOOL_CALLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[IMG]", "[IMG_BREAK]", "[IMG_END]"]


def _mistral_tokenizer(context: int) -> Any:
    return train_tokenizer(
        ["<unk>", "<s>", "</s>", "<pad>", *_MISTRAL],
        context=context,
        pad_token="<pad>",
        eos_token="</s>",
        bos_token="<s>",
        unk_token="<unk>",
    )


def build_mistral(context: int) -> Parts:
    """Make Mistral."""
    import transformers as tf

    tokenizer = _mistral_tokenizer(context)
    tokenizer.chat_template = mistral()
    config = tf.MistralConfig(**text_shape(tokenizer, context), sliding_window=None)
    return Parts(tf.MistralForCausalLM(config), tokenizer, ("</s>",))


def build_mistral3(context: int) -> Parts:
    """Make Mistral Small 3.1, whose image encoder is Pixtral's; up to 16 tokens an image and their line breaks."""
    import transformers as tf

    pixels, patch, merge = 64, 8, 2
    tokenizer = _mistral_tokenizer(context)
    text = text_shape(tokenizer, context) | {"head_dim": HEAD_SIZE, "sliding_window": None}
    config = tf.Mistral3Config(
        text_config=tf.MistralConfig(**text),
        vision_config=tf.PixtralVisionConfig(**vision_shape(), image_size=pixels, patch_size=patch),
        image_token_index=tokenizer.convert_tokens_to_ids("[IMG]"),
        spatial_merge_size=merge,
        tie_word_embeddings=False,
    )
    processor = tf.PixtralProcessor(
        image_processor=tf.PixtralImageProcessorPil(
            size={"longest_edge": pixels}, patch_size={"height": patch, "width": patch}
        ),
        tokenizer=tokenizer,
        patch_size=patch,
        spatial_merge_size=merge,
        chat_template=mistral("[IMG]"),
    )
    return Parts(tf.Mistral3ForConditionalGeneration(config), processor, ("</s>",))


def build_phi3(context: int) -> Parts:
    """Make Phi-3."""
    import transformers as tf

    tokenizer = train_tokenizer(
        ["<unk>", "<s>", "</s>", "<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>", "<|end|>"],
        context=context,
        pad_token="<|endoftext|>",
        eos_token="<|endoftext|>",
        bos_token="<s>",
        unk_token="<unk>",
    )
    tokenizer.chat_template = phi()
    config = tf.Phi3Config(**text_shape(tokenizer, context), original_max_position_embeddings=context)
    return Parts(tf.Phi3ForCausalLM(config), tokenizer, ("<|end|>", "<|endoftext|>"))


def build_mt5(context: int) -> Parts:
    """Make mT5, an encoder and a decoder; it has no chat template."""
    import transformers as tf

    tokenizer = train_tokenizer(
        ["<pad>", "</s>", "<unk>"], context=context, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    config = tf.MT5Config(
        vocab_size=len(tokenizer),
        d_model=HIDDEN,
        d_kv=HEAD_SIZE,
        d_ff=FEED_FORWARD,
        num_layers=LAYERS,
        num_heads=HEADS,
    )
    return Parts(tf.MT5ForConditionalGeneration(config), tokenizer, ("</s>",))
