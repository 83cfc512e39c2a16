"""One real vLLM server for all tests that need one, and the tiny model that it serves."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from wardround.testing.tiny import build
from wardround.testing.vllm import ENVIRONMENT, VllmServer

FLAGS = (
    "--max-model-len=16384",
    # vLLM's CPU build dies of a seeded draw behind a prompt that was read in pieces
    "--no-enable-chunked-prefill",
    "--max-num-batched-tokens=16384",
    "--enable-auto-tool-choice",
    "--tool-call-parser=hermes",
    # an untaught model writes white space for ever where it may
    '--structured-outputs-config={"backend": "xgrammar", "disable_any_whitespace": true}',
)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny vision-language model that looks at its images: what lets them in is zero before any training."""
    made = build("gemma3", tmp_path_factory.mktemp("gemma3"))
    weights = load_file(made / "model.safetensors")
    for name, tensor in weights.items():
        if name.endswith("mm_input_projection_weight"):
            weights[name] = torch.randn(tensor.shape, generator=torch.Generator().manual_seed(0), dtype=tensor.dtype)
    save_file(weights, made / "model.safetensors", metadata={"format": "pt"})
    return made


@pytest.fixture(scope="session")
def server(folder: Path) -> Iterator[VllmServer]:
    """A server that is running; a test that kills it starts it again."""
    if not os.environ.get(ENVIRONMENT):
        pytest.skip(f"no vLLM: scripts/vllm_cpu.sh FOLDER makes an environment for {ENVIRONMENT} to name")
    with VllmServer(folder, flags=FLAGS) as running:
        yield running
