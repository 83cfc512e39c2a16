"""A model's folder: found, and judged by its files before anything is loaded."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import transformers

from wardround.core.errors import ModelUnavailable, UsageError

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
_WANTED = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt", "*.py", "*.tiktoken"]
_OTHER_WEIGHTS = ("*.bin", "*.pt", "*.pth", "*.gguf", "*.onnx", "*.h5", "*.msgpack")


def find_folder(name: str) -> Path:
    """Return the folder of a model: one on this machine, or the cached or downloaded one of a hub id.

    Args:
        name: A path, or an id such as `google/medgemma-4b-it`. With `HF_HUB_OFFLINE=1` only the cache is looked at.

    Raises:
        UsageError: There is no such folder, and the name is no id either.
        ModelUnavailable: The id is neither in the cache nor to be had from the hub.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists():
        raise UsageError(f"{name}: is a file; give the folder that holds config.json and the weights")
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise UsageError(f"{name}: there is no such folder; give one that holds config.json and the weights")
    return _from_hub(name)


def _from_hub(name: str) -> Path:
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        found = snapshot_download(name, allow_patterns=_WANTED, local_files_only=constants.HF_HUB_OFFLINE)
    except HFValidationError as error:
        raise UsageError(f"{name}: neither a folder here nor a hub id ({error})") from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        how = f"fetch it with `hf download {name}` on a machine with network, or give the path of a folder"
        where = f"neither a folder here nor in the cache {constants.HF_HUB_CACHE}"
        raise ModelUnavailable(
            name, f"{where}, and the hub does not give it ({type(error).__name__}); {how}"
        ) from error
    return Path(found)


def read_config(folder: Path, *, trust_remote_code: bool) -> Any:
    """Return the configuration of a model.

    Raises:
        UsageError: There is none, it is broken, it asks for code that is not trusted, or its architecture is not
            known to the installed transformers.
    """
    stored = read_json(folder / "config.json")
    kind, remote = stored.get("model_type"), stored.get("auto_map")
    known = kind in transformers.CONFIG_MAPPING
    if not known and remote and not trust_remote_code:
        files = ", ".join(sorted(_files_named(remote)))
        raise UsageError(
            f"{folder}: needs code of its own ({files}), which would run with your rights; "
            "read it, then set trust_remote_code"
        )
    if not known and not remote:
        raise UsageError(
            f"{folder}: the architecture {kind!r} is not known to transformers {transformers.__version__}; "
            "install a newer one, or serve the model with vLLM"
        )
    try:
        return transformers.AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
    except Exception as error:  # a configuration is code in transformers, and any error there is one of the file
        raise UsageError(f"{folder / 'config.json'}: not a configuration ({type(error).__name__}: {error})") from error


def _files_named(auto_map: dict[str, Any]) -> Iterator[str]:
    for value in auto_map.values():
        for reference in value if isinstance(value, list) else [value]:
            if isinstance(reference, str):
                yield reference.rpartition(".")[0].rpartition("--")[2] + ".py"


def read_json(file: Path) -> dict[str, Any]:
    """Return the object in a JSON file.

    Raises:
        UsageError: It is missing, or holds no object.
    """
    try:
        value = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise UsageError(
            f"{file}: cannot be read ({os.strerror(error.errno or 0)}); is the folder complete?"
        ) from error
    except ValueError as error:
        raise UsageError(f"{file}: is not JSON ({error}); fetch the file again") from error
    if not isinstance(value, dict):
        raise UsageError(f"{file}: holds no JSON object; fetch the file again")
    return value


def weight_files(folder: Path) -> tuple[Path, ...]:
    """Return the files of the weights, all of them there.

    Only safetensors are read: other formats are pickles, which can run code, or are for other programs.

    Raises:
        UsageError: There are none, or some of them are missing.
    """
    if (folder / SINGLE).is_file():
        return (folder / SINGLE,)
    if (folder / INDEX).is_file():
        named = read_json(folder / INDEX).get("weight_map", {})
        files = tuple(folder / name for name in sorted(set(named.values())))
        missing = [file.name for file in files if not file.is_file()]
        if not files or missing:
            raise UsageError(f"{folder}: {INDEX} names {', '.join(missing) or 'no files'}; fetch the weights again")
        return files
    others = sorted(file.name for pattern in _OTHER_WEIGHTS for file in folder.glob(pattern))
    instead = f"; there is {', '.join(others)}, to be saved again with save_pretrained()" if others else ""
    raise UsageError(f"{folder}: holds no weights ({SINGLE} or {INDEX}){instead}")
