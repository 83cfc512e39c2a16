"""Numbers and quantities as SQL: a number stands for all that rounds to it, and a unit may be asked for."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any

from wardround.environments.fhir.dates import PREFIXES, split_prefix
from wardround.environments.fhir.outcome import bad_request
from wardround.environments.fhir.searching.conditions import split_escaped, unescape

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)


def compare_quantity(value: str, name: str) -> tuple[str, list[Any]]:
    """Return the condition on an index row for `number`, `number|system|code` or `number||unit`.

    Args:
        value: As written, with escapes.
        name: The search parameter.

    Raises:
        FhirError: 400, with the accepted form.
    """
    parts = [unescape(part) for part in split_escaped(value, "|")]
    if len(parts) not in (1, 3) or (len(parts) == 3 and parts[1] and not parts[2]):
        raise bad_request(f"{name}={value}: write a number, or number|system|unit such as 5.4||mg/dL", name)
    where, arguments = compare_number(parts[0], name)
    if len(parts) == 1 or not parts[2]:
        return where, arguments
    system, unit = parts[1:]
    if system:
        return f"({where}) AND system = ? AND code = ?", [*arguments, system, unit]
    return f"({where}) AND (code = ? OR unit = ?)", [*arguments, unit, unit]


def compare_number(text: str, name: str) -> tuple[str, list[Any]]:
    """Return the condition on an index row for a number with its prefix.

    Without a prefix it is a range as wide as its last digit; with one of order it is exact (R4 search, 3.1.1.4.4).

    Raises:
        FhirError: 400, with the accepted form.
    """
    prefix, digits = split_prefix(text)
    if prefix not in PREFIXES:
        raise bad_request(f"{name}: the prefix '{prefix}' is not supported; use one of {', '.join(PREFIXES)}", name)
    # A plus that was not encoded arrives as a space.
    written = digits.replace(" ", "+")
    if not _NUMBER.fullmatch(written):
        raise bad_request(f"{name}={text}: '{digits}' is not a number; write for example ge5.4", name)
    number = Decimal(written)
    value = float(number)
    if not math.isfinite(value):
        raise bad_request(f"{name}={text}: '{digits}' is greater than any number that is kept", name)
    # The edges are found in decimals: 5.4 - 0.05 in floats is a little more than 5.35 and would leave that out.
    half = _half_step(number)
    edges = [float(number - half), float(number + half)]
    match prefix:
        case "eq":
            return "lo >= ? AND hi < ?", edges
        case "ne":
            return "NOT (lo >= ? AND hi < ?)", edges
        case "gt":
            return "hi > ?", [value]
        case "lt":
            return "lo < ?", [value]
        case "ge":
            return "hi >= ?", [value]
        case "le":
            return "lo <= ?", [value]
        case "sa":
            return "lo > ?", [value]
    return "hi < ?", [value]


def _half_step(number: Decimal) -> Decimal:
    """Half of the last digit given: 5.4 stands for 5.35 to 5.45, and 1e2 for 95 to 105, as R4 has it."""
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)
    return Decimal(5).scaleb(exponent - 1 if exponent <= 0 else exponent - 2)
