"""Tiny models of the Llama families: Llama, Llama 3.2 Vision, and LLaVA."""

from __future__ import annotations

from typing import Any

from wardround.testing.tiny.shape import HEADS, LAYERS, Parts, text_shape, vision_shape
from wardround.testing.tiny.templates import llama, llava
from wardround.testing.tiny.tokenizer import train_tokenizer

_ENDS = ("<|eot_id|>", "<|end_of_text|>")
_SPECIAL = ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"]


def _tokenizer(context: int) -> Any:
    return train_tokenizer(
        [*_SPECIAL, "<|finetune_right_pad_id|>", "<|python_tag|>", "<|image|>"],
        context=context,
        named={"image_token": "<|image|>"},
        pad_token="<|finetune_right_pad_id|>",
        eos_token="<|eot_id|>",
        bos_token="<|begin_of_text|>",
    )


def build_llama(context: int) -> Parts:
    """Make Llama 3."""
    import transformers as tf

    tokenizer = _tokenizer(context)
    tokenizer.chat_template = llama()
    return Parts(tf.LlamaForCausalLM(tf.LlamaConfig(**text_shape(tokenizer, context))), tokenizer, _ENDS)


def build_mllama(context: int) -> Parts:
    """Make Llama 3.2 Vision; its second layer attends to the image, of one tile."""
    import transformers as tf

    pixels, patch, tiles = 56, 14, 4
    tokenizer = _tokenizer(context)
    vision = vision_shape() | {"attention_heads": HEADS, "num_global_layers": 1, "intermediate_layers_indices": [0, 1]}
    del vision["num_attention_heads"]
    # what the encoder hands on is its last layer and those between, side by side
    vision["vision_output_dim"] = 3 * vision["hidden_size"]
    config = tf.MllamaConfig(
        text_config=text_shape(tokenizer, context) | {"cross_attention_layers": [1], "num_hidden_layers": LAYERS + 1},
        vision_config=vision | {"image_size": pixels, "patch_size": patch, "max_num_tiles": tiles},
        image_token_index=tokenizer.image_token_id,
    )
    processor = tf.MllamaProcessor(
        image_processor=tf.MllamaImageProcessorPil(size={"height": pixels, "width": pixels}, max_image_tiles=tiles),
        tokenizer=tokenizer,
        chat_template=llama("<|image|>"),
    )
    model = tf.MllamaForConditionalGeneration(config)
    for name, parameter in model.named_parameters():
        if name.endswith(("cross_attn_attn_gate", "cross_attn_mlp_gate")):
            parameter.data.fill_(1.0)  # transformers starts with closed gates, behind which no image is seen
    return Parts(model, processor, _ENDS)


def build_llava(context: int) -> Parts:
    """Make LLaVA, 16 tokens an image."""
    import transformers as tf

    pixels, patch = 56, 14
    tokenizer = train_tokenizer(
        ["<unk>", "<s>", "</s>", "<pad>", "<image>"],
        context=context,
        named={"image_token": "<image>"},
        pad_token="<pad>",
        eos_token="</s>",
        bos_token="<s>",
        unk_token="<unk>",
    )
    config = tf.LlavaConfig(
        # one layer more than elsewhere: the features are taken from the last but one
        vision_config=tf.CLIPVisionConfig(**vision_shape(LAYERS + 1), image_size=pixels, patch_size=patch),
        text_config=tf.LlamaConfig(**text_shape(tokenizer, context)),
        image_token_index=tokenizer.image_token_id,
        image_seq_length=(pixels // patch) ** 2,
    )
    processor = tf.LlavaProcessor(
        image_processor=tf.CLIPImageProcessorPil(
            size={"shortest_edge": pixels}, crop_size={"height": pixels, "width": pixels}
        ),
        tokenizer=tokenizer,
        patch_size=patch,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=llava("<image>\n"),
    )
    return Parts(tf.LlavaForConditionalGeneration(config), processor, ("</s>",))
