"""The sum that is written out before a model is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoConfig, LlamaConfig

from wardround.core.errors import UsageError
from wardround.models.local.chat import LocalChatModel, local_chat
from wardround.models.local.folder import weight_files
from wardround.models.local.memory import (
    CacheShape,
    Need,
    Weights,
    cache_shape,
    check_memory,
    count_weights,
    free_bytes,
)
from wardround.models.local.settings import LocalSettings

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
MEDGEMMA_LIKE = Need(Weights(4_300_079_472, 0), CacheShape(34, 4, 256), "bfloat16", None, 8192, 16)


@pytest.mark.parametrize("family", ["llama", "gemma3", "mt5"])
def test_the_headers_count_what_the_model_holds(
    family: str, folder_of: Callable[[str], Path], chat_of: Callable[[str], LocalChatModel]
) -> None:
    model = chat_of(family)._engine._loaded.model
    assert count_weights(weight_files(folder_of(family))).parameters == sum(p.numel() for p in model.parameters())


def test_the_cache_is_what_its_formula_says() -> None:
    config = LlamaConfig(num_hidden_layers=3, num_attention_heads=8, num_key_value_heads=2, hidden_size=64)
    assert cache_shape(config) == CacheShape(3, 2, 8)
    need = Need(Weights(1000, 7), cache_shape(config), "float16", None, 100, 4)
    assert need.request_bytes() == 2 * 3 * 2 * 8 * 100 * 2
    assert need.total() == 1000 * 2 + 7 + 4 * need.request_bytes()


def test_the_cache_of_a_running_model_is_no_larger(llama: LocalChatModel) -> None:
    model = llama._engine._loaded.model
    cache = model(torch.arange(40).unsqueeze(0), use_cache=True).past_key_values
    stored = sum(layer.keys.numel() + layer.values.numel() for layer in cache.layers)
    assert stored == cache_shape(model.config).values * 40


def test_the_error_shows_the_whole_sum_and_what_fits() -> None:
    with pytest.raises(UsageError) as caught:
        check_memory("m", MEDGEMMA_LIKE, device=CUDA, free=24_000_000_000)
    assert str(caught.value) == (
        "m: weights 8.60 GB (4,300,079,472 parameters in bfloat16) + KV cache 18.25 GB (2 x 34 layers x 4 kv heads x "
        "256 x 8192 tokens x 16 requests x 2 bytes) = 26.85 GB, and cuda:0 has 24.00 GB free; it fits with batch=13 "
        "or context=6911 or quantisation='8bit' or quantisation='4bit'"
    )


def test_a_model_that_nothing_makes_fit_says_so() -> None:
    with pytest.raises(UsageError, match="nothing here makes it fit"):
        check_memory("m", MEDGEMMA_LIKE, device=CPU, free=1_000_000)


@given(
    st.integers(10**6, 10**11),
    st.sampled_from(["float32", "bfloat16"]),
    st.integers(512, 100_000),
    st.integers(1, 64),
    st.integers(10**8, 10**11),
)
def test_what_is_said_to_fit_fits(parameters: int, dtype: str, context: int, batch: int, free: int) -> None:
    need = Need(Weights(parameters, 0), CacheShape(32, 8, 128), dtype, None, context, batch)
    try:
        check_memory("m", need, device=CUDA, free=free)
    except UsageError as error:
        advice = str(error).partition("; it fits with ")[2]
        for change in advice.split(" or ") if advice else []:
            key, _, value = change.partition("=")
            changed = Need(**{**need.__dict__, key: int(value) if value.isdigit() else value.strip("'")})
            check_memory("m", changed, device=CUDA, free=free)
    else:
        assert need.total() <= free


def test_a_model_is_not_loaded_where_it_does_not_fit(folder_of: Callable[[str], Path]) -> None:
    settings = LocalSettings(device="cpu", batch=50_000_000, context=4096)
    with pytest.raises(UsageError, match=r"50000000 requests.*cpu has .* free; it fits with batch=\d+"):
        local_chat(str(folder_of("llama")), settings=settings)


def test_the_free_memory_is_what_the_system_says() -> None:
    available = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable"))
    assert free_bytes(CPU) == pytest.approx(1024 * int(available.split()[1]), rel=0.2)


def test_weights_that_are_stored_packed_stay_as_they_are(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    file = tmp_path / "model.safetensors"
    save_file({"scale": torch.ones(3), "packed": torch.zeros(5, dtype=torch.uint8)}, file)
    assert count_weights((file,)) == Weights(3, 5)


def test_a_vision_model_is_reckoned_by_its_language_part(folder_of: Callable[[str], Path]) -> None:
    config = AutoConfig.from_pretrained(folder_of("gemma3"))
    text = config.get_text_config()
    assert cache_shape(config) == CacheShape(text.num_hidden_layers, text.num_key_value_heads, text.head_dim)
