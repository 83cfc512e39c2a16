"""The base of every value that crosses a boundary, and ids made from content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict


def _zoned(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


Moment = Annotated[datetime, AfterValidator(_zoned)]
"""A point in time; one given without a zone is in UTC, so that any two can be compared."""


class Frozen(BaseModel):
    """An immutable value that refuses fields it does not know, and numbers that JSON does not have."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Copy with other fields; what was computed from the old ones, such as the id, is left behind."""
        copied = super().model_copy(update=update, deep=deep)
        for name in copied.__dict__.keys() - type(self).model_fields.keys():
            del copied.__dict__[name]
        return copied


def content_id(prefix: str, *parts: Any) -> str:
    """Name something by its content, so that the same content has the same name everywhere.

    Args:
        prefix: Says what kind of thing it is, for the eye of a reader.
        parts: Anything that `json.dumps` takes; other objects by their text.

    >>> content_id("clm", "effusion", ["a", "b"]) == content_id("clm", "effusion", ["a", "b"])
    True
    >>> content_id("clm", "effusion") == content_id("clm", "no effusion")
    False
    """
    return f"{prefix}_{hashlib.sha256(_canonical(parts).encode()).hexdigest()[:12]}"


# Kept, since `json.dumps` would make one anew for each name.
_canonical = json.JSONEncoder(sort_keys=True, default=str, separators=(",", ":")).encode
