"""Cursors: a place in a result that stays as it was when its first page was served."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass

from wardround.environments.fhir.outcome import bad_request


@dataclass(frozen=True)
class Cursor:
    """Where a page begins.

    Its text holds a mark of the search it belongs to, so that one which was changed, or put into another search, is
    refused rather than giving a page that looks right.
    """

    snapshot: int
    """The newest row when the first page was served; later ones are not seen."""
    offset: int = 0
    """How many entries come before."""
    after: int = 0
    """The row before; 0 where entries are counted instead."""
    total: int | None = None
    """Number of matches, where it was counted already."""

    @property
    def _is_possible(self) -> bool:
        fields = (self.snapshot, self.offset, self.after, 0 if self.total is None else self.total)
        return all(type(n) is int and 0 <= n <= 2**62 for n in fields)

    def encode(self, search: str) -> str:
        """Return the text for a URL.

        Args:
            search: Names the search: equal for all its pages, and for no other.
        """
        fields = [self.snapshot, self.offset, self.after, self.total]
        text = json.dumps([*fields, _mark(fields, search)], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @staticmethod
    def decode(text: str, search: str) -> Cursor:
        """Return the cursor that `encode` made into a text.

        Raises:
            FhirError: 400, for a text that is not one, or that belongs to another search.
        """
        try:
            *fields, _ = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            cursor = Cursor(*fields)
        except (ValueError, TypeError):
            cursor = None
        if cursor is None or not cursor._is_possible or cursor.encode(search) != text:
            raise bad_request(
                "_cursor is not one that this server gave for this search; follow the 'next' link as it is, and search"
                " anew after a reset",
                "_cursor",
            )
        return cursor


def _mark(fields: list[int | None], search: str) -> str:
    return hashlib.blake2b(json.dumps([fields, search]).encode(), digest_size=8).hexdigest()
