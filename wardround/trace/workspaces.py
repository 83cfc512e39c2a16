"""What a workspace is: a folder, or the address of a database."""

from __future__ import annotations

from pathlib import Path

_SCHEMES = ("postgresql://", "postgres://", "postgresql+psycopg://")


def is_url(workspace: str | Path) -> bool:
    """Whether a workspace is a database by URL and no folder."""
    return str(workspace).startswith(_SCHEMES)


def workspace_of(given: str | Path) -> Path | str:
    """Return a workspace as it is opened."""
    return str(given) if is_url(given) else Path(given)
