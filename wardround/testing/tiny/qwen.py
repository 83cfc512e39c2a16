"""Tiny models of the Qwen families, and InternVL, whose text model is one of them."""

from __future__ import annotations

from typing import Any

from wardround.testing.tiny.shape import FEED_FORWARD, HEAD_SIZE, HEADS, HIDDEN, LAYERS, Parts, text_shape, vision_shape
from wardround.testing.tiny.templates import chatml
from wardround.testing.tiny.tokenizer import train_tokenizer

_ENDS = ("<|im_end|>", "<|endoftext|>")
_SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tool_call>", "</tool_call>"]
_VISION = ["<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"]
_IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
_MERGE = 2
"""Patches of an image whose square becomes one token."""
# halves of a head's rotary dimensions: time, height, width
_MROPE = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [4, 6, 6]}
_INTERLEAVED = _MROPE | {"mrope_section": [6, 5, 5], "mrope_interleaved": True}


def _tokenizer(context: int, *more: str, **named: str) -> Any:
    return train_tokenizer(
        [*_SPECIAL, *more], context=context, named=named, pad_token="<|endoftext|>", eos_token="<|im_end|>"
    )


def _seeing_tokenizer(context: int) -> Any:
    return _tokenizer(
        context,
        *_VISION,
        image_token="<|image_pad|>",
        video_token="<|video_pad|>",
        vision_bos_token="<|vision_start|>",
        vision_eos_token="<|vision_end|>",
    )


def _image_ids(tokenizer: Any) -> dict[str, int]:
    return {
        "image_token_id": tokenizer.image_token_id,
        "video_token_id": tokenizer.video_token_id,
        "vision_start_token_id": tokenizer.vision_bos_token_id,
        "vision_end_token_id": tokenizer.vision_eos_token_id,
    }


def _processor(kind: Any, videos: Any, tokenizer: Any, patch: int) -> Any:
    import transformers as tf

    least, most = (_MERGE * patch) ** 2, (4 * _MERGE * patch) ** 2
    return kind(
        image_processor=tf.Qwen2VLImageProcessorPil(
            patch_size=patch, merge_size=_MERGE, size={"shortest_edge": least, "longest_edge": most}
        ),
        tokenizer=tokenizer,
        video_processor=videos(patch_size=patch),
        chat_template=chatml(_IMAGE),
    )


def _text_only(kind: str, context: int, **more: Any) -> Parts:
    import transformers as tf

    tokenizer = _tokenizer(context)
    tokenizer.chat_template = chatml()
    config = getattr(tf, f"{kind}Config")(**text_shape(tokenizer, context), **more)
    return Parts(getattr(tf, f"{kind}ForCausalLM")(config), tokenizer, _ENDS)


def build_qwen2(context: int) -> Parts:
    """Make Qwen2, which Qwen2.5 is as well."""
    return _text_only("Qwen2", context)


def build_qwen3(context: int) -> Parts:
    """Make Qwen3."""
    return _text_only("Qwen3", context, head_dim=HEAD_SIZE)


def build_qwen2_vl(context: int) -> Parts:
    """Make Qwen2-VL."""
    import transformers as tf

    tokenizer = _seeing_tokenizer(context)
    vision = {"depth": LAYERS, "embed_dim": HIDDEN, "hidden_size": HIDDEN, "num_heads": HEADS, "mlp_ratio": 2}
    config = tf.Qwen2VLConfig(
        text_config=text_shape(tokenizer, context) | {"rope_parameters": dict(_MROPE)},
        vision_config=vision,
        **_image_ids(tokenizer),
    )
    processor = _processor(tf.Qwen2VLProcessor, tf.Qwen2VLVideoProcessor, tokenizer, 14)
    return Parts(tf.Qwen2VLForConditionalGeneration(config), processor, _ENDS)


def _vision_shape() -> dict[str, Any]:
    return {
        "depth": LAYERS,
        "hidden_size": HIDDEN,
        "intermediate_size": FEED_FORWARD,
        "num_heads": HEADS,
        "out_hidden_size": HIDDEN,
    }


def build_qwen2_5_vl(context: int) -> Parts:
    """Make Qwen2.5-VL."""
    import transformers as tf

    tokenizer = _seeing_tokenizer(context)
    config = tf.Qwen2_5_VLConfig(
        text_config=text_shape(tokenizer, context) | {"rope_parameters": dict(_MROPE)},
        vision_config=_vision_shape() | {"window_size": 56, "fullatt_block_indexes": [1]},
        **_image_ids(tokenizer),
    )
    processor = _processor(tf.Qwen2_5_VLProcessor, tf.Qwen2VLVideoProcessor, tokenizer, 14)
    return Parts(tf.Qwen2_5_VLForConditionalGeneration(config), processor, _ENDS)


def _qwen3_vl(kind: str, context: int, **more: Any) -> Parts:
    import transformers as tf

    tokenizer = _seeing_tokenizer(context)
    text = text_shape(tokenizer, context) | {"head_dim": HEAD_SIZE, "rope_parameters": dict(_INTERLEAVED), **more}
    config = getattr(tf, f"{kind}Config")(
        text_config=text,
        vision_config=_vision_shape() | {"num_position_embeddings": 64, "deepstack_visual_indexes": [0]},
        **_image_ids(tokenizer),
    )
    processor = _processor(tf.Qwen3VLProcessor, tf.Qwen3VLVideoProcessor, tokenizer, 16)
    return Parts(getattr(tf, f"{kind}ForConditionalGeneration")(config), processor, _ENDS)


def build_qwen3_vl(context: int) -> Parts:
    """Make Qwen3-VL."""
    return _qwen3_vl("Qwen3VL", context)


def build_qwen3_vl_moe(context: int) -> Parts:
    """Make Qwen3-VL as a mixture of four experts, two of which see each token."""
    return _qwen3_vl("Qwen3VLMoe", context, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=HIDDEN)


def build_internvl(context: int) -> Parts:
    """Make InternVL as transformers has it, with Qwen2 as its text model; 16 tokens an image."""
    import transformers as tf

    pixels, patch, tokens = 56, 7, 16
    tokenizer = _tokenizer(
        context,
        *("<img>", "</img>", "<IMG_CONTEXT>", "<video>"),
        start_image_token="<img>",
        end_image_token="</img>",
        context_image_token="<IMG_CONTEXT>",
        video_token="<video>",
    )
    config = tf.InternVLConfig(
        text_config=tf.Qwen2Config(**text_shape(tokenizer, context)),
        vision_config=vision_shape() | {"image_size": pixels, "patch_size": patch},
        image_token_id=tokenizer.context_image_token_id,
        image_seq_length=tokens,
    )
    size = {"height": pixels, "width": pixels}
    processor = tf.InternVLProcessor(
        image_processor=tf.GotOcr2ImageProcessorPil(size=size, crop_to_patches=True, min_patches=1, max_patches=2),
        tokenizer=tokenizer,
        video_processor=tf.InternVLVideoProcessor(size=size),
        image_seq_length=tokens,
        chat_template=chatml("<IMG_CONTEXT>\n"),
    )
    return Parts(tf.InternVLForConditionalGeneration(config), processor, _ENDS)
