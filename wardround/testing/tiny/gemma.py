"""Tiny models of the Gemma 3 family, MedGemma's: with an image encoder and without."""

from __future__ import annotations

from typing import Any

from wardround.testing.tiny.shape import HEAD_SIZE, Parts, text_shape, vision_shape
from wardround.testing.tiny.templates import gemma
from wardround.testing.tiny.tokenizer import train_tokenizer

_PIXELS, _PATCH, _TOKENS = 64, 8, 16
_ENDS = ("<eos>", "<end_of_turn>")
# vLLM looks runs of newlines up in the vocabulary when it lays out images; the published one holds them
_NEWLINES = ["\n", "\n\n", "\n\n\n", "\n\n\n\n"]

_MARKS = ["<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>", "<image_soft_token>"]


def _tokenizer(context: int) -> Any:
    return train_tokenizer(
        ["<pad>", "<eos>", "<bos>", "<unk>", *_NEWLINES, *_MARKS],
        context=context,
        named={
            "boi_token": "<start_of_image>",
            "eoi_token": "<end_of_image>",
            "image_token": "<image_soft_token>",
        },
        pad_token="<pad>",
        eos_token="<eos>",
        bos_token="<bos>",
        unk_token="<unk>",
    )


def _text_shape(tokenizer: Any, context: int) -> dict[str, Any]:
    layers = {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 512}
    return text_shape(tokenizer, context) | {"head_dim": HEAD_SIZE, "query_pre_attn_scalar": HEAD_SIZE, **layers}


def build_gemma3(context: int) -> Parts:
    """Make the model that sees images, 16 tokens each."""
    import transformers as tf

    tokenizer = _tokenizer(context)
    config = tf.Gemma3Config(
        text_config=_text_shape(tokenizer, context),
        vision_config=vision_shape() | {"image_size": _PIXELS, "patch_size": _PATCH},
        mm_tokens_per_image=_TOKENS,
        boi_token_index=tokenizer.boi_token_id,
        eoi_token_index=tokenizer.eoi_token_id,
        image_token_index=tokenizer.image_token_id,
    )
    processor = tf.Gemma3Processor(
        image_processor=tf.Gemma3ImageProcessorPil(size={"height": _PIXELS, "width": _PIXELS}),
        tokenizer=tokenizer,
        chat_template=gemma("<start_of_image>"),
        image_seq_length=_TOKENS,
    )
    model = tf.Gemma3ForConditionalGeneration(config)
    # transformers starts the projection at zero, with which an image changes nothing of what an untaught model says
    model.model.multi_modal_projector.mm_input_projection_weight.data.normal_(0.0, 0.1)
    return Parts(model, processor, _ENDS)


def build_gemma3_text(context: int) -> Parts:
    """Make the model that reads text alone."""
    import transformers as tf

    tokenizer = _tokenizer(context)
    tokenizer.chat_template = gemma()
    model = tf.Gemma3ForCausalLM(tf.Gemma3TextConfig(**_text_shape(tokenizer, context)))
    return Parts(model, tokenizer, _ENDS)
