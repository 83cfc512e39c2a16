"""A model loaded with what reads and writes its tokens, every doubt settled before the weights are read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers.models.auto import modeling_auto

from wardround.core.errors import UsageError
from wardround.models.local.devices import pick_device, pick_dtype, quantisation_config
from wardround.models.local.folder import find_folder, read_config, weight_files
from wardround.models.local.memory import check_memory, count_weights, free_bytes, needed
from wardround.models.local.settings import DEFAULT_CONTEXT, LocalSettings

_KINDS = ("AutoModelForImageTextToText", "AutoModelForCausalLM", "AutoModelForSeq2SeqLM")
_CLASSES = {
    "AutoModelForImageTextToText": modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    "AutoModelForCausalLM": modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    "AutoModelForSeq2SeqLM": modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
}


@dataclass(frozen=True)
class Loaded:
    """A model that is ready to run."""

    name: str
    """As it was asked for."""
    model: Any
    tokenizer: Any
    processor: Any | None
    """Of a model that sees images; it holds the tokenizer."""
    device: torch.device
    context: int
    """Tokens of one request at most, prompt and answer together; an encoder-decoder takes as many of each."""
    ends: frozenset[int]
    """Tokens that end an answer."""
    pad: int

    @property
    def is_encoder_decoder(self) -> bool:
        """Whether the prompt is read by an encoder, as in the T5 family."""
        return bool(self.model.config.is_encoder_decoder)


def load(name: str, settings: LocalSettings) -> Loaded:
    """Load a model of transformers.

    Args:
        name: Path of a folder, or a hub id in the cache.
        settings: Where and how.

    Raises:
        UsageError: The folder, its configuration or its weights are not usable, it needs code that is not trusted,
            its architecture is not known or does not write text, or it does not fit the device.
        ModelUnavailable: It is neither in the cache nor to be had.
        MissingExtra: Quantisation was asked for without bitsandbytes.
    """
    folder = find_folder(name)
    config = read_config(folder, trust_remote_code=settings.trust_remote_code)
    kind = auto_class(folder, config)
    files = weight_files(folder)
    device = pick_device(settings.device)
    dtype = pick_dtype(settings.dtype, config)
    quantisation = quantisation_config(settings, device, dtype)
    tokenizer, processor = _readers(folder, settings, sees=kind == "AutoModelForImageTextToText")
    context = _context(name, settings, config, tokenizer)
    need = needed(settings, count_weights(files), config, dtype=dtype, context=context)
    check_memory(name, need, device=device, free=free_bytes(device))
    model = _weights(folder, kind, settings, device=device, dtype=dtype, quantisation=quantisation)
    ends = _ends(model, tokenizer)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(ends)
    # transformers fills what a request leaves open from here: penalties and samplers that a checkpoint brings would
    # change answers behind the back of the one who asks.
    start = model.generation_config.decoder_start_token_id
    generation: Any = transformers.GenerationConfig
    model.generation_config = generation(eos_token_id=sorted(ends), pad_token_id=pad, decoder_start_token_id=start)
    return Loaded(name, model, tokenizer, processor, device, context, ends, pad)


def auto_class(folder: Path, config: Any) -> str:
    """Return which class of transformers loads a model: for images and text, for text, or for an encoder-decoder.

    Raises:
        UsageError: It is a model that does not write text.
    """
    remote = getattr(config, "auto_map", None) or {}
    named = set(config.architectures or ())
    for kind in _KINDS:
        classes = _CLASSES[kind].get(config.model_type, ())
        known = {classes} if isinstance(classes, str) else set(classes)
        if kind in remote or (known and (not named or known & named)):
            return kind
    raise UsageError(
        f"{folder}: is {', '.join(sorted(named)) or config.model_type}, which does not write text; "
        "give an instruction-tuned model that generates"
    )


def _readers(folder: Path, settings: LocalSettings, *, sees: bool) -> tuple[Any, Any | None]:
    auto = transformers.AutoProcessor if sees else transformers.AutoTokenizer
    try:
        reader = auto.from_pretrained(folder, trust_remote_code=settings.trust_remote_code)
    except Exception as error:  # files of many formats, each with errors of its own
        what = "processor (of images and text)" if sees else "tokenizer"
        raise UsageError(f"{folder}: its {what} cannot be loaded ({type(error).__name__}: {error})") from error
    tokenizer = reader.tokenizer if sees else reader
    # The first encoding takes out the padding and truncation that a tokenizer was saved with. Any later one changes
    # nothing in it, so texts can be decoded in other threads at the same time.
    tokenizer("")
    return tokenizer, reader if sees else None


def _context(name: str, settings: LocalSettings, config: Any, tokenizer: Any) -> int:
    text = config.get_text_config(decoder=True)
    declared = getattr(text, "max_position_embeddings", None) or getattr(text, "n_positions", None)
    # a tokenizer that knows no limit declares 1e30
    limit = declared or (tokenizer.model_max_length if tokenizer.model_max_length < 1e9 else None)
    if settings.context and limit and settings.context > limit:
        raise UsageError(f"{name}: context={settings.context} is more than the {limit} tokens that the model can read")
    return int(settings.context or min(limit or DEFAULT_CONTEXT, DEFAULT_CONTEXT))


def _weights(
    folder: Path, kind: str, settings: LocalSettings, *, device: torch.device, dtype: str, quantisation: Any | None
) -> Any:
    try:
        model, report = getattr(transformers, kind).from_pretrained(
            folder,
            dtype=getattr(torch, dtype),
            device_map={"": device},
            quantization_config=quantisation,
            trust_remote_code=settings.trust_remote_code,
            use_safetensors=True,
            output_loading_info=True,
        )
    except Exception as error:  # what checkpoints can be wrong in has no common class
        raise UsageError(f"{folder}: its weights cannot be loaded ({type(error).__name__}: {error})") from error
    # transformers fills what is missing with random numbers and goes on.
    faults = sorted(map(str, (*report["missing_keys"], *report["mismatched_keys"])))
    if faults:
        shown = ", ".join(faults[:3]) + (f" and {len(faults) - 3} more" if len(faults) > 3 else "")
        raise UsageError(f"{folder}: its weights lack {shown}, or hold them in another shape; fetch them again")
    return model.eval()


def _ends(model: Any, tokenizer: Any) -> frozenset[int]:
    declared = model.generation_config.eos_token_id
    ends = {declared} if isinstance(declared, int) else set(declared or ())
    if tokenizer.eos_token_id is not None:
        ends.add(tokenizer.eos_token_id)
    if not ends:
        raise UsageError("the model declares no token that ends an answer; set eos_token_id in generation_config.json")
    return frozenset(ends)
