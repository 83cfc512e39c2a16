"""Versions of resources in SQLite: layers that can be forked and reset, and the index rows of each version."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from wardround.core.errors import StoreError
from wardround.environments.fhir.codec import dump, fingerprint
from wardround.environments.fhir.dates import instant
from wardround.environments.fhir.extract import IndexRows, index_rows

FORMAT = "1"
"""Form of the database; another one is refused."""
NEWEST = 2**62
"""Upper end of what a state sees of its own layer."""
_SUM = 2**128
_VALUE_INDEXES = {
    "token_by_value": "token (path, term, pk)",
    "reference_by_value": "reference (path, target, pk)",
    "date_by_value": "date (path, lo, pk)",
    "string_by_value": "string (path, folded, pk)",
    "quantity_by_value": "quantity (path, lo, pk)",
    "uri_by_value": "uri (path, value, pk)",
}
_INDEX_TABLES = ("token", "reference", "date", "string", "quantity", "uri", "bare")
_MAX_CACHED = 500_000

Sql = tuple[str, list[Any]]


@dataclass(frozen=True)
class Version:
    """One version of a resource; a deletion is a version without a body."""

    pk: int
    type: str
    id: str
    number: int
    updated: int
    """Microseconds since 1970."""
    method: str
    body: str | None


@dataclass(frozen=True)
class View:
    """What a state sees: layers, each up to a row, its own first."""

    layers: tuple[tuple[int, int], ...]

    def at(self, snapshot: int) -> View:
        """Return what the state saw when `snapshot` was the newest row."""
        return View(tuple((layer, min(upto, snapshot)) for layer, upto in self.layers))

    def seen(self, alias: str) -> Sql:
        """Return the condition that a version is the current one."""
        mine, arguments = self._within(f"{alias}.layer", f"{alias}.pk")
        hidden, more = self._within("g.layer", "g.by")
        return (
            f"{mine} AND NOT EXISTS (SELECT 1 FROM gone g WHERE g.pk = {alias}.pk AND {hidden})",
            arguments + more,
        )

    def ever(self, alias: str) -> Sql:
        """Return the condition that a version is or was one of the state's."""
        return self._within(f"{alias}.layer", f"{alias}.pk")

    def _within(self, layer: str, row: str) -> Sql:
        if len(self.layers) == 1:
            return f"({layer} = ? AND {row} <= ?)", [*self.layers[0]]
        clauses = " OR ".join(f"({layer} = ? AND {row} <= ?)" for _ in self.layers)
        return f"({clauses})", [value for pair in self.layers for value in pair]


