"""A CUDA build of torchvision made usable beside a CPU build of torch.

Package indexes hand out torchvision for CUDA, which cannot load its operators beside a torch without CUDA; even its
import fails then, and with it the processors of the Qwen-VL family, InternVL and Pixtral. What those processors
use of torchvision is plain torch, so it is enough that the import succeeds and that images are decoded.

This file imports nothing of Wardround: `scripts/vllm_cpu.sh` copies it into an environment that has none.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

_BOXES = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_kept: list[Any] = []
"""Libraries of operators: torch forgets an operator whose library is collected."""


def mend_torchvision() -> None:
    """Let a torchvision whose operators do not load be imported in this process; a sound one is left as it is.

    Nothing is imported before torchvision itself is. Box operators (`nms`) stay unusable and raise when called.
    """
    if not any(isinstance(finder, _Mender) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Mender())


class _Mender(importlib.abc.MetaPathFinder):
    """Finds torchvision as Python would, and has its two broken modules mended while they are imported."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of a module that needs mending, and nothing for all others."""
        if fullname not in ("torchvision", "torchvision.io.image"):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, spec)
        return spec


class _Loader(importlib.abc.Loader):
    """Runs a module as its own loader does, with the mend before or after."""

    def __init__(self, loader: importlib.abc.Loader, spec: importlib.machinery.ModuleSpec) -> None:
        self._loader, self._spec = loader, spec

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)  # inspect and pkgutil ask loaders for source and resources

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """Return what the module's own loader creates."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Declare what is missing before torchvision runs, and replace what cannot work after its image module ran."""
        if module.__name__ == "torchvision":
            _declare_operators(Path(self._spec.origin or "").parent)
            self._loader.exec_module(module)
            return
        self._loader.exec_module(module)
        if not module._has_image_ops():
            module.__dict__["decode_image"] = _decoder(module)


def _declare_operators(folder: Path) -> None:
    """Declare the operators that torchvision registers shapes for, unless its extension brings them."""
    import torch

    extensions = [file for file in folder.glob("_C*") if file.suffix in (".so", ".pyd")]
    try:
        for extension in extensions:
            torch.ops.load_library(str(extension))
    except OSError:
        extensions = []
    if not extensions and not hasattr(torch.ops.torchvision, "nms"):
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(operator + _BOXES)
        _kept.append(library)


def _decoder(image: ModuleType) -> Callable[..., Any]:
    """Return a `torchvision.io.decode_image` that decodes with Pillow."""
    modes = {"UNCHANGED": None, "GRAY": "L", "GRAY_ALPHA": "LA", "RGB": "RGB", "RGB_ALPHA": "RGBA", "RGBA": "RGBA"}

    def decode_image(
        input: Any, mode: Any = image.ImageReadMode.UNCHANGED, apply_exif_orientation: bool = False
    ) -> Any:
        """Decode an image, given as its path or as a tensor of bytes, into a uint8 tensor (channels, height, width)."""
        import numpy as np
        import torch
        from PIL import Image, ImageOps

        is_path = isinstance(input, (str, os.PathLike))
        with Image.open(input if is_path else io.BytesIO(input.numpy().tobytes())) as opened:
            picture = ImageOps.exif_transpose(opened) if apply_exif_orientation else opened
            wanted = modes[mode.upper() if isinstance(mode, str) else mode.name]
            pixels = np.array(picture.convert(wanted) if wanted else picture, dtype=np.uint8)
        return torch.from_numpy(np.atleast_3d(pixels)).permute(2, 0, 1).contiguous()

    return decode_image
