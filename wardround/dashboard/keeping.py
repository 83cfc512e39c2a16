"""Words that must not stand in an address: kept here for a while, under a name that means nothing."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict

MOST = 500
"""Words that are remembered; the oldest go first."""


class Kept:
    """Search words and ends of pages by a random name, in memory alone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._words: OrderedDict[str, str] = OrderedDict()

    def put(self, words: str) -> str:
        """Keep words and return their name."""
        with self._lock:
            known = next((name for name, held in self._words.items() if held == words), None)
            name = known or secrets.token_urlsafe(9)
            self._words[name] = words
            self._words.move_to_end(name)
            while len(self._words) > MOST:
                self._words.popitem(last=False)
        return name

    def get(self, name: str | None) -> str | None:
        """Return the words of a name; nothing where they are not remembered any more."""
        with self._lock:
            return self._words.get(name or "")
