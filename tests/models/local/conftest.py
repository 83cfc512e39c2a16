"""Tiny models that have learned nothing, built once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from wardround.models.local.chat import LocalChatModel, local_chat
from wardround.models.local.settings import LocalSettings
from wardround.testing.tiny import build

SETTINGS = LocalSettings(device="cpu", dtype="float32", batch=8, context=1024)


def open_eyes(folder: Path) -> None:
    """Let pictures through to an untaught model: what lets them in is zero before any training."""
    weights = load_file(folder / "model.safetensors")
    generator = torch.Generator().manual_seed(0)
    for name, tensor in weights.items():
        if name.endswith(("mm_input_projection_weight", "attn_gate", "mlp_gate")):
            weights[name] = torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Where the tiny model of a family lies."""
    built: dict[str, Path] = {}

    def find(family: str) -> Path:
        if family not in built:
            built[family] = tmp_path_factory.mktemp(family)
            build(family, built[family])
            open_eyes(built[family])
        return built[family]

    return find


@pytest.fixture(scope="session")
def chat_of(folder_of: Callable[[str], Path]) -> Iterator[Callable[[str], LocalChatModel]]:
    """The tiny model of a family, loaded."""
    loaded: dict[str, LocalChatModel] = {}

    def find(family: str) -> LocalChatModel:
        if family not in loaded:
            loaded[family] = local_chat(str(folder_of(family)), settings=SETTINGS)
        return loaded[family]

    yield find
    for chat in loaded.values():
        chat.close()


@pytest.fixture(scope="session")
def llama(chat_of: Callable[[str], LocalChatModel]) -> LocalChatModel:
    return chat_of("llama")


@pytest.fixture(scope="session")
def gemma3(chat_of: Callable[[str], LocalChatModel]) -> LocalChatModel:
    return chat_of("gemma3")
