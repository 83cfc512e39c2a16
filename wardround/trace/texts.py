"""Long texts of events are kept once in the store, and those of several lines by their lines.

Nearly all of a log is prompts, and nearly all of a prompt stands in other prompts as well. So in the body of an event

- a long string is `{"$t": id}`, the string being kept as it is (`text`) or as a list of its lines (`lines`), of which
  the long ones are again ids;
- a field that is long even so is `{"$v": id}` (`value`), since knowledge and settings are the same in many runs;
- an object that would read like one of these is `{"$q": object}`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from wardround.trace.schema import TEXTS, USES

LONG = 200
"""Characters from which on a string or a field is kept by reference."""
LONG_LINE = 40
"""Characters from which on a line is."""
_MARKS = frozenset(("$t", "$v", "$q"))
_AT_ONCE = 500
"""Values in one statement."""

Content = tuple[str, str]
"""Form and body of a text."""


def dumped(value: Any) -> str:
    """Return JSON without blanks, in the order of its keys."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def pack(connection: sa.Connection, run: int, values: Sequence[dict[str, Any]]) -> list[str]:
    """Keep the long parts of events and return their bodies.

    All lines are kept before all strings and these before all fields, each in the order of their hashes, so that
    writers at work at the same time never wait for one another in a circle.

    Args:
        connection: In a transaction that writes.
        run: Key of the run.
        values: Events as JSON has them.
    """
    strings = {text for value in values for text in _strings(value) if len(text) >= LONG}
    lines = {line for text in strings if "\n" in text for line in text.split("\n") if len(line) >= LONG_LINE}
    line_ids = kept(connection, run, {line: ("text", dumped(line)) for line in lines})
    string_ids = kept(connection, run, {text: _as_lines(text, line_ids) for text in strings})
    short = [{name: _shortened(field, string_ids) for name, field in value.items()} for value in values]
    fields = [field for value in short for field in value.values() if isinstance(field, dict | list)]
    long = {body for body in map(dumped, fields) if len(body) >= LONG}
    ids = kept(connection, run, {body: ("value", body) for body in long})
    return [dumped({name: _referred(field, ids) for name, field in value.items()}) for value in short]


def unpack(bodies: Iterable[str], texts: Mapping[int, Content]) -> Iterator[dict[str, Any]]:
    """Return what bodies stand for.

    Args:
        bodies: As `pack` returned them.
        texts: All that they refer to, by id.

    Raises:
        KeyError: One of these is missing.
    """
    known: dict[int, Any] = {}
    for body in bodies:
        yield {name: _expanded(field, texts, known) for name, field in json.loads(body).items()}


def quoted(value: Any) -> Any:
    """Return a value as a body that refers to no text, objects that look like references set apart."""
    return _shortened(value, {})


def kept(connection: sa.Connection, run: int, contents: Mapping[str, Content]) -> dict[str, int]:
    """Keep texts for a run and return their ids, by the same names."""
    hashes = {hashlib.sha256(f"{form}:{body}".encode()).digest(): name for name, (form, body) in contents.items()}
    found: dict[str, int] = {}
    for part in _parts(sorted(hashes)):
        rows = [{"sha": sha, "form": contents[hashes[sha]][0], "body": contents[hashes[sha]][1]} for sha in part]
        connection.execute(unless_there(connection, TEXTS), rows)
        query = sa.select(TEXTS.c.sha, TEXTS.c.id).where(TEXTS.c.sha.in_(part))
        found |= {hashes[bytes(sha)]: int(key) for sha, key in connection.execute(query)}
    for keys in _parts(sorted(found.values())):
        connection.execute(unless_there(connection, USES), [{"run": run, "text": key} for key in keys])
    return found


def unless_there(connection: sa.Connection, table: sa.Table) -> Any:
    """Return an insert that leaves rows alone which are there already."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return insert(table).on_conflict_do_nothing()


def texts_of(connection: sa.Connection, run: int) -> dict[int, Content]:
    """Return all texts of a run by id."""
    query = sa.select(TEXTS.c.id, TEXTS.c.form, TEXTS.c.body).join(USES, USES.c.text == TEXTS.c.id)
    return {key: (form, body) for key, form, body in connection.execute(query.where(USES.c.run == run))}


def texts_in(connection: sa.Connection, bodies: Iterable[str]) -> dict[int, Content]:
    """Return the texts that bodies refer to, and those that these refer to in turn."""
    found: dict[int, Content] = {}
    wanted = {key for body in bodies for field in json.loads(body).values() for key in _references(field)}
    while wanted:
        query = sa.select(TEXTS.c.id, TEXTS.c.form, TEXTS.c.body).where(TEXTS.c.id.in_(wanted))
        new: dict[int, Content] = {key: (form, body) for key, form, body in connection.execute(query)}
        found |= new
        within = (key for form, body in new.values() if form != "text" for key in _references(json.loads(body), form))
        wanted = set(within) - found.keys()
    return found


def _references(value: Any, form: str = "value") -> Iterator[int]:
    if form == "lines":
        yield from (line for line in value if isinstance(line, int))
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)
    elif isinstance(value, dict):
        if "$q" not in value and (key := value.get("$t", value.get("$v"))) is not None:
            yield key
        else:
            for inner in value.get("$q", value).values():
                yield from _references(inner)


def _parts(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), _AT_ONCE):
        yield values[start : start + _AT_ONCE]


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)


def _as_lines(text: str, ids: Mapping[str, int]) -> Content:
    if "\n" not in text:
        return "text", dumped(text)
    return "lines", dumped([ids.get(line, line) for line in text.split("\n")])


def _shortened(value: Any, ids: Mapping[str, int]) -> Any:
    if isinstance(value, str):
        return {"$t": ids[value]} if value in ids else value
    if isinstance(value, list):
        return [_shortened(inner, ids) for inner in value]
    if isinstance(value, dict):
        short = {name: _shortened(inner, ids) for name, inner in value.items()}
        return {"$q": short} if value.keys() & _MARKS else short
    return value


def _referred(field: Any, ids: Mapping[str, int]) -> Any:
    found = ids.get(dumped(field)) if isinstance(field, dict | list) else None
    return field if found is None else {"$v": found}


def _expanded(value: Any, texts: Mapping[int, Content], known: dict[int, Any]) -> Any:
    if isinstance(value, list):
        return [_expanded(inner, texts, known) for inner in value]
    if not isinstance(value, dict):
        return value
    if "$q" not in value and (key := value.get("$t", value.get("$v"))) is not None:
        if key not in known:
            known[key] = _text(*texts[key], texts, known)
        return known[key]
    if "$q" in value:
        value = value["$q"]
    return {name: _expanded(inner, texts, known) for name, inner in value.items()}


def _text(form: str, body: str, texts: Mapping[int, Content], known: dict[int, Any]) -> Any:
    content = json.loads(body)
    if form == "lines":
        return "\n".join(line if isinstance(line, str) else json.loads(texts[line][1]) for line in content)
    return _expanded(content, texts, known) if form == "value" else content
