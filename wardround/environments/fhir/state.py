"""States of the record: savepoint, reset, fork, digest and difference, each in the time of what was changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from wardround.core.errors import StoreError, UsageError
from wardround.core.ports import Clock
from wardround.environments.fhir.dates import microseconds
from wardround.environments.fhir.store import _SUM, Store, View


@dataclass(frozen=True)
class Diff:
    """What one state has and another has not."""

    added: tuple[dict[str, Any], ...]
    changed: tuple[tuple[dict[str, Any], dict[str, Any]], ...]
    """(before, after)"""
    removed: tuple[dict[str, Any], ...]

    @property
    def is_empty(self) -> bool:
        """Whether the two say the same."""
        return not (self.added or self.changed or self.removed)


class State:
    """One course of events in the record; writes to it are seen by no other."""

    def __init__(self, store: Store, clock: Clock, layer: int, name: str) -> None:
        self.store, self.clock, self.layer, self.name = store, clock, layer, name
        self.view: View = store.view(layer)

    @property
    def base_path(self) -> str:
        """Path under which the server shows it."""
        return "/fhir/R4" if self.layer == 1 else f"/forks/{self.name}/fhir/R4"

    def resets(self) -> int:
        """Return how often it was reset, by which a page of an earlier run is told from one of this run.

        Raises:
            StoreError: The state was closed.
        """
        row = self.store.db.execute("SELECT resets FROM state WHERE layer = ?", (self.layer,)).fetchone()
        if row is None:
            raise StoreError(f"state '{self.name}' was closed; fork another one")
        return int(row[0])

    def now(self) -> int:
        """Return the present in microseconds since 1970."""
        return microseconds(self.clock.now())

    def load(self, resources: Iterable[dict[str, Any]]) -> int:
        """Write resources that are known to be valid, and make what is there then the savepoint.

        Returns:
            How many there were.

        Raises:
            UsageError: One has no id or a type that is not served; nothing is kept.
        """
        count = 0
        with self.store.bulk():
            is_fresh = self.store.newest() == 0
            now = self.now()
            for count, resource in enumerate(resources, start=1):
                self._load(resource, count, is_fresh=is_fresh, now=now)
            if is_fresh:
                self._refuse_twins()
            self.savepoint()
        return count

    def _load(self, resource: dict[str, Any], count: int, *, is_fresh: bool, now: int) -> None:
        type_, id_ = resource.get("resourceType"), resource.get("id")
        if not isinstance(type_, str) or not isinstance(id_, str):
            raise UsageError(f"resource {count} to load has no resourceType or no id; give it both")
        replaces = None if is_fresh else self.store.current(self.view, type_, id_)
        try:
            self.store.write(self.view, resource, replaces=replaces, method="PUT", now=now)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            what = f"{type(error).__name__}: {error}"
            raise UsageError(f"resource {count} to load, {type_}/{id_}, cannot be indexed ({what})") from error

    def _refuse_twins(self) -> None:
        twin = self.store.db.execute(
            "SELECT i.type, i.id FROM version v JOIN identity i ON i.key = v.key GROUP BY v.key HAVING count(*) > 1"
        ).fetchone()
        if twin is not None:
            raise UsageError(f"{twin[0]}/{twin[1]} is twice among what is to be loaded; give each an id of its own")

    def savepoint(self) -> None:
        """Make the present state the one that `reset` returns to and `diff` compares with."""
        with self.store.transaction():
            self.store.db.execute(
                "UPDATE state SET savepoint_sum = ?, savepoint = ? WHERE layer = ?",
                (f"{self._sum():x}", self.store.newest(), self.layer),
            )

    def reset(self) -> None:
        """Return to the savepoint; what was written since is forgotten.

        Raises:
            UsageError: A fork was taken from what would be forgotten.
        """
        with self.store.transaction():
            savepoint, _ = self._saved()
            later = self.store.db.execute(
                "SELECT name FROM state WHERE parent = ? AND upto > ?"
                " AND EXISTS (SELECT 1 FROM version WHERE layer = ? AND pk > ? AND pk <= upto)",
                (self.layer, savepoint, self.layer, savepoint),
            ).fetchone()
            if later is not None:
                raise UsageError(f"fork '{later[0]}' stands on what would be forgotten; close it first")
            self.store.drop_rows(self.layer, after=savepoint)
            self.store.db.execute("UPDATE state SET resets = resets + 1 WHERE layer = ?", (self.layer,))

    def fork(self, name: str | None = None) -> State:
        """Return a new state that begins as this one is now.

        Args:
            name: How the server shows it; a number by default.

        Raises:
            UsageError: The name is taken or cannot stand in a URL.
        """
        with self.store.transaction():
            db = self.store.db
            serial = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'state'").fetchone()[0] + 1
            name = name or f"fork-{serial}"
            if not all(c.isascii() and (c.isalnum() or c in "-_.") for c in name) or not name[0].isalnum():
                raise UsageError(f"'{name}' is no name for a fork; use letters, digits, '-', '_' and '.'")
            if db.execute("SELECT 1 FROM state WHERE name = ?", (name,)).fetchone():
                raise UsageError(f"there is a fork '{name}' already; close it or choose another name")
            newest = self.store.newest()
            layer = db.execute(
                "INSERT INTO state (name, parent, upto, savepoint, savepoint_sum) VALUES (?, ?, ?, ?, ?)",
                (name, self.layer, newest, newest, f"{self._sum():x}"),
            ).lastrowid
        assert layer is not None
        return State(self.store, self.clock, layer, name)

    def close(self) -> None:
        """Forget the state and all it wrote.

        Raises:
            UsageError: It is the default state, or forks stand on it.
        """
        if self.layer == 1:
            raise UsageError("the default state cannot be closed; reset it")
        with self.store.transaction():
            child = self.store.db.execute("SELECT name FROM state WHERE parent = ?", (self.layer,)).fetchone()
            if child is not None:
                raise UsageError(f"fork '{child[0]}' stands on it; close that first")
            self.store.drop_rows(self.layer, after=0)
            self.store.db.execute("DELETE FROM state WHERE layer = ?", (self.layer,))

    def digest(self) -> str:
        """Return 128 bits in hexadecimal that two states share when they say the same.

        It is the sum of the fingerprints of all resources, so it costs the time of what was changed since the
        savepoint. Version numbers and times of writing do not count.
        """
        with self.store.lock:
            return f"{self._sum():032x}"

    def _saved(self) -> tuple[int, int]:
        row = self.store.db.execute(
            "SELECT savepoint, savepoint_sum FROM state WHERE layer = ?", (self.layer,)
        ).fetchone()
        if row is None:
            raise StoreError(f"state '{self.name}' was closed; fork another one")
        return row[0], int(row[1], 16)

    def _sum(self) -> int:
        savepoint, start = self._saved()
        written = self.store.db.execute(
            "SELECT fingerprint FROM version WHERE layer = ? AND pk > ?", (self.layer, savepoint)
        )
        replaced = self.store.db.execute(
            "SELECT v.fingerprint FROM gone g JOIN version v ON v.pk = g.pk WHERE g.layer = ? AND g.by > ?",
            (self.layer, savepoint),
        )
        return (self.store.total(written, start) - self.store.total(replaced)) % _SUM

    def diff(self, other: State | None = None) -> Diff:
        """Return what this state has and another has not.

        Args:
            other: The state to compare with; this one at its savepoint by default.

        Raises:
            StoreError: One of the two was closed.
        """
        with self.store.lock:
            savepoint, _ = self._saved()
            if other is not None:
                other._saved()
            before = self.view.at(savepoint) if other is None else other.view
            keys = self._touched(self.view, before) | self._touched(before, self.view)
            pairs = [(self._at(before, key), self._at(self.view, key)) for key in sorted(keys)]
        return Diff(
            added=tuple(json.loads(new[1]) for old, new in pairs if old is None and new is not None),
            changed=tuple(
                (json.loads(old[1]), json.loads(new[1]))
                for old, new in pairs
                if old is not None and new is not None and old[0] != new[0]
            ),
            removed=tuple(json.loads(old[1]) for old, new in pairs if old is not None and new is None),
        )

    def _touched(self, mine: View, theirs: View) -> set[int]:
        shared = dict(theirs.layers)
        keys: set[int] = set()
        for layer, upto in mine.layers:
            rows = self.store.db.execute(
                "SELECT DISTINCT key FROM version WHERE layer = ? AND pk > ? AND pk <= ?",
                (layer, shared.get(layer, 0), upto),
            )
            keys |= {key for (key,) in rows}
        return keys

    def _at(self, view: View, key: int) -> tuple[str, str] | None:
        seen, arguments = view.seen("v")
        row: tuple[str, str] | None = self.store.db.execute(
            f"SELECT v.fingerprint, v.body FROM version v WHERE v.key = ? AND v.body IS NOT NULL AND {seen}",
            [key, *arguments],
        ).fetchone()
        return row

    def resources(self) -> Iterator[dict[str, Any]]:
        """Return every resource, in the order of writing, as it is now.

        Raises:
            StoreError: The state was closed.
        """
        return map(json.loads, self.texts())

    def texts(self) -> Iterator[str]:
        """Return every resource as JSON text, in the order of writing, as it is now.

        Raises:
            StoreError: The state was closed.
        """
        with self.store.lock:
            self._saved()
            return iter(list(self.store.bodies(self.view)))
