"""JSON as it was sent: decimals keep their digits, members keep their order."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import Any, NoReturn

import simplejson

from wardround.environments.fhir.outcome import bad_request

MAX_DEPTH = 100
"""How deep JSON may be nested; real resources stay below 20."""


def parse(text: str | bytes) -> Any:
    """Return JSON with decimals as `Decimal`, so that 7.10 stays 7.10.

    Raises:
        FhirError: 400, saying where the JSON breaks.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")
        value = simplejson.loads(text, use_decimal=True, parse_constant=_refuse, object_pairs_hook=_members)
        measure(value)
        if "\\ud" in text.lower():
            dump(value).encode()
        return value
    except (UnicodeDecodeError, UnicodeEncodeError) as error:
        raise bad_request(f"the body is not UTF-8 text ({error.reason})", code="structure") from None
    except RecursionError:
        raise bad_request("the JSON is nested too deeply", code="structure") from None
    except ValueError as error:
        raise bad_request(f"the body is not JSON: {error}", code="structure") from None


def dump(value: Any) -> str:
    """Return compact JSON text."""
    return _encoded(value, _PLAIN)


def fingerprint(resource: dict[str, Any]) -> int:
    """Return 128 bits made from what a resource says, without its version and the time it was written."""
    meta = {k: v for k, v in (resource.get("meta") or {}).items() if k not in ("versionId", "lastUpdated")}
    content = {k: v for k, v in resource.items() if k != "meta"} | ({"meta": meta} if meta else {})
    canonical = _encoded(content, _CANONICAL)
    return int.from_bytes(hashlib.blake2b(canonical.encode(), digest_size=16).digest(), "big")


_PLAIN = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)
_CANONICAL = json.JSONEncoder(separators=(",", ":"), sort_keys=True, allow_nan=False)


def _encoded(value: Any, encoder: json.JSONEncoder) -> str:
    """Encode by the standard library, which is three times as fast, and decimals by simplejson."""
    try:
        return encoder.encode(value)
    except TypeError:
        return simplejson.dumps(
            value,
            use_decimal=True,
            separators=(",", ":"),
            ensure_ascii=encoder.ensure_ascii,
            sort_keys=encoder.sort_keys,
            allow_nan=False,
        )


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the member '{twice}' is given twice")
    return members


def measure(value: Any) -> int:
    """Return how many values JSON is made of.

    Raises:
        ValueError: It is nested more than `MAX_DEPTH` deep.
    """
    count, level = 0, [value]
    for _ in range(MAX_DEPTH):
        count += len(level)
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return count
    raise ValueError(f"nested more than {MAX_DEPTH} deep")
