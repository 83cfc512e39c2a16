"""vLLM's server, where it differs from other OpenAI-compatible ones."""

from __future__ import annotations

from typing import Any

from wardround.models.openai import OpenAIChat

_CHARACTER = r"[^\x01-\x1f]"
"""Any character but those that must not stand bare in JSON. With NUL among them xgrammar 0.2.8 fails."""
_DATA = ("const", "default", "enum", "examples")
"""Keys behind which data stand, and no schema."""
_COUNTED = 100
"""How often a character is repeated at most in one piece of a pattern; from 150 on xgrammar 0.2.8 fails."""


class VllmChat(OpenAIChat):
    """A model that vLLM serves."""

    def _get_request_payload(self, input_: Any, *, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        if "response_format" in kwargs:
            kwargs["response_format"] = bounded_by_pattern(kwargs["response_format"])
        return super()._get_request_payload(input_, stop=stop, **kwargs)


def bounded_by_pattern(schema: Any) -> Any:
    r"""Return a JSON schema in which bounds on the length of texts are patterns.

    Under `maxLength` xgrammar, vLLM's default, lets control characters stand bare in a text, which is not JSON:
    14 of 20 answers of an untaught model were so (vLLM 0.32, xgrammar 0.2.8), none of 30 under patterns.

    >>> bounded_by_pattern({"type": "string", "minLength": 1, "maxLength": 9})["pattern"]
    '^[^\\x01-\\x1f]{1,9}$'
    """
    if isinstance(schema, list):
        return [bounded_by_pattern(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {key: value if key in _DATA else bounded_by_pattern(value) for key, value in schema.items()}
    if changed.get("type") == "string" and "maxLength" in changed and not changed.keys() & {"pattern", "format"}:
        shortest, longest = changed.pop("minLength", 0), changed.pop("maxLength")
        changed["pattern"] = _pattern(shortest, longest)
    return changed


def _pattern(shortest: int, longest: int) -> str:
    whole = [f"{_CHARACTER}{{{_COUNTED},{_COUNTED}}}"] * (shortest // _COUNTED)
    begun = shortest % _COUNTED
    left = longest - len(whole) * _COUNTED
    first = min(left, _COUNTED)
    rest = [f"{_CHARACTER}{{0,{min(_COUNTED, left - done)}}}" for done in range(_COUNTED, left, _COUNTED)]
    return f"^{''.join(whole)}{_CHARACTER}{{{begun},{first}}}{''.join(rest)}$"
