"""The items of a graph in the order in which they came, shared by a graph and those that grow from it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from threading import RLock

from wardround.core.evidence.ledger import Ledger
from wardround.core.items import Item, identity


class ItemLog:
    """Items, each once, that are only ever appended; a graph is the first so many of them.

    The newest graph and its ancestors share one log and one ledger, so growing costs what is added. The lock is
    held while either is read or changed, since graphs are values and may be used from several threads.
    """

    def __init__(self, items: Iterable[Item] = ()) -> None:
        self.items: list[Item] = []
        self.position: dict[Hashable, int] = {}
        self.ledger = Ledger()
        self.lock = RLock()
        for item in items:
            self.add(identity(item), item)

    def add(self, key: Hashable, item: Item) -> None:
        """Append an item unless its like is there."""
        place = len(self.items)
        if self.position.setdefault(key, place) == place:
            self.items.append(item)

    def holds(self, key: Hashable, count: int) -> bool:
        """Whether an item is among the first so many."""
        return self.position.get(key, count) < count
