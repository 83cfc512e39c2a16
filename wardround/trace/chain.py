"""The chain of a log: each event is hashed together with all before it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from wardround.trace.events import EVENT, Event

BEGINNING = b""
"""The head of a log without events."""


def json_value(event: Event) -> dict[str, Any]:
    """Return an event as JSON has it; what JSON cannot tell apart is the same event."""
    value: dict[str, Any] = json.loads(EVENT.dump_json(event))
    return value


def canonical(value: Any) -> bytes:
    """Return JSON in the one form that is hashed: keys in order, no blanks, UTF-8.

    >>> canonical({"b": 1.0, "a": "é"}).decode()
    '{"a":"é","b":1.0}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def next_head(head: bytes, value: dict[str, Any]) -> bytes:
    """Return the head after one more event: SHA-256 of the head before, 32 bytes, and the canonical event."""
    return hashlib.sha256(head + canonical(value)).digest()


def heads(values: Iterable[dict[str, Any]]) -> list[bytes]:
    """Return the head after each event of a log from its beginning."""
    found: list[bytes] = []
    for value in values:
        found.append(next_head(found[-1] if found else BEGINNING, value))
    return found