class Store:
    """A database of versions.

    Args:
        path: The file; None keeps all in memory.

    Raises:
        StoreError: The file cannot be opened or was written in another form.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.lock = threading.RLock()
        self._terms: dict[tuple[str, str], int] = {}
        self._keys: dict[tuple[str, str], int] = {}
        try:
            self.db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
            self._set_up(path)
        except sqlite3.Error as error:
            raise StoreError(f"{path}: {error}; give the path of a sandbox database or of a new file") from error

    def _set_up(self, path: Path | None) -> None:
        self.db.execute("PRAGMA cache_size = -262144")
        self.db.execute("PRAGMA temp_store = MEMORY")
        if path is not None:
            self.db.execute("PRAGMA journal_mode = WAL")
            self.db.execute("PRAGMA synchronous = NORMAL")
            self.db.execute("PRAGMA mmap_size = 4294967296")
        self.db.executescript(resources.files(__package__).joinpath("schema.sql").read_text("utf-8"))
        self._make_value_indexes()
        with self.transaction():
            self._check_format(path)
            self.db.execute(
                "INSERT OR IGNORE INTO state (layer, name, parent, upto, savepoint, savepoint_sum)"
                " VALUES (1, 'default', NULL, 0, 0, '0')"
            )

    def _check_format(self, path: Path | None) -> None:
        self.db.execute("INSERT OR IGNORE INTO about VALUES ('format', ?)", (FORMAT,))
        found = self.db.execute("SELECT value FROM about WHERE name = 'format'").fetchone()[0]
        if found != FORMAT:
            raise StoreError(f"{path}: written in form {found}, this is form {FORMAT}; load its NDJSON export anew")

    def close(self) -> None:
        """Close the database."""
        self.db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Carry out all that follows or nothing of it; transactions may lie within one another."""
        with self.lock:
            name = "inner" if self.db.in_transaction else "outer"
            self.db.execute("SAVEPOINT inner" if name == "inner" else "BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self.db.execute("ROLLBACK TO inner" if name == "inner" else "ROLLBACK")
                if name == "inner":
                    self.db.execute("RELEASE inner")
                self._terms.clear()
                self._keys.clear()
                raise
            self.db.execute("RELEASE inner" if name == "inner" else "COMMIT")

    # -- reading --------------------------------------------------------------------------------------------

    def newest(self) -> int:
        """Return the number of the newest row that was ever written, kept or not."""
        row = self.db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'version'").fetchone()
        return int(row[0]) if row else 0

    def current(self, view: View, type_: str, id_: str) -> Version | None:
        """Return the current version of a resource; one without a body if it was deleted."""
        seen, arguments = view.seen("v")
        row = self.db.execute(
            "SELECT v.pk, v.number, v.updated, v.method, v.body FROM identity i JOIN version v ON v.key = i.key"
            f" WHERE i.type = ? AND i.id = ? AND {seen}",
            [type_, id_, *arguments],
        ).fetchone()
        return Version(row[0], type_, id_, *row[1:]) if row else None

    def history(
        self,
        view: View,
        type_: str | None,
        id_: str | None,
        *,
        since: int = 0,
        limit: int = -1,
        offset: int = 0,
    ) -> list[Version]:
        """Return the versions of a resource, a type or the whole state, the newest first.

        Args:
            view: What the state sees.
            type_: Only this type.
            id_: Only this resource.
            since: Only what was written at or after this time, in microseconds since 1970.
            limit: How many; -1 for all.
            offset: How many to leave out at the beginning.
        """
        source, arguments = self._ever(view, type_, id_, since)
        rows = self.db.execute(
            f"SELECT v.pk, i.type, i.id, v.number, v.updated, v.method, v.body {source}"
            " ORDER BY v.pk DESC LIMIT ? OFFSET ?",
            [*arguments, limit, offset],
        )
        return [Version(*row) for row in rows]

    def history_size(self, view: View, type_: str | None, id_: str | None, *, since: int = 0) -> int:
        """Return how many versions a history has."""
        source, arguments = self._ever(view, type_, id_, since)
        return int(self.db.execute(f"SELECT count(*) {source}", arguments).fetchone()[0])

    def _ever(self, view: View, type_: str | None, id_: str | None, since: int) -> Sql:
        ever, arguments = view.ever("v")
        where = [ever, "v.updated >= ?"]
        arguments.append(since)
        if type_ is not None:
            where.append("v.type = ?")
            arguments.append(type_)
        if id_ is not None:
            where.append("v.key = (SELECT key FROM identity WHERE type = ? AND id = ?)")
            arguments += [type_, id_]
        return f"FROM version v JOIN identity i ON i.key = v.key WHERE {' AND '.join(where)}", arguments

    def versions(self, pks: Sequence[int]) -> list[Version]:
        """Return versions by row, in the order asked for."""
        rows = self.db.execute(
            "SELECT v.pk, v.type, i.id, v.number, v.updated, v.method, v.body FROM json_each(?) j"
            " CROSS JOIN version v ON v.pk = j.value JOIN identity i ON i.key = v.key",
            [json.dumps(list(pks))],
        )
        found = {row[0]: Version(*row) for row in rows}
        return [found[pk] for pk in pks]

    def bodies(self, view: View) -> Iterator[str]:
        """Return the text of every current resource, in the order of writing."""
        seen, arguments = view.seen("v")
        rows = self.db.execute(
            f"SELECT v.body FROM version v WHERE v.body IS NOT NULL AND {seen} ORDER BY v.pk", arguments
        )
        return (row[0] for row in rows)

    # -- writing --------------------------------------------------------------------------------------------

    def write(
        self, view: View, resource: dict[str, Any], *, replaces: Version | None, method: str, now: int, base: str = ""
    ) -> Version:
        """Write a version of a resource, with its version number and time in `meta`.

        Args:
            view: What the state sees; the first layer is written to.
            resource: A valid resource with an id.
            replaces: Its current version, if it has one.
            method: The HTTP method that wrote it.
            now: Microseconds since 1970.
            base: Base URL of the server; absolute references below it are its own resources.
        """
        type_, id_ = resource["resourceType"], resource["id"]
        number = replaces.number + 1 if replaces else 1
        meta = {**(resource.get("meta") or {}), "versionId": str(number), "lastUpdated": instant(now)}
        stored = {"resourceType": type_, "id": id_, "meta": meta}
        stored |= {name: value for name, value in resource.items() if name not in stored}
        body = dump(stored)
        mark = f"{fingerprint(stored):x}"
        pk = self._insert(view.layers[0][0], type_, id_, number, now, method, mark, body, replaces)
        self._index(pk, index_rows(stored, base=base))
        return Version(pk, type_, id_, number, now, method, body)

    def delete(self, view: View, replaces: Version, *, now: int) -> Version:
        """Write that a resource was deleted."""
        number = replaces.number + 1
        pk = self._insert(view.layers[0][0], replaces.type, replaces.id, number, now, "DELETE", "0", None, replaces)
        return Version(pk, replaces.type, replaces.id, number, now, "DELETE", None)

    def _insert(
        self,
        layer: int,
        type_: str,
        id_: str,
        number: int,
        now: int,
        method: str,
        mark: str,
        body: str | None,
        replaces: Version | None,
    ) -> int:
        pk = self.db.execute(
            "INSERT INTO version (layer, key, type, number, updated, method, fingerprint, body)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (layer, self.key(type_, id_), type_, number, now, method, mark, body),
        ).lastrowid
        assert pk is not None
        if replaces is not None:
            self.db.execute("INSERT INTO gone VALUES (?, ?, ?)", (replaces.pk, layer, pk))
        return pk

    def _index(self, pk: int, rows: IndexRows) -> None:
        run = self.db.executemany
        if rows.token:
            run(
                "INSERT OR IGNORE INTO token VALUES (?, ?, ?)",
                [(pk, path, self.term(system, code)) for path, system, code in rows.token],
            )
        if rows.reference:
            run(
                "INSERT OR IGNORE INTO reference VALUES (?, ?, ?)",
                [(pk, path, self.key(type_, id_)) for path, type_, id_ in rows.reference],
            )
        if rows.date:
            run("INSERT INTO date VALUES (?, ?, ?, ?)", [(pk, *row) for row in rows.date])
        if rows.string:
            run("INSERT INTO string VALUES (?, ?, ?, ?)", [(pk, *row) for row in rows.string])
        if rows.quantity:
            run("INSERT INTO quantity VALUES (?, ?, ?, ?, ?, ?, ?)", [(pk, *row) for row in rows.quantity])
        if rows.uri:
            run("INSERT INTO uri VALUES (?, ?, ?)", [(pk, *row) for row in rows.uri])
        if rows.bare:
            run("INSERT INTO bare VALUES (?, ?)", [(pk, path) for path in rows.bare])

    def key(self, type_: str, id_: str) -> int:
        """Return the number of a resource or URI, giving it one if need be."""
        known = self._keys.get((type_, id_))
        if known is None:
            self.db.execute("INSERT OR IGNORE INTO identity (type, id) VALUES (?, ?)", (type_, id_))
            row = self.db.execute("SELECT key FROM identity WHERE type = ? AND id = ?", (type_, id_)).fetchone()
            known = self._remember(self._keys, (type_, id_), row[0])
        return known

    def term(self, system: str, code: str) -> int:
        """Return the number of a code, giving it one if need be; it is found whatever its case."""
        known = self._terms.get((system, code))
        if known is None:
            self.db.execute(
                "INSERT OR IGNORE INTO term (system, code, folded) VALUES (?, ?, ?)", (system, code, code.casefold())
            )
            row = self.db.execute("SELECT key FROM term WHERE system = ? AND code = ?", (system, code)).fetchone()
            known = self._remember(self._terms, (system, code), row[0])
        return known

    def _remember(self, cache: dict[tuple[str, str], int], what: tuple[str, str], number: int) -> int:
        if len(cache) >= _MAX_CACHED:
            cache.clear()
        cache[what] = number
        return number

    # -- bulk -----------------------------------------------------------------------------------------------

    @contextmanager
    def bulk(self) -> Iterator[None]:
        """Load much at once: into an empty database the indexes by value are made at the end, which is faster."""
        with self.lock:
            is_empty = self.db.execute("SELECT NOT EXISTS (SELECT 1 FROM version)").fetchone()[0]
            with self.transaction():
                if is_empty:
                    for name in _VALUE_INDEXES:
                        self.db.execute(f"DROP INDEX IF EXISTS {name}")
                yield
                self._make_value_indexes()
            self.db.execute("PRAGMA optimize")

    def _make_value_indexes(self) -> None:
        for name, columns in _VALUE_INDEXES.items():
            self.db.execute(f"CREATE INDEX IF NOT EXISTS {name} ON {columns}")

    # -- layers ---------------------------------------------------------------------------------------------

    def view(self, layer: int) -> View:
        """Return what a state sees.

        Raises:
            StoreError: There is no such state any more.
        """
        layers, upto, at = [], NEWEST, layer
        while True:
            row = self.db.execute("SELECT parent, upto FROM state WHERE layer = ?", (at,)).fetchone()
            if row is None:
                raise StoreError(f"state {layer} was closed; fork another one")
            layers.append((at, upto))
            if row[0] is None:
                return View(tuple(layers))
            at, upto = row[0], min(upto, row[1])

    def drop_rows(self, layer: int, *, after: int) -> None:
        """Forget what a layer wrote after a row."""
        chosen = "SELECT pk FROM version WHERE layer = ? AND pk > ?"
        for table in _INDEX_TABLES:
            self.db.execute(f"DELETE FROM {table} WHERE pk IN ({chosen})", (layer, after))
        self.db.execute("DELETE FROM version WHERE layer = ? AND pk > ?", (layer, after))
        self.db.execute("DELETE FROM gone WHERE layer = ? AND by > ?", (layer, after))

    def total(self, pairs: Iterable[tuple[str]], start: int = 0) -> int:
        """Add fingerprints up."""
        return sum((int(mark, 16) for (mark,) in pairs), start) % _SUM
