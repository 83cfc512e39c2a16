"""Building a tiny model of a family and saving it as transformers and vLLM read it."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

from wardround.core.errors import MissingExtra, UsageError
from wardround.testing.tiny.gemma import build_gemma3, build_gemma3_text
from wardround.testing.tiny.llama import build_llama, build_llava, build_mllama
from wardround.testing.tiny.others import build_mistral, build_mistral3, build_mt5, build_phi3
from wardround.testing.tiny.qwen import (
    build_internvl,
    build_qwen2,
    build_qwen2_5_vl,
    build_qwen2_vl,
    build_qwen3,
    build_qwen3_vl,
    build_qwen3_vl_moe,
)
from wardround.testing.tiny.shape import Builder, Parts
from wardround.testing.tiny.torchvision import mend_torchvision

CONTEXT = 16384
"""Tokens that a tiny model reads unless asked otherwise; a prompt of Wardround holds a JSON schema and evidence."""

_BUILDERS: dict[str, Builder] = {
    "gemma3": build_gemma3,
    "gemma3_text": build_gemma3_text,
    "internvl": build_internvl,
    "llama": build_llama,
    "llava": build_llava,
    "mistral": build_mistral,
    "mistral3": build_mistral3,
    "mllama": build_mllama,
    "mt5": build_mt5,
    "phi3": build_phi3,
    "qwen2": build_qwen2,
    "qwen2_5_vl": build_qwen2_5_vl,
    "qwen2_vl": build_qwen2_vl,
    "qwen3": build_qwen3,
    "qwen3_vl": build_qwen3_vl,
    "qwen3_vl_moe": build_qwen3_vl_moe,
}
FAMILIES: tuple[str, ...] = tuple(_BUILDERS)
"""As the model catalogue names them, and `internvl` for InternVL as transformers has it."""
SEEING: tuple[str, ...] = (
    *("gemma3", "internvl", "llava", "mistral3", "mllama"),
    *("qwen2_5_vl", "qwen2_vl", "qwen3_vl", "qwen3_vl_moe"),
)
"""Those that take images."""
_NEED_TORCHVISION = frozenset({"internvl", "mistral3", "qwen2_5_vl", "qwen2_vl", "qwen3_vl", "qwen3_vl_moe"})


def build(family: str, folder: Path, *, seed: int = 0, context: int = CONTEXT) -> Path:
    """Build a tiny model with random weights and save it with its tokenizer or processor; no network is needed.

    The same family, seed and context give the same files to the byte, with the same versions of the libraries.

    Args:
        family: One of `FAMILIES`.
        folder: Where it is saved; made if missing, and what a former build left there is overwritten.
        seed: Of the weights.
        context: Positions of the text model.

    Returns:
        The folder.

    Raises:
        UsageError: The family is not one of those.
        MissingExtra: torch, transformers, or the torchvision that the family's processor uses is not installed.
    """
    if family not in _BUILDERS:
        raise UsageError(f"no tiny model of the family {family!r}; there are {', '.join(FAMILIES)}")
    check_libraries(family)
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        parts = _BUILDERS[family](context)
    _set_ends(parts)
    folder.mkdir(parents=True, exist_ok=True)
    save(parts.model, parts.reader, folder)
    return folder


def check_libraries(family: str) -> None:
    """Raise where a library that a family needs is missing, and mend a torchvision that cannot be imported.

    Raises:
        MissingExtra: It names the extra that brings the library.
    """
    needed = ("torch", "transformers", "PIL", *(("torchvision",) if family in _NEED_TORCHVISION else ()))
    mend_torchvision()
    for module in needed:
        if importlib.util.find_spec(module) is None:
            raise MissingExtra(module, "local")


def _set_ends(parts: Parts) -> None:
    tokenizer = getattr(parts.reader, "tokenizer", parts.reader)
    settings = parts.model.generation_config
    settings.eos_token_id = [tokenizer.convert_tokens_to_ids(token) for token in parts.ends]
    settings.pad_token_id = tokenizer.pad_token_id
    settings.bos_token_id = tokenizer.bos_token_id


def save(model: Any, reader: Any, folder: Path) -> None:
    """Save a model and its tokenizer or processor, the weights under the names that published checkpoints have."""
    model.save_pretrained(folder)
    reader.save_pretrained(folder)
    if model.config.model_type in ("gemma3", "llava"):
        _rename_vision_tower(folder / "model.safetensors")


def _rename_vision_tower(weights: Path) -> None:
    # transformers 5 drops a level of names that published checkpoints have and that vLLM looks for; it reads both
    from safetensors.torch import load_file, save_file

    tensors = {
        re.sub(r"vision_tower\.(?!vision_model\.)", "vision_tower.vision_model.", name): tensor
        for name, tensor in load_file(weights).items()
    }
    save_file(tensors, weights, metadata={"format": "pt"})
