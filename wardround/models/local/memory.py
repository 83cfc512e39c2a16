"""Whether a model fits, reckoned before it is loaded.

    weights = parameters x bytes of the dtype
    KV cache = 2 x layers x kv_heads x head_dim x tokens x batch x bytes of the dtype

Keys and values are the 2. The cache is what a full batch of full contexts takes at most: layers with a sliding window
or a latent cache take less. What a forward pass needs besides is not reckoned.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from wardround.core.errors import UsageError
from wardround.core.extras import require
from wardround.models.local.settings import LocalSettings

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
_FLOATING = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
_QUANTISED_BYTES = {"8bit": 1.0, "4bit": 0.5}
_SMALLEST_CONTEXT = 512
"""Tokens below which a shorter context is no advice: a case does not fit."""


@dataclass(frozen=True)
class Weights:
    """What the headers of the weight files say."""

    parameters: int
    """In floating point, which the dtype changes."""
    packed: int
    """Bytes of all else, such as weights stored in 4 bits, which stay as they are."""


@dataclass(frozen=True)
class CacheShape:
    """What one token leaves in the KV cache."""

    layers: int
    kv_heads: int
    head_dim: int

    @property
    def values(self) -> int:
        """Numbers stored for a token."""
        return 2 * self.layers * self.kv_heads * self.head_dim


def count_weights(files: tuple[Path, ...]) -> Weights:
    """Count the parameters in safetensors files by their headers alone.

    The format is 8 bytes with the header's length, little-endian, the header as JSON, and the data, to which the
    header's `data_offsets` refer (https://huggingface.co/docs/safetensors).

    Raises:
        UsageError: A file is damaged or cut short.
    """
    parameters = packed = 0
    for file in files:
        for tensor in _header(file).values():
            if tensor["dtype"] in _FLOATING:
                parameters += math.prod(tensor["shape"])
            else:
                begin, end = tensor["data_offsets"]
                packed += end - begin
    return Weights(parameters, packed)


def _header(file: Path) -> dict[str, Any]:
    size = file.stat().st_size
    try:
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > size:
                raise ValueError(f"a header of {length} bytes in {size}")
            tensors = json.loads(stream.read(length))
        tensors.pop("__metadata__", None)
        needed = 8 + length + max((t["data_offsets"][1] for t in tensors.values()), default=0)
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{file}: is no safetensors file ({error}); fetch it again") from error
    if size < needed:
        raise UsageError(f"{file}: is cut short ({size} of {needed} bytes); fetch it again")
    return dict(tensors)


def cache_shape(config: Any) -> CacheShape:
    """Return what a token takes by a model's configuration; nothing where it has no attention heads.

    Where layers differ, the largest counts for all. An encoder-decoder keeps the keys and values of the encoder
    besides its own, so its layers count twice.
    """
    text = config.get_text_config(decoder=True)
    heads = _largest(getattr(text, "num_attention_heads", None))
    kv_heads = _largest(getattr(text, "num_key_value_heads", None)) or heads
    layers = _largest(getattr(text, "num_hidden_layers", None))
    head_dim = _largest(getattr(text, "head_dim", None)) or (text.hidden_size // heads if heads else 0)
    return CacheShape(layers * (2 if config.is_encoder_decoder else 1), kv_heads, head_dim)


def _largest(value: Any) -> int:
    if isinstance(value, list | tuple):
        return max((int(item) for item in value if item), default=0)
    return int(value or 0)


def free_bytes(device: torch.device) -> int:
    """Return what a device has free, in bytes.

    Of CUDA as its driver says, of MPS below its recommended limit, of the CPU what is available without swapping.
    """
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    return int(require("psutil", extra="local").virtual_memory().available)


@dataclass(frozen=True)
class Need:
    """The sum, with all that goes into it."""

    weights: Weights
    cache: CacheShape
    dtype: str
    quantisation: str | None
    context: int
    batch: int

    def weight_bytes(self) -> float:
        """Return what the weights take."""
        each = _QUANTISED_BYTES[self.quantisation] if self.quantisation else BYTES[self.dtype]
        return self.weights.parameters * each + self.weights.packed

    def request_bytes(self) -> int:
        """Return what the cache of one request takes."""
        return self.cache.values * self.context * BYTES[self.dtype]

    def total(self) -> float:
        """Return what is needed, in bytes."""
        return self.weight_bytes() + self.batch * self.request_bytes()

    def written_out(self) -> str:
        """Return the sum in words and figures."""
        kind = self.quantisation or self.dtype
        packed = f" + {_size(self.weights.packed)} stored packed" if self.weights.packed else ""
        cache = self.cache
        each = f"2 x {cache.layers} layers x {cache.kv_heads} kv heads x {cache.head_dim}"
        all_of = f"{each} x {self.context} tokens x {self.batch} requests x {BYTES[self.dtype]} bytes"
        return (
            f"weights {_size(self.weight_bytes())} ({self.weights.parameters:,} parameters in {kind}{packed}) + "
            f"KV cache {_size(self.batch * self.request_bytes())} ({all_of}) = {_size(self.total())}"
        )


def check_memory(name: str, need: Need, *, device: torch.device, free: int) -> None:
    """Check that a model fits.

    Raises:
        UsageError: It does not; the message holds the whole sum and what would fit.
    """
    if need.total() <= free:
        return
    fits = _what_fits(need, device, free)
    advice = f"it fits with {' or '.join(fits)}" if fits else "nothing here makes it fit; take a smaller model"
    raise UsageError(f"{name}: {need.written_out()}, and {device} has {_size(free)} free; {advice}")


def _what_fits(need: Need, device: torch.device, free: int) -> list[str]:
    fits: list[str] = []
    if need.request_bytes():
        left = free - need.weight_bytes()
        batch = int(left // need.request_bytes())
        context = int(left // (need.batch * need.cache.values * BYTES[need.dtype]))
        fits += [f"batch={batch}"] if batch >= 1 else []
        fits += [f"context={context}"] if context >= _SMALLEST_CONTEXT else []
    if need.dtype == "float32" and not need.quantisation and _changed(need, dtype="bfloat16").total() <= free:
        fits.append("dtype='bfloat16'")
    if device.type == "cuda" and not need.quantisation:
        quantised = (kind for kind in _QUANTISED_BYTES if _changed(need, quantisation=kind).total() <= free)
        fits += [f"quantisation={kind!r}" for kind in quantised]
    return fits


def _changed(need: Need, **changes: Any) -> Need:
    return Need(**{**need.__dict__, **changes})


def _size(size: float) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.2f} MB"


def needed(settings: LocalSettings, weights: Weights, config: Any, *, dtype: str, context: int) -> Need:
    """Return what a model needs as it is to be loaded."""
    return Need(weights, cache_shape(config), dtype, settings.quantisation, context, settings.batch)
