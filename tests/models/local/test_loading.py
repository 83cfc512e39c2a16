"""What is wrong with a model's folder is said before it runs, and nothing is put in its place."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.models.local.conftest import SETTINGS
from wardround.core.errors import MissingExtra, ModelUnavailable, UsageError
from wardround.models.local.chat import local_chat
from wardround.models.local.devices import bits_and_bytes, pick_device, pick_dtype, quantisation_config
from wardround.models.local.loading import auto_class
from wardround.models.local.settings import LocalSettings


@pytest.fixture
def folder(tmp_path: Path, folder_of: Callable[[str], Path]) -> Path:
    """A copy of the tiny Llama's folder, to be spoilt."""
    return Path(shutil.copytree(folder_of("llama"), tmp_path / "llama"))


def changed(folder: Path, **values: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def refused(folder: Path | str, match: str, settings: LocalSettings = SETTINGS) -> None:
    with pytest.raises(UsageError, match=match):
        local_chat(str(folder), settings=settings)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    refused(tmp_path / "none", "there is no such folder")


def test_a_file_is_not_a_folder(folder: Path) -> None:
    refused(folder / "config.json", "is a file; give the folder")


def test_an_id_that_is_not_in_the_cache_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelUnavailable, match=r"neither a folder here nor in the cache.*hf download nobody/nothing"):
        local_chat("nobody/nothing", settings=SETTINGS)


def test_a_name_that_can_be_no_id_is_refused() -> None:
    refused("what is this?", "neither a folder here nor a hub id")


def test_an_id_in_the_cache_is_loaded_offline(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = tmp_path / "hub" / "models--tiny--llama"
    shutil.copytree(folder, repo / "snapshots" / "abc123")
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("abc123")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    with local_chat("tiny/llama", settings=SETTINGS) as chat:
        assert chat.invoke("hi", max_tokens=2).response_metadata["model_name"] == "tiny/llama"


def test_an_empty_folder_lacks_its_configuration(tmp_path: Path) -> None:
    refused(tmp_path, r"config\.json: cannot be read \(No such file")


@pytest.mark.parametrize(
    ("text", "match"), [("{", "is not JSON"), ("[1]", "holds no JSON object"), ("{}", "None is not known")]
)
def test_a_broken_configuration_is_named(text: str, match: str, folder: Path) -> None:
    (folder / "config.json").write_text(text)
    refused(folder, match)


def test_a_configuration_with_wrong_values_is_named(folder: Path) -> None:
    changed(folder, num_hidden_layers="two")
    refused(folder, "not a configuration|cannot be loaded")


def test_an_unknown_architecture_names_the_installed_transformers(folder: Path) -> None:
    changed(folder, model_type="llama99")
    refused(folder, "'llama99' is not known to transformers 5")


def test_code_that_is_not_trusted_is_named_and_not_run(folder: Path) -> None:
    changed(
        folder, model_type="own", auto_map={"AutoConfig": "own_config.OwnConfig", "AutoModelForCausalLM": "own.Own"}
    )
    (folder / "own_config.py").write_text("raise SystemExit('ran')")
    refused(folder, r"needs code of its own \(own.py, own_config.py\).*trust_remote_code")


def test_a_model_that_does_not_write_is_refused(folder: Path) -> None:
    changed(folder, model_type="bert", architectures=["BertForMaskedLM"])
    refused(folder, "is BertForMaskedLM, which does not write text")


def test_a_folder_without_weights_names_what_it_has_instead(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    refused(folder, r"holds no weights.*there is pytorch_model\.bin")


def test_a_missing_shard_is_named(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(folder, "names model-00001-of-00002.safetensors; fetch the weights again")


def test_weights_that_are_cut_short_are_named(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    refused(folder, "is cut short")


def test_weights_that_are_no_safetensors_are_named(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    refused(folder, "is no safetensors file")


def test_weights_that_lack_a_tensor_are_not_filled_with_random_numbers(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    lost = next(name for name in weights if "mlp" in name)
    del weights[lost]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    refused(folder, f"lack .*{lost}")


def test_a_missing_tokenizer_is_named(folder: Path) -> None:
    for file in folder.glob("tokenizer*"):
        file.unlink()
    refused(folder, "its tokenizer cannot be loaded")


def test_a_decoder_without_a_chat_template_is_refused(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()
    refused(folder, "has no chat template, so it completes texts")


def test_a_context_beyond_the_model_names_both_numbers(folder: Path) -> None:
    limit = json.loads((folder / "config.json").read_text())["max_position_embeddings"]
    refused(folder, f"context=999999 is more than the {limit} tokens", LocalSettings(device="cpu", context=999_999))


@pytest.mark.parametrize("device", ["tpu-nonsense", "cuda:77", "xpu"])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    with pytest.raises(UsageError, match="device"):
        pick_device(device)


def test_a_device_is_always_found_for_auto() -> None:
    assert pick_device("auto").type in ("cpu", "cuda", "mps")


def test_the_dtype_of_the_weights_is_taken_unless_another_is_asked_for(folder: Path) -> None:
    from transformers import AutoConfig

    changed(folder, dtype="bfloat16")
    config = AutoConfig.from_pretrained(folder)
    assert pick_dtype("auto", config) == "bfloat16"
    assert pick_dtype("float16", config) == "float16"


def test_quantisation_needs_cuda() -> None:
    with pytest.raises(UsageError, match="needs CUDA, and the model goes to cpu"):
        quantisation_config(LocalSettings(quantisation="4bit"), torch.device("cpu"), "bfloat16")


def test_quantisation_needs_bitsandbytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(MissingExtra, match=r"bitsandbytes is not installed.*wardround\[quantised\]"):
        quantisation_config(LocalSettings(quantisation="8bit"), torch.device("cuda"), "bfloat16")


def test_quantisation_is_configured_as_its_papers_say() -> None:
    assert bits_and_bytes("8bit", "float16").load_in_8bit
    four = bits_and_bytes("4bit", "bfloat16")
    assert four.load_in_4bit
    assert (four.bnb_4bit_quant_type, four.bnb_4bit_use_double_quant) == ("nf4", True)
    assert four.bnb_4bit_compute_dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("family", "kind"),
    [
        ("gemma3", "AutoModelForImageTextToText"),
        ("qwen2_5_vl", "AutoModelForImageTextToText"),
        ("llama", "AutoModelForCausalLM"),
        ("mt5", "AutoModelForSeq2SeqLM"),
    ],
)
def test_the_class_follows_from_the_configuration(family: str, kind: str, folder_of: Callable[[str], Path]) -> None:
    from transformers import AutoConfig

    assert auto_class(folder_of(family), AutoConfig.from_pretrained(folder_of(family))) == kind


def test_the_penalties_that_a_checkpoint_brings_are_left_out(folder: Path) -> None:
    file = folder / "generation_config.json"
    penalties = {"repetition_penalty": 50.0, "do_sample": True, "temperature": 5.0, "bad_words_ids": [[65]]}
    with local_chat(str(folder), settings=SETTINGS) as chat:
        plain = chat.invoke("hi", max_tokens=10).text
    file.write_text(json.dumps({**json.loads(file.read_text()), **penalties}))
    with local_chat(str(folder), settings=SETTINGS) as chat:
        assert chat.invoke("hi", max_tokens=10).text == plain


def test_the_settings_and_the_chat_module_load_no_heavy_library() -> None:
    code = (
        "import sys, wardround.models.local.settings, wardround.models.local.chat\n"
        "assert not {'torch', 'transformers', 'llguidance'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
