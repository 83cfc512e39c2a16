"""The base of every value that crosses a boundary, and ids made from content."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """An immutable value that refuses fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def content_id(prefix: str, *parts: Any) -> str:
    """Name something by its content, so that the same content has the same name everywhere.

    Args:
        prefix: Says what kind of thing it is, for the eye of a reader.
        parts: Anything that `json.dumps` takes; other objects by their text.

    >>> content_id("clm", "effusion", ["a", "b"]) == content_id("clm", "effusion", ["a", "b"])
    True
    >>> content_id("clm", "effusion") == content_id("clm", "no effusion")
    False
    """
    canonical = json.dumps(parts, sort_keys=True, default=str, separators=(",", ":"))
    return f"{prefix}_{hashlib.sha256(canonical.encode()).hexdigest()[:12]}"
