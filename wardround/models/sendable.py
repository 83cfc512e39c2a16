"""Whether JSON that a model wrote can be sent on."""

from __future__ import annotations

import math

MAX_DEPTH = 100
"""How deep JSON that a model wrote may be nested; an R4 resource stays under 20."""
MAX_INTEGER = 2**63 - 1
"""What the checkpoints hold; R4 integers have 32 bits."""


def unsendable(value: object) -> str | None:
    """Return why JSON that a model wrote cannot be sent on, or nothing where it can.

    Python reads half surrogate pairs and numbers that other JSON readers do not take; both would fail on the way.
    """
    layer = [value]
    for _ in range(MAX_DEPTH):
        if any(isinstance(v, str) and not _is_text(v) for v in layer):
            return "it holds half a surrogate pair, which is no character"
        if any(not _is_number(v) for v in layer if isinstance(v, float | int)):
            return "it holds a number that is too large, or none"
        layer = [inner for v in layer for inner in _inside(v)]
        if not layer:
            return None
    return f"it is nested deeper than {MAX_DEPTH} levels"


def _inside(value: object) -> list[object]:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    return list(value) if isinstance(value, list) else []


def _is_number(value: float) -> bool:
    return math.isfinite(value) if isinstance(value, float) else abs(value) <= MAX_INTEGER


def _is_text(text: str) -> bool:
    return not any("\ud800" <= c <= "\udfff" for c in text)
