"""Optional dependencies, imported where they are used."""

from __future__ import annotations

import importlib
from types import ModuleType

from wardround.core.errors import MissingExtra


def require(module: str, *, extra: str) -> ModuleType:
    """Import an optional module.

    Raises:
        MissingExtra: It is not installed; the message names the extra.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and module.split(".")[0] == error.name.split(".")[0]:
            raise MissingExtra(module, extra) from error
        raise
