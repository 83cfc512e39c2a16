"""On what a model runs: device, dtype, quantisation."""

from __future__ import annotations

from typing import Any

import torch
import transformers

from wardround.core.errors import UsageError
from wardround.core.extras import require
from wardround.models.local.memory import BYTES
from wardround.models.local.settings import LocalSettings


def pick_device(asked: str) -> torch.device:
    """Return the device asked for; for `auto` CUDA before MPS before the CPU.

    Raises:
        UsageError: It is not there.
    """
    if asked == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(asked)
    except RuntimeError as error:
        raise UsageError(
            f"device {asked!r}: torch knows no such device; write auto, cpu, mps, cuda or cuda:N"
        ) from error
    if not _is_there(device):
        raise UsageError(f"device {asked!r}: is not on this machine; write auto, or cpu")
    return device


def _is_there(device: torch.device) -> bool:
    match device.type:
        case "cpu":
            return True
        case "cuda":
            return bool((device.index or 0) < torch.cuda.device_count())
        case "mps":
            return bool(torch.backends.mps.is_available())
        case _:
            return False


def pick_dtype(asked: str, config: Any) -> str:
    """Return the dtype of the weights by name; for `auto` the one that the configuration says they are stored in."""
    if asked != "auto":
        return asked
    stored = str(getattr(config, "dtype", None) or getattr(config.get_text_config(), "dtype", None) or "float32")
    name = stored.removeprefix("torch.")
    return name if name in BYTES else "float32"


def quantisation_config(settings: LocalSettings, device: torch.device, dtype: str) -> Any | None:
    """Return how bitsandbytes is to quantise while loading, or nothing.

    8 bits are LLM.int8 (arXiv 2208.07339), 4 bits NF4 with double quantisation (arXiv 2305.14314). Loading under
    either was not run where this was written, for want of a CUDA device: only the configuration is tested.

    Raises:
        UsageError: The device is not CUDA.
        MissingExtra: bitsandbytes is not installed.
    """
    if settings.quantisation is None:
        return None
    if device.type != "cuda":
        raise UsageError(f"quantisation={settings.quantisation!r}: needs CUDA, and the model goes to {device}")
    require("bitsandbytes", extra="quantised")
    return bits_and_bytes(settings.quantisation, dtype)


def bits_and_bytes(quantisation: str, dtype: str) -> Any:
    """Return the configuration for 8 or 4 bits, computing in a dtype."""
    configuration: Any = transformers.BitsAndBytesConfig
    if quantisation == "8bit":
        return configuration(load_in_8bit=True)
    return configuration(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, dtype),
    )
