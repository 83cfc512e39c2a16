"""Search values as SQL: what a criterion asks of the rows of one index table."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wardround.environments.fhir.dates import compare, parse_search_date
from wardround.environments.fhir.definitions import SearchParameter, definitions
from wardround.environments.fhir.extract import ID, fold, split_reference
from wardround.environments.fhir.outcome import bad_request
from wardround.environments.fhir.searching.codes import check_code
from wardround.environments.fhir.searching.conditions import Criterion, split_escaped, unescape
from wardround.environments.fhir.searching.quantities import compare_number, compare_quantity
from wardround.environments.fhir.store import Store

_PLAIN = frozenset(("code", "boolean", "string", "id", "ContactPoint"))
_HIGHEST = "\U0010ffff"
_FLAT = 100
_URI = re.compile(r"[a-z][a-z0-9+.\-]*:")


@dataclass(frozen=True)
class RowTest:
    """A condition on the rows of an index table, apart from which paths they were read from."""

    table: str
    where: str
    arguments: tuple[Any, ...]
    is_single: bool = False
    """Only rows with one value in one column fulfil it."""


def row_test(store: Store, criterion: Criterion, *, base: str) -> RowTest:
    """Return what the rows must be like for one of the criterion's values to fit.

    Args:
        store: Where codes and references have their numbers.
        criterion: Any but one on `_id` or `_lastUpdated`.
        base: Base URL of the server.

    Raises:
        FhirError: 400, for a value that is not of the parameter's type.
    """
    kind = criterion.parameter.type
    if kind == "token":
        return _among(kind, "term", {key for value in criterion.values for key in _token(store, criterion, value)})
    if kind == "reference":
        keys = {key for value in criterion.values for key in _reference(store, criterion, value, base)}
        return _among(kind, "target", keys)
    tests = [_TESTS[kind](value, criterion) for value in criterion.values]
    table = "quantity" if kind == "number" else kind
    return RowTest(table, joined([t[0] for t in tests], "OR"), tuple(a for t in tests for a in t[1]))


def joined(conditions: Sequence[str], word: str) -> str:
    """Join conditions with AND or OR; many of them as a tree, since SQLite nests 1,000 deep at most.

    >>> joined(["a", "b"], "OR")
    '(a) OR (b)'
    """
    if len(conditions) <= _FLAT:
        return f" {word} ".join(f"({condition})" for condition in conditions)
    middle = len(conditions) // 2
    return f"({joined(conditions[:middle], word)}) {word} ({joined(conditions[middle:], word)})"


def _among(table: str, column: str, keys: set[int]) -> RowTest:
    if not keys:
        return RowTest(table, "0", ())
    if len(keys) == 1:
        return RowTest(table, f"{column} = ?", (*keys,), is_single=True)
    if len(keys) <= _FLAT:
        return RowTest(table, f"{column} IN ({','.join('?' * len(keys))})", (*sorted(keys),))
    return RowTest(table, f"{column} IN (SELECT value FROM json_each(?))", (json.dumps(sorted(keys)),))


def _token(store: Store, criterion: Criterion, value: str) -> Sequence[int]:
    """Return the numbers of the codes that a token value may mean."""
    parts = [unescape(part) for part in split_escaped(value, "|")]
    name = criterion.parameter.name
    if len(parts) > 2 or not any(parts):
        raise bad_request(f"{name}={value}: write a code, or system|code", name)
    system, code = parts if len(parts) == 2 else (None, parts[0])
    if system and all(path.type in _PLAIN for path in criterion.parameter.paths):
        raise bad_request(f"{name} is a plain code without a system; write {name}={code or 'the-code'}", name)
    if code:
        check_code(criterion.type, name, code)
    if system is None:
        return _first(store, "SELECT key FROM term WHERE folded = ?", code.casefold())
    if not code:
        return _first(store, "SELECT key FROM term WHERE system = ?", system)
    return _first(store, "SELECT key FROM term WHERE system = ? AND folded = ?", system, code.casefold())


def _first(store: Store, query: str, *arguments: str) -> list[int]:
    return [key for (key,) in store.db.execute(query, arguments)]


def _reference(store: Store, criterion: Criterion, value: str, base: str) -> Sequence[int]:
    return reference_keys(store, criterion.parameter, criterion.modifier, unescape(value), base=base)


def reference_keys(
    store: Store, parameter: SearchParameter, modifier: str | None, value: str, *, base: str
) -> list[int]:
    """Return the numbers of the resources that a reference value may mean.

    Raises:
        FhirError: 400, for what is no reference, and for a type that the parameter never refers to.
    """
    allowed = parameter.targets
    type_, id_ = split_reference(value, base)
    if modifier is not None:
        if type_ not in ("", modifier) or not ID.fullmatch(id_):
            raise bad_request(f"{parameter.name}:{modifier}={value}: write the id alone", parameter.name)
        type_ = modifier
    if type_ and allowed and type_ not in allowed:
        raise bad_request(f"{parameter.name} refers to {', '.join(allowed)}, never to {type_}", parameter.name)
    if type_ or _URI.match(value):
        return _first(store, "SELECT key FROM identity WHERE type = ? AND id = ?", type_, id_)
    if not ID.fullmatch(value):
        raise bad_request(
            f"{parameter.name}={value} is no reference; write an id, Type/id or an absolute URL", parameter.name
        )
    wanted = allowed or tuple(definitions().resources)
    marks = ",".join("?" * len(wanted))
    return _first(store, f"SELECT key FROM identity WHERE id = ? AND type IN ({marks})", value, *wanted)


Test = tuple[str, Sequence[Any]]


def _date(value: str, criterion: Criterion) -> Test:
    prefix, _, wanted = parse_search_date(value, parameter=criterion.parameter.name)
    return compare(prefix, "lo", "hi", wanted)


def _string(value: str, criterion: Criterion) -> Test:
    text = unescape(value)
    folded = fold(text)
    if criterion.modifier == "exact":
        return "folded = ? AND exact = ?", [folded, text]
    if not folded:
        raise bad_request(f"{criterion.parameter.name} has no text to look for", criterion.parameter.name)
    if criterion.modifier == "contains":
        return "instr(folded, ?) > 0", [folded]
    return "folded >= ? AND folded < ?", [folded, folded + _HIGHEST]


def _uri(value: str, criterion: Criterion) -> Test:
    return "value = ?", [unescape(value)]


def _number(value: str, criterion: Criterion) -> Test:
    return compare_number(value, criterion.parameter.name)


def _quantity(value: str, criterion: Criterion) -> Test:
    return compare_quantity(value, criterion.parameter.name)


_TESTS: Mapping[str, Callable[[str, Criterion], Test]] = {
    "date": _date,
    "string": _string,
    "uri": _uri,
    "number": _number,
    "quantity": _quantity,
}
